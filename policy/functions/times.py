"""Functions about time: dates to seconds and back, in local time as the C library has it."""

import time

from policy import values
from policy.errors import Failed
from policy.functions.arguments import integer, refusal, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.context import Context

_LONGEST = 4095
_LONGEST_FORM = 20 * _LONGEST  # no sensible one of that length gives so little


def _numbers(ctx: "Context", texts: tuple[str, ...]) -> list[int]:
    """TEXTS as integers."""
    return [short(ctx, text) for text in texts]


def _local(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """The time of a local date, its fields however large. Raises OverflowError."""
    return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))


def now(ctx: "Context") -> str:
    """When the run started, in seconds since 1970: the same all through the run.

    Never fails.
    Example:
        now() -> e.g. 1767225600
    """
    return str(int(ctx.now))


def on(ctx: "Context", *fields: str) -> str:
    """The time of a local date, in seconds since 1970; month and day count from 0.

    Never fails: -1 if there is no such time.
    Example:
        on(2026, 0, 0, 0, 0, 0) -> e.g. 1767225600
    """
    year, month, day, hour, minute, second = _numbers(ctx, fields)
    try:
        return str(_local(year, month + 1, day + 1, hour, minute, second))
    except (OverflowError, ValueError):
        ctx.log("info", "Illegal time value")
        return "-1"


def ago(ctx: "Context", *fields: str) -> str:
    """The time so long ago, in seconds since 1970; 0 at the least.

    Calendar arithmetic in local time: a month ago is the same day of the month before.
    Never fails.
    Example:
        ago(0, 0, 1, 0, 0, 0) -> e.g. 1767225600
    """
    year, month, day, hour, minute, second = _numbers(ctx, fields)
    today = time.localtime()
    try:
        then = _local(
            today.tm_year - year, today.tm_mon - month, today.tm_mday - day,
            today.tm_hour - hour, today.tm_min - minute, today.tm_sec - second,
        )  # fmt: skip
    except (OverflowError, ValueError):
        then = 0
    return str(max(then, 0))


def accumulated(ctx: "Context", *fields: str) -> str:
    """How many seconds these are, a month counted as 30 days and a year as 365.

    For ranges of CPU time, as `ttime_range` wants them.
    Never fails.
    Example:
        accumulated(0, 0, 1, 2, 0, 30) -> 93630
    """
    units = (365 * 86400, 30 * 86400, 86400, 3600, 60, 1)
    return str(sum(n * unit for n, unit in zip(_numbers(ctx, fields), units, strict=True)))


def laterthan(ctx: "Context", *fields: str) -> bool:
    """Whether it is later than this local date; month and day count from 1 (in `on`, from 0).

    Fails if there is no such time.
    Example:
        laterthan(2020, 1, 1, 0, 0, 0) -> true
        laterthan(2999, 1, 1, 0, 0, 0) -> false
    """
    year, month, day, hour, minute, second = _numbers(ctx, fields)
    try:
        return time.time() > _local(year, month, day, hour, minute, second)
    except (OverflowError, ValueError):
        return True


def strftime(ctx: "Context", zone: str, form: str, when: str) -> str:
    """The time WHEN, in seconds since 1970, in the FORM of strftime(3), for the ZONE.

    Fails if the result is empty or longer than 4095 bytes, or WHEN is out of range.
    Example:
        strftime("gmtime", "%Y-%m-%d %H:%M", 1000000000) -> "2001-09-09 01:46"
    """
    seconds = integer(ctx, when)
    try:
        fields = time.gmtime(seconds) if zone == "gmtime" else time.localtime(seconds)
    except (OverflowError, OSError, ValueError):
        raise refusal(ctx, f"The given time stamp '{when}' was invalid", "warning") from None
    shown = time.strftime(form, fields) if len(form) <= _LONGEST_FORM else ""
    if not shown or len(values.octets(shown)) > _LONGEST:
        raise Failed("strftime")
    return shown
