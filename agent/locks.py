"""Who keeps which promise when: not too often, and not two at once.

The lock of a promise is the hash of what it says. What was kept in a run is written down together
when the run ends; a promise that changed something, at once. Before what cannot be seen from
outside begins (a command, a module, a package) its holder is written down, so that a run that
dies in it leaves a trace.
"""

import errno
import marshal
import os
import time
from _blake2 import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.exchange import Act
    from agent.state import State

KEY_SIZE = 16
PATIENCE = 1.0  # seconds that a process gets to end after each signal


class Locks:
    """The locks of one run, as they were when it first looked. NOW is its start in seconds.

    IGNORED ones (`-K`) hold nobody back, but are written all the same.
    """

    __slots__ = ("_begun", "_holders", "_ignored", "_log", "_now", "_stamps", "_start", "_state")

    def __init__(
        self, state: "State", now: float, log: "Callable[[str, str], None]", *,
        ignored: bool = False,
    ) -> None:  # fmt: skip
        self._state = state
        self._ignored = ignored
        self._now = int(now)
        self._log = log
        self._stamps: dict[bytes, int] | None = None
        self._holders: dict[bytes, tuple[int, int, int]] = {}
        self._begun: set[bytes] = set()
        self._start = 0

    def key(self, identity: "tuple[Any, ...]") -> bytes:
        """The lock of the promise that IDENTITY, of plain values, describes."""
        # version 2 of marshal writes equal values alike, however they came to be
        return blake2b(marshal.dumps(identity, 2), digest_size=KEY_SIZE).digest()

    def may(self, key: bytes, ifelapsed: int, expireafter: int, what: str = "") -> bool:
        """Whether the time of the promise KEY has come and nobody else is at it. Both in minutes.

        WHAT is what the log calls it.
        """
        if self._ignored:
            return True
        last = self._known().get(key)
        if last is not None and ifelapsed:
            elapsed = (self._now - last) // 60
            if last > self._now:
                self._log(
                    "verbose",
                    "Another cf-agent seems to have done this since I started "
                    f"(elapsed={self._now - last})",
                )
                return False
            if elapsed < ifelapsed:
                self._log(
                    "verbose",
                    f"Nothing promised here [{(what or key.hex())[:40]}] "
                    f"({elapsed}/{ifelapsed} minutes elapsed)",
                )
                return False
        holder = self._holders.get(key)
        return holder is None or self._released(holder, expireafter, what or key.hex())

    def _known(self) -> dict[bytes, int]:
        """When each promise was last seen to, as it was when this run first looked."""
        if self._stamps is None:
            self._stamps = self._state.locks()
            self._holders = self._state.holders()
        return self._stamps

    def _released(self, holder: tuple[int, int, int], expireafter: int, what: str) -> bool:
        """Whether HOLDER is gone, or could be made to go because it took too long."""
        pid, start, begun = holder
        if started(pid) != start:
            self._log(
                "warning",
                f"'{what}' was interrupted when process {pid} died; it is tried again",
            )
            return True
        minutes = (self._now - begun) // 60
        if minutes < expireafter:
            self._log("verbose", f"Couldn't obtain lock for {what} (already running!)")
            return False
        self._log("info", f"Lock expired after {minutes}/{expireafter} minutes: {what}")
        if not _kill(pid, start):
            self._log("error", f"could not kill process {pid}, which holds the lock of '{what}'")
            return False
        self._log("info", f"Process with PID {pid} successfully killed")
        return True

    def until(self, key: bytes, ifelapsed: int) -> int:
        """When the lock of the promise KEY, IFELAPSED minutes long, ends; 0 if it is not locked."""
        last = self._known().get(key)
        return 0 if last is None or self._ignored else last + 60 * ifelapsed

    def begin(self, key: bytes, act: "Act | None" = None) -> bool:
        """Write down that we are at the promise KEY, to ACT; False if another run was faster."""
        if key in self._begun:
            return True
        if not self._start:
            self._start = started(os.getpid())
        last = self._known().get(key)
        holder = (os.getpid(), self._start, self._state.clock())
        if self._state.begin(key, holder, last, self._holders.get(key), act):
            self._begun.add(key)
            return True
        self._log("verbose", "Another cf-agent seems to have done this since I started")
        return False

    def finish(
        self, key: bytes, *, changed: bool, act: "Act | None" = None, ending: str = ""
    ) -> None:
        """Note that the promise KEY was seen to; if it CHANGED anything, write that down now.

        With an ENDING the signals of ACT are consumed.
        """
        if changed or key in self._begun or act is not None:
            self._begun.discard(key)
            self._state.commit(key, self._state.clock(), act, ending)
        else:
            self._state.keep(key, self._state.clock())


def started(pid: int) -> int:
    """When the process PID started, in ticks since the system did; 0 if it does not run."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()  # before it the name, any characters
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if words[0] in (b"Z", b"X") else int(words[19])


def _kill(pid: int, start: int) -> bool:
    """Make the process PID end, if it is the agent that started at START; whether it did."""
    from signal import SIGINT, SIGKILL, SIGTERM  # hardly ever needed

    if not _ours(pid):
        return False
    for number in (SIGINT, SIGTERM, SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            if started(pid) != start:
                return True
            time.sleep(0.02)
    return False


def _ours(pid: int) -> bool:
    """Whether the process PID runs the program that this one runs."""
    try:
        return os.readlink(f"/proc/{pid}/exe") == os.readlink("/proc/self/exe")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH, errno.EACCES):
            return False
        raise
