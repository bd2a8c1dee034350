"""What happened, for the audit log: in batches, and the same thing not again and again.

The first of its kind is said at once, the others within a minute are counted and said together.
"""

from collections.abc import Callable

from msgspec.structs import replace

from server.wire.inside import Noted

MINUTE = 60.0
MOST = 1024  # kinds that are counted apart; of what is more only the sum is known


class Auditor:
    """Gathers lines; what calls `due` decides how often they are handed on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lines: list[Noted] = []
        self._counted: dict[Noted, tuple[float, int]] = {}  # since when, how many more

    def note(self, line: Noted, times: int = 1) -> None:
        """Note LINE, whose count is 1, as often as it happened."""
        if line not in self._counted and len(self._counted) >= MOST:
            line = Noted(event=line.event, reason="too many kinds to tell apart")
        since, more = self._counted.get(line, (0.0, -1))
        if more < 0:
            since, more = self._clock(), -times
            self._lines.append(replace(line, count=times))
        self._counted[line] = (since, more + times)

    def due(self) -> tuple[Noted, ...]:
        """What has to be handed on now."""
        old = self._clock() - MINUTE
        for line, (since, more) in list(self._counted.items()):
            if since <= old:
                del self._counted[line]
                if more:
                    self._lines.append(replace(line, count=more))
        lines, self._lines = self._lines, []
        return tuple(lines)
