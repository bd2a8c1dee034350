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
    """Whether all EXPRESSIONS, of classes or nested calls, hold; with none it is true.

    Fails never itself; if one of its arguments fails or has no value, it is not called.
    Example:
        and("linux", isdir("/etc")) -> true
        and("linux", "!any") -> false
    """
    return all(is_true(ctx, expression) for expression in expressions)


def or_(ctx: "Context", *expressions: str) -> bool:
    """Whether one of EXPRESSIONS, of classes or nested calls, holds; with none it is false.

    Fails never itself; if one of its arguments fails or has no value, it is not called.
    Example:
        or("windows", "linux") -> true
    """
    return any(is_true(ctx, expression) for expression in expressions)


def not_(ctx: "Context", expression: str) -> bool:
    """Whether EXPRESSION does not hold, be it because it makes no sense.

    Fails never itself; but if EXPRESSION fails or has no value it is not called, so not true
    either.
    Example:
        not("windows") -> true
        not("linux") -> false
    """
    return not is_true(ctx, expression)


def ifelse(ctx: "Context", *choices: str) -> str:
    r"""The value behind the first condition that holds, or the last of CHOICES.

    An even number of CHOICES ends the agent. With exactly three, a condition that has no value
    yet counts as false.
    Fails if one of more than three CHOICES has no value.
    Example:
        ifelse("windows", "C:\\temp", "linux", "/tmp", "/var/tmp") -> "/tmp"
        ifelse("windows", "yes", "no") -> "no"
    """
    if len(choices) % 2 == 0:
        raise Fatal("in built-in FnCall ifelse: even number of arguments")
    for at in range(0, len(choices) - 1, 2):
        if is_true(ctx, choices[at]):
            return choices[at + 1]
    return choices[-1]


def classify(ctx: "Context", text: str) -> bool:
    """Whether the class that TEXT canonifies to is set: for classes named after hosts, files, ...

    Never fails.
    Example:
        classes:
          "web_01_example" expression => "any";
          "here" expression => classify("web-01.example");
        reports:
          here::
            "it is set"; -> it is set
    """
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
    for frame in reversed(list(_frames(ctx))):  # outermost first
        prefix = "" if frame.namespace == "default" else f"{frame.namespace}:"
        for name, tags in reversed(list(frame.classes.items())):
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
    """Whether a class that PATTERN spans is set; with TAGS, one with a tag that one of them spans.

    Never fails: a bad PATTERN is an error in the log and false.
    Example:
        classmatch("linu.") -> true
        classmatch("lin") -> false
    """
    return next(matching(ctx, pattern, tags), None) is not None


def splayclass(ctx: "Context", text: str, policy: str) -> bool:
    """Whether it is now the five minutes of the POLICY (hour or day) that TEXT is given.

    Spreads work over time, each host with its own TEXT.
    Never fails.
    Example:
        classes:
          "turn" expression => splayclass("$(sys.host)", "hourly");
        commands:
          turn::
            "/usr/local/bin/backup";
        reports:
          "a twelfth of all runs makes a backup"; -> a twelfth of all runs makes a backup
    """
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
    """Whether the agent is of VERSION or later.

    Fails if VERSION does not begin with a number.
    Example:
        cf_version_minimum("3.20") -> true
    """
    return _agent_to(ctx, "cf_version_minimum", version) >= 0


def cf_version_after(ctx: "Context", version: str) -> bool:
    """Whether the agent is later than VERSION.

    Compared as far as VERSION goes: nothing of 3.15 is later than 3.15. The version is that of
    the language, `$(sys.cf_version)`.
    Fails if VERSION does not begin with a number.
    Example:
        cf_version_after("3.15") -> true
    """
    return _agent_to(ctx, "cf_version_after", version) > 0


def cf_version_maximum(ctx: "Context", version: str) -> bool:
    """Whether the agent is of VERSION or earlier.

    Fails if VERSION does not begin with a number.
    Example:
        cf_version_maximum("3.28") -> true
        cf_version_maximum("3.20") -> false
    """
    return _agent_to(ctx, "cf_version_maximum", version) <= 0


def cf_version_before(ctx: "Context", version: str) -> bool:
    """Whether the agent is earlier than VERSION.

    Fails if VERSION does not begin with a number.
    Example:
        cf_version_before("4.0") -> true
    """
    return _agent_to(ctx, "cf_version_before", version) < 0


def cf_version_at(ctx: "Context", version: str) -> bool:
    """Whether the agent is of VERSION, as far as that goes: 3.28 is 3.28.0 and 3.28.4.

    Fails if VERSION does not begin with a number.
    Example:
        cf_version_at("3.28") -> true
        cf_version_at("3.27") -> false
    """
    return _agent_to(ctx, "cf_version_at", version) == 0


def cf_version_between(ctx: "Context", low: str, high: str) -> bool:
    """Whether the agent is of version LOW or later, HIGH or earlier.

    Fails if LOW or HIGH does not begin with a number.
    Example:
        cf_version_between("3.20", "3.99") -> true
    """
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
    """Whether version LEFT is to RIGHT as OPERATOR says; up to three numbers, as far as both go.

    Fails if one of them does not begin with a number.
    Example:
        version_compare("3.10.1", ">", "3.9") -> true
        version_compare("3.9", "=", "3.9.4") -> true
    """
    order = _order(left, right)
    if order is None or operator not in _HOLDS:
        call = f'version_compare("{left}", "{operator}", "{right}")'
        raise refusal(ctx, f"Cannot compare versions: {call}")
    return _HOLDS[operator](order)
