"""Functions that read files: whole, by line, as lists, arrays and data."""

from agent.functions.data_files import ALL, QUIET, READERS, Unreadable, head, kind_of
from policy import reading, tables, values
from policy.errors import Failed
from policy.functions.arguments import integer, pattern, refusal
from policy.functions.logic import is_true

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from typing import Any

    from policy.context import Context

_MOST_PEERS = 100000  # bytes of a file of peers
_MOST_FIELDS = 31
_UNLIMITED = "inf"


# texts


def _content(ctx: "Context", path: str, limit: str = "0") -> str | None:
    """What PATH holds, its first LIMIT octets, 0 for all; None if it cannot be read.

    The line break of a file of one line is left out. That it cannot be read is an error, but not
    before the run: it may be made by then.
    """
    level = "error" if ctx.pass_number else "verbose"
    most = integer(ctx, limit)
    try:
        if ctx.host.stat(path) is None:
            reason = "stat: No such file or directory"
            ctx.log(level, f"CfReadFile: Could not examine file '{path}' ({reason})")
            return None
        data = head(ctx, path, most)
    except OSError as error:
        ctx.log(level, f"CfReadFile: Error while reading file '{path}' ({error.strerror})")
        return None
    if 0 < most < len(data):
        ctx.log(
            "verbose",
            f"CfReadFile: Truncating file '{path}' to {most} bytes as requested by maxsize "
            "parameter",
        )
        data = data[:most]
    text = values.text(data.partition(b"\0")[0])
    one_line = text.find("\n") == len(text) - 1 and "\r" not in text
    return text[:-1] if one_line else text


def readfile(ctx: "Context", path: str, limit: str = "0") -> str:
    """What PATH holds."""
    text = _content(ctx, path, limit)
    if text is None:
        raise Failed("readfile")
    return text


# lines


def _lines(ctx: "Context", path: str) -> list[str]:
    """The lines of PATH. Raises OSError."""
    data = ctx.host.read(path)
    lines = values.text(data).split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def regline(ctx: "Context", expression: str, path: str) -> bool:
    """Whether EXPRESSION spans a line of PATH."""
    spans = pattern(ctx, expression).full
    try:
        return any(spans(line) for line in _lines(ctx, path))
    except OSError:
        return False


def countlinesmatching(ctx: "Context", expression: str, path: str) -> str:
    """How many lines of PATH does EXPRESSION span."""
    spans = pattern(ctx, expression).full
    try:
        return str(sum(spans(line) for line in _lines(ctx, path)))
    except OSError as error:
        ctx.log(
            "error",
            f"File '{path}' could not be read in countlinesmatching(). (fopen: {error.strerror})",
        )
        return "0"


def getfields(ctx: "Context", expression: str, path: str, separator: str, array: str) -> str:
    """How many lines of PATH does EXPRESSION span; the first is split into ARRAY[1]..."""
    spans = pattern(ctx, expression).full
    try:
        found = [line for line in _lines(ctx, path) if spans(line)]
    except OSError as error:
        reason = error.strerror
        raise refusal(ctx, f"File '{path}' could not be read in getfields(). ({reason})") from None
    if found:
        fields = reading.split(ctx, found[0], separator, _MOST_FIELDS, blanks=True)
        for number, field in enumerate(fields, 1):
            ctx.define(
                f"{array}[{number}]", field, "string", ("source=function", "function=getfields")
            )
    return str(len(found))


# lists


def _list(ctx: "Context", args: tuple[str, ...]) -> tuple[str, ...]:
    """The pieces of a file between separators."""
    path, comment, separator, most, size = args
    text = _content(ctx, path, size)
    if text is None:
        raise Failed(path)
    text = reading.stripped(ctx, text, comment, path)
    return tuple(reading.split(ctx, text, separator, integer(ctx, most), blanks=False))


def _numbers(
    ctx: "Context", args: tuple[str, ...], kind: str, parse: "Callable[[str], object]"
) -> tuple[str, ...]:
    """The pieces of a file, all of which PARSE must take."""
    found = _list(ctx, args)
    good = True
    for item in found:
        try:
            parse(item)
        except ValueError as error:
            good = False
            ctx.log("error", str(error))
            ctx.log(
                "error",
                f"Presumed {kind} value '{item}' read from file '{args[0]}' has no recognizable "
                "value",
            )
    if not good:
        raise Failed(args[0])
    return found


def readstringlist(ctx: "Context", *args: str) -> tuple[str, ...]:
    """The pieces of a file without its comments, split by a pattern, the empty ones left out."""
    return _list(ctx, args)


def readintlist(ctx: "Context", *args: str) -> tuple[str, ...]:
    """As readstringlist, each piece an integer."""
    return _numbers(ctx, args, "int", values.integer)


def readreallist(ctx: "Context", *args: str) -> tuple[str, ...]:
    """As readstringlist, each piece a real."""
    return _numbers(ctx, args, "real", values.real)


# arrays


def _array(ctx: "Context", args: tuple[str, ...], kind: str, *, indexed: bool = False) -> str:
    """Set the array that ARGS name from the file that they name."""
    array, path, comment, separator, most, size = args
    text = _content(ctx, path, size)
    if text is None:
        return "0"
    layout = reading.Layout(comment, separator, integer(ctx, most), kind)
    return reading.define_array(ctx, array, text, layout, where=path, indexed=indexed)


def readstringarray(ctx: "Context", *args: str) -> str:
    """Set array[first field][n] from the lines of a file; how many lines those were."""
    return _array(ctx, args, "string")


def readstringarrayidx(ctx: "Context", *args: str) -> str:
    """As readstringarray, but array[line][n]."""
    return _array(ctx, args, "string", indexed=True)


def readintarray(ctx: "Context", *args: str) -> str:
    """As readstringarray, each field an integer."""
    return _array(ctx, args, "int")


def readrealarray(ctx: "Context", *args: str) -> str:
    """As readstringarray, each field a real."""
    return _array(ctx, args, "real")


def _rows(ctx: "Context", function: str, args: tuple[str, ...]) -> list[list[str]]:
    """The fields of each line of a file."""
    path, comment, separator, most, size = args
    text = _content(ctx, path, size)
    if text is None:
        ctx.log(
            "error" if ctx.pass_number else "verbose",
            f"{function}: error reading from file '{path}'",
        )
        raise Failed(function)
    text = reading.stripped(ctx, text, comment, path)
    return reading.rows(ctx, text, separator, integer(ctx, most))


def data_readstringarray(ctx: "Context", *args: str) -> "dict[str, Any]":
    """The lines of a file by their first field."""
    found: dict[str, Any] = {}
    for row in _rows(ctx, "data_readstringarray", args):
        if row:
            found.pop(row[0], None)
            found[row[0]] = row[1:]
    return found


def data_readstringarrayidx(ctx: "Context", *args: str) -> "list[Any]":
    """The lines of a file, each an array of its fields."""
    return [row for row in _rows(ctx, "data_readstringarrayidx", args) if row]


# data


def _data(ctx: "Context", function: str, path: str, kind: str, most: str = _UNLIMITED) -> "Any":
    """The container in the file PATH of a KIND. Raises Failed."""
    try:
        return READERS[kind](ctx, path, integer(ctx, most))
    except Unreadable as reason:
        loud = kind not in QUIET and ctx.pass_number
        ctx.log("error" if loud else "verbose", f"{function}: {reason}")
        raise Failed(function) from None


def readjson(ctx: "Context", path: str, most: str = _UNLIMITED) -> "Any":
    """The container in a JSON file of at MOST so many bytes."""
    return _data(ctx, "readjson", path, "JSON", most)


def readyaml(ctx: "Context", path: str, most: str = _UNLIMITED) -> "Any":
    """The container in the first document of a YAML file."""
    return _data(ctx, "readyaml", path, "YAML", most)


def readcsv(ctx: "Context", path: str, most: str = _UNLIMITED) -> "Any":
    """The rows of a CSV file, whose lines end in CRLF."""
    return _data(ctx, "readcsv", path, "CSV", most)


def readenvfile(ctx: "Context", path: str, most: str = _UNLIMITED) -> "Any":
    """The settings in a file of NAME=value."""
    return _data(ctx, "readenvfile", path, "ENV", most)


def readdata(ctx: "Context", path: str, kind: str) -> "Any":
    """The data in a file of this KIND, or of that which its name promises."""
    return _data(ctx, "readdata", path, kind_of(path) if kind == "auto" else kind)


def validfiledata(ctx: "Context", path: str, kind: str) -> bool:
    """Whether there is data of this KIND in a file."""
    try:
        READERS[kind_of(path) if kind == "auto" else kind](ctx, path, ALL)
    except Unreadable as reason:
        ctx.log("verbose", f"validfiledata: {reason}")
        return False
    return True


# rows that hold here


def _table(ctx: "Context", path: str) -> "Iterator[tuple[int, list[str]]]":
    """The rows of a CSV file with their numbers, comments and empty ones left out."""
    try:
        text = values.text(ctx.host.read(path))
    except OSError as error:
        reason = error.strerror
        raise refusal(ctx, f"classfiltercsv: Failed to read file {path}: {reason}") from None
    for number, record in enumerate(tables.records(text), 1):
        if record.startswith("#") or not record.strip("\r\n"):
            continue
        row = tables.fields(record)
        if row is None:
            ctx.log("warning", f"classfiltercsv: Failed to parse line {number}, line ignored.")
        else:
            yield number, row


def classfiltercsv(
    ctx: "Context", path: str, has_heading: str, column: str, order: str | None = None
) -> "list[dict[str, str]]":
    """The rows of a CSV file whose class expression, in COLUMN, holds; sorted by column ORDER."""
    rows = _table(ctx, path)
    at = integer(ctx, column)
    width, heading = -1, None
    kept: list[list[str]] = []
    for number, row in rows:
        if width < 0:
            width = len(row)
            if at >= width:
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
    elif by >= width:
        ctx.log(
            "warning",
            f"classfiltercsv: sorting index {by} out of bounds. Not sorting data container.",
        )
    else:
        rows.sort(key=lambda row: values.octets(row[by]))


# what depends on what


def makerule(ctx: "Context", target: str, sources: "Any") -> str:
    """`any` if TARGET is missing or older than one of SOURCES, otherwise `!any`."""
    host = ctx.host
    made: os.stat_result | None = host.lstat(target)
    if made is not None and made.st_mode & 0o170000 != 0o100000:
        ctx.log(
            "warning", f"Function 'makerule' target-file '{target}' exists and is not a plain file"
        )
    if isinstance(sources, str) and host.lstat(sources) is not None:
        names = [sources]
    else:
        listed = map(values.raw, values.children(values.container(ctx, sources)))
        names = [name for name in listed if isinstance(name, str)]
    stale = made is None
    for name in names:
        status = host.lstat(name)
        if status is None:
            ctx.log(
                "verbose",
                f"Function 'makerule', source dependency {name} was not (yet) readable",
            )
            return "!any"
        stale = stale or int(status.st_mtime) > int(made.st_mtime if made is not None else 0)
    return "any" if stale else "!any"


# groups of hosts


def _groups(ctx: "Context", function: str, args: tuple[str, ...]) -> list[list[str]]:
    """The hosts in a file, in groups of so many; this host is called ""."""
    path, comment, size = args
    many = integer(ctx, size)
    if many < 2:
        message = f"Function {function}: called with a nonsensical group size of {many}, failing"
        raise refusal(ctx, message, "warning")
    text = _content(ctx, path, str(_MOST_PEERS))
    if text is None:
        raise Failed(function)
    ours = [ctx.facts[fact].value for fact in ("fqhost", "uqhost") if fact in ctx.facts]
    lines = reading.stripped(ctx, text, comment, path).split("\n")
    hosts = ["" if line in ours else line for line in lines if line]
    return [hosts[at : at + many] for at in range(0, len(hosts), many)]


def peers(ctx: "Context", *args: str) -> tuple[str, ...]:
    """The other hosts of our group."""
    for group in _groups(ctx, "peers", args):
        if "" in group:
            return tuple(host for host in group if host)
    return ()


def peerleader(ctx: "Context", *args: str) -> str:
    """The first host of our group."""
    for group in _groups(ctx, "peerleader", args):
        if "" in group:
            return group[0] or "localhost"
    raise Failed("peerleader")


def peerleaders(ctx: "Context", *args: str) -> tuple[str, ...]:
    """The first host of each group."""
    return tuple(group[0] or "localhost" for group in _groups(ctx, "peerleaders", args))
