"""Functions about processes, as `ps` lists them."""

from policy import regexp
from policy.functions.arguments import refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.host.processes import Process
    from policy.context import Context


def _matching(ctx: "Context", function: str, pattern: str) -> "list[Process]":
    """The processes in whose command PATTERN is found."""
    try:
        expression = regexp.compile(pattern)
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
        return []
    try:
        table = ctx.host.processes(ctx.frame)
    except OSError:
        raise refusal(ctx, f"{function}: could not load the process table?!?!") from None
    return [process for process in table if expression.search(process.command) is not None]


def processexists(ctx: "Context", pattern: str) -> bool:
    """Whether there is a process in whose command PATTERN is found.

    Looked at once a run: one that starts meanwhile is not seen.
    Never fails.
    Example:
        processexists("no such process [x]y") -> false
    """
    return bool(_matching(ctx, "processexists", pattern))


def findprocesses(ctx: "Context", pattern: str) -> "list[Any]":
    """The processes in whose command PATTERN is found: objects with `line` (of ps) and `pid`.

    The last one listed comes first.
    Never fails.
    Example:
        findprocesses("no such process [x]y") -> []
    """
    from agent.host.processes import line

    found = _matching(ctx, "findprocesses", pattern)
    return [{"line": line(each, ctx.host.owner(each)), "pid": each.pid} for each in reversed(found)]
