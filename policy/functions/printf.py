"""The conversions that `format` knows: C's `%d %o %x %f %s`, on octets and with C's integers."""

from policy.values import leading_integer, leading_real, octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CONVERSIONS = frozenset("diouxXeEfFgGaAcsCSpnm%")
_FLAGS = frozenset("-+ #0'")
_LONGEST = 4095  # octets of a number
_MOST = 1_000_000  # octets that a width or a precision may ask for


def parts(template: str) -> "Iterator[str]":
    """TEMPLATE as plain texts and specifications (`%...d`); a `%` that begins none ends it.

    So does one in which another `%` comes before the conversion, but for `%%` itself.
    """
    plain = 0
    while True:
        start = template.find("%", plain)
        if start < 0:
            yield template[plain:]
            return
        yield template[plain:start]
        end = start + 1
        while end < len(template) and template[end] not in _CONVERSIONS:
            end += 1
        if end == len(template) or (template[end] == "%" and end > start + 1):
            return
        plain = end + 1
        yield template[start:plain]


class Spec:
    """A specification taken apart: `%-8.2lf` has flags `-`, width 8, precision 2, and is long."""

    __slots__ = ("conversion", "flags", "long", "precision", "width")

    def __init__(self, written: str) -> None:
        """Raises ValueError for what means nothing to C, or makes it look for another argument.

        OverflowError if what it says is too wide.
        """
        self.conversion = written[-1]
        body = written[1:-1]
        modified = body.rstrip("l")
        self.long = len(modified) < len(body)
        sizes = modified.lstrip("-+ #0'")
        self.flags = modified[: len(modified) - len(sizes)]
        width, point, precision = sizes.partition(".")
        self.width = _size(width)
        self.precision = _size(precision) if point else -1

    def integer(self, argument: str) -> str:
        """ARGUMENT as `%d`, `%o` and `%x` show it: 32 bits, or 64 of a long."""
        bits = 64 if self.long else 32
        number = (leading_integer(argument)[0] or 0) % 2**bits
        sign = ""
        if self.conversion == "d":
            number -= 2**bits if number >> (bits - 1) else 0
            sign = "-" if number < 0 else "+" if "+" in self.flags else " " * (" " in self.flags)
        digits = format(abs(number), self.conversion).rjust(self.precision, "0")
        if self.precision == 0 == number:
            digits = ""
        if "#" in self.flags:
            sign, digits = self._alternative(number, sign, digits)
        if "0" in self.flags and "-" not in self.flags and self.precision < 0:
            digits = digits.rjust(self.width - len(sign), "0")
        return self._padded(sign + digits)[:_LONGEST]

    def _alternative(self, number: int, sign: str, digits: str) -> tuple[str, str]:
        """Sign and digits with `0x` or the 0 of an octal number."""
        if self.conversion == "x" and number:
            return "0x", digits
        if self.conversion == "o" and not digits.startswith("0"):
            return sign, "0" + digits
        return sign, digits

    def real(self, argument: str) -> str:
        """ARGUMENT as `%f` shows it."""
        number = leading_real(argument)[0] or 0.0
        flags = self.flags.replace("'", "")
        if number - number != 0:  # neither infinity nor "not a number" is padded with zeros
            flags = flags.replace("0", "")
        precision = 6 if self.precision < 0 else self.precision
        return (f"%{flags}{self.width or ''}.{precision}f" % number)[:_LONGEST]

    def string(self, argument: str) -> str:
        """ARGUMENT as `%s` shows it: width and precision are counted in octets."""
        if self.precision >= 0:
            argument = text(octets(argument)[: self.precision])
        return self._padded(argument)

    def _padded(self, shown: str) -> str:
        blanks = " " * (self.width - len(octets(shown)))
        return shown + blanks if "-" in self.flags else blanks + shown


def _size(digits: str) -> int:
    if digits and not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"'{digits}' is no size")
    if len(digits) > len(str(_MOST)) or int(digits or 0) > _MOST:
        raise OverflowError
    return int(digits or 0)
