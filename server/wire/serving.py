"""One session, from its first request to its end: parse, weigh, look up, handle, answer.

Octets become a request only here, and a request reaches only the handler in the row of its type.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from server.wire import messages
from server.wire.limits import Buckets, Limits
from server.wire.stream import SigwireSession
from server.wire.transport import Cut

TICK = 0.01  # what a timer may be early
Handler = Callable[[Any, SigwireSession], Awaitable[messages.Answer | None]]
Table = Mapping[type[messages.Request], Handler]


class Serving:
    """What all sessions share: TABLE, who answers what, and the rates of the peers."""

    def __init__(self, table: Table, limits: Limits) -> None:
        self._table = table
        self._limits = limits
        self._rates = Buckets(limits.requests, limits.remembered)

    async def serve(self, session: SigwireSession) -> None:
        """Answer what SESSION asks until it ends. Raises Cut."""
        end = time.monotonic() + self._limits.session_seconds
        while (request := await self._next(session, end)) is not None:
            answer = await self._answer(request, session)
            if answer is not None:
                await session.send(messages.packed(answer))
        await session.end()

    async def _next(self, session: SigwireSession, end: float) -> messages.AnyRequest | None:
        """What SESSION asks next; None if it is over. Raises Cut."""
        limits = self._limits
        idle = limits.subscribed_seconds if session.subscribed else limits.idle_seconds
        try:
            octets = await session.receive(max(0.0, min(idle, end - time.monotonic())))
        except TimeoutError:
            await session.send(messages.packed(messages.Leaving()))
            return None
        if octets is None:
            return None
        try:
            request = messages.request(octets)
        except messages.BadMessage as error:
            session.cut()
            raise Cut(str(error)) from None
        return None if isinstance(request, messages.GoAway) else request

    async def _answer(
        self, request: messages.AnyRequest, session: SigwireSession
    ) -> messages.Answer | None:
        """What REQUEST comes to; None if nothing is to be said."""
        handle = self._table.get(type(request))
        if handle is None:
            return messages.Failed(n=request.n, code="unsupported")
        if not await self._affords(session.peer.id, messages.weight(request)):
            return messages.Failed(n=request.n, code="busy")
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                return await handle(request, session)
        except TimeoutError:
            return messages.Failed(n=request.n, code="late")

    async def _affords(self, peer: str, weight: float) -> bool:
        """Whether PEER may ask for so much, perhaps after a short wait."""
        wait = self._rates.take(peer, weight, time.monotonic())
        if not 0 < wait <= self._limits.delay_seconds:
            return wait == 0
        await asyncio.sleep(wait + TICK)
        return self._rates.take(peer, weight, time.monotonic()) == 0
