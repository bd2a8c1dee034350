"""What is wrong is said in a line that helps, with the documented exit status; nothing is lost."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

Program = Callable[..., "subprocess.CompletedProcess[str]"]
Policy = Callable[..., str]

GOOD = 'bundle agent main { reports: "hello"; }\n'


def said(ended: "subprocess.CompletedProcess[str]") -> str:
    """All that the program said; never a traceback."""
    text = ended.stdout + ended.stderr
    assert "Traceback" not in text
    return text


def test_a_syntax_error_has_its_place_and_a_hint(program: Program, policy: Policy) -> None:
    path = policy('bundle agent main\n{\n  files:\n    "/x" create => "true"\n}\n')

    ended = program("troth", "run", path)

    assert f"{path}:5:1: error: " in said(ended)
    assert "hint:" in said(ended)
    assert ended.returncode == 1


def test_all_mistakes_are_said_in_order(program: Program, policy: Policy) -> None:
    path = policy(
        'bundle agent main\n{\n  files:\n    "/x" creat => "true";\n'
        '    "/y" perms => nobody_knows;\n    "/z" crate => "true";\n}\n'
    )

    ended = program("troth", "check", path)

    places = [line.split(":")[1] for line in said(ended).splitlines() if line.startswith(path)]
    assert places[:2] == ["4", "6"]
    assert "did you mean 'create'" in said(ended)
    assert ended.returncode == 2


def test_a_missing_input_is_named(program: Program, policy: Policy) -> None:
    path = policy('body file control { inputs => { "nowhere.cf" }; }\n' + GOOD)

    ended = program("cf-agent", "-Kf", path)

    assert "nowhere.cf" in said(ended)
    assert ended.returncode == 1


def test_files_that_include_each_other_are_read_once(program: Program, policy: Policy) -> None:
    policy('body file control { inputs => { "policy.cf" }; }\nbundle agent b { }\n', "other.cf")
    path = policy('body file control { inputs => { "other.cf" }; }\n' + GOOD)

    ended = program("cf-agent", "-Kf", path)

    assert said(ended) == "R: hello\n"
    assert ended.returncode == 0


def test_bad_augments_are_said_and_left_aside(
    program: Program, policy: Policy, tmp_path: Path
) -> None:
    (tmp_path / "def.json").write_text('{ "vars": { "x": ')

    ended = program("cf-agent", "-Kf", policy(GOOD))

    assert "error: Could not parse JSON file" in said(ended)
    assert ended.stdout.endswith("R: hello\n")
    assert ended.returncode == 0


def test_policy_that_others_may_write_is_refused(program: Program, policy: Policy) -> None:
    path = policy(GOOD)
    Path(path).chmod(0o666)

    ended = program("cf-agent", "-Kf", path)

    assert "is writable by others (security exception)" in said(ended)
    assert "hello" not in said(ended)
    assert ended.returncode == 1


def test_a_directory_is_no_policy(program: Program, tmp_path: Path) -> None:
    ended = program("cf-agent", "-Kf", str(tmp_path))

    assert "Can't parse directory" in said(ended)
    assert ended.returncode == 1


def test_a_policy_that_is_not_there(program: Program) -> None:
    ended = program("troth", "run", "/nowhere/policy.cf")

    assert "/nowhere/policy.cf" in said(ended)
    assert ended.returncode == 1


def test_a_corrupt_state_is_set_aside(program: Program, policy: Policy, tmp_path: Path) -> None:
    path = policy(GOOD.replace("reports:", 'commands: "/bin/true"; reports:'))
    program("cf-agent", "-f", path)
    state = tmp_path / "work" / "state" / "agent.db"
    for file in state.parent.glob("agent.db*"):
        file.write_bytes(b"no database at all" * 100)

    ended = program("cf-agent", "-f", path)

    assert "agent.db" in said(ended)
    assert "R: hello" in said(ended)
    assert ended.returncode == 0
    assert said(program("cf-agent", "-f", path)) == ""  # the new state holds the locks


def test_a_corrupt_cache_is_made_anew(program: Program, policy: Policy, tmp_path: Path) -> None:
    cache = tmp_path / "own"
    path = policy(GOOD)
    program("cf-agent", "-Kf", path, TROTH_CACHE_DIR=str(cache))
    for file in (cache / "units").iterdir():
        file.write_bytes(file.read_bytes()[:-5])

    ended = program("cf-agent", "-Kf", path, TROTH_CACHE_DIR=str(cache))

    assert said(ended) == "R: hello\n"


def test_a_parent_that_ignores_its_children_changes_nothing(policy: Policy, tmp_path: Path) -> None:
    path = policy('bundle agent main { commands: "/bin/true"; reports: "on"; }\n')
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    try:
        out, _ = start(tmp_path, path).communicate(timeout=60)
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert out == "R: on\n"


def start(
    tmp_path: Path, path: str, *args: str, limit: int | None = None
) -> "subprocess.Popen[str]":
    """Start the agent on the policy PATH, files limited to LIMIT octets."""

    def limited() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run below nohup
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    root = Path(__file__).parents[2]
    (tmp_path / "work").mkdir(mode=0o700, exist_ok=True)
    code = "import sys; from agent.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, "cf-agent", *args, "-f", path],
        env={
            "PATH": os.environ["PATH"],
            "TROTH_WORKDIR": str(tmp_path / "work"),
            "TROTH_CACHE_DIR": str(tmp_path / "cache"),
            "PYTHONPATH": str(root),
            "PYTHONDONTWRITEBYTECODE": "1",  # a limited file would be half of a module
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=limited,
    )


def test_a_full_disk_leaves_the_old_content(policy: Policy, tmp_path: Path) -> None:
    target = tmp_path / "conf"
    target.write_text("old\n")
    path = policy(
        f'bundle agent main {{ files: "{target}" content => "{"new" * 3000}"; reports: "on"; }}\n'
    )

    run = start(tmp_path, path, "-K", limit=4096)
    out, _ = run.communicate(timeout=60)

    assert "error: " in out
    assert "R: on" in out
    assert "Traceback" not in out
    assert target.read_text() == "old\n"
    assert [entry.name for entry in tmp_path.glob("conf*")] == ["conf"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_in_order(policy: Policy, tmp_path: Path, number: int) -> None:
    mark = tmp_path / "mark"
    path = policy(
        "bundle agent main\n{\n commands:\n"
        f'  "/bin/sh -c \'touch {mark}; sleep 30\'";\n  "/bin/touch {tmp_path}/never";\n}}\n'
    )

    with start(tmp_path, path) as run, ExitStack() as stack:
        stack.callback(run.kill)
        while not mark.exists() and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(number)
        out, _ = run.communicate(timeout=20)

    assert run.returncode == 128 + number
    assert "stopped by signal" in out
    assert "Traceback" not in out
    assert not (tmp_path / "never").exists()


def test_policy_that_is_no_file_is_refused(program: Program, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "policy.cf", 0o600)

    for command in (("cf-agent", "-Kf"), ("troth", "check")):
        ended = program(*command, f"{tmp_path}/policy.cf")

        assert f"'{tmp_path}/policy.cf' is not a regular file" in said(ended)
        assert ended.returncode != 0


def test_who_must_not_write_policy_is_told_how_to_stop_them(
    program: Program, policy: Policy
) -> None:
    path = policy("bundle agent main { }")
    Path(path).chmod(0o622)

    assert f"hint: chmod go-w {path}" in said(program("cf-agent", "-Kf", path))


def test_a_hundred_thousand_promises(program: Program, policy: Policy) -> None:
    lines = "".join(f'  "p{number}" if => "nothing";\n' for number in range(100_000))
    path = policy(f"bundle agent main\n{{\n reports:\n{lines}  any::\n   'end';\n}}\n")

    ended = program("cf-agent", "-Kf", path)

    assert said(ended) == "R: end\n"
    assert ended.returncode == 0


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\xff\xfe" * 3_333_333, b"{" * 10_000_000, b'"' * 9_999_999, b"@if " * 2_500_000],
    ids=["octets", "braces", "quotes", "macros"],
)  # fmt: skip
def test_ten_megabytes_of_garbage(program: Program, policy: Policy, garbage: bytes) -> None:
    path = policy("")
    Path(path).write_bytes(garbage)

    ended = program("troth", "check", path)

    assert "error: " in said(ended)
    assert len(said(ended)) < 20_000
    assert ended.returncode == 2


@pytest.mark.parametrize(
    "command", [("troth", "check"), ("cf-agent", "-Kf"), ("cf-promises", "-f")]
)
@pytest.mark.parametrize(
    "text",
    [
        "reports:\n" + "(" * 3000 + "a" + ")" * 3000 + '::\n"x";',
        'reports: "x" if => "' + "(" * 3000 + "a" + ")" * 3000 + '";',
        'vars: "a" string => "' + "$(" * 2000 + "a" + ")" * 2000 + '";',
        'vars: "a" string => ' + "concat(" * 1000 + '"a"' + ")" * 1000 + ";",
        'vars: "a" data => parsejson("' + "[" * 5000 + '");',
        'vars: "a" data => "' + "[" * 5000 + '";',
    ],
    ids=["guard", "condition", "reference", "call", "parsejson", "data"],
)
def test_depth_is_no_trouble(
    program: Program, policy: Policy, tmp_path: Path, command: tuple[str, ...], text: str
) -> None:
    (tmp_path / "def.json").write_text("[" * 100_000)

    ended = program(*command, policy(f"bundle agent main {{ {text} }}\n"))

    assert "def.json" in said(ended)
    assert ended.returncode in (0, 1, 2)
