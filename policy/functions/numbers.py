"""Functions about numbers: conversion, folding, comparison, chance, and `eval`."""

from policy import values
from policy.errors import Failed, Fatal
from policy.functions.arguments import integer, real, refusal
from policy.functions.lists import shown
from policy.numbers import fixed, truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context

# conversion


def int_(ctx: "Context", number: str) -> str:
    """NUMBER without its fraction."""
    return str(truncated(real(ctx, number)))


def string(ctx: "Context", value: str) -> str:
    """VALUE itself, or the JSON of the container that it names as `@(x)`."""
    if value[:2] not in ("@(", "@{"):
        return value
    try:
        return values.dump_json(values.container(ctx, value))
    except Failed:
        return value


# folding


def _numbers(ctx: "Context", items: "Any") -> list[float]:
    """The items as numbers, 0 for those that are none."""
    return [values.leading_real(it)[0] or 0.0 for it in shown(ctx, items)]


def _some_numbers(ctx: "Context", items: "Any") -> list[float]:
    """As `_numbers`. Raises Failed if there are no items."""
    found = _numbers(ctx, items)
    if not found:
        raise Failed("no numbers")
    return found


def sum_(ctx: "Context", items: "Any") -> str:
    """The sum of the items."""
    total = 0.0
    for number in _numbers(ctx, items):
        total += number
    return fixed(total)


def product(ctx: "Context", items: "Any") -> str:
    """The product of the items."""
    total = 1.0
    for number in _numbers(ctx, items):
        total *= number
    return fixed(total)


def mean(ctx: "Context", items: "Any") -> str:
    """The arithmetic mean of the items."""
    return fixed(_moments(_some_numbers(ctx, items))[0])


def variance(ctx: "Context", items: "Any") -> str:
    """The variance of the items as a sample."""
    return fixed(_moments(_some_numbers(ctx, items))[1])


def _moments(numbers: list[float]) -> tuple[float, float]:
    """Mean and sample variance, by Welford's recurrence."""
    mean = squares = 0.0
    for count, number in enumerate(numbers, 1):
        delta = number - mean
        mean += delta / count
        squares += delta * (number - mean)
    return mean, squares / (len(numbers) - 1) if len(numbers) > 1 else 0.0


def max_(ctx: "Context", items: "Any", mode: str) -> str:
    """The greatest item, the first of those that are equal."""
    return max(_some(ctx, items), key=_key(mode))


def min_(ctx: "Context", items: "Any", mode: str) -> str:
    """The least item, the last of those that are equal."""
    return min(reversed(_some(ctx, items)), key=_key(mode))


def _some(ctx: "Context", items: "Any") -> list[str]:
    found = shown(ctx, items)
    if not found:
        raise Failed("no items")
    return found


def _key(mode: str) -> "Any":
    from policy.functions.ordering import KEYS

    return KEYS[mode.lower()]


# ranges


def irange(ctx: "Context", one: str, other: str) -> str:
    """A range of integers, for the attributes that want one."""
    low, high = sorted((integer(ctx, one), integer(ctx, other)))
    return f"{low},{high}"


def rrange(ctx: "Context", one: str, other: str) -> str:
    """A range of reals; as in the reference, both ends are the first argument."""
    return f"{real(ctx, one):f},{real(ctx, one):f}"


def expandrange(ctx: "Context", template: str, step: str) -> tuple[str, ...]:
    """`a[3-7]b` written out, each STEP apart, upwards or downwards."""
    stride = integer(ctx, step)
    if stride < 1:
        raise refusal(ctx, "EXPANDRANGE Step size cannot be less than 1")
    prefix, _, rest = template.partition("[")
    first, rest = values.leading_integer(rest)
    last, rest = values.leading_integer(rest[1:]) if rest[:1] == "-" else (None, rest)
    if first is None or last is None:
        raise Fatal("EXPANDRANGE malformed range expression")
    suffix = rest.removeprefix("]")
    numbers = range(first, last + 1, stride) if first <= last else range(first, last - 1, -stride)
    return tuple([f"{prefix}{number}{suffix}" for number in numbers])


# chance


def randomint(ctx: "Context", one: str, other: str) -> str:
    """A number from ONE on and below OTHER, another one each time."""
    low, high = sorted((integer(ctx, one), integer(ctx, other)))
    return str(low + int(ctx.random() * (high - low)))


def hash_to_int(ctx: "Context", one: str, other: str, text: str) -> str:
    """A number from ONE on and below OTHER that only TEXT decides."""
    import hashlib

    low, high = sorted((integer(ctx, one), integer(ctx, other)))
    if low == high:
        return str(low)
    digest = hashlib.sha256(values.octets(text)).digest()
    return str(low + int.from_bytes(digest[:8], "little") % (high - low))


# comparison


def isgreaterthan(ctx: "Context", one: str, other: str) -> bool:
    """Whether ONE is greater than OTHER, as numbers if both begin with one, else as text."""
    return _compared(ctx, one, other) > 0


def islessthan(ctx: "Context", one: str, other: str) -> bool:
    """Whether ONE is less than OTHER, as numbers if both begin with one, else as text."""
    return _compared(ctx, one, other) < 0


def _compared(ctx: "Context", one: str, other: str) -> int:
    """1 if ONE is greater, -1 if less, else 0."""
    if values.leading_real(one)[0] is None or values.leading_real(other)[0] is None:
        left, right = values.octets(one), values.octets(other)
        return (left > right) - (left < right)
    first, second = real(ctx, one), real(ctx, other)
    return (first > second) - (first < second)


def eval_(ctx: "Context", expression: str, mode: str = "math", _options: str = "infix") -> str:
    """What EXPRESSION is worth; in MODE `class` whether that is anything but zero."""
    from policy.functions import arithmetic

    try:
        number = arithmetic.value(expression)
    except arithmetic.Unreadable as error:
        ctx.log("info", f"eval error: {error} (input '{expression}')")
        return "!any" if mode == "class" else ""
    if mode == "class":
        return "!any" if arithmetic.same(number, 0) else "any"
    return fixed(number)
