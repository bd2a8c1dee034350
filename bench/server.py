"""How many peers a server answers, and what they cost, beside the real cf-serverd where it is.

usage: python -m bench.server [--seconds N] [--rounds N] [--sessions N]

Both share four classes; one question is for all of them. Limits are raised as policy can raise
them, in `body server control`: allowallconnects => { "127.0.0.0/8" }, maxconnections => "5000"
(cf-serverd: "2000"). Clients run on the same machine, so rates say less than ratios, and ratios
less than processor time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import selectors
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import serverd
from server.wire import messages
from server.wire.client import Client
from server.wire.handshake import Terms
from server.wire.keys import Credentials, Identity, digest
from tests.server.halves import Half, grant, trusted

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = ("job_one", "job_two", "job_three", "job_four")
WORKERS = 4  # processes for the clients
CONTROL: dict[str, Any] = {"allowallconnects": ["127.0.0.0/8"], "maxconnections": 5000}
# where no cf-serverd 3.21 is: the better figures of one, measured elsewhere
MEASURED = {("open", 1): 7100.0, ("open", 32): 11400.0, ("new", 1): 340.0, ("new", 32): 590.0}
MUST = 1.5
PREPARED = 12000  # questions a second and process, more than can be answered
LARGEST_SESSION = 8000


class Rate(NamedTuple):
    """What came of one measurement: a second, and microseconds of the server's processor each."""

    rate: float
    cost: float


class Ours:
    """A session with ours.

    The first question is asked as an agent does it. More of them are sealed by `prepare` before the
    clock runs, and their answers opened by `check` after it: what is measured is the server, and a
    client in Python takes as much of the machine as that does.
    """

    def __init__(self, address: tuple[str, int], pin: bytes, identity: Identity) -> None:
        now = int(time.time())
        credentials = Credentials.new(identity, now)
        terms = Terms(credentials=credentials, clock=now * 1000)
        self._client = Client(address, terms, pin)
        self.socket = self._client._wire._socket
        self._n = 0
        self._sealed: list[bytes] = []
        self._answers: list[bytes] = []

    def ask(self) -> None:
        """Ask for the classes and take the answer."""
        said = self._client.ask(self._question())
        _complete(said)

    def prepare(self, count: int) -> None:
        """Seal COUNT questions."""
        sender = self._client._sender
        sealed = [sender.message(messages.packed(self._question())) for _ in range(count)]
        self._sealed = sealed[::-1]
        self.socket.settimeout(30)

    def send(self) -> bool:
        """Send a question; whether there was one."""
        if not self._sealed:
            return False
        self.socket.send(self._sealed.pop())
        return True

    def receive(self) -> None:
        """Take the answer, which is small."""
        self._answers.append(self.socket.recv(4096))

    def check(self) -> int:
        """Open the answers; how many there were."""
        client = self._client
        found = list(client._receiver.feed(b"".join(self._answers)))
        for octets in found:
            _complete(messages.answer(octets))
        return len(found)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _question(self) -> messages.List:
        self._n += 1
        return messages.List(n=self._n)


class Theirs:
    """A session with cf-serverd."""

    def __init__(self, address: tuple[str, int], home: Path) -> None:
        self._talker = serverd.Talker(address, home)
        self._count = 0
        self.socket = self._talker.socket

    def ask(self) -> None:
        """Ask for the classes and take the answer."""
        self.send()
        self.receive()

    def prepare(self, count: int) -> None:
        """Nothing: TLS cannot, and is in C."""

    def send(self) -> bool:
        """Ask for the classes."""
        self._talker.send("CONTEXT job_.*")
        return True

    def receive(self) -> None:
        """Take the answer."""
        self._count += self._talker.receive().count("job_") == len(CLASSES)

    def check(self) -> int:
        """How many answers there were."""
        return self._count

    def close(self) -> None:
        """Hang up."""
        self._talker.close()


def _complete(said: messages.AnyAnswer) -> None:
    """Raise ValueError unless SAID names all classes."""
    if not isinstance(said, messages.Classes) or len(said.names) != len(CLASSES):
        raise ValueError(said)


def asked(make: Callable[[], Any], clients: int, seconds: float, start: Any) -> float:
    """How many answers a second CLIENTS open connections get, each asking again at once."""
    selector = selectors.DefaultSelector()
    made = [make() for _ in range(clients)]
    for session in made:
        session.ask()
        session.prepare(int(PREPARED * seconds) // clients)
        selector.register(session.socket, selectors.EVENT_READ, session)
    start.wait()
    begun = time.monotonic()
    waiting = sum([session.send() for session in made])
    while waiting:
        going = time.monotonic() - begun < seconds
        for key, _ in selector.select(1):
            key.data.receive()
            waiting += (going and key.data.send()) - 1
    spent = time.monotonic() - begun
    return float(sum(session.check() for session in made) / spent)


def connected(make: Callable[[], Any], clients: int, seconds: float, start: Any) -> float:
    """How often a second CLIENTS can connect, ask and hang up."""
    counts = [0] * clients
    start.wait()
    end = time.monotonic() + seconds

    def visit(which: int) -> None:
        while time.monotonic() < end:
            session = make()
            session.ask()
            session.close()
            counts[which] += 1

    threads = [threading.Thread(target=visit, args=(which,)) for which in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def measured(
    work: Callable[[Callable[[], Any], int, float, Any], float], make: Callable[[], Any],
    load: tuple[int, float], pid: int,
) -> Rate:  # fmt: skip
    """What WORK comes to with a LOAD of clients and seconds, spread over a few processes."""
    clients, seconds = load
    workers = min(clients, WORKERS)
    context = multiprocessing.get_context("fork")
    results: Any = context.SimpleQueue()
    start = context.Barrier(workers + 1)

    def run() -> None:
        results.put(work(make, clients // workers, seconds, start))

    processes = [context.Process(target=run) for _ in range(workers)]
    for process in processes:
        process.start()
    start.wait()
    before = serverd.processor_seconds(pid)
    rate = sum(results.get() for _ in processes)
    spent = serverd.processor_seconds(pid) - before
    for process in processes:
        process.join()
    return Rate(rate, spent / max(1, rate * seconds) * 1e6)


WORK = {"open": asked, "new": connected}


def sessions(half: Half, count: int) -> float:
    """How many octets of memory each of COUNT subscribed peers takes."""
    pid = half.pid
    peers = [Identity.new() for _ in range(count)]
    half.trusts(*[trusted(peer, f"peer{n}") for n, peer in enumerate(peers)])
    question = messages.Subscribe(n=1, globs=("job_*",))
    with half.client(peers[0]) as first:
        first.ask(question)
        before = serverd.memory(pid)
        with ExitStack() as stack:
            for peer in peers[1:]:
                stack.enter_context(half.client(peer)).ask(question)
            return (serverd.memory(pid) - before) / (count - 1)


def main() -> int:
    """Print a table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=1000)
    options = parser.parse_args()
    missed = False
    with ExitStack() as stack:
        half = stack.enter_context(Half(process=True))
        half.grants(grant("job_.*", admit_ips=["127.0.0.0/8"]), **CONTROL)
        identity = Identity.new()
        half.trusts(trusted(identity, "bench"))
        half.own(*CLASSES, life=3600.0)
        sides: dict[str, tuple[Callable[[], Any], int]] = {
            "ours": (
                lambda: Ours(half.address, digest(half.identity.public), identity),
                half.pid,
            )
        }
        if serverd.installed():
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench.")))
            access = '"job_.*" resource_type => "context", admit_ips => { "127.0.0.0/8" };'
            real = stack.enter_context(serverd.Serverd(home / "w", CLASSES, access))
            sides["theirs"] = (
                lambda: Theirs((serverd.ADDRESS, real.port), home / "w"),
                real._process.pid,
            )
        print(
            "| what | clients | ours, a second | µs of processor | cf-serverd | µs | ratio | must |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for what, work in WORK.items():
            for clients in (1, 32):
                found: dict[str, list[Rate]] = {side: [] for side in sides}
                for _ in range(options.rounds):
                    for side, (make, pid) in sides.items():
                        found[side].append(measured(work, make, (clients, options.seconds), pid))
                ours = _middle(found["ours"])
                known = Rate(MEASURED[what, clients], 0.0)
                theirs = _middle(found["theirs"]) if "theirs" in found else known
                ratio = ours.rate / theirs.rate
                missed = missed or ratio < MUST
                print(
                    f"| {what} connections | {clients} | {ours.rate:.0f} | {ours.cost:.0f} "
                    f"| {theirs.rate:.0f} | {theirs.cost:.0f} | {ratio:.2f} | {MUST} |"
                )
        size = sessions(half, options.sessions)
        missed = missed or size > LARGEST_SESSION
        print(
            f"| memory of a subscribed peer, {options.sessions} of them | | {size:.0f} B "
            f"| | 338000 B | | | {LARGEST_SESSION} B |"
        )
    return int(missed)


def _middle(rates: list[Rate]) -> Rate:
    return Rate(
        statistics.median(rate for rate, _ in rates), statistics.median(cost for _, cost in rates)
    )


if __name__ == "__main__":
    sys.exit(main())
