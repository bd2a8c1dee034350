"""The border: what a session is to those who use one, whatever carries it.

Today that is sigwire (stream.py, door.py). Another transport, such as TLS 1.3 with pinned keys, has
to give the same: messages whole and in order, from one proved identity, and an end that is told
from a cut.
"""

import re
from socket import AF_INET6, inet_pton
from typing import Protocol

from msgspec import Struct

ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
PORT = 5308
LABEL = 63  # letters of a part of a name; more or none, and the resolver does not take it


class BadAddress(Exception):
    """A text that is no address."""


class Cut(Exception):
    """The session ended where it should not have: what was under way did not happen for sure."""


class Refused(Exception):
    """The peer knows us and has no place for us now; the argument is its code."""


class Peer(Struct, frozen=True, kw_only=True):
    """Who is at the other end: proved, not claimed."""

    id: str
    identity: bytes  # the public key
    label: str  # as this host calls it, never as it calls itself
    address: str
    port: int
    skew: int  # milliseconds that its clock is ahead of ours


class Session(Protocol):
    """A conversation with one peer."""

    @property
    def peer(self) -> Peer:
        """Who it is with."""

    async def send(self, message: bytes) -> None:
        """Send MESSAGE. Raises Cut."""

    async def receive(self, seconds: float) -> bytes | None:
        """The next message; None after an orderly end. Raises Cut, TimeoutError after SECONDS."""

    async def end(self) -> None:
        """End it in good order."""

    def cut(self) -> None:
        """End it at once."""


def placed(address: str) -> tuple[str, int]:
    """Host and port of `web7`, `10.0.0.7:5308` or `[2001:db8::7]:5308`. Raises BadAddress."""
    found = ADDRESS.fullmatch(address)
    if found is None or len(address) > 255:
        raise BadAddress(f"'{address}' is not an address: HOST, HOST:PORT or [IPV6]:PORT")
    port = int(found[2][1:]) if found[2] else PORT
    if not 0 < port < 65536:
        raise BadAddress(f"'{address}' has no port between 1 and 65535")
    host = found[1].strip("[]")
    if not _resolvable(host, number=found[1][0] == "["):
        raise BadAddress(f"'{address}' is not an address: no host is called '{host}'")
    return host, port


def _resolvable(host: str, *, number: bool) -> bool:
    """Whether HOST, an IPv6 address if it is a NUMBER, is something that can be looked up."""
    if number:
        try:
            inet_pton(AF_INET6, host.partition("%")[0])
        except OSError:
            return False
    return all(0 < len(label) <= LABEL for label in host.removesuffix(".").split("."))
