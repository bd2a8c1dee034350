"""Run a public acceptance suite of CFEngine policy against our agent: what passes, by area.

usage: python -m bench.conformance --suite DIR [--bin DIR] [--areas A,B] [--keep DIR]

DIR is `tests/acceptance` of a checkout of cfengine/core. A test is a policy that reports `Pass`;
one called `*.x.cf` must be refused with an error, one called `*.error.cf` must end well and still
say an error. Tests that need a network, a long time, or a machine to ruin are left out. So is every
fourth of the others, by a hash of its name: what is never looked at is not what we were fitted to.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.race import OURS

UNFIT = re.compile(r"/(staging|unsafe|network|timed|slow)/")
ALONE = re.compile(r"[/_]serial[/_.]")
PART = re.compile(r"\.sub(\.x)?\.cf$")
REFUSED = re.compile(r"error:|aborted on defined class")
PARTS = ("bin", "tmp", "inputs", "state", "modules")
SECONDS = 60
CRASHED = 128


class Verdict(NamedTuple):
    """pass, fail, soft (fails as expected) or skip; and why."""

    kind: str
    why: str = ""


def chosen(suite: Path, areas: tuple[str, ...]) -> list[Path]:
    """The tests of SUITE that begin with one of AREAS, if any, and are not left out."""
    names = sorted(str(path.relative_to(suite)) for path in suite.rglob("*.cf"))
    return [
        suite / name
        for name in names
        if name.startswith(areas or "")
        and not PART.search(name)
        and not UNFIT.search(f"/{name}")
        and int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), 16) % 4
    ]


def judge(test: Path, status: int, output: str) -> Verdict:
    """What the exit STATUS and the OUTPUT of a TEST mean."""
    if test.name.endswith(".x.cf"):
        if not 0 <= status < CRASHED:
            return Verdict("fail", "crash")
        refused = status and REFUSED.search(output)
        return Verdict("pass") if refused else Verdict("fail", f"status {status}, not refused")
    if test.name.endswith(".error.cf"):
        told = status == 0 and "error: " in output
        return Verdict("pass") if told else Verdict("fail", f"status {status}, no error said")
    return judge_reports(outcomes(test, output), status)


def outcomes(test: Path, output: str) -> list[str]:
    """What the reports of the TEST, or of the library that compares for it, say of it."""
    said = re.compile(rf"R: .*(?:{re.escape(str(test))}|dcs\.sub\.cf) (\S.*)")
    return [match[1] for match in said.finditer(output)]


def judge_reports(said: list[str], status: int) -> Verdict:
    """The verdict of an ordinary test that SAID this; passes converge, so the best word counts."""
    passed = any(word.startswith("Pass") for word in said)
    if any(word.startswith(("XFAIL", "SFAIL")) for word in said):
        return Verdict("fail", "passes, but is expected to fail") if passed else Verdict("soft")
    if status:
        return Verdict("fail", f"status {status}")
    if passed:
        return Verdict("pass")
    for start, kind in (("Skip/", "skip"), ("FLAKEY", "soft")):
        if any(word.startswith(start) for word in said):
            return Verdict(kind)
    return Verdict("fail", "says FAIL" if said else "says nothing")


def run(test: Path, programs: Path, keep: Path | None) -> tuple[Path, Verdict]:
    """Run TEST in a work directory of its own; what it prints is put into KEEP if it fails."""
    with tempfile.TemporaryDirectory(prefix="suite.", ignore_cleanup_errors=True) as scratch:
        work = Path(scratch)
        furnish(work, test, programs)
        status, output = execute(work, test)
    verdict = Verdict("fail", "takes too long") if status is None else judge(test, status, output)
    if keep and verdict.kind == "fail":
        keep.mkdir(parents=True, exist_ok=True)
        (keep / "_".join([*test.parts[-3:]])).with_suffix(".log").write_text(output)
    return test, verdict


def furnish(work: Path, test: Path, programs: Path) -> None:
    """Put into WORK what a test may expect there."""
    for name in PARTS:
        (work / name).mkdir()
    (work / "tmp").chmod(0o1777)
    for program in programs.iterdir():
        (work / "bin" / program.name).symlink_to(program)
    for tool in ("diff", "rpmvercmp"):
        if (found := shutil.which(tool)) and not (work / "bin" / tool).exists():
            (work / "bin" / tool).symlink_to(found)
    data = test.with_suffix(".def.json")
    if data.exists():
        shutil.copyfile(data, work / "inputs" / "def.json")


def execute(work: Path, test: Path) -> tuple[int | None, str]:
    """The exit status of the agent on TEST, None if it took too long; and all that it printed."""
    environ = {
        **os.environ,
        "CFENGINE_TEST_OVERRIDE_WORKDIR": str(work),
        "TROTH_WORKDIR": str(work),
        "TEMP": str(work / "tmp"),
    }
    with subprocess.Popen(
        [str(work / "bin" / "cf-agent"), "-Klf", str(test), "-D", "AUTO,DEBUG"],
        env=environ,
        cwd=test.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as agent:
        try:
            output, _ = agent.communicate(timeout=SECONDS)
            status: int | None = agent.returncode
        except subprocess.TimeoutExpired:
            os.killpg(agent.pid, signal.SIGKILL)
            output, status = agent.communicate()[0], None
    return status, output.decode("utf-8", "replace")


def table(suite: Path, results: list[tuple[Path, Verdict]]) -> str:
    """How many tests of each area ended how."""
    areas: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for test, verdict in results:
        areas[test.relative_to(suite).parts[0]][verdict.kind] += 1
        areas["all"][verdict.kind] += 1
    kinds = ("pass", "fail", "soft", "skip")
    rows = [
        f"{area:32}" + "".join([f" {areas[area][kind]:6}" for kind in kinds])
        for area in [*sorted(set(areas) - {"all"}), "all"]
    ]
    return "\n".join([f"{'area':32}" + "".join([f" {kind:>6}" for kind in kinds]), *rows])


def main() -> int:
    """Run what is chosen, two at a time but those that must be alone; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, required=True)
    parser.add_argument("--bin", type=Path, default=OURS)
    parser.add_argument("--areas", default="", help="beginnings of names: 00_basics,02_classes/01")
    parser.add_argument("--keep", type=Path, help="where to put the output of tests that fail")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    suite = options.suite.resolve()
    tests = chosen(suite, tuple(filter(None, options.areas.split(","))))
    if not tests:
        print(f"no tests in '{suite}'", file=sys.stderr)
        return 1
    one = partial(run, programs=options.bin.resolve(), keep=options.keep)
    alone = [test for test in tests if ALONE.search(str(test))]
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(one, [test for test in tests if test not in alone]))
    results += [one(test) for test in alone]
    for test, verdict in sorted(results):
        if verdict.kind == "fail":
            print(f"{test.relative_to(suite)}: {verdict.why}")
    print(table(suite, results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
