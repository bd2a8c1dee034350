"""Whom this host trusts, watched: the key directory is looked at twice a second."""

import os
import time

from server.wire import inside
from server.wire.peerfiles import BadKey
from server.wire.trust import Peer, Store, Trust, TrustError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.ground import Ground
    from server.wire.keys import Identity

WATCHED = ("", "/revoked", "/invites", "/joins", "/open")
COARSE = 50_000_000  # nanoseconds: two changes so near to each other may have one time
NOBODY = Trust({}, frozenset())


class Keys:
    """The key directory as it is now."""

    def __init__(self, ground: "Ground") -> None:
        self.path = f"{ground.settings.workdir}/ppkeys"
        self._clock = ground.clock
        self._log = ground.log
        self._seen: tuple[object, ...] | None = None
        self._said: dict[str, str] = {}  # what was complained of last, about what
        self.trust = NOBODY
        self.identity: Identity | None = None

    def store(self) -> Store:
        """The store, at this moment."""
        return Store(self.path, int(self._clock()))

    @property
    def there(self) -> bool:
        """Whether this host has a key, which it can read or not."""
        return os.path.lexists(f"{self.path}/localhost.priv")

    def look(self) -> bool:
        """Read what is there if it has changed; whether it has."""
        now = self._stamps()
        if now == self._seen:
            return False
        self._seen = now
        self.read()
        return True

    def forget(self) -> None:
        """Let the next look read what is there, whether it seems to have changed or not: a file
        that was written over in its place does not."""
        self._seen = None

    def read(self) -> None:
        """Read what is there."""
        store = self.store()
        try:
            self.trust = store.trust()
            self._complain("whom this host trusts")
        except (BadKey, OSError) as error:
            self._complain("whom this host trusts", error)
            self.trust = self._remaining()
        try:
            self.identity = store.identity()
            self._complain("the key of this host")
        except TrustError:
            self.identity = None
        except (BadKey, OSError) as error:
            self._complain("the key of this host", error)

    def previous(self) -> "tuple[Identity, bytes] | None":
        """The key before the last rotation and the statement, while peers may trust both."""
        try:
            found = self.store().previous()
        except (BadKey, OSError) as error:
            self._complain("the last rotation of the key", error)
            return None
        self._complain("the last rotation of the key")
        return found

    def token(self, peer: str) -> bytes:
        """What to show the peer with this id at the first visit, b"" if nothing."""
        try:
            return self.store().token(peer)
        except (BadKey, OSError) as error:
            self._complain(f"the invitation of '{self.label(peer)}'", error)
            return b""

    def peers(self) -> list[Peer]:
        """Who is trusted now."""
        trust, now = self.trust, int(self._clock())
        return [it for it in trust.peers.values() if it.id not in trust.revoked and it.current(now)]

    def message(self) -> inside.Trust:
        """What the network half has to know."""
        peers = [
            inside.Trusted(
                id=peer.id, label=peer.label, key=peer.key, not_after=peer.not_after,
                addresses=peer.addresses, current=not peer.successor,
            )
            for peer in self.peers()
        ]  # fmt: skip
        try:
            opened = self.store().opened()
        except (BadKey, OSError) as error:
            self._complain("for whom this host is open", error)
            opened = ()
        return inside.Trust(peers=tuple(peers), enrolling=bool(self._names("invites")), open=opened)

    def label(self, peer: str) -> str:
        """What the peer with this id is called here."""
        found = self.trust.peers.get(peer)
        return found.label if found is not None else peer

    def _complain(self, about: str, error: Exception | None = None) -> None:
        """Say that it cannot be read, once while the ERROR is the same; or note that it can."""
        problem = f"cannot read {about}: {error}" if error is not None else ""
        if problem and problem != self._said.get(about):
            self._log("error", problem)
        self._said[about] = problem

    def _remaining(self) -> Trust:
        """Those trusted before whose files are still there, and who are not revoked now."""
        revoked = frozenset(self._names("revoked"))
        there = set(self._names(""))
        return Trust(
            {key: peer for key, peer in self.trust.peers.items() if f"root-{key}.pub" in there},
            self.trust.revoked | revoked,
        )

    def _names(self, below: str) -> list[str]:
        try:
            return os.listdir(f"{self.path}/{below}")
        except OSError:
            return []

    def _stamps(self) -> tuple[object, ...]:
        """What changes when something in the directory does, or who may change it."""
        stamps: list[object] = []
        times: list[int] = []
        for below in WATCHED:
            try:
                found = os.stat(f"{self.path}{below}")
            except OSError:
                stamps.append(None)
                continue
            stamps += [found.st_ctime_ns, found.st_ino, found.st_nlink]
            times.append(found.st_ctime_ns)
        now = time.time_ns()
        if any(0 <= now - when < COARSE for when in times):
            stamps.append(now)  # so that the next look finds another one
        return tuple(stamps)
