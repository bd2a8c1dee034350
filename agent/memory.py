"""The state of this host as the daemon holds it: open, lasting, and opened again after trouble."""

import time
from collections import deque

from agent.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection

AGAIN = 1.0  # seconds until what failed is tried again
LATEST = 60.0  # seconds until it is, if it fails again and again
BUSY = 250  # milliseconds that the daemon waits for who writes just now: nothing else goes on then
MOST_OWED = 1000  # writes that wait for better times; the oldest are left out


class Memory:
    """The file at PATH; CLOCK gives the time."""

    def __init__(
        self, path: str, clock: "Callable[[], float]", log: "Callable[[str, str], None]"
    ) -> None:
        self._path = path
        self._clock = clock
        self._log = log
        self._said = ""
        self._version: object = None
        self._broken_at = 0.0
        self._brief = False  # whether its waits are
        self._owed: deque[Callable[[State], object]] = deque(maxlen=MOST_OWED)
        self._pause, self._due = AGAIN, 0.0  # how long it waits, and until when
        self._state = self._opened()

    @property
    def state(self) -> State:
        """It, another one if the last one gave up a while ago."""
        if self._state.broken:
            now = time.monotonic()
            if not self._broken_at:
                self._broken_at = now
            elif now - self._broken_at >= AGAIN:
                self._broken_at = 0.0
                self._state = self._opened()
        if not self._brief:
            self._brief = self._state.do(_brief, default=False, create=False)
        return self._state

    @property
    def lasting(self) -> State:
        """It; what is written next is on the disk when it was written."""
        state = self.state
        state.do(lambda db: db.execute("PRAGMA synchronous = FULL"), None)
        return state

    def write(self, act: "Callable[[State], object]") -> None:
        """Let ACT write to it: now, or if that fails as soon as it can be, in order."""
        self._owed.append(act)
        self.pay()

    def pay(self) -> None:
        """Write what could not be written before."""
        while self._owed and time.monotonic() >= self._due:
            state, act = self.state, self._owed.popleft()  # a mistake in it is not made again
            if not state.broken:
                act(state)
            if state.broken:
                self._owed.appendleft(act)
                self._due = time.monotonic() + self._pause
                self._pause = min(2 * self._pause, LATEST)
                return
            self._pause = AGAIN

    def changed(self) -> bool:
        """Whether somebody else has written since this was asked last; called twice a second."""
        if self._state.moved:  # set aside by a run, or put back by somebody
            self._log("warning", f"'{self._path}' is another file now: it is opened again")
            self._state.close()
            self._state = self._opened()
        self.pay()

        def version(db: "Connection") -> int:
            found: tuple[int] = db.execute("PRAGMA data_version").fetchone()
            return found[0]

        before, self._version = self._version, self.state.do(version, None, create=False)
        return before != self._version

    def close(self) -> None:
        """Close the file."""
        self.pay()
        self._state.close()

    def _opened(self) -> State:
        self._version, self._brief = None, False
        return State(self._path, self._tell, self._clock())

    def _tell(self, level: str, message: str) -> None:
        """Say MESSAGE, once if it is said again and again."""
        if message != self._said:
            self._said = message
            self._log(level, message.replace("this run remembers nothing", "it is tried again"))


def _brief(db: "Connection") -> bool:
    """Let DB wait for others for a short time only."""
    db.execute(f"PRAGMA busy_timeout = {BUSY}")
    return True
