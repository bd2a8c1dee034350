"""A checked tree as a *unit*: what a run needs of one file, in types that marshal can store.

    {"bundles": ((type, namespace, name, params, top_down, line, blob), ...),
     "bodies":  ((type, namespace, name, params, line, blob), ...)}

A blob is marshalled by itself and decoded when the bundle or the body is first used. That of a
bundle is ((type, (promise, ...)), ...), a promise (line, guard, promiser, promisee, attributes),
an attribute (name, value). That of a body is ((guard, name, value), ...). A guard is a compiled
class expression, None for `any`. A value is an rval (see evaluate.py), or ("body", name, args), or
("bundle", name, args).
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from policy import classes, strings, syntax, vocabulary
from policy.json_text import parse_json

if TYPE_CHECKING:
    from policy.strings import Rval

FORMAT = 2  # of units; goes into the name of the stored file

CONTAINERS = frozenset(("data", "template_data"))


def unit_of(policy: syntax.Policy) -> dict[str, Any]:
    """The unit of one file."""
    bundles = tuple(_bundle(block) for block in policy.blocks if isinstance(block, syntax.Bundle))
    bodies = tuple(_body(block) for block in policy.blocks if isinstance(block, syntax.Body))
    return {"bundles": bundles, "bodies": bodies}


def _bundle(bundle: syntax.Bundle) -> tuple[Any, ...]:
    sections = tuple(
        (section.type, tuple(_promise(section.type, promise) for promise in section.promises))
        for section in bundle.sections
    )
    return (
        bundle.type, bundle.namespace, bundle.name, bundle.params, bundle.top_down,
        bundle.span.line, marshal.dumps(sections),
    )  # fmt: skip


def _body(body: syntax.Body) -> tuple[Any, ...]:
    attributes = tuple(
        (_guard(attribute.guard), attribute.name, _body_value(body.type, attribute))
        for attribute in body.attributes
    )
    blob = marshal.dumps(attributes)
    return (body.type, body.namespace, body.name, body.params, body.span.line, blob)


def _body_value(kind: str, attribute: syntax.Attribute) -> Any:
    """The value of ATTRIBUTE of a body of type KIND."""
    if attribute.name == "bundlesequence":
        return _sequence(attribute.value)
    if attribute.name == "inherit_from":
        return _called("body", attribute.value)
    value = _value(vocabulary.body_kind(kind, attribute.name), attribute)
    if kind in vocabulary.OF_BODIES:
        value = _checked(value, vocabulary.body_attribute(kind, attribute.name))
    return value


def _sequence(value: syntax.Rval) -> Any:
    """A bundlesequence: ("sequence", item, ...), where a call is one of a bundle."""
    items = value.items if isinstance(value, syntax.List) else (value,)
    return (
        "sequence",
        *[
            _called("bundle", item) if isinstance(item, syntax.Call | syntax.Name) else _item(item)
            for item in items
        ],
    )


def _guard(guard: syntax.Guard | None) -> classes.Expression | None:
    """The compiled guard; None for `any`, and what the checker refused never holds."""
    if guard is None:
        return None
    try:
        compiled = classes.compiled(guard.text)
    except classes.BadExpression:
        return False
    return None if compiled == "any" else compiled


def _promise(kind: str, promise: syntax.Promise) -> tuple[Any, ...]:
    attributes: list[tuple[str, Any]] = []
    if promise.variable_guard is not None:
        attributes.append(("if", strings.parse(promise.variable_guard.text)))
    for attribute in promise.attributes:
        if attribute.name not in ("if", "ifvarclass"):  # the last one wins, conditions add up
            attributes = [entry for entry in attributes if entry[0] != attribute.name]
        value = _value(vocabulary.kind_of(kind, attribute.name), attribute)
        if kind in vocabulary.OF_PROMISES:
            value = _checked(value, vocabulary.attribute(kind, attribute.name))
        attributes.append(("if" if attribute.name == "ifvarclass" else attribute.name, value))
    return (
        promise.span.line,
        _guard(promise.guard),
        strings.parse(promise.promiser.value),
        None if promise.promisee is None else rval(promise.promisee),
        tuple(attributes),
    )


def _value(kind: str, attribute: syntax.Attribute) -> Any:
    """The value of ATTRIBUTE: a body or bundle reference if it is of that KIND, else an rval."""
    value = attribute.value
    if kind == "body":
        return _called("body", value)
    if kind == "bundle":
        return _called("bundle", value)
    if kind == "custom":  # of a custom promise type or body: an unquoted word may name a body
        return _called("body", value) if isinstance(value, syntax.Name) else rval(value)
    if attribute.name in CONTAINERS:
        return _container(value)
    return rval(value)


def _checked(value: Any, row: vocabulary.Attribute | None) -> Any:
    """VALUE, to be looked at when it is known if ROW allows certain words only."""
    if row is None or row.type not in ("bool", "option") or not isinstance(value, tuple):
        return value
    words = vocabulary.BOOL if row.type == "bool" else row.range
    return ("option", value, row.name, tuple(words.split("|")))


def _called(operator: str, value: syntax.Rval) -> Any:
    """A body or bundle reference, with arguments or without."""
    match value:
        case syntax.Call(name=name, args=args):
            return (operator, strings.parse(name), tuple(_item(arg) for arg in args))
        case syntax.Name(value=name) | syntax.Text(value=name):
            return (operator, strings.parse(name), ())
        case _:
            return rval(value)


def _container(value: syntax.Rval) -> Any:
    """The value of `data =>`: text is JSON or YAML, `@(x)` a copy of x."""
    match value:
        case syntax.ListRef(value=text):
            return ("call", "mergedata", strings.parse(text))
        case syntax.Text(value=text) if not strings.is_list_reference(text):
            function = "parseyaml" if text.startswith("---") else "parsejson"
            if function == "parsejson" and "$" not in text and "@" not in text and _is_json(text):
                return ("json", text)
            return ("call", function, strings.parse(text))
        case _:
            return rval(value)


def _is_json(text: str) -> bool:
    """Whether TEXT is a JSON object or array."""
    try:
        return isinstance(parse_json(text), dict | list)
    except ValueError:
        return False


def rval(value: syntax.Rval) -> Rval:
    """What the evaluator runs for VALUE."""
    match value:
        case syntax.Name(value=text):
            return text
        case syntax.Text(value=text):
            return strings.parse(text)
        case syntax.ListRef(value=text):
            return strings.list_reference(text)
        case syntax.Call(name=name, args=args):
            return ("call", name, *[rval(arg) for arg in args])
        case syntax.List(items=items):
            return _list(items)


def _list(items: tuple[syntax.Rval, ...]) -> Rval:
    parts = [_item(item) for item in items]
    if all(isinstance(part, str) for part in parts):
        return ("const", tuple(parts))
    return ("list", *parts)


def _item(item: syntax.Rval) -> Rval:
    """An item of a list: `"@(x)"` in quotes is spliced as `@(x)` is."""
    if isinstance(item, syntax.Text) and strings.is_list_reference(item.value):
        return strings.list_reference(item.value)
    return rval(item)
