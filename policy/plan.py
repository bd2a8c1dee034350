"""What a run keeps: the bundles and bodies of all files, decoded and linked when first used."""

import marshal

from policy.evaluate import evaluate, out_of_bounds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context
    from policy.strings import Rval

# the order of promise types in one pass; custom types come after, as they are met
ORDERS = {
    "agent": (
        "meta", "vars", "defaults", "classes", "users", "files", "packages", "guest_environments",
        "methods", "processes", "services", "commands", "storage", "databases", "reports",
    ),
    "common": ("meta", "vars", "defaults", "classes", "reports"),
    "edit_line": (
        "vars", "classes", "delete_lines", "field_edits", "insert_lines", "replace_patterns",
        "reports",
    ),
    "edit_xml": (
        "vars", "classes", "build_xpath", "delete_tree", "insert_tree", "delete_attribute",
        "set_attribute", "delete_text", "set_text", "insert_text", "reports",
    ),
    "server": ("meta", "vars", "classes", "roles", "access"),
    "monitor": ("vars", "classes", "reports", "measurements"),
}  # fmt: skip


class Bundle:
    """One bundle: where it stands and, once asked for, its promises by type."""

    __slots__ = (
        "_blob", "_sections", "held", "key", "line", "name", "namespace", "params", "path", "plan",
        "steady", "swept", "top_down", "type",
    )  # fmt: skip

    def __init__(self, plan: "Plan", path: str, entry: "tuple[Any, ...]") -> None:
        self.plan = plan
        self.path = path
        self.type, self.namespace, self.name, self.params, self.top_down, self.line, blob = entry
        self.key = self.name if self.namespace == "default" else f"{self.namespace}:{self.name}"
        self._blob: bytes = blob
        self._sections: dict[str, list[Written]] | None = None
        self.swept: dict[str, int] = {}  # section: version of the context in which it is settled
        self.steady: dict[str, bool] = {}
        self.held: dict[str, tuple[int, list[Written]]] = {}  # whose guards held at that version

    @property
    def sections(self) -> "dict[str, list[Written]]":
        """The promises by type, those of several sections of one type in the order of the text."""
        if self._sections is None:
            self._sections = {}
            for kind, promises in marshal.loads(self._blob):
                self._sections.setdefault(kind, []).extend(
                    [Written(self, kind, promise) for promise in promises]
                )
        return self._sections

    def in_order(self, *, top_down: bool = False) -> "list[tuple[str, list[Written]]]":
        """The sections in the order of evaluation."""
        sections = self.sections
        if self.top_down or top_down:
            written = [promise for section in sections.values() for promise in section]
            written.sort(key=lambda promise: promise.line)
            return [(promise.type, [promise]) for promise in written]
        order = ORDERS.get(self.type, ())
        known = [(kind, sections[kind]) for kind in order if kind in sections]
        known += [(kind, sections[kind]) for kind in sections if kind not in order]
        return known


class Body:
    """One body: its parameters and, once asked for, ((guard, name, value), ...)."""

    __slots__ = ("_attributes", "_blob", "line", "name", "namespace", "params", "path", "type")

    def __init__(self, path: str, entry: "tuple[Any, ...]") -> None:
        self.path = path
        self.type, self.namespace, self.name, self.params, self.line, blob = entry
        self._blob: bytes = blob
        self._attributes: tuple[tuple[Any, ...], ...] | None = None

    @property
    def attributes(self) -> "tuple[tuple[Any, ...], ...]":
        """What stands in it, in the order of the text."""
        if self._attributes is None:
            self._attributes = marshal.loads(self._blob)
        return self._attributes


class Written:
    """One promise as written; linked, its body references are the bodies' attributes.

    Linked attributes: (name, value), a value an rval, ("bundle", name, args), or a Linked body.
    It CHOOSES if one of them is an `ifelse` of three arguments.
    """

    __slots__ = (
        "attributes", "bundle", "chooses", "constant", "done", "guard", "key", "line", "linked",
        "promisee", "promiser", "references", "type",
    )  # fmt: skip

    def __init__(self, bundle: Bundle, kind: str, promise: "tuple[Any, ...]") -> None:
        self.bundle = bundle
        self.type = kind
        self.line, self.guard, self.promiser, self.promisee, self.attributes = promise
        self.linked = False
        self.done = False
        self.references: tuple[Rval, ...] = ()
        self.chooses = False
        self.constant: dict[str, Any] | None = None
        self.key: Any = None

    @property
    def path(self) -> str:
        """The file that it stands in."""
        return self.bundle.path

    def link(self) -> None:
        """Replace body references by what stands in the bodies; find the references."""
        plan = self.bundle.plan
        attributes = [(name, self._put_in(name, value)) for name, value in self.attributes]
        for kind, body in plan.default_bodies(self.type):
            if all(name != kind for name, _ in attributes):
                attributes.append((kind, plan.body(self, kind, ("body", body, ()))))
        attributes = [entry for entry in attributes if entry[1] is not None]
        self.references = references(
            self.promiser, self.promisee or "", *[value for _, value in attributes]
        )
        self.attributes = tuple(attributes)
        self.chooses = any(
            type(value) is tuple and value[:2] == ("call", "ifelse") and len(value) == 5
            for _, value in attributes
        )
        if all(_is_constant(value) for _, value in attributes):
            self.constant = {name: _constant(value) for name, value in attributes}
        self.linked = True

    def _put_in(self, name: str, value: "Any") -> "Any":
        """VALUE, or the body that it refers to; for a custom type a call may be of a body."""
        plan = self.bundle.plan
        if _is_body(value):
            return plan.body(self, name, value)
        if self.type in plan.custom and type(value) is tuple and value[0] == "call":
            called = plan.body(self, name, ("body", value[1], value[2:]))
            return value if called is None else called
        return value


class Linked:
    """A body in its place: attributes with the arguments put in; CONSTANT if nothing can vary."""

    __slots__ = ("attributes", "constant", "name")

    def __init__(self, name: str, attributes: "tuple[tuple[Any, ...], ...]") -> None:
        self.name = name
        self.attributes = attributes
        self.constant: dict[str, Any] | None = None
        if all(guard is None and _is_constant(value) for guard, _, value in attributes):
            self.constant = {attr: _constant(value) for _, attr, value in attributes}


def _is_body(value: "Any") -> bool:
    return type(value) is tuple and value[0] == "body"


def _is_constant(value: "Any") -> bool:
    """Whether VALUE is the same in every context."""
    if type(value) is str:
        return True
    if type(value) is Linked:
        return value.constant is not None
    return bool(
        value[0] == "const"
        or (
            value[0] == "bundle"
            and type(value[1]) is str
            and all(type(arg) is str for arg in value[2])
        )
    )


def _constant(value: "Any") -> "Any":
    """What a constant VALUE is worth."""
    if type(value) is str:
        return value
    if type(value) is Linked:
        return value.constant
    return value[1] if value[0] == "const" else (value[1], value[2])


def references(*values: "Any") -> "tuple[Rval, ...]":
    """The names that `$(...)` in VALUES refer to, in order, inner ones first, each once."""
    found: dict[Rval, None] = {}
    for value in values:
        _references(value, found)
    return tuple(found)


def _opaque(value: "tuple[Any, ...]") -> bool:
    """Whether no `$(list)` in VALUE is iterated over, whatever stands there."""
    return value[0] in ("const", "json", "sequence") or (
        value[0] == "call" and value[1] in ("maparray", "mapdata", "maplist")
    )


def _references(value: "Any", found: "dict[Rval, None]") -> None:
    """Collect the names that `$(...)` in VALUE refer to, in order, inner ones first."""
    if type(value) is Linked:
        for _, _, part in () if value.constant is not None else value.attributes:
            _references(part, found)
    elif type(value) is tuple and not _opaque(value):
        parts = value[1:]
        if value[0] in ("var", "at", "option"):
            parts = value[1:2]
        elif value[0] == "bundle":
            parts = (value[1], *value[2])
        for part in parts:
            _references(part, found)
        if value[0] == "var":
            found.setdefault(value[1])


def substituted(value: "Any", params: "dict[str, Any]") -> "Any":
    """VALUE with the references to PARAMS replaced by the arguments."""
    if type(value) is str or value[0] in ("const", "json"):
        return value
    operator = value[0]
    if operator in ("var", "at"):
        return _argument(value, params)
    if operator in ("body", "bundle"):
        args = tuple([substituted(arg, params) for arg in value[2]])
        return (operator, substituted(value[1], params), args)
    if operator == "cat":
        return _joined([substituted(part, params) for part in value[1:]])
    if operator == "option":
        put_in = substituted(value[1], params)
        if type(put_in) is str and put_in not in value[3]:
            raise out_of_bounds(value[2], put_in)
        return put_in if type(put_in) is str else ("option", put_in, *value[2:])
    parts = [substituted(part, params) for part in value[1:]]
    if operator == "list" and all(type(part) is str for part in parts):
        return ("const", tuple(parts))
    return (operator, *parts)


def _argument(value: "Any", params: "dict[str, Any]") -> "Any":
    """The reference VALUE, or the argument that it stands for."""
    operator, name, brackets = value
    if type(name) is not str:
        return (operator, substituted(name, params), brackets)
    base, bracket, rest = name.partition("[")
    if base not in params:
        return value
    arg = params[base]
    if not bracket and (operator == "var" or (type(arg) is tuple and arg[0] == "at")):
        return (
            ("var", arg[1], brackets)
            if type(arg) is tuple and arg[0] == "at" and operator == "var"
            else arg
        )
    if type(arg) is tuple and arg[0] == "at":
        return (operator, _joined([arg[1], bracket + rest]), brackets)
    return arg if operator == "at" else value


def _joined(parts: "list[Any]") -> "Any":
    """PARTS as one rval: neighbouring texts put together, cats in cats flattened."""
    flat: list[Any] = []
    for part in parts:
        inner = part[1:] if type(part) is tuple and part[0] == "cat" else (part,)
        for piece in inner:
            if type(piece) is str and flat and type(flat[-1]) is str:
                flat[-1] += piece
            else:
                flat.append(piece)
    flat = [piece for piece in flat if piece != ""] or [""]
    return flat[0] if len(flat) == 1 else ("cat", *flat)


def evaluated(value: "Any", ctx: "Context") -> "Any":
    """What the linked attribute VALUE is worth: bodies as dicts, bundles as (name, arguments).

    Raises Unresolved for a function without a value.
    """
    if type(value) is str:
        return value
    if type(value) is Linked:
        return value.constant if value.constant is not None else body_values(value, ctx)
    if value[0] == "bundle":
        return evaluate(value[1], ctx), tuple([_actual(arg, ctx) for arg in value[2]])
    return evaluate(value, ctx)


def _actual(arg: "Rval", ctx: "Context") -> "Any":
    """An argument of a bundle: `@(x)` is the list or container itself, if there is one."""
    if type(arg) is tuple and arg[0] == "at":
        text: str = evaluate(arg, ctx)
        value = ctx.unbound(text[2:-1])
        return text if value is None else value
    value = evaluate(arg, ctx)
    return ("any" if value else "!any") if type(value) is bool else value


def body_values(body: Linked, ctx: "Context") -> "dict[str, Any]":
    """The attributes of BODY whose guards hold; the last of a name wins."""
    from policy.classes import truth
    from policy.errors import Unresolved

    values: dict[str, Any] = {}
    for guard, name, value in body.attributes:
        if guard is None or truth(guard, ctx):
            try:
                found = evaluated(value, ctx)
            except Unresolved:
                continue
            values[name] = ("any" if found else "!any") if type(found) is bool else found
    return values


class Plan:
    """The bundles and bodies of all files."""

    def __init__(self, report: "Any" = None) -> None:
        self.bundles: dict[tuple[str, str], Bundle] = {}
        self.bodies: dict[tuple[str, str, str], Body] = {}
        self.controls: dict[str, list[Body]] = {}
        self.custom: dict[str, Body] = {}
        self._defaults: dict[str, list[tuple[str, str]]] = {}
        self._linked: dict[Any, Linked | None] = {}
        self.report = report

    def add(self, path: str, unit: "dict[str, Any]") -> "tuple[list[Bundle], list[Body]]":
        """Take in the unit of the file PATH; what is new of bundles and of control bodies."""
        bundles = [Bundle(self, path, entry) for entry in unit["bundles"]]
        for bundle in bundles:
            self.bundles[bundle.type, bundle.key] = bundle
        controls = []
        for entry in unit["bodies"]:
            body = Body(path, entry)
            if body.type == "promise":
                self.custom[body.name] = body
            elif body.name == "control":
                self.controls.setdefault(body.type, []).append(body)
                controls.append(body)
            else:
                self.bodies[body.type, body.namespace, body.name] = body
                if body.namespace == "bodydefault" and body.name.endswith(f"_{body.type}"):
                    kind = body.name.removesuffix(f"_{body.type}")
                    self._defaults.setdefault(kind, []).append(
                        (body.type, f"bodydefault:{body.name}")
                    )
        return bundles, controls

    def bundle(self, name: str, namespace: str, *kinds: str) -> Bundle | None:
        """The bundle NAME (`b`, `ns:b`) seen from NAMESPACE, of the first of KINDS that has it."""
        if name.startswith("default:"):
            key = name[8:]
        elif ":" in name or namespace == "default":
            key = name
        else:
            key = f"{namespace}:{name}"
        for kind in kinds:
            found = self.bundles.get((kind, key))
            if found is not None:
                return found
        return None

    def default_bodies(self, kind: str) -> "list[tuple[str, str]]":
        """The bodies that every promise of type KIND has unless it has its own: (type, name)."""
        return self._defaults.get(kind, []) if self._defaults else []

    def body(self, promise: Written, kind: str, reference: "tuple[Any, ...]") -> "Any":
        """The body of type KIND that REFERENCE of PROMISE means, its arguments put in.

        A word that names no body is a plain value for the attributes of custom promise types.
        """
        _, name, args = reference
        if type(name) is not str:
            return None
        namespace = promise.bundle.namespace
        key = (kind, namespace, name, args)
        if key not in self._linked:
            self._linked[key] = self._link(kind, namespace, name, args)
        linked = self._linked[key]
        if linked is None and not args and promise.type in self.custom:
            return name
        return linked

    def _link(self, kind: str, namespace: str, name: str, args: "tuple[Any, ...]") -> Linked | None:
        attributes = self._attributes(kind, namespace, name, args, 0)
        return None if attributes is None else Linked(name, attributes)

    def _attributes(
        self, kind: str, namespace: str, name: str, args: "tuple[Any, ...]", depth: int
    ) -> "tuple[tuple[Any, ...], ...] | None":
        """The attributes of a body with its arguments put in, those it inherits first."""
        space, _, base = name.rpartition(":")
        body = self.bodies.get((kind, space or namespace, base))
        if body is None or depth > 30:
            return None
        params = dict(zip(body.params, args, strict=False)) if len(body.params) == len(args) else {}
        inherited: tuple[tuple[Any, ...], ...] = ()
        own = []
        for guard, attribute, value in body.attributes:
            put_in = substituted(value, params) if params else value
            if attribute != "inherit_from":
                own.append((guard, attribute, put_in))
                continue
            _, parent, arguments = put_in if _is_body(put_in) else ("body", put_in, ())
            inherited = self._attributes(kind, body.namespace, parent, arguments, depth + 1) or ()
        return (*inherited, *own)
