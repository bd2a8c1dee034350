"""The runs that the daemon starts: one at a time; what asks for one during a run gets one more.

Each is another process, `troth run` started directly, or the command that policy names. What it
says goes to the log and to a file; who says nothing for too long is ended with all its children.
"""

import asyncio
import os
import signal
import time

from agent import history, outputs
from agent.children import Child, troth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.ground import Ground
    from agent.state import State

SCHEDULE = "schedule"
SHELL = "/bin/sh"
REASONS = 16  # for one run that are told apart: peers may have thousands
KILL_SECONDS = 5.0  # between asking a run to end and ending it
RETRIES = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds, after a run for a signal that was killed
ORPHANS = 16  # runs that are over whose children may still say something


class Terms:
    """How runs are started: what policy says of it, or the usual."""

    __slots__ = ("command", "host", "silence")

    def __init__(self, command: str = "", silence: float = 7200.0, host: str = "") -> None:
        self.command = command
        self.silence = silence
        self.host = host


class Run:
    """A run that goes on: NUMBER, WHY it was started, and whether a signal did (WOKEN)."""

    __slots__ = (
        "began", "begun", "child", "heard_at", "last", "lines", "number", "output", "overdue",
        "unwritten", "why", "woken",
    )  # fmt: skip

    def __init__(self, why: str, output: outputs.Output, began: float, *, woken: bool) -> None:
        self.why = why
        self.began = began  # by the wall clock
        self.woken = woken
        self.output = output
        self.number = 0
        self.begun = self.heard_at = time.monotonic()
        self.lines = 0
        self.last = ""
        self.overdue = False
        self.unwritten = False  # whether it was said that its output cannot be written
        self.child: Child | None = None


class Runs:
    """The runs of one daemon. ENDED is called with the status of each."""

    def __init__(self, ground: "Ground", ended: "Callable[[int], None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = ground.settings
        self._log = ground.log
        self._memory = ground.memory
        self._clock = ground.clock
        self._tell = ground.events
        self._ended = ended
        self._asked: dict[str, bool] = {}  # why the next run is wanted, and whether by a signal
        self._failures = 0
        self._count = 0
        self._closed = True  # until `open`
        self._retry: asyncio.TimerHandle | None = None
        self._orphans: list[Child] = []
        self.terms = Terms()
        self.current: Run | None = None
        self.idle = asyncio.Event()
        self.idle.set()

    def want(self, why: str, *, woken: bool = False) -> None:
        """See to it that a run begins from now on: at once, or when the present one ends."""
        if why != SCHEDULE and why not in self._asked and len(self._asked) >= REASONS:
            why = "and more"
        self._asked[why] = woken or self._asked.get(why, False)
        if self.current is None:
            self._start()

    def open(self) -> None:
        """Start what is wanted: it is known by now how."""
        self._closed = False
        if self.current is None:
            self._start()

    def close(self) -> None:
        """Start no more."""
        self._closed = True
        self._asked.clear()
        if self._retry is not None:
            self._retry.cancel()

    def end(self, number: int = signal.SIGTERM) -> None:
        """Ask the present run to end, or with SIGKILL end it."""
        if self.current is not None and self.current.child is not None:
            self.current.child.end(number)

    def check(self) -> None:
        """End a run that says nothing for too long; called once a second."""
        run, silence = self.current, self.terms.silence
        if run is None or not silence or run.child is None:
            return
        silent = time.monotonic() - run.heard_at
        if silent > silence and not run.overdue:
            run.overdue = True
            self._log(
                "error",
                f"timeout waiting for output from agent (agent_expireafter={silence / 60:g})"
                " - terminating it",
            )
            run.child.end()
        elif silent > silence + KILL_SECONDS:
            run.child.end(signal.SIGKILL)

    def _start(self) -> None:
        """Start the run that is wanted."""
        if self._closed or not self._asked:
            return
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        asked, self._asked = self._asked, {}
        now = self._clock()
        self._count += 1
        host = self.terms.host or os.uname().nodename
        directory = f"{self._settings.workdir}/outputs"
        output = outputs.Output(directory, host, now, self._count)
        run = Run(", ".join(asked), output, now, woken=any(asked.values()))
        self.current = run
        self.idle.clear()
        try:
            run.child = Child(
                self._loop, self._command(run, asked), self._environ(run),
                lambda data: self._heard(run, data), lambda status: self._over(run, status),
            )  # fmt: skip
        except OSError as error:
            self._log("error", f"cannot start a run: {error}")
            self.current = None
            self.idle.set()
            self._asked = asked
            self._retry = self._loop.call_later(RETRIES[0], self._start)
            return
        run.child.quiet = lambda: self._quiet(run)
        run.number = history.began(self._memory.state, run.why, now)
        self._tell("run", n=run.number, why=run.why, woken=run.woken)
        self._log("info", f"run {run.number} started: {run.why}")

    def _command(self, run: Run, asked: dict[str, bool]) -> list[str]:
        """What starts RUN."""
        settings = self._settings
        if self.terms.command:
            return [SHELL, "-c", self.terms.command]
        classic = settings.program.startswith("cf-")  # whose -D, -N and -K are for itself
        defines = ["from_cfexecd", *(() if classic else settings.defines)]
        if SCHEDULE in asked:
            defines.append("scheduled_run")
        words = ["run", "-g", settings.level if settings.level in TALK else "notice"]
        words += ["-D", ",".join(defines)]
        if settings.negates and not classic:
            words += ["-N", ",".join(settings.negates)]
        return troth(*words, "--", settings.file)

    def _environ(self, run: Run) -> dict[str, str]:
        environ = {name: value for name, value in os.environ.items() if name != "TROTH_WOKEN"}
        environ["TROTH_WORKDIR"] = self._settings.workdir
        if run.woken:
            environ["TROTH_WOKEN"] = "1"
        return environ

    def _heard(self, run: Run, data: bytes) -> None:
        """Note what RUN says."""
        run.heard_at = time.monotonic()
        self._said(run, data)

    def _said(self, run: Run, data: bytes) -> None:
        """Tell and write down the lines of RUN that are whole with DATA."""
        lines = run.output.lines(data)
        for line in lines:
            run.last = line.decode("utf-8", "surrogateescape").strip()[:500]
            if not outputs.nothing(line):
                run.lines += 1
                text = line.decode("utf-8", "surrogateescape")
                self._log.show(f"agent: {text}", self._log.talk)
        try:
            run.output.write(lines)
        except OSError as error:
            if not run.unwritten:
                self._log("error", f"cannot write the output of run {run.number}: {error}")
            run.unwritten = True

    def _over(self, run: Run, status: int) -> None:
        """RUN has ended with STATUS."""
        self._let_go(run)
        name = run.output.name if run.output.there else ""
        last = run.last.encode("utf-8", "replace").decode()
        self._write_down(run, status, (run.lines, name, last))
        seconds = time.monotonic() - run.begun
        level = "warning" if status < 0 else "info"
        self._log(level, f"run {run.number} ended with status {status} after {seconds:.2f} s")
        self.current = None
        self.idle.set()
        self._again(run, status)
        self._ended(status)
        self._tell("ended", n=run.number, why=run.why, status=status, seconds=round(seconds, 3))
        if self.current is None and self._asked:
            self._start()

    def _write_down(self, run: Run, status: int, told: tuple[int, str, str]) -> None:
        """Note that RUN has ended with STATUS; and that it began, if that could not be noted."""
        ended = self._clock()

        def write(state: "State") -> None:
            run.number = run.number or history.began(state, run.why, run.began)
            history.ended(state, run.number, ended, status, told)

        self._memory.write(write)

    def _let_go(self, run: Run) -> None:
        """Do not wait for what children of RUN may still have to say."""
        if run.child is not None and run.child.heeded:
            self._orphans = [child for child in self._orphans if child.heeded]
            self._orphans.append(run.child)
            while len(self._orphans) > ORPHANS:
                self._orphans.pop(0).deaf()

    def _quiet(self, run: Run) -> None:
        """Nobody can say anything for RUN any more."""
        self._said(run, b"\n")  # the end of a line that was not ended
        run.output.close()

    def _again(self, run: Run, status: int) -> None:
        """A run for a signal that was killed is tried again, a few times, later and later."""
        if not run.woken or status >= 0 or self._closed:
            self._failures = 0
            return
        if self._failures < len(RETRIES):
            delay = RETRIES[self._failures]
            self._failures += 1
            self._retry = self._loop.call_later(delay, self._tried, run.why)

    def _tried(self, why: str) -> None:
        self._retry = None
        self.want(why, woken=True)


TALK = ("info", "verbose", "debug")
