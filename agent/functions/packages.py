"""Functions about packages, as package modules and package methods listed them."""

from policy import values
from policy.errors import Failed
from policy.functions.arguments import pattern, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.run import Run
    from policy.context import Context

_FIELDS = ("name", "version", "arch", "method")
# what package methods listed: lines of name, version, architecture, program
_OF_METHODS = {
    "packagesmatching": "software_packages.csv",
    "packageupdatesmatching": "software_patches_avail.csv",
}


def _matching(ctx: "Context", function: str, patterns: tuple[str, ...]) -> "list[Any]":
    """The packages whose line the PATTERNS, with commas between, span. Raises Failed."""
    run: Run | None = ctx.agent
    if run is None:  # a policy that is only checked
        raise Failed(function)
    expression = pattern(ctx, f"^{','.join(patterns)}$")
    return [
        dict(zip(_FIELDS, row, strict=True))
        for row in _listed(ctx, function, run)
        if expression.full(",".join(row))
    ]


def _listed(ctx: "Context", function: str, run: "Run") -> list[tuple[str, ...]]:
    """All packages that are listed: by the modules of the inventory, else by any, else by methods.

    Raises Failed if a list of the inventory is missing.
    """
    from agent.actuators.packages import lists, protocol

    kind = lists.INSTALLED if function == "packagesmatching" else lists.UPDATES
    known = lists.lists(run)
    modules = protocol.inventory(run) or known.modules(kind)
    found: list[tuple[str, ...]] = []
    for module in modules:
        try:
            rows = known.last(f"{kind}{module}")
        except OSError as error:
            raise refusal(ctx, f"{function}: cannot read what '{module}' listed: {error}") from None
        if rows is None:
            raise refusal(ctx, f"{function}: package module '{module}' has not listed anything")
        found += [(*row, module) for row in rows]
    return found if modules else _by_methods(ctx, function, run)


def _by_methods(ctx: "Context", function: str, run: "Run") -> list[tuple[str, ...]]:
    """The packages that package methods listed. That there are none is no failure."""
    path = f"{run.workdir}/state/{_OF_METHODS[function]}"
    try:
        content = values.text(run.host.read(path))
    except OSError as error:
        ctx.log(
            "verbose",
            f"{function}: no packages are listed in '{path}'. That need not be an error. "
            f"({error.strerror})",
        )
        return []
    lines = [tuple(line.split(",", 3)) for line in content.splitlines()]
    return [row for row in lines if len(row) == len(_FIELDS)]


def packagesmatching(ctx: "Context", *patterns: str) -> "list[Any]":
    """The packages that are installed: objects with `name`, `version`, `arch` and `method`.

    The four patterns, with commas between, have to span name, version, architecture and method: a
    package module. The modules of `package_inventory`, in `body common control`, are asked if
    what they listed is too old; without it, all that modules or package methods listed counts.
    Fails if a pattern is none, or a module of the inventory lists nothing.
    Example:
        packagesmatching("no-such-package", ".*", ".*", ".*") -> []
    """
    return _matching(ctx, "packagesmatching", patterns)


def packageupdatesmatching(ctx: "Context", *patterns: str) -> "list[Any]":
    """The updates of packages that there are, as `packagesmatching` says what is installed.

    Fails if a pattern is none, or a module of the inventory lists nothing.
    Example:
        packageupdatesmatching("no-such-package", ".*", ".*", ".*") -> []
    """
    return _matching(ctx, "packageupdatesmatching", patterns)
