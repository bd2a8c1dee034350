"""The border: what a session is to those who use one, whatever carries it.

Today that is sigwire (stream.py, door.py). Another transport, such as TLS 1.3 with pinned keys, has
to give the same: messages whole and in order, from one proved identity, and an end that is told
from a cut.
"""

from typing import Protocol

from msgspec import Struct


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
