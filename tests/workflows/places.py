"""Where the hosts of a test live: on loopback addresses, or in network namespaces.

Both give each host an address and can cut it off. Namespaces need root: links of theirs go down as
a cable does. On loopback the wires between hosts are relays of ours.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from itertools import count, permutations
from typing import Protocol

from tests.workflows.relay import Address, Relay, free_port

IP = shutil.which("ip") or "/usr/sbin/ip"
PORT = 5308
NET = "10.77.0"
NOWHERE = "02:00:00:00:00:99"  # a hardware address that nobody has
NUMBERS = count(1)


class Place(Protocol):
    """What hosts need of where they live. They are numbered from 0."""

    def listening(self, host: int) -> Address:
        """Where HOST is to listen."""

    def seen(self, host: int, by: int) -> Address:
        """Where the host BY finds HOST."""

    def inside(self, host: int) -> list[str]:
        """What to put before a command of HOST."""

    def cut(self, host: int) -> None:
        """Take HOST off the network."""

    def mute(self, source: int, target: int) -> None:
        """Lose what SOURCE sends to TARGET, but not what comes back."""

    def heal(self) -> None:
        """Undo all `cut` and `mute`."""

    def close(self) -> None:
        """Leave nothing behind."""


class Loopback:
    """Hosts at addresses 127.x.y.z of their own; RELAYS between them if they are to be cut."""

    def __init__(self, hosts: int, *, relays: bool = False) -> None:
        spread = os.getpid() * 7 + next(NUMBERS)
        net = f"127.{20 + spread // 200 % 200}.{10 + spread % 200}"
        self._listen = [
            (f"{net}.{n + 1}", free_port(f"{net}.{n + 1}")) for n in range(hosts)
        ]  # fmt: skip
        pairs = list(permutations(range(hosts), 2)) if relays else []
        self.relays = {(a, b): Relay(self._listen[b]) for a, b in pairs}

    def listening(self, host: int) -> Address:
        return self._listen[host]

    def seen(self, host: int, by: int) -> Address:
        relay = self.relays.get((by, host))
        return relay.address if relay else self._listen[host]

    def inside(self, host: int) -> list[str]:
        return []

    def cut(self, host: int) -> None:
        for pair, relay in self.relays.items():
            if host in pair:
                relay.cut()

    def mute(self, source: int, target: int) -> None:
        self.relays[source, target].there.clear()
        self.relays[target, source].back.clear()

    def heal(self) -> None:
        for relay in self.relays.values():
            relay.heal()

    def close(self) -> None:
        for relay in self.relays.values():
            relay.close()


class Namespaces:
    """A network namespace for each host, all on one bridge, which has a namespace of its own."""

    def __init__(self, hosts: int) -> None:
        self._name = f"troth{os.getpid()}x{next(NUMBERS)}"
        self._hosts = hosts
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        sweep()
        hub = f"{self._name}hub"
        _ip(f"netns add {hub}")
        _ip("link add hub type bridge", "link set hub up", inside=hub)
        for n in range(self._hosts):
            host = self._at(n)
            _ip(f"netns add {host}", f"link add up{n} netns {hub} type veth peer wire netns {host}")
            _ip(f"link set up{n} master hub", f"link set up{n} up", inside=hub)
            _ip(
                "link set lo up", f"address add {NET}.{n + 1}/24 dev wire", "link set wire up",
                inside=host,
            )  # fmt: skip

    def _at(self, host: int) -> str:
        return f"{self._name}n{host}"

    def listening(self, host: int) -> Address:
        return f"{NET}.{host + 1}", PORT

    def seen(self, host: int, by: int) -> Address:
        return self.listening(host)

    def inside(self, host: int) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._at(host)}"]

    def cut(self, host: int) -> None:
        _ip(f"link set up{host} down", inside=f"{self._name}hub")

    def mute(self, source: int, target: int) -> None:
        _ip(
            f"neigh replace {NET}.{target + 1} lladdr {NOWHERE} dev wire nud permanent",
            inside=self._at(source),
        )

    def heal(self) -> None:
        ups = [f"link set up{n} up" for n in range(self._hosts)]
        _ip(*ups, inside=f"{self._name}hub")
        for n in range(self._hosts):
            _ip("neigh flush dev wire nud permanent", inside=self._at(n))

    def close(self) -> None:
        for name in (*map(self._at, range(self._hosts)), f"{self._name}hub"):
            subprocess.run([IP, "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


def sweep() -> None:
    """Remove the namespaces of tests that were killed."""
    told = subprocess.run([IP, "netns", "list"], capture_output=True, text=True, check=False)
    for line in told.stdout.splitlines():
        found = re.match(r"troth(\d+)x\w+", line)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            subprocess.run([IP, "netns", "delete", found[0]], check=False)


def _ip(*lines: str, inside: str = "") -> None:
    """Have `ip` do LINES in one namespace. OSError, saying why, if it cannot."""
    command = [IP, *(["-netns", inside] if inside else []), "-batch", "-"]
    ran = subprocess.run(
        command, input="\n".join(lines), capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise OSError(f"ip: {ran.stderr.strip()}")


@cache
def namespaces_work() -> str:
    """Why there can be no network namespaces here, "" if there can.

    TROTH_TEST_PLACE=loopback in the environment has tests do without, as those of others do.
    """
    if os.environ.get("TROTH_TEST_PLACE") == "loopback":
        return "loopback was asked for"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        Namespaces(1).close()
    except OSError as error:
        return f"network namespaces do not work here: {error}"
    return ""
