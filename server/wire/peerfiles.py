"""The files of the key directory, read and written with care; and whom they say that a host trusts.

Nothing here needs cryptography or a parser of messages: an agent run that only has to know which
peer policy means reads this, in a millisecond (trust.py takes fifty).
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol, TypeVar

    class Named(Protocol):
        """What a peer is found by."""

        @property
        def id(self) -> str: ...
        @property
        def label(self) -> str: ...
        @property
        def addresses(self) -> tuple[str, ...]: ...
        @property
        def successor(self) -> str: ...

    N = TypeVar("N", bound=Named)

LARGEST_FILE = 4096
PREFIX, SUFFIX = "root-", ".pub"


class BadKey(Exception):
    """A key, or a file that should hold one, that must not be used."""


class Known:
    """A peer as an agent run knows it; see trust.Peer."""

    __slots__ = ("addresses", "id", "label", "not_after", "successor")

    def __init__(self, fields: "dict[str, Any]") -> None:
        self.id: str = fields["id"]
        self.label: str = fields["label"]
        self.addresses: tuple[str, ...] = fields["addresses"]
        self.not_after: int = fields["not_after"]
        self.successor: str = fields["successor"]


def known(directory: str, now: int) -> dict[str, Known]:
    """The peers in DIRECTORY that are trusted NOW, by id. Raises BadKey, OSError."""
    safe(directory)
    revoked = frozenset(names(f"{directory}/revoked"))
    found = [Known(entry(path, read(path, closed=0o022))) for path in paths(directory)]
    return {
        it.id: it
        for it in found
        if it.id not in revoked and not (it.not_after and now > it.not_after)
    }


def named(peers: "Mapping[str, N]", name: str) -> "N | None":
    """The peer with this label, id or address; of a rotated one its newest key."""
    for peer in peers.values():
        if not peer.successor and (name in (peer.label, peer.id) or name in peer.addresses):
            return peer
    return peers.get(name)


def safe(directory: str) -> None:
    """Raise BadKey if somebody else can put files into DIRECTORY."""
    found = os.stat(directory) if os.path.isdir(directory) else None
    if found and (found.st_mode & 0o022 or found.st_uid not in (os.geteuid(), 0)):
        raise BadKey(f"'{directory}' can be changed by others: chmod 700")


def names(directory: str) -> list[str]:
    """What is in DIRECTORY, in order; nothing if it is not there."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def paths(directory: str) -> list[str]:
    """The files of the peers in DIRECTORY."""
    found = [name for name in names(directory) if name.startswith(f"{PREFIX}SHA=")]
    return [f"{directory}/{name}" for name in found if name.endswith(SUFFIX)]


def fields(text: str) -> dict[str, str]:
    """The fields of a file: a name, a colon, a value, one in a line."""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def entry(path: str, text: str) -> "dict[str, Any]":
    """The fields of the peer in TEXT, which the file PATH holds, by type. Raises BadKey."""
    found = fields(text)
    try:
        peer = {
            "id": found["id"],
            "label": found["label"],
            "key": bytes.fromhex(found.get("key", "")),
            "addresses": tuple(found.get("addresses", "").split()),
            "added_by": found["added_by"],
            "added_at": int(found["added_at"]),
            "not_after": int(found.get("not_after", "0")),
            "successor": found.get("successor", ""),
        }
    except (KeyError, ValueError):
        raise BadKey(f"'{path}' does not describe a peer") from None
    if not path.endswith(f"/{PREFIX}{peer['id']}{SUFFIX}"):
        raise BadKey(f"'{path}' describes another key than its name says")
    return peer


def read(path: str, closed: int = 0o077) -> str:
    """The text of the file PATH, with no bit of CLOSED in its mode. Raises BadKey, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise BadKey(f"'{path}' is not a file")
        if found.st_uid not in (os.geteuid(), 0):
            raise BadKey(f"'{path}' belongs to another user")
        if found.st_mode & closed:
            raise BadKey(f"'{path}' is open to others, mode {found.st_mode & 0o777:o}: chmod 600")
        raw = file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise BadKey(f"'{path}' is too long")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadKey(f"'{path}' is not text") from None


def write(path: str, text: str, *, replace: bool = False) -> None:
    """Write TEXT to PATH, whole or not at all, for us only; FileExistsError unless REPLACE."""
    scratch = f"{path}.{os.getpid()}.new"
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        if replace:
            os.replace(scratch, path)
        else:
            os.link(scratch, path)
            os.unlink(scratch)
    except OSError:
        os.unlink(scratch)
        raise
    _sync(os.path.dirname(path))


def _sync(directory: str) -> None:
    """Have the names in DIRECTORY outlive a loss of power."""
    descriptor = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
