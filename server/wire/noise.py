"""Noise_XX_25519_ChaChaPoly_BLAKE2b and XXpsk3, as the Noise specification (revision 34) has them.

Names follow the specification. Nothing here reads, writes, waits or knows what we use it for. The
published vectors are in tests/server/vectors.
"""

import hmac
from hashlib import blake2b

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

SUITE = "25519_ChaChaPoly_BLAKE2b"
PATTERNS: dict[str, tuple[tuple[str, ...], ...]] = {
    # name: the tokens of each message; the initiator sends the first
    "XX": (("e",), ("e", "ee", "s", "es"), ("s", "se")),
    "XXpsk3": (("e",), ("e", "ee", "s", "es"), ("s", "se", "psk")),
}
KEY = 32
TAG = 16


class NoiseError(Exception):
    """A message that does not belong to this handshake, which is over."""


def hkdf(chain: bytes, material: bytes, count: int) -> list[bytes]:
    """COUNT outputs of 64 octets."""
    temporary = hmac.digest(chain, material, "blake2b")
    outputs = [b""]
    for number in range(1, count + 1):
        outputs.append(hmac.digest(temporary, outputs[-1] + bytes([number]), "blake2b"))
    return outputs[1:]


class CipherState:
    """A key, and how often it was used."""

    __slots__ = ("_key", "_nonce")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nonce = 0

    def encrypt(self, ad: bytes, plaintext: bytes) -> bytes:
        """PLAINTEXT sealed, with AD vouched for."""
        return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
            plaintext, ad, self._next(), self._key
        )

    def decrypt(self, ad: bytes, ciphertext: bytes) -> bytes:
        """What was sealed. Raises CryptoError."""
        return sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
            ciphertext, ad, self._next(), self._key
        )

    def _next(self) -> bytes:
        nonce = bytes(4) + self._nonce.to_bytes(8, "little")
        self._nonce += 1
        return nonce


class SymmetricState:
    """What both ends know so far: the chaining key, the hash of all that was said, a cipher."""

    __slots__ = ("_chain", "_cipher", "hash")

    def __init__(self, name: bytes) -> None:
        self.hash = name.ljust(64, b"\0") if len(name) <= 64 else blake2b(name).digest()
        self._chain = self.hash
        self._cipher: CipherState | None = None

    def mix_key(self, material: bytes) -> None:
        """Let the next keys depend on MATERIAL."""
        self._chain, key = hkdf(self._chain, material, 2)
        self._cipher = CipherState(key[:KEY])

    def mix_hash(self, data: bytes) -> None:
        """Let the rest vouch for DATA."""
        self.hash = blake2b(self.hash + data).digest()

    def mix_key_and_hash(self, material: bytes) -> None:
        """Both, as pre-shared keys need it."""
        self._chain, mixed, key = hkdf(self._chain, material, 3)
        self.mix_hash(mixed)
        self._cipher = CipherState(key[:KEY])

    def encrypt(self, plaintext: bytes) -> bytes:
        """PLAINTEXT as it goes into a message: sealed as soon as there is a key."""
        sealed = self._cipher.encrypt(self.hash, plaintext) if self._cipher else plaintext
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed: bytes) -> bytes:
        """What `encrypt` was given."""
        plaintext = self._cipher.decrypt(self.hash, sealed) if self._cipher else sealed
        self.mix_hash(sealed)
        return plaintext

    @property
    def overhead(self) -> int:
        """How much longer a sealed text is."""
        return TAG if self._cipher else 0

    def split(self) -> tuple[bytes, bytes]:
        """The keys from the initiator to the responder, and back."""
        first, second = hkdf(self._chain, b"", 2)
        return first[:KEY], second[:KEY]


class Handshake:
    """One end of a handshake: `write` and `read` in turn; then `split`, and `remote` is who it was.

    STATIC and EPHEMERAL are secret keys, the second for this handshake only. The first failure ends
    it.
    """

    def __init__(
        self, static: bytes, prologue: bytes, *, initiator: bool, ephemeral: bytes,
        psk: bytes = b"",
    ) -> None:  # fmt: skip
        name = "XXpsk3" if psk else "XX"
        self.remote = b""
        self._left = list(PATTERNS[name])
        self._initiator = initiator
        self._writes = initiator
        self._psk = psk
        self._secret = {"e": ephemeral, "s": static}
        self._theirs: dict[str, bytes] = {}
        self._state = SymmetricState(f"Noise_{name}_{SUITE}".encode())
        self._state.mix_hash(prologue)

    def write(self, payload: bytes) -> bytes:
        """The next message, with PAYLOAD in it. Raises NoiseError."""
        tokens = self._turn(writing=True)
        message = b""
        try:
            for token in tokens:
                message += self._write_token(token)
        except RuntimeError:  # libsodium: the peer's key makes an all-zero secret
            self._left = []
            raise NoiseError("a key that proves nothing") from None
        return message + self._state.encrypt(payload)

    def read(self, message: bytes) -> bytes:
        """The payload of the next MESSAGE. Raises NoiseError."""
        tokens = self._turn(writing=False)
        try:
            for token in tokens:
                message = self._read_token(token, message)
            payload = self._state.decrypt(message)
        except (CryptoError, RuntimeError, ValueError, TypeError):
            self._left = []
            raise NoiseError("the message does not belong to this handshake") from None
        self.remote = self._theirs.get("s", b"")
        return payload

    @property
    def hash(self) -> bytes:
        """What names this handshake, and no other, when it is done."""
        return self._state.hash

    def split(self) -> tuple[bytes, bytes]:
        """The keys from the initiator to the responder, and back."""
        if self._left or not self.remote:
            raise NoiseError("the handshake is not complete")
        return self._state.split()

    def _turn(self, *, writing: bool) -> tuple[str, ...]:
        if not self._left or writing != self._writes:
            raise NoiseError("out of turn")
        self._writes = not writing
        return self._left.pop(0)

    def _write_token(self, token: str) -> bytes:
        """What TOKEN adds to a message."""
        if token == "e":  # noqa: S105  # a token of the pattern
            public = sodium.crypto_scalarmult_base(self._secret["e"])
            self._mix_ephemeral(public)
            return public
        if token == "s":  # noqa: S105  # as above
            return self._state.encrypt(sodium.crypto_scalarmult_base(self._secret["s"]))
        self._mix(token)
        return b""

    def _read_token(self, token: str, message: bytes) -> bytes:
        """The rest of MESSAGE after what TOKEN took. Raises what libsodium raises."""
        if token not in ("e", "s"):
            self._mix(token)
            return message
        size = KEY + (self._state.overhead if token == "s" else 0)  # noqa: S105  # as above
        if len(message) < size:
            raise ValueError(len(message))
        key, rest = message[:size], message[size:]
        if token == "e":  # noqa: S105  # as above
            self._theirs["e"] = key
            self._mix_ephemeral(key)
        else:
            self._theirs["s"] = self._state.decrypt(key)
        return rest

    def _mix_ephemeral(self, public: bytes) -> None:
        self._state.mix_hash(public)
        if self._psk:
            self._state.mix_key(public)

    def _mix(self, token: str) -> None:
        """Mix in a pre-shared key, or a Diffie-Hellman of (initiator's key, responder's key)."""
        if token == "psk":  # noqa: S105  # as above
            self._state.mix_key_and_hash(self._psk)
            return
        mine, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        shared = sodium.crypto_scalarmult(self._secret[mine], self._theirs[theirs])
        self._state.mix_key(shared)
