"""Templates and what comes of them.

What the reference makes of some is in `data/mustache.jsonl`, data first, then cases. The cases of
the public specification of mustache are in `data/mustache-specification.jsonl`, but for those of
partials, inheritance and lambdas, which the language does not have.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from policy import mustache, values

RECORDED = Path(__file__).parent / "data" / "mustache.jsonl"
SPECIFIED = RECORDED.with_name("mustache-specification.jsonl")
PRIMITIVE = "a section of a primitive but true and false is an error"
DIFFERENT = {
    # case of the specification: why the reference, and so we, do otherwise; and what comes of it
    "delimiters: Partial Inheritence": ("no partials", "[  ]\n[  ]\n"),
    "delimiters: Post-Partial Behavior": ("no partials", "[  ]\n[ .yes.  .|value|. ]\n"),
    "inverted: Null is falsey": (PRIMITIVE, None),
    "sections: Null is falsey": (PRIMITIVE, None),
    "sections: Variable test": (PRIMITIVE, None),
    "sections: Deeply Nested Contexts": (PRIMITIVE, None),
    "sections: Implicit Iterator - Decimal": (
        "two digits behind the point", '"(1.10)(2.20)(3.30)(4.40)(5.50)"',
    ),
    "sections: Implicit Iterator - Array": ("no section `{{#.}}`", '"()()"'),
    "sections: Implicit Iterator - Root-level": ("no section `{{#.}}`", '""'),
}  # fmt: skip


def cases() -> list[Any]:
    """Each template with its data and what comes of it, None if nothing may."""
    found: list[Any] = []
    data: Any = None
    for line in RECORDED.read_text().splitlines():
        entry = json.loads(line)
        if isinstance(entry, dict):
            data = values.normalised(entry["data"])
        else:
            found.append(pytest.param(entry[0], data, entry[1], id=entry[0]))
    return found


@pytest.mark.parametrize(("template", "data", "expected"), cases())
def test_a_template_gives_what_the_reference_gives(
    template: str, data: Any, expected: str | None
) -> None:
    if expected is None:
        with pytest.raises(mustache.Unrenderable):
            mustache.render(template, data)
    else:
        assert mustache.render(template, data) == expected


def specified() -> list[Any]:
    """The cases of the specification: template, data, and what comes of them."""
    found: list[Any] = []
    for line in SPECIFIED.read_text().splitlines():
        name, template, data, expected = json.loads(line)
        _, result = DIFFERENT.get(name, ("", expected))
        found.append(pytest.param(template, values.normalised(data), result, id=name))
    return found


@pytest.mark.parametrize(("template", "data", "expected"), specified())
def test_a_template_gives_what_the_specification_says(
    template: str, data: Any, expected: str | None
) -> None:
    test_a_template_gives_what_the_reference_gives(template, data, expected)


def test_a_complaint_about_data_is_a_warning() -> None:
    with pytest.raises(mustache.Unrenderable, match=r"consider \{\{\$\.\}\}") as caught:
        mustache.render("{{.}}", {})

    assert caught.value.level == "warning"


def test_a_complaint_about_the_template_is_an_error() -> None:
    with pytest.raises(mustache.Unrenderable) as caught:
        mustache.render("{{#x}}", {})

    assert caught.value.level == "error"


def test_octets_that_are_no_text_come_out_as_they_went_in() -> None:
    odd = values.text(b"a\xffb")

    assert mustache.render(odd + "{{x}}{{{x}}}", {"x": odd}) == odd * 3
