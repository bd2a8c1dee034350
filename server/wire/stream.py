"""Sessions over asyncio: the socket, sessions, and how to connect.

A session waits in one place and holds no buffer while nothing comes, so that thousands fit in
a process.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from typing import TYPE_CHECKING

from server.wire import messages
from server.wire.frames import LARGEST_MESSAGE, Broken, Receiver, Sender
from server.wire.handshake import M2, Closed, Initiator, Proved, Terms
from server.wire.keys import host_id
from server.wire.limits import Limits
from server.wire.transport import BadAddress, Cut, Peer, Refused, Session

if TYPE_CHECKING:
    from collections.abc import Callable

ROOM = memoryview(bytearray(65536))  # what arrives is here only until it is copied, in one thread
LIMITS = Limits()
HIGH = 128 * 1024  # octets waiting for us, beyond which the peer has to wait
KEEN_SECONDS = 1.9  # for a connection: after the second try of the system
STUCK = 16 * 1024  # octets waiting for the peer, beyond which nothing more is made for it


class Pipe(asyncio.BufferedProtocol):
    """A TCP connection that is read at our pace; ALLOWANCE limits what is read before `lift`."""

    __slots__ = (
        "_allowance", "_closing", "_data", "_due", "_freed", "_hear", "_timer", "_transport",
        "_waiter", "ended", "stuck",
    )  # fmt: skip

    def __init__(self, allowance: int = 0) -> None:
        self._allowance: int | None = allowance or None
        self._data = b""
        self.ended = False  # nothing more comes
        self.stuck = False  # the other end has to take something before it is sent more
        self._hear: Callable[[], None] | None = None
        self._freed: asyncio.Future[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._closing: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take TRANSPORT."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TCP gives such
        self._transport = transport
        transport.set_write_buffer_limits(STUCK)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next octets go."""
        return ROOM if self._allowance is None else ROOM[: self._allowance]

    def buffer_updated(self, nbytes: int) -> None:
        """Keep what came."""
        self._data += ROOM[:nbytes]
        if self._allowance is not None:
            self._allowance -= nbytes
        if self._allowance == 0 or len(self._data) > HIGH:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Nothing more comes."""
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes and nothing goes."""
        self.ended = True
        for timer in (self._closing, self._timer):
            if timer is not None:
                timer.cancel()
        if self.stuck:
            self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        """Too much is on its way."""
        self.stuck = True

    def resume_writing(self) -> None:
        """It went."""
        self.stuck = False
        if self._freed is not None and not self._freed.done():
            self._freed.set_result(None)
        if self._hear is not None:
            self._hear()

    # what we call

    def attend(self, hear: Callable[[], None] | None) -> None:
        """Have HEAR called whenever something has come, has gone, or nothing more can."""
        self._hear = hear

    def taken(self) -> bytes:
        """What has come; b"" if nothing has."""
        found, self._data = self._data, b""
        if len(found) > HIGH and not self.ended:
            self._transport.resume_reading()
        return found

    def put(self, data: bytes) -> None:
        """Send DATA, now or as the other end takes it."""
        if not self.ended:
            self._transport.write(data)

    @property
    def address(self) -> tuple[str, int]:
        """Address and port of the other end."""
        host, port = (self._transport.get_extra_info("peername") or ("0.0.0.0", 0))[:2]  # noqa: S104
        return str(host).removeprefix("::ffff:"), int(port)  # of a socket for both versions

    async def exactly(self, size: int) -> bytes:
        """The next SIZE octets. Raises Cut."""
        while len(self._data) < size:
            await self._more()
        found, self._data = self._data[:size], self._data[size:]
        return found

    async def some(self, due: float = math.inf) -> bytes:
        """What has come, at least an octet. Raises Cut, TimeoutError at DUE by the loop's clock."""
        while not self._data:
            self._watch(due)
            await self._more()
        found, self._data = self._data, b""
        if self._allowance is None and not self.ended:
            self._transport.resume_reading()
        return found

    def lift(self) -> None:
        """Read from now on whatever comes."""
        self._allowance = None
        if not self.ended:
            self._transport.resume_reading()

    async def write(self, data: bytes, seconds: float) -> None:
        """Send DATA; Cut if the other end does not take it within SECONDS."""
        if self.ended or self._transport.is_closing():
            raise Cut("the connection is gone")
        self._transport.write(data)
        if not self.stuck:
            return
        self._freed = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._freed
        except TimeoutError:
            self.abort()
            raise Cut("the peer does not read") from None

    def close(self, seconds: float) -> None:
        """Send what is left, then close; after SECONDS whether it was taken or not."""
        self._transport.close()
        loop = asyncio.get_running_loop()
        self._closing = loop.call_later(seconds, self._transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    async def _more(self) -> None:
        if self.ended:
            raise Cut("the connection ended")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _watch(self, due: float) -> None:
        """Have the next wait end at DUE.

        The timer is left where it was if it comes first, and looks again when it goes off: most
        waits are short, and to set a timer for each would cost more than the wait.
        """
        self._due = due
        if due < math.inf and (self._timer is None or due < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(due, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """The timer went off."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._due <= loop.time():
            self._waiter.set_exception(TimeoutError())
        else:
            self._watch(self._due)

    def _wake(self) -> None:
        if self._hear is not None:
            self._hear()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class SigwireSession:
    """A session of this protocol, once the handshake is done; see transport.Session."""

    __slots__ = ("_limits", "_receiver", "_sender", "_waiting", "peer", "pipe", "room")

    def __init__(self, pipe: Pipe, proved: Proved, label: str, limits: Limits) -> None:
        address, port = pipe.address
        self.peer = Peer(
            id=host_id(proved.identity),
            identity=proved.identity,
            label=label,
            address=address,
            port=port,
            skew=proved.skew,
        )
        self.room = min(LARGEST_MESSAGE, proved.max_message)  # what a message to it may hold
        self.pipe = pipe
        self._limits = limits
        self._sender = Sender(proved, time.monotonic)
        self._receiver = Receiver(proved.receive_key, proved.channel, limits.max_message)
        self._waiting: list[bytes] = []

    async def open(self, before: bytes, key: bytes, message: bytes = b"") -> None:
        """Send in one write BEFORE, our direction's header, and a first MESSAGE. Raises Cut."""
        data = before + self._sender.header(key)
        if message:
            data += self._sender.message(message)
        await self.pipe.write(data, self._limits.write_seconds)

    async def send(self, message: bytes) -> None:
        """Send MESSAGE. Raises Cut."""
        try:
            frames = self._sender.message(message)
        except Broken as error:
            self.cut()
            raise Cut(str(error)) from None
        await self.pipe.write(frames, self._limits.write_seconds)

    async def receive(self, seconds: float) -> bytes | None:
        """The next message; None after an orderly end. Raises Cut, TimeoutError after SECONDS.

        A message that has started has to be whole within its own time, whatever SECONDS says.
        """
        while not self._waiting:
            if self._receiver.ended:
                return None
            if self._receiver.started:
                await self._complete()
                continue
            due = asyncio.get_running_loop().time() + seconds
            self._take(await self.pipe.some(due))
        return self._waiting.pop(0)

    # for who is called when something comes, instead of waiting for it

    def attend(self, hear: Callable[[], None] | None) -> None:
        """Have HEAR called whenever something has come, has gone, or nothing more can."""
        self.pipe.attend(hear)

    def heard(self) -> bytes | None:
        """The next message, if it is there. Raises Cut."""
        waiting = self._waiting
        if waiting:
            return waiting.pop(0)
        data = self.pipe.taken()
        if data:
            self._take(data)
            if waiting:
                return waiting.pop(0)
        return None

    @property
    def ended(self) -> bool:
        """Whether the peer has ended it in good order."""
        return self._receiver.ended

    @property
    def started(self) -> bool:
        """Whether a message has come in part."""
        return self._receiver.started

    def put(self, message: bytes) -> None:
        """Send MESSAGE, now or as the peer takes it. Raises Cut if it is too long."""
        try:
            frames = self._sender.message(message)
        except Broken as error:
            self.cut()
            raise Cut(str(error)) from None
        self.pipe.put(frames)

    def finish(self) -> None:
        """End it in good order, when the peer has taken what there is."""
        self.pipe.put(self._sender.final())
        self.pipe.close(self._limits.write_seconds)

    async def _complete(self) -> None:
        """Read until the message that has started is whole. Raises Cut."""
        due = asyncio.get_running_loop().time() + self._limits.message_seconds
        try:
            while self._receiver.started and not self._waiting:
                self._take(await self.pipe.some(due))
        except TimeoutError:
            self.cut()
            raise Cut("a message took too long to come") from None

    async def end(self) -> None:
        """End it in good order."""
        try:
            await self.pipe.write(self._sender.final(), self._limits.write_seconds)
        except Cut:
            self.pipe.abort()
        else:
            self.pipe.close(self._limits.write_seconds)

    def cut(self) -> None:
        """End it at once."""
        self.pipe.abort()

    def _take(self, data: bytes) -> None:
        """Decrypt DATA. Raises Cut."""
        try:
            self._waiting.extend(self._receiver.feed(data))
        except Broken as error:
            self.cut()
            raise Cut(str(error)) from None


def _watch(connection: socket.socket) -> None:
    """Have the system ask on CONNECTION, when it is silent, whether the other end is there."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 3), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2),
        (socket.TCP_USER_TIMEOUT, 5000),
    ):  # fmt: skip
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


async def connect(
    address: tuple[str, int], terms: Terms, pin: bytes | None, label: str,
    *, token: bytes = b"", first: bytes = b"", limits: Limits = LIMITS, keen: bool = False,
) -> SigwireSession:  # fmt: skip
    """A session with the host at ADDRESS whose identity has the digest PIN.

    FIRST is a request that goes along with the last message of the handshake. Who is KEEN notices
    within seconds that nobody is there any more, at the price of more packets. Raises OSError and
    TimeoutError if nobody is there, BadAddress if nobody can be, Closed if it is somebody else, Cut
    if it hangs up, Refused.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limits.handshake_seconds):
        async with asyncio.timeout(KEEN_SECONDS if keen else None):
            try:
                transport, pipe = await loop.create_connection(Pipe, *address)
            except UnicodeError as error:
                raise BadAddress(f"'{address[0]}' is not an address: {error}") from None
        if keen:
            _watch(transport.get_extra_info("socket"))
        try:
            initiator = Initiator(terms, pin, token)
            await pipe.write(initiator.hello(), limits.write_seconds)
            if int.from_bytes(await pipe.exactly(2)) != M2:
                raise Closed("length")
            m3, proved = initiator.finish(await pipe.exactly(M2))
            session = SigwireSession(pipe, proved, label, limits)
            await session.open(len(m3).to_bytes(2) + m3, proved.send_key, first)
            await welcomed(session, limits)
        except BaseException:
            pipe.abort()
            raise
    return session


async def welcomed(session: Session, limits: Limits) -> messages.Welcome:
    """What SESSION begins with. Raises Refused, Cut."""
    opening = await session.receive(limits.handshake_seconds)
    try:
        said = messages.answer(opening or b"")
    except messages.BadMessage as error:
        raise Cut(f"no welcome: {error}") from None
    if isinstance(said, messages.Refuse):
        raise Refused(said.code)
    if not isinstance(said, messages.Welcome):
        raise Cut("no welcome")
    return said
