"""Functions that make text of text. All of them count and cut octets, not characters."""

from policy import reading, values
from policy.functions import printf
from policy.functions.arguments import digest, integer, pattern, refusal, short
from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context

_LONGEST = 4095  # octets in the buffers of the reference
_LONGEST_ESCAPED = 4093
_LONGEST_PIECE = 1023
_MOST_PIECES = 100_000  # where a separator matches nothing, and so never gets on
_BLANK = " \t\n\r\v\f"


def _cut(long: str) -> str:
    """What of a text fits into a buffer of the reference."""
    return long if len(long) * 4 <= _LONGEST else text(octets(long)[:_LONGEST])


def concat(ctx: "Context", *parts: str) -> str:
    """PARTS with nothing between them.

    Fails if the result is longer than 4095 bytes.
    Example:
        concat("web", "-", "01") -> "web-01"
    """
    joined = "".join(parts)
    if len(octets(joined)) > _LONGEST:
        raise refusal(ctx, "concat: the arguments are too long")
    return joined


def strcmp(ctx: "Context", one: str, other: str) -> bool:
    """Whether two texts are the same, byte for byte.

    Never fails.
    Example:
        strcmp("$(sys.os)", "linux") -> true
        strcmp("a", "A") -> false
    """
    return one == other


def canonify(ctx: "Context", name: str) -> str:
    """NAME as the name of a class: each byte that is no ASCII letter or digit becomes `_`.

    Never fails; what is behind the first 4095 bytes is cut off.
    Example:
        canonify("web-01.example") -> "web_01_example"
    """
    return values.canonify(name)[:_LONGEST]


def canonifyuniquely(ctx: "Context", name: str) -> str:
    """As `canonify`, with a SHA-1 of NAME behind it: different for different names.

    Never fails.
    Example:
        canonifyuniquely("a-b") -> "a_b_34fafddda8f42376094beb762e514a67b6f019e7"
    """
    return canonify(ctx, f"{name}_{hash_(ctx, name, 'sha1')}")


def escape(ctx: "Context", plain: str) -> str:
    r"""A regular expression that means PLAIN itself.

    A backslash is put before all but ASCII letters and digits.
    Never fails; long results are cut at 4093 bytes.
    Example:
        escape("10.0.0.1") -> "10\.0\.0\.1"
    """
    head = octets(plain)[:_LONGEST_ESCAPED]
    marked = [b"%c" % it if chr(it).isalnum() and it < 128 else b"\\%c" % it for it in head]
    return text(b"".join(marked)[:_LONGEST_ESCAPED])


def hash_(ctx: "Context", hashed: str, algorithm: str) -> str:
    """The digest of a text, in hexadecimal. Not for passwords: see `password`.

    Never fails.
    Example:
        hash("hello", "sha1") -> "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
    """
    made = digest(ctx, "hash", algorithm)
    if made is None:
        return ""
    made.update(octets(hashed))
    return made.hexdigest()


def translatepath(ctx: "Context", path: str) -> str:
    """PATH as this system writes it: unchanged, here; with backslashes where Windows is.

    Never fails.
    Example:
        translatepath("/etc/hosts") -> "/etc/hosts"
    """
    return path


def string_mustache(ctx: "Context", template: str, data: "Any" = None) -> str:
    """The mustache TEMPLATE rendered with DATA, or without it with what `datastate` gives.

    {{x}} is escaped for HTML, {{{x}}} is not; {{#x}} {{^x}} {{/x}} are sections, {{.}} is the
    item, {{@}} its key, {{%x}} and {{$x}} are JSON.
    Fails if TEMPLATE cannot be rendered or DATA is none.
    Example:
        string_mustache("{{#hosts}}{{.}};{{/hosts}}", '{"hosts": ["a", "b"]}') -> "a;b;"
    """
    from policy import mustache

    if data is None:
        from policy.functions.names import datastate

        content = datastate(ctx)
    else:
        content = values.container(ctx, data, primitives=True)
    try:
        return mustache.render(template, content)
    except mustache.Unrenderable as bad:
        raise refusal(ctx, str(bad), bad.level) from None


# parts of a text


def string_length(ctx: "Context", measured: str) -> str:
    """How many bytes a text has (an `é` has two).

    Never fails.
    Example:
        string_length("hello") -> 5
    """
    return str(len(measured) if measured.isascii() else len(octets(measured)))


def string_head(ctx: "Context", whole: str, count: str) -> str:
    """The first COUNT bytes; of a negative COUNT, all but the last so many.

    Never fails.
    Example:
        string_head("webserver", 3) -> "web"
        string_head("webserver", "-6") -> "web"
    """
    return text(octets(whole)[: integer(ctx, count)])


def string_tail(ctx: "Context", whole: str, count: str) -> str:
    """The last COUNT bytes; of a negative COUNT, all but the first so many.

    Never fails.
    Example:
        string_tail("webserver", 6) -> "server"
        string_tail("webserver", "-3") -> "server"
    """
    number = integer(ctx, count)
    all_of_it = octets(whole)
    return text(all_of_it[-number:] if number < 0 else all_of_it[max(len(all_of_it) - number, 0) :])


def string_trim(ctx: "Context", whole: str) -> str:
    """A text without the blanks, tabs and newlines at its ends.

    Never fails.
    Example:
        string_trim("  a b  ") -> "a b"
    """
    return whole.strip(_BLANK)


def string_upcase(ctx: "Context", mixed: str) -> str:
    """A text with its ASCII letters in upper case.

    Never fails.
    Example:
        string_upcase("web-01") -> "WEB-01"
    """
    return text(octets(mixed).upper())


def string_downcase(ctx: "Context", mixed: str) -> str:
    """A text with its ASCII letters in lower case.

    Never fails.
    Example:
        string_downcase("Web-01") -> "web-01"
    """
    return text(octets(mixed).lower())


def string_reverse(ctx: "Context", forward: str) -> str:
    """The bytes of a text from the last to the first.

    Never fails.
    Example:
        string_reverse("abc") -> "cba"
    """
    return text(octets(forward)[::-1])


def string_replace(
    ctx: "Context", whole: str, find: "Any", replacement: "Any", mode: str = "strings"
) -> str:
    """WHOLE with every FIND replaced; in MODE `lists` each item of FIND by its partner, in turn.

    Plain text, no patterns: see `regex_replace`.
    Fails in MODE `lists` unless both are lists of the same length.
    Example:
        string_replace("a.b.c", ".", "/") -> "a/b/c"
    """
    pairs = [(find, replacement)] if mode != "lists" else _pairs(ctx, find, replacement)
    result = octets(whole)
    for old, new in pairs:
        if old:
            result = result.replace(octets(old), octets(new))
    return text(result)


def _pairs(ctx: "Context", find: "Any", replacement: "Any") -> list[tuple[str, str]]:
    """The items of two lists, which have to be of one length."""
    lists = [values.container(ctx, it, scalars=True) for it in (find, replacement)]
    if not all(isinstance(it, list) for it in lists) or len(lists[0]) != len(lists[1]):
        raise refusal(ctx, "string_replace: two lists of the same length are needed")
    return [(values.raw(old), values.raw(new)) for old, new in zip(lists[0], lists[1], strict=True)]


# splitting


def splitstring(ctx: "Context", whole: str, separator: str, most: str) -> tuple[str, ...]:
    """The first MOST pieces between matches of the pattern SEPARATOR; what is behind them is lost.

    Deprecated: `string_split` keeps the rest.
    Never fails: a bad SEPARATOR matches nowhere.
    Example:
        splitstring("a,b,c", ",", 2) -> { "a", "b" }
    """
    return tuple(reading.split(ctx, whole, separator, short(ctx, most), blanks=True))


def string_split(ctx: "Context", whole: str, separator: str, most: str) -> tuple[str, ...]:
    """The pieces between matches of the pattern SEPARATOR, the last of MOST with the rest.

    Fails if MOST is less than 1 or SEPARATOR is no regular expression.
    Example:
        string_split("a:b:c", ":", "inf") -> { "a", "b", "c" }
        string_split("a:b:c", ":", 2) -> { "a", "b:c" }
    """
    count = short(ctx, most)
    if count < 1:
        raise refusal(
            ctx, f"string_split: the number of pieces has to be 1 or more, not {count}", "verbose"
        )
    compiled = pattern(ctx, separator)
    pieces: list[str] = []
    rest, at = octets(whole), 0
    while len(pieces) < count - 1:
        match = compiled.find(rest, at)
        if match is None:
            break
        start, end = match.octets()
        if end == at and count > _MOST_PIECES:
            raise refusal(ctx, f"string_split: '{separator}' splits off {count} times nothing")
        if (length := start - at) > _LONGEST_PIECE:
            ctx.log(
                "warning", f"string_split: a piece of {length} octets is cut to {_LONGEST_PIECE}"
            )
        pieces.append(text(rest[at : min(start, at + _LONGEST_PIECE)]))
        rest, at = reading.behind(rest, end, separator)
    return (*pieces, text(rest[at:]))


def lastnode(ctx: "Context", whole: str, separator: str) -> str:
    r"""What stands behind the last match of the pattern SEPARATOR, at most the 100th piece.

    All of it if SEPARATOR does not match.
    Fails if WHOLE is empty.
    Example:
        lastnode("www.example.org", "\.") -> "org"
    """
    pieces = reading.split(ctx, whole, separator, 100, blanks=True)
    if not pieces:
        raise refusal(ctx, "lastnode: there is nothing to split", "verbose")
    return pieces[-1]


def basename(ctx: "Context", *arguments: str) -> str:
    """The last node of PATH, without SUFFIX if it ends so.

    Fails only without any argument.
    Example:
        basename("/etc/ssh/sshd_config") -> "sshd_config"
        basename("/srv/site.tar.gz", ".gz") -> "site.tar"
    """
    if not arguments:
        raise refusal(ctx, "Function basename requires a filename as first arg!")
    path, suffix = (*arguments, "")[:2]
    path = _cut(path)
    name = path.rstrip("/").rpartition("/")[2] or path[:1]
    return name.removesuffix(suffix) if name != suffix else name


def dirname(ctx: "Context", path: str) -> str:
    """PATH without its last node and without double slashes.

    Never fails.
    Example:
        dirname("/etc/ssh/sshd_config") -> "/etc/ssh"
        dirname("sshd_config") -> "."
    """
    path = _cut(path)
    if not path:
        return ""
    nodes = [node for node in path.split("/") if node]
    root = "/" if path[0] == "/" else ""
    return root + "/".join(nodes[:-1]) or "."


# format

_REFUSED_MODIFIERS = frozenset("hLqjzt")


def format_(ctx: "Context", template: str, *arguments: "Any") -> str:
    r"""TEMPLATE with ARGUMENTS in place of %s %d %o %x %f, as in printf(3), and of %S.

    %d prints 32 bits, %ld prints 64. %S prints the list, array or data that is named, as JSON.
    Fails if there are too few ARGUMENTS, at a length such as %hd, or if %S finds no container.
    Example:
        format("%-5s|%05d", "web", 42) -> "web  |00042"
        format("%S", '{"a": [1, 2]}') -> "{\"a\":[1,2]}"
    """
    shown: list[str] = []
    rest = list(arguments)
    for part in printf.parts(template):
        if part[:1] != "%":
            shown.append(part)
        elif part == "%%":
            shown.append("%")
        elif not rest:
            raise refusal(ctx, "format() didn't have enough parameters")
        else:
            shown.append(_formatted(ctx, part, rest.pop(0)))
    return "".join(shown)


def _formatted(ctx: "Context", written: str, argument: "Any") -> str:
    """ARGUMENT as the specification that is WRITTEN in the template shows it."""
    for char in written:
        if char in _REFUSED_MODIFIERS:
            raise refusal(
                ctx,
                f"format() does not allow modifier character '{char}' "
                f"in format specifier '{written}'.",
            )
    try:
        spec = printf.Spec(written)
    except OverflowError:
        raise refusal(ctx, f"format() makes no text as long as '{written}' wants it") from None
    except ValueError:
        if "*" in written or "$" in written:
            raise refusal(ctx, f"format() does not allow '{written}'") from None
        return written
    if spec.conversion == "S":
        return spec.string(_shown(ctx, argument))
    if spec.conversion not in "doxfs":
        return "(unhandled format)"
    if not isinstance(argument, str):
        raise refusal(ctx, f"format() cannot show a container as '{written}'")
    if spec.conversion == "s":
        return spec.string(argument)
    return spec.real(argument) if spec.conversion == "f" else spec.integer(argument)


def _shown(ctx: "Context", argument: "Any") -> str:
    """A container as JSON; a list of strings that is named as policy writes it."""
    if isinstance(argument, str):
        argument = values.outright(ctx, argument)
        variable = ctx.variable(argument)
        if variable is not None and variable.type == "slist":
            items = [item.replace('"', '\\"') for item in variable.value]
            return "{ " + ", ".join([f'"{item}"' for item in items]) + " }"
        part = values.named(ctx, argument, scalars=True) if variable is None else None
        if part is not None:  # even a primitive, if it is inside of a container
            return values.dump_json(part)
    return values.dump_json(values.container(ctx, argument))
