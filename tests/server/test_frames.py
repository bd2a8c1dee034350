"""The data phase: what is sent comes whole and in order, or the stream is over."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings as sodium

from server.wire import frames, secretstream
from server.wire.frames import Broken, Receiver, Sender
from server.wire.handshake import Proved
from server.wire.keys import Identity
from tests.server.hosts import met, terms

ALICE, OF_ALICE = met(terms(Identity.new()), terms(Identity.new()))
TEXTS = st.lists(st.binary(min_size=1, max_size=200), max_size=5)


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def pair(
    limit: int = frames.LARGEST_MESSAGE, clock: Clock | None = None
) -> tuple[Sender, bytes, Receiver]:
    """A sender, the header that it began with, and who receives it."""
    sender = Sender(ALICE, clock or Clock())
    receiver = Receiver(OF_ALICE.receive_key, OF_ALICE.channel, limit)
    return sender, sender.header(ALICE.send_key), receiver


def sealed(sender: Sender, texts: list[bytes]) -> bytes:
    return b"".join([sender.message(text) for text in texts])


def split(stream: bytes) -> list[bytes]:
    """The frames in STREAM."""
    found = []
    while stream:
        size = 2 + int.from_bytes(stream[:2])
        found.append(stream[:size])
        stream = stream[size:]
    return found


@given(TEXTS, st.integers(1, 40))
def test_what_is_sent_comes_however_it_is_cut_up(texts: list[bytes], size: int) -> None:
    sender, stream, receiver = pair()
    stream += sealed(sender, texts) + sender.final()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert [text for piece in pieces for text in receiver.feed(piece)] == texts
    assert receiver.ended
    assert not receiver.started


@pytest.mark.parametrize("size", [1, 65517, 65518, 65519, 131036, 131037, 262144])
def test_long_messages_are_parts(size: int) -> None:
    sender, stream, receiver = pair()
    text = sodium.randombytes(size)
    stream += sender.message(text)

    assert list(receiver.feed(stream)) == [text]
    assert all(2 < len(frame) <= 65537 for frame in split(stream))


@given(TEXTS.filter(bool), st.data())
def test_any_change_is_the_end(texts: list[bytes], data: st.DataObject) -> None:
    sender, stream, receiver = pair()
    changed = bytearray(stream + sealed(sender, texts))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    heard = []
    try:
        heard += list(receiver.feed(bytes(changed)))
    except Broken:
        return

    # a length that grew: we wait for octets that do not come, and have heard no wrong word
    assert heard == texts[: len(heard)]
    assert len(heard) < len(texts)
    assert receiver.started


@pytest.mark.parametrize(
    "order", [[0, 2, 3], [0, 1, 1], [0, 2, 1], [1, 2, 3], [0, 0, 1], [0, 1, 3]],
    ids=["lost", "repeated", "swapped", "no-header", "two-headers", "lost-later"],
)  # fmt: skip
def test_frames_come_once_and_in_order(order: list[int]) -> None:
    sender, stream, receiver = pair()
    all_frames = split(stream + sealed(sender, [b"one", b"two", b"three"]))
    with pytest.raises(Broken):
        list(receiver.feed(b"".join([all_frames[number] for number in order])))


def test_frames_of_another_session_are_none() -> None:
    other, _ = met(terms(Identity.new()), terms(Identity.new()))
    sender, stream, receiver = pair()
    stranger = Sender(other, Clock())
    stranger.header(other.send_key)
    with pytest.raises(Broken):
        list(receiver.feed(stream + stranger.message(b"hello")))
    assert sender.message(b"hello")


def test_the_first_frame_vouches_for_the_channel() -> None:
    sender, stream, _ = pair()
    elsewhere = Receiver(OF_ALICE.receive_key, bytes(64))
    with pytest.raises(Broken):
        list(elsewhere.feed(stream + sender.message(b"hello")))


def test_what_we_sent_is_not_taken_back() -> None:
    """Each direction has a key of its own: reflected frames are noise."""
    sender, stream, _ = pair()
    ours = Receiver(ALICE.receive_key, ALICE.channel)
    with pytest.raises(Broken):
        list(ours.feed(stream + sender.message(b"hello")))


@pytest.mark.parametrize("size", [0, 262145])
def test_messages_out_of_bounds_are_not_sent(size: int) -> None:
    sender, _, _ = pair()
    with pytest.raises(Broken):
        sender.message(bytes(size))


def test_a_message_beyond_the_limit_is_not_collected() -> None:
    sender, stream, receiver = pair(limit=100_000)
    with pytest.raises(Broken):
        list(receiver.feed(stream + sender.message(bytes(100_001))))


def test_the_receiver_limits_the_sender() -> None:
    small = Proved(
        **{field: getattr(ALICE, field) for field in ALICE.__struct_fields__}
        | {"max_message": 5000}
    )
    sender = Sender(small, Clock())
    sender.header(small.send_key)
    with pytest.raises(Broken):
        sender.message(bytes(5001))


def test_nothing_follows_the_end() -> None:
    sender, stream, receiver = pair()
    list(receiver.feed(stream + sender.final()))
    with pytest.raises(Broken):
        list(receiver.feed(b"\0"))


def test_an_end_inside_a_message_is_none() -> None:
    sender, stream, receiver = pair()
    parts = split(sender.message(bytes(100_000)))
    with pytest.raises(Broken):
        list(receiver.feed(stream + parts[0] + sender.final()))


@pytest.mark.parametrize("tag", [frames.MESSAGE, frames.PUSH])
def test_a_part_without_content_is_none(tag: int) -> None:
    sender, stream, receiver = pair()
    with pytest.raises(Broken):
        list(receiver.feed(stream + sender._frame(b"", tag)))


def test_the_key_changes_with_time() -> None:
    clock = Clock()
    sender, stream, receiver = pair(clock=clock)
    before = len(sender.message(b"x"))
    sender, stream, receiver = pair(clock=clock)
    clock.now += frames.REKEY_SECONDS
    changed = sender.message(b"x")
    after = sender.message(b"y")

    assert len(changed) == before + 2 + frames.OVERHEAD
    assert len(after) == before
    assert list(receiver.feed(stream + changed + after)) == [b"x", b"y"]


def test_the_key_changes_with_use() -> None:
    sender, stream, receiver = pair()
    sender._frames = frames.REKEY_FRAMES
    octets = sender.message(b"x")
    sender._octets = frames.REKEY_OCTETS
    octets += sender.message(b"y")

    assert len(split(octets)) == 4
    assert list(receiver.feed(stream + octets)) == [b"x", b"y"]


def test_the_key_does_not_change_without_use() -> None:
    sender, stream, receiver = pair()
    with pytest.raises(Broken):
        list(
            receiver.feed(
                stream + sender._frame(b"", frames.REKEY) * 1 + sender._frame(b"", frames.REKEY)
            )
        )


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_arbitrary_octets_are_the_end_or_not_enough(octets: bytes) -> None:
    _, stream, receiver = pair()
    heard = []
    try:
        heard += list(receiver.feed(octets))
        heard += list(receiver.feed(stream))
    except Broken:
        pass

    assert heard == []


@pytest.mark.parametrize("ad", [b"", b"channel"])
@pytest.mark.parametrize("text", [b"", b"x", bytes(65_000)])
def test_frames_are_those_of_pynacls_own_functions(text: bytes, ad: bytes) -> None:
    """Ours call the same library without checking what is checked before."""
    key = bytes(32)
    for ours_first in (True, False):
        sender, receiver = secretstream.State(), secretstream.State()
        header = sodium.crypto_secretstream_xchacha20poly1305_init_push(sender, key)
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(receiver, header, key)
        for tag in (0, 1, 2, 3):
            if ours_first:
                sealed = secretstream.push(sender, text, ad, tag)
                opened = sodium.crypto_secretstream_xchacha20poly1305_pull(
                    receiver, sealed, ad or None
                )
            else:
                sealed = sodium.crypto_secretstream_xchacha20poly1305_push(
                    sender, text, ad or None, tag
                )
                opened = secretstream.pull(receiver, sealed, ad)
            assert opened == (text, tag)


def test_a_frame_that_was_not_sealed_so_is_not_opened() -> None:
    sender, receiver = secretstream.State(), secretstream.State()
    header = sodium.crypto_secretstream_xchacha20poly1305_init_push(sender, bytes(32))
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(receiver, header, bytes(32))
    sealed = secretstream.push(sender, b"text", b"", 1)
    for wrong in (b"", sealed[:16], sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1])):
        with pytest.raises(secretstream.Forged):
            secretstream.pull(receiver, wrong, b"")

    assert secretstream.pull(receiver, sealed, b"") == (b"text", 1)
