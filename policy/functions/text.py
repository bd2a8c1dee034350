"""Functions that make text of text. All of them count and cut octets, not characters."""

from policy import reading, values
from policy.functions import printf
from policy.functions.arguments import integer, pattern, refusal
from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context

_LONGEST = 4095  # octets in the buffers of the reference
_LONGEST_PIECE = 1023
_BLANK = " \t\n\r\v\f"


def concat(ctx: "Context", *parts: str) -> str:
    """PARTS with nothing between them."""
    joined = "".join(parts)
    if len(octets(joined)) > _LONGEST:
        raise refusal(ctx, "concat: the arguments are too long")
    return joined


def strcmp(ctx: "Context", one: str, other: str) -> bool:
    """Whether two texts are the same."""
    return one == other


def canonify(ctx: "Context", name: str) -> str:
    """NAME as the name of a class."""
    return values.canonify(name)[:_LONGEST]


def canonifyuniquely(ctx: "Context", name: str) -> str:
    """As `canonify`, and different for different names."""
    return values.canonify(f"{name}_{hash_(ctx, name, 'sha1')}")


def escape(ctx: "Context", plain: str) -> str:
    """A regular expression that means PLAIN itself."""
    return text(
        b"".join(
            [b"%c" % it if chr(it).isalnum() and it < 128 else b"\\%c" % it for it in octets(plain)]
        )
    )


def hash_(ctx: "Context", hashed: str, algorithm: str) -> str:
    """The digest of a text, in hexadecimal."""
    import hashlib

    return hashlib.new(algorithm, octets(hashed), usedforsecurity=False).hexdigest()


def translatepath(ctx: "Context", path: str) -> str:
    """PATH as this system writes it."""
    return path


def string_mustache(ctx: "Context", template: str, data: "Any" = None) -> str:
    """TEMPLATE rendered with DATA, or without it with all variables and classes."""
    from policy import mustache

    if data is None:
        from policy.functions.names import datastate

        content = datastate(ctx)
    else:
        content = values.container(ctx, data)
    try:
        return mustache.render(template, content)
    except mustache.Unrenderable as bad:
        raise refusal(ctx, str(bad), bad.level) from None


# parts of a text


def string_length(ctx: "Context", measured: str) -> str:
    """How many octets a text has."""
    return str(len(measured) if measured.isascii() else len(octets(measured)))


def string_head(ctx: "Context", whole: str, count: str) -> str:
    """The first COUNT octets; of a negative COUNT all but the last so many."""
    return text(octets(whole)[: integer(ctx, count)])


def string_tail(ctx: "Context", whole: str, count: str) -> str:
    """The last COUNT octets; of a negative COUNT all but the first so many."""
    number = integer(ctx, count)
    all_of_it = octets(whole)
    return text(all_of_it[-number:] if number < 0 else all_of_it[max(len(all_of_it) - number, 0) :])


def string_trim(ctx: "Context", whole: str) -> str:
    """A text without the blanks at its ends."""
    return whole.strip(_BLANK)


def string_upcase(ctx: "Context", mixed: str) -> str:
    """A text with its ASCII letters in upper case."""
    return text(octets(mixed).upper())


def string_downcase(ctx: "Context", mixed: str) -> str:
    """A text with its ASCII letters in lower case."""
    return text(octets(mixed).lower())


def string_reverse(ctx: "Context", forward: str) -> str:
    """The octets of a text from the last to the first."""
    return text(octets(forward)[::-1])


def string_replace(
    ctx: "Context", whole: str, find: "Any", replacement: "Any", mode: str = "strings"
) -> str:
    """WHOLE with every FIND replaced; in MODE `lists` each of a list by its partner, in turn."""
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
    """The first MOST pieces between matches of SEPARATOR."""
    return tuple(reading.split(ctx, whole, separator, integer(ctx, most), blanks=True))


def string_split(ctx: "Context", whole: str, separator: str, most: str) -> tuple[str, ...]:
    """The pieces between matches of SEPARATOR, the last of MOST with all the rest in it."""
    count = integer(ctx, most)
    if count < 1:
        raise refusal(
            ctx, f"string_split: the number of pieces has to be 1 or more, not {count}", "verbose"
        )
    compiled = pattern(ctx, separator)
    pieces: list[str] = []
    rest = octets(whole)
    while len(pieces) < count - 1:
        match = compiled.find(rest)
        if match is None:
            break
        start, end = match.octets()
        if start > _LONGEST_PIECE:
            ctx.log(
                "warning", f"string_split: a piece of {start} octets is cut to {_LONGEST_PIECE}"
            )
        pieces.append(text(rest[: min(start, _LONGEST_PIECE)]))
        rest = rest[end:]
    return (*pieces, text(rest))


def lastnode(ctx: "Context", whole: str, separator: str) -> str:
    """What stands behind the last SEPARATOR."""
    pieces = reading.split(ctx, whole, separator, 100, blanks=True)
    if not pieces:
        raise refusal(ctx, "lastnode: there is nothing to split", "verbose")
    return pieces[-1]


def basename(ctx: "Context", *arguments: str) -> str:
    """The last node of a path, without the suffix if that is the second argument."""
    if not arguments:
        raise refusal(ctx, "Function basename requires a filename as first arg!")
    path, suffix = (*arguments, "")[:2]
    name = path.rstrip("/").rpartition("/")[2] or path[:1]
    return name.removesuffix(suffix) if name != suffix else name


def dirname(ctx: "Context", path: str) -> str:
    """The path without its last node."""
    if not path:
        return ""
    nodes = [node for node in path.split("/") if node]
    root = "/" if path[0] == "/" else ""
    return root + "/".join(nodes[:-1]) or "."


# format

_REFUSED_MODIFIERS = frozenset("hLqjzt")


def format_(ctx: "Context", template: str, *arguments: "Any") -> str:
    """TEMPLATE with ARGUMENTS in the places of its specifications, as C's printf has it."""
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
        variable = ctx.variable(argument)
        if variable is not None and variable.type == "slist":
            items = [item.replace('"', '\\"') for item in variable.value]
            return "{ " + ", ".join([f'"{item}"' for item in items]) + " }"
    return values.dump_json(values.container(ctx, argument))
