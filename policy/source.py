"""Where policy text comes from, and places in it."""


class Source:
    """A text, and the path that its user knows it by."""

    __slots__ = ("_starts", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._starts: list[int] = []

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at OFFSET, both counted from 1."""
        from bisect import bisect_right

        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its end."""
        begin, end = self._line_starts()[number - 1 : number + 1]
        return self.text[begin : end - 1].removesuffix("\r")

    def _line_starts(self) -> list[int]:
        """Where lines start, and last where one behind the text would."""
        if not self._starts:
            from itertools import accumulate

            self._starts = [0, *accumulate(len(line) + 1 for line in self.text.split("\n"))]
        return self._starts


class Span:
    """A half-open range of characters of a source."""

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end

    @property
    def line(self) -> int:
        """The line that it starts in, from 1."""
        return self.source.place(self.start)[0]

    @property
    def column(self) -> int:
        """The column that it starts in, from 1, in characters."""
        return self.source.place(self.start)[1]

    @property
    def text(self) -> str:
        """What stands there."""
        return self.source.text[self.start : self.end]


def read(path: str) -> Source:
    """The source in the file PATH; bytes that are no UTF-8 become surrogates. Raises OSError."""
    with open(path, "rb") as file:
        return Source(path, file.read().decode("utf-8", "surrogateescape"))
