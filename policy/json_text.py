"""JSON as the language reads and writes it: more lenient than JSON, and on bytes.

The reader takes bare keys, trailing commas, some missing commas and colons, and, where the caller
says how, names of variables in the place of values. String values are unescaped twice.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    # the value that a bare word stands for, None if it stands for nothing
    Lookup: TypeAlias = Callable[[str], Any]

_BLANK = " \t\n\r\v\f"
_DIGITS = frozenset("0123456789")
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPES_AGAIN = {char: plain for char, plain in _ESCAPES.items() if char != "/"}
_CONSTANTS = {"true": True, "false": False, "null": None}
_MISSING = object()
_MOST_DIGITS = 19  # of an integer of 64 bits
DEEPEST = 500  # containers in each other


class Real(float):
    """A real as its text had it: `1.50` stays so until it is stored in a variable."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "Real":
        """The real that TEXT says."""
        real = super().__new__(cls, text)
        real.text = text
        return real


class BadJSON(ValueError):
    """The text is no JSON, even to a lenient reader; `rest` is what was left of it by then."""

    def __init__(self, reason: str, rest: str) -> None:
        super().__init__(reason)
        self.rest = rest


def parse_json(text: str, lookup: "Lookup | None" = None, *, whole: bool = False) -> "Any":
    """The first JSON value in TEXT. Raises BadJSON, a ValueError with the reason.

    LOOKUP gives the value of a bare word inside a container. What follows the value is ignored,
    unless it has to be the WHOLE text.
    """
    reader = _Reader(text, lookup)
    char = reader.peek()
    if not char:
        raise reader.error("No data")
    if char not in "[{":
        reader.lookup = None
    value = reader.value()
    if whole and reader.peek():
        raise reader.error("Unable to parse json data, text after its end")
    return value


def json_values(text: str) -> "Iterator[Any]":
    """The JSON values that a program printed, up to where TEXT is none.

    What follows a value on its line is ignored.
    """
    reader = _Reader(text, None)
    while reader.peek():
        try:
            yield reader.value()
        except BadJSON:
            return
        end = text.find("\n", reader.at)
        if end < 0:
            return
        reader.at = end


class _Reader:
    """A position in JSON text."""

    __slots__ = ("at", "depth", "lookup", "text")

    def __init__(self, text: str, lookup: "Lookup | None") -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.lookup = lookup

    def error(self, reason: str) -> BadJSON:
        return BadJSON(reason, self.text[self.at :])

    def peek(self) -> str:
        """The next character that is not blank, "" at the end."""
        text, at = self.text, self.at
        while at < len(text) and text[at] in _BLANK:
            at += 1
        self.at = at
        return text[at : at + 1]

    def value(self) -> "Any":
        char = self.peek()
        if char != "[" and char != "{":
            return self.scalar(char)
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"Unable to parse json data, more than {DEEPEST} levels deep")
        found = self.array() if char == "[" else self.object()
        self.depth -= 1
        return found

    def scalar(self, char: str) -> "Any":
        """A string, a number, a constant, or what a bare word stands for."""
        if char == '"':
            return _again(_unescaped(self.string(), _ESCAPES))
        if char == "-" or char in _DIGITS:
            return self.number()
        value = self.constant()
        if value is _MISSING and self.lookup is not None:
            value = self.variable()
        if value is _MISSING:
            raise self.error(
                "Unable to parse json data as object, unrecognized token beginning entry"
            )
        return value

    def string(self) -> str:
        """What stands between the quotes at the position, its escapes untouched."""
        start = at = self.at + 1
        end = start - 1
        while True:
            if end < at:
                end = self.text.find('"', at)
            if end < 0:
                self.at = len(self.text)
                raise self.error(
                    "Unable to parse json data as string, did not end with doublequote"
                )
            escape = self.text.find("\\", at, end)
            if escape < 0:
                break
            at = escape + 2
        self.at = end + 1
        return self.text[start:end]

    def ends(self, at: int) -> bool:
        """Whether a number or a word may end at AT."""
        return self.text[at : at + 1] in ("", ",", "]", "}", *_BLANK)

    def digits(self, at: int) -> int:
        while at < len(self.text) and self.text[at] in _DIGITS:
            at += 1
        return at

    def number(self) -> "int | Real":
        """An integer, or with a point a real: `-1`, `1.5`, `1.5e2`."""
        text, start = self.text, self.at
        first = start + (text[start] == "-")
        end = self.digits(first)
        whole = end
        if text[end : end + 1] == ".":
            end = self.digits(end + 1)
        if text[end : end + 1] in ("e", "E"):
            end = self.digits(end + 1 + (text[end + 1 : end + 2] in ("+", "-")))
        self.at = end
        if not self.ends(end):
            raise self.error("Unable to parse json data as number, invalid symbol")
        if text[end - 1] not in _DIGITS or whole == first:
            raise self.error("Unable to parse json data as string, did not end with digit")
        if text[first] == "0" and whole - first > 1:
            raise self.error(
                "Unable to parse json data as number, dot or exponent must follow leading 0"
            )
        if whole < end and text[whole] == ".":
            return Real(text[start:end])
        long = whole - first > _MOST_DIGITS
        if whole < end or long or not -(2**63) <= int(text[start:end]) < 2**63:
            raise self.error("Unable to parse json data as number, no 64 bit integer")
        return int(text[start:end])

    def constant(self) -> "Any":
        for word, value in _CONSTANTS.items():
            end = self.at + len(word)
            if self.text.startswith(word, self.at) and self.ends(end):
                self.at = end
                return value
        return _MISSING

    def variable(self) -> "Any":
        """What the word `name`, `bundle.name` or `name[index]` at the position stands for."""
        text, end = self.text, self.at
        while end < len(text) and (text[end] in _WORD or text[end] == "."):
            end += 1
        if end > self.at and text[end : end + 1] == "[":
            close = text.find("]", end)
            if close > end + 1 and "[" not in text[end + 1 : close]:
                end = close + 1
        word = text[self.at : end]
        value = self.lookup(word) if word and self.lookup is not None else None
        if value is None:
            return _MISSING
        self.at = end
        return value

    def array(self) -> "list[Any]":
        found: list[Any] = []
        self.at += 1
        separated = True
        while True:
            char = self.peek()
            if char == "]":
                self.at += 1
                return found
            if char == ",":
                if separated:
                    raise self.error("Unable to parse json data as array, extraneous comma")
                separated = True
                self.at += 1
                continue
            if not char:
                raise self.error("Unable to parse json data as array, did not end with ']'")
            if char in "[{" and not separated:
                raise self.error("Unable to parse json data as array, did not start with '['")
            found.append(self.value())
            separated = False

    def object(self) -> "dict[str, Any]":
        found: dict[str, Any] = {}
        self.at += 1
        separated = True
        while True:
            char = self.peek()
            if char == "}":
                self.at += 1
                return found
            if char == ",":
                if separated and found:
                    raise self.error(
                        "Unable to parse json data as object, "
                        "',' seen without having specified an r-value"
                    )
                separated = True
                self.at += 1
                continue
            if not char:
                raise self.error("Unable to parse json data as object, did not end with '}'")
            key = self.key(char, quotable=separated)
            found.pop(key, None)
            found[key] = self.entry()
            separated = False

    def key(self, char: str, *, quotable: bool) -> str:
        """A key, up to and with its colon; only a bare one must have that, and need not a comma."""
        if char == '"' and quotable:
            key = _unescaped(self.string(), _ESCAPES)
            if self.peek() == ":":
                self.at += 1
            return key
        start = end = self.at
        while end < len(self.text) and (
            self.text[end] in _WORD or (self.text[end] == "-" and end > start)
        ):
            end += 1
        self.at = end
        if end == start or self.peek() != ":":
            self.at = start
            raise self.error(
                "Unable to parse json data as object, unrecognized token beginning entry"
            )
        self.at += 1
        return self.text[start:end]

    def entry(self) -> "Any":
        """The value of a key."""
        char = self.peek()
        if char == ",":
            raise self.error(
                "Unable to parse json data as object, ',' seen without having specified an r-value"
            )
        if char == "}":
            raise self.error(
                "Unable to parse json data as object, "
                "tried to close object having opened an l-value"
            )
        return self.value()


def _unescaped(text: str, escapes: dict[str, str]) -> str:
    """TEXT with these ESCAPES resolved, and every other one left as it is."""
    if "\\" not in text:
        return text
    parts, plain = [], 0
    at = text.find("\\")
    while at >= 0:
        char = escapes.get(text[at + 1 : at + 2])
        if char is not None:
            parts += [text[plain:at], char]
            plain = at + 2
        at = text.find("\\", at + 2)
    return "".join([*parts, text[plain:]])


def _again(text: str) -> str:
    r"""The second unescaping of a string value; `\u00XX` is the byte XX, another `\u` a plain u.

    A byte 0 ends it.
    """
    if "\\" not in text:
        return text
    parts, plain = [], 0
    at = text.find("\\")
    while at >= 0:
        char, end = _escape(text, at)
        parts += [text[plain:at], char]
        plain = end
        at = text.find("\\", end)
    joined = "".join([*parts, text[plain:]]).partition("\0")[0]
    return joined.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _escape(text: str, at: int) -> tuple[str, int]:
    r"""What the escape at AT means in the second unescaping, and where it ends."""
    letter = text[at + 1 : at + 2]
    if letter != "u":
        return _ESCAPES_AGAIN.get(letter, "\\" + letter), at + 2
    digits = text[at + 2 : at + 6]
    if digits[:2] != "00" or len(digits) < 4 or not set(digits) <= _HEX_DIGITS:
        return "u", at + 2
    return bytes((int(digits, 16),)).decode("utf-8", "surrogateescape"), at + 6


# writer


def raw(value: "Any") -> str:
    """A JSON primitive as it is stored: reals with the digits that they have, `null` for None."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return value.text if isinstance(value, Real) else f"{value:.4f}"
    return str(value)


def dump_json(value: "Any", pretty: bool = False) -> str:
    """VALUE as JSON, keys sorted; compact without any blank, or PRETTY, indented by two."""
    return _dump_pretty(value, "\n") if pretty else _dump(value)


def _dump(value: "Any") -> str:
    if isinstance(value, dict):
        inner = [f"{_quoted(key)}:{_dump(value[key])}" for key in _sorted(value)]
        return "{" + ",".join(inner) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_dump(item) for item in value]) + "]"
    return _quoted(value) if isinstance(value, str) else raw(value)


def _dump_pretty(value: "Any", newline: str) -> str:
    """VALUE over several lines; NEWLINE is a line break with the indentation of the outer level."""
    inside = newline + "  "
    if isinstance(value, dict):
        entries = [
            f"{inside}{_quoted(key)}: {_dump_pretty(value[key], inside)}" for key in _sorted(value)
        ]
        return "{" + ",".join(entries) + newline + "}"
    if isinstance(value, (list, tuple)) and value:
        items = [inside + _dump_pretty(item, inside) for item in value]
        return "[" + ",".join(items) + newline + "]"
    return _dump(value)


def _sorted(keys: "dict[str, Any]") -> list[str]:
    return sorted(keys, key=lambda key: key.encode("utf-8", "surrogateescape"))


_QUOTED = {
    **{code: f"\\u{code:04x}" for code in (*range(32), *range(127, 256))},
    **{ord(plain): "\\" + char for char, plain in _ESCAPES_AGAIN.items()},
}


def _quoted(text: str) -> str:
    """TEXT in quotes; each byte that is no printable ASCII character is `\\u00XX`."""
    octets = text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")
    return f'"{octets.translate(_QUOTED)}"'
