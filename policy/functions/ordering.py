"""How values are ordered: as text, numbers, addresses; what cannot be read as such comes first."""

from policy.numbers import truncated
from policy.values import leading_real, octets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    # whether it is what the mode is about, what that is worth, and the text of all others
    Key: TypeAlias = tuple[bool, tuple[float, ...], bytes]

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def _keyed(value: str, worth: tuple[float, ...] | None) -> "Key":
    return (False, (), octets(value)) if worth is None else (True, worth, b"")


def _lexical(value: str) -> "Key":
    return _keyed(value, None)


def _real(value: str) -> "Key":
    number = leading_real(value)[0]
    return _keyed(value, None if number is None else (number,))


def _integer(value: str) -> "Key":
    number = leading_real(value)[0]
    return _keyed(value, None if number is None else (truncated(number),))


def _address(value: str) -> "Key":
    return _keyed(value, _ipv4(value) or _ipv6(value))


def _ipv4(value: str) -> tuple[float, ...] | None:
    """The octets of an address behind a 4; a port is not counted."""
    address, colon, port = value.partition(":")
    groups = address.split(".")
    if len(groups) == 4 and all(_at_most(group, 255) for group in groups):
        return (4, *map(int, groups)) if not colon or _at_most(port, 65535) else _cut(value)
    return _cut(value)


def _cut(value: str) -> tuple[float, ...] | None:
    """What is read of an address that one strange octet ends: all but its last group."""
    groups, end = value[:-1].split("."), value[-1:]
    if len(octets(end)) != 1 or end.isdigit() or len(groups) > 4:
        return None
    if end == (":" if len(groups) == 4 else ".") or not all(_at_most(it, 255) for it in groups):
        return None
    return (4, *map(int, groups[:-1]), *[0] * (5 - len(groups)))


def _at_most(digits: str, limit: int) -> bool:
    number = digits.lstrip("0")
    return digits.isascii() and digits.isdigit() and len(number) < 6 and int(number or 0) <= limit


def _ipv6(value: str) -> tuple[float, ...] | None:
    """The groups of an address behind a 6; of two that are the same, that with a port is less."""
    address, without_port = value, 1
    if address[:1] == "[":
        address, _, rest = address[1:].partition("]")
        if rest and not (rest[0] == ":" and _at_most(rest[1:], 65535)):
            return None
        without_port = not rest
    left, gap, right = address.partition("::")
    before, after = [side.split(":") if side else [] for side in (left, right)]
    missing = 8 - len(before) - len(after)
    if missing < 0 or bool(gap) != bool(missing):
        return None
    groups = [*before, *["0"] * missing, *after]
    if not all(0 < len(group) <= 4 and _HEX_DIGITS.issuperset(group) for group in groups):
        return None
    return (6, *[int(group, 16) for group in groups], without_port)


def _hardware(value: str) -> "Key":
    """A MAC address is twelve digits, or six groups of them between colons."""
    groups = (
        value.split(":", 5) if len(value) > 12 else [value[at : at + 2] for at in range(0, 12, 2)]
    )
    last = len(groups[-1]) - len(groups[-1].lstrip("".join(_HEX_DIGITS)))
    groups[-1] = groups[-1][:last]
    if len(groups) < 6 or not all(group and _HEX_DIGITS.issuperset(group) for group in groups):
        return _keyed(value, None)
    return _keyed(value, tuple([int(group, 16) % 256 for group in groups]))


KEYS: "dict[str, Callable[[str], Key]]" = {
    "lex": _lexical,
    "int": _integer,
    "real": _real,
    "ip": _address,
    "mac": _hardware,
}


def key(mode: str) -> "Callable[[str], Key]":
    """What values are ordered by in a MODE; one that is none is `lex`."""
    return KEYS.get(mode.lower(), _lexical)


def ordered(items: list[str], mode: str) -> list[str]:
    """ITEMS from the least to the greatest; as in the reference equal ones change their order."""
    backwards = items[::-1]
    return sorted(backwards, key=key(mode))
