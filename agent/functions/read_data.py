"""Functions that read files of data: JSON, YAML, CSV, settings."""

from agent.functions.data_files import ALL, QUIET, Unreadable, content, kind_of, reader
from policy import tables, values
from policy.errors import Failed
from policy.functions.arguments import integer, refusal
from policy.functions.logic import is_true

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from policy.context import Context

_UNLIMITED = "inf"


def _data(ctx: "Context", function: str, path: str, kind: str, most: str = _UNLIMITED) -> "Any":
    """The container in the file PATH of a KIND. Raises Failed."""
    limit = integer(ctx, most)
    try:
        return reader(kind)(ctx, path, limit if limit >= 0 else ALL)
    except Unreadable as reason:
        loud = kind not in QUIET and ctx.pass_number
        ctx.log("error" if loud else "verbose", f"{function}: {reason}")
        raise Failed(function) from None


def readjson(ctx: "Context", path: str, most: str = _UNLIMITED) -> "Any":
    r"""The container in a JSON file of at MOST so many bytes (a longer one is not read at all).

    Fails if PATH cannot be read, is no JSON, or is no array or object.
    Example:
        /tmp/site.json holds "{\"port\": 80}"
        readjson("/tmp/site.json") -> {"port":80}
    """
    return _data(ctx, "readjson", path, "JSON", most)


def readyaml(ctx: "Context", path: str, most: str = _UNLIMITED) -> "Any":
    r"""The container in the first document of a YAML file of at MOST so many bytes.

    Fails if PATH cannot be read, or what it says is no array or object.
    Example:
        /tmp/site.yaml holds "port: 80\ntls: true\n"
        readyaml("/tmp/site.yaml") -> {"port":80,"tls":true}
    """
    return _data(ctx, "readyaml", path, "YAML", most)


def readcsv(ctx: "Context", path: str, most: str = _UNLIMITED) -> "Any":
    r"""The rows of a CSV file of at MOST so many bytes, each an array of strings.

    Lines end in CRLF. A file whose lines end in LF is one row.
    Fails if PATH cannot be read; bad rows are left out.
    Example:
        /tmp/t.csv holds "a,\"b, c\"\r\n1,2\r\n"
        readcsv("/tmp/t.csv") -> [["a","b, c"],["1","2"]]
    """
    return _data(ctx, "readcsv", path, "CSV", most)


def readenvfile(ctx: "Context", path: str, most: str = _UNLIMITED) -> "Any":
    r"""The settings in a file of NAME=value, such as /etc/os-release, as an object of strings.

    Fails if PATH cannot be read; stops in front of the line that goes over MOST bytes.
    Example:
        /tmp/env holds "# site\nHOST=web1\nGREETING=\"hello you\"\n"
        readenvfile("/tmp/env") -> {"GREETING":"hello you","HOST":"web1"}
    """
    return _data(ctx, "readenvfile", path, "ENV", most)


def readdata(ctx: "Context", path: str, kind: str) -> "Any":
    r"""The data in a file of this KIND; `auto` goes by .csv, .yaml, .yml, .env, all else is JSON.

    Fails if PATH cannot be read or parsed.
    Example:
        /tmp/site.yaml holds "port: 80\nhosts: [a, b]\n"
        readdata("/tmp/site.yaml", "auto") -> {"hosts":["a","b"],"port":80}
    """
    return _data(ctx, "readdata", path, kind_of(path) if kind == "auto" else kind)


def validfiledata(ctx: "Context", path: str, kind: str) -> bool:
    r"""Whether there is data of this KIND in a file; `auto` goes by its suffix, as in `readdata`.

    Never fails: false if it cannot be read or parsed.
    Example:
        /tmp/site.json holds "{\"port\": 80}"
        validfiledata("/tmp/site.json", "JSON") -> true
        validfiledata("/no/such", "JSON") -> false
    """
    try:
        reader(kind_of(path) if kind == "auto" else kind)(ctx, path, ALL)
    except Unreadable as reason:
        ctx.log("verbose", f"validfiledata: {reason}")
        return False
    return True


# rows that hold here


def _table(ctx: "Context", path: str) -> "Iterator[tuple[int, list[str]]]":
    """The rows of a CSV file with their numbers, comments and empty ones left out."""
    try:
        text = values.text(content(ctx, path))
    except IsADirectoryError:  # it can be opened, and has no rows
        text = ""
    except OSError as error:
        reason = error.strerror
        raise refusal(ctx, f"classfiltercsv: Failed to read file {path}: {reason}") from None
    for number, record in enumerate(tables.records(text), 1):
        if record.startswith("#") or record in ("", "\r\n"):
            continue
        row = tables.fields(record)
        if row is None:
            ctx.log("warning", f"classfiltercsv: Failed to parse line {number}, line ignored.")
        else:
            yield number, row


def classfiltercsv(
    ctx: "Context", path: str, has_heading: str, column: str, order: str | None = None
) -> "list[dict[str, str]]":
    r"""The rows of a CSV file whose class expression, in COLUMN, holds; sorted by column ORDER.

    Columns count from 0; that of the classes is left out; `#` begins a comment. Lines end in
    CRLF.
    Fails if PATH cannot be read or has no such COLUMN.
    Example:
        /tmp/t.csv holds "class,port\r\nlinux,22\r\nwindows,3389\r\n"
        classfiltercsv("/tmp/t.csv", "true", 0) -> [{"port":"22"}]
    """
    rows = _table(ctx, path)
    at = integer(ctx, column)
    width, heading = -1, None
    kept: list[list[str]] = []
    for number, row in rows:
        if width < 0:
            width = len(row)
            if not 0 <= at < width:
                raise refusal(
                    ctx,
                    "classfiltercsv: Class expression index is out of bounds. "
                    f"Row length {width}, index {at}",
                )
            if values.truth(has_heading):
                heading = row
                continue
        if len(row) != width:
            ctx.log(
                "warning",
                f"classfiltercsv: Line {number} has incorrect amount of elements, "
                f"{len(row)} instead of {width}. Line ignored.",
            )
        elif is_true(ctx, row[at]):
            kept.append(row)
    _sort(ctx, kept, at, width, order)
    names = _without(heading, at) if heading else [str(n) for n in range(width - 1)]
    return [dict(zip(names, _without(row, at), strict=True)) for row in kept]


def _without(row: list[str], at: int) -> list[str]:
    return row[:at] + row[at + 1 :]


def _sort(ctx: "Context", rows: list[list[str]], at: int, width: int, order: str | None) -> None:
    """Sort ROWS by the column ORDER, if it is one and not that of the class expressions."""
    if order is None:
        return
    by = integer(ctx, order)
    if by == at:
        ctx.log(
            "warning",
            f"classfiltercsv: sorting column ({by}) is the same as class expression column "
            f"({at}). Not sorting data container.",
        )
    elif not 0 <= by < width:
        ctx.log(
            "warning",
            f"classfiltercsv: sorting index {by} out of bounds. Not sorting data container.",
        )
    else:
        rows.sort(key=lambda row: values.octets(row[by]))
