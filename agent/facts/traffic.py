"""What /proc/net tells: routes, counters, addresses, as data containers."""

import sys

from policy.context import Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.facts import World

TAGS = ("networking", "/proc", "source=agent", "procfs")
GATEWAY = ("inventory", *TAGS[:3], "attribute_name=none", "procfs", "hardclass")
UP, GATE, HOST = 0x1, 0x2, 0x4  # linux/route.h
LOCAL = {"scope": 0x20}  # an address that is good on its link only, in /proc/net/if_inet6
COUNTERS = ("bytes", "packets", "errors", "drop", "fifo", "frame", "compressed", "multicast")


def traffic(world: "World") -> None:
    """`inet`, `inet6` and `interfaces_data`, and the classes of the gateways in use."""
    routes = _routes(world)
    for route in routes:
        if route["flags"][0] == "up" and route["flags"][3] == "gateway":
            world.define("ipv4_gw_" + route["gateway"].replace(".", "_"), GATEWAY)
    inet: dict[str, Any] = {"stats": _netstat(world), "routes": routes}
    active = [route for route in routes if route["active_default_gateway"]]
    if active:
        best = min(active, key=lambda route: int(route["metric"]))
        inet["default_gateway"] = best["gateway"]
        inet["default_route"] = best
    inet6 = {
        "stats": _snmp6(world), "routes": _routes6(world), "addresses": _addresses6(world),
    }  # fmt: skip
    for name, value in (
        ("inet", inet), ("inet6", inet6), ("interfaces_data", _devices(world)),
    ):  # fmt: skip
        world.variables[name] = Variable(value, "data", TAGS)


def _lines(world: "World", name: str) -> list[list[str]]:
    """The words of each line of a file of /proc/net."""
    return [line.split() for line in world.text(f"/proc/net/{name}").splitlines()]


def _routes(world: "World") -> "list[dict[str, Any]]":
    found = []
    for words in _lines(world, "route")[1:]:
        name, dest, gateway, flags, refcnt, use, metric, mask, mtu, window, irtt = words[:11]
        bits, default = int(flags, 16), dest == "00000000"
        found.append({
            "active_default_gateway": default and bits & (UP | GATE) == UP | GATE,
            "dest": _ipv4(dest),
            "flags": [
                "up" if bits & UP else "down",
                "host" if bits & HOST else "net",
                "default" if default else "not_default",
                "gateway" if bits & GATE else "local",
            ],
            "gateway": _ipv4(gateway), "interface": name, "irtt": int(irtt), "mask": _ipv4(mask),
            "metric": int(metric), "mtu": int(mtu), "refcnt": int(refcnt), "use": int(use),
            "window": int(window),
        })  # fmt: skip
    return found


def _netstat(world: "World") -> dict[str, dict[str, str]]:
    """Two lines for each protocol: names, then values."""
    lines = _lines(world, "netstat")
    return {
        names[0].rstrip(":"): dict(zip(names[1:], values[1:], strict=False))
        for names, values in zip(lines[::2], lines[1::2], strict=False)
    }


def _snmp6(world: "World") -> dict[str, int]:
    return {words[0]: int(words[1]) for words in _lines(world, "snmp6")}


def _routes6(world: "World") -> "list[dict[str, Any]]":
    found = []
    for words in _lines(world, "ipv6_route"):
        dest, prefix, _, source_prefix, hop, metric, refcnt, use, flags, name = words[:10]
        bits, distance = int(flags, 16), int(metric, 16)
        found.append({
            "dest": _ipv6(dest), "dest_prefix": prefix,
            "flags": [
                "up" if bits & UP else "down",
                "host" if bits & HOST else "net",
                "gateway" if bits & GATE else "local",
            ],
            "interface": name, "metric": distance - (distance >> 31 << 32), "next_hop": _ipv6(hop),
            "refcnt": int(refcnt, 16), "source_prefix": source_prefix, "use": int(use, 16),
        })  # fmt: skip
    return found


def _addresses6(world: "World") -> "dict[str, dict[str, Any]]":
    """One address for each interface, the last that is good beyond the link if there is one."""
    found: dict[str, dict[str, Any]] = {}
    for address, number, prefix, scope, flags, name in _lines(world, "if_inet6"):
        if int(scope, 16) != LOCAL["scope"] or found.get(name, LOCAL)["scope"] == LOCAL["scope"]:
            found[name] = {
                "address": _ipv6(address), "device_number": int(number, 16), "interface": name,
                "prefix_length": int(prefix, 16), "raw_flags": flags, "scope": int(scope, 16),
            }  # fmt: skip
    return found


def _devices(world: "World") -> dict[str, dict[str, str]]:
    """The counters of each device."""
    found: dict[str, dict[str, str]] = {}
    for line in world.text("/proc/net/dev").splitlines()[2:]:
        name, _, counters = line.partition(":")
        values = counters.split()
        found[name.strip()] = {"device": name.strip()} | {
            f"{way}_{counter}": values[at]
            for at, (way, counter) in enumerate(
                (way, counter) for way in ("receive", "transmit") for counter in COUNTERS
            )
        }
    return found


def _ipv4(text: str) -> str:
    """The address that /proc writes as one number in the order of this host's bytes."""
    octets = int(text, 16).to_bytes(4, sys.byteorder)
    return ".".join(map(str, octets))


def _ipv6(text: str) -> str:
    """Eight groups without leading zeros."""
    return ":".join([f"{int(text[at : at + 4], 16):x}" for at in range(0, 32, 4)])
