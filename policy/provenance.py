"""What classes owe to signals: formulas over signals, and whether a promise still finds them fresh.

A class that came from a peer carries the signals that brought it. A class that follows from it
carries a *formula*: `("&", f, g)` needs both, `("|", f, g)` either, a frozenset of signals any one
of them; True is owed to no signal. What a promise sees is computed for that promise from the
signals that it has not consumed yet.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from policy.classes import Expression
    from policy.context import Context

    # whose it is (the id of a key), the epoch of its log, the number of the edge in it
    Signal: TypeAlias = "tuple[str, int, int]"
    Formula: TypeAlias = "bool | frozenset[Signal] | tuple[Any, ...]"


def both(formulas: "Iterator[Formula] | list[Formula]") -> "Formula":
    """What needs all of FORMULAS."""
    owed = []
    for formula in formulas:
        if formula is False:
            return False
        if formula is not True and formula not in owed:
            owed.append(formula)
    return True if not owed else owed[0] if len(owed) == 1 else ("&", *owed)


def either(formulas: "Iterator[Formula] | list[Formula]") -> "Formula":
    """What needs one of FORMULAS."""
    owed = []
    for formula in formulas:
        if formula is True:
            return True
        if formula is not False and formula not in owed:
            owed.append(formula)
    return False if not owed else owed[0] if len(owed) == 1 else ("|", *owed)


def fresh(formula: "Formula", consumed: "Callable[[Signal], bool]") -> bool:
    """Whether FORMULA holds for a promise that has CONSUMED some of its signals."""
    if type(formula) is bool:
        return formula
    if type(formula) is frozenset:
        return any(not consumed(signal) for signal in formula)
    holds = [fresh(part, consumed) for part in formula[1:]]  # type: ignore[index]  # a tuple
    return all(holds) if formula[0] == "&" else any(holds)  # type: ignore[index]  # a tuple


def signals(formula: "Formula") -> "frozenset[Signal]":
    """All signals that FORMULA mentions."""
    if type(formula) is bool:
        return frozenset()
    if type(formula) is frozenset:
        return formula
    return frozenset().union(*[signals(part) for part in formula[1:]])  # type: ignore[index]


def owed(expression: "Expression", ctx: "Context") -> "Formula":
    """What the compiled class EXPRESSION owes to signals, False if it does not hold.

    A negated term owes nothing: what it needs is that something is not there.
    """
    if type(expression) is bool:
        return expression
    if type(expression) is str:
        return ctx.owed_by(expression) if ctx.defined(expression) else False
    operator, terms = expression[0], expression[1:]
    if operator == "&":
        return both([owed(term, ctx) for term in terms])
    if operator == "|":
        return either([owed(term, ctx) for term in terms])
    return owed(terms[0], ctx) is False
