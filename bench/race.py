"""Two agents at the same work, in turn: A B A B ..., so that a busy machine is unfair to both."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

OURS = Path(__file__).parent.parent / ".venv" / "links"
REFERENCE = Path("/usr/bin")


class Side(NamedTuple):
    """One of the two: its programs, and a work directory that only it uses."""

    name: str
    programs: Path
    workdir: Path

    def environ(self) -> dict[str, str]:
        """The environment that its programs run in."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.workdir),
            "CFENGINE_TEST_OVERRIDE_WORKDIR": str(self.workdir),
            "TROTH_WORKDIR": str(self.workdir),
            "TROTH_CACHE_DIR": str(self.workdir / "cache"),
        }

    def command(self, program: str, *arguments: str) -> list[str]:
        """PROGRAM as this side has it."""
        return [str(self.programs / program), *arguments]


class Result(NamedTuple):
    """Times in seconds, run for run, and the exit statuses that were not 0."""

    times: dict[str, list[float]]
    failures: dict[str, int]

    def milliseconds(self, name: str) -> float:
        """The median of the side NAME."""
        return statistics.median(self.times[name]) * 1000

    def ratio(self) -> float | None:
        """Ours to theirs: the median of the pairs; None if there is no other side."""
        if "reference" not in self.times:
            return None
        pairs = zip(self.times["troth"], self.times["reference"], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)


def sides(directory: Path, ours: Path, reference: Path | None) -> list[Side]:
    """Our side and, if its programs are there, the other; their work directories in DIRECTORY."""
    found = [Side("troth", ours, directory / "troth")]
    if reference is not None and (reference / "cf-agent").exists():
        found.append(Side("reference", reference, directory / "reference"))
    for side in found:
        for name in ("inputs", "state", "modules", "ppkeys", "outputs"):
            (side.workdir / name).mkdir(parents=True, mode=0o700)
        side.workdir.chmod(0o700)
        (side.workdir / "bin").symlink_to(side.programs.resolve())
    return found


def timed(command: list[str], side: Side) -> tuple[float, int]:
    """How long COMMAND takes in the environment of SIDE, and its exit status."""
    start = time.perf_counter()
    ended = subprocess.run(
        command,
        env=side.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return time.perf_counter() - start, ended.returncode


def run(side: Side, program: str, *arguments: str) -> tuple[float, int]:
    """How long one run of PROGRAM takes, and its exit status."""
    return timed(side.command(program, *arguments), side)


def race(racers: list[Side], runs: int, program: str, *arguments: str) -> Result:
    """Run PROGRAM on all sides in turn, once to warm up and then RUNS times."""
    result = Result({side.name: [] for side in racers}, {})
    for number in range(runs + 1):
        for side in racers:
            seconds, status = run(side, program, *arguments)
            if status:
                result.failures[side.name] = status
            if number:
                result.times[side.name].append(seconds)
    return result


def line(name: str, result: Result, budget: float | None = None) -> str:
    """A row of the table that is printed."""
    ratio = result.ratio()
    text = f"{name:44} {result.milliseconds('troth'):9.1f} ms"
    if ratio is not None:
        text += f" {result.milliseconds('reference'):9.1f} ms {ratio:7.2f}"
        if budget is not None:
            text += f" {budget:7.2f} {'ok' if ratio <= budget else 'OVER'}"
    for side, status in result.failures.items():
        text += f"  {side} exits with {status}"
    return text


HEAD = f"{'case':44} {'troth':>12} {'reference':>12} {'ratio':>7} {'budget':>7}"
