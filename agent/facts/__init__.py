"""What is so about this host: hard classes and the variables of `sys`, by theme, found when first asked.

A theme is a module here, or one function of it, that puts all its classes and variables into the
World. Which theme a name may belong to is told by the shape of the name, so that looking for a class
that does not exist costs no look at the network. Only enumerating forces every theme.
"""

from _collections_abc import Mapping  # not through `collections`: that takes 2 ms

from policy.context import Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.host import Host

# themes that a name of any shape may belong to, the cheapest first
ANYTHING = ("kernel", "distribution", "names")

# first character of a class: (what the name begins with, theme)
SHAPES: "dict[str, tuple[tuple[str, str], ...]]" = {
    **{letter: (("", "clock"),) for letter in "ADEFGHJLMNOQSTWY"},
    **{digit: (("", "network"), ("", "processors")) for digit in "0123456789"},
    **{letter: (("", "network"),) for letter in "bdef"},
    "P": (("PK_", "key"),),
    "V": (("VMware", "machine"),),
    "a": (("am_policy_hub", "role"), ("", "network")),
    "c": (("cfengine_", "role"), ("", "network")),
    "h": (("have_aptitude", "machine"),),
    "i": (("ipv", "network"),),
    "m": (("mac_", "network"),),
    "n": (("net_iface_", "network"),),
    "p": (("policy_server", "role"),),
    "s": (("systemd", "machine"),),
    "v": (("virt_", "machine"),),
    "x": (("xen", "machine"),),
}

# fmt: off
VARIABLES = {name: theme for theme, names in (
    # theme          variables of `sys`, without their indices
    ("clock",        "date cdate systime sysday time_based_*"),
    ("uptime",       "uptime"),
    ("kernel",       "arch class os release version ostype long_arch"),
    ("names",        "host fqhost uqhost domain"),
    ("distribution", "flavor flavour os_release os_name_human os_version_major os_version_minor"
                     " crontab doc_root"),
    ("network",      "interface interfaces interface_flags hardware_addresses hardware_flags"
                     " hardware_mac ipv4 ipv4_1 ipv4_2 ipv4_3 ip_addresses ip2iface"),
    ("traffic",      "inet inet6 interfaces_data"),
    ("processors",   "cpus cpusockets"),
    ("user",         "user_data"),
    ("key",          "key_digest"),
    ("role",         "cfengine_role cfengine_roles policy_hub policy_hub_port last_policy_update"
                     " bootstrap_id"),
    ("paths",        "workdir bindir inputdir masterdir moduledir statedir logdir piddir keydir"
                     " libdir local_libdir failsafe_policy_path default_policy_path"
                     " update_policy_path fstab resolv maildir exports"
                     " policy_entry_filename policy_entry_dirname policy_entry_basename"),
    ("programs",     "cf_twin cf_agent cf_serverd cf_monitord cf_know cf_report cf_key cf_runagent"
                     " cf_execd cf_hub cf_reactor cf_promises cf_upgrade cf_net cf_check cf_secret"),
    ("release",      "cf_version cf_version_major cf_version_minor cf_version_patch"
                     " cf_version_release cf_edition troth_version"),
) for name in names.split()}
# fmt: on

THEMES = {
    "clock": "own", "uptime": "own", "processors": "own", "user": "own", "key": "own",
    "role": "own", "paths": "own", "programs": "own", "release": "own", "machine": "own",
    "kernel": "identity", "names": "identity",
    "distribution": "distribution",
    "network": "network",
    "traffic": "traffic",
}  # fmt: skip

PLAIN = ("source=agent", "hardclass")
