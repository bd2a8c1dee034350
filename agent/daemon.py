"""`troth daemon` and `troth serve`, cf-execd and cf-serverd: the process that stays.

It starts runs (runs.py) when they are due, and speaks with peers through its network half
(executor.py). Nothing of a policy is evaluated here: others do that, and print the result.
"""

import asyncio
import os
import signal
from contextlib import suppress

from agent import acts, clock, heard, history, outputs, roles, signals
from agent.audit import Audit
from agent.control import SOCKET, Control, tell
from agent.due import Due
from agent.events import Events
from agent.executor import Executor
from agent.granted import Policy
from agent.ground import Ground
from agent.memory import Memory
from agent.notify import Notify
from agent.receiving import wakeful
from agent.roles import ROLES
from agent.runs import KILL_SECONDS, Runs
from agent.trusting import Keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.log import Log
    from agent.options import Settings

TICK = 0.5  # seconds
GRACE = 60.0  # seconds that a run may go on when we are asked to end
BRIEF = 2.0  # and under the name of cf-execd, which leaves it alone then
NETWORK_GRACE = 2.0
WELL = 10.0  # seconds in which the network half says that it is
HOUR = 3600
EXIT_FAILED = 1


def live(
    settings: "Settings", log: "Log", started: "Callable[[int], int]",
    first: tuple[int, int] | None,
) -> int:  # fmt: skip
    """Be the daemon, whose network half was started as FIRST; the exit status."""
    with asyncio.Runner() as runner:
        return runner.run(Daemon(settings, log, started, first).live())


class Daemon:
    """A daemon. STARTED is called with its exit status once it serves, or cannot."""

    def __init__(
        self, settings: "Settings", log: "Log", started: "Callable[[int], int]",
        first: tuple[int, int] | None,
    ) -> None:  # fmt: skip
        self._first = first
        self._settings = settings
        self._log = log
        self._started = started
        self._role = ROLES[settings.program]
        self._speaks = self._role.speaks
        self._wakes = self._role.wakes or settings.wakes
        self._state = f"{settings.workdir}/state"
        self._notify = Notify()
        self._serving = False
        self._ready = not self._speaks
        self._evaluating: asyncio.Task[None] | None = None
        self._again = False
        self._hour = 0.0
        self._stopping = asyncio.Event()

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
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._mistaken)
        ticking = loop.create_task(self._tick())
        stopping = loop.create_task(self._stopping.wait())
        await asyncio.wait((ticking, stopping), return_when=asyncio.FIRST_COMPLETED)
        if ticking.done():  # a mistake of ours
            self._log("critical", f"cannot go on: {ticking.exception()!r}")
            self._executor.network.kill() if self._speaks else None
            ticking.result()
        ticking.cancel()
        await self._end()
        return 0

    def _mistaken(self, loop: asyncio.AbstractEventLoop, context: "dict[str, Any]") -> None:
        """A mistake of ours, outside of the ticks: say so, and go on."""
        import traceback

        error = context.get("exception")
        told = "".join(traceback.format_exception(error)) if error else context["message"]
        self._log("critical", f"a mistake in troth, please report it: {told}")

    def _begin(self) -> None:
        """Open everything. Raises OSError."""
        settings, log = self._settings, self._log
        loop = asyncio.get_running_loop()
        for number, act in (
            (signal.SIGTERM, self._stop), (signal.SIGINT, self._stop), (signal.SIGHUP, self._anew)
        ):  # fmt: skip
            loop.add_signal_handler(number, act)
        self._events = Events(clock.now)
        self._memory = Memory(f"{self._state}/agent.db", clock.now, log)
        ground = self._ground = Ground(settings, log, self._memory, self._events, clock.now)
        if self._wakes:  # nobody else starts runs on this work directory
            self._memory.write(lambda state: history.lost(state, clock.now()))
        self._policy = Policy(settings, log, controls=self._role.by_time)
        self._runs = Runs(ground, self._run_ended)
        self._due = Due(ground, self._runs)
        self._control = Control(
            f"{self._state}/{SOCKET if self._speaks else roles.EXECD}",
            {"status": self._status, "reload": self._reloaded, "run": self._run}, self._events,
        )  # fmt: skip
        if not self._speaks:
            return
        self._audit = ground.audit = Audit(f"{self._state}/audit.jsonl", clock.now, log)
        self._audit("start", operation=settings.program)
        self._bell = roles.bell(f"{self._state}/{roles.WAKE}")
        loop.add_reader(self._bell.fileno(), self._rung)
        self._executor = Executor(
            ground, self._policy, self._woken, self._network_ready, self._first
        )

    # policy

    def _anew(self) -> None:
        """Read everything again: policy, whom we trust, and our key."""
        if self._speaks:
            self._executor.keys.forget()
            self._executor.look()
        self._reload()

    def _reload(self) -> None:
        """Ask again what policy says; what comes in the meantime is for once more."""
        if self._stopping.is_set():
            return
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
        if self._role.by_time:
            self._due.obey(self._policy.controls)
        if self._speaks:
            if changed:
                self._log("info", "what policy grants is in force")
                self._audit("reload", object="grants", decision="in force")
            self._executor.granted()
        if not self._stopping.is_set():
            self._runs.open()
        self._serve()
        if self._serving:
            self._notify.ready()
        if self._again:
            self._again = False
            self._reload()

    # signals

    def _rung(self) -> None:
        """A run has said something, or somebody has changed whom this host trusts."""
        with suppress(BlockingIOError):
            while self._bell.recv(64):
                pass
        self._executor.sign()
        self._executor.look()
        self._executor.consumed()

    def _woken(self, why: str) -> None:
        """A signal came that was asked for."""
        if self._wakes:
            self._runs.want(why, woken=True)
            return
        try:
            tell(self._settings.workdir, "run", roles.EXECD, why=why, woken=True)
        except OSError as error:
            self._log("warning", f"cannot ask cf-execd for a run, {why}: {error}")

    def _refresh(self) -> None:
        """Somebody has written to the state of this host: see what that means for us."""
        if self._speaks:
            self._executor.sign()
            self._executor.want()
            self._executor.consumed()
        if self._wakes:
            self._due.note_locks()

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
            self._due.locks(now)
            self._runs.check()
            self._jumped(now)
            if self._role.by_time:
                self._due.minute(now)
            if self._evaluating is None and self._policy.changed():
                self._reload()
            if now // HOUR != self._hour:
                self._hour = now // HOUR
                self._tidy(now)
            if (
                not self._speaks
                or not self._executor.network.up
                or self._executor.network.well(WELL)
            ):
                self._notify.alive()

    def _tidy(self, now: float) -> None:
        """Forget what is old; called once an hour."""
        for table in (signals, heard, acts):
            table.prune(self._memory.state, int(now * 1000))
        refusals = outputs.prune(f"{self._settings.workdir}/outputs", now)
        if refusals:
            self._log("warning", f"cannot remove old outputs, {len(refusals)}: {refusals[0]}")
        if self._speaks:
            self._executor.want()

    def _jumped(self, now: float) -> None:
        """Say so if the clock of this host jumped."""
        by = self._due.jumped(now)
        if by:
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
        if self._wakes and (why := self._waiting()):
            self._woken(why)
        if self._settings.once:
            self._runs.want("once")
        self._memory.changed()
        self._refresh()

    def _waiting(self) -> str:
        """Why a run is due at the start, "" if for nothing; whoever spoke with the peers."""
        if self._speaks:
            keys = self._executor.keys
        else:
            keys = Keys(self._ground)
            keys.read()
        return wakeful(self._memory, keys.trust, self._ground.now())

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
        brief = self._settings.program == "cf-execd"
        await self._run_over(BRIEF if brief else GRACE)
        if self._runs.current is not None and not brief:
            self._log("warning", f"the run does not end in {GRACE:.0f} s: it is ended")
            self._runs.end()
            await self._run_over(KILL_SECONDS)
            self._runs.end(signal.SIGKILL)
        if self._speaks:
            self._rung()  # what it said last
            await self._executor.network.close(NETWORK_GRACE)
            self._memory.write(heard.nobody_live)
            self._audit("stop")
            self._audit.close()
            asyncio.get_running_loop().remove_reader(self._bell.fileno())
            self._bell.close()
            with suppress(OSError):
                os.unlink(f"{self._state}/{roles.WAKE}")
        if self._evaluating is not None:
            self._evaluating.cancel()
        self._control.close()
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
            "defines": self._settings.defines,
            "evaluated": not self._policy.failed and self._evaluating is None,
            "ending": self._stopping.is_set(),
            "run": {"n": run.number, "why": run.why} if run is not None else None,
        }
        if self._speaks:
            found["network"] = {
                "pid": self._executor.network.pid,
                "address": self._executor.address[0],
                "port": self._executor.address[1],
                "problem": self._executor.problem,
                "lag": self._executor.network.lag,
                "report": await self._executor.report(2.0),
            }
        return found

    async def _reloaded(self, _asked: "dict[str, Any]") -> "dict[str, Any]":
        self._anew()
        return {"done": True}

    async def _run(self, asked: "dict[str, Any]") -> "dict[str, Any]":
        self._runs.want(str(asked.get("why", "asked for"))[:300], woken=bool(asked.get("woken")))
        return {"done": True}


def _pause() -> float:
    """Seconds to the next look: soon, and just when a minute begins."""
    return min(TICK, max(0.005, 60 - clock.now() % 60))
