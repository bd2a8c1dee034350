"""Functions about numbers: conversion, folding, comparison, chance, and `eval`."""

from policy import values
from policy.errors import Failed, Fatal
from policy.functions import ordering
from policy.functions.arguments import integer, real, refusal
from policy.functions.lists import shown
from policy.numbers import fixed, truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context

_MOST_NUMBERS = 1_000_000  # in a range

# conversion


def int_(ctx: "Context", number: str) -> str:
    """NUMBER without its fraction; k m g are thousands, K M G are 1024s.

    Fails if NUMBER does not begin with a number.
    Example:
        int("3.7") -> 3
        int("2k") -> 2000
    """
    return str(truncated(real(ctx, number)))


def string(ctx: "Context", value: str) -> str:
    """VALUE itself, or the JSON of the container that it names as `@(x)`.

    For functions whose answer is no text: `string(now())`. A text gets a backslash before each `"`.
    Never fails.
    Example:
        string(length('["a", "b"]')) -> "2"
    """
    escaped = value.replace('"', '\\"')
    if value[:2] not in ("@(", "@{"):
        return escaped
    try:
        return values.dump_json(values.container(ctx, value))
    except Failed:
        return escaped


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
    """The sum of the items; 0 if there are none.

    What is no number counts 0.
    Fails if ITEMS is no list or container.
    Example:
        sum("[1, 2, 3.5]") -> 6.500000
    """
    total = 0.0
    for number in _numbers(ctx, items):
        total += number
    return fixed(total)


def product(ctx: "Context", items: "Any") -> str:
    """The product of the items; 1 if there are none.

    What is no number counts 0.
    Fails if ITEMS is no list or container.
    Example:
        product("[2, 3, 4]") -> 24.000000
    """
    total = 1.0
    for number in _numbers(ctx, items):
        total *= number
    return fixed(total)


def mean(ctx: "Context", items: "Any") -> str:
    """The arithmetic mean of the items.

    What is no number counts 0.
    Fails if there are no items, or it is no list or container.
    Example:
        mean("[1, 2, 6]") -> 3.000000
    """
    return fixed(_moments(_some_numbers(ctx, items))[0])


def variance(ctx: "Context", items: "Any") -> str:
    """The variance of the items as a sample (divided by n - 1); 0 of a single one.

    Fails if there are no items, or it is no list or container.
    Example:
        variance("[1, 2, 3]") -> 1.000000
    """
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
    """The greatest item in the order of MODE (see `sort`), the first of those that are equal.

    Fails if there are no items, or it is no list or container.
    Example:
        max('["9", "10"]', "int") -> "10"
        max('["9", "10"]', "lex") -> "9"
    """
    return max(_some(ctx, items), key=ordering.key(mode))


def min_(ctx: "Context", items: "Any", mode: str) -> str:
    """The least item in the order of MODE (see `sort`), the last of those that are equal.

    Fails if there are no items, or it is no list or container.
    Example:
        min('["9", "10"]', "int") -> "9"
    """
    return min(reversed(_some(ctx, items)), key=ordering.key(mode))


def _some(ctx: "Context", items: "Any") -> list[str]:
    found = shown(ctx, items)
    if not found:
        raise Failed("no items")
    return found


# ranges


def irange(ctx: "Context", one: str, other: str) -> str:
    """A range of integers, for attributes such as `search_size`; the smaller comes first.

    Never fails.
    Example:
        /tmp/motd holds "hello"
        body copy_from small {
          source => "/tmp/motd";
          copy_size => irange(0, "10k");
        }
        files:
          "/tmp/copy" copy_from => small;
        reports:
          "copied" if => fileexists("/tmp/copy"); -> copied
    """
    low, high = sorted((integer(ctx, one), integer(ctx, other)))
    return f"{low},{high}"


def rrange(ctx: "Context", one: str, other: str) -> str:
    """A range of reals; as in the reference, both ends are the first argument.

    Never fails.
    Example:
        vars:
          "text" string => "nothing in the language takes a range of reals";
        reports:
          "$(text)"; -> nothing in the language takes a range of reals
    """
    return f"{real(ctx, one):f},{real(ctx, one):f}"


def expandrange(ctx: "Context", template: str, step: str) -> tuple[str, ...]:
    """`a[3-7]b` written out, each STEP apart, upwards or downwards, without leading zeroes.

    A TEMPLATE without a range ends the agent.
    Fails if STEP is less than 1, or if that are more than a million.
    Example:
        expandrange("web[1-3].example", 1) -> { "web1.example", "web2.example", "web3.example" }
    """
    stride = integer(ctx, step)
    if stride < 1:
        raise refusal(ctx, "EXPANDRANGE Step size cannot be less than 1")
    prefix, _, rest = template.partition("[")
    first, rest = values.leading_integer(rest)
    last, rest = values.leading_integer(rest[1:]) if rest[:1] == "-" else (None, rest)
    if first is None or last is None:
        raise Fatal("EXPANDRANGE malformed range expression")
    if abs(last - first) // stride >= _MOST_NUMBERS:
        raise refusal(ctx, f"EXPANDRANGE '{template}' is of more than {_MOST_NUMBERS} numbers")
    suffix = rest.removeprefix("]")
    numbers = range(first, last + 1, stride) if first <= last else range(first, last - 1, -stride)
    return tuple([f"{prefix}{number}{suffix}" for number in numbers])


# chance


def _bounds(ctx: "Context", one: str, other: str) -> tuple[int, int]:
    """Two integers of 32 bits in order. Raises Failed if one is none or they are too far apart."""
    given = integer(ctx, one), integer(ctx, other)
    low, high = sorted([values.wrapped(it) for it in given])
    if values.NO_INTEGER in given or high - low >= 2**31:
        raise refusal(ctx, f"'{one}' and '{other}' are no range of integers")
    return low, high


def randomint(ctx: "Context", one: str, other: str) -> str:
    """A number from ONE on and below OTHER, another one each time that it is asked for.

    A variable may change between the passes of a run: see `hash_to_int`.
    Fails if one of them is no integer, or if they are 2147483648 apart or more.
    Example:
        randomint(7, 8) -> 7
    """
    low, high = _bounds(ctx, one, other)
    return str(low + int(ctx.random() * (high - low)))


def hash_to_int(ctx: "Context", one: str, other: str, text: str) -> str:
    """A number from ONE on and below OTHER that only TEXT decides: to spread hosts.

    Fails if one of them is no integer, or if they are 2147483648 apart or more.
    Example:
        hash_to_int(0, 100, "hello") -> 72
    """
    import hashlib

    low, high = _bounds(ctx, one, other)
    if low == high:
        return str(low)
    digest = hashlib.sha256(values.octets(text)).digest()
    return str(low + int.from_bytes(digest[:8], "little") % (high - low))


# comparison


def isgreaterthan(ctx: "Context", one: str, other: str) -> bool:
    """Whether ONE is greater than OTHER, as numbers if both begin with one, else as text.

    Numbers may have units: k m g K M G.
    Fails if something else follows a number.
    Example:
        isgreaterthan("10", "9") -> true
        isgreaterthan("abc", "abd") -> false
    """
    return _compared(ctx, one, other) > 0


def islessthan(ctx: "Context", one: str, other: str) -> bool:
    """Whether ONE is less than OTHER, as numbers if both begin with one, else as text.

    Numbers may have units: k m g K M G.
    Fails if something else follows a number.
    Example:
        islessthan("9", "10") -> true
        islessthan("1k", "999") -> false
    """
    return _compared(ctx, one, other) < 0


def _compared(ctx: "Context", one: str, other: str) -> int:
    """1 if ONE is greater, -1 if less, else 0."""
    if values.leading_real(one)[0] is None or values.leading_real(other)[0] is None:
        left, right = values.octets(one), values.octets(other)
        return (left > right) - (left < right)
    first, second = real(ctx, one), real(ctx, other)
    return (first > second) - (first < second)


def eval_(ctx: "Context", expression: str, mode: str = "math", _options: str = "infix") -> str:
    """What EXPRESSION is worth; in MODE `class` whether that is anything but zero.

    + - * / % ^ ( ), comparisons worth 1 or 0, units k m g t p, pi, e, sqrt log abs floor ceil sin
    ... All on a level associate left.
    Never fails: "" and an info line if it makes no sense.
    Example:
        eval("2 * (3 + 4)") -> "14.000000"
        eval("2k > 1999") -> "1.000000"
    """
    from policy.functions import arithmetic

    try:
        number = arithmetic.value(expression)
    except arithmetic.Unreadable as error:
        ctx.log("info", f"eval error: {error} (input '{expression}')")
        return "!any" if mode == "class" else ""
    if mode == "class":
        return "!any" if arithmetic.same(number, 0) else "any"
    return fixed(number)
