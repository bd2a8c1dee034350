"""`troth network`: the half of a daemon that speaks with the network, started by the executor.

What it needs comes over one socket, which it is given open. When that ends, so does it.
"""

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLE = "TROTH_HALF"
# what asyncio and msgspec try to load and do without: nothing here speaks TLS. 14 and 5 ms of 150
SPARED = (("asyncio", "ssl"), ("msgspec", "typing_extensions"))


def lighten() -> None:
    """Have what is loaded next cost less: what is spared is not there, garbage is not looked for.

    What is imported stays: to look for garbage in it meanwhile is 13 ms.
    """
    gc.disable()
    for user, spared in SPARED:
        if user not in sys.modules:
            sys.modules.setdefault(spared, None)  # type: ignore[arg-type]  # it is not there


def main(settings: "Any", log: "Any") -> int:
    """Be the network half until the executor ends or says so; the exit status."""
    lighten()
    import resource
    import signal
    import socket

    try:
        half = socket.socket(fileno=int(os.environ[VARIABLE]))
    except (KeyError, ValueError, OSError) as error:
        log("error", f"'troth network' is started by 'troth daemon': no {VARIABLE} ({error})")
        return 1
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are for the executor, who tells us
    import asyncio

    from server.network import serve

    gc.freeze()
    gc.enable()
    with asyncio.Runner() as runner:
        return runner.run(serve(half, lambda text: log("error", text)))
