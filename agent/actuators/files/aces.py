"""Access control lists as text and as the kernel holds them: nothing here touches a file.

A list is a dict of (tag, number) to permission bits; the tags are those of the kernel, and entries
for nobody in particular have the number NOBODY. `edited` is the language of `aces`.
"""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    List: TypeAlias = dict[tuple[int, int], int]

OWNER, USER, OWNING_GROUP, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF
VERSION = 2
HEADER, ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
KINDS = {"user": (OWNER, USER), "group": (OWNING_GROUP, GROUP)}
TITLES = {OWNER: "user", USER: "user", OWNING_GROUP: "group", GROUP: "group", MASK: "mask",
          OTHER: "other"}  # fmt: skip
BITS = {"r": 4, "w": 2, "x": 1}
# what must be there, and only once, and may not; in the order that the kernel wants
ORDER = ((OWNER, True), (USER, False), (OWNING_GROUP, True), (GROUP, False), (MASK, False),
         (OTHER, True))  # fmt: skip


class Malformed(Exception):
    """An entry that means nothing. LINES say why; those that are True are followed by the place."""

    def __init__(self, *lines: tuple[str, bool]) -> None:
        super().__init__(lines[0][0])
        self.lines = lines


def decoded(value: bytes) -> "List":
    """The list that the kernel holds as VALUE."""
    body = value[HEADER.size :]
    return {(tag, number): bits for tag, bits, number in ENTRY.iter_unpack(body)}


def encoded(entries: "List") -> bytes:
    """ENTRIES as the kernel wants them; an empty list removes one that is there."""
    parts = [HEADER.pack(VERSION)]
    parts += [ENTRY.pack(tag, bits, number) for (tag, number), bits in sorted(entries.items())]
    return b"".join(parts)


def of_mode(mode: int) -> "List":
    """The list that a MODE stands for."""
    return {
        (OWNER, NOBODY): mode >> 6 & 7,
        (OWNING_GROUP, NOBODY): mode >> 3 & 7,
        (OTHER, NOBODY): mode & 7,
    }


def described(entries: "List", name: "Callable[[int, int], str]") -> str:
    """ENTRIES in one line; NAME gives the name for a tag and a number."""
    parts = []
    for (tag, number), bits in sorted(entries.items()):
        who = "" if number == NOBODY else name(tag, number)
        flags = "".join(letter if bits & bit else "-" for letter, bit in BITS.items())
        parts.append(f"{TITLES[tag]}:{who}:{flags}")
    return ",".join(parts)


def flaw(entries: "List") -> int | None:
    """Which of ENTRIES is wrong, or where one is missing; None if nothing is."""
    tags = [tag for tag, _ in sorted(entries)]
    at = 0
    for tag, needed in ORDER:
        if needed and (at == len(tags) or tags[at] != tag):
            return at
        while at < len(tags) and tags[at] == tag:
            at += 1
    return None


def edited(
    entries: "List", aces: tuple[str, ...], number: "Callable[[str, str], int]", *, generic: bool
) -> "List":
    """ENTRIES after ACES were applied to them, with a mask that lets through what they allow.

    NUMBER finds the user or the group of a name. A mask among ACES stays. Raises Malformed.
    """
    found = dict(entries)
    masked = False
    for ace in aces:
        try:
            key, text = _entity(ace, number, generic=generic)
            found[key] = _permissions(text, found.get(key, 0), ace, generic=generic)
        except Malformed as wrong:
            if wrong.lines[-1][0].startswith("ACL: Error parsing entity"):
                raise
            raise Malformed(*wrong.lines, (f"ACL: The ACE '{ace}' contains errors", True)) from None
        masked = masked or key[0] == MASK
    if not masked:
        mask = 0
        for (tag, _), bits in found.items():
            mask |= bits if tag in (USER, OWNING_GROUP, GROUP) else 0
        found[MASK, NOBODY] = mask
    return found


def _entity(
    ace: str, number: "Callable[[str, str], int]", *, generic: bool
) -> tuple[tuple[int, int], str]:
    """Whom ACE is about, and what follows. Raises Malformed."""
    kind, _, rest = ace.partition(":")
    if kind == "all":
        return (OTHER, NOBODY), rest
    if kind == "mask":
        if generic:
            raise Malformed(("This ACL type does not support mask ACE.", True))
        return (MASK, NOBODY), rest
    if kind not in KINDS:
        raise Malformed((f"ACL: ACE '{ace}' does not start with user:/group:/all", True))
    name, colon, rest = rest.partition(":")
    if not name:
        raise Malformed((f"ACL: ACE '{ace}': id cannot be empty or contain ':'", True))
    if not colon:
        raise Malformed((f"ACL: Nothing following id string in ACE '{ace}'", True))
    whole, named = KINDS[kind]
    if name == "*":
        return (whole, NOBODY), rest
    try:
        return (named, number(kind, name)), rest
    except LookupError as error:
        raise Malformed(
            (str(error.args[0]), False), (f"ACL: Error parsing entity in ':{rest}'", True)
        ) from None


def _permissions(text: str, bits: int, ace: str, *, generic: bool) -> int:
    """BITS as TEXT, the rest of ACE, changes them. Raises Malformed."""
    modes, colon, kind = text.partition(":")
    if colon and kind != "allow":
        lines = [(f"ACL: Malformed perm_type syntax in ACE '{ace}'", False)]
        if kind == "deny":
            lines.insert(0, ("Deny permission not supported by this ACL type", True))
        raise Malformed(*lines)
    try:
        for clause in modes.split(","):
            bits = _clause(clause, bits, generic=generic)
    except ValueError as error:
        raise Malformed(
            (str(error), True), (f"ACL: Malformed mode-string in ACE '{ace}'", True)
        ) from None
    return bits


def _clause(clause: str, bits: int, *, generic: bool) -> int:
    """BITS as CLAUSE changes them: an operator or none, letters, and native ones in brackets."""
    operator = clause[:1] if clause[:1] in ("+", "-", "=") else ""
    letters, bracket, native = clause[len(operator) :].partition("(")
    if bracket:
        wrong = next((letter for letter in native[:-1] if letter not in BITS or generic), "")
        if wrong or native[-1:] != ")":
            raise ValueError(
                f"ACL: Invalid native permission '{wrong or native[-1:]}', "
                "or missing native end separator"
            )
        letters += native[:-1]
    change = 0
    for letter in letters:
        if letter not in BITS:
            raise ValueError("ACL: Mode string contains invalid characters")
        change |= BITS[letter]
    if operator == "+":
        return bits | change
    return bits & ~change if operator == "-" else change
