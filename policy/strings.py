"""References in text: `"a $(b) ${c[$(d)]}"` taken apart into what the evaluator runs.

A text without references is itself. Otherwise ("cat", part, ...) of texts and ("var", name, raw),
where NAME is a text or again a cat, and RAW the two brackets that it stood in: "()" or "{}".
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    # a constant is itself (str); all else is a tuple headed by its operator
    Rval: TypeAlias = "str | tuple[Any, ...]"

_CLOSING = {"(": ")", "{": "}"}
DEEPEST = 100  # references in each other


def closing(text: str, start: int) -> int:
    """Where the bracket that opens at START closes, those of its kind nested; -1 if nowhere."""
    opener = text[start]
    closer = _CLOSING[opener]
    depth = 0
    for at in range(start, len(text)):
        if text[at] == opener:
            depth += 1
        elif text[at] == closer:
            depth -= 1
            if depth == 0:
                return at
    return -1


def _closes(text: str, start: int, known: dict[str, dict[int, int]]) -> int:
    """As `closing`; once a bracket does not close, all of its kind are KNOWN from then on."""
    opener = text[start]
    if opener in known:
        return known[opener].get(start, -1)
    end = closing(text, start)
    if end < 0:
        known[opener] = _pairs(text, opener, start)
    return end


def _pairs(text: str, opener: str, start: int) -> dict[int, int]:
    """Where each bracket of the kind OPENER from START on closes, if it does."""
    closer = _CLOSING[opener]
    found: dict[int, int] = {}
    opened: list[int] = []
    for at in range(start, len(text)):
        if text[at] == opener:
            opened.append(at)
        elif text[at] == closer and opened:
            found[opened.pop()] = at
    return found


def too_deep(text: str) -> bool:
    """Whether there are brackets of references in TEXT beyond the DEEPEST that are looked into."""
    if text.count("$") <= DEEPEST:
        return False
    depth = 0
    for at, char in enumerate(text):
        if char in "({" and text[at - 1 : at] == "$":
            depth += 1
            if depth > DEEPEST:
                return True
        elif char in ")}" and depth:
            depth -= 1
    return False


def parse(text: str, depth: int = 0) -> "Rval":
    """TEXT with its references taken apart.

    A reference that does not close is plain text, and so is what is nested too deeply: at DEPTH.
    """
    if "$" not in text or depth == DEEPEST:
        return text
    parts: list[Rval] = []
    known: dict[str, dict[int, int]] = {}
    plain = at = 0
    while True:
        at = text.find("$", at)
        if at < 0:
            break
        if text[at + 1 : at + 2] not in _CLOSING or not text[at + 1 : at + 2]:
            at += 1
            continue
        end = _closes(text, at + 1, known)
        if end < 0:
            at += 2
            continue
        if at > plain:
            parts.append(text[plain:at])
        inner = parse(text[at + 2 : end], depth + 1)
        parts.append(("var", inner, "()" if text[at + 1] == "(" else "{}"))
        plain = at = end + 1
    return joined(parts, text[plain:])


def joined(parts: "list[Rval]", tail: str = "") -> "Rval":
    """PARTS and a last text as one rval, as flat as can be."""
    if tail:
        parts.append(tail)
    if not parts:
        return ""
    return parts[0] if len(parts) == 1 else ("cat", *parts)


def list_reference(text: str) -> "Rval":
    """`@(x)` or `@{x}`, the whole of TEXT, as ("at", name, brackets)."""
    return ("at", parse(text[2:-1]), "()" if text[1] == "(" else "{}")


def is_list_reference(text: str) -> bool:
    """Whether TEXT is one naked list reference: `@(x)`."""
    return (
        len(text) > 3
        and text[0] == "@"
        and text[1] in _CLOSING
        and closing(text, 1) == len(text) - 1
    )


_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:[]$(){}")


def expandable(text: str) -> bool:
    """Whether TEXT still holds a reference that may be resolved one day.

    `$(this)`, `$(this.k)` and `$(this.v)` wait for a map function, and `$(/bin/x)` is none.
    """
    at = text.find("$")
    known: dict[str, dict[int, int]] = {}
    while at >= 0:
        opener = text[at + 1 : at + 2]
        if opener == "(" or opener == "{":
            end = _closes(text, at + 1, known)
            if end > 0 and not _waits(text[at + 2 : end]):
                return True
        at = text.find("$", at + 1)
    return False


def _waits(name: str) -> bool:
    """Whether `$(NAME)` is bound by a map function, or no reference at all."""
    if name == "this" or name.startswith(("this.k", "this.v")):
        return True
    if not name or "(this.k" in name or "(this.v" in name or "(this)" in name:
        return True
    depth = 0
    for char in name:
        if char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
        elif not depth and char not in _NAME and ord(char) < 128:
            return True
    return False
