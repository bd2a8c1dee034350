"""Visits to peers: one session with each whose signals are asked for, for as long as that is so.

What comes goes to the executor and is acknowledged when it is on its disk. A session that is lost
is had again: the first attempt comes at once, the later ones ever more rarely.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from server.signals import START, Position
from server.wire import messages
from server.wire.handshake import Closed, Terms
from server.wire.inside import Contact, Joined, Learnt, Received, Want
from server.wire.keys import fingerprint
from server.wire.limits import Bucket
from server.wire.serving import TICK
from server.wire.stream import connect
from server.wire.transport import BadAddress, Cut, Refused, placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from server.wire.inside import Message, Trusted
    from server.wire.limits import Limits
    from server.wire.stream import SigwireSession

AT_ONCE, FIRST, LAST = 0.25, 1.0, 60.0  # seconds between attempts, each less a random part
BRIEFEST = 1.0  # what LAST becomes where few are visited: soon after a network is healed
FEW = 40  # visits that may cost some packets more
RATE = 40  # attempts a second, of all visits together, that are never too many
UNSTORED = 4  # batches that the executor may have before more is read
LASTING = 1.0  # a session that was shorter does not count as one


class Gone(Exception):
    """The session is over; the argument says why."""


class Pause:
    """How long to wait before the next attempt."""

    __slots__ = ("_failed", "_random")

    def __init__(self, random: Callable[[float, float], float] = random.uniform) -> None:
        self._failed = 0
        self._random = random

    def reset(self) -> None:
        """It worked."""
        self._failed = 0

    def next(self, most: float = LAST) -> float:
        """It did not, again: how long to wait, at MOST."""
        self._failed += 1
        if self._failed == 1:
            return self._random(0.0, AT_ONCE)
        return self._random(0.0, min(most, FIRST * 2.0 ** (self._failed - 2)))


def longest(visits: int) -> float:
    """The longest pause where there are VISITS: a dead peer costs little, a late signal much."""
    return min(LAST, max(BRIEFEST, visits / RATE))


class Outgoing:
    """All visits. TELL takes what the executor has to know."""

    def __init__(self, tell: Callable[[Message], None], limits: Limits) -> None:
        self.tell = tell
        self.limits = limits
        self.trust: dict[str, Trusted] = {}
        self.terms: Callable[[], Terms] | None = None
        self.introduction: tuple[Callable[[], Terms], bytes] | None = None  # by our last key
        self.visits: dict[str, Outbound] = {}
        self._received: dict[int, Outbound] = {}
        self._number = 0

    def want(self, wants: tuple[Want, ...]) -> None:
        """Have one session with each of these, and none with others; what can stay stays."""
        wanted = {want.peer: want for want in wants}
        for peer in [peer for peer in self.visits if peer not in wanted]:
            self.visits.pop(peer).stop("not wanted any more")
        for peer, want in wanted.items():
            visit = self.visits.get(peer)
            if visit is None:
                self.visits[peer] = visit = Outbound(self, want)
                visit.start()
            else:
                visit.change(want)

    def trusted(self, trust: dict[str, Trusted]) -> None:
        """These may be visited; who is not among them is left at once."""
        before, self.trust = self.trust, trust
        for peer, visit in self.visits.items():
            if peer not in trust:
                visit.leave("not trusted")
            elif peer not in before or trust[peer].addresses != before[peer].addresses:
                visit.nudge()

    def nudge(self, peer: str) -> None:
        """PEER is there: it has just visited us."""
        visit = self.visits.get(peer)
        if visit is not None:
            visit.nudge()

    def again(self, peer: str) -> None:
        """What PEER said could not be kept: it has to say it again."""
        visit = self.visits.get(peer)
        if visit is not None:
            visit.leave("what it says cannot be kept")

    def pass_on(self, visit: Outbound, said: messages.Signals, session: SigwireSession) -> int:
        """Hand what a peer SAID to the executor; the number by which it will be `stored`."""
        self._number += 1
        self._received[self._number] = visit
        self.tell(
            Received(
                n=self._number,
                peer=visit.peer,
                epoch=said.epoch,
                upto=said.upto,
                view=said.view,
                skew=session.peer.skew,
                clock=said.clock,
                signals=said.signals,
            )
        )
        return self._number

    def stored(self, n: int) -> None:
        """What was handed on as N is on disk."""
        visit = self._received.pop(n, None)
        if visit is not None:
            visit.stored(n)

    def forget(self, numbers: Iterable[int]) -> None:
        """Nobody waits any more for these to be `stored`."""
        for number in numbers:
            self._received.pop(number, None)

    async def close(self) -> None:
        """End all visits in good order."""
        visits, self.visits = list(self.visits.values()), {}
        tasks = [visit.stop("we end") for visit in visits]
        await asyncio.gather(*tasks, return_exceptions=True)


class Outbound:
    """The visits to one peer."""

    def __init__(self, all_: Outgoing, want: Want) -> None:
        self.peer = want.peer
        self.live = False
        self.address = ""
        self.reason = ""
        self.cursor: Position = (want.epoch, want.after)
        self.view = want.view
        self._all = all_
        self._want = want
        self._pause = Pause()
        self._session: SigwireSession | None = None
        self._n = 0  # of the last request; and of the subscription:
        self._subscribed = 0
        self._since = 0  # the first request with these globs
        self._unstored: dict[int, tuple[int, Position, int]] = {}  # subscription, cursor, view
        self._told = ""  # what the executor was told last of why there is no session
        # it outlives sessions, or a peer would have a full one by coming again
        self._heard = Bucket(all_.limits.heard[1], asyncio.get_running_loop().time())
        self._less = asyncio.Event()  # there is room for another batch
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None]

    @property
    def globs(self) -> tuple[str, ...]:
        """What is asked for."""
        return self._want.globs

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self, reason: str) -> asyncio.Task[None]:
        """End in good order; what can be waited for."""
        self._send(messages.GoAway(n=0))
        session, self._session = self._session, None
        if session is not None:
            session.finish()
        self._ended(reason)
        self._forget()
        self._task.cancel()
        return self._task

    def leave(self, reason: str) -> None:
        """End the session at once, and come back when it is allowed again."""
        if self._session is not None:
            self.reason = reason
            self._session.cut()

    def nudge(self) -> None:
        """Try now, if there is no session."""
        if not self.live:
            self._pause.reset()
            self._nudged.set()

    def change(self, want: Want) -> None:
        """Ask for what WANT says from now on; the session stays."""
        before, self._want = self._want, want
        if want.globs == before.globs:
            return
        # what the new globs mean was not asked for so far, so it may lie behind the cursor
        self.cursor, self.view = START, 0
        self._since = self._n + 1
        if self.live:
            old = self._subscribed
            self._send(self._subscription())
            self._n += 1
            self._send(messages.Unsubscribe(n=self._n, which=old))

    def stored(self, n: int) -> None:
        """The batch N is on the executor's disk."""
        found = self._unstored.pop(n, None)
        self._less.set()
        if found is None:
            return
        subscribed, cursor, view = found
        if subscribed < self._since:
            return
        self.cursor, self.view = cursor, view
        if subscribed == self._subscribed and self._session is not None:
            self._send(messages.Ack(n=subscribed, epoch=cursor[0], upto=cursor[1]))

    # one visit after the other

    async def _run(self) -> None:
        """Visit the peer again and again."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            self._forget()
            try:
                await self._visit()
            except Gone as gone:
                reason = str(gone)
            except (Closed, Cut, Refused, BadAddress, OSError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
            lasted = self.live and loop.time() - begun >= LASTING
            self._ended(reason)
            if lasted:
                self._pause.reset()
            self._nudged.clear()
            try:
                async with asyncio.timeout(self._pause.next(longest(len(self._all.visits)))):
                    await self._nudged.wait()
            except TimeoutError:
                continue

    def _ended(self, reason: str) -> None:
        """There is no session."""
        session, self._session = self._session, None
        if session is not None:
            session.cut()
        reason = self.reason or reason
        if self.live or reason != self._told:
            self._told = reason
            self._all.tell(Contact(peer=self.peer, live=False, address=self.address, reason=reason))
        self.live, self.reason = False, ""

    def _forget(self) -> None:
        """What was not stored comes again from where the cursor is: nobody waits for it."""
        self._all.forget(self._unstored)
        self._unstored.clear()
        self._less.set()

    async def _visit(self) -> None:
        """One session, to its end. Raises Gone, and what `connect` raises."""
        known = self._all.trust.get(self.peer)
        if known is None:
            raise Gone("not trusted")
        session = await self._connect(known)
        if self._all.trust.get(self.peer) is None:
            session.cut()
            raise Gone("not trusted")
        self._session = session
        self.live = True
        self._told = ""
        self._all.tell(
            Contact(peer=self.peer, live=True, address=self.address, skew=session.peer.skew)
        )
        if self._want.token:
            self._all.tell(Joined(peer=self.peer))
        if not known.key:
            self._all.tell(Learnt(identity=session.peer.identity))
        await self._listen(session)

    async def _connect(self, known: Trusted) -> SigwireSession:
        """A session with the peer at the first of its addresses where it is."""
        problem: Exception = Gone("no address is known")
        for address in known.addresses:
            self.address = address
            try:
                return await self._enter(address, known)
            except (Closed, Cut, Refused, BadAddress, OSError, TimeoutError) as error:
                problem = error
        raise problem

    async def _enter(self, address: str, known: Trusted) -> SigwireSession:
        """A session with the peer at ADDRESS; if it only knows our last key, it is told first."""
        terms = self._all.terms
        if terms is None:
            raise Gone("no certificate yet")
        place, pin = placed(address), fingerprint(self.peer)
        first = self._subscription()
        limits = self._all.limits
        token = self._want.token
        try:
            return await connect(
                place, terms(), pin, known.label,
                token=token, first=messages.packed(first), limits=limits,
                keen=len(self._all.visits) <= FEW,
            )  # fmt: skip
        except Cut:
            if self._all.introduction is None:
                raise
        old, statement = self._all.introduction
        rotate = messages.packed(messages.Rotate(n=1, statement=statement))
        session = await connect(place, old(), pin, known.label, first=rotate, limits=limits)
        try:
            taken = messages.answer(await session.receive(limits.request_seconds) or b"")
        except messages.BadMessage as error:
            raise Cut(str(error)) from None
        finally:
            session.cut()
        if not isinstance(taken, messages.Done):
            raise Gone("the peer does not take our new key")
        first = self._subscription()
        return await connect(
            place, terms(), pin, known.label, first=messages.packed(first), limits=limits
        )

    def _subscription(self) -> messages.Subscribe:
        """The next request: to be told of what is behind the cursor."""
        self._n += 1
        self._subscribed = self._n
        epoch, after = self.cursor
        return messages.Subscribe(
            n=self._n, globs=self._want.globs, epoch=epoch, after=after, view=self.view
        )

    async def _listen(self, session: SigwireSession) -> None:
        """Pass on what the peer says. Raises Gone, Cut."""
        loop = asyncio.get_running_loop()
        limits = self._all.limits
        heard = loop.time()
        while True:
            try:
                octets = await session.receive(limits.ping_seconds)
            except TimeoutError:
                if loop.time() - heard + TICK >= limits.subscribed_seconds:
                    raise Gone("no answer for too long") from None
                self._n += 1
                self._send(messages.Ping(n=self._n))
                continue
            heard = loop.time()
            if octets is None:
                raise Gone("the peer ended the session")
            try:
                said = messages.answer(octets)
            except messages.BadMessage as error:
                raise Gone(f"no answer of the protocol: {error}") from None
            await self._pace(said)
            self._take(said, session)
            await self._room(session)

    async def _pace(self, said: messages.AnyAnswer) -> None:
        """Wait until the peer may have SAID so much: what it says costs the executor writes."""
        limits, clock = self._all.limits, asyncio.get_running_loop().time
        weight = limits.heard_message
        if isinstance(said, messages.Signals):
            weight += len(said.signals)
        wait = self._heard.take(limits.heard, weight, clock())
        if wait:
            await asyncio.sleep(wait + TICK)
            self._heard.take(limits.heard, weight, clock())

    async def _room(self, session: SigwireSession) -> None:
        """Wait until the executor can have another batch. Raises Gone."""
        if len(self._unstored) < UNSTORED:
            return
        session.attend(self._less.set)  # or nobody would notice that it ends
        try:
            async with asyncio.timeout(self._all.limits.store_seconds):
                while len(self._unstored) >= UNSTORED:
                    if session.pipe.ended:
                        raise Gone("the connection ended")
                    self._less.clear()
                    await self._less.wait()
        except TimeoutError:
            raise Gone("what the peer says is not stored") from None
        finally:
            session.attend(None)

    def _take(self, said: messages.AnyAnswer, session: SigwireSession) -> None:
        """What the peer SAID. Raises Gone."""
        match said:
            case messages.Signals(n=n) if n == self._subscribed:
                number = self._all.pass_on(self, said, session)
                self._unstored[number] = (n, (said.epoch, said.upto), said.view)
            case messages.Failed(n=n) if n == self._subscribed:
                raise Gone(f"the peer says '{said.code}'")
            case messages.Leaving():
                raise Gone("the peer ends the session")
            case _:
                pass  # a pong, or what belongs to a subscription that was changed

    def _send(self, request: messages.Request) -> None:
        """Send REQUEST, if there is a session that takes it."""
        if self._session is None:
            return
        try:
            self._session.put(messages.packed(request))
        except Cut:
            self._session.cut()
