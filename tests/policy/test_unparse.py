"""What is unparsed parses to the same tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.parse import parse
from policy.source import Source, Span, read
from policy.syntax import (
    Attribute,
    Body,
    Bundle,
    Call,
    Guard,
    List,
    ListRef,
    Name,
    Policy,
    Promise,
    Rval,
    Section,
    Text,
)
from policy.unparse import unparse

MASTERFILES = sorted(Path("/usr/share/cfengine3/masterfiles").rglob("*.cf"))
HERE = Span(Source("", ""), 0, 0)

ANY_TEXT = st.text(st.characters(exclude_categories=(), exclude_characters="\0"))
TRICKY_TEXT = st.text("a\\\"'`\n\r#;{}$@():é ")
WORD = st.text("abcXYZ_019é\udcff", min_size=1, max_size=5)
QUALIFIED = st.from_regex(r"([a-z0-9]+:)?([a-z0-9]+\.)?[a-z0-9]+", fullmatch=True).filter(
    lambda word: word not in ("bundle", "body", "promise")
)
REFERENCE = st.sampled_from(["(x)", "{x}", "(b.x)", "{n:b.x[1]}", "(x[1][2])", "(x[$(i)])", "(é)"])

TEXT = st.one_of(
    st.builds(lambda value: Text(value, HERE), ANY_TEXT | TRICKY_TEXT),
    st.builds(lambda value: Text("$" + value, HERE, naked=True), REFERENCE),
)
QUOTED = st.builds(lambda value: Text(value, HERE), ANY_TEXT | TRICKY_TEXT)
NAME = st.builds(lambda value: Name(value, HERE), QUALIFIED)
LIST_REF = st.builds(lambda value: ListRef("@" + value, HERE), REFERENCE)
CALLEE = QUALIFIED | st.builds(lambda value: "$" + value, REFERENCE)


def calls(args: st.SearchStrategy[Rval]) -> st.SearchStrategy[Rval]:
    return st.builds(
        lambda name, args: Call(name, tuple(args), HERE), CALLEE, st.lists(args, max_size=3)
    )


ITEM: st.SearchStrategy[Rval] = st.recursive(TEXT | NAME | LIST_REF, calls, max_leaves=4)
LIST = st.builds(lambda items: List(tuple(items), HERE), st.lists(ITEM, max_size=4))
RVAL = ITEM | LIST

CLASSES: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(["any", "linux", "!a", "ns:b", "3x"]),
    lambda part: st.one_of(
        st.builds("{}.{}".format, part, part),
        st.builds("{}|{}".format, part, part),
        st.builds("({})".format, part),
        st.builds("{} | {}".format, part, part),
    ).filter(lambda text: "( " not in text and not (" " in text and "(" in text)),
    max_leaves=3,
)
CLASS_GUARD = st.builds(lambda text: Guard(text, HERE), CLASSES)
STRING_GUARD = st.builds(
    lambda text: Guard(text, HERE, variable=True),
    st.sampled_from(["", "$(a)", "a\nb", "it's", '"']),
)

ATTRIBUTE = st.builds(lambda name, value: Attribute(name, value, HERE), QUALIFIED, RVAL)
PROMISE = st.builds(
    lambda promiser, promisee, attributes: Promise(promiser, promisee, tuple(attributes), HERE),
    QUOTED,
    st.none() | RVAL,
    st.lists(ATTRIBUTE, max_size=3),
)


@st.composite
def section(draw: st.DrawFn) -> Section:
    promises: list[Promise] = []
    guard: Guard | None = None
    for promise in draw(st.lists(PROMISE, max_size=4)):
        guard = draw(st.just(guard) | CLASS_GUARD | STRING_GUARD)
        is_variable = guard is not None and guard.variable
        by_class, by_string = (None, guard) if is_variable else (guard, None)
        promises.append(replace(promise, guard=by_class, variable_guard=by_string))
    return Section(draw(st.sampled_from(["vars", "files", "my_own"])), tuple(promises), HERE)


@st.composite
def settings_of_body(draw: st.DrawFn) -> tuple[Attribute, ...]:
    attributes: list[Attribute] = []
    guard: Guard | None = None
    for attribute in draw(st.lists(ATTRIBUTE, max_size=4)):
        guard = draw(st.just(guard) | CLASS_GUARD)
        attributes.append(replace(attribute, guard=guard))
    return tuple(attributes)


PARAMS = st.lists(WORD, max_size=3).map(tuple)
BUNDLE = st.builds(
    lambda kind, name, params, sections: Bundle(kind, name, params, tuple(sections), HERE),
    st.sampled_from(["agent", "edit_line"]),
    QUALIFIED,
    PARAMS,
    st.lists(section(), max_size=3),
)
BODY = st.builds(
    lambda kind, name, params, attributes: Body(kind, name, params, attributes, HERE),
    st.sampled_from(["perms", "promise"]),
    QUALIFIED,
    PARAMS,
    settings_of_body(),
)


def file_control(name: str, value: str) -> Body:
    return Body("file", "control", (), (Attribute(name, Text(value, HERE), HERE),), HERE)


CONTROL = st.one_of(
    st.builds(file_control, st.just("namespace"), WORD),
    st.builds(file_control, st.just("evaluation_order"), st.sampled_from(["classic", "top_down"])),
)


@st.composite
def policy(draw: st.DrawFn) -> Policy:
    """Blocks that know the namespace and the order that stands before them."""
    blocks: list[Bundle | Body] = []
    namespace, order = "default", "classic"
    for block in draw(st.lists(BUNDLE | BODY | CONTROL, max_size=4)):
        match block:
            case Bundle():
                top_down = order == "top_down"
                blocks.append(replace(block, namespace=namespace, top_down=top_down))
                continue
            case Body():
                blocks.append(replace(block, namespace=namespace))
        match block:
            case Body("file", attributes=(Attribute("namespace", Text(value)),)):
                namespace = value
            case Body("file", attributes=(Attribute(_, Text(value)),)):
                order = value
    return Policy(tuple(blocks), HERE)


@given(policy())
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_a_tree_survives(tree: Policy) -> None:
    assert parse(Source("p.cf", unparse(tree))) == (tree, [])


@given(ANY_TEXT | TRICKY_TEXT)
def test_any_text_survives(text: str) -> None:
    tree = Policy(
        (Bundle("agent", "b", (), (Section("reports", (report(text),), HERE),), HERE),), HERE
    )

    assert parse(Source("p.cf", unparse(tree))) == (tree, [])


def report(text: str) -> Promise:
    return Promise(Text(text, HERE), None, (), HERE)


@pytest.mark.parametrize("path", MASTERFILES, ids=str)
def test_the_masterfiles_survive(path: Path) -> None:
    tree, mistakes = parse(read(str(path)))

    assert mistakes == []
    assert parse(Source("p.cf", unparse(tree))) == (tree, [])
