"""A network half, and a fake executor that speaks with it as SIGNALS.md has it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from server.network import serve
from server.wire import inside, messages
from server.wire.client import Client
from server.wire.handshake import Terms
from server.wire.inside import Granted, Message, Own, Setup, Trust, Trusted
from server.wire.keys import DAEMON_LIFE, Credentials, Identity, certify, digest
from server.wire.signals import Kind, Signal, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from server.wire.limits import Limits
    from server.wire.messages import Signed

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EPOCH = 1_700_000_000_000
RUN = bytes(16)
MINUTE = 60.0
WORLD = "0.0.0.0"  # noqa: S104  # to see that it is refused
GRANT: dict[str, Any] = {
    "type": "context", "name": ".*", "promiser": "", "value": None, "admit": [],
    "admit_hostnames": [], "admit_ips": [], "admit_keys": [], "deny": [], "deny_hostnames": [],
    "deny_ips": [], "deny_keys": [], "ifencrypted": False, "maproot": [], "shortcut": "",
    "report_data_select": None, "handle": "", "comment": "", "bundle": "access", "file": "s.cf",
    "line": 1,
}  # fmt: skip

M = TypeVar("M", bound=Message)


def grant(name: str = ".*", kind: str = "context", **more: Any) -> dict[str, Any]:
    """An access promise; everybody is admitted unless MORE says whom."""
    if not any(key.startswith("admit") for key in more):
        more["admit_ips"] = ["0.0.0.0/0"]
    return GRANT | {"name": name, "promiser": name, "type": kind} | more


def document(*grants: dict[str, Any], **control: Any) -> bytes:
    """The output of `troth access --json`."""
    return json.dumps(
        {
            "format": 1, "policy": "s.cf", "files": ["s.cf"], "control": control,
            "access": grants, "roles": [],
        }
    ).encode()  # fmt: skip


def trusted(identity: Identity, label: str, *addresses: str, **more: Any) -> Trusted:
    """A peer as the executor describes it."""
    fields: dict[str, Any] = {"not_after": 0, "key": identity.public} | more
    return Trusted(id=identity.id, label=label, addresses=addresses, **fields)


class Half:
    """A network half with its executor, in a thread, or in a PROCESS of its own.

    It listens on HOST, does not if that is empty.
    """

    def __init__(
        self, identity: Identity | None = None, *, host: str = "127.0.0.1", psk: bytes = b"",
        process: bool = False, port: int = 0,
        limits: Limits | None = None,
    ) -> None:  # fmt: skip
        self.identity = identity or Identity.new()
        self.heard: list[Message] = []
        self.said: list[str] = []
        self.answer: Callable[[Message], Message | None] = lambda message: None
        self.seq = 0
        self.address = ("", 0)
        self.process: subprocess.Popen[bytes] | None = None
        self._host, self._port, self._psk, self._limits = host, port, psk, limits
        self._new = threading.Condition()
        self._as_process = process

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair()
        if self._as_process:
            self._start(theirs)
        else:
            self._thread = threading.Thread(target=self._run, args=(theirs,))
            self._thread.start()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.static = self.hear(inside.Hello).static
        self.tell(self.setup(self.static))
        if self._host:
            if self._host == WORLD:
                return self  # it does not listen before it knows for whom
            ready = self.hear(inside.Ready, seconds=10)
            self.address = (ready.address, ready.port)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(10)
        self._socket.close()
        if self.process is not None:
            self.process.wait(10)
        else:
            self._thread.join(10)
            assert not self._thread.is_alive()

    def setup(self, static: bytes, **more: Any) -> Setup:
        """What the executor answers to `hello`."""
        certificate = certify(self.identity, static, int(time.time()), DAEMON_LIFE)
        return Setup(
            certificate=certificate.packed(), psk=self._psk,
            listen=(self._host, self._port) if self._host else None, **more,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.pid if self.process is not None else os.getpid()

    # what the executor says

    def tell(self, message: Message) -> None:
        """Say MESSAGE."""
        self._socket.sendall(inside.packed(message))

    def grants(self, *grants: dict[str, Any], **control: Any) -> None:
        """Grant this from now on."""
        self.tell(Granted(document=document(*grants, **control)))

    def trusts(self, *peers: Trusted, enrolling: bool = False) -> None:
        """Trust these from now on."""
        self.tell(Trust(peers=peers, enrolling=enrolling))

    def signal(self, name: str, kind: Kind = "event", life: float = MINUTE, **more: Any) -> Signed:
        """A signal of this host, with the next number."""
        self.seq += 1
        now = int(time.time() * 1000)
        fields: dict[str, Any] = {
            "epoch": EPOCH, "seq": self.seq, "first": self.seq, "run": RUN, "granted": now,
            "expires": 0 if kind == "cancel" else now + int(life * 1000),
        } | more  # fmt: skip
        return sign(
            self.identity,
            Signal(origin=self.identity.public, kind=kind, name=name, **fields),
        )

    def own(self, *names: str, afresh: bool = False, **more: Any) -> None:
        """Set the classes NAMES."""
        self.say([self.signal(name, **more) for name in names], afresh=afresh)

    def say(self, signals: Iterable[Signed], *, afresh: bool = False, epoch: int = EPOCH) -> None:
        """Hand on SIGNALS."""
        rest = tuple(signals)
        while rest or afresh:
            part, rest = rest[: inside.BATCH], rest[inside.BATCH :]
            upto = self.seq - len(rest)
            self.tell(Own(epoch=epoch, upto=upto, signals=part, afresh=afresh))
            afresh = False

    # what the network half says

    def hear(
        self, kind: type[M], holds: Callable[[M], bool] = lambda message: True,
        seconds: float = 5.0,
    ) -> M:  # fmt: skip
        """The first message of KIND, for which HOLDS holds, that nobody has heard yet."""
        end = time.monotonic() + seconds
        with self._new:
            while True:
                for message in self.heard:
                    if isinstance(message, kind) and holds(message):
                        self.heard.remove(message)
                        return message
                if not self._new.wait(end - time.monotonic()) and time.monotonic() >= end:
                    raise AssertionError(f"no {kind.__name__} but {self.heard}, {self.said}")

    def report(self) -> dict[str, Any]:
        """How it is."""
        self.tell(inside.Report(n=1))
        found: dict[str, Any] = json.loads(self.hear(inside.Status).document)
        return found

    # sessions with it

    def client(self, identity: Identity, **more: Any) -> Client:
        """A session of the host with IDENTITY."""
        skew = more.pop("skew", 0)
        life = more.pop("life", 600)
        now = int(time.time()) + skew
        terms = Terms(
            credentials=Credentials.new(identity, now, life), clock=now * 1000, psk=self._psk
        )
        return Client(self.address, terms, digest(self.identity.public), seconds=10, **more)

    def _start(self, theirs: socket.socket) -> None:
        code = "import sys; from server.cli import main; sys.exit(main(None, print))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={"TROTH_HALF": str(theirs.fileno()), "PYTHONPATH": ROOT},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def _run(self, theirs: socket.socket) -> None:
        with asyncio.Runner() as runner:
            self.loop = runner.get_loop()
            self.status = runner.run(serve(theirs, self.said.append, self._limits))

    def _read(self) -> None:
        data = b""
        while True:
            try:
                more = self._socket.recv(1 << 20)
            except OSError:
                return
            if not more:
                return
            data += more
            while len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:4]):
                size = int.from_bytes(data[:4])
                self._heard(inside.from_network.decode(data[4 : 4 + size]))
                data = data[4 + size :]

    def _heard(self, message: Message) -> None:
        answer = self.answer(message)
        if answer is not None:
            self.tell(answer)
        with self._new:
            self.heard.append(message)
            self._new.notify_all()


def seen(answer: messages.AnyAnswer) -> list[str]:
    """The classes in an answer with signals."""
    from server.wire.signals import read

    assert isinstance(answer, messages.Signals), answer
    return [read(signed.body).name for signed in answer.signals]
