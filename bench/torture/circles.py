"""Hosts that follow each other in a circle: it stops, or is held back."""

from __future__ import annotations

import time

from bench.torture.table import Broken, Case, must
from tests.workflows.hosts import Site
from tests.workflows.places import Loopback
from tests.workflows.policies import asks, grants, policy

# 18: loops


def loops(case: Case) -> str:
    """Start a circle of two, then of three hosts that follow each other."""
    most = 0
    for hosts in (2, 3):
        with Site(*[f"Host{n + 1}" for n in range(hosts)], place=Loopback(hosts)) as site:
            for n, host in enumerate(site.hosts):
                before, after = site.hosts[n - 1], site.hosts[(n + 1) % hosts]
                host.policy(ring(before.label, after.label))
                host.start()
            for n, host in enumerate(site.hosts):
                host.run()
                host.meets(site.hosts[n - 1])
            for _ in range(case.many):
                site.hosts[0].run("-D", "start")
            quiet(site)
            runs = [len(host.did()) for host in site.hosts]
            most = max(most, *runs)
            bound = 2 * case.many
            must(max(runs) <= bound, f"jobs ran {runs} times, at most {bound} wanted")
            must(
                any(host.audit("circle") for host in site.hosts),
                "no circle is in the audit log",
            )
    return f"{2 * case.many} circles: {most} jobs of one host for {case.many} starts"


def ring(before: str, after: str) -> dict[str, str]:
    """A host that does its job after BEFORE has, and lets AFTER know."""
    return policy(
        f'{asks(before)}commands:\nstart|up_go::\n"/usr/local/bin/my_job"'
        ' action => if_elapsed("0"), classes => state_repaired("go");',
        grants("go", after),
    )


def surplus(case: Case) -> str:
    """Have a circle without causes for so many seconds: each run signals, whatever for."""
    with Site("Host1", "Host2", place=Loopback(2)) as site:
        for host, other in (site.hosts, site.hosts[::-1]):
            host.policy(
                policy(
                    f'{asks(other.label)}commands:\n"/usr/local/bin/my_job"'
                    ' action => if_elapsed("0"), classes => state_repaired("go");',
                    grants("go", other.label),
                )
            )
            host.start()
        for host in site.hosts:
            host.run()
        time.sleep(case.many)
        signals = [len(host.rows("SELECT 1 FROM own WHERE seq IS NOT NULL")) for host in site.hosts]
    must(min(signals) > 0, "a host that does not signal")
    bound = 6 * (case.many // 60 + 1) + 2
    must(max(signals) <= bound, f"{signals} signals in {case.many} s")
    return f"{case.many} s: {max(signals)} signals of one host"


def quiet(site: Site, seconds: float = 0.8) -> None:
    """Wait until no job has begun for SECONDS."""

    def jobs() -> int:
        return sum(len(host.did()) for host in site.hosts)

    for _ in range(60):
        before = jobs()
        time.sleep(seconds)
        if jobs() == before:
            return
    raise Broken("it does not stop")
