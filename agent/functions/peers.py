"""Functions that ask peers, or tell of them: what CFEngine's hub knows, from host to host."""

from policy import values
from policy.errors import Failed
from policy.functions.arguments import integer, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.exchange import Exchange
    from policy.context import Context
    from server.wire.peerfiles import Known

SECONDS = 10.0
HOUR = 3600
TAGS = ("source=function", "function=remoteclassesmatching")


def _exchange(ctx: "Context") -> "Exchange":
    """The signals of this run. Raises Failed where there is no run."""
    if ctx.agent is None:
        raise Failed("peers")
    found: Exchange = ctx.agent.exchange()
    return found


def remoteclassesmatching(
    ctx: "Context", pattern: str, server: str, encrypt: str, prefix: str
) -> bool:
    """Whether there was contact with the peer SERVER; sets `PREFIX_c` for its classes that match.

    A class c is one that policy there keeps beyond the run and grants to this host. SERVER is the
    label, address or key of a peer ('troth peer'). The classes are those of the calling bundle, and
    each lives for as long as it does there. Where 'troth daemon' runs, a class that
    arrives later starts a run by itself. ENCRYPT says nothing: all is encrypted.
    Never fails: it is false if there is no such peer, or no contact with it; what it said before
    still counts.
    Example:
        classes:
          "asked" expression => remoteclassesmatching("did_.*", "no-such-peer", "yes", "up");
        reports:
          !asked::
            "nobody there"; -> nobody there
    """
    from policy import regexp

    exchange = _exchange(ctx)
    peer = exchange.ask(server, pattern, prefix)
    if peer is None:
        ctx.log("info", f"remoteclassesmatching: '{server}' is no peer of this host")
        return False
    contact = exchange.contact(peer)
    brought: dict[str, set[Any]] = {}
    for live in exchange.said_by(peer):
        try:
            if regexp.full(pattern, live.name):
                name = f"{prefix}_{live.name.replace(':', '_')}"
                brought.setdefault(name, set()).add(live.signal)
        except regexp.BadPattern as bad:
            ctx.log("error", f"remoteclassesmatching: {bad}")
            break
    for name, signals in brought.items():
        before = ctx.frame.provenance.get(name, frozenset())
        if name in ctx.frame.classes and not before:
            continue  # policy has set it without us
        ctx.set_class(name, TAGS, private=True)
        merged = frozenset(signals) | (before if isinstance(before, frozenset) else frozenset())
        ctx.owe(name, merged, private=True)
    return contact


def remotescalar(ctx: "Context", handle: str, server: str, encrypt: str) -> str:
    """The text that the peer SERVER grants under HANDLE: an access promise of type `literal`.

    What it said last is taken if there is no contact, else the empty text. ENCRYPT says nothing.
    Never fails.
    Example:
        remotescalar("motd", "no-such-peer", "yes") -> ""
    """
    exchange = _exchange(ctx)
    peer = exchange.peer(server)
    if peer is None:
        ctx.log("info", f"remotescalar: '{server}' is no peer of this host")
        return ""
    return _told(ctx, peer, handle)


def hubknowledge(ctx: "Context", handle: str) -> str:
    """The text that the policy server ($(sys.policy_hub)) grants under HANDLE.

    The empty text if this host has none, or no contact with it.
    Never fails.
    Example:
        hubknowledge("motd") -> ""
    """
    hub = ctx.facts.get("policy_hub")
    peer = _exchange(ctx).peer(str(hub.value)) if hub is not None else None
    if peer is None:
        ctx.log("info", "hubknowledge: no peer of this host is its policy server")
        return ""
    return _told(ctx, peer, handle)


def _told(ctx: "Context", peer: "Known", handle: str) -> str:
    """The literal HANDLE of PEER; if it is silent, what it said before."""
    from server.wire import messages
    from server.wire.client import UNREACHED, visit
    from server.wire.trust import Store

    run = ctx.agent
    at = values.octets(f"{peer.id}/{handle}")
    store = Store(f"{run.workdir}/ppkeys", run.state.clock())
    reason = "it says no"
    if run.planned is None:
        try:
            with visit(store, store.trust().peers[peer.id], seconds=SECONDS) as client:
                said = client.ask(messages.Literal(n=client.number(), handle=handle))
                if isinstance(said, messages.Found):
                    run.state.see(at, "literal", said.value, remember=not run.dry)
                    return values.text(said.value)
        except (*UNREACHED, UnicodeError) as error:  # a handle of octets is no text to ask for
            reason = str(error) or type(error).__name__
        ctx.log("info", f"no text '{handle}' from '{peer.label}': {reason}")
    before: bytes | None = run.state.seen(at, "literal")
    return values.text(before or b"")


def hostswithclass(ctx: "Context", name: str, field: str) -> tuple[str, ...]:
    """The peers that have said that their class NAME is set, each as FIELD: its label for `name`,
    its first `address`, or the id of its key for `hostkey`.

    Only what peers grant to this host, and what this host has asked for, is known.
    Never fails: there may be none.
    Example:
        hostswithclass("backup_done", "name") -> {  }
    """
    exchange = _exchange(ctx)
    origins = dict.fromkeys(live.origin for live in exchange.live() if live.name == name)
    peers = [peer for origin in origins if (peer := exchange.peer(origin)) is not None]
    return tuple(_field(peer, field) for peer in peers)


def hostswithgroup(ctx: "Context", group: str, field: str) -> tuple[str, ...]:
    """The hosts of a GROUP of CFEngine's hub: there is no hub here, so there are no groups.

    Fails always. Let hosts set a class for what they are, grant it, and ask `hostswithclass`.
    Example:
        vars:
          "web" slist => hostswithgroup("web", "name");
        reports:
          "there: $(web)"; -> there: $(web)
    """
    raise refusal(
        ctx, "hostswithgroup: groups are kept by CFEngine's hub, which troth has none of: let "
        "hosts share a class, and ask hostswithclass()",
    )  # fmt: skip


def hostsseen(ctx: "Context", hours: str, policy: str, field: str) -> tuple[str, ...]:
    """The peers that were spoken with in the last HOURS (`lastseen`) or were not (`notseen`).

    FIELD is `name` for labels, `address`, or `hostkey`.
    Fails if there are none.
    Example:
        vars:
          "seen" slist => hostsseen("1", "lastseen", "name");
        reports:
          "seen: $(seen)"; -> seen: $(seen)
    """
    from server.wire import seen

    exchange = _exchange(ctx)
    since = exchange.now() / 1000 - integer(ctx, hours) * HOUR
    found = []
    for peer in exchange.trusted().values():
        try:
            last = seen.last(f"{ctx.agent.workdir}/state/net/seen", peer.id)
        except OSError as error:
            raise refusal(ctx, f"hostsseen: cannot tell when '{peer.label}' was: {error}") from None
        if last is not None and (last.when >= since) == (policy == "lastseen"):
            found.append(last.address if field == "address" else _field(peer, field))
    if not found:
        raise refusal(ctx, "hostsseen: no peer was seen then", "verbose")
    return tuple(dict.fromkeys(found))


def _field(peer: "Known", field: str) -> str:
    """What FIELD says of PEER."""
    if field == "address":
        return peer.addresses[0] if peer.addresses else peer.label
    return peer.id if field == "hostkey" else peer.label
