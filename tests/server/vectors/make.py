"""Writes handshake.json: handshakes with fixed keys, most of which must fail, each for one reason.

`python -m tests.server.vectors.make > tests/server/vectors/handshake.json`. Whoever changes what
this prints changes the protocol.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from server.wire.handshake import (
    CLEAR,
    FROM_INITIATOR,
    FROM_RESPONDER,
    PROLOGUE,
    Payload,
    gate,
)
from server.wire.keys import Credentials, Identity, certify, digest
from server.wire.noise import Handshake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = 1_800_000_000
DAY = 24 * 3600
SECRETS = {name: bytes([number]) * 32 for number, name in enumerate(
    ("alice", "bob", "mallory", "alice's static", "bob's static", "alice's e", "bob's e"), 1
)}  # fmt: skip
ALICE, BOB, MALLORY = (Identity(SECRETS[name]) for name in ("alice", "bob", "mallory"))
TOKEN = bytes(range(48))

Case = dict[str, str | bool]


def credentials(identity: Identity, static: str) -> Credentials:
    """What IDENTITY brings, with the fixed key STATIC."""
    public = Credentials(SECRETS[static], certify(identity, bytes(32), NOW, 600)).public
    return Credentials(SECRETS[static], certify(identity, public, NOW, 600))


AS_ALICE, AS_BOB = credentials(ALICE, "alice's static"), credentials(BOB, "bob's static")


def payload(kind: int, mine: Credentials) -> Payload:
    """A good one."""
    return Payload(kind, 1, 1, 1, 0, 262144, NOW * 1000, mine.certificate)


def hello(clear: bytes = b"SGW1\1\1\0\0", to: Identity = BOB, passed: bytes = b"") -> bytes:
    """The clear part of M1."""
    public = Credentials(SECRETS["alice's e"], AS_ALICE.certificate).public
    return clear + (passed or gate(digest(to.public), clear, public))


class Talk:
    """A handshake whose messages can be told to be odd."""

    def __init__(self, clear: bytes = b"") -> None:
        self.clear = clear or hello()
        prologue = PROLOGUE + self.clear
        self.alice = Handshake(
            SECRETS["alice's static"], prologue, initiator=True, ephemeral=SECRETS["alice's e"]
        )
        self.bob = Handshake(
            SECRETS["bob's static"], prologue, initiator=False, ephemeral=SECRETS["bob's e"]
        )
        self.m1 = self.clear + self.alice.write(b"")
        self.bob.read(self.m1[CLEAR:])

    def m2(self, body: bytes) -> bytes:
        """M2 with the payload BODY."""
        message = self.bob.write(body)
        self.alice.read(message)
        return message

    def m3(self, body: bytes) -> bytes:
        """M3 with the payload BODY, after a good M2."""
        self.m2(payload(FROM_RESPONDER, AS_BOB).packed())
        return self.alice.write(body)


def flipped(message: bytes, at: int) -> bytes:
    """MESSAGE with one bit changed in the octet AT."""
    changed = bytearray(message)
    changed[at] ^= 1
    return bytes(changed)


# M1


def knocks() -> Iterator[tuple[str, str, bytes]]:
    """(name, reason, M1)."""
    good = Talk().m1
    yield "a good one", "", good
    yield "nothing", "length", b""
    yield "an octet short", "length", good[:-1]
    yield "an octet more", "length", good + b"\0"
    yield "with the tag of a site secret", "length", good + bytes(16)
    yield "another magic", "magic", b"SGW2" + good[4:]
    yield "a flag that is none", "flags", good[:6] + b"\0\4" + good[8:]
    yield "all flags", "flags", good[:6] + b"\xff\xff" + good[8:]
    yield "only later versions", "version", Talk(hello(b"SGW1\3\2\0\0")).m1
    yield "only earlier versions", "version", Talk(hello(b"SGW1\0\0\0\0")).m1
    yield "versions upside down", "version", Talk(hello(b"SGW1\1\2\0\0")).m1
    yield "later versions, too", "", Talk(hello(b"SGW1\3\1\0\0")).m1
    yield "another host's gate", "gate", Talk(hello(to=MALLORY)).m1
    yield "a gate with one bit wrong", "gate", flipped(good, 23)
    yield "another ephemeral key", "gate", flipped(good, 55)
    yield "a gate of zeros", "gate", good[:8] + bytes(16) + good[24:]
    yield "flags that the gate does not vouch for", "gate", flipped(good, 7)
    yield "ungated from anywhere", "gate", Talk(hello(b"SGW1\1\1\0\2", passed=bytes(16))).m1
    yield "with a token", "", Talk(hello(b"SGW1\1\1\0\1")).m1


# M2 and M3


def payloads(kind: int, identity: Identity, mine: Credentials) -> Iterator[tuple[str, str, bytes]]:
    """(name, reason, payload) for both directions."""
    good = payload(kind, mine)

    def with_times(before: int, after: int) -> bytes:
        made = certify(identity, mine.public, NOW + before, after - before)
        return replace(good, certificate=made).packed()

    yield "a good one", "", good.packed()
    yield "of the other kind", "payload", replace(good, kind=3 - kind).packed()
    yield "of no kind", "payload", replace(good, kind=0).packed()
    yield "features that are none", "payload", replace(good, features=1).packed()
    yield "takes no messages", "payload", replace(good, max_message=4095).packed()
    yield "a clock that is no time", "payload", replace(good, clock=1 << 63).packed()
    yield "says that a token follows", "payload", good.packed()[:-1] + b"\x30"
    yield "speaks version 0", "downgrade", replace(good, version=0).packed()
    yield "speaks version 2", "downgrade", replace(good, version=2).packed()
    yield "signed by another", "certificate", replace(
        good, certificate=replace(certify(MALLORY, mine.public, NOW, 600), identity=identity.public)
    ).packed()  # fmt: skip
    yield "for another static key", "certificate", replace(
        good, certificate=certify(identity, bytes(32), NOW, 600)
    ).packed()  # fmt: skip
    yield "signature with a bit wrong", "certificate", flipped(good.packed(), 131)
    yield "expired eleven minutes ago", "certificate", with_times(-DAY, -660)
    yield "expired nine minutes ago", "", with_times(-DAY, -540)
    yield "valid in eleven minutes", "certificate", with_times(660, DAY)
    yield "valid in nine minutes", "", with_times(540, DAY)
    yield "valid for a week", "", with_times(0, 7 * DAY)
    yield "valid for a week and a second", "certificate", with_times(0, 7 * DAY + 1)
    yield "ends before it begins", "certificate", replace(
        good, certificate=replace(good.certificate, not_after=NOW - 1)
    ).packed()  # fmt: skip
    skewed = certify(identity, mine.public, NOW - DAY, 600)
    yield "a clock that is a day late", "", replace(
        good, clock=(NOW - DAY) * 1000, certificate=skewed
    ).packed()  # fmt: skip


def seconds() -> Iterator[tuple[str, str, bytes]]:
    """(name, reason, M2)."""
    for name, reason, body in payloads(FROM_RESPONDER, BOB, AS_BOB):
        yield name, reason, Talk().m2(body)
    good = Talk().m2(payload(FROM_RESPONDER, AS_BOB).packed())
    yield (
        "another host",
        "identity",
        Talk().m2(
            replace(
                payload(FROM_RESPONDER, AS_BOB),
                certificate=certify(MALLORY, AS_BOB.public, NOW, 600),
            ).packed()
        ),
    )
    yield "an octet short", "length", good[:-1]
    yield "an octet more", "length", good + b"\0"
    yield (
        "a token",
        "length",
        Talk().m2(replace(payload(FROM_RESPONDER, AS_BOB), token=TOKEN).packed()),
    )
    yield "no payload", "length", Talk().m2(b"")
    yield "M1 again", "noise", Talk().m1[CLEAR:].ljust(229, b"\0")
    for name, at in (("ephemeral", 0), ("static", 40), ("static's tag", 79), ("tag", 228)):
        yield f"a bit wrong: {name}", "noise", flipped(good, at)
    for name, point in LOW_ORDER.items():
        yield f"ephemeral key of low order: {name}", "noise", point + good[32:]


def thirds() -> Iterator[tuple[str, str, bytes]]:
    """(name, reason, M3)."""
    for name, reason, body in payloads(FROM_INITIATOR, ALICE, AS_ALICE):
        yield name, reason, Talk().m3(body)
    good = payload(FROM_INITIATOR, AS_ALICE)
    yield "other versions than in M1", "downgrade", Talk().m3(replace(good, highest=2).packed())
    yield (
        "a token that M1 did not speak of",
        "length",
        Talk().m3(replace(good, token=TOKEN).packed()),
    )
    yield "an octet short", "length", Talk().m3(good.packed())[:-1]
    yield "nothing", "length", b""
    yield "zeros", "noise", bytes(197)
    for name, at in (("static", 0), ("static's tag", 47), ("payload", 48), ("tag", 196)):
        yield f"a bit wrong: {name}", "noise", flipped(Talk().m3(good.packed()), at)


# small subgroups: all that X25519 turns into zeros (RFC 7748 §6.1 and libsodium's list)
LOW_ORDER = {
    "zero": bytes(32),
    "one": b"\1" + bytes(31),
    "of order eight": bytes.fromhex(
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
    ),
    "the other of order eight": bytes.fromhex(
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
    ),
    "minus one": bytes.fromhex("ec" + "ff" * 30 + "7f"),
    "the prime": bytes.fromhex("ed" + "ff" * 30 + "7f"),
}


def cases() -> list[Case]:
    """All of them."""
    tables: tuple[tuple[str, Callable[[], Iterator[tuple[str, str, bytes]]]], ...] = (
        ("M1", knocks),
        ("M2", seconds),
        ("M3", thirds),
    )
    return [
        {"message": message, "name": name, "reason": reason, "octets": octets.hex()}
        for message, rows in tables
        for name, reason, octets in rows()
    ]


if __name__ == "__main__":
    json.dump(
        {"secrets": {name: secret.hex() for name, secret in SECRETS.items()}, "now": NOW,
         "cases": cases()},
        sys.stdout, indent=1,
    )  # fmt: skip
    print()
