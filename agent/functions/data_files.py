"""Files that hold data: CSV, settings, JSON and YAML."""

import errno
import os
import stat

from policy import tables, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from policy.context import Context

ALL = 999999999
_MUCH = 1 << 20  # octets; no buffer of such a size is made before it is needed
_GIANT = 1 << 30  # octets that nobody means to have in a variable


class Unreadable(Exception):
    """A file that gives no data; the message says why."""


def head(ctx: "Context", path: str, most: int) -> bytes:
    """What PATH holds, enough to see whether it is more than MOST octets. Raises OSError."""
    return content(ctx, path, most + 1 if 0 < most < _MUCH else 0)


def content(ctx: "Context", path: str, limit: int = 0) -> bytes:
    """What PATH holds, at most LIMIT octets of it, 0 for all.

    Raises OSError, also for what need not come to an end: a pipe, a device, a giant.
    """
    status = ctx.host.stat(path)
    if status is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if stat.S_ISFIFO(status.st_mode):
        raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE), path)
    if not limit and status.st_size > _GIANT:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    device = stat.S_ISCHR(status.st_mode) and not limit
    data: bytes = ctx.host.read(path, _MUCH + 1 if device else limit)
    if device and len(data) > _MUCH:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    return data


def _all_of(ctx: "Context", path: str, most: int, kind: str) -> str:
    """What PATH holds. Raises Unreadable, also if that is more than MOST octets."""
    try:
        data = head(ctx, path, most)
    except OSError:
        raise Unreadable(
            f"data error parsing {kind} file '{path}': No such file or directory"
        ) from None
    if len(data) > most:
        raise Unreadable(
            f"error parsing {kind} file '{path}': Unable to parse JSON without truncating"
        )
    return values.text(data)


def _structured(
    ctx: "Context", path: str, most: int, kind: str, parse: "Callable[[str], Any]"
) -> "Any":
    """The container that the JSON or YAML file PATH says. Raises Unreadable."""
    text = _all_of(ctx, path, most, kind)
    try:
        value = parse(text)
    except ValueError as error:
        data = "" if text.strip() else "data "
        raise Unreadable(f"{data}error parsing {kind} file '{path}': {error}") from None
    if not isinstance(value, (dict, list)):
        raise Unreadable(f"non-container from parsing {kind} file '{path}'")
    return value


def _json(ctx: "Context", path: str, most: int) -> "Any":
    return _structured(ctx, path, most, "JSON", values.parse_json)


def _yaml(ctx: "Context", path: str, most: int) -> "Any":
    return _structured(ctx, path, most, "YAML", tables.yaml)


def _beginning(ctx: "Context", path: str, kind: str) -> str:
    """What PATH holds. Raises Unreadable, which is nothing to be loud about."""
    try:
        return values.text(content(ctx, path))
    except OSError as error:
        raise Unreadable(f"cannot read {kind} file '{path}': {error.strerror}") from error


def _csv(ctx: "Context", path: str, most: int) -> "Any":
    text = _beginning(ctx, path, "CSV")
    whole: list[str] = []
    size = 0
    for record in [it.partition("\0")[0] for it in tables.records(text)]:
        size += len(values.octets(record))
        if size > most:
            break
        whole.append(record)
    rows = [row for row in map(tables.fields, whole) if row is not None]
    if not rows:
        ctx.log(
            "warning",
            f"JsonParseCsvFile: CSV file '{path}' is not empty, but nothing was parsed",
        )
        ctx.log("warning", "Make sure the file contains DOS (CRLF) line endings")
    return rows


def _environment(ctx: "Context", path: str, most: int) -> "Any":
    text = _beginning(ctx, path, "ENV")
    whole: list[str] = []
    size = 0
    for line in text.split("\n"):
        size += len(values.octets(line)) + 1
        if size > most + 1:
            break
        whole.append(line)
    return tables.environment("\n".join(whole))


READERS: "dict[str, Callable[[Context, str, int], Any]]" = {
    "CSV": _csv, "ENV": _environment, "JSON": _json, "YAML": _yaml,
}  # fmt: skip
_SUFFIXES = {".csv": "CSV", ".env": "ENV", ".yaml": "YAML", ".yml": "YAML"}
QUIET = ("CSV", "ENV")


def reader(kind: str) -> "Callable[[Context, str, int], Any]":
    """What reads data of this KIND; one that is unknown is read as JSON."""
    return READERS.get(kind, _json)


def kind_of(path: str) -> str:
    """What data the name of PATH promises."""
    name = path.lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), "JSON")
