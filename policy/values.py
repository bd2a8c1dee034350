"""Values: text and its octets, numbers as the language reads them, and data containers.

A value is a `str` (any scalar), a tuple of str (a list), or a dict or list (a data container). What
a variable holds is never changed in place: who wants another container makes one.
"""

from policy.context import SPECIAL_SCOPES, descend
from policy.errors import Failed
from policy.json_text import BadJSON, Real, dump_json, parse_json, raw
from policy.numbers import mix, one_at_a_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context, Scope

__all__ = (
    "NO_INTEGER", "BadJSON", "Real", "canonify", "children", "container", "dump_json", "formatted",
    "integer", "leading_integer", "leading_real", "named", "normalised", "octets", "parse_json",
    "raw", "real", "text", "truth", "wrapped",
)  # fmt: skip

# text


def octets(value: str) -> bytes:
    """The bytes of a text: it is these that the language counts, cuts and matches."""
    return value.encode("utf-8", "surrogateescape")


def text(value: bytes) -> str:
    """The text that bytes are; what is not UTF-8 in them survives."""
    return value.decode("utf-8", "surrogateescape")


_CANON = bytes(byte if chr(byte).isalnum() and byte < 128 else 0x5F for byte in range(256))


def canonify(value: str) -> str:
    """VALUE as a class name: each byte that is neither letter nor digit becomes `_`."""
    return octets(value).translate(_CANON).decode("ascii")


def truth(word: str) -> bool:
    """What an option word says: `false`, `no` and `off` are false, all else is true."""
    return word not in ("false", "no", "off")


# numbers

_BLANK = " \t\n\r\v\f"
_DIGITS = frozenset("0123456789")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_FACTORS = {"k": 1000, "K": 1024, "m": 10**6, "M": 1024**2, "g": 10**9, "G": 1024**3}
_MOST_DIGITS = 20  # more than any integer of 64 bits has
NO_INTEGER = -678  # what the language uses for "no value", and therefore cannot read as one


def _skip(value: str, at: int, kind: frozenset[str]) -> int:
    """Where the characters of this KIND that begin at AT end."""
    while at < len(value) and value[at] in kind:
        at += 1
    return at


def _sign(value: str) -> tuple[int, int]:
    """Where a number would begin in VALUE, and where its sign ends."""
    start = len(value) - len(value.lstrip(_BLANK))
    return start, start + (value[start : start + 1] in ("+", "-"))


def _mantissa(value: str, at: int, kind: frozenset[str], exponents: tuple[str, str]) -> int:
    """Where digits of this KIND, with a point and an exponent, end; AT if there are none."""
    end = _skip(value, at, kind)
    found = end - at
    if value[end : end + 1] == ".":
        fraction = _skip(value, end + 1, kind)
        found += fraction - end - 1
        end = fraction
    if not found:
        return at
    if value[end : end + 1] in exponents:
        digits = end + 1 + (value[end + 1 : end + 2] in ("+", "-"))
        last = _skip(value, digits, _DIGITS)
        return last if last > digits else end
    return end


def leading_integer(value: str) -> tuple[int | None, str]:
    """The integer that VALUE begins with, None if it does not, and the rest: C's `%lld`."""
    start, digits = _sign(value)
    end = _skip(value, digits, _DIGITS)
    if end == digits:
        return None, value
    number = int(value[digits:end].lstrip("0")[:_MOST_DIGITS] or 0)
    signed = -number if value[start] == "-" else number
    return max(-(2**63), min(signed, 2**63 - 1)), value[end:]


def leading_real(value: str) -> tuple[float | None, str]:
    """The number that VALUE begins with, None if it does not, and the rest: C's `%lf`."""
    start, at = _sign(value)
    if value[at : at + 2] in ("0x", "0X"):
        end = _mantissa(value, at + 2, _HEX_DIGITS, ("p", "P"))
        if end > at + 2:
            return float.fromhex(value[start:end]), value[end:]
    end = _mantissa(value, at, _DIGITS, ("e", "E"))
    if end > at:
        return float(value[start:end]), value[end:]
    for word in ("infinity", "inf", "nan"):
        end = at + len(word)
        if value[at:end].lower() == word:
            return float(value[start:end]), value[end:]
    return None, value


def integer(value: str, now: float = 0) -> int:
    """VALUE as the language reads integers: `10`, `10k`, `5%`, `inf`, `now`. Raises ValueError."""
    if value == "inf":
        return 999999999
    if value == "now":
        return int(now)
    number, rest = leading_integer(value)
    if number is None:
        raise ValueError(f"Failed to parse integer number: {value}")
    result = _scaled(number, rest, f"integer number: {value}")
    if result == NO_INTEGER:
        raise ValueError(f"Failed to parse integer number: {value}")
    return int(result)


def real(value: str) -> float:
    """VALUE as the language reads reals: `1.5`, `2k`, `0x10`, `1e3`. Raises ValueError."""
    number, rest = leading_real(value)
    if number is None:
        raise ValueError(f"Failed to parse real number: {value}")
    return float(_scaled(number, rest, f"real number: {value}"))


def _scaled(number: float, rest: str, what: str) -> float:
    """NUMBER with the one suffix that may follow it. Raises ValueError if more does."""
    if rest[1:].strip(_BLANK):
        raise ValueError(f"Anomalous ending '{rest[:2]}' while parsing {what}")
    if rest[:1] != "%":
        return number * _FACTORS.get(rest[:1], 1)
    if not 0 <= number <= 100:
        raise ValueError(f"Percentage out of range: {number:.2f}")
    return -number


# containers

_TABLE = 512


def formatted(value: "Any") -> str | None:
    """A JSON primitive as functions that search and count see it: reals `%.2f`, None for null."""
    if isinstance(value, float):
        return f"{value:.2f}"
    return None if value is None else raw(value)


def children(container: "Any") -> "list[Any]":
    """The direct children of a container, as a new list."""
    return list(container.values() if isinstance(container, dict) else container)


def normalised(value: "Any") -> "Any":
    """A copy as variables store it: reals with four decimals, integers wrapped to 32 bit."""
    if isinstance(value, dict):
        return {key: normalised(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [normalised(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4f}")
    return wrapped(value) if type(value) is int else value


def wrapped(number: int) -> int:
    """NUMBER as 32 bits with a sign hold it."""
    return (number + 2**31) % 2**32 - 2**31


def container(
    ctx: "Context", value: "Any", scalars: bool = False, *, primitives: bool = False
) -> "Any":
    """The dict or list that an argument means; with SCALARS also the text of a scalar variable.

    With PRIMITIVES it may be one that `d[k]` finds in a container. VALUE is a container, inline
    JSON, or the name of a variable: `x`, `b.x`, `@(x)`, `a[k]`.
    Raises Failed. The result may be what the variable holds: it must not be changed.
    """
    if not isinstance(value, str):
        return list(value) if isinstance(value, tuple) else value
    if value.lstrip(_BLANK)[:1] in ("[", "{"):
        try:
            return parse_json(value, lambda word: named(ctx, word, scalars=True))
        except BadJSON:
            raise Failed(value) from None
    reference = value
    if value[:2] in ("@(", "@{") and value[-1] == ")}"[value[1] == "{"]:
        reference = value[2:-1]
    found = named(ctx, reference, scalars=scalars)
    if found is None and primitives:
        found = _selected(ctx, outright(ctx, reference))
    if found is None:
        raise Failed(value)
    return found


def outright(ctx: "Context", reference: str) -> str:
    """REFERENCE as functions take it: `b.v` means a bundle of the namespace `default`."""
    if ctx.frame.namespace == "default":
        return reference
    namespace, scope, _, _ = ctx.reference(reference)
    if scope is None or namespace is not None or scope in SPECIAL_SCOPES:
        return reference
    return f"default:{reference}"


def named(ctx: "Context", reference: str, *, scalars: bool = False) -> "Any":
    """What the variable REFERENCE holds, as container values go; None if there is no such thing.

    A classic array, or what lies below some of its indices, becomes nested dicts.
    """
    full = outright(ctx, reference)
    variable = ctx.variable(full)
    held = variable.value if variable is not None else _selected(ctx, full)
    if isinstance(held, tuple):
        return list(held)
    if isinstance(held, (dict, list)) or (scalars and held is not None):
        return held
    found = _array(ctx, full)
    return _array(ctx, reference) if found is None and full != reference else found


def _selected(ctx: "Context", reference: str) -> "Any":
    """What REFERENCE selects inside the container that it begins in, or None."""
    indices = ctx.reference(reference)[3]
    base = reference.partition("[")[0]
    for kept in range(len(indices) - 1, -1, -1):
        owner = ctx.variable(base + "".join([f"[{index}]" for index in indices[:kept]]))
        if owner is not None and isinstance(owner.value, (dict, list)):
            try:
                return descend(owner.value, indices[kept:])
            except KeyError:
                return None
    return None


def _array(ctx: "Context", reference: str) -> "dict[str, Any] | None":
    """The elements of the classic array REFERENCE as nested dicts, or None if it has none."""
    namespace, scope, name, indices = ctx.reference(reference)
    if scope == "sys":
        elements = _sys_elements(ctx, name)
    else:
        where = ctx.scope_of(namespace, scope)
        elements = _elements(where, name)
    below = [
        it for it in elements if len(it[0]) > len(indices) and it[0][: len(indices)] == indices
    ]
    if len(below) > 1:
        owner = (namespace or ctx.frame.namespace) if scope not in SPECIAL_SCOPES else "default"
        _arrange(below, mix(f"{owner}{scope or ctx.frame.bundle}{name}"))
    found: dict[str, Any] = {}
    for key, value in below:
        _insert(found, key[len(indices) :], value)
    return found or None


def _arrange(elements: "list[tuple[tuple[str, ...], Any]]", mixed: int) -> None:
    """Put the elements of an array in the order in which the reference finds them.

    Policies came to depend on it: it is that of its table of variables, by their hash. MIXED is the
    hash so far of what owns the array, and its name. The table grows with the number of variables;
    we always take the size for 200 to 400 of them.
    """
    elements.sort(key=lambda it: one_at_a_time("]" + "]".join(it[0]), mixed) % _TABLE)


def _elements(scope: "Scope | None", name: str) -> "list[tuple[tuple[str, ...], Any]]":
    found = scope.arrays.get(name, {}) if scope is not None else {}
    return [(key, variable.value) for key, variable in found.items()]


def _sys_elements(ctx: "Context", name: str) -> "list[tuple[tuple[str, ...], Any]]":
    """As `_elements`, of an array among the facts."""
    keys = [key for key in ctx.facts if key.startswith(f"{name}[")]
    return [(ctx.reference(key)[3], ctx.facts[key].value) for key in keys]


def _insert(found: "dict[str, Any]", indices: tuple[str, ...], value: "Any") -> None:
    """Put VALUE where INDICES lead in FOUND; a deeper array takes the place of a plain value."""
    for index in indices[:-1]:
        inner = found.get(index)
        if not isinstance(inner, dict):
            inner = found[index] = {}
        found = inner
    if not isinstance(found.get(indices[-1]), dict):
        found[indices[-1]] = list(value) if isinstance(value, tuple) else value
