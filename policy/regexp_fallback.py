"""Patterns that mean the same to Python's `re` and to PCRE2, for hosts without libpcre2.

The parts that a pattern may be made of are listed; with any other it is refused, not guessed.
"""

import re

from policy.regexp import ANCHORED, CASELESS, DOTALL, MULTILINE, NOTEMPTY_ATSTART, BadPattern

_FLAGS = {CASELESS: re.IGNORECASE, DOTALL: re.DOTALL, MULTILINE: re.MULTILINE}
_PARTS = re.compile(
    rb"""
      (?P<circumflex> \^ )
    | \A \(\?i\)
    | \\ [dDwWsSbAnrtf]
    | \\ [^A-Za-z0-9]
    | \\ [1-9] (?! [0-9] )
    | \[ \^? \]? (?: (?! -- | && | ~~ | \|\| ) [^\\\[\]] | \\[dDwWsSnrtf] | \\[^A-Za-z0-9] )* \]
    | \( \? (?: [:=!] | <[=!] | P<[A-Za-z_]\w*> | P=[A-Za-z_]\w*\) )
    | \( (?! [?*] )
    | [).$|?*+]
    | \{ \d+ (?: , \d* )? \}
    | [^\\\[\](){}^$.|?*+]
    """,
    re.VERBOSE | re.DOTALL,
)
# for PCRE2 no line begins behind the newline that ends a text
_LINE_START = rb"(?:\A|(?<=\n)(?!\Z))"


class Code:
    """A compiled pattern, with the methods of `pcre2.Code`."""

    __slots__ = ("_pattern", "groups", "names")

    def __init__(self, pattern: bytes, options: int) -> None:
        """Compile PATTERN with PCRE2's OPTIONS. Raises BadPattern."""
        translated = _translated(pattern, multiline=bool(options & MULTILINE))
        if options & ~(CASELESS | DOTALL | MULTILINE):
            raise BadPattern("these options need libpcre2", pattern)
        flags = sum(flag for option, flag in _FLAGS.items() if options & option)
        try:
            self._pattern = re.compile(translated, flags)
        except re.error as error:
            raise BadPattern(error.msg, pattern, error.pos or 0) from None
        self.groups = self._pattern.groups
        self.names = dict(self._pattern.groupindex)

    def find(self, subject: bytes, start: int = 0, options: int = 0) -> list[int] | None:
        """Start and end of the match and of each group, from START on; -1 of a group not in it."""
        for match in self._pattern.finditer(subject, start):
            at = match.start()
            if options & ANCHORED and at > start:
                return None
            if options & NOTEMPTY_ATSTART and at == match.end() == start:
                continue
            return [at for group in range(self.groups + 1) for at in match.span(group)]
        return None


def _translated(pattern: bytes, *, multiline: bool) -> bytes:
    """PATTERN for `re`. Raises BadPattern at the first part that could differ there."""
    parts, at = [], 0
    while at < len(pattern):
        match = _PARTS.match(pattern, at)
        if match is None:
            raise BadPattern("this needs libpcre2", pattern, at)
        parts.append(_LINE_START if match["circumflex"] and multiline else match[0])
        at = match.end()
    return b"".join(parts)
