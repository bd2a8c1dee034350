"""What the four kinds of edit promise share: the region that they work in, and their end."""

from agent.edits import Buffer, region
from agent.outcome import Outcome, Verdict, merge
from policy.regexp import BadPattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeAlias

    from agent.outcome import Change
    from agent.promise import Promise
    from agent.run import Run

    Steps: TypeAlias = "Generator[Change | Verdict, Outcome, None]"

TRUE = frozenset(("true", "yes"))
LAST_PASS = 3


class Region:
    """The lines from FIRST to LAST (None: to the end); the delimiters belong to it if promised."""

    __slots__ = ("first", "last", "with_end", "with_start")

    def __init__(self, body: "dict[str, Any]", bounds: tuple[int, int | None]) -> None:
        self.first, self.last = bounds
        self.with_start = body.get("include_start_delimiter") in TRUE
        self.with_end = body.get("include_end_delimiter") in TRUE


WHOLE = Region({"include_start_delimiter": "true"}, (0, None))


def selected(
    promise: "Promise", run: "Run", what: str, verb: str = ""
) -> "Generator[Verdict, Outcome, Region | None]":
    """The region that PROMISE works in, or None after saying why there is none to do WHAT in.

    With a VERB the end of the region must be there. What is missing may be put there by another
    promise: only the last pass complains.
    """
    body = promise.body("select_region")
    if body is None or "select_start" not in body:
        return WHOLE
    edited = buffer(run)
    end = body.get("select_end")
    to_end = body.get("select_end_match_eof", run.control.get("select_end_match_eof")) in TRUE
    bounds = _bounds(body, edited, run, to_end=to_end)
    if bounds is None:
        problem = (
            f"The promised {what} '{promise.promiser}' could not select an edit region "
            f"in '{edited.path}' after {LAST_PASS} passes{_hint(what, body)}"
        )
    elif verb and end is not None and bounds[1] is None and not to_end:
        problem = (
            f"The promised end pattern '{end}' was not found when selecting region "
            f"to {verb} in '{edited.path}'"
        )
    else:
        return Region(body, bounds)
    if run.ctx.pass_number < LAST_PASS:
        yield Verdict(Outcome.SKIPPED, f"No region in '{edited.path}' for '{promise.promiser}' yet")
    else:
        yield interrupted(problem)
    return None


def _bounds(
    body: "dict[str, Any]", edited: Buffer, run: "Run", *, to_end: bool
) -> tuple[int, int | None] | None:
    """The lines of the delimiters that BODY names, None if there is no region."""
    with_start = body.get("include_start_delimiter") in TRUE
    start, end = body["select_start"], body.get("select_end")
    try:
        return region(edited.lines, start, end, with_start=with_start, to_end=to_end)
    except BadPattern as bad:
        run.log("error", str(bad))
        return None


def _hint(what: str, body: "dict[str, Any]") -> str:
    """What a missing region means for a promise that deletes lines."""
    if what != "line deletion":
        return ""
    delimiters = ("include_start_delimiter", "include_end_delimiter")
    if any(body.get(name) in TRUE for name in delimiters):
        return " (this is a good thing, as policy suggests deleting the markers)"
    return " (but the delimiters were expected in the file)"


def buffer(run: "Run") -> Buffer:
    """The text that the edit bundle works on."""
    edited: Buffer | None = run.edit
    if edited is None:
        raise TypeError("an edit promise outside an edit bundle")
    return edited


def interrupted(message: str) -> Verdict:
    """This part was given up, MESSAGE says why."""
    return Verdict(Outcome.INTERRUPTED, message, "error")


def context_lines(promise: "Promise", run: "Run", level: str) -> None:
    """Say where PROMISE stands, and why and to whom it was made."""
    place = f"in file '{promise.path}' near line {promise.line}"
    run.log(level, f"Promise belongs to bundle '{promise.bundle}' {place}")
    if promise.comment:
        run.log(level, f"Comment is '{promise.comment}'")
    if promise.promisee is not None:
        from policy.evaluate import evaluate

        to = evaluate(promise.promisee, run.ctx)
        if type(to) is tuple:
            to = ' {"' + '","'.join(to) + '"}'
        run.log(level, f"This was a promise to '{to}'")


def concluded(kind: str, promise: "Promise", run: "Run", steps: "Steps") -> "Steps":
    """Pass on STEPS, then say how the promise of this KIND ended."""
    result = Outcome.SKIPPED
    try:
        step = next(steps)
        while True:
            outcome = yield step
            result = merge(result, outcome)
            step = steps.send(outcome)
    except StopIteration:
        pass
    except BadPattern as bad:
        run.log("error", str(bad))
    what = f"{kind} promise '{promise.promiser}'"
    if result is Outcome.REPAIRED:
        run.log("info", f"{what} repaired")
    elif result is Outcome.WARNED:
        run.log("warning", f"Warnings encountered when actuating {what}")
    elif result >= Outcome.FAILED:
        run.log("error", f"Errors encountered when actuating {what}")
