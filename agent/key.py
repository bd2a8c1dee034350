"""`troth key`: the key that makes this host the one that it is, and what to compare it by."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.log import Log
    from agent.options import Settings

USAGE = "troth key: 'create', or 'show' with the label or id of a peer if it is not this host's"


def main(settings: "Settings", log: "Log") -> int:
    """Do what the words after `troth key` ask; without one, show the key."""
    from server.wire.peerfiles import BadKey
    from server.wire.transport import BadAddress
    from server.wire.trust import TrustError

    word, *rest = settings.files or ("show",)
    try:
        if word == "create" and not rest:
            _create(settings, log)
        elif word == "show" and len(rest) < 2:
            _show(settings, log, rest)
        else:
            log("error", USAGE)
            return 1
    except (BadAddress, BadKey, TrustError, OSError) as error:
        log("error", f"troth key: {error}")
        return 1
    return 0


def _create(settings: "Settings", log: "Log") -> None:
    """Make the key of this host."""
    from server.wire.trust import Store

    store = Store(f"{settings.workdir}/ppkeys", int(settings.now))
    describe(settings, log, "", store.create().id)


def _show(settings: "Settings", log: "Log", names: list[str]) -> None:
    """Show the key of this host, or that of the peer in NAMES."""
    from server.wire.trust import Store, TrustError

    store = Store(f"{settings.workdir}/ppkeys", int(settings.now))
    if not names:
        describe(settings, log, "", store.identity().id)
        return
    peer = store.trust().named(names[0])
    if peer is None:
        raise TrustError(f"'{names[0]}' is no peer of this host")
    describe(settings, log, peer.label, peer.id)


def describe(settings: "Settings", log: "Log", label: str, peer: str) -> None:
    """Print the id PEER, and the same as words."""
    from server.wire import keys

    words = keys.words(keys.fingerprint(peer))
    if settings.json:
        import json

        log.show(json.dumps({"label": label, "id": peer, "words": words}))
        return
    log.show(f"{peer}\n{words}")
