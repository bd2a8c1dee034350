"""The socket by which commands on this host speak with the daemon: `state/control.sock`.

A line is a JSON object with `op`, the answer another line. Only root and the user of the daemon are
heard. `watch` is answered by a line for everything that happens from then on.
"""

import asyncio
import json
import os
import socket
import struct
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Any

    from agent.events import Events

    Answers = dict[str, "Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]"]

SOCKET = "control.sock"
LONGEST = 4096  # of a question
PATIENCE = 5.0  # seconds to wait for an answer
BACKLOG = 1 << 20  # octets that somebody who watches has not read
CREDENTIALS = struct.Struct("3i")


class Control:
    """The socket at PATH. ANSWERS: what answers each `op`; EVENTS are for those who watch."""

    def __init__(self, path: str, answers: "Answers", events: "Events") -> None:
        self._path = path
        self._answers = answers
        self._events = events
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Begin to answer. Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        old = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._met, self._path, limit=LONGEST)
        finally:
            os.umask(old)

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        with suppress(OSError):
            os.unlink(self._path)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a callback of the server is one
        self._tasks.add(task)
        try:
            if _known(writer.get_extra_info("socket")):
                await self._converse(reader, writer)
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # who asked is gone, or asks for something else than lines; or we end
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what is asked, until there are no questions."""
        while line := await reader.readline():
            try:
                asked = json.loads(line)
                word = asked["op"]
            except (ValueError, TypeError, KeyError):
                word, asked = "", {}
            if word == "watch":
                await self._show(reader, writer)
                return
            answer = self._answers.get(word) if isinstance(word, str) else None
            said = await answer(asked) if answer else {"error": "what is asked means nothing"}
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()

    async def _show(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tell what happens until nobody reads it."""

        def tell(event: "dict[str, Any]") -> None:
            if writer.transport.get_write_buffer_size() > BACKLOG:
                writer.transport.abort()
            else:
                writer.write(json.dumps(event).encode() + b"\n")

        self._events.watch(tell)
        try:
            tell({"event": "watching"})
            await reader.read(1)
        finally:
            self._events.leave(tell)


def _known(sock: socket.socket) -> bool:
    """Whether root or our own user is at the other end of SOCK."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, user, _ = CREDENTIALS.unpack(raw)
    return user in (0, os.geteuid())


# the other end


def ask(workdir: str, op: str, name: str) -> "Any":
    """What the daemon at the socket NAME answers to OP; None if there is none. Raises OSError."""
    with opened(workdir, PATIENCE, name) as sock:
        if sock is None:
            return None
        sock.sendall(_question(op))
        with sock.makefile("rb") as file:
            return json.loads(file.readline() or b"null")


def tell(workdir: str, op: str, name: str, **more: object) -> None:
    """Ask the daemon at the socket NAME for OP, if there is one; do not wait. Raises OSError."""
    with opened(workdir, 0.0, name) as sock:
        if sock is not None:
            sock.sendall(_question(op, **more))


def _question(op: str, **more: object) -> bytes:
    return json.dumps({"op": op, **more}).encode() + b"\n"


@contextmanager
def opened(
    workdir: str, seconds: float | None, name: str = SOCKET
) -> "Iterator[socket.socket | None]":
    """A socket to the daemon of WORKDIR, None if there is none. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        path = f"{workdir}/state/{name}"
        try:
            sock.connect(path)
            there = True
        except (FileNotFoundError, ConnectionRefusedError):
            there = False
        except OSError as error:
            if error.errno is None:  # the path is too long
                raise OSError(f"'{path}': {error}") from None
            error.filename = path
            raise
        yield sock if there else None
