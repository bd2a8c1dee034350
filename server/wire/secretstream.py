"""libsodium's secretstream for one frame at a time, as PyNaCl binds it, without what it adds.

PyNaCl's own functions check each argument's type and keep a buffer as large as the largest frame in
each state: a third of what a question costs us, and most of what an idle session would hold. What
they check holds here by construction: frames.py makes the states, and looks at lengths before.
"""

from nacl import bindings as sodium
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # an extension without types

State = sodium.crypto_secretstream_xchacha20poly1305_state
OVERHEAD = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
OCTETS = ffi.typeof("unsigned char[]")
OCTET = ffi.typeof("unsigned char *")


class Forged(Exception):
    """A frame that was not sent so, or not now."""


def push(state: State, plaintext: bytes, ad: bytes, tag: int) -> bytes:
    """PLAINTEXT as the next frame of STATE, with AD vouched for."""
    sealed = ffi.new(OCTETS, len(plaintext) + OVERHEAD)
    failed = lib.crypto_secretstream_xchacha20poly1305_push(
        state.statebuf, sealed, ffi.NULL, plaintext, len(plaintext), ad, len(ad), tag
    )
    if failed:
        raise RuntimeError("libsodium cannot seal")
    found: bytes = ffi.buffer(sealed)[:]
    return found


def pull(state: State, sealed: bytes, ad: bytes) -> tuple[bytes, int]:
    """The plaintext and the tag of the next frame of STATE. Raises Forged."""
    size = len(sealed) - OVERHEAD
    if size < 0:
        raise Forged
    plaintext = ffi.new(OCTETS, size)
    tag = ffi.new(OCTET)
    failed = lib.crypto_secretstream_xchacha20poly1305_pull(
        state.statebuf, plaintext, ffi.NULL, tag, sealed, len(sealed), ad, len(ad)
    )
    if failed:
        raise Forged
    return ffi.buffer(plaintext)[:], tag[0]
