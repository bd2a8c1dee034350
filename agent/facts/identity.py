"""What the kernel and the resolver call this machine."""

import sys

from policy.context import Variable
from policy.values import canonify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.facts import Facts, HardClasses, World

INVENTORY = ("inventory", "source=agent", "attribute_name=none")
HOST_NAME = ("inventory", "source=agent", "attribute_name=Host name")
KERNEL = ("inventory", "attribute_name=none", "source=agent", "derived-from=sys.class", "hardclass")
QUALIFIED = (
    "inventory", "attribute_name=none", "source=agent", "derived-from=sys.fqhost", "hardclass",
)  # fmt: skip
ALIAS = ("inventory", "attribute_name=none", "source=agent", "based-on=sys.fqhost", "hardclass")


def _derived(*origins: str) -> tuple[str, ...]:
    """The tags of a class made of these variables of `sys`."""
    return ("source=agent", *[f"derived-from=sys.{origin}" for origin in origins], "hardclass")


def kernel(world: "World") -> None:
    """The system, its release, and the processor."""
    name, _, release, version, machine = world.host.uname()
    name, machine = name.lower(), machine.lower()
    put, define = world.put, world.define
    put("os", name)
    put("class", name, "inventory", "source=agent", "attribute_name=Kernel")
    put("release", release, "inventory", "source=agent", "attribute_name=Kernel Release")
    put("version", version)
    put("arch", machine, "inventory", "source=agent", "attribute_name=Architecture")
    put("ostype", canonify(f"{name}_{machine}"))
    whole = canonify(f"{name}_{machine}_{release}_{version}")
    put("long_arch", whole)
    define(canonify(name), KERNEL)
    define("64_bit" if sys.maxsize > 2**32 else "32_bit", _derived())
    of_release = ("inventory", "attribute_name=none", *_derived("sysname", "release"))
    define(canonify(f"{name}_{release}"), of_release)
    define(canonify(machine), _derived("machine"))
    define(canonify(f"{name}_{machine}"), _derived("sysname", "machine"))
    define(canonify(f"{name}_{machine}_{release}"), _derived("sysname", "machine", "release"))
    define(whole, _derived("long_arch"))


def names(world: "World") -> None:
    """The host name, with the domain that the resolver gives it."""
    node = world.host.hostname()
    called, aliases = _resolved(node, world)
    node, called = node.lower(), called.lower()
    qualified = called if "." in called else node
    short, domain = _parted(node, qualified)
    world.put("host", node, *INVENTORY)
    world.put("uqhost", short, *INVENTORY)
    world.put("fqhost", qualified, *HOST_NAME)
    world.put("domain", domain)
    if domain:
        world.define(canonify(domain), _derived("domain"))
    rest = qualified
    while rest:
        world.define(canonify(rest), QUALIFIED)
        rest = rest.partition(".")[2]
    world.define(canonify(short), _derived("uqhost"))
    for alias in aliases:
        world.define(canonify(alias), ALIAS)


def _parted(node: str, qualified: str) -> tuple[str, str]:
    """The unqualified name and the domain of a host whose kernel calls it NODE."""
    if qualified.startswith(f"{node}."):
        return node, qualified[len(node) + 1 :]
    short, _, domain = node.partition(".")
    return short, domain


def _resolved(node: str, world: "World") -> tuple[str, list[str]]:
    """The canonical name of NODE and its aliases, nothing if nobody knows it.

    Nearly always it stands in /etc/hosts, and to read that is 20 times cheaper than to load the
    resolver. An answer there is final, as in every usual nsswitch.conf.
    """
    found: list[str] = []
    for line in world.text("/etc/hosts").lower().splitlines():
        address, *called = line.partition("#")[0].split() or ("",)
        if ":" not in address and node.lower() in called:
            found += called
    if found:
        return found[0], found[1:]
    import _socket

    try:
        name, aliases, _ = _socket.gethostbyname_ex(node)
    except OSError:
        return "", []
    return name, aliases


def qualify(domain: str, hard: "HardClasses", facts: "Facts") -> None:
    """Put this host into DOMAIN, as `domain` in `body common control` asks."""
    short = facts["uqhost"].value
    facts.put("domain", Variable(domain, "string", ("source=agent",)))
    facts.put("fqhost", Variable(f"{short}.{domain}", "string", HOST_NAME))
    hard.add(canonify(domain), _derived())
