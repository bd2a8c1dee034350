"""The real cf-serverd on an address of its own, and a client that speaks its protocol (TLS 1.3)."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Self

SERVERD = Path(shutil.which("cf-serverd") or "/usr/sbin/cf-serverd")
ADDRESS = "127.0.0.9"
HEADER = 8
LINE = 1024
BUSY = 'maxconnections => "2000"; allowallconnects => { "127.0.0.0/8" };'

POLICY = """
body common control {{ bundlesequence => {{ "main" }}; }}
body server control
{{
  port => "{port}"; bindtointerface => "{address}"; allowconnects => {{ "127.0.0.0/8" }};
  trustkeysfrom => {{ }}; {control}
}}
bundle agent main {{ classes: {classes} }}
bundle server access
{{
  access:
    {access}
    "/nowhere" handle => "none", admit_ips => {{ "127.0.0.1" }};
}}
"""


def installed() -> bool:
    """Whether there is one here."""
    return SERVERD.exists() and shutil.which("openssl") is not None


def program(name: str) -> str:
    """Where the program NAME is."""
    return shutil.which(name) or f"/usr/sbin/{name}"


def environ(home: Path) -> dict[str, str]:
    """The environment in which all of theirs is in HOME."""
    return os.environ | {"CFENGINE_TEST_OVERRIDE_WORKDIR": str(home)}


def free_port(address: str = ADDRESS) -> int:
    """A port that nobody has."""
    with socket.create_server((address, 0)) as found:
        return int(found.getsockname()[1])


class Serverd:
    """A server in the work directory HOME that shares CLASSES by the promises ACCESS."""

    def __init__(
        self, home: Path, classes: tuple[str, ...], access: str, control: str = BUSY
    ) -> None:
        self.home = home
        self.port = free_port()
        self._environ = environ(home)
        self._policy = home / "s.cf"
        self._process: subprocess.Popen[bytes]
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("inputs", "state", "ppkeys", "bin", "outputs"):
            (home / name).mkdir(mode=0o700, exist_ok=True)
        (home / "bin" / "cf-promises").symlink_to(program("cf-promises"))
        promises = [f'"{name}" expression => "any", persistence => "600";' for name in classes]
        self._policy.write_text(
            POLICY.format(
                port=self.port, address=ADDRESS, control=control, access=access,
                classes=" ".join(promises) or '"none" expression => "!any";',
            )
        )  # fmt: skip
        self._policy.chmod(0o600)
        public = home / "ppkeys" / "localhost.pub"
        if not public.exists():
            self._run("cf-key")
        self._run("cf-key", "-t", str(public))
        self._certify()
        self._run("cf-agent", "-Kf", str(self._policy))

    def __enter__(self) -> Self:
        command = [str(SERVERD), "-F", "-f", str(self._policy)]
        with (self.home / "serverd.log").open("wb") as log:
            self._process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection((ADDRESS, self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        raise TimeoutError((self.home / "serverd.log").read_text())

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def processor_seconds(self) -> float:
        """How much of a processor it has used."""
        return processor_seconds(self._process.pid)

    def memory(self) -> int:
        """How many octets of memory it has."""
        return memory(self._process.pid)

    def talker(self, source: str = "") -> Talker:
        """A session with it, from the address SOURCE."""
        return Talker((ADDRESS, self.port), self.home, source)

    def _run(self, *command: str) -> None:
        name, *rest = command
        subprocess.run([program(name), *rest], env=self._environ, check=True, capture_output=True)

    def _certify(self) -> None:
        """A certificate for the host's own key, which is the client's as well."""
        subprocess.run(
            [
                program("openssl"), "req", "-x509", "-new",
                "-key", str(self.home / "ppkeys/localhost.priv"),
                "-subj", "/CN=bench", "-days", "2", "-out", str(self.home / "client.pem"),
            ],
            check=True, capture_output=True,
        )  # fmt: skip


class Talker:
    """A session with a cf-serverd, logged in."""

    def __init__(self, address: tuple[str, int], home: Path, source: str = "") -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(home / "client.pem", home / "ppkeys/localhost.priv")
        raw = socket.create_connection(address, 30, (source, 0) if source else None)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw)
        self._line()
        self.socket.sendall(b"CFE_v3 cf-agent 3.21.0\nIDENTITY USERNAME=root\n")
        if not self._line().startswith(b"OK WELCOME"):
            raise ConnectionError("not welcome")

    def send(self, question: str) -> None:
        """Ask QUESTION."""
        octets = question.encode()
        self.socket.sendall(f"t {len(octets)}".encode().ljust(HEADER, b"\0") + octets)

    def receive(self) -> str:
        """The answer."""
        answer = b""
        while True:
            header = self._exactly(HEADER)
            answer += self._exactly(int(header[2:].rstrip(b"\0")))
            if header[:1] == b"t":
                return answer.decode("utf-8", "replace")

    def ask(self, question: str) -> str:
        """The answer to QUESTION."""
        self.send(question)
        return self.receive()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self.socket.recv(size - len(found))
            if not more:
                raise ConnectionError("the server hung up")
            found += more
        return found

    def _line(self) -> bytes:
        found = b""
        while not found.endswith(b"\n"):
            found += self._exactly(1)
        return found


def processor_seconds(pid: int) -> float:
    """How much of a processor the process PID has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """How many octets of memory the process PID has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def cpu(pid: int) -> float:
    """How many seconds of a processor the first thread of the process PID has had."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
