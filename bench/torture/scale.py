"""Many classes, many sessions, many questions."""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench import serverd
from bench.torture.handshakes import ROOM
from bench.torture.table import Case, must, p99
from server.wire import messages
from server.wire.keys import Identity
from server.wire.messages import List, Ping, Pull, Subscribe
from server.wire.signals import verified
from server.wire.transport import Cut
from tests.server.halves import Half, grant, seen, trusted

if TYPE_CHECKING:
    from server.wire.client import Client
    from server.wire.inside import Trusted

ALL = ("*",)


def _peopled(half: Half, stack: ExitStack, count: int) -> list[tuple[Trusted, Client]]:
    """So many subscribed peers of HALF."""
    identities = [Identity.new() for _ in range(count)]
    peers = [trusted(identity, f"peer{n}") for n, identity in enumerate(identities)]
    half.trusts(*peers)
    found = []
    for identity, peer in zip(identities, peers, strict=True):
        client = half.client(identity)
        stack.callback(client._wire.close)
        client.ask(Subscribe(n=1, globs=ALL))
        found.append((peer, client))
    return found


# 10: queries


def queries(case: Case) -> str:
    """Ask again and again where there are 10,000 classes, and watch the memory of the server."""
    alice = Identity.new()
    with Half(process=True) as half, ExitStack() as stack:
        half.trusts(trusted(alice, "alice"))
        half.grants(grant(), **ROOM)
        half.own(*[f"class_{n:05}" for n in range(10_000)], life=3600.0 * 24)
        client = stack.enter_context(half.client(alice))
        size = 0
        for number in range(case.many):
            if number == case.many // 3:
                size = serverd.memory(half.pid)
            after = f"class_{case.random.randrange(10_000):05}"
            client.ask(List(n=1, after=after) if number % 2 else Pull(n=1, globs=ALL, limit=5))
        grown = serverd.memory(half.pid) - size
    slope = grown / (case.many * 2 / 3)
    must(grown < 2e6 if not case.full else slope < 1, f"{slope:.2f} B a query")
    return f"{slope:.2f} B a query ({grown / 1000:+.0f} kB)"


# 11: complete


def complete(case: Case) -> str:
    """Ask for all classes, by list, by pull and by subscription."""
    names = sorted(f"class_{case.random.randrange(10**9)}_{n}" for n in range(case.many))
    alice = Identity.new()
    with Half(process=True) as half, ExitStack() as stack:
        half.trusts(trusted(alice, "alice"))
        half.grants(grant(), **ROOM)
        half.own(*names, life=3600.0)
        client = stack.enter_context(half.client(alice))
        begun = time.monotonic()
        must(_listed(client) == names, "the list is not complete")
        took = time.monotonic() - begun
        must(_pulled(client) == names, "what was pulled is not complete")
        answer = client.ask(Subscribe(n=1, globs=ALL))
        found = seen(answer)
        while isinstance(answer, messages.Signals) and answer.more:
            answer = client._next()
            found += seen(answer)
        must(found == names, "what was subscribed to is not complete")
    return f"list of {len(names):,} in {took * 1000:.0f} ms"


def _listed(client: Client) -> list[str]:
    found: list[str] = []
    while True:
        answer = client.ask(List(n=client.number(), after=found[-1] if found else ""))
        must(isinstance(answer, messages.Classes), f"{answer}")
        if isinstance(answer, messages.Classes):
            found += answer.names
            if not answer.more:
                return found


def _pulled(client: Client) -> list[str]:
    found: list[str] = []
    epoch = after = view = 0
    while True:
        answer = client.ask(Pull(n=1, globs=ALL, epoch=epoch, after=after, view=view))
        found += seen(answer)
        if not isinstance(answer, messages.Signals) or not answer.more:
            return found
        epoch, after, view = answer.epoch, answer.upto, answer.view


# 17: what changes while many are there


def revoke(case: Case) -> str:
    """Take away one key, then one grant, while many sessions are open."""
    with Half(process=True) as half, ExitStack() as stack:
        half.grants(grant("a_.*"), grant("b_.*"), **ROOM)
        half.own("a_0", "b_0")
        people = _peopled(half, stack, case.many)
        gone, others = people[0][1], [client for _, client in people[1:]]
        begun = time.monotonic()
        half.trusts(*[peer for peer, _ in people[1:]])
        try:
            gone._wire.allow(10)
            gone._next()
        except (Cut, OSError):
            pass
        cut = time.monotonic() - begun
        case.within("to cut off a removed key", cut, 1.0)
        begun = time.monotonic()
        half.grants(grant("a_.*"), **ROOM)
        must(listed := others[-1].ask(Ping(n=9)), "no answer")
        for client in others:
            client._wire.allow(20)
            while not isinstance(said := client.ask(List(n=8)), messages.Classes):
                pass
            must(said.names == ("a_0",), f"still {said.names}, {listed}")
        changed = time.monotonic() - begun
        per = changed / len(others)
        half.own("b_1", "a_1")
        for client in others:
            client._wire.allow(20)
            while not (found := seen(client._next())):
                pass
            must(found == ["a_1"], f"told of {found}")
    case.within("a change of grants", per, 1.0)
    return f"cut after {cut * 1000:.0f} ms; changed grants hold at once, {len(others)} untouched"


# 22: push


def push(case: Case) -> str:
    """Set a class and see when each subscriber has it, verified.

    Each is a host of its own, and here they share one processor: so what they read is verified when
    all have it, and for each only the time counts that it would have taken itself.
    """
    with Half(process=True) as half, ExitStack() as stack:
        half.grants(grant(), **ROOM)
        half.own("before")  # as on a host that runs: who may see what is decided at the first class
        people = [client for _, client in _peopled(half, stack, case.many)]
        poll = select.epoll()
        stack.callback(poll.close)
        by_number = {client._wire._socket.fileno(): client for client in people}
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        loops, times = [], []
        spent = serverd.cpu(half.pid)
        for turn in range(3):
            arrived = []
            begun = time.monotonic()
            half.own(f"now_{turn}")
            waiting = len(people)
            while waiting:
                for number, _ in poll.poll(20):
                    client = by_number[number]
                    client._wire.allow(20)
                    (signed,) = _signals(client)
                    arrived.append((time.monotonic() - begun, signed))
                    waiting -= 1
            loops.append(time.monotonic() - begun)
            for after, signed in arrived:
                begun = time.monotonic()
                verified(half.identity.public, signed)
                times.append(after + time.monotonic() - begun)
        each = (serverd.cpu(half.pid) - spent) / 3 / case.many
    most = 0.2 if case.many <= 1000 else 0.6
    spending = f"{each * 1e6:.0f} µs of a processor for each"
    case.within(f"a push to all, {spending}", p99(times), most)
    return f"p99 {p99(times) * 1000:.0f} ms, all within {max(loops) * 1000:.0f} ms, {spending}"


def _signals(client: Client) -> tuple[messages.Signed, ...]:
    answer = client._next()
    must(isinstance(answer, messages.Signals), f"{answer}")
    return answer.signals if isinstance(answer, messages.Signals) else ()


# 24: start


def start(case: Case) -> str:
    """How long until it listens, and what it takes then."""
    times, spent = [], 0.0
    for _ in range(5):
        begun = time.monotonic()
        with Half(process=True) as half:
            socket.create_connection(half.address, 5).close()
            times.append(time.monotonic() - begun)
            spent += serverd.cpu(half.pid) / 5
    with Half(process=True) as half, ExitStack() as stack:
        half.grants(grant(), **ROOM)
        half.own("a", "b")
        _peopled(half, stack, 10)
        before = serverd.memory(half.pid)
        _peopled(half, stack, case.many)
        each = (serverd.memory(half.pid) - before) / case.many
    took = sorted(times)[2]
    case.within(f"to start, {spent * 1000:.0f} ms of a processor", took, 0.150)
    must(before < 40e6, f"{before / 1e6:.0f} MB")
    must(each < 6000 or not case.full, f"{each:.0f} B a session")
    return (
        f"{took * 1000:.0f} ms ({spent * 1000:.0f} ms of a processor), {before / 1e6:.1f} MB, "
        f"{each:.0f} B a session"
    )
