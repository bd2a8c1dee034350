"""Laws of the functions about time that no recorded call states."""

import time
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.context import Context
from policy.errors import Failed, Unresolved
from policy.functions import times


def context(now: float = 1700000000.9) -> Context:
    """A run that began NOW."""

    def nothing(name: str) -> NoReturn:
        raise Unresolved(name)

    return Context(
        hard={},
        facts={},
        now=now,
        log=lambda _level, _message: None,
        function=nothing,
    )


def test_now_is_when_the_run_began() -> None:
    assert times.now(context()) == "1700000000"


@given(st.integers(0, 2**31))
def test_on_takes_back_what_strftime_shows(seconds: int) -> None:
    shown = times.strftime(context(), "localtime", "%Y %m %d %H %M %S", str(seconds))
    year, month, day, *clock = shown.split()

    found = times.on(context(), year, str(int(month) - 1), str(int(day) - 1), *clock)

    assert found == str(seconds)


def test_ago_counts_from_the_clock_and_not_from_the_start() -> None:
    found = int(times.ago(context(), "0", "0", "0", "0", "0", "10"))

    assert abs(time.time() - 10 - found) < 5


@given(st.lists(st.integers(0, 1000), min_size=6, max_size=6))
def test_fields_accumulate_one_by_one(fields: list[int]) -> None:
    units = [365 * 86400, 30 * 86400, 86400, 3600, 60, 1]

    found = times.accumulated(context(), *map(str, fields))

    assert int(found) == sum(n * unit for n, unit in zip(fields, units, strict=True))


def test_a_time_that_no_calendar_has_fails() -> None:
    with pytest.raises(Failed):
        times.strftime(context(), "gmtime", "%Y", "9" * 18)


def test_a_text_that_is_too_long_fails() -> None:
    with pytest.raises(Failed):
        times.strftime(context(), "gmtime", "x" * 4096, "0")
