"""How long it takes from the end of a job to the beginning of the one that waits for it elsewhere.

usage: python -m bench.signal [--times N] [--only WORDS]

Both agents are started by their daemons: the upstream's by its schedule, for which its clock is set
on by a minute each time; the downstream's by the signal. Times are those that the jobs write
down, so they contain the end of the one agent's command and the start of the other agent's.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import quantiles
from typing import TYPE_CHECKING

from tests.workflows.hosts import Host, Site, until
from tests.workflows.places import Loopback
from tests.workflows.policies import asks, grants, policy

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60
HOSTS = 5
WORK = 1.0  # seconds a link
UPSTREAM = """
commands:
  "/usr/local/bin/my_job" action => if_elapsed("0"), classes => state_repaired("go");
"""
DOWNSTREAM = """
commands:
up_go::
  "/usr/local/bin/my_follow_up" action => if_elapsed("0");
"""
Row = tuple[str, float, float]  # what, seconds, most seconds


def latency(times: int) -> list[Row]:
    """TIMES jobs, each followed by another host's."""
    with Site("Host1", "Host2", place=Loopback(2)) as site:
        one, two = site.hosts
        one.policy(policy(UPSTREAM, grants("go", "Host2")))
        two.policy(policy(asks("Host1") + DOWNSTREAM))
        for host in site.hosts:
            host.shift(1)
        two.start()
        one.start("--schedule", "any")
        two.run()
        two.meets(one)
        took = []
        for _ in range(times):
            took.append(_once(one, two))
            time.sleep(0.1)
    cuts = quantiles(took, n=100, method="inclusive")
    name = f"done to begun, {times} times"
    return [
        (f"{name}: p50", cuts[49], 0.1), (f"{name}: p99", cuts[98], 0.3),
        (f"{name}: worst", max(took), 0),
    ]  # fmt: skip


def _once(one: Host, two: Host) -> float:
    """Let a minute pass, in which ONE does its job and TWO follows; how fast it followed."""
    done, before = len(one.did("my_job", "ended")), len(two.did("my_follow_up"))
    for host in (one, two):
        host.shift(host.offset + MINUTE)
    until(lambda: len(one.did("my_job", "ended")) > done, "a job", 90)
    follow_up = two.waits_for("my_follow_up", before + 1)[-1]
    return follow_up.at - one.did("my_job", "ended")[-1].at


def links() -> dict[str, dict[str, str]]:
    """The policy of each host of a chain: a job of WORK seconds at each."""
    found = {}
    for n in range(1, HOSTS + 1):
        guard = "start" if n == 1 else f"up_go{n - 1}"
        asked = asks(f"Host{n - 1}") if n > 1 else ""
        job = f'commands:\n{guard}::\n"/usr/local/bin/my_job" action => if_elapsed("0"),'
        found[f"Host{n}"] = policy(
            f'{asked}{job} classes => state_repaired("go{n}");', grants(f"go{n}", f"Host{n + 1}")
        )
    return found


def chain(times: int) -> list[Row]:
    """A chain of five hosts, with one second of work at each."""
    with Site(*[f"Host{n}" for n in range(1, HOSTS + 1)], place=Loopback(HOSTS)) as site:
        for label, files in links().items():
            site[label].policy(files)
            site[label].job("my_job", seconds=WORK)
            site[label].start()
        for before, host in zip(site.hosts, site.hosts[1:], strict=False):
            host.run()
            host.meets(before)
        begin = time.time()
        site.hosts[0].run("-D", "start")
        until(lambda: site.hosts[-1].did("my_job", "ended"), "the end of the chain", 60)
        took = site.hosts[-1].did("my_job", "ended")[0].at - begin
    return [(f"{HOSTS} links, {WORK:.0f} s of work at each", took, 7.0)]


CASES: dict[str, Callable[[int], list[Row]]] = {"latency": latency, "chain": chain}


def main() -> int:
    """Print the figures; 1 if one is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--only", default="", help="latency or chain")
    options = parser.parse_args()
    print(f"{'case':44} {'troth':>12} {'budget':>12}")
    over = False
    for name, case in CASES.items():
        for what, seconds, most in case(options.times) if options.only in name else ():
            told = f"{most * 1000:9.1f} ms {'ok' if seconds <= most else 'OVER'}" if most else ""
            print(f"{what:44} {seconds * 1000:9.1f} ms {told}".rstrip(), flush=True)
            over = over or bool(most and seconds > most)
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
