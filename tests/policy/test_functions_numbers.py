"""Functions about numbers, and the arithmetic of `eval`."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import numbers
from policy.errors import Failed, Fatal
from policy.functions import arithmetic
from tests.policy.calls import agrees, answer, context, recorded, value


@pytest.mark.parametrize(("kind", "call", "expected", "ordered"), recorded("probes-numbers"))
def test_recorded_answer(kind: str, call: str, expected: str, ordered: bool) -> None:
    found = answer(context(), kind, call)

    assert agrees(found, expected, ordered=ordered), found


@given(st.text("0123456789.+-*/%^()<>= \tkabceilnopqrst", max_size=12))
def test_every_text_is_worth_something_or_unreadable(text: str) -> None:
    with suppress(arithmetic.Unreadable):
        assert isinstance(arithmetic.value(text), float)


def test_a_remainder_of_nothing_is_an_error() -> None:
    log: list[str] = []

    assert value(context(log), 'eval("5 % 0.5")') == ""
    assert log == ["info: eval error: division by zero (input '5 % 0.5')"]


@pytest.mark.parametrize("template", ["a", "a[b]", "a[1]", "a[1-]", "a[b[1-3]"])
def test_a_template_without_a_range_ends_the_run(template: str) -> None:
    with pytest.raises(Fatal):
        value(context(), f'expandrange("{template}", 1)')


def test_a_range_needs_a_step() -> None:
    with pytest.raises(Failed):
        value(context(), 'expandrange("a[1-3]", 0)')


def test_a_number_that_is_none_is_said() -> None:
    log: list[str] = []

    with pytest.raises(Failed):
        value(context(log), 'int("5 x")')
    assert log == ["error: Anomalous ending ' x' while parsing real number: 5 x"]


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999999])
def test_a_random_number_is_below_its_upper_end(chance: float) -> None:
    ctx = context()
    ctx.random = lambda: chance

    assert value(ctx, 'randomint("-3", "2")') in {"-3", "-2", "-1", "0", "1"}


def test_ranges_are_written_for_attributes() -> None:
    assert value(context(), 'irange("5", "1k")') == "5,1000"
    assert value(context(), 'rrange("1", "5")') == "1.000000,1.000000"


def test_rand_is_that_of_the_gnu_library() -> None:
    generator = numbers.rand(1)

    assert [next(generator) for _ in "123"] == [1804289383, 846930886, 1681692777]
