"""What is wrong with a value as written: a literal text, or a function call, for what takes it.

A text with a reference in it may become anything, so it is not judged here.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from policy import values
from policy.diagnostics import Diagnostic, nearest
from policy.functions import SIGNATURES, supported
from policy.syntax import Call, List, ListRef, Name, Rval, Text
from policy.vocabulary import BOOL, RANGES, Attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# the type of the items of a list
ITEMS = {
    "slist": "str", "ilist": "int", "rlist": "real", "clist": "context", "olist": "option",
    "modes": "mode",
}  # fmt: skip

# what a function may return where this, or an item of it, is wanted; for the rest, its own type
WANTED = {
    "str": ("string", "int", "real", "class"),
    "mode": ("string", "int", "real", "class"),
    "slist": ("slist", "string"),
    "modes": ("slist", "string"),
    "ilist": ("ilist", "int"),
    "rlist": ("rlist", "real"),
    "clist": ("class",),
    "context": ("class", "string"),
    "int": ("int",),
    "real": ("real",),
    "irange": ("irange",),
    "data": ("data",),
}

UNLIMITED = (-99999999999.0, 99999999999.0)
UNLIMITED_REAL = (-9.99999e100, 9.99999e100)
LARGEST_MODE = 0o177777

# what is wrong, and what may help
Problem = tuple[str, str]


def varies(text: str) -> bool:
    """Whether TEXT refers to a variable."""
    return any(opening in text for opening in ("$(", "${", "@(", "@{"))


def meant(word: str, known: Iterable[str]) -> str:
    """A hint that names what WORD is probably a slip of, if one of KNOWN is like it."""
    found = nearest(word, known)
    return f"did you mean '{found}'?" if found else ""


# literal texts


def problem(kind: str, limits: str, text: str) -> Problem | None:
    """What is wrong with TEXT where a KIND within LIMITS is wanted, None if nothing is."""
    judge = JUDGES.get(kind)
    if judge is None or varies(text):
        return None
    return judge(limits, text)


def _text(limits: str, text: str) -> Problem | None:
    if not limits or limits == ".*" or re.fullmatch(limits, text, re.DOTALL):
        return None
    if not text:
        return "Empty scalar value is out of range", ""
    if limits == RANGES["PATH"]:
        return "Filename is not an absolute path", "it has to begin with '/'"
    return "Scalar value is out of range", f"it has to match '{limits}'"


def _context(limits: str, text: str) -> Problem | None:
    if re.fullmatch(limits, text):
        return None
    return "Context string is invalid/out of range", "a class expression: 'linux.(Hr05|!weekend)'"


def _option(limits: str, text: str) -> Problem | None:
    words = limits.split("|")
    if not text or text in words:
        return None
    return "Selection is out of bounds", meant(text, words) or "one of " + ", ".join(words)


def _bool(_limits: str, text: str) -> Problem | None:
    return _option(BOOL, text)


def _bounds(limits: str, unlimited: tuple[float, float]) -> tuple[float, float]:
    """The numbers of `0..inf`."""
    if not limits:
        return unlimited
    low, high = limits.split("..")
    return float(low), UNLIMITED[1] if high == "inf" else float(high)


def _within(number: float, limits: str, unlimited: tuple[float, float]) -> bool:
    low, high = _bounds(limits, unlimited)
    return low <= number <= high


def _int(limits: str, text: str) -> Problem | None:
    try:
        number = values.integer(text)
    except ValueError as error:
        return "Cannot parse value as integer", str(error)
    if _within(number, limits, UNLIMITED):
        return None
    return "Integer is out of range", f"it has to be within {limits or 'what 11 digits can say'}"


def _real(limits: str, text: str) -> Problem | None:
    try:
        number = values.real(text)
    except ValueError as error:
        return "Real value is out of range", str(error)
    if _within(number, limits, UNLIMITED_REAL):
        return None
    return "Real value is out of range", f"it has to be within {limits}" if limits else ""


def _irange(limits: str, text: str) -> Problem | None:
    ends = text.split(",")
    if len(ends) != 2:
        message = "Range format specifier should be of form 'a,b'' but got multiple items"
        return message, "two numbers, or irange(a,b)"
    for end in ends:
        found = _int(limits, end)
        if found is not None:
            return "Integer is out of range", found[1]
    return None


def _mode(_limits: str, text: str) -> Problem | None:
    grants = 0
    for clause in text.split(","):
        try:
            grants = _clause(clause)
        except ValueError as error:
            return "Error parsing Unix permission string", str(error)
    if grants or text in ("000", "0000"):
        return None
    return "Error parsing Unix permission string", "mode string is incomplete"


_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o0007, "a": 0o7777}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}


def _clause(clause: str) -> int:
    """The bits that a clause of a mode speaks of: `u+x`, `644`. Raises ValueError."""
    digits = clause.lstrip("+-=")
    if digits.isdigit():
        return _octal(digits)
    who = granted = 0
    signs = 0
    for char in clause:
        if char in "+-=":
            signs += 1
        elif char in _WHO and not signs:
            who |= _WHO[char]
        elif char in _BITS:
            granted |= _BITS[char] & (who if char != "t" else 0o7777)
        elif char in _WHO:
            raise ValueError(f"Mode string constant ({char}) used out of context")
        else:
            raise ValueError(f"Invalid mode string ({clause})")
    if signs > 1:
        raise ValueError("Too many +-= in mode string")
    return granted


def _octal(digits: str) -> int:
    if "8" in digits or "9" in digits:
        raise ValueError(f"Invalid mode string ({digits})")
    number = int(digits, 8)
    if number > LARGEST_MODE:
        raise ValueError(f"Mode-Value too big : {digits}")
    return number


JUDGES: dict[str, Callable[[str, str], Problem | None]] = {
    "str": _text, "context": _context, "option": _option, "bool": _bool, "int": _int,
    "real": _real, "irange": _irange, "mode": _mode,
}  # fmt: skip


def literal(kind: str, limits: str, node: Rval) -> Iterator[Diagnostic]:
    """What is wrong with a text or word NODE where a KIND within LIMITS is wanted."""
    if isinstance(node, Text | Name):
        found = problem(kind, limits, node.value)
        if found is not None:
            yield Diagnostic(found[0], node.span, found[1])


# an attribute's value


def value(attribute: Attribute, node: Rval, host_package: str = "") -> Iterator[Diagnostic]:
    """What is wrong with NODE as the value of an ATTRIBUTE that is no body and no bundle."""
    kind, limits = attribute.type, attribute.range
    match node:
        case Call():
            yield from call(node, WANTED.get(kind, ()), host_package)
        case List(items=items) if kind in ITEMS:
            for item in items:
                if isinstance(item, Call):
                    yield from call(item, WANTED.get(kind, ()), host_package)
                else:
                    yield from literal(ITEMS[kind], limits, item)
        case List():
            message = "Attempted to give a list to a non-list type"
            yield Diagnostic(message, node.span, f"'{attribute.name}' is one value")
        case _ if kind in ITEMS:
            message = "Attempted to give a scalar to a non-scalar type"
            yield Diagnostic(message, node.span, f"'{attribute.name}' is a list: {{ ... }}")
        case _:
            yield from literal(kind, limits, node)


# function calls


@cache
def parameters(name: str) -> tuple[Attribute, ...]:
    """The parameters of the function NAME, as attributes: a type and a range each."""
    return tuple(_parameter(word.removesuffix("...")) for word in SIGNATURES[name][1].split())


def _parameter(word: str) -> Attribute:
    if word == "path":
        return Attribute("", "str", RANGES["PATH"])
    if word == "id":
        return Attribute("", "str", RANGES["ID"])
    if word == "listref":
        return Attribute("", "str", r"@[({].*[)}]")
    if word.startswith("str/"):
        return Attribute("", "str", word[4:-1])
    if word == "int>=0":
        return Attribute("", "int", "0..inf")
    if word.startswith("int["):
        return Attribute("", "int", word[4:-1])
    if word in ("str", "int", "real", "bool"):
        return Attribute("", word)
    return Attribute("", "option", word)


def limits_of(name: str) -> tuple[int, int | None]:
    """How many arguments the function NAME takes: at least, and at most (None: any number)."""
    _, written, _, flags = SIGNATURES[name]
    _, variadic, count = flags.partition("V")
    if not variadic:
        exactly = len(written.split())
        return exactly, exactly
    low, _, high = count.partition(":")
    return int(low), int(high) if high else None


def call(node: Call, wanted: tuple[str, ...] | None, host_package: str) -> Iterator[Diagnostic]:
    """What is wrong with a call of a function whose result must be one of WANTED (None: any)."""
    signature = SIGNATURES.get(node.name)
    if signature is None:
        yield _unknown(node, wanted is not None)
        return
    if wanted is not None and signature[0] not in wanted:
        hint = f"'{node.name}' returns {signature[0]}, wanted is {' or '.join(wanted) or 'a word'}"
        yield Diagnostic("Function does not return the required type", node.span, hint)
    if not _supported(node.name, host_package):
        message = f"the function '{node.name}' is not yet supported"
        yield Diagnostic(message, node.span, severity="warning", kind="unsupported")
    yield from _count(node, signature[3])
    yield from arguments(node, host_package)


def _unknown(node: Call, judged: bool) -> Diagnostic:
    """The reference looks for a function early only where it judges what the function returns."""
    hint = meant(node.name, SIGNATURES)
    if judged:
        return Diagnostic("Unknown function", node.span, hint)
    message = f"Unknown function '{node.name}': the call will always fail"
    return Diagnostic(message, node.span, hint, severity="warning", kind="undefined")


_supported = lru_cache(maxsize=None)(supported)  # asked for each call, and it imports


def _count(node: Call, flags: str) -> Iterator[Diagnostic]:
    """The reference ends its run at a wrong number; a variadic function there just fails."""
    given = len(node.args)
    low, high = limits_of(node.name)
    if low <= given and (high is None or given <= high):
        return
    if "V" not in flags:
        message = f"Arguments to function '{node.name}' do not tally. Expected {low} not {given}"
        yield Diagnostic(message, node.span)
        return
    takes = f"{low} to {high}" if high is not None else f"at least {low}"
    message = f"'{node.name}' takes {takes} arguments, {given} given: it will always fail"
    yield Diagnostic(message, node.span, severity="warning", kind="arity")


def arguments(node: Call, host_package: str) -> Iterator[Diagnostic]:
    """What is wrong with the arguments: literal ones out of their range, calls in them."""
    params = parameters(node.name) if node.name in SIGNATURES else ()
    for at, arg in enumerate(node.args):
        match arg:
            case Call():
                yield from call(arg, None, host_package)
            case Text(value=text) | Name(value=text) if params:
                param = params[min(at, len(params) - 1)]
                found = problem(param.type, param.range, text)
                if found is not None:
                    said = f"error in variable '{text}', '{found[0]}'"
                    yield Diagnostic(f"In function '{node.name}', {said}", arg.span, found[1])
            case ListRef() | List() | _:
                pass


def calls_in(node: Rval | None, host_package: str) -> Iterator[Diagnostic]:
    """What is wrong with the function calls in a NODE of which any value will do."""
    match node:
        case Call():
            yield from call(node, None, host_package)
        case List(items=items):
            for item in items:
                yield from calls_in(item, host_package)
        case _:
            pass
