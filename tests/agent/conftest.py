"""The command line, run as a user would: another process, a work directory of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = "import sys; from agent.cli import main; sys.exit(main(sys.argv[1:]))"

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a host of its own below TMP_PATH; parsed policy is shared by all tests."""
    shared = os.environ.get("TROTH_CACHE_DIR", str(tmp_path.parent / "cache"))
    workdir = str(tmp_path / "work")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "TROTH_WORKDIR": workdir,
        "CFENGINE_TEST_OVERRIDE_WORKDIR": workdir,
        "TROTH_CACHE_DIR": shared,
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """`program("cf-agent", "-Kf", "x.cf")` runs it; stdout and stderr apart, text."""
    (tmp_path / "work").mkdir(mode=0o700)

    def run(name: str, *args: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", START, name, *args],
            env={**environment(tmp_path), **more},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def policy(tmp_path: Path) -> Callable[[str], str]:
    """`policy(text)` writes a policy file; its path."""

    def write(text: str, name: str = "policy.cf") -> str:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    return write
