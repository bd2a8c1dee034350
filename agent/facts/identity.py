"""What the kernel and the resolver call this machine."""

from policy.context import Variable
from policy.values import canonify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.facts import Facts, HardClasses, World

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
    define(f"{8 * (world.host.wordsize)}_bit", _derived())
    of_release = ("inventory", "attribute_name=none", *_derived("sysname", "release"))
    define(canonify(f"{name}_{release}"), of_release)
    define(canonify(machine), _derived("machine"))
    define(canonify(f"{name}_{machine}"), _derived("sysname", "machine"))
    define(canonify(f"{name}_{machine}_{release}"), _derived("sysname", "machine", "release"))
    define(whole, _derived("long_arch"))
