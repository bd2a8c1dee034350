"""`troth check` and `cf-promises`: what they say, where, and how they exit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.check import note_as_json

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Program = Callable[..., "subprocess.CompletedProcess[str]"]
    Policy = Callable[..., str]

GOOD = 'bundle agent main\n{\n  reports:\n    "hello";\n}\n'
WRONG = 'bundle agent main\n{\n  files:\n    "/x" creat => "true";\n}\n'


def test_policy_without_mistakes_is_clean(program: Program, policy: Policy) -> None:
    ended = program("troth", "check", policy(GOOD))

    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == "check: no mistakes in 1 file\n"


def test_mistakes_exit_with_2(program: Program, policy: Policy) -> None:
    path = policy(WRONG)

    ended = program("troth", "check", path)

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{path}:4:10: error: ")
    assert ended.stderr.endswith("check: 1 error in 1 file\n")


def test_a_file_that_is_not_there_exits_with_1(program: Program) -> None:
    ended = program("troth", "check", "nowhere.cf")

    assert ended.returncode == 1
    assert "nowhere.cf" in ended.stderr


def test_each_file_is_checked(program: Program, tmp_path: Path) -> None:
    for name, text in (("a.cf", WRONG), ("b.cf", GOOD), ("c.cf", WRONG)):
        (tmp_path / name).write_text(text)

    ended = program("troth", "check", "a.cf", "b.cf", "c.cf")

    assert [line[:4] for line in ended.stderr.splitlines() if ": error: " in line] == [
        "a.cf",
        "c.cf",
    ]
    assert ended.stderr.endswith("check: 2 errors in 3 files\n")


def test_the_findings_are_there_as_json(program: Program, policy: Policy) -> None:
    path = policy(WRONG)

    ended = program("troth", "check", "--json", path)

    document = json.loads(ended.stdout)
    (finding,) = document["diagnostics"]
    assert document["summary"] == {"errors": 1, "warnings": 0}
    assert (finding["file"], finding["line"], finding["column"]) == (path, 4, 10)
    assert (finding["severity"], finding["hint"]) == ("error", "did you mean 'create'?")
    assert ended.returncode == 2


def test_a_kept_warning_is_taken_apart_again() -> None:
    text = "a:b.cf:3:7: warning: this is old [-Wdeprecated]\n   x\n   ^\nhint: use that"

    assert note_as_json(("warning", "deprecated", text)) == {
        "file": "a:b.cf", "line": 3, "column": 7, "severity": "warning", "kind": "deprecated",
        "message": "this is old", "hint": "use that",
    }  # fmt: skip


def test_nothing_is_written_but_the_cache(program: Program, policy: Policy, tmp_path: Path) -> None:
    program("troth", "check", policy(GOOD))

    assert list((tmp_path / "work").iterdir()) == []


# as cf-promises


def test_cf_promises_is_silent_about_good_policy(program: Program, policy: Policy) -> None:
    ended = program("cf-promises", policy(GOOD))

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_cf_promises_ends_with_a_line_of_its_own(program: Program, policy: Policy) -> None:
    ended = program("cf-promises", policy(WRONG))

    assert ended.returncode == 1
    assert ended.stdout == "   error: There are syntax errors in policy files\n"
    assert ": error: Unknown attribute 'creat'" in ended.stderr


def test_cf_promises_names_a_missing_policy(program: Program) -> None:
    ended = program("cf-promises", "./nowhere.cf")

    reason = "(stat: No such file or directory)"
    assert ended.stdout == f"   error: Can't stat file './nowhere.cf' for parsing. {reason}\n"
    assert ended.returncode == 1


@pytest.mark.parametrize(("option", "status"), [("-f", 0), ("-cf", 1)])
def test_only_a_full_check_looks_for_the_bundles(
    program: Program, policy: Policy, option: str, status: int
) -> None:
    path = policy('body common control { bundlesequence => { "nope" }; }\n' + GOOD)

    ended = program("cf-promises", option, path)

    assert ended.returncode == status
    assert ("'nope' listed in the bundlesequence is not a defined bundle" in ended.stdout) == status


def test_tables_show_classes_and_variables(program: Program, policy: Policy) -> None:
    text = (
        'bundle agent main\n{\n  vars:\n    "list" slist => { "a", "b" };\n'
        '    "text" string => "one\ntwo";\n}\n'
        'bundle common c\n{\n  classes:\n    "set" expression => "any";\n}\n'
    )

    ended = program("cf-promises", "--show-classes=^set", "--show-vars=main", policy(text))

    rows = [line.split()[:2] for line in ended.stdout.splitlines()]
    assert ["set", "source=promise"] in rows
    assert ["default:main.list", '{"a","b"}'] in rows
    assert ["default:main.text", "<non-printable>"] in rows


def test_the_policy_can_be_printed_as_json(program: Program, policy: Policy) -> None:
    ended = program("cf-promises", "-p", "json", policy(GOOD))

    (bundle,) = json.loads(ended.stdout)["bundles"]
    assert (bundle["name"], bundle["bundleType"]) == ("main", "agent")


def test_the_language_can_be_printed_as_json(program: Program) -> None:
    ended = program("cf-promises", "-s", "json")

    assert set(json.loads(ended.stdout)) == {
        "bodyTypes",
        "bundleTypes",
        "functions",
        "promiseTypes",
    }


def test_a_release_is_marked(program: Program, policy: Policy, tmp_path: Path) -> None:
    program("cf-promises", "-T", str(tmp_path), policy(GOOD))

    assert "timestamp" in json.loads((tmp_path / "cf_promises_validated").read_text())
    assert "releaseId" in json.loads((tmp_path / "cf_promises_release_id").read_text())


def test_a_slip_in_a_promise_type_is_an_error_beside_others(
    program: Program, policy: Policy
) -> None:
    text = 'bundle agent main\n{\n  methodes: "x";\n%s}\n'
    alone = program("troth", "check", policy(text % ""))
    beside = program("troth", "check", policy(text % '  files: "/x" creat => "true";\n'))

    for ended, count in ((alone, "1 error "), (beside, "2 errors ")):
        assert ended.returncode == 2
        assert ":3:3: error: Undefined promise type 'methodes'" in ended.stderr
        assert "did you mean 'methods'?" in ended.stderr
        assert f"check: {count}" in ended.stderr
    assert program("cf-promises", "-f", policy(text % "")).returncode == 0


def test_why_a_file_cannot_be_read_is_in_the_document(program: Program) -> None:
    ended = program("troth", "check", "--json", "nowhere.cf")

    [found] = json.loads(ended.stdout)["diagnostics"]
    assert ended.returncode == 1
    assert (found["file"], found["severity"]) == ("nowhere.cf", "error")
    assert "No such file" in found["message"]


def test_a_policy_that_would_be_refused_is_warned_of(program: Program, policy: Policy) -> None:
    path = policy(GOOD)
    (Path(path)).chmod(0o622)

    ended = program("troth", "check", path)

    assert ended.returncode == 0
    assert f"{path}:1:1: warning: others may write" in ended.stderr
    assert f"hint: chmod go-w {path}" in ended.stderr


def test_a_class_on_the_line_of_its_section_is_told_to_move(
    program: Program, policy: Policy
) -> None:
    first = program("troth", "check", policy('bundle agent main\n{\n  vars: any::\n    "a";\n}\n'))
    later = program(
        "troth", "check",
        policy('bundle agent main\n{\n  vars:\n  reports: any::\n    "a";\n}\n'),
    )  # fmt: skip

    assert "start the class on a new line" in first.stderr
    assert "start the class on a new line" in later.stderr
