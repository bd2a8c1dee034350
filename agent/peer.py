"""`troth peer`: which hosts this one trusts."""

from agent.signals import wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.log import Log
    from agent.options import Settings
    from server.wire.trust import Peer, Store, Trust

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
OVERLAP = "7d"  # how long peers trust a rotated key beside its successor
LIFE = "1h"  # of an invitation
OPENING = "10m"  # for strangers
VISIT_SECONDS = 10.0
SEEN = "state/net/seen"


def main(settings: "Settings", log: "Log") -> int:
    """Do what the words after `troth peer` ask; without one, list the peers."""
    from server.wire.peerfiles import BadKey
    from server.wire.transport import BadAddress
    from server.wire.trust import Store, TrustError

    word, *rest = settings.files or ("list",)
    if word not in ACTIONS:
        log("error", f"troth peer: '{word}' is none of {', '.join(ACTIONS)}")
        return 1
    least, most, form, act = ACTIONS[word]
    if not least <= len(rest) <= most:
        log("error", f"usage: troth peer {word} {form}".rstrip())
        return 1
    try:
        act(settings, log, Store(f"{settings.workdir}/ppkeys", int(settings.now)), rest)
    except (BadAddress, BadKey, TrustError, OSError) as error:
        log("error", f"troth peer: {error}")
        return 1
    wake(settings.workdir)  # whom an invitation is for may come before the daemon looks by itself
    return 0


def trusted(settings: "Settings", log: "Log") -> "Trust":
    """Whom this host trusts; nobody if that cannot be read, which is complained of."""
    from server.wire.peerfiles import BadKey
    from server.wire.trust import Store, Trust

    try:
        return Store(f"{settings.workdir}/ppkeys", int(settings.now)).trust()
    except (BadKey, OSError) as error:
        log("error", f"cannot read whom this host trusts: {error}")
        return Trust({}, frozenset())


def _add(settings: "Settings", log: "Log", store: "Store", words: list[str]) -> None:
    """Trust the host at an address, whose fingerprint or public key file is given; if we do so
    already, that is one more address of it."""
    from server.wire import keys
    from server.wire.trust import Peer, TrustError, published

    if settings.first_use:
        _meet(settings, log, store, words)
        return
    if len(words) < 2:
        raise TrustError(f"the fingerprint of the host at '{words[0]}' is missing, or --first-use")
    address, key = words[:2]
    public = published(key) if "/" in key or key.endswith(".pub") else b""
    peer = keys.host_id(public) if public else keys.id_of(keys.fingerprint(key))
    known = store.trust().peers.get(peer)
    if known is not None and words[2:] in ([], [known.label]):
        log.show(f"{known.label}: {' '.join(store.reach(peer, address).addresses)}")
        return
    entry = Peer(
        id=peer, label=_label(words[2:], address), key=public,
        addresses=(address,), added_at=store.now,
    )  # fmt: skip
    store.add(entry, force=bool(_option(settings, "force", "")))
    log.show(f"{entry.label}: {entry.id}")


def _meet(settings: "Settings", log: "Log", store: "Store", words: list[str]) -> None:
    """Trust whatever key answers at an address, if it lets strangers in."""
    from server.wire import keys
    from server.wire.client import Client
    from server.wire.handshake import Closed, Terms
    from server.wire.keys import Credentials
    from server.wire.transport import Cut, Refused, placed
    from server.wire.trust import Peer, TrustError

    address, label = words[0], _label(words[1:], words[0])
    force = bool(_option(settings, "force", ""))
    store.free(label, force=force)  # else the other end has let somebody in for nothing
    terms = Terms(credentials=Credentials.new(store.identity(), store.now), clock=store.now * 1000)
    try:
        with Client(placed(address), terms, None, seconds=VISIT_SECONDS) as client:
            client.log_in()
            public = client.proved.identity
    except (Closed, Cut, Refused) as error:
        raise TrustError(
            f"'{address}' lets no stranger in: {error}; there: 'troth peer open NETWORK'"
        ) from None
    entry = Peer(
        id=keys.host_id(public), label=label, key=public, addresses=(address,),
        added_by="first-use", added_at=store.now,
    )  # fmt: skip
    store.add(entry, force=force)
    log.show(f"{label}: {entry.id}\n{keys.words(keys.fingerprint(entry.id))}")
    log("warning", f"nobody has compared this key: do so before you rely on '{label}'")


def _open(settings: "Settings", log: "Log", store: "Store", words: list[str]) -> None:
    """Let strangers from a network in for a while, each as its address."""
    from server.wire.trust import TrustError

    network, count = words[0], words[1] if len(words) > 1 else "1"
    if not count.isdecimal():
        raise TrustError(f"'{count}' is not a number of strangers")
    life = _seconds(str(_option(settings, "ttl", OPENING)))
    store.open(network, life, int(count))
    log.show(f"open to {count} from {network} until {_moment(store.now + life)}")


def _list(settings: "Settings", log: "Log", store: "Store", words: list[str]) -> None:
    """Who is trusted, and when each was last spoken with."""
    rows = [_row(settings, peer) for peer in store.trust().peers.values()]
    rows.sort(key=lambda row: (row["label"], row["added_at"]))
    if settings.json:
        import json

        log.show(json.dumps(rows, indent=2))
        return
    for row in rows:
        where = ",".join(row["addresses"]) or "-"
        log.show(f"{row['label']:16} {row['id']} {where:24} {_told(row)}")


def _row(settings: "Settings", peer: "Peer") -> "dict[str, Any]":
    """What `list` says about PEER; times are seconds since 1970, 0 for never."""
    from server.wire import seen

    last = seen.last(f"{settings.workdir}/{SEEN}", peer.id)
    return {
        "label": peer.label,
        "id": peer.id,
        "addresses": list(peer.addresses),
        "added_by": peer.added_by,
        "added_at": peer.added_at,
        "not_after": peer.not_after,
        "seen_at": last.when if last else 0,
        "seen_from": last.address if last else "",
    }


def _told(row: "dict[str, Any]") -> str:
    """When the peer of ROW was last seen, and until when it is trusted."""
    told = "never seen"
    if row["seen_at"]:
        told = f"seen {_moment(row['seen_at'])} from {row['seen_from']}"
    return f"{told}, trusted until {_moment(row['not_after'])}" if row["not_after"] else told


def _moment(seconds: int) -> str:
    """SECONDS since 1970 as people write it."""
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _remove(settings: "Settings", log: "Log", store: "Store", words: list[str]) -> None:
    """Trust a host no more."""
    for peer in store.remove(words[0]):
        log.show(f"removed {peer.label}: {peer.id}")


def _invite(settings: "Settings", log: "Log", store: "Store", words: list[str]) -> None:
    """Print what lets one host join as the label that is given."""
    import os

    label, *addresses = words
    life = _seconds(str(_option(settings, "ttl", LIFE)))
    source = str(_option(settings, "source", ""))
    force = bool(_option(settings, "force", ""))
    places = tuple(addresses or [os.uname().nodename])
    found = store.invite(label, places, life, source, force=force)
    log.show(found.text())


def _join(settings: "Settings", log: "Log", store: "Store", words: list[str]) -> None:
    """Trust who sent an invitation, and visit it."""
    from server.wire.client import visit
    from server.wire.handshake import Closed
    from server.wire.statements import invitation
    from server.wire.transport import Cut, Refused

    found = invitation(words[0])
    store.identity()  # without one nobody can be visited: say so before anything is written
    label = _label(words[1:], *found.addresses[:1])
    peer = store.join(words[0], label, force=bool(_option(settings, "force", "")))
    log.show(f"{peer.label}: {peer.id}")
    try:
        visit(store, peer, seconds=VISIT_SECONDS).close()
    except (Closed, Cut, Refused, OSError) as error:
        log("warning", f"'{peer.label}' did not let us in yet, the next visit tries again: {error}")
        return
    log.show(f"'{peer.label}' let us in")


def _rotate(settings: "Settings", log: "Log", store: "Store", words: list[str]) -> None:
    """Give this host a new key, or trust the new key that a peer's statement names."""
    from server.wire.keys import host_id
    from server.wire.statements import ROTATION, armoured, rotation, unarmoured

    if words:
        peer = store.succeed(unarmoured(ROTATION, words[0]))
        log.show(f"{peer.label}: {peer.id}")
        return
    overlap = _seconds(str(_option(settings, "ttl", OVERLAP)))
    statement = store.rotate(overlap, force=bool(_option(settings, "force", "")))
    log.show(f"{host_id(rotation(statement).new)}\n{armoured(ROTATION, statement)}")
    peers = store.trust().peers.values()
    if far := sorted({it.label for it in peers if not it.addresses and not it.successor}):
        how = "there: 'troth peer rotate STATEMENT'"
        log("warning", f"no address is known of {', '.join(far)}: tell them {how}")


def _label(words: list[str], address: str = "") -> str:
    """The label in WORDS, or the host in ADDRESS."""
    from server.wire.transport import placed

    return words[0] if words else placed(address)[0]


def _seconds(text: str) -> int:
    """The time that TEXT gives: `90s`, `30m`, `1h`, `7d`."""
    from server.wire.trust import TrustError

    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in UNITS:
        raise TrustError(f"'{text}' is not a time: 90s, 30m, 1h or 7d")
    return int(number) * UNITS[unit]


def _option(settings: "Settings", name: str, default: object) -> object:
    """The option NAME, if it was given."""
    return getattr(settings, name, None) or default


# word: how many words follow at least and at most, which, and what does it
ACTIONS: "dict[str, tuple[int, int, str, Callable[[Settings, Log, Store, list[str]], None]]]" = {
    "add": (1, 3, "ADDRESS FINGERPRINT|FILE [LABEL]", _add),
    "list": (0, 0, "", _list),
    "remove": (1, 1, "LABEL|ID|ADDRESS", _remove),
    "invite": (1, 9, "LABEL [ADDRESS...]", _invite),
    "join": (1, 2, "INVITATION [LABEL]", _join),
    "open": (1, 2, "NETWORK [COUNT]", _open),
    "rotate": (0, 1, "[STATEMENT]", _rotate),
}
