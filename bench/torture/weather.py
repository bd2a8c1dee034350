"""What the world does to two hosts: wires are cut, clocks jump."""

from __future__ import annotations

import time

from bench.torture.pairs import go, more_than, pair
from bench.torture.table import Case, must
from tests.workflows.hosts import Site, until
from tests.workflows.places import Loopback, namespaces_work
from tests.workflows.policies import asks, policy

HOUR = 3600

# 15: partitions


def partition(case: Case) -> str:
    """Cut the wire, lose one direction, or have it flap, in turn."""
    hosts = 3 if not namespaces_work() else 2
    worst = 0.0
    with Site(*[f"Host{n + 1}" for n in range(hosts)]) as site:
        one, two = pair(site)
        for number in range(case.many):
            way, before = number % 3, len(two.did("my_follow_up"))
            seconds = (
                min(case.random.expovariate(0.1) + 1, 90)
                if case.full
                else case.random.uniform(0.5, 1.5)
            )
            if way == 0:
                site.cut(two)
            elif way == 1:
                site.place.mute(0, 1)
            one.run("-D", "do_go")
            for _ in range(4 if way == 2 else 0):
                site.cut(two)
                time.sleep(seconds / 8)
                site.heal()
                time.sleep(seconds / 8)
            time.sleep(seconds if way < 2 else 0)
            begin = time.time()
            site.heal()
            follow_up = two.waits_for("my_follow_up", before + 1, 90)[-1]
            worst = max(worst, follow_up.at - begin)
            must(len(two.did("my_follow_up")) == before + 1, "it followed twice")
        until(lambda: two.hears(one), "a session after all")
    return f"{case.many} partitions: followed {max(worst, 0):.2f} s after healing"


# 16: clocks


def clocks(case: Case) -> str:
    """Have the clocks of both hosts jump by up to an hour, between signals."""
    worst = 0.0
    with Site("Host1", "Host2", place=Loopback(2)) as site:
        for host in site.hosts:
            host.shift(1)
        one, two = pair(site)
        for number in range(case.many):
            case.random.choice(site.hosts).shift(case.random.choice((-HOUR, -61, -1, 1, 61, HOUR)))
            begin = time.time()
            one.run("-D", "do_go")
            worst = max(worst, two.waits_for("my_follow_up", number + 1)[-1].at - begin)
        two.run("-K")
        must(len(two.did("my_follow_up")) == case.many, "it followed twice")
    return f"{case.many} jumps: followed in {worst:.2f} s"


def expiry(case: Case) -> str:
    """Let a received class of a minute end while clocks jump."""
    worst = 0.0
    heard = 'reports:\nup_go::\n"heard" action => if_elapsed("0");'
    for jump in (0, HOUR, -HOUR)[: case.many]:
        with Site("Host1", "Host2", place=Loopback(2)) as site:
            one, two = site.hosts
            one.policy(go(minutes=1))
            two.policy(policy(asks("Host1") + heard))
            for host in (one, two):
                host.shift(1)
                host.start()
            two.run()
            two.meets(one)
            begin = time.time()
            one.run("-D", "do_go")
            more_than(0, two)
            case.random.choice(site.hosts).shift(jump + 1)
            while "heard" in two.run():
                must(time.time() < begin + 80, "the class does not end")
            late = time.time() - begin - 60
            must(-1.5 < late < 2, f"it ended {late:+.1f} s late")
            worst = max(worst, late)
    return f"{case.many} jumps: ended {worst:+.1f} s after a minute"
