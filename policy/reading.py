"""Text taken apart into lines, fields and arrays, for the read... and parse...array functions."""

from policy import regexp, values
from policy.errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from policy.context import Context

MANY = 99999  # the most fields of a line
TAGS = ("source=function", "function=buildlinearray")
_LOOK_BACK = ("^", "(?<", "\\A", "\\G", "\\b", "\\B")  # what a pattern sees before its start by


def stripped(ctx: "Context", text: str, comment: str, where: str) -> str:
    """TEXT without what COMMENT matches. WHERE names the text in a warning."""
    if not comment:
        return text
    octets, left = values.octets(text), b""
    try:
        pattern = regexp.compile(comment)
        while octets != left:  # what was apart may be a comment when it meets
            left = octets
            octets = _without(pattern, octets)
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
    except _Empty as rest:
        ctx.log("warning", f"Comment regex '{comment}' matched empty string in '{where}'")
        octets = rest.args[0]
    return values.text(octets)


class _Empty(Exception):
    """A pattern matched nothing, in the octets that were left by then."""


def _without(pattern: regexp.Pattern, octets: bytes) -> bytes:
    """OCTETS without what PATTERN matches. Raises _Empty where that is nothing."""
    kept: list[bytes] = []
    at = 0
    while (match := pattern.find(octets, at)) is not None:
        start, end = match.octets()
        kept.append(octets[at:start])
        if start == end:
            raise _Empty(b"".join([*kept, octets[start:]]))
        at = end
    return b"".join([*kept, octets[at:]])


def split(ctx: "Context", text: str, separator: str, most: int, *, blanks: bool) -> list[str]:
    """The pieces of TEXT between matches of SEPARATOR, MOST at most, the rest dropped.

    Each search sees only the rest. A match that is empty and at its start is the last; a bad
    SEPARATOR leaves TEXT whole. Without BLANKS empty pieces are left out, and do not count.
    """
    pieces: list[bytes] = []
    octets = values.octets(text)
    at, cut = 0, False
    try:
        pattern = regexp.compile(separator)
        while not 0 <= most <= len(pieces):
            match = pattern.find(octets, at)
            if match is None or match.octets()[1] == at:
                break
            start, end = match.octets()
            if blanks or start > at:
                pieces.append(octets[at:start])
            octets, at = behind(octets, end, separator)
            cut = True
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
    rest = octets[at:]
    if not 0 <= most <= len(pieces) and (rest or (blanks and cut)):
        pieces.append(rest)
    return [values.text(piece) for piece in pieces]


def behind(octets: bytes, end: int, separator: str) -> tuple[bytes, int]:
    """Where to search for SEPARATOR again, which must see nothing of what was before END."""
    if any(mark in separator for mark in _LOOK_BACK):
        return octets[end:], 0
    return octets, end


def chunks(text: str, separator: str) -> list[str]:
    """TEXT split at each SEPARATOR without a backslash before it; the last one opens no piece."""
    pieces: list[str] = []
    for piece in text.split(separator):
        if pieces and pieces[-1].endswith("\\"):
            pieces[-1] = pieces[-1][:-1] + separator + piece
        else:
            pieces.append(piece)
    if not pieces[-1]:
        pieces.pop()
    return pieces


def filled(lines: list[str], most: int) -> "Iterator[str]":
    """The first MOST of LINES that hold something, without carriage returns at their ends."""
    count = 0
    for line in lines:
        if count >= most:
            return
        if line not in ("", "\r"):
            count += 1
            yield line.removesuffix("\r")


def rows(ctx: "Context", text: str, separator: str, most: int) -> list[list[str]]:
    """The fields of each line of TEXT, where a backslash at its end joins nothing."""
    lines = filled(text.split("\n"), most)
    return [split(ctx, line, separator, MANY, blanks=True) for line in lines]


def _as_int(token: str) -> str:
    try:
        return str(values.integer(token))
    except ValueError:
        raise Fatal("Could not convert token to int") from None


def _as_real(token: str) -> str:
    try:
        values.real(token)
    except ValueError:
        raise Fatal("Could not convert token to double") from None
    return token


_CONVERT: "dict[str, Callable[[str], str]]" = {"int": _as_int, "real": _as_real, "string": str}


class Layout:
    """How an array is made of text: patterns of comments and separators, most lines, type."""

    __slots__ = ("comment", "kind", "most", "separator")

    def __init__(self, comment: str, separator: str, most: int, kind: str = "string") -> None:
        self.comment = comment
        self.separator = separator
        self.most = most
        self.kind = kind


def define_array(
    ctx: "Context", array: str, text: str, layout: Layout, *, where: str, indexed: bool = False
) -> str:
    """Set ARRAY[first field, or line if INDEXED][field] from TEXT; how many lines that were."""
    convert = _CONVERT[layout.kind]
    lines = chunks(stripped(ctx, text, layout.comment, where), "\n")
    count = 0
    for count, line in enumerate(filled(lines, layout.most), 1):
        fields = [convert(it) for it in split(ctx, line, layout.separator, MANY, blanks=True)]
        row = str(count - 1) if indexed else fields[0] if fields else ""
        for column, field in enumerate(fields):
            ctx.define(f"{array}[{row}][{column}]", field, layout.kind, TAGS)
    return str(count)
