"""What happens on this host, told to whoever watches: `troth signal watch`, tests."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Events:
    """Who watches; CLOCK gives the time of what happens."""

    def __init__(self, clock: "Callable[[], float]") -> None:
        self._clock = clock
        self.begun: Callable[[], None] | None = None  # called when the first one begins to watch
        self._watchers: list[Callable[[dict[str, Any]], None]] = []

    def __call__(self, event: str, **fields: object) -> None:
        """Tell that EVENT happens now."""
        if self._watchers:
            line = {"event": event, "at": round(self._clock(), 6), **fields}
            for watcher in list(self._watchers):
                watcher(line)

    @property
    def watched(self) -> bool:
        """Whether anybody does."""
        return bool(self._watchers)

    def watch(self, watcher: "Callable[[dict[str, Any]], None]") -> None:
        """Tell WATCHER, too."""
        if not self._watchers and self.begun is not None:
            self.begun()
        self._watchers.append(watcher)

    def leave(self, watcher: "Callable[[dict[str, Any]], None]") -> None:
        """Do not tell WATCHER any more."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
