"""Templates and what the reference makes of them: `data/mustache.jsonl`, data first, then cases."""

import json
from pathlib import Path
from typing import Any

import pytest

from policy import mustache, values

RECORDED = Path(__file__).parent / "data" / "mustache.jsonl"


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
