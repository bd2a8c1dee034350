"""Text under edit: lines in, lines out. Nothing here knows of promises, of files or of a dry run.

`Buffer` holds the lines. `region` and `locator` say where in them an edit works, `Point` where
lines are put in, `same` when two lines count as one, `Selection` which lines count at all, and
`substituted`, `edit_values` and `with_field` what becomes of one line.
"""

from policy.regexp import full, search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from policy.regexp import Match

BLANKS = " \t\n\v\f\r"
MOST_REPLACEMENTS = 20  # of one pattern on one line


def lines_of(text: str, *, join: bool = False) -> list[str]:
    """The lines of TEXT; JOIN puts a line that ends in a backslash and the next together."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if not join:
        return lines
    whole: list[str] = []
    pending = ""
    for line in lines:
        if line.endswith("\\"):
            pending += line[:-1]
        else:
            whole.append(pending + line)
            pending = ""
    return [*whole, pending] if pending else whole


class Buffer:
    """The lines of the file PATH under edit. EDITS: how many were made, or announced."""

    __slots__ = ("_count", "edits", "lines", "path")

    def __init__(self, lines: "Iterable[str]", path: str = "") -> None:
        self.lines = list(lines)
        self.path = path
        self.edits = 0
        self._count: dict[str, int] | None = None

    def __contains__(self, line: str) -> bool:
        """Whether LINE is one of the lines, without looking through them."""
        if self._count is None:
            self._count = {}
            for each in self.lines:
                self._count[each] = self._count.get(each, 0) + 1
        return line in self._count

    def text(self) -> str:
        """The lines as a file holds them: each ends in a newline."""
        return "\n".join([*self.lines, ""])

    def insert(self, at: int, line: str) -> None:
        """Put LINE before the line AT."""
        self.lines.insert(at, line)
        self._counted(line, 1)

    def delete(self, at: int) -> None:
        """Take the line AT out."""
        self._counted(self.lines.pop(at), -1)

    def replace(self, at: int, line: str) -> None:
        """Put LINE in the place of the line AT."""
        self._counted(self.lines[at], -1)
        self.lines[at] = line
        self._counted(line, 1)

    def _counted(self, line: str, more: int) -> None:
        self.edits += 1
        if self._count is not None:
            count = self._count.get(line, 0) + more
            if count:
                self._count[line] = count
            else:
                del self._count[line]

    def stands(self, block: "Sequence[str]", at: int) -> bool:
        """Whether BLOCK is what begins at the line AT."""
        return at >= 0 and self.lines[at : at + len(block)] == list(block)

    def holds(self, block: "Sequence[str]", first: int, last: int) -> bool:
        """Whether BLOCK stands somewhere between the lines FIRST and LAST, LAST left out."""
        head = block[0]
        if head not in self:
            return False
        if len(block) == 1 and first == 0 and last >= len(self.lines):
            return True
        try:
            at = self.lines.index(head, first, last)
            while not self.stands(block, at) or at + len(block) > last:
                at = self.lines.index(head, at + 1, last)
        except ValueError:
            return False
        return True


def matches(pattern: str, line: str) -> bool:
    """Whether PATTERN is LINE, letter by letter or as a pattern of the whole line."""
    return pattern == line or full(pattern, line)


# where


def region(
    lines: "Sequence[str]", start: str, end: str | None, *, with_start: bool, to_end: bool
) -> tuple[int, int | None] | None:
    """The line that START matches and, after it, the one that END matches; None if there is none.

    A START that is the last line begins no region, unless it belongs to it (WITH_START) or the end
    of the file may end it (TO_END).
    """
    first = next((at for at, line in enumerate(lines) if matches(start, line)), None)
    if first is None or (first == len(lines) - 1 and not with_start and not to_end):
        return None
    if end is None:
        return first, None
    after = range(first + 1, len(lines))
    return first, next((at for at in after if matches(end, lines[at])), None)


def locator(
    lines: "Sequence[str]", pattern: str, first: int, last: int, *, earliest: bool
) -> int | None:
    """The EARLIEST, or else the latest, line of those from FIRST to LAST that PATTERN matches."""
    among = range(first, last) if earliest else range(last - 1, first - 1, -1)
    return next((at for at in among if matches(pattern, lines[at])), None)


class Point:
    """Where the lines of one promise go in: a point that moves on behind each of them.

    A line counts as present if it stands in the region from FIRST to LAST (None: to the end of the
    text), whose bounds move with what is put in before them.
    """

    __slots__ = ("_locator", "at", "before", "buffer", "first", "last", "located", "whitespace")

    def __init__(
        self, buffer: Buffer, bounds: tuple[int, int | None], whitespace: "Sequence[str]" = ()
    ) -> None:
        self.buffer = buffer
        self.first, self.last = bounds
        self.whitespace = whitespace
        self.before = False
        self.located = False
        self.at = 0
        self._locator = -1

    def end(self) -> int:
        """Where the region ends now."""
        return len(self.buffer.lines) if self.last is None else self.last

    def beside(self, line: int | None, *, before: bool) -> None:
        """Point before or after LINE or, if that is None, to the start or the end of the region."""
        self.before = before
        self.located = line is not None
        if line is None:
            self.at = self.first if before else self.end()
        else:
            self.at = line if before else line + 1
        self._locator = self.at if self.buffer.lines else -1

    def present(self, line: str) -> bool:
        """Whether LINE, or one that counts as the same, stands in the region."""
        if self.whitespace:
            among = self.buffer.lines[self.first : self.end()]
            return any(same(line, each, self.whitespace) for each in among)
        return self.buffer.holds((line,), self.first, self.end())

    def stands(self, block: "Sequence[str]") -> bool:
        """Whether BLOCK stands where it would go, or begins with the line that locates it."""
        stands, at = self.buffer.stands, self.at
        if self.before:
            return stands(block, at) or stands(block, at - len(block))
        return stands(block, at - 1) or (self.located and stands(block, at))

    def at_top(self) -> bool:
        """Whether a line would become the first one, before others."""
        return self.before and self.at == 0 and bool(self.buffer.lines)

    def neighbour(self, line: str) -> bool:
        """Whether LINE already stands next to the point or, if it goes before a line, before that.

        That line moves on, too: the C agent compares the second line with the locator itself.
        """
        lines = self.buffer.lines
        beside = self._locator - 1 if self.before else self.at
        return 0 <= beside < len(lines) and same(line, lines[beside], self.whitespace)

    def advance(self) -> None:
        """Move behind the line that stands at the point, or would have been put in there."""
        if self.buffer.lines:
            self.at += 1
        self.pass_by()

    def pass_by(self) -> None:
        """Go on to the next line without moving."""
        if self.buffer.lines:
            self._locator += 1

    def insert(self, line: str) -> None:
        """Put LINE in."""
        at = self.at
        self.buffer.insert(min(at, len(self.buffer.lines)), line)
        if self.last is not None and at <= self.last:
            self.last += 1
        if at <= self.first:
            self.first += 1
        if at <= self._locator:
            self._locator += 1


# which


def _collapsed(line: str) -> str:
    """LINE with each run of blanks, but for one at its start, as one blank."""
    core = line.lstrip(BLANKS)
    found, blank = [], False
    for char in core:
        if char not in BLANKS:
            found.append(char)
        elif not blank:
            found.append(" ")
        blank = char in BLANKS
    return line[: len(line) - len(core)] + "".join(found)


def same(wanted: str, line: str, whitespace: "Sequence[str]" = ()) -> bool:
    """Whether LINE counts as WANTED: equal, or equal but for the blanks that WHITESPACE lets pass.

    Blanks at the end may be more than those of WANTED, never less.
    """
    if wanted == line:
        return True
    trailing = False
    for policy in whitespace:
        if policy == "ignore_leading":
            wanted, line = wanted.lstrip(BLANKS), line.lstrip(BLANKS)
        elif policy == "ignore_embedded":
            wanted, line = _collapsed(wanted), _collapsed(line)
        elif policy == "ignore_trailing":
            trailing = True
        if wanted == line:
            return True
        if trailing and line.startswith(wanted) and not line[len(wanted) :].strip(BLANKS):
            return True
    return False


_SELECTORS: "dict[str, Callable[[str, str], bool]]" = {
    "startwith": lambda word, line: line.startswith(word),
    "match": matches,
    "contains": lambda pattern, line: search(pattern, line) is not None,
}


class Selection:
    """Which lines an `insert_select` or `delete_select` body lets through."""

    __slots__ = ("_items", "_matches", "_wanted", "conflict")

    def __init__(self, body: "Mapping[str, Any]", verb: str) -> None:
        self.conflict = ""
        self._items: tuple[str, ...] = ()
        self._wanted = True
        self._matches: Callable[[str, str], bool] | None = None
        negated = positive = 0
        for kind, test in _SELECTORS.items():
            for no in ("", "not_"):
                items = body.get(f"{verb}_if_{no}{kind}_from_list")
                if items is None:
                    continue
                negated, positive = negated + bool(no), positive + (not no)
                if self._matches is None:
                    self._items, self._wanted, self._matches = items, not no, test
        if negated > 1:
            self.conflict = "the alternatives are mutually exclusive (only one is allowed)"
        elif negated and positive:
            self.conflict = "cannot mix positive and negative constraints"

    def __call__(self, line: str) -> bool:
        """Whether LINE is let through."""
        test = self._matches
        if test is None:
            return True
        return any(test(item, line) for item in self._items) is self._wanted


# what


def substituted(
    line: str, pattern: str, replacement: "Callable[[Match], str]", *, once: bool
) -> tuple[str, str] | None:
    """LINE with what PATTERN matches replaced, again and again, and the last replacement.

    None if there is nothing to replace. A match that leaves nothing else of the line ends it.
    """
    text, last, count, length = line, "", 0, 0
    while count < MOST_REPLACEMENTS and not (once and count):
        match = search(pattern, text)
        if match is None or length == len(text):
            break
        start, end = match.span()
        length = end - start
        last = replacement(match)
        text = text[:start] + last + text[end:]
        count += 1
    return (text, last) if count else None


def replaced_again(text: str, pattern: str, last: str) -> str | None:
    """TEXT after one more replacement by LAST, or None if PATTERN does not match it any more."""
    match = search(pattern, text)
    if match is None:
        return None
    start, end = match.span()
    return text[:start] + last + text[end:]


def edit_values(column: str, separator: str, operation: str, value: str) -> str | None:
    """COLUMN, values with SEPARATOR between, after OPERATION; None if it is as promised."""
    values = column.split(separator)
    if not values[-1]:
        values.pop()
    if operation == "set":
        done = values == [value] or (not values and not value)
        return None if done else value
    if operation == "delete":
        left = [each for each in values if each != value]
        return None if left == values else separator.join(left)
    if value in values:
        return None
    values = [value, *values] if operation in ("prepend", "alphanum") else [*values, value]
    if operation == "alphanum":
        values.sort(key=_octets)
    return separator.join(values)


def _octets(value: str) -> bytes:
    """What order among values goes by."""
    return value.encode("utf-8", "surrogateescape")


def with_field(fields: "Sequence[str]", at: int, value: str, separator: str) -> str:
    """The line that FIELDS make with VALUE as the field AT, counted from 0."""
    return separator.join([*fields[:at], value, *fields[at + 1 :]])
