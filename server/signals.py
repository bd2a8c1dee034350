"""The log of this host's own signals, in memory, for peers: PROTOCOL.md §4.

What lasts is with the executor, who says again what is alive when this process starts.
"""

import math
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import islice

from server.wire.inside import Own
from server.wire.messages import Signed
from server.wire.signals import LONGEST_LIFE, Signal, read

START = (0, 0)
Position = tuple[int, int]  # epoch and sequence


class Entry:
    """A signal in the log; ENDS by the clock that does not jump, 0 once it is void."""

    __slots__ = ("ends", "kind", "name", "position", "signed")

    def __init__(self, signal: Signal, signed: Signed, ends: float) -> None:
        self.position = (signal.epoch, signal.seq)
        self.kind = signal.kind
        self.name = signal.name
        self.signed = signed
        self.ends = ends

    def alive(self, now: float) -> bool:
        """Whether peers are still told of it."""
        return self.ends > now


class Log:
    """Signals in order of epoch and sequence.

    There are no states that a newer one of their class follows, nothing that a cancel voids, and
    nothing that has expired; a cancel stays until what it voids would have.
    """

    def __init__(self) -> None:
        self.end = START
        self._entries: list[Entry] = []
        self._void = 0  # entries that are only there because nobody swept
        self._of: dict[str, list[Entry]] = {}  # those that are not void, by class
        self._names: list[str] = []
        self._until = 0.0  # when the names have to be looked at again

    def __len__(self) -> int:
        return len(self._entries) - self._void

    def append(self, own: Own, now: float, clock: int) -> None:
        """Take in what the executor says. NOW is in seconds, CLOCK in milliseconds since 1970.

        Raises BadSignal.
        """
        for signed in own.signals:
            signal = read(signed.body)
            self._take(Entry(signal, signed, now + _left(signal, clock) / 1000))
        self.end = max(self.end, (own.epoch, own.upto))
        self._until = 0.0

    def since(self, position: Position, now: float) -> Iterator[Entry]:
        """What is alive behind POSITION, in order."""
        at = bisect_right(self._entries, position, key=_position)
        return (entry for entry in islice(self._entries, at, None) if entry.ends > now)

    def names(self, now: float) -> list[str]:
        """The classes that are set, in order; the same list until they change."""
        if now >= self._until:
            ends = {
                name: max([entry.ends for entry in entries if entry.kind != "cancel"], default=0.0)
                for name, entries in self._of.items()
            }
            live = {name: end for name, end in ends.items() if end > now}
            self._names = sorted(live)
            self._until = min(live.values(), default=math.inf)
        return self._names

    def classes(self) -> Iterable[str]:
        """The classes of which anything is said."""
        return self._of

    def sweep(self, now: float) -> None:
        """Forget what is over."""
        for name, entries in list(self._of.items()):
            left = [entry for entry in entries if entry.ends > now]
            if not left:
                del self._of[name]
            elif len(left) < len(entries):
                self._of[name] = left
        self._entries = [entry for entry in self._entries if entry.ends > now]
        self._void = 0

    def _take(self, entry: Entry) -> None:
        """Put ENTRY in its place, and what it makes void out of it."""
        of = self._of.setdefault(entry.name, [])
        last = not self._entries or self._entries[-1].position < entry.position
        # an event that comes last takes no other's place; there may be thousands of its class
        gone = [] if last and entry.kind == "event" else [it for it in of if _voids(entry, it)]
        if gone:
            if entry.kind == "cancel":
                entry.ends = max(other.ends for other in gone)
            for other in gone:
                other.ends = 0.0
            of[:] = [other for other in of if other.ends]
            self._void += len(gone)
        of.append(entry)
        if last:
            self._entries.append(entry)
        else:
            insort(self._entries, entry, key=_position)
        if self._void > 64 + len(self._entries) // 2:
            self._entries = [other for other in self._entries if other.ends]
            self._void = 0


def _position(entry: Entry) -> Position:
    return entry.position


def _voids(entry: Entry, other: Entry) -> bool:
    """Whether OTHER, of the same class, need not be said any more once ENTRY is."""
    if other.position >= entry.position:
        return other.position == entry.position
    return entry.kind == "cancel" or (entry.kind == other.kind == "state")


def _left(signal: Signal, clock: int) -> int:
    """How many milliseconds are left of SIGNAL; of a cancel as much as of what it may void."""
    return (signal.expires or signal.granted + LONGEST_LIFE) - clock
