"""The state of this host as the daemon holds it: open, lasting, and opened again after trouble."""

import time

from agent.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection

AGAIN = 1.0  # seconds until what failed is tried again


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
        return self._state

    @property
    def lasting(self) -> State:
        """It; what is written next is on the disk when it was written."""
        state = self.state
        state.do(lambda db: db.execute("PRAGMA synchronous = FULL"), None)
        return state

    def changed(self) -> bool:
        """Whether somebody else has written since this was asked last."""

        def version(db: "Connection") -> int:
            found: tuple[int] = db.execute("PRAGMA data_version").fetchone()
            return found[0]

        before, self._version = self._version, self.state.do(version, None, create=False)
        return before != self._version

    def close(self) -> None:
        """Close the file."""
        self._state.close()

    def _opened(self) -> State:
        self._version = None
        return State(self._path, self._tell, self._clock())

    def _tell(self, level: str, message: str) -> None:
        """Say MESSAGE, once if it is said again and again."""
        if message != self._said:
            self._said = message
            self._log(level, message)
