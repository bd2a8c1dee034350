"""Small algorithms whose every bit is part of the language: hashes, chance, numbers as in C."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MASK = 0xFFFFFFFF
_MODULUS = 2**31 - 1


def one_at_a_time(text: str, mixed: int = 0) -> int:
    """Bob Jenkins' one-at-a-time hash of a text, 32 bits, behind what is MIXED already."""
    value = mix(text, mixed) * 9 & _MASK
    value ^= value >> 11
    return value * 32769 & _MASK


def mix(text: str, value: int = 0) -> int:
    """The hash so far, without its end, of what made VALUE and TEXT behind it."""
    for octet in text.encode("utf-8", "surrogateescape"):
        value = (value + octet) * 1025 & _MASK
        value ^= value >> 6
    return value


def rand(seed: int) -> "Iterator[int]":
    """What rand() of the GNU C library gives, one after the other, after srand(SEED)."""
    value = seed - 2**32 if seed >= 2**31 else seed or 1
    state = [value]
    for _ in range(30):
        value = _step(value)
        state.append(value)
    state += state[:3]
    count = 0
    while True:
        state.append((state[-3] + state[-31]) & _MASK)
        count += 1
        if count > 310:
            yield state[-1] >> 1


def _step(value: int) -> int:
    """The next of a linear congruence, with C's remainder: the sign of the dividend."""
    product = 16807 * value
    remainder = product % _MODULUS if product >= 0 else -(-product % _MODULUS)
    return remainder + _MODULUS if remainder < 0 else remainder


def truncated(number: float) -> int:
    """NUMBER as a C long: what does not fit into one is the lowest of them."""
    return int(number) if -(2.0**63) <= number < 2.0**63 else -(2**63)


def fixed(number: float) -> str:
    """NUMBER as `%f` shows it in C, where "not a number" has a sign."""
    from math import copysign

    return "-nan" if number != number and copysign(1, number) < 0 else f"{number:f}"
