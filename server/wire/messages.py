"""The closed table of what peers say to each other, PROTOCOL.md §4: octets to types and back."""

from typing import Annotated, ClassVar, TypeAlias

import msgspec
from msgspec import Meta, Struct

Number: TypeAlias = Annotated[int, Meta(ge=0, lt=1 << 32)]
Sequence: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Text: TypeAlias = Annotated[str, Meta(max_length=4096)]
Name: TypeAlias = Annotated[str, Meta(max_length=255)]
Glob: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Globs: TypeAlias = Annotated[tuple[Glob, ...], Meta(max_length=64)]
Value: TypeAlias = Annotated[bytes, Meta(max_length=48 * 1024)]
Code: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]


LETTERS = 256  # of globs, which weigh as much as a question


class BadMessage(Exception):
    """Octets that are no message of the table; who sent them is not talked to any more."""


class Request(Struct, frozen=True, kw_only=True, tag_field="op"):
    """What one end asks of the other; N is in its answers."""

    n: Number
    weight: ClassVar[float] = 1.0


class Ping(Request, frozen=True, tag="ping"):
    """Say that you are there, and what time it is with you."""


class List(Request, frozen=True, tag="list"):
    """Name the classes that I may see, from behind AFTER on."""

    after: Name = ""


class Variable(Request, frozen=True, tag="variable"):
    """Give me the value of a variable."""

    name: Name


class Literal(Request, frozen=True, tag="literal"):
    """Give me the text with this handle."""

    handle: Name


class Pull(Request, frozen=True, tag="pull"):
    """Give me your signals after AFTER of EPOCH that match GLOBS; WAIT so long for the first.

    VIEW is what the last answer said: if I may see something else by now, I get all of them.
    """

    globs: Globs
    epoch: Sequence = 0
    after: Sequence = 0
    view: Sequence = 0
    limit: Annotated[int, Meta(ge=0, le=512)] = 512
    wait: Annotated[int, Meta(ge=0, le=25)] = 0


class Subscribe(Request, frozen=True, tag="subscribe"):
    """Send me what `Pull` would give, now and whenever there is more."""

    globs: Globs
    epoch: Sequence = 0
    after: Sequence = 0
    view: Sequence = 0


class Ack(Request, frozen=True, tag="ack"):
    """I keep everything up to UPTO of the subscription N: no answer."""

    epoch: Sequence
    upto: Sequence
    weight: ClassVar[float] = 0.1


class Unsubscribe(Request, frozen=True, tag="unsubscribe"):
    """Send no more for the subscription WHICH."""

    which: Number


class Rotate(Request, frozen=True, tag="rotate"):
    """My identity has a successor: STATEMENT with both signatures, as in PROTOCOL.md §5."""

    statement: Annotated[bytes, Meta(max_length=512)]
    weight: ClassVar[float] = 20.0


class GoAway(Request, frozen=True, tag="goaway"):
    """This session is about to end: no answer."""

    weight: ClassVar[float] = 0.0


class Answer(Struct, frozen=True, kw_only=True, tag_field="op"):
    """What the request N came to; 0 in what nobody asked for."""

    n: Number = 0


class Welcome(Answer, frozen=True, tag="welcome"):
    """You are in, and can ask so much a second."""

    session: Annotated[bytes, Meta(min_length=16, max_length=16)]
    rate: Number
    idle: Number


class Refuse(Answer, frozen=True, tag="refuse"):
    """There is no place for you now."""

    code: Code


class Pong(Answer, frozen=True, tag="pong"):
    """I am here; CLOCK is in milliseconds since 1970."""

    clock: Sequence


class Classes(Answer, frozen=True, tag="classes"):
    """Names in order; if MORE, ask again after the last."""

    names: Annotated[tuple[Name, ...], Meta(max_length=1000)]
    more: bool = False


class Found(Answer, frozen=True, tag="value"):
    """The value that was asked for."""

    value: Value


class Signed(Struct, frozen=True, array_like=True):
    """A signal: the octets that its origin signed, and the signature."""

    body: Annotated[bytes, Meta(max_length=2048)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


class Signals(Answer, frozen=True, tag="signals"):
    """Signals in order; there is nothing else for you up to UPTO of EPOCH.

    VIEW changes when the grants do; MORE: ask again from there. CLOCK is the answerer's, in
    milliseconds; 0: as it was in the handshake.
    """

    epoch: Sequence
    upto: Sequence
    signals: Annotated[tuple[Signed, ...], Meta(max_length=512)]
    view: Sequence = 0
    more: bool = False
    clock: Sequence = 0


class Done(Answer, frozen=True, tag="done"):
    """It is done."""


class Failed(Answer, frozen=True, tag="failed"):
    """It is not: `no`, `busy`, `late` or `unsupported`."""

    code: Code


class Leaving(Answer, frozen=True, tag="goaway"):
    """The answering end is about to end this session."""


# the whole table: no octets become anything else
REQUESTS = (
    Ping, List, Variable, Literal, Pull, Subscribe, Ack, Unsubscribe, Rotate, GoAway,
)  # fmt: skip
ANSWERS = (Welcome, Refuse, Pong, Classes, Found, Signals, Done, Failed, Leaving)

AnyRequest: TypeAlias = (
    Ping | List | Variable | Literal | Pull | Subscribe | Ack | Unsubscribe | Rotate | GoAway
)
AnyAnswer: TypeAlias = Welcome | Refuse | Pong | Classes | Found | Signals | Done | Failed | Leaving

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(AnyRequest)
_answers = msgspec.msgpack.Decoder(AnyAnswer)
UNFIT = (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError, ValueError)


def weight(request: AnyRequest) -> float:
    """What REQUEST counts against the rate of its sender."""
    found = request.weight
    if isinstance(request, Pull):
        found += request.limit / 100
    if isinstance(request, Pull | Subscribe):
        found += sum([len(glob) for glob in request.globs]) / LETTERS
    return found


def packed(message: Request | Answer) -> bytes:
    """MESSAGE as it travels."""
    return _encoder.encode(message)


def request(octets: bytes) -> AnyRequest:
    """The request in OCTETS. Raises BadMessage."""
    try:
        found: AnyRequest = _requests.decode(octets)
    except UNFIT as error:
        raise BadMessage(_reason(error)) from None
    return found


def answer(octets: bytes) -> AnyAnswer:
    """The answer in OCTETS. Raises BadMessage."""
    try:
        found: AnyAnswer = _answers.decode(octets)
    except UNFIT as error:
        raise BadMessage(_reason(error)) from None
    return found


def _reason(error: Exception) -> str:
    """What ERROR says, short enough for a line of a log."""
    return f"{type(error).__name__}: {error}"[:200]
