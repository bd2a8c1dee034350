"""Functions on lists and data containers: their direct primitive children, nulls left out."""

from policy import values
from policy.errors import Failed, Unresolved
from policy.evaluate import evaluate, handed, pending
from policy.functions.arguments import integer, pattern, refusal
from policy.json_text import json_values
from policy.numbers import one_at_a_time, rand
from policy.values import BadJSON, children, container, formatted, named, parse_json, raw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from policy.context import Context
    from policy.strings import Rval

_PATIENCE = 5  # seconds, with the command of mapdata
_OUTPUT = 100 * 1024 * 1024  # octets of what it prints


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
    """How many children there are, of whatever kind.

    For the length of a text see `string_length`.
    Fails if ITEMS is no list or container.
    Example:
        length('["a", "b"]') -> 2
        length('{"a": 1}') -> 1
    """
    return str(len(container(ctx, items)))


def nth(ctx: "Context", items: "Any", index: str) -> str:
    """The item at a position, from 0, or from the end if negative; or the one of a key.

    Fails if there is none, or it is a container itself.
    Example:
        nth('["a", "b", "c"]', 1) -> "b"
        nth('["a", "b", "c"]', "-1") -> "c"
        nth('{"port": "80"}', "port") -> "80"
    """
    found = container(ctx, items)
    try:
        item = found[index] if isinstance(found, dict) else found[integer(ctx, index)]
    except LookupError:
        raise Failed(index) from None
    if isinstance(item, (dict, list)):
        raise Failed(index)
    return raw(item)


def sublist(ctx: "Context", items: "Any", which: str, count: str) -> tuple[str, ...]:
    """The first (`head`) or last (`tail`) COUNT items.

    Fails if ITEMS is no list or container.
    Example:
        sublist('["a", "b", "c"]', "head", 2) -> { "a", "b" }
        sublist('["a", "b", "c"]', "tail", 1) -> { "c" }
    """
    found, number = stored(ctx, items), max(integer(ctx, count), 0)
    return tuple(found[:number] if which == "head" else found[max(len(found) - number, 0) :])


def join(ctx: "Context", glue: str, items: "Any") -> str:
    """The items with GLUE between them; containers inside and null are left out.

    Fails if ITEMS is no list or container.
    Example:
        join(", ", '["a", "b", "c"]') -> "a, b, c"
        join(", ", "nosuch") -> fails
    """
    return glue.join(stored(ctx, items))


def getindices(ctx: "Context", items: "Any") -> tuple[str, ...]:
    """The keys or positions of the children; none of what is no container.

    Never fails: { } for what is not there.
    Example:
        getindices('{"a": 1, "b": 2}') -> { "a", "b" }
        getindices('["x", "y"]') -> { "0", "1" }
    """
    try:
        found = container(ctx, items)
    except Failed:
        return ()
    return tuple(found) if isinstance(found, dict) else tuple(map(str, range(len(found))))


def getvalues(ctx: "Context", items: "Any") -> tuple[str, ...]:
    """The texts and numbers at any depth; reals with two decimals, null left out.

    Never fails: { } for what is not there.
    Example:
        getvalues('{"a": 1, "b": ["x", "y"]}') -> { "1", "x", "y" }
    """
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
    """The items from the last to the first.

    Fails if ITEMS is no list or container.
    Example:
        reverse('["a", "b"]') -> { "b", "a" }
    """
    return tuple(stored(ctx, items)[::-1])


def sort(ctx: "Context", items: "Any", mode: str = "lex") -> tuple[str, ...]:
    """The items in the order of MODE: lex (by bytes, if not given), int, real, IP or MAC.

    Equal items change places.
    Fails if ITEMS is no list or container.
    Example:
        sort('["10", "9", "a"]') -> { "10", "9", "a" }
        sort('["10", "9"]', "int") -> { "9", "10" }
    """
    from policy.functions.ordering import ordered

    return tuple(ordered(stored(ctx, items), mode))


def shuffle(ctx: "Context", items: "Any", seed: str) -> tuple[str, ...]:
    """The items in an order that only SEED decides: the same on every host and in every run.

    Fails if ITEMS is no list or container.
    Example:
        shuffle('["b", "a", "c", "a", "10", "9"]', "seed") -> { "10", "9", "c", "b", "a", "a" }
    """
    found = stored(ctx, items)
    random = rand(one_at_a_time(seed))
    for last in range(len(found) - 1, 0, -1):
        other = next(random) % (last + 1)
        found[last], found[other] = found[other], found[last]
    return tuple(found[::-1])


# sets


def unique(ctx: "Context", items: "Any") -> tuple[str, ...]:
    """Each item once, at its first place.

    Fails if ITEMS is no list or container.
    Example:
        unique('["a", "b", "a"]') -> { "a", "b" }
    """
    return tuple(dict.fromkeys(stored(ctx, items)))


def difference(ctx: "Context", items: "Any", others: "Any") -> tuple[str, ...]:
    """The items that are not among OTHERS, each once, in their order.

    Fails if one of the two is no list or container.
    Example:
        difference('["a", "b", "c"]', '["b"]') -> { "a", "c" }
    """
    excluded = set(stored(ctx, others))
    return tuple([it for it in unique(ctx, items) if it not in excluded])


def intersection(ctx: "Context", items: "Any", others: "Any") -> tuple[str, ...]:
    """The items that are also among OTHERS, each once, in their order.

    Fails if one of the two is no list or container.
    Example:
        intersection('["a", "b", "c"]', '["c", "a"]') -> { "a", "c" }
    """
    wanted = set(stored(ctx, others))
    return tuple([it for it in unique(ctx, items) if it in wanted])


# search


def _matches(ctx: "Context", expression: str, items: "Any") -> "list[tuple[str, bool]]":
    """Each item, and whether EXPRESSION matches all of it."""
    found = shown(ctx, items)
    matches = pattern(ctx, expression).full
    return [(it, it == expression or matches(it)) for it in found]


def grep(ctx: "Context", expression: str, items: "Any") -> tuple[str, ...]:
    """The items that EXPRESSION spans.

    Fails if ITEMS is no list or container or EXPRESSION is bad.
    Example:
        grep("web.*", '["web1", "db1", "web2"]') -> { "web1", "web2" }
    """
    return tuple([it for it, matches in _matches(ctx, expression, items) if matches])


def filter_(
    ctx: "Context", wanted: str, items: "Any", is_regex: str, invert: str, most: str
) -> tuple[str, ...]:
    """The first MOST items that are WANTED, or that it spans if IS_REGEX, or not if INVERT.

    Fails if ITEMS is no list or container or a regular expression is bad.
    Example:
        filter("web.*", '["web1", "db1", "web2"]', "true", "false", 10) -> { "web1", "web2" }
        filter("db1", '["web1", "db1"]', "false", "true", 10) -> { "web1" }
    """
    if values.truth(is_regex):
        found = _matches(ctx, wanted, items)
    else:
        found = [(it, it == wanted) for it in shown(ctx, items)]
    hits = [it for it, matches in found if matches is not values.truth(invert)]
    return tuple(hits[: max(integer(ctx, most), 0)])


def every(ctx: "Context", expression: str, items: "Any") -> bool:
    """Whether there are items, and EXPRESSION spans each of them.

    False if it is empty.
    Fails if ITEMS is no list or container or EXPRESSION is bad.
    Example:
        every("web.*", '["web1", "web2"]') -> true
        every("web.*", '["web1", "db1"]') -> false
    """
    found = _matches(ctx, expression, items)
    return bool(found) and all(matches for _, matches in found)


def some(ctx: "Context", expression: str, items: "Any") -> bool:
    """Whether EXPRESSION spans one of the items.

    Fails if ITEMS is no list or container or EXPRESSION is bad.
    Example:
        some("db.*", '["web1", "db1"]') -> true
        some("mail.*", '["web1", "db1"]') -> false
    """
    return any(matches for _, matches in _matches(ctx, expression, items))


def none(ctx: "Context", expression: str, items: "Any") -> bool:
    """Whether EXPRESSION spans none of the items; true if there are none.

    Fails if ITEMS is no list or container or EXPRESSION is bad.
    Example:
        none("web.*", '["db1", "db2"]') -> true
    """
    return not some(ctx, expression, items)


def reglist(ctx: "Context", items: "Any", expression: str) -> bool:
    """Whether EXPRESSION spans one of the items; arguments the other way round than of `some`.

    Fails if ITEMS is no list or container or EXPRESSION is bad.
    Example:
        reglist('["web1", "db1"]', "db.*") -> true
    """
    return some(ctx, expression, items)


def regarray(ctx: "Context", items: "Any", expression: str) -> bool:
    """Whether EXPRESSION spans one of the items; arguments the other way round than of `some`.

    Fails if ITEMS is no list or container or EXPRESSION is bad.
    Example:
        regarray('{"a": "x1"}', "x.") -> true
    """
    return some(ctx, expression, items)


# mapping


def maplist(ctx: "Context", template: "Rval", items: "Rval") -> tuple[str, ...]:
    """TEMPLATE for each item, as `$(this)`; TEMPLATE may be a call of a function.

    Fails if ITEMS is no list or container.
    Example:
        maplist("$(this).example.org", '["a", "b"]') -> { "a.example.org", "b.example.org" }
        maplist(string_upcase("$(this)"), '["a", "b"]') -> { "A", "B" }
    """
    found = stored(ctx, _prepared(ctx, items))
    return tuple([_made(ctx, {"this": it}, template, ("this",)) for it in found])


def maparray(ctx: "Context", template: str, items: "Any") -> tuple[str, ...]:
    """TEMPLATE for each entry, its key as `$(this.k)`, its value as `$(this.v)`.

    A value that is an object gives one text for each entry, its key as `$(this.k[1])`.
    Fails if ITEMS is no container or TEMPLATE stays unexpanded.
    Example:
        maparray("$(this.k)=$(this.v)", '{"a": 1, "b": 2}') -> { "a=1", "b=2" }
    """
    return tuple(_mapped(ctx, ctx.parsed(template), container(ctx, items), str))


def mapdata(ctx: "Context", mode: "Rval", template: "Rval", items: "Rval") -> "list[Any]":
    """As `maparray`, each text taken as MODE says: none, canonify, json (parsed), json_pipe.

    In MODE json_pipe TEMPLATE is a command that is given the container as JSON and answers in
    JSON.
    Fails if ITEMS is no container, or the command says nothing.
    Example:
        mapdata("none", "$(this.k)=$(this.v)", '{"a": 1}') -> ["a=1"]
        mapdata("json", '{"name": "$(this.v)"}', '["x", "y"]') -> [{"name":"x"},{"name":"y"}]
    """
    how = evaluate(mode, ctx)
    found = container(ctx, _prepared(ctx, items))
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


def _prepared(ctx: "Context", items: "Rval") -> "Any":
    """What ITEMS are, for a function that prepares its arguments itself. Raises Unresolved."""
    found = evaluate(items, ctx)
    if isinstance(found, str) and pending(found):
        raise Unresolved(found)
    return handed(found)


def _mapped(
    ctx: "Context", template: "Rval", found: "Any", escaped: "Callable[[str], str]"
) -> list[str]:
    """What TEMPLATE makes of each entry; of those inside a child each result only once."""
    made: list[str] = []
    known: set[str] = set()
    for key, inner, value in _entries(found):
        bindings = {"k": escaped(key), "v": escaped(raw(value))}
        if isinstance(inner, str):
            bindings["k[1]"] = inner
        result = _made(ctx, bindings, template, ("this.k", "this.v"))
        if inner is None or result not in known:
            made.append(result)
            known.add(result)
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
        finished = ctx.host.execute(
            command, stdin=values.octets(text), timeout=_PATIENCE, merge=False, limit=_OUTPUT
        )
    except OSError as error:
        raise refusal(ctx, f"mapdata: '{command}' cannot be run: {error}") from None
    if finished.returncode:
        ctx.log("verbose", f"'{command}' ended with {finished.returncode}")
    if finished.err:
        ctx.log("warning", f"mapdata: '{command}' says '{values.text(finished.err).strip()}'")
    if not finished.out:
        raise refusal(ctx, f"mapdata: '{command}' printed nothing")
    return list(json_values(values.text(finished.out)))
