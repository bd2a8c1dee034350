"""Text taken apart: what the reference answered, where it was asked."""

from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import reading
from policy.context import Context
from policy.errors import Fatal, Unresolved


def context(said: list[str] | None = None) -> Context:
    """A context that has nothing but a log."""

    def nothing(name: str) -> NoReturn:
        raise Unresolved(name)

    def log(level: str, message: str) -> None:
        if said is not None:
            said.append(f"{level}: {message}")

    return Context(
        hard={},
        facts={},
        now=0,
        log=log,
        function=nothing,
    )


SPLITS = [
    ("", ",", 10, True, []),
    ("a,b,c", ",", 2, True, ["a", "b"]),
    ("a,b,c", ",", 0, True, []),
    (",a,", ",", 10, True, ["", "a", ""]),
    (",a,,b,", ",", 10, False, ["a", "b"]),
    (",a,,b,", ",", 1, False, ["a"]),
    ("a1b22c", "[0-9]+", 10, True, ["a", "b", "c"]),
    ("abc", "x*", 10, True, ["abc"]),
    ("abc", "(", 10, True, ["abc"]),
    ("aaXa", "^a", 10, True, ["", "", "Xa"]),
    ("aab", "(?<!a)a", 10, True, ["", "", "b"]),
    ("é:è", ":", 10, True, ["é", "è"]),
]


@pytest.mark.parametrize(("text", "separator", "most", "blanks", "pieces"), SPLITS)
def test_split(text: str, separator: str, most: int, blanks: bool, pieces: list[str]) -> None:
    assert reading.split(context(), text, separator, most, blanks=blanks) == pieces


@given(st.lists(st.text("ab \n", min_size=1), min_size=2))
def test_split_takes_joined_pieces_apart(pieces: list[str]) -> None:
    assert reading.split(context(), ",".join(pieces), ",", 99999, blanks=True) == pieces


def test_a_backslash_keeps_a_separator() -> None:
    assert reading.chunks("a\\,b,c,,", ",") == ["a,b", "c", ""]


def test_comments_are_taken_out_until_none_is_left() -> None:
    assert reading.stripped(context(), "a#x\nb#y", "#[^\n]*", "f") == "a\nb"
    assert reading.stripped(context(), "aabb", "ab", "f") == ""


def test_a_comment_that_is_empty_is_warned_of() -> None:
    said: list[str] = []

    assert reading.stripped(context(said), "ab", "x*", "f") == "ab"
    assert said == ["warning: Comment regex 'x*' matched empty string in 'f'"]


def test_a_comment_that_is_no_pattern_takes_nothing_out() -> None:
    assert reading.stripped(context(), "a#b", "(", "f") == "a#b"


def test_a_field_that_is_no_number_ends_the_run() -> None:
    layout = reading.Layout("", ":", 9, "int")

    with pytest.raises(Fatal, match="Could not convert token to int"):
        reading.define_array(context(), "a", "1:x", layout, where="f")
