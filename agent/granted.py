"""What policy says about the daemon, asked of other processes: what the server grants (`troth
access`), when runs are due (`troth controls`). Asked again when a file of the policy has changed.
"""

import asyncio
import json
import os
import time

from agent.children import Child, troth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.log import Log
    from agent.options import Settings

LONGEST = 300.0  # seconds that an evaluation may take
LARGEST = 16 * 1024 * 1024
COARSE = 20_000_000  # nanoseconds: how coarse the times of files are
BESIDE = ("def.json", "def_preferred.json")  # files that a policy may have beside its entry


class Policy:
    """What the policy of SETTINGS says. GRANTS and CONTROLS are what it said last, if anything."""

    def __init__(self, settings: "Settings", log: "Log", *, controls: bool) -> None:
        self._settings = settings
        self._log = log
        self._wants_controls = controls
        self._files: tuple[str, ...] = (settings.file,)
        self._seen: tuple[tuple[int, ...] | None, ...] | None = None
        self.grants = b""
        self.document: dict[str, Any] = {}
        self.controls: dict[str, Any] = {}
        self.failed = False

    def changed(self) -> bool:
        """Whether a file of the policy is another one than when it was evaluated."""
        return self._stamps() != self._seen

    async def evaluate(self) -> bool:
        """Ask what it says; whether the grants are other ones now.

        What cannot be evaluated leaves the former in force.
        """
        self._seen = self._stamps()
        begun = time.time_ns()
        jobs = [self._output("access", "--json")]
        if self._wants_controls:
            jobs.append(self._output("controls"))
        told = [_parsed(out) for out in await asyncio.gather(*jobs)]
        self._seen = self._seen if self._seen == self._stamps() else None
        self.failed = any(found is None for _, found in told)
        for _, controls in told[1:]:
            self.controls = self.controls if controls is None else controls
        grants, document = told[0]
        if document is None:
            self._log("error", "the policy cannot be evaluated: what was granted stays in force")
            return False
        new = grants != self.grants
        self.grants, self.document = grants, document
        self._watch(document["files"], begun)
        return new

    @property
    def control(self) -> "dict[str, Any]":
        """What `body server control` says."""
        found: dict[str, Any] = self.document.get("control", {})
        return found

    def _watch(self, files: list[str], begun: int) -> None:
        """Look at FILES from now on; they were read since BEGUN."""
        directory = os.path.dirname(self._settings.file)
        beside = [f"{directory}/{name}" for name in BESIDE]
        extra = f"{self._settings.workdir}/data/host_specific.json"
        names = tuple(dict.fromkeys([self._settings.file, *files, *beside, extra]))
        if names != self._files:
            self._files = names
            if self._seen is not None:
                self._seen = self._stamps()
                times = [stamp[0] for stamp in self._seen if stamp is not None]
                if any(begun - COARSE < when < time.time_ns() for when in times):
                    self._seen = None  # perhaps behind the back of who read it

    async def _output(self, *words: str) -> bytes | None:
        """What `troth WORDS` prints about the policy; None if it does not."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[int] = loop.create_future()
        said = bytearray()
        complaints = bytearray()

        def ended(status: int) -> None:
            if not over.done():
                over.set_result(status)

        settings = self._settings
        defines = ["-D", ",".join(settings.defines)] if settings.defines else []
        negates = ["-N", ",".join(settings.negates)] if settings.negates else []
        argv = troth(*words, *defines, *negates, "-g", "warning", "--", settings.file)
        environ = {**os.environ, "TROTH_WORKDIR": settings.workdir}
        try:
            child = Child(loop, argv, environ, said.extend, ended, complaints.extend)
        except OSError as error:
            self._log("error", f"cannot start 'troth {words[0]}': {error}")
            return None
        try:
            status = await asyncio.wait_for(over, LONGEST)
        except (TimeoutError, asyncio.CancelledError):
            child.end(9)
            raise
        finally:
            child.deaf()
        for line in complaints.decode("utf-8", "replace").splitlines():
            self._log.show(f"policy: {line}", self._log.talk)
        return bytes(said) if not status and 0 < len(said) <= LARGEST else None

    def _stamps(self) -> "tuple[tuple[int, ...] | None, ...]":
        stamps: list[tuple[int, ...] | None] = []
        for name in self._files:
            try:
                found = os.stat(name)
            except OSError:
                stamps.append(None)
                continue
            stamps.append((found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode))
        return tuple(stamps)


def _parsed(out: bytes | None) -> "tuple[bytes, dict[str, Any] | None]":
    """What a program printed, and the object that it is; None if it is none."""
    try:
        found = json.loads(out or b"null")
    except ValueError:
        found = None
    return out or b"", found if isinstance(found, dict) else None
