"""What a daemon is under each of its names, and that there is one of each on a work directory."""

import fcntl
import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from typing import NamedTuple

    from agent.options import Settings

    class Role(NamedTuple):
        """Whether a program starts runs BY_TIME, SPEAKS with peers, and starts runs for signals
        (WAKES); what only one such process may have."""

        by_time: bool
        speaks: bool
        wakes: bool
        locks: tuple[str, ...]
else:
    from collections import namedtuple

    Role = namedtuple("Role", "by_time speaks wakes locks")

SPEAKER, RUNNER = "daemon.lock", "execd.lock"
WAKE = "wake.sock"
EXECD = "execd.sock"  # where a cf-execd is asked, beside the daemon that speaks with peers
ROLES = {
    "daemon": Role(by_time=True, speaks=True, wakes=True, locks=(SPEAKER, RUNNER)),
    "serve": Role(by_time=False, speaks=True, wakes=False, locks=(SPEAKER,)),
    "cf-execd": Role(by_time=True, speaks=False, wakes=True, locks=(RUNNER,)),
    "cf-serverd": Role(by_time=False, speaks=True, wakes=False, locks=(SPEAKER,)),
}


class Taken(Exception):
    """Another daemon is there already."""


def locked(settings: "Settings") -> list[int]:
    """Descriptors that nobody else has locked: two daemons would both sign. Raises Taken."""
    directory = f"{settings.workdir}/state"
    os.makedirs(directory, 0o700, exist_ok=True)
    found, names = [], ROLES[settings.program].locks
    if settings.wakes and RUNNER not in names:
        names = (*names, RUNNER)  # two who start runs would start two at once
    for name in names:
        descriptor = os.open(f"{directory}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode(errors="replace").strip()
            raise Taken(
                f"another daemon runs on '{settings.workdir}' already (process {holder})"
            ) from None
        found.append(descriptor)
    return found


def signed(locks: list[int]) -> None:
    """Write down who we are, for whoever finds the LOCKS taken."""
    for descriptor in locks:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def bell(path: str) -> "socket":
    """The socket at PATH to which runs say that there is something to sign. Raises OSError."""
    import socket

    with suppress(FileNotFoundError):
        os.unlink(path)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.setblocking(False)
    before = os.umask(0o177)
    try:
        found.bind(path)
    finally:
        os.umask(before)
    return found


def listening(text: str) -> tuple[str, int]:
    """Where `--listen TEXT` says: ADDR, or ADDR:PORT, whose port may be 0. Raises BadAddress."""
    from server.wire.transport import placed

    if text.endswith(":0"):
        return placed(text.removesuffix(":0"))[0], 0
    return placed(text)
