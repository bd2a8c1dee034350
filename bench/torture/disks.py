"""The state of a host has no room, or is an older copy of itself."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bench.torture.pairs import more_than, pair, received, sound
from bench.torture.table import Case, must
from tests.workflows.hosts import Host, Site
from tests.workflows.places import Loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNT = shutil.which("mount") or "/usr/bin/mount"
UMOUNT = shutil.which("umount") or "/usr/bin/umount"

# 14: a full disk


def full(case: Case) -> str:
    """Have no room for the origin's state, or none to write to; then there is."""
    worst = 0.0
    for number in range(case.many):
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
            must(sound(one), "the state is corrupt")
    return f"{case.many} times: recovered in {worst:.2f} s"


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


# 20: rollback


def put_back(case: Case) -> str:
    """Put the origin's state back to an older copy."""
    worst = 0.0
    with Site("Host1", "Host2", place=Loopback(2)) as site:
        one, two = pair(site)
        for number in range(case.many):
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
        must(len(epochs) == case.many + 1, f"{len(epochs)} epochs")
        must(bool(one.audit("rollback")), "no rollback in the audit log")
    return f"{case.many} copies put back: followed {worst:.2f} s after the start"
