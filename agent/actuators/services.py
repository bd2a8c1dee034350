"""`services`: call the bundle that knows how to start and stop a service, and end as it did."""

from agent.actuators.methods import invoked
from agent.outcome import Outcome, Verdict
from policy.values import canonify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.outcome import Change
    from agent.promise import Promise
    from agent.run import Run

STANDARD = "default:standard_services"
DEFAULT_POLICY = "start"


def services(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Call the bundle for the service that is promised."""
    method = promise.body("service_method") or {}
    if method.get("service_type") == "windows":
        message = "Service type windows not supported on this platform."
        yield Verdict(Outcome.SKIPPED, message, "info")
        return
    if promise.promiser in promise.attributes.get("service_dependencies", ()):
        message = f"Service promiser '{promise.promiser}' has itself as dependency"
        yield Verdict(Outcome.FAILED, message, "error")
        from agent.actuators.regions import context_lines

        context_lines(promise, run, "error")
        return
    name, args = _bundle(promise, method, run)
    yield from invoked(name, args, promise, run)


def _bundle(
    promise: "Promise", method: "dict[str, Any]", run: "Run"
) -> "tuple[str, tuple[Any, ...]]":
    """The bundle to call and its arguments: of the method, of the service, or of all services."""
    called = method.get("service_bundle")
    if called is not None:
        return called if isinstance(called, tuple) else (called, ())
    own = f"service_{canonify(promise.promiser)}"
    found = run.plan.bundle(own, promise.namespace, "agent", "common")
    policy = promise.attributes.get("service_policy", DEFAULT_POLICY)
    return STANDARD if found is None else own, (promise.promiser, policy)
