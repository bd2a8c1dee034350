"""Whom this host trusts, in the files of its key directory: PROTOCOL.md §5.

    localhost.priv localhost.pub   this host; the first is nobody else's business
    root-SHA=….pub                 one peer
    invites/ID                     an invitation that was not used yet (a hash of its secret)
    open/ID                        a network whose strangers are let in for a while, so many
    joins/SHA=…                    an invitation that we were given, until its peer has let us in
    revoked/SHA=…                  a key that is not trusted whatever else is said
    removed/LABEL                  a name that is blocked for a while
    rotated                        our last rotation, to be shown to peers
    localhost.priv.old             the key before it, until the rotation is over

Readers get a snapshot; each change is one rename or link under one lock.
"""

import fcntl
import hmac
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from ipaddress import ip_address, ip_network

from msgspec import Struct
from msgspec.structs import replace
from nacl import bindings as sodium

from server.wire import keys, peerfiles
from server.wire.keys import Identity
from server.wire.peerfiles import BadKey
from server.wire.statements import (
    ROTATION,
    Invitation,
    Rotation,
    armoured,
    invitation,
    rotation,
    unarmoured,
)
from server.wire.transport import placed

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DAY = 24 * 3600
LONGEST_INVITATION = DAY
LONGEST_OPENING = 3600
MOST_STRANGERS = 100
BLOCKED = 30 * DAY
TOKEN_ID, TOKEN_SECRET = 16, 32


class TrustError(Exception):
    """What cannot be done because of whom this host trusts, or does not."""


class Peer(Struct, frozen=True, kw_only=True):
    """A host that this one trusts, as its file has it."""

    id: str
    label: str
    key: bytes = b""  # empty until it is met, if only its fingerprint was given
    addresses: tuple[str, ...] = ()
    added_by: str = "manual"
    added_at: int = 0
    not_after: int = 0  # 0: no end
    successor: str = ""  # the id of the key that follows

    def current(self, now: int) -> bool:
        """Whether its time is not over."""
        return not self.not_after or now <= self.not_after


class Trust(Struct, frozen=True):
    """Whom this host trusts, at one moment."""

    peers: dict[str, Peer]
    revoked: frozenset[str]

    def judge(self, identity: bytes, now: int) -> Peer | None:
        """The peer whose key is IDENTITY, if it is trusted."""
        peer = self.peers.get(keys.host_id(identity))
        if peer is None or peer.id in self.revoked or not peer.current(now):
            return None
        return peer

    def named(self, name: str) -> Peer | None:
        """The peer with this label, id or address; of a rotated one its newest key."""
        return peerfiles.named(self.peers, name)


class Store:
    """The key directory at PATH; NOW is in seconds. Methods raise TrustError, BadKey,
    BadAddress, OSError."""

    def __init__(self, path: str, now: int) -> None:
        self.path = path
        self.now = now

    # this host

    def create(self) -> Identity:
        """Make the identity of this host; TrustError if there is one."""
        identity = Identity.new()
        with self._locked():
            try:
                keys.save(identity, f"{self.path}/localhost.priv")
            except FileExistsError:
                raise TrustError(f"'{self.path}/localhost.priv' is there already") from None
            self._publish(identity)
        return identity

    def identity(self) -> Identity:
        """The identity of this host."""
        try:
            return keys.load(f"{self.path}/localhost.priv")
        except FileNotFoundError:
            raise TrustError("this host has no key yet: 'troth key create'") from None

    def rotate(self, overlap: int, *, force: bool = False) -> bytes:
        """Give this host another identity; the statement that leads from the old to the new.

        For OVERLAP seconds peers trust both. TrustError while that of the last rotation is not
        over, unless by FORCE: only one statement is shown.
        """
        if overlap <= 0:
            raise TrustError("peers have to trust both keys for a while")
        if self.previous() is not None and not force:
            raise TrustError(
                "the last rotation is not over: peers that have not heard of it would be lost; "
                "--force rotates all the same"
            )
        with self._locked():
            old, new = self.identity(), Identity.new()
            record = Rotation(old.public, new.public, self.now, self.now + overlap, self._serial())
            body = record.packed()
            statement = body + old.sign(keys.ROTATE, body) + new.sign(keys.ROTATE, body)
            text = armoured(ROTATION, statement)
            peerfiles.write(f"{self.path}/rotated", f"{text}\n", replace=True)
            keys.save(old, f"{self.path}/localhost.priv.old", replace=True)
            keys.save(new, f"{self.path}/localhost.priv", replace=True)
            self._publish(new)
        return statement

    def previous(self) -> tuple[Identity, bytes] | None:
        """The key before the last rotation and the statement, while peers may trust both."""
        path = f"{self.path}/localhost.priv.old"
        try:
            statement = unarmoured(ROTATION, peerfiles.read(f"{self.path}/rotated"))
            old = keys.load(path)
        except FileNotFoundError:
            return None
        if self.now <= rotation(statement).old_until:
            return old, statement
        with self._locked(), suppress(FileNotFoundError):
            os.unlink(path)
        return None

    # peers

    def trust(self) -> Trust:
        """Whom this host trusts now."""
        peerfiles.safe(self.path)
        files = peerfiles.paths(self.path)
        peers = [_peer(path, peerfiles.read(path, closed=0o022)) for path in files]
        return Trust(
            {peer.id: peer for peer in peers}, frozenset(peerfiles.names(f"{self.path}/revoked"))
        )

    def add(self, peer: Peer, *, force: bool = False) -> None:
        """Trust PEER. TrustError if its label or key is taken, or blocked unless by FORCE."""
        with self._locked():
            self._add(peer, force=force)

    def free(self, label: str, *, force: bool = False) -> None:
        """Raise TrustError unless LABEL can be given to a new peer, if need be by FORCE."""
        with self._locked():
            self._free(label, force=force)

    def reach(self, peer: str, address: str) -> Peer:
        """Note one more ADDRESS of the peer with this id."""
        placed(address)
        with self._locked():
            trust = self.trust()
            known = trust.peers.get(peer)
            if known is None or peer in trust.revoked:
                raise TrustError(f"{peer} is no peer of this host")
            if address not in known.addresses:
                known = replace(known, addresses=(*known.addresses, address))
                self._rewrite(known)
        return known

    def remove(self, name: str) -> list[Peer]:
        """Trust who has this label, id or address no more; all keys that it had."""
        with self._locked():
            peers = self.trust().peers.values()
            labels = {
                peer.label for peer in peers if name in (peer.label, peer.id, *peer.addresses)
            }
            if not labels:
                raise TrustError(f"'{name}' is no peer of this host")
            if len(labels) > 1:
                raise TrustError(f"'{name}' is several peers: {', '.join(sorted(labels))}")
            gone = [peer for peer in peers if peer.label in labels]
            self._write("removed", gone[0].label, f"at: {self.now}\n")
            for other in gone:
                os.unlink(self._file(other.id))
        return gone

    def revoke(self, peer: str) -> None:
        """Never trust the key with this id again."""
        with self._locked():
            self._write("revoked", keys.id_of(keys.fingerprint(peer)), f"at: {self.now}\n")

    def learn(self, identity: bytes) -> None:
        """Keep the key of a peer of whom only the fingerprint was known."""
        with self._locked():
            peer = self.trust().peers.get(keys.host_id(identity))
            if peer is not None and not peer.key:
                self._rewrite(replace(peer, key=identity))

    # invitations

    def invite(
        self, label: str, addresses: tuple[str, ...], life: int, source: str = "", *,
        force: bool = False,
    ) -> Invitation:  # fmt: skip
        """Let whoever shows the invitation in time, from the network SOURCE, in as LABEL, which by
        FORCE may have been removed before."""
        if not 0 < life <= LONGEST_INVITATION:
            raise TrustError("an invitation lasts 24 hours at most")
        for address in addresses:
            placed(address)
        if source:
            _network(source)
        identity = self.identity()
        token = sodium.randombytes(TOKEN_ID + TOKEN_SECRET)
        fields = {
            "label": label,
            "hash": _hashed(token).hex(),
            "expires": str(self.now + life),
            "from": source,
            "forced": str(self.now) if force else "",
        }
        with self._locked():
            self._free(label, force=force)
            self._write("invites", token[:TOKEN_ID].hex(), _text(fields))
        return Invitation(self.now + life, token, identity.public, addresses)

    def enrol(self, identity: bytes, token: bytes, address: str) -> Peer | None:
        """The peer that the key IDENTITY becomes by TOKEN, None if it opens nothing."""
        if len(token) != TOKEN_ID + TOKEN_SECRET:
            return None
        with self._locked():
            path = f"{self.path}/invites/{token[:TOKEN_ID].hex()}"
            try:
                fields = peerfiles.fields(peerfiles.read(path))
            except FileNotFoundError:
                return None
            right = hmac.compare_digest(bytes.fromhex(fields["hash"]), _hashed(token))
            if not right or not _within(address, fields.get("from", "")):
                return None
            if self.now > int(fields["expires"]):
                os.unlink(path)
                return None
            peer = Peer(
                id=keys.host_id(identity), label=fields["label"], key=identity,
                added_by=f"invite:{token[:4].hex()}", added_at=self.now,
            )  # fmt: skip
            try:
                self._add(peer, force=self._removed(peer.label) <= int(fields.get("forced", "0")))
            except TrustError:
                return None
            os.unlink(path)
        return peer

    def join(self, text: str, label: str, *, force: bool = False) -> Peer:
        """Trust who sent us the invitation TEXT, as LABEL; keep its token for the first visit."""
        found = invitation(text)
        if self.now > found.expires:
            raise TrustError("the invitation has expired")
        peer = Peer(
            id=keys.host_id(found.identity), label=label, key=found.identity,
            addresses=found.addresses, added_by="join", added_at=self.now,
        )  # fmt: skip
        with self._locked():
            self._add(peer, force=force)
            fields = {"token": found.token.hex(), "expires": str(found.expires)}
            self._write("joins", peer.id, _text(fields))
        return peer

    def token(self, peer: str) -> bytes:
        """What to show the peer with this id at the first visit, b"" if nothing."""
        path = f"{self.path}/joins/{peer}"
        try:
            fields = peerfiles.fields(peerfiles.read(path))
            token, expires = bytes.fromhex(fields["token"]), int(fields["expires"])
        except FileNotFoundError:
            return b""
        except (KeyError, ValueError):
            raise BadKey(f"'{path}' does not hold an invitation") from None
        return token if self.now <= expires else b""

    def joined(self, peer: str) -> None:
        """Forget the token for the peer with this id: it has let us in."""
        try:
            os.unlink(f"{self.path}/joins/{peer}")
        except FileNotFoundError:
            return

    # trust on first use: only where somebody asked for it by name

    def open(self, network: str, life: int, count: int) -> None:
        """Let COUNT strangers from NETWORK in, each as its address, for LIFE seconds."""
        _network(network)
        if not 0 < life <= LONGEST_OPENING or not 0 < count <= MOST_STRANGERS:
            raise TrustError("at most an hour, and for 1 to 100 strangers")
        self.identity()
        fields = {"network": network, "until": str(self.now + life), "count": str(count)}
        with self._locked():
            self._write("open", sodium.randombytes(8).hex(), _text(fields))

    def opened(self) -> tuple[tuple[str, int], ...]:
        """The networks whose strangers are let in now, each with its end."""
        return tuple([(network, until) for _, network, until, _ in self._openings()])

    def first_use(self, identity: bytes, address: str) -> Peer | None:
        """The peer that a stranger from ADDRESS becomes, None if nobody opened for it."""
        with self._locked():
            for path, network, _, count in self._openings():
                if not _within(address, network):
                    continue
                peer = Peer(
                    id=keys.host_id(identity), label=address.replace(":", "-"), key=identity,
                    addresses=(address if ":" not in address else f"[{address}]",),
                    added_by="first-use", added_at=self.now,
                )  # fmt: skip
                try:
                    self._add(peer, force=False)
                except TrustError:
                    return None
                if count > 1:
                    fields = {**peerfiles.fields(peerfiles.read(path)), "count": str(count - 1)}
                    peerfiles.write(path, _text(fields), replace=True)
                else:
                    os.unlink(path)
                return peer
        return None

    def _openings(self) -> list[tuple[str, str, int, int]]:
        """File, network, end and number of strangers of each opening that is not over."""
        found = []
        for name in peerfiles.names(f"{self.path}/open"):
            path = f"{self.path}/open/{name}"
            fields = peerfiles.fields(peerfiles.read(path))
            try:
                entry = (path, fields["network"], int(fields["until"]), int(fields["count"]))
            except (KeyError, ValueError):
                raise BadKey(f"'{path}' does not describe an opening") from None
            if self.now <= entry[2]:
                found.append(entry)
        return found

    # successors

    def succeed(self, statement: bytes) -> Peer:
        """Trust the successor that a peer names in STATEMENT; the peer it is now."""
        found = rotation(statement)
        old, new = keys.host_id(found.old), keys.host_id(found.new)
        with self._locked():
            trust = self.trust()
            peer = trust.judge(found.old, self.now)
            if peer is None or new in trust.revoked:
                raise TrustError("the rotation of a key that is not trusted")
            if peer.successor == new:
                return trust.peers[new]
            if peer.successor:
                for bad in (old, new, peer.successor):
                    self._write("revoked", bad, f"at: {self.now}\n")
                raise TrustError(f"'{peer.label}' names two successors: its keys are revoked here")
            if new in trust.peers:
                raise TrustError("the rotation to a key that is another peer's")
            follower = replace(peer, id=new, key=found.new, added_by="rotation", added_at=self.now)
            end = min(found.old_until, peer.not_after or found.old_until)
            self._rewrite(follower)
            self._rewrite(replace(peer, key=found.old, successor=new, not_after=end))
        return follower

    # files

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Change the directory, alone."""
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        peerfiles.safe(self.path)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(f"{self.path}/.lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _file(self, peer: str) -> str:
        return f"{self.path}/root-{peer}.pub"

    def _write(self, below: str, name: str, text: str) -> None:
        os.makedirs(f"{self.path}/{below}", mode=0o700, exist_ok=True)
        peerfiles.write(f"{self.path}/{below}/{name}", text, replace=True)

    def _rewrite(self, peer: Peer) -> None:
        peerfiles.write(self._file(peer.id), _written(peer), replace=True)

    def _publish(self, identity: Identity) -> None:
        fields = {"id": identity.id, "key": identity.public.hex()}
        peerfiles.write(f"{self.path}/localhost.pub", _text(fields), replace=True)

    def _serial(self) -> int:
        try:
            text = peerfiles.read(f"{self.path}/rotated")
        except FileNotFoundError:
            return 1
        return rotation(unarmoured(ROTATION, text)).serial + 1

    def _add(self, peer: Peer, *, force: bool) -> None:
        """Write PEER, if nothing speaks against it."""
        for address in peer.addresses:
            placed(address)
        trust = self.trust()
        if peer.id in trust.revoked:
            raise TrustError(f"{peer.id} is revoked")
        if peer.id in trust.peers:
            raise TrustError(f"{peer.id} is '{trust.peers[peer.id].label}' already")
        if os.path.exists(f"{self.path}/localhost.priv") and peer.id == self.identity().id:
            raise TrustError("that is this host itself")
        self._free(peer.label, force=force, trust=trust)
        peerfiles.write(self._file(peer.id), _written(peer))

    def _free(self, label: str, *, force: bool, trust: Trust | None = None) -> None:
        """Raise TrustError unless LABEL can be given to a new peer."""
        if LABEL.fullmatch(label) is None:
            raise TrustError(f"'{label}' is not a label: letters, digits, '.', '_' and '-'")
        if any(peer.label == label for peer in (trust or self.trust()).peers.values()):
            raise TrustError(f"there is a '{label}' already, with another key: remove it first")
        removed = 0 if force else self._removed(label)
        if removed and self.now < removed + BLOCKED:
            raise TrustError(f"'{label}' was removed less than 30 days ago; --force uses it again")

    def _removed(self, label: str) -> int:
        """When LABEL was last taken from a peer, 0 for never."""
        if label not in peerfiles.names(f"{self.path}/removed"):
            return 0
        return int(peerfiles.fields(peerfiles.read(f"{self.path}/removed/{label}"))["at"])


def published(path: str) -> bytes:
    """The public key in the file PATH, which a host wrote about itself. Raises BadKey, OSError."""
    with open(path, encoding="utf-8", errors="replace") as file:
        fields = peerfiles.fields(file.read(peerfiles.LARGEST_FILE))
    try:
        key = bytes.fromhex(fields["key"])
    except (KeyError, ValueError):
        key = b""
    if keys.host_id(key) != fields.get("id"):
        raise BadKey(f"'{path}' does not hold a public key")
    return key


def _peer(path: str, text: str) -> Peer:
    """The peer in TEXT, which the file PATH holds. Raises BadKey."""
    peer = Peer(**peerfiles.entry(path, text))
    if peer.key and keys.host_id(peer.key) != peer.id:
        raise BadKey(f"'{path}' describes another key than its name says")
    return peer


def _written(peer: Peer) -> str:
    """PEER as its file has it."""
    return _text(
        {
            "id": peer.id,
            "key": peer.key.hex(),
            "label": peer.label,
            "addresses": " ".join(peer.addresses),
            "added_by": peer.added_by,
            "added_at": str(peer.added_at),
            "not_after": str(peer.not_after or ""),
            "successor": peer.successor,
        }
    )


def _text(fields: dict[str, str]) -> str:
    return "".join([f"{name}: {value}\n" for name, value in fields.items() if value])


def _hashed(token: bytes) -> bytes:
    return blake2b(token[TOKEN_ID:], digest_size=32).digest()


def _network(source: str) -> None:
    try:
        ip_network(source)
    except ValueError:
        raise TrustError(f"'{source}' is not a network: 10.0.0.0/8") from None


def _within(address: str, source: str) -> bool:
    """Whether ADDRESS is in the network SOURCE; everything is in none."""
    return not source or ip_address(address.partition("%")[0]) in ip_network(source)
