"""A wire between two hosts that can be cut, or made to stand still in one direction."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

Address = tuple[str, int]
ABRUPT = struct.pack("ii", 1, 0)  # SO_LINGER: what closes the socket resets the connection
CHUNK = 65536
PATIENCE = 5.0


def free_port(host: str) -> int:
    """A port of the address HOST that nobody uses."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


class Relay:
    """Carries connections to TARGET, whose port may change. Each direction has a gate."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.there, self.back = threading.Event(), threading.Event()
        self.there.set()
        self.back.set()
        self.whole = True
        self._over = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address: Address = self._door.getsockname()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Reset all connections; until `heal`, new ones as well."""
        self.whole = False
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPT)
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Carry everything again; what stood still goes on."""
        self.whole = True
        self.there.set()
        self.back.set()

    def close(self) -> None:
        """End, with all that is open."""
        self._over = True
        self.heal()
        self.cut()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join(PATIENCE)

    def _accept(self) -> None:
        while not self._over:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near:
            if not self.whole:
                return
            try:
                far = socket.create_connection(self.target, PATIENCE)
            except OSError:
                return
            far.settimeout(None)
            with far:
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open |= {near, far}
                other = threading.Thread(target=_pump, args=(far, near, self.back), daemon=True)
                other.start()
                _pump(near, far, self.there)
                other.join()
                with self._lock:
                    self._open -= {near, far}


def _pump(source: socket.socket, target: socket.socket, gate: threading.Event) -> None:
    """Move what comes from SOURCE to TARGET while GATE is open, up to the end of either."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            gate.wait()
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
