"""From a connection that somebody opened to a session with a trusted peer, or to nothing.

A Door keeps every limit of PROTOCOL.md §6 that holds before the first request, and the list of
sessions, so that a peer who is removed is cut off at once.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from server.wire import messages
from server.wire.handshake import Closed, Proved, Responder, Terms, knock
from server.wire.keys import digest, host_id
from server.wire.limits import Bucket, Buckets, Limits, Recent, neighbourhood
from server.wire.stream import Pipe, SigwireSession
from server.wire.transport import Cut

# the label of who was proved, if it is trusted or its token opens; called with its address
Judge = Callable[[Proved, str], Awaitable[str | None]]
Serve = Callable[[SigwireSession], Awaitable[None]]
Say = Callable[[str, str], None]  # what happened, and to whom: for the log


class Door:
    """What stands between strangers and sessions.

    TERMS gives what this end brings to a handshake, now; JUDGE says who is trusted; SERVE has the
    session until it returns. OPEN_TO tells whether an address may come without knowing who we are.
    """

    def __init__(
        self, terms: Callable[[], Terms], judge: Judge, serve: Serve, say: Say,
        limits: Limits | None = None,
    ) -> None:  # fmt: skip
        self.counts: Counter[str] = Counter()
        self.essential: frozenset[str] = frozenset()
        self.open_to: Callable[[str], bool] = lambda address: False
        self.limits = limits or Limits()
        self._terms = terms
        self._judge = judge
        self._serve = serve
        self._say = say
        now = time.monotonic()
        self._all = Bucket(self.limits.handshakes[1], now)
        self._each = Buckets(self.limits.handshakes_address, self.limits.remembered)
        self._recent = Recent(self.limits.replay_seconds, self.limits.remembered)
        self._unproved: dict[Pipe, str] = {}  # oldest first, with their neighbourhoods
        self._sessions: dict[str, list[SigwireSession]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Begin to accept connections; address and port that were taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._pipe, host, port, backlog=1024)
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def close(self) -> None:
        """Accept no more, and end what there is."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def sessions(self) -> list[SigwireSession]:
        """All that are open."""
        return [session for sessions in self._sessions.values() for session in sessions]

    def cut(self, peer: str) -> int:
        """Cut off the peer with this id, at once; how many sessions it had."""
        found = self._sessions.get(peer, [])
        for session in found:
            session.cut()
        return len(found)

    def _pipe(self) -> Pipe:
        return Pipe(self.limits.unproved_octets, self._enter)

    def _enter(self, pipe: Pipe) -> None:
        """Somebody connected."""
        task = asyncio.get_running_loop().create_task(self._attend(pipe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, pipe: Pipe) -> None:
        """Everything with one connection, from its first octet to its end."""
        address, _ = pipe.address
        self._admit(pipe, address)
        try:
            proved, label = await self._prove(pipe, address)
        except (Closed, Cut, TimeoutError) as error:
            reason = str(error) if isinstance(error, Closed) else type(error).__name__.lower()
            self._refuse(reason, address)
            return
        finally:
            self._unproved.pop(pipe, None)
            pipe.abort_unless(kept=)
