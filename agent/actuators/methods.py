"""`methods`: call a bundle, and end as it did."""

from agent.outcome import Change, Outcome, Verdict
from policy.errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.promise import Promise
    from agent.run import Run


def methods(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Call the bundle that PROMISE names (its promiser, without `usebundle`)."""
    called = promise.attributes.get("usebundle", (promise.promiser, ()))
    name, args = called if type(called) is tuple else (called, ())
    yield from invoked(name, args, promise, run)


def invoked(
    name: str, args: "tuple[Any, ...]", promise: "Promise", run: "Run"
) -> "Iterator[Change | Verdict]":
    """Call the bundle NAME with ARGS for PROMISE."""
    action = promise.body("action") or {}
    if action.get("action_policy") in ("warn", "nop"):
        warning = f"Bundle '{name}' should be invoked, but only a warning was promised!"
        yield Change(f"invoke bundle '{name}'", "", lambda: None, warn=warning)
        return
    bundle = run.plan.bundle(name, promise.namespace, "agent", "common")
    if bundle is None:
        yield from _missing(name, run)
        return
    if len(args) != len(bundle.params) and args:  # a name alone is called without, as in C
        raise Fatal(
            f"Conflicting arity in calling bundle {name}, expected {len(bundle.params)} "
            f"arguments, {len(args)} given"
        )
    outcome = run.perform(bundle, args, inherit=promise.truth("inherit"))
    results = promise.attributes.get("useresult")
    if results:
        for index, text in run.results.items():
            run.ctx.define(f"{results}[{index}]", text, "string")
    yield _ending(bundle.name, outcome)


def _missing(name: str, run: "Run") -> "Iterator[Verdict]":
    """Say that there is no bundle NAME; the end of the run unless policy allows it."""
    message = f"A method attempted to use a bundle '{name}' that was apparently not defined"
    if run.control.get("ignore_missing_bundles") not in ("true", "yes", "on"):
        run.log("error", message)
        raise Fatal(f"Aborting due to missing bundle '{name}'")
    yield Verdict(Outcome.FAILED, message, "error")


def _ending(name: str, outcome: Outcome) -> Verdict:
    """What the end of the bundle NAME means for the promise that called it."""
    if outcome in (Outcome.SKIPPED, Outcome.KEPT):
        return Verdict(Outcome.KEPT, f"Method '{name}' verified")
    if outcome is Outcome.REPAIRED:
        return Verdict(outcome, f"Method '{name}' invoked repairs")
    if outcome is Outcome.WARNED:
        message = f"Method '{name}' invoked repairs, but only warnings promised"
        return Verdict(outcome, message, "warning")
    if outcome in (Outcome.FAILED, Outcome.DENIED):
        return Verdict(Outcome.FAILED, f"Method '{name}' failed in some repairs", "error")
    return Verdict(Outcome.FAILED, f"Method '{name}' aborted in some repairs", "info")
