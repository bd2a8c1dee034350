"""`replace_patterns`: patterns that promise not to match, and what stands there instead."""

from agent.actuators.regions import buffer, concluded, context_lines, interrupted, selected
from agent.edits import Buffer, replaced_again, substituted
from agent.outcome import Change, Outcome, Verdict, failed, kept
from policy.context import Scope, Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from agent.actuators.regions import Region, Steps
    from agent.promise import Promise
    from agent.run import Run
    from policy.regexp import Match


def replace_patterns(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield a change for each line in which the promiser matches."""
    body = promise.body("replace_with") or {}
    if "replace_value" not in body:
        yield failed(f"The promised pattern replace '{promise.promiser}' has no replacement string")
        return
    region = yield from selected(promise, run, "pattern replace")
    if region is None:
        return
    matched = run.ctx.scopes.pop("match", None)
    yield from concluded("replace_patterns", promise, run, _lines(promise, body, region, run))
    run.ctx.scopes.pop("match", None)
    if matched is not None:
        run.ctx.scopes["match"] = matched


def _lines(promise: "Promise", body: "dict[str, Any]", region: "Region", run: "Run") -> "Steps":
    """Yield what becomes of each line of REGION, up to the first that would match for ever."""
    pattern = promise.promiser
    once = body.get("occurrences") == "first"
    if once:
        run.log("warning", "Setting replace-occurrences policy to 'first' is not convergent")
    edited = buffer(run)
    replacement = _replacement(body["replace_value"], run)
    last = len(edited.lines) if region.last is None else region.last
    touched = False
    for at in range(region.first, last):
        line = edited.lines[at]
        found = substituted(line, pattern, replacement, once=once)
        if found is None:
            continue
        touched = True
        text, put_in = found
        settled = _settled(text, put_in, promise)
        if not settled and not _anchored(pattern):
            yield interrupted(
                f"Promised replacement '{text}' on line '{line}' for pattern '{pattern}' is not "
                f"convergent while editing '{edited.path}' (regular expression matches the "
                "replacement string)"
            )
            context_lines(promise, run, "error")
            return
        outcome = yield _change(edited, pattern, at, text)
        if once and outcome is Outcome.REPAIRED:
            return
        if not settled and outcome is Outcome.REPAIRED:
            yield interrupted(
                f"Promised replacement '{text}' for pattern '{pattern}' is not properly convergent "
                f"while editing '{edited.path}' (pattern still matches the end-state replacement "
                f"string '{text}', consider use of a negative look ahead)"
            )
            context_lines(promise, run, "info")
    if not touched:
        yield kept(f"No match for pattern '{pattern}' in '{edited.path}'")


def _change(edited: Buffer, pattern: str, at: int, text: str) -> Change:
    """The line AT becomes TEXT, where PATTERN was replaced."""
    return Change(
        f"replace pattern '{pattern}' in '{edited.path}'",
        f"Replaced pattern '{pattern}' in '{edited.path}'",
        lambda: edited.replace(at, text),
        quiet=True,
    )


def _settled(text: str, put_in: str, promise: "Promise") -> bool:
    """Whether a next run would leave TEXT alone, or put in as much again where policy lets it."""
    again = replaced_again(text, promise.promiser, put_in)
    if again is None:
        return True
    return promise.truth("allow_non_convergent") and len(again) == len(text)


def _anchored(pattern: str) -> bool:
    """Whether PATTERN can only match whole lines."""
    return pattern.startswith("^") and pattern.endswith("$")


def _replacement(value: str, run: "Run") -> "Callable[[Match], str]":
    """What takes the place of a match: VALUE with `$(match.N)` being the groups."""
    if "$" not in value:
        return lambda _: value

    def expanded(match: "Match") -> str:
        groups = Scope()
        for number in range(match.groups + 1):
            text = match.group(number)
            if text is not None:
                groups.plain[str(number)] = Variable(text, "string")
        run.ctx.scopes["match"] = groups
        return run.ctx.expand(value)

    return expanded
