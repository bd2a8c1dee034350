"""Mode strings (`644`, `u=rwx,go=rx`, `o-w`): pure arithmetic, remembered."""

ALL = 0o7777
WHO = {"u": 0o4700, "g": 0o2070, "o": 0o0007, "a": ALL}
# what a letter stands for where the `who` before it allows
BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000}
STICKY = 0o1000
OPERATORS = "+-="
DIGITS = "01234567"
ZEROS = frozenset(("000", "0000"))

Masks = tuple[int, int]

_known: dict[str, Masks] = {}


class Malformed(ValueError):
    """The text is no mode string; the message is what the user is told."""


def masks(text: str) -> Masks:
    """The bits that TEXT adds and those that it takes away. Raises Malformed."""
    found = _known.get(text)
    if found is None:
        found = _known[text] = _parse(text)
    return found


def applied(mode: int, text: str) -> int:
    """The permission bits of MODE after TEXT. Raises Malformed."""
    plus, minus = masks(text)
    return ((mode & ALL) | plus) & ~minus


def initial(text: str | None, default: int) -> int:
    """The mode of a new object for which TEXT is promised, DEFAULT if nothing is."""
    if text is None:
        return default
    plus, minus = masks(text)
    return plus & ~minus


def searchable(mode: int) -> int:
    """MODE with an x for each r, as `rxdirs` wants it of directories."""
    return mode | (mode & 0o444) >> 2


def _parse(text: str) -> Masks:
    plus = minus = last = 0
    for clause in text.split(","):
        if clause and clause[0] in DIGITS:
            last = _octal(clause, text)
            plus |= last
            minus |= ALL & ~last
            continue
        who, operator, last = _symbolic(clause, text)
        if operator == "-":
            minus |= last
        else:
            plus |= last
            minus |= who & ~last if operator == "=" else 0
    if last == 0 and text not in ZEROS:
        raise Malformed(f"mode string is incomplete ({text})")
    return plus, minus


def _octal(clause: str, text: str) -> int:
    """The bits of a CLAUSE of digits; those that are not permissions count for nothing."""
    if clause.strip(DIGITS):
        raise Malformed(f"Invalid mode string ({text})")
    return int(clause, 8) & ALL


def _symbolic(clause: str, text: str) -> tuple[int, str, int]:
    """Whom a CLAUSE of letters means, what it does and with which bits."""
    who, at = 0, 0
    while at < len(clause) and clause[at] in WHO:
        who |= WHO[clause[at]]
        at += 1
    operator = clause[at : at + 1]
    if not operator or operator not in OPERATORS:
        raise Malformed(f"Invalid mode string ({text})")
    value = 0
    for letter in clause[at + 1 :]:
        if letter == "t":
            value |= STICKY
        elif letter in BITS:
            value |= BITS[letter] & who
        elif letter in OPERATORS:
            raise Malformed("Too many +-= in mode string")
        else:
            raise Malformed(f"Invalid mode string ({text})")
    return who, operator, value
