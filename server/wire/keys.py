"""Identities, certificates, fingerprints: who a host is, and the file that makes it so.

A host is an Ed25519 key; what does Diffie-Hellman is a short-lived X25519 key that it certifies.
"""

import hashlib
from typing import Self

from msgspec import Struct
from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from server.wire.peerfiles import BadKey, read, write

STATIC = b"sigwire/1 static\0"  # contexts: what a signature is for
ROTATE = b"sigwire/1 rotate\0"

DAEMON_LIFE = 7 * 24 * 3600
COMMAND_LIFE = 600
WINDOW_SLACK = 600

CONSONANTS = "bdfghjklmnprstvz"
VOWELS = "aiou"

ENVELOPE = "troth secret key 1"


# fingerprints


def digest(public: bytes) -> bytes:
    """What names the identity with the key PUBLIC, in 32 octets."""
    return hashlib.sha256(public).digest()


def host_id(public: bytes) -> str:
    """What names it for people and policy."""
    return id_of(digest(public))


def id_of(fingerprint: bytes) -> str:
    """The id with this digest."""
    return f"SHA={fingerprint.hex()}"


def words(fingerprint: bytes) -> str:
    """FINGERPRINT as sixteen words that can be read out on the telephone."""
    return " ".join(
        [_word(fingerprint[at] << 8 | fingerprint[at + 1]) for at in range(0, len(fingerprint), 2)]
    )


def fingerprint(text: str) -> bytes:
    """The digest that TEXT gives: an id, bare hex, or words. Raises BadKey."""
    plain = text.strip().removeprefix("SHA=").lower()
    pieces = plain.replace("-", " ").split()
    try:
        found = _number(pieces) if len(pieces) == 16 else bytes.fromhex(plain)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise BadKey(f"'{text}' is not a fingerprint: 64 hex digits or sixteen words")
    return found


def _word(bits: int) -> str:
    shape = ((12, CONSONANTS), (10, VOWELS), (6, CONSONANTS), (4, VOWELS), (0, CONSONANTS))
    return "".join([letters[bits >> shift & (len(letters) - 1)] for shift, letters in shape])


def _number(pieces: list[str]) -> bytes:
    """The octets that words stand for. Raises ValueError if one is none of ours."""
    found = b""
    for piece in pieces:
        if len(piece) != 5:
            raise ValueError(piece)
        bits = 0
        for position, letter in enumerate(piece):
            letters = VOWELS if position % 2 else CONSONANTS
            bits = bits * len(letters) + letters.index(letter)
        found += bits.to_bytes(2)
    return found


# signatures


class Identity:
    """The secret that makes a host the one that it is."""

    __slots__ = ("_secret", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self.public, self._secret = sodium.crypto_sign_seed_keypair(seed)

    @classmethod
    def new(cls) -> Self:
        """One that nobody had before."""
        return cls(sodium.randombytes(sodium.crypto_sign_SEEDBYTES))

    @property
    def id(self) -> str:
        """The name of this host."""
        return host_id(self.public)

    def sign(self, context: bytes, body: bytes) -> bytes:
        """The signature over BODY for what CONTEXT says."""
        return sodium.crypto_sign(context + body, self._secret)[: sodium.crypto_sign_BYTES]


def signed(public: bytes, context: bytes, body: bytes, signature: bytes) -> bool:
    """Whether the owner of PUBLIC signed BODY for what CONTEXT says."""
    try:
        sodium.crypto_sign_open(signature + context + body, public)
    except (CryptoError, ValueError, TypeError):
        return False
    return len(signature) == sodium.crypto_sign_BYTES


# certificates


class Certificate(Struct, frozen=True):
    """An identity's word that a static key is its own for a while."""

    identity: bytes
    not_before: int
    not_after: int
    signature: bytes

    def packed(self) -> bytes:
        """As it travels: 112 octets."""
        return self.identity + self._times() + self.signature

    @classmethod
    def unpacked(cls, raw: bytes) -> Self:
        """The certificate in RAW, which has the right length."""
        return cls(raw[:32], int.from_bytes(raw[32:40]), int.from_bytes(raw[40:48]), raw[48:])

    def covers(self, static: bytes, clock: int) -> bool:
        """Whether it says that STATIC is good at CLOCK, in seconds, give or take ten minutes."""
        return (
            0 <= self.not_after - self.not_before <= DAEMON_LIFE
            and self.not_before - WINDOW_SLACK <= clock <= self.not_after + WINDOW_SLACK
            and signed(self.identity, STATIC, static + self._times(), self.signature)
        )

    def _times(self) -> bytes:
        return self.not_before.to_bytes(8) + self.not_after.to_bytes(8)


def certify(identity: Identity, static: bytes, now: int, life: int) -> Certificate:
    """Say that STATIC, an X25519 public key, is IDENTITY's for LIFE seconds from NOW."""
    times = now.to_bytes(8) + (now + life).to_bytes(8)
    signature = identity.sign(STATIC, static + times)
    return Certificate(identity.public, now, now + life, signature)


class Credentials:
    """What a process needs to speak for a host: a static key and its certificate."""

    __slots__ = ("certificate", "public", "secret")

    def __init__(self, secret: bytes, certificate: Certificate) -> None:
        self.secret = secret
        self.public = sodium.crypto_scalarmult_base(secret)
        self.certificate = certificate

    @classmethod
    def new(cls, identity: Identity, now: int, life: int = COMMAND_LIFE) -> Self:
        """A fresh static key that IDENTITY certifies."""
        secret = static_secret()
        public = sodium.crypto_scalarmult_base(secret)
        return cls(secret, certify(identity, public, now, life))


def static_secret() -> bytes:
    """A fresh X25519 secret key."""
    return sodium.randombytes(sodium.crypto_scalarmult_SCALARBYTES)


# files


def load(path: str) -> Identity:
    """The identity that the file PATH holds. Raises BadKey, OSError."""
    lines = read(path).splitlines()
    try:
        seed = bytes.fromhex(lines[1])
    except (IndexError, ValueError):
        seed = b""
    if len(lines) != 2 or lines[0] != ENVELOPE or len(seed) != sodium.crypto_sign_SEEDBYTES:
        raise BadKey(f"'{path}' does not hold a secret key")
    return Identity(seed)


def save(identity: Identity, path: str, *, replace: bool = False) -> None:
    """Write IDENTITY to the file PATH; FileExistsError if there is one, unless REPLACE."""
    write(path, f"{ENVELOPE}\n{identity.seed.hex()}\n", replace=replace)
