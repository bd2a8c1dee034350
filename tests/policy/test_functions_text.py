"""Functions that make text of text, and those that match it."""

import pytest

from policy.errors import Failed
from policy.functions import text
from tests.policy.calls import agrees, answer, context, recorded, value


@pytest.mark.parametrize(
    ("kind", "call", "expected", "ordered"), recorded("probes-text") + recorded("probes-regex")
)
def test_recorded_answer(kind: str, call: str, expected: str, ordered: bool) -> None:
    found = answer(context(), kind, call)

    assert agrees(found, expected, ordered=ordered), found


def test_a_text_is_reversed_by_octets() -> None:
    assert text.string_reverse(context(), "aé") == "\udca9\udcc3a"


def test_two_halves_of_a_character_make_it_whole() -> None:
    ctx = context()

    halves = text.string_head(ctx, "é", "1"), text.string_tail(ctx, "é", "1")

    assert text.string_reverse(ctx, text.string_reverse(ctx, "".join(halves))) == "é"


def test_each_octet_of_a_character_is_escaped() -> None:
    assert text.escape(context(), "é") == "\\\udcc3\\\udca9"


def test_a_text_too_long_for_the_reference_fails() -> None:
    assert text.concat(context(), "é" * 2047) == "é" * 2047
    with pytest.raises(Failed):
        text.concat(context(), "é" * 2048)


def test_what_a_format_lacks_is_said() -> None:
    log: list[str] = []

    with pytest.raises(Failed):
        text.format_(context(log), "%s %s", "one")
    assert log == ["error: format() didn't have enough parameters"]


def test_a_template_is_rendered_with_what_a_variable_holds() -> None:
    assert value(context(), 'string_mustache("{{nest.q}} {{a}}", "d")') == "w 1"


def test_a_bad_template_says_why() -> None:
    log: list[str] = []

    with pytest.raises(Failed):
        value(context(log), 'string_mustache("{{#a}}", "d")')
    assert log


def test_pairs_are_replaced_one_after_the_other() -> None:
    call = """string_replace("a b", '["a","b"]', '["b","c"]', "lists")"""

    assert value(context(), call) == "c c"


def test_groups_become_an_array_of_the_bundle() -> None:
    ctx = context()

    assert value(ctx, 'regextract("(?<first>a)(b)|(c)", "xab", "found")') is True
    keys = ("0", "first", "2", "3")
    assert [ctx.lookup(f"found[{key}]") for key in keys] == ["ab", "a", "b", ""]


def test_a_pattern_without_a_match_defines_nothing() -> None:
    ctx = context()

    assert value(ctx, 'regextract("z", "xab", "found")') is False
    assert ctx.lookup("found[0]") is None


def test_a_bad_pattern_is_said_and_does_not_match() -> None:
    log: list[str] = []

    assert value(context(log), 'regcmp("(", "x")') is False
    assert log == [
        "error: Regular expression error: "
        "'missing closing parenthesis' in expression '(' (offset: 1)"
    ]


def test_replacing_counts_octets() -> None:
    assert value(context(), 'regex_replace("é", ".", "x", "g")') == "xx"


def test_an_unknown_option_is_warned_of() -> None:
    log: list[str] = []

    assert value(context(log), 'regex_replace("abc", "b", "x", "z")') == "axc"
    assert log == ["warning: regex_replace does not know the option 'z'"]
