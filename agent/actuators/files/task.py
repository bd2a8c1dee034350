"""What the parts of the `files` actuator share: the promise at a path, and the making of steps."""

from errno import EPERM

from agent.outcome import Change, Outcome, Verdict
from policy import regexp
from policy.errors import Unresolved
from policy.plan import evaluated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias

    from agent.actuators.files.select import Selector
    from agent.host import Host
    from agent.promise import Promise
    from agent.run import Run

    Steps: TypeAlias = Generator[Change | Verdict, Outcome, Any]

TRUE = frozenset(("true", "yes"))
FALSE = frozenset(("false", "no"))
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
IMMUTABLE = 0x10  # the flag of a file that nobody may change (FS_IMMUTABLE_FL)
# where the system's reason goes in a complaint: no path holds this character
WHY = "\0"
# attributes that no file can vary, or that are of no concern here
ALOOF = frozenset(("if", "unless", "with", "depends_on", "ifvarclass"))


class Task:
    """A `files` promise as it is being kept at one path after another."""

    __slots__ = ("attributes", "host", "promise", "run", "selector", "varies")

    def __init__(self, promise: "Promise", run: "Run") -> None:
        self.promise = promise
        self.run = run
        self.host: Host = run.host
        self.attributes: dict[str, Any] = promise.attributes
        self.varies = promise.written.constant is None and _varies(promise.written.references)
        self.selector: Selector | None = None
        body = self.body("file_select")
        if body is not None and "file_result" in body:
            from agent.actuators.files import select

            self.selector = select.Selector(body, run)

    def visit(self, path: str) -> None:
        """Let `this.promiser` be PATH, in the attributes as well."""
        ctx = self.run.ctx
        if self.varies or ctx.this.get("promiser") != path:
            ctx.this["promiser"] = path
        if self.varies:
            self.attributes = self.promise.attributes = {
                name: evaluated(value, ctx)
                for name, value in self.promise.written.attributes
                if name not in ALOOF
            }

    def truth(self, name: str) -> bool:
        """Whether the attribute NAME is promised to be true."""
        return self.attributes.get(name) in TRUE

    def body(self, name: str) -> "dict[str, Any] | None":
        """The body NAME, or None if there is none."""
        value = self.attributes.get(name)
        return value if isinstance(value, dict) else None

    def option(self, body: str, name: str) -> bool:
        """Whether NAME is true in the body BODY."""
        found = self.body(body)
        return found is not None and found.get(name) in TRUE

    def log(self, level: str, message: str) -> None:
        """Say MESSAGE at LEVEL."""
        self.run.log(level, message)

    def has_data(self) -> bool:
        """Whether what a template is to be rendered with has a value, if it is promised."""
        if "template_data" in self.attributes:
            return isinstance(self.data(), (dict, list))
        return all(name != "template_data" for name, _ in self.promise.written.attributes)

    def data(self) -> "Any":
        """What templates are rendered with, None if what is promised has no value."""
        ctx = self.run.ctx
        if "template_data" not in self.attributes:
            return ctx.callee("datastate")[0](ctx)
        value = self.attributes["template_data"]
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        from policy.values import container

        try:
            return container(ctx, value)
        except Unresolved:
            return None

    def place(self, level: str) -> None:
        """Say at LEVEL where the promise stands, after what was wrong with it."""
        promise = self.promise
        self.log(
            level,
            f"Promise belongs to bundle '{promise.bundle}' in file '{promise.path}' "
            f"near line {promise.line}",
        )
        if promise.comment:
            self.log(level, f"Comment is '{promise.comment}'")

    def selects(self, path: str, status: "Any") -> bool:
        """Whether `file_select`, if there is one, lets PATH through."""
        if self.selector is None:
            return True
        if self.varies:
            self.visit(path)
            self.selector.body = self.body("file_select") or self.selector.body
        return self.selector.selects(path, status)

    def why(self, error: OSError) -> str:
        """What the system gives as its reason for ERROR, and the flag of the file if that is it."""
        reason = error.strerror or str(error)
        path = self.run.ctx.this.get("promiser", self.promise.promiser)
        if error.errno == EPERM and self.host.lstat(path) is not None:
            flags = self.host.flags(path)
            if flags is not None and flags & IMMUTABLE:
                return f"{reason} (the immutable bit is set)"
        return reason

    def gate(self, would: str) -> Change:
        """A step that is only announced: what it says is done by the steps after it."""
        return Change(would, "", lambda: Outcome.SKIPPED)

    def change(
        self, would: str, done: str, act: "Callable[[], object]", complaint: str = "",
        *, refused: Outcome = Outcome.FAILED, quiet: bool = False,
    ) -> Change:  # fmt: skip
        """A step that ACT takes; where the system refuses, COMPLAINT says so and it is REFUSED.

        QUIET: a gate has announced it.
        """

        def apply() -> Outcome | None:
            try:
                act()
            except OSError as error:
                if not complaint:
                    raise
                self.log("error", complaint.replace(WHY, self.why(error)))
                return refused
            return None

        return Change(would, done, apply, quiet=quiet)


def _varies(references: "tuple[Any, ...]") -> bool:
    """Whether what REFERENCES mean depends on the path that the promise is kept at."""
    return any(
        type(name) is str and (name == "this.promiser" or name.startswith("match."))
        for name in references
    )


def matching(run: "Run", pattern: str, text: str) -> bool:
    """Whether PATTERN is all of TEXT; one that means nothing is logged."""
    try:
        return regexp.full(pattern, text)
    except regexp.BadPattern as bad:
        run.log("error", str(bad))
        return False


def listed(run: "Run", patterns: "Any", text: str) -> bool:
    """Whether one of PATTERNS is TEXT, letter by letter or as a pattern."""
    return any(pattern == text or matching(run, pattern, text) for pattern in words(patterns))


def repaired(message: str) -> Verdict:
    """Something else that the step before has changed."""
    return Verdict(Outcome.REPAIRED, message, "info")


def words(value: "Any") -> tuple[str, ...]:
    """A list, the one word that stands for it, or nothing."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def leaf_name(path: str) -> str:
    """The last name of PATH."""
    return path.rpartition("/")[2]


def parent(path: str) -> str:
    """The directory that PATH is in."""
    return path.rpartition("/")[0] or "/"


def joined(directory: str, name: str) -> str:
    """NAME in DIRECTORY."""
    return f"{directory}{name}" if directory.endswith("/") else f"{directory}/{name}"


def stamp(now: float) -> str:
    """The start of the run as the name of a backup holds it."""
    import time

    from policy.values import canonify

    return f"_{int(now)}_{canonify(time.ctime(now))}"
