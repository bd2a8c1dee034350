"""Values: text and its octets, numbers as the language writes them, JSON, and data containers.

A value is a `str` (any scalar), a tuple of str (a list), or a dict or list (a data container). What
a variable holds is never changed in place: who changes a container makes a new one.
"""

from policy.context import descend
from policy.errors import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn, TypeAlias

    from policy.context import Context

    Lookup: TypeAlias = Callable[[str], Any]

_BLANK = " \t\n\r\v\f"
_DIGITS = frozenset("0123456789")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Real(float):
    """A real as JSON text wrote it: `1.50` stays so until it is stored in a variable."""

    __slots__ = ("text",)

    def __new__(cls, text: str) -> "Real":
        real = super().__new__(cls, text)
        real.text = text
        return real

    text: str


class BadJSON(ValueError):
    """Text that is no JSON, even to a lenient reader. REST is what was left when it became clear."""

    def __init__(self, reason: str, rest: str) -> None:
        super().__init__(reason)
        self.rest = rest


# text


def octets(value: str) -> bytes:
    """The bytes of a text: the language counts, cuts and matches these."""
    return value.encode("utf-8", "surrogateescape")


def text(value: bytes) -> str:
    """The text that bytes are; what is not UTF-8 in them survives."""
    return value.decode("utf-8", "surrogateescape")


_CANON = bytes(byte if chr(byte) in _WORD else 0x5F for byte in range(256))


def canonify(value: str) -> str:
    """VALUE as a class name: each byte that is neither letter nor digit becomes `_`."""
    return octets(value).translate(_CANON).decode("ascii")


def truth(word: str) -> bool:
    """What an option word says: `false`, `no` and `off` are false, all else is true."""
    return word not in ("false", "no", "off")


# numbers

_FACTORS = {"k": 1000, "K": 1024, "m": 10**6, "M": 1024**2, "g": 10**9, "G": 1024**3}


def _run(value: str, at: int, of: frozenset[str]) -> int:
    """Where the characters OF a kind that begin at AT end."""
    while at < len(value) and value[at] in of:
        at += 1
    return at


def _signed(value: str) -> tuple[int, int]:
    """Where a number would begin in VALUE, and where its sign ends."""
    start = len(value) - len(value.lstrip(_BLANK))
    return start, start + (value[start : start + 1] in ("+", "-"))


def leading_integer(value: str) -> tuple[int | None, str]:
    """The integer that VALUE begins with, None if it does not, and the rest: C's `%lld`."""
    start, digits = _signed(value)
    end = _run(value, digits, _DIGITS)
    if end == digits:
        return None, value
    number = int(value[start:end])
    return max(-(2**63), min(number, 2**63 - 1)), value[end:]


def _hexadecimal(value: str, at: int) -> int:
    """Where the hexadecimal number whose digits begin at AT ends; AT if there is none."""
    end = _run(value, at, _HEX_DIGITS)
    found = end - at
    if value[end : end + 1] == ".":
        fraction = _run(value, end + 1, _HEX_DIGITS)
        found += fraction - end - 1
        end = fraction
    return _exponent(value, end, "pP") if found else at


def _decimal(value: str, at: int) -> int:
    """Where the decimal number whose digits begin at AT ends; AT if there is none."""
    end = _run(value, at, _DIGITS)
    found = end - at
    if value[end : end + 1] == ".":
        fraction = _run(value, end + 1, _DIGITS)
        found += fraction - end - 1
        end = fraction
    return _exponent(value, end, "eE") if found else at


def _exponent(value: str, at: int, letters: str) -> int:
    """Where the exponent that may begin at AT ends."""
    if value[at : at + 1] not in tuple(letters):
        return at
    digits = at + 1 + (value[at + 1 : at + 2] in ("+", "-"))
    end = _run(value, digits, _DIGITS)
    return end if end > digits else at


def leading_real(value: str) -> tuple[float | None, str]:
    """The number that VALUE begins with, None if it does not, and the rest: C's `strtod`."""
    start, at = _signed(value)
    if value[at : at + 2] in ("0x", "0X"):
        end = _hexadecimal(value, at + 2)
        if end > at + 2:
            return float.fromhex(value[start:end]), value[end:]
    end = _decimal(value, at)
    if end > at:
        return float(value[start:end]), value[end:]
    for word in ("infinity", "inf", "nan"):
        if value[at : at + len(word)].lower() == word:
            return float(value[start : at + len(word)]), value[at + len(word) :]
    return None, value


def _suffix(rest: str, whole: str) -> str:
    """The one character that may follow a number. Raises ValueError if there is more."""
    if rest[1:].strip(_BLANK):
        raise ValueError(f"Anomalous ending '{rest}' while parsing number: {whole}")
    return rest[:1]


def integer(value: str, now: float = 0) -> int:
    """VALUE as the language reads integers: `10`, `10k`, `inf`, `now`. Raises ValueError."""
    if value == "inf":
        return 999999999
    if value == "now":
        return int(now)
    number, rest = leading_integer(value)
    if number is None:
        raise ValueError(f"Failed to parse integer number: {value}")
    suffix = _suffix(rest, value)
    if suffix == "%":
        if not 0 <= number <= 100:
            raise ValueError(f"Percentage value out of range: {value}")
        return -number
    number *= _FACTORS.get(suffix, 1)
    if number == -678:  # the value that stands for "none" in the reference
        raise ValueError(f"Failed to parse integer number: {value}")
    return number


def real(value: str) -> float:
    """VALUE as the language reads reals: `1.5`, `2k`, `0x10`, `1e3`. Raises ValueError."""
    number, rest = leading_real(value)
    if number is None:
        raise ValueError(f"Failed to parse real number: {value}")
    suffix = _suffix(rest, value)
    if suffix == "%":
        if not 0 <= number <= 100:
            raise ValueError(f"Percentage value out of range: {value}")
        return -number
    return number * _FACTORS.get(suffix, 1)


# containers


def raw(value: "Any") -> str:
    """A JSON primitive as it is stored: reals with their own digits, `null` for None."""
    if isinstance(value, str):
        return value
    if isinstance(value, Real):
        return value.text
    if isinstance(value, float):
        return f"{value:.4f}"
    return _WORDS_OF.get(value) or str(value) if value is None or value is True or value is False else str(value)


def formatted(value: "Any") -> str | None:
    """A JSON primitive as functions that search and count see it: reals as `%.2f`, None for null."""
    if isinstance(value, float):
        return f"{value:.2f}"
    return None if value is None else raw(value)


def children(container: "Any") -> "list[Any]":
    """The direct children of a container."""
    return list(container.values()) if isinstance(container, dict) else list(container)
