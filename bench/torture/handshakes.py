"""Handshakes and streams that are not right: none leads anywhere."""

from __future__ import annotations

import socket
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bench import serverd
from bench.torture.table import Case, must
from server.wire import handshake
from server.wire.frames import Broken, Receiver, Sender
from server.wire.handshake import (
    FROM_INITIATOR,
    M2,
    M3,
    TOKEN,
    Closed,
    Initiator,
    Payload,
    Responder,
    Terms,
    gate,
    knock,
)
from server.wire.inside import Answered, Enrol, Message, Visited
from server.wire.keys import Certificate, Credentials, Identity, certify, digest
from tests.server.halves import Half, grant, trusted

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 24 * 3600
ROOM = {"allowallconnects": ["127.0.0.0/8"], "maxconnections": 5000}
MEMORY = 1_000_000  # octets that a process may grow by chance


def terms(identity: Identity, **more: int) -> Terms:
    """What IDENTITY brings along now."""
    now = int(time.time())
    return Terms(credentials=Credentials.new(identity, now, **more), clock=now * 1000)


# 1: flips


def flips(case: Case) -> str:
    """Flip each bit of a handshake, one at a time."""
    alice, bob = terms(Identity.new()), terms(Identity.new())
    bits = [(which, bit) for which, size in enumerate((56, M2, M3)) for bit in range(size * 8)]
    must(_accepted(alice, bob, None), "a right handshake is accepted")
    for which, bit in case.random.sample(bits, min(case.many, len(bits))):
        must(not _accepted(alice, bob, (which, bit)), f"bit {bit} of M{which + 1} flipped")
    return "0 accepted"


def _accepted(alice: Terms, bob: Terms, flip: tuple[int, int] | None) -> bool:
    """Whether both ends think that they are done, though a bit was flipped."""

    def carried(which: int, message: bytes) -> bytes:
        if flip is None or flip[0] != which:
            return message
        at, bit = divmod(flip[1], 8)
        return message[:at] + bytes([message[at] ^ 1 << bit]) + message[at + 1 :]

    pin = digest(bob.credentials.certificate.identity)
    try:
        initiator = Initiator(alice, pin)
        m1 = carried(0, initiator.hello())
        knock(m1, pin)
        responder = Responder(bob, m1)
        m3, _ = initiator.finish(carried(1, responder.reply()))
        responder.finish(carried(2, m3))
    except Closed:
        return False
    return True


# 2: bad handshakes


class Lab:
    """A server that trusts Alice, and those who are not let in."""

    def __init__(self, half: Half) -> None:
        self.half = half
        self.pin = digest(half.identity.public)
        self.alice, self.mallory = Identity.new(), Identity.new()
        half.trusts(trusted(self.alice, "alice"), enrolling=True)
        half.grants(grant(), **ROOM)
        half.report()

    def hello(self, pin: bytes | None = b"") -> bytes:
        """A right first message."""
        return Initiator(terms(self.alice), self.pin if pin == b"" else pin).hello()

    def spoken(self, *octets: bytes) -> int:
        """How many octets come back if OCTETS are sent, each when the server has had its turn."""
        received = 0
        with closing(socket.create_connection(self.half.address, 10)) as connection:
            with suppress(OSError):
                for number, part in enumerate(octets):
                    connection.sendall(part)
                    if number < len(octets) - 1:
                        received += len(connection.recv(4096))
                connection.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while more := connection.recv(4096):
                    received += len(more)
        return received

    def answered(
        self, change: Callable[[Payload], Payload] = lambda payload: payload,
        bring: Terms | None = None, token: bytes = b"",
    ) -> int:  # fmt: skip
        """How many octets come back if the payload of M3 is CHANGEd, or BRINGs others."""
        mine = bring or terms(self.alice)
        initiator = Initiator(mine, self.pin, token)
        with closing(socket.create_connection(self.half.address, 10)) as connection:
            connection.sendall(initiator.hello())
            m2 = connection.recv(2 + M2, socket.MSG_WAITALL)
            handshake._read(initiator._noise, m2[2:], handshake.FROM_RESPONDER)
            payload = Payload(
                FROM_INITIATOR, 1, 1, 1, 0, mine.max_message, mine.clock,
                mine.credentials.certificate, token,
            )  # fmt: skip
            m3 = initiator._noise.write(change(payload).packed())
            received = len(m2)
            with suppress(OSError):
                connection.sendall(len(m3).to_bytes(2) + m3)
                connection.shutdown(socket.SHUT_WR)
                while more := connection.recv(4096):
                    received += len(more)
        return received


def _repeated(lab: Lab) -> int:
    m1 = lab.hello()
    lab.spoken(m1, b"")
    return lab.spoken(m1)


def _edited(at: int, octets: bytes) -> Callable[[Lab], int]:
    def kind(lab: Lab) -> int:
        m1 = lab.hello()
        return lab.spoken(m1[:at] + octets + m1[at + len(octets) :])

    return kind


def _low_order(lab: Lab) -> int:
    clear = lab.hello()[:8]
    return lab.spoken(clear + gate(lab.pin, clear, bytes(32)) + bytes(32))


def _stale(lab: Lab) -> int:
    now = int(time.time())
    old = Credentials.new(lab.alice, now - 8 * DAY, 600)
    return lab.answered(bring=Terms(credentials=old, clock=now * 1000))


def _swapped(lab: Lab) -> int:
    mine = Credentials.new(lab.mallory, int(time.time()))
    theirs = Credentials.new(lab.alice, int(time.time())).certificate
    swapped = Credentials(mine.secret, theirs)
    return lab.answered(bring=replace(terms(lab.alice), credentials=swapped))


def _forged(lab: Lab) -> int:
    mine = Credentials.new(lab.mallory, int(time.time()))
    made = certify(lab.mallory, mine.public, int(time.time()), 600)
    forged = Certificate(lab.alice.public, made.not_before, made.not_after, made.signature)
    bring = replace(terms(lab.alice), credentials=Credentials(mine.secret, forged))
    return lab.answered(bring=bring)


def _reflected(lab: Lab) -> int:
    with closing(socket.create_connection(lab.half.address, 10)) as connection:
        connection.sendall(lab.hello())
        m2 = connection.recv(2 + M2, socket.MSG_WAITALL)
        received = len(m2)
        with suppress(OSError):
            connection.sendall(M3.to_bytes(2) + m2[2 : 2 + M3])
            while more := connection.recv(4096):
                received += len(more)
    return received


# kind: octets that may come back, what is done
KINDS: dict[str, tuple[int, Callable[[Lab], int]]] = {
    "another's pin": (0, lambda lab: lab.spoken(lab.hello(digest(lab.mallory.public)))),
    "ungated": (0, lambda lab: lab.spoken(lab.hello(None))),
    "magic": (0, _edited(0, b"SGW2")),
    "old version": (0, _edited(4, b"\0\0")),
    "turned range": (0, _edited(4, b"\1\2")),
    "unknown flag": (0, _edited(6, b"\0\4")),
    "gate of another time": (0, _edited(8, bytes(16))),
    "truncated": (0, lambda lab: lab.spoken(lab.hello()[:40])),
    "oversize": (0, lambda lab: lab.spoken(b"SGW1" + bytes(2000))),
    "low order": (0, _low_order),
    "repeated": (0, _repeated),
    "another protocol": (0, lambda lab: lab.spoken(b"GET / HTTP/1.1\r\nHost: x\r\n" + b" " * 64)),
    "M3 random": (M2 + 2, lambda lab: lab.spoken(lab.hello(), M3.to_bytes(2) + bytes(M3))),
    "M3 short": (M2 + 2, lambda lab: lab.spoken(lab.hello(), b"\0\x10" + bytes(16))),
    "M3 long": (M2 + 2, lambda lab: lab.spoken(lab.hello(), b"\xff\xff" + bytes(300))),
    "M3 half": (M2 + 2, lambda lab: lab.spoken(lab.hello(), M3.to_bytes(2) + bytes(50))),
    "reflected": (M2 + 2, _reflected),
    "expired static": (M2 + 2, _stale),
    "long-lived static": (
        M2 + 2,
        lambda lab: lab.answered(bring=terms(lab.alice, life=30 * DAY)),
    ),
    "swapped identity": (M2 + 2, _swapped),
    "forged certificate": (M2 + 2, _forged),
    "untrusted": (M2 + 2, lambda lab: lab.answered(bring=terms(lab.mallory))),
    "unknown token": (
        M2 + 2,
        lambda lab: lab.answered(bring=terms(lab.mallory), token=bytes(TOKEN)),
    ),
    "downgrade": (M2 + 2, lambda lab: lab.answered(lambda payload: replace(payload, highest=2))),
    "another version": (M2 + 2, lambda lab: lab.answered(lambda p: replace(p, version=0))),
    "wrong kind": (M2 + 2, lambda lab: lab.answered(lambda payload: replace(payload, kind=1))),
    "features": (M2 + 2, lambda lab: lab.answered(lambda payload: replace(payload, features=1))),
    "no room": (M2 + 2, lambda lab: lab.answered(lambda p: replace(p, max_message=4095))),
}


def bad(case: Case) -> str:
    """Try each kind again and again."""
    with Half(process=True) as half:
        half.answer = _no
        lab = Lab(half)
        half.heard.clear()
        size = 0
        for number in range(case.many):
            name, (most, kind) = list(KINDS.items())[number % len(KINDS)]
            must(kind(lab) <= most, f"{name}: more than {most} octets came back")
            if number == case.many // 3:
                size = serverd.memory(half.pid)
        grown = serverd.memory(half.pid) - size
        must(grown < (MEMORY if case.full else 4 * MEMORY), f"memory grew by {grown} octets")
        must(not any(isinstance(said, Visited) for said in half.heard), "somebody got in")
        with half.client(lab.alice) as client:
            client.log_in()
    return f"{len(KINDS)} kinds, 0 sessions, memory {grown / 1000:+.0f} kB"


def _no(message: Message) -> Message | None:
    """No token opens anything."""
    return Answered(n=message.n, label="") if isinstance(message, Enrol) else None


# 3: replay


def replay(case: Case) -> str:
    """Repeat, drop or exchange one frame of a stream: it ends there, and never goes on."""
    alice, bob = terms(Identity.new()), terms(Identity.new())
    pin = digest(bob.credentials.certificate.identity)
    initiator = Initiator(alice, pin)
    responder = Responder(bob, initiator.hello())
    m3, mine = initiator.finish(responder.reply())
    theirs = responder.finish(m3)
    for _ in range(case.many):
        sender = Sender(mine, time.monotonic)
        frames = [sender.header(mine.send_key)]
        frames += [sender.message(bytes([number])) for number in range(8)]
        at = case.random.randrange(1, 8)
        kind = case.random.choice(("repeat", "drop", "exchange", "cut short"))
        wrong = list(frames)
        match kind:
            case "repeat":
                wrong.insert(at + 1, frames[at])
            case "drop":
                del wrong[at]
            case "exchange":
                wrong[at], wrong[at + 1] = wrong[at + 1], wrong[at]
            case _:
                wrong[at] = wrong[at][:-1]
        receiver = Receiver(theirs.receive_key, theirs.channel)
        got: list[bytes] = []
        try:
            for frame in wrong:
                got += receiver.feed(frame)
        except Broken:
            right = at if kind == "repeat" else at - 1
            must(got == [bytes([number]) for number in range(right)], f"{kind} at {at}: {got}")
        else:
            # what is missing may be as the next frame begins: then the rest never makes a frame
            must(kind == "cut short" and len(got) == at, f"{kind} at {at} was not noticed")
    return "0 frames accepted behind one that was not next"
