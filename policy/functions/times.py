"""Functions about time: dates to seconds and back, in local time as the C library has it."""

import time

from policy import values
from policy.errors import Failed
from policy.functions.arguments import integer, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.context import Context

_LONGEST = 4095


def _numbers(ctx: "Context", texts: tuple[str, ...]) -> list[int]:
    """TEXTS as integers."""
    return [integer(ctx, text) for text in texts]


def _local(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """The time of a local date, its fields however large. Raises OverflowError."""
    return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))


def now(ctx: "Context") -> str:
    """When the run started."""
    return str(int(ctx.now))


def on(ctx: "Context", *fields: str) -> str:
    """The time of a local date whose month and day are counted from 0; -1 if there is none."""
    year, month, day, hour, minute, second = _numbers(ctx, fields)
    try:
        return str(_local(year, month + 1, day + 1, hour, minute, second))
    except (OverflowError, ValueError):
        ctx.log("info", "Illegal time value")
        return "-1"


def ago(ctx: "Context", *fields: str) -> str:
    """The time so many years, months, days, hours, minutes and seconds ago; 0 at the least."""
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
    """How many seconds the fields are, a month counted as 30 days and a year as 365."""
    units = (365 * 86400, 30 * 86400, 86400, 3600, 60, 1)
    return str(sum(n * unit for n, unit in zip(_numbers(ctx, fields), units, strict=True)))


def laterthan(ctx: "Context", *fields: str) -> bool:
    """Whether it is later than a local date."""
    year, month, day, hour, minute, second = _numbers(ctx, fields)
    try:
        return time.time() > _local(year, month, day, hour, minute, second)
    except (OverflowError, ValueError):
        return True


def strftime(ctx: "Context", zone: str, form: str, when: str) -> str:
    """The time WHEN in FORM, for Greenwich or here as ZONE says."""
    (seconds,) = _numbers(ctx, (when,))
    try:
        fields = time.gmtime(seconds) if zone == "gmtime" else time.localtime(seconds)
    except (OverflowError, OSError, ValueError):
        raise refusal(ctx, f"The given time stamp '{when}' was invalid", "warning") from None
    shown = time.strftime(form, fields)
    if not shown or len(values.octets(shown)) > _LONGEST:
        raise Failed("strftime")
    return shown
