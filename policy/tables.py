"""Readers of the tabular and structured texts that become data: CSV, environment files, YAML."""

from policy import values
from policy.json_text import DEEPEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_WORDS = {
    spelled: value
    for value, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for word in words
    for spelled in (word, word.title(), word.upper())
}


_NUMERIC = frozenset("-0123456789")


# CSV: a record ends at CRLF and nowhere else


def records(text: str) -> "Iterator[str]":
    """The records of TEXT, each with its CRLF; one inside quotes is part of the record."""
    start = at = quotes = 0
    while start < len(text):
        end = text.find("\r\n", at)
        if end < 0:
            if (quotes + text.count('"', at)) % 2 == 0:
                yield text[start:]
            return
        quotes += text.count('"', at, end)
        at = end + 2
        if quotes % 2 == 0:
            yield text[start:at]
            start = at


def fields(record: str) -> list[str] | None:
    """The fields of a RECORD, or None if its quotes are out of place."""
    record = record.removesuffix("\r\n")
    found: list[str] = []
    at = 0
    while True:
        quote = at
        while record[quote : quote + 1] in (" ", "\t"):
            quote += 1
        quoted = record[quote : quote + 1] == '"'
        taken = _quoted(record, quote + 1) if quoted else _bare(record, at)
        if taken is None:
            return None
        field, at = taken
        found.append(field)
        if at >= len(record):
            return found
        at += 1


def _bare(record: str, start: int) -> tuple[str, int] | None:
    """The field without quotes at START, and where it ends."""
    end = record.find(",", start)
    if end < 0:
        end = len(record)
    field = record[start:end]
    return None if '"' in field else (field, end)


def _quoted(record: str, start: int) -> tuple[str, int] | None:
    """The field whose opening quote ends at START, and where the comma after it is."""
    pieces: list[str] = []
    while True:
        end = record.find('"', start)
        if end < 0:
            return None
        pieces.append(record[start:end])
        if record[end + 1 : end + 2] != '"':
            break
        pieces.append('"')
        start = end + 2
    comma = record.find(",", end)
    if comma < 0:
        comma = len(record)
    return None if record[end + 1 : comma].strip() else ("".join(pieces), comma)


# files of NAME=value


def environment(text: str) -> dict[str, str]:
    """The settings in TEXT; lines that are none are left out, a later one wins."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        key, equals, value = line.strip().partition("=")
        key = key.strip()
        if not equals or not key or key[0] == "#":
            continue
        plain = _unquoted(value.strip())
        if plain is not None:
            found.pop(key, None)
            found[key] = plain
    return found


def _unquoted(value: str) -> str | None:
    """VALUE with its quotes and backslashes resolved; None if a quote stands where none may."""
    quote = value[0] if value[:1] in ("'", '"') and value else ""
    plain: list[str] = []
    chars = iter(value[1:] if quote else value)
    for char in chars:
        if char == "\\":
            escaped = next(chars, "")
            plain.append("\n" if escaped == "n" else escaped)
        elif char == quote:
            break
        elif char in "'\"" and not quote:
            return None
        else:
            plain.append(char)
    return "".join(plain)


# YAML


def yaml(text: str) -> "Any":
    """The first document of TEXT, what there is of a broken one. Raises ValueError if nothing."""
    import yaml as library  # type: ignore[import-untyped]  # it has no stubs

    loader = getattr(library, "CLoader", library.Loader)
    builder = _Builder()
    parser = loader(values.octets(text))
    try:
        while builder.open and parser.check_event():
            builder.take(parser.get_event())
    except library.YAMLError as error:
        if not builder.document:
            raise ValueError(str(error)) from None
    finally:
        parser.dispose()
    if not builder.document:
        raise ValueError("No data")
    return builder.document[0]


class _Builder:
    """A document grown from events: `stack` holds the containers that are open, innermost last."""

    __slots__ = ("document", "keys", "open", "stack")

    def __init__(self) -> None:
        self.document: list[Any] = []
        self.stack: list[Any] = [self.document]
        self.keys: list[str | None] = [None]
        self.open = True

    def take(self, event: "Any") -> None:
        """Let EVENT grow the document."""
        match type(event).__name__:
            case "ScalarEvent":
                self._scalar(event)
            case "SequenceStartEvent":
                self._begin([])
            case "MappingStartEvent":
                self._begin({})
            case "SequenceEndEvent" | "MappingEndEvent":
                self.stack.pop()
                self.keys.pop()
            case "DocumentEndEvent":
                self.open = False

    def _scalar(self, event: "Any") -> None:
        if isinstance(self.stack[-1], dict) and self.keys[-1] is None:
            self.keys[-1] = event.value.partition("\0")[0]
        else:
            plain = event.style in (None, "") and event.tag is None
            self._put(_typed(event.value) if plain else event.value.partition("\0")[0])

    def _begin(self, container: "Any") -> None:
        if len(self.stack) > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels deep")
        self._put(container)
        self.stack.append(container)
        self.keys.append(None)

    def _put(self, value: "Any") -> None:
        owner, key = self.stack[-1], self.keys[-1]
        if isinstance(owner, dict):
            owner.pop(key, None)
            owner[key or ""] = value
            self.keys[-1] = None
        else:
            owner.append(value)


def _typed(text: str) -> "Any":
    """What an unquoted scalar means."""
    if text in _NULL:
        return None
    if text in _WORDS:
        return _WORDS[text]
    try:
        return values.parse_json(text) if text[0] in _NUMERIC else text
    except values.BadJSON:
        return text
