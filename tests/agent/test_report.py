"""What a plan and a run say at their end, and what a plan leaves alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.report import unified

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Program = Callable[..., "subprocess.CompletedProcess[str]"]
    Policy = Callable[..., str]

FILE = """
bundle agent main
{
  files:
    "$(sys.workdir)/new"
      create  => "true",
      content => "text$(const.n)";
  reports:
    "said";
}
"""
COMMAND = 'bundle agent main\n{\n  commands:\n    "/bin/true";\n}\n'
FAILURE = 'bundle agent main\n{\n  commands:\n    "/bin/false";\n}\n'


def test_a_difference_shows_what_changes() -> None:
    lines = unified(b"one\ntwo\n", b"one\n2\n", "/f").splitlines()

    assert lines[:2] == ["--- /f", "+++ /f"]
    assert lines[-3:] == [" one", "-two", "+2"]


def test_a_missing_last_end_of_line_shows() -> None:
    assert "\\ no newline at the end" in unified(b"one", b"one\n", "/f")


def test_binary_content_is_not_shown() -> None:
    assert unified(b"", b"\0\1", "/f") == "binary content: 0 octets before, 2 after\n"


def test_a_plan_shows_the_change_and_makes_none(
    program: Program, policy: Policy, tmp_path: Path
) -> None:
    ended = program("troth", "plan", policy(FILE))

    assert ended.returncode == 2
    assert "  + create file" in ended.stdout
    assert "      +text" in ended.stdout
    assert not (tmp_path / "work" / "new").exists()


def test_a_plan_with_nothing_to_do_exits_with_0(program: Program, policy: Policy) -> None:
    path = policy(FILE)
    program("troth", "run", path)

    ended = program("troth", "plan", "-K", path)

    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1].startswith("plan: 0 to change, ")


def test_what_nobody_can_know_is_marked(program: Program, policy: Policy) -> None:
    ended = program("troth", "plan", policy(COMMAND))

    assert ended.returncode & 4
    assert "  ? " in ended.stdout
    assert "1 unknown until it runs" in ended.stdout


def test_a_plan_as_json_is_nothing_but_json(program: Program, policy: Policy) -> None:
    path = policy(FILE)

    ended = program("troth", "plan", "--json", path)

    plan = json.loads(ended.stdout)
    assert plan["summary"]["change"] == len(plan["steps"]) > 0
    assert (plan["steps"][0]["file"], plan["steps"][0]["line"]) == (path, 5)
    assert plan["reports"] == ["said"]


def test_a_run_ends_with_a_line_on_stderr(program: Program, policy: Policy) -> None:
    path = policy(FILE)

    first, second = program("troth", "run", path), program("troth", "run", "-K", path)

    assert first.stderr.splitlines()[-1].startswith("repaired: 1 repaired, ")
    assert second.stderr.splitlines()[-1].startswith("converged: ")
    assert (first.stdout, first.returncode, second.returncode) == ("R: said\n", 0, 0)


def test_a_quiet_run_says_nothing(program: Program, policy: Policy) -> None:
    assert program("troth", "run", "-q", policy(FILE)).stderr == ""


def test_exit_codes_of_a_run_can_be_detailed(program: Program, policy: Policy) -> None:
    path = policy(FILE)

    assert program("troth", "run", "--detailed-exitcode", path).returncode == 2
    assert program("troth", "run", "--detailed-exitcode", "-K", path).returncode == 0


def test_a_failed_promise_exits_with_4_under_our_name(program: Program, policy: Policy) -> None:
    path = policy(FAILURE)

    assert program("troth", "run", "-K", path).returncode == 4
    assert program("cf-agent", "-Kf", path).returncode == 0


def test_why_there_is_no_plan_is_in_the_document(program: Program, policy: Policy) -> None:
    wrong = program(
        "troth", "plan", "--json", policy('bundle agent main { files: "/x" a => "b"; }')
    )
    missing = program("troth", "plan", "--json", "nowhere.cf")

    assert (wrong.returncode, missing.returncode) == (1, 1)
    assert "Unknown attribute" in json.loads(wrong.stdout)["diagnostics"][0]["message"]
    assert "nowhere.cf" in json.loads(missing.stdout)["diagnostics"][0]["message"]
