"""Policy and the tables of the language as programs want them: `cf-promises -p` and `-s`.

The forms are the reference's to the blank; what reads them is not ours.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from policy import check_values, vocabulary
from policy.functions import SIGNATURES
from policy.json_text import dump_json, parse_json
from policy.syntax import Body, Bundle, Call, Guard, List, ListRef, Name, Promise, Text
from policy.values import normalised

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policy.source import Span
    from policy.syntax import Attribute, Policy, Rval, Section

CONTAINERS = ("data", "template_data")


class Container:
    """A data container that a text was at load time."""

    def __init__(self, value: Any) -> None:
        self.value = value


def as_json(policies: Iterable[Policy]) -> str:
    """The blocks of POLICIES in the JSON form: bodies, then bundles."""
    bundles, bodies = _blocks(policies)
    tree = {"bodies": [_body(body) for body in bodies], "bundles": [_bundle(it) for it in bundles]}
    return dump_json(tree, pretty=True).replace("\n", "\n    ")


def _blocks(policies: Iterable[Policy]) -> tuple[list[Bundle], list[Body]]:
    blocks = [block for policy in policies for block in policy.blocks]
    bodies = [block for block in blocks if isinstance(block, Body) and block.type != "promise"]
    return [block for block in blocks if isinstance(block, Bundle)], bodies


def _ends(span: Span) -> int:
    """The line that something ends in: the reference notes it when it has read it."""
    return span.source.place(max(span.start, span.end - 1))[0]


def _guard(guard: Guard | None) -> str:
    return guard.text if guard is not None else "any"


def _bundle(bundle: Bundle) -> dict[str, Any]:
    return {
        "arguments": list(bundle.params),
        "bundleType": bundle.type,
        "evaluation_order": "top_down" if bundle.top_down else "undefined",
        "line": _ends(bundle.span),
        "name": bundle.name,
        "namespace": bundle.namespace,
        "promiseTypes": [_section(kind, sections) for kind, sections in _sections(bundle).items()],
        "sourcePath": bundle.span.source.path,
    }


def _sections(bundle: Bundle) -> dict[str, list[Section]]:
    """The sections of each promise type, in the order in which the types are met."""
    found: dict[str, list[Section]] = {}
    for section in bundle.sections:
        found.setdefault(section.type, []).append(section)
    return found


def _contexts(sections: list[Section]) -> Iterable[tuple[str, list[Promise]]]:
    """Neighbours under one guard."""
    promises = [promise for section in sections for promise in section.promises]
    for guard, group in groupby(promises, lambda promise: _guard(promise.guard)):
        yield guard, list(group)


def _section(kind: str, sections: list[Section]) -> dict[str, Any]:
    contexts = [
        {"name": guard, "promises": [_promise(promise) for promise in promises]}
        for guard, promises in _contexts(sections)
    ]
    return {"contexts": contexts, "line": sections[-1].span.line, "name": kind}


def _promise(promise: Promise) -> dict[str, Any]:
    found: dict[str, Any] = {
        "attributes": [
            {"line": line, "lval": name, "rval": _rval(value)}
            for line, name, value in _attributes(promise)
        ],
        "line": _ends(promise.promiser.span),
        "promiser": promise.promiser.value,
    }
    if promise.promisee is not None:
        found["promisee"] = _promisee(promise.promisee)
    return found


def _attributes(promise: Promise) -> Iterable[tuple[int, str, Rval | Container]]:
    """Line, name and value of each attribute; a variable guard is the first of them."""
    guard = promise.variable_guard
    if guard is not None:
        yield 0, "ifvarclass", Name(guard.text, guard.span)
    for attribute in promise.attributes:
        yield _ends(attribute.value.span), attribute.name, _contained(attribute)


def _contained(attribute: Attribute) -> Rval | Container:
    """The value of ATTRIBUTE, with what a text means where a container is wanted."""
    value = attribute.value
    if attribute.name not in CONTAINERS or not isinstance(value, Text | ListRef):
        return value
    if isinstance(value, ListRef):
        return Call("mergedata", (Text(value.value[2:-1], value.span),), value.span)
    yaml = value.value.startswith("---")
    if not yaml and not check_values.varies(value.value):
        try:
            found = parse_json(value.value)
        except ValueError:
            found = None
        if isinstance(found, dict | list):
            return Container(normalised(found))
    return Call("parseyaml" if yaml else "parsejson", (value,), value.span)


def _promisee(promisee: Rval) -> Any:
    match promisee:
        case List(items=items):
            return [_promisee(item) for item in items]
        case Call(name=name):
            return name
        case Text(value=text) | Name(value=text) | ListRef(value=text):
            return text


def _quotable(text: str) -> str:
    return text.replace('"', '\\"')


def _rval(value: Rval | Container) -> Any:
    match value:
        case Container(value=container):
            return container
        case Name(value=text):
            return {"type": "symbol", "value": text}
        case List(items=items):
            return {"type": "list", "value": [_item(item) for item in items]}
        case _:
            return _item(value)


def _item(value: Rval) -> dict[str, Any]:
    """A value inside of a list or a call, where the reference forgets that a word had no quotes."""
    match value:
        case Call(name=name, args=args):
            return {
                "arguments": [_item(arg) for arg in args], "name": name, "type": "functionCall",
            }  # fmt: skip
        case Text(value=text) | Name(value=text) | ListRef(value=text):
            return {"type": "string", "value": _quotable(text)}
        case List(items=items):
            return {"type": "list", "value": [_item(item) for item in items]}


def _body(body: Body) -> dict[str, Any]:
    contexts: list[dict[str, Any]] = [{"attributes": [], "name": "any"}]
    for attribute in body.attributes:
        guard = _guard(attribute.guard)
        if contexts[-1]["name"] != guard:
            contexts.append({"attributes": [], "name": guard})
        contexts[-1]["attributes"].append(
            {
                "line": _ends(attribute.value.span),
                "lval": attribute.name,
                "rval": _rval(attribute.value),
            }
        )
    return {
        "arguments": list(body.params),
        "bodyType": body.type,
        "contexts": contexts,
        "line": _ends(body.span),
        "name": body.name,
        "namespace": body.namespace,
        "sourcePath": body.span.source.path,
    }


# the text form


def as_cf(policies: Iterable[Policy]) -> str:
    """The blocks of POLICIES as policy text: bundles, then bodies."""
    bundles, bodies = _blocks(policies)
    return "".join([*map(_bundle_text, bundles), *map(_body_text, bodies)])


def _bundle_text(bundle: Bundle) -> str:
    head = f"bundle {bundle.type} {bundle.name}({', '.join(bundle.params)})\n{{\n"
    sections = []
    for kind, found in _sections(bundle).items():
        lines = [f"{kind}:\n"]
        for guard, promises in _contexts(found):
            lines += [f"  {guard}::\n", *map(_promise_text, promises)]
        sections.append("".join(lines))
    tail = "\n\n" if sections else ""
    return head + "\n".join(sections) + tail + "}\n\n"


def _promise_text(promise: Promise) -> str:
    attributes = [f"{name} => {_text(value)}" for _, name, value in _attributes(promise)]
    inner = "        " + ",\n        ".join(attributes) if attributes else ""
    return f'    "{_quotable(promise.promiser.value)}"{inner};\n'


def _text(value: Rval | Container) -> str:
    match value:
        case Container(value=container):
            return dump_json(container, pretty=True)
        case Name(value=text):
            return text
        case List(items=items):
            return f" {{{','.join([_item_text(item) for item in items])}}}" if items else ""
        case _:
            return _item_text(value)


def _item_text(value: Rval) -> str:
    match value:
        case Call(name=name, args=args):
            return f"{name}({','.join([_item_text(arg) for arg in args])})"
        case Text(value=text) | Name(value=text) | ListRef(value=text):
            return f'"{_quotable(text)}"'
        case List():
            return _text(value)


def _body_text(body: Body) -> str:
    lines = [f"body {body.type} {body.name}({', '.join(body.params)})\n{{\n"]
    for guard, attributes in groupby(body.attributes, lambda attribute: _guard(attribute.guard)):
        if guard != "any":
            lines.append(f"\n{guard}::")
        lines += [f"  {it.name} => {_text(it.value)};\n" for it in attributes]
        lines.append("\n")
    return "".join(lines) + "}\n\n"


# the tables of the language

WHOLE, REAL = "-99999999999,99999999999", "-9.99999E100,9.99999E100"
NUMBERS = {"int": WHOLE, "ilist": WHOLE, "irange": WHOLE, "real": REAL, "rlist": REAL}
TYPES = {"str": "string", "bool": "option", "mode": "string", "modes": "slist"}


def language() -> str:
    """What may be written in policy, as JSON."""
    body_types = {
        name: {"attributes": _rows(rows | vocabulary.IN_EVERY_BODY, "body"), "status": "normal"}
        for name, rows in vocabulary.OF_BODIES.items()
        if name != "promise"
    }
    promise_types = {
        name: {
            "attributes": _rows(rows, "promiseType") | _rows(vocabulary.IN_EVERY_PROMISE, "global"),
            "status": "normal",
        }
        for name, rows in vocabulary.OF_PROMISES.items()
    }
    bundle_types = {
        name: {"promiseTypes": [*types, *vocabulary.EVERYWHERE], "status": "normal"}
        for name, types in vocabulary.BUNDLES.items()
    }
    tree = {
        "bodyTypes": body_types,
        "bundleTypes": bundle_types,
        "functions": {name: _function(name) for name in SIGNATURES},
        "promiseTypes": promise_types,
    }
    return dump_json(tree, pretty=True)


def _rows(rows: dict[str, vocabulary.Attribute], visibility: str) -> dict[str, Any]:
    return {
        name: {
            "attribute": name, "status": row.status, "visibility": visibility, **_range(row),
        }
        for name, row in rows.items()
        if row.status != "removed"
    }  # fmt: skip


def _range(row: vocabulary.Attribute) -> dict[str, str]:
    kind = TYPES.get(row.type, row.type)
    if kind in ("body", "bundle"):
        return {"type": kind}
    limits = vocabulary.BOOL if row.type == "bool" else row.range
    if kind in ("option", "olist"):
        limits = limits.replace("|", ",")
    elif kind in NUMBERS:
        limits = limits.replace("..", ",").replace("inf", "99999999999") or NUMBERS[kind]
    return {"type": kind, "range": limits}


def _function(name: str) -> dict[str, Any]:
    returns, _, home, flags = SIGNATURES[name]
    return {
        "cached": "K" in flags,
        "category": home.rpartition(".")[2],
        "collecting": "+" in flags,
        "parameters": [_range(parameter) for parameter in check_values.parameters(name)],
        "returnType": "context" if returns == "class" else returns,
        "status": "deprecated" if "X" in flags else "normal",
        "variadic": "V" in flags,
    }
