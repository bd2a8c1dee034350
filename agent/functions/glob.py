"""Paths by pattern: `/etc/{a,b}*/[!x]?`, and `**` for up to six levels of directories.

A directory comes with a slash at its end. In each directory other things come first, then the
directories, both in order of their names.
"""

import stat
from itertools import islice

from policy import regexp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.host import Host

_DEEPEST = 6
_MOST_BRACES, _MOST_VARIANTS = 100, 10_000
_MEANING = frozenset("*?[\\")
_QUOTED = frozenset("\\^$.[|()?*+{")


def find(host: "Host", pattern: str) -> list[str]:
    """What there is of the absolute PATTERN; nothing of one with too many braces."""
    if pattern.count("{") > _MOST_BRACES:
        return []
    found: dict[str, None] = {}
    levels = range(_DEEPEST + 1) if "**" in pattern else range(1)
    for level in levels:
        concrete = pattern.replace("**", "/".join("*" * level))
        for variant in islice(_variants(concrete), _MOST_VARIANTS):
            parts = [part for part in variant.split("/") if part]
            found.update(dict.fromkeys(_below(host, "", parts)))
    return list(found)


def _variants(pattern: str) -> "Iterator[str]":
    """PATTERN with its braces expanded, the innermost first."""
    close = pattern.find("}", pattern.find("{") + 1)
    start = pattern.rfind("{", 0, close) if close >= 0 else -1
    if start < 0:
        yield pattern
        return
    for choice in pattern[start + 1 : close].split(","):
        yield from _variants(pattern[:start] + choice + pattern[close + 1 :])


def _below(host: "Host", directory: str, parts: list[str]) -> "Iterator[str]":
    """What PARTS lead to from DIRECTORY on."""
    if not parts:
        yield f"{directory}/"
        return
    files, directories = _children(host, directory, parts[0])
    if len(parts) == 1:
        yield from files
    for path in directories:
        yield from _below(host, path, parts[1:])


def _children(host: "Host", directory: str, part: str) -> tuple[list[str], list[str]]:
    """The files and the directories in DIRECTORY that PART means."""
    files: list[str] = []
    directories: list[str] = []
    for name in _names(host, directory, part):
        path = f"{directory}/{name}"
        try:
            status = host.stat(path)
        except OSError:
            continue
        if status is not None:
            (directories if stat.S_ISDIR(status.st_mode) else files).append(path)
    return files, directories


def _names(host: "Host", directory: str, part: str) -> list[str]:
    """The names in DIRECTORY that PART means, sorted. Without wildcards it is one, there or not."""
    if _MEANING.isdisjoint(part):
        return [part]
    try:
        names = host.listdir(directory or "/")
        pattern = _regular(part)
        return sorted([name for name in names if regexp.full(pattern, name)])
    except (OSError, regexp.BadPattern):
        return []


def _regular(part: str) -> str:
    """PART as a regular expression."""
    pieces: list[str] = []
    at = 0
    while at < len(part):
        char = part[at]
        at += 1
        close = part.find("]", at + 1) if char == "[" else -1
        if char == "*":
            pieces.append(".*")
        elif char == "?":
            pieces.append(".")
        elif close > 0:
            inside = part[at:close]
            pieces.append(f"[^{inside[1:]}]" if inside[0] == "!" else f"[{inside}]")
            at = close + 1
        else:
            if char == "\\" and at < len(part):
                char = part[at]
                at += 1
            pieces.append(f"\\{char}" if char in _QUOTED else char)
    return "".join(pieces)
