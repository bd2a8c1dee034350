"""Into the background, as daemons under their CFEngine names go unless told not to.

Who was called waits until the daemon serves, and ends with its status. The daemon's words go to
syslog from then on.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.log import Log
    from agent.options import Settings

EXIT_FAILED = 1
# level: its priority for syslog
PRIORITIES = {
    "critical": 2, "error": 3, "warning": 4, "notice": 5, "info": 6, "verbose": 7, "debug": 7,
}  # fmt: skip


class Voice:
    """A log that is read while we live: each line at once, to the terminal or to SYSLOG."""

    def __init__(self, log: "Log", syslog: "Callable[[int, str], None] | None" = None) -> None:
        self._log = log
        self._syslog = syslog
        self.talk = log.talk
        self.wants = log.wants
        self.flush = log.flush

    def __call__(self, level: str, message: str) -> None:
        """Say MESSAGE if LEVEL is wanted."""
        if not self._log.wants(level):
            return
        if self._syslog is not None:
            self._syslog(PRIORITIES[level], message)
        else:
            self._log(level, message)
            self._log.flush()

    def show(self, text: str, fd: int = 1) -> None:
        """Say TEXT as it is."""
        if self._syslog is not None:
            self._syslog(PRIORITIES["notice"], text.rstrip("\n"))
        else:
            self._log.show(text, fd)
            self._log.flush()


def begin(settings: "Settings", log: "Log") -> "tuple[Any, Callable[..., int]]":
    """The voice of the daemon and what to call when it has started; None for the voice, and what
    gives the exit status, in the process that stays behind."""
    for number in range(3):  # or what we open next would be our standard output
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if settings.foreground or settings.once:
        return Voice(log), lambda status: int(status)
    ear, mouth = os.pipe()
    sys.stdout.flush()
    log.flush()
    if os.fork():
        os.close(mouth)
        return None, lambda: _told(ear)
    os.close(ear)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):  # nobody is to wait for what we and our children do not say
        os.dup2(nowhere, number)
    os.close(nowhere)
    return Voice(log, _syslog(settings.program)), lambda status: _tell(mouth, status)


def _told(ear: int) -> int:
    """What the daemon says that it has come to."""
    said = os.read(ear, 1)
    return said[0] if said else EXIT_FAILED


def _tell(mouth: int, status: int) -> int:
    """Let who was called end."""
    os.write(mouth, bytes([status]))
    os.close(mouth)
    return status


def _syslog(program: str) -> "Callable[[int, str], None]":
    import syslog

    syslog.openlog(program, syslog.LOG_PID, syslog.LOG_DAEMON)

    def say(priority: int, text: str) -> None:
        syslog.syslog(priority, text.encode("utf-8", "backslashreplace").decode())

    return say
