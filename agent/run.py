"""What one run of the agent is made of, and what its actuators and functions ask it for."""

import os

from agent import bundle as bundles
from agent.actuators import actuator
from agent.outcome import OUTCOMES, Outcome
from policy import functions
from policy.context import Context, Frame
from policy.errors import Aborted, Fatal, Unresolved
from policy.evaluate import evaluate as worth
from policy.plan import evaluated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.actuators.packages.lists import Lists
    from agent.exchange import Exchange
    from agent.host import Host
    from agent.locks import Locks
    from agent.log import Log
    from agent.options import Settings
    from agent.outcome import Change
    from agent.planned import Planned
    from agent.promise import Promise
    from agent.promise_modules import Module
    from agent.state import State
    from policy import load
    from policy.context import Callee
    from policy.plan import Bundle, Plan, Written

TRUE = frozenset(("true", "yes", "on"))
FUNCTIONS = "agent.functions"  # where those that look at the host live


class Run:
    """What the promises of one run share: the host, the context, the plan, what is done already."""

    def __init__(self, settings: "Settings", host: "Host", log: "Log", ctx: Context) -> None:
        self.settings = settings
        self.host = host
        self.log = log
        self.ctx = ctx
        self.workdir: str = settings.workdir
        self.plan: Plan = None  # type: ignore[assignment]  # set when the policy is loaded
        self.loader: load.Loader = None  # type: ignore[assignment]  # as above
        self.dry = settings.dry
        self.planned: Planned | None = None
        self.state: State | None = None
        self.locks: Locks | None = None
        self.control: dict[str, Any] = {}
        self.if_elapsed = 1
        self.expire_after = 120
        self.top_down = False
        self.seen: set[Any] = set()
        self.done: set[str] = set()
        self.edit: Any = None
        self.results: dict[str, str] = {}
        self.afterwards: list[tuple[str, str]] = []  # log lines for when the promise has ended
        self.counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
        self.left_alone = 0  # promises whose locks say that it is too early
        self.children: list[int] = []
        self.modules: dict[str, Module] = {}
        self.packages: Lists | None = None
        self.aborting = ""
        self.invalid = False  # the policy could not be used
        self.abandoned: set[Frame] = set()
        self.firing: Promise | None = None  # the promise whose outcome sets classes
        self._exchange: Exchange | None = None
        self._held: list[tuple[str, str]] | None = None
        self._abort: tuple[str, ...] = ()
        self._abandon: tuple[str, ...] = ()
        ctx.special = self.special
        ctx.variable_kept = self.variable_kept
        ctx.agent = self

    # signals

    def exchange(self) -> "Exchange":
        """What this run has to do with signals."""
        if self._exchange is None:
            from agent.exchange import Exchange

            self._exchange = Exchange(self)
        return self._exchange

    def close_exchange(self) -> None:
        """Write down what of signals is to be remembered."""
        if self._exchange is not None:
            self._exchange.close()

    # what actuators and functions ask for

    def actuator(self, kind: str) -> "Any":
        """What keeps promises of type KIND."""
        found = _ACTUATORS.get(kind)
        if found is None:
            if kind in self.plan.custom:
                kind = "custom"
            found = _ACTUATORS[kind] = actuator(kind)
        return found

    def perform(
        self, found: "Bundle", args: "tuple[Any, ...]" = (), *, inherit: bool = False
    ) -> Outcome:
        """Evaluate a bundle as a `methods` promise does; `results` holds what it returned."""
        outer, self.results = self.results, {}
        try:
            return bundles.perform(found, args, self, inherit=inherit)
        finally:
            returned, self.results = self.results, outer
            self.results = returned

    def call(
        self, name: str, args: "tuple[Any, ...]", *,
        kind: str = "agent", inherit: bool = False, edit: "Any" = None, label: str = "",
    ) -> Outcome:  # fmt: skip
        """Evaluate the bundle NAME of type KIND with ARGS, EDIT being what its promises work on.

        LABEL is what messages call it. Raises Fatal if there is no such bundle.
        """
        found = self.plan.bundle(name, self.ctx.frame.namespace, kind)
        if found is None:
            raise Fatal(f"There is no {kind} bundle '{name}' for {label or 'this promise'}")
        return bundles.perform(found, args, self, inherit=inherit, edit=edit)

    def say(self, text: str) -> None:
        """Print TEXT, a line of what policy has to report."""
        self.log.say(text)

    def result(self, index: str, text: str) -> None:
        """Keep TEXT as what this bundle returns under INDEX."""
        self.results[index] = text

    def prepare_all(self) -> None:
        """Evaluate the variables of all bundles, because somebody lists variables."""
        self.loader.prepare_all()

    def bundles(self) -> dict[str, tuple[str, ...]]:
        """The bundles of the policy as `ns:name`, with the tags of their `meta` promises."""
        found = {}
        for (kind, _), bundle in self.plan.bundles.items():
            if kind in ("agent", "common"):
                found[f"{bundle.namespace}:{bundle.name}"] = self._tags(bundle)
        return found

    def _tags(self, bundle: "Bundle") -> tuple[str, ...]:
        """The tags that `meta: "tags" slist =>` gives a bundle."""
        for written in bundle.sections.get("meta", ()):
            if written.promiser == "tags":
                for name, value in written.attributes:
                    if name in ("slist", "string"):
                        found = worth(value, self.ctx)
                        return found if type(found) is tuple else tuple(str(found).split(","))
        return ()

    def promisers(self) -> list[str]:
        """The promisers of the calls that led here, outermost first."""
        return [frame.promiser for frame in self.ctx.frames() if frame.promiser]

    def set_class(self, name: str, tags: tuple[str, ...]) -> None:
        """Define a class for all bundles of the namespace."""
        self.ctx.set_class(name, tags)

    def special(self, name: str) -> str | None:
        """`$(this.NAME)` of the promise being evaluated."""
        find = _SPECIAL.get(name)
        return None if find is None else find(self)

    def variable_kept(self, written: "Written") -> None:
        """Set the classes that follow from a `vars` promise that was kept."""
        for name, value in written.attributes:
            if name == "classes":
                from agent.promise import Promise, fire

                promise = Promise(written, "", {"classes": evaluated(value, self.ctx)})
                fire(promise, Outcome.KEPT, self)

    # info lines that are held back until it is known whether they matter

    def buffer_info(self) -> None:
        """Hold info lines back from now on."""
        self.log.hold()

    def release_info(self, show: bool) -> None:
        """Print the info lines held back if SHOW, else forget them."""
        self.log.release(show)

    def announced(self, step: "Change", promise: "Promise") -> None:
        """Note a change that policy only wants to be warned of."""
        if self.planned is not None:
            self.planned.note(step, promise)

    def in_background(self, promise: "Promise", lock: bytes | None) -> Outcome:
        """Keep PROMISE in a child; the run goes on without an outcome of it.

        The child holds the lock: it is written down before it starts, and given back at its end.
        """
        from agent.promise import converge, ending

        if self.planned is not None or self.dry:
            return converge(promise, self, lock)
        self.log.flush()
        act = promise.act
        if lock is not None and self.locks is not None and not self.locks.begin(lock, act):
            return Outcome.SKIPPED
        child = os.fork()
        if child:
            self.children.append(child)
            return Outcome.SKIPPED
        status = 1
        try:
            outcome = converge(promise, self)
            self.tell_afterwards()
            if lock is not None and self.locks is not None:
                self.locks.finish(lock, changed=True, act=act, ending=ending(outcome))
            status = int(outcome > Outcome.REPAIRED)
        except Exception as error:  # the top of this process: say it, the run outside goes on
            self.log("critical", f"{promise.type} promise '{promise.promiser}': {error!r}")
        finally:
            self.log.flush()
            os._exit(status)

    def tell_afterwards(self) -> None:
        """Log what was to wait for the end of the promise."""
        while self.afterwards:
            self.log(*self.afterwards.pop(0))

    # aborts

    def watch(self) -> None:
        """Look out for the classes that end the run or the bundle that they are defined in."""
        self._abort = words(self.control.get("abortclasses"))
        self._abandon = words(self.control.get("abortbundleclasses"))
        if self._abort or self._abandon:
            others = self.ctx.defined_now

            def told(name: str) -> None:
                others(name)
                self.class_defined(name)

            self.ctx.defined_now = told
            for name in [*self.ctx.hard, *self.ctx.soft] if self._abort else ():
                self.class_defined(name)

    def class_defined(self, name: str) -> None:
        """End the run or the bundle if policy says that the class NAME does."""
        from policy import classes, regexp

        if any(regexp.full(pattern, name) for pattern in self._abort):
            if not self.aborting:
                self.log("notice", f"cf-agent aborted on defined class '{name}'")
            self.aborting = name
            return
        frame = self.ctx.frame
        for pattern in self._abandon:
            if regexp.full(pattern, name):
                self.log("error", f"Bundle '{frame.bundle}' aborted on defined class '{name}'")
                self.abandoned.add(frame)
                return
        for expression in self._abandon:
            try:
                met = classes.holds(expression, self.ctx)
            except classes.BadExpression as error:
                self.log("error", str(error))
                continue
            if met and frame not in self.abandoned:
                self.log("error", f"Setting abort for '{expression}' when setting class '{name}'")
                self.abandoned.add(frame)

    def stop_if_aborting(self) -> None:
        """Raise Aborted if a class asked for the end of the run."""
        if self.aborting:
            raise Aborted(self.aborting)


_ACTUATORS: "dict[str, Any]" = {}


def words(value: "Any") -> tuple[str, ...]:
    """A list, or the one item that stands for it."""
    return () if value is None else (value,) if type(value) is str else tuple(value)


def _place(run: Run) -> str:
    """The file of the promise being evaluated, made absolute but not normalised."""
    path: str = run.ctx.written.path if run.ctx.written is not None else ""
    return path if path.startswith("/") else f"{run.host.getcwd()}/{path}"


def _handle(run: Run) -> str | None:
    from agent.promise import handle

    written = run.ctx.written
    return handle(written, run.ctx) if hasattr(written, "bundle") else None


def _caller(run: Run) -> str | None:
    caller = run.ctx.frame.caller
    return f"{caller.namespace}:{caller.bundle}" if caller is not None and caller.bundle else None


def _service_policy(run: Run) -> str | None:
    """What a `services` promise wants of its service."""
    written = run.ctx.written
    if getattr(written, "type", "") != "services":
        return None
    wanted = dict(written.attributes).get("service_policy", "start")
    return str(evaluated(wanted, run.ctx))


_SPECIAL: "dict[str, Callable[[Run], str | None]]" = {
    "bundle": lambda run: run.ctx.frame.bundle,
    "namespace": lambda run: run.ctx.frame.namespace,
    "calling_bundle": _caller,
    "handle": _handle,
    "promise_filename": _place,
    "promise_dirname": lambda run: _place(run).rpartition("/")[0] or "/",
    "promise_linenumber": lambda run: str(run.ctx.written.line) if run.ctx.written else None,
    "service_policy": _service_policy,
    "signals": lambda run: "",
    "promiser_uid": lambda run: str(run.host.uid),
    "promiser_gid": lambda run: str(run.host.gid),
    "promiser_pid": lambda run: str(run.host.pid),
    "promiser_ppid": lambda run: str(run.host.ppid),
}


def function(name: str) -> "Callee":
    """The function NAME, its flags, its number of arguments. Raises Unresolved if unsupported."""
    signature = functions.SIGNATURES.get(name)
    if signature is None:
        raise Unresolved(name)
    _, params, _, flags = signature
    try:
        found = functions.implementation(name, FUNCTIONS)
    except functions.Unsupported:
        return _unsupported(name), "", -1
    count = -1 if "V" in flags else len(params.split())
    return found, flags, count


def _unsupported(name: str) -> "Any":
    """A function that says that it is not there, and has no value."""

    def say(ctx: Context, *_args: "Any") -> "Any":
        level = "error" if ctx.pass_number else "verbose"  # before the run, nobody may need it
        ctx.log(level, f"not yet supported: function '{name}'")
        raise Unresolved(name)

    return say
