"""A session over a blocking socket, for an agent run or a command: one question, one answer.

What stays and listens uses stream.py; importing asyncio would cost more than the question.
"""

import socket
import time
from types import TracebackType
from typing import Self

from msgspec import Struct

from server.wire import messages
from server.wire.frames import Broken, Receiver, Sender
from server.wire.handshake import M2, Closed, Initiator, Proved, Terms
from server.wire.keys import Credentials, Identity, fingerprint
from server.wire.peerfiles import BadKey
from server.wire.transport import BadAddress, Cut, Refused, placed
from server.wire.trust import Peer, Store, TrustError

READ = 65536
# why a visit did not come to what it was for
UNREACHED = (Closed, Cut, Refused, BadAddress, BadKey, TrustError, OSError)


class Wire:
    """A connected socket on which everything has to be done by a moment that `allow` sets."""

    __slots__ = ("_end", "_socket")

    def __init__(self, address: tuple[str, int], seconds: float) -> None:
        self.allow(seconds)
        try:
            self._socket = socket.create_connection(address, timeout=seconds)
        except UnicodeError as error:
            raise BadAddress(f"'{address[0]}' is not an address: {error}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def allow(self, seconds: float) -> None:
        """Set the moment: SECONDS from now."""
        self._end = time.monotonic() + seconds

    def write(self, data: bytes) -> None:
        """Send DATA. Raises TimeoutError, Cut."""
        self._hurry()
        try:
            self._socket.sendall(data)
        except ConnectionError as error:
            raise Cut(str(error)) from None

    def some(self, most: int = READ) -> bytes:
        """What has come, at least one octet. Raises TimeoutError, Cut."""
        self._hurry()
        try:
            data = self._socket.recv(most)
        except ConnectionError as error:
            raise Cut(str(error)) from None
        if not data:
            raise Cut("the connection ended")
        return data

    def exactly(self, size: int) -> bytes:
        """The next SIZE octets. Raises TimeoutError, Cut."""
        found = b""
        while len(found) < size:
            found += self.some(size - len(found))
        return found

    def close(self) -> None:
        """Close."""
        self._socket.close()

    def _hurry(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)


class Client:
    """A session with one peer; a context manager. SECONDS is for the login, and for each question.

    PIN is the digest of its identity, None if that is to be learnt; TOKEN that of an invitation.
    Raises OSError and TimeoutError if nobody is there, BadAddress if nobody can be, Closed if it is
    somebody else, Cut if it hangs up, which is all that it does to strangers.
    """

    def __init__(
        self, address: tuple[str, int], terms: Terms, pin: bytes | None, *,
        token: bytes = b"", seconds: float = 30.0,
    ) -> None:  # fmt: skip
        self._seconds = seconds
        self._asked = 0
        self._welcome = False
        self._answers: list[bytes] = []
        self._wire = Wire(address, seconds)
        try:
            self.proved, m3 = self._prove(Initiator(terms, pin, token))
        except BaseException:
            self._wire.close()
            raise
        self._sender = Sender(self.proved, time.monotonic)
        self._receiver = Receiver(self.proved.receive_key, self.proved.channel, terms.max_message)
        # sent with the first question: one flight less
        self._before = len(m3).to_bytes(2) + m3 + self._sender.header(self.proved.send_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if kind is None:
            self.close()
        else:
            self._wire.close()

    def number(self) -> int:
        """A number for a question that no other one has."""
        self._asked += 1
        return self._asked

    def ask(self, question: messages.Request) -> messages.AnyAnswer:
        """The answer to QUESTION. Raises Refused, Cut, TimeoutError."""
        self._wire.allow(self._seconds)
        self._wire.write(self._taken() + self._sender.message(messages.packed(question)))
        self._greet()
        while True:
            answer = self._next()
            if answer.n == question.n:
                return answer

    def log_in(self) -> None:
        """Find out whether we are let in, without a question. Raises Refused, Cut, TimeoutError."""
        self._wire.allow(self._seconds)
        try:
            self._wire.write(self._taken())
            self._greet()
        except BaseException:
            self._wire.close()
            raise

    def close(self) -> None:
        """End it in good order."""
        try:
            if self._welcome:
                self._wire.write(self._sender.final())
        except (Cut, OSError):
            pass  # it ended already
        finally:
            self._wire.close()

    def _prove(self, initiator: Initiator) -> tuple[Proved, bytes]:
        """What the handshake proves, and its last message, not sent yet."""
        self._wire.write(initiator.hello())
        if int.from_bytes(self._wire.exactly(2)) != M2:
            raise Closed("length")
        m3, proved = initiator.finish(self._wire.exactly(M2))
        return proved, m3

    def _taken(self) -> bytes:
        """What has to go out before anything else."""
        before, self._before = self._before, b""
        return before

    def _greet(self) -> None:
        """Read the welcome, once."""
        if self._welcome:
            return
        said = self._next()
        if isinstance(said, messages.Refuse):
            raise Refused(said.code)
        if not isinstance(said, messages.Welcome):
            raise Cut("no welcome")
        self._welcome = True

    def _next(self) -> messages.AnyAnswer:
        """The next message. Raises Cut, TimeoutError."""
        try:
            while not self._answers:
                if self._receiver.ended:
                    raise Cut("the peer ended the session")
                self._answers.extend(self._receiver.feed(self._wire.some()))
            return messages.answer(self._answers.pop(0))
        except (Broken, messages.BadMessage) as error:
            raise Cut(str(error)) from None


def visit(store: Store, peer: Peer, *, psk: bytes = b"", seconds: float = 30.0) -> Client:
    """A session with PEER, at the first of its addresses where it is.

    An invitation is shown, once. After a rotation of our key, who does not know the new one is told
    by the old one. The key of a peer is kept if only its fingerprint was known. Raises what Client
    raises for the last address, Cut if there is none.
    """
    problem: Exception = Cut(f"no address of '{peer.label}' is known")
    for address in peer.addresses:
        try:
            client = _entered(store, peer, Approach(placed(address), psk, seconds))
        except (BadAddress, Closed, Cut, Refused, OSError) as error:
            problem = error
            continue
        if not peer.key:
            store.learn(client.proved.identity)
        return client
    raise problem


class Approach(Struct, frozen=True):
    """Where and how a peer is approached."""

    address: tuple[str, int]
    psk: bytes
    seconds: float

    def by(self, identity: Identity, now: int, peer: Peer, token: bytes = b"") -> Client:
        """A session with PEER for IDENTITY. Raises what Client raises."""
        terms = Terms(credentials=Credentials.new(identity, now), clock=now * 1000, psk=self.psk)
        pin = fingerprint(peer.id)
        return Client(self.address, terms, pin, token=token, seconds=self.seconds)


def _entered(store: Store, peer: Peer, approach: Approach) -> Client:
    """A session with PEER, who is told what it has to know to let us in."""
    token, rotated = store.token(peer.id), store.previous()
    client = approach.by(store.identity(), store.now, peer, token)
    if not token and rotated is None:
        return client
    try:
        client.log_in()
    except Cut:
        if rotated is None:
            raise
        old, statement = rotated
        with approach.by(old, store.now, peer) as introduction:
            said = introduction.ask(messages.Rotate(n=1, statement=statement))
        if not isinstance(said, messages.Done):
            raise Cut("the peer does not take our new key") from None
        client = approach.by(store.identity(), store.now, peer)
        client.log_in()
    if token:
        store.joined(peer.id)
    return client
