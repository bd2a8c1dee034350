"""The network half as the daemon sees it: a process that is spoken with, watched, and replaced."""

import asyncio
import os
import signal
import socket
import time
from contextlib import suppress

from agent import half
from agent.children import when_ended
from server.wire import inside
from server.wire.messages import UNFIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.ground import Ground

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before it is started again
STEADY = 60.0  # seconds of life after which it counts as well
SILENT = 30.0  # seconds without a word after which it is ended
MOST_HELD = 4 * inside.LARGEST  # octets that it has not read


class Pipe(asyncio.Protocol):
    """Our end of the socket."""

    def __init__(
        self, heard: "Callable[[inside.FromNetwork], None]", broken: "Callable[[str], None]"
    ) -> None:
        self._heard = heard
        self._broken = broken
        self._held = bytearray()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # a socket gives no other
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hear each message that is whole."""
        held = self._held
        held += data
        at = 0
        while len(held) - at >= 4:
            size = int.from_bytes(held[at : at + 4])
            if size > inside.LARGEST:
                self._broken(f"a message of {size} octets")
                return
            if len(held) - at - 4 < size:
                break
            octets = bytes(held[at + 4 : at + 4 + size])
            at += 4 + size
            try:
                message = inside.from_network.decode(octets)
            except UNFIT as error:
                self._broken(str(error)[:200])
                return
            self._heard(message)
        del held[:at]

    def say(self, message: inside.Message) -> None:
        """Send MESSAGE."""
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(inside.packed(message))
        if self.transport.get_write_buffer_size() > MOST_HELD:
            self._broken("it does not read")


class Network:
    """The network half, whichever process that is now. HEARD gets what it says, GONE is called when
    it has died: what it knew is lost, and another one will ask for it."""

    def __init__(
        self, ground: "Ground", heard: "Callable[[inside.FromNetwork], None]",
        gone: "Callable[[], None]", first: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self._first = first  # that was started already
        self._settings = ground.settings
        self._log = ground.log
        self._heard_by = heard
        self._gone = gone
        self._pipe: Pipe | None = None
        self._failures = 0
        self._begun = 0.0
        self._wanted = False
        self._closing = False
        self._heard_at = 0.0
        self._ended = asyncio.Event()
        self._ended.set()
        self._task: asyncio.Task[None] | None = None
        self.pid = 0
        self.lag = 0.0

    def start(self) -> None:
        """Start it, once: if it dies, another one is started without a word."""
        if not self._wanted:
            self._wanted = True
            self._begin()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._start())

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self.pid, descriptor = self._first or half.start(self._settings)
        except (OSError, half.NoUser) as error:
            self._log("error", f"cannot start the network half: {error}")
            self._later()
            return
        self._first = None
        ours = socket.socket(fileno=descriptor)
        self._begun = self._heard_at = time.monotonic()
        self._ended.clear()
        when_ended(loop, self.pid, self._over)
        pipe = Pipe(self._heard, self._broken)
        self._pipe = pipe
        ours.setblocking(False)
        await loop.connect_accepted_socket(lambda: pipe, ours)

    @property
    def up(self) -> bool:
        """Whether there is one."""
        return self._pipe is not None

    def well(self, seconds: float) -> bool:
        """Whether it has said something in the last SECONDS, and was not late with it."""
        return self.up and time.monotonic() - self._heard_at < seconds and self.lag < 1.0

    def say(self, message: inside.Message) -> None:
        """Tell it MESSAGE, if there is one."""
        if self._pipe is not None:
            self._pipe.say(message)

    def check(self) -> None:
        """End it if it says nothing any more; called once a second."""
        if self.up and time.monotonic() - self._heard_at > SILENT:
            self._broken("it says nothing")

    def restart(self) -> None:
        """Replace it by one that starts from the beginning."""
        if self.up:
            self._failures = 0
            self.say(inside.Drain())
            asyncio.get_running_loop().call_later(2.0, self._kill, self.pid)

    async def close(self, seconds: float) -> None:
        """Let it end what it does, for SECONDS."""
        self._closing = True
        if self._task is not None:
            await self._task
        self.say(inside.Drain())
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            self._kill(self.pid)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), 1.0)

    def kill(self) -> None:
        """End it at once, for good."""
        self._closing = True
        self._kill(self.pid)

    def _heard(self, message: inside.FromNetwork) -> None:
        self._heard_at = time.monotonic()
        if isinstance(message, inside.Alive):
            self.lag = message.lag
        else:
            self._heard_by(message)

    def _broken(self, reason: str) -> None:
        """It does not do as it should: end it."""
        self._log("error", f"the network half is ended: {reason}")
        self._kill(self.pid)

    def _kill(self, pid: int) -> None:
        if pid and pid == self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _over(self, status: int) -> None:
        """It has ended with STATUS."""
        pipe, self._pipe = self._pipe, None
        self.pid = 0
        if pipe is not None and pipe.transport is not None:
            pipe.transport.abort()
        self._ended.set()
        if self._closing:
            return
        if time.monotonic() - self._begun > STEADY:
            self._failures = 0
        level = "warning" if status else "info"
        self._log(level, f"the network half has ended with status {status}")
        self._gone()
        self._later()

    def _later(self) -> None:
        """Start another one, the later the more often this happened."""
        if self._closing:
            return
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        asyncio.get_running_loop().call_later(pause, self._once_more)

    def _once_more(self) -> None:
        if not self._closing:
            self._begin()
