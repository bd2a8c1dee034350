"""The arithmetic of `eval`: a greedy grammar, its operators all of two levels, doubles throughout.

    sum      = product (("+" | "-" | "==" | "<=" | "<" | ">=" | ">") product)*
    product  = value (("^" | "**" | "*" | "/" | "%") value)*
    value    = number unit? | constant | function "(" value ")" | "(" sum ")"

What follows the longest expression is ignored. As in the reference a constant takes no blank behind
it, and where functions are nested the innermost is used for all of them.
"""

import math

from policy.numbers import truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_EPSILON = 1e-17
_NAN = math.copysign(math.nan, -1)  # as processors make it of 0/0, and as it is shown: -nan

_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15}
_CONSTANTS = {
    "e": math.e,
    "log2e": math.log2(math.e),
    "log10e": math.log10(math.e),
    "ln2": math.log(2),
    "ln10": math.log(10),
    "pi": math.pi,
    "sqrt2": math.sqrt(2),
    "sqrt1_2": math.sqrt(0.5),
}


class Unreadable(ValueError):
    """The text begins with no expression, or asks for a remainder of a division by zero."""


def same(one: float, other: float) -> bool:
    """Whether two numbers are as good as equal."""
    return abs(one - other) < _EPSILON


def value(text: str) -> float:
    """What the expression that TEXT begins with is worth. Raises Unreadable."""
    if not text:
        return 0.0
    reader = _Reader(text)
    reader.blanks()
    try:
        result = reader.sum()
    except RecursionError:
        raise Unreadable("too many brackets inside of each other") from None
    if result is None:
        raise Unreadable("expression could not be parsed")
    return result


# operators and functions


def _divided(one: float, other: float) -> float:
    if other:
        return one / other
    if not one or one != one:
        return _NAN
    return math.copysign(math.inf, one) * math.copysign(1, other)


def _remainder(one: float, other: float) -> float:
    divisor = truncated(other)
    if not divisor:
        raise Unreadable("division by zero")
    dividend = truncated(one)
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def _power(one: float, other: float) -> float:
    try:
        return math.pow(one, other)
    except OverflowError:
        return -math.inf if one < 0 and other % 2 == 1 else math.inf
    except ValueError:  # a root of a negative number, or a division by zero
        if one:
            return _NAN
        return math.copysign(math.inf, one) if other % 2 == 1 else math.inf


def _logarithm(function: "Callable[[float], float]") -> "Callable[[float], float]":
    return lambda number: function(number) if number else -math.inf


def _whole(function: "Callable[[float], int]") -> "Callable[[float], float]":
    return lambda x: math.copysign(function(x), x) if math.isfinite(x) else x


_SUMS: "dict[str, Callable[[float, float], float]]" = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "==": same,
    "<=": lambda one, other: one < other or same(one, other),
    "<": lambda one, other: one < other,
    ">=": lambda one, other: one > other or same(one, other),
    ">": lambda one, other: one > other,
}
_PRODUCTS: "dict[str, Callable[[float, float], float]]" = {
    "^": _power,
    "**": _power,
    "*": lambda one, other: one * other,
    "/": _divided,
    "%": _remainder,
}
_FUNCTIONS: "dict[str, Callable[[float], float]]" = {
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "log10": lambda number: math.nan if number < 0 else _logarithm(math.log10)(number),
    "log2": _logarithm(math.log2),
    "log": _logarithm(math.log),
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": lambda number: math.asin(number) if not abs(number) > 1 else math.nan,
    "acos": lambda number: math.acos(number) if not abs(number) > 1 else math.nan,
    "atan": math.atan,
    "abs": abs,
    "step": lambda number: 0.0 if number < 0 else 1.0,
}


def _applied(name: str, number: float) -> float:
    try:
        return _FUNCTIONS[name](number)
    except ValueError:
        return _NAN


class _Reader:
    """A position in an expression, and the function that was named last."""

    __slots__ = ("at", "function", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.function = ""

    def blanks(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1

    def word(self, word: str) -> bool:
        """Whether WORD is next; if so it is passed over."""
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        return True

    def sum(self) -> float | None:
        """None, here as everywhere, if there is no such thing."""
        return self.chain(self.product, _SUMS)

    def product(self) -> float | None:
        return self.chain(self.value, _PRODUCTS)

    def chain(
        self,
        operand: "Callable[[], float | None]",
        operators: "dict[str, Callable[[float, float], float]]",
    ) -> float | None:
        """Operands with operators of one level between them, from left to right."""
        result = operand()
        while result is not None:
            step = self.step(operand, operators)
            if step is None:
                break
            name, other = step
            result = float(operators[name](result, other))
        return result

    def step(
        self, operand: "Callable[[], float | None]", operators: "dict[str, Callable[..., float]]"
    ) -> tuple[str, float] | None:
        """One operator and what follows it; where that is nothing, the position stays."""
        start, function = self.at, self.function
        for name in operators:
            if self.word(name):
                self.blanks()
                other = operand()
                if other is not None:
                    return name, other
                self.at, self.function = start, function
        return None

    def value(self) -> float | None:
        start = self.at
        for alternative in (self.number, self.constant, self.call, self.bracket):
            found = alternative()
            if found is not None:
                return found
            self.at = start
        return None

    def digits(self) -> int:
        """How many digits are next; they are passed over."""
        start = self.at
        while self.text[self.at : self.at + 1] in tuple("0123456789"):
            self.at += 1
        return self.at - start

    def number(self) -> float | None:
        start = self.at
        self.word("-")
        whole = self.digits()
        if not (self.word(".") and self.digits()) and not whole:
            return None
        number = float(self.text[start : self.at])
        self.blanks()
        unit = _UNITS.get(self.text[self.at : self.at + 1].lower())
        if unit is None:
            return number
        self.at += 1
        self.blanks()
        return number * unit

    def constant(self) -> float | None:
        for name, number in _CONSTANTS.items():
            if self.word(name):
                return number
        return None

    def call(self) -> float | None:
        for name in _FUNCTIONS:
            if self.word(name):
                return self.argument(name)
        return None

    def argument(self, name: str) -> float | None:
        if not self.word("("):
            return None
        self.function = name
        self.blanks()
        number = self.value()
        if number is None or not self.word(")"):
            return None
        self.blanks()
        return _applied(self.function, number)

    def bracket(self) -> float | None:
        if not self.word("("):
            return None
        self.blanks()
        number = self.sum()
        if number is None or not self.word(")"):
            return None
        self.blanks()
        return number
