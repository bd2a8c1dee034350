"""The network half as a process: `troth network`, an unprivileged user if we are root, in a session
of its own. Its standard input is our socket.

It is the first thing that a daemon does, before it loads what it needs itself: this costs as much.
"""

import os
import pwd
import sys

from agent.children import ROOT
from agent.links import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.options import Settings

USERS = ("troth", "nobody")
START = (
    "import sys; sys.path.append({root!r})\n"
    "from agent.privileges import leave; leave(*{who!r})\n"
    "from agent.cli import launch; launch()"
)
PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")  # of our environment


class NoUser(Exception):
    """There is nobody whom the network half could be."""


def start(settings: "Settings") -> tuple[int, int]:
    """Start it: its number, and our end of the socket. Raises NoUser, OSError."""
    from _socket import AF_UNIX, SOCK_STREAM, socketpair

    who = account(settings.network_user)
    environ = {name: os.environ[name] for name in PASSED if name in os.environ}
    environ["TROTH_WORKDIR"] = settings.workdir
    environ["TROTH_HALF"] = "0"  # the descriptor
    code = START.format(root=ROOT, who=who)
    argv = [sys.executable, FLAGS, "-c", code, "network", "-g", settings.level]
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    try:
        process = os.posix_spawn(
            argv[0], argv, environ, setsid=True, setsigmask=(),
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
        )  # fmt: skip
    finally:
        theirs.close()
    return process, ours.detach()


def account(wanted: str) -> tuple[int, int]:
    """User and group that the network half is, WANTED or the usual, not root; -1: as we are.

    Raises NoUser.
    """
    if os.geteuid() != 0:
        return -1, -1
    for name in (wanted,) if wanted else USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid:
            return found.pw_uid, found.pw_gid
        if wanted:
            raise NoUser(f"--network-user '{wanted}' is root, who must not speak with the network")
    if wanted:
        raise NoUser(f"--network-user '{wanted}' is no user of this host")
    raise NoUser(f"there is no user {' or '.join(USERS)}: --network-user names one")
