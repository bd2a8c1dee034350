"""Where the time before the first promise goes: interpreter, launcher, imports, an empty run.

usage: python -m bench.startup [--runs N] [--imports]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.links import FLAGS
from bench import race

POLICY = 'bundle agent main { reports: "hello"; }\n'
SLOWEST = 15


def milliseconds(side: race.Side, runs: int, *command: str) -> float:
    """The median time of COMMAND."""
    return statistics.median([race.timed(list(command), side)[0] for _ in range(runs)]) * 1000


def imports(side: race.Side, policy: Path) -> list[tuple[int, str]]:
    """Microseconds and name of each module that a cached run imports, the slowest first."""
    command = [sys.executable, FLAGS, "-X", "importtime", *side.command("cf-agent")]
    ran = subprocess.run(
        [*command, "-Kf", str(policy)],
        env=side.environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [
        line.removeprefix("import time:").split("|")
        for line in ran.stderr.splitlines()
        if line.startswith("import time:") and "imported" not in line
    ]
    return sorted(((int(own), name.strip()) for own, _, name in rows), reverse=True)


def main() -> int:
    """Print the parts and, if asked, the slowest imports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=Path, default=race.OURS)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--imports", action="store_true", help="list the slowest imports, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench.") as scratch:
        (side,) = race.sides(Path(scratch), options.ours, None)
        policy = Path(scratch) / "policy.cf"
        policy.write_text(POLICY)
        policy.chmod(0o600)
        parts = [
            ("the interpreter alone", (sys.executable, FLAGS, "-c", "pass")),
            ("and Python's site", (sys.executable, "-I", "-c", "pass")),
            ("cf-agent --version", (*side.command("cf-agent"), "-V")),
            (
                "cf-agent on an empty policy, cached",
                (*side.command("cf-agent"), "-Kf", str(policy)),
            ),
        ]
        for name, command in parts:
            milliseconds(side, 1, *command)
            print(f"{name:44} {milliseconds(side, options.runs, *command):9.1f} ms")
        if options.imports:
            for own, name in imports(side, policy)[:SLOWEST]:
                print(f"  {own:7} us  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
