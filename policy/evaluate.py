"""Right-hand sides and what they are worth: one small function an operator.

An rval is a `str` (a constant) or a tuple headed by its operator:

    ("cat", part, ...)         text with references in it
    ("var", name, brackets)    `$(name)`; left as written while it has no value
    ("at", name, brackets)     `@(name)`; spliced in a list, text elsewhere
    ("list", item, ...)        `{ "a", @(b), f() }`; ("const", (text, ...)) if it is all plain
    ("call", name, arg, ...)   a function
    ("json", text)             a container written in the policy
    ("option", value, attribute, words)   what must turn out to be one of these words
"""

from policy.errors import Failed, Fatal, Unresolved, Unusable
from policy.strings import expandable, is_list_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from policy.context import Context
    from policy.strings import Rval


def evaluate(rval: "Rval", ctx: "Context") -> "Any":
    """The value of RVAL in CTX: text, a tuple of texts, a container, or a bool (class functions).

    A reference without a value stays as text. Raises Unresolved if a function in it cannot be
    called yet, Failed if it was called and gave nothing.
    """
    return rval if type(rval) is str else OPERATORS[rval[0]](rval, ctx)


def expand(text: str, ctx: "Context") -> str:
    """TEXT with its references replaced by their values, and those in them; the others stay."""
    if "$" not in text:
        return text
    value: str = evaluate(ctx.parsed(text), ctx)
    return value


def _var(rval: "Any", ctx: "Context") -> str:
    """The value of `$(name)`, or the reference itself."""
    name = rval[1]
    if type(name) is not str:
        name = evaluate(name, ctx)
    value = ctx.lookup(name)
    if type(value) is str:
        if "$" in value and name not in ctx.expanding and not name.startswith("this."):
            ctx.expanding.add(name)  # a name in its own value stays as it is
            try:
                return expand(value, ctx)
            finally:
                ctx.expanding.discard(name)
        return value
    return f"$({name})" if rval[2] == "()" else f"${{{name}}}"


def _cat(rval: "Any", ctx: "Context") -> str:
    return "".join([part if type(part) is str else _text(part, ctx) for part in rval[1:]])


def _text(part: "Any", ctx: "Context") -> str:
    """A part of a text: a reference, or the call that was given for a parameter of a body."""
    if part[0] == "var":
        return _var(part, ctx)
    value = evaluate(part, ctx)
    if type(value) is bool:
        return "any" if value else "!any"
    if type(value) is not str:
        raise Unresolved("a list or a container is no part of a text")
    return value


def _at(rval: "Any", ctx: "Context") -> str:
    """`@(name)` as text, with what is in its name expanded."""
    name = evaluate(rval[1], ctx)
    return f"@({name})" if rval[2] == "()" else f"@{{{name}}}"


def _list(rval: "Any", ctx: "Context") -> tuple[str, ...]:
    """The items of a list, lists in it spliced."""
    items: list[str] = []
    for item in rval[1:]:
        if type(item) is str:
            items.append(item)
        elif item[0] == "at":
            items.extend(_spliced(item, ctx))
        else:
            value = evaluate(item, ctx)
            if type(value) is tuple:
                items.extend(value)
            elif type(value) is bool:
                items.append("any" if value else "!any")
            elif type(value) is str:
                # a reference that turned out to hold the text of a list reference
                items.extend(_respliced(value, ctx) if value[:1] == "@" else (value,))
            else:
                raise Unresolved("a data container is no item of a list")
    return tuple(items)


def _spliced(item: "Any", ctx: "Context") -> tuple[str, ...]:
    """The items of `@(name)`; the reference as the only item while there is no such list."""
    text = _at(item, ctx)
    value = ctx.unbound(text[2:-1])
    if type(value) is tuple:
        spliced: list[str] = []
        for entry in value:
            if "$" in entry:
                entry = expand(entry, ctx)
            if entry[:1] == "@" and entry != text and is_list_reference(entry):
                spliced.extend(_respliced(entry, ctx))
            else:
                spliced.append(entry)
        return tuple(spliced)
    if isinstance(value, (dict, list)):
        ctx.log("warning", f"'{text}' failed - variable is not list but data")
        return ()
    return (text,)


def _respliced(text: str, ctx: "Context") -> tuple[str, ...]:
    """TEXT, or the items of the list that it names."""
    if not is_list_reference(text):
        return (text,)
    value = ctx.unbound(text[2:-1])
    return value if type(value) is tuple else (text,)


def _const(rval: "Any", ctx: "Context") -> tuple[str, ...]:
    items: tuple[str, ...] = rval[1]
    return items


def _json(rval: "Any", ctx: "Context") -> "Any":
    """A container from the text of the policy, fresh each time."""
    from policy.values import parse_json

    return parse_json(rval[1])


def _option(rval: "Any", ctx: "Context") -> "Any":
    """A value that must be one of certain words, once it is known. Raises Fatal."""
    value = evaluate(rval[1], ctx)
    if type(value) is str and value not in rval[3] and not expandable(value):
        raise out_of_bounds(rval[2], value)
    return value


def out_of_bounds(name: str, value: str) -> Fatal:
    """The end of a run in which the attribute NAME gets a VALUE that it cannot have."""
    if name == "action_policy":
        return Fatal(f"Unrecognized 'action_policy' value '{value}'")
    return Fatal(
        f"In attribute '{name}', Selection is out of bounds. Given attribute value '{value}'"
    )


def _call(rval: "Any", ctx: "Context") -> "Any":
    """Call a function: prepare its arguments, skip it while one of them is unresolved."""
    name = rval[1]
    function, flags, count = ctx.callee(name)
    if "D" in flags:
        return _called(function, name, rval[2:], ctx)
    if name == "ifelse" and len(rval) == 5:
        return _choice(function, rval, ctx)
    args = _arguments(rval, flags, ctx)
    if count >= 0 and len(args) != count:
        raise Fatal(
            f"Arguments to function '{name}' do not tally. Expected {count} not {len(args)}"
        )
    if "V" in flags and not _tally(flags, len(args)):
        ctx.log("error", f"function '{name}' cannot take {len(args)} arguments")
        raise Failed(name)
    if "$" in "".join([arg for arg in args if type(arg) is str]):
        relaxed = name == "ifelse" and len(args) == 3
        if not relaxed and any(type(arg) is str and pending(arg) for arg in args):
            raise Unresolved(name)
    if "K" not in flags or not ctx.cache_functions:
        return _called(function, name, args, ctx)
    key = (name, *args)
    if key not in ctx.cached_calls:
        ctx.cached_calls[key] = _called(function, name, args, ctx)
    return ctx.cached_calls[key]


def _called(function: "Any", name: str, args: "Sequence[Any]", ctx: "Context") -> "Any":
    """What the FUNCTION called NAME makes of ARGS. A pattern whose search is given up fails it."""
    try:
        return function(ctx, *args)
    except Unusable as bad:
        ctx.log("error", str(bad))
        raise Failed(name) from None


def _choice(function: "Any", rval: "Any", ctx: "Context") -> "Any":
    """An `ifelse` of three arguments: what it does not choose need not have a value."""
    args = _arguments(rval[:3], "", ctx)
    failed: dict[str, Unresolved] = {}
    for number, arg in enumerate(rval[3:]):
        try:
            args += _arguments(("call", "ifelse", arg), "", ctx)
        except Unresolved as error:
            mark = f"\0{number}"  # no text of a policy
            failed[mark] = error
            args.append(mark)
    chosen = _called(function, "ifelse", args, ctx)
    if chosen in failed:
        raise failed[chosen]
    return chosen


_MAPPED = ("$(this)", "$(this.k)", "$(this.k[1])", "$(this.v)",
           "${this}", "${this.k}", "${this.k[1]}", "${this.v}")  # fmt: skip


def pending(text: str) -> bool:
    """Whether an argument holds a reference without a value, so that its function has to wait.

    What a map function binds does not wait, nor does anything beside it.
    """
    return refers(text) and not any(mark in text for mark in _MAPPED)


def refers(text: str) -> bool:
    """Whether TEXT holds a reference.

    One whose first reference has a slash in it and none inside does not: `$(/bin/date)`.
    """
    starts = [at for at in (text.find("$("), text.find("${")) if at >= 0]
    if not starts:
        return False
    start = min(starts) + 1
    depth = 0
    for end in range(start, len(text)):
        if text[end] in "({":
            depth += 1
        elif text[end] in ")}":
            depth -= 1
        if not depth:
            name = text[start + 1 : end]
            nested = "$(" in name or "${" in name
            return nested or "/" not in name or text[start] + text[end] not in ("()", "{}")
    return True


def _tally(flags: str, count: int) -> bool:
    """Whether a variadic function with FLAGS (`V1:3`) takes COUNT arguments."""
    low, _, high = flags.partition("V")[2].partition(":")
    return int(low) <= count and (not high.isdigit() or count <= int(high))


def _arguments(rval: "Any", flags: str, ctx: "Context") -> "list[Any]":
    """The prepared arguments: a nested list is spliced unless the function collects."""
    args: list[Any] = []
    for arg in rval[2:]:
        value = arg if type(arg) is str else evaluate(arg, ctx)
        if type(value) is bool:
            args.append("any" if value else "!any")
        elif type(value) is str:
            args.append(value)
        elif "+" in flags:
            args.append(handed(value))
        elif type(value) is tuple:
            args.extend(value)
        else:
            raise Failed(f"a data container is no argument of {rval[1]}")
    return args


def handed(value: "Any") -> "Any":
    """What a call gave, as another function gets it: its numbers are as variables hold them."""
    if isinstance(value, (dict, list)):
        from policy.values import normalised

        return normalised(value)
    return value


OPERATORS = {
    "var": _var,
    "cat": _cat,
    "at": _at,
    "list": _list,
    "const": _const,
    "json": _json,
    "option": _option,
    "call": _call,
}
