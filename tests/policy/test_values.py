"""Numbers, JSON and containers."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import values
from policy.context import Variable
from policy.errors import Failed
from tests.policy.calls import agrees, answer, context, recorded

PLAIN = st.text(
    st.characters(codec="ascii", min_codepoint=32, exclude_characters="\\\x7f"), max_size=6
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | PLAIN
CONTAINERS = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(PLAIN, inner), max_leaves=8
)


@pytest.mark.parametrize(("kind", "call", "expected", "ordered"), recorded("probes-json"))
def test_recorded_answer(kind: str, call: str, expected: str, ordered: bool) -> None:
    found = answer(context(), kind, call)

    assert agrees(found, expected, ordered=ordered), found


# JSON


@given(CONTAINERS)
def test_what_is_written_is_read_back(value: object) -> None:
    for pretty in (False, True):
        assert values.parse_json(values.dump_json([value], pretty)) == [value]


@given(CONTAINERS)
def test_json_without_escapes_means_what_it_always_means(value: object) -> None:
    text = json.dumps([value], ensure_ascii=False)

    if "\\" not in text:
        assert values.parse_json(text, whole=True) == [value]


@given(st.text('{}[]",:-\\ .e1a\nu0', max_size=12))
def test_every_text_is_json_or_a_reason(text: str) -> None:
    try:
        values.parse_json(text)
        rest = ""
    except values.BadJSON as bad:
        rest = bad.rest

    assert text.endswith(rest)


def test_json_is_written_by_octets_and_sorted() -> None:
    value = {"é": "\n\x01", "b": [1.5, None, True], "a": {}}

    assert values.dump_json(value) == (r'{"a":{},"b":[1.5000,null,true],"\u00c3\u00a9":"\n\u0001"}')


def test_pretty_json_is_indented_by_two() -> None:
    assert values.dump_json({"a": {"x": [1]}, "b": [], "c": {}}, pretty=True).split("\n") == [
        "{",
        '  "a": {',
        '    "x": [',
        "      1",
        "    ]",
        "  },",
        '  "b": [],',
        '  "c": {',
        "  }",
        "}",
    ]


def test_a_key_that_comes_again_moves_to_the_end() -> None:
    assert list(values.parse_json('{"a":1,"b":2,"a":3}').items()) == [("b", 2), ("a", 3)]


def test_what_follows_json_counts_only_if_the_whole_is_wanted() -> None:
    assert values.parse_json("[1] x") == [1]
    with pytest.raises(ValueError, match="text after its end"):
        values.parse_json("[1] x", whole=True)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"C:\\new", "C:\new"),
        (r"\\u0041", "A"),
        (r"\u00c3\u00a9", "é"),
        (r"\u20ac", "u20ac"),
        (r"\u00", "u00"),
        (r"\q\/", r"\q/"),
    ],
)
def test_strings_are_unescaped_twice(written: str, meant: str) -> None:
    assert values.parse_json(f'["{written}"]') == [meant]


def test_reals_keep_their_digits_until_they_are_stored() -> None:
    value = values.parse_json("[1.50, 5000000000]")

    assert [values.raw(item) for item in value] == ["1.50", "5000000000"]
    assert [values.raw(item) for item in values.normalised(value)] == ["1.5000", "705032704"]
    assert [values.formatted(item) for item in value] == ["1.50", "5000000000"]


# numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10", 10), (" -10", -10), ("10k", 10000), ("1K", 1024), ("2m", 2 * 10**6), ("5%", -5),
        ("inf", 999999999), ("now", 1000), ("10 ", 10), ("10x", 10), ("10k ", 10000),
        ("+7", 7), ("9999999999999999999", 2**63 - 1),
    ],
)  # fmt: skip
def test_integers(text: str, number: int) -> None:
    assert values.integer(text, now=1000.7) == number


@pytest.mark.parametrize("text", ["", "x", "10kk", "10 x", "101%", "-678", "0x1F", ".5"])
def test_these_are_no_integers(text: str) -> None:
    with pytest.raises(ValueError, match=r"integer|Percentage"):
        values.integer(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.5", 1.5),
        ("1e3", 1000),
        ("0x10", 16),
        (".5k", 500),
        ("5.", 5),
        ("-1.5K", -1536),
        ("1e", 1),
    ],
)
def test_reals(text: str, number: float) -> None:
    assert values.real(text) == number


@given(st.floats(allow_nan=False))
def test_every_float_is_read_back(number: float) -> None:
    assert values.leading_real(f"{number!r} rest") == (number, " rest")


# text and containers


def test_class_names_are_made_by_octets() -> None:
    assert values.canonify("a-b c.d/é_9") == "a_b_c_d____9"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("sl", ["b", "a", "c", "a", "10", "9"]),
        ("@(sl)", ["b", "a", "c", "a", "10", "9"]),
        ("@{main.sl}", ["b", "a", "c", "a", "10", "9"]),
        ("d[nest]", {"q": "w", "l": [1, 2]}),
        ("arr", {"k1": "v1", "k2": "v2"}),
        ("arr2[a]", {"b": "ab", "c": "ac"}),
        ("main.arr2", {"x": ["l1", "l2"], "a": {"b": "ab", "c": "ac"}}),
        ("[ sl, scal, arr[k1] ]", [["b", "a", "c", "a", "10", "9"], "scalarvalue", "v1"]),
    ],
)
def test_an_argument_names_a_container(reference: str, expected: object) -> None:
    assert values.container(context(), reference) == expected


@pytest.mark.parametrize("reference", ["scal", "nosuch", "5", "true", '"x"', "[1", "arr[k1]", ""])
def test_an_argument_that_names_none_fails(reference: str) -> None:
    with pytest.raises(Failed):
        values.container(context(), reference)


def test_a_scalar_will_do_where_it_is_said_to() -> None:
    assert values.container(context(), "scal", scalars=True) == "scalarvalue"


def test_a_name_is_that_of_the_list_while_a_promise_goes_through_it() -> None:
    ctx = context()
    ctx.wheels["one"] = "x"

    assert values.container(ctx, "one") == ["x"]


def test_an_element_below_a_scalar_takes_its_place() -> None:
    ctx = context()
    ctx.define("deep[a]", "plain", "string")
    ctx.define("deep[a][b]", "below", "string")

    assert values.container(ctx, "deep") == {"a": {"b": "below"}}


def test_facts_may_be_arrays() -> None:
    ctx = context()
    ctx.facts = {"mac[eth0]": Variable("00:11", "string"), "mac": Variable("x", "string")}

    assert values.container(ctx, "sys.mac") == {"eth0": "00:11"}


@pytest.mark.parametrize(
    ("array", "keys"),
    [
        ("test.user", "name fullname][first fullname][last dirs -> fullname dirs name"),
        ("b.c", "k f][f1 s][s1 -> s f k"),
        ("init.data[bar]", "one two -> two one"),
    ],
)
def test_the_elements_of_an_array_come_in_the_order_of_their_hashes(array: str, keys: str) -> None:
    ctx = context()
    written, _, expected = keys.partition(" -> ")
    for key in written.split():
        ctx.define(f"{array}[{key}]", "value", "string")

    assert list(values.container(ctx, array)) == expected.split()


@pytest.mark.parametrize("text", ["[" * 5000, '{"a":' * 5000, "[" * 501 + "]" * 501])
def test_json_that_is_too_deep_is_refused(text: str) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(4000)
    try:
        with pytest.raises(ValueError, match="levels deep"):
            values.parse_json(text)
    finally:
        sys.setrecursionlimit(before)
