"""How the network half leaves its privileges: the first thing that it does, and the last that it
could do with them.

Everything that it will run is loaded before: its user may not be able to read where Python is.
Nothing that somebody else could have sent is looked at until then.
"""

import os
import resource
import signal
import sys

LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NOFILE, 1 << 16),
    (resource.RLIMIT_AS, 4 << 30),
)
# what the standard library and we would load later, when it is needed
LATER = (
    "agent.log", "agent.options", "concurrent.futures.thread", "ctypes.util", "encodings.ascii",
    "encodings.idna", "encodings.latin_1", "linecache", "policy.pcre2", "policy.regexp", "queue",
    "server.network", "stringprep", "traceback",
)  # fmt: skip
SET_DEATH_SIGNAL, SET_NO_NEW_PRIVILEGES = 1, 38  # of prctl(2)


def leave(user: int, group: int) -> None:
    """Load the network half, and become USER of GROUP, unless they are negative; for ever."""
    _close()
    import ctypes

    from agent import cli

    sys.meta_path.append(cli.Packages)
    __import__(cli.INSIDE["network"], fromlist=["lighten"]).lighten()
    for name in LATER:
        __import__(name)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for kind, wanted in LIMITS:
        hard = resource.getrlimit(kind)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (most, most))
    if user >= 0:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    prctl(SET_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)


def _close() -> None:
    """Close what whoever started the daemon left open: the socket is our standard input."""
    try:
        highest = max(map(int, os.listdir("/proc/self/fd")))
    except (OSError, ValueError):
        highest = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, highest + 1)
