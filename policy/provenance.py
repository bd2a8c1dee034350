"""What classes owe to signals: formulas over signals, and whether a promise still finds them fresh.

A class that came from a peer owes itself to the signals that brought it; any one of them will do: a
frozenset. A class that follows from others owes a formula: `("&", f, g)` needs both, `("|", f, g)`
either, `("?", ...)` is a call that has to be asked again. True is owed to no signal. What a promise
sees is computed for that promise, from the signals that it has not consumed yet; nothing here costs
anything in a run in which no signal has arrived.
"""

from policy.errors import Unresolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from policy.classes import Expression
    from policy.context import Context
    from policy.plan import Written

    # whose it is (the id of a key), the epoch of its log, the number of the edge in it
    Signal: TypeAlias = "tuple[str, int, int]"
    Formula: TypeAlias = "bool | frozenset[Signal] | tuple[Any, ...]"
    Consumed: TypeAlias = "Callable[[Signal], bool]"
    # a table of classes, what they owe, and the name of one
    Place: TypeAlias = "tuple[dict[str, tuple[str, ...]], dict[str, Formula], str]"

# calls that do something, or tell another thing each time: not to be asked again
EFFECTIVE = frozenset((
    "execresult", "execresult_as_data", "hubknowledge", "packagesmatching",
    "packageupdatesmatching", "randomint", "read_module_protocol", "remoteclassesmatching",
    "remotescalar", "returnszero", "usemodule",
))  # fmt: skip


def both(formulas: "Iterable[Formula]") -> "Formula":
    """What needs all of FORMULAS."""
    return _joined("&", formulas, decides=False)


def either(formulas: "Iterable[Formula]") -> "Formula":
    """What needs one of FORMULAS."""
    return _joined("|", formulas, decides=True)


def _joined(operator: str, formulas: "Iterable[Formula]", *, decides: bool) -> "Formula":
    """FORMULAS joined by OPERATOR, for which one that is DECIDES decides."""
    owed: list[Formula] = []
    for formula in formulas:
        if formula is decides:
            return decides
        if not isinstance(formula, bool) and formula not in owed:
            owed.append(formula)
    return not decides if not owed else owed[0] if len(owed) == 1 else (operator, *owed)


def fresh(formula: "Formula", consumed: "Consumed", ctx: "Context") -> bool:
    """Whether FORMULA holds for a promise that has CONSUMED some of its signals."""
    if isinstance(formula, bool):
        return formula
    if isinstance(formula, frozenset):
        return not all(consumed(signal) for signal in formula)
    if formula[0] == "&":
        return all(fresh(part, consumed, ctx) for part in formula[1:])
    if formula[0] == "|":
        return any(fresh(part, consumed, ctx) for part in formula[1:])
    _, call, places, frame, this, wheels = formula
    saved = (ctx.frame, ctx.this, ctx.wheels)
    ctx.frame, ctx.this, ctx.wheels = frame, this, wheels
    try:
        return _holds_without(_stale(places, consumed, ctx), call, ctx)
    finally:
        ctx.frame, ctx.this, ctx.wheels = saved


def _stale(places: "list[Place]", consumed: "Consumed", ctx: "Context") -> "list[Place]":
    """Those of PLACES whose classes a promise that has CONSUMED their signals does not see."""
    return [
        place
        for place in places
        if place[2] in place[0] and not fresh(place[1].get(place[2], True), consumed, ctx)
    ]


def signals(formula: "Formula") -> "frozenset[Signal]":
    """All signals that FORMULA mentions."""
    if isinstance(formula, bool):
        return frozenset()
    if isinstance(formula, frozenset):
        return formula
    if formula[0] == "?":
        places: list[Place] = formula[2]
        return frozenset().union(*[signals(owes.get(name, True)) for _, owes, name in places])
    return frozenset().union(*[signals(part) for part in formula[1:]])


def owed(expression: "Expression", ctx: "Context") -> "Formula":
    """What the compiled class EXPRESSION owes to signals, False if it does not hold.

    A negated term owes nothing: what it needs is that something is not there.
    """
    if isinstance(expression, bool):
        return expression
    if isinstance(expression, str):
        return ctx.owed_by(expression) if ctx.defined(expression) else False
    operator, terms = expression[0], expression[1:]
    if operator == "&":
        return both([owed(term, ctx) for term in terms])
    if operator == "|":
        return either([owed(term, ctx) for term in terms])
    return owed(terms[0], ctx) is False


def of_promise(written: "Written", ctx: "Context") -> "Formula":
    """What it owes to signals that WRITTEN is kept: by its guard and its `if`."""
    guard = True if written.guard is None else owed(written.guard, ctx)
    return both([guard, *_conditions(written, ctx)])


def _conditions(written: "Written", ctx: "Context") -> "list[Formula]":
    """What each `if` of WRITTEN owes to signals; an `unless` needs that something is not there."""
    return [of_condition(value, ctx) for name, value in written.attributes if name == "if"]


def of_class(written: "Written", ctx: "Context") -> "Formula":
    """What the class that the promise WRITTEN sets owes to signals."""
    found = [of_promise(written, ctx)]
    for name, value in written.attributes:
        if name == "expression":
            found.append(of_condition(value, ctx))
        elif name == "and":
            found.append(both([of_condition(item, ctx) for item in _items(value, ctx)]))
        elif name in ("or", "xor"):
            found.append(either([of_condition(item, ctx) for item in _items(value, ctx)]))
    return both(found)


def _items(rval: "Any", ctx: "Context") -> "list[Any]":
    """The conditions in a list of them."""
    from policy.evaluate import evaluate

    if type(rval) is not tuple:
        return [rval]
    if rval[0] == "const":
        return list(rval[1])
    if rval[0] != "list":
        found = _texts(rval, ctx)
        return [rval] if found is None else list(found)
    items: list[Any] = []
    for item in rval[1:]:
        if type(item) is tuple and item[0] == "at":
            items += evaluate(("list", item), ctx)
        elif type(item) is tuple and item[0] == "call":
            texts = _texts(item, ctx)
            items += [item] if texts is None else texts
        else:
            items.append(item)
    return items


def _texts(call: "Any", ctx: "Context") -> tuple[str, ...] | None:
    """The list of class expressions that CALL gives, None if it gives something else."""
    from policy.evaluate import evaluate

    if _effective(call):
        return None
    try:
        found = evaluate(call, ctx)
    except Unresolved:
        return None
    return found if type(found) is tuple else None


def of_condition(rval: "Any", ctx: "Context") -> "Formula":
    """What the condition RVAL owes to signals, False if it does not hold."""
    from policy.evaluate import evaluate

    if type(rval) is tuple and rval[0] == "call":
        return _of_call(rval, ctx)
    try:
        found = evaluate(rval, ctx)
    except Unresolved:
        return False
    return _of_text(found, ctx)


def _of_text(text: "Any", ctx: "Context") -> "Formula":
    """What the class expression TEXT owes to signals."""
    from policy.classes import BadExpression

    if type(text) is not str or "$" in text or "@" in text:
        return text is True
    try:
        return owed(ctx.expression(text), ctx)
    except BadExpression:
        return False


def _of_call(call: "Any", ctx: "Context") -> "Formula":
    """What CALL, which is a condition, owes to signals."""
    name, args = call[1], call[2:]
    if name == "and":
        return both([of_condition(arg, ctx) for arg in args])
    if name == "or":
        return either([of_condition(arg, ctx) for arg in args])
    if _effective(call):
        return True
    places = _places(ctx)
    if _holds_without(places, call, ctx):
        return True  # no class that came by a signal matters
    touched = [
        place
        for place in places
        if not _holds_without([place], call, ctx)
        or _holds_without([other for other in places if other is not place], call, ctx)
    ]
    if not touched:  # it takes some of several: of those that came by signals themselves
        touched = [place for place in places if isinstance(place[1][place[2]], frozenset)]
    return ("?", call, touched, ctx.frame, dict(ctx.this), dict(ctx.wheels))


def _effective(rval: "Any") -> bool:
    """Whether a call in RVAL does something."""
    if type(rval) is not tuple:
        return False
    if rval[0] == "call" and rval[1] in EFFECTIVE:
        return True
    return any(_effective(part) for part in rval[1:])


def _places(ctx: "Context") -> "list[Place]":
    """The classes that can be seen here and owe themselves to signals."""
    found: list[Place] = [
        (ctx.soft, ctx.provenance, name) for name in ctx.provenance if name in ctx.soft
    ]
    frame = ctx.frame
    while frame is not None:
        found += [
            (frame.classes, frame.provenance, name)
            for name in frame.provenance
            if name in frame.classes
        ]
        if not frame.inherits or frame.caller is None:
            break
        frame = frame.caller
    return found


def _holds_without(hidden: "list[Place]", rval: "Any", ctx: "Context") -> bool:
    """Whether the condition RVAL holds when the classes HIDDEN are not set."""
    from policy.conditions import condition

    tags = [table.pop(name) for table, _, name in hidden]
    try:
        return condition(rval, ctx) is True
    finally:
        for (table, _, name), kept in zip(hidden, tags, strict=True):
            table[name] = kept
