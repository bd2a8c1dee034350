"""The clock, the processors, and what the machine itself is."""

from agent import schedule
from policy.values import canonify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.facts import World

TIME = ("time_based", "cfengine_internal_time_based_autoremove", "source=agent", "hardclass")
VIRTUAL = ("inventory", "attribute_name=Virtual host", "source=agent")
PROCESSORS = "/sys/devices/system/cpu"


def clock(world: "World") -> None:
    """The start of the run: classes, and variables with the same names."""
    for kind, name in schedule.time_classes(world.now, world.timezone).items():
        world.define(name, TIME)
        world.put(f"time_based_{kind}", name, "noreport")
    spoken = schedule.spoken(schedule.local(world.now, world.timezone))
    seconds = int(world.now)
    for variable, value, kind in (
        ("date", spoken, "string"), ("cdate", canonify(spoken), "string"),
        ("systime", str(seconds), "int"), ("sysday", str(seconds // 86400), "int"),
    ):  # fmt: skip
        world.put(variable, value, "time_based", "source=agent", kind=kind)


def uptime(world: "World") -> None:
    """For how many minutes the kernel has been running."""
    seconds = world.text("/proc/uptime").partition(".")[0]
    if seconds:
        world.put(
            "uptime", str(int(seconds) // 60), "inventory", "time_based", "source=agent",
            "attribute_name=Uptime minutes", kind="int",
        )  # fmt: skip


def processors(world: "World") -> None:
    """How many processors there are, in how many sockets."""
    count = _online(world.text(f"{PROCESSORS}/online"))
    world.define(f"{count}_cpu" if count == 1 else f"{count}_cpus", _derived("cpus"))
    world.put("cpus", str(count), "inventory", "source=agent", "attribute_name=CPU logical cores")
    try:
        names = world.host.listdir(PROCESSORS)
    except OSError:
        names = []
    packages = [
        world.text(f"{PROCESSORS}/{name}/topology/physical_package_id").strip()
        for name in names
        if name[:3] == "cpu" and name[3:].isdigit()
    ]
    sockets = 1 + max([int(package) for package in packages if package.isdigit()], default=0)
    name = f"{sockets}_cpusocket" if sockets == 1 else f"{sockets}_cpusockets"
    world.define(name, _derived("cpusockets"))
    world.put("cpusockets", str(sockets), "inventory", "source=agent", "attribute_name=CPU sockets")


def _online(ranges: str) -> int:
    """How many numbers lie in RANGES like `0-3,6`."""
    parts = [part.partition("-") for part in ranges.strip().split(",") if part]
    return sum([int(last or first) - int(first) + 1 for first, _, last in parts])


def _derived(variable: str) -> tuple[str, ...]:
    """The tags of a class made of a VARIABLE of `sys`."""
    return ("source=agent", f"derived-from=sys.{variable}", "hardclass")


def machine(world: "World") -> None:
    """What runs it: the first process, a package tool, something that only pretends to be metal."""
    host = world.host
    first = world.text("/proc/1/cmdline").partition("\0")[0]
    if first.startswith("/") and host.realpath(first).endswith("/systemd"):
        world.define("systemd")
    path = "/usr/bin/aptitude"
    if host.exists(path):
        tags = ("inventory", "attribute_name=none", "source=agent", f"derived-from-file={path}")
        world.define("have_aptitude", (*tags, "hardclass"))
    if any(map(host.exists, ("/proc/vmware/version", "/etc/vmware-release", "/etc/vmware"))):
        world.define("VMware", _virtual("/proc/vmware/version"))
    _xen(world)
    if host.exists("/proc/bc/0"):
        world.define("virt_host_vz", _virtual("/proc/bc/0"))
        if host.exists("/bin/vzps"):
            world.define("virt_host_vz_vzps", _virtual("/bin/vzps"))
    elif host.exists("/proc/vz"):
        world.define("virt_guest_vz", _virtual("/proc/vz"))


def _xen(world: "World") -> None:
    """Xen, as a host, as a guest that knows, or as one that was not told."""
    path = "/proc/xen/capabilities"
    if world.host.exists(path):
        world.define("xen", _virtual(path))
        control = "control_d" in world.text(path)
        world.define("xen_dom0" if control else "xen_domu_pv", _virtual(path))
    elif world.text("/sys/hypervisor/type").strip() == "xen":
        world.define("xen", (*VIRTUAL, "hardclass"))
        world.define("xen_domu_hv", ("source=agent", "hardclass"))


def _virtual(path: str) -> tuple[str, ...]:
    """The tags of a class that the file at PATH tells."""
    return (*VIRTUAL, f"derived-from-file={path}", "hardclass")
