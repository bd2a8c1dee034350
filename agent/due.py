"""What makes a run due without a word from anybody: a minute that begins, a lock that ends."""

import asyncio
import time

from agent import acts
from agent.runs import SCHEDULE, Runs, Terms
from agent.timetable import USUAL, Timetable, checked
from policy.values import integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.ground import Ground

JUMP = 10.0  # seconds that a clock may be off before it has jumped
SILENCE = 120  # minutes
MAIL = ("mailto", "smtpserver")


class Due:
    """What makes RUNS due."""

    def __init__(self, ground: "Ground", runs: Runs) -> None:
        self._settings = ground.settings
        self._log = ground.log
        self._memory = ground.memory
        self._runs = runs
        self._timetable = Timetable(())
        self._splay = 0.0
        self._mailed = False
        self._splayed: asyncio.TimerHandle | None = None
        self._minute = int(ground.clock() // 60)
        self._before = (ground.clock(), steady())
        self._waits: list[tuple[str, int]] = []
        self._waited: set[tuple[str, int]] = set()

    def obey(self, said: "dict[str, Any]") -> None:
        """Take in what `troth controls` SAID of `body executor control`, or that it said nothing.

        What the command line says goes before it.
        """
        body = said.get("executor", {})
        expressions = body.get("schedule", USUAL)
        if isinstance(expressions, str):
            expressions = (expressions,)
        if self._settings.schedule:
            expressions = (self._settings.schedule,)
        good = []
        for text in expressions:
            if problem := checked(text):
                self._log("error", f"schedule: {problem}")
            else:
                good.append(text)
        usual = bool(expressions) and not good  # a host that runs nothing would never be mended
        self._timetable = Timetable(USUAL if usual else tuple(good), tuple(said.get("classes", ())))
        minutes = self._number("splaytime", self._settings.splay or body.get("splaytime"), 0)
        self._splay = 60.0 * minutes * float(said.get("share", 0.0))
        silence = self._number("agent_expireafter", body.get("agent_expireafter"), SILENCE)
        self._runs.terms = Terms(body.get("exec_command", ""), 60.0 * silence, said.get("host", ""))
        mailed = any(body.get(name) for name in MAIL)
        if mailed and not self._mailed:
            self._log("warning", "not yet supported: mail ('mailto' of body executor control)")
        self._mailed = mailed

    def _number(self, name: str, value: "Any", usual: int) -> int:
        """VALUE of the attribute NAME, the USUAL one if it has none."""
        if value is None:
            return usual
        try:
            return integer(value)
        except (TypeError, ValueError):
            self._log("error", f"'{name}' of body executor control is not a number: '{value}'")
            return usual

    def minute(self, now: float) -> None:
        """Start a run if a minute has begun in which one is due."""
        minute = int(now // 60)
        if minute == self._minute or self._settings.once:
            return
        self._minute = minute
        if self._splayed is None and self._timetable.due(now):
            loop = asyncio.get_running_loop()
            self._splayed = loop.call_later(self._splay, self._periodic)

    def _periodic(self) -> None:
        self._splayed = None
        self._runs.want(SCHEDULE)

    def note_locks(self) -> None:
        """Read which locks hold back promises that have a signal."""
        state = self._memory.state
        found = acts.waits(state)
        if state.broken:
            return
        self._waits = [(path, until) for path, until, _ in found]
        self._waited &= set(self._waits)

    def locks(self, now: float) -> None:
        """Start a run if one of them has ended."""
        due = [wait for wait in self._waits if wait[1] <= now and wait not in self._waited]
        if due:
            self._waited.update(due)
            self._runs.want(f"the lock of {due[0][0]} is over", woken=True)

    def jumped(self, now: float) -> float:
        """By how many seconds the clock of this host jumped since this was asked last, or 0."""
        before, then = self._before
        self._before = (now, steady())
        by = (now - before) - (self._before[1] - then)
        return by if abs(by) > JUMP else 0.0


def steady() -> float:
    """Seconds by the clock that does not jump, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
