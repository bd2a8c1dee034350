"""`delete_lines`: lines that promise not to stand in a file."""

from agent.actuators.regions import buffer, concluded, selected
from agent.edits import Buffer, Selection, matches
from agent.outcome import Change, Outcome, Verdict, kept
from policy.regexp import BadPattern, full

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from agent.actuators.regions import Region, Steps
    from agent.promise import Promise
    from agent.run import Run


def delete_lines(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield a change for each line that should not be there."""
    if "\n" in promise.promiser and promise.truth("not_matching"):
        run.log(
            "error",
            "Makes no sense to promise multi-line delete with not_matching. "
            "Cannot be satisfied for all lines as a block.",
        )
    region = yield from selected(promise, run, "line deletion", "delete")
    if region is None:
        return
    yield from concluded("delete_lines", promise, run, _chunks(promise, region, run))


def _chunks(promise: "Promise", region: "Region", run: "Run") -> "Steps":
    """Yield a change for each line of each run of lines that the promiser matches."""
    edited = buffer(run)
    unwanted = Unwanted(promise, run)
    at = region.first if region.with_start else region.first + 1
    after = 0 if region.last is None else len(edited.lines) - region.last - region.with_end
    touched = False
    while at < len(edited.lines) - after:
        size = unwanted.size(edited, at, len(edited.lines) - after)
        if not size or not unwanted.select(edited.lines[at]):
            at += 1
            continue
        touched = True
        deleted = yield from _chunk(edited, at, size)
        if not deleted:
            at += 1
    if not touched:
        yield kept(f"No need to delete lines from {edited.path}")


def _chunk(edited: Buffer, at: int, size: int) -> "Generator[Change, Outcome, bool]":
    """Yield a change for each of the SIZE lines from AT on; whether they are gone."""
    for number in range(1, size + 1):
        line = edited.lines[at]
        outcome = yield Change(
            f"delete line '{line}' from {edited.path}",
            f"Deleted the promised line {number} '{line}' from {edited.path}",
            lambda: edited.delete(at),
            quiet=True,
        )
        if outcome is not Outcome.REPAIRED:
            return False
    return True


class Unwanted:
    """Which lines are to go: runs that the promiser matches, or single lines that it does not."""

    __slots__ = ("_broken", "_negated", "_patterns", "select")

    def __init__(self, promise: "Promise", run: "Run") -> None:
        self._patterns = promise.promiser.split("\n")
        self._negated = promise.truth("not_matching")
        self._broken: set[str] = set()
        self.select = Selection(promise.body("delete_select") or {}, "delete")
        for pattern in self._patterns:
            try:
                full(pattern, "")
            except BadPattern as bad:
                self._broken.add(pattern)
                run.log("error", str(bad))

    def size(self, edited: Buffer, at: int, last: int) -> int:
        """How many lines from AT on are to go together; 0 if the line AT may stay."""
        lines, patterns = edited.lines, self._patterns
        found = at + len(patterns) <= last and all(
            pattern == line if pattern in self._broken else matches(pattern, line)
            for pattern, line in zip(patterns, lines[at : at + len(patterns)], strict=True)
        )
        if self._negated:
            return int(not found)
        return len(patterns) if found else 0
