"""`troth controls`: what a policy says about the daemon on this host, as JSON; for the daemon.

`format` 1; `executor`: what `body executor control` sets, texts and lists of texts; `classes`: the
hard classes but those of the time, which the daemon knows better; `host`: the name of this host;
`share`: between 0 and 1, the same for each start on this host, for the splay.
"""

from agent import access, schedule
from policy import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.log import Log
    from agent.options import Settings
    from agent.run import Run

FORMAT = 1
EXIT_FAILED = 1


def main(settings: "Settings", log: "Log") -> int:
    """`troth controls`: 0, or 1 and nothing on stdout if the policy cannot be evaluated."""
    found = access.evaluate(settings, log, "executor", controls)
    if found is None:
        return EXIT_FAILED
    log.show(access.as_json(found))
    return 0


def controls(run: "Run") -> "dict[str, Any]":
    """What the policy of RUN says about the daemon."""
    executor: dict[str, Any] = {}
    for body in run.plan.controls.get("executor", ()):
        values = load.control(body, run.ctx)
        executor.update({name: _plain(value) for name, value in values.items()})
    times = set(schedule.time_classes(run.settings.now, run.settings.timezone).values())
    host = _fact(run, "fqhost")
    return {
        "format": FORMAT,
        "executor": dict(sorted(executor.items())),
        "classes": sorted(set(run.ctx.hard) - times),
        "host": host,
        "share": share(f"{host}+{_fact(run, 'ipv4')}+{run.host.uid}"),
    }


def _plain(value: "Any") -> "Any":
    return list(value) if isinstance(value, tuple) else value


def _fact(run: "Run", name: str) -> str:
    found = run.ctx.facts.get(name)
    return str(found.value) if found is not None else ""


def share(text: str) -> float:
    """Where TEXT falls between 0 and 1: Jenkins' one-at-a-time hash, as the reference has it."""
    value = 0
    for octet in text.encode("utf-8", "surrogateescape"):
        value = (value + octet) & 0xFFFFFFFF
        value = (value + (value << 10)) & 0xFFFFFFFF
        value ^= value >> 6
    value = (value + (value << 3)) & 0xFFFFFFFF
    value ^= value >> 11
    value = (value + (value << 15)) & 0xFFFFFFFF
    return value / (1 << 32)
