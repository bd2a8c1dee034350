"""The table: each test's number, what is done, what must hold, how often.

A test is a function of a `Case`; it returns what was worst, and raises `Broken` if the law is.
"""

from __future__ import annotations

import os
import statistics
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SLACK = 8.0  # in the short form, on machines that do other things as well


class Broken(AssertionError):
    """What must hold does not."""


class Case(NamedTuple):
    """One run of a test: MANY of whatever it counts; in the FULL form times are taken strictly."""

    random: Random
    many: int
    full: bool

    def within(self, what: str, seconds: float, most: float) -> None:
        """Raise Broken if WHAT took longer than it may."""
        allowed = most if self.full else most * SLACK
        busy = f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} processors busy"
        must(seconds <= allowed, f"{what}: {seconds:.3f} s, allowed {allowed:.3f} s ({busy})")


class Row(NamedTuple):
    """A test: its NUMBER on the list of what must hold; HOME is module:function; how often."""

    number: str
    home: str
    law: str
    short: int
    full: int


# fmt: off
SERVER = {
    # name: number, home, what must hold, count in the short form and in full
    "flips": Row("1", "handshakes:flips", "nothing with a flipped bit is accepted", 150, 3856),
    "bad-handshakes": Row(
        "2", "handshakes:bad", "0 sessions; 0 octets before the gate; memory ±1 MB", 60, 200_000),
    "replay": Row("3", "handshakes:replay", "ends at the first frame that is not next", 60, 20_000),
    "mutants": Row("4", "floods:mutants", "no crash; honest p99 at most twice", 300, 1_000_000),
    "silent": Row("5", "floods:silent", "alive; honest login p99 ≤ 0.25 s", 150, 5000),
    "slow": Row("6", "floods:slow", "all cut within 5 s", 10, 100),
    "flood": Row("7", "floods:handshakes", "honest logins succeed, p99 ≤ 0.5 s", 1, 10),
    "greedy": Row("8", "floods:greedy", "gets its own rate; others' p99 at most twice", 1, 10),
    "bombs": Row("9", "floods:bombs", "patterns cost the length of names", 4, 200),
    "queries": Row("10", "scale:queries", "memory grows by less than 1 B a query", 600, 1_000_000),
    "complete": Row("11", "scale:complete", "a reply of all classes is complete", 10_000, 10_000),
    "revoke": Row("17", "scale:revoke", "within 1 s; other sessions untouched", 40, 1000),
    "parity": Row("21", "parity:classes", "decides as cf-serverd does", 100, 100_000),
    "push": Row("22", "scale:push", "p99 ≤ 0.2 s for 1,000, 0.6 s for 5,000", 60, 5000),
    "tokens": Row("23", "tokens:tokens", "one winner; none late or from elsewhere", 4, 100),
    "start": Row("24", "scale:start", "150 ms, 40 MB, 6 kB a session", 30, 1000),
}
HOSTS = {
    # the same between whole hosts; what has no short form has 0
    "storm": Row("12", "kills:both", "each signal is acted on once, or that is told", 60, 10_000),
    "origin-killed": Row("12", "kills:origin", "nothing lost, no number twice", 4, 1000),
    "receiver-killed": Row("13", "kills:receiver", "nothing lost, nothing begun again", 4, 1000),
    "disk-full": Row("14", "disks:full", "serves on, recovers, is not corrupt", 2, 20),
    "partition": Row("15", "weather:partition", "followed after healing, once", 3, 60),
    "clocks": Row("16", "weather:clocks", "each signal is followed once", 4, 300),
    "expiry": Row("16", "weather:expiry", "a class of a minute lives for one", 0, 3),
    "loops": Row("18", "circles:loops", "stops, at most 2 jobs a start", 1, 20),
    "surplus": Row("18", "circles:surplus", "6 signals a minute", 3, 130),
    "rollback": Row("20", "disks:put_back", "found out, a new epoch, followed", 1, 20),
}
TESTS = SERVER | HOSTS
# fmt: on


def run(name: str, count: int, *, full: bool, seed: int) -> str:
    """What was worst in the test NAME. Raises Broken, or another AssertionError."""
    home, _, function = TESTS[name].home.partition(":")
    test: Callable[[Case], str] = getattr(import_module(f"bench.torture.{home}"), function)
    return test(Case(Random(seed), count, full))  # noqa: S311  # repeatable


def must(holds: object, what: str) -> None:
    """Raise Broken unless it HOLDS."""
    if not holds:
        raise Broken(what)


def p99(times: list[float]) -> float:
    """What all but one in a hundred of TIMES are below."""
    return statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]
