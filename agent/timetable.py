"""When periodic runs are due: class expressions, looked at once a minute."""

from agent import schedule
from policy.classes import BadExpression, compiled, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.classes import Expression

USUAL = tuple(f"Min{minute:02}" for minute in range(0, 60, 5))


class Minute:
    """The classes that hold in one minute: those of the host, and those of the time."""

    def __init__(self, classes: frozenset[str], now: float) -> None:
        self._classes = classes | frozenset(schedule.time_classes(now).values())

    def defined(self, name: str) -> bool:
        """Whether the class NAME holds."""
        return name == "any" or name in self._classes


class Timetable:
    """EXPRESSIONS, any of which makes a run due on a host with these CLASSES."""

    def __init__(self, expressions: tuple[str, ...] = USUAL, classes: tuple[str, ...] = ()) -> None:
        """Raises BadExpression."""
        self._expressions: list[Expression] = [compiled(text) for text in expressions]
        self._classes = frozenset(classes)

    def due(self, now: float) -> bool:
        """Whether a run is due in the minute of NOW."""
        minute: Any = Minute(self._classes, now)
        return any(truth(expression, minute) for expression in self._expressions)


def checked(text: str) -> str:
    """What is wrong with the class expression TEXT, "" if nothing."""
    try:
        compiled(text)
    except BadExpression as error:
        return str(error)
    return ""
