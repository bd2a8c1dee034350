"""Mistakes in policy, and how a person sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policy.source import Span

INDENT = "   "
LONGEST = 160  # characters of a line, or of a message, that are shown


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What is wrong at a place, and what might be meant. KIND is what `-W` calls a warning."""

    message: str
    span: Span
    hint: str = ""
    severity: str = "error"
    kind: str = ""

    def __str__(self) -> str:
        """Place and message, the line with what is meant underlined, the hint."""
        span = self.span
        kind = f" [-W{self.kind}]" if self.kind else ""
        place = f"{span.source.path}:{span.line}:{span.column}"
        message = self.message
        if len(message) > 2 * LONGEST:
            message = f"{message[:LONGEST]} ... {message[-LONGEST // 2 :]}"
        lines = [f"{place}: {self.severity}: {message}{kind}", *_excerpt(span)]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def _excerpt(span: Span) -> list[str]:
    """The first line of SPAN with carets below; tabs stay tabs, so that they meet."""
    line, before = span.source.line(span.line), span.column - 1
    if len(line) > LONGEST:  # show the part that matters
        start = max(0, before - LONGEST // 2)
        line, before = line[start : start + LONGEST], before - start
    margin = "".join("\t" if char == "\t" else " " for char in line[:before])
    width = min(span.end - span.start, len(line) - before)
    return [INDENT + line, INDENT + margin + "^" * max(width, 1)]


def as_json(diagnostic: Diagnostic) -> dict[str, str | int]:
    """DIAGNOSTIC for programs: lines and columns from 1, the end is behind the last character."""
    span = diagnostic.span
    end_line, end_column = span.source.place(span.end)
    return {
        "file": span.source.path,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
        "severity": diagnostic.severity,
        "kind": diagnostic.kind,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    }


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The one of CANDIDATES that WORD is probably a slip of, or None."""
    from difflib import get_close_matches

    if len(word) > LONGEST:
        return None
    return next(iter(get_close_matches(word, candidates, n=1, cutoff=0.7)), None)
