"""Several hosts on one machine, each with what a host has of its own: a work directory with policy,
a key, peers, an address, a daemon, a clock. Where they live is a Place (places.py).

What a site leaves behind is nothing: no process, no namespace, no file.

A job of a host is a program that writes when it began and ended, and does what it was told to: take
a while, fail some times. Policy that names `/usr/local/bin/NAME` gets this host's job NAME.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from agent import links
from server.wire.keys import host_id
from server.wire.trust import Peer, Store
from tests.workflows.places import Loopback, Namespaces, Place, namespaces_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PATIENCE = 20.0  # seconds that anything may take that is expected to happen
PAUSE = 0.005
LIBC = ctypes.CDLL(None)
SET_DEATH_SIGNAL = 1  # of prctl(2)
JOBS = "/usr/local/bin/"  # in policy
JOB = """#!/bin/sh
name=${0##*/}
cd 'HERE' || exit 9
until now=$(date +%s.%N); do :; done  # until it is not killed
echo "$now $name begun $*" >> log
[ -f "$name.seconds" ] && sleep "$(cat "$name.seconds")"
status=0
if [ -f "$name.fails" ]; then
  left=$(cat "$name.fails")
  if [ "$left" -gt 0 ]; then
    echo $((left - 1)) > "$name.fails"
    status=1
  fi
fi
until now=$(date +%s.%N); do :; done
echo "$now $name ended $status" >> log
exit $status
"""


class Never(AssertionError):
    """What was waited for did not happen."""


def until(what: Callable[[], T], told: str = "", seconds: float = PATIENCE) -> T:
    """The first true value of WHAT. Never, saying what was TOLD, if it takes longer."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise Never(f"{told or what} did not happen in {seconds} s")
        time.sleep(PAUSE)


class Job(NamedTuple):
    """A line that a job wrote. AT is by the clock of the machine, whatever the host's says."""

    at: float
    name: str
    what: str  # begun or ended
    rest: str  # the arguments, or the exit status


class Host:
    """One host of a site."""

    def __init__(self, site: Site, number: int, label: str) -> None:
        self.label = label
        self.number = number
        self.site = site
        self.home = site.directory / label
        self.workdir = self.home / "work"
        self.jobs = self.home / "jobs"
        self.said = self.home / "said"
        self.daemon: subprocess.Popen[bytes] | None = None
        self.offset = 0.0
        for directory in (self.home, self.workdir, self.workdir / "inputs", self.jobs):
            directory.mkdir(mode=0o700)
        if site.trusting:
            self.store().create()

    @property
    def id(self) -> str:
        """What its peers know it by."""
        return host_id(self.store().identity().public)

    def store(self) -> Store:
        """The key directory of this host."""
        return Store(f"{self.workdir}/ppkeys", int(time.time()))

    # clock and environment

    def environ(self) -> dict[str, str]:
        """What its programs find in their environment."""
        return {
            "PATH": f"{self.site.names}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "TZ": self.site.zone,
            "TROTH_WORKDIR": str(self.workdir),
            "TROTH_CACHE_DIR": str(self.site.cache),
            "TROTH_CLOCK": str(self.home / "clock"),
        }

    def shift(self, seconds: float) -> None:
        """Let its clock be SECONDS ahead, from now on."""
        self.offset = seconds
        told = self.home / "clock.new"
        told.write_text(f"{seconds}\n")
        told.rename(self.home / "clock")

    # policy

    def policy(self, files: Mapping[str, str], classes: tuple[str, ...] = ()) -> None:
        """Let FILES be its inputs; its label and CLASSES are defined by def.json."""
        named = {name: ["any"] for name in (self.label.replace(".", "_"), *classes)}
        told = {**files, "def.json": json.dumps({"classes": named})}
        for name, text in told.items():
            path = self.workdir / "inputs" / name
            path.write_text(text.replace(JOBS, f"{self.jobs}/"))
            path.chmod(0o600)
        for word in "".join(told.values()).split(JOBS)[1:]:
            self.job(
                "".join(char if char.isalnum() or char == "_" else " " for char in word).split()[0]
            )

    def example(self, name: str, *, entry: str = "", replace: tuple[str, str] = ("", "")) -> None:
        """Let the policy of the example NAME be its inputs; ENTRY becomes promises.cf."""
        files = {file.name: file.read_text() for file in (EXAMPLES / name).glob("*.cf")}
        if entry:
            files["promises.cf"] = files[entry]
        if replace[0]:
            files = {file: text.replace(*replace) for file, text in files.items()}
        self.policy(files)

    def job(self, name: str, *, seconds: float = 0, fails: int = 0) -> None:
        """Have a job NAME that takes SECONDS and the first times FAILS."""
        program = self.jobs / name
        program.write_text(JOB.replace("HERE", str(self.jobs)))
        program.chmod(0o700)
        for kind, value in (("seconds", seconds), ("fails", fails)):
            told = self.jobs / f"{name}.{kind}"
            told.write_text(f"{value}\n") if value else told.unlink(missing_ok=True)

    # programs

    def start(self, *options: str) -> None:
        """Start its daemon, which makes no run by schedule; wait until it is ready."""
        self.launch(*options)
        self.ready()

    def launch(self, *options: str) -> None:
        """Start its daemon; `ready` waits for it."""
        host, port = self.site.place.listening(self.number)
        told = ["--listen", f"{host}:{port}"]
        told += [] if "--schedule" in options else ["--schedule", "!any"]
        address = self.home / "ready"
        address.unlink(missing_ok=True)
        self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._bell.bind(str(address))
        self._bell.setblocking(False)
        with self.said.open("ab") as said:
            self.daemon = subprocess.Popen(
                self._command("daemon", *told, *options),
                env={**self.environ(), "NOTIFY_SOCKET": str(address)},
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                preexec_fn=_end_with_us,
            )  # fmt: skip

    def ready(self) -> None:
        """Wait until the daemon that was launched is ready."""
        with self._bell as bell:
            until(lambda: self._is_ready(bell), f"the daemon of {self.label} is ready")

    def _is_ready(self, bell: socket.socket) -> bool:
        """Whether the daemon says so; Never if it has ended."""
        if self.daemon and self.daemon.poll() is not None:
            raise Never(f"the daemon of {self.label} has ended:\n{self.told()}")
        try:
            return b"READY=1" in bell.recv(4096)
        except BlockingIOError:
            return False

    def stop(self) -> None:
        """End its daemon in order."""
        if self.daemon:
            self.daemon.terminate()
            try:
                self.daemon.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                raise Never(f"the daemon of {self.label} does not end:\n{self.told()}") from None
            self.daemon = None

    def kill(self) -> None:
        """Kill its daemon and all that it started, at once."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.daemon:
            self.daemon.wait(PATIENCE)
            self.daemon = None

    def processes(self) -> dict[int, str]:
        """The processes of this host, and how they were started."""
        mark = f"TROTH_WORKDIR={self.workdir}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                session = self.daemon and os.getsid(int(entry.name)) == self.daemon.pid
                if session or mark in (entry / "environ").read_bytes().split(b"\0"):
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = words.decode(errors="replace").strip()
        return found

    def troth(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Have `troth WORDS` done on this host."""
        return subprocess.run(
            self._command(*words), env={**self.environ(), **environ}, cwd=self.home,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def run(self, *options: str) -> str:
        """Keep the policy once, by hand; what was said. It must be possible to evaluate it."""
        ran = self.troth("run", *options)
        assert ran.returncode in (0, 2, 4, 6), ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def _command(self, *words: str) -> list[str]:
        return [*self.site.place.inside(self.number), str(self.site.names / "troth"), *words]

    # what can be seen

    def told(self) -> str:
        """What its daemon has said."""
        return self.said.read_text(errors="replace") if self.said.exists() else ""

    def did(self, name: str = "", what: str = "begun") -> list[Job]:
        """What its jobs wrote, all or those of one NAME."""
        try:
            lines = (self.jobs / "log").read_text().splitlines()
        except FileNotFoundError:
            return []
        rows = [line.split(" ", 3) for line in lines]
        jobs = [Job(float(row[0]), row[1], row[2], row[3] if len(row) > 3 else "") for row in rows]
        return [job for job in jobs if job.what == what and name in ("", job.name)]

    def waits_for(self, name: str, times: int = 1, seconds: float = PATIENCE) -> list[Job]:
        """The beginnings of its job NAME, once there are TIMES."""
        told = f"the job {name} on {self.label}, {times} times"

        def enough() -> list[Job]:
            found = self.did(name)
            return found if len(found) >= times else []

        try:
            return until(enough, told, seconds)
        except Never as error:
            raise Never(f"{error}\n{self.site.told()}") from None

    def rows(self, query: str, *values: object) -> list[Any]:
        """What QUERY finds in its state."""
        path = self.workdir / "state" / "agent.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE)) as db:
            try:
                return db.execute(query, values).fetchall()
            except sqlite3.OperationalError:  # an agent is making the tables
                return []

    def hears(self, other: Host) -> bool:
        """Whether its daemon has a session with OTHER."""
        return bool(self.rows("SELECT 1 FROM contacts WHERE peer = ? AND live = 1", other.id))

    def meets(self, *others: Host) -> None:
        """Wait until its daemon has a session with each of OTHERS."""
        try:
            until(lambda: all(map(self.hears, others)), f"a session of {self.label} with its peers")
        except Never as error:
            raise Never(f"{error}\n{self.site.told()}") from None

    def consumed(self) -> list[tuple[str, str, str]]:
        """(path of the promise, class, how it ended) of each signal that a promise acted on."""
        return self.rows("SELECT path, class, ending FROM consumed ORDER BY at")

    def audit(self, event: str = "") -> list[dict[str, Any]]:
        """The lines of its audit log, all or those about one EVENT."""
        try:
            text = (self.workdir / "state" / "audit.jsonl").read_text()
        except FileNotFoundError:
            return []
        lines = [json.loads(line) for line in text.splitlines()]
        return [line for line in lines if event in ("", line["event"])]

    # trust

    def trusts(self, other: Host) -> None:
        """Trust OTHER, under its label."""
        host, port = self.site.place.seen(other.number, self.number)
        self.store().add(
            Peer(id=other.id, label=other.label, key=other.store().identity().public,
                 addresses=(f"{host}:{port}",), added_at=int(time.time()))
        )  # fmt: skip


class Site:
    """Hosts with these LABELS that trust each other. PLACE is where they live; by default in
    namespaces where there can be any, on loopback elsewhere. Without TRUST nobody has a key yet."""

    def __init__(
        self, *labels: str, place: Place | None = None, zone: str = "UTC", trust: bool = True
    ) -> None:
        self.zone = zone
        self.trusting = trust
        self.directory = Path(tempfile.mkdtemp(prefix="troth."))
        self.names = self.directory / "names"
        self.cache = Path(os.environ.get("TROTH_CACHE_DIR", self.directory / "cache"))
        self.directory.chmod(0o755)  # the network half is another user if we are root
        links.make(str(self.names))
        self.place = place or somewhere(len(labels))
        self.hosts = [Host(self, number, label) for number, label in enumerate(labels)]
        for host, other in permutations(self.hosts, 2) if trust else ():
            host.trusts(other)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, label: str) -> Host:
        return next(host for host in self.hosts if host.label == label)

    def start(self, *options: str) -> None:
        """Start all daemons, at once."""
        for host in self.hosts:
            host.launch(*options)
        for host in self.hosts:
            host.ready()

    def told(self) -> str:
        """What all daemons have said."""
        return "\n".join([f"--- {host.label}\n{host.told()}" for host in self.hosts])

    def cut(self, host: Host) -> None:
        """Take HOST off the network."""
        self.place.cut(host.number)

    def heal(self) -> None:
        """Let everybody reach everybody."""
        self.place.heal()

    def close(self) -> None:
        """End everything, and remove it."""
        for host in self.hosts:
            host.kill()
        self.place.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def somewhere(hosts: int) -> Place:
    """Where HOSTS can live and be cut off."""
    return Loopback(hosts, relays=True) if namespaces_work() else Namespaces(hosts)


def _end_with_us() -> None:
    """Have the system end this process when the test does, however that ends."""
    LIBC.prctl(SET_DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
