"""Time classes: each instant has exactly one of each kind."""

import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.schedule import local, spoken, time_classes

MONTHS = "January February March April May June July August September October November December"
PATTERNS = {
    "yr": r"Yr\d{4}",
    "month": MONTHS.replace(" ", "|"),
    "dom": r"Day([1-9]|[12]\d|3[01])",
    "dow": "(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day",
    "hr": r"Hr([01]\d|2[0-3])",
    "hr_2": r"Hr(1?\d|2[0-3])",
    "min": r"Min[0-5]\d",
    "min_span_5": r"Min[0-5][05]_[0-5][05]",
    "qoh": "Q[1-4]",
    "hr_qoh": r"Hr([01]\d|2[0-3])_Q[1-4]",
    "pod": "Night|Morning|Afternoon|Evening",
    "lcycle": "Lcycle_[0-2]",
}
INSTANTS = st.integers(0, 253402300799)  # 1970 to 9999


@given(INSTANTS)
def test_an_instant_has_one_class_of_each_kind(now: int) -> None:
    classes = time_classes(now)

    assert set(classes) == set(PATTERNS) | {f"gmt_{kind}" for kind in PATTERNS}
    for kind, pattern in PATTERNS.items():
        assert re.fullmatch(pattern, classes[kind])
        assert re.fullmatch(f"GMT_({pattern})", classes[f"gmt_{kind}"])


@given(INSTANTS)
def test_gmt_classes_say_what_gmtime_says(now: int) -> None:
    classes = time_classes(now)

    moment = time.gmtime(now)
    assert classes["gmt_hr"] == time.strftime("GMT_Hr%H", moment)
    assert classes["gmt_min"] == time.strftime("GMT_Min%M", moment)
    assert classes["gmt_dow"] == f"GMT_{time.strftime('%A', moment)}"
    assert classes["gmt_month"] == f"GMT_{time.strftime('%B', moment)}"


@given(INSTANTS)
def test_kinds_agree_with_each_other(now: int) -> None:
    classes = time_classes(now, "UTC")

    assert int(classes["hr"][2:]) == int(classes["hr_2"][2:])
    assert classes["hr_qoh"] == f"{classes['hr']}_{classes['qoh']}"
    first, last = map(int, classes["min_span_5"][3:].split("_"))
    minute = int(classes["min"][3:])
    assert first <= minute < (last or 60)
    assert (minute // 15 + 1) == int(classes["qoh"][1:])
    assert {kind: f"GMT_{name}" for kind, name in classes.items() if "gmt" not in kind} == {
        kind[4:]: name for kind, name in classes.items() if "gmt" in kind
    }


def test_a_day_has_each_hour_alike() -> None:
    hours = Counter(time_classes(minute * 60, "UTC")["hr"] for minute in range(24 * 60))

    assert set(hours.values()) == {60}
    assert len(hours) == 24


@pytest.mark.parametrize(
    ("zone", "hour", "day"),
    [
        ("UTC", "Hr22", "Day31"),
        ("Asia/Tokyo", "Hr07", "Day1"),
        ("America/New_York", "Hr17", "Day31"),
    ],
)
def test_local_classes_follow_the_zone(zone: str, hour: str, day: str) -> None:
    classes = time_classes(1767221999, zone)  # 2025-12-31 22:59:59 UTC

    assert (classes["hr"], classes["dom"]) == (hour, day)
    assert classes["gmt_hr"] == "GMT_Hr22"


def test_an_hour_is_skipped_and_repeated_where_clocks_change() -> None:
    before, after = 1774745999, 1774746000  # the last second of winter in Oslo, and the next

    assert time_classes(before, "Europe/Oslo")["hr"] == "Hr01"
    assert time_classes(after, "Europe/Oslo")["hr"] == "Hr03"


def test_without_a_zone_it_is_the_one_of_the_system() -> None:
    assert local(1e9) == time.localtime(1e9)


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone 'Mars/Olympus'"):
        local(0, "Mars/Olympus")


@given(INSTANTS)
def test_the_date_is_as_ctime_has_it(now: int) -> None:
    moment = time.gmtime(now)

    assert spoken(moment) == time.asctime(moment)
