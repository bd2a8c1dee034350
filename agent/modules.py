"""What modules say: lines that set classes and variables, by their first character.

^context=NAME ^meta=T1,T2 ^persistence=MINUTES   for the lines that follow
+class   -class,class   =name=text   @name={ "a", 'b' }   %name=JSON   &name=/path of data
"""

from policy import values
from policy.context import Scope, Variable, parse_reference
from policy.errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from policy.context import Context

_LONGEST_CLASSES = 1024  # octets of a line, or of an item of a list
_LONGEST_TEXT = 4095
_LONGEST_LINE = 4096 + 256
_LONGEST_CONTEXT = 50
_LONGEST_TAGS = 1024


def take(
    ctx: "Context", text: str, command: str, *, say: "Callable[[str], None] | None" = None
) -> None:
    """Obey the lines of TEXT, which COMMAND wrote. SAY is given those that ask for nothing.

    Raises Fatal if a hard class is to be undefined.
    """
    module = _Module(ctx, command)
    for line in text.split("\n"):
        obey = _LINES.get(line[:1])
        if obey is not None:
            obey(module, line)
        elif line and say is not None:
            say(line)


def program(command: str) -> str:
    """The program that COMMAND starts: its first word, or what it quotes at its beginning."""
    if command.startswith('"'):
        return command[1:].partition('"')[0]
    return command.split(None, 1)[0] if command.strip() else ""


class _Module:
    """A module heard so far: where its variables go, their tags, how long its classes live."""

    __slots__ = ("command", "context", "ctx", "minutes", "tags")

    def __init__(self, ctx: "Context", command: str) -> None:
        self.ctx = ctx
        self.command = command
        self.context = values.canonify(program(command).rpartition("/")[2])
        self.minutes = 0
        self.tags: tuple[str, ...] = ("source=module", f"derived_from={command}")

    def define(self, name: str, value: "Any", kind: str) -> None:
        """Set the variable NAME in the scope of the module."""
        _, scope, base, indices = parse_reference(name)
        if scope is not None:
            base = f"{scope}.{base}"
        where = self.ctx.scopes.setdefault(self.context, Scope())
        self.ctx.put(where, base, indices, Variable(value, kind, self.tags))


def _too_long(module: _Module, line: str, kind: str, most: int) -> bool:
    """Whether LINE is longer than a line of its KIND may be, which is logged."""
    length = len(values.octets(line))
    if length <= most:
        return False
    module.ctx.log(
        "error",
        f"Module protocol was given an overlong {kind} line ({length} bytes), skipping",
    )
    return True


def _setting(module: _Module, line: str) -> None:
    """`^key=value`."""
    key, _, value = line[1:].partition("=")
    if key == "context" and value:
        value = value[:_LONGEST_CONTEXT]
        if value.isascii() and value.replace("_", "a").isalnum():
            module.context = value
        else:
            module.ctx.log(
                "error",
                f"Module protocol was given an unacceptable ^context directive '{value}', skipping",
            )
    elif key == "meta" and value:
        module.tags = (
            *value[:_LONGEST_TAGS].split(","),
            "source=module",
            f"derived_from={module.command}",
        )
    elif key == "persistence" and values.leading_integer(value)[0] is not None:
        module.minutes = values.leading_integer(value)[0] or 0
    else:
        module.ctx.log("info", f"Unknown extended module command '{line}'")


def _activate(module: _Module, line: str) -> None:
    """`+class` or `+ns:class`."""
    if not _too_long(module, line, "+class", _LONGEST_CLASSES):
        namespace, colon, name = line[1:].rpartition(":")
        name = values.canonify(namespace) + colon + values.canonify(name)
        minutes = max(module.minutes, 0)
        module.ctx.set_class(name, module.tags, minutes=minutes, timer="absolute")


def _deactivate(module: _Module, line: str) -> None:
    """`-class,class`: what persists of them stays."""
    if _too_long(module, line, "-class", _LONGEST_CLASSES):
        return
    ctx = module.ctx
    for name in line[1:].split(","):
        plain = name.removeprefix("default:")
        if plain in ctx.hard:
            raise Fatal(f"Cannot negate the reserved class '{name}'")
        for known, key in ((ctx.soft, ctx.class_key(plain)), (ctx.frame.classes, plain)):
            if known.pop(key, None) is not None:
                ctx.version += 1


def _parts(line: str) -> tuple[str, str]:
    """The name and the value of a line that sets a variable."""
    name, _, value = line[1:].partition("=")
    return name, values.text(values.octets(value)[:_LONGEST_TEXT])


def _string(module: _Module, line: str) -> None:
    """`=name=text`."""
    if not _too_long(module, line, "variable =", _LONGEST_LINE):
        name, value = _parts(line)
        module.define(name, value, "string")


def _list(module: _Module, line: str) -> None:
    """`@name={ "a", 'b' }`."""
    if _too_long(module, line, "variable @", _LONGEST_LINE - 1):
        return
    name, text = _parts(line)
    items = _items(text.strip(" \t"))
    if items is None:
        module.ctx.log(
            "error",
            f"Module protocol could not parse variable {name}'s data content {text}",
        )
    elif any(len(values.octets(item)) > _LONGEST_CLASSES for item in items):
        module.ctx.log(
            "error",
            "Module protocol was given a variable @ line with an oversize entry, skipping",
        )
    else:
        module.define(name, tuple(items), "slist")


def _items(text: str) -> list[str] | None:
    """The items of a list as written, None if it is none."""
    if text[:1] != "{" or text[-1:] != "}" or len(text) < 2:
        return None
    found: list[str] = []
    rest = text[1:-1].strip(" \t")
    while rest:
        quote = rest[0]
        end = rest.find(quote, 1)
        if quote not in ("'", '"') or end < 0:
            return None
        found.append(rest[1:end])
        rest = rest[end + 1 :].lstrip(" \t")
        if rest and rest[0] != ",":
            return None
        rest = rest[1:].lstrip(" \t")
    return found


def _data(module: _Module, line: str) -> None:
    """`%name=JSON`."""
    name, equals, text = line[1:].partition("=")
    if not equals:
        return
    try:
        value = values.parse_json(text)
    except values.BadJSON as bad:
        module.ctx.log("info", f"Failed to parse JSON '{text}' for module protocol: {bad}")
        return
    if isinstance(value, (dict, list)):
        module.define(name, values.normalised(value), "data")
    else:
        module.ctx.log("info", f"Module protocol JSON '{text}' should be object or array; wasn't")


def _file(module: _Module, line: str) -> None:
    """`&name=/path`."""
    from agent.functions import data_files

    name, path = _parts(line)
    ctx = module.ctx
    if not ctx.host.exists(path):
        ctx.log("error", f"could not load module file '{path}'")
        return
    read = data_files.READERS[data_files.kind_of(path)]
    try:
        value = read(ctx, path, data_files.ALL)
    except data_files.Unreadable as reason:
        ctx.log("error", f"module file protocol: {reason}")
        return
    module.define(name, values.normalised(value), "data")


_LINES: "dict[str, Callable[[_Module, str], None]]" = {
    "^": _setting, "+": _activate, "-": _deactivate, "=": _string, "@": _list, "%": _data,
    "&": _file,
}  # fmt: skip
