"""Functions about processes, as `ps` lists them."""

from policy import regexp, values
from policy.functions.arguments import refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from policy.context import Context

_PS = "/bin/ps"
_COLUMNS = (
    "user:30", "pid", "ppid", "pgid", "pcpu", "pmem", "vsz", "ni", "rss:9", "tname", "nlwp",
    "stime", "etime", "time", "args",
)  # fmt: skip


def _matching(ctx: "Context", function: str, pattern: str) -> "Iterator[tuple[str, int]]":
    """The lines and numbers of the processes in whose command PATTERN is found."""
    try:
        expression = regexp.compile(pattern)
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
        return
    try:
        listing = ctx.host.execute([_PS, "-eo", ",".join(_COLUMNS)], merge=False)
    except OSError:
        raise refusal(ctx, f"{function}: could not load the process table?!?!") from None
    for line in values.text(listing.out).split("\n")[1:]:
        fields = line.split(None, len(_COLUMNS) - 1)
        if len(fields) == len(_COLUMNS) and expression.search(fields[-1]) is not None:
            yield line, int(fields[1])


def processexists(ctx: "Context", pattern: str) -> bool:
    """Whether there is a process in whose command PATTERN is found.

    Looked at once a run: one that starts meanwhile is not seen.
    Never fails.
    Example:
        processexists("no such process [x]y") -> false
    """
    return next(_matching(ctx, "processexists", pattern), None) is not None


def findprocesses(ctx: "Context", pattern: str) -> "list[Any]":
    """The processes in whose command PATTERN is found: objects with `line` (of ps) and `pid`.

    The last one listed comes first.
    Never fails.
    Example:
        findprocesses("no such process [x]y") -> []
    """
    found = [{"line": line, "pid": pid} for line, pid in _matching(ctx, "findprocesses", pattern)]
    return found[::-1]
