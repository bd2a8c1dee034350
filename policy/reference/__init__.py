"""What the words of the language mean: the tables beside this file, which only `troth doc` reads.

A table is lines of text. `[name] meaning` begins a section, lines that begin with `:` are its
example, any other line is a row of two or three cells with ` | ` between (`-` is an empty one), and
`#` begins a comment.
"""

import os

DIRECTORY = os.path.dirname(__file__)


class Section:
    """A section of a table: what it is about, its example, and its rows by their first cell."""

    __slots__ = ("example", "meaning", "rows")

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning
        self.example = ""
        self.rows: dict[str, tuple[str, ...]] = {}


def sections(table: str) -> dict[str, Section]:
    """The sections of the table of this name, by theirs."""
    with open(os.path.join(DIRECTORY, f"{table}.txt"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    found: dict[str, Section] = {}
    section = Section("")
    for line in lines:
        if line.startswith("["):
            name, _, meaning = line[1:].partition("]")
            section = found[name] = Section(meaning.strip())
        elif line.startswith(":"):
            section.example += f"{line[2:]}\n"
        elif line and not line.startswith("#"):
            first, *rest = line.split(" | ", 2)
            section.rows[first] = tuple(["" if cell == "-" else cell for cell in rest])
    return found
