"""Promises of custom types: a module validates each and keeps it; here is what it is told and says.

What a module answers decides how the promise ends. It also has to say what it did, at the level
that fits; a module that does not is complained of.
"""

from agent import promise_modules
from agent.host import Host
from agent.log import LEVELS
from agent.outcome import Change, Outcome, Verdict, failed
from agent.promise import CONDITIONS
from agent.promise_modules import Broken
from policy.classes import truth
from policy.errors import Unresolved
from policy.plan import Linked, evaluated
from policy.strings import expandable, is_list_reference
from policy.values import canonify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.promise import Promise
    from agent.promise_modules import Module
    from agent.run import Run
    from policy.context import Context

    Steps = Iterator[Change | Verdict]

# types of bodies that the language knows: their attributes are told among those of the promise
BODIES = frozenset((
    "acl", "action", "changes", "classes", "contain", "copy_from", "database_server",
    "delete", "delete_select", "depth_search", "edit_defaults", "edit_field",
    "environment_interface", "environment_resources", "file_select", "fsattrs", "insert_select",
    "link_from", "location", "match_value", "mount", "package_method", "package_module", "password",
    "perms", "printfile", "process_count", "process_select", "rename", "replace_with",
    "report_data_select", "select_region", "service_method", "volume", "when",
))  # fmt: skip
UNTOLD = CONDITIONS | {"classes", "meta", "log_level"}
UNTOLD_OF_ACTION = frozenset(("log_level", "expireafter"))
LEVEL_WORDS = {"inform": "info", "log": "notice"}  # what the language calls levels
WARN = ("warn", "nop")
LAST_PASS = 3
SERIOUS = frozenset(("critical", "error"))
TRYING = SERIOUS | {"warning"}


def custom(promise: "Promise", run: "Run") -> "Steps":
    """Yield what the module for PROMISE comes to."""
    if promise.type not in run.plan.custom:  # called "custom", and not declared
        yield failed(f"Undefined promise type '{promise.type}'")
        return
    path, interpreter = _declared(promise, run)
    if run.planned is not None and run.host.exists(path) and Host.stat(run.host, path) is None:
        yield _unknown(promise)  # an earlier step of the plan would bring it
        return
    try:
        module = _module(promise, path, interpreter, run)
        yield from _asked(Conversation(promise, module, run))
    except Broken as broken:
        yield failed(str(broken))


def _declared(promise: "Promise", run: "Run") -> tuple[str, str | None]:
    """The path and the interpreter of the module for PROMISE."""
    found: dict[str, str] = {}
    for guard, name, value in run.plan.custom[promise.type].attributes:
        if guard is None or truth(guard, run.ctx):
            try:
                found[name] = str(evaluated(value, run.ctx))
            except Unresolved:
                continue
    return found.get("path", ""), found.get("interpreter")


def _module(promise: "Promise", path: str, interpreter: str | None, run: "Run") -> "Module":
    """The module PATH, started if it does not run yet. Raises Broken."""
    known = run.modules.get(path)
    if known is None:
        version = str(run.ctx.lookup("sys.cf_version"))
        known = promise_modules.start(path, interpreter, run.host, version, run.log)
        run.modules[path] = known
    if known.interpreter != interpreter:
        raise Broken(
            f"Conflicting interpreter specifications for custom promise module '{path}' "
            f"(started with '{known.interpreter or '(null)'}' and '{interpreter or '(null)'}' "
            f"requested for promise '{promise.promiser}' of type '{promise.type}')"
        )
    return known


def _unknown(promise: "Promise") -> Change:
    """Only its module knows what keeping PROMISE takes, and it cannot be asked."""
    what = f"keep {promise.type} promise '{promise.promiser}'"
    return Change(what, "", lambda: None, preview=lambda: what, unknown=True)


def _asked(asked: "Conversation") -> "Steps":
    """Yield what the module makes of the promise. Raises Broken."""
    promise, run = asked.promise, asked.run
    if asked.open():
        promise.again = run.ctx.pass_number < LAST_PASS
        yield Verdict(Outcome.FAILED, asked.complaint(), "error")
        return
    if asked.only_warn and "action_policy" not in asked.module.features:
        if asked.would_act:
            yield _unknown(promise)
            return
        yield failed(
            "Not making changes to the system, but the custom promise module "
            f"'{asked.module.path}' doesn't support action_policy"
        )
        return
    run.log.flush()  # the module may write to our stderr
    if not asked.validated():
        yield Verdict(Outcome.FAILED, f"{asked.what} failed validation {asked.place}")
    elif not asked.only_warn:
        what = f"keep {promise.type} promise '{promise.promiser}'"
        yield Change(what, "", asked.evaluated, unknown=True)
    elif run.planned is None:
        yield Verdict(asked.evaluated())
    else:
        yield _planned(asked)


def _planned(asked: "Conversation") -> Change | Verdict:
    """What would be done to keep the promise, as the module warned of it."""
    outcome = asked.evaluated()
    said = asked.warnings
    if outcome is Outcome.FAILED and (asked.heard & SERIOUS or not said):
        return Verdict(outcome)
    if outcome is Outcome.KEPT:
        return Verdict(outcome)
    if not said:
        return Change(f"keep {asked.what}", "", lambda: None)
    first, *more = said
    would = first.removeprefix("Should ").removesuffix(", but only warning promised")
    return Change(would, "", lambda: None, preview=lambda: "\n".join(more), warn=first)


class Conversation:
    """One promise and its module: what is told, at which levels the module logged, its warnings.

    ONLY_WARN: the module must not change anything; WOULD_ACT: that is so only in this plan.
    """

    __slots__ = (
        "attributes", "complete", "heard", "module", "only_warn", "promise", "run", "threshold",
        "warnings", "would_act",
    )  # fmt: skip

    def __init__(self, promise: "Promise", module: "Module", run: "Run") -> None:
        self.promise = promise
        self.module = module
        self.run = run
        action = promise.body("action") or {}
        disabled = run.dry or run.planned is not None
        warned = action.get("action_policy") in WARN
        self.only_warn = disabled or warned
        self.would_act = run.planned is not None and not warned
        self.heard: set[str] = set()
        self.warnings: list[str] = []
        self.threshold = self._threshold()
        self.complete, self.attributes = told(promise, run.ctx)
        if disabled:
            self.attributes["action_policy"] = "warn"

    def _threshold(self) -> int:
        """The number of the highest level that the module should log at."""
        action = self.promise.body("action") or {}
        agent = max(LEVELS["error"], self.run.log.threshold)
        word = self.promise.attributes.get("log_level", action.get("log_level"))
        if word is None:
            return agent
        wanted = LEVELS.get(LEVEL_WORDS.get(word, word))
        if wanted is None:
            self.run.log("warning", f"Unrecognized 'log_level' attribute value: {word}")
            return LEVELS["error"]
        return min(agent, max(LEVELS["error"], wanted))

    @property
    def what(self) -> str:
        """What messages call the promise."""
        return f"{self.promise.type} promise with promiser '{self.promise.promiser}'"

    @property
    def place(self) -> str:
        """Where the promise stands."""
        return f"({self.promise.path}:{self.promise.line})"

    def open(self) -> bool:
        """Whether there is something in the promise that the module could not be told."""
        if not self.complete or _is_open(self.promise.promiser) or _is_open(self.attributes):
            return True
        if self.module.json:
            return False
        texts = all(isinstance(value, str) for value in self.attributes.values())
        return not texts or not promise_modules.speakable(self._question(""))

    def complaint(self) -> str:
        """What is to be said about an open promise: nothing before the last pass."""
        if self.run.ctx.pass_number < LAST_PASS:
            return ""
        if not self.module.json and not promise_modules.speakable(self._question("")):
            return f"{self.what} has a text of several lines, which its module cannot be told"
        return f"{self.what} has unresolved/unexpanded variables"

    def _question(self, operation: str) -> "dict[str, Any]":
        """What the module is told to do."""
        promise = self.promise
        question: dict[str, Any] = {
            "operation": operation,
            "log_level": next(name for name, level in LEVELS.items() if level == self.threshold),
            "promise_type": promise.type,
            "promiser": promise.promiser,
            "line_number": promise.line,
            "filename": promise.path,
        }
        if self.attributes:
            question["attributes"] = self.attributes
        return question

    def _ask(self, operation: str) -> "dict[str, Any]":
        """What the module answers. Raises Broken."""
        self.heard.clear()
        return self.module.ask(self._question(operation), self._hear)

    def _hear(self, level: str, message: str) -> None:
        """Log what the module logs; of a plan, its warnings are the preview."""
        self.heard.add(level)
        if level == "warning" and self.run.planned is not None:
            self.warnings.append(message)
        elif LEVELS[level] <= self.threshold:
            self.run.log(level, message)

    def _bug(self, what: str) -> None:
        self.run.log("critical", f"Bug in promise module - {what}")

    def validated(self) -> bool:
        """Whether the module takes the promise for a valid one. Raises Broken."""
        valid: bool = self._ask("validate_promise").get("result") == "valid"
        if not valid and not self.heard & SERIOUS:
            self._bug(f"No error(s) logged for invalid {self.what} {self.place}")
        return valid

    def evaluated(self) -> Outcome:
        """How the promise ends, now that the module kept it or did not."""
        try:
            answer = self._ask("evaluate_promise")
            self.run.host.stirred()
        except Broken as broken:
            self.run.log("error", str(broken))
            return Outcome.FAILED
        self._define(answer.get("result_classes", ()))
        result = answer.get("result")
        if self.only_warn:
            self._watch(result)
        return self._judged(result)

    def _define(self, names: "Any") -> None:
        """Set the classes of the answer, in the bundle of the promise."""
        for name in names.split(",") if isinstance(names, str) else names:
            self.run.ctx.set_class(canonify(str(name)), ("source=promise-module",), private=True)

    def _watch(self, result: "Any") -> None:
        """Complain of a module that changed something although it should not have."""
        disabled = "while making changes on the system disabled"
        if "info" in self.heard:
            self._bug(f"'info:' log messages reported for {self.what} {self.place} {disabled}")
        if result == "repaired":
            self._bug(f"{self.what} {self.place} repaired {disabled}")

    def _judged(self, result: "Any") -> Outcome:
        """How a promise ends whose evaluation had this RESULT."""
        about = (
            f"({self.promise.type} promise, promiser: '{self.promise.promiser}' "
            f"module: '{self.module.path}')"
        )
        log = self.run.log
        if result == "kept":
            return Outcome.KEPT
        if result == "repaired":
            if "info" not in self.heard:
                self._bug(
                    f"Failed to log about changes made by a repaired {self.what} {self.place}"
                )
            return Outcome.REPAIRED
        if result == "not_kept":
            if self.only_warn and not self.heard & TRYING:
                self._bug(
                    f"Failed to log warnings for not kept {self.what} {self.place} "
                    "while making changes on the system disabled"
                )
            elif not self.only_warn and not self.heard & SERIOUS:
                self._bug(f"Failed to log errors for not kept {self.what} {self.place}")
        elif result == "error":
            log("error", f"An unexpected error occured in promise module {about}")
        elif result is None:
            log("error", f"Promise module did not return a result for promise evaluation {about}")
        else:
            log("error", f"Promise module returned unacceptable result: '{result}' {about}")
        return Outcome.FAILED


def told(promise: "Promise", ctx: "Context") -> "tuple[bool, dict[str, Any]]":
    """What a module is told of the attributes of PROMISE, and whether all have a value.

    A body of the language is spread out among them, with its name; another is an object.
    """
    found: dict[str, Any] = {}
    complete = True
    for name, written in promise.written.attributes:
        if name in UNTOLD:
            continue
        if name not in promise.attributes:
            complete = False
            continue
        value = promise.attributes[name]
        if not isinstance(written, Linked) or name not in BODIES:
            found[name] = _whole(value, ctx)
        elif name == "action":
            found.update({key: part for key, part in value.items() if key not in UNTOLD_OF_ACTION})
        else:
            found[f"{name}_name"] = written.name.rpartition(":")[2]
            found[name] = "true"
            found.update(value)
    return complete, found


def _whole(value: "Any", ctx: "Context") -> "Any":
    """VALUE, or the list or container that it names as a whole: `@(x)`."""
    if not isinstance(value, str) or not is_list_reference(value):
        return value
    found = ctx.unbound(value[2:-1])
    if isinstance(found, tuple):
        return tuple([ctx.expand(item) for item in found])
    return value if found is None or isinstance(found, str) else found


def _is_open(value: "Any") -> bool:
    """Whether VALUE, or a part of it, holds a reference without a value."""
    if isinstance(value, str):
        return expandable(value) or is_list_reference(value)
    if isinstance(value, dict):
        return any(_is_open(part) for part in value.values())
    return isinstance(value, list | tuple) and any(_is_open(part) for part in value)
