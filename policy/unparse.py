"""From tree to text that parses to the same tree. No format to speak of: people read `fmt`'s."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from policy.syntax import Body, Bundle, Call, Guard, List, ListRef, Name, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.syntax import Attribute, Policy, Promise, Rval

NEEDS_BACKSLASH = re.compile(r"""\\(?=[\\"'\n]|\Z)|\"""")


def unparse(policy: Policy) -> str:
    """The text of a file that holds the tree POLICY."""
    return "\n".join(line for block in policy.blocks for line in _block(block))


def _block(block: Bundle | Body) -> Iterator[str]:
    params = f"({', '.join(block.params)})" if block.params else ""
    match block:
        case Bundle():
            yield f"bundle {block.type} {block.name}{params}\n{{"
            for section in block.sections:
                yield f"{section.type}:"
                yield from _promises(section.promises)
        case Body(type="promise"):
            yield f"promise agent {block.name}{params}\n{{"
            yield from _settings(block.attributes)
        case Body():
            yield f"body {block.type} {block.name}{params}\n{{"
            yield from _settings(block.attributes)
    yield "}\n"


def _promises(promises: tuple[Promise, ...]) -> Iterator[str]:
    above: Guard | None = None
    for promise in promises:
        guard = promise.variable_guard or promise.guard
        if guard != above:
            yield _guard(guard)
        above = guard
        promisee = "" if promise.promisee is None else f" -> {_rval(promise.promisee)}"
        attributes = ", ".join(map(_attribute, promise.attributes))
        yield f"{_rval(promise.promiser)}{promisee} {attributes};"


def _settings(attributes: tuple[Attribute, ...]) -> Iterator[str]:
    above: Guard | None = None
    for attribute in attributes:
        if attribute.guard != above:
            yield _guard(attribute.guard)
        above = attribute.guard
        yield f"{_attribute(attribute)};"


def _guard(guard: Guard | None) -> str:
    if guard is None:
        return "any::"
    if not guard.variable:
        return f"{guard.text}::"
    quote = "'" if '"' in guard.text else '"'
    return f"{quote}{guard.text}{quote}::"


def _attribute(attribute: Attribute) -> str:
    return f"{attribute.name} => {_rval(attribute.value)}"


def _rval(rval: Rval) -> str:
    match rval:
        case Text(value, naked=False):
            escaped = NEEDS_BACKSLASH.sub(r"\\\g<0>", value)
            return f'"{escaped}"'
        case Text(value) | Name(value) | ListRef(value):
            return value
        case Call(name, args):
            return f"{name}({', '.join(map(_rval, args))})"
        case List(items):
            return f"{{ {', '.join(map(_rval, items))} }}"
