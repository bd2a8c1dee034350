"""One run of the agent: facts, policy, the bundles of the sequence, and what is remembered."""

import os
import stat

from agent import bundle as bundles
from agent.actuators import actuator
from agent.outcome import OUTCOMES, Outcome, merge
from policy import cache, functions, load
from policy.context import Context, Frame, Scope, Variable
from policy.errors import Aborted, Fatal, PolicyError, Unresolved
from policy.evaluate import evaluate as worth
from policy.plan import evaluated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.host import Host
    from agent.locks import Locks
    from agent.log import Log
    from agent.options import Settings
    from agent.outcome import Change
    from agent.planned import Planned
    from agent.promise import Promise
    from agent.promise_modules import Module
    from agent.state import State
    from policy.context import Callee
    from policy.plan import Bundle, Plan, Written

TRUE = frozenset(("true", "yes", "on"))
HARD = ("source=agent", "hardclass")
JQ = "jq --compact-output --monochrome-output --ascii-output --unbuffered --sort-keys"
MODES = {
    "error": "error_mode",
    "warning": "warning_mode",
    "notice": "notice_mode",
    "info": "inform_mode",
    "verbose": "verbose_mode",
    "debug": "debug_mode",
}
FUNCTIONS = "agent.functions"  # where those that look at the host live
EXIT_FAILED = 1
EXIT_ABORTED = 6


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
        self.children: list[int] = []
        self.modules: dict[str, Module] = {}
        self.aborting = ""
        self.invalid = False  # the policy could not be used
        self.abandoned: set[Frame] = set()
        self._held: list[tuple[str, str]] | None = None
        self._abort: tuple[str, ...] = ()
        self._abandon: tuple[str, ...] = ()
        ctx.special = self.special
        ctx.variable_kept = self.variable_kept
        ctx.agent = self

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
        """Keep PROMISE in a child; the run goes on without an outcome of it."""
        from agent.promise import converge

        if self.planned is not None or self.dry:
            return converge(promise, self, lock)
        self.log.flush()
        child = os.fork()
        if child:
            self.children.append(child)
            return Outcome.SKIPPED
        status = 1
        try:
            self.state = None
            status = int(converge(promise, self) > Outcome.REPAIRED)
            self.tell_afterwards()
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
        self._abort = _words(self.control.get("abortclasses"))
        self._abandon = _words(self.control.get("abortbundleclasses"))
        if self._abort or self._abandon:
            self.ctx.defined_now = self.class_defined
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


def _words(value: "Any") -> tuple[str, ...]:
    """A list, or the one item that stands for it."""
    return () if value is None else (value,) if type(value) is str else tuple(value)


def _place(run: Run) -> str:
    """The file of the promise being evaluated, made absolute but not normalised."""
    path: str = run.ctx.written.path if run.ctx.written is not None else ""
    return path if path.startswith("/") else f"{run.host.getcwd()}/{path}"


def _handle(run: Run) -> str | None:
    from agent.promise import handle

    written = run.ctx.written
    return handle(written) if hasattr(written, "bundle") else None


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
    "promiser_uid": lambda run: str(run.host.uid),
    "promiser_gid": lambda run: str(run.host.gid),
    "promiser_pid": lambda run: str(run.host.pid),
    "promiser_ppid": lambda run: str(run.host.ppid),
}


def _function(name: str) -> "Callee":
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


def reader(host: "Host", *, trusting: bool = False) -> "load.Reader":
    """What reads policy files; unless TRUSTING, none that others may write."""

    def read(path: str) -> bytes:
        found = host.stat(path)
        if found is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        if found.st_mode & 0o170000 == 0o040000:
            raise load.Refused(f"Can't parse directory '{path}'.")
        if found.st_mode & 0o022 and not trusting:
            raise load.Refused(
                f"File {path} (owner {found.st_uid}) is writable by others (security exception)"
            )
        return host.read(path)

    return read


def prepare(settings: "Settings", host: "Host", log: "Log", *, component: str = "agent") -> Run:
    """A run with its facts and classes, before any policy is read."""
    from agent import facts

    now = settings.now
    hard, known = facts.gather(
        host, now, settings.timezone, settings.workdir,
        component=component, entry=settings.file,
    )  # fmt: skip
    ctx = Context(hard=hard, facts=known, now=now, log=log, host=host, function=_function)
    run = Run(settings, host, log, ctx)
    for name in settings.defines:
        ctx.soft[name.removeprefix("default:")] = ("source=environment",)
    if run.dry:
        hard.add("opt_dry_run", HARD)
    for level, mode in MODES.items():
        if log.wants(level):
            hard.add(mode, HARD)
    if log.wants("verbose"):
        from agent import transcript

        ctx.announce = transcript.announcer(run)
    if log.wants("debug"):
        hard.add("opt_debug", HARD)
    ctx.define("def.jq", JQ, "string", ("invocation", "source=agent", "command_name=jq"))
    _remembered(run)
    _augmented(run)
    return run


def _remembered(run: Run) -> None:
    """Open the state, and define the persistent classes that are still alive."""
    from agent.state import State

    settings, ctx = run.settings, run.ctx
    run.state = State(f"{run.workdir}/state/agent.db", run.log, int(settings.now))
    for name, tags in run.state.classes().items():
        if name not in settings.negates:
            ctx.soft[name] = tags
    ctx.persist = _persist(run)


def _persist(run: Run) -> "Any":
    """What keeps a class beyond the run, or forgets it."""

    def persist(name: str, minutes: int, timer: str, tags: tuple[str, ...]) -> None:
        state = run.state
        if state is None or run.dry or run.planned is not None:
            return
        if minutes:
            state.persist(name, minutes, timer, tags)
        else:
            state.forget(name)

    return persist


def _augmented(run: Run) -> None:
    """Take in the data files beside the policy."""
    settings = run.settings
    host_data = f"{run.workdir}/data/host_specific.json"
    directory = settings.file.rpartition("/")[0] or "."
    if not settings.no_host_data and run.host.exists(host_data):
        from agent import augments

        augments.load_host_data(run.ctx, host_data, run.log)
    if settings.no_augments:
        return
    names = ("def.json",) if settings.ignore_preferred else ("def_preferred.json", "def.json")
    for name in names:
        found = run.host.stat(f"{directory}/{name}")
        if found is not None and stat.S_ISREG(found.st_mode):
            from agent import augments

            augments.load_augments(run.ctx, f"{directory}/{name}", run.log)
            return


def load_policy(run: Run, *, trusting: bool = False) -> None:
    """Load the policy of RUN. Raises PolicyError, Refused, OSError, Fatal."""
    root = cache.directory(run.host.environ, run.host.uid)
    run.loader = load.Loader(
        run.ctx, reader(run.host, trusting=trusting), cache.Cache(root, run.host.uid), FUNCTIONS
    )
    run.plan = run.loader.plan
    run.loader.load(run.settings.file)
    for kind in ("common", "agent"):
        for body in run.plan.controls.get(kind, ()):
            values = load.control(body, run.ctx)
            run.control.update(values)
            for name, value in values.items():
                if isinstance(value, (str, tuple)) and name != "bundlesequence":
                    kind_of_value = "string" if isinstance(value, str) else "slist"
                    run.ctx.define(f"control_{kind}.{name}", value, kind_of_value)
    _about_policy(run)


def _about_policy(run: Run) -> None:
    """Define what `sys` says of the policy itself: its version and its release."""
    tags = ("source=agent",)
    put = run.ctx.facts.put  # type: ignore[attr-defined]  # the facts of this host, as gathered
    if "version" in run.control:
        put("policy_version", Variable(run.control["version"], "string", tags))
    directory = run.settings.file.rpartition("/")[0] or "."
    mark = f"{directory}/cf_promises_release_id"
    release = ""
    if run.host.exists(mark):
        from policy.json_text import parse_json

        try:
            release = parse_json(run.host.read(mark).decode("utf-8", "replace")).get(
                "releaseId", ""
            )
        except (OSError, ValueError, AttributeError) as error:
            run.log("verbose", f"cannot read the release in '{mark}': {error}")
    entry = run.ctx.facts.get("policy_entry_dirname")
    where = entry.value if entry is not None else directory
    put("policy_release_id", Variable(f"{where}/{release}", "string", tags))


def obey(run: Run) -> None:
    """Do what the control bodies say about the run itself."""
    control, ctx = run.control, run.ctx
    run.dry = run.dry or control.get("dryrun") in TRUE
    run.if_elapsed = int(control.get("ifelapsed", run.if_elapsed))
    run.expire_after = int(control.get("expireafter", run.expire_after))
    run.top_down = control.get("evaluation_order") == "top_down"
    ctx.cache_functions = control.get("cache_system_functions", "true") in TRUE
    for name in _words(control.get("addclasses")):
        ctx.soft.setdefault(name, ("source=environment",))
    for setting in _words(control.get("environment")):
        name, _, value = setting.partition("=")
        run.host.environ[name] = value
    for switch, level in (("verbose", "verbose"), ("inform", "info")):
        if control.get(switch) in TRUE:
            run.log.at_least(level)
    if control.get("output_prefix"):
        run.log.prefix = f"{control['output_prefix']} "
    if not run.dry and run.state is not None:
        from agent.locks import Locks

        run.locks = Locks(run.state, run.settings.now, run.log, ignored=run.settings.no_locks)
    if "domain" in control:
        from agent.facts.identity import qualify

        qualify(control["domain"], ctx.hard, ctx.facts)  # type: ignore[arg-type]  # as gathered
    run.watch()


def sequence(run: Run) -> "list[tuple[str, tuple[Any, ...]]]":
    """The bundles to evaluate, with their arguments."""
    if run.settings.bundles:
        run.log("info", "Using command line specified bundlesequence")
        return [(name, ()) for name in run.settings.bundles]
    wanted = run.control.get("bundlesequence")
    if wanted is None:
        return [("main", ())]
    found: list[tuple[str, tuple[Any, ...]]] = []
    bodies = run.plan.controls.get("common")
    run.ctx.written = bodies[-1] if bodies else None
    for item in wanted[1:]:
        if type(item) is tuple and item[0] == "bundle":
            found.append(evaluated(item, run.ctx))
            continue
        for name in worth(("list", item), run.ctx):
            value = run.ctx.lookup(name[2:-1]) if name[:2] in ("$(", "${") else None
            names = value if type(value) is tuple else (name,)
            found += [(one, ()) for one in names]
    return found


def bundle_of(run: Run, name: str) -> "Bundle | None":
    """The bundle of the sequence that is called NAME; None if it may be missing. Raises Fatal."""
    found = run.plan.bundle(name, "default", "agent", "common")
    if found is not None:
        return found
    if run.control.get("ignore_missing_bundles") in TRUE:
        return None
    if run.settings.bundles:
        run.log("error", f"Bundle '{name}' listed in the bundlesequence was not found")
        raise Fatal("Errors in agent bundles")
    run.log("error", f"Bundle '{name}' listed in the bundlesequence is not a defined bundle")
    raise Fatal("Errors in promise bundles: could not verify bundlesequence")


def evaluate(run: Run) -> Outcome:
    """Evaluate the bundles of the sequence; what they came to. Raises Fatal, Aborted."""
    outcome = Outcome.SKIPPED
    wanted = [(bundle_of(run, name), args) for name, args in sequence(run)]
    run.ctx.frame = Frame("", "default", Scope())
    for found, args in wanted:
        if found is not None:
            run.stop_if_aborting()
            outcome = merge(outcome, bundles.perform(found, args, run, sequence=True))
    return outcome


def finish(run: Run) -> None:
    """End modules, wait for children and write down what is to be remembered."""
    for module in run.modules.values():
        module.end(run.log)
    for child in run.children:
        os.waitpid(child, 0)
    if run.state is not None:
        run.state.close()


def execute(run: Run) -> int:
    """Load, evaluate, finish: the exit status of `cf-agent`."""
    try:
        if not _loaded(run):
            run.invalid = True
            return EXIT_FAILED
        obey(run)
        evaluate(run)
    except Fatal as error:
        run.log("error", f"Fatal CFEngine error: {error}")
        return EXIT_FAILED
    except Aborted:
        return EXIT_ABORTED
    finally:
        finish(run)
    return 0


def _loaded(run: Run) -> bool:
    """Load the policy; if it cannot be used, say why."""
    try:
        load_policy(run)
    except PolicyError as error:
        run.log.mistakes(error)
    except load.Refused as error:
        run.log("error", str(error))
    except FileNotFoundError as error:
        path = error.filename
        run.log("error", f"Can't stat file '{path}' for parsing. (stat: {error.strerror})")
    except OSError as error:
        run.log("error", f"cannot read policy: {error}")
    else:
        return True
    return False


def _failsafe(run: Run) -> int:
    """What the policy `failsafe.cf` ends with, if there is one and nobody is looking on."""
    settings = run.settings
    spare = f"{run.workdir}/inputs/failsafe.cf"
    if settings.file == spare or not run.host.exists(spare) or any(map(os.isatty, (0, 1, 2))):
        return EXIT_FAILED
    run.log("error", f"the policy cannot be used, so going to failsafe: '{spare}'")
    defines = (*settings.defines, "failsafe_fallback")
    again = type(settings)({**settings.__dict__, "file": spare, "defines": defines})
    return execute(prepare(again, run.host, run.log))


def main(settings: "Settings", log: "Log") -> int:
    """`troth run`, `troth plan` and `cf-agent`: the exit status of each."""
    from agent.host import Host

    if settings.plan:
        return plan(settings, log)
    run = prepare(settings, Host(), log)
    status = execute(run)
    if run.invalid and settings.program == "cf-agent":
        return _failsafe(run)
    if settings.show_classes is not None or settings.show_vars is not None:
        from agent import tables

        tables.show(run, settings.show_classes, settings.show_vars)
    if settings.program == "cf-agent" or status:
        return status
    from agent import report

    report.ran(run)
    return exit_bits(run, run.counts[Outcome.REPAIRED] > 0 and settings.detailed_exitcode)


def plan(settings: "Settings", log: "Log") -> int:
    """`troth plan`: what a run would change, on an overlay of this host."""
    from agent import report
    from agent.host import overlay
    from agent.planned import Planned

    run = prepare(settings, overlay.Overlay(), log)
    run.planned = Planned()
    status = execute(run)
    if status:
        return status
    report.planned(run)
    pending = [step for step in run.planned.steps if not step.unknown and not step.only_warn]
    return exit_bits(run, bool(pending))


def exit_bits(run: Run, changes: bool) -> int:
    """2 for CHANGES, 4 if something failed or stays unknown, 6 for both."""
    unwell = any(run.counts[outcome] for outcome in OUTCOMES if outcome >= Outcome.FAILED)
    if run.planned is not None:
        unwell = unwell or any(step.unknown for step in run.planned.steps)
    return 2 * changes + 4 * unwell
