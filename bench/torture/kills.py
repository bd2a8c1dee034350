"""Processes are killed and wires cut at random: no signal is lost, none is acted on twice."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bench.torture.pairs import sound
from bench.torture.table import Case, must
from tests.workflows.hosts import Host, Never, Site
from tests.workflows.places import Loopback
from tests.workflows.policies import asks, grants, policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

SCHEDULE = 1.0  # seconds between two runs that no signal starts
WORK = 0.2  # seconds of a job
EACH = 20  # signals of one run of the upstream
SETTLE = 120.0  # seconds until everything must have been consumed
LATE = 0.002  # seconds by which two clocks of one machine may differ
CLASSES = "abcde"

# an upstream that says much, a downstream that follows each class


def flood() -> dict[str, str]:
    """EACH signals a run, of all CLASSES in turn."""
    listed = ", ".join([f'"{name}"' for name in CLASSES])
    each = EACH // len(CLASSES)
    return policy(
        f'vars:\n"c" slist => {{ {listed} }};\n"n" slist => expandrange("[1-{each}]", 1);\n'
        'commands:\n"/bin/true $(c) $(n)" action => if_elapsed("0"),'
        ' classes => signal_for("$(c)", "600");',
        grants("[a-e]", "Host2"),
    )


def following() -> dict[str, str]:
    """A job for each class; it is told which signals it is for."""
    jobs = [
        f'up_{name}::\n"/usr/local/bin/follow_{name} $(this.signals)" action => if_elapsed("0");'
        for name in CLASSES
    ]
    return policy(asks("Host1") + "commands:\n" + "\n".join(jobs))


class Storm:
    """Two hosts; processes of VICTIMS are killed and wires cut at random until it is over."""

    def __init__(self, site: Site, chance: Random, victims: list[Host]) -> None:
        self.site = site
        self.one, self.two = site.hosts[:2]
        self.chance = chance
        self.victims = victims
        self.kills = self.cuts = self.interrupted = 0
        self.promised = 0  # signals of runs that ended well
        self.outputs: list[str] = []
        self.one.policy(flood())
        self.two.policy(following())
        for name in CLASSES:
            self.two.job(f"follow_{name}", seconds=WORK)
        for host in site.hosts:
            host.start()
        self.two.run()
        self.two.meets(self.one)

    def run(self) -> None:
        """Run the downstream, as a schedule does."""
        ran = self.two.troth("run")
        self.outputs.append(ran.stdout + ran.stderr)

    def keep_up(self) -> None:
        """Do what a service manager does: start what has ended."""
        for host in self.site.hosts:
            if host.daemon is None or host.daemon.poll() is not None:
                with suppress(Never):
                    host.start()

    def kill(self) -> None:
        """Kill one process of a victim."""
        processes = {pid: told for host in self.victims for pid, told in host.processes().items()}
        if processes:
            victim = self.chance.choice(sorted(processes))
            parents = [parent(pid) for pid, told in processes.items() if "/jobs/follow_" in told]
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                self.kills += 1
                self.interrupted += victim in parents

    def cut(self) -> None:
        """Cut the wire for a moment."""
        self.site.cut(self.two)
        time.sleep(self.chance.uniform(0.05, 0.5))
        self.site.heal()
        self.cuts += 1

    def said(self) -> int:
        """How many signals there are."""
        rows = self.one.rows("SELECT count(*) FROM own WHERE kind = 'event'")
        return int(rows[0][0]) if rows else 0

    def open(self) -> int:
        """How many of them are not consumed."""
        look = "SELECT count(*) FROM consumed WHERE ending NOT IN ('begun', 'failed')"
        rows = self.two.rows(look)
        return self.said() - int(rows[0][0] if rows else 0)


def parent(pid: int) -> int:
    """Who started the process PID; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


# what both hosts do meanwhile


def upstream(storm: Storm, count: int, over: threading.Event, pause: float) -> None:
    """Run the upstream until it has said COUNT signals, whatever is killed meanwhile."""
    while storm.said() < count and not over.wait(pause):
        if storm.one.troth("run").returncode == 0:
            storm.promised += EACH


def schedule(storm: Storm, over: threading.Event) -> None:
    """Run the downstream now and then, as a schedule does: what failed is tried again."""
    while not over.wait(SCHEDULE):
        storm.run()


@contextmanager
def busy(storm: Storm, count: int, pause: float = 0.0) -> Iterator[threading.Thread]:
    """Both hosts run; the thread ends when the upstream has said COUNT signals."""
    over = threading.Event()
    source = threading.Thread(target=upstream, args=(storm, count, over, pause))
    scheduled = threading.Thread(target=schedule, args=(storm, over))
    source.start()
    scheduled.start()
    try:
        yield source
    finally:
        over.set()
        source.join()
        scheduled.join()


# what must hold after it


def settle(storm: Storm) -> float:
    """Wait until every signal is consumed; how many seconds it took."""
    begin = time.monotonic()
    storm.site.heal()
    while storm.open() and time.monotonic() - begin < SETTLE:
        storm.keep_up()
        time.sleep(SCHEDULE)
        storm.run()
    must(not storm.open(), f"{storm.open()} signals are not consumed")
    return time.monotonic() - begin


def judge(storm: Storm) -> int:
    """Hold what is written down against the laws; how many jobs were interrupted."""
    one, two = storm.one, storm.two
    said = {
        (epoch, seq): bytes(body)
        for epoch, seq, body in one.rows("SELECT epoch, seq, body FROM own WHERE kind = 'event'")
    }
    heard = {
        (epoch, seq): bytes(body)
        for epoch, seq, body in two.rows("SELECT epoch, seq, body FROM received")
    }
    must(len(said) >= storm.promised, f"{storm.promised} signals, {len(said)} kept")
    must((None, None) not in said, "signals were never signed")
    must(said == heard, "what was received is not what was said")
    ends = two.rows("SELECT epoch, first, ending, at FROM consumed")
    must(len(ends) == len(said), f"{len(ends)} ends of {len(said)} signals")
    for host in (one, two):
        must(sound(host), f"the state of {host.label} is corrupt")
    must(len({epoch for epoch, *_ in ends}) == 1, "more than one epoch")
    return again(storm, {first: at / 1000 for _, first, _, at in ends})


def again(storm: Storm, ends: dict[int, float]) -> int:
    """Whether a job began for a signal after its end; how many jobs have no end."""
    begun, ended = storm.two.did(), storm.two.did(what="ended")
    for job in begun:
        for word in job.rest.split(","):
            number = int(word.rpartition("#")[2])
            late = number in ends and job.at > ends[number] + LATE
            must(not late, f"{job.name} began again for {word}")
    return len(begun) - len(ended)


def worst(it: Storm, last: float) -> str:
    """What to tell of IT, after the laws were held against it."""
    again = judge(it)
    must(
        not it.interrupted or "nterrupted" in told_of(it.two) + "".join(it.outputs),
        f"{it.interrupted} runs were killed at their work, and nothing says so",
    )
    return (
        f"all consumed {last:.1f} s after the last; {it.interrupted} runs killed at work,"
        f" {again} jobs without an end"
    )


def told_of(host: Host) -> str:
    """What the daemon of HOST and its runs have said."""
    outputs = host.workdir / "outputs"
    files = sorted(outputs.iterdir()) if outputs.is_dir() else []
    return host.told() + "".join([file.read_text(errors="replace") for file in files])


# 12, 13: kills


def both(case: Case) -> str:
    """Have so many distinct signals said while any process is killed and the wire is cut."""
    kills, cuts = 6.0, 1.0  # a second
    with Site("Host1", "Host2", place=Loopback(2, relays=True)) as site:
        it = Storm(site, case.random, site.hosts)
        with busy(it, case.many) as source:
            while source.is_alive():
                time.sleep(it.chance.expovariate(kills + cuts))
                if it.chance.random() < kills / (kills + cuts):
                    it.kill()
                else:
                    it.cut()
                it.keep_up()
        last = settle(it)
        return f"{it.said():,} signals, {it.kills} kills, {it.cuts} cuts: {worst(it, last)}"


def origin(case: Case) -> str:
    """Kill -9 the origin at random points."""
    return _killed(case, 0)


def receiver(case: Case) -> str:
    """Kill -9 the receiver at random points."""
    return _killed(case, 1)


def _killed(case: Case, victim: int) -> str:
    with Site("Host1", "Host2", place=Loopback(2, relays=True)) as site:
        it = Storm(site, case.random, [site.hosts[victim]])
        with busy(it, sys.maxsize, SCHEDULE):
            while it.kills < case.many:
                time.sleep(it.chance.uniform(0.0, 0.8))
                it.kill()
                it.keep_up()
        last = settle(it)
        return f"{it.kills:,} kills, {it.said():,} signals: {worst(it, last)}"
