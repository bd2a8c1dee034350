"""Laws of the functions about classes and versions that no recorded call states."""

from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.context import Context, Frame, Scope, Variable
from policy.errors import Failed, Fatal, Unresolved
from policy.functions import logic


class Said(list[str]):
    """What was logged."""

    def log(self, level: str, message: str) -> None:
        self.append(f"{level}: {message}")


def context(said: Said | None = None, *classes: str) -> Context:
    """A host that is of these hard CLASSES and runs version 3.28.0."""

    def nothing(name: str) -> NoReturn:
        raise Unresolved(name)

    return Context(
        hard=dict.fromkeys(("any", *classes), ()),
        facts={"cf_version": Variable("3.28.0", "string")},
        now=0,
        log=(said if said is not None else Said()).log,
        function=nothing,
    )


def test_what_is_unresolved_does_not_hold_and_nobody_complains() -> None:
    said = Said()

    assert not logic.is_true(context(said), "$(x)")
    assert logic.not_(context(said), "@(x)")
    assert said == []


def test_what_makes_no_sense_is_complained_about() -> None:
    said = Said()

    assert logic.not_(context(said), "a b")
    assert said == [
        "error: class expressions can't be separated by whitespace without an intervening "
        "operator in expression 'a b'"
    ]


def test_ifelse_needs_a_last_resort() -> None:
    with pytest.raises(Fatal, match="in built-in FnCall ifelse: even number of arguments"):
        logic.ifelse(context(), "any", "yes")


def test_classes_of_an_inherited_bundle_are_seen() -> None:
    ctx = context()
    caller = Frame("outer", "default", Scope())
    caller.classes["theirs"] = ("t",)
    ctx.frame = Frame("inner", "default", Scope(), caller=caller, inherits=True)

    assert logic.classmatch(ctx, "their.")
    ctx.frame.inherits = False
    assert not logic.classmatch(ctx, "their.")


def test_classes_of_another_namespace_are_told_by_their_full_name() -> None:
    ctx = context()
    ctx.frame = Frame("b", "n", Scope())
    ctx.frame.classes["private"] = ()
    ctx.soft["n:c"] = ()

    assert [name for name, _ in logic.every_class(ctx)] == ["any", "n:c", "n:private"]


SLOTS = [f"Min{m:02d}_{(m + 5) % 60:02d}" for m in range(0, 60, 5)]


@given(st.text(max_size=20))
def test_each_text_has_one_slot_of_the_hour(text: str) -> None:
    hits = [slot for slot in SLOTS if logic.splayclass(context(None, slot), text, "hourly")]

    assert len(hits) == 1


@given(st.text(max_size=20))
def test_each_text_has_one_slot_of_the_day(text: str) -> None:
    slots = [(slot, f"Hr{hour:02d}") for slot in SLOTS for hour in range(24)]
    hits = [
        (slot, hour)
        for slot, hour in slots
        if logic.splayclass(context(None, slot, hour), text, "daily")
    ]

    assert len(hits) == 1


def test_a_version_that_is_none_is_named() -> None:
    said = Said()

    with pytest.raises(Failed):
        logic.cf_version_between(context(said), "3", "x")

    assert said == [
        "error: cf_version_between: Format of upper version comparison string 'x' is incorrect"
    ]
