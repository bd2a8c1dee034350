"""What peers say comes in here: verified, kept, and only then acknowledged (SIGNALS.md §4)."""

from collections import deque

from agent import heard, inbox
from policy import regexp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.ground import Ground
    from agent.memory import Memory
    from server.wire.inside import Received
    from server.wire.trust import Peer, Trust

    Question = tuple[str, str, str, int]  # as heard.asked has it

MOST_HELD = 256  # batches, while nothing can be kept


class Receiver:
    """Keeps what peers say. STORED gets the number of what is on disk, AGAIN a peer that has to
    say it again, WAKE why a run is due."""

    def __init__(
        self, ground: "Ground", stored: "Callable[[int], None]", again: "Callable[[str], None]",
        wake: "Callable[[str], None]",
    ) -> None:  # fmt: skip
        self._memory = ground.memory
        self._log = ground.log
        self._audit = ground.audit
        self._tell = ground.events
        self._stored = stored
        self._again = again
        self._wake = wake
        self._held: deque[tuple[Received, Peer, int]] = deque()
        self._missed: set[str] = set()  # peers of whom something could not be held

    def take(self, message: "Received", trust: "Trust", now: int) -> None:
        """Keep what MESSAGE brings, if its peer is trusted by NOW, in milliseconds."""
        if message.peer in self._missed:
            return  # what is kept of it now would hide what is missing before
        peer = trust.peers.get(message.peer)
        if peer is None or not peer.key or trust.judge(peer.key, now // 1000) is None:
            self._audit(
                "refused", peer=message.peer, operation="signals", decision="refused",
                reason="the peer is not trusted", count=len(message.signals),
            )  # fmt: skip
            return
        kept = not self._held and self._kept(message, peer, trust, now)
        if kept:
            return
        if len(self._held) < MOST_HELD:
            self._held.append((message, peer, now))
            return
        self._missed.add(peer.id)
        self._again(peer.id)

    def begun(self, peer: str) -> None:
        """The session with PEER begins where the last one was left: nothing is missing."""
        self._missed.discard(peer)

    def again(self, trust: "Trust", now: int) -> None:
        """Try once more to keep what could not be kept."""
        while self._held:
            message, peer, at = self._held[0]
            judged = trust.judge(peer.key, now // 1000)
            if judged is not None and not self._kept(message, peer, trust, at):
                return
            self._held.popleft()

    def lost(self) -> None:
        """Nobody waits any more for what could not be kept."""
        self._held.clear()
        self._missed.clear()

    def _kept(self, message: "Received", peer: "Peer", trust: "Trust", now: int) -> bool:
        """Whether MESSAGE of PEER, which came at NOW, is on disk."""
        theirs = message.clock or now + message.skew
        cursor = (message.epoch, message.upto, message.view)
        for one, said in inbox.by_key(peer, trust.peers, message.signals):
            batch = inbox.verify(one.key, said, theirs, now)
            if not self._written(one, batch, cursor if one is peer else None, now):
                return False
        self._stored(message.n)
        return True

    def _written(
        self, peer: "Peer", batch: inbox.Sorted, cursor: tuple[int, int, int] | None, now: int
    ) -> bool:
        """Whether BATCH of PEER is on disk; CURSOR is where its log was left, if that is known."""
        for reason in batch.bad[:1]:
            self._log("error", f"'{peer.label}' sent a signal that is refused: {reason}")
            self._audit(
                "refused", peer=peer.id, label=peer.label, operation="signal",
                decision="refused", reason=reason, count=len(batch.bad),
            )  # fmt: skip
        edges = {(one.epoch, one.first) for one in batch.keep if one.first != one.seq}
        renewed = heard.alive(self._memory.state, now, peer.id, edges)
        state = self._memory.lasting
        at = cursor or inbox.where(state, peer.id)
        found = heard.receive(state, peer.id, batch.keep, at, now)
        if found is None:
            return False
        fresh = found.fresh
        if found.spoiled >= 0:
            self._equivocated(peer, found.spoiled)
        if found.surplus:
            self._audit(
                "surplus", peer=peer.id, label=peer.label, operation="signals",
                decision="left out", count=found.surplus,
            )  # fmt: skip
        new = [
            one for one in batch.keep
            if one.name in fresh and (one.first == one.seq or (one.epoch, one.first) not in renewed)
        ]  # fmt: skip
        for one in batch.keep:
            if one.kind == "cancel" or one.name in fresh:
                self._tell(
                    "received", label=peer.label, peer=peer.id, name=one.name, kind=one.kind,
                    epoch=one.epoch, seq=one.seq, first=one.first, granted=one.granted,
                )  # fmt: skip
        if batch.over:
            self._tell("expired", label=peer.label, peer=peer.id, count=batch.over)
        self._woken(peer, [one.name for one in new], now)
        return True

    def _equivocated(self, peer: "Peer", epoch: int) -> None:
        """PEER has said two things under one number."""
        self._log(
            "error",
            f"'{peer.label}' has used one number for two signals, so it lies or was put back to an "
            f"older copy: its signals of epoch {epoch} are not used until 'troth signal clear "
            f"{peer.label}'",
        )
        self._audit(
            "equivocation", peer=peer.id, label=peer.label, object=str(epoch),
            decision="not used", reason="one number, two signals",
        )  # fmt: skip

    def _woken(self, peer: "Peer", names: list[str], now: int) -> None:
        """Ask for a run if one of the classes NAMES of PEER was asked for."""
        name = first_asked(heard.asked(self._memory.state, now), peer, names) if names else ""
        if name:
            self._wake(f"{name} of {peer.label}")


def first_asked(questions: "list[Question]", peer: "Peer", names: list[str]) -> str:
    """The first of the classes NAMES of PEER that a run has asked for, "" if none."""
    for server, pattern, asked, _ in questions:
        if asked == peer.id or server in (peer.label, peer.id, *peer.addresses):
            for name in names:
                if matches(pattern, name):
                    return name
    return ""


def matches(pattern: str, name: str) -> bool:
    """Whether PATTERN, which policy asks for, is all of NAME."""
    try:
        return regexp.full(pattern, name)
    except regexp.BadPattern:
        return False


def wakeful(memory: "Memory", trust: "Trust", now: int) -> str:
    """Why a run is due when the daemon starts: a signal that lives and was asked for, "" if none.

    Whether promises have acted on it, only a run can tell.
    """
    state = memory.state
    alive = heard.live(state, now)
    if not alive:
        return ""
    asked = heard.asked(state, now)
    for live in alive:
        peer = trust.peers.get(live.origin)
        if peer is None or peer.id in trust.revoked:
            continue
        if first_asked(asked, peer, [live.name]):
            return f"{live.name} of {peer.label}, before we started"
    return ""
