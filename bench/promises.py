"""Agent runs on generated policy, as ratios against the C agent where it is installed.

usage: python -m bench.promises [--reference DIR] [--only WORDS] [--runs N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import race

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARY = "/usr/share/cfengine3/masterfiles/lib/stdlib.cf"
MODE = """
body perms mode(m)
{
  mode => "$(m)";
  rxdirs => "false";
}
"""
FILE_LINES = 2000


def bundle(*lines: str) -> str:
    """A policy of one bundle."""
    return "\n".join(["bundle agent main", "{", *lines, "}", ""])


def empty(count: int, place: Path) -> str:
    return bundle('  reports: "hello";')


def library(count: int, place: Path) -> str:
    control = f'body file control {{ inputs => {{ "{LIBRARY}" }}; }}\n'
    return control + bundle(f'  files: "{place}/one" create => "true", perms => m("600");')


def files(count: int, place: Path) -> str:
    promises = [f'    "{place}/{i}" create => "true", perms => mode("600");' for i in range(count)]
    return bundle("  files:", *promises) + MODE


def locked(count: int, place: Path) -> str:
    return 'body agent control { ifelapsed => "0"; }\n' + files(count, place)


def iteration(count: int, place: Path) -> str:
    return MODE + bundle(
        f'  vars: "i" slist => expandrange("[1-{count}]", 1);',
        f'  files: "{place}/$(i)" create => "true", perms => mode("600");',
    )


def variables(count: int, place: Path) -> str:
    strings = [f'    "v{i}" string => "number {i} of $(sys.host)";' for i in range(count)]
    tests = [
        f'    "c{i}" expression => strcmp("$(v{i})", "number {i} of $(sys.host)");'
        for i in range(count)
    ]
    return bundle("  vars:", *strings, "  classes:", *tests)


def commands(count: int, place: Path) -> str:
    return bundle("  commands:", *[f'    "/bin/true {i}";' for i in range(count)])


def guards(count: int, place: Path) -> str:
    return bundle("  reports:", *[f'   never{i}.(Hr25|!any)::\n    "no";' for i in range(count)])


def edited(count: int, place: Path) -> str:
    (place / "conf").write_text("".join([f"key{i} = {i}\n" for i in range(count)]))
    wanted = [f'    "key{i} = {i}";' for i in range(count)]
    return bundle(f'  files: "{place}/conf" edit_line => keys;') + "\n".join(
        ["bundle edit_line keys", "{", "  insert_lines:", *wanted, "}", ""]
    )


# what, how many, the options of the run, and the ratio that it must not be above
CASES: list[tuple[str, Callable[[int, Path], str], int, str, float]] = [
    ("start: an empty policy", empty, 0, "-K", 1.0),
    ("start: standard library, one file", library, 0, "-K", 0.5),
    ("10,000 files within their lock time", files, 10_000, "", 0.3),
    ("3,000 files kept, their locks taken", locked, 3_000, "", 0.3),
    ("10,000 files kept, no locks", files, 10_000, "-K", 0.5),
    ("10,000 files by iteration", iteration, 10_000, "-K", 0.5),
    ("5,000 variables and 5,000 classes", variables, 5_000, "-K", 0.7),
    ("500 commands", commands, 500, "-K", 1.0),
    ("20,000 guards, none true", guards, 20_000, "-K", 0.5),
    ("2,000 lines kept in one file", edited, FILE_LINES, "-K", 0.7),
]


def main() -> int:
    """Race through the cases; 1 if one is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=Path, default=race.OURS)
    parser.add_argument("--reference", type=Path, default=race.REFERENCE)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(race.HEAD)
    over = False
    for name, make, count, flags, budget in CASES:
        if options.only not in name or (make is library and not Path(LIBRARY).exists()):
            continue
        with tempfile.TemporaryDirectory(prefix="bench.") as scratch:
            place = Path(scratch) / "files"
            place.mkdir()
            policy = Path(scratch) / "policy.cf"
            policy.write_text(make(count, place))
            policy.chmod(0o600)
            racers = race.sides(Path(scratch), options.ours, options.reference)
            result = race.race(racers, options.runs, "cf-agent", *flags.split(), "-f", str(policy))
        print(race.line(name, result, budget), flush=True)
        ratio = result.ratio()
        over = over or "troth" in result.failures or (ratio is not None and ratio > budget)
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
