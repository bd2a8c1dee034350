"""A signal: what one host says once, signed, so that it can be verified whoever carried it.

The body is a MessagePack array whose octets are kept and passed on as they were signed; nothing is
ever encoded again.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from server.wire.keys import Identity, signed
from server.wire.messages import UNFIT, Sequence, Signed

CONTEXT = b"sigwire/1 signal\0"
LONGEST_CHAIN = 16  # causes
LARGEST_BODY = 2048
LONGEST_LIFE = 30 * 24 * 3600 * 1000  # milliseconds

Kind: TypeAlias = Literal["event", "state", "cancel"]
ClassName: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_:]{1,255}\Z")]


class BadSignal(Exception):
    """Octets that are no signal, or not of who they should be from; the message says why."""


class Cause(Struct, frozen=True, array_like=True):
    """A signal that led to the run which granted this one; ORIGIN is the digest of a key."""

    origin: Annotated[bytes, Meta(min_length=32, max_length=32)]
    epoch: Sequence
    seq: Sequence
    name: ClassName


class Signal(Struct, frozen=True, kw_only=True, array_like=True):
    """What was signed.

    EPOCH is when the log of its origin began, in milliseconds; SEQ grows by one with each signal in
    it. FIRST is the SEQ of the signal that set the class: a renewal of a state repeats it, all else
    has its own. RUN is the agent run that granted it. Times are in milliseconds since 1970 by the
    clock of the origin; EXPIRES is 0 for a cancel.
    """

    v: Literal[1] = 1
    origin: Annotated[bytes, Meta(min_length=32, max_length=32)]  # the public key
    epoch: Sequence
    seq: Sequence
    kind: Kind
    name: ClassName
    first: Sequence
    run: Annotated[bytes, Meta(min_length=16, max_length=16)]
    granted: Sequence
    expires: Sequence
    causes: Annotated[tuple[Cause, ...], Meta(max_length=LONGEST_CHAIN)] = ()
    relay: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Signal)


def sign(identity: Identity, signal: Signal) -> Signed:
    """SIGNAL as it travels. Raises BadSignal if it is too large."""
    body = _encoder.encode(signal)
    if len(body) > LARGEST_BODY:
        raise BadSignal(f"the signal '{signal.name}' is too large, with its causes")
    return Signed(body, identity.sign(CONTEXT, body))


def verified(public: bytes, found: Signed) -> Signal:
    """The signal in FOUND, if the owner of the key PUBLIC signed it. Raises BadSignal."""
    if not signed(public, CONTEXT, found.body, found.signature):
        raise BadSignal("the signature is not right")
    signal = read(found.body)
    if signal.origin != public:
        raise BadSignal("it is of another origin")
    if signal.kind != "cancel" and not 0 < signal.expires - signal.granted <= LONGEST_LIFE:
        raise BadSignal("its life is not between nothing and 30 days")
    if signal.first > signal.seq:
        raise BadSignal("it renews what comes later")
    return signal


def read(body: bytes) -> Signal:
    """The signal in BODY, whose signature was verified before. Raises BadSignal."""
    try:
        return _decoder.decode(body)
    except UNFIT as error:
        raise BadSignal(f"this is no signal: {str(error)[:200]}") from None
