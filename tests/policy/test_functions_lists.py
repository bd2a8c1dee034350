"""Functions on lists and containers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host import Host
from policy.errors import Failed
from policy.functions import lists
from tests.policy.calls import agrees, answer, context, recorded, value

WORDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=4))


@pytest.mark.parametrize(("kind", "call", "expected", "ordered"), recorded("probes-lists"))
def test_recorded_answer(kind: str, call: str, expected: str, ordered: bool) -> None:
    found = answer(context(), kind, call)

    assert agrees(found, expected, ordered=ordered), found


@given(WORDS)
def test_lexical_order_is_that_of_the_octets(words: list[str]) -> None:
    found = lists.sort(context(), tuple(words))

    assert [it.encode() for it in found] == sorted([it.encode() for it in words])


@given(WORDS, st.text(max_size=5))
def test_shuffling_loses_nothing_and_is_repeatable(words: list[str], seed: str) -> None:
    once, again = (lists.shuffle(context(), tuple(words), seed) for _ in "12")

    assert once == again
    assert sorted(once) == sorted(words)


@given(WORDS, WORDS)
def test_difference_and_intersection_share_out_what_is_unique(
    words: list[str], others: list[str]
) -> None:
    ctx, one, other = context(), tuple(words), tuple(others)

    both = {*lists.difference(ctx, one, other), *lists.intersection(ctx, one, other)}
    assert both == set(lists.unique(ctx, one))


def test_a_mapping_binds_this_only_while_it_runs() -> None:
    ctx = context()
    ctx.this["this"] = "outer"

    assert value(ctx, 'maplist("$(this)", "one")') == ("x",)
    assert ctx.this == {"this": "outer"}


def test_a_mapping_that_fails_leaves_this_as_it_was() -> None:
    ctx = context()

    with pytest.raises(Failed):
        value(ctx, 'maplist(nth("sl", "$(this)"), "sl")')
    assert ctx.this == {}


def test_a_command_maps_a_container() -> None:
    ctx = context()
    ctx.host = Host()

    assert value(ctx, 'mapdata("json_pipe", "/bin/cat", "arr")') == [{"k1": "v1", "k2": "v2"}]


@pytest.mark.parametrize(
    ("command", "expected"), [("/usr/bin/head -c 3", []), ("/bin/echo 1 2", [1])]
)
def test_what_a_command_prints_is_taken_as_far_as_it_is_json(
    command: str, expected: list[int]
) -> None:
    ctx = context()
    ctx.host = Host()

    assert value(ctx, f'mapdata("json_pipe", "{command}", "arr")') == expected


def test_what_a_command_says_beside_is_a_warning() -> None:
    log: list[str] = []
    ctx = context(log)
    ctx.host = Host()

    command = "/bin/sh -c 'echo oops >&2; echo [1]'"
    assert value(ctx, f'mapdata("json_pipe", "{command}", "arr")') == [[1]]
    assert log == [f"warning: mapdata: '{command}' says 'oops'"]


@pytest.mark.parametrize("command", ["/bin/false", "/no/such/command"])
def test_a_command_that_prints_nothing_fails(command: str) -> None:
    log: list[str] = []
    ctx = context(log)
    ctx.host = Host()

    with pytest.raises(Failed):
        value(ctx, f'mapdata("json_pipe", "{command}", "arr")')
    assert log[-1].startswith("error: mapdata: ")


@pytest.mark.parametrize(("pattern", "said"), [("(", "error: Regular"), (".*", "")])
def test_only_a_bad_pattern_is_said(pattern: str, said: str) -> None:
    log: list[str] = []
    ctx = context(log)

    if said:
        with pytest.raises(Failed):
            lists.grep(ctx, pattern, "sl")
    else:
        lists.grep(ctx, pattern, "sl")
    assert [line[: len(said)] for line in log] == [said] * bool(said)
