"""Formulas over signals: what they need, and when they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from policy import classes, provenance
from policy.context import Context
from policy.errors import Unresolved

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("a", "b", "c", "d")


def signal(name: str) -> provenance.Signal:
    """The signal that brings the class NAME."""
    return (name, 1, 1)


def no_function(_name: str) -> Any:
    raise Unresolved("none")


def context(*brought: str, plain: tuple[str, ...] = ()) -> Context:
    """A context in which signals BROUGHT classes, and others are PLAIN."""
    ctx = Context(hard={}, facts={}, now=0.0, log=lambda *_: None, function=no_function)
    for name in (*brought, *plain):
        ctx.set_class(name, ())
    for name in brought:
        ctx.owe(name, frozenset([signal(name)]), private=False)
    return ctx


def done(*names: str) -> Callable[[provenance.Signal], bool]:
    """What says of the signals of NAMES that they are consumed."""
    return lambda it: it[0] in names


expressions = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}.{pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
    ),
    max_leaves=8,
)
some = st.sets(st.sampled_from(NAMES))


@given(expressions, some, some)
def test_without_negation_a_formula_is_the_expression_over_what_is_fresh(
    text: str, brought: set[str], consumed: set[str]
) -> None:
    ctx = context(*sorted(brought))
    expression = classes.compiled(text)

    formula = provenance.owed(expression, ctx)

    left = context(*sorted(brought - consumed))
    assert provenance.fresh(formula, done(*consumed), ctx) == classes.truth(expression, left)


@given(expressions, some, some)
def test_what_is_not_brought_by_signals_is_owed_to_none(
    text: str, plain: set[str], consumed: set[str]
) -> None:
    ctx = context("z", plain=tuple(sorted(plain)))
    expression = classes.compiled(text)

    formula = provenance.owed(expression, ctx)

    assert formula is classes.truth(expression, ctx)
    assert provenance.signals(formula) == frozenset()


@given(st.lists(st.sampled_from([True, frozenset([signal("a")]), frozenset([signal("b")])])))
def test_both_needs_all_and_either_one(parts: list[provenance.Formula]) -> None:
    ctx = context("a", "b")
    for consumed in ((), ("a",), ("b",), ("a", "b")):
        fresh = [provenance.fresh(part, done(*consumed), ctx) for part in parts]
        assert provenance.fresh(provenance.both(parts), done(*consumed), ctx) == all(fresh)
        assert provenance.fresh(provenance.either(parts), done(*consumed), ctx) == any(fresh)


def test_a_negated_term_owes_nothing() -> None:
    ctx = context("a")

    assert provenance.owed(classes.compiled("a.!b"), ctx) == frozenset([signal("a")])
    assert provenance.owed(classes.compiled("!a"), ctx) is False


def test_a_class_that_is_cancelled_owes_nothing_when_it_is_set_again() -> None:
    ctx = context("a")
    ctx.cancel_class("a")
    ctx.set_class("a", ())

    assert ctx.owed_by("a") is True


def test_a_class_of_a_bundle_owes_the_same_by_its_long_name() -> None:
    ctx = context()
    ctx.set_class("mine", (), private=True)
    ctx.owe("mine", frozenset([signal("a")]), private=True)

    assert ctx.defined("default:mine")
    assert ctx.owed_by("default:mine") == ctx.owed_by("mine") == frozenset([signal("a")])
