"""Whether an address is in a range: `10.0.0.0/8`, `10.1-3.5`, `10.1`, and the like with colons."""

from policy.values import leading_integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.context import Context


def inside(ctx: "Context", wanted: str, address: str) -> bool:
    """Whether ADDRESS is in the range that is WANTED."""
    if wanted == address:
        return True
    six = ":" in wanted
    if six != (":" in address):
        return False
    if not six and "." not in address:
        return False
    if "/" in wanted:
        if "-" in wanted:
            ctx.log("error", f"Cannot mix CIDR notation with xxx-yyy range notation '{wanted}'")
            return False
        return _in_network(ctx, wanted, address, six=six)
    return _in_groups(wanted, address) if six else _in_octets(wanted, address)


def _in_network(ctx: "Context", network: str, address: str, *, six: bool) -> bool:
    """Whether ADDRESS begins with the bits of NETWORK."""
    import _socket

    family, width, name = (_socket.AF_INET6, 128, "IPv6") if six else (_socket.AF_INET, 32, "IPv4")
    base, _, bits = network.partition("/")
    if not bits.isdecimal() or int(bits) > width:
        ctx.log("error", f"Invalid {name} CIDR: {network}")
        return False
    try:
        left = int.from_bytes(_socket.inet_pton(family, base), "big")
        right = int.from_bytes(_socket.inet_pton(family, address), "big")
    except OSError:
        return False
    return (left ^ right) >> (width - int(bits)) == 0


def _in_octets(wanted: str, address: str) -> bool:
    """Whether each octet of ADDRESS is in its part of WANTED; what is missing there is free."""
    ranges, octets = wanted.split("."), address.split(".")
    if len(ranges) > len(octets):
        return False
    for allowed, octet in zip(ranges, octets, strict=False):
        low, _, high = allowed.partition("-")
        numbers = (low, octet, high or low)
        if not all(number.isdecimal() for number in numbers):
            return False
        if not int(low) <= int(octet) <= int(high or low):
            return False
    return True


def _in_groups(wanted: str, address: str) -> bool:
    """As for octets, with all the oddities of the reference.

    The lower end of a range is not in it, and other groups are compared as decimal numbers.
    """
    if "-" not in wanted:
        return False
    for allowed, group in zip(wanted.split(":"), address.split(":"), strict=False):
        low, dash, high = allowed.partition("-")
        try:
            if dash and not int(low, 16) < int(group, 16) <= int(high, 16):
                return False
        except ValueError:
            return False
        number = leading_integer(low)[0]
        if not dash and (number is None or number != leading_integer(group)[0]):
            return False
    return True
