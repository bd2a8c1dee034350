"""The arithmetic of `eval`: a greedy grammar, its operators all of two levels, doubles throughout.

    sum      = product (("+" | "-" | "==" | "<=" | "<" | ">=" | ">") product)*
    product  = value (("^" | "**" | "*" | "/" | "%") value)*
    value    = number unit? | constant | function "(" value ")" | "(" sum ")"

What follows the longest expression is ignored. As in the reference, a constant takes no blank
behind it, and of nested functions the innermost is used for all.
"""

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_BLANK = " \t"
_DIGITS = "0123456789"
_EPSILON = 1e-17
_NAN = math.copysign(math.nan, -1)  # what the processor makes of 0/0, with the sign that it shows

_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15}
# in the order in which they are tried: `pi_2` is found to be `pi`
_CONSTANTS = {
    "log2e": math.log2(math.e),
    "log10e": math.log10(math.e),
    "ln2": math.log(2),
    "ln10": math.log(10),
    "pi": math.pi,
    "sqrt2": math.sqrt(2),
    "sqrt1_2": math.sqrt(0.5),
    "e": math.e,
}
_COMPARISONS: "dict[str, Callable[[float, float], bool]]" = {
    "==": lambda one, other: _same(one, other),
    "<=": lambda one, other: one < other or _same(one, other),
    ">=": lambda one, other: one > other or _same(one, other),
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
}
_FUNCTIONS: "dict[str, Callable[[float], float]]" = {
    "ceil": lambda x: x if math.isinf(x) or math.isnan(x) else float(math.ceil(x)),
    "floor": lambda x: x if math.isinf(x) or math.isnan(x) else float(math.floor(x)),
    "log10": lambda x: _logarithm(math.log10, x),
    "log2": lambda x: _logarithm(math.log2, x),
    "log": lambda x: _logarithm(math.log, x),
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "abs": abs,
    "step": lambda x: 0.0 if x < 0 else 1.0,
}
