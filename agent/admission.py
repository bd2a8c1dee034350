"""Who comes to be trusted while the daemon runs: by an invitation, as a successor, or as the owner
of a fingerprint that was given. And our own successor, of whom peers are told.
"""

import asyncio
import threading
import time
from contextlib import suppress

from server.wire import inside, keys
from server.wire.client import UNREACHED, visit
from server.wire.statements import rotation
from server.wire.trust import TrustError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.ground import Ground
    from agent.trusting import Keys
    from server.wire.trust import Peer

VISIT_SECONDS = 10.0
PAUSE = 60.0  # seconds until who was away is told of our new key again


class Admission:
    """Answers the questions of the network half about OWN keys with SAY."""

    def __init__(
        self, ground: "Ground", own: "Keys", say: "Callable[[inside.Message], None]"
    ) -> None:
        self._keys = own
        self._log = ground.log
        self._audit = ground.audit
        self._say = say
        self._untold: set[str] = set()  # who may not know our new key yet
        self._entering = self._complained = False
        self._next = 0.0

    def enrol(self, message: inside.Enrol) -> None:
        """Whether a stranger may come in, with a token or from a network that is open."""
        label, peer, reason = "", None, ""
        store, how = self._keys.store(), "by its invitation" if message.token else "on first use"
        try:
            if message.token:
                peer = store.enrol(message.identity, message.token, message.address)
            else:
                peer = store.first_use(message.identity, message.address)
        except (*UNREACHED, ValueError, KeyError) as error:
            reason = str(error)
            self._log("error", f"cannot enrol who came from {message.address}: {reason}")
        if peer is not None:
            label = peer.label
            self._log("notice", f"'{label}' has joined {how}, from {message.address}")
            self._trust_first()
        self._audit(
            "enrol", peer=keys.host_id(message.identity), label=label, ip=message.address,
            decision="admitted" if label else "refused", reason=reason,
        )  # fmt: skip
        self._say(inside.Answered(n=message.n, label=label))

    def learnt(self, message: inside.Learnt) -> None:
        """Keep the key of a peer of whom only the fingerprint was known."""
        try:
            self._keys.store().learn(message.identity)
        except UNREACHED as error:
            label = self._keys.label(keys.host_id(message.identity))
            self._log("error", f"cannot keep the key of '{label}', so it is not heard: {error}")
            return
        self._trust_first()

    def joined(self, message: inside.Joined) -> None:
        """Forget the token for a peer that has let us in."""
        label = self._keys.label(message.peer)
        self._log("notice", f"'{label}' has let us in")
        try:
            self._keys.store().joined(message.peer)
        except UNREACHED as error:
            self._log("warning", f"cannot forget the invitation of '{label}': {error}")

    def succeed(self, message: inside.Succeed) -> None:
        """Whether the key of a peer has the successor that it names."""
        label, reason = "", ""
        try:
            if keys.host_id(rotation(message.statement).old) != message.peer:
                raise TrustError("the rotation of somebody else's key")
            label = self._keys.store().succeed(message.statement).label
        except UNREACHED as error:
            reason = str(error)
            told = self._keys.label(message.peer)
            self._log("error", f"the new key of '{told}' is refused: {reason}")
        self._trust_first()
        self._audit(
            "rotate", peer=message.peer, label=label or self._keys.label(message.peer),
            decision="trusted" if label else "refused", reason=reason,
        )  # fmt: skip
        self._say(inside.Answered(n=message.n, label=label))

    def introduce(self) -> None:
        """Tell peers of our new key, while they may know only the one before."""
        if self._keys.previous() is None:
            return
        self._untold = {peer.id for peer in self._keys.peers() if peer.addresses}
        self._enter()

    def again(self) -> None:
        """Tell those who were away, once a minute; called twice a second."""
        if not self._untold or self._entering or time.monotonic() < self._next:
            return
        if self._keys.previous() is None:
            self._untold.clear()  # the time in which they would have believed it is over
            return
        self._enter()

    def _enter(self) -> None:
        peers = [it for it in self._keys.peers() if it.id in self._untold and not it.successor]
        self._entering = True
        loop = asyncio.get_running_loop()
        # not a thread of asyncio's, which would have to be waited for when we end
        threading.Thread(target=self._introduced, args=(peers, loop), daemon=True).start()

    def _introduced(self, peers: "list[Peer]", loop: asyncio.AbstractEventLoop) -> None:
        """Enter at each of PEERS once; in a thread."""
        untold, complaints = set(), []
        for peer in peers:
            try:
                visit(self._keys.store(), peer, seconds=VISIT_SECONDS).close()
            except UNREACHED as error:
                untold.add(peer.id)
                complaints.append(f"'{peer.label}' was not told of our new key yet: {error}")
        with suppress(RuntimeError):  # we have ended
            loop.call_soon_threadsafe(self._entered, untold, complaints)

    def _entered(self, untold: set[str], complaints: list[str]) -> None:
        """Go on with those who are UNTOLD later."""
        self._entering = False
        self._next = time.monotonic() + PAUSE
        if untold != self._untold or not self._complained:
            for told in complaints:
                self._log("info", told)
        self._complained = bool(complaints)
        self._untold = untold

    def _trust_first(self) -> None:
        """Tell the network half whom we trust, before it hears what follows from that."""
        self._keys.read()
        self._say(self._keys.message())
