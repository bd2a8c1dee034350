"""What is so about this host: hard classes and the variables of `sys`, found when first asked for.

A theme is a function in a module here that puts all its classes and variables into the World. Which
themes a name may belong to is told by its shape, so that looking for a class that does not exist
costs no look at the network. Only enumerating forces every theme.
"""

from _collections_abc import Mapping  # not by way of `collections`: that takes 2 ms

from policy.context import Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.host import Host

PLAIN = ("source=agent", "hardclass")
INVENTORY = ("inventory", "attribute_name=none", "source=agent", "hardclass")
INTERNAL = ("cfe_internal", "source=agent", "hardclass")
AGENT = ("source=agent",)

# fmt: off
THEMES = {theme: module for module, themes in (
    # module       themes, each a function of it
    ("machine",      "clock uptime processors machine"),
    ("installation", "user role paths programs release"),
    ("identity",     "kernel names"),
    ("distribution", "distribution crontab"),
    ("network",      "network"),
    ("traffic",      "traffic"),
) for theme in themes.split()}

VARIABLES = {name: theme for theme, names in (
    # theme          variables of `sys`, without their indices
    ("clock",        "date cdate systime sysday"),
    ("uptime",       "uptime"),
    ("kernel",       "arch class os release version ostype long_arch"),
    ("names",        "host fqhost uqhost domain"),
    ("distribution", "flavor flavour os_release os_name_human os_version_major os_version_minor"
                     " doc_root"),
    ("crontab",      "crontab"),
    ("network",      "interface interfaces interface_flags hardware_addresses hardware_flags"
                     " hardware_mac ipv4 ipv4_1 ipv4_2 ipv4_3 ip_addresses ip2iface"),
    ("traffic",      "inet inet6 interfaces_data"),
    ("processors",   "cpus cpusockets"),
    ("user",         "user_data"),
    ("role",         "cfengine_role cfengine_roles policy_hub policy_hub_port last_policy_update"
                     " bootstrap_id"),
    ("paths",        "workdir bindir inputdir masterdir moduledir statedir logdir piddir keydir"
                     " libdir local_libdir failsafe_policy_path default_policy_path"
                     " update_policy_path fstab resolv maildir exports"
                     " policy_entry_filename policy_entry_dirname policy_entry_basename"),
    ("programs",     "cf_twin cf_agent cf_serverd cf_monitord cf_know cf_report cf_key cf_runagent"
                     " cf_execd cf_hub cf_reactor cf_promises cf_upgrade cf_net cf_check"
                     " cf_secret"),
    ("release",      "cf_version cf_version_major cf_version_minor cf_version_patch"
                     " cf_version_release cf_edition troth_version"),
) for name in names.split()}

# themes that a class of any shape may belong to, the cheapest first
ANYTHING = ("kernel", "distribution", "names")

# first character: (what such a class begins with, theme); addresses are told by their shape
PREFIXES = {
    "V": (("VMware", "machine"),),
    "a": (("am_policy_hub", "role"),),
    "c": (("cfengine_", "role"),),
    "h": (("have_aptitude", "machine"),),
    "i": (("ipv4_gw_", "traffic"), ("ipv", "network")),
    "m": (("mac_", "network"),),
    "n": (("net_iface_", "network"),),
    "p": (("policy_server", "role"),),
    "s": (("systemd", "machine"),),
    "v": (("virt_", "machine"),),
    "x": (("xen", "machine"),),
    **dict.fromkeys("0123456789", (("", "processors"),)),
    **dict.fromkeys("ADEFGHJLMNOQSTWY", (("", "clock"),)),
}
ADDRESS = "0123456789abcdef_"

# what holds wherever this program runs
ALWAYS = {
    "any": PLAIN,
    "compiled_on_linux_gnu": PLAIN,
    "community_edition": INVENTORY,
    **dict.fromkeys(("cfengine", "cfengine_3", "cfengine_3_28", "cfengine_3_28_0"), INVENTORY),
    **dict.fromkeys((
        "feature", "feature_yaml", "feature_xml", "feature_curl",
        "feature_tls", "feature_tls_1", "feature_tls_1_0", "feature_tls_1_1", "feature_tls_1_2",
        "feature_tls_1_3", "feature_def", "feature_def_json", "feature_def_json_preparse",
        "feature_host", "feature_host_specific", "feature_host_specific_data",
        "feature_host_specific_data_load", "feature_copyfrom", "feature_copyfrom_restrict",
        "feature_copyfrom_restrict_keys",
    ), PLAIN),
}
# fmt: on


class World:
    """The host, the instant and the places that facts are about, and the facts found so far."""

    __slots__ = (
        "classes", "entry", "found", "host", "now", "timezone", "variables", "workdir",
    )  # fmt: skip

    def __init__(
        self, host: "Host", now: float, timezone: str | None, workdir: str, entry: str
    ) -> None:
        self.host = host
        self.now = now
        self.timezone = timezone
        self.workdir = workdir
        self.entry = entry
        self.classes: dict[str, tuple[str, ...]] = dict(ALWAYS)
        self.variables: dict[str, Variable] = {}
        self.found: set[str] = set()

    def need(self, theme: str) -> None:
        """Have the facts of THEME in `classes` and `variables`."""
        if theme in self.found:
            return
        self.found.add(theme)
        module = __import__(f"agent.facts.{THEMES[theme]}", fromlist=(theme,))
        getattr(module, theme)(self)

    def put(self, name: str, value: str, *tags: str, kind: str = "string") -> None:
        """Set the variable NAME, tagged as coming from the agent."""
        self.variables[name] = Variable(value, kind, tags or AGENT)

    def define(self, name: str, tags: tuple[str, ...] = INVENTORY) -> None:
        """Set the class NAME; one that is set keeps the tags that it has."""
        self.classes.setdefault(name, tags)

    def text(self, path: str) -> str:
        """What the file at PATH says, nothing if it cannot be read."""
        try:
            return self.host.read(path).decode("utf-8", "surrogateescape")
        except OSError:
            return ""


class HardClasses(Mapping[str, tuple[str, ...]]):
    """The classes that nobody sets by policy, each with its tags."""

    __slots__ = ("_known", "_left", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._known = world.classes
        self._left: tuple[str, ...] = ANYTHING

    def __contains__(self, name: object) -> bool:
        return name in self._known or self._found(str(name))

    def _found(self, name: str) -> bool:
        """Whether NAME turns up when the themes that it may belong to are looked at."""
        world, found, first = self._world, self._world.found, name[:1]
        for start, theme in PREFIXES.get(first, ()):
            if theme not in found and name.startswith(start):
                world.need(theme)
        if first in ADDRESS and "network" not in found and _addresslike(name):
            world.need("network")
        while self._left:
            if name in self._known:
                return True
            world.need(self._left[0])
            self._left = self._left[1:]
        return name in self._known

    def __getitem__(self, name: str) -> tuple[str, ...]:
        if name in self:
            return self._known[name]
        raise KeyError(name)

    def __iter__(self) -> "Iterator[str]":
        _force(self._world)
        return iter(self._known)

    def __len__(self) -> int:
        _force(self._world)
        return len(self._known)

    def add(self, name: str, tags: tuple[str, ...] = INTERNAL) -> None:
        """Set the class NAME, whatever tags it had."""
        self._known[name] = tags


class Facts(Mapping[str, Variable]):
    """The variables of `sys` by their full names: `fqhost`, `ipv4[eth0]`."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        self._world = world

    def __getitem__(self, name: str) -> Variable:
        world = self._world
        found = world.variables.get(name)
        if found is not None:
            return found
        theme = _theme(name)
        if theme is not None:
            world.need(theme)
        return world.variables[name]

    def __iter__(self) -> "Iterator[str]":
        _force(self._world)
        return iter(self._world.variables)

    def __len__(self) -> int:
        _force(self._world)
        return len(self._world.variables)

    def put(self, name: str, variable: Variable) -> None:
        """Set the variable NAME, whatever is found out about it later."""
        theme = _theme(name)
        if theme is not None:
            self._world.need(theme)
        self._world.variables[name] = variable


def _theme(name: str) -> str | None:
    """The theme that the variable NAME belongs to."""
    base = name.partition("[")[0]
    return "clock" if base.startswith("time_based_") else VARIABLES.get(base)


def _addresslike(name: str) -> bool:
    """Whether NAME may be an address: `127_0_0_1`, `fd00__2`."""
    return name.count("_") > 1 and not name.strip(ADDRESS)


def _force(world: World) -> None:
    """Have all facts."""
    for theme in THEMES:
        world.need(theme)


def gather(
    host: "Host", now: float, timezone: str | None, workdir: str, *,
    component: str = "agent", entry: str = "",
) -> tuple[HardClasses, Facts]:  # fmt: skip
    """The facts of HOST at the instant NOW, for a COMPONENT that was given the policy file ENTRY.

    TIMEZONE is None for the system's own. `entry` may be relative to the working directory.
    """
    world = World(host, now, timezone, workdir, entry)
    world.define(component, INTERNAL)
    return HardClasses(world), Facts(world)
