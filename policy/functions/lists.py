"""Functions on lists and data containers: their direct primitive children, nulls left out."""

from policy import values
from policy.errors import Failed
from policy.evaluate import evaluate
from policy.functions.arguments import integer, pattern, refusal
from policy.numbers import one_at_a_time, rand
from policy.values import BadJSON, children, container, formatted, named, parse_json, raw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from policy.context import Context
    from policy.strings import Rval

_PATIENCE = 5  # seconds, with the command of mapdata


def stored(ctx: "Context", items: "Any") -> list[str]:
    """The primitive items as they are stored. Raises Failed."""
    return [raw(it) for it in children(container(ctx, items)) if _primitive(it)]


def shown(ctx: "Context", items: "Any") -> list[str]:
    """The primitive items as numbers are shown, reals with two decimals. Raises Failed."""
    return _shown(container(ctx, items))


def _shown(items: "Any") -> list[str]:
    return [formatted(it) or "" for it in children(items) if _primitive(it)]


def _primitive(item: "Any") -> bool:
    return item is not None and not isinstance(item, (dict, list))


# size and items


def length(ctx: "Context", items: "Any") -> str:
    """How many children there are, of whatever kind."""
    return str(len(container(ctx, items)))


def nth(ctx: "Context", items: "Any", index: str) -> str:
    """The item at a position (from the end if negative) or of a key."""
    found = container(ctx, items)
    try:
        item = found[index] if isinstance(found, dict) else found[integer(ctx, index)]
    except LookupError:
        raise Failed(index) from None
    if isinstance(item, (dict, list)):
        raise Failed(index)
    return raw(item)


def sublist(ctx: "Context", items: "Any", which: str, count: str) -> tuple[str, ...]:
    """The first (`head`) or last (`tail`) COUNT items."""
    found, number = stored(ctx, items), max(integer(ctx, count), 0)
    return tuple(found[:number] if which == "head" else found[max(len(found) - number, 0) :])


def join(ctx: "Context", glue: str, items: "Any") -> str:
    """The items with GLUE between them."""
    return glue.join(stored(ctx, items))


def getindices(ctx: "Context", items: "Any") -> tuple[str, ...]:
    """The keys or positions of the children; none of what is no container."""
    try:
        found = container(ctx, items)
    except Failed:
        return ()
    return tuple(found) if isinstance(found, dict) else tuple(map(str, range(len(found))))


def getvalues(ctx: "Context", items: "Any") -> tuple[str, ...]:
    """The primitives at any depth; none of what is not there."""
    try:
        found = container(ctx, items, scalars=True)
    except Failed:
        return ()
    return tuple(_leaves(found))


def _leaves(value: "Any") -> "Iterator[str]":
    if isinstance(value, (dict, list)):
        for child in children(value):
            yield from _leaves(child)
    elif value is not None:
        yield formatted(value) or ""


# order


def reverse(ctx: "Context", items: "Any") -> tuple[str, ...]:
    """The items from the last to the first."""
    return tuple(stored(ctx, items)[::-1])


def sort(ctx: "Context", items: "Any", mode: str = "lex") -> tuple[str, ...]:
    """The items in the order of MODE."""
    from policy.functions.ordering import ordered

    return tuple(ordered(stored(ctx, items), mode))


def shuffle(ctx: "Context", items: "Any", seed: str) -> tuple[str, ...]:
    """The items in an order that only SEED decides."""
    found = stored(ctx, items)
    random = rand(one_at_a_time(seed))
    for last in range(len(found) - 1, 0, -1):
        other = next(random) % (last + 1)
        found[last], found[other] = found[other], found[last]
    return tuple(found[::-1])


# sets


def unique(ctx: "Context", items: "Any") -> tuple[str, ...]:
    """Each item once, at its first place."""
    return tuple(dict.fromkeys(stored(ctx, items)))


def difference(ctx: "Context", items: "Any", others: "Any") -> tuple[str, ...]:
    """The items that are not among OTHERS, each once."""
    excluded = set(stored(ctx, others))
    return tuple([it for it in unique(ctx, items) if it not in excluded])


def intersection(ctx: "Context", items: "Any", others: "Any") -> tuple[str, ...]:
    """The items that are also among OTHERS, each once."""
    wanted = set(stored(ctx, others))
    return tuple([it for it in unique(ctx, items) if it in wanted])


# search


def _matches(ctx: "Context", expression: str, items: "Any") -> "list[tuple[str, bool]]":
    """Each item, and whether EXPRESSION matches all of it."""
    found = shown(ctx, items)
    matches = pattern(ctx, expression).full
    return [(it, it == expression or matches(it)) for it in found]


def grep(ctx: "Context", expression: str, items: "Any") -> tuple[str, ...]:
    """The items that a regular expression matches."""
    return tuple([it for it, matches in _matches(ctx, expression, items) if matches])


def filter_(
    ctx: "Context", wanted: str, items: "Any", is_regex: str, invert: str, most: str
) -> tuple[str, ...]:
    """The first MOST items that are WANTED, or that it matches, or INVERTed that it does not."""
    if values.truth(is_regex):
        found = _matches(ctx, wanted, items)
    else:
        found = [(it, it == wanted) for it in shown(ctx, items)]
    hits = [it for it, matches in found if matches is not values.truth(invert)]
    return tuple(hits[: max(integer(ctx, most), 0)])


def every(ctx: "Context", expression: str, items: "Any") -> bool:
    """Whether there are items, and a regular expression matches each of them."""
    found = _matches(ctx, expression, items)
    return bool(found) and all(matches for _, matches in found)


def some(ctx: "Context", expression: str, items: "Any") -> bool:
    """Whether a regular expression matches one of the items."""
    return any(matches for _, matches in _matches(ctx, expression, items))


def none(ctx: "Context", expression: str, items: "Any") -> bool:
    """Whether a regular expression matches none of the items."""
    return not some(ctx, expression, items)


def reglist(ctx: "Context", items: "Any", expression: str) -> bool:
    """As `some`."""
    return some(ctx, expression, items)


def regarray(ctx: "Context", items: "Any", expression: str) -> bool:
    """As `some`."""
    return some(ctx, expression, items)


# mapping


def maplist(ctx: "Context", template: "Rval", items: "Rval") -> tuple[str, ...]:
    """TEMPLATE for each item, as `$(this)`. Both come as they are written."""
    found = stored(ctx, evaluate(items, ctx))
    return tuple([_made(ctx, {"this": it}, template, ("this",)) for it in found])


def maparray(ctx: "Context", template: str, items: "Any") -> tuple[str, ...]:
    """TEMPLATE for each entry, its key as `$(this.k)`, its value as `$(this.v)`."""
    return tuple(_mapped(ctx, ctx.parsed(template), container(ctx, items), str))


def mapdata(ctx: "Context", mode: "Rval", template: "Rval", items: "Rval") -> "list[Any]":
    """As `maparray`, what is made taken as MODE says. The arguments come as they are written."""
    how = evaluate(mode, ctx)
    found = container(ctx, evaluate(items, ctx))
    if how == "json_pipe":
        return _piped(ctx, evaluate(template, ctx), found)
    if how != "json":
        made = _mapped(ctx, template, found, str)
        return [values.canonify(it) for it in made] if how == "canonify" else list(made)
    parsed = []
    for text in _mapped(ctx, template, found, lambda it: it.replace('"', '\\"')):
        try:
            parsed.append(parse_json(text, lambda word: named(ctx, word, scalars=True)))
        except BadJSON:
            continue
    return parsed


def _mapped(
    ctx: "Context", template: "Rval", found: "Any", escaped: "Callable[[str], str]"
) -> list[str]:
    """What TEMPLATE makes of each entry; of those inside a child each result only once."""
    made: list[str] = []
    for key, inner, value in _entries(found):
        bindings = {"k": escaped(key), "v": escaped(raw(value))}
        if isinstance(inner, str):
            bindings["k[1]"] = inner
        result = _made(ctx, bindings, template, ("this.k", "this.v"))
        if inner is None or result not in made:
            made.append(result)
    return made


def _entries(found: "Any") -> "Iterator[tuple[str, str | int | None, Any]]":
    """Key, key or position inside the child if the value is from there (or None), and value.

    Only the reals of an object keep the digits that they were written with.
    """
    entries = found.items() if isinstance(found, dict) else enumerate(values.normalised(found))
    for key, value in entries:
        if isinstance(value, dict):
            yield from [(str(key), inner, it) for inner, it in value.items() if _primitive(it)]
        elif isinstance(value, list):
            yield from [(str(key), at, it) for at, it in enumerate(value) if _primitive(it)]
        else:
            yield str(key), None, value


def _made(
    ctx: "Context", bindings: dict[str, str], template: "Rval", needed: tuple[str, ...]
) -> str:
    """TEMPLATE with BINDINGS below `this`. Raises Failed if one of NEEDED is in the result."""
    outer = ctx.this
    ctx.this = {**outer, **bindings}
    try:
        made = evaluate(template, ctx)
    finally:
        ctx.this = outer
    if isinstance(made, bool):
        return "any" if made else "!any"
    if not isinstance(made, str) or any(
        f"$({name})" in made or f"${{{name}}}" in made for name in needed
    ):
        raise Failed("map")
    return made


def _piped(ctx: "Context", command: str, found: "Any") -> "list[Any]":
    """The JSON that COMMAND makes of a container."""
    text = values.dump_json(found, pretty=True)
    try:
        finished = ctx.host.execute(command, stdin=values.octets(text), timeout=_PATIENCE)
    except OSError as error:
        raise refusal(ctx, f"mapdata: '{command}' cannot be run: {error}") from None
    if finished.returncode:
        ctx.log("verbose", f"'{command}' ended with {finished.returncode}")
    if not finished.out:
        raise refusal(ctx, f"mapdata: '{command}' printed nothing")
    parsed: list[Any] = []
    text = ""
    for line in values.text(finished.out).splitlines(keepends=True):
        text += line
        try:
            parsed.append(parse_json(text))
        except BadJSON:
            continue
        text = ""
    return parsed
