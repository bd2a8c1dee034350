"""`insert_lines`: lines that promise to stand in a file."""

from agent.actuators.regions import buffer, concluded, interrupted, selected
from agent.edits import Point, Selection, lines_of, locator
from agent.outcome import Change, Outcome, Verdict, failed, kept
from policy.regexp import BadPattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from agent.actuators.regions import Region, Steps
    from agent.promise import Promise
    from agent.run import Run

FROM_FILE = frozenset(("file", "file_preserve_block"))
BLOCKS = frozenset(("preserve_block", "file_preserve_block", "preserve_all_lines"))
EXACT = "exact_match"
MEANINGLESS = "Line insertion selection promise is meaningless - "
# what makes more of a promise than one line somewhere in the file
REFINED = frozenset((
    "insert_type", "location", "select_region", "whitespace_policy", "insert_select",
))  # fmt: skip


def insert_lines(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield a change for each line that is missing."""
    edited, text = buffer(run), promise.promiser
    if text in edited and "\n" not in text and REFINED.isdisjoint(promise.attributes):
        yield kept(f"Promised chunk '{text}' exists within selected region of {edited.path}")
        return
    promised = Promised(promise)
    contradiction = promised.contradiction()
    if contradiction:
        run.log("error", contradiction)
        yield failed(f"The promised line insertion '{text}' breaks its own promises")
        return
    region = yield from selected(promise, run, "line insertion", "insert")
    if region is None:
        return
    point = yield from _point(promise, promised, region, run)
    if point is not None:
        steps = _lines(promise, promised, point, run)
        yield from concluded("insert_lines", promise, run, steps)


class Promised:
    """The attributes of a promise to insert lines, taken apart."""

    __slots__ = (
        "block",
        "earliest",
        "from_file",
        "pattern",
        "select",
        "type",
        "upward",
        "whitespace",
    )

    def __init__(self, promise: "Promise") -> None:
        location: dict[str, Any] = promise.body("location") or {}
        self.type: str = promise.attributes.get("insert_type", "literal")
        self.block = self.type in BLOCKS
        self.from_file = self.type in FROM_FILE
        self.whitespace: tuple[str, ...] = promise.attributes.get("whitespace_policy", ())
        self.select = Selection(promise.body("insert_select") or {}, "insert")
        self.upward = location.get("before_after") == "before"
        self.earliest = location.get("first_last") == "first"
        self.pattern: str | None = location.get("select_line_matching")

    def contradiction(self) -> str:
        """What makes the promise impossible, or nothing."""
        if self.select.conflict:
            return MEANINGLESS + self.select.conflict
        relaxed = any(policy != EXACT for policy in self.whitespace)
        if relaxed and self.type == "preserve_block":
            return "Line insertion should not use whitespace policy with preserve_block"
        if relaxed and EXACT in self.whitespace:
            return f"{MEANINGLESS}cannot mix exact_match with other ignore whitespace options"
        return ""


def _point(
    promise: "Promise", promised: Promised, region: "Region", run: "Run"
) -> "Generator[Verdict, Outcome, Point | None]":
    """Where the lines go, or None after saying that the line next to which they go is missing."""
    edited = buffer(run)
    last = region.last
    if last is not None and region.with_end:
        last += 1
    relaxed = tuple([policy for policy in promised.whitespace if policy != EXACT])
    point = Point(edited, (region.first, last), relaxed)
    line = None
    if promised.pattern is not None:
        try:
            line = locator(
                edited.lines, promised.pattern, point.first, point.end(), earliest=promised.earliest
            )
        except BadPattern as bad:
            run.log("error", str(bad))
        if line is None:
            yield interrupted(
                f"The promised line insertion '{promise.promiser}' could not select a locator "
                f"matching regex '{promised.pattern}' in '{edited.path}'"
            )
            return None
    point.beside(line, before=promised.upward)
    return point


def _lines(promise: "Promise", promised: Promised, point: Point, run: "Run") -> "Steps":
    """Yield what becomes of each line."""
    chunk = promise.promiser.split("\n")
    if promised.from_file:
        found = _read(promise, run)
        if isinstance(found, Verdict):
            yield found
            return
        chunk = found
    path = point.buffer.path
    lines = [line for line in chunk if promised.select(line)]
    if not lines:
        return
    if promised.type != "preserve_all_lines" and _there(chunk, lines, promised, point):
        yield kept(f"Promised chunk '{promise.promiser}' exists within selected region of {path}")
        return
    for line in lines:
        if not promised.block and point.present(line):
            yield kept(f"Promised line '{line}' exists within selected region of '{path}'")
        else:
            yield from _line(line, promised, point)


def _there(chunk: list[str], lines: list[str], promised: Promised, point: Point) -> bool:
    """Whether what is promised stands together: all of CHUNK, or the LINES of it that count."""
    anywhere = promised.block and not point.located and not point.before
    return any(
        point.stands(block) or (anywhere and point.buffer.holds(block, point.first, point.end()))
        for block in (chunk, lines)
    )


def _line(line: str, promised: Promised, point: Point) -> "Steps":
    """Yield a change that puts LINE in at POINT, unless it stands right there."""
    path = point.buffer.path
    if point.at_top() and point.buffer.lines[0] == line:
        point.advance()
        yield kept(f"Promised line '{line}' exists at start of file '{path}'")
        return
    if not promised.block and not point.at_top() and point.neighbour(line):
        if point.before:
            point.pass_by()
        else:
            point.advance()
        yield kept(f"Promised line '{line}' exists beside locator in '{path}'")
        return
    would, done = _words(line, point)
    outcome = yield Change(would, done, lambda: point.insert(line), quiet=True)
    if outcome is not Outcome.REPAIRED:
        point.buffer.edits += 1  # announced
    point.advance()


def _words(line: str, point: Point) -> tuple[str, str]:
    """What a dry run says of a line that goes in at POINT, and what is said afterwards."""
    path = point.buffer.path
    if not point.before:
        where = f"'{path}' after locator"
        return (
            f"insert line '{line}' into {where}",
            f"Inserted the promised line '{line}' into {where}",
        )
    if point.at_top():
        return (
            f"prepend promised line '{line}' to '{path}'",
            f"Prepended the promised line '{line}' to {path}",
        )
    if not point.buffer.lines:
        return (
            f"insert promised line '{line}' into '{path}'",
            f"Inserted the promised line '{line}' into '{path}'",
        )
    where = f"'{path}' before locator"
    return f"insert line '{line}' into {where}", f"Inserted the promised line '{line}' into {where}"


def _read(promise: "Promise", run: "Run") -> list[str] | Verdict:
    """The lines of the file that PROMISE names, expanded if it says so; or why there are none."""
    from policy.values import text

    path = promise.promiser
    try:
        content = text(run.host.read(path))
    except IsADirectoryError:
        return interrupted(f"Could not insert lines from a directory '{path}'")
    except OSError as error:
        return interrupted(f"Could not read file '{path}'. (fopen: {error.strerror})")
    lines = lines_of(content)
    if not promise.truth("expand_scalars"):
        return lines
    return [part for line in lines for part in run.ctx.expand(line).split("\n")]
