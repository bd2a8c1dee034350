"""When each peer was last spoken with, and from where: a file a peer, of that time."""

import os

from msgspec import Struct


class Seen(Struct, frozen=True):
    """The last time."""

    when: int
    address: str


def note(directory: str, peer: str, address: str, now: int) -> None:
    """Note in DIRECTORY that the peer with this id was here. Raises OSError."""
    path = f"{directory}/{peer}"
    os.makedirs(directory, mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, address.encode())
    finally:
        os.close(descriptor)
    os.utime(path, (now, now))


def last(directory: str, peer: str) -> Seen | None:
    """When the peer with this id was here, None if it never was. Raises OSError."""
    try:
        with open(f"{directory}/{peer}", encoding="utf-8", errors="replace") as file:
            return Seen(int(os.fstat(file.fileno()).st_mtime), file.read(64))
    except FileNotFoundError:
        return None
