"""Run the tests of the table; a row of markdown for each.

usage: python -m bench.torture [--only NAME]… [--full] [--count N] [--seed N]

Example: python -m bench.torture --only push --full
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import sys
import time

from bench.torture.table import TESTS, run


def main() -> int:
    """Print a table; 1 if a law is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.torture", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(TESTS), metavar="NAME")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--count", type=int, default=0, help="how often instead")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave nothing behind
    broken = False
    print("| # | test | must hold | count | seed | duration | worst |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.only or TESTS:
        row = TESTS[name]
        count = options.count or (row.full if options.full else row.short)
        if not count:
            continue
        begun = time.monotonic()
        try:
            worst = run(name, count, full=options.full, seed=options.seed)
        except (AssertionError, sqlite3.Error) as error:  # Broken, Never, a state that is not sound
            worst, broken = f"**broken**: {error}", True
        print(
            f"| {row.number} | {name} | {row.law} | {count:,} | {options.seed} "
            f"| {time.monotonic() - begun:.1f} s | {worst} |",
            flush=True,
        )
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
