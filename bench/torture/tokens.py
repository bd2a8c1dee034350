"""Invitations: each opens once, in time, from where it is for."""

from __future__ import annotations

import tempfile
import threading
import time
from typing import TYPE_CHECKING

from bench.torture.handshakes import ROOM
from bench.torture.table import Case, must
from server.wire.inside import Answered, Enrol
from server.wire.keys import Identity
from server.wire.transport import Cut
from server.wire.trust import Store
from tests.server.halves import Half, grant, trusted

if TYPE_CHECKING:
    from server.wire.inside import Message

RACERS = 2


def tokens(case: Case) -> str:
    """Race for a token, use it again, come late, come from elsewhere."""
    kinds = {"race": _race, "again": _again, "late": _late, "elsewhere": _elsewhere}
    with tempfile.TemporaryDirectory() as directory, Half() as half:
        store = Store(f"{directory}/ppkeys", int(time.time()))
        store.create()

        def answer(message: Message) -> Message | None:
            if not isinstance(message, Enrol):
                return None
            peer = store.enrol(message.identity, message.token, message.address)
            return Answered(n=message.n, label=peer.label if peer else "")

        half.answer = answer
        half.trusts(trusted(Identity.new(), "other"), enrolling=True)
        half.grants(grant(), **ROOM)
        half.report()
        for number in range(case.many):
            name = case.random.choice(list(kinds)) if number >= len(kinds) else list(kinds)[number]
            must(kinds[name](half, store, f"peer{number}"), f"{name} (number {number})")
    return "0 second winners"


def _enters(half: Half, token: bytes) -> bool:
    """Whether a new host gets in with TOKEN."""
    try:
        with half.client(Identity.new(), token=token) as client:
            client.log_in()
    except (Cut, OSError):
        return False
    return True


def _race(half: Half, store: Store, label: str) -> bool:
    token = store.invite(label, (), 3600).token
    won: list[bool] = []
    ready = threading.Barrier(RACERS)

    def run() -> None:
        ready.wait()
        won.append(_enters(half, token))

    threads = [threading.Thread(target=run) for _ in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(won) == [False] * (RACERS - 1) + [True]


def _again(half: Half, store: Store, label: str) -> bool:
    token = store.invite(label, (), 3600).token
    return [_enters(half, token) for _ in range(3)] == [True, False, False]


def _late(half: Half, store: Store, label: str) -> bool:
    token = store.invite(label, (), 10).token
    store.now += 11
    return not _enters(half, token)


def _elsewhere(half: Half, store: Store, label: str) -> bool:
    token = store.invite(label, (), 3600, "10.0.0.0/8").token
    return not _enters(half, token)
