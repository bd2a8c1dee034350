"""What a policy is evaluated in: classes, variables, bindings, and the world as arguments.

The only mutable thing in the language, one per run. A value is a `str` (any scalar), a tuple of str
(slist, ilist, rlist), or a dict or list (a data container, JSON's types inside).
"""

from policy import classes, strings
from policy.errors import Unresolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from policy.classes import Expression
    from policy.provenance import Formula
    from policy.strings import Rval

    Value: TypeAlias = "str | tuple[str, ...] | dict[str, Any] | list[Any]"
    # a function, its flags, how many arguments it takes (-1 for any)
    Callee: TypeAlias = "tuple[Callable[..., Any], str, int]"
    # namespace, scope, name, indices: `ns:bundle.name[a][b]`
    Reference: TypeAlias = "tuple[str | None, str | None, str, tuple[str, ...]]"

SPECIAL_SCOPES = frozenset(
    ("sys", "const", "this", "match", "edit", "connection", "mon", "def", "body")
)
CONSTANTS = {
    "at": "@",
    "dollar": "$",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "endl": "\n",
    "dirsep": "/",
    "linesep": "\n",
}


class Variable:
    """A value and what is known of it. TYPE is as declared: string int ... slist ... data."""

    __slots__ = ("comment", "tags", "type", "value")

    def __init__(
        self,
        value: "Value",
        kind: str,
        tags: tuple[str, ...] = ("source=promise",),
        comment: str = "",
    ) -> None:
        self.value = value
        self.type = kind
        self.tags = tags
        self.comment = comment


class Scope:
    """The variables of one bundle: `plain["x"]`, `arrays["x"][("a", "b")]` for `x[a][b]`."""

    __slots__ = ("arrays", "plain")

    def __init__(self) -> None:
        self.plain: dict[str, Variable] = {}
        self.arrays: dict[str, dict[tuple[str, ...], Variable]] = {}

    def get(self, name: str, indices: tuple[str, ...]) -> Variable | None:
        """The variable of exactly this NAME and INDICES."""
        if indices:
            elements = self.arrays.get(name)
            return elements.get(indices) if elements is not None else None
        return self.plain.get(name)

    def put(self, name: str, indices: tuple[str, ...], variable: Variable) -> None:
        """Set or replace a variable or an element of an array."""
        if indices:
            self.arrays.setdefault(name, {})[indices] = variable
        else:
            self.plain[name] = variable


class Frame:
    """One bundle being evaluated: its names, its private classes, the frame it inherits from."""

    __slots__ = (
        "bundle", "call", "caller", "classes", "inherits", "kind", "namespace", "needs",
        "promiser", "provenance", "scope",
    )  # fmt: skip

    def __init__(
        self, bundle: str, namespace: str, scope: Scope, *, kind: str = "agent",
        caller: "Frame | None" = None, inherits: bool = False,
    ) -> None:  # fmt: skip
        self.bundle = bundle
        self.namespace = namespace
        self.scope = scope
        self.kind = kind
        self.classes: dict[str, tuple[str, ...]] = {}
        self.caller = caller
        self.inherits = inherits
        self.promiser = ""  # of the promise that called it
        self.provenance: dict[str, Formula] = {}  # what `classes` owe to signals
        self.needs: Formula = True  # what it owes to signals that this bundle is evaluated
        self.call: tuple[Any, dict[str, str]] | None = None  # the promise, and its iteration


def scope_key(namespace: str, bundle: str) -> str:
    """Where the variables of a bundle live: `main`, `ns:main`."""
    return bundle if namespace == "default" else f"{namespace}:{bundle}"


def _indices(text: str) -> tuple[str, ...]:
    """`[a][b[c]]` taken apart: ("a", "b[c]")."""
    found, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char == "[":
            if depth == 0:
                start = at + 1
            depth += 1
        elif char == "]":
            depth -= 1
            if depth == 0:
                found.append(text[start:at])
    return tuple(found)


def parse_reference(text: str) -> "Reference":
    """Take `ns:bundle.name[i][j]` apart; namespace and scope are None where not written."""
    base, bracket, rest = text.partition("[")
    indices = _indices(bracket + rest) if bracket else ()
    namespace: str | None = None
    scope: str | None = None
    if ":" in base:
        namespace, _, base = base.partition(":")
    if "." in base:
        scope, _, base = base.partition(".")
    return namespace, scope, base, indices


def primitive(value: "Any") -> str | None:
    """A JSON primitive as `$(d[k])` shows it: reals with two decimals; None for null."""
    if value is None or isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def descend(value: "Any", indices: tuple[str, ...]) -> "Any":
    """Follow INDICES into a container, by key or position. Raises KeyError where no way leads."""
    for index in indices:
        if isinstance(value, dict):
            value = value[index]
        elif isinstance(value, list) and index.isdigit() and int(index) < len(value):
            value = value[int(index)]
        else:
            raise KeyError(index)
    return value


def _nothing_special(_name: str) -> str | None:
    """Outside of promises there is no `this.handle`."""
    return None


def _no_chance() -> float:
    """The same number each time, until the run gives a source of chance."""
    return 0.5


def _not_kept(_key: str, _minutes: int, _timer: str, _tags: tuple[str, ...]) -> None:
    """Where nothing is stored, classes do not outlive the run."""


def _nobody_cares(_written: "Any") -> None:
    """Outside of a run, no class follows from a variable."""


def _nobody_watches(_name: str) -> None:
    """No class aborts anything until the run says so."""


class Context:
    """Classes, variables and bindings of one run, and the world it is evaluated in.

    HOST is handed through to the functions that look at it: the language does not look inside.
    NOW is the start of the run, in seconds since the epoch. LOG takes a level (critical error
    warning notice info verbose debug) and a text. SPECIAL answers `this.NAME` for what is known of
    the promise being evaluated. RANDOM is in [0, 1). PERSIST keeps a class beyond the run (0
    minutes: no longer), DEFINED_NOW is told of each new class, ANNOUNCE of each promise and its
    promiser, VARIABLE_KEPT of each promise that set its variable. UNPREPARED are the bundles whose
    variables are still to be evaluated before anybody looks at them, by PREPARE.
    """

    def __init__(
        self,
        *,
        hard: "Mapping[str, tuple[str, ...]]",
        facts: "Mapping[str, Variable]",
        now: float,
        log: "Callable[[str, str], None]",
        host: "Any" = None,
        function: "Callable[[str], Callee]",
    ) -> None:
        self.hard = hard
        self.facts = facts
        self.now = now
        self.log = log
        self.host = host
        self.function = function
        self.soft: dict[str, tuple[str, ...]] = {}
        self.comments: dict[str, str] = {}  # of classes
        self.signalled = False  # whether a class owes itself to a signal
        self.provenance: dict[str, Formula] = {}  # what those in `soft` owe
        self.because: Formula = True  # what it owes that the promise of now is kept
        self.scopes: dict[str, Scope] = {}
        constants = Scope()
        constants.plain = {
            name: Variable(value, "string", ("source=agent",)) for name, value in CONSTANTS.items()
        }
        self.scopes["const"] = constants
        self.this: dict[str, str] = {}
        self.wheels: dict[str, str] = {}
        self.frame = Frame("", "default", Scope())
        self.pass_number = 1
        self.cached_calls: dict[tuple[Any, ...], Any] = {}
        self.cache_functions = True
        self.agent: Any = None
        self.written: Any = None
        self.version = 0
        self.expanding: set[str] = set()
        self.unprepared: set[str] = set()
        self.prepare: Callable[[str], None] = self.unprepared.discard
        self.special: Callable[[str], str | None] = _nothing_special
        self.random: Callable[[], float] = _no_chance
        self.persist: Callable[[str, int, str, tuple[str, ...]], None] = _not_kept
        self.defined_now: Callable[[str], None] = _nobody_watches
        self.announce: Callable[[Any, str], None] | None = None
        self.variable_kept: Callable[[Any], None] = _nobody_cares
        self._references: dict[str, Reference] = {}
        self._texts: dict[str, Rval] = {}
        self._expressions: dict[str, Expression] = {}
        self._callees: dict[str, Callee] = {}

    # what is taken apart once a run

    def reference(self, text: str) -> "Reference":
        """TEXT taken apart, remembered for the run."""
        known = self._references.get(text)
        if known is None:
            known = self._references[text] = parse_reference(text)
        return known

    def parsed(self, text: str) -> "Rval":
        """TEXT with its references taken apart, remembered for the run."""
        known = self._texts.get(text)
        if known is None:
            known = self._texts[text] = strings.parse(text)
        return known

    def expression(self, text: str) -> "Expression":
        """The class expression TEXT, compiled, remembered for the run. Raises BadExpression."""
        known = self._expressions.get(text)
        if known is None:
            known = self._expressions[text] = classes.compiled(text)
        return known

    def callee(self, name: str) -> "Callee":
        """The function NAME, its flags, and how many arguments it takes (-1 for any)."""
        known = self._callees.get(name)
        if known is None:
            known = self._callees[name] = self.function(name)
        return known

    # variables

    def scope_of(self, namespace: str | None, scope: str | None) -> Scope | None:
        """The variables that a reference with this qualification means, or None."""
        if scope is None:
            return self.frame.scope
        if scope in SPECIAL_SCOPES and scope not in self.unprepared:
            return self.scopes.get(scope)
        key = scope_key(namespace or self.frame.namespace, scope)
        if key in self.unprepared:
            self.prepare(key)
        return self.scopes.get(key)

    def variable(self, text: str) -> Variable | None:
        """The variable that TEXT names exactly (`v`, `b.v`, `ns:b.v[i]`), bindings left aside."""
        namespace, scope, name, indices = self.reference(text)
        if scope == "sys":
            return self.facts.get(name + "".join([f"[{index}]" for index in indices]))
        if scope is None:
            if namespace is not None and namespace != self.frame.namespace:
                return None
        elif "." in name and scope not in SPECIAL_SCOPES:
            return None
        where = self.scope_of(namespace, scope)
        if where is not None:
            found = where.get(name, indices)
            if found is not None or scope is None:
                return found
        if scope is None or namespace is not None:
            return None
        return self.frame.scope.get(f"{scope}.{name}", indices)  # a local name with a dot in it

    def lookup(self, text: str) -> "Value | None":
        """The value of the reference TEXT (what stands between `$(` and `)`), or None.

        Follows indices into data containers; a primitive found there becomes text.
        """
        if text in self.wheels:
            return self.wheels[text]
        _, scope, name, indices = self.reference(text)
        if scope == "this":
            text = text[5:]
            bound = self.this.get(text)
            if bound is None and name in ("k", "v"):
                return None  # only map functions bind these
            if bound is None and not indices:
                bound = self.special(name)
        else:
            bound = self.this.get(text) if scope is None else None
        if bound is not None:
            return bound
        found = self.variable(text)
        if found is not None:
            return found.value
        return self._inside(text) if indices else None

    def unbound(self, text: str) -> "Value | None":
        """What `lookup` says, but of the list itself where `$(TEXT)` means one of its items now."""
        wheels, self.wheels = self.wheels, {}
        try:
            return self.lookup(text)
        finally:
            self.wheels = wheels

    def _inside(self, text: str) -> "Value | None":
        """The value at the end of the indices of TEXT in the container that they begin in."""
        indices = self.reference(text)[3]
        base = text.partition("[")[0]
        for kept in range(len(indices) - 1, -1, -1):
            owner = self.variable(base + "".join([f"[{index}]" for index in indices[:kept]]))
            if owner is not None and isinstance(owner.value, (dict, list)):
                try:
                    value = descend(owner.value, indices[kept:])
                except KeyError:
                    return None
                if value is None:
                    return ()  # a null is as a list without items
                return value if isinstance(value, (dict, list)) else primitive(value)
        return None

    def define(
        self, text: str, value: "Value", kind: str,
        tags: tuple[str, ...] = ("source=promise",), comment: str = "",
    ) -> None:  # fmt: skip
        """Set the variable TEXT names (`v`, `v[i]`, `b.v`, `ns:b.v[i]`)."""
        namespace, scope, name, indices = self.reference(text)
        if scope is None:
            where = self.frame.scope
        else:
            key = (
                scope
                if scope in SPECIAL_SCOPES
                else scope_key(namespace or self.frame.namespace, scope)
            )
            where = self.scopes.setdefault(key, Scope())
        self.put(where, name, indices, Variable(value, kind, tags, comment))

    def put(self, scope: Scope, name: str, indices: tuple[str, ...], variable: Variable) -> None:
        """Set a variable in SCOPE; `version` moves if that changes anything a promise can see."""
        before = scope.get(name, indices)
        if before is None or before.value != variable.value or before.type != variable.type:
            self.version += 1
        scope.put(name, indices, variable)

    # classes

    def defined(self, name: str) -> bool:
        """Whether the class NAME (`c`, `ns:c`) is set, seen from the bundle being evaluated."""
        if ":" in name:
            namespace, _, base = name.partition(":")
            if base == "any" or (
                namespace == "default" and (base in self.hard or base in self.soft)
            ):
                return True
            return name in self.soft or self._holder(base) is not None
        if name in self.hard:
            return True
        namespace = self.frame.namespace
        key = name if namespace == "default" else f"{namespace}:{name}"
        return key in self.soft or self._holder(name) is not None

    def _holder(self, name: str) -> Frame | None:
        """Whose class NAME is: of this bundle, or of those that it inherits from."""
        frame: Frame | None = self.frame
        while frame is not None and name not in frame.classes:
            frame = frame.caller if frame.inherits else None
        return frame

    def owed_by(self, name: str) -> "Formula":
        """What the class NAME, which is set, owes to signals; True if nothing."""
        bare = name.removeprefix("default:")
        if not self.signalled or bare in self.hard:
            return True
        key = bare if ":" in name else self.class_key(name)
        if key in self.soft:
            return self.provenance.get(key, True)
        base = name.partition(":")[2] or name
        holder = self._holder(base)
        return True if holder is None else holder.provenance.get(base, True)

    def owe(self, name: str, formula: "Formula", *, private: bool) -> None:
        """Note what the class NAME, just set, owes to signals."""
        table = self.frame.provenance if private else self.provenance
        key = name if private else self.class_key(name)
        if formula is True:
            table.pop(key, None)
        else:
            self.signalled = True
            table[key] = formula

    def class_key(self, name: str) -> str:
        """Under which key a soft class of this name, defined here, is kept in `soft`."""
        namespace = self.frame.namespace
        return name if namespace == "default" or ":" in name else f"{namespace}:{name}"

    def set_class(
        self, name: str, tags: tuple[str, ...], *,
        private: bool = False, minutes: int = 0, timer: str = "", comment: str = "",
    ) -> None:  # fmt: skip
        """Define the class NAME: for this bundle if PRIVATE, else for all; kept for MINUTES."""
        key = self.class_key(name)
        if minutes:
            self.persist(key, minutes, timer or "reset", tags)
        known = self.frame.classes if private else self.soft
        at = name if private else key
        if at in known:
            return
        if private and key in self.soft:
            self.log(
                "warning",
                f"Private class '{name}' in bundle '{self.frame.bundle}' shadows a global class - "
                "you should choose a different name to avoid conflicts",
            )
        known[at] = tags
        if comment:
            self.comments[at] = comment
        self.version += 1
        self.defined_now(name)

    def frames(self) -> "list[Frame]":
        """The bundles being evaluated, outermost first."""
        found: list[Frame] = []
        frame: Frame | None = self.frame
        while frame is not None:
            found.insert(0, frame)
            frame = frame.caller
        return found

    def cancel_class(self, name: str) -> None:
        """Undefine the soft class NAME wherever it is defined; a hard class stays."""
        key = self.class_key(name)
        self.persist(key, 0, "", ())
        for known, at in ((self.soft, key), (self.frame.classes, name)):
            if known.pop(at, None) is not None:
                self.version += 1
        self.provenance.pop(key, None)
        self.frame.provenance.pop(name, None)

    def expand(self, text: str) -> str:
        """TEXT with the references that have values replaced; the others stay as written."""
        from policy import evaluate  # evaluate needs contexts, this needs it once in a while

        return evaluate.expand(text, self)

    def require(self, text: str) -> "Value":
        """The value of the reference TEXT. Raises Unresolved if it has none."""
        value = self.lookup(text)
        if value is None:
            raise Unresolved(text)
        return value
