"""The rules for one bundle and for one body: names, places, attributes, conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policy import classes, vocabulary
from policy.check_values import call, calls_in, meant, value, varies
from policy.diagnostics import Diagnostic
from policy.functions import SIGNATURES
from policy.syntax import (
    Attribute,
    Body,
    Bundle,
    Call,
    List,
    ListRef,
    Name,
    Promise,
    Rval,
    Section,
    Text,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.source import Span

RESERVED_BUNDLES = frozenset(("sys", "const", "mon", "edit", "match", "this"))
RESERVED_VARIABLES = frozenset(
    ("promiser", "handle", "promise_filename", "promise_dirname", "promise_linenumber", "this")
)
VARIABLE_TYPES = frozenset(("string", "int", "real", "slist", "ilist", "rlist", "data"))
LOGS = frozenset(("log_kept", "log_repaired", "log_failed"))
# these do something without an attribute of their own
ENOUGH_ALONE = frozenset(
    ("classes", "commands", "methods", "reports", "insert_lines", "packages", "delete_lines",
     "build_xpath", "insert_tree")
)  # fmt: skip
CONDITIONS = frozenset(("if", "ifvarclass", "unless"))


def warning(message: str, span: Span, kind: str, hint: str = "") -> Diagnostic:
    return Diagnostic(message, span, hint, severity="warning", kind=kind)


# bundles


def of_bundle(bundle: Bundle, host_package: str) -> Iterator[Diagnostic]:
    if bundle.type not in vocabulary.BUNDLES:
        hint = meant(bundle.type, vocabulary.BUNDLES)
        yield Diagnostic(f"Unknown bundle type '{bundle.type}'", bundle.span, hint)
        return
    if bundle.name in RESERVED_BUNDLES:
        message = f'Use of a reserved container name as a bundle name "{bundle.name}"'
        yield Diagnostic(message, bundle.span)
    for section in bundle.sections:
        yield from _section(bundle, section)
        for promise in section.promises:
            yield from _promise(bundle, section, promise, host_package)


def _section(bundle: Bundle, section: Section) -> Iterator[Diagnostic]:
    """Whether such promises may stand in such a bundle; one of an unknown type is a module's."""
    kind, allowed = section.type, vocabulary.bundles_with(section.type)
    if vocabulary.REMOVED_PROMISES.get(kind) == bundle.type:
        message = f"Removed promise type '{kind}' in bundle type '{bundle.type}'"
        yield warning(message, section.span, "removed")
    elif kind in vocabulary.REMOVED_PROMISES or (allowed and bundle.type not in allowed):
        message = f"Promise type '{kind}' not supported by '{bundle.type}' bundle type"
        hint = f"it belongs in bundle {' or '.join(allowed)}" if allowed else ""
        yield Diagnostic(message, section.span, hint)


def _begins_well(text: str) -> bool:
    """Whether TEXT begins with a class expression; the reference reads no further.

    Here a blank ends an expression, though when it is evaluated blanks do not count.
    """
    try:
        classes.compiled(_without_variables(text).replace(" ", "\0").replace("\t", "\0"))
    except classes.BadExpression:
        return False
    return True


def _without_variables(text: str) -> str:
    """TEXT with a name in the place of each reference to a variable, nested ones included."""
    found: list[str] = []
    depth = at = 0
    while at < len(text):
        if text[at : at + 2] in ("$(", "${", "@(", "@{"):
            depth += 1
            at += 2
            continue
        if depth and text[at] in ")}":
            depth -= 1
            found.append("x" if not depth else "")
        elif not depth:
            found.append(text[at])
        at += 1
    return "".join(found)


# promises


def _promise(
    bundle: Bundle, section: Section, promise: Promise, host_package: str
) -> Iterator[Diagnostic]:
    if promise.promiser.value in ("$()", "${}"):
        yield Diagnostic("Empty variable reference", promise.promiser.span)
    yield from calls_in(promise.promisee, host_package)
    kind = section.type
    if kind not in vocabulary.OF_PROMISES:
        if kind not in vocabulary.REMOVED_PROMISES:
            yield from _custom(section, promise, host_package)
        return
    if kind == "vars":
        yield from _variable(promise)
    elif kind == "classes":
        yield from _class(promise)
    elif kind == "access":
        yield from _access(promise)
    for attribute in promise.attributes:
        yield from _attribute(bundle, kind, attribute, host_package)
    if kind not in ENOUGH_ALONE:
        yield from _action(bundle, section, promise)


def _action(bundle: Bundle, section: Section, promise: Promise) -> Iterator[Diagnostic]:
    """Whether the promise asks for anything."""
    if any(entry.name not in vocabulary.IN_EVERY_PROMISE for entry in promise.attributes):
        return
    span = promise.span
    message = (
        f"No action requested for {section.type} promise with promiser '{promise.promiser.value}' "
        f"in {span.source.path}:{bundle.name} close to line {span.line}"
    )
    yield warning(message, promise.promiser.span, "sanity-check")


def _misplaced_dot(name: str) -> bool:
    """Whether a dot of NAME does not stand between a bundle and what is in it."""
    return name.startswith(".") or name.endswith(".") or name.partition("[")[0].count(".") > 1


def _variable(promise: Promise) -> Iterator[Diagnostic]:
    name, span = promise.promiser.value, promise.promiser.span
    if name.isdigit():
        yield Diagnostic("Variable promises cannot have a purely numerical name (promiser)", span)
    elif name in RESERVED_VARIABLES or (_misplaced_dot(name) and not varies(name)):
        yield Diagnostic("Variable promise is using an invalid name (promiser)", span)
    types = [entry for entry in promise.attributes if entry.name in VARIABLE_TYPES]
    for entry in types[1:]:
        if entry.name != types[0].name:
            message = (
                f"Variable contains existing data type contstraint {types[0].name}, "
                f"tried to redefine with {entry.name}"
            )
            yield Diagnostic(message, entry.span, "a variable has one type")
    if _always(promise):
        for entry in types:
            if entry.name in ("string", "slist"):
                yield from _itself(name, entry.value)


def _always(promise: Promise) -> bool:
    """Whether nothing can keep the promise from being evaluated."""
    guarded = promise.variable_guard or (promise.guard and promise.guard.text != "any")
    return not guarded and not any(entry.name in CONDITIONS for entry in promise.attributes)


def _itself(name: str, node: Rval) -> Iterator[Diagnostic]:
    """Whether the variable NAME would grow each time that it is evaluated."""
    match node:
        case Text(value=text) if f"$({name})" in text or f"${{{name}}}" in text:
            message = f"Scalar variable '{name}' contains itself (non-convergent) '{text}'"
            yield Diagnostic(message, node.span, "give one of the two another name")
        case List(items=items):
            for item in items:
                yield from _itself(name, item)
        case _:
            pass


def _class(promise: Promise) -> Iterator[Diagnostic]:
    if promise.promiser.value.isdigit():
        message = "Classes promises cannot have a purely numerical name (promiser)"
        yield Diagnostic(message, promise.promiser.span)


def _access(promise: Promise) -> Iterator[Diagnostic]:
    written = {entry.name: entry for entry in promise.attributes}
    select, resource = written.get("report_data_select"), written.get("resource_type")
    if select is None:
        return
    if resource is None or getattr(resource.value, "value", "") != "query":
        message = "Constraint report_data_select is allowed only for 'query' resource_type"
        yield Diagnostic(message, select.span, 'resource_type => "query"')


def _custom(section: Section, promise: Promise, host_package: str) -> Iterator[Diagnostic]:
    """A promise of a type that a module keeps: its own attributes are the module's to judge."""
    for attribute in promise.attributes:
        if attribute.name == "ifvarclass":
            message = (
                "Common attribute 'ifvarclass' not supported for custom promises, "
                f"use 'if' instead ({section.type} promises)"
            )
            yield Diagnostic(message, attribute.span)
        elif attribute.name in vocabulary.IN_EVERY_PROMISE:
            yield from _common(attribute, host_package)
        elif isinstance(attribute.value, Call) and attribute.value.name in SIGNATURES:
            yield from call(attribute.value, None, host_package)


def _attribute(
    bundle: Bundle, kind: str, attribute: Attribute, host_package: str
) -> Iterator[Diagnostic]:
    name = attribute.name
    if name in vocabulary.IN_EVERY_PROMISE:
        yield from _common(attribute, host_package)
        return
    known = vocabulary.OF_PROMISES[kind].get(name)
    if known is None:
        message = (
            f"Unknown attribute '{name}' for promise type '{kind}' "
            f"in bundle with type '{bundle.type}'"
        )
        names = [*vocabulary.OF_PROMISES[kind], *vocabulary.IN_EVERY_PROMISE]
        yield Diagnostic(message, attribute.span, meant(name, names))
        return
    yield from _outdated(known, attribute, f"promise type '{kind}'")
    if known.type in ("body", "bundle"):
        yield from _reference(known, attribute, host_package)
    else:
        yield from value(known, attribute.value, host_package)


def _outdated(
    known: vocabulary.Attribute, attribute: Attribute, where: str
) -> Iterator[Diagnostic]:
    if known.status != "normal":
        message = f"{known.status.capitalize()} constraint '{known.name}' in {where}"
        yield warning(message, attribute.span, known.status)


def _reference(
    known: vocabulary.Attribute, attribute: Attribute, host_package: str
) -> Iterator[Diagnostic]:
    """The value of an attribute that names a body or a bundle; whether it exists is for later."""
    match attribute.value:
        case Call(args=args):
            for arg in args:
                yield from calls_in(arg, host_package)
        case List() | ListRef():
            message = f"Type mismatch in constraint: {known.name}"
            yield Diagnostic(message, attribute.value.span, f"it takes the name of a {known.type}")
        case Text(naked=False) if known.type == "body":
            message = "An rvalue is quoted, but we expect an unquoted body identifier"
            yield Diagnostic(message, attribute.value.span, "leave the quotes out")
        case _:
            pass


def _common(attribute: Attribute, host_package: str) -> Iterator[Diagnostic]:
    """An attribute that every promise may have. The reference judges these less strictly."""
    known = vocabulary.IN_EVERY_PROMISE[attribute.name]
    match attribute.value:
        case List() if known.type != "slist":
            yield Diagnostic(f"Type mismatch in constraint: {known.name}", attribute.value.span)
        case Text(value=text) if known.type == "str" and known.name in ("if", "ifvarclass"):
            if not _begins_well(text):
                yield Diagnostic("Syntax error in context string", attribute.value.span)
        case Call(args=args) if known.type == "body":
            for arg in args:
                yield from calls_in(arg, host_package)
        case _:
            yield from calls_in(attribute.value, host_package)


# bodies


def of_body(body: Body, host_package: str) -> Iterator[Diagnostic]:
    if body.type in vocabulary.REMOVED_BODIES:
        yield warning(f"Removed body '{body.name}' of type '{body.type}'", body.span, "removed")
    if body.type == "promise" and body.name in vocabulary.OF_PROMISES:
        message = f"'{body.name}' promises are built in and cannot be custom"
        yield Diagnostic(message, body.span)
    names = {entry.name for entry in body.attributes}
    if body.type == "action" and names & LOGS and "log_string" not in names:
        message = (
            "An action body with log_kept, log_repaired or log_failed is required to have "
            "a log_string attribute"
        )
        yield Diagnostic(message, body.span)
    if body.type in vocabulary.OF_BODIES:
        for attribute in body.attributes:
            yield from _body_attribute(body, attribute, host_package)


def _body_attribute(body: Body, attribute: Attribute, host_package: str) -> Iterator[Diagnostic]:
    known = vocabulary.body_attribute(body.type, attribute.name)
    if known is None:
        names = [*vocabulary.OF_BODIES[body.type], *vocabulary.IN_EVERY_BODY]
        keyword = "promise agent" if body.type == "promise" else f"body {body.type}"
        message = f"Unknown attribute '{attribute.name}' for '{keyword} {body.name}'"
        yield Diagnostic(message, attribute.span, meant(attribute.name, names))
        return
    # the reference speaks of promise types here, too, when it has removed something
    where = "promise" if known.status == "removed" else "body"
    yield from _outdated(known, attribute, f"{where} type '{body.type}'")
    if known.name == "inherit_from":
        return
    if known.type == "bundle":
        yield from _reference(known, attribute, host_package)
    elif known.name == "bundlesequence":
        yield from _sequence(attribute, host_package)
    elif body.type != "promise":  # a module's path is judged when it is started
        yield from value(known, attribute.value, host_package)


def _sequence(attribute: Attribute, host_package: str) -> Iterator[Diagnostic]:
    """A bundlesequence: what looks like a call in it is a bundle with arguments, or a function."""
    if isinstance(attribute.value, Text | Name):
        message = "Attempted to give a scalar to a non-scalar type"
        yield Diagnostic(message, attribute.value.span, f"'{attribute.name}' is a list: {{ ... }}")
        return
    items = attribute.value.items if isinstance(attribute.value, List) else (attribute.value,)
    for item in items:
        if isinstance(item, Call) and item.name in SIGNATURES:
            yield from call(item, None, host_package)
        elif isinstance(item, Call):
            for arg in item.args:
                yield from calls_in(arg, host_package)
