"""What the two halves of a daemon say to each other: a closed table over one stream.

The executor (agent/daemon.py) has the privileges, the identity and everything that lasts; the
network half (server/) has a transport key, what is granted, and the connections. They share a
socket that the executor made before it started the other as `troth network`, whose standard input
it is: nobody else can come to it, and when it ends, the other ends. Each message is its length,
four octets, and a MessagePack map with `op`. What does not fit ends the process that receives it:
between the halves that is a mistake of ours, or somebody who has taken one over.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from server.wire.messages import Glob, Sequence, Signed

LARGEST = 16 * 1024 * 1024
BATCH = 512  # signals in one message

# of who speaks with the network: what becomes the name of a file, or a number in a table, is one
Id: TypeAlias = Annotated[str, Meta(pattern=r"^SHA=[0-9a-f]{64}\Z")]
Key: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Place: TypeAlias = Annotated[str, Meta(max_length=255)]
Skew: TypeAlias = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class BadMessage(Exception):
    """Octets that are no message of this table."""


class Message(Struct, frozen=True, kw_only=True, tag_field="op"):
    """One thing said."""


# from the executor to the network half


class Setup(Message, frozen=True, tag="setup"):
    """The first message, and again when something of it changes (but LISTEN).

    CERTIFICATE is for the static key that `hello` named. LISTEN is None where nothing listens; the
    address "" is all there are, port 0 lets the system choose. OFFSET is what to add to the
    system's clock, in seconds. After a rotation of our key, PREVIOUS is a certificate by the one
    before and STATEMENT what leads from it, for peers that know only that one.
    """

    certificate: bytes
    listen: tuple[str, int] | None = None
    psk: bytes = b""
    offset: float = 0.0
    previous: bytes = b""
    statement: bytes = b""


class Granted(Message, frozen=True, tag="granted"):
    """The output of `troth access --json`: from now on, this is granted."""

    document: bytes


class Trusted(Struct, frozen=True, kw_only=True):
    """A peer that may come in, as trust.Peer has it. KEY is empty until it is met."""

    id: str
    label: str
    key: bytes
    not_after: int
    addresses: tuple[str, ...] = ()
    current: bool = True  # it has no successor: the one to be visited of this label


class Trust(Message, frozen=True, tag="trust"):
    """All who may come in. Who is not among them is cut off at once.

    ENROLLING: there are invitations, so a stranger with a token is worth a question. OPEN are
    networks, and until when, whose strangers may come without one.
    """

    peers: tuple[Trusted, ...]
    enrolling: bool = False
    open: tuple[tuple[str, int], ...] = ()


class Own(Message, frozen=True, tag="own"):
    """Signals of this host, in order, behind those said before; EPOCH and UPTO are the log's end.

    AFRESH: forget those said before. The live ones of older epochs come first.
    """

    epoch: Sequence
    upto: Sequence
    signals: tuple[Signed, ...]
    afresh: bool = False


class Want(Struct, frozen=True, kw_only=True):
    """A peer whose signals are asked for; EPOCH, AFTER, VIEW are where it was left.

    That holds for these globs: who asks for more than it did then begins with 0, 0, 0. While there
    is a session, only other globs and the token are looked at.
    """

    peer: str
    globs: tuple[Glob, ...]
    epoch: Sequence = 0
    after: Sequence = 0
    view: Sequence = 0
    token: bytes = b""  # of an invitation, for the first visit


class Wanted(Message, frozen=True, tag="wanted"):
    """Keep one session with each of these, and none with others."""

    wants: tuple[Want, ...]


class Stored(Message, frozen=True, tag="stored"):
    """What `received` with this number brought is on disk: acknowledge it."""

    n: int


class Again(Message, frozen=True, tag="again"):
    """What PEER said could not be kept: end its session, and begin anew where it was left."""

    peer: str


class Answered(Message, frozen=True, tag="answered"):
    """What the question N came to: a label, "" for no."""

    n: int
    label: str


class Report(Message, frozen=True, tag="report"):
    """Say how you are: `status` is the answer."""

    n: int


class Drain(Message, frozen=True, tag="drain"):
    """End: accept nothing more, finish what was begun, go."""


class Descriptor(Message, frozen=True, tag="descriptor"):
    """Reserved for files: an open one goes along, for the question N. Nothing sends this yet."""

    n: int
    size: Sequence


# from the network half to the executor


class Hello(Message, frozen=True, tag="hello"):
    """The first message, and again when the certificate nears its end: certify this key."""

    static: Key


class Ready(Message, frozen=True, tag="ready"):
    """We listen here (not at all: "" and 0), or must not or could not: PROBLEM.

    Where others can reach us that hangs on the grants: it is said after the first of them.
    """

    address: Place
    port: int
    problem: str = ""


class Received(Message, frozen=True, tag="received"):
    """Signals that PEER sent, not verified for you; nothing else is there up to UPTO of EPOCH.

    SKEW is what the peer's clock was ahead of ours in the handshake, in milliseconds; CLOCK what it
    showed when this was sent, 0 if it does not say.
    """

    n: int
    peer: Id
    epoch: Sequence
    upto: Sequence
    view: Sequence
    skew: Skew
    signals: tuple[Signed, ...]
    clock: Sequence = 0


class Contact(Message, frozen=True, tag="contact"):
    """The session that we opened with PEER began (LIVE), or ended or could not be had: REASON."""

    peer: Id
    live: bool
    address: Place = ""
    skew: Skew = 0
    reason: str = ""


class Visited(Message, frozen=True, tag="visited"):
    """PEER came in from ADDRESS."""

    peer: Id
    address: Place
    skew: Skew


class Enrol(Message, frozen=True, tag="enrol"):
    """Whether this stranger may come in, by its token or, if that is empty, by its address:
    `answered` with its label."""

    n: int
    identity: Key
    token: bytes
    address: Place


class Learnt(Message, frozen=True, tag="learnt"):
    """The key of a peer of whom only the fingerprint was known."""

    identity: Key


class Joined(Message, frozen=True, tag="joined"):
    """PEER has let us in by the token."""

    peer: Id


class Succeed(Message, frozen=True, tag="succeed"):
    """PEER says that its key has a successor: `answered` with its label if that is taken."""

    n: int
    peer: Id
    statement: bytes


class RolledBack(Message, frozen=True, tag="rolled_back"):
    """PEER has seen more of our log than there is: it was put back to an older copy."""

    peer: Id
    epoch: Sequence
    seq: Sequence


class Noted(Struct, frozen=True, kw_only=True):
    """One line for the audit log, see SIGNALS.md §7; of the events there the two that are its."""

    event: Literal["denied", "refused"]
    peer: str = ""
    label: str = ""
    ip: str = ""
    operation: str = ""
    object: str = ""
    decision: str = ""
    rule: str = ""
    reason: str = ""
    count: int = 1


class Audit(Message, frozen=True, tag="audit"):
    """What happened, for the log."""

    lines: tuple[Noted, ...]


class Status(Message, frozen=True, tag="status"):
    """How we are: JSON, for `troth status`."""

    n: int
    document: bytes


class Alive(Message, frozen=True, tag="alive"):
    """The loop turns; LAG is how late its last tick was, in seconds."""

    lag: float


class Gone(Message, frozen=True, tag="gone"):
    """All sessions are ended; we end."""


FromExecutor: TypeAlias = (
    Setup | Granted | Trust | Own | Wanted | Stored | Again | Answered | Report | Drain | Descriptor
)
FromNetwork: TypeAlias = (
    Hello | Ready | Received | Contact | Visited | Enrol | Learnt | Joined | Succeed | RolledBack
    | Audit | Status | Alive | Gone
)  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
from_executor = msgspec.msgpack.Decoder(FromExecutor)
from_network = msgspec.msgpack.Decoder(FromNetwork)


def packed(message: Message) -> bytes:
    """MESSAGE as it goes over the stream. Raises BadMessage if it is too large."""
    octets = _encoder.encode(message)
    if len(octets) > LARGEST:
        raise BadMessage(f"a message of {len(octets)} octets")
    return len(octets).to_bytes(4) + octets
