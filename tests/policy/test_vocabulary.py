"""The tables of the language can be read, and their rows agree with each other."""

import re

import pytest

from policy import vocabulary
from policy.check_values import ITEMS, JUDGES, limits_of, parameters
from policy.functions import SIGNATURES, Unsupported, implementation, supported
from policy.vocabulary import Attribute

PROMISE_ROWS = [row for rows in vocabulary.OF_PROMISES.values() for row in rows.values()]
BODY_ROWS = [row for rows in vocabulary.OF_BODIES.values() for row in rows.values()]
COMMON_ROWS = [*vocabulary.IN_EVERY_PROMISE.values(), *vocabulary.IN_EVERY_BODY.values()]
ROWS = [*PROMISE_ROWS, *BODY_ROWS, *COMMON_ROWS]
WORDS = ("option", "olist")
NUMBERS = ("int", "real", "irange", "ilist", "rlist")
RETURNS = {"class", "string", "int", "real", "slist", "ilist", "rlist", "data", "irange", "rrange"}


def test_every_row_has_a_type_that_something_judges() -> None:
    judged = {*JUDGES, *ITEMS, "data", "body", "bundle"}

    assert {row.type for row in ROWS} <= judged


def test_every_range_can_be_read() -> None:
    for row in ROWS:
        if row.type in NUMBERS and row.range:
            low, high = row.range.split("..")
            assert float(low) < (float("inf") if high == "inf" else float(high))
        elif row.type == "bundle":
            assert row.range in vocabulary.BUNDLES
        elif row.type in WORDS:
            assert re.fullmatch(r"[^|]+(\|[^|]+)*", row.range)
        else:
            re.compile(row.range)


def test_every_status_is_known() -> None:
    assert {row.status for row in ROWS} == {"normal", "deprecated", "removed"}


def test_an_attribute_that_takes_a_body_is_called_as_the_body_type() -> None:
    bodies = [row for row in PROMISE_ROWS if row.type == "body"]

    assert [row.name for row in bodies if row.name not in vocabulary.OF_BODIES] == []


def test_every_promise_type_has_a_bundle_and_every_bundle_only_known_types() -> None:
    listed = {kind for kinds in vocabulary.BUNDLES.values() for kind in kinds}

    assert listed | set(vocabulary.EVERYWHERE) == set(vocabulary.OF_PROMISES)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("files", "perms", "body"),
        ("files", "edit_line", "bundle"),
        ("files", "create", "bool"),
        ("files", "action", "body"),
        ("files", "no_such", ""),
        ("git", "repository", "custom"),
        ("git", "classes", "body"),
    ],
)
def test_the_kind_of_an_attribute(kind: str, name: str, expected: str) -> None:
    assert vocabulary.kind_of(kind, name) == expected


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("perms", "mode", "mode"),
        ("perms", "inherit_from", "body"),
        ("perms", "no_such", ""),
        ("service_method", "service_bundle", "bundle"),
        ("git_options", "depth", "custom"),
    ],
)
def test_the_kind_of_an_attribute_of_a_body(kind: str, name: str, expected: str) -> None:
    assert vocabulary.body_kind(kind, name) == expected


def test_marks_are_read() -> None:
    assert vocabulary.OF_BODIES["action"]["value_kept"].status == "removed"
    assert vocabulary.OF_PROMISES["files"]["fsattrs"].since == "3.26"
    assert vocabulary.OF_BODIES["perms"]["bsdflags"] == Attribute(
        "bsdflags", "slist", vocabulary.RANGES["BSDFLAG"]
    )


def test_every_bundle_may_have_variables() -> None:
    assert vocabulary.bundles_with("vars") == tuple(vocabulary.BUNDLES)
    assert vocabulary.bundles_with("files") == ("agent",)
    assert vocabulary.bundles_with("git") == ()


# functions


def test_the_language_has_201_functions_in_alphabetical_order() -> None:
    assert len(SIGNATURES) == 201
    assert list(SIGNATURES) == sorted(SIGNATURES)


def test_every_signature_can_be_read() -> None:
    for name, (returns, _, home, flags) in SIGNATURES.items():
        assert returns in RETURNS, name
        assert re.fullmatch(r"(host\.)?[a-z_]+", home), name
        assert re.fullmatch(r"\+?K?D?U?X?(V\d:\d?)?", flags), name


def test_every_parameter_has_a_type_that_something_judges() -> None:
    assert {row.type for name in SIGNATURES for row in parameters(name)} <= set(JUDGES)


def test_a_variadic_function_names_its_last_fixed_parameter_with_dots() -> None:
    for name, (_, written, _, flags) in SIGNATURES.items():
        assert written.endswith("...") == ("V" in flags), name


def test_limits_of_arguments() -> None:
    assert limits_of("regcmp") == (2, 2)
    assert limits_of("readfile") == (1, 2)
    assert limits_of("concat") == (0, None)


def test_a_function_of_the_host_needs_to_be_told_where_the_host_is() -> None:
    with pytest.raises(Unsupported):
        implementation("isdir")

    assert supported("isdir")
    assert not supported("isdir", "no.such.package")
