"""When: the classes that an instant belongs to, in local time and in GMT."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHIFTS = ("Night", "Morning", "Afternoon", "Evening")


def local(now: float, timezone: str | None = None) -> time.struct_time:
    """The instant NOW on the clocks of TIMEZONE (`Europe/Oslo`), or of this system.

    Raises ValueError if there is no such zone.
    """
    if timezone is None:
        return time.localtime(now)
    from datetime import datetime

    from dateutil import tz  # type: ignore[import-untyped]  # it comes without types

    zone = tz.gettz(timezone)
    if zone is None:
        raise ValueError(f"there is no time zone '{timezone}'")
    return datetime.fromtimestamp(now, zone).timetuple()


def spoken(moment: time.struct_time) -> str:
    """MOMENT as C's ctime has it, whatever the locale: `Sat Nov 21 07:58:59 2026`."""
    return (
        f"{DAYS[moment.tm_wday][:3]} {MONTHS[moment.tm_mon - 1][:3]} {moment.tm_mday:2} "
        f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} {moment.tm_year}"
    )


def time_classes(now: float, timezone: str | None = None) -> dict[str, str]:
    """The classes of the instant NOW by kind: {"yr": "Yr2026", "gmt_yr": "GMT_Yr2026", ...}."""
    classes = dict(_classes(local(now, timezone)))
    for kind, name in _classes(time.gmtime(now)):
        classes[f"gmt_{kind}"] = f"GMT_{name}"
    return classes


def _classes(moment: time.struct_time) -> "Iterator[tuple[str, str]]":
    """What kinds of class there are, and the one of each that MOMENT belongs to."""
    hour, minute = moment.tm_hour, moment.tm_min
    quarter, span = minute // 15 + 1, minute // 5 * 5
    yield "yr", f"Yr{moment.tm_year:04}"
    yield "month", MONTHS[moment.tm_mon - 1]
    yield "dom", f"Day{moment.tm_mday}"
    yield "dow", DAYS[moment.tm_wday]
    yield "hr", f"Hr{hour:02}"
    yield "hr_2", f"Hr{hour}"
    yield "min", f"Min{minute:02}"
    yield "min_span_5", f"Min{span:02}_{(span + 5) % 60:02}"
    yield "qoh", f"Q{quarter}"
    yield "hr_qoh", f"Hr{hour:02}_Q{quarter}"
    yield "pod", SHIFTS[hour // 6]
    yield "lcycle", f"Lcycle_{moment.tm_year % 3}"
