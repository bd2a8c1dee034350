"""List iteration: a promise that mentions `$(list)` is kept once for each combination of items."""

from policy.context import primitive
from policy.evaluate import evaluate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from policy.context import Context
    from policy.strings import Rval


def items(value: "Any") -> "tuple[str, ...] | None":
    """What `$(value)` iterates over: the items of a list, the primitives of a container."""
    if type(value) is tuple:
        return value
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return None
    found = [primitive(child) for child in value if not isinstance(child, (dict, list))]
    return tuple([text for text in found if text is not None])


def iterates(references: "tuple[Rval, ...]", ctx: "Context") -> bool:
    """Whether one of REFERENCES means a list or a container, as far as can be seen beforehand."""
    for name in references:
        if type(name) is not str:
            return True  # whose name depends on others: look while iterating
        value = ctx.lookup(name)
        if value is not None and type(value) is not str:
            return True
    return False


def combinations(
    references: "tuple[Rval, ...]", ctx: "Context", *, chooses: bool = False
) -> "Iterator[None]":
    """Bind `ctx.wheels` to each combination of the items of REFERENCES, the last one fastest.

    A combination in which a name made of references means nothing is left out, unless the promise
    CHOOSES: what it does not choose need not have a value.
    """
    ctx.wheels = {}
    try:
        yield from _spin(references, 0, ctx, chooses)
    finally:
        ctx.wheels = {}


def _spin(
    references: "tuple[Rval, ...]", at: int, ctx: "Context", chooses: bool
) -> "Iterator[None]":
    """Bind the references from AT on; those before are bound."""
    if at == len(references):
        yield
        return
    wheels = ctx.wheels
    written = references[at]
    name = written if type(written) is str else evaluate(written, ctx)
    if name in wheels:
        yield from _spin(references, at + 1, ctx, chooses)
        return
    value = ctx.lookup(name)
    choices = items(value)
    if choices is None:
        if value is None and type(written) is not str and not (chooses or _bound_later(name)):
            return
        yield from _spin(references, at + 1, ctx, chooses)
        return
    for choice in choices:
        wheels[name] = choice
        ctx.wheels = wheels
        yield from _spin(references, at + 1, ctx, chooses)
    wheels.pop(name, None)


def _bound_later(name: str) -> bool:
    """Whether what is unknown in NAME has a value only while the promise is kept, or mapped."""
    return any(start in name for start in ("$(this", "${this", "$(with)", "${with}"))
