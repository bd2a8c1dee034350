"""What peers may ask, and what they are answered: the table of PROTOCOL.md §4.

Only what the grants allow this peer at this moment; `no` is said of what is not there and of what
is not granted alike.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from server.access import Decision
from server.hub import AROUND, Subscription, said
from server.wire import messages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.hub import Caller, Hub
    from server.wire.serving import Said, Table, Visit

MOST_NAMES = 1000
MOST_SUBSCRIPTIONS = 4
LARGEST_VALUE = 48 * 1024

Handle: TypeAlias = "Callable[[Hub, Any, Caller], Said | Awaitable[Said]]"


def ping(hub: Hub, request: messages.Ping, caller: Caller) -> messages.Pong:
    """What time it is here."""
    return messages.Pong(n=request.n, clock=hub.clock())


def names(hub: Hub, request: messages.List, caller: Caller) -> messages.Classes:
    """The classes that are set, a page of them."""
    found = hub.names_for(caller)
    if not found:
        hub.note_hidden(caller, "list", hub.globs(("*",)))
    begin = bisect_right(found, request.after)
    page = found[begin : begin + MOST_NAMES]
    room = caller.visit.session.room - AROUND
    if room < MOST_NAMES * 258:
        page = _fitting(page, room)
    return messages.Classes(n=request.n, names=tuple(page), more=begin + len(page) < len(found))


def variable(hub: Hub, request: messages.Variable, caller: Caller) -> messages.Answer:
    """The value of a variable when the policy was evaluated, as JSON."""
    decision = hub.grants.decide(caller.peer, "variable", request.name)
    value = hub.grants.value("variable", request.name) if decision.allowed else None
    return _valued(
        hub, request, caller, (request.name, decision, None if value is None else json.dumps(value))
    )


def literal(hub: Hub, request: messages.Literal, caller: Caller) -> messages.Answer:
    """The text with a handle."""
    decision = hub.grants.decide(caller.peer, "literal", request.handle)
    value = hub.grants.value("literal", request.handle) if decision.allowed else None
    return _valued(hub, request, caller, (request.handle, decision, value))


def pull(
    hub: Hub, request: messages.Pull, caller: Caller
) -> messages.Signals | Awaitable[messages.Signals]:
    """Signals behind a cursor; if there are none, the next ones."""
    globs = hub.globs(request.globs)
    hub.note_hidden(caller, "pull", globs)
    position = hub.behind(caller, (request.epoch, request.after), request.view)
    batch = hub.batch(caller, globs, position, request.limit)
    if batch.signals or batch.more or not request.wait:
        return said(request.n, batch, caller.view, hub.clock())
    return _next(hub, request, caller)


async def _next(hub: Hub, request: messages.Pull, caller: Caller) -> messages.Signals:
    """As `pull`, when there is something or its time is over."""
    loop = asyncio.get_running_loop()
    globs = hub.globs(request.globs)
    position = (request.epoch, request.after)
    end = loop.time() + request.wait
    while True:
        caller.waits = loop.create_future()
        try:
            async with asyncio.timeout_at(end):
                await caller.waits
        except TimeoutError:
            pass
        finally:
            caller.waits = None
        begin = hub.behind(caller, position, request.view)
        batch = hub.batch(caller, globs, begin, request.limit)
        if batch.signals or batch.more or loop.time() >= end:
            return said(request.n, batch, caller.view, hub.clock())


def subscribe(hub: Hub, request: messages.Subscribe, caller: Caller) -> Said:
    """Signals behind a cursor, and all that follow."""
    others = tuple(other for other in caller.subscriptions if other.n != request.n)
    if len(others) >= MOST_SUBSCRIPTIONS:
        return messages.Failed(n=request.n, code="busy")
    globs = hub.globs(request.globs)
    hub.note_hidden(caller, "subscribe", globs)
    position = hub.behind(caller, (request.epoch, request.after), request.view)
    made = Subscription(request.n, globs, position)
    caller.subscriptions = (*others, made)  # the visit calls flush as soon as this is done
    return None


def ack(hub: Hub, request: messages.Ack, caller: Caller) -> None:
    """What the peer has on its disk."""
    for subscription in caller.subscriptions:
        if subscription.n == request.n:
            subscription.acked = max(subscription.acked, (request.epoch, request.upto))


def unsubscribe(hub: Hub, request: messages.Unsubscribe, caller: Caller) -> messages.Done:
    """No more of it."""
    caller.subscriptions = tuple(
        other for other in caller.subscriptions if other.n != request.which
    )
    return messages.Done(n=request.n)


async def rotate(hub: Hub, request: messages.Rotate, caller: Caller) -> messages.Answer:
    """The peer's key has a successor."""
    label = await hub.succeed(caller.peer.key, request.statement)
    if label:
        return messages.Done(n=request.n)
    return messages.Failed(n=request.n, code="no")


# request: what answers it, and whether host names have to be known for that
HANDLERS: dict[type[messages.Request], tuple[Handle, bool]] = {
    messages.Ping: (ping, False),
    messages.List: (names, True),
    messages.Variable: (variable, True),
    messages.Literal: (literal, True),
    messages.Pull: (pull, True),
    messages.Subscribe: (subscribe, True),
    messages.Ack: (ack, False),
    messages.Unsubscribe: (unsubscribe, False),
    messages.Rotate: (rotate, False),
}


def table(hub: Hub) -> Table:
    """The handlers, for sessions that share HUB. `goaway` is answered by the session itself."""
    return {kind: partial(_handled, hub, *row) for kind, row in HANDLERS.items()}


def _handled(
    hub: Hub, handle: Handle, judged: bool, request: messages.Request, visit: Visit
) -> Said | Awaitable[Said]:
    """What REQUEST comes to."""
    caller = hub.caller(visit)
    if judged and not caller.settled:
        return _settled(hub, handle, request, caller)
    return handle(hub, request, caller)


async def _settled(hub: Hub, handle: Handle, request: messages.Request, caller: Caller) -> Said:
    """As `_handled`, once the host names of CALLER are known."""
    await hub.settle(caller)
    found = handle(hub, request, caller)
    return found if found is None or isinstance(found, messages.Answer) else await found


def _valued(
    hub: Hub, request: messages.Variable | messages.Literal, caller: Caller,
    found: tuple[str, Decision, str | None],
) -> messages.Answer:  # fmt: skip
    """The answer with a value, or none: what was FOUND under a name."""
    name, decision, value = found
    if value is None:
        if decision.allowed:
            decision = Decision(False, "it is granted and has no value", decision.rule)
        hub.denied(caller, type(request).__name__.lower(), name, decision)
        return messages.Failed(n=request.n, code="no")
    octets = value.encode("utf-8", "surrogateescape")
    if len(octets) > min(LARGEST_VALUE, caller.visit.session.room - AROUND):
        return messages.Failed(n=request.n, code="large")
    return messages.Found(n=request.n, value=octets)


def _fitting(page: list[str], room: int) -> list[str]:
    """The beginning of PAGE that fits into ROOM octets."""
    for count, name in enumerate(page):
        room -= len(name) + 3
        if room < 0:
            return page[:count]
    return page
