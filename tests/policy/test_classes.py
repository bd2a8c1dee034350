"""Class expressions: precedence, what is ignored, what is refused."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import classes
from policy.context import Context


def context(*names: str) -> Context:
    """A context in which NAMES are set."""
    hard = dict.fromkeys(("any", *names), ("source=agent",))
    return Context(
        hard=hard, facts={}, now=0, log=lambda *_: None, function=lambda name: (print, name, 0)
    )


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("a", True),
        ("b", False),
        ("!b", True),
        ("a.b|a", True),
        ("a.(b|a)", True),
        ("!a|!b", True),
        ("!(a|b)", False),
        ("a || b", True),
        ("a&b", False),
        ("true", True),
        ("!true", False),
        ("false|a", True),
        ("b | a", True),
        ("a-x", True),  # what follows a complete expression is ignored
        ("a(b)", True),
        ("default:a", True),
        ("x:any", True),
        ("x:a", False),
    ],
)
def test_what_an_expression_is_worth(text: str, met: bool) -> None:
    assert classes.holds(text, context("a")) is met


@pytest.mark.parametrize("text", ["", "!!a", "a&&b", "a..b", "|a", "(a", "()", "a.!", "a b"])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(classes.BadExpression):
        classes.compiled(text)


def test_a_blank_between_names_has_its_own_message() -> None:
    with pytest.raises(classes.BadExpression, match="can't be separated by whitespace"):
        classes.compiled("a.b c")


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "c"]),
    lambda inner: st.one_of(
        st.builds("!({})".format, inner),
        st.builds("({}).({})".format, inner, inner),
        st.builds("({})|({})".format, inner, inner),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_expressions_mean_what_they_mean_in_python(text: str) -> None:
    python = text.replace("!", " not ").replace(".", " and ").replace("|", " or ")
    for a, b, c in product([False, True], repeat=3):
        names = [name for name, there in zip("abc", (a, b, c), strict=True) if there]

        assert classes.holds(text, context(*names)) is bool(
            eval(python, {"a": a, "b": b, "c": c})  # noqa: S307  # made above
        )


def test_brackets_are_looked_into_so_deep_only() -> None:
    deepest = classes.DEEPEST

    assert classes.compiled("(" * deepest + "a" + ")" * deepest) == "a"
    for depth in (deepest + 1, 3000):
        with pytest.raises(classes.BadExpression):
            classes.compiled("(" * depth + "a" + ")" * depth)
