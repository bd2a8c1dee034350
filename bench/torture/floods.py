"""Who does too much, too little, or nonsense: others do not notice."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from bench.torture.handshakes import ROOM, terms
from bench.torture.table import Broken, Case, must, p99
from server.wire import messages
from server.wire.globs import Globs
from server.wire.handshake import Initiator, gate
from server.wire.inside import Answered, Message, Succeed
from server.wire.keys import Identity, digest
from server.wire.limits import Limits
from server.wire.messages import Ping, Pull
from server.wire.transport import Cut
from tests.server.halves import Half, grant, trusted

if TYPE_CHECKING:
    from random import Random

    from server.wire.client import Client


def _login(half: Half, identity: Identity) -> float:
    """How long it takes IDENTITY to log in and ask something."""
    begun = time.monotonic()
    with half.client(identity) as client:
        client.ask(Ping(n=1))
    return time.monotonic() - begun


def _pings(client: Client, count: int, pause: float = 0.05) -> list[float]:
    """How long each of COUNT pings took."""
    times = []
    for n in range(1, count + 1):
        begun = time.monotonic()
        client.ask(Ping(n=n))
        times.append(time.monotonic() - begun)
        time.sleep(pause)
    return times


def _errors(half: Half) -> list[str]:
    counts: dict[str, int] = half.report()["counts"]
    return [reason for reason in counts if reason.startswith("error")]


# 4: mutants


REQUESTS = (
    messages.Ping(n=1),
    messages.List(n=2, after="abc"),
    messages.Variable(n=3, name="default:a.b"),
    messages.Literal(n=4, handle="motd"),
    messages.Pull(n=5, globs=("a*", "b?"), epoch=1, after=2, view=3, limit=4),
    messages.Subscribe(n=6, globs=("*",), epoch=1, after=2, view=3),
    messages.Ack(n=6, epoch=1, upto=2),
    messages.Unsubscribe(n=7, which=6),
    messages.Rotate(n=8, statement=bytes(64)),
)
MARK = 4_000_000_000


def _mutant(random: Random) -> bytes:
    """A request with something wrong, perhaps."""
    octets = bytearray(messages.packed(random.choice(REQUESTS)))
    for _ in range(random.choice((1, 1, 1, 3))):
        at = random.randrange(len(octets))
        match random.randrange(5):
            case 0:
                octets[at] ^= 1 << random.randrange(8)
            case 1:
                del octets[at:]
            case 2:
                octets[at:at] = random.randbytes(random.randrange(1, 9))
            case 3:
                octets[at] = random.choice((0, 0x80, 0xC0, 0xC1, 0xDD, 0xDF, 0xFF))
            case _:
                octets += octets[at:]
        octets = octets or bytearray(b"\0")
    return bytes(octets)


def _waits(octets: bytes) -> bool:
    """Whether OCTETS are a request whose answer takes its time."""
    try:
        request = messages.request(octets)
    except messages.BadMessage:
        return False
    return isinstance(request, Pull) and request.wait > 0


def mutants(case: Case) -> str:
    """Send requests that were changed at random; after each the server answers or hangs up."""
    alice, bob = Identity.new(), Identity.new()
    with Half(process=True) as half, ExitStack() as stack:
        half.trusts(trusted(alice, "alice"), trusted(bob, "bob"))
        half.grants(grant(), **ROOM)
        half.own("a_1", "b_1")
        half.answer = _refuse
        honest = stack.enter_context(half.client(bob))
        calm = p99(_pings(honest, 50, 0.0))
        times, ends = [], 0
        client = stack.enter_context(half.client(alice))
        client.log_in()
        for number in range(case.many):
            mutant = _mutant(case.random)
            if _waits(mutant):
                continue
            if not _survived(client, mutant):
                ends += 1
                client._wire.close()
                client = half.client(alice)
                client.log_in()
            if number % 20 == 0:
                times += _pings(honest, 1, 0.0)
        client._wire.close()
        must(not _errors(half), f"mistakes of ours: {_errors(half)}")
        must(half.process is not None and half.process.poll() is None, "it died")
        busy = p99(times)
        case.within("an honest ping", busy, max(2 * calm, 0.02))
    return f"{ends} sessions ended, honest p99 {busy * 1000:.1f} ms (calm {calm * 1000:.1f} ms)"


def _refuse(message: Message) -> Message | None:
    return Answered(n=message.n, label="") if isinstance(message, Succeed) else None


def _survived(client: Client, octets: bytes) -> bool:
    """Whether the session goes on after OCTETS."""
    sender = client._sender
    client._wire.allow(20)
    try:
        client._wire.write(sender.message(octets) + sender.message(messages.packed(Ping(n=MARK))))
        while client._next().n != MARK:
            pass
    except (Cut, OSError):
        return False
    return True


# 5, 6: who says nothing, or little


def silent(case: Case) -> str:
    """Open many connections and say nothing."""
    alice = Identity.new()
    with Half(process=True) as half, ExitStack() as stack:
        half.trusts(trusted(alice, "alice"))
        half.grants(grant())
        times = [_login(half, alice)]
        for number in range(case.many):
            connection = socket.socket()
            connection.bind((f"127.0.{1 + number % 200}.{1 + number % 250}", 0))
            connection.connect(half.address)
            stack.callback(connection.close)
            if number % max(1, case.many // 15) == 0:
                times.append(_login(half, alice))
                time.sleep(0.2 if case.full else 0.0)  # or it would exceed its own rate
        must(half.process is not None and half.process.poll() is None, "it died")
        case.within("an honest login", p99(times), 0.25)
    return f"honest login p99 {p99(times) * 1000:.0f} ms"


def slow(case: Case) -> str:
    """Send octets one by one, and half handshakes: all are cut off in time."""
    limits = Limits() if case.full else Limits(hello_seconds=0.5, handshake_seconds=1.0)
    most = limits.handshake_seconds
    with Half(limits=limits) as half, ExitStack() as stack:
        half.grants(grant(), **ROOM)
        half.report()
        pin = digest(half.identity.public)
        opened: list[tuple[socket.socket, bytes]] = []
        for number in range(case.many):
            hello = Initiator(terms(Identity.new()), pin).hello()
            connection = socket.create_connection(half.address, 10)
            stack.callback(connection.close)
            if number % 2:
                connection.sendall(hello + b"\0\xc5" + bytes(100))
            opened.append((connection, hello))
        begun = time.monotonic()
        left = dict(enumerate(opened))
        sent = 0
        while left and time.monotonic() - begun < most + 3:
            for number, (connection, hello) in list(left.items()):
                if _gone(connection, hello[sent : sent + 1] if not number % 2 else b""):
                    del left[number]
            sent += 1
            time.sleep(limits.hello_seconds / 20)
        took = time.monotonic() - begun
        must(not left, f"{len(left)} are still there after {took:.1f} s")
        case.within("to cut them all", took, most + 0.5)
    return f"all cut within {took:.1f} s"


def _gone(connection: socket.socket, octet: bytes) -> bool:
    """Whether the other end has hung up; else OCTET is sent."""
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        pass
    except OSError:
        return True
    else:
        return True
    with suppress(OSError):
        connection.send(octet)
    return False


# 7: handshakes in masses


def handshakes(case: Case) -> str:
    """Begin handshakes as fast as possible, from one address, then from 250."""
    alice = Identity.new()
    with Half(process=True) as half:
        half.trusts(trusted(alice, "alice"))
        half.grants(grant())
        _login(half, alice)
        worst, begun, seconds = 0.0, 0, 0.0
        for addresses in (1, 250):
            with _flooding(half, addresses, 10_000 if case.full else 1000) as count:
                times, start = [], time.monotonic()
                end = time.monotonic() + case.many * (1.0 if case.full else 0.5)
                while time.monotonic() < end:
                    try:
                        times.append(_login(half, alice))
                    except (Cut, OSError) as error:
                        counts = half.report()["counts"]
                        raise Broken(f"an honest login failed: {error}, {counts}") from None
                    time.sleep(0.25 if case.full else 0.1)
                seconds += time.monotonic() - start
            begun += count.value
            case.within(f"an honest login beside {addresses}", p99(times), 0.5)
            worst = max(worst, p99(times))
    return f"{begun / seconds:.0f} handshakes/s, honest p99 {worst * 1000:.0f} ms"


class _flooding:  # noqa: N801  # used as a verb
    """A process that begins handshakes with HALF from so many ADDRESSES."""

    def __init__(self, half: Half, addresses: int, rate: int) -> None:
        context = multiprocessing.get_context("fork")
        self.value: Any = context.Value("L", 0)
        self._process = context.Process(
            target=_begin,
            args=(half.address, digest(half.identity.public), (addresses, rate), self.value),
        )

    def __enter__(self) -> Any:
        self._process.start()
        time.sleep(0.2)
        return self.value

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _begin(address: tuple[str, int], pin: bytes, load: tuple[int, int], count: Any) -> None:
    """Begin handshakes for ever."""
    clear = Initiator(terms(Identity.new()), pin).hello()[:8]
    held: list[socket.socket] = []
    number, (addresses, rate) = 0, load
    begun = time.monotonic()
    while True:
        if number % 20 == 0:
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        connection = socket.socket()
        connection.bind((f"127.0.9.{1 + number % addresses}", 0))
        connection.setblocking(False)
        connection.connect_ex(address)
        held.append(connection)
        if len(held) > 50:
            old = held.pop(0)
            with suppress(OSError):
                ephemeral = os.urandom(32)  # as good a key as any other
                old.send(clear + gate(pin, clear, ephemeral) + ephemeral)
            old.close()
        number += 1
        count.value = number


# 8: a greedy friend


def greedy(case: Case) -> str:
    """One trusted peer asks as fast as it can; another one asks now and then."""
    alice, bob = Identity.new(), Identity.new()
    with Half(process=True) as half, ExitStack() as stack:
        half.trusts(trusted(alice, "alice"), trusted(bob, "bob"))
        half.grants(grant())
        half.own(*[f"class_{n}" for n in range(500)])
        honest = stack.enter_context(half.client(bob))
        calm = p99(_pings(honest, 20 * case.many))
        flooder = half.client(alice)
        flooder.log_in()
        context = multiprocessing.get_context("fork")
        process = context.Process(target=_ask_for_ever, args=(flooder,))
        process.start()
        time.sleep(0.2)
        busy = p99(_pings(honest, 20 * case.many))
        sessions = {s["peer"]: s["requests"] for s in half.report()["sessions"]}
        seconds = 20 * case.many * 0.05 + 1
        process.kill()
        process.join()
        flooder._wire.close()
        must(sessions[alice.id] < 60 + 25 * (seconds + 4), f"{sessions[alice.id]} were answered")
        case.within("an honest ping", busy, max(2 * calm, 0.02))
    return f"honest p99 {busy * 1000:.1f} ms (calm {calm * 1000:.1f} ms)"


def _ask_for_ever(client: Client) -> None:
    client._wire._socket.setblocking(True)
    while True:
        client._wire._socket.sendall(client._sender.message(messages.packed(messages.List(n=1))))


# 9: bombs


def bombs(case: Case) -> str:
    """Ask with the worst patterns that fit into a request, where there are many long names."""
    names = [f"{'a' * 240}_{n}" for n in range(300)]
    worst = 0.0
    alice = Identity.new()
    with Half(process=True) as half:
        half.trusts(trusted(alice, "alice"))
        half.grants(grant(), **ROOM)
        half.own(*names)
        with half.client(alice) as client:
            for number in range(case.many):
                globs = tuple(_bomb(case.random) for _ in range(64))
                begun = time.monotonic()
                client.ask(Pull(n=number + 1, globs=globs))
                worst = max(worst, time.monotonic() - begun)
        must(not _errors(half), "a mistake of ours")
    plain = _each(Globs(tuple("*b?" * 80 + "c" for _ in range(64))), names)
    case.within("300 long names", worst, 0.5)
    return f"300 names of 240 letters: {worst * 1000:.0f} ms; {plain * 1e6:.0f} µs each"


def _bomb(random: Random) -> str:
    return "".join(random.choice(("*", "?", "a", "*a", "a*")) for _ in range(120)) + "b"


def _each(globs: Globs, names: list[str]) -> float:
    begun = time.perf_counter()
    for name in names:
        globs.mean(name)
    return (time.perf_counter() - begun) / len(names)
