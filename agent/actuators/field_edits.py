"""`field_edits`: columns of the lines of a file, and what they promise to hold."""

from agent.actuators.regions import (
    TRUE,
    Region,
    buffer,
    concluded,
    context_lines,
    interrupted,
    selected,
)
from agent.edits import Buffer, edit_values, matches, with_field
from agent.outcome import Change, Verdict, failed, kept
from policy.reading import MANY, split
from policy.regexp import search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.actuators.regions import Steps
    from agent.promise import Promise
    from agent.run import Run

KIND = "fields_edit"  # what messages call it
DONE = {
    "append": "Appended field sub-value",
    "prepend": "Prepended field sub-value",
    "alphanum": "Inserted field sub-value",
    "set": "Set field sub-value",
    "delete": "Deleted column field sub-value",
}


def field_edits(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield a change for each line whose field is not as promised."""
    body = promise.body("edit_field") or {}
    missing = _missing(body, promise.promiser)
    if missing:
        yield failed(missing)
        context_lines(promise, run, "error")
        return
    region = yield from selected(promise, run, "column edit")
    if region is not None:
        yield from concluded(KIND, promise, run, _lines(promise, Field(body), region, run))


def _missing(body: "dict[str, Any]", promiser: str) -> str:
    """What the body EDIT_FIELD lacks, or nothing."""
    if "field_separator" not in body:
        return f"No field_separator in promise to edit by column for '{promiser}'"
    if "select_field" not in body or Field.number(body) < 0:
        return f"No select_field in promise to edit '{promiser}'"
    if "field_value" not in body:
        return f"No field_value is promised to column_edit '{promiser}'"
    return ""


class Field:
    """The attributes of an `edit_field` body, taken apart. AT counts from 0."""

    __slots__ = ("at", "blanks", "extend", "inner", "operation", "separator", "value")

    def __init__(self, body: "dict[str, Any]") -> None:
        self.at = self.number(body)
        self.separator: str = body["field_separator"]
        self.value: str = body["field_value"]
        self.inner: str | None = body.get("value_separator")
        self.operation: str = body.get("field_operation", "append")
        self.blanks = body.get("allow_blank_fields") in TRUE
        self.extend = body.get("extend_fields") in TRUE

    @staticmethod
    def number(body: "dict[str, Any]") -> int:
        """Which field is meant, counted from 0; -1 for the one before the first."""
        from policy.values import integer

        first = 0 if body.get("start_fields_from_zero") in TRUE else 1
        return integer(body["select_field"]) - first


def _lines(promise: "Promise", field: Field, region: Region, run: "Run") -> "Steps":
    """Yield what becomes of each line of REGION that the promiser matches."""
    edited = buffer(run)
    last = len(edited.lines) if region.last is None else region.last
    found = False
    for at in range(region.first, last):
        line = edited.lines[at]
        if not matches(promise.promiser, line):
            continue
        found = True
        first = search(field.separator, line)
        if first is None:
            yield interrupted(
                f"Field edit, no fields found by promised pattern '{field.separator}' "
                f"in '{edited.path}'"
            )
            return
        fields = split(run.ctx, line, field.separator, MANY, blanks=field.blanks)
        yield from _field(edited, at, field, fields, first.group(0) or "")
    if not found:
        yield failed(
            f"No matched line to edit fields of for pattern '{promise.promiser}' in '{edited.path}'"
        )


def _field(edited: Buffer, at: int, field: Field, fields: list[str], separator: str) -> "Steps":
    """Yield what becomes of the line AT, which is FIELDS with SEPARATOR between."""
    missing = field.at + 1 - len(fields)
    if missing > 0 and not field.extend:
        yield interrupted(
            f"The file {edited.path} has only {len(fields)} fields, "
            f"but there is a promise for field {field.at + 1}"
        )
        return
    fields += [""] * missing
    old = fields[field.at]
    if field.inner is None:
        new: str | None = "" if field.operation == "delete" else field.value
    else:
        new = edit_values(old, field.inner, field.operation, field.value)
    if new is None:
        yield kept(f"Field sub-value '{field.value}' is as promised in '{edited.path}'")
        return
    would, done = _words(edited.path, field, old)
    line = with_field(fields, field.at, new, separator)
    yield Change(would, done, lambda: edited.replace(at, line), quiet=True)


def _words(path: str, field: Field, old: str) -> tuple[str, str]:
    """What a dry run says of an edit of the field that is OLD now, and what is said afterwards."""
    value = field.value
    if field.inner is not None:
        return f"edit field '{value}' in '{path}'", f"{DONE[field.operation]} '{value}' in '{path}'"
    if field.operation == "delete":
        return (
            f"delete field value '{old}' in '{path}'",
            f"Deleted column field value '' in '{path}'",
        )
    return (
        f"set column field value '{old}' to '{value}' in '{path}'",
        f"Set whole column field value '{old}' to '{value}' in '{path}'",
    )
