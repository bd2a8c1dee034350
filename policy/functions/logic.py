"""Functions about classes and versions: what holds, what was asked for, which of several."""

from policy import regexp, values
from policy.classes import BadExpression, holds
from policy.errors import Fatal
from policy.functions.arguments import refusal
from policy.numbers import one_at_a_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from policy.context import Context, Frame


def is_true(ctx: "Context", expression: str) -> bool:
    """Whether the class EXPRESSION holds; one that makes no sense is logged and does not."""
    if "$" in expression or "@" in expression:
        return False
    try:
        return holds(expression, ctx)
    except BadExpression as bad:
        ctx.log("error", str(bad))
        return False


def and_(ctx: "Context", *expressions: str) -> bool:
    """Whether all EXPRESSIONS hold."""
    return all(is_true(ctx, expression) for expression in expressions)


def or_(ctx: "Context", *expressions: str) -> bool:
    """Whether one of EXPRESSIONS holds."""
    return any(is_true(ctx, expression) for expression in expressions)


def not_(ctx: "Context", expression: str) -> bool:
    """Whether EXPRESSION does not hold, be it because it makes no sense."""
    return not is_true(ctx, expression)


def ifelse(ctx: "Context", *choices: str) -> str:
    """The value behind the first condition that holds, or the last of CHOICES."""
    if len(choices) % 2 == 0:
        raise Fatal("in built-in FnCall ifelse: even number of arguments")
    for at in range(0, len(choices) - 1, 2):
        if is_true(ctx, choices[at]):
            return choices[at + 1]
    return choices[-1]


def classify(ctx: "Context", text: str) -> bool:
    """Whether the class that TEXT canonifies to is set."""
    return is_true(ctx, values.canonify(text))


# the classes that are set


def _frames(ctx: "Context") -> "Iterator[Frame]":
    """The bundle being evaluated and those that it inherits from, innermost first."""
    frame: Frame | None = ctx.frame
    while frame is not None:
        yield frame
        frame = frame.caller if frame.inherits else None


def every_class(ctx: "Context") -> "Iterator[tuple[str, tuple[str, ...]]]":
    """The classes that can be seen here, with their tags: `c`, `ns:c`; one may come twice."""
    yield from ctx.hard.items()
    yield from list(ctx.soft.items())
    for frame in _frames(ctx):
        prefix = "" if frame.namespace == "default" else f"{frame.namespace}:"
        for name, tags in list(frame.classes.items()):
            yield prefix + name, tags


def matching(ctx: "Context", pattern: str, tags: tuple[str, ...]) -> "Iterator[str]":
    """The classes that PATTERN spans; with TAGS, those that have one that a pattern there spans."""
    try:
        for name, have in every_class(ctx):
            if name != pattern and not regexp.full(pattern, name):
                continue
            if not tags or any(regexp.full(tag, it) for tag in tags for it in have):
                yield name
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))


def classmatch(ctx: "Context", pattern: str, *tags: str) -> bool:
    """Whether a class that PATTERN spans is set."""
    return next(matching(ctx, pattern, tags), None) is not None


def splayclass(ctx: "Context", text: str, policy: str) -> bool:
    """Whether it is now the five minutes of the day or the hour (POLICY) that TEXT is given."""
    position = one_at_a_time(text) & 8191
    hour, slot = divmod(position * (12 if policy == "hourly" else 288) // 8192, 12)
    expression = f"Min{slot * 5:02d}_{(slot + 1) * 5 % 60:02d}"
    if policy != "hourly":
        expression += f".Hr{hour:02d}"
    return is_true(ctx, expression)


# versions


def _version(text: str) -> tuple[int, ...] | None:
    """The one to three numbers that TEXT begins with, None if there is none."""
    found: list[int] = []
    rest = text
    while len(found) < 3:
        number, after = values.leading_integer(rest)
        if number is None:
            break
        found.append(number)
        if after[:1] != ".":
            break
        rest = after[1:]
    return tuple(found) or None


def _order(left: str, right: str) -> int | None:
    """-1, 0 or 1, as LEFT is to RIGHT in what both state; None if one of them is no version."""
    one, other = _version(left), _version(right)
    if one is None or other is None:
        return None
    common = min(len(one), len(other))
    return (one[:common] > other[:common]) - (one[:common] < other[:common])


def _agent_to(ctx: "Context", function: str, version: str, which: str = "") -> int:
    """How the agent's version is to VERSION."""
    fact = ctx.facts.get("cf_version")
    order = _order(str(fact.value) if fact is not None else "", version)
    if order is None:
        raise refusal(
            ctx, f"{function}: Format of {which}version comparison string '{version}' is incorrect"
        )
    return order


def cf_version_minimum(ctx: "Context", version: str) -> bool:
    """Whether the agent is of VERSION or later."""
    return _agent_to(ctx, "cf_version_minimum", version) >= 0


def cf_version_after(ctx: "Context", version: str) -> bool:
    """Whether the agent is later than VERSION."""
    return _agent_to(ctx, "cf_version_after", version) > 0


def cf_version_maximum(ctx: "Context", version: str) -> bool:
    """Whether the agent is of VERSION or earlier."""
    return _agent_to(ctx, "cf_version_maximum", version) <= 0


def cf_version_before(ctx: "Context", version: str) -> bool:
    """Whether the agent is earlier than VERSION."""
    return _agent_to(ctx, "cf_version_before", version) < 0


def cf_version_at(ctx: "Context", version: str) -> bool:
    """Whether the agent is of VERSION, as far as that goes."""
    return _agent_to(ctx, "cf_version_at", version) == 0


def cf_version_between(ctx: "Context", low: str, high: str) -> bool:
    """Whether the agent is of version LOW or later, HIGH or earlier."""
    above = _agent_to(ctx, "cf_version_between", low, "lower ") >= 0
    return _agent_to(ctx, "cf_version_between", high, "upper ") <= 0 and above


_HOLDS: "dict[str, Callable[[int], bool]]" = {
    "=": lambda order: order == 0,
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    ">": lambda order: order > 0,
    "<": lambda order: order < 0,
    ">=": lambda order: order >= 0,
    "<=": lambda order: order <= 0,
}


def version_compare(ctx: "Context", left: str, operator: str, right: str) -> bool:
    """Whether version LEFT is to RIGHT as OPERATOR says."""
    order = _order(left, right)
    if order is None or operator not in _HOLDS:
        call = f'version_compare("{left}", "{operator}", "{right}")'
        raise refusal(ctx, f"Cannot compare versions: {call}")
    return _HOLDS[operator](order)
