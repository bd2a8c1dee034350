"""Regular expressions as the language means them: PCRE2 on bytes, multi-line, `.` is any byte.

Where libpcre2 is missing, the standard library answers the patterns that mean the same to it.
A pattern without metacharacters needs no engine.
"""

from policy.errors import Unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy import pcre2, regexp_fallback

# PCRE2's options; all but regex_replace search with MULTILINE | DOTALL
CASELESS = 0x8
DOTALL = 0x20
EXTENDED = 0x80
MULTILINE = 0x400
UNGREEDY = 0x40000

# of one search: only at its start, and not an empty match there
ANCHORED = 0x80000000
NOTEMPTY_ATSTART = 0x8

_META = frozenset("\\^$.[|()?*+{")
QUANTIFIERS = ("*", "?", "{", "+")
_LONGEST_HEAD = 64
_MANY = 1000  # patterns are remembered; each takes some hundred octets


class BadPattern(Unusable):
    """The pattern means nothing, or its search was given up. The message is for the log."""

    def __init__(self, reason: str, pattern: bytes, at: int = 0) -> None:
        written = pattern.decode("utf-8", "surrogateescape")
        super().__init__(
            f"Regular expression error: '{reason}' in expression '{written}' (offset: {at})"
        )


class Match:
    """Where a pattern was found. Its groups are numbered, or named; 0 is all of it."""

    __slots__ = ("_bounds", "_length", "_pattern", "_subject")

    def __init__(
        self, pattern: "Pattern", subject: bytes, bounds: list[int], length: int = -1
    ) -> None:
        """LENGTH: how many characters the text has, if positions are to count them."""
        self._pattern = pattern
        self._subject = subject
        self._bounds = bounds
        self._length = length

    @property
    def groups(self) -> int:
        """The number of the last group of the pattern."""
        return self._pattern.groups

    @property
    def names(self) -> dict[str, int]:
        """The numbers of the named groups."""
        return self._pattern.names

    def octets(self, which: int | str = 0) -> tuple[int, int]:
        """Where a group is, counted in octets, (-1, -1) if it took no part."""
        at = 2 * (self.names[which] if isinstance(which, str) else which)
        return self._bounds[at], self._bounds[at + 1]

    def group(self, which: int | str = 0) -> str | None:
        """The text of a group, None if it took no part."""
        start, end = self.octets(which)
        return None if start < 0 else _text(self._subject[start:end])

    def span(self, which: int | str = 0) -> tuple[int, int]:
        """Where a group is in the text that was searched, (-1, -1) if it took no part.

        A character that begins or ends in the group, and is not all in it, counts as if it was.
        """
        start, end = self.octets(which)
        if self._length < 0 or start < 0:
            return start, end
        return self._characters(start, -1), self._characters(end, 1)

    def _characters(self, at: int, step: int) -> int:
        """How many characters there are before the octet AT, moved by STEPs to a boundary."""
        while True:
            before = len(_text(self._subject[:at]))
            if before + len(_text(self._subject[at:])) <= self._length:
                return before
            at += step


class Pattern:
    """A pattern ready for use."""

    __slots__ = ("_code", "_head", "_literal", "groups", "names")

    def __init__(self, pattern: str, options: int = MULTILINE | DOTALL) -> None:
        """Raises BadPattern."""
        self.groups = 0
        self.names: dict[str, int] = {}
        self._literal = pattern
        self._head = _head(pattern) if options == MULTILINE | DOTALL else ""
        self._code: pcre2.Code | regexp_fallback.Code | None = None
        if options != MULTILINE | DOTALL or not _META.isdisjoint(pattern):
            self._code = _engine(_octets(pattern), options)
            self.groups = self._code.groups
            self.names = self._code.names

    def full(self, text: str) -> bool:
        """Whether the first match of a search spans all of TEXT: `a|ab` does not match `ab`."""
        if self._code is None:
            return text == self._literal
        if not text.startswith(self._head):
            return False
        subject = _octets(text)
        bounds = self._code.find(subject, 0, ANCHORED)
        return bounds is not None and bounds[0] == 0 and bounds[1] == len(subject)

    def search(self, text: str, start: int = 0) -> Match | None:
        """The first match at START or after it."""
        subject = _octets(text)
        if text.isascii():
            return self.find(subject, start)
        return self.find(subject, len(_octets(text[:start])), length=len(text))

    def find(
        self, subject: bytes, start: int = 0, options: int = 0, *, length: int = -1
    ) -> Match | None:
        """As `search`, in octets, with options of this one search."""
        if self._code is not None:
            bounds = self._code.find(subject, start, options)
            return None if bounds is None else Match(self, subject, bounds, length)
        literal = _octets(self._literal)
        at = subject.find(literal, start)
        return None if at < 0 else Match(self, subject, [at, at + len(literal)], length)


def _head(pattern: str) -> str:
    """The plain text that whatever PATTERN spans begins with, as far as it can be told cheaply."""
    if "|" in pattern or "(?" in pattern:
        return ""
    head, at = "", 0
    while at < min(len(pattern), _LONGEST_HEAD):
        char = pattern[at]
        if char == "\\" and pattern[at + 1 : at + 2].isascii() and at + 1 < len(pattern):
            at += 1
            char = pattern[at]
            if char.isalnum():  # `\\d`, `\\x41`
                break
        elif char in _META:
            break
        if pattern[at + 1 : at + 2] in QUANTIFIERS:
            break
        head += char
        at += 1
    return head


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _engine(pattern: bytes, options: int) -> "pcre2.Code | regexp_fallback.Code":
    try:
        from policy import pcre2
    except (ImportError, OSError):
        from policy import regexp_fallback

        return regexp_fallback.Code(pattern, options)
    return pcre2.Code(pattern, options)


_remembered: dict[str, Pattern] = {}


def compile(pattern: str) -> Pattern:  # noqa: A001  # as in `re`; always called with its module
    """The PATTERN ready for use, remembered. Raises BadPattern."""
    known = _remembered.get(pattern)
    if known is None:
        if len(_remembered) >= _MANY:
            _remembered.clear()
        known = _remembered[pattern] = Pattern(pattern)
    return known


def full(pattern: str, text: str) -> bool:
    """Whether the first match of PATTERN in TEXT spans all of it. Raises BadPattern."""
    return compile(pattern).full(text)


def search(pattern: str, text: str, start: int = 0) -> Match | None:
    """The first match of PATTERN in TEXT at START or after it. Raises BadPattern."""
    return compile(pattern).search(text, start)
