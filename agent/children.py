"""Processes that the daemon starts, and hears of without waiting: their words, and their end.

Each is troth itself, by the interpreter and with the flags of its launcher, or a shell. It gets a
session of its own, so that it can be ended with all that it started.
"""

import os
import select
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from agent.links import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

CHUNK = 1 << 16
POLL = 0.02  # seconds, where the kernel does not tell of ends
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
START = f"import sys; sys.path.append({ROOT!r}); from agent.cli import launch; launch()"

Heard = Callable[[bytes], None]
Ended = Callable[[int], None]


def troth(*words: str) -> list[str]:
    """What starts `troth WORDS`."""
    return [sys.executable, FLAGS, "-c", START, *words]


def when_ended(loop: "AbstractEventLoop", pid: int, ended: Ended) -> None:
    """Call ENDED with the exit status of our child PID, negative for a signal, when it ends."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        _poll(loop, pid, ended)
        return

    def reap() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        ended(_status(pid))

    loop.add_reader(descriptor, reap)


def _poll(loop: "AbstractEventLoop", pid: int, ended: Ended) -> None:
    found, status = os.waitpid(pid, os.WNOHANG)
    if found:
        ended(os.waitstatus_to_exitcode(status))
    else:
        loop.call_later(POLL, _poll, loop, pid, ended)


def _status(pid: int) -> int:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # somebody else waited for it
        return 0


class Child:
    """A process of ARGV. HEARD gets what it says, on stdout and stderr, or with ERRORS stderr goes
    there. ENDED gets its exit status, when it has ended and all that it said is heard.

    What others that it left behind say later is heard, too, until `deaf`. QUIET is called when
    nobody can say anything any more.
    """

    quiet: Callable[[], None] | None = None

    def __init__(
        self, loop: "AbstractEventLoop", argv: list[str], environ: Mapping[str, str],
        heard: Heard, ended: Ended, errors: Heard | None = None,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._ended = ended
        self._ears: dict[int, Heard] = {}
        self._mouths: list[int] = []
        out = self._pipe(heard)
        err = self._pipe(errors) if errors is not None else out
        try:
            self.pid = os.posix_spawn(
                argv[0], argv, environ, setsid=True,
                setsigmask=(), setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGHUP),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, out, 1),
                    (os.POSIX_SPAWN_DUP2, err, 2),
                ],
            )  # fmt: skip
        except OSError:
            self.deaf()
            raise
        finally:
            for mouth in self._mouths:
                os.close(mouth)
        when_ended(loop, self.pid, self._over)

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send the signal NUMBER to the process and to all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    @property
    def heeded(self) -> bool:
        """Whether somebody may still say something."""
        return bool(self._ears)

    def deaf(self) -> None:
        """Hear no more."""
        for ear in list(self._ears):
            self._close(ear)

    def _pipe(self, heard: Heard) -> int:
        """A descriptor to write to; HEARD gets what is written."""
        ear, mouth = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(mouth, True)
        self._ears[ear] = heard
        self._mouths.append(mouth)
        self._loop.add_reader(ear, self._hear, ear)
        return mouth

    def _hear(self, ear: int) -> bool:
        """Hear what there is; whether there was something."""
        try:
            data = os.read(ear, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close(ear)
            return False
        self._ears[ear](data)
        return True

    def _close(self, ear: int) -> None:
        self._loop.remove_reader(ear)
        self._ears.pop(ear)
        os.close(ear)
        if not self._ears and self.quiet is not None:
            self.quiet()

    def _over(self, status: int) -> None:
        for ear in list(self._ears):
            while ear in self._ears and select.select([ear], [], [], 0)[0]:
                if not self._hear(ear):
                    break
        self._ended(status)
