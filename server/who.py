"""Whom the lists of a grant mean: each item becomes a test that a peer passes, fails, or neither.

A test answers True, False, or None: it cannot be said. What cannot be said admits nobody and
denies everybody. Patterns come from policy only; what a peer says of itself is never one.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

from msgspec import Struct

from policy import regexp
from server.grants import Grant

Answer: TypeAlias = bool | None
Test: TypeAlias = "Callable[[Subject], Answer]"
Tests: TypeAlias = tuple[tuple[str, Test], ...]  # the item as policy has it, and what it means
Address: TypeAlias = IPv4Address | IPv6Address

IP, HOSTNAME, KEY = "$(connection.ip)", "$(connection.hostname)", "$(connection.key)"
CONNECTION = (IP, HOSTNAME, KEY)
META = frozenset("\\^$|?*+()[]{}")  # without the dot, which names are full of
UNTRANSLATED = frozenset("({[|+]})")
OF_ADDRESSES = frozenset("0123456789abcdef.:/[-]*()\\")
OF_NAMES = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
REFERENCES = ("$(", "${", "@(", "@{")
CASELESS = regexp.CASELESS | regexp.MULTILINE | regexp.DOTALL
V4_OCTETS, V6_GROUPS = 4, 8
MAPPED = 96  # bits before an address of version 4 in one of version 6


class Peer(Struct, frozen=True):
    """Who asks, as proved: KEY is `SHA=` and hex digits, ADDRESSES where the connection comes from.

    HOSTS are the names that the DNS gives the address and that lead back to it. LABELS are what
    the operator of this host calls the key, never what the peer calls itself.
    """

    key: str
    addresses: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class Subject:
    """A peer made ready for tests. ADDRESSES are texts, and what they are if they are addresses."""

    __slots__ = ("addresses", "hosts", "key", "labels", "names")

    def __init__(self, peer: Peer) -> None:
        """Raises ValueError for what is no address."""
        self.key = _key(peer.key)
        self.addresses: list[tuple[str, Address | None]] = [
            (str(found), found) for found in map(address, peer.addresses)
        ]
        self.hosts = [host for host in peer.hosts if host[:1] not in ("", ".")]
        self.hosts = [host for host in self.hosts if OF_NAMES.issuperset(host)]
        self.labels = peer.labels
        self.names = [name.lower() for name in (*self.hosts, *peer.labels) if name]

    def itself(self) -> "Subject":
        """The subject that `$(connection.ip)` and so on in a list mean."""
        own = Subject(Peer("", ()))
        own.key = KEY if self.key else ""
        own.addresses = [(IP, None)] if self.addresses else []
        own.hosts = [HOSTNAME] if self.hosts else []
        own.names = own.hosts
        return own


@lru_cache(maxsize=16384)  # asked when a peer connects, and when it is first told something
def address(text: str) -> Address:
    """The address in TEXT; one of version 4 in the clothes of version 6 is of version 4.

    Raises ValueError.
    """
    found = ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped


def admitted(tests: Tests, subject: Subject) -> str | None:
    """The first item that means SUBJECT for sure."""
    return next((item for item, test in tests if test(subject)), None)


def denied(tests: Tests, subject: Subject) -> str | None:
    """The first item that may mean SUBJECT."""
    return next((item for item, test in tests if test(subject) is not False), None)


# the lists of a promise


def admits(grant: Grant) -> Tests:
    """Whom GRANT admits."""
    mixed = [(item, _mixed(item, denies=False)) for item in grant.admit]
    return (*mixed, *_of_kinds(grant.admit_hostnames, grant.admit_ips, grant.admit_keys))


def denies(grant: Grant) -> Tests:
    """Whom GRANT denies."""
    mixed = [(item, _mixed(item, denies=True)) for item in grant.deny]
    return (*mixed, *_of_kinds(grant.deny_hostnames, grant.deny_ips, grant.deny_keys))


def names(grant: Grant) -> tuple[list[str], list[str]]:
    """The items of GRANT by which names are admitted, and those by which they are denied."""
    return (
        [*filter(_is_name, grant.admit), *grant.admit_hostnames],
        [*filter(_is_name, grant.deny), *grant.deny_hostnames],
    )


def addresses(items: Iterable[str]) -> Tests:
    """Whom a list of addresses in a control body means."""
    return _of_kinds((), items, ())


def users(items: Iterable[str]) -> Tests:
    """What `authorize` means: the labels of keys."""
    return tuple([(item, _user(item)) for item in items])


def _of_kinds(names: Iterable[str], ips: Iterable[str], keys: Iterable[str]) -> Tests:
    return (
        *[(item, _name(item)) for item in names],
        *[(item, _ip(item)) for item in ips],
        *[(item, _of_key(item)) for item in keys],
    )


def _mixed(item: str, *, denies: bool) -> Test:
    """An item of `admit` or `deny`: a key, addresses or names, told apart by its look."""
    if item == KEY or item.startswith(("SHA=", "MD5=")):
        return _of_key(item)
    if not _is_name(item):
        return _ip(item)
    if item == HOSTNAME or META.isdisjoint(item):
        return _name(item)
    translated = [_name(name) for name in _translated(item)]
    if denies:  # a pattern that was meant to deny more than its translation does so
        translated.append(_name(item))
    tests = [test for test in translated if test is not unsaid]
    return (lambda subject: _any([test(subject) for test in tests])) if tests else unsaid


def _is_name(item: str) -> bool:
    """Whether an item of `admit` or `deny` is about names."""
    if item in CONNECTION:
        return item == HOSTNAME
    return not (item.startswith(("SHA=", "MD5=")) or _looks_like_addresses(item))


def _looks_like_addresses(item: str) -> bool:
    """Whether ITEM has only characters of addresses, and not only hex letters and digits."""
    if not OF_ADDRESSES.issuperset(item):
        return False
    return item.isdigit() or not item.isalnum()


def _translated(item: str) -> list[str]:
    r"""The names that an old pattern stood for: `.*\.example\.com` is `.example.com`.

    Itself if it is not of that kind, nothing if it is one that nobody can translate.
    """
    if not UNTRANSLATED.isdisjoint(item):
        return []
    tail = item.removeprefix("^")
    if not tail.startswith(".*"):
        return [] if "*" in tail else [item]
    name = tail[2:].removesuffix("$")
    host = not name.startswith(("\\.", "."))
    name = name.replace("\\.", ".").removeprefix(".")
    if not name or not META.isdisjoint(name):
        return []
    return [name, f".{name}"] if host else [f".{name}"]


def unsaid(_subject: object) -> Answer:
    """What an item says that means nothing."""
    return None


def _any(answers: Iterable[Answer]) -> Answer:
    """True if one of ANSWERS is, else None if one of them is."""
    found: Answer = False
    for answer in answers:
        if answer:
            return True
        if answer is None:
            found = None
    return found


def _meaningless(item: str) -> bool:
    """Whether ITEM still holds a reference, or nothing at all."""
    return not item or any(mark in item for mark in REFERENCES)


def pattern(
    text: str, options: int = regexp.MULTILINE | regexp.DOTALL
) -> Callable[[str], Answer] | None:
    """What tells whether TEXT, a pattern of the policy, matches all of another; None if it is none.

    It cannot be said where the search takes too long.
    """
    try:
        compiled = regexp.Pattern(text, options)
    except regexp.BadPattern:
        return None

    def matches(subject: str) -> Answer:
        try:
            return compiled.full(subject)
        except regexp.BadPattern:
            return None

    return matches


# keys and users


def _key(text: str) -> str:
    """A key as keys are compared: the hex digits in lower case."""
    kind, equals, digits = text.partition("=")
    return f"{kind}={digits.lower()}" if equals else text


def _of_key(item: str) -> Test:
    if item != KEY and _meaningless(item):
        return unsaid
    wanted = _key(item)
    return lambda subject: subject.key == wanted if subject.key else None


def _user(item: str) -> Test:
    if _meaningless(item):
        return unsaid
    return lambda subject: item in subject.labels


# names


def _name(item: str) -> Test:
    """A host name, the `.domain` that it is in, or a pattern; None where the host has no name."""
    matches = _name_matcher(item)
    if matches is None:
        return unsaid

    def test(subject: Subject) -> Answer:
        found = _any([matches(name) for name in subject.names])
        return found if found or subject.hosts else None

    return test


def _name_matcher(item: str) -> Callable[[str], Answer] | None:
    wanted = item.lower()
    if item in CONNECTION:
        return item.__eq__ if item == HOSTNAME else None
    if _meaningless(item):
        return None
    if not META.isdisjoint(item):
        return pattern(item, CASELESS)
    if item.startswith("."):
        return lambda name: name.endswith(wanted)
    return wanted.__eq__


# addresses


def _ip(item: str) -> Test:
    """An address, a network, the beginning of an address, a range, or a pattern."""
    if item in CONNECTION and item != IP:
        return unsaid
    if item == IP:
        return lambda subject: _any([text == IP for text, _ in subject.addresses] or [None])
    inside = None if _meaningless(item) else _inside(item)
    if inside is not None:
        return lambda subject: _any(
            [found is not None and inside(found) for _, found in subject.addresses] or [None]
        )
    if _meaningless(item) or "/" in item or META.isdisjoint(item):
        return unsaid
    matches = pattern(item)
    if matches is None:
        return unsaid
    return lambda subject: _any([matches(text) for text, _ in subject.addresses] or [None])


def _inside(item: str) -> Callable[[Address], bool] | None:
    """What tells whether an address is in ITEM; None if that is no address, network or range."""
    try:
        if "/" in item:
            return _network(item)
        if "-" in item:
            return _range(item)
        if item.replace(".", "").isdigit() and item.count(".") < V4_OCTETS - 1:
            return _range(item)
        return address(item).__eq__
    except ValueError:
        return None


def _network(item: str) -> Callable[[Address], bool]:
    """What tells whether an address is in the network ITEM. Raises ValueError."""
    base, _, size = item.partition("/")
    if not (size.isascii() and size.isdigit()):
        raise ValueError(item)
    network = ip_network(f"{base}/{size}", strict=False)
    mapped = network.network_address
    if isinstance(mapped, IPv6Address) and mapped.ipv4_mapped and network.prefixlen >= MAPPED:
        network = ip_network(f"{mapped.ipv4_mapped}/{network.prefixlen - MAPPED}")
    return lambda found: found.version == network.version and found in network


def _range(item: str) -> Callable[[Address], bool]:
    """What tells whether each part of an address is between the two that ITEM has for it.

    Parts at the end may be missing from an address of version 4. Raises ValueError.
    """
    base, mark = (16, ":") if ":" in item else (10, ".")
    parts = [_ends(part, base) for part in item.split(mark)]
    if base == 16 and len(parts) != V6_GROUPS:
        raise ValueError(item)
    if base == 10 and (len(parts) > V4_OCTETS or any(high > 255 for _, high in parts)):
        raise ValueError(item)

    def inside(found: Address) -> bool:
        if (found.version == 4) != (base == 10):
            return False
        numbers = [int(part, base) for part in found.exploded.split(mark)]
        return all(low <= n <= high for n, (low, high) in zip(numbers, parts, strict=False))

    return inside


def _ends(part: str, base: int) -> tuple[int, int]:
    """The two ends of `1-20` or `7`. Raises ValueError."""
    low, dash, high = part.partition("-")
    if not (low.isalnum() and (high.isalnum() or not dash)):
        raise ValueError(part)
    ends = int(low, base), int(high if dash else low, base)
    if ends[0] > ends[1]:
        raise ValueError(part)
    return ends
