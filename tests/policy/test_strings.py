"""References in text: taken apart, and left alone where they are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import strings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.strings import Rval


@pytest.mark.parametrize(
    ("text", "rval"),
    [
        ("plain", "plain"),
        ("$(a)", ("var", "a", "()")),
        ("x${a}y", ("cat", "x", ("var", "a", "{}"), "y")),
        ("$(a_$(b))", ("var", ("cat", "a_", ("var", "b", "()")), "()")),
        ("$(a[$(i)])", ("var", ("cat", "a[", ("var", "i", "()"), "]"), "()")),
        ("$", "$"),
        ("$x $", "$x $"),
        ("$(open", "$(open"),
        ("$(a}", "$(a}"),
        ("@(l)", "@(l)"),
        ("", ""),
    ],
)
def test_text_is_taken_apart(text: str, rval: "Rval") -> None:
    assert strings.parse(text) == rval


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("$(x)", True),
        ("a ${b.c[d e]} f", True),
        ("$(this)", False),
        ("$(this.k)", False),
        ("$(this.k[1]) ${this.v}", False),
        ("$(/bin/x)", False),
        ("$(", False),
        ("100$", False),
    ],
)
def test_what_may_still_be_resolved(text: str, waits: bool) -> None:
    assert strings.expandable(text) is waits


def printed(rval: "Rval") -> str:
    """RVAL as it was written."""
    if isinstance(rval, str):
        return rval
    if rval[0] == "cat":
        return "".join(printed(part) for part in rval[1:])
    return f"${rval[2][0]}{printed(rval[1])}{rval[2][1]}"


@given(st.text("ab$(){}@[].", max_size=40))
def test_nothing_is_lost(text: str) -> None:
    assert printed(strings.parse(text)) == text


def test_what_is_nested_too_deeply_is_plain_text() -> None:
    value = strings.parse("$(" * 2000 + "a" + ")" * 2000)

    for _ in range(strings.DEEPEST):
        assert value[0] == "var"
        value = value[1]
    assert value == "$(" * 1900 + "a" + ")" * 1900
    assert strings.too_deep("$(" * 101)
    assert not strings.too_deep("$(a)" * 1000)
