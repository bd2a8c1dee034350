"""The network half of a daemon: what comes from the executor goes to where it belongs, and back.

It has a transport key, what is granted and the connections; nothing of it is on disk.
"""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec.structs import replace

from server.access import Grants
from server.audit import Auditor
from server.executor import Executor
from server.grants import BadGrants
from server.handlers import table
from server.hub import Hub
from server.outgoing import Outgoing
from server.porter import Porter
from server.signals import Position
from server.status import status
from server.wire import inside
from server.wire.door import Door
from server.wire.handshake import Terms
from server.wire.inside import Message, Noted
from server.wire.keys import Certificate, Credentials, static_secret
from server.wire.limits import Limits
from server.wire.serving import Over, Serving
from server.wire.signals import BadSignal
from server.wire.stream import SigwireSession

AUDIT_SECONDS = 0.2
TICK_SECONDS = 1.0
ALIVE_TICKS = 5
DRAIN_SECONDS = 3.0
RENEWED = 24 * 3600  # seconds before its end that a certificate is asked for again
ASK_AGAIN = 30.0
RESERVED_PART = 8  # of the sessions, at most, is kept for those whom we visit
CLAIMS = 16  # of one peer that are passed on: another epoch in each
OTHERS = ("cut", "session")  # what the door says that is no refusal


async def serve(
    half: socket.socket, say: Callable[[str], None], limits: Limits | None = None
) -> int:
    """Speak with the executor over HALF until it ends; SAY takes what went wrong.

    LIMITS are those that policy does not set.
    """
    loop = asyncio.get_running_loop()
    network = Network(say, limits or Limits())
    loop.set_exception_handler(network.mistaken)
    await loop.create_connection(lambda: network.executor, sock=half)
    await network.executor.over.wait()
    await network.end()
    return network.status


class Network:
    """This half: what comes from the executor goes to where it belongs, and back."""

    def __init__(self, say: Callable[[str], None], limits: Limits) -> None:
        self.status = 0
        self.executor = Executor(self.begin, self.take, self.fail)
        self._say = say
        self._loop = asyncio.get_running_loop()
        self.begun = time.monotonic()
        self._setup: inside.Setup | None = None
        self._secret = static_secret()
        self._pending = b""  # a new secret that is not certified yet
        self._credentials: Credentials | None = None
        self._previous: Credentials | None = None
        self._asked_at = 0.0
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._audit_timer: asyncio.TimerHandle | None = None
        self._lag = 0.0
        self._ticks = 0
        self._rolled: dict[str, set[int]] = {}  # what each peer says of our epochs
        self._tasks: set[asyncio.Task[None]] = set()
        self.limits = self._plain = limits
        self.auditor = Auditor(time.monotonic)
        self.hub = Hub(self.auditor, self.clock)
        self.hub.rolled_back = self.rolled_back
        self.hub.succeed = self.succeed
        self.outgoing = Outgoing(self.executor.put, self.limits)
        self.porter = Porter(self.hub, self.executor)
        self.serving = Serving(table(self.hub), self.limits, self.porter.unbound)
        self.door = Door(self.terms, self.porter.judge, self.serve, self.note, self.limits)
        self.porter.keep(self.door)

    # the executor

    def begin(self) -> None:
        """Say who we are, and begin to tick."""
        self._hello(self._secret)
        self._tick(self._loop.time())

    def take(self, message: Message) -> None:
        """Do what the executor says with MESSAGE."""
        try:
            TAKEN[type(message)](self, message)
        except BadSignal as error:
            self.fail(f"a signal from the executor: {error}")
        self._hand_on()

    def fail(self, problem: str) -> None:
        """End because of PROBLEM, which is a mistake of ours or worse."""
        self._say(problem)
        self.status = 1
        self.executor.over.set()

    async def end(self) -> None:
        """Let go of everything."""
        self.executor.close()
        await self.outgoing.close()
        await self.door.close()

    def mistaken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody else caught is for the log, and ends nothing."""
        error = context.get("exception")
        self._say(f"{context.get('message')}: {error!r}")

    def set_up(self, setup: inside.Setup) -> None:
        """The certificate and where to listen."""
        certificate = Certificate.unpacked(setup.certificate)
        for secret in (self._pending, self._secret):
            credentials = Credentials(secret, certificate) if secret else None
            if credentials and certificate.covers(credentials.public, certificate.not_before):
                self._pending = b"" if secret == self._pending else self._pending
                self._secret, self._credentials = secret, credentials
                break
        else:
            self.fail("a certificate for another key than ours")
            return
        self._previous = (
            Credentials(self._secret, Certificate.unpacked(setup.previous))
            if setup.previous
            else None
        )
        self.outgoing.terms = self.terms
        self.outgoing.introduction = (
            (self.introduction, setup.statement) if self._previous is not None else None
        )
        first, self._setup = self._setup is None, setup
        if first:
            self.porter.listen(setup.listen)

    def granted(self, message: inside.Granted) -> None:
        """These grants hold, if they can be read."""
        try:
            grants = Grants.parse(message.document)
        except BadGrants as error:
            self._say(f"the grants from before stay in force: {error}")
            return
        for warning in grants.warnings:
            self._say(warning)
        most = grants.control.maxconnections
        plain = self._plain
        sessions = most or plain.sessions
        self.limits = replace(
            plain,
            sessions=sessions,
            reserved=min(plain.reserved, sessions // RESERVED_PART),
            handshakes=(max(plain.handshakes[0], most or 0), max(plain.handshakes[1], most or 0)),
            unproved=max(plain.unproved, (most or 0) // 2),
        )
        self.door.limits = self.serving.limits = self.outgoing.limits = self.limits
        self.hub.granted(grants)
        self.porter.granted()

    def trusted(self, trust: inside.Trust) -> None:
        """These may come in; who else is here has to go."""
        self.hub.trusted(trust.peers)
        self.outgoing.trusted(self.hub.trust)
        self.porter.trusted(trust)

    def own(self, own: inside.Own) -> None:
        """New signals of this host."""
        self.hub.own(own)

    def wanted(self, wanted: inside.Wanted) -> None:
        """Whom to visit."""
        self.outgoing.want(wanted.wants)
        self.door.essential = frozenset([want.peer for want in wanted.wants])

    def stored(self, stored: inside.Stored) -> None:
        """Something received is on disk."""
        self.outgoing.stored(stored.n)

    def again(self, again: inside.Again) -> None:
        """Something received could not be kept."""
        self.outgoing.again(again.peer)

    def answered(self, answered: inside.Answered) -> None:
        """A question was answered."""
        self.executor.answered(answered)

    def report(self, report: inside.Report) -> None:
        """Say how we are."""
        document = json.dumps(status(self), sort_keys=True).encode()
        self.executor.put(inside.Status(n=report.n, document=document))

    def drain(self, _: inside.Drain) -> None:
        """End in good order."""
        self._do(self._drain())

    def refuse(self, message: Message) -> None:
        """What is reserved."""
        self.fail(f"'{type(message).__name__}' is not spoken yet")

    async def _drain(self) -> None:
        self.door.shut()
        await self.outgoing.close()
        visits = list(self.serving.visits)
        for visit in visits:
            visit.bid_farewell()
        end = self._loop.time() + DRAIN_SECONDS
        while self._loop.time() < end and not all(visit.session.pipe.ended for visit in visits):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # once, at the end
        await self.door.close()
        self._audit(last=True)
        self.executor.put(inside.Gone())
        self.executor.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Have WORK done beside all else."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _hello(self, secret: bytes) -> None:
        self._asked_at = self._loop.time()
        credentials = Credentials(secret, Certificate(b"", 0, 0, b""))
        self.executor.put(inside.Hello(static=credentials.public))

    # what the door asks

    def clock(self) -> int:
        """The wall clock of this host, in milliseconds."""
        offset = self._setup.offset if self._setup is not None else 0.0
        return int((time.time() + offset) * 1000)

    def terms(self) -> Terms:
        """What we bring to a handshake now."""
        assert self._credentials is not None  # noqa: S101  # there is no door without
        psk = self._setup.psk if self._setup is not None else b""
        return Terms(credentials=self._credentials, clock=self.clock(), psk=psk)

    def introduction(self) -> Terms:
        """The same as who we were before the last rotation."""
        assert self._previous is not None  # noqa: S101  # else there is no introduction
        return replace(self.terms(), credentials=self._previous)

    def serve(self, session: SigwireSession, over: Over) -> None:
        """Answer what SESSION asks."""
        peer = session.peer
        self.executor.put(inside.Visited(peer=peer.id, address=peer.address, skew=peer.skew))
        self.outgoing.nudge(peer.id)
        self.serving.serve(session, over)

    def note(self, reason: str, whom: str) -> None:
        """What happened at the door."""
        if reason in OTHERS:
            return
        self._refusals[reason, whom] += 1
        self._hand_on()

    async def succeed(self, peer: str, statement: bytes) -> str:
        """The label of PEER if its successor is taken, else ""."""
        return await self.executor.ask(
            lambda n: inside.Succeed(n=n, peer=peer, statement=statement)
        )

    def rolled_back(self, peer: str, cursor: Position) -> None:
        """PEER has seen more of our log than there is."""
        epochs = self._rolled.setdefault(peer, set())
        if cursor[0] in epochs or len(epochs) >= CLAIMS:
            return
        epochs.add(cursor[0])
        self.executor.put(inside.RolledBack(peer=peer, epoch=cursor[0], seq=cursor[1]))

    # time

    def _tick(self, due: float) -> None:
        """What has to be done now and then."""
        now = self._loop.time()
        self._lag = max(self._lag, now - due)
        self._ticks += 1
        if self._ticks % ALIVE_TICKS == 0:
            self.executor.put(inside.Alive(lag=round(self._lag, 6)))
            self._lag = 0.0
            self.hub.log.sweep(time.monotonic())
            self._renew(now)
        self.porter.cut_off()
        stale = self.hub.stale()
        if stale:
            self._do(self.hub.refresh(stale))
        self._hand_on()
        self._loop.call_at(now + TICK_SECONDS, self._tick, now + TICK_SECONDS)

    def _renew(self, now: float) -> None:
        """Ask for another certificate if ours is about to end."""
        if self._credentials is None or now - self._asked_at < ASK_AGAIN:
            return
        certificate = self._credentials.certificate
        clock = self.clock() // 1000
        life = certificate.not_after - certificate.not_before
        if certificate.not_before <= clock <= certificate.not_after - min(RENEWED, life // 2):
            return
        self._pending = self._pending or static_secret()
        self._hello(self._pending)

    def _hand_on(self) -> None:
        """Have the lines for the log handed on, soon."""
        if self._audit_timer is None:
            self._audit_timer = self._loop.call_later(AUDIT_SECONDS, self._audit)

    def _audit(self, *, last: bool = False) -> None:
        self._audit_timer = None
        refusals, self._refusals = self._refusals, Counter()
        for (reason, whom), times in refusals.items():
            self.auditor.note(_refusal(reason, whom), times)
        lines = self.auditor.due(last=last)
        if lines:
            self.executor.put(inside.Audit(lines=lines))


TAKEN: dict[type[Message], Any] = {
    # from the executor: what is done about it
    inside.Setup: Network.set_up,
    inside.Granted: Network.granted,
    inside.Trust: Network.trusted,
    inside.Own: Network.own,
    inside.Wanted: Network.wanted,
    inside.Stored: Network.stored,
    inside.Again: Network.again,
    inside.Answered: Network.answered,
    inside.Report: Network.report,
    inside.Drain: Network.drain,
    inside.Descriptor: Network.refuse,
}


def _refusal(reason: str, whom: str) -> Noted:
    """A line for the log about somebody who was not let in."""
    is_peer = whom.startswith("SHA=")
    return Noted(
        event="refused",
        peer=whom if is_peer else "",
        ip="" if is_peer else whom,
        operation="connect",
        decision="deny",
        reason=reason,
    )
