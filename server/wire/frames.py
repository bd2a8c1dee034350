"""The data phase: messages into encrypted frames and back, PROTOCOL.md §3, without sockets."""

from collections.abc import Callable, Iterator

from nacl import bindings as sodium

from server.wire.handshake import Proved
from server.wire.secretstream import Forged, pull, push

Clock = Callable[[], float]

HEADER = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
OVERHEAD = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
MESSAGE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
PUSH = sodium.crypto_secretstream_xchacha20poly1305_TAG_PUSH
REKEY = sodium.crypto_secretstream_xchacha20poly1305_TAG_REKEY
FINAL = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL

LARGEST_FRAME = 65535
PART = LARGEST_FRAME - OVERHEAD
LARGEST_MESSAGE = 256 * 1024
REKEY_FRAMES = 1 << 16
REKEY_OCTETS = 256 << 20
REKEY_SECONDS = 600.0


class Broken(Exception):
    """The stream is not what its sender sent, or breaks a rule: it cannot go on."""


class Sender:
    """One direction of a session, at the end that sends. CLOCK is in seconds, monotonic."""

    __slots__ = ("_ad", "_clock", "_frames", "_limit", "_octets", "_since", "_state")

    def __init__(self, proved: Proved, clock: Clock) -> None:
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        self._ad = proved.channel
        self._clock = clock
        self._limit = min(LARGEST_MESSAGE, proved.max_message)
        self._renewed()

    def header(self, key: bytes) -> bytes:
        """The first frame of this direction, which KEY protects."""
        header = sodium.crypto_secretstream_xchacha20poly1305_init_push(self._state, key)
        return _framed(header)

    def message(self, text: bytes) -> bytes:
        """The frames that carry TEXT. Raises Broken if the receiver would not take it."""
        if 0 < len(text) <= PART and len(text) <= self._limit and not self._stale():
            return self._frame(text, PUSH)  # as nearly always
        if not 0 < len(text) <= self._limit:
            raise Broken(f"a message of {len(text)} octets, the limit is {self._limit}")
        frames = [self._frame(b"", REKEY)] if self._stale() else []
        last = (len(text) - 1) // PART * PART
        frames += [self._frame(text[at : at + PART], MESSAGE) for at in range(0, last, PART)]
        return b"".join([*frames, self._frame(text[last:], PUSH)])

    def final(self) -> bytes:
        """The frame that says that nothing follows."""
        return self._frame(b"", FINAL)

    def _frame(self, plaintext: bytes, tag: int) -> bytes:
        """One frame."""
        ad, self._ad = self._ad, b""
        sealed = push(self._state, plaintext, ad, tag)
        size = len(sealed)
        self._frames += 1
        self._octets += size
        if tag == REKEY:
            self._renewed()
        return size.to_bytes(2) + sealed

    def _stale(self) -> bool:
        return (
            self._frames >= REKEY_FRAMES
            or self._octets >= REKEY_OCTETS
            or self._clock() - self._since >= REKEY_SECONDS
        )

    def _renewed(self) -> None:
        self._frames = self._octets = 0
        self._since = self._clock()


class Receiver:
    """One direction of a session, at the end that receives."""

    __slots__ = ("_ad", "_data", "_key", "_limit", "_parts", "_rekeyed", "_size", "_state", "ended")

    def __init__(self, key: bytes, channel: bytes, limit: int = LARGEST_MESSAGE) -> None:
        self.ended = False  # in good order, by FINAL
        self._key = key
        self._ad = channel
        self._limit = limit
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        self._data = b""
        self._parts: list[bytes] = []
        self._size = 0
        self._rekeyed = False  # since the last message

    @property
    def started(self) -> bool:
        """Whether something has come that is not whole yet."""
        return bool(self._data or self._parts)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that DATA completes. Raises Broken, and then nothing may follow."""
        if self._data:
            data = self._data + data
        at, end = 0, len(data)
        while end - at >= 2:
            size = data[at] << 8 | data[at + 1]
            if not (size == HEADER if self._key else size >= OVERHEAD):
                raise Broken(f"a frame of {size} octets")
            if self.ended:
                raise Broken("something after the end")
            behind = at + 2 + size
            if behind > end:
                break
            message = self._take(data[at + 2 : behind])
            at = behind
            if message is not None:
                yield message
        self._data = data[at:]
        if self.ended and self._data:
            raise Broken("something after the end")

    def _take(self, frame: bytes) -> bytes | None:
        """The message that FRAME completes, if it does."""
        if self._key:
            sodium.crypto_secretstream_xchacha20poly1305_init_pull(self._state, frame, self._key)
            self._key = b""
            return None
        ad, self._ad = self._ad, b""
        try:
            plaintext, tag = pull(self._state, frame, ad)
        except Forged:
            raise Broken("a frame that was not sent so") from None
        if tag == PUSH and not self._parts and 0 < len(plaintext) <= self._limit:
            self._rekeyed = False
            return plaintext  # as nearly always
        if tag in (REKEY, FINAL):
            if plaintext or self._parts or (tag == REKEY and self._rekeyed):
                raise Broken("a rekey or an end where none can be")
            self._rekeyed = True
            self.ended = tag == FINAL
            return None
        return self._part(plaintext, last=tag == PUSH)

    def _part(self, plaintext: bytes, *, last: bool) -> bytes | None:
        self._size += len(plaintext)
        if not plaintext or self._size > self._limit:
            raise Broken(f"a message of {self._size} octets or more, the limit is {self._limit}")
        self._parts.append(plaintext)
        if not last:
            return None
        message = b"".join(self._parts)
        self._parts, self._size, self._rekeyed = [], 0, False
        return message


def _framed(octets: bytes) -> bytes:
    return len(octets).to_bytes(2) + octets
