"""What we put into Noise's three messages, and when we hang up: PROTOCOL.md §2, without sockets.

Whoever carries the messages closes the connection on `Closed` and says nothing to the peer.
"""

import hmac
from collections.abc import Callable
from hashlib import blake2b

from msgspec import Struct
from nacl import bindings as sodium

from server.wire.keys import Certificate, Credentials, digest, static_secret
from server.wire.noise import Handshake, NoiseError

MAGIC = b"SGW1"
PROLOGUE = b"sigwire/1"
VERSIONS = (1, 1)  # the lowest and the highest that we speak
ENROL, UNGATED = 1, 2
FROM_RESPONDER, FROM_INITIATOR = 1, 2

M1, M1_PSK = 56, 72
CLEAR = 24  # octets of M1 before Noise's
M2 = 229
M3, M3_TOKEN = 197, 245
TOKEN = 48
PAYLOAD = 133
LEAST_MESSAGE = 4096
LATEST = (1 << 63) - 1  # milliseconds: what is later fits into no table

REASONS = frozenset(
    ("length", "magic", "flags", "version", "gate", "noise", "payload", "downgrade", "identity",
     "certificate")
)  # fmt: skip


class Closed(Exception):
    """The handshake is over; the argument, for our own log, is one of REASONS."""


class Terms(Struct, frozen=True, kw_only=True):
    """What one end brings along: CLOCK in milliseconds, PSK the secret of the site, if any."""

    credentials: Credentials
    clock: int
    psk: bytes = b""
    max_message: int = 256 * 1024
    ephemeral: Callable[[], bytes] = static_secret  # where secrets for one handshake come from


class Proved(Struct, frozen=True, kw_only=True):
    """What a handshake proved of the other end, and the keys that it led to."""

    identity: bytes
    token: bytes  # of an invitation, or b""
    skew: int  # milliseconds that its clock is ahead of ours
    max_message: int
    channel: bytes
    send_key: bytes
    receive_key: bytes


class Payload(Struct, frozen=True):
    """What M2 and M3 carry."""

    kind: int
    version: int
    highest: int
    lowest: int
    features: int
    max_message: int
    clock: int
    certificate: Certificate
    token: bytes = b""

    def packed(self) -> bytes:
        """As it is put into a message."""
        return (
            bytes((self.kind, self.version, self.highest, self.lowest))
            + self.features.to_bytes(4)
            + self.max_message.to_bytes(4)
            + self.clock.to_bytes(8)
            + self.certificate.packed()
            + bytes([len(self.token)])
            + self.token
        )


def unpacked(raw: bytes) -> Payload:
    """The payload in RAW. Raises Closed."""
    if len(raw) not in (PAYLOAD, PAYLOAD + TOKEN) or raw[PAYLOAD - 1] != len(raw) - PAYLOAD:
        raise Closed("payload")
    return Payload(
        kind=raw[0],
        version=raw[1],
        highest=raw[2],
        lowest=raw[3],
        features=int.from_bytes(raw[4:8]),
        max_message=int.from_bytes(raw[8:12]),
        clock=int.from_bytes(raw[12:20]),
        certificate=Certificate.unpacked(raw[20 : PAYLOAD - 1]),
        token=raw[PAYLOAD:],
    )


def gate(responder: bytes, clear: bytes, ephemeral: bytes) -> bytes:
    """What shows that the sender of M1 knows the digest RESPONDER."""
    key = blake2b(responder, digest_size=32, person=b"sgw1-gate").digest()
    return blake2b(clear + ephemeral, digest_size=16, key=key).digest()


def knock(m1: bytes, responder: bytes, *, psk: bool = False, open_to: bool = False) -> bytes:
    """Judge M1 before it costs more than a hash; the ephemeral key in it. Raises Closed.

    RESPONDER is our own digest; OPEN_TO says that the sender's address may come without knowing it.
    """
    if len(m1) != (M1_PSK if psk else M1):
        raise Closed("length")
    if m1[:4] != MAGIC:
        raise Closed("magic")
    flags = int.from_bytes(m1[6:8])
    if flags & ~(ENROL | UNGATED):
        raise Closed("flags")
    if not m1[5] <= m1[4] or highest_common(m1[4], m1[5]) == 0:
        raise Closed("version")
    ephemeral = m1[CLEAR : CLEAR + 32]
    expected = bytes(16) if flags & UNGATED else gate(responder, m1[:8], ephemeral)
    if (flags & UNGATED and not open_to) or not hmac.compare_digest(m1[8:CLEAR], expected):
        raise Closed("gate")
    return ephemeral


def highest_common(highest: int, lowest: int) -> int:
    """The version to speak with who speaks those from LOWEST to HIGHEST; 0 if there is none."""
    common = min(highest, VERSIONS[1])
    return common if common >= max(lowest, VERSIONS[0]) else 0


class Initiator:
    """Who connects, to the identity with the digest PIN; None if it is to be learnt."""

    def __init__(self, terms: Terms, pin: bytes | None, token: bytes = b"") -> None:
        self._terms = terms
        self._pin = pin
        self._token = token
        flags = (ENROL if token else 0) | (UNGATED if pin is None else 0)
        self._clear = MAGIC + bytes((VERSIONS[1], VERSIONS[0])) + flags.to_bytes(2)

    def hello(self) -> bytes:
        """M1."""
        # The gate vouches for e and the prologue for the gate, so e must be made first.
        ephemeral = self._terms.ephemeral()
        public = sodium.crypto_scalarmult_base(ephemeral)
        passed = bytes(16) if self._pin is None else gate(self._pin, self._clear, public)
        prologue = PROLOGUE + self._clear + passed
        self._noise = Handshake(
            self._terms.credentials.secret, prologue,
            initiator=True, psk=self._terms.psk, ephemeral=ephemeral,
        )  # fmt: skip
        return self._clear + passed + self._noise.write(b"")

    def finish(self, m2: bytes) -> tuple[bytes, Proved]:
        """M3, and what M2 proved. Raises Closed."""
        if len(m2) != M2:
            raise Closed("length")
        theirs = _read(self._noise, m2, FROM_RESPONDER)
        if theirs.version != highest_common(theirs.highest, theirs.lowest):
            raise Closed("downgrade")
        if self._pin is not None and digest(theirs.certificate.identity) != self._pin:
            raise Closed("identity")
        _certified(theirs, self._noise)
        m3 = _write(self._noise, self._terms, (FROM_INITIATOR, theirs.version), self._token)
        return m3, _proved(self._noise, self._terms, theirs, initiator=True)


class Responder:
    """Who was connected to, by somebody whose M1 `knock` let pass."""

    def __init__(self, terms: Terms, m1: bytes) -> None:
        self._terms = terms
        self._range = (m1[4], m1[5])
        self._enrols = bool(m1[7] & ENROL)
        self._noise = Handshake(
            terms.credentials.secret, PROLOGUE + m1[:CLEAR],
            initiator=False, psk=terms.psk, ephemeral=terms.ephemeral(),
        )  # fmt: skip
        _plain(self._noise, m1[CLEAR:])

    def reply(self) -> bytes:
        """M2. Raises Closed."""
        return _write(self._noise, self._terms, (FROM_RESPONDER, highest_common(*self._range)))

    @property
    def expects(self) -> int:
        """How long M3 has to be."""
        return M3_TOKEN if self._enrols else M3

    def finish(self, m3: bytes) -> Proved:
        """What M3 proved; whether its sender is trusted is another question. Raises Closed."""
        if len(m3) != self.expects:
            raise Closed("length")
        theirs = _read(self._noise, m3, FROM_INITIATOR)
        if (theirs.highest, theirs.lowest) != self._range or theirs.version != highest_common(
            *self._range
        ):
            raise Closed("downgrade")
        _certified(theirs, self._noise)
        return _proved(self._noise, self._terms, theirs, initiator=False)


def _plain(noise: Handshake, message: bytes) -> bytes:
    """The payload of MESSAGE. Raises Closed."""
    try:
        return noise.read(message)
    except NoiseError:
        raise Closed("noise") from None


def _read(noise: Handshake, message: bytes, kind: int) -> Payload:
    """The payload of KIND in MESSAGE. Raises Closed."""
    payload = unpacked(_plain(noise, message))
    if payload.kind != kind or payload.features or payload.max_message < LEAST_MESSAGE:
        raise Closed("payload")
    if payload.clock > LATEST:
        raise Closed("payload")
    return payload


def _write(noise: Handshake, terms: Terms, what: tuple[int, int], token: bytes = b"") -> bytes:
    """The next message; WHAT is the payload's kind and the version. Raises Closed."""
    lowest, highest = VERSIONS
    certificate = terms.credentials.certificate
    payload = Payload(*what, highest, lowest, 0, terms.max_message, terms.clock, certificate, token)
    try:
        return noise.write(payload.packed())
    except NoiseError:
        raise Closed("noise") from None


def _certified(theirs: Payload, noise: Handshake) -> None:
    """Raise Closed unless the certificate is for the static key that the handshake proved."""
    if not theirs.certificate.covers(noise.remote, theirs.clock // 1000):
        raise Closed("certificate")


def _proved(noise: Handshake, terms: Terms, theirs: Payload, *, initiator: bool) -> Proved:
    """What is known when the handshake is complete."""
    there, back = noise.split()
    return Proved(
        identity=theirs.certificate.identity,
        token=theirs.token,
        skew=theirs.clock - terms.clock,
        max_message=theirs.max_message,
        channel=noise.hash,
        send_key=there if initiator else back,
        receive_key=back if initiator else there,
    )
