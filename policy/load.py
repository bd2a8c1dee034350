"""From an entry file to a plan: units, the variables that name further files, and those files.

Files come in through a READER, so that the language does not know where policy lies.
"""

import marshal

from policy.cache import digest
from policy.classes import truth
from policy.context import Frame, Scope, scope_key
from policy.define import KEEPERS
from policy.errors import PolicyError, Unresolved
from policy.plan import Bundle, Plan, evaluated
from policy.strings import expandable, is_list_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from policy.cache import Cache
    from policy.context import Context
    from policy.diagnostics import Diagnostic
    from policy.parse import Grammar
    from policy.plan import Body, Written
    from policy.source import Source

    # the bytes of the file of this path; OSError if there are none, Refused if it must not be used
    Reader = Callable[[str], bytes]


# their answers depend on nothing but their arguments and the classes and variables of the context
UNSTEADY = frozenset(("randomint", "now", "strftime", "ago", "on", "accumulated", "laterthan"))


class Refused(Exception):
    """A policy file that must not be used; the message says why."""


class Loader:
    """Loads a policy into PLAN, evaluating in CTX what is needed to find its files.

    HOST_PACKAGE is where the functions that look at the host live.
    """

    def __init__(self, ctx: "Context", reader: "Reader", cache: "Cache", host_package: str) -> None:
        self.ctx = ctx
        self.reader = reader
        self.cache = cache
        self.host_package = host_package
        self.plan = Plan()
        self.notes: list[tuple[str, str, str]] = []  # warnings: severity, kind, the whole text
        self.units: list[tuple[str, str, dict[str, Any]]] = []
        self.entry = ""
        self.ignore_missing = False
        self._seen: set[str] = set()
        self._driver: Grammar | None = None
        self.done: set[str] = set()
        ctx.prepare = self.prepare

    def load(self, entry: str) -> Plan:
        """The plan of the policy whose first file is ENTRY.

        Raises PolicyError for mistakes in it, Refused or OSError for a file that cannot be used.
        """
        self.entry = entry
        self._file(entry)
        self._cross_check()
        for bundle in self._common():
            self.prepare_common(bundle)
        return self.plan

    def _file(self, path: str) -> None:
        """Take in the file PATH and those that it names."""
        data = self.reader(path)
        name = digest(data, path.encode("utf-8", "surrogateescape"))
        if name in self._seen or digest(data) in self._seen:
            return
        self._seen |= {name, digest(data)}
        unit = self.cache.get(name)
        if unit is None:
            unit = self._parsed(path, name, data)
        self.units.append((path, name, unit))
        self.notes += unit["notes"]
        bundles, controls = self.plan.add(path, entry_named(unit, path == self.entry))
        for bundle in bundles:
            if bundle.type not in ("common", "server"):
                self.ctx.unprepared.update((bundle.key, f"{bundle.key}_meta"))
        for bundle in bundles:
            if bundle.type == "common":
                self.prepare_common(bundle)
        for wanted in self._inputs(controls):
            self._input(wanted)

    def _parsed(self, path: str, name: str, data: bytes) -> "dict[str, Any]":
        """The unit of a file that is not in the cache; kept there if it is without mistakes."""
        from policy.build import build, grammar  # lark and all that: only for what is new

        if self._driver is None:
            self._driver = grammar(self.cache)
        unit, diagnostics = build(path, data, self.host_package, self._driver)
        _raise_errors(diagnostics)
        self.cache.put(name, unit)
        return unit

    def _cross_check(self) -> None:
        """Check what only all files together show, once for each set of files."""
        name = digest(*[name.encode() for _, name, _ in self.units]) + ".checked"
        checked = self.cache.get(name)
        if checked is None:
            from policy.check import check_together

            facts = [marshal.loads(unit["facts"]) for _, _, unit in self.units]
            found = check_together(facts, self._source)
            _raise_errors(found)
            checked = {"notes": notes(found)}
            self.cache.put(name, checked)
        self.notes += checked["notes"]

    def _source(self, path: str) -> "Source":
        """The text of a file that was read before, to show a mistake in."""
        from policy.source import Source

        return Source(path, self.reader(path).decode("utf-8", "surrogateescape"))

    # inputs

    def _inputs(self, controls: "Iterable[Body]") -> list[str]:
        """The files that these control bodies name, in order."""
        wanted: list[str] = []
        for body in controls:
            if body.type not in ("common", "file"):
                continue
            values = control(body, self.ctx)
            if values.get("ignore_missing_inputs") in ("true", "yes", "on"):
                self.ignore_missing = True
            found = values.get("inputs", ())
            for item in (found,) if type(found) is str else found:
                wanted += self._paths(item)
        return wanted

    def _paths(self, item: str) -> list[str]:
        """The paths that one item of `inputs` means: several if it mentions a list."""
        if not expandable(item) and not is_list_reference(item):
            return [item] if item != "cf_null" else []
        if item.startswith("$") and item[1:2] in ("(", "{"):
            value = self.ctx.lookup(self.ctx.expand(item[2:-1]))
            if type(value) is tuple:
                return list(value)
        self.ctx.log("error", f"Unresolved variable '{item}' in input list, cannot parse")
        return []

    def _input(self, wanted: str) -> None:
        """Take in the file that an `inputs` names, relative to the entry file."""
        path = wanted
        if not wanted.startswith("/"):
            directory = self.entry.rpartition("/")[0]
            path = f"{directory}/{wanted}" if directory else wanted
        try:
            self._file(path)
        except FileNotFoundError:
            if not self.ignore_missing:
                raise

    # variables before the run

    def _common(self) -> list[Bundle]:
        return [bundle for (kind, _), bundle in self.plan.bundles.items() if kind == "common"]

    def prepare_common(self, bundle: Bundle) -> None:
        """Evaluate a common bundle before the run: vars, classes, vars."""
        for kind in ("meta", "vars", "classes", "vars"):
            self._sweep(bundle, kind)

    def prepare(self, key: str) -> None:
        """Evaluate the variables of the bundles that are called KEY, now that somebody looks."""
        key = key.removesuffix("_meta")
        self.ctx.unprepared -= {key, f"{key}_meta"}
        for bundle in list(self.plan.bundles.values()):
            if bundle.key == key and bundle.type != "common":
                self._sweep(bundle, "meta")
                self._sweep(bundle, "vars")

    def prepare_all(self) -> None:
        """Evaluate the variables of all bundles, for functions that list variables."""
        while self.ctx.unprepared:
            self.prepare(next(iter(sorted(self.ctx.unprepared))))

    def _sweep(self, bundle: Bundle, kind: str) -> None:
        """Keep the promises of type KIND of BUNDLE, as if in it, outside of any pass."""
        if not bundle.sections.get(kind):
            return
        ctx = self.ctx
        saved = (ctx.frame, ctx.this, ctx.wheels, ctx.pass_number, ctx.written)
        scope = ctx.scopes.setdefault(scope_key(bundle.namespace, bundle.name), Scope())
        ctx.frame = Frame(bundle.name, bundle.namespace, scope, kind=bundle.type)
        ctx.wheels = {}
        ctx.pass_number = 0
        try:
            settle(bundle, kind, ctx, self.done)
        finally:
            ctx.frame, ctx.this, ctx.wheels, ctx.pass_number, ctx.written = saved


def _raise_errors(found: "list[Diagnostic]") -> None:
    """Raise PolicyError with all that was FOUND if there is an error in it."""
    if any(diagnostic.severity == "error" for diagnostic in found):
        raise PolicyError(found)


def notes(found: "list[Diagnostic]") -> list[tuple[str, str, str]]:
    """What is stored of diagnostics that stop nothing: severity, kind, text."""
    return [(diagnostic.severity, diagnostic.kind, str(diagnostic)) for diagnostic in found]


def sweep(promises: "list[Any]", ctx: "Context", done: set[str]) -> None:
    """Keep each of PROMISES (of a type that the language keeps by itself) whose guard holds."""
    if not promises:
        return
    keep = KEEPERS[promises[0].type]
    for written in promises:
        if written.guard is None or truth(written.guard, ctx):
            ctx.written = written
            keep(written, ctx, done)


def settle(bundle: Bundle, kind: str, ctx: "Context", done: set[str]) -> None:
    """Sweep a section of variables or classes, unless nothing changed since it last did."""
    promises = bundle.sections.get(kind)
    if not promises or bundle.swept.get(kind) == ctx.version:
        return
    before = ctx.version
    sweep(promises, ctx, done)
    if ctx.version == before and _steady(bundle, kind, promises):
        bundle.swept[kind] = before


def _steady(bundle: "Bundle", kind: str, promises: "list[Written]") -> bool:
    """Whether the values of PROMISES depend on nothing but the context."""
    known = bundle.steady.get(kind)
    if known is None:
        known = bundle.steady[kind] = all(
            name not in ("unless", "with") and _pure(value)  # these mean another thing in pass 3
            for written in promises
            for name, value in written.attributes
        )
    return known


def _pure(value: "Any") -> bool:
    """Whether no function in VALUE looks at the host, the clock or chance."""
    if type(value) is not tuple:
        return type(value) is str
    if value[0] == "const":
        return True
    if value[0] == "call":
        from policy.functions import SIGNATURES

        signature = SIGNATURES.get(value[1])
        if signature is None or signature[2].startswith("host.") or value[1] in UNSTEADY:
            return False
    return all(type(part) is str or _pure(part) for part in value[1:])


def control(body: "Body", ctx: "Context") -> "dict[str, Any]":
    """The values of a control body in CTX; those without a value yet are left out."""
    values: dict[str, Any] = {}
    ctx.written = body
    for guard, name, value in body.attributes:
        if guard is None or truth(guard, ctx):
            if name == "bundlesequence":
                values[name] = value  # its items may be calls of bundles, not of functions
                continue
            try:
                values[name] = evaluated(value, ctx)
            except Unresolved:
                ctx.log("verbose", f"'{name}' of body {body.type} control has no value yet")
    return values


def entry_named(unit: "dict[str, Any]", is_entry: bool) -> "dict[str, Any]":
    """UNIT with `__main__` called `main` if it is that of the entry file, else without it."""
    if all(entry[2] != "__main__" for entry in unit["bundles"]):
        return unit
    bundles = [
        (*entry[:2], "main", *entry[3:]) if entry[2] == "__main__" else entry
        for entry in unit["bundles"]
        if is_entry or entry[2] != "__main__"
    ]
    return {**unit, "bundles": tuple(bundles)}
