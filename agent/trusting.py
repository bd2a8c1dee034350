"""Whom this host trusts, watched: the key directory is looked at twice a second."""

import os
import time

from server.wire import inside
from server.wire.peerfiles import BadKey
from server.wire.trust import Store, Trust, TrustError

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
        self._said = ""
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

    def read(self) -> None:
        """Read what is there."""
        store = self.store()
        problem = ""
        try:
            self.trust = store.trust()
        except (BadKey, OSError) as error:
            problem = f"cannot read whom this host trusts: {error}"
            self.trust = self._remaining()
        try:
            self.identity = store.identity()
        except TrustError:
            self.identity = None
        except (BadKey, OSError) as error:
            problem = f"cannot read the key of this host: {error}"
        if problem and problem != self._said:
            self._log("error", problem)
        self._said = problem

    def message(self) -> inside.Trust:
        """What the network half has to know."""
        now = int(self._clock())
        peers = [
            inside.Trusted(
                id=peer.id, label=peer.label, key=peer.key, not_after=peer.not_after,
                addresses=peer.addresses, current=not peer.successor,
            )
            for peer in self.trust.peers.values()
            if peer.id not in self.trust.revoked and peer.current(now)
        ]  # fmt: skip
        try:
            opened = self.store().opened()
        except (BadKey, OSError) as error:
            self._log("error", f"cannot read for whom this host is open: {error}")
            opened = ()
        return inside.Trust(peers=tuple(peers), enrolling=bool(self._names("invites")), open=opened)

    def label(self, peer: str) -> str:
        """What the peer with this id is called here."""
        found = self.trust.peers.get(peer)
        return found.label if found is not None else peer

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
        """What changes when something in the directory does."""
        stamps: list[object] = []
        times: list[int] = []
        for below in WATCHED:
            try:
                found = os.stat(f"{self.path}{below}")
            except OSError:
                stamps.append(None)
                continue
            stamps += [found.st_mtime_ns, found.st_ino, found.st_nlink]
            times.append(found.st_mtime_ns)
        now = time.time_ns()
        if any(0 <= now - when < COARSE for when in times):
            stamps.append(now)  # so that the next look finds another one
        return tuple(stamps)
