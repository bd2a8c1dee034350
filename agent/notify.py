"""What systemd is told, and the next: one datagram each to the socket that it named."""

import os
import socket
import time
from contextlib import suppress


class Notify:
    """Whoever wants to be told how this service is, if anybody: `$NOTIFY_SOCKET`."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")  # not for what we start
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._pulse = int(os.environ.pop("WATCHDOG_USEC", "0") or 0) / 2e6
        if os.environ.pop("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            self._pulse = 0.0
        self._fed = 0.0

    def ready(self) -> None:
        """We serve."""
        self._say(f"READY=1\nMAINPID={os.getpid()}")

    def reloading(self) -> None:
        """We read our configuration again; `ready` follows."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """We end."""
        self._say("STOPPING=1")

    def alive(self) -> None:
        """All is well: called at least once a second, said as often as is wanted."""
        now = time.monotonic()
        if self._pulse and now - self._fed >= min(self._pulse, 10.0) / 2:
            self._fed = now
            self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(text.encode(), self._address)
