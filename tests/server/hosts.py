"""Hosts for the tests: identities, what they bring to a handshake, a server with a small table."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Self

from server.wire import messages
from server.wire.door import Door
from server.wire.handshake import Initiator, Proved, Responder, Terms, knock
from server.wire.keys import Credentials, Identity, digest
from server.wire.limits import Limits
from server.wire.serving import Serving, Table, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_800_000_000
CLASSES = ("backup_done", "nightly", "reports_done")


def terms(identity: Identity, *, now: int = NOW, psk: bytes = b"") -> Terms:
    """What the host with IDENTITY brings along at NOW."""
    return Terms(credentials=Credentials.new(identity, now), clock=now * 1000, psk=psk)


def met(alice: Terms, bob: Terms) -> tuple[Proved, Proved]:
    """What the two know of each other after ALICE connected to BOB."""
    pin = digest(bob.credentials.certificate.identity)
    initiator = Initiator(alice, pin)
    m1 = initiator.hello()
    knock(m1, pin, psk=bool(bob.psk))
    responder = Responder(bob, m1)
    m3, of_bob = initiator.finish(responder.reply())
    return of_bob, responder.finish(m3)


async def classes(request: messages.List, visit: Visit) -> messages.Classes:
    """Those that there are."""
    return messages.Classes(n=request.n, names=CLASSES)


async def pong(request: messages.Ping, visit: Visit) -> messages.Pong:
    """The time."""
    return messages.Pong(n=request.n, clock=int(time.time() * 1000))


async def never(request: messages.Variable, visit: Visit) -> messages.Found:
    """Nothing, for a long time."""
    await asyncio.sleep(60)
    return messages.Found(n=request.n, value=b"")


async def mistaken(request: messages.Unsubscribe, visit: Visit) -> messages.Done:
    """What a handler of ours should not do."""
    raise LookupError("a mistake of ours")


HANDLERS: Table = {
    messages.List: classes,
    messages.Ping: pong,
    messages.Variable: never,
    messages.Unsubscribe: mistaken,
}


class Host:
    """A server in a thread of its own; everyone in TRUSTED may come in."""

    def __init__(
        self, *trusted: Identity, limits: Limits | None = None, psk: bytes = b"",
        token: bytes = b"", handlers: Table = HANDLERS,
    ) -> None:  # fmt: skip
        self.identity = Identity.new()
        self.pin = digest(self.identity.public)
        self.trusted = {identity.public: f"peer{n}" for n, identity in enumerate(trusted)}
        self.said: list[tuple[str, str]] = []
        self.limits = limits or Limits()
        self._psk = psk
        self._token = token
        self._handlers = handlers
        self.address = ("", 0)
        self.loop = asyncio.new_event_loop()
        self.door: Door

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,))
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self.loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def do(self, what: Callable[[], object]) -> None:
        """Have WHAT called in the server's thread."""
        self.loop.call_soon_threadsafe(what)

    def called(self, what: Callable[[], int]) -> int:
        """What WHAT comes to in the server's thread."""

        async def call() -> int:
            return what()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    async def judge(self, proved: Proved, address: str) -> str | None:
        """The label of a trusted peer, or of one who has our token."""
        if self._token and proved.token == self._token:
            self._token = b""
            self.trusted[proved.identity] = "invited"
        return self.trusted.get(proved.identity)

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._begin())
            started.set()
            self.loop.run_forever()
            runner.run(self.door.close())

    async def _begin(self) -> None:
        serving = Serving(self._handlers, self.limits)
        self.door = Door(
            lambda: terms(self.identity, now=int(time.time()), psk=self._psk),
            self.judge, serving.serve, lambda *said: self.said.append(said), self.limits,
        )  # fmt: skip
        self.address = await self.door.listen("127.0.0.1", 0)


def until(holds: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether HOLDS comes to hold within SECONDS."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
