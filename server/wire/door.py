"""From a connection that somebody opened to a session with a trusted peer, or to nothing.

A Door keeps every limit of PROTOCOL.md §6 that holds before the first request, and the list of
sessions, so that a peer who is removed is cut off at once.
"""

import asyncio
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable

from server.wire import messages
from server.wire.handshake import M1, M1_PSK, Closed, Proved, Responder, Terms, knock
from server.wire.keys import digest
from server.wire.limits import Bucket, Buckets, Limits, Recent, neighbourhood
from server.wire.serving import Over
from server.wire.stream import Pipe, SigwireSession
from server.wire.transport import Cut

# the label of who was proved, if it is trusted or its token opens; called with its address
Judge = Callable[[Proved, str], Awaitable[str | None]]
Serve = Callable[[SigwireSession, Over], None]
Say = Callable[[str, str], None]  # what happened, and to whom: for the log
WAITING = 4096  # connections that nobody has looked at yet
IN_A_ROW = 128
PAUSE = 0.5  # seconds, when there are too many open files


class Door:
    """What stands between strangers and sessions.

    TERMS gives what this end brings to a handshake, now; JUDGE says who is trusted, or raises
    Closed with a word; SERVE is given each session, and what to call when it is over. WELCOME tells
    whether an address may connect at all, UNBOUND whether it has no limits of its own, OPEN_TO
    whether it may come without knowing who we are.

    Where somebody trusted came from, others who do not get that far cannot take the places away:
    such addresses do not count against the limits for all.
    """

    def __init__(
        self, terms: Callable[[], Terms], judge: Judge, serve: Serve, say: Say,
        limits: Limits | None = None,
    ) -> None:  # fmt: skip
        self.counts: Counter[str] = Counter()
        self.essential: frozenset[str] = frozenset()  # for whom the last places are
        self.welcome: Callable[[str], bool] = lambda address: True
        self.unbound: Callable[[str], bool] = lambda address: False
        self.open_to: Callable[[str], bool] = lambda address: False
        self.limits = limits or Limits()
        self._terms = terms
        self._judge = judge
        self._serve = serve
        self._say = say
        now = time.monotonic()
        self._all = Bucket(self.limits.handshakes[1], now)
        self._each = Buckets(self.limits.handshakes_address, self.limits.remembered)
        self._recent = Recent(self.limits.remembered)
        self._unproved: dict[Pipe, str] = {}  # oldest first, with their neighbourhoods
        self._good: OrderedDict[str, None] = OrderedDict()  # where trusted peers came from
        self._sessions: dict[str, list[SigwireSession]] = {}
        self._count = 0  # of sessions
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent: set[asyncio.Task[None]] = set()  # those of them that wait for M1
        self._socket: socket.socket | None = None

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Begin to accept connections; address and port that were taken. Raises OSError."""
        loop = asyncio.get_running_loop()
        kind = socket.SOCK_STREAM
        found = await loop.getaddrinfo(host or None, port, type=kind, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        both = family == socket.AF_INET6 and place[0] == "::" and socket.has_dualstack_ipv6()
        self._socket = socket.create_server(
            place, family=family, backlog=WAITING, dualstack_ipv6=both
        )
        self._socket.setblocking(False)
        loop.add_reader(self._socket, self._accept)
        name = self._socket.getsockname()
        return str(name[0]), int(name[1])

    def shut(self) -> None:
        """Accept no more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        self._socket = None

    async def close(self) -> None:
        """Accept no more, and end what there is."""
        self.shut()
        for session in self.sessions():
            session.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def sessions(self) -> list[SigwireSession]:
        """All that are open."""
        return [session for sessions in self._sessions.values() for session in sessions]

    def cut(self, peer: str) -> int:
        """Cut off the peer with this id, at once; how many sessions it had."""
        found = list(self._sessions.get(peer, []))
        for session in found:
            session.cut()
        return len(found)

    def _accept(self) -> None:
        """Let in those who wait, some of them before others have their turn."""
        for _ in range(IN_A_ROW):
            if self._socket is None:
                return
            try:
                connection, place = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # there are too many open files: wait until some are closed
                self._note(f"error: {error!r}", "")
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._socket)
                loop.call_later(PAUSE, self._resume, self._socket)
                return
            address = str(place[0]).removeprefix("::ffff:")
            reason = self._turned_away(address)
            if reason:
                connection.close()
                self._note(reason, address)
                continue
            task = asyncio.get_running_loop().create_task(self._attend(connection, address))
            for tasks in (self._tasks, self._silent):
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    def _resume(self, listening: socket.socket) -> None:
        if self._socket is listening:
            asyncio.get_running_loop().add_reader(listening, self._accept)

    def _turned_away(self, address: str) -> str:
        """Why a connection from ADDRESS is closed before it costs anything; "" if it is not."""
        if not self.welcome(address):
            return "unwelcome"
        near, now = neighbourhood(address), time.monotonic()
        if not self.unbound(address) and self._each.take(near, 1, now):
            return "hurried"
        # each of the silent may take a handshake; there are never as many as a full bucket holds
        left = self._all.level(self.limits.handshakes, now) - len(self._silent)
        if near not in self._good and left < 1:
            return "busy"
        return ""

    async def _attend(self, connection: socket.socket, address: str) -> None:
        """Everything with one connection, from its first octet until it is a session."""
        loop = asyncio.get_running_loop()
        pipe = Pipe(self.limits.unproved_octets)
        try:
            # or each answer in two parts takes 40 ms; asyncio does it only if it made the socket
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(lambda: pipe, connection)
        except OSError:
            connection.close()
            return
        self._crowd(pipe, address)
        try:
            session = await self._proved(pipe, address)
            if session is not None:
                self._host(session)
        except (Closed, Cut, TimeoutError) as error:
            pipe.abort()
            self._note(_reason(error), address)
        except asyncio.CancelledError:
            pipe.abort()
            raise
        except Exception as error:
            pipe.abort()
            self._note(f"error: {error!r}", address)
            raise
        finally:
            self._unproved.pop(pipe, None)

    def _crowd(self, pipe: Pipe, address: str) -> None:
        """Note PIPE as one without proof; the oldest of too many have to go."""
        near = "" if self.unbound(address) else neighbourhood(address)
        strange = [old for old, at in self._unproved.items() if at not in self._good]
        for limit, pipes in (
            (
                self.limits.unproved_address,
                [old for old, at in self._unproved.items() if at == near] if near else [],
            ),
            (self.limits.unproved, [] if near in self._good else strange),
        ):
            if len(pipes) >= limit:
                self._unproved.pop(pipes[0], None)
                pipes[0].abort()
                self.counts["crowded"] += 1
        self._unproved[pipe] = near

    async def _proved(self, pipe: Pipe, address: str) -> SigwireSession | None:
        """The session that the handshake leads to, None if it was refused. Closed, Cut."""
        async with asyncio.timeout(self.limits.handshake_seconds):
            terms = self._terms()
            m1 = await self._knocked(pipe, address, terms)
            responder = Responder(terms, m1)
            m2 = responder.reply()
            await pipe.write(len(m2).to_bytes(2) + m2, self.limits.write_seconds)
            if int.from_bytes(await pipe.exactly(2)) != responder.expects:
                raise Closed("length")
            proved = responder.finish(await pipe.exactly(responder.expects))
            label = await self._judge(proved, address)
            if label is None:
                raise Closed("untrusted")
            self._unproved.pop(pipe, None)
            self._welcomed(neighbourhood(address))
            pipe.lift()
            session = SigwireSession(pipe, proved, label, self.limits)
            return session if await self._welcome(session, proved) else None

    async def _knocked(self, pipe: Pipe, address: str, terms: Terms) -> bytes:
        """M1, if it is worth Diffie-Hellman. Raises Closed, Cut, TimeoutError."""
        async with asyncio.timeout(self.limits.hello_seconds):
            m1 = await pipe.exactly(M1_PSK if terms.psk else M1)
        self._silent -= {asyncio.current_task()}
        own = digest(terms.credentials.certificate.identity)
        ephemeral = knock(m1, own, psk=bool(terms.psk), open_to=self.open_to(address))
        now = time.monotonic()
        good = neighbourhood(address) in self._good
        if not good and self._all.take(self.limits.handshakes, 1, now):
            raise Closed("busy")
        if not self._recent.new(ephemeral):
            raise Closed("repeated")
        return m1

    def _welcomed(self, near: str) -> None:
        """Note that somebody trusted came from NEAR."""
        self._good[near] = None
        self._good.move_to_end(near)
        if len(self._good) > self.limits.remembered:
            self._good.popitem(last=False)

    async def _welcome(self, session: SigwireSession, proved: Proved) -> bool:
        """Say whether there is a place for SESSION; if so it has it. Raises Cut."""
        mine = self._sessions.setdefault(session.peer.id, [])
        places = self.limits.sessions
        if self.essential and session.peer.id not in self.essential:
            places -= self.limits.reserved
        crowd = len(mine) >= self.limits.sessions_key and not self.unbound(session.peer.address)
        if crowd or self._count >= places:
            if not mine:
                del self._sessions[session.peer.id]
            self._note("full", session.peer.label)
            refuse = messages.packed(messages.Refuse(code="try_later"))
            await session.open(b"", proved.send_key, refuse)
            await session.end()
            return False
        mine.append(session)
        self._count += 1
        try:
            await session.open(b"", proved.send_key, self._greeting(proved))
        except BaseException:
            self._leave(session)
            raise
        return True

    def _greeting(self, proved: Proved) -> bytes:
        return messages.packed(
            messages.Welcome(
                session=proved.channel[:16],
                rate=int(self.limits.requests[0]),
                idle=int(self.limits.idle_seconds),
            )
        )

    def _host(self, session: SigwireSession) -> None:
        """Have SESSION served."""
        self._say("session", session.peer.id)
        self._serve(session, self._over)

    def _over(self, session: SigwireSession, reason: str) -> None:
        self._leave(session)
        if reason:
            self._note(reason, session.peer.id)

    def _leave(self, session: SigwireSession) -> None:
        """Forget SESSION."""
        self._count -= 1
        left = [other for other in self._sessions[session.peer.id] if other is not session]
        if left:
            self._sessions[session.peer.id] = left
        else:
            del self._sessions[session.peer.id]

    def _note(self, reason: str, whom: str) -> None:
        self.counts[reason] += 1
        self._say(reason, whom)


def _reason(error: Exception) -> str:
    """The word for ERROR in counts and the log."""
    match error:
        case Closed():
            return str(error)
        case TimeoutError():
            return "late"
        case _:
            return "cut"
