"""Patterns from the network: `*` is any number of characters, `?` one, all else is itself.

Who sends them is not trusted with time. All globs of a request become one automaton in the bits of
an integer, which takes one step for each character of a name: whatever the globs are, a name costs
its length. Nothing here goes back, and nothing is a regular expression.
"""

WILD = frozenset("*?")
# what names have: a glob with anything else means none of them, and would cost for each character
OF_NAMES = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:")
PLAIN = {ord(char): None for char in WILD}


class Globs:
    """What tells whether a name is meant by one of several globs."""

    __slots__ = (
        "_all", "_ends", "_loops", "_others", "_start", "_steps", "_words", "cost", "texts",
    )  # fmt: skip

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts
        self._all = "*" in texts
        self._words = frozenset(text for text in texts if WILD.isdisjoint(text))
        self._start = self._loops = self._ends = 0
        self._steps: dict[str, int] = {}  # character: the places from which it leads on
        self._others = 0  # the same for characters that no glob names
        at = 0
        for text in texts:
            if not WILD.isdisjoint(text) and OF_NAMES.issuperset(text.translate(PLAIN)):
                at = self._add(text, at)
        self.cost = 1 + at // 1024  # of a step: how many times as much as with a few globs
        for char in self._steps:
            self._steps[char] |= self._others

    def mean(self, name: str) -> bool:
        """Whether one of them means NAME."""
        if self._all or name in self._words:
            return True
        places = self._start
        for char in name:
            if not places:
                return False
            on = places & self._steps.get(char, self._others)
            places = on << 1 | places & self._loops
        return places & self._ends != 0

    def _add(self, text: str, at: int) -> int:
        """Put the glob TEXT into the bits from AT on; the first bit behind it."""
        self._start |= 1 << at
        for char in text:
            bit = 1 << at
            if char == "*":
                self._loops |= bit
                continue
            if char == "?":
                self._others |= bit
            else:
                self._steps[char] = self._steps.get(char, 0) | bit
            at += 1
        self._ends |= 1 << at
        return at + 1
