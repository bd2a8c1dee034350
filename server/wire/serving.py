"""Sessions that are served: parse, weigh, look up, handle, answer.

Octets become a request only here, and a request reaches only the handler in the row of its type.
No task waits for an idle session: it is called when something comes, and one timer looks after it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from server.wire import messages
from server.wire.limits import Buckets, Limits
from server.wire.stream import SigwireSession
from server.wire.transport import Cut

TICK = 0.01  # what a timer may be early
Said: TypeAlias = messages.Answer | None
Handler: TypeAlias = Callable[[Any, "Visit"], Said | Awaitable[Said]]
Table: TypeAlias = Mapping[type[messages.Request], Handler]
Over: TypeAlias = Callable[[SigwireSession, str], None]  # once: why it ended, "" in good order


class Guest(Protocol):
    """What those who answer keep of a visit."""

    @property
    def subscribed(self) -> bool:
        """Whether it is told of what it does not ask for each time."""

    def flush(self) -> None:
        """More can be sent."""

    def leave(self) -> None:
        """The visit has ended."""


class Serving:
    """What all sessions share: TABLE, who answers what, and the rates of the peers.

    UNBOUND tells whether an address has no rate.
    """

    def __init__(
        self, table: Table, limits: Limits, unbound: Callable[[str], bool] = lambda address: False
    ) -> None:
        self.table = table
        self.limits = limits
        self.unbound = unbound
        self.rates = Buckets(limits.requests, limits.remembered)
        self.visits: set[Visit] = set()

    def serve(self, session: SigwireSession, over: Over) -> None:
        """Answer what SESSION asks until it ends."""
        Visit(self, session, over).begin()


class Visit:
    """A session with a peer who came to us: one request at a time, in order."""

    __slots__ = (
        "_begun", "_heard", "_over", "_pending", "_serving", "_started", "_stuck",
        "_timer", "_unbound", "asked", "guest", "session",
    )  # fmt: skip

    def __init__(self, serving: Serving, session: SigwireSession, over: Over) -> None:
        self.session = session
        self.asked = 0  # requests so far
        self.guest: Guest | None = None
        self._serving = serving
        self._over: Over | None = over
        self._unbound = serving.unbound(session.peer.address)
        now = self._begun = self._heard = time.monotonic()
        self._started = self._stuck = 0.0  # since when, 0 if not
        self._pending: asyncio.Task[Said] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watch(now)

    def begin(self) -> None:
        """Answer from now on."""
        self._serving.visits.add(self)
        self.session.attend(self._hear)
        self._hear()

    @property
    def over(self) -> bool:
        """Whether it is over."""
        return self._over is None

    @property
    def ready(self) -> bool:
        """Whether the peer takes what is sent to it."""
        return self._over is not None and not self.session.pipe.stuck

    def push(self, answer: messages.Answer) -> None:
        """Send what nobody waits for right now. Who calls looks at `ready` first."""
        if self._over is None:
            return
        try:
            self._put(answer)
        except Cut:
            self.end("cut")
        else:
            if self.session.pipe.stuck:
                self._note_waits()

    def bid_farewell(self) -> None:
        """End it in good order, and say so before."""
        self.push(messages.Leaving())
        self.end("", finish=True)

    def end(self, reason: str, *, finish: bool = False) -> None:
        """Be over, once: REASON, and by FINAL if it is in good order."""
        over, self._over = self._over, None
        if over is None:
            return
        self._serving.visits.discard(self)
        self.session.attend(None)
        if self._timer is not None:
            self._timer.cancel()
        if self._pending is not None:
            self._pending.cancel()
        if finish:
            self.session.finish()
        else:
            self.session.cut()
        guest, self.guest = self.guest, None
        if guest is not None:
            guest.leave()
        over(self.session, reason)

    # what the session calls

    def _hear(self) -> None:
        """Something came, went, or nothing more can."""
        try:
            self._read()
        except Cut:
            self.end("cut")
        except Exception as error:
            self._mistaken(error)

    def _read(self) -> None:
        """Answer what is there, as far as the peer takes it. Raises Cut."""
        session = self.session
        pipe = session.pipe
        while self._pending is None and not pipe.stuck:
            octets = session.heard()
            if octets is None:
                break
            self._heard = time.monotonic()
            self._ask(octets)
            if self._over is None:
                return
        if self._pending is None and session.ended:
            self.end("", finish=True)
            return
        if pipe.ended:
            raise Cut("the connection ended")
        if pipe.stuck or self._stuck or self._started or session.started:
            self._note_waits()
        if self.guest is not None and self.guest.subscribed and not pipe.stuck:
            self.guest.flush()

    def _ask(self, octets: bytes) -> None:
        """Answer the request in OCTETS, or begin to. Raises Cut."""
        try:
            request = messages.request(octets)
        except messages.BadMessage as error:
            raise Cut(str(error)) from None
        if type(request) is messages.GoAway:
            self.end("", finish=True)
            return
        self.asked += 1
        handle = self._serving.table.get(type(request))
        if handle is None:
            self._put(messages.Failed(n=request.n, code="unsupported"))
            return
        wait = 0.0 if self._unbound else self._wait(messages.weight(request))
        said = handle(request, self) if not wait else self._later(request, handle, wait)
        if said is None or isinstance(said, messages.Answer):
            self._say(said)
        else:
            self._await(request, said)

    def _wait(self, weight: float) -> float:
        return self._serving.rates.take(self.session.peer.id, weight, time.monotonic())

    async def _later(self, request: messages.AnyRequest, handle: Handler, wait: float) -> Said:
        """What REQUEST comes to when its sender may ask again."""
        if wait > self._serving.limits.delay_seconds:
            return messages.Failed(n=request.n, code="busy")
        await asyncio.sleep(wait + TICK)
        if self._wait(messages.weight(request)):
            return messages.Failed(n=request.n, code="busy")
        said = handle(request, self)
        return said if said is None or isinstance(said, messages.Answer) else await said

    def _await(self, request: messages.AnyRequest, said: Awaitable[Said]) -> None:
        """Answer REQUEST when there is an answer."""

        async def answer() -> Said:
            try:
                async with asyncio.timeout(self._serving.limits.request_seconds):
                    return await said
            except TimeoutError:
                return messages.Failed(n=request.n, code="late")

        self._pending = asyncio.get_running_loop().create_task(answer())
        self._pending.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[Said]) -> None:
        """What took a while is done."""
        self._pending = None
        if task.cancelled() or self._over is None:
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._mistaken(error)
            return
        try:
            self._say(task.result())
        except Cut:
            self.end("cut")
            return
        self._hear()

    def _say(self, answer: Said) -> None:
        if answer is not None and self._over is not None:
            self._put(answer)

    def _put(self, answer: messages.Answer) -> None:
        """Send ANSWER. Raises Cut."""
        self.session.put(messages.packed(answer))

    def _mistaken(self, error: Exception) -> None:
        """A mistake of ours ends this session, and nothing else."""
        self.end(f"error: {error!r}")
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a mistake in an answer", "exception": error}
        )

    # time

    def _note_waits(self) -> None:
        """Note since when the peer keeps us waiting."""
        now = time.monotonic()
        if not self.session.started:
            self._started = 0.0
        elif not self._started:
            self._started = now
            self._watch(now + self._serving.limits.message_seconds)
        if not self.session.pipe.stuck:
            self._stuck = 0.0
        elif not self._stuck:
            self._stuck = now
            self._watch(now + self._serving.limits.write_seconds)

    def _watch(self, due: float) -> None:
        """Have the timer go off at DUE, if not before."""
        if self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(due, self._tick)

    def _tick(self) -> None:
        """See whether the session has waited too long for anything."""
        self._timer = None
        limits = self._serving.limits
        now = time.monotonic()
        self._note_waits()
        subscribed = self.guest is not None and self.guest.subscribed
        idle = limits.subscribed_seconds if subscribed else limits.idle_seconds
        end = self._begun + limits.session_seconds
        still = (
            min(self._heard + idle, end)
            if self._pending is None
            else min(now, end) + limits.request_seconds  # who always asks ends, too
        )
        urgent = min(
            self._started + limits.message_seconds if self._started else still,
            self._stuck + limits.write_seconds if self._stuck else still,
        )
        if urgent < still and urgent <= now:
            self.end("cut")
        elif still <= now:
            self.bid_farewell()
        else:
            self._watch(min(urgent, still))
