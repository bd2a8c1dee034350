"""What a run that finds its policy in the cache imports: a set, which does not flicker."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from agent import links

OURS = ("agent", "policy")
# what costs more than it gives: 3 to 40 ms each. Not here: functools and with it collections, which
# _sqlite3 itself imports as soon as there is a state to read
DENIED = frozenset(
    ("argparse", "asyncio", "contextlib", "ctypes", "dataclasses", "datetime",
     "hashlib", "importlib.metadata", "inspect", "json", "logging", "pathlib", "re",
     "shutil", "signal", "site", "socket", "subprocess", "tempfile", "threading", "typing",
     "unittest", "urllib")
)  # fmt: skip
# what only reading new policy needs
COMPILERS = frozenset(
    f"policy.{name}"
    for name in (
        "build",
        "check",
        "compile",
        "construct",
        "diagnostics",
        "parse",
        "source",
        "syntax",
    )
)
POLICY = """
bundle agent main
{
  vars: "name" string => "a file";
  classes: "linux_host" expression => "linux";
  files: "$(sys.workdir)/file" create => "true";
  reports:
    linux_host::
      "$(name)";
}
"""


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The modules that the second of two runs imports."""
    directory = tmp_path_factory.mktemp("startup")
    policy = directory / "policy.cf"
    policy.write_text(POLICY)
    policy.chmod(0o600)
    environ = {
        **os.environ,
        "TROTH_WORKDIR": str(directory / "state"),
        "TROTH_CACHE_DIR": str(directory / "cache"),
    }
    links.make(str(directory))
    agent = [sys.executable, links.FLAGS, "-X", "importtime", str(directory / "cf-agent")]
    for _ in "12":
        ran = subprocess.run(
            [*agent, "-Kf", str(policy)],
            env=environ, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    assert ran.stdout == "R: a file\n"
    return frozenset(
        line.rpartition("|")[2].strip()
        for line in ran.stderr.splitlines()
        if line.startswith("import time:") and "imported package" not in line
    )


def test_nothing_that_is_denied(cached: frozenset[str]) -> None:
    assert cached & DENIED == set()


def test_nothing_that_only_new_policy_needs(cached: frozenset[str]) -> None:
    assert cached & COMPILERS == set()


def test_a_value_without_patterns_needs_no_regular_expressions() -> None:
    code = "import sys, policy.evaluate; sys.exit('policy.regexp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_nothing_of_others(cached: frozenset[str]) -> None:
    known = {name for name in cached if name.partition(".")[0] in OURS}

    assert {name.partition(".")[0] for name in cached - known} - sys.stdlib_module_names == set()
