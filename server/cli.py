"""The half of a daemon that speaks with the network: `troth network`, started by the executor.

It has a transport key, what is granted and the connections; nothing of it is on disk, and what it
needs comes over one socket, which it is given open. When that ends, so does it.
"""

import asyncio
import gc
import json
import os
import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from ipaddress import ip_address, ip_network
from typing import Any

from msgspec.structs import asdict, replace

from server.access import Grants
from server.audit import Auditor
from server.grants import BadGrants
from server.handlers import table
from server.hub import Hub
from server.outgoing import Outgoing
from server.signals import Position
from server.wire import inside
from server.wire.door import Door
from server.wire.handshake import Closed, Proved, Terms
from server.wire.inside import Message, Noted
from server.wire.keys import Certificate, Credentials, host_id, static_secret
from server.wire.limits import Limits
from server.wire.serving import Over, Serving, Visit
from server.wire.signals import BadSignal
from server.wire.stream import SigwireSession

VARIABLE = "TROTH_HALF"
AUDIT_SECONDS = 0.2
TICK_SECONDS = 1.0
ALIVE_TICKS = 5
DRAIN_SECONDS = 3.0
ANSWER_SECONDS = 4.0  # less than a handshake may take
QUESTIONS = 16  # of strangers, at one time
BAD_CLOCK = 3600 * 1000  # milliseconds
RENEWED = 24 * 3600  # seconds before its end that a certificate is asked for again
ASK_AGAIN = 30.0
RESERVED_PART = 8  # of the sessions, at most, is kept for those whom we visit
DOORS = 16384  # addresses that are remembered
OTHERS = ("cut", "session")  # what the door says that is no refusal


def main(settings: Any, log: Any) -> int:
    """Be the network half until the executor ends or says so; the exit status."""
    try:
        half = socket.socket(fileno=int(os.environ[VARIABLE]))
    except (KeyError, ValueError, OSError) as error:
        log("error", f"'troth network' is started by 'troth daemon': no {VARIABLE} ({error})")
        return 1
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are for the executor, who tells us
    gc.collect()
    gc.freeze()
    with asyncio.Runner() as runner:
        return runner.run(serve(half, lambda text: log("error", text)))


async def serve(
    half: socket.socket, say: Callable[[str], None], limits: Limits | None = None
) -> int:
    """Speak with the executor over HALF until it ends; SAY takes what went wrong.

    LIMITS are those that policy does not set.
    """
    loop = asyncio.get_running_loop()
    network = Network(say, limits or Limits())
    loop.set_exception_handler(network.mistaken)
    await loop.create_connection(lambda: network.stream, sock=half)
    await network.over.wait()
    await network.end()
    return network.status


class Stream(asyncio.Protocol):
    """The stream of messages between the halves, at this end."""

    def __init__(self, network: "Network") -> None:
        self._network = network
        self._data = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101  # a socket gives such
        self._transport = transport
        self._network.begin()

    def data_received(self, data: bytes) -> None:
        """Take DATA, and do what the messages in it say."""
        self._data += data
        at = 0
        while len(self._data) - at >= 4:
            size = int.from_bytes(self._data[at : at + 4])
            if size > inside.LARGEST:
                self._network.fail(f"a message of {size} octets from the executor")
                return
            if len(self._data) - at < 4 + size:
                break
            self._network.take(bytes(self._data[at + 4 : at + 4 + size]))
            at += 4 + size
        del self._data[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        """The executor has ended."""
        self._network.over.set()

    def close(self) -> None:
        """End, when what was said is on its way."""
        if self._transport is not None:
            self._transport.close()

    def put(self, message: Message) -> None:
        """Send MESSAGE."""
        if self._transport is not None:
            self._transport.write(inside.packed(message))


class Network:
    """This half: what comes from the executor goes to where it belongs, and back."""

    def __init__(self, say: Callable[[str], None], limits: Limits) -> None:
        self.over = asyncio.Event()
        self.status = 0
        self.stream = Stream(self)
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._begun = time.monotonic()
        self._setup: inside.Setup | None = None
        self._secret = static_secret()
        self._pending = b""  # a new secret that is not certified yet
        self._credentials: Credentials | None = None
        self._previous: Credentials | None = None
        self._asked_at = 0.0
        self._granted = False
        self._enrolling = False
        self._open: tuple[tuple[str, int], ...] = ()
        self._listening: tuple[str, int] | None = None
        self._refused = ""  # why we do not listen
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._doors: dict[str, tuple[bool, bool]] = {}  # address: may connect, without limits
        self._audit_timer: asyncio.TimerHandle | None = None
        self._questions: dict[int, asyncio.Future[str]] = {}
        self._number = 0
        self._lag = 0.0
        self._ticks = 0
        self._rolled: set[tuple[str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.limits = self._plain = limits
        self.auditor = Auditor(time.monotonic)
        self.hub = Hub(self.auditor, self.clock)
        self.hub.rolled_back = self.rolled_back
        self.hub.succeed = self.succeed
        self.outgoing = Outgoing(self.stream.put, self.limits)
        self.serving = Serving(table(self.hub), self.limits, self.unbound)
        self.door = Door(self.terms, self.judge, self.serve, self.note, self.limits)
        self.door.open_to = self.open_to
        self.door.welcome = self.welcome
        self.door.unbound = self.unbound

    # the executor

    def begin(self) -> None:
        """Say who we are, and begin to tick."""
        self._hello(self._secret)
        self._tick(self._loop.time())

    def take(self, octets: bytes) -> None:
        """Do what the executor says with OCTETS."""
        try:
            message = inside.from_executor.decode(octets)
        except ValueError as error:
            self.fail(f"no message from the executor: {error}")
            return
        try:
            TAKEN[type(message)](self, message)
        except BadSignal as error:
            self.fail(f"a signal from the executor: {error}")
        self._hand_on()

    def fail(self, problem: str) -> None:
        """End because of PROBLEM, which is a mistake of ours or worse."""
        self._say(problem)
        self.status = 1
        self.over.set()

    async def end(self) -> None:
        """Let go of everything."""
        self.stream.close()
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
            if setup.listen is None:
                self.stream.put(inside.Ready(address="", port=0))
            else:
                self._listen_or_not()

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
        self._granted = True
        self._doors.clear()
        self.hub.granted(grants)
        self._listen_or_not()

    def trusted(self, trust: inside.Trust) -> None:
        """These may come in; who else is here has to go."""
        self._enrolling = trust.enrolling
        self._open = trust.open
        self.hub.trusted(trust.peers)
        self.outgoing.trusted(self.hub.trust)
        self._cut_off()

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

    def answered(self, answered: inside.Answered) -> None:
        """A question was answered."""
        question = self._questions.pop(answered.n, None)
        if question is not None and not question.done():
            question.set_result(answered.label)

    def report(self, report: inside.Report) -> None:
        """Say how we are."""
        document = json.dumps(self.state(), sort_keys=True).encode()
        self.stream.put(inside.Status(n=report.n, document=document))

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
        self.stream.put(inside.Gone())
        self.stream.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Have WORK done beside all else."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _hello(self, secret: bytes) -> None:
        self._asked_at = self._loop.time()
        credentials = Credentials(secret, Certificate(b"", 0, 0, b""))
        self.stream.put(inside.Hello(static=credentials.public))

    async def _ask(self, question: Callable[[int], Message]) -> str:
        """What the executor answers to what QUESTION makes of a number; "" if it does not."""
        if len(self._questions) >= QUESTIONS:
            return ""
        self._number += 1
        answer: asyncio.Future[str] = self._loop.create_future()
        self._questions[self._number] = answer
        try:
            self.stream.put(question(self._number))
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            return ""
        finally:
            self._questions.pop(self._number, None)

    # listening

    def _listen_or_not(self) -> None:
        """Listen where we are told to, if policy lets us; shut the door if it does not any more."""
        if self._setup is None or self._setup.listen is None:
            return
        host, port = self._setup.listen
        if not self._granted and not _loopback(host):
            return  # grants are on their way, and they decide
        problem = self._problem(host)
        if problem and self._listening is not None:
            self.door.shut()
            self._listening = None
        if problem:
            if problem != self._refused:
                self.stream.put(inside.Ready(address="", port=0, problem=problem))
            self._refused = problem
        elif self._listening is None:
            self._listening = (host, port)
            self._refused = ""
            self._do(self._listen(host, port))

    def _problem(self, host: str) -> str:
        """Why we must not listen on HOST; "" if we may."""
        if _loopback(host):
            return ""
        if self.hub.grants.control.allowconnects is None:
            return (
                f"'{host}' can be reached from other hosts and 'body server control' has no"
                ' allowconnects: say whom it lets in, or allowconnects => { "0.0.0.0/0", "::/0" }'
            )
        return ""

    async def _listen(self, host: str, port: int) -> None:
        try:
            address, taken = await self.door.listen(host, port)
        except (OSError, UnicodeError) as error:
            self._listening = None
            self._refused = str(error)
            self.stream.put(inside.Ready(address="", port=0, problem=str(error)))
        else:
            self._listening = (address, taken)
            self.stream.put(inside.Ready(address=address, port=taken))

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

    def welcome(self, address: str) -> bool:
        """Whether policy lets ADDRESS connect."""
        return self._door(address)[0]

    def open_to(self, address: str) -> bool:
        """Whether strangers from ADDRESS may come in now, without knowing who we are."""
        now = self.clock() / 1000
        place = ip_address(address.partition("%")[0])
        return any(now <= until and place in ip_network(net) for net, until in self._open)

    def unbound(self, address: str) -> bool:
        """Whether ADDRESS has no limits of its own."""
        return self._door(address)[1]

    def _door(self, address: str) -> tuple[bool, bool]:
        """Whether ADDRESS may connect, and whether it has no limits of its own."""
        found = self._doors.get(address)
        if found is None:
            if len(self._doors) >= DOORS:
                self._doors.clear()
            grants = self.hub.grants
            found = (
                grants.may_connect(address).allowed,
                grants.listed("allowallconnects", address),
            )
            self._doors[address] = found
        return found

    async def judge(self, proved: Proved, address: str) -> str | None:
        """The label of who was PROVED, if it is trusted or becomes so. Raises Closed."""
        if self.hub.grants.control.denybadclocks and abs(proved.skew) > BAD_CLOCK:
            raise Closed("clock")
        known = self.hub.trust.get(host_id(proved.identity))
        if known is not None:
            if known.not_after and self.clock() > known.not_after * 1000:
                return None
            if not known.key:
                self.stream.put(inside.Learnt(identity=proved.identity))
            return known.label
        if not (self._enrolling if proved.token else self.open_to(address)):
            return None
        label = await self._ask(
            lambda n: inside.Enrol(
                n=n, identity=proved.identity, token=proved.token, address=address
            )
        )
        return label or None

    def serve(self, session: SigwireSession, over: Over) -> None:
        """Answer what SESSION asks."""
        peer = session.peer
        self.stream.put(inside.Visited(peer=peer.id, address=peer.address, skew=peer.skew))
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
        return await self._ask(lambda n: inside.Succeed(n=n, peer=peer, statement=statement))

    def rolled_back(self, peer: str, cursor: Position) -> None:
        """PEER has seen more of our log than there is."""
        key = (peer, cursor[0])
        if key in self._rolled or len(self._rolled) > 1024:
            return
        self._rolled.add(key)
        self.stream.put(inside.RolledBack(peer=peer, epoch=cursor[0], seq=cursor[1]))

    def _cut_off(self) -> None:
        """Cut off whoever is here and may not be."""
        now = self.clock() // 1000
        for peer in {session.peer.id for session in self.door.sessions()}:
            known = self.hub.trust.get(peer)
            if known is None or (known.not_after and now > known.not_after):
                self.door.cut(peer)

    # time

    def _tick(self, due: float) -> None:
        """What has to be done now and then."""
        now = self._loop.time()
        self._lag = max(self._lag, now - due)
        self._ticks += 1
        if self._ticks % ALIVE_TICKS == 0:
            self.stream.put(inside.Alive(lag=round(self._lag, 6)))
            self._lag = 0.0
            self.hub.log.sweep(time.monotonic())
            self._renew(now)
        self._cut_off()
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
            self.stream.put(inside.Audit(lines=lines))

    # how we are

    def state(self) -> dict[str, Any]:
        """How we are, for `troth status`."""
        return {
            "listening": list(self._listening or ()),
            "problem": self._refused,
            "uptime": round(time.monotonic() - self._begun, 3),
            "memory": _memory(),
            "limits": asdict(self.limits),
            "counts": dict(self.door.counts),
            "log": {"signals": len(self.hub.log), "end": list(self.hub.log.end)},
            "peers": len(self.hub.trust),
            "sessions": [_described(visit) for visit in self.serving.visits],
            "visits": [
                {
                    "peer": visit.peer,
                    "live": visit.live,
                    "address": visit.address,
                    "globs": list(visit.globs),
                    "cursor": list(visit.cursor),
                }
                for visit in self.outgoing.visits.values()
            ],
        }


TAKEN: dict[type[Message], Any] = {
    # from the executor: what is done about it
    inside.Setup: Network.set_up,
    inside.Granted: Network.granted,
    inside.Trust: Network.trusted,
    inside.Own: Network.own,
    inside.Wanted: Network.wanted,
    inside.Stored: Network.stored,
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


def _described(visit: Visit) -> dict[str, Any]:
    """A visit, for `troth status`."""
    peer = visit.session.peer
    subscriptions = visit.own.subscriptions if visit.own is not None else ()
    return {
        "peer": peer.id,
        "label": peer.label,
        "address": peer.address,
        "skew": peer.skew,
        "requests": visit.asked,
        "subscriptions": [
            {
                "globs": list(subscription.globs.texts),
                "cursor": list(subscription.position),
                "acknowledged": list(subscription.acked),
            }
            for subscription in subscriptions
        ],
    }


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _memory() -> int:
    """How many octets of memory this process has, 0 where that cannot be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
