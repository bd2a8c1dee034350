"""The interfaces of this host and their addresses, as the kernel tells them over netlink."""

import _socket
import sys

from policy.context import Variable
from policy.values import canonify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.facts import World

AGENT = ("source=agent",)
PLAIN = ("source=agent", "hardclass")

# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
GET_LINKS, GET_ADDRESSES = 18, 22
REQUEST_DUMP = 0x301
ERROR, DONE = 2, 3
LINK_HEADER, ADDRESS_HEADER = 16, 8
LINK_MAC, LINK_NAME = 1, 3
ADDRESS, LOCAL, LABEL = 1, 2, 3

UP, LOOPBACK, ETHERNET = 0x1, 0x8, 1
FLAGS = (
    (UP, "up"), (0x2, "broadcast"), (0x4, "debug"), (LOOPBACK, "loopback"), (0x10, "pointopoint"),
    (0x20, "notrailers"), (0x40, "running"), (0x80, "noarp"), (0x100, "promisc"),
    (0x200, "allmulti"), (0x1000, "multicast"),
)  # fmt: skip


class Link:
    """A network device: its number, its flags, its hardware address if it has one."""

    __slots__ = ("flags", "kind", "mac", "name")

    def __init__(self, name: str, kind: int, flags: int, mac: bytes) -> None:
        self.name = name
        self.kind = kind
        self.flags = flags
        self.mac = ":".join([f"{octet:02x}" for octet in (mac + bytes(6))[:6]])


def network(world: "World") -> None:
    """Classes and variables of all interfaces but those that `ignore_interfaces.rx` names."""
    links, addresses = interfaces()
    ignored = _ignored(world)
    if ignored:
        links = {index: link for index, link in links.items() if not ignored(link.name)}
        addresses = [address for address in addresses if not ignored(address[1])]
    found = _Lists()
    for index, name, packed in addresses:
        if index in links and len(packed) == 4:
            _ipv4(world, links[index], name, ".".join(map(str, packed)), found)
    for index, link in sorted(links.items(), key=lambda item: item[1].name):
        if link.kind == ETHERNET and link.mac not in found.macs:
            found.macs.append(link.mac)
            world.put(f"hardware_mac[{canonify(link.name)}]", link.mac)
        for owner, _, packed in addresses:
            if owner == index and len(packed) == 16:
                _ipv6(world, link, _socket.inet_ntop(_socket.AF_INET6, packed), found)
    found.put(world)


class _Lists:
    """What is enumerated over all interfaces."""

    __slots__ = ("flags", "interfaces", "ips", "macs")

    def __init__(self) -> None:
        self.interfaces: list[str] = []
        self.macs: list[str] = []
        self.flags: list[str] = []
        self.ips: list[str] = []

    def put(self, world: "World") -> None:
        """Set the lists that are not empty."""
        for name, values, attribute in (
            ("interfaces", self.interfaces, "Interfaces"),
            ("hardware_addresses", self.macs, "MAC addresses"),
            ("hardware_flags", self.flags, ""),
            ("ip_addresses", self.ips, ""),
        ):
            inventory = ("inventory", *AGENT, f"attribute_name={attribute}")
            if values:
                tags = inventory if attribute else AGENT
                world.variables[name] = Variable(tuple(values), "slist", tags)


def _ipv4(world: "World", link: Link, name: str, address: str, found: _Lists) -> None:
    """What follows from one IPv4 ADDRESS of LINK; NAME may be an alias (`eth0:1`)."""
    known = canonify(name)
    world.put("interface", name)
    world.define(f"net_iface_{known}", PLAIN)
    flags = " ".join([word for bit, word in FLAGS if link.flags & bit])
    if flags:
        world.put(f"interface_flags[{name}]", flags)
        found.flags.append(flags)
    if link.flags & UP:
        if not link.flags & LOOPBACK and "ipv4" not in world.variables:
            world.put("ipv4", address, "inventory", "source=agent", "attribute_name=none")
        _ipv4_names(world, known, address)
        found.ips.append(address)
    if not link.flags & LOOPBACK:
        world.put(f"hardware_mac[{known}]", link.mac)
        world.define(f"mac_{canonify(link.mac)}")
        _once(found.macs, link.mac)
        _once(found.interfaces, name)


def _ipv4_names(world: "World", interface: str, address: str) -> None:
    """The classes and variables of an address in use, and of the networks that it may lie in."""
    octets = address.split(".")
    world.define("_".join(octets))
    world.put(f"ipv4[{interface}]", address)
    world.put(f"ip2iface[{address}]", interface)
    for count in (1, 2, 3, 4):
        world.define("_".join(("ipv4", *octets[:count])))
        if count < 4:
            world.put(f"ipv4_{count}[{interface}]", ".".join(octets[:count]))


def _ipv6(world: "World", link: Link, address: str, found: _Lists) -> None:
    """What follows from one IPv6 ADDRESS of LINK."""
    if address != "::1":
        world.define(canonify(address))
        world.define(canonify(f"ipv6_{address}"))
        found.ips.append(address)
        _once(found.interfaces, link.name)


def _once(items: list[str], item: str) -> None:
    """Append ITEM unless it is there."""
    if item not in items:
        items.append(item)


class _Ignored:
    """The patterns for names of interfaces that nobody wants to see."""

    __slots__ = ("patterns",)

    def __init__(self, patterns: list[str]) -> None:
        self.patterns = patterns

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def __call__(self, name: str) -> bool:
        from policy.regexp import full

        return any(full(pattern, name) for pattern in self.patterns)


def _ignored(world: "World") -> _Ignored:
    """What `ignore_interfaces.rx` says, in the work directory or, as of old, in its inputs."""
    for folder in (world.workdir, f"{world.workdir}/inputs"):
        patterns = world.text(f"{folder}/ignore_interfaces.rx").split()
        if patterns:
            return _Ignored(patterns)
    return _Ignored([])


# netlink


def interfaces() -> "tuple[dict[int, Link], list[tuple[int, str, bytes]]]":
    """All devices by number, and all addresses: number of the device, name or alias, octets.

    Nothing where the kernel does not speak netlink.
    """
    links: dict[int, Link] = {}
    addresses: list[tuple[int, str, bytes]] = []
    try:
        netlink = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
    except OSError:
        return {}, []
    try:
        for message in _dump(netlink, GET_LINKS, bytes(LINK_HEADER)):
            attributes = _attributes(message[LINK_HEADER:])
            links[_number(message[4:8])] = Link(
                _name(attributes[LINK_NAME]),
                _number(message[2:4]),
                _number(message[8:12]),
                attributes.get(LINK_MAC, b""),
            )
        for message in _dump(netlink, GET_ADDRESSES, bytes(ADDRESS_HEADER)):
            attributes = _attributes(message[ADDRESS_HEADER:])
            index = _number(message[4:8])
            packed = attributes.get(LOCAL) or attributes.get(ADDRESS, b"")
            label = attributes.get(LABEL)
            addresses.append((index, _name(label) if label else links[index].name, packed))
    except (OSError, KeyError):
        pass  # a device that came or went meanwhile: what is known so far will do
    finally:
        netlink.close()
    addresses.sort(key=lambda address: address[0])
    return links, addresses


def _dump(netlink: "_socket.socket", kind: int, body: bytes) -> "Iterator[bytes]":
    """The bodies of the messages that answer a request for all of KIND."""
    order = sys.byteorder
    head = (16 + len(body)).to_bytes(4, order) + kind.to_bytes(2, order)
    netlink.send(head + REQUEST_DUMP.to_bytes(2, order) + bytes(8) + body)
    while True:
        data = netlink.recv(1 << 17)
        at = 0
        while at + 16 <= len(data):
            length, kind = _number(data[at : at + 4]), _number(data[at + 4 : at + 6])
            if kind in (ERROR, DONE) or length < 16:
                return
            yield data[at + 16 : at + length]
            at += length + 3 & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    """The attributes at the end of a message by their numbers."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        length = _number(data[at : at + 2])
        if length < 4:
            break
        found[_number(data[at + 2 : at + 4])] = data[at + 4 : at + length]
        at += length + 3 & ~3
    return found


def _number(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


def _name(data: bytes) -> str:
    """A name without the NUL that ends it."""
    return data.rstrip(b"\0").decode("utf-8", "surrogateescape")
