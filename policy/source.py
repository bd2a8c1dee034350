"""Where policy text comes from, and places in it."""


class Source:
    """A text with the name under which the user knows it."""

    __slots__ = ("_starts", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._starts: list[int] | None = None

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of OFFSET, both counted from 1."""
        if self._starts is None:
            from itertools import accumulate

            lengths = [len(line) + 1 for line in self.text.split("\n")]
            self._starts = [0, *accumulate(lengths)]
        from bisect import bisect_right

        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, without its end."""
        self.place(0)
        assert self._starts is not None
        return self.text[self._starts[number - 1] : self._starts[number] - 1].removesuffix("\r")


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
    """The source in the file PATH; bytes that are not UTF-8 survive as surrogates. Raises OSError."""
    with open(path, "rb") as file:
        return Source(path, file.read().decode("utf-8", "surrogateescape"))
