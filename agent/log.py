"""Where the words of a run go: log lines by level, reports, and what a person asked to see.

Text is collected and written in one go, because a system call a line costs more than the promise
that the line is about. Whoever starts a program, or writes by another way, flushes first.
"""

import errno
import os
import time

from agent import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.options import Settings
    from policy.errors import PolicyError

LEVELS = {
    "none": -1,
    "critical": 0,
    "error": 1,
    "warning": 2,
    "notice": 3,
    "info": 4,
    "verbose": 5,
    "debug": 6,
}
WORDS = tuple(
    f"{word:>8}" for word in ("CRITICAL", "error", "warning", "notice", "info", "verbose", "debug")
)
COLORS = ("\033[31m", "\033[31m", "\033[33m", "\033[32m", "\033[32m", "\033[34m", "\033[34m")
RESET = "\033[0m"
# what `report_level` of an action body calls the levels
RAISES = {"error": 1, "log": 3, "inform": 4, "verbose": 5}
STDOUT, STDERR = 1, 2
NOBODY = (errno.EPIPE, errno.EBADF)  # who read has left, or was never there
ENOUGH = 1 << 16  # octets of text that are written without being asked to


def octets(text: str) -> bytes:
    """TEXT as it was read: bytes that are not UTF-8 come out as they went in."""
    return text.encode("utf-8", "surrogateescape")


class Log:
    """Call it with a level and a message; `say` prints a report.

    TALK is the descriptor for log lines; reports go to stdout. PREFIX is put before the lines of
    level info and below. Ask `wants` before making an expensive message.
    """

    __slots__ = (
        "_deaf", "_fd", "_held", "_live", "_pending", "_size", "color", "lost", "prefix", "reports",
        "talk", "threshold", "timestamps",
    )  # fmt: skip

    def __init__(
        self, level: str = "notice", *, timestamps: bool = False, color: bool = False,
        prefix: str = "", talk: int = STDOUT,
    ) -> None:  # fmt: skip
        self.threshold = LEVELS[level]
        self.timestamps = timestamps
        self.color = color
        self.prefix = prefix
        self.talk = talk
        self._fd = STDOUT
        self._live = os.isatty(STDOUT)
        self._pending: list[str] = []
        self._size = 0
        self.reports: list[str] | None = None  # if a list, reports are put there, not printed
        self._deaf: set[int] = set()
        self.lost = ""  # why not all of stdout could be written, though somebody wants to read it
        self._held: list[str] | None = None

    def __call__(self, level: str, message: str) -> None:
        """Print MESSAGE if LEVEL is wanted."""
        number = LEVELS[level]
        if number > self.threshold:
            return
        line = self._line(number, message)
        if self._held is not None and level == "info":
            self._held.append(line)
        else:
            self._put(line, self.talk)

    def wants(self, level: str) -> bool:
        """Whether a message of LEVEL would be printed."""
        return LEVELS[level] <= self.threshold

    def levels(self) -> list[str]:
        """The levels that are printed, from error on."""
        return [level for level, number in LEVELS.items() if 1 <= number <= self.threshold]

    def say(self, text: str) -> None:
        """Print a report; it has no level, so none silences it."""
        if self.reports is not None:
            self.reports.append(text)
        else:
            self._put(f"R: {text}\n", STDOUT)

    def show(self, text: str, fd: int = STDOUT) -> None:
        """Print TEXT as it is: a table, a diff, a diagnostic."""
        self._put(text if text.endswith("\n") else f"{text}\n", fd)

    def mistakes(self, error: "PolicyError") -> None:
        """Show all mistakes of a policy."""
        for diagnostic in error.diagnostics:
            self.show(str(diagnostic), STDERR)
        if self.talk == STDOUT:
            self("error", "There are syntax errors in policy files")

    def at_least(self, level: str) -> None:
        """Let lines of LEVEL through from now on."""
        self.threshold = max(self.threshold, LEVELS[level])

    def hold(self) -> None:
        """Hold lines of level info back until `release`."""
        self._held = []

    def release(self, show: bool) -> None:
        """Print the lines held back if SHOW, else forget them."""
        held, self._held = self._held, None
        if held and show:
            self._put("".join(held), self.talk)

    def raised(self, action: "dict[str, object]") -> int:
        """Let through what the `report_level` of an action body wants; `restore` takes it back."""
        before = self.threshold
        wanted = RAISES.get(str(action.get("report_level")), before)
        self.threshold = max(before, wanted)
        return before

    def restore(self, threshold: int) -> None:
        """Go back to the THRESHOLD that `raised` gave."""
        self.threshold = threshold

    def flush(self) -> None:
        """Write what was collected. If nobody can read it any more, the run goes on without."""
        if not self._pending:
            return
        data = octets("".join(self._pending))
        self._pending.clear()
        self._size = 0
        if self._fd in self._deaf:
            return
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._deaf.add(self._fd)
            if self._fd == STDOUT and error.errno not in NOBODY:
                self.lost = str(error.strerror)

    def _line(self, number: int, message: str) -> str:
        """MESSAGE with what stands before and, if coloured, after it."""
        stamp = ""
        if self.timestamps:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z ", time.localtime(clock.now()))
        prefix = self.prefix if number >= LEVELS["info"] else ""
        line = f"{prefix}{stamp}{WORDS[number]}: {message}\n"
        return f"{COLORS[number]}{line}{RESET}" if self.color else line

    def _put(self, text: str, fd: int) -> None:
        """Add TEXT to what is written to FD, keeping the order between descriptors."""
        if fd != self._fd:
            self.flush()
            self._fd = fd
            self._live = os.isatty(fd)
        self._pending.append(text)
        self._size += len(text)
        if self._live or fd == STDERR or self._size > ENOUGH:
            self.flush()


def unusable(path: str, reason: str) -> "dict[str, object]":
    """What is said for programs of a policy whose file PATH, or all of it, cannot be used."""
    return {
        "file": path, "line": 0, "column": 0, "severity": "error", "kind": "unusable",
        "message": reason, "hint": "",
    }  # fmt: skip


def opened(settings: "Settings") -> Log:
    """The log that SETTINGS ask for: troth's own talk goes to stderr, that of cf-* to stdout."""
    log = Log(
        settings.level,
        timestamps=settings.timestamps,
        color=settings.color,
        talk=STDOUT if settings.program.startswith("cf-") else STDERR,
    )
    if settings.json:
        log.reports = []
    return log
