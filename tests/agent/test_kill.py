"""A run killed at any moment leaves whole files, a state that opens, and locks that hold."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
START = "import sys; from agent.cli import main; sys.exit(main(sys.argv[1:]))"
MOMENTS = 200

POLICY = """
body contain shell { useshell => "true"; }
body action hour { ifelapsed => "60"; }
bundle agent main
{
  vars:
    "n" slist => expandrange("[1-6]", 1);
  files:
    "DIR/file$(n)" content => "FILL$(n)";
    "DIR/lines" create => "true", edit_line => lines;
  commands:
    "echo $(n) >> DIR/ran" contain => shell, action => hour;
}
bundle edit_line lines
{
  vars: "n" slist => expandrange("[1-50]", 1);
  insert_lines: "line $(n)";
}
"""


def agent(directory: Path, *args: str) -> "subprocess.Popen[str]":
    """Start the agent on the policy of DIRECTORY."""
    return subprocess.Popen(
        [sys.executable, "-c", START, "cf-agent", "-I", *args, "-f", f"{directory}/policy.cf"],
        env={
            "PATH": os.environ["PATH"],
            "TROTH_WORKDIR": f"{directory}/work",
            "TROTH_CACHE_DIR": f"{directory.parent}/cache",
            "PYTHONPATH": str(ROOT),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def prepared(directory: Path, fill: str) -> Path:
    """DIRECTORY with a policy whose files hold FILL."""
    (directory / "work").mkdir(mode=0o700, parents=True)
    policy = directory / "policy.cf"
    policy.write_text(POLICY.replace("DIR", str(directory)).replace("FILL", fill))
    policy.chmod(0o600)
    return directory


def test_kill_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(20261121)  # noqa: S311  # the same moments each time
    fill = "x" * 20_000
    whole = prepared(tmp_path / "whole", fill)
    began = time.monotonic()
    agent(whole).communicate(timeout=60)
    began = time.monotonic()
    agent(whole, "-K").communicate(timeout=60)
    length = time.monotonic() - began

    for number in range(MOMENTS):
        directory = prepared(tmp_path / str(number), fill)
        run = agent(directory)
        time.sleep(chance.random() * length * 1.5)
        run.kill()
        before, _ = run.communicate(timeout=60)

        for at in range(1, 7):
            file = directory / f"file{at}"
            assert not file.exists() or file.read_text() in ("", f"{fill}{at}")
        logged = before.count("Completed execution of")
        second = agent(directory)
        after, _ = second.communicate(timeout=60)

        assert second.returncode == 0, after
        assert "Traceback" not in after
        assert "error" not in after
        assert after.count("Completed execution of") <= 6 - logged
        ran = (directory / "ran").read_text().split()
        assert sorted(set(ran)) == ["1", "2", "3", "4", "5", "6"]
        assert len(ran) <= 7  # the one that was cut short may have run again
        assert [(directory / f"file{at}").read_text() for at in range(1, 7)] == [
            f"{fill}{at}" for at in range(1, 7)
        ]
