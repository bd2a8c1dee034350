"""One bundle: three passes over its promises, in the order of their types."""

from agent.outcome import Outcome, merge
from agent.promise import keep
from policy.classes import truth
from policy.context import Frame, Scope, Variable, scope_key
from policy.define import KEEPERS
from policy.load import settle, sweep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.run import Run
    from policy.plan import Bundle, Written

PASSES = (1, 2, 3)


def perform(
    bundle: "Bundle", args: "tuple[Any, ...]", run: "Run", *,
    inherit: bool = False, edit: "Any" = None, sequence: bool = False,
) -> Outcome:  # fmt: skip
    """Evaluate BUNDLE with the arguments ARGS; what its promises came to, merged.

    INHERIT shows it the private classes of the caller. EDIT is the buffer that the promises of an
    `edit_line` bundle work on. SEQUENCE: it is called by the bundlesequence, not by a promise.
    """
    ctx = run.ctx
    saved = (ctx.frame, ctx.this, ctx.wheels, ctx.pass_number, ctx.written, run.edit)
    because = ctx.because
    key = scope_key(bundle.namespace, bundle.name)
    if key in ctx.unprepared and not bundle.params:
        ctx.prepare(key)
    ctx.unprepared -= {key, f"{key}_meta"}
    scope = ctx.scopes.setdefault(key, Scope())
    if not sequence:
        scope.arrays.clear()
    kind = bundle.type
    ctx.frame = Frame(
        bundle.name, bundle.namespace, scope, kind=kind, caller=saved[0], inherits=inherit
    )
    ctx.frame.promiser = ctx.this.get("promiser", "")
    if saved[4] is not None and not sequence:
        ctx.frame.call = (saved[4], saved[2])
        if ctx.signalled:
            from policy.provenance import both

            ctx.frame.needs = both([saved[0].needs, ctx.because])
    ctx.wheels = {}
    ctx.this = {}
    ctx.version += 1
    run.edit = edit
    _bind(bundle, args, scope, run)
    try:
        if not sequence:
            sweep(bundle.sections.get("vars", []), ctx, run.done)
        return _passes(bundle, run)
    finally:
        for param in bundle.params:
            scope.plain.pop(param, None)
        ctx.frame, ctx.this, ctx.wheels, ctx.pass_number, ctx.written, run.edit = saved
        ctx.because = because
        ctx.version += 1


def _bind(bundle: "Bundle", args: "tuple[Any, ...]", scope: Scope, run: "Run") -> None:
    """Make the parameters of BUNDLE variables with the values of ARGS."""
    for param, value in zip(bundle.params, args, strict=False):
        if type(value) is str and value[:2] in ("@(", "@{"):
            run.log(
                "error",
                f"List or container parameter '{value[2:-1]}' not found while constructing scope "
                f"'{bundle.name}' - use @(scope.variable) in calling reference",
            )
            continue
        kind = "string" if type(value) is str else "slist" if type(value) is tuple else "data"
        scope.plain[param] = Variable(value, kind)


def _passes(bundle: "Bundle", run: "Run") -> Outcome:
    """Three passes over BUNDLE, which is the frame of the context."""
    ctx = run.ctx
    frame = ctx.frame
    outcome = Outcome.SKIPPED
    top_down = bundle.top_down or run.top_down
    sections = bundle.in_order(top_down=top_down)
    for number in PASSES:
        ctx.pass_number = number
        for kind, promises in sections:
            if kind in KEEPERS:
                if top_down:
                    sweep(promises, ctx, run.done)
                else:
                    settle(bundle, kind, ctx, run.done)
                if kind == "classes" and not top_down:
                    settle(bundle, "vars", ctx, run.done)
                    settle(bundle, "defaults", ctx, run.done)
            else:
                outcome = merge(outcome, _section(bundle, kind, promises, run))
            if run.aborting or frame in run.abandoned:
                run.stop_if_aborting()
                return outcome
    return outcome


def _section(bundle: "Bundle", kind: str, promises: "list[Written]", run: "Run") -> Outcome:
    """Keep each of PROMISES whose guard holds.

    Where nothing has changed since the guards were last asked, only those that held are visited.
    """
    ctx = run.ctx
    before = ctx.version
    version, held = bundle.held.get(kind, (-1, promises))
    if version != before or bundle.top_down or run.top_down:
        held = promises
    outcome = Outcome.SKIPPED
    met = []
    for written in held:
        if written.done or (written.guard is not None and not truth(written.guard, ctx)):
            continue
        met.append(written)
        outcome = merge(outcome, keep(written, run))
        if run.aborting or ctx.frame in run.abandoned:
            break
    if ctx.version == before:
        bundle.held[kind] = (before, met)
    return outcome
