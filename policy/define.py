"""The promises that the language keeps by itself: vars, classes, defaults, meta."""

from policy import strings
from policy.conditions import bound, condition, expression, instances, noted, permitted
from policy.context import SPECIAL_SCOPES, Variable, scope_key
from policy.errors import Failed, Fatal, Unresolved
from policy.evaluate import evaluate, expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context
    from policy.plan import Written
    from policy.provenance import Formula

TYPES = ("string", "int", "real", "slist", "ilist", "rlist", "data")
_LARGEST = 99999999999
_LARGEST_REAL = 9.99999e100

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:")
_DIGITS = frozenset("0123456789")


# vars


def variables(written: "Written", ctx: "Context", done: "set[str]") -> None:
    """Keep a `vars` promise: (re)assign the variable."""

    def keep(written: "Written", ctx: "Context") -> None:
        name = bound(written, ctx)
        if permitted(written, ctx, done):
            if _assign(name, written, ctx):
                ctx.variable_kept(written)
            noted(written, ctx, done)

    instances(written, ctx, keep)


def _assign(name: str, written: "Written", ctx: "Context") -> bool:
    """Set the variable NAME to what WRITTEN says, if its value can be had; whether it is set."""
    kind, policy = "", ""
    rval: Any = None
    for attribute, value in written.attributes:
        if attribute in TYPES:
            kind, rval = attribute, value
        elif attribute == "policy":
            policy = value
    if not kind:
        ctx.log("warning", f"Incomplete vars promise: {name}")
        return False
    if not _settable(name, written, ctx):
        return False
    if policy == "constant" and ctx.frame.scope.get(*ctx.reference(name)[2:]) is not None:
        return True
    try:
        value = evaluate(rval, ctx)
        value = _converted(name, kind, value, ctx)
    except Unresolved:
        return False
    if policy == "ifdefined" and type(value) is tuple:
        value = tuple([item for item in value if not strings.is_list_reference(item)])
    tags, comment = about(written, ctx)
    namespace, scope, base, indices = ctx.reference(name)
    where = ctx.frame.scope
    if scope is not None and scope_key(namespace or ctx.frame.namespace, scope) != scope_key(
        ctx.frame.namespace, ctx.frame.bundle
    ):
        base = f"{scope}.{base}"  # no other bundle: a local name with a dot in it
    ctx.put(where, base, indices, Variable(value, kind, tags, comment))
    return True


def about(written: "Written", ctx: "Context") -> tuple[tuple[str, ...], str]:
    """The tags and the comment that a variable or class gets from its promise."""
    tags: tuple[str, ...] = ("source=promise",)
    comment = ""
    for name, value in written.attributes:
        if name == "meta":
            found = _worth(value, ctx)
            tags += found if type(found) is tuple else () if found is None else (found,)
        elif name == "comment":
            with_comment = _worth(value, ctx)
            comment = with_comment if type(with_comment) is str else ""
    return tags, comment


def _worth(value: "Any", ctx: "Context") -> "Any":
    """What VALUE is worth; None if a function in it has no value."""
    try:
        return evaluate(value, ctx)
    except Unresolved:
        return None


def _settable(name: str, written: "Written", ctx: "Context") -> bool:
    """Whether NAME is a name, and one that this bundle may set."""
    base = name.partition("[")[0]
    if not base or not _LETTERS.issuperset(base):
        if not base.isascii() and base.replace(".", "").isalnum():
            return True
        if strings.expandable(name):
            return False
        ctx.log("error", f"Variable identifier '{name}' is not legal")
        where = written.bundle
        ctx.log(
            "error",
            f"Promise belongs to bundle '{where.name}' in file '{where.path}' "
            f"near line {written.line}",
        )
        return False
    if "." not in base and ":" not in base:
        return True
    namespace, scope, _, _ = ctx.reference(name)
    if scope is None:
        return namespace is None
    key = scope_key(namespace or ctx.frame.namespace, scope)
    if key == scope_key(ctx.frame.namespace, ctx.frame.bundle):
        return True
    if scope in SPECIAL_SCOPES or any(found == key for _, found in written.bundle.plan.bundles):
        ctx.log("error", f"Remote bundle variable injection detected! ({name})")
        return False
    return True


def _converted(name: str, kind: str, value: "Any", ctx: "Context") -> "Any":
    """VALUE as a variable of type KIND holds it. Raises Unresolved if it is not there yet."""
    if type(value) is bool:
        value = "any" if value else "!any"
    if kind == "string":
        if type(value) is str:
            value = expand(value, ctx)
            _not_of_itself(name, value, ctx)
            return value
        raise _clash(name, kind, value, ctx)
    if kind in ("int", "real"):
        if type(value) is not str:
            raise _clash(name, kind, value, ctx)
        return _integer(value, ctx) if kind == "int" else _real(value, ctx)
    if kind == "data":
        if isinstance(value, (dict, list)):
            from policy.values import normalised

            return normalised(value)
        raise _clash(name, kind, value, ctx)
    if type(value) is tuple:
        return tuple([expand(item, ctx) if "$" in item else item for item in value])
    raise _clash(name, kind, value, ctx)


def _not_of_itself(name: str, value: str, ctx: "Context") -> None:
    """Raise Fatal if the text VALUE of the variable NAME mentions NAME, by whatever detour."""
    if "$" in value and (f"$({name})" in value or f"${{{name}}}" in value):
        ctx.log(
            "error", f"Scalar variable '{name}' contains itself (non-convergent) '{value[:200]}'"
        )
        raise Fatal(f"Variable '{name}' contains itself indirectly - an unkeepable promise")


def _clash(name: str, kind: str, value: "Any", ctx: "Context") -> Fatal:
    """The end of a run that gives a variable what its type cannot hold."""
    where = f"{ctx.frame.namespace}:{ctx.frame.bundle}.{name}"
    ctx.log(
        "error",
        f"Variable '{where}' expected a variable of type '{kind}', "
        f"but was given incompatible value '{value}'",
    )
    return Fatal("Cannot continue")


def _integer(text: str, ctx: "Context") -> str:
    """TEXT as an int is stored: suffixes worked out."""
    if _DIGITS.issuperset(text) and text and len(text) < 10:
        return text if text[0] != "0" else str(int(text))
    if strings.expandable(text):
        raise Unresolved(text)
    from policy.values import integer

    try:
        number = integer(text, now=int(ctx.now))
    except ValueError:
        ctx.log("error", f"Failed to parse integer number: {text}")
        ctx.log("error", f"In attribute 'int', Cannot parse value as integer. Given '{text}'")
        raise Fatal("Cannot continue") from None
    if abs(number) > _LARGEST:
        ctx.log("error", f"In attribute 'int', Integer is out of range. Given '{text}'")
        raise Fatal("Cannot continue")
    return str(number)


def _real(text: str, ctx: "Context") -> str:
    """TEXT as a real is stored: six decimals."""
    from policy.values import real

    if strings.expandable(text):
        raise Unresolved(text)
    try:
        number = real(text)
    except ValueError:
        ctx.log("error", f"Failed to parse real number: {text}")
        raise Failed(text) from None
    if abs(number) > _LARGEST_REAL:
        ctx.log("error", f"In attribute 'real', Real value is out of range. Given '{text}'")
        raise Fatal("Cannot continue")
    return f"{number:f}"


def meta(written: "Written", ctx: "Context", done: "set[str]") -> None:
    """Keep a `meta` promise: a variable in the scope BUNDLE_meta."""

    def keep(written: "Written", ctx: "Context") -> None:
        name = bound(written, ctx)
        if not permitted(written, ctx, done):
            return
        for kind, rval in written.attributes:
            if kind in TYPES:
                try:
                    value = _converted(name, kind, evaluate(rval, ctx), ctx)
                except Unresolved:
                    continue
                scope = f"{scope_key(ctx.frame.namespace, ctx.frame.bundle)}_meta"
                place = ctx.scopes.setdefault(scope, type(ctx.frame.scope)())
                _, _, base, indices = ctx.reference(name)
                ctx.put(place, base, indices, Variable(value, kind, *about(written, ctx)))

    instances(written, ctx, keep)


def defaults(written: "Written", ctx: "Context", done: "set[str]") -> None:
    """Keep a `defaults` promise: a value for what has none, or one that matches a pattern."""

    def keep(written: "Written", ctx: "Context") -> None:
        name = bound(written, ctx)
        if not permitted(written, ctx, done):
            return
        wanted = dict(written.attributes)
        have = ctx.variable(name)
        if have is not None and not _replaceable(have, wanted.get("if_match_regex"), ctx):
            return
        for kind in ("string", "slist"):
            if kind in wanted:
                try:
                    value = _converted(name, kind, evaluate(wanted[kind], ctx), ctx)
                except Unresolved:
                    continue
                ctx.define(name, value, kind, *about(written, ctx))

    instances(written, ctx, keep)


def _replaceable(have: Variable, pattern: "Any", ctx: "Context") -> bool:
    """Whether the value of HAVE is one that a default may take the place of."""
    if pattern is None:
        return False
    from policy import regexp

    text = _worth(pattern, ctx)
    if type(text) is not str:
        return False
    values = have.value if type(have.value) is tuple else (have.value,)
    try:
        return all(type(value) is str and regexp.full(text, value) for value in values)
    except regexp.BadPattern as error:
        ctx.log("error", str(error))
        return False


# classes


def set_classes(written: "Written", ctx: "Context", done: "set[str]") -> None:
    """Keep a `classes` promise: define the class if what it says holds."""

    def keep(written: "Written", ctx: "Context") -> None:
        from policy.values import canonify

        name = canonify(bound(written, ctx))
        attributes = dict(written.attributes)
        if "cancel" in attributes:
            _cancel(name, attributes, written, ctx, done)
            return
        minutes = _minutes(attributes.get("persistence"), ctx)
        timer = attributes.get("timer_policy", "")
        if ctx.defined(name) and not (minutes and timer != "absolute"):
            _owe(name, written, ctx)
            return
        if not permitted(written, ctx, done):
            return
        noted(written, ctx, done)
        if timer and not minutes:
            ctx.log(
                "error",
                f"Cannot use 'timer_policy' without 'persistence' in classes promise for '{name}'",
            )
            return
        if _holds(name, attributes, ctx):
            scope = attributes.get("scope", "")
            if minutes or (not scope and written.bundle.type == "common"):
                scope = "namespace"
            tags, comment = about(written, ctx)
            owes = ctx.because = _owes(written, ctx)
            ctx.set_class(
                name, tags,
                private=scope != "namespace", minutes=minutes, timer=timer, comment=comment,
            )  # fmt: skip
            ctx.because = True
            if ctx.signalled:
                ctx.owe(name, owes, private=scope != "namespace")

    instances(written, ctx, keep)


def _owes(written: "Written", ctx: "Context") -> "Formula":
    """What the class that WRITTEN sets owes to signals, with all that led to it."""
    if not ctx.signalled:
        return True
    from policy.provenance import both, of_class

    return both([ctx.frame.needs, of_class(written, ctx)])


def _owe(name: str, written: "Written", ctx: "Context") -> None:
    """What the class NAME, set before, owes to signals, some of which may have come since."""
    if not ctx.signalled or ctx.owed_by(name) is True:
        return
    from policy.provenance import either, of_class

    formula = of_class(written, ctx)
    if formula is not False:  # else it was set by another promise
        ctx.owe(name, either([ctx.owed_by(name), formula]), private=name in ctx.frame.classes)


_DEFINING = ("expression", "not", "and", "or", "xor", "dist", "select_class")


def _cancel(
    name: str, attributes: "dict[str, Any]", written: "Written", ctx: "Context", done: "set[str]"
) -> None:
    """Undefine the class NAME if `cancel` says so."""
    if any(word in attributes for word in _DEFINING):
        ctx.log("error", f"Irreconcilable constraints in classes for '{name}'")
        return
    if any(word in attributes for word in ("persistence", "scope", "timer_policy")):
        ctx.log(
            "error",
            "The 'cancel' attribute cannot be combined with 'persistence', 'scope', or "
            f"'timer_policy' (class '{name}')",
        )
        return
    if attributes["cancel"] not in ("true", "yes", "on") or not permitted(written, ctx, done):
        return
    if name in ctx.hard:
        ctx.log("warning", f"Cannot cancel reserved hard class '{name}'")
        return
    ctx.cancel_class(name)


def _minutes(rval: "Any", ctx: "Context") -> int:
    """The value of `persistence`: minutes, 0 if there is none."""
    if rval is None:
        return 0
    text = evaluate(rval, ctx)
    return int(_integer(text, ctx)) if not strings.expandable(text) else 0


def _holds(name: str, attributes: "dict[str, Any]", ctx: "Context") -> bool:
    """Whether the one attribute that defines the class NAME holds; true if there is none."""
    defining = [word for word in _DEFINING if word in attributes]
    if len(defining) > 1:
        ctx.log("error", f"Irreconcilable constraints in classes for '{name}'")
        return False
    if not defining:
        return True
    word = defining[0]
    rval = attributes[word]
    if word == "expression":
        return condition(rval, ctx) is True
    if word == "not":
        return _negated(rval, ctx)
    if word == "dist":
        return _dist(name, rval, ctx)
    if word == "select_class":
        return _select(rval, ctx)
    found = [met is True for met in _items(rval, ctx)]
    if word == "xor":
        return sum(found) % 2 == 1
    return all(found) if word == "and" else any(found)


def _negated(rval: "Any", ctx: "Context") -> bool:
    """`not =>`: an unresolved text counts as false, so the class is set; a failed call does not."""
    try:
        found = evaluate(rval, ctx)
    except Unresolved:
        return False
    if type(found) is bool:
        return not found
    if type(found) is not str:
        return False
    if strings.expandable(found):
        return True
    met = expression(found, ctx)
    return met is not True


def _items(rval: "Any", ctx: "Context") -> "list[bool | None]":
    """Whether each item of `and`, `or`, `xor` holds."""
    if type(rval) is tuple and rval[0] == "list":
        found: list[bool | None] = []
        for item in rval[1:]:
            if type(item) is tuple and item[0] == "at":
                expanded = evaluate(("list", item), ctx)
                found += [condition(entry, ctx) for entry in expanded]
            elif type(item) is tuple and item[0] == "call":
                found += _called(item, ctx)
            else:
                found.append(condition(item, ctx))
        return found
    if type(rval) is tuple and rval[0] == "const":
        return [condition(item, ctx) for item in rval[1]]
    return _called(rval, ctx, alone=True)


def _called(rval: "Any", ctx: "Context", *, alone: bool = False) -> "list[bool | None]":
    """What a call in a list of conditions says: one truth, or a list of expressions.

    ALONE it stands for the list itself. Raises Fatal if it gives no list then.
    """
    try:
        value = evaluate(rval, ctx)
    except Unresolved:
        return [None]
    if type(value) is tuple:
        return [condition(entry, ctx) for entry in value]
    if alone:
        given = value if type(value) is str else "any" if value else "!any"
        raise Fatal(
            "In attribute 'and', 'or' or 'xor', Attempted to give a scalar to a non-scalar type. "
            f"Given attribute value '{given}'"
        )
    return [value if type(value) is bool else condition(value, ctx)]


def _dist(name: str, rval: "Any", ctx: "Context") -> bool:
    """`dist`: one of the weights at random also defines NAME_WEIGHT."""
    weights = [int(_integer(text, ctx)) for text in evaluate(rval, ctx)]
    total = sum(weights)
    if total <= 0:
        ctx.log("error", f"Attribute 'dist' of class '{name}' has no weight above 0")
        return False
    at = ctx.random() * total
    for weight in weights:
        at -= weight
        if at < 0:
            ctx.set_class(f"{name}_{weight}", ("source=promise",), private=False)
            return True
    return True


def _select(rval: "Any", ctx: "Context") -> bool:
    """`select_class`: one of the names, always the same on this host."""
    from policy.numbers import one_at_a_time
    from policy.values import canonify

    names = evaluate(rval, ctx)
    if not names or (len(names) == 1 and strings.is_list_reference(names[0])):
        return False
    facts = [ctx.facts.get(fact) for fact in ("fqhost", "ipv4")]
    host, address = (fact.value if fact is not None else "" for fact in facts)
    uid = ctx.special("promiser_uid") or "0"
    chosen = names[one_at_a_time(f"{host}+{address}+{uid}") % len(names)]
    ctx.set_class(canonify(chosen), ("source=promise",), private=False)
    return True


KEEPERS = {"vars": variables, "classes": set_classes, "meta": meta, "defaults": defaults}
