"""Functions that read files: whole, by line, as lists, arrays and data."""

from agent.functions.data_files import (
    ALL,
    QUIET,
    READERS,
    Unreadable,
    content,
    head,
    kind_of,
)
from policy import reading, tables, values
from policy.errors import Failed
from policy.functions.arguments import integer, pattern, refusal, short
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
    r"""What PATH holds, or the first LIMIT bytes of it (0: all).

    The newline at the end of a single line is cut off, otherwise all stays.
    Fails if PATH cannot be read.
    Example:
        /tmp/motd holds "hello\n"
        readfile("/tmp/motd") -> "hello"
        readfile("/tmp/motd", 2) -> "he"
    """
    if integer(ctx, limit) < 0:
        raise refusal(ctx, f"readfile: requested max size {limit} is less than 0")
    text = _content(ctx, path, limit)
    if text is None:
        raise Failed("readfile")
    return text


# lines


def _lines(ctx: "Context", path: str) -> list[str]:
    """The lines of PATH. Raises OSError."""
    data = content(ctx, path)
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [values.text(line.partition(b"\0")[0]) for line in lines]


def regline(ctx: "Context", expression: str, path: str) -> bool:
    r"""Whether EXPRESSION spans a line of PATH.

    Fails if EXPRESSION is bad; false if PATH cannot be read.
    Example:
        /tmp/hosts holds "web1\nweb2\n"
        regline("web\d", "/tmp/hosts") -> true
        regline("web", "/tmp/hosts") -> false
    """
    spans = pattern(ctx, expression).full
    try:
        return any(spans(line) for line in _lines(ctx, path))
    except OSError:
        return False


def countlinesmatching(ctx: "Context", expression: str, path: str) -> str:
    r"""How many lines of PATH EXPRESSION spans.

    Fails if EXPRESSION is bad; 0, with an error in the log, if PATH cannot be read.
    Example:
        /tmp/hosts holds "web1\nweb2\ndb1\n"
        countlinesmatching("web.*", "/tmp/hosts") -> 2
    """
    spans = pattern(ctx, expression).full
    try:
        return str(sum(spans(line) for line in _lines(ctx, path)))
    except IsADirectoryError as error:  # it can be opened, but not read
        raise refusal(ctx, f"Unable to read from '{path}' (fread: {error.strerror})") from None
    except OSError as error:
        ctx.log(
            "error",
            f"File '{path}' could not be read in countlinesmatching(). (fopen: {error.strerror})",
        )
        return "0"


def getfields(ctx: "Context", expression: str, path: str, separator: str, array: str) -> str:
    r"""How many lines of PATH EXPRESSION spans; the first is split into ARRAY[1], ARRAY[2]...

    SEPARATOR is a pattern.
    Fails if PATH cannot be read or EXPRESSION is bad.
    Example:
        /tmp/users holds "alice:1001:ops\nbob:1002:dev\n"
        vars:
          "n" int => getfields("bob:.*", "/tmp/users", ":", "field");
        reports:
          "$(n): $(field[1]) is in $(field[3])"; -> 1: bob is in dev
    """
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
    return tuple(reading.split(ctx, text, separator, short(ctx, most), blanks=False))


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
    r"""The pieces of a file, COMMENT cut out first, then split by SEPARATOR, both patterns.

    At most MOST pieces of the first LIMIT bytes; empty ones are left out.
    Fails if the file cannot be read.
    Example:
        /tmp/hosts holds "web1\nweb2 # old\n\ndb1\n"
        readstringlist("/tmp/hosts", "\s*#[^\n]*", "\n", 10, 1000) -> { "web1", "web2", "db1" }
    """
    return _list(ctx, args)


def readintlist(ctx: "Context", *args: str) -> tuple[str, ...]:
    r"""As readstringlist, each piece an integer.

    Fails if the file cannot be read or a piece is no integer.
    Example:
        /tmp/ports holds "80 443 # web\n"
        readintlist("/tmp/ports", "#[^\n]*", "\s+", 10, 1000) -> { "80", "443" }
    """
    return _numbers(ctx, args, "int", values.integer)


def readreallist(ctx: "Context", *args: str) -> tuple[str, ...]:
    r"""As readstringlist, each piece a real.

    Fails if the file cannot be read or a piece is no number.
    Example:
        /tmp/load holds "0.5 2.25\n"
        readreallist("/tmp/load", "#[^\n]*", "\s+", 10, 1000) -> { "0.5", "2.25" }
    """
    return _numbers(ctx, args, "real", values.real)


# arrays


def _array(ctx: "Context", args: tuple[str, ...], kind: str, *, indexed: bool = False) -> str:
    """Set the array that ARGS name from the file that they name."""
    array, path, comment, separator, most, size = args
    text = _content(ctx, path, size)
    if text is None:
        return "0"
    layout = reading.Layout(comment, separator, short(ctx, most), kind)
    return reading.define_array(ctx, array, text, layout, where=path, indexed=indexed)


def readstringarray(ctx: "Context", *args: str) -> str:
    r"""Set ARRAY[first field][n] from the lines of a file; how many lines those were.

    With n = 0 it is the first field itself. COMMENT is cut out first, then lines are split by
    SEPARATOR, both patterns; at most MOST lines of the first LIMIT bytes.
    Never fails: 0, with an error in the log, if the file cannot be read.
    Example:
        /tmp/users holds "alice:1001:ops\nbob:1002:dev\n"
        vars:
          "n" int => readstringarray("user", "/tmp/users", "#[^\n]*", ":", 10, 1000);
        reports:
          "$(n): $(user[bob][1]) $(user[bob][2])"; -> 2: 1002 dev
    """
    return _array(ctx, args, "string")


def readstringarrayidx(ctx: "Context", *args: str) -> str:
    r"""As readstringarray, but ARRAY[line][n], both counted from 0.

    Never fails: 0, with an error in the log, if the file cannot be read.
    Example:
        /tmp/users holds "alice:1001:ops\nbob:1002:dev\n"
        vars:
          "n" int => readstringarrayidx("user", "/tmp/users", "#[^\n]*", ":", 10, 1000);
        reports:
          "$(n): $(user[1][0]) is $(user[1][1])"; -> 2: bob is 1002
    """
    return _array(ctx, args, "string", indexed=True)


def readintarray(ctx: "Context", *args: str) -> str:
    r"""As readstringarray, each field an integer.

    Fields such as 10k are stored as numbers, 10000. One that is no integer ends the agent.
    Never fails: 0, with an error in the log, if the file cannot be read.
    Example:
        /tmp/limits holds "1:80:443\n"
        vars:
          "n" int => readintarray("port", "/tmp/limits", "#[^\n]*", ":", 10, 1000);
        reports:
          "$(n): $(port[1][1]) $(port[1][2])"; -> 1: 80 443
    """
    return _array(ctx, args, "int")


def readrealarray(ctx: "Context", *args: str) -> str:
    r"""As readstringarray, each field a real.

    One that is none ends the agent.
    Never fails: 0, with an error in the log, if the file cannot be read.
    Example:
        /tmp/load holds "1:0.5:2.25\n"
        vars:
          "n" int => readrealarray("load", "/tmp/load", "#[^\n]*", ":", 10, 1000);
        reports:
          "$(n): $(load[1][1]) $(load[1][2])"; -> 1: 0.5 2.25
    """
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
    return reading.rows(ctx, text, separator, short(ctx, most))


def data_readstringarray(ctx: "Context", *args: str) -> "dict[str, Any]":
    r"""The lines of a file by their first field, each an array of the other fields.

    COMMENT is cut out first, then lines are split by SEPARATOR, both patterns; at most MOST lines
    of the first LIMIT bytes.
    Fails if the file cannot be read.
    Example:
        /tmp/users holds "alice:1001:ops\nbob:1002:dev\n"
        data_readstringarray("/tmp/users", "#[^\n]*", ":", 10, 1000)
        -> {"alice":["1001","ops"],"bob":["1002","dev"]}
    """
    found: dict[str, Any] = {}
    for row in _rows(ctx, "data_readstringarray", args):
        if row:
            found.pop(row[0], None)
            found[row[0]] = row[1:]
    return found


def data_readstringarrayidx(ctx: "Context", *args: str) -> "list[Any]":
    r"""The lines of a file, each an array of its fields; arguments as of `data_readstringarray`.

    Fails if the file cannot be read.
    Example:
        /tmp/users holds "alice:1001\nbob:1002\n"
        data_readstringarrayidx("/tmp/users", "#[^\n]*", ":", 10, 1000)
        -> [["alice","1001"],["bob","1002"]]
    """
    return [row for row in _rows(ctx, "data_readstringarrayidx", args) if row]


# data


def _data(ctx: "Context", function: str, path: str, kind: str, most: str = _UNLIMITED) -> "Any":
    """The container in the file PATH of a KIND. Raises Failed."""
    limit = integer(ctx, most)
    try:
        return READERS[kind](ctx, path, limit if limit >= 0 else ALL)
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
        READERS[kind_of(path) if kind == "auto" else kind](ctx, path, ALL)
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


# what depends on what


def _seen(ctx: "Context", path: str) -> "os.stat_result | None":
    """What PATH is; None if there is no such thing, or if we cannot know."""
    try:
        found: os.stat_result | None = ctx.host.lstat(path)
    except OSError:
        return None
    return found


def makerule(ctx: "Context", target: str, sources: "Any") -> str:
    """`any` if TARGET is missing or older than one of SOURCES, otherwise `!any`, as in make.

    If one of a list of SOURCES is missing it is `!any`.
    Fails if SOURCES is no container and no file.
    Example:
        /tmp/a.c is of 2024-01-01
        /tmp/a.o is of 2020-01-01
        makerule("/tmp/a.o", "/tmp/a.c") -> "any"
    """
    made = _seen(ctx, target)
    if made is not None and made.st_mode & 0o170000 != 0o100000:
        ctx.log(
            "warning", f"Function 'makerule' target-file '{target}' exists and is not a plain file"
        )
    if isinstance(sources, str) and _seen(ctx, sources) is not None:
        names = [sources]
    else:
        listed = map(values.raw, values.children(values.container(ctx, sources)))
        names = [name for name in listed if isinstance(name, str)]
    stale = made is None
    for name in names:
        status = _seen(ctx, name)
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
    many = short(ctx, size)
    if many < 2:
        message = f"Function {function}: called with a nonsensical group size of {many}, failing"
        raise refusal(ctx, message, "warning")
    text = _content(ctx, path, str(_MOST_PEERS))
    if text is None:
        raise Failed(function)
    ours = [ctx.facts[fact].value for fact in ("fqhost", "uqhost") if fact in ctx.facts]
    lines = reading.stripped(ctx, text, comment, path).split("\n")
    hosts = ["" if line in ours else line for line in lines if line not in ("", "\r")]
    return [hosts[at : at + many] for at in range(0, len(hosts), many)]


def peers(ctx: "Context", *args: str) -> tuple[str, ...]:
    r"""The other hosts of our group: each SIZE hosts of the list in PATH, one a line, are one.

    COMMENT is a pattern that is cut out first. Empty if we are not in it.
    Fails if PATH cannot be read.
    Example:
        files:
          "/tmp/hosts" content => "a$(const.n)b$(const.n)$(sys.host)$(const.n)c$(const.n)";
        vars:
          "others" slist => peers("/tmp/hosts", "#[^\n]*", 2);
        reports:
          "$(others)"; -> c
    """
    for group in _groups(ctx, "peers", args):
        if "" in group:
            return tuple(host for host in group if host)
    return ()


def peerleader(ctx: "Context", *args: str) -> str:
    r"""The first host of our group, `localhost` if that is us; for groups see `peers`.

    Fails if we are in no group or PATH cannot be read.
    Example:
        files:
          "/tmp/hosts" content => "web1$(const.n)$(sys.host)$(const.n)";
        vars:
          "leader" string => peerleader("/tmp/hosts", "#[^\n]*", 2);
        reports:
          "$(leader)"; -> web1
    """
    for group in _groups(ctx, "peerleader", args):
        if "" in group:
            return group[0] or "localhost"
    raise Failed("peerleader")


def peerleaders(ctx: "Context", *args: str) -> tuple[str, ...]:
    r"""The first host of each group, `localhost` in place of our own name; for groups see `peers`.

    Fails if PATH cannot be read.
    Example:
        /tmp/hosts holds "web1\nweb2\nweb3\nweb4\n"
        peerleaders("/tmp/hosts", "#[^\n]*", 2) -> { "web1", "web3" }
    """
    return tuple(group[0] or "localhost" for group in _groups(ctx, "peerleaders", args))
