"""Ourselves: the work directory, the version, the user, the policy that we were given."""

import os

from agent import schedule
from policy.context import Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.facts import World

VERSION = "0.1.0"
COMPATIBLE = ("3", "28", "0")  # the release of the language that we keep to
PORT = "5308"
ROLE = ("source=bootstrap",)
PROGRAMS = (
    "twin", "agent", "serverd", "monitord", "know", "report", "key", "runagent", "execd", "hub",
    "reactor", "promises", "upgrade", "net", "check", "secret",
)  # fmt: skip

# fmt: off
PATHS = (
    # variable, below the work directory
    ("workdir",              ""),
    ("bindir",               "/bin"),
    ("inputdir",             "/inputs"),
    ("masterdir",            "/masterfiles"),
    ("moduledir",            "/modules"),
    ("statedir",             "/state"),
    ("logdir",               ""),
    ("piddir",               ""),
    ("keydir",               "/ppkeys"),
    ("libdir",               "/inputs/lib"),
    ("failsafe_policy_path", "/inputs/failsafe.cf"),
    ("default_policy_path",  "/inputs/promises.cf"),
    ("update_policy_path",   "/inputs/update.cf"),
)
ELSEWHERE = (
    ("local_libdir", "lib"),
    ("fstab",        "/etc/fstab"),
    ("resolv",       "/etc/resolv.conf"),
    ("exports",      "/etc/exports"),
    ("maildir",      "/var/spool/mail"),
)
# fmt: on


def paths(world: "World") -> None:
    """Where things are."""
    for name, below in PATHS:
        world.put(name, world.workdir + below)
    for name, path in ELSEWHERE:
        world.put(name, path)
    if world.entry:
        entry = os.path.normpath(os.path.join(world.host.getcwd(), world.entry))
        directory, _, base = entry.replace("//", "/").rpartition("/")
        world.put("policy_entry_filename", f"{directory}/{base}")
        world.put("policy_entry_dirname", directory or "/")
        world.put("policy_entry_basename", base)


def programs(world: "World") -> None:
    """The programs that are installed in the work directory, each in double quotes."""
    for name in PROGRAMS:
        path = f"{world.workdir}/bin/cf-{name}"
        if name == "twin" and not world.host.exists(path):
            path = f"{world.workdir}/bin/cf-agent"
        if world.host.exists(path):
            world.put(f"cf_{name}", f'"{path}"', "cfe_internal", "source=agent")


def release(world: "World") -> None:
    """What version this is, and which one it is compatible with."""
    origin = ("inventory", "source=agent")
    world.put("cf_version", ".".join(COMPATIBLE), *origin, "attribute_name=CFEngine version")
    for part, number in zip(
        ("major", "minor", "patch", "release"), (*COMPATIBLE, "1"), strict=True
    ):
        world.put(f"cf_version_{part}", number)
    world.put("cf_edition", "community", "derived-from=enterprise_edition", "report")
    world.put("troth_version", VERSION, *origin, "attribute_name=troth version")


def user(world: "World") -> None:
    """Who we act as."""
    known = world.host.user(world.host.uid)
    if known is not None:
        value = {
            "username": known.pw_name, "uid": known.pw_uid, "gid": known.pw_gid,
            "home_dir": known.pw_dir, "shell": known.pw_shell, "description": known.pw_gecos,
        }  # fmt: skip
        world.variables["user_data"] = Variable(value, "data", ("source=agent", "user_info"))


def role(world: "World") -> None:
    """What `policy_server.dat` says that this host is to others. Without it nothing is known."""
    work, text = world.workdir, world.text
    server = text(f"{work}/policy_server.dat").strip()
    hub = bool(server) and world.host.exists(f"{work}/state/am_policy_hub")
    origin = ("source=agent", "derived-from=policy_server", "derived-from=am_policy_hub")
    world.put("cfengine_role", "hub" if hub else "client", *origin)
    if not server:
        return
    address, port = _parted(server)
    world.put("policy_hub", address, *ROLE)
    world.put("policy_hub_port", port, *ROLE)
    identity = text(f"{work}/bootstrap_id.dat").strip()
    if identity:
        world.put("bootstrap_id", identity, *ROLE)
    validated = world.host.stat(f"{work}/masterfiles/cf_promises_validated")
    if validated is not None:
        moment = schedule.local(validated.st_mtime, world.timezone)
        world.put("last_policy_update", schedule.spoken(moment))
    _roles(world, hub=hub)


def _roles(world: "World", *, hub: bool) -> None:
    """The classes and names of what this host is."""
    reporting = world.host.exists(f"{world.workdir}/bin/cf-hub")
    if hub:
        deprecated = ("source=bootstrap", "deprecated", "alias=policy_server", "hardclass")
        world.define("am_policy_hub", deprecated)
    roles = []
    for is_so, name, called in (
        (hub, "policy_server", "Policy server"),
        (reporting, "cfengine_reporting_hub", "Reporting hub"),
        (not (hub or reporting), "cfengine_client", "Client"),
    ):
        if is_so:
            world.define(name, ("report", "hardclass"))
            roles.append(called)
    tags = ("inventory", "attribute_name=CFEngine roles")
    world.variables["cfengine_roles"] = Variable(tuple(roles), "slist", tags)


def _parted(server: str) -> tuple[str, str]:
    """The address and the port in `host`, `host:port`, `[v6]:port` or a bare IPv6 address."""
    if server.startswith("["):
        address, _, rest = server[1:].partition("]")
        return address, rest.removeprefix(":") or PORT
    if server.count(":") == 1:
        address, _, port = server.partition(":")
        return address, port or PORT
    return server, PORT
