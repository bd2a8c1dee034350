"""The life of a run: prepared, its policy loaded, kept, finished; for run, plan and cf-agent."""

import os
import stat
import sys

from agent import bundle as bundles
from agent.log import unusable
from agent.options import home
from agent.outcome import OUTCOMES, Outcome, merge
from agent.promise import minutes
from agent.run import FUNCTIONS, TRUE, Run, function, words
from policy import cache, load
from policy.context import Context, Frame, Scope, Variable
from policy.errors import Aborted, Fatal, PolicyError
from policy.evaluate import evaluate as worth
from policy.plan import evaluated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.host import Host
    from agent.log import Log
    from agent.options import Settings
    from policy.plan import Bundle

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
DEEPEST = 12_000  # Python frames: methods some hundred deep
EXIT_FAILED = 1
EXIT_ABORTED = 6


def reader(host: "Host", *, trusting: bool = False) -> "load.Reader":
    """What reads policy files; unless TRUSTING, none that others may write."""

    def read(path: str) -> bytes:
        try:
            found, data = host.look(path)
        except NotADirectoryError as error:
            raise FileNotFoundError(2, "No such file or directory", path) from error
        if stat.S_ISDIR(found.st_mode):
            raise load.Refused(f"Can't parse directory '{path}'.")
        if not stat.S_ISREG(found.st_mode):
            raise load.Refused(f"'{path}' is not a regular file")
        if found.st_mode & 0o022 and not trusting:
            raise load.Refused(
                f"File {path} (owner {found.st_uid}) is writable by others (security exception)\n"
                f"hint: chmod go-w {path}"
            )
        return data

    return read


def prepare(settings: "Settings", host: "Host", log: "Log", *, component: str = "agent") -> Run:
    """A run with its facts and classes, before any policy is read."""
    from agent import facts

    sys.setrecursionlimit(DEEPEST)
    now = settings.now
    hard, known = facts.gather(
        host, now, settings.timezone, settings.workdir,
        component=component, entry=settings.file,
    )  # fmt: skip
    ctx = Context(hard=hard, facts=known, now=now, log=log, host=host, function=function)
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
    run.state = State(f"{run.workdir}/state/agent.db", run.log, settings.now, settings.begun)
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
            new = state.persist(name, minutes, timer, tags, run.exchange().source(name))
        else:
            new = state.forget(name, lambda: run.exchange().source(f"-{name}"))
        if new:
            from agent.signals import wake

            wake(run.workdir)

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
        if _is_file(run.host, f"{directory}/{name}"):
            from agent import augments

            augments.load_augments(run.ctx, f"{directory}/{name}", run.log)
            return


def _is_file(host: "Host", path: str) -> bool:
    """Whether PATH is a plain file, as far as we are allowed to see."""
    try:
        found = host.stat(path)
    except OSError:
        return False
    return found is not None and stat.S_ISREG(found.st_mode)


def load_policy(run: Run, *, trusting: bool = False) -> None:
    """Load the policy of RUN. Raises PolicyError, Refused, OSError, Fatal."""
    environ = run.host.environ
    root = cache.directory({**environ, "HOME": home(environ)}, run.host.uid)
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
    run.if_elapsed = minutes(control.get("ifelapsed"), run.if_elapsed)
    run.expire_after = minutes(control.get("expireafter"), run.expire_after)
    run.top_down = control.get("evaluation_order") == "top_down"
    ctx.cache_functions = control.get("cache_system_functions", "true") in TRUE
    for name in words(control.get("addclasses")):
        ctx.soft.setdefault(name, ("source=environment",))
    for setting in words(control.get("environment")):
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
    run.close_exchange()
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
        if run.settings.json:
            _refused(run, [unusable(run.settings.file, str(error))])
        return EXIT_FAILED
    except Aborted:
        return EXIT_ABORTED
    except RecursionError:
        bundle = run.ctx.frame.bundle
        run.log("error", f"Fatal CFEngine error: calls are nested too deeply, in bundle '{bundle}'")
        return EXIT_FAILED
    finally:
        finish(run)
    return 0


def _loaded(run: Run) -> bool:
    """Load the policy; if it cannot be used, say why."""
    try:
        load_policy(run)
    except PolicyError as error:
        run.log.mistakes(error)
        if run.settings.json:
            from policy.diagnostics import as_json

            _refused(run, [as_json(diagnostic) for diagnostic in error.diagnostics])
        return False
    except load.Refused as error:
        reason = str(error)
    except FileNotFoundError as error:
        path = error.filename
        reason = f"Can't stat file '{path}' for parsing. (stat: {error.strerror})"
    except OSError as error:
        reason = f"cannot read policy: {error}"
    else:
        return True
    run.log("error", reason)
    if run.settings.json:
        _refused(run, [unusable(run.settings.file, reason)])
    return False


def _refused(run: Run, diagnostics: "list[dict[str, Any]]") -> None:
    """Say for programs why there is no plan."""
    from json import dumps

    document = {"format": 1, "policy": run.settings.file, "diagnostics": diagnostics}
    run.log.show(dumps(document, indent=2) + "\n")


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

    host = overlay.Overlay()
    run = prepare(settings, host, log)
    run.planned = Planned(host)
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
        unwell = unwell or bool(run.planned.unknown)
    return 2 * changes + 4 * unwell
