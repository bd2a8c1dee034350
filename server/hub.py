"""What all sessions share: what is granted, the log, who may see what of it, who waits for more."""

from __future__ import annotations

import asyncio
import time
from hashlib import blake2b
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from server.access import Decision, Grants, Sort
from server.grants import Control, Document
from server.names import THREADS, Names
from server.signals import START, Log, Position
from server.who import Peer
from server.wire import messages
from server.wire.globs import Globs
from server.wire.inside import Noted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from server.audit import Auditor
    from server.wire.inside import Own, Trusted
    from server.wire.messages import Signed
    from server.wire.serving import Visit

MOST_SIGNALS = 512  # in a message
MOST_OCTETS = 48 * 1024
AROUND = 96  # octets that a signal or a message has beside what it carries, at most
SCAN = 8192  # signals looked at in one go
IN_A_ROW = 4  # messages to one peer before others have their turn
CROWD = 512  # peers that are told of something before anything else has its turn
HIDDEN = 64  # names that are looked through for what to write into the log
LISTS = 64
GLOBS = 1024  # lists of globs that are remembered
NOTHING = Document(format=1, policy="", files=(), control=Control(), access=(), roles=())


class Batch(NamedTuple):
    """Signals for one peer, and up to where there is nothing else for it."""

    signals: tuple[Signed, ...]
    end: Position
    more: bool


class Subscription:
    """What a peer is to be told of: a cursor in the log that all share."""

    __slots__ = ("acked", "globs", "n", "position", "told")

    def __init__(self, n: int, globs: Globs, position: Position) -> None:
        self.n = n
        self.globs = globs
        self.position = position
        self.acked = START
        self.told = False  # that it exists


class Caller:
    """A visiting peer as the grants see it, and what it waits for; the guest of its VISIT."""

    __slots__ = ("_hub", "peer", "settled", "subscriptions", "view", "visit", "waits")

    def __init__(self, hub: Hub, visit: Visit, peer: Peer) -> None:
        self._hub = hub
        self.visit = visit
        self.peer = peer
        self.view = 0
        self.settled = True  # its host names are known, or do not matter
        self.subscriptions: tuple[Subscription, ...] = ()
        self.waits: asyncio.Future[None] | None = None

    @property
    def subscribed(self) -> bool:
        """Whether it is told of what it does not ask for each time."""
        return bool(self.subscriptions)

    def flush(self) -> None:
        """More can be sent."""
        self._hub.flush(self)

    def leave(self) -> None:
        """The visit has ended."""
        self._hub.left(self)


class Hub:
    """All of it. CLOCK is the wall clock of this host, in milliseconds."""

    def __init__(
        self, auditor: Auditor, clock: Callable[[], int], names: Names | None = None
    ) -> None:
        self.clock = clock
        self.grants = Grants(NOTHING)
        self.trust: dict[str, Trusted] = {}
        self.log = Log()
        self.names = names or Names()
        self.callers: dict[Visit, Caller] = {}
        self.rolled_back: Callable[[str, Position], None] = lambda peer, position: None
        self.succeed: Callable[[str, bytes], Awaitable[str]] = _nobody
        self._auditor = auditor
        self._digest = b""
        self._labels: frozenset[str] = frozenset()
        self._hosts_matter = False
        self._refreshing = False  # whether host names are looked up again
        self._globs: dict[tuple[str, ...], Globs] = {}
        self._sorted: tuple[Grants, list[str]] | None = None  # what the next two are of
        self._of_sort: dict[Sort, list[str]] = {}
        self._lists: dict[frozenset[Sort], list[str]] = {}
        self._visible: dict[Caller, list[str]] = {}

    # who comes and goes

    def caller(self, visit: Visit) -> Caller:
        """The caller that VISIT is, from its first request on."""
        found = self.callers.get(visit)
        if found is None:
            found = Caller(self, visit, self._peer(visit))
            self._look(found)
            self.callers[visit] = visit.guest = found
        return found

    def left(self, caller: Caller) -> None:
        """Forget CALLER."""
        self.callers.pop(caller.visit, None)
        self._visible.pop(caller, None)
        if caller.waits is not None:
            caller.waits.cancel()

    def _peer(self, visit: Visit, before: tuple[str, ...] = ()) -> Peer:
        """Who VISIT is with, as far as is known now; BEFORE are the host names that it had."""
        who = visit.session.peer
        known = self.trust.get(who.id)
        hosts = self.names.known(who.address) if self._hosts_matter else ()
        hosts = before if hosts is None else hosts
        return Peer(who.id, (who.address,), hosts, (known.label if known else who.label,))

    def _look(self, caller: Caller) -> None:
        """Settle who CALLER is and what its view is, as far as that is known now."""
        caller.peer = self._peer(caller.visit, caller.peer.hosts)
        self._visible.pop(caller, None)
        address = caller.visit.session.peer.address
        caller.settled = not self._hosts_matter or self.names.known(address) is not None
        caller.view = self._view(caller.peer)

    async def settle(self, caller: Caller) -> None:
        """Have the host names of CALLER known."""
        await self.names.of(caller.visit.session.peer.address)
        self._reconsider([caller], self.grants)

    def stale(self) -> list[Caller]:
        """Who is told of what it does not ask for, by host names that are to be looked up again;
        nobody while that is done."""
        if not self._hosts_matter or self._refreshing:
            return []
        return [
            caller for caller in self.callers.values()
            if (caller.subscriptions or caller.waits is not None)
            and self.names.known(caller.visit.session.peer.address) is None
        ]  # fmt: skip

    async def refresh(self, callers: list[Caller]) -> None:
        """Have the host names of CALLERS looked up again, of a few at a time."""
        self._refreshing = True
        try:
            for at in range(0, len(callers), THREADS):
                some = callers[at : at + THREADS]
                found = {caller.visit.session.peer.address for caller in some}
                await asyncio.gather(*[self.names.of(address) for address in found])
                self._reconsider(some, self.grants)
        finally:
            self._refreshing = False

    def _view(self, peer: Peer) -> int:
        what = repr((peer.key, peer.addresses, peer.hosts, peer.labels)).encode()
        return int.from_bytes(blake2b(self._digest + what, digest_size=8).digest()) >> 1 or 1

    # what comes from the executor

    def granted(self, grants: Grants) -> None:
        """From now on GRANTS hold."""
        before, self.grants = self.grants, grants
        context = [
            (grant.name, grant.admit, grant.admit_hostnames, grant.admit_ips, grant.admit_keys,
             grant.deny, grant.deny_hostnames, grant.deny_ips, grant.deny_keys)
            for grant in grants.document.access if grant.type == "context"
        ]  # fmt: skip
        self._digest = blake2b(repr(context).encode()).digest()
        self._hosts_matter = grants.needs_hosts(self._labels)
        self._reconsider(self.callers.values(), before)

    def trusted(self, peers: Iterable[Trusted]) -> None:
        """These may come in."""
        self.trust = {peer.id: peer for peer in peers}
        self._labels = frozenset(peer.label.lower() for peer in self.trust.values())
        self._hosts_matter = self.grants.needs_hosts(self._labels)
        self._reconsider(self.callers.values(), self.grants)

    def own(self, own: Own) -> None:
        """The log has grown. Raises BadSignal."""
        if own.afresh:
            self.log = Log()
        self.log.append(own, time.monotonic(), self.clock())
        if own.afresh:
            for caller in self.callers.values():
                for subscription in caller.subscriptions:
                    if subscription.position > self.log.end:
                        subscription.position = START
        self._spread(list(self.callers.values()))

    def _spread(self, callers: list[Caller]) -> None:
        """Tell CALLERS what there is for them; many of them in several goes."""
        for caller in callers[:CROWD]:
            self.flush(caller)
        if len(callers) > CROWD:
            asyncio.get_running_loop().call_soon(self._spread, callers[CROWD:])

    def _reconsider(self, callers: Collection[Caller], before: Grants) -> None:
        """Let what is known of CALLERS hold, and tell them what they newly may see."""
        pairs: dict[tuple[Sort, Sort], list[str]] = {}
        telling = any(caller.subscriptions for caller in callers)
        for name in self.log.classes() if telling else ():
            pair = (before.sort("context", name), self.grants.sort("context", name))
            pairs.setdefault(pair, []).append(name)
        changed = []
        for caller in callers:
            peer, view = caller.peer, caller.view
            self._look(caller)
            if caller.view != view or caller.peer != peer:
                new = [
                    names for (old, now), names in pairs.items()
                    if _allowed(self.grants.of_sort(caller.peer, now))
                    and not _allowed(before.of_sort(peer, old))
                ]  # fmt: skip
                _begin_again(caller, new)
                changed.append(caller)
        self._spread(changed)

    # what peers may see

    def may(self, caller: Caller, name: str) -> bool:
        """Whether CALLER may see the class NAME."""
        return _allowed(self.grants.of_sort(caller.peer, self.grants.sort("context", name)))

    def globs(self, texts: tuple[str, ...]) -> Globs:
        """What TEXTS mean; the same object for the same ones, if they are not many."""
        found = self._globs.get(texts)
        if found is None:
            found = Globs(texts)
            if sum(map(len, texts)) <= messages.LETTERS:  # what is larger weighs more, too
                if len(self._globs) >= GLOBS:
                    self._globs.clear()
                self._globs[texts] = found
        return found

    def names_for(self, caller: Caller) -> list[str]:
        """The classes that are set and that CALLER may see, in order."""
        self._sort_names()
        known = self._visible.get(caller)
        if known is not None:
            return known
        seen = frozenset(
            sort for sort in self._of_sort if _allowed(self.grants.of_sort(caller.peer, sort))
        )
        found = self._lists.get(seen)
        if found is None:
            if len(self._lists) >= LISTS:
                self._lists.clear()
            found = self._lists[seen] = list(merge(*[self._of_sort[sort] for sort in seen]))
        self._visible[caller] = found
        return found

    def batch(
        self, caller: Caller, globs: Globs, position: Position, limit: int = MOST_SIGNALS
    ) -> Batch:
        """What there is for CALLER behind POSITION, at most LIMIT signals."""
        room = min(MOST_OCTETS, caller.visit.session.room - AROUND)
        found: list[Signed] = []
        end = position
        scanned, most = 0, SCAN // globs.cost
        entries = islice(self.log.since(position, time.monotonic()), most)
        for scanned, entry in enumerate(entries, 1):  # noqa: B007  # used behind the loop
            if self.may(caller, entry.name) and globs.mean(entry.name):
                room -= len(entry.signed.body) + AROUND
                if len(found) >= limit or (found and room < 0):
                    return Batch(tuple(found), end, True)
                found.append(entry.signed)
            end = entry.position
        if scanned == most:
            return Batch(tuple(found), end, True)
        return Batch(tuple(found), max(end, self.log.end), False)

    def behind(self, caller: Caller, cursor: Position, view: int) -> Position:
        """Where to begin for CALLER, who was left at CURSOR with VIEW."""
        if cursor > self.log.end:
            if self.log.end != START:  # else we were not told yet what there is
                self.rolled_back(caller.peer.key, cursor)
            return START
        return cursor if view == caller.view else START

    # telling them

    def flush(self, caller: Caller) -> None:
        """Tell CALLER what there is, as far as it takes it."""
        if caller.waits is not None and not caller.waits.done():
            caller.waits.set_result(None)
        for subscription in caller.subscriptions:
            self._feed(caller, subscription)

    def _feed(self, caller: Caller, subscription: Subscription) -> None:
        if subscription.told and subscription.position >= self.log.end:
            return
        for _ in range(IN_A_ROW):
            if not caller.visit.ready or subscription not in caller.subscriptions:
                return  # the visit calls flush when it takes more
            batch = self.batch(caller, subscription.globs, subscription.position)
            subscription.position = batch.end
            if batch.signals or not (subscription.told or batch.more):
                subscription.told = True
                caller.visit.push(said(subscription.n, batch, caller.view, self.clock()))
            if not batch.more:
                return
        asyncio.get_running_loop().call_soon(self._feed, caller, subscription)

    # for the log

    def denied(self, caller: Caller, operation: str, name: str, decision: Decision) -> None:
        """Note that CALLER did not get NAME."""
        self._auditor.note(
            Noted(
                event="denied",
                peer=caller.peer.key,
                label=caller.peer.labels[0],
                ip=caller.peer.addresses[0],
                operation=operation,
                object=name,
                decision="deny",
                rule=_readable(decision.rule),
                reason=_readable(decision.reason),
            )
        )

    def note_hidden(self, caller: Caller, operation: str, globs: Globs) -> None:
        """Note what CALLER asked for by GLOBS and may not see."""
        self._sort_names()
        everything = "*" in globs.texts
        if everything and self.names_for(caller):
            return  # it asked for what it may see
        for sort, names in self._of_sort.items():
            if _allowed(self.grants.of_sort(caller.peer, sort)):
                continue
            name = next((name for name in names[:HIDDEN] if globs.mean(name)), None)
            if name is not None:
                self.denied(
                    caller, operation, name, self.grants.decide(caller.peer, "context", name)
                )
                if everything:
                    return

    def _sort_names(self) -> None:
        """Have the names that are set sorted by who may see them."""
        names = self.log.names(time.monotonic())
        if self._sorted and self._sorted[0] is self.grants and self._sorted[1] is names:
            return
        self._sorted = (self.grants, names)
        self._of_sort, self._lists, self._visible = {}, {}, {}
        for name in names:
            self._of_sort.setdefault(self.grants.sort("context", name), []).append(name)


async def _nobody(peer: str, statement: bytes) -> str:
    """Nobody decides about successors yet."""
    return ""


def said(n: int, batch: Batch, view: int, clock: int) -> messages.Signals:
    """BATCH as the answer to N."""
    epoch, upto = batch.end
    return messages.Signals(
        n=n, epoch=epoch, upto=upto, signals=batch.signals, view=view, more=batch.more,
        clock=max(0, clock),
    )  # fmt: skip


def _readable(text: str) -> str:
    """TEXT without the lone surrogates of names that are not UTF-8: no message can hold them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _allowed(decision: Decision | None) -> bool:
    return decision is not None and decision.allowed


def _begin_again(caller: Caller, new: list[list[str]]) -> None:
    """Have the subscriptions of CALLER tell its view, and start again if they mean NEW names."""
    for subscription in caller.subscriptions:
        subscription.told = False
        if any(subscription.globs.mean(name) for names in new for name in names):
            subscription.position = START
