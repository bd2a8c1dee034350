"""Mistakes in policy: those that one file shows, with their place in it, and those between files.

`check` reads a tree. What is known only when all files are (does the body exist, is the handle
another's) is for `check_together`, which reads the `facts` of each file instead: they are stored
with the compiled file, so that a cached one need not be parsed again to be compared with others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from policy import check_blocks, check_peers, vocabulary
from policy.check_values import meant
from policy.diagnostics import Diagnostic
from policy.mistakes import NEW_LINE, SECTION_AND_CLASS
from policy.source import Source, Span
from policy.syntax import (
    Attribute,
    Body,
    Bundle,
    Call,
    Guard,
    List,
    Name,
    Policy,
    Promise,
    Rval,
    Section,
    Text,
)  # fmt: skip

# the text of the file of a path
Sources = Callable[[str], Source]

# what marshal can store: lists of tuples under the names that `facts` gives them
Facts = dict[str, Any]

# (type, namespace, name)
Key = tuple[str, str, str]

# (start, end, line, column)
At = tuple[int, int, int, int]

# message, path, place, hint, and of a warning its kind
Finding = tuple[str, str, At, str, str]

DEEPEST_INHERITANCE = 30
UNDEFINED_TYPE = "Undefined promise type"  # how what is said of one begins


class Elsewhere(Source):
    """A file whose text is not at hand."""

    __slots__ = ()

    def line(self, number: int) -> str:
        return ""


class Place(Span):
    """A place in a file whose text is not at hand."""

    __slots__ = ("_column", "_line")

    def __init__(self, path: str, line: int, column: int) -> None:
        super().__init__(Elsewhere(path, ""), 0, 0)
        self._line = line
        self._column = column

    @property
    def line(self) -> int:
        return self._line

    @property
    def column(self) -> int:
        return self._column


def check(policy: Policy, host_package: str = "") -> list[Diagnostic]:
    """The mistakes that POLICY shows by itself, in the order of its text.

    HOST_PACKAGE is where the functions that look at the host live; without it none of them is
    reported as not yet supported.
    """
    found: list[Diagnostic] = []
    for block in policy.blocks:
        match block:
            case Bundle():
                found += _hinted(block, check_blocks.of_bundle(block, host_package))
            case Body():
                found += check_blocks.of_body(block, host_package)
    found += check_peers.of_policy(policy)
    found.sort(key=lambda diagnostic: diagnostic.span.start)
    return found


def _hinted(bundle: Bundle, found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """What was FOUND in BUNDLE; behind a guard that took in a section, it says so."""
    promises = [promise for section in bundle.sections for promise in section.promises]
    misread = {
        promise.guard.span.start
        for promise in promises
        if promise.guard and SECTION_AND_CLASS.match(promise.guard.text)
    }
    for one in found:
        follows = not one.hint and any(start < one.span.start for start in misread)
        yield replace(one, hint=NEW_LINE) if follows else one


# what other files must know


def facts(policy: Policy) -> Facts:
    """What is to be known of a file when it is compared with the others.

    A place is (start, end, line, column).

        bundles, bodies  (type, namespace, name, number of parameters, place)
        calls            ("body" or "bundle", type, own namespace, name as written, number of
                         arguments or -1 if written without brackets, place)
        parents          (type, namespace, name, name of the parent, arguments, place)
        handles          (handle, guard, place)
        uncommented      the places of the promises without a comment
        types            (promise type, place) where the language does not have it
        modules          the promise types that the file declares
        comments         whether it asks for comments
    """
    found: Facts = {
        "path": policy.span.source.path, "bundles": [], "bodies": [], "calls": [], "parents": [],
        "handles": [], "uncommented": [], "types": [], "modules": [], "comments": False,
    }  # fmt: skip
    for block in policy.blocks:
        match block:
            case Bundle():
                _note_bundle(found, block)
            case Body(type="promise"):
                found["modules"].append(block.name)
            case Body():
                _note_body(found, block)
    return found


def _at(span: Span) -> At:
    return span.start, span.end, *span.source.place(span.start)


def _note_bundle(found: Facts, bundle: Bundle) -> None:
    key = (bundle.type, bundle.namespace, bundle.name)
    found["bundles"].append((*key, len(bundle.params), _at(bundle.span)))
    for section in bundle.sections:
        known = section.type in vocabulary.OF_PROMISES
        if not known and section.type not in vocabulary.REMOVED_PROMISES:
            found["types"].append((section.type, _at(section.span)))
        for promise in section.promises:
            _note_promise(found, bundle, section, promise)


def _note_promise(found: Facts, bundle: Bundle, section: Section, promise: Promise) -> None:
    names = set()
    for attribute in promise.attributes:
        names.add(attribute.name)
        kind = vocabulary.kind_of(section.type, attribute.name)
        if kind in ("body", "bundle"):
            of = attribute.name
            if kind == "bundle":
                of = vocabulary.OF_PROMISES[section.type][of].range
            _note_call(found, (kind, of, bundle.namespace), attribute.value)
        elif attribute.name == "handle":
            _note_handle(found, promise, attribute)
    if "comment" not in names:
        found["uncommented"].append(_at(promise.span))


def _note_call(found: Facts, head: tuple[str, str, str], value: Rval) -> None:
    match value:
        case Call(name=name, args=args):
            found["calls"].append((*head, name, len(args), _at(value.span)))
        case Name(value=name) | Text(value=name):
            found["calls"].append((*head, name, -1, _at(value.span)))
        case _:
            pass


def _note_handle(found: Facts, promise: Promise, attribute: Attribute) -> None:
    """Only literal ones: what variables will make of the others is not known."""
    match attribute.value:
        case Text(value=name) | Name(value=name) if "$" not in name:
            guard = _text(promise.guard) + "&" + _text(promise.variable_guard)
            found["handles"].append((name, guard, _at(attribute.value.span)))
        case _:
            pass


def _text(guard: Guard | None) -> str:
    return guard.text if guard is not None else "any"


def _note_body(found: Facts, body: Body) -> None:
    key = (body.type, body.namespace, body.name)
    if key[0] != "file" or key[2] != "control":
        found["bodies"].append((*key, len(body.params), _at(body.span)))
    for attribute in body.attributes:
        value = attribute.value
        if attribute.name == "inherit_from" and isinstance(value, Call | Name | Text):
            name, count = (
                (value.name, len(value.args)) if isinstance(value, Call) else (value.value, 0)
            )
            found["parents"].append((*key, name, count, _at(value.span)))
        elif vocabulary.body_kind(body.type, attribute.name) == "bundle":
            _note_call(found, ("bundle", "agent", body.namespace), value)
        elif attribute.name == "bundlesequence" and isinstance(value, List):
            for item in value.items:
                _note_call(found, ("bundle", "agent", body.namespace), item)
        elif attribute.name == "require_comments" and body.type == "common":
            wanted = isinstance(value, Text | Name) and value.value in ("true", "yes", "on")
            found["comments"] = wanted


# mistakes between files


def check_together(units: Iterable[Facts], sources: Sources | None = None) -> list[Diagnostic]:
    """The mistakes that only all files together show.

    UNITS are the facts of the files, those of the entry file first. SOURCES gives the text of a
    file, so that a mistake can be shown in it; without it there is only line and column.
    """
    files = _renamed(list(units))
    bundles = {entry[:3]: entry[3] for unit in files for entry in unit["bundles"]}
    bodies = {entry[:3]: entry[3] for unit in files for entry in unit["bodies"]}
    found = [
        *_duplicates(files, "bundle"),
        *_duplicates(files, "body"),
        *_handles(files),
        *_uncommented(files),
        *_unknown_types(files),
        *_inheritance(files, bodies),
        *_body_calls(files, bodies),
        *_bundle_calls(files, bundles),
    ]
    return [_diagnostic(finding, sources) for finding in found]


def _diagnostic(finding: Finding, sources: Sources | None) -> Diagnostic:
    message, path, (start, end, line, column), hint, kind = finding
    span = Span(sources(path), start, end) if sources else Place(path, line, column)
    return Diagnostic(message, span, hint, "warning" if kind else "error", kind)


def _renamed(files: list[Facts]) -> list[Facts]:
    """FILES with the `__main__` of the entry file called `main`, and all others left out."""
    renamed = []
    for at, unit in enumerate(files):
        bundles = [
            (*entry[:2], "main", *entry[3:]) if entry[2] == "__main__" else entry
            for entry in unit["bundles"]
            if at == 0 or entry[2] != "__main__"
        ]
        renamed.append({**unit, "bundles": bundles})
    return renamed


def _duplicates(files: list[Facts], what: str) -> Iterator[Finding]:
    """Both places of what is defined twice."""
    places: dict[Key, list[tuple[str, At]]] = {}
    for unit in files:
        for kind, namespace, name, _, at in unit["bundles" if what == "bundle" else "bodies"]:
            places.setdefault((kind, namespace, name), []).append((unit["path"], at))
    for (kind, _, name), found in places.items():
        if len(found) > 1:
            message = f"Duplicate definition of {what} {name} with type {kind}"
            for here in found:
                others = [f"{path}:{at[2]}" for path, at in found if (path, at) != here]
                yield message, *here, f"also at {', '.join(others)}", ""


def _handles(files: list[Facts]) -> Iterator[Finding]:
    """A handle may be given twice only under different guards."""
    first: dict[tuple[str, str], tuple[str, At]] = {}
    for unit in files:
        for name, guard, at in unit["handles"]:
            here = (unit["path"], at)
            path, other = first.setdefault((name, guard), here)
            if (path, other) != here:
                hint = f"it is that of the promise at {path}:{other[2]}"
                yield f"Duplicate promise handle {name} found", *here, hint, ""


def _uncommented(files: list[Facts]) -> Iterator[Finding]:
    if not any(unit["comments"] for unit in files):
        return
    message = "Promise is missing a comment attribute, and comments are required by policy"
    for unit in files:
        for at in unit["uncommented"]:
            yield message, unit["path"], at, "", ""


def _unknown_types(files: list[Facts]) -> Iterator[Finding]:
    """Promise types that no module keeps: the reference finds out when it meets the promise."""
    modules = {name for unit in files for name in unit["modules"]}
    for unit in files:
        for name, at in unit["types"]:
            if name not in modules:
                hint = meant(name, [*vocabulary.OF_PROMISES, *modules])
                yield f"{UNDEFINED_TYPE} '{name}'", unit["path"], at, hint, "undefined"


# references to bodies and bundles


def resolved(key: Key, known: dict[Key, int]) -> Key | None:
    """What the type, the own namespace and the name in KEY mean, None if there is no such thing."""
    kind, own, name = key
    namespace, colon, base = name.rpartition(":")
    for space in (namespace,) if colon else (own, "default"):
        if (kind, space, base) in known:
            return kind, space, base
    return key if key in known else None


def _body_calls(files: list[Facts], bodies: dict[Key, int]) -> Iterator[Finding]:
    for unit in files:
        for what, kind, own, name, written, at in unit["calls"]:
            if what != "body":
                continue
            found = resolved((kind, own, name), bodies)
            given = max(written, 0)
            if found is None:
                hint = meant(name, [body for of, _, body in bodies if of == kind])
                yield f"Undefined body {name} with type {kind}", unit["path"], at, hint, ""
            elif bodies[found] != given:
                message = (
                    f"Argument arity mismatch in body '{name}' at line {at[2]} in file "
                    f"'{unit['path']}', expected {bodies[found]}, got {given}"
                )
                yield message, unit["path"], at, "", ""


def _bundle_calls(files: list[Facts], bundles: dict[Key, int]) -> Iterator[Finding]:
    """Wrong numbers of arguments. Without brackets the reference takes any number for right."""
    for unit in files:
        for what, kind, own, name, given, at in unit["calls"]:
            if what != "bundle" or given < 0:
                continue
            found = resolved((kind, own, name), bundles)
            if found is not None and bundles[found] != given:
                message = (
                    f"Conflicting arity in calling bundle {name}, "
                    f"expected {bundles[found]} arguments, {given} given"
                )
                yield message, unit["path"], at, "", ""


def _inheritance(files: list[Facts], bodies: dict[Key, int]) -> Iterator[Finding]:
    """Parents that cannot be: fatal when the body is used, so far only odd if it is not."""
    parents = _parents(files, bodies)
    used = _used(files, bodies, parents)
    for unit in files:
        for kind, own, body, name, given, at in unit["parents"]:
            key = (kind, own, body)
            parent = parents.get(key)
            if parent is None:
                hint = meant(name, [other for of, _, other in bodies if of == kind])
                message = f"Undefined body {name} with type {kind}: nothing is inherited"
                yield message, unit["path"], at, hint, "undefined"
                continue
            severity = "" if key in used else "inheritance"
            if _circular(key, parents):
                yield f"self body inheritance in {body}->{name}", unit["path"], at, "", severity
            elif bodies[parent] != given:
                message = (
                    f"Argument count mismatch for body (gave {given} arguments) vs. inherited "
                    f"body '{parent[1]}:{parent[2]}' (requires {bodies[parent]} arguments)"
                )
                yield message, unit["path"], at, "", severity


def _parents(files: list[Facts], bodies: dict[Key, int]) -> dict[Key, Key]:
    """What each body inherits from."""
    found: dict[Key, Key] = {}
    for unit in files:
        for kind, own, body, name, _, _ in unit["parents"]:
            parent = resolved((kind, own, name), bodies)
            if parent is not None:
                found[kind, own, body] = parent
    return found


def _used(files: list[Facts], bodies: dict[Key, int], parents: dict[Key, Key]) -> set[Key]:
    """The bodies that promises name, those that are there by default, and all their ancestors."""
    used = {key for key in bodies if key[1] == "bodydefault"}
    for unit in files:
        for what, kind, own, name, _, _ in unit["calls"]:
            found = resolved((kind, own, name), bodies) if what == "body" else None
            if found is not None:
                used.add(found)
    for key in list(used):
        parent = parents.get(key)
        while parent is not None and parent not in used:
            used.add(parent)
            parent = parents.get(parent)
    return used


def _circular(start: Key, parents: dict[Key, Key]) -> bool:
    """Whether START inherits from itself, if only in the end."""
    at = parents.get(start)
    for _ in range(DEEPEST_INHERITANCE):
        if at is None or at == start:
            return at is not None
        at = parents.get(at)
    return True
