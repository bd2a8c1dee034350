"""What right-hand sides are worth: references, lists, calls, and what has no value yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.context import Context, Frame, Scope, Variable
from policy.errors import Failed, Fatal, Unresolved
from policy.evaluate import evaluate, expand
from policy.iterate import combinations
from policy.plan import references
from policy.strings import parse

if TYPE_CHECKING:
    from policy.context import Value
    from policy.strings import Rval

FUNCTIONS: dict[str, tuple[Any, str, int]] = {
    "count": (lambda _ctx, *args: str(len(args)), "V0:", -1),
    "pair": (lambda _ctx, one, two: f"{one}{two}", "", 2),
    "two": (lambda _ctx: ("a", "b"), "", 0),
    "yes": (lambda _ctx: True, "", 0),
}


def context(**variables: Value) -> Context:
    """A context in which the bundle `b` has VARIABLES."""
    ctx = Context(hard={}, facts={}, now=0, log=lambda *_: None, function=FUNCTIONS.__getitem__)
    scope = ctx.scopes["b"] = Scope()
    for name, value in variables.items():
        scope.plain[name] = Variable(value, "string" if isinstance(value, str) else "slist")
    ctx.frame = Frame("b", "default", scope)
    return ctx


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("$(x)", "1"),
        ("a${x}b", "a1b"),
        ("$(b.x)", "1"),
        ("$(default:b.x)", "1"),
        ("$(n$(x))", "via"),
        ("$(nothing)", "$(nothing)"),
        ("${nothing}", "${nothing}"),
        ("$(no_$(x))", "$(no_1)"),
        ("$(twice)", "1"),
        ("$(list)", "$(list)"),
        ("@(list)", "@(list)"),
        ("$(const.dollar)(x)", "$(x)"),
        ("$(round)", "$(round)"),
    ],
)
def test_references(text: str, worth: str) -> None:
    ctx = context(x="1", n1="via", twice="$(x)", list=("a",), round="$(round)")

    assert expand(text, ctx) == worth


@pytest.mark.parametrize(
    ("rval", "worth"),
    [
        (("const", ("a", "$b")), ("a", "$b")),
        (("list", "0", ("at", "list", "()")), ("0", "a", "b")),
        (("list", ("at", "none", "()")), ("@(none)",)),
        (("list", ("call", "two"), "z"), ("a", "b", "z")),
        (("list", ("at", "empty", "()")), ()),
    ],
)
def test_lists(rval: Rval, worth: tuple[str, ...]) -> None:
    assert evaluate(rval, context(list=("a", "b"), empty=())) == worth


def test_a_nested_list_is_spliced_into_the_arguments() -> None:
    assert evaluate(("call", "count", ("call", "two"), "c"), context()) == "3"
    assert evaluate(("call", "pair", ("call", "two")), context()) == "ab"


def test_a_class_function_is_a_truth_alone_and_text_inside() -> None:
    assert evaluate(("call", "yes"), context()) is True
    assert evaluate(("call", "pair", ("call", "yes"), "!"), context()) == "any!"


def test_a_call_waits_for_its_arguments() -> None:
    with pytest.raises(Unresolved):
        evaluate(("call", "pair", ("var", "later", "()"), "x"), context())


def test_the_number_of_arguments_must_fit() -> None:
    with pytest.raises(Fatal, match="Expected 2 not 1"):
        evaluate(("call", "pair", "x"), context())


def test_a_container_is_no_argument_of_a_plain_function() -> None:
    FUNCTIONS["data"] = (lambda _ctx: {"k": 1}, "", 0)

    with pytest.raises(Failed):
        evaluate(("call", "pair", ("call", "data"), "x"), context())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("$(y)$(x)", ["a1", "a2", "b1", "b2"]),
        ("$(x)$(y)$(x)", ["1a1", "1b1", "2a2", "2b2"]),
        ("$(n):$($(n))", ["x:1", "x:2", "y:a", "y:b"]),
        ("$(e)", []),
        ("$(undefined_$(x))", []),
        ("plain", ["plain"]),
    ],
)
def test_iteration(text: str, lines: list[str]) -> None:
    ctx = context(x=("1", "2"), y=("a", "b"), n=("x", "y"), e=())
    rval = parse(text)

    assert [evaluate(rval, ctx) for _ in combinations(references(rval), ctx)] == lines


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=3), min_size=1, max_size=3))
def test_iteration_is_a_product(lists: list[list[str]]) -> None:
    ctx = context(**{f"l{at}": tuple(items) for at, items in enumerate(lists)})
    names = tuple(f"l{at}" for at in range(len(lists)))
    expected: list[list[str]] = [[]]
    for items in lists:
        expected = [[*before, item] for before in expected for item in items]

    found = [[ctx.wheels[name] for name in names] for _ in combinations(names, ctx)]

    assert found == expected
