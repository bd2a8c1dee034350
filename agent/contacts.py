"""The contact of this host with its peers: whom it wants to visit, how that went, and what time it
is with them.
"""

from agent import heard
from server.wire import inside, seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.ground import Ground
    from agent.trusting import Keys

WRONG_CLOCK = 10 * 60 * 1000  # milliseconds that a peer's clock may be off without a word
EVERYTHING = ("*",)
MOST_WANTED = 1000  # peers


class Contacts:
    """The contact with the peers that KEYS trusts."""

    def __init__(self, ground: "Ground", keys: "Keys") -> None:
        self._seen_in = f"{ground.settings.workdir}/state/net/seen"
        self._memory = ground.memory
        self._keys = keys
        self._now = ground.now
        self._log = ground.log
        self._audit = ground.audit
        self._events = ground.events
        self._wrong: set[str] = set()  # peers whose clocks were said to be wrong

    def wants(self) -> tuple[inside.Want, ...] | None:
        """The peers that runs have asked for signals, and where the log of each was left; None if
        that cannot be read just now.

        All signals are asked for, whatever the pattern: where a log was left would else mean
        something else for each pattern, and what is here already needs no question.
        """
        now, trust = self._now(), self._keys.trust
        state = self._memory.state
        met, questions = heard.contacts(state), heard.asked(state, now)
        if state.broken:
            return None
        found = {}
        for server, asked in {(server, asked) for server, _, asked, _ in questions}:
            peer = trust.named(server) or trust.peers.get(asked)
            if peer is None or peer.id in trust.revoked or not peer.current(now // 1000):
                continue
            at = met.get(peer.id)
            found[peer.id] = inside.Want(
                peer=peer.id, globs=EVERYTHING, token=self._keys.token(peer.id),
                epoch=at.epoch if at else 0, after=at.upto if at else 0, view=at.view if at else 0,
            )  # fmt: skip
        return tuple([found[key] for key in sorted(found)][:MOST_WANTED])

    def contact(self, message: inside.Contact) -> None:
        """A session that we opened has begun, or ended, or could not be had."""
        peer, label = message.peer, self._keys.label(message.peer)
        reason = "" if message.live else message.reason or "the session ended"
        now = self._now()
        if message.live:
            self._memory.write(
                lambda state: heard.met(state, peer, now, live=True, skew=message.skew)
            )
            self._seen(peer, message.address)
            self.skewed(peer, message.skew)
            self._log("info", f"in contact with '{label}' at {message.address}")
        else:
            self._memory.write(lambda state: heard.met(state, peer, now, reason=reason))
            self._log("info", f"no contact with '{label}': {reason}")
        self._events(
            "contact", peer=peer, label=label, live=message.live, reason=reason,
            address=message.address,
        )  # fmt: skip

    def visited(self, message: inside.Visited) -> None:
        """A peer came in."""
        self._seen(message.peer, message.address)
        self.skewed(message.peer, message.skew)

    def skewed(self, peer: str, skew: int) -> None:
        """Say once if the clock of PEER is off by much, and once if it is not any more."""
        wrong = abs(skew) >= WRONG_CLOCK
        if wrong == (peer in self._wrong):
            return
        label = self._keys.label(peer)
        if wrong:
            self._wrong.add(peer)
            side = "ahead of" if skew > 0 else "behind"
            reason = f"{abs(skew) // 1000} s {side} ours"
            self._log("warning", f"the clock of '{label}' is {reason}")
        else:
            self._wrong.discard(peer)
            reason = "right again"
            self._log("notice", f"the clock of '{label}' is right again")
        self._audit("clock", peer=peer, label=label, reason=reason)

    def _seen(self, peer: str, address: str) -> None:
        """Note for `troth peer list` that PEER was spoken with, if it is one."""
        if peer not in self._keys.trust.peers:
            return
        try:
            seen.note(self._seen_in, peer, address, self._now() // 1000)
        except OSError as error:
            label = self._keys.label(peer)
            self._log("warning", f"cannot note that '{label}' was here: {error.strerror}")
