"""Mode strings: what they make of a mode, and which of them are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.actuators.files import modes

bits = st.integers(0, modes.ALL)


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (0o000, "644", 0o644),
        (0o7777, "644", 0o644),
        (0o644, "u=rwx,go=rx", 0o755),
        (0o777, "go-w", 0o755),
        (0o644, "u+x", 0o744),
        (0o644, "a+x", 0o755),
        (0o755, "u+s", 0o4755),
        (0o755, "g+s,u+t", 0o3755),
        (0o777, "u=rw,o-r", 0o673),
        (0o644, "o=t,u=r", 0o1440),
        (0o7777, "000", 0o000),
        (0o644, "13400", 0o3400),
    ],
)
def test_what_a_mode_becomes(before: int, text: str, after: int) -> None:
    assert modes.applied(before, text) == after


@given(bits, st.integers(1, modes.ALL))
def test_digits_set_every_bit(before: int, wanted: int) -> None:
    assert modes.applied(before, f"{wanted:05o}") == wanted


@given(bits, st.sampled_from(["644", "u=rwx,go=rx", "go-w", "u+s", "a=rwxst", "u+x,g-w,o=r"]))
def test_a_mode_that_was_applied_stays(before: int, text: str) -> None:
    once = modes.applied(before, text)

    assert modes.applied(once, text) == once


@pytest.mark.parametrize("text", ["", "rw", "+x", "0", "g=u", "u=rw+x", "u=rwX", "9", "64a"])
def test_what_is_no_mode_string(text: str) -> None:
    with pytest.raises(modes.Malformed):
        modes.masks(text)


@given(bits)
def test_a_directory_that_may_be_read_may_be_searched(mode: int) -> None:
    found = modes.searchable(mode)

    assert found & 0o111 == (mode | mode >> 2) & 0o111
    assert found & ~0o111 == mode & ~0o111


def test_a_new_object_has_the_bits_that_are_added() -> None:
    assert modes.initial("u=rw,g=r,o-r", 0o600) == 0o640
    assert modes.initial(None, 0o600) == 0o600
