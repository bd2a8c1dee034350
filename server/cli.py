"""`troth network`: the half of a daemon that speaks with the network, started by the executor.

What it needs comes over one socket, which it is given open. When that ends, so does it.
"""

import gc
import os
import resource
import signal
import socket
import sys
from typing import Any

VARIABLE = "TROTH_HALF"


def main(settings: Any, log: Any) -> int:
    """Be the network half until the executor ends or says so; the exit status."""
    try:
        half = socket.socket(fileno=int(os.environ[VARIABLE]))
    except (KeyError, ValueError, OSError) as error:
        log("error", f"'troth network' is started by 'troth daemon': no {VARIABLE} ({error})")
        return 1
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are for the executor, who tells us
    gc.disable()  # what is imported stays: to look for garbage in it meanwhile is 12 ms of 140
    if "asyncio" not in sys.modules:  # it does without, and nothing here speaks TLS: 14 ms
        sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]  # None: it is not there
    import asyncio

    from server.network import serve

    gc.freeze()
    gc.enable()
    with asyncio.Runner() as runner:
        return runner.run(serve(half, lambda text: log("error", text)))
