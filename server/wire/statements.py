"""What hosts and people hand on: invitations to join, and keys that name their successors.

They are PROTOCOL.md §5; as text they are one word that notices when it is mistyped.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

from msgspec import Struct

from server.wire.keys import ROTATE, signed
from server.wire.peerfiles import BadKey
from server.wire.transport import BadAddress, placed

INVITATION, ROTATION = "sgw1i", "sgw1r"
STATEMENT = 84  # octets of a rotation without its signatures


def armoured(kind: str, body: bytes) -> str:
    """BODY as one word that begins with KIND and notices when it is mistyped."""
    check = blake2b(body, digest_size=4).digest()
    return f"{kind}.{urlsafe_b64encode(body + check).decode().rstrip('=')}"


def unarmoured(kind: str, text: str) -> bytes:
    """The body of an armoured TEXT. Raises BadKey."""
    word, _, rest = text.strip().partition(".")
    try:
        raw = urlsafe_b64decode(rest + "=" * (-len(rest) % 4)) if word == kind else b""
    except ValueError:
        raw = b""
    body, check = raw[:-4], raw[-4:]
    # b64decode skips what it does not know, so compare the text, too
    if (
        not body
        or blake2b(body, digest_size=4).digest() != check
        or armoured(kind, body) != text.strip()
    ):
        raise BadKey(f"not whole, or not a text that begins with '{kind}.'")
    return body


class Invitation(Struct, frozen=True):
    """What a joiner is given."""

    expires: int
    token: bytes
    identity: bytes  # of the inviter
    addresses: tuple[str, ...]

    def text(self) -> str:
        """As people pass it on."""
        places = [os.fsencode(address) for address in self.addresses]
        body = self.expires.to_bytes(8) + self.token + self.identity + bytes([len(places)])
        body += b"".join([bytes([len(place)]) + place for place in places])
        return armoured(INVITATION, body)


def invitation(text: str) -> Invitation:
    """The invitation in TEXT. Raises BadKey."""
    body = unarmoured(INVITATION, text)
    fixed, places = body[:88], body[89:]
    found = []
    while places:
        size = places[0]
        found.append(places[1 : 1 + size].decode("ascii", "replace"))
        places = places[1 + size :]
    if len(body) < 89 or len(found) != body[88]:
        raise BadKey("not an invitation")
    try:
        for address in found:
            placed(address)
    except BadAddress:
        raise BadKey("an invitation to an address that is none") from None
    return Invitation(int.from_bytes(fixed[:8]), fixed[8:56], fixed[56:], tuple(found))


class Rotation(Struct, frozen=True):
    """A key's word, and that of its successor, that one follows the other."""

    old: bytes
    new: bytes
    valid_from: int
    old_until: int
    serial: int

    def packed(self) -> bytes:
        """What both keys sign."""
        times = self.valid_from.to_bytes(8) + self.old_until.to_bytes(8)
        return self.old + self.new + times + self.serial.to_bytes(4)


def rotation(statement: bytes) -> Rotation:
    """The rotation in a STATEMENT that both keys signed. Raises BadKey."""
    body, first, second = statement[:STATEMENT], statement[STATEMENT:148], statement[148:]
    old, new = body[:32], body[32:64]
    if not signed(old, ROTATE, body, first) or not signed(new, ROTATE, body, second):
        raise BadKey("a rotation that not both keys signed")
    numbers = [int.from_bytes(body[at:end]) for at, end in ((64, 72), (72, 80), (80, 84))]
    return Rotation(old, new, *numbers)
