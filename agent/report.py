"""What is shown at the end: of a plan the steps with their diffs, of a run what it came to."""

import os
import time

from agent.log import STDERR
from agent.outcome import OUTCOMES, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.planned import Planned, Step
    from agent.run import Run

SHOWN_LINES = 60  # of one preview
SHOWN_WIDTH = 120  # of one summary
KINDS = {"change": "+", "unknown": "?", "warn": "!"}
REMARKS = {"change": "", "unknown": " (unknown until it runs)", "warn": " (policy only warns)"}
COLORS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
RESET = "\033[0m"


# differences


def unified(before: bytes, after: bytes, path: str) -> str:
    """The difference of two contents of the file PATH, as `diff -u` shows it."""
    if b"\0" in before or b"\0" in after:
        return f"binary content: {len(before)} octets before, {len(after)} after\n"
    from difflib import unified_diff

    old, new = (text.decode("utf-8", "surrogateescape").split("\n") for text in (before, after))
    lines = list(unified_diff(_ended(old), _ended(new), path, path, lineterm=""))
    return "".join([f"{line}\n" for line in lines])


def _ended(lines: list[str]) -> list[str]:
    """LINES of a split text; a last one that nothing ended says so."""
    if lines[-1] == "":
        return lines[:-1]
    return [*lines[:-1], f"{lines[-1]}\n\\ no newline at the end"]


# a plan


def kind(step: "Step") -> str:
    """What a step of a plan is: change, unknown, or warn (policy asks for no more)."""
    if step.only_warn:
        return "warn"
    return "unknown" if step.unknown else "change"


def plan_counts(planned: "Planned", counts: "Mapping[Outcome, int]") -> dict[str, int]:
    """How many steps of each kind there are, and promises that failed or were kept."""
    found = dict.fromkeys(KINDS, 0)
    for step in planned.steps:
        found[kind(step)] += 1
    found["unknown"] += len(planned.unknown)
    return {**found, "failed": _failed(counts), "kept": counts[Outcome.KEPT]}


def planned(run: "Run") -> None:
    """Show what the plan of RUN found, on stdout."""
    steps, settings = run.planned, run.settings
    assert steps is not None  # noqa: S101  # it is a plan
    if settings.json:
        run.log.show(plan_json(steps, run.counts, settings.file, run.log.reports or []))
        return
    seconds = _since(settings.now)
    run.log.show(plan_text(steps, run.counts, seconds, color=settings.color))


def plan_text(
    planned: "Planned", counts: "Mapping[Outcome, int]", seconds: float, *, color: bool
) -> str:
    """The plan as a person reads it: the promises that are not kept, their steps, diffs, a sum."""
    lines: list[str] = []
    promise = None
    for step in planned.steps:
        if step.promise is not promise:
            promise = step.promise
            lines.append(f'{promise.path}:{promise.line} {promise.type} "{promise.promiser}"')
        lines.append(f"  {KINDS[kind(step)]} {_summary(step.would)}{REMARKS[kind(step)]}")
        if step.preview.strip() not in step.would:
            lines += _preview(step.preview, color=color)
    for command in planned.unknown:
        lines.append("a function asks for a command")
        lines.append(f"  {KINDS['unknown']} {_summary(command)}{REMARKS['unknown']}")
    found = plan_counts(planned, counts)
    parts = [f"{found['change']} to change", f"{found['kept']} kept"]
    parts += [f"{found['unknown']} unknown until it runs"] if found["unknown"] else []
    parts += [f"{found['warn']} only warned of"] if found["warn"] else []
    parts += [f"{found['failed']} failed"] if found["failed"] else []
    return "\n".join([*lines, f"plan: {', '.join(parts)} ({seconds:.2f} s)"]) + "\n"


def _summary(would: str) -> str:
    """What a step would do, in one line that is not too long."""
    line = would.replace("\n", "\\n")
    return line if len(line) <= SHOWN_WIDTH else f"{line[: SHOWN_WIDTH - 4]} ..."


def _preview(text: str, *, color: bool) -> "Iterator[str]":
    """The lines of a preview, indented, not too many of them."""
    lines = text.splitlines()
    for line in lines[:SHOWN_LINES]:
        paint = COLORS.get(line[:1]) if color else None
        yield f"      {paint}{line}{RESET}" if paint else f"      {line}"
    if len(lines) > SHOWN_LINES:
        yield f"      ... {len(lines) - SHOWN_LINES} more lines, all of them with --json"


def plan_json(
    planned: "Planned", counts: "Mapping[Outcome, int]", policy: str, reports: list[str]
) -> str:
    """The plan as a program reads it."""
    from json import dumps

    steps = [
        {
            "kind": kind(step),
            "summary": step.would,
            "preview": step.preview,
            "type": step.promise.type,
            "promiser": step.promise.promiser,
            "bundle": step.promise.bundle,
            "namespace": step.promise.namespace,
            "file": step.promise.path,
            "line": step.promise.line,
        }
        for step in planned.steps
    ]
    plan = {
        "format": 1,
        "policy": policy,
        "summary": plan_counts(planned, counts),
        "steps": steps,
        "unknown": list(planned.unknown),
        "reports": reports,
    }
    return dumps(plan, indent=2) + "\n"


# a run


def _failed(counts: "Mapping[Outcome, int]") -> int:
    return sum(counts[outcome] for outcome in OUTCOMES if outcome >= Outcome.FAILED)


def _since(begin: float) -> float:
    """The seconds since BEGIN by the clock of this host, which the environment may shift."""
    if not os.environ.get("TROTH_CLOCK"):
        return time.time() - begin
    from agent import clock

    return clock.now() - begin


def ran(run: "Run") -> None:
    """Say what RUN came to, on stderr, unless only errors are wanted."""
    if run.log.wants("notice"):
        run.log.show(run_text(run.counts, run.left_alone, _since(run.settings.now)), STDERR)


def run_text(counts: "Mapping[Outcome, int]", left_alone: int, seconds: float) -> str:
    """One line about a run that ended; LEFT_ALONE promises were not looked at yet again."""
    repaired, failed = counts[Outcome.REPAIRED], _failed(counts)
    kept = counts[Outcome.KEPT]
    nothing = "left alone" if left_alone and not kept else "converged"
    head = "failed" if failed else "repaired" if repaired else nothing
    parts = [f"{repaired} repaired"] if repaired else []
    parts += [f"{counts[Outcome.WARNED]} only warned of"] if counts[Outcome.WARNED] else []
    parts += [f"{failed} failed"] if failed else []
    parts.append(f"{kept} kept")
    parts += [f"{left_alone} left alone (locked; -K looks again)"] if left_alone else []
    return f"{head}: {', '.join(parts)} ({seconds:.2f} s)"
