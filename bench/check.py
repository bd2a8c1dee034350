"""Checking a whole policy framework, from the cache and without it, against the C checker.

usage: python -m bench.check [--reference DIR] [--policy FILE] [--runs N]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench import race

POLICY = Path("/usr/share/cfengine3/masterfiles/promises.cf")
CACHED, UNCACHED = 1.0, 12.0  # ratios that must not be exceeded


def uncached(racers: list[race.Side], runs: int, policy: Path) -> race.Result:
    """As `race.race`, but with an empty cache each time."""
    result = race.Result({side.name: [] for side in racers}, {})
    for _ in range(runs):
        for side in racers:
            shutil.rmtree(side.workdir / "cache", ignore_errors=True)
            seconds, status = race.run(side, "cf-promises", "-f", str(policy))
            result.times[side.name].append(seconds)
            if status:
                result.failures[side.name] = status
    return result


def main() -> int:
    """Time both; 1 if one is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=Path, default=race.OURS)
    parser.add_argument("--reference", type=Path, default=race.REFERENCE)
    parser.add_argument("--policy", type=Path, default=POLICY)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if not options.policy.exists():
        print(f"no policy to check: '{options.policy}' does not exist (apt install cfengine3)")
        return 0
    print(race.HEAD)
    with tempfile.TemporaryDirectory(prefix="bench.") as scratch:
        racers = race.sides(Path(scratch), options.ours, options.reference)
        fresh = uncached(racers, options.runs, options.policy)
        again = race.race(racers, options.runs, "cf-promises", "-f", str(options.policy))
    print(race.line("check the whole policy, nothing cached", fresh, UNCACHED))
    print(race.line("check the whole policy, cached", again, CACHED))
    within = [(fresh, UNCACHED), (again, CACHED)]
    return int(any((result.ratio() or 0) > budget or result.failures for result, budget in within))


if __name__ == "__main__":
    sys.exit(main())
