"""Run the tests of the table; a row of markdown for each.

usage: python -m bench.torture [--only NAME]… [--full] [--seed N]

Example: python -m bench.torture --only push --full
"""

from __future__ import annotations

import argparse
import sys
import time

from bench.torture.table import TESTS, Broken, run


def main() -> int:
    """Print a table; 1 if a law is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.torture", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(TESTS), metavar="NAME")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    broken = False
    print("| # | test | must hold | count | seed | duration | worst |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.only or TESTS:
        row = TESTS[name]
        count = row.full if options.full else row.short
        try:
            seconds, worst = run(name, full=options.full, seed=options.seed)
        except Broken as error:
            seconds, worst, broken = 0.0, f"**broken**: {error}", True
        print(
            f"| {row.number} | {name} | {row.law} | {count:,} | {options.seed} "
            f"| {seconds:.1f} s | {worst} |",
            flush=True,
        )
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
