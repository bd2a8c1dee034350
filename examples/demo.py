"""The second half of `make demo`: three hosts on this machine, a chain across them, its timeline.

All is real: each host has its own work directory, key, peers, address and daemon; the commands that
are shown are those that a person would give. It ends by itself and leaves nothing behind.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import NamedTuple

from tests.workflows.hosts import EXAMPLES, Host, Never, Site, until
from tests.workflows.places import Loopback

LABELS = ("build", "test", "publish")
BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
if os.environ.get("NO_COLOR"):
    BOLD = PLAIN = ""
WIDTH = 22  # of a host's column
JOB_SECONDS = 0.3


class Event(NamedTuple):
    """Something that HOST did, AT a second by the machine's clock."""

    at: float
    column: int
    text: str
    source: int = -1  # the column of the host that told it


def say(text: str) -> None:
    print(f"\n{BOLD}{text}{PLAIN}")


def show(host: Host, *words: str, quiet: bool = False) -> str:
    """Do `troth WORDS` on HOST as a person would, who sees it; what it printed."""
    shown = [f"{word[:12]}..." if word.startswith("SHA=") else word for word in words]
    print(f"{host.label:>8} $ troth {' '.join(shown)}", flush=True)
    ran = host.troth(*words)
    if ran.returncode:
        raise Never(f"exit code {ran.returncode}: {ran.stdout}{ran.stderr}")
    if not quiet:
        for line in (ran.stdout + ran.stderr).splitlines():
            print(f"{'':10} {line}")
    return ran.stdout


def introduce(site: Site) -> None:
    """Make the keys and the trust between hosts that the chain needs."""
    for host in site.hosts:
        show(host, "key", "create", quiet=True)
    for near, far in (
        ("build", "test"),
        ("test", "build"),
        ("test", "publish"),
        ("publish", "test"),
    ):
        address, port = site.place.seen(site[far].number, site[near].number)
        show(site[near], "peer", "add", f"{address}:{port}", site[far].id, far, quiet=True)


def signals(host: Host, since: float) -> list[Event]:
    """What HOST said and heard SINCE."""
    others = {other.id: other for other in host.site.hosts}
    said = host.rows("SELECT granted, class FROM own WHERE granted >= ?", int(since * 1000))
    heard = host.rows("SELECT at, class, origin FROM received WHERE at >= ?", int(since * 1000))
    return [
        *[Event(at / 1000, host.number, f"signals '{name}'") for at, name in said],
        *[
            Event(at / 1000, host.number, f"hears '{name}'", others[origin].number)
            for at, name, origin in heard
        ],
    ]


def jobs(host: Host, since: float) -> list[Event]:
    """What the jobs of HOST wrote SINCE."""
    begun = [Event(job.at, host.number, f"begins job '{job.rest}'") for job in host.did()]
    results = {"0": "job is done"}
    ended = [
        Event(job.at, host.number, results.get(job.rest, f"job fails: {job.rest}"))
        for job in host.did(what="ended")
    ]
    return [event for event in begun + ended if event.at >= since]


def timeline(site: Site, more: list[Event]) -> None:
    """Print what happened from the first event of MORE on, a column for each host."""
    since = more[0].at
    events = [event for host in site.hosts for event in (*signals(host, since), *jobs(host, since))]
    print()
    head = "".join([f"{label:{WIDTH}}" for label in LABELS]).rstrip()
    print(f"{BOLD}{'ms':>6}  {head}{PLAIN}")
    for event in sorted([*events, *more]):
        ms = (event.at - since) * 1000
        columns = [f"{'|':{WIDTH}}"] * len(LABELS)
        columns[event.column] = f"{event.text:{WIDTH}}"
        if 0 <= event.source < event.column:
            arrow = "|" + "-" * ((event.column - event.source) * WIDTH - 3) + "> "
            columns[event.source : event.column] = [arrow]
        print(f"{ms:6.0f}  {''.join(columns)}".rstrip())
    print(flush=True)


def chain(site: Site) -> None:
    """One build, and what follows."""
    begun = Event(time.time(), 0, "run by hand")
    show(site["build"], "run", "-D", "start", quiet=True)
    site["publish"].waits_for("my_job", len(site["publish"].did("my_job")) + 1)
    until(lambda: settled(site), "the end of the chain")
    timeline(site, [begun])


def settled(site: Site) -> bool:
    """Whether each job that began has ended."""
    return all(len(host.did()) == len(host.did(what="ended")) for host in site.hosts)


def healing(site: Site) -> None:
    """The same while `test` is down, and comes back."""
    test = site["test"]
    begun = Event(time.time(), 1, "killed (-9)")
    test.kill()
    show(site["build"], "run", "-D", "start", quiet=True)
    until(lambda: settled(site), "the end of the job")
    back = Event(time.time(), 1, "daemon starts again")
    print(f"{test.label:>8} $ troth daemon")
    before = len(site["publish"].did("my_job"))
    test.start()
    site["publish"].waits_for("my_job", before + 1)
    until(lambda: settled(site), "the end of the chain")
    timeline(site, [begun, back])


def demo(site: Site) -> None:
    """All of it."""
    say("5. Three hosts: 'build', 'test' and 'publish', here on three loopback addresses of this\n"
        "machine. Each makes a key, and trusts its neighbours by their fingerprints.")  # fmt: skip
    introduce(site)
    say("They have the same policy. Each asks the host before it what it has done, and acts for\n"
        "itself; there is no dispatcher.")  # fmt: skip
    print((EXAMPLES / "pipeline" / "promises.cf").read_text().partition("\n# Whom")[0])
    for host in site.hosts:
        host.example("pipeline")
        host.job("my_job", seconds=JOB_SECONDS)
        print(f"{host.label:>8} $ troth daemon", flush=True)
        host.start("--schedule", "any")
    for near, far in (("test", "build"), ("publish", "test")):
        site[near].run()
        site[near].meets(site[far])
    say(f"6. One build, by hand; a job takes {JOB_SECONDS} s. Who told whom, and what it started:")
    chain(site)
    say("7. The host in the middle is killed. 'build' works on; when 'test' is back, it asks for\n"
        "what it has missed, and the chain goes on where it was.")  # fmt: skip
    healing(site)
    say("8. What 'test' knows of signals:")
    show(site["test"], "signal", "list")


def main() -> int:
    """Show it; 1 if something did not happen."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave nothing behind
    try:
        with Site(*LABELS, place=Loopback(len(LABELS)), trust=False) as site:
            demo(site)
    except Never as error:
        print(f"the demo is broken: {error}", file=sys.stderr)
        return 1
    say("That is all there is to it, and nothing is left running. examples/README.md goes on from\n"
        "here, one idea at a time.")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
