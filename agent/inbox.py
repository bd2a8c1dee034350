"""How signals of a peer come into the state of this host: verified first, whoever brought them."""

from time import monotonic

from agent import heard, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.heard import Incoming, Met
    from agent.state import State
    from server.wire.messages import Signed
    from server.wire.trust import Peer, Store


LONGEST_PULL = 60.0  # seconds, however much a peer has to say


class Sorted:
    """What a batch came to: what to keep, how many are over, and what is wrong with others."""

    __slots__ = ("bad", "keep", "over")

    def __init__(self) -> None:
        self.keep: list[Incoming] = []
        self.over = 0
        self.bad: list[str] = []


def verify(public: bytes, batch: "Iterable[Signed]", theirs: int, now: int) -> Sorted:
    """Sort a BATCH of the peer with the key PUBLIC, whose clock shows THEIRS when ours shows NOW.

    What was granted too long ago by our own clock is over whatever theirs says: we may have
    forgotten that we had it.
    """
    from server.wire.signals import BadSignal, verified

    found = Sorted()
    for signed in batch:
        try:
            signal = verified(public, signed)
        except BadSignal as error:
            found.bad.append(str(error))
            continue
        left = signal.expires - theirs
        if signal.granted < now - heard.REMEMBERED:
            found.over += 1
            continue
        if signal.kind == "cancel":
            left = signals.LONGEST_LIFE
        elif left <= 0:
            found.over += 1
            continue
        left = min(left, signals.LONGEST_LIFE)
        found.keep.append(heard.Incoming(signal, signed.body, signed.signature, left))
    return found


def origin(one: "Signed") -> bytes | None:
    """Whose signal ONE says that it is: after a rotation, perhaps of the key before."""
    from server.wire.signals import BadSignal, read

    try:
        return read(one.body).origin
    except BadSignal:
        return None


def by_key(
    peer: "Peer", peers: "Mapping[str, Peer]", batch: "tuple[Signed, ...]"
) -> "list[tuple[Peer, tuple[Signed, ...]]]":
    """What of BATCH each key of PEER said, those that it had before first; PEERS are all.

    What was said under a key before is kept as said under that one: it may be known so already.
    """
    before = [one for one in peers.values() if one.successor == peer.id and one.key]
    found = []
    for old in before if batch else ():
        older = tuple([one for one in batch if origin(one) == old.key])
        batch = tuple([one for one in batch if origin(one) != old.key])
        if older:
            found.append((old, older))
    return [*found, (peer, batch)]


def where(state: "State", peer: str) -> tuple[int, int, int]:
    """Where the log of PEER was left: epoch, number, view."""
    met = heard.contacts(state).get(peer)
    return (met.epoch, met.upto, met.view) if met is not None else (0, 0, 0)


def pull(state: "State", store: "Store", peer: "Peer", met: "Met | None", seconds: float) -> None:
    """Ask PEER for what it has said since it was last asked, and keep it.

    Raises what client.visit raises, and Cut for an answer that is none.
    """
    from server.wire import messages
    from server.wire.client import visit
    from server.wire.transport import Cut

    epoch, after, view = (met.epoch, met.upto, met.view) if met is not None else (0, 0, 0)
    end = monotonic() + LONGEST_PULL
    with visit(store, peer, seconds=seconds) as client:
        skew, peers = client.proved.skew, store.trust().peers
        while True:
            question = messages.Pull(
                n=client.number(), globs=("*",), epoch=epoch, after=after, view=view
            )
            said = client.ask(question)
            if not isinstance(said, messages.Signals):
                raise Cut("it does not tell its signals")
            now = state.milliseconds()
            cursor = (said.epoch, said.upto, said.view)
            for one, part in by_key(peer, peers, said.signals):
                key = one.key or client.proved.identity
                mine = [it for it in part if origin(it) in (key, None)]
                batch = verify(key, mine, said.clock or now + skew, now)
                if batch.bad:
                    raise Cut(f"a signal that is none: {batch.bad[0]}")
                at = cursor if one is peer else where(state, one.id)
                if heard.receive(state, one.id, batch.keep, at, now) is None:
                    raise Cut("what it said cannot be kept")
            if not said.more:
                break
            if monotonic() > end or (said.view == view and cursor[:2] <= (epoch, after)):
                raise Cut("its log does not end")
            epoch, after, view = cursor
        heard.met(state, peer.id, now, skew=skew)
