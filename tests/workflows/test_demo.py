"""What `make demo` shows of several hosts happens, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_of_several_hosts() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "examples.demo"], cwd=ROOT,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    timelines = ran.stdout.split("    ms  build")[1:]

    assert ran.returncode == 0, ran.stdout + ran.stderr
    for timeline in timelines:
        steps = ["begins job 'build'", "signals 'built'", "hears 'built'", "begins job 'test'",
                 "signals 'tested'", "hears 'tested'", "begins job 'publish'"]  # fmt: skip
        places = [timeline.index(step) for step in steps]
        assert places == sorted(places)
    assert len(timelines) == 2
