"""How the network half is, for `troth status`."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

if TYPE_CHECKING:
    from server.hub import Hub
    from server.network import Network
    from server.wire.serving import Visit


def status(network: Network) -> dict[str, Any]:
    """How NETWORK is."""
    return {
        "listening": list(network.porter.listening or ()),
        "problem": network.porter.refused,
        "uptime": round(time.monotonic() - network.begun, 3),
        "memory": _memory(),
        "limits": asdict(network.limits),
        "counts": dict(network.door.counts),
        "log": {"signals": len(network.hub.log), "end": list(network.hub.log.end)},
        "peers": len(network.hub.trust),
        "sessions": [_described(visit, network.hub) for visit in network.serving.visits],
        "visits": [
            {
                "peer": visit.peer,
                "live": visit.live,
                "address": visit.address,
                "globs": list(visit.globs),
                "cursor": list(visit.cursor),
            }
            for visit in network.outgoing.visits.values()
        ],
    }


def _described(visit: Visit, hub: Hub) -> dict[str, Any]:
    """A visit."""
    peer = visit.session.peer
    caller = hub.callers.get(visit)
    return {
        "peer": peer.id,
        "label": peer.label,
        "address": peer.address,
        "skew": peer.skew,
        "requests": visit.asked,
        "subscriptions": [
            {
                "globs": list(subscription.globs.texts),
                "cursor": list(subscription.position),
                "acknowledged": list(subscription.acked),
            }
            for subscription in (caller.subscriptions if caller is not None else ())
        ],
    }


def _memory() -> int:
    """How many octets of memory this process has, 0 where that cannot be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
