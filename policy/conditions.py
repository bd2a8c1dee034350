"""When a promise is kept: its instances, what is bound in them, and the conditions on them."""

from policy import classes, strings
from policy.errors import Unresolved
from policy.evaluate import evaluate
from policy.iterate import combinations, iterates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from policy.context import Context
    from policy.plan import Written

LAST_PASS = 3


def instances(
    written: "Written", ctx: "Context", keep: "Callable[[Written, Context], None]"
) -> None:
    """Call KEEP for WRITTEN, once for each combination of the lists that it mentions."""
    if not written.linked:
        written.link()
    ctx.this = {}
    if not written.references or not iterates(written.references, ctx):
        keep(written, ctx)
        return
    for _ in combinations(written.references, ctx, chooses=written.chooses):
        keep(written, ctx)


def bound(written: "Written", ctx: "Context") -> str:
    """Bind `with` and `this.promiser` for WRITTEN; its promiser, expanded.

    In the promiser itself `this.promiser` is that of the iteration before.
    """
    ctx.this.pop("with", None)
    for name, value in written.attributes:
        if name == "with":
            _bind_with(value, ctx)
    promiser = written.promiser
    text: str = promiser if type(promiser) is str else evaluate(promiser, ctx)
    ctx.this["promiser"] = text
    if ctx.announce is not None:
        ctx.announce(written, text)
    return text


def _bind_with(value: "Any", ctx: "Context") -> None:
    """Make VALUE the meaning of `$(with)`, unless it cannot be had yet."""
    try:
        found = evaluate(value, ctx)
    except Unresolved:
        return
    if type(found) is bool:
        found = "any" if found else "!any"
    if type(found) is str and (not strings.expandable(found) or ctx.pass_number >= LAST_PASS):
        ctx.this["with"] = found


def permitted(written: "Written", ctx: "Context", done: "set[str]") -> bool:
    """Whether `if`, `unless` and `depends_on` of WRITTEN let it be kept now.

    DONE are the handles of the promises that were kept or repaired in this run.
    """
    for name, value in written.attributes:
        if name == "if":
            if condition(value, ctx) is not True:
                return False
        elif name == "unless":
            met = condition(value, ctx)
            if met or (met is None and ctx.pass_number < LAST_PASS):
                return False
        elif name == "depends_on" and not _depends(value, ctx, done):
            return False
    return True


def condition(value: "Any", ctx: "Context") -> bool | None:
    """Whether the condition VALUE holds; None while that cannot be said."""
    try:
        found = evaluate(value, ctx)
    except Unresolved:
        return None
    if type(found) is bool:
        return found
    if type(found) is not str or strings.expandable(found):
        return None
    return expression(found, ctx)


def expression(text: str, ctx: "Context") -> bool | None:
    """Whether the class expression TEXT holds; None, and a message, if it is none."""
    if "$" in text or "@" in text:
        return None
    try:
        return classes.holds(text, ctx)
    except classes.BadExpression as error:
        ctx.log("error", str(error))
        return None


def _depends(value: "Any", ctx: "Context", done: "set[str]") -> bool:
    """Whether every handle of VALUE belongs to a promise that was kept, of whatever namespace."""
    try:
        handles = evaluate(value, ctx)
    except Unresolved:
        return False
    if type(handles) is str:
        handles = (handles,)
    from policy.values import canonify

    return all(canonify(handle) in done for handle in handles)


def noted(written: "Written", ctx: "Context", done: "set[str]") -> None:
    """Remember that WRITTEN was kept, for those that depend on it."""
    for name, value in written.attributes:
        if name == "handle":
            done.add(handle_of(value, ctx))


def handle_of(value: "Any", ctx: "Context") -> str:
    """The handle that VALUE gives: expanded, but not by iteration; then as classes are spelled.

    It knows neither the promiser nor itself.
    """
    from policy.values import canonify

    wheels, this, special = ctx.wheels, ctx.this, ctx.special
    ctx.wheels, ctx.this = {}, {}
    ctx.special = lambda name: None if name == "handle" else special(name)
    try:
        text = evaluate(value, ctx)
    except Unresolved:
        text = ""
    finally:
        ctx.wheels, ctx.this, ctx.special = wheels, this, special
    return canonify(text if type(text) is str else "")
