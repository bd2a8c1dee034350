"""Text under edit, without promises: what counts as the same, where things go, what comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.edits import (
    Buffer,
    Point,
    Selection,
    edit_values,
    lines_of,
    locator,
    region,
    replaced_again,
    same,
    substituted,
    with_field,
)

LEADING, TRAILING, EMBEDDED = "ignore_leading", "ignore_trailing", "ignore_embedded"

line = st.text(st.sampled_from("ab .[\t"), max_size=4)
lines = st.lists(line, max_size=8)
policies = st.lists(st.sampled_from([LEADING, TRAILING, EMBEDDED]), unique=True)


# a text and its lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", []), ("\n", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\r\n\nb", ["a\r", "", "b"])],
)
def test_a_missing_newline_at_the_end_is_not_remembered(text: str, expected: list[str]) -> None:
    assert lines_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a \\\nb\nc\n", ["a b", "c"]), ("a\\\n\\\nb\n", ["ab"]), ("a\\\n", ["a"]), ("\n", [""])],
)
def test_a_backslash_joins_a_line_and_the_next(text: str, expected: list[str]) -> None:
    assert lines_of(text, join=True) == expected


@given(lines)
def test_what_is_written_is_what_is_read(given: list[str]) -> None:
    assert lines_of(Buffer(given).text()) == given


# the buffer


@given(lines, st.lists(st.tuples(st.integers(0, 9), line), max_size=6))
def test_membership_follows_every_edit(given: list[str], edits: list[tuple[int, str]]) -> None:
    buffer = Buffer(given)
    for number, text in edits:
        assert (text in buffer) == (text in buffer.lines)
        if number % 3 == 0 or not buffer.lines:
            buffer.insert(min(number, len(buffer.lines)), text)
        elif number % 3 == 1:
            buffer.delete(number % len(buffer.lines))
        else:
            buffer.replace(number % len(buffer.lines), text)

    assert all((text in buffer) == (text in buffer.lines) for text in ["", "a", "b", *given])


@given(lines, st.lists(line, min_size=1, max_size=3), st.integers(0, 4), st.integers(0, 9))
def test_a_block_is_found_where_it_stands(
    given: list[str], block: list[str], first: int, last: int
) -> None:
    buffer = Buffer(given)
    last = min(last, len(given))
    starts = range(first, last - len(block) + 1)

    assert buffer.holds(block, first, last) == any(
        given[at : at + len(block)] == block for at in starts
    )


# regions


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("S", "E", (1, 3)),
        ("S", None, (1, None)),
        ("S", "nothing", (1, None)),
        ("nothing", "E", None),
        ("[S]", ".", (1, 2)),
        ("S", "S", (1, 4)),
        ("z", None, None),
    ],
)
def test_a_region_is_from_the_first_start_to_the_end_after_it(
    start: str, end: str | None, expected: tuple[int, int | None] | None
) -> None:
    found = region(["E", "S", "x", "E", "S", "z"], start, end, with_start=False, to_end=False)

    assert found == expected


def test_a_start_on_the_last_line_needs_to_belong_or_an_open_end() -> None:
    closed = [
        region(["a", "S"], "S", "E", with_start=with_start, to_end=to_end)
        for with_start, to_end in ((False, False), (True, False), (False, True))
    ]

    assert closed == [None, (1, None), (1, None)]


def test_a_locator_is_the_first_or_the_last_match_in_its_region() -> None:
    text = ["m1", "x", "m2", "m3", "m4"]

    assert locator(text, "m.", 1, 4, earliest=True) == 2
    assert locator(text, "m.", 1, 4, earliest=False) == 3
    assert locator(text, "m", 0, 5, earliest=True) is None


# when two lines are the same


@pytest.mark.parametrize(
    ("wanted", "line", "whitespace"),
    [
        ("a b", "\t a b", (LEADING,)),
        ("  a b", "a b", (LEADING,)),
        ("a b", "a b \t", (TRAILING,)),
        ("a  b", "a b", (EMBEDDED,)),
        ("a b", "a\tb", (EMBEDDED,)),
        ("a b   ", "a b ", (EMBEDDED,)),
        ("a b", " a  b ", (LEADING, TRAILING, EMBEDDED)),
        ("a b", " a  b ", (EMBEDDED, TRAILING, LEADING)),
        ("a.b", "a.b ", (TRAILING,)),
    ],
)
def test_blanks_that_policy_lets_pass(wanted: str, line: str, whitespace: tuple[str, ...]) -> None:
    assert same(wanted, line, whitespace)


@pytest.mark.parametrize(
    ("wanted", "line", "whitespace"),
    [
        ("a b", " a b", ()),
        ("a b", "a b ", (LEADING,)),
        ("a b ", "a b", (TRAILING,)),
        ("a b", "ab", (EMBEDDED,)),
        ("a b", " a b", (EMBEDDED,)),
        ("a b", "a b ", (EMBEDDED,)),
        ("a.b", "axb", (LEADING, TRAILING, EMBEDDED)),
        ("a b", "a\N{NO-BREAK SPACE}b", (EMBEDDED,)),
    ],
)
def test_blanks_that_count(wanted: str, line: str, whitespace: tuple[str, ...]) -> None:
    assert not same(wanted, line, whitespace)


@given(line, line, policies)
def test_each_relaxation_only_adds(wanted: str, other: str, whitespace: list[str]) -> None:
    if any(same(wanted, other, whitespace[:count]) for count in range(len(whitespace))):
        assert same(wanted, other, whitespace)


# where lines go in


@given(lines, st.lists(line, min_size=1, max_size=3), st.booleans(), st.data())
def test_lines_stand_together_where_they_were_put_in(
    given: list[str], block: list[str], before: bool, data: st.DataObject
) -> None:
    located = data.draw(st.integers(0, len(given) - 1)) if given else None
    point = Point(Buffer(given), (0, None))
    point.beside(located, before=before)
    at = point.at
    for text in block:
        point.insert(text)
        point.advance()

    assert point.buffer.lines == [*given[:at], *block, *given[at:]]
    again = Point(point.buffer, (0, None))
    again.beside(None if located is None else located + before * len(block), before=before)
    assert again.stands(block) or located is None


def test_the_region_moves_with_what_is_put_in_before_it() -> None:
    point = Point(Buffer(["a", "S", "m", "E"]), (1, 3))
    point.beside(None, before=True)
    point.insert("x")

    assert (point.first, point.last) == (2, 4)
    assert not point.present("x")
    assert not point.present("a")
    assert point.present("m")


def test_the_region_grows_with_what_is_put_in_at_its_end() -> None:
    point = Point(Buffer(["S", "m", "E"]), (0, 2))
    point.beside(None, before=False)
    point.insert("x")

    assert point.present("x")
    assert point.buffer.lines == ["S", "m", "x", "E"]


# which lines


@pytest.mark.parametrize(
    ("kind", "items", "expected"),
    [
        ("startwith", ("a", "c"), ["a", "ab", "ca"]),
        ("not_startwith", ("a", "c"), ["", "b"]),
        ("match", ("a.*", "b"), ["a", "ab", "b"]),
        ("not_match", ("a.*",), ["", "b", "ca"]),
        ("contains", ("b+",), ["ab", "b"]),
        ("not_contains", ("b+",), ["", "a", "ca"]),
        ("match", (), []),
    ],
)
def test_a_list_selects(kind: str, items: tuple[str, ...], expected: list[str]) -> None:
    selection = Selection({f"insert_if_{kind}_from_list": items}, "insert")

    assert [text for text in ["", "a", "ab", "b", "ca"] if selection(text)] == expected


def test_lists_of_both_kinds_contradict() -> None:
    mixed = {"delete_if_match_from_list": ("a",), "delete_if_not_contains_from_list": ("b",)}
    negative = {"delete_if_not_match_from_list": (), "delete_if_not_contains_from_list": ()}

    assert "cannot mix" in Selection(mixed, "delete").conflict
    assert "mutually exclusive" in Selection(negative, "delete").conflict
    assert not Selection({"delete_if_match_from_list": ("a",)}, "delete").conflict


# what becomes of a line


def test_replacing_goes_on_until_nothing_matches() -> None:
    assert substituted("aXbXXc", "X", lambda _: "-", once=False) == ("a-b--c", "-")
    assert substituted("aXbX", "X", lambda _: "-", once=True) == ("a-bX", "-")
    assert substituted("abc", "X", lambda _: "-", once=False) is None


def test_replacing_for_ever_ends() -> None:
    found = substituted("b", "b", lambda _: "xb", once=False)

    assert found == ("x" * 20 + "b", "xb")
    assert replaced_again(found[0], "b", "xb") != found[0]


def test_a_match_of_the_whole_line_is_replaced_once() -> None:
    assert substituted("abc", "^.+$", lambda _: "xyz", once=False) == ("xyz", "xyz")
    assert substituted("", "x*", lambda _: "y", once=False) is None


@given(
    st.lists(st.sampled_from(["a", "b", "", "c"]), max_size=4),
    st.sampled_from(["append", "prepend", "alphanum", "set", "delete"]),
    st.sampled_from(["a", "x"]),
)
def test_a_value_is_edited_once(values: list[str], operation: str, value: str) -> None:
    column = ",".join(values)
    edited = edit_values(column, ",", operation, value)
    result = column if edited is None else edited

    assert (value in result.split(",")) != (operation == "delete")
    assert edit_values(result, ",", operation, value) is None


@given(st.lists(line, min_size=1, max_size=4), st.data())
def test_one_field_changes_and_the_others_stay(fields: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(fields) - 1))
    changed = with_field(fields, at, "new", ":").split(":")

    assert changed == [*fields[:at], "new", *fields[at + 1 :]]
