"""`troth access`: what the `server` bundles of a policy grant on this host, and to whom.

Only variables and classes are evaluated on the way: no other promise is kept, no class is stored.
The JSON is for the server, which cannot evaluate policy itself: server/GRANTS.md describes it.
What cannot be said must not open anything: a denial that cannot be understood fails the evaluation.
"""

from agent import life
from agent.host import Host
from agent.promise import CONDITIONS
from agent.run import TRUE
from policy import load
from policy.classes import truth
from policy.conditions import bound, instances, permitted
from policy.context import Frame, Scope, scope_key
from policy.errors import Fatal, PolicyError, Unresolved
from policy.iterate import items
from policy.plan import evaluated
from policy.strings import expandable, is_list_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from agent.log import Log
    from agent.options import Settings
    from agent.run import Run
    from policy.plan import Bundle, Written

    Row = dict[str, Any]

FORMAT = 1
ADMITS = ("admit", "admit_hostnames", "admit_ips", "admit_keys")
DENIES = ("deny", "deny_hostnames", "deny_ips", "deny_keys")
ACCESS = (
    *ADMITS, *DENIES, "comment", "handle", "ifencrypted", "maproot", "report_data_select",
    "resource_type", "shortcut",
)  # fmt: skip
ROLES = ("authorize", "comment", "handle")
PATTERNS = ("context", "bundle")  # resources that a regular expression names
DOORS = ("allowconnects", "denyconnects")  # without them more peers may connect, not fewer
CONNECTION = ("$(connection.ip)", "$(connection.hostname)", "$(connection.key)")
BEFORE = ("meta", "vars", "defaults", "classes", "vars")  # the sections that the others build on
SERVED = ("access", "roles")
NOBODY = ("", "cf_null")  # items that stand for none
EXIT_FAILED = 1


def main(settings: "Settings", log: "Log") -> int:
    """`troth access`: 0, or 1 and nothing on stdout if the policy cannot be evaluated."""
    found = evaluate(settings, log, "server", grants)
    if found is None:
        return EXIT_FAILED
    log.show(as_json(found) if settings.json else as_table(found))
    return 0


def evaluate(
    settings: "Settings", log: "Log", component: str, find: "Callable[[Run], Row]"
) -> "Row | None":
    """What FIND says of the policy, which is loaded and has no effect; None if that cannot be said,
    which is complained of."""
    run = life.prepare(settings, Host(), log, component=component)
    run.ctx.persist = _nowhere
    try:
        life.load_policy(run)
        if "domain" in run.control:
            from agent.facts.identity import qualify

            qualify(run.control["domain"], run.ctx.hard, run.ctx.facts)  # type: ignore[arg-type]  # as gathered
        return find(run)
    except PolicyError as error:
        log.mistakes(error)
    except (Fatal, load.Refused) as error:
        log("error", str(error))
    except OSError as error:
        log("error", f"{error.filename}: {error.strerror}")
    finally:
        life.finish(run)
    return None


def _nowhere(_name: str, _minutes: int, _timer: str, _tags: tuple[str, ...]) -> None:
    """Where classes are stored when somebody only looks."""


def grants(run: "Run") -> "Row":
    """What the policy of RUN grants. Raises PolicyError, Refused, Fatal, OSError."""
    frames = _prepared(run)
    access: list[Row] = []
    roles: list[Row] = []
    for bundle, frame in frames:
        _enter(frame, run)
        for written in _held(bundle, "roles", run):
            roles += _instances(written, ROLES, _role, run)
        for written in _held(bundle, "access", run):
            access += _instances(written, ACCESS, _grant, run)
    return {
        "format": FORMAT,
        "policy": run.settings.file,
        "files": [path for path, _, _ in run.loader.units],
        "control": _control(run),
        "access": access,
        "roles": roles,
    }


# evaluation


def _prepared(run: "Run") -> "list[tuple[Bundle, Frame]]":
    """The server bundles, with variables and classes: thrice, as they may use each other's."""
    frames: list[tuple[Bundle, Frame]] = []
    for (kind, _), bundle in run.plan.bundles.items():
        if kind != "server":
            continue
        if bundle.params:
            run.log("warning", f"bundle server {bundle.name} has parameters: nobody can give them")
            continue
        scope = run.ctx.scopes.setdefault(scope_key(bundle.namespace, bundle.name), Scope())
        frames.append((bundle, Frame(bundle.name, bundle.namespace, scope, kind="server")))
    for number in (1, 2, 3):
        run.ctx.pass_number = number
        for bundle, frame in frames:
            _enter(frame, run)
            for kind in BEFORE:
                load.sweep(bundle.sections.get(kind, []), run.ctx, run.done)
    for bundle, _ in frames:
        for kind in sorted(bundle.sections.keys() - {*BEFORE, *SERVED}):
            run.log("warning", f"bundle server {bundle.name}: promises of type '{kind}' do nothing")
    return frames


def _enter(frame: Frame, run: "Run") -> None:
    """Evaluate from now on as seen from the bundle of FRAME."""
    run.ctx.frame = frame
    run.ctx.this = {}
    run.ctx.wheels = {}
    run.ctx.version += 1


def _held(bundle: "Bundle", kind: str, run: "Run") -> "Iterator[Written]":
    """The promises of type KIND of BUNDLE whose guards hold, in the order of the text."""
    for written in bundle.sections.get(kind, ()):
        run.ctx.written = written
        if written.guard is None or truth(written.guard, run.ctx):
            yield written


def _instances(written: "Written", names: tuple[str, ...], make: "Any", run: "Run") -> "list[Row]":
    """What MAKE makes of WRITTEN, once for each combination of the lists that it mentions."""
    rows: list[Row] = []

    def keep(written: "Written", ctx: "Any") -> None:
        promiser = _connected(bound(written, ctx))
        if permitted(written, ctx, run.done):
            values = _values(written, names, run)
            row = make(promiser, values, run)
            if row is None:
                _impossible(written, values)
            else:
                rows.append({**row, **_place(written, values)})
                run.done.add(values.get("handle", ""))

    instances(written, run.ctx, keep)
    return rows


def _values(written: "Written", names: tuple[str, ...], run: "Run") -> "Row":
    """The attributes of WRITTEN among NAMES. Raises Fatal if a denial has no value."""
    found: Row = {}
    for name, value in written.attributes:
        if name not in names or name in CONDITIONS:
            continue
        try:
            found[name] = evaluated(value, run.ctx)
        except Unresolved:
            where = f"{written.path}:{written.line}"
            if name in DENIES:
                raise Fatal(
                    f"{where}: '{name}' has no value, so nobody knows whom it denies"
                ) from None
            run.log("warning", f"{where}: '{name}' has no value, nothing is granted by it")
    return found


def _impossible(written: "Written", values: "Row") -> None:
    """Go on without a promise that cannot be used, and was complained of, unless it denies."""
    if any(name in values for name in DENIES):
        raise Fatal(f"{written.path}:{written.line}: a denial that cannot be used")


def _place(written: "Written", values: "Row") -> "Row":
    """Where WRITTEN stands, for the log of the server."""
    return {
        "handle": values.get("handle", ""),
        "comment": values.get("comment", ""),
        "bundle": written.bundle.key,
        "file": written.path,
        "line": written.line,
    }


def _connected(text: str) -> str:
    """TEXT with the variables of the connection in the brackets that the server looks for."""
    for name in CONNECTION:
        text = text.replace(f"${{{name[2:-1]}}}", name)
    return text


def _unknown(text: str) -> bool:
    """Whether TEXT holds a reference that means nothing here, nor to the server."""
    for name in CONNECTION:
        text = text.replace(name, "")
    return expandable(text) or is_list_reference(text)


def _texts(value: "Any") -> list[str]:
    """The items of a list, or the one text that stands for it."""
    found = (value,) if isinstance(value, str) else items(value) or ()
    return [_connected(item) for item in found if item not in NOBODY]


# promises


def _grant(promiser: str, values: "Row", run: "Run") -> "Row | None":
    """An access promise as the server needs it; None if it cannot be used."""
    kind = values.get("resource_type", "path")
    name, value = _resource(kind, promiser, values, run)
    if name is None:
        return None
    return {
        "type": kind,
        "name": name,
        "promiser": promiser,
        "value": value,
        **{side: _side(side, values, run) for side in (*ADMITS, *DENIES)},
        "ifencrypted": values.get("ifencrypted") in TRUE,
        "maproot": _texts(values.get("maproot", ())),
        "shortcut": values.get("shortcut", ""),
        "report_data_select": _selection(values.get("report_data_select")),
    }


def _side(side: str, values: "Row", run: "Run") -> list[str]:
    """Whom a list of a promise means."""
    found = _texts(values.get(side, ()))
    for item in found:
        if _unknown(item):
            what = "denies everybody" if side in DENIES else "admits nobody"
            _warn(f"'{item}' in '{side}' has no value: it {what}", run)
    return found


def _resource(kind: str, promiser: str, values: "Row", run: "Run") -> "tuple[str | None, Any]":
    """What a request calls the resource of a promise, None if nothing can; and its value."""
    if not promiser and kind != "literal":
        return _refused(f"a {kind} without a name", run)
    if _unknown(promiser) or _unknown(kind):
        return _refused(f"'{promiser}' has no value yet", run)
    if kind == "path":
        if not promiser.startswith("/"):
            return _refused(f"'{promiser}' is not an absolute path", run)
        return _path(promiser, run.host), None
    if kind == "literal":
        if not values.get("handle"):
            return _refused(f"the literal '{promiser}' needs a handle to be asked for", run)
        return values["handle"], promiser
    if any(name in promiser for name in CONNECTION):
        _warn(f"$(connection...) means nothing in a {kind}: '{promiser}'", run)
    if kind in PATTERNS:
        _check_pattern(promiser, run)
    return promiser, _variable(promiser, run) if kind == "variable" else None


def _refused(reason: str, run: "Run") -> "tuple[None, None]":
    written = run.ctx.written
    run.log("error", f"{written.path}:{written.line}: {reason}; nothing is granted by it")
    return None, None


def _warn(reason: str, run: "Run") -> None:
    written = run.ctx.written
    run.log("warning", f"{written.path}:{written.line}: {reason}")


def _check_pattern(pattern: str, run: "Run") -> None:
    """Warn of a PATTERN that means nothing."""
    from policy import regexp

    try:
        regexp.compile(pattern)
    except regexp.BadPattern as error:
        _warn(str(error), run)


def _path(promiser: str, host: Host) -> str:
    """PROMISER with its links followed as far as it exists; a directory ends with a slash."""
    resolved = host.realpath(promiser)
    try:
        found = host.stat(resolved)
    except OSError:  # then nothing in it can be read either
        found = None
    if found is not None:
        directory = found.st_mode & 0o170000 == 0o040000
    else:
        directory = promiser.endswith(("/", "/."))
    return f"{resolved}/" if directory and resolved != "/" else resolved


def _variable(name: str, run: "Run") -> "Any":
    """The value of the variable NAME: text, list or container; None if it has none."""
    value = run.ctx.unbound(name)
    if isinstance(value, str):
        return run.ctx.expand(value)
    return list(value) if isinstance(value, tuple) else value


def _selection(body: "Any") -> "Row | None":
    """A `report_data_select` body."""
    if not isinstance(body, dict):
        return None
    return {name: _texts(value) for name, value in sorted(body.items()) if name != "meta"}


def _role(promiser: str, values: "Row", run: "Run") -> "Row | None":
    """A roles promise: who may define the classes that PROMISER matches."""
    if _unknown(promiser):
        _refused(f"'{promiser}' has no value yet", run)
        return None
    _check_pattern(promiser, run)
    return {"name": promiser, "authorize": _texts(values.get("authorize", ()))}


# control


def _control(run: "Run") -> "Row":
    """What `body server control` says. Raises Fatal if it is unclear who may connect."""
    found: Row = {}
    for body in run.plan.controls.get("server", ()):
        values = load.control(body, run.ctx)
        for guard, name, _ in body.attributes:
            held = guard is None or truth(guard, run.ctx)
            if name in DOORS and held and name not in values:
                raise Fatal(f"{body.path}:{body.line}: '{name}' has no value")
        found.update(values)
    settings = {name: _setting(name, value, run) for name, value in sorted(found.items())}
    return {name: value for name, value in settings.items() if value is not None}


def _setting(name: str, value: "Any", run: "Run") -> "Any":
    """A value of the control body by the type of its attribute; None if it has no such value."""
    from policy.values import integer
    from policy.vocabulary import body_attribute

    row = body_attribute("server", name)
    if row is None or row.status == "removed" or name == "meta":
        return None
    if row.type == "slist":
        return _texts(value)
    if row.type == "bool":
        return value in TRUE
    if row.type != "int":
        return value
    try:
        return integer(value)
    except ValueError:
        run.log("warning", f"'{name}' of body server control is not a number: '{value}'")
        return None


# output


def as_json(found: "Row") -> str:
    """FOUND for a program: the same text while it is the same."""
    from json import dumps

    return dumps(found, indent=1) + "\n"


HEAD = ("TYPE", "NAME", "WHO", "WHERE")


def as_table(found: "Row") -> str:
    """The grants for people: a line for each item of each list."""
    lines: list[tuple[str, str, str, str]] = [HEAD]
    for row in found["access"]:
        lines += _lines(row["type"], row, [*_who(row), *_more(row)])
    for row in found["roles"]:
        lines += _lines("role", row, [f"authorize {user}" for user in row["authorize"]])
    for name, value in found["control"].items():
        lines += [("control", name, text, "") for text in _shown(value)]
    widths = [max(len(line[at]) for line in lines) for at in range(3)]
    return "".join(
        [
            f"{a:{widths[0]}}  {b:{widths[1]}}  {c:{widths[2]}}  {d}".rstrip() + "\n"
            for a, b, c, d in lines
        ]
    )


def _lines(kind: str, row: "Row", who: list[str]) -> "Iterator[tuple[str, str, str, str]]":
    """The lines of one grant; only the first says what and where."""
    first, *others = who or ["nobody"]
    yield kind, _line(row["name"]), first, f"{row['file']}:{row['line']}"
    for text in others:
        yield "", "", text, ""


def _line(text: str) -> str:
    """TEXT without what would break the table."""
    return text if text.isprintable() else repr(text)[1:-1]


def _who(row: "Row") -> list[str]:
    found = [f"{side} {_line(item)}" for side in (*ADMITS, *DENIES) for item in row[side]]
    return found if any(row[side] for side in ADMITS) else ["nobody", *found]


def _more(row: "Row") -> list[str]:
    """What else a grant says."""
    found = [f"shortcut {row['shortcut']}"] if row["shortcut"] else []
    if row["type"] == "literal":
        found.append(f"text {_line(row['value'])}")
    return found


def _shown(value: "Any") -> list[str]:
    """A value of the control body, a line an item."""
    if isinstance(value, list):
        return [_line(item) for item in value] or ["(none)"]
    return [str(value).lower() if isinstance(value, bool) else _line(str(value))]
