"""Tables of the classes and variables that a run ended with."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.run import Run
    from policy.context import Context, Scope, Variable

PASSING = ("this", "match", "edit")  # scopes of what is so for one promise only


def show(run: "Run", classes: str | None, variables: str | None) -> None:
    """Print the rows that the patterns CLASSES and VARIABLES match; None is no table."""
    if classes is not None:
        run.log.show(class_table(run.ctx, classes))
    if variables is not None:
        run.prepare_all()
        run.log.show(variable_table(run.ctx, variables))


def class_table(ctx: "Context", pattern: str) -> str:
    """The classes that are set."""
    rows = [
        f"{name:<60} {','.join(tags):<40} {ctx.comments.get(name, ''):<40}"
        for name, tags in sorted({**dict(ctx.hard), **ctx.soft}.items())
    ]
    return _table(f"{'Class name':<60} {'Meta tags':<40} {'Comment':<40}", rows, pattern)


def variable_table(ctx: "Context", pattern: str) -> str:
    """The variables that have values."""
    found = {f"default:sys.{name}": variable for name, variable in ctx.facts.items()}
    for key, scope in ctx.scopes.items():
        if key not in PASSING:
            prefix = key if ":" in key else f"default:{key}"
            found.update((f"{prefix}.{name}", one) for name, one in _members(scope))
    rows = [
        f"{name:<40} {shown(one.value):<60} {','.join(one.tags):<40} {one.comment:<40}"
        for name, one in sorted(found.items())
    ]
    head = f"{'Variable name':<40} {'Variable value':<60} {'Meta tags':<40} {'Comment':<40}"
    return _table(head, rows, pattern)


def _table(head: str, rows: list[str], pattern: str) -> str:
    """HEAD and the ROWS in which PATTERN is found somewhere."""
    from policy.regexp import search

    kept = [row for row in rows if not pattern or search(pattern, row)]
    return "".join([f"{line}\n" for line in (head, *kept)])


def _members(scope: "Scope") -> "Iterator[tuple[str, Variable]]":
    """The variables and elements of arrays in SCOPE, as they are referred to."""
    yield from scope.plain.items()
    for name, elements in scope.arrays.items():
        for indices, variable in elements.items():
            yield name + "".join([f"[{index}]" for index in indices]), variable


def shown(value: "Any") -> str:
    """A value as the table shows it."""
    if isinstance(value, (dict, list)):
        from json import dumps

        return dumps(value, separators=(",", ":"))
    if isinstance(value, tuple):
        items = ",".join(['"' + item.replace('"', '\\"') + '"' for item in value])
        return f" {{{items}}}"
    text = str(value).replace('"', '\\"')
    return text if text.isprintable() else "<non-printable>"
