"""What a verbose run says of each promise before it is kept."""

from policy.errors import Unresolved
from policy.evaluate import evaluate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.run import Run
    from policy.plan import Written


def announcer(run: "Run") -> "Callable[[Written, str], None]":
    """What is told of each promise that RUN comes to, and its promiser."""

    def announce(written: "Written", promiser: str) -> None:
        for line in banner(run, written, promiser):
            run.log("verbose", line)

    return announce


def banner(run: "Run", written: "Written", promiser: str) -> list[str]:
    """The lines that introduce the promise WRITTEN, its promiser expanded."""
    bundle = written.bundle
    lines = [
        f"P: BEGIN {written.type} promise ({promiser[:40]})",
        "P: .........................................................",
        f"P: BEGIN promise '{run.special('handle')}' of type \"{written.type}\" "
        f"(pass {run.ctx.pass_number})",
        f"P:    Promiser/affected object: '{promiser}'",
        f"P:    Part of bundle: {bundle.name}",
        f"P:    Stack path: /{bundle.namespace}/{bundle.name}/{written.type}/'{promiser}'[1]",
    ]
    told = [f"handle '{run.special('handle')}'"]
    version = run.control.get("version")
    if version:
        told.append(f"version '{version}'")
    told.append(f"source path '{bundle.path}' at line {written.line}")
    if written.promisee is not None:
        told.append(f"promisee '{_worth(run, written.promisee)}'")
    for name, value in written.attributes:
        if name == "comment":
            told.append(f"comment '{_worth(run, value)}'")
    lines.append(f"Additional promise info: {' '.join(told)}")
    return lines


def _worth(run: "Run", value: object) -> str:
    """VALUE as text: a list with its items in braces."""
    try:
        found = evaluate(value, run.ctx)  # type: ignore[arg-type]  # an rval of the plan
    except Unresolved:
        return ""
    if isinstance(found, tuple):
        return "{" + ", ".join([f"'{item}'" for item in found]) + "}"
    return str(found)
