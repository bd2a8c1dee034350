"""Functions that read files: whole, by line, as lists, arrays and data."""

from agent.functions.data_files import content, head
from policy import reading, values
from policy.errors import Failed
from policy.functions.arguments import integer, pattern, refusal, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from policy.context import Context

_MOST_FIELDS = 31


# texts


def text_of(ctx: "Context", path: str, limit: str = "0") -> str | None:
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
    text = text_of(ctx, path, limit)
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
    text = text_of(ctx, path, size)
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
    text = text_of(ctx, path, size)
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
    text = text_of(ctx, path, size)
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
