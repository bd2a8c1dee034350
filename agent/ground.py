"""What all parts of a daemon stand on."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.events import Events
    from agent.log import Log
    from agent.memory import Memory
    from agent.options import Settings


class Ground:
    """What was asked for, and where to say, keep, write down and tell. CLOCK gives the time."""

    __slots__ = ("audit", "clock", "events", "log", "memory", "settings")

    def __init__(
        self, settings: "Settings", log: "Log", memory: "Memory", events: "Events",
        clock: "Callable[[], float]",
    ) -> None:  # fmt: skip
        self.settings = settings
        self.log = log
        self.memory = memory
        self.events = events
        self.clock = clock
        self.audit: Callable[..., None] = _nowhere  # until there is a log

    def now(self) -> int:
        """The time of this host, in milliseconds."""
        return int(self.clock() * 1000)


def _nowhere(_event: str, **_fields: object) -> None:
    """Where nothing is audited: in a daemon that speaks with nobody."""
