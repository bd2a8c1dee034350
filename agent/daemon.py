"""`troth daemon` and `troth serve`, cf-execd and cf-serverd: the process that stays.

It starts runs (runs.py) when they are due, and speaks with peers through its network half
(executor.py). Nothing of a policy is evaluated here: others do that, and print the result.
"""

import asyncio
import fcntl
import os
import signal
import socket
import time
from contextlib import suppress

from agent import clock, signals
from agent.audit import Audit
from agent.control import EXECD, SOCKET, Control
from agent.events import Events
from agent.executor import Executor, listening
from agent.granted import Policy
from agent.memory import Memory
from agent.notify import Notify
from agent.runs import SCHEDULE, Runs, Terms
from agent.timetable import USUAL, Timetable, checked
from policy.classes import BadExpression
from server.wire.transport import BadAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.log import Log
    from agent.options import Settings

WAKE = "wake.sock"
TICK = 0.5  # seconds
JUMP = 10.0  # seconds that a clock may be off before it has jumped
GRACE = 60.0  # seconds that a run may go on when we are asked to end
BRIEF = 2.0  # and under the name of cf-execd, which leaves it alone then
NETWORK_GRACE = 2.0
EXIT_FAILED = 1
MAIL = ("mailto", "smtpserver")


class Refused(Exception):
    """Why the daemon does not start."""


def main(settings: "Settings", log: "Log") -> int:
    """`troth daemon`, `troth serve`, `cf-execd`, `cf-serverd`: 0 when it ended as it was asked."""
    from agent import background

    settings.file = os.path.abspath(settings.file)
    try:
        _sensible(settings)
        locks = _locked(settings)
    except (Refused, BadAddress, OSError) as error:
        log("error", f"{settings.program}: {error}")
        return EXIT_FAILED
    voice, started = background.begin(settings, log)
    if voice is None:
        return started()  # the process that was called; another one goes on
    with asyncio.Runner() as runner:
        status = runner.run(Daemon(settings, voice, started).live())
    for descriptor in locks:
        os.close(descriptor)
    return status


def _sensible(settings: "Settings") -> None:
    """Raise Refused for options that mean nothing."""
    if settings.listen:
        listening(settings.listen)
    if settings.splay and not settings.splay.isdecimal():
        raise Refused(f"--splay '{settings.splay}' is no number of minutes")
    if settings.schedule and (problem := checked(settings.schedule)):
        raise Refused(problem)
    if settings.socket not in ("", "no"):
        raise Refused("not yet supported: option '--with-runagent-socket'")


def _locked(settings: "Settings") -> list[int]:
    """Descriptors that nobody else has locked: two daemons would both sign. Raises Refused."""
    directory = f"{settings.workdir}/state"
    os.makedirs(directory, 0o700, exist_ok=True)
    found = []
    for name in LOCKS[settings.program]:
        descriptor = os.open(f"{directory}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode(errors="replace").strip()
            raise Refused(
                f"another daemon runs on '{settings.workdir}' already (process {holder})"
            ) from None
        found.append(descriptor)
    return found


class Daemon:
    """A daemon. STARTED is called with its exit status once it serves, or cannot."""

    def __init__(self, settings: "Settings", log: "Log", started: "Any") -> None:
        self._settings = settings
        self._log = log
        self._started = started
        self._runs_by_time, self._speaks, self._wakes = ROLES[settings.program]
        self._wakes = self._wakes or settings.wakes
        self._state = f"{settings.workdir}/state"
        self._notify = Notify()
        self._serving = False
        self._ready = not self._speaks
        self._evaluating: asyncio.Task[None] | None = None
        self._again = False
        self._stopping = asyncio.Event()
        self._minute = int(clock.now() // 60)
        self._walls = (clock.now(), _steady())
        self._splayed: asyncio.TimerHandle | None = None
        self._splay = 0.0
        self._waits: list[tuple[str, int]] = []
        self._waited: set[tuple[str, int]] = set()
        self._timetable = Timetable(())

    async def live(self) -> int:
        """Serve until we are asked to end; the exit status."""
        try:
            self._begin()
            await self._control.start()
        except OSError as error:
            self._log("error", f"cannot start: {error}")
            self._started(EXIT_FAILED)
            return EXIT_FAILED
        if self._speaks:
            self._executor.start()
            self._ready = self._executor.keys.identity is None
            self._rung()
        self._reload()
        ticking = asyncio.get_running_loop().create_task(self._tick())
        if self._settings.once:
            self._runs.want("once")
        await self._stopping.wait()
        ticking.cancel()
        await self._end()
        return 0

    def _begin(self) -> None:
        """Open everything. Raises OSError."""
        settings, log = self._settings, self._log
        loop = asyncio.get_running_loop()
        _hold_pid(settings)
        for number, act in (
            (signal.SIGTERM, self._stop), (signal.SIGINT, self._stop), (signal.SIGHUP, self._reload)
        ):  # fmt: skip
            loop.add_signal_handler(number, act)
        self._events = Events(clock.now)
        self._memory = Memory(f"{self._state}/agent.db", clock.now, log)
        self._policy = Policy(settings, log, controls=self._runs_by_time)
        self._runs = Runs(
            loop, settings, log, self._memory, clock.now, self._events, self._run_ended
        )
        self._control = Control(
            f"{self._state}/{SOCKET if self._speaks else EXECD}",
            {"status": self._status, "reload": self._reloaded, "run": self._run}, self._events,
        )  # fmt: skip
        if not self._speaks:
            return
        self._audit = Audit(f"{self._state}/audit.jsonl", clock.now, log)
        self._audit("start", operation=settings.program)
        self._bell = _bell(f"{self._state}/{WAKE}")
        loop.add_reader(self._bell.fileno(), self._rung)
        self._executor = Executor(
            settings, log, self._memory, self._audit, self._events, clock.now, clock.offset,
            self._policy, self._woken, self._network_ready,
        )  # fmt: skip

    # policy

    def _reload(self) -> None:
        """Ask again what policy says; what comes in the meantime is for once more."""
        if self._evaluating is not None:
            self._again = True
            return
        if self._serving:
            self._notify.reloading()
        if self._speaks:
            self._audit.reopen()
        self._evaluating = asyncio.get_running_loop().create_task(self._evaluate())

    async def _evaluate(self) -> None:
        try:
            changed = await self._policy.evaluate()
        except TimeoutError:
            self._log("error", "the policy takes too long to evaluate")
            self._policy.failed, changed = True, False
        finally:
            self._evaluating = None
        self._obey()
        if self._speaks:
            if changed:
                self._audit("reload", object="grants", decision="in force")
            self._executor.granted()
        self._serve()
        if self._serving:
            self._notify.ready()
        if self._again:
            self._again = False
            self._reload()

    def _obey(self) -> None:
        """Take in what `body executor control` says."""
        if not self._runs_by_time:
            return
        said = self._policy.controls
        body = said.get("executor", {})
        expressions = body.get("schedule", USUAL)
        if isinstance(expressions, str):
            expressions = (expressions,)
        if self._settings.schedule:
            expressions = (self._settings.schedule,)
        try:
            self._timetable = Timetable(tuple(expressions), tuple(said.get("classes", ())))
        except BadExpression as error:
            self._log("error", f"schedule: {error}")
        minutes = _number(self._settings.splay or body.get("splaytime"), 0)
        self._splay = 60.0 * minutes * float(said.get("share", 0.0))
        silence = 60.0 * _number(body.get("agent_expireafter"), 120)
        command = body.get("exec_command", "")
        self._runs.terms = Terms(command, silence, said.get("host", ""))
        if any(body.get(name) for name in MAIL):
            self._log("warning", "not yet supported: mail ('mailto' of body executor control)")

    # signals

    def _rung(self) -> None:
        """A run has said something."""
        with suppress(BlockingIOError):
            while self._bell.recv(64):
                pass
        self._executor.sign()
        if self._events.watched:
            self._executor.consumed()

    def _woken(self, why: str) -> None:
        """A signal came that was asked for."""
        if self._wakes and (self._runs_by_time or self._settings.wakes):
            self._runs.want(why, woken=True)
        elif self._speaks and not self._runs_by_time:
            _pass_on(f"{self._state}/{EXECD}", why)

    def _refresh(self) -> None:
        """Somebody has written to the state of this host: see what that means for us."""
        if self._speaks:
            self._executor.sign()
            self._executor.want()
            self._executor.consumed()
        if self._wakes:
            found = signals.waits(self._memory.state)
            self._waits = [(path, until) for path, until, _ in found]
            self._waited &= set(self._waits)

    def _run_ended(self, _status: int) -> None:
        self._memory.changed()
        self._refresh()
        if self._settings.once:
            self._stop()

    # time

    async def _tick(self) -> None:
        """Look at everything that tells nobody when it changes."""
        while True:
            await asyncio.sleep(_pause())
            now = clock.now()
            if self._memory.changed():
                self._refresh()
            if self._speaks:
                self._executor.look()
                self._executor.receiver.again(self._executor.keys.trust, self._executor.now())
                self._executor.network.check()
            self._wait_for_locks(now)
            self._runs.check()
            self._jumped(now)
            self._timed(now)
            if self._evaluating is None and self._policy.changed():
                self._reload()
            if not self._speaks or not self._executor.network.up or self._executor.network.well(10):
                self._notify.alive()

    def _timed(self, now: float) -> None:
        """Start a run if a minute begins in which one is due."""
        minute = int(now // 60)
        if minute == self._minute or self._settings.once or not self._runs_by_time:
            return
        self._minute = minute
        if self._splayed is None and self._timetable.due(now):
            loop = asyncio.get_running_loop()
            self._splayed = loop.call_later(self._splay, self._periodic)

    def _periodic(self) -> None:
        self._splayed = None
        self._runs.want(SCHEDULE)

    def _wait_for_locks(self, now: float) -> None:
        """Start a run if a lock is over that held back a promise with a signal."""
        due = [wait for wait in self._waits if wait[1] <= now and wait not in self._waited]
        if due:
            self._waited.update(due)
            self._runs.want(f"the lock of {due[0][0]} is over", woken=True)

    def _jumped(self, now: float) -> None:
        """Say so if the clock of this host jumped."""
        before, then = self._walls
        steady = _steady()
        self._walls = (now, steady)
        by = (now - before) - (steady - then)
        if abs(by) > JUMP:
            self._log("warning", f"the clock of this host jumped by {by:.0f} s")
            if self._speaks:
                self._audit("clock", reason=f"ours jumped by {by:.0f} s")

    # ready, and the end

    def _network_ready(self) -> None:
        self._ready = True
        self._serve()

    def _serve(self) -> None:
        """Say that we serve, once that is so: the policy was evaluated, the server listens."""
        if self._serving or not self._ready or self._evaluating is not None:
            return
        self._serving = True
        self._notify.ready()
        self._started(0)
        if self._wakes and self._speaks:
            why = self._executor.waiting()
            if why:
                self._woken(why)
        self._memory.changed()
        self._refresh()

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._log("notice", "told twice to end: at once")
            self._runs.end(signal.SIGKILL)
            if self._speaks:
                self._executor.network.kill()
            self._log.flush()
            os._exit(128 + signal.SIGTERM)
        self._stopping.set()

    async def _end(self) -> None:
        """Finish what was begun, as far as there is time."""
        self._notify.stopping()
        self._runs.close()
        self._control.close()
        brief = self._settings.program == "cf-execd"
        network = None
        if self._speaks:
            network = asyncio.get_running_loop().create_task(
                self._executor.network.close(NETWORK_GRACE)
            )
        await self._run_over(BRIEF if brief else GRACE)
        if self._runs.current is not None and not brief:
            self._log("warning", f"the run does not end in {GRACE:.0f} s: it is ended")
            self._runs.end()
            await self._run_over(5.0)
            self._runs.end(signal.SIGKILL)
        if network is not None:
            await network
            self._executor.sign()
            signals.nobody_live(self._memory.state)
            self._audit("stop")
            self._audit.close()
            self._bell.close()
            with suppress(OSError):
                os.unlink(f"{self._state}/{WAKE}")
        if self._evaluating is not None:
            self._evaluating.cancel()
        self._memory.close()

    async def _run_over(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._runs.idle.wait(), seconds)

    # questions of commands on this host

    async def _status(self, _asked: "dict[str, Any]") -> "dict[str, Any]":
        run = self._runs.current
        found: dict[str, Any] = {
            "program": self._settings.program,
            "pid": os.getpid(),
            "policy": self._settings.file,
            "evaluated": not self._policy.failed and self._evaluating is None,
            "run": {"n": run.number, "why": run.why} if run is not None else None,
        }
        if self._speaks:
            found["network"] = {
                "pid": self._executor.network.pid,
                "address": self._executor.address[0],
                "port": self._executor.address[1],
                "lag": self._executor.network.lag,
                "report": await self._executor.report(2.0),
            }
        return found

    async def _reloaded(self, _asked: "dict[str, Any]") -> "dict[str, Any]":
        self._reload()
        return {"done": True}

    async def _run(self, asked: "dict[str, Any]") -> "dict[str, Any]":
        self._runs.want(str(asked.get("why", "asked for"))[:300], woken=bool(asked.get("woken")))
        return {"done": True}


# program: whether it starts runs by time, speaks with peers, and starts runs for signals
ROLES = {
    "daemon": (True, True, True),
    "serve": (False, True, False),
    "cf-execd": (True, False, True),
    "cf-serverd": (False, True, False),
}
SPEAKER, RUNNER = "daemon.lock", "execd.lock"
LOCKS = {
    "daemon": (SPEAKER, RUNNER),
    "serve": (SPEAKER,),
    "cf-execd": (RUNNER,),
    "cf-serverd": (SPEAKER,),
}


def _hold_pid(settings: "Settings") -> None:
    """Write down who we are, for whoever finds the locks taken."""
    for name in LOCKS[settings.program]:
        with open(f"{settings.workdir}/state/{name}", "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")


def _bell(path: str) -> socket.socket:
    """The socket to which runs say that there is something to sign. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bell.setblocking(False)
    old = os.umask(0o177)
    try:
        bell.bind(path)
    finally:
        os.umask(old)
    return bell


def _pass_on(path: str, why: str) -> None:
    """Ask the cf-execd beside us, if there is one, for a run."""
    import json

    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        sock.connect(path)
        sock.send(json.dumps({"op": "run", "why": why, "woken": True}).encode() + b"\n")


def _pause() -> float:
    """Seconds to the next look: soon, and just when a minute begins."""
    return min(TICK, max(0.005, 60 - clock.now() % 60))


def _steady() -> float:
    """Seconds by the clock that does not jump, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _number(value: object, usual: int) -> int:
    """VALUE as a number, the USUAL one if it is none."""
    try:
        return int(str(value))
    except ValueError:
        return usual
