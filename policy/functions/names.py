"""Functions about what has a name: variables, classes, bundles, their tags, and who called whom."""

from policy import regexp, values
from policy.context import SPECIAL_SCOPES, Variable, descend
from policy.functions.arguments import pattern as compiled
from policy.functions.arguments import refusal
from policy.functions.logic import every_class, matching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from policy.context import Context, Frame, Scope


# variables


def owner(ctx: "Context", name: str) -> tuple[Variable, tuple[str, ...]] | None:
    """The variable that NAME means or leads into, and the indices that go on from there."""
    name = values.outright(ctx, name)
    bound = ctx.lookup(name) if "[" not in name else None
    exact = ctx.variable(name)
    if exact is not None:
        return exact, ()
    if bound is not None:
        return Variable(bound, "string", ("source=agent",)), ()
    indices = ctx.reference(name)[3]
    base = name.partition("[")[0]
    for kept in range(len(indices) - 1, -1, -1):
        found = ctx.variable(base + "".join([f"[{index}]" for index in indices[:kept]]))
        if found is not None and isinstance(found.value, (dict, list)):
            return found, indices[kept:]
    return None


def reached(ctx: "Context", name: str) -> "tuple[Variable, Any] | None":
    """The variable that NAME means or leads into, and the value at its end, which may be None."""
    found = owner(ctx, name)
    if found is None:
        return None
    variable, indices = found
    try:
        return variable, descend(variable.value, indices) if indices else variable.value
    except KeyError:
        return None


def isvariable(ctx: "Context", name: str) -> bool:
    """Whether the variable or the place in a container that NAME means is there.

    An array without index is no variable: `isvariable("a[k]")`.
    Never fails.
    Example:
        isvariable("sys.host") -> true
        isvariable("sys.nothing") -> false
    """
    return reached(ctx, name) is not None


def _prepared(ctx: "Context") -> None:
    """Evaluate the variables of all bundles, because somebody is about to list them."""
    while ctx.unprepared:
        ctx.prepare(min(ctx.unprepared))


def _of_scope(scope: "Scope") -> "Iterator[tuple[str, Variable]]":
    """The variables of SCOPE, elements of arrays as `x[i]`."""
    yield from list(scope.plain.items())
    for name, elements in list(scope.arrays.items()):
        for indices, variable in list(elements.items()):
            yield name + "".join([f"[{index}]" for index in indices]), variable


def _scopes(ctx: "Context") -> "Iterator[tuple[str, Iterator[tuple[str, Variable]]]]":
    """All scopes, `bundle` or `ns:bundle`, each with its variables."""
    _prepared(ctx)
    yield "sys", iter(ctx.facts.items())
    for key, scope in list(ctx.scopes.items()):
        yield key, _of_scope(scope)


def _matching(ctx: "Context", pattern: str, tags: tuple[str, ...]) -> "dict[str, Variable]":
    """The variables whose whole name PATTERN spans; with TAGS, those with a tag that one spans."""
    found: dict[str, Variable] = {}
    try:
        for key, variables in _scopes(ctx):
            scope = key if ":" in key else f"default:{key}"
            for name, variable in variables:
                whole = f"{scope}.{name}"
                if regexp.full(pattern, whole) and (
                    not tags or any(regexp.full(tag, it) for tag in tags for it in variable.tags)
                ):
                    found[whole] = variable
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
        return {}
    return found


def variablesmatching(ctx: "Context", pattern: str, *tags: str) -> tuple[str, ...]:
    r"""The names, `ns:scope.name`, of the variables that PATTERN spans.

    With TAGS, those with a tag that one of TAGS spans. The order says nothing.
    Never fails: nothing matches a bad PATTERN.
    Example:
        variablesmatching("default:sys\.host") -> { "default:sys.host" }
    """
    return tuple(_matching(ctx, pattern, tags))


def _plain(variable: Variable) -> "Any":
    """The value of VARIABLE as it is in a container."""
    return list(variable.value) if isinstance(variable.value, tuple) else variable.value


def variablesmatching_as_data(ctx: "Context", pattern: str, *tags: str) -> "dict[str, Any]":
    r"""The variables that PATTERN spans, by name, `ns:scope.name`.

    With TAGS, those with a tag that one of TAGS spans.
    Never fails: nothing matches a bad PATTERN.
    Example:
        variablesmatching_as_data("default:sys\.os") -> {"default:sys.os":"linux"}
    """
    return {name: _plain(it) for name, it in _matching(ctx, pattern, tags).items()}


def _state(variables: "Iterator[tuple[str, Variable]]") -> "dict[str, Any]":
    """VARIABLES by name, those of mangled names left out."""
    return {name: _plain(variable) for name, variable in variables if "#" not in name}


def datastate(ctx: "Context") -> "dict[str, Any]":
    """All classes (`classes`) and all variables (`vars`, by bundle): what templates are given.

    It is large: take `bundlestate` if one bundle will do.
    Never fails.
    Example:
        vars:
          "all" data => datastate();
        reports:
          "$(all[vars][sys][os]) $(all[classes][linux])"; -> linux true
    """
    classes = {name: True for name, _ in every_class(ctx)}
    return {
        "classes": classes,
        "vars": {key: _state(variables) for key, variables in _scopes(ctx)},
    }


def bundlestate(ctx: "Context", bundle: str) -> "dict[str, Any]":
    """The variables of BUNDLE (`b` or `ns:b`, but not `default:b`).

    Fails if nothing is known of BUNDLE.
    Example:
        vars:
          "port" int => "80";
          "all" data => bundlestate("$(this.bundle)");
        reports:
          "$(all[port])"; -> 80
    """
    namespace, _, name = bundle.rpartition(":")
    if name == "sys":
        return _state(iter(ctx.facts.items()))
    _prepared(ctx)
    scope = ctx.scope_of(None if name in SPECIAL_SCOPES else namespace or "default", name)
    if namespace == "default" or scope is None or not (scope.plain or scope.arrays):
        raise refusal(ctx, f"bundlestate: there are no variables of bundle '{bundle}'", "verbose")
    return _state(_of_scope(scope))


# tags


def _tags(have: tuple[str, ...], keys: tuple[str, ...]) -> tuple[str, ...]:
    """The tags a thing HAS or, if KEYS has one, what those that say `key=...` say."""
    if not keys:
        return have
    prefix = f"{keys[0]}="
    return tuple(tag[len(prefix) :] for tag in have if tag.startswith(prefix))


def getvariablemetatags(ctx: "Context", name: str, *key: str) -> tuple[str, ...]:
    """The tags of a variable; with KEY, what stands behind `KEY=` in them.

    Fails if there is no such variable.
    Example:
        getvariablemetatags("sys.os", "source") -> { "agent" }
    """
    found = owner(ctx, name)
    if found is None:
        raise refusal(ctx, f"getvariablemetatags: there is no variable '{name}'", "verbose")
    return _tags(found[0].tags, key)


def getclassmetatags(ctx: "Context", name: str, *key: str) -> tuple[str, ...]:
    """The tags of a class; with KEY, what stands behind `KEY=` in them.

    Fails if the class is not set.
    Example:
        getclassmetatags("linux", "source") -> { "agent" }
    """
    wanted = name.removeprefix("default:")
    for known, tags in every_class(ctx):
        if known in (wanted, ctx.class_key(wanted)):
            return _tags(tags, key)
    raise refusal(ctx, f"getclassmetatags: there is no class '{name}'", "verbose")


def getbundlemetatags(ctx: "Context", name: str, *key: str) -> tuple[str, ...]:
    """The tags of a bundle: the list `tags` among its `meta` promises.

    With KEY, what stands behind `KEY=` in them.
    Fails if there is no such bundle or it has no tags.
    Example:
        meta:
          "tags" slist => { "owner=ops", "pci" };
        vars:
          "who" slist => getbundlemetatags("$(this.bundle)", "owner");
        reports:
          "$(who)"; -> ops
    """
    tags = _bundles(ctx).get(name if ":" in name else f"default:{name}")
    if not tags:
        raise refusal(ctx, f"getbundlemetatags: there are no tags of bundle '{name}'")
    return _tags(tags, key)


# classes


def classesmatching(ctx: "Context", pattern: str, *tags: str) -> tuple[str, ...]:
    """The classes that are set and that PATTERN spans.

    With TAGS, those with a tag that one of TAGS spans. The order says nothing.
    Never fails: nothing matches a bad PATTERN.
    Example:
        classesmatching("linux|windows") -> { "linux" }
    """
    return tuple(dict.fromkeys(matching(ctx, pattern, tags)))


def countclassesmatching(ctx: "Context", pattern: str, *tags: str) -> str:
    """How many classes that PATTERN spans are set.

    Never fails: nothing matches a bad PATTERN.
    Example:
        countclassesmatching("linux|windows") -> 1
    """
    return str(len(classesmatching(ctx, pattern, *tags)))


# bundles


def _bundles(ctx: "Context") -> dict[str, tuple[str, ...]]:
    """The bundles as `ns:name`, with their tags, in the order of the policy."""
    found: dict[str, tuple[str, ...]] = ctx.agent.bundles() if ctx.agent is not None else {}
    return found


def bundlesmatching(ctx: "Context", pattern: str, *tags: str) -> tuple[str, ...]:
    """The bundles, `ns:name`, that PATTERN spans, the last one written first.

    Never fails: nothing matches a bad PATTERN.
    Example:
        bundlesmatching("default:no_such.*") -> {  }
    """
    spans = compiled(ctx, pattern).full
    tagged = compiled(ctx, tags[0]).full if tags else None
    return tuple(
        name
        for name, have in reversed(_bundles(ctx).items())
        if spans(name) and (tagged is None or any(map(tagged, have)))
    )


# who called whom


def callstack_promisers(ctx: "Context") -> tuple[str, ...]:
    """The promisers of the `methods` promises that led here, the outermost first.

    Never fails.
    Example:
        vars:
          "way" slist => callstack_promisers();
          "here" string => join(" ", "way");
        reports:
          "$(here)"; -> e.g. web_config
    """
    return tuple(ctx.agent.promisers()) if ctx.agent is not None else ()


def callstack_callers(ctx: "Context") -> "list[dict[str, Any]]":
    """The bundles and promises being evaluated, the outermost first, each an object with `type`.

    Never fails.
    Example:
        vars:
          "stack" data => callstack_callers();
        reports:
          "$(stack[0][type])"; -> bundle
    """
    frames: list[Frame] = []
    frame: Frame | None = ctx.frame
    while frame is not None and frame.bundle:
        frames.insert(0, frame)
        frame = frame.caller
    return [
        {
            "type": "bundle",
            "frame": len(frames) - depth,
            "depth": depth,
            "bundle": {
                "bundleType": it.kind,
                "name": it.bundle,
                "namespace": it.namespace,
            },
        }
        for depth, it in enumerate(frames)
    ]
