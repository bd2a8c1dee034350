"""One promise: expanded, locked, actuated, and how it ended. The hot path.

An actuator describes changes; here they are applied, announced (dry run, `action_policy` warn) or,
in a plan, shown and applied to an overlay of the host.
"""

from agent.outcome import Change, Outcome, Verdict, merge
from policy.conditions import bound, handle_of, permitted
from policy.errors import Unresolved
from policy.evaluate import evaluate, refers
from policy.iterate import combinations, iterates
from policy.plan import evaluated
from policy.strings import expandable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.exchange import Act
    from agent.run import Run
    from policy.context import Context
    from policy.plan import Written

CONDITIONS = frozenset(("if", "unless", "with", "depends_on"))
NOT_IDENTITY = frozenset(("log_string", "template_data", "mtime", "atime", "ctime"))
EDITS = frozenset((
    "insert_lines", "delete_lines", "replace_patterns", "field_edits", "build_xpath", "delete_tree",
    "insert_tree", "delete_attribute", "set_attribute", "delete_text", "set_text", "insert_text",
))  # fmt: skip
TRUE = frozenset(("true", "yes", "on"))
LAST_PASS = 3
ACTING = ("commands",)  # what acts on a signal once, rather than converges while it lives


class Promise:
    """A promise as it is to be kept now: its attributes expanded, its bodies as dicts.

    An actuator that finds it not ready yet sets AGAIN: the next pass tries again.
    """

    __slots__ = ("act", "again", "attributes", "promisee", "promiser", "type", "written")

    def __init__(self, written: "Written", promiser: str, attributes: "dict[str, Any]") -> None:
        self.written = written
        self.type = written.type
        self.promiser = promiser
        self.attributes = attributes
        self.promisee = written.promisee
        self.again = False
        self.act: Act | None = None  # the signals that it acts on

    @property
    def bundle(self) -> str:
        """The name of the bundle that it stands in."""
        name: str = self.written.bundle.name
        return name

    @property
    def namespace(self) -> str:
        """The namespace of that bundle."""
        namespace: str = self.written.bundle.namespace
        return namespace

    @property
    def path(self) -> str:
        """The file that it stands in."""
        return self.written.bundle.path

    @property
    def line(self) -> int:
        """The line that it begins on."""
        line: int = self.written.line
        return line

    @property
    def comment(self) -> str:
        """Why it is made, if that is said."""
        return str(self.attributes.get("comment", ""))

    def truth(self, name: str, *, default: bool = False) -> bool:
        """The option NAME as a bool."""
        value = self.attributes.get(name)
        return default if value is None else value in TRUE

    def body(self, name: str) -> "dict[str, Any] | None":
        """The values of the body NAME, or None if the promise has none."""
        value = self.attributes.get(name)
        return value if isinstance(value, dict) else None


def handle(written: "Written", ctx: "Context") -> str:
    """The handle of WRITTEN, expanded, or one made of its file and line."""
    for name, value in written.attributes:
        if name == "handle":
            return handle_of(value, ctx)
    from policy.values import canonify

    base = written.path.rpartition("/")[2]
    return f"promise_{canonify(base)}_{written.line}"


def keep(written: "Written", run: "Run") -> Outcome:
    """Keep WRITTEN, whose guard holds: once for each combination of the lists that it mentions."""
    if written.done:
        return Outcome.SKIPPED
    if not written.linked:
        written.link()
    ctx = run.ctx
    ctx.written = written
    ctx.this = {}
    if not written.references or not iterates(written.references, ctx):
        return _instance(written, run)
    outcome = Outcome.SKIPPED
    chooses = written.chooses or (run.planned is not None and bool(run.planned.unknown))
    for _ in combinations(written.references, ctx, chooses=chooses):
        outcome = merge(outcome, _instance(written, run))
    return outcome


def _instance(written: "Written", run: "Run") -> Outcome:
    """Keep WRITTEN with the bindings of now."""
    ctx = run.ctx
    promiser = bound(written, ctx)
    if not permitted(written, ctx, run.done):
        return Outcome.SKIPPED
    act = None
    if ctx.signalled:
        promiser, act = _owing(written, promiser, run)
    promise = Promise(written, promiser, written.constant or _attributes(written, run))
    promise.act = act
    if _waits(promise, run) or not _acts(promise, run):
        return Outcome.SKIPPED
    identity = _identity(promise, run)
    if identity in run.seen:
        return Outcome.SKIPPED
    if "bundle_return_value_index" in promise.attributes:
        return kept(promise, run)  # a result is returned each time
    run.seen.add(identity)
    if run.edit is not None:
        outcome = kept(promise, run)
        if outcome is Outcome.SKIPPED:  # a region that is not there yet: again in the next pass
            run.seen.discard(identity)
        return outcome
    if written.constant is not None and type(written.promiser) is str:
        written.done = True
    locked = run.locks is not None
    outcome = _locked(promise, identity, run) if locked else kept(promise, run)
    if promise.again:
        written.done = False
        run.seen.discard(identity)
        run.counts[outcome] -= 1
    return outcome


def _owing(written: "Written", promiser: str, run: "Run") -> "tuple[str, Act | None]":
    """Find out what WRITTEN owes to signals: its promiser, which may list them, and what it acts on
    if it acts on any."""
    from policy.provenance import both, of_promise, signals

    ctx = run.ctx
    ctx.this.pop("signals", None)
    ctx.because = both([ctx.frame.needs, of_promise(written, ctx)])
    if ctx.because is True:
        return promiser, None
    exchange = run.exchange()
    act = exchange.act(written) if written.type in ACTING else None
    ctx.this["signals"] = exchange.told(act.needs if act else signals(ctx.because))
    return bound(written, ctx), act


def _acts(promise: Promise, run: "Run") -> bool:
    """Whether PROMISE converges, or has a signal to act on if it waits for any."""
    act = promise.act
    if act is None:
        return True
    how = (promise.body("action") or {}).get("signals")
    if how == "level":
        promise.act = None
        return True
    exchange = run.exchange()
    if not exchange.fresh(act):
        what = f"{promise.type} promise '{promise.promiser}'"
        run.log("verbose", f"{what} has acted on the signals that it waits for")
        return False
    act.once = how == "once"
    interrupted = exchange.interrupted(act) if act.once else ()
    if not interrupted or run.locks is None or run.state is None:
        return True
    told = exchange.told(interrupted)
    run.log("error", f"'{promise.promiser}' was interrupted; it is not tried again for {told}")
    run.state.give_up(act)
    exchange.done(act, "interrupted")
    fire(promise, Outcome.INTERRUPTED, run)
    run.counts[Outcome.INTERRUPTED] += 1
    return False


def ending(outcome: Outcome) -> str:
    """How consumption is written down of a promise that ended as OUTCOME; "": nothing was."""
    return {Outcome.KEPT: "kept", Outcome.REPAIRED: "repaired"}.get(outcome, "")


def _bundle_name(promise: Promise) -> str:
    """The name of the bundle that a `methods` promise calls."""
    called = promise.attributes.get("usebundle")
    return called[0] if type(called) is tuple else promise.promiser


def _waits(promise: Promise, run: "Run") -> bool:
    """Whether PROMISE still holds a reference that a later pass, or no plan, may resolve."""
    if promise.type == "methods" and expandable(_bundle_name(promise)):
        return True
    if run.planned is not None and run.planned.unsure(promise):
        return True
    text = promise.promiser
    if promise.type != "reports" or run.ctx.pass_number >= LAST_PASS:
        return False
    return refers(text) or "@(" in text or "@{" in text


def _attributes(written: "Written", run: "Run") -> "dict[str, Any]":
    """The attributes of WRITTEN, expanded; one whose function has no value is left out."""
    found: dict[str, Any] = {}
    for name, value in written.attributes:
        if name in CONDITIONS:
            continue
        if name == "handle":
            found[name] = handle_of(value, run.ctx)
            continue
        try:
            result = evaluated(value, run.ctx)
        except Unresolved:
            continue
        found[name] = ("any" if result else "!any") if type(result) is bool else result
    return found


def frozen(value: "Any") -> "Any":
    """VALUE as something hashable that is equal when VALUE is."""
    if isinstance(value, dict):
        return tuple(
            [(name, None if name in NOT_IDENTITY else frozen(part)) for name, part in value.items()]
        )
    if isinstance(value, list | tuple):
        return tuple([frozen(part) for part in value])
    return value


def _identity(promise: Promise, run: "Run") -> "tuple[Any, ...]":
    """What makes a promise this promise: two with the same are kept once a run."""
    written = promise.written
    if written.constant is None:
        key = frozen(promise.attributes)
    elif written.key is None:
        key = written.key = frozen(written.constant)
    else:
        key = written.key
    salt = _salt(promise, run)
    asked = _conditions(written, run) if written.references else ()
    found = (written.type, written.bundle.key, salt, promise.promiser, key, asked)
    told = run.ctx.this.get("signals")
    return _whatever(told, found) if told else found


def _whatever(told: str, identity: "Any") -> "Any":
    """IDENTITY without the signals that TOLD lists: it is the same promise for each of them."""
    if type(identity) is tuple:
        return tuple([_whatever(told, part) for part in identity])
    return identity.replace(told, "$(this.signals)") if type(identity) is str else identity


def _salt(promise: Promise, run: "Run") -> "Any":
    """What else tells edits apart: the file; where lines may repeat, the line of policy."""
    if run.edit is None:
        return ""
    if promise.attributes.get("insert_type") == "preserve_all_lines":
        return (run.edit.path, promise.line)
    return run.edit.path


def _conditions(written: "Written", run: "Run") -> "tuple[Any, ...]":
    """The conditions of WRITTEN as they read now; a function among them has said yes."""
    return tuple([_text(value, run) for name, value in written.attributes if name in CONDITIONS])


def _text(value: "Any", run: "Run") -> "Any":
    """VALUE expanded if it is text with references, else nothing that could differ."""
    return evaluate(value, run.ctx) if value[0] in ("var", "cat") else None


def _locked(promise: Promise, identity: "tuple[Any, ...]", run: "Run") -> Outcome:
    """Keep PROMISE unless its lock says that it was kept recently or is being kept."""
    locks = run.locks
    assert locks is not None  # noqa: S101  # the caller looked
    action = promise.body("action") or {}
    elapsed = minutes(action.get("ifelapsed"), run.if_elapsed)
    expire = minutes(action.get("expireafter"), run.expire_after)
    key = locks.key(identity)
    if not locks.may(key, elapsed, expire, promise.promiser):
        run.left_alone += 1
        if run.ctx.because is not True and promise.type in (*ACTING, "methods"):
            exchange = run.exchange()
            until = locks.until(key, elapsed)
            exchange.wait(exchange.path(promise.written), until, run.ctx.because)
        return Outcome.SKIPPED
    outcome = kept(promise, run, key)
    if run.planned is None and outcome is not Outcome.SKIPPED and not promise.again:
        act, how = promise.act, ending(outcome)
        locks.finish(key, changed=outcome is not Outcome.KEPT, act=act, ending=how)
        if act is not None and how:
            run.exchange().done(act, how)
    return outcome


def minutes(text: "Any", default: int) -> int:
    """The minutes that TEXT says, or DEFAULT."""
    return int(text) if isinstance(text, str) and text.isdigit() else default


def kept(promise: Promise, run: "Run", lock: bytes | None = None) -> Outcome:
    """Actuate PROMISE and do what its ending asks for: classes, logs, handles."""
    action = promise.attributes.get("action")
    if action and action.get("background") in TRUE and promise.type in ("files", "commands"):
        return run.in_background(promise, lock)
    level = run.log.raised(action) if action and "report_level" in action else None
    outcome = converge(promise, run, lock)
    if level is not None:
        run.log.restore(level)
    if outcome in (Outcome.KEPT, Outcome.REPAIRED) and "handle" in promise.attributes:
        run.done.add(handle(promise.written, run.ctx))
    if action and outcome is not Outcome.SKIPPED:
        _log_ending(promise, action, outcome, run)
    run.tell_afterwards()
    return outcome


def converge(promise: Promise, run: "Run", lock: bytes | None = None) -> Outcome:
    """Take the steps that the actuator of PROMISE describes. If there are none, it was kept."""
    steps = run.actuator(promise.type)(promise, run)
    outcome = Outcome.SKIPPED
    try:
        step = next(steps, None)
        if step is None:
            outcome = Outcome.KEPT
            fire(promise, outcome, run)
        while step is not None:
            answer = _take(step, promise, run, lock)
            outcome = merge(outcome, answer)
            step = _next(steps, answer)
    except Unresolved:  # a plan, and an answer that only a command could give
        outcome = merge(outcome, Outcome.SKIPPED)
    except OSError as error:
        run.log("error", f"{promise.type} promise '{promise.promiser}': {_reason(error)}")
        fire(promise, Outcome.FAILED, run)
        outcome = merge(outcome, Outcome.FAILED)
    if promise.type == "files":
        _final(promise, outcome, run)
    if promise.type not in EDITS and promise.type != "methods":
        run.counts[outcome] += 1
    return outcome


def _next(steps: "Iterator[Change | Verdict]", answer: Outcome) -> "Change | Verdict | None":
    """The step after the one that ended as ANSWER, or None."""
    try:
        return steps.send(answer)  # type: ignore[attr-defined,no-any-return]  # a generator
    except StopIteration:
        return None


def _reason(error: OSError) -> str:
    """What the system said, with the file that it said it of."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _take(step: "Change | Verdict", promise: Promise, run: "Run", lock: bytes | None) -> Outcome:
    """Apply or announce one step; how it ended. Its outcome classes are set at once."""
    if type(step) is Verdict:
        if step.message:
            run.log(step.level, step.message)
        fire(promise, step.fires, run)
        return step.outcome
    assert isinstance(step, Change)  # noqa: S101  # the other kind of step
    outcome = _change(step, promise, run, lock)
    fire(promise, outcome, run)
    return outcome


def _change(step: Change, promise: Promise, run: "Run", lock: bytes | None) -> Outcome:
    """What comes of a change: applied, or announced."""
    action = promise.body("action") or {}
    if action.get("action_policy") in ("warn", "nop"):
        run.log("warning", step.warn or f"Should {step.would}, but only warning promised")
        run.announced(step, promise)
        return Outcome.WARNED
    if run.dry:
        run.log("warning", step.dry or f"Should {step.would}")
        return Outcome.WARNED
    if run.planned is not None:
        return run.planned.take(step, promise)
    locks = run.locks if step.unknown else None
    if locks is not None and lock is not None and not locks.begin(lock, promise.act):
        return Outcome.SKIPPED
    try:
        result = step.apply()
    except OSError as error:
        run.log("error", f"could not {step.would}: {_reason(error)}")
        return Outcome.FAILED
    outcome = Outcome.REPAIRED if result is None else result
    if step.done and outcome in (Outcome.KEPT, Outcome.REPAIRED):
        run.log(step.level, step.done)
    return outcome


def _final(promise: Promise, outcome: Outcome, run: "Run") -> None:
    """The last word on a promise about a file."""
    what = f"{promise.type} promise '{promise.promiser}'"
    if outcome is Outcome.REPAIRED:
        run.log("verbose", f"{what} repaired")
    elif outcome is Outcome.WARNED:
        run.log("warning", f"Warnings encountered when actuating {what}")
    elif outcome >= Outcome.FAILED:
        run.log("error", f"Errors encountered when actuating {what}")


# what an ending sets off

_DEFINES = {
    Outcome.KEPT: "promise_kept",
    Outcome.REPAIRED: "promise_repaired",
    Outcome.WARNED: "repair_failed",
    Outcome.FAILED: "repair_failed",
    Outcome.INTERRUPTED: "repair_failed",
    Outcome.DENIED: "repair_denied",
    Outcome.TIMEOUT: "repair_timeout",
}
_CANCELS = {Outcome.KEPT: "cancel_kept", Outcome.REPAIRED: "cancel_repaired"}


def fire(promise: Promise, outcome: Outcome, run: "Run") -> None:
    """Set and cancel the classes that the `classes` body of PROMISE names for OUTCOME."""
    body = promise.attributes.get("classes")
    if not body or outcome is Outcome.SKIPPED or not isinstance(body, dict):
        return
    run.firing = promise
    try:
        _fire(body, outcome, run)
    finally:
        run.firing = None


def _fire(body: "dict[str, Any]", outcome: Outcome, run: "Run") -> None:
    """Set and cancel the classes that BODY names for OUTCOME."""
    defines = body.get(_DEFINES[outcome], ())
    cancels = body.get(_CANCELS.get(outcome, "cancel_notkept"), ())
    for name in (defines,) if isinstance(defines, str) else defines:
        _set_outcome_class(name, body, run)
    for name in (cancels,) if isinstance(cancels, str) else cancels:
        from policy.values import canonify

        name = canonify(name)
        if name in run.ctx.hard:
            run.log(
                "error",
                f"You cannot cancel a reserved hard class '{name}' in post-condition classes",
            )
            return
        run.ctx.cancel_class(name)


def _set_outcome_class(name: str, body: "dict[str, Any]", run: "Run") -> None:
    """Define the class NAME with the scope and the life that BODY says."""
    from policy.values import canonify

    name = canonify(name)
    ctx = run.ctx
    if name in ctx.hard:
        run.log("error", f"You cannot use reserved hard class '{name}' as post-condition class")
    life = minutes(body.get("persist_time"), 0)
    private = body.get("scope") == "bundle"
    if private and life:
        run.log(
            "info",
            f"Automatically promoting context scope for '{name}' to namespace visibility, "
            "due to persistence",
        )
        private = False
    timer = str(body.get("timer_policy", ""))
    ctx.set_class(name, ("source=promise",), private=private, minutes=life, timer=timer)


_LOGS = {Outcome.KEPT: "log_kept", Outcome.REPAIRED: "log_repaired"}


def _log_ending(promise: Promise, action: "dict[str, Any]", outcome: Outcome, run: "Run") -> None:
    """Write `log_string` where `log_kept`, `log_repaired` or `log_failed` says."""
    if outcome is Outcome.WARNED:
        return
    target = action.get(_LOGS.get(outcome, "log_failed"))
    if not target or "log_string" not in action:
        return
    text = run.ctx.expand(action["log_string"])
    if target == "stdout":
        run.log("info", f"L: {text}")
    elif target.startswith("/"):
        try:
            run.host.append(target, f"{text}\n".encode("utf-8", "surrogateescape"))
        except OSError as error:
            run.log("error", f"Could not open log file '{target}', message '{text}'. ({error})")
