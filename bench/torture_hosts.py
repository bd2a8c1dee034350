"""What hosts withstand: processes killed, wires cut, disks full, clocks and copies wrong.

usage: python -m bench.torture_hosts [--only NAME] [--full] [--seed N]

Each test is a function of (how many, a source of chance); it ends with what it counted and its
worst case, or raises Broken. The short forms run in tests/workflows/test_torture.py. The numbers in
names are those of the project's list of what must hold.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from tests.workflows.hosts import Host, Never, Site, until
from tests.workflows.places import Loopback, namespaces_work
from tests.workflows.policies import asks, grants, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR = 3600
SCHEDULE = 1.0  # seconds between two runs that no signal starts
WORK = 0.2  # seconds of a job
EACH = 20  # signals of one run of the upstream
SETTLE = 120.0  # seconds until everything must have been consumed
LATE = 0.002  # seconds by which two clocks of one machine may differ
CLASSES = "abcde"


class Broken(AssertionError):
    """A law that did not hold."""


class Result(NamedTuple):
    """What a test came to."""

    done: str
    worst: str


class Row(NamedTuple):
    """What is published of a test."""

    name: str
    done: str
    seed: int
    seconds: float
    worst: str


def demand(*, holds: bool, told: str) -> None:
    if not holds:
        raise Broken(told)


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

    def __init__(self, site: Site, chance: random.Random, victims: list[Host]) -> None:
        self.site = site
        self.one, self.two = site.hosts[:2]
        self.chance = chance
        self.victims = victims
        self.kills = self.cuts = self.interrupted = 0
        self.promised = 0  # signals of runs that ended well
        self.outputs: list[str] = []
        self.starts = {host.label: 0 for host in site.hosts}
        self.one.policy(flood())
        self.two.policy(following())
        for name in CLASSES:
            self.two.job(f"follow_{name}", seconds=WORK)
        for host in site.hosts:
            self.start(host)
        self.two.run()
        self.two.meets(self.one)

    def run(self) -> None:
        """Run the downstream, as a schedule does."""
        ran = self.two.troth("run")
        self.outputs.append(ran.stdout + ran.stderr)

    def start(self, host: Host) -> None:
        """Start the daemon of HOST; if it dies of something, say so."""
        self.starts[host.label] += 1
        host.start()

    def keep_up(self) -> None:
        """Do what a service manager does: start what has ended."""
        for host in self.site.hosts:
            if host.daemon is None or host.daemon.poll() is not None:
                with suppress(Never):
                    self.start(host)

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
        rows = self.two.rows("SELECT count(*) FROM consumed WHERE ending != 'begun'")
        return self.said() - int(rows[0][0] if rows else 0)


def parent(pid: int) -> int:
    """Who started the process PID; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def upstream(storm: Storm, count: int, over: threading.Event, pause: float = 0) -> None:
    """Run the upstream until it has said COUNT signals, whatever is killed meanwhile."""
    while storm.said() < count and not over.wait(pause):
        if storm.one.troth("run").returncode == 0:
            storm.promised += EACH


def weather(storm: Storm, count: int, *, kills: float, cuts: float) -> float:
    """Have COUNT signals said while KILLS and CUTS a second happen; seconds until all is consumed
    after that."""
    over = threading.Event()
    source = threading.Thread(target=upstream, args=(storm, count, over))
    source.start()
    scheduled = threading.Thread(target=schedule, args=(storm, over))
    scheduled.start()
    try:
        while source.is_alive():
            time.sleep(storm.chance.expovariate(kills + cuts))
            if storm.chance.random() < kills / (kills + cuts):
                storm.kill()
            else:
                storm.cut()
            storm.keep_up()
    finally:
        over.set()
        source.join()
        scheduled.join()
    return settle(storm)


def schedule(storm: Storm, over: threading.Event) -> None:
    """Run the downstream now and then, as a schedule does: what failed is tried again."""
    while not over.wait(SCHEDULE):
        storm.run()


def settle(storm: Storm) -> float:
    """Wait until every signal is consumed; how many seconds it took."""
    begin = time.monotonic()
    storm.site.heal()
    while storm.open() and time.monotonic() - begin < SETTLE:
        storm.keep_up()
        time.sleep(SCHEDULE)
        storm.run()
    demand(holds=not storm.open(), told=f"{storm.open()} signals are not consumed")
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
    demand(holds=len(said) >= storm.promised, told=f"{storm.promised} signals, {len(said)} kept")
    demand(holds=(None, None) not in said, told="signals were never signed")
    demand(holds=said == heard, told="what was received is not what was said")
    ends = two.rows("SELECT epoch, first, ending, at FROM consumed")
    demand(holds=len(ends) == len(said), told=f"{len(ends)} ends of {len(said)} signals")
    for host in (one, two):
        demand(holds=sound(host), told=f"the state of {host.label} is corrupt")
    demand(holds=len({epoch for epoch, *_ in ends}) == 1, told="more than one epoch")
    return again(storm, {first: at / 1000 for _, first, _, at in ends})


def again(storm: Storm, ends: dict[int, float]) -> int:
    """Whether a job began for a signal after its end; how many jobs have no end."""
    begun, ended = storm.two.did(), storm.two.did(what="ended")
    for job in begun:
        for word in job.rest.split(","):
            number = int(word.rpartition("#")[2])
            late = number in ends and job.at > ends[number] + LATE
            demand(holds=not late, told=f"{job.name} began again for {word}")
    return len(begun) - len(ended)


def sound(host: Host) -> bool:
    """Whether the state of HOST is a good database."""
    return host.rows("PRAGMA integrity_check") == [("ok",)]


# the tests


def storm(count: int, chance: random.Random) -> Result:
    """Distinct signals while any process is killed and the wire is cut."""
    with Site("Host1", "Host2", place=Loopback(2, relays=True)) as site:
        it = Storm(site, chance, site.hosts)
        last = weather(it, count, kills=6.0, cuts=1.0)
        return Result(f"{it.said()} signals, {it.kills} kills, {it.cuts} cuts", worst(it, last))


def worst(it: Storm, last: float) -> str:
    """What to tell of IT, after the laws were held against it."""
    again = judge(it)
    demand(
        holds=not it.interrupted or "nterrupted" in told_of(it.two) + "".join(it.outputs),
        told=f"{it.interrupted} runs were killed at their work, and nothing says so",
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


def origin_killed(count: int, chance: random.Random) -> Result:
    """12: kill -9 of the origin at random points."""
    return _killed(count, chance, 0)


def receiver_killed(count: int, chance: random.Random) -> Result:
    """13: kill -9 of the receiver at random points."""
    return _killed(count, chance, 1)


def _killed(count: int, chance: random.Random, victim: int) -> Result:
    with Site("Host1", "Host2", place=Loopback(2, relays=True)) as site:
        it = Storm(site, chance, [site.hosts[victim]])
        over = threading.Event()
        source = threading.Thread(target=upstream, args=(it, sys.maxsize, over, SCHEDULE))
        source.start()
        scheduled = threading.Thread(target=schedule, args=(it, over))
        scheduled.start()
        try:
            while it.kills < count:
                time.sleep(chance.uniform(0.0, 0.8))
                it.kill()
                it.keep_up()
        finally:
            over.set()
            source.join()
            scheduled.join()
        last = settle(it)
        return Result(f"{it.kills} kills, {it.said()} signals", worst(it, last))


def go(minutes: int = 10) -> dict[str, str]:
    """An upstream that signals `go` at each run with -D do_go."""
    return policy(
        'commands:\ndo_go::\n"/usr/local/bin/my_job" action => if_elapsed("0"),'
        f' classes => signal_for("go", "{minutes}");',
        grants("go", "Host2"),
    )


FOLLOWS = 'commands:\nup_go::\n"/usr/local/bin/my_follow_up" action => if_elapsed("0");'


def pair(site: Site) -> tuple[Host, Host]:
    """Host1 signals, Host2 follows; both are up and in contact."""
    one, two = site.hosts[:2]
    one.policy(go())
    two.policy(policy(asks("Host1") + FOLLOWS))
    for host in (one, two):
        host.start()
    two.run()
    two.meets(one)
    return one, two


def received(host: Host) -> int:
    rows = host.rows("SELECT count(*) FROM received")
    return int(rows[0][0]) if rows else 0


def more_than(before: int, host: Host) -> None:
    """Wait until HOST has received more than BEFORE signals."""
    until(lambda: received(host) > before, "a signal")


def disk_full(count: int, chance: random.Random) -> Result:
    """14: no room for the origin's state, or none to write to, COUNT times; then there is."""
    worst = 0.0
    for number in range(count):
        way = (small_disk, read_only)[number % 2] if os.geteuid() == 0 else small_files
        with Site("Host1", "Host2", place=Loopback(2)) as site, disk(site.hosts[0]):
            one, two = pair(site)
            one.run("-D", "do_go")
            two.waits_for("my_follow_up")
            before = received(two)
            with way(one):
                one.troth("run", "-D", "do_go")
                time.sleep(0.5)
                two.stop()
                two.start()
                two.meets(one)  # it still serves
            begin = time.monotonic()
            one.run("-D", "do_go")
            more_than(before, two)
            worst = max(worst, time.monotonic() - begin)
            demand(holds=sound(one), told="the state is corrupt")
    return Result(f"{count} times", f"recovered in {worst:.2f} s")


@contextmanager
def disk(host: Host) -> Iterator[None]:
    """A small file system for the state of HOST, for root."""
    state = host.workdir / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() != 0:
        yield
        return
    subprocess.run([MOUNT, "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", state], check=True)
    try:
        yield
    finally:
        host.kill()
        subprocess.run([UMOUNT, state], check=True)


MOUNT = shutil.which("mount") or "/usr/bin/mount"
UMOUNT = shutil.which("umount") or "/usr/bin/umount"


@contextmanager
def small_disk(host: Host) -> Iterator[None]:
    """Fill the file system."""
    filler = host.workdir / "state" / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@contextmanager
def read_only(host: Host) -> Iterator[None]:
    """Make the file system read-only, or full if files are open for writing."""
    state = host.workdir / "state"
    ran = subprocess.run([MOUNT, "-o", "remount,ro", state], capture_output=True, check=False)
    if ran.returncode:
        with small_disk(host):
            yield
        return
    yield
    subprocess.run([MOUNT, "-o", "remount,rw", state], check=True)


@contextmanager
def small_files(host: Host) -> Iterator[None]:
    """Let no file of HOST's daemon grow."""
    for pid in host.processes():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    yield
    for pid in host.processes():
        resource.prlimit(
            pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )


def partition(count: int, chance: random.Random) -> Result:
    """15: the wire is cut, mute in one direction, or flaps, for COUNT rounds."""
    hosts = 3 if not namespaces_work() else 2
    worst = 0.0
    with Site(*[f"Host{n + 1}" for n in range(hosts)]) as site:
        one, two = pair(site)
        for number in range(count):
            way, before = number % 3, len(two.did("my_follow_up"))
            seconds = (
                chance.uniform(0.5, 1.5) if count <= SHORT else min(chance.expovariate(0.1) + 1, 90)
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
            demand(holds=len(two.did("my_follow_up")) == before + 1, told="it followed twice")
        until(lambda: two.hears(one), "a session after all")
    return Result(f"{count} partitions", f"followed {max(worst, 0):.2f} s after healing")


SHORT = 3  # how many make a short form of what takes its time


def clocks(count: int, chance: random.Random) -> Result:
    """16: the clocks of both hosts jump by up to an hour, COUNT times: each signal is followed."""
    worst = 0.0
    with Site("Host1", "Host2", place=Loopback(2)) as site:
        for host in site.hosts:
            host.shift(1)
        one, two = pair(site)
        for number in range(count):
            chance.choice(site.hosts).shift(chance.choice((-HOUR, -61, -1, 1, 61, HOUR)))
            begin = time.time()
            one.run("-D", "do_go")
            worst = max(worst, two.waits_for("my_follow_up", number + 1)[-1].at - begin)
        two.run("-K")
        demand(holds=len(two.did("my_follow_up")) == count, told="it followed twice")
    return Result(f"{count} jumps", f"followed in {worst:.2f} s")


def expiry(count: int, chance: random.Random) -> Result:
    """16: a received class of a minute ends with it, whatever the clocks say meanwhile."""
    worst = 0.0
    heard = 'reports:\nup_go::\n"heard" action => if_elapsed("0");'
    for jump in (0, HOUR, -HOUR)[:count]:
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
            chance.choice(site.hosts).shift(jump + 1)
            while "heard" in two.run():
                demand(holds=time.time() < begin + 80, told="the class does not end")
            worst = max(worst, time.time() - begin - 60)
            demand(holds=-1.5 < worst < 2, told=f"it ended {worst:+.1f} s late")
    return Result(f"{count} jumps", f"ended {worst:+.1f} s after a minute")


def loops(count: int, chance: random.Random) -> Result:
    """18: two and three hosts that follow each other in a circle, COUNT times started: it stops."""
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
            for _ in range(count):
                site.hosts[0].run("-D", "start")
            quiet(site)
            runs = [len(host.did()) for host in site.hosts]
            most = max(most, *runs)
            bound = 2 * count
            demand(holds=max(runs) <= bound, told=f"jobs ran {runs} times, at most {bound} wanted")
            demand(
                holds=any(host.audit("circle") for host in site.hosts),
                told="no circle is in the audit log",
            )
    return Result(f"{2 * count} circles", f"{most} jobs of one host for {count} starts")


def ring(before: str, after: str) -> dict[str, str]:
    """A host that does its job after BEFORE has, and lets AFTER know."""
    return policy(
        f'{asks(before)}commands:\nstart|up_go::\n"/usr/local/bin/my_job"'
        ' action => if_elapsed("0"), classes => state_repaired("go");',
        grants("go", after),
    )


def surplus(count: int, chance: random.Random) -> Result:
    """18: a circle without causes (each run signals, whatever for) is held back by the count."""
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
        time.sleep(count)
        signals = [len(host.rows("SELECT 1 FROM own WHERE seq IS NOT NULL")) for host in site.hosts]
    bound = 6 * (count // 60 + 1) + 2
    demand(holds=max(signals) <= bound, told=f"{signals} signals in {count} s")
    return Result(f"{count} s", f"{max(signals)} signals of one host")


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


def rollback(count: int, chance: random.Random) -> Result:
    """20: the origin's state is put back to an older copy, COUNT times."""
    worst = 0.0
    with Site("Host1", "Host2", place=Loopback(2)) as site:
        one, two = pair(site)
        for number in range(count):
            state, copy = one.workdir / "state", one.home / "copy"
            one.run("-D", "do_go")
            two.waits_for("my_follow_up", 3 * number + 1)
            one.stop()
            shutil.copytree(state, copy)
            one.start()
            two.meets(one)
            one.run("-D", "do_go")
            two.waits_for("my_follow_up", 3 * number + 2)
            one.stop()
            shutil.rmtree(state)
            copy.rename(state)
            one.start()
            begin = time.time()
            two.meets(one)
            one.run("-D", "do_go")
            worst = max(worst, two.waits_for("my_follow_up", 3 * number + 3)[-1].at - begin)
        epochs = {row[0] for row in two.rows("SELECT epoch FROM received")}
        demand(holds=len(epochs) == count + 1, told=f"{len(epochs)} epochs")
        demand(holds=bool(one.audit("rollback")), told="no rollback in the audit log")
    return Result(f"{count} copies put back", f"followed {worst:.2f} s after the start")


# name: what does it, how many in the short form and in the full one
TESTS: dict[str, tuple[Callable[[int, random.Random], Result], int, int]] = {
    "signals-storm": (storm, 60, 10_000),
    "12-origin-killed": (origin_killed, 4, 1_000),
    "13-receiver-killed": (receiver_killed, 4, 1_000),
    "14-disk-full": (disk_full, 2, 20),
    "15-partition": (partition, SHORT, 60),
    "16-clocks": (clocks, 4, 300),
    "16-expiry": (expiry, 0, 3),
    "18-loops": (loops, 1, 20),
    "18-surplus": (surplus, 3, 130),
    "20-rollback": (rollback, 1, 20),
}


def run(name: str, *, full: bool, seed: int, count: int = 0) -> Row:
    """Do the test NAME; what to publish of it."""
    test, short, long = TESTS[name]
    begin = time.monotonic()
    result = test(count or (long if full else short), random.Random(seed))  # noqa: S311  # repeatable
    return Row(name, result.done, seed, time.monotonic() - begin, result.worst)


def main() -> int:
    """Print a row for each test; 1 if one is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="tests whose name contains this")
    parser.add_argument("--full", action="store_true", help="as often as is published")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--count", type=int, default=0, help="how often instead")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave nothing behind
    status = 0
    for name in [name for name in TESTS if options.only in name]:
        try:
            row = run(name, full=options.full, seed=options.seed, count=options.count)
        except (Broken, Never, sqlite3.Error) as error:
            print(f"| {name} | BROKEN, seed {options.seed}: {error} |", flush=True)
            status = 1
            continue
        print(
            f"| {row.name} | {row.done} | {row.seed} | {row.seconds:.0f} s | {row.worst} |",
            flush=True,
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
