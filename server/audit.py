"""What happened, for the audit log: in batches, and the same thing not again and again.

The first of its kind is said at once, the others within a minute are counted and said together.
Who brings about ever other kinds has so many of them told apart, and then only their number.
"""

from collections import Counter
from collections.abc import Callable

from msgspec.structs import replace

from server.wire.inside import Noted

MINUTE = 60.0
MOST = 1024  # kinds that are counted apart; of what is more only the sum is known
MOST_EACH = 64  # of them of one peer, or of one address where there is no peer
REST = "too many kinds to tell apart"


class Auditor:
    """Gathers lines; what calls `due` decides how often they are handed on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lines: list[Noted] = []
        self._counted: dict[Noted, tuple[float, int]] = {}  # since when, how many more
        self._kinds: Counter[str] = Counter()  # whose they are

    def note(self, line: Noted, times: int = 1) -> None:
        """Note LINE, whose count is 1, as often as it happened."""
        found = self._counted.get(line)
        if found is None and self._whole(line):
            self._counted[line] = (self._clock(), 0)
            self._kinds[_whose(line)] += 1
            self._lines.append(replace(line, count=times))
            return
        if found is None:
            line = self._rest(line)
        since, more = self._counted.get(line, (self._clock(), 0))
        self._counted[line] = (since, more + times)

    def due(self, *, last: bool = False) -> tuple[Noted, ...]:
        """What has to be handed on now; if it is the LAST time, all."""
        old = self._clock() - (0.0 if last else MINUTE)
        for line, (since, more) in list(self._counted.items()):
            if since <= old:
                del self._counted[line]
                if line.reason != REST:
                    self._less(_whose(line))
                if more:
                    self._lines.append(replace(line, count=more))
        lines, self._lines = self._lines, []
        return tuple(lines)

    def _less(self, whose: str) -> None:
        self._kinds[whose] -= 1
        if not self._kinds[whose]:
            del self._kinds[whose]

    def _whole(self, line: Noted) -> bool:
        """Whether there is room to tell LINE from others."""
        return len(self._counted) < MOST and self._kinds[_whose(line)] < MOST_EACH

    def _rest(self, line: Noted) -> Noted:
        """What is left of LINE where there is none."""
        if self._kinds[_whose(line)] < MOST_EACH:
            return Noted(event=line.event, reason=REST)
        return Noted(event=line.event, peer=line.peer, label=line.label, ip=line.ip, reason=REST)


def _whose(line: Noted) -> str:
    return line.peer or line.ip
