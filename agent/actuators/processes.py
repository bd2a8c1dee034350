"""`processes`: how many there are, signals for them, and what to do where there are none."""

import time

from agent.host.processes import Process, line
from agent.outcome import Change, Outcome, Verdict, failed, kept
from policy import regexp
from policy.values import canonify, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias

    from agent.promise import Promise
    from agent.run import Run

    Steps: TypeAlias = "Generator[Change | Verdict, Outcome, Any]"

SIGNALS = {
    "hup": 1, "int": 2, "quit": 3, "trap": 5, "abrt": 6, "bus": 7, "kill": 9, "usr1": 10,
    "segv": 11, "usr2": 12, "pipe": 13, "term": 15, "child": 17, "cont": 18, "stop": 19,
}  # fmt: skip
DEADLY = ("kill", "term")
SYSTEM = 4  # the numbers below belong to processes that get no signals
INIT = 1
ENDLESS = 99_999_999_999
WARN = ("warn", "nop")
SOURCE = ("source=promise",)


def processes(promise: "Promise", run: "Run") -> "Steps":
    """Yield what it takes for the processes that match PROMISE to be as promised."""
    _complain(promise, run)
    try:
        found = matching(promise, run)
    except regexp.BadPattern as bad:
        yield failed(str(bad))
        return
    if (yield from _counted(promise, len(found), run)):
        return
    if (promise.body("action") or {}).get("action_policy") in WARN:
        yield from _announced(promise, found, run)
        return
    if found and "process_stop" in promise.attributes:
        stopped = yield from _stopped(promise, run)
        if not stopped:
            return
    ended = False
    if "signals" in promise.attributes:
        found = [process for process in found if _may_signal(process, promise, run)]
        ended = yield from _signalled(promise, found, run)
    name = promise.attributes.get("restart_class")
    if name is None:
        yield kept(f"No restart promised for {promise.promiser}")
    elif found and not ended:
        yield kept(f"Process promise for '{promise.promiser}' is kept")
    else:
        run.ctx.set_class(canonify(name), SOURCE)
        yield Verdict(Outcome.REPAIRED if ended else Outcome.KEPT)


def _words(value: "Any") -> tuple[str, ...]:
    """A list, or the one item that stands for it."""
    return (value,) if isinstance(value, str) else tuple(value)


def _bounds(value: str, now: float) -> tuple[int, int]:
    """The two ends of a range, the lower one first."""
    ends = [ENDLESS if end.strip() == "inf" else integer(end, now) for end in value.split(",")]
    return min(ends), max(ends)


# what makes no sense together


def _complain(promise: "Promise", run: "Run") -> None:
    """Say what in PROMISE contradicts itself."""
    from agent.actuators.regions import context_lines

    restarts = "restart_class" in promise.attributes
    count = promise.body("process_count")
    signals = [name.lower() for name in _words(promise.attributes.get("signals", ()))]
    if restarts and not set(signals).isdisjoint(DEADLY):
        what = f"Promise '{promise.promiser}' kills then restarts - never strictly converges"
        run.log("warning", what)
        context_lines(promise, run, "info")
    if count is None:
        return
    what = ""
    if "match_range" not in count:
        what = (
            "process_count used without match_range, this promise will not define a class "
            "based on a count of matching promises."
        )
    elif count.keys().isdisjoint(("in_range_define", "out_of_range_define")):
        what = (
            "process_count body is insufficiently defined. process_count must specify at least "
            "one of in_range_define or out_of_range_define. "
        )
    elif restarts and _bounds(count["match_range"], run.ctx.now) == (0, 0):
        what = (
            f"Promise constraint conflicts - '{promise.promiser}' processes cannot have zero "
            "count if restarted"
        )
    if what:
        run.log("error", what)
        context_lines(promise, run, "error")


# which processes


def matching(promise: "Promise", run: "Run") -> list[Process]:
    """The processes that PROMISE is about. Raises BadPattern."""
    pattern = regexp.compile(promise.promiser)
    table = run.host.processes(run.ctx.frame)
    found = [process for process in table if pattern.search(process.command) is not None]
    wanted = promise.body("process_select")
    return found if wanted is None else _selected(found, wanted, run)


def _selected(found: list[Process], wanted: "dict[str, Any]", run: "Run") -> list[Process]:
    """Those of FOUND that a `process_select` body means. Raises BadPattern."""
    criteria = _criteria(wanted, run)
    result = wanted.get("process_result")
    if result is None:
        return [each for each in found if all(met(each) for met in criteria.values())]
    from agent.actuators.files.select import holds
    from policy import classes

    try:
        expression = classes.compiled(result)
    except classes.BadExpression:
        return []  # as of an expression in which nothing is true
    return [
        process
        for process in found
        if holds(expression, {name for name, met in criteria.items() if met(process)})
    ]


def _criteria(wanted: "dict[str, Any]", run: "Run") -> "dict[str, Callable[[Process], bool]]":
    """What a `process_select` body asks of a process, by the names of `process_result`."""
    found: dict[str, Callable[[Process], bool]] = {}
    for attribute, (name, value_of) in RANGES.items():
        if attribute in wanted:
            found[name] = _within(_bounds(wanted[attribute], run.ctx.now), value_of)
    for attribute, text_of in TEXTS.items():
        if attribute in wanted:
            found[attribute] = _like(wanted[attribute], text_of)
    if "process_owner" in wanted:
        owners = [_like(pattern, run.host.owner) for pattern in _words(wanted["process_owner"])]
        found["process_owner"] = lambda process: any(met(process) for met in owners)
    return found


def _within(
    bounds: tuple[int, int], value_of: "Callable[[Process], float | None]"
) -> "Callable[[Process], bool]":
    """Whether a number of a process lies within BOUNDS; one that it has not does not."""

    def met(process: Process) -> bool:
        value = value_of(process)
        return value is not None and bounds[0] <= value <= bounds[1]

    return met


def _like(pattern: str, text_of: "Callable[[Process], str]") -> "Callable[[Process], bool]":
    """Whether PATTERN matches the whole of a text of a process."""
    return lambda process: regexp.full(pattern, text_of(process))


RANGES: "dict[str, tuple[str, Callable[[Process], float | None]]]" = {
    # attribute: its name in process_result, what of a process it is about
    "pid": ("pid", lambda process: process.pid),
    "ppid": ("ppid", lambda process: process.parent),
    "pgid": ("pgid", lambda process: process.group),
    "rsize": ("rsize", lambda process: process.resident),
    "vsize": ("vsize", lambda process: process.size),
    "ttime_range": ("ttime", lambda process: int(process.cpu)),
    "stime_range": ("stime", lambda process: process.start),
    "priority": ("priority", lambda process: process.nice),
    "threads": ("threads", lambda process: process.threads),
}
TEXTS: "dict[str, Callable[[Process], str]]" = {
    "command": lambda process: process.command,
    "status": lambda process: process.state,
    "tty": lambda process: process.tty,
}


# how many


def _counted(promise: "Promise", count: int, run: "Run") -> "Steps":
    """Define the classes for COUNT processes; whether that is all that was promised."""
    body = promise.body("process_count")
    if body is None or "match_range" not in body:
        return False
    low, high = _bounds(body["match_range"], run.ctx.now)
    within = low <= count <= high
    for name in _words(body.get("in_range_define" if within else "out_of_range_define", ())):
        run.ctx.set_class(canonify(name), SOURCE)
    about = f"'{promise.promiser}'"
    if within:
        yield kept(f"Process promise for {about} is kept")
    else:
        message = f"Process count for {about} was out of promised range ({count} found)"
        yield Verdict(Outcome.REPAIRED, message)
    return within


# what is done about them


def _announced(promise: "Promise", found: list[Process], run: "Run") -> "Steps":
    """Only warn of what there is to do."""
    for process in reversed(found):
        message = f"Matched '{line(process, run.host.owner(process))}'"
        yield Verdict(Outcome.WARNED, message, "warning", fires=Outcome.KEPT)
    if found or "restart_class" not in promise.attributes:
        yield kept()
        return
    what = f"Need to keep restart promise for '{promise.promiser}', but only a warning is promised"
    yield Verdict(Outcome.WARNED, what, "warning")


def _stopped(promise: "Promise", run: "Run") -> "Steps":
    """Yield the run of the command that stops what is running; False if there is no such one."""
    from agent.actuators.commands import refusal

    command: str = promise.attributes["process_stop"]
    about = f"'{promise.promiser}'"
    if run.dry:
        what = f"Need to keep process-stop promise for {about}, but only a warning is promised"
        yield Verdict(Outcome.WARNED, what, "error")
        return True
    reasons = refusal(command, run)
    if reasons is not None:
        for reason in reasons:
            run.log("error", reason)
        yield failed(
            f"Process promise to stop {about} could not be kept because '{command}' "
            "is not executable"
        )
        return False

    def stop() -> Outcome:
        finished = run.host.execute(command)
        if finished.out:
            run.log.show(finished.out.decode("utf-8", "surrogateescape"))
        if finished.returncode == 0:
            run.log("info", f"Promise to stop {about} repaired, '{command}' returned zero")
            return Outcome.REPAIRED
        run.log("error", f"Promise to stop {about} failed, '{command}' returned nonzero")
        return Outcome.FAILED

    yield Change(f"stop {about} by '{command}'", "", stop, unknown=True)
    return True


def _may_signal(process: Process, promise: "Promise", run: "Run") -> bool:
    """Whether PROCESS may get the signals of PROMISE."""
    if process.pid == run.host.pid:
        run.log("verbose", "cf-agent will not signal itself!")
        return False
    only_hup = [name.lower() for name in promise.attributes["signals"]] == ["hup"]
    if process.pid < SYSTEM and not (process.pid == INIT and only_hup):
        run.log(
            "verbose",
            "Will not signal or restart processes 0,1,2,3 (occurred while looking for "
            f"{promise.promiser})",
        )
        return False
    return True


def _signalled(promise: "Promise", found: list[Process], run: "Run") -> "Steps":
    """Yield the signals for each of FOUND; whether each was sent one that ends it."""
    count = 0
    for process in found:
        count += yield from _ended(promise, process, run)
    return 0 < count == len(found)


def _ended(promise: "Promise", process: Process, run: "Run") -> "Steps":
    """Yield the signals for PROCESS, with the pauses between them; whether one ends it."""
    ends = False
    for word in _words(promise.attributes["signals"]):
        name = word.lower()
        if name not in SIGNALS:
            if not run.dry and run.planned is None:
                time.sleep(int(name.rstrip("s")))
            continue
        shown = line(process, run.host.owner(process))
        if run.dry:
            what = f"Need to keep signal promise '{word}' in process entry '{shown}'"
            yield Verdict(Outcome.KEPT, what, "error")
            continue
        outcome = yield _signal(word, process, shown, run)
        ends = ends or (name in DEADLY and outcome is Outcome.REPAIRED)
    return ends


def _signal(word: str, process: Process, shown: str, run: "Run") -> Change:
    """PROCESS, of which `ps` prints SHOWN, gets the signal that policy calls WORD."""
    number = SIGNALS[word.lower()]

    def send() -> Outcome:
        try:
            run.host.kill(process.pid, number)
        except OSError as error:
            run.log(
                "error",
                f"Couldn't send promised signal '{word}' ({number}) to pid {process.pid} "
                f"(might be dead). (kill: {error.strerror})",
            )
            return Outcome.DENIED if isinstance(error, PermissionError) else Outcome.FAILED
        return Outcome.REPAIRED

    return Change(
        f"send signal '{word}' to process {process.pid} ({process.command})",
        f"Signalled '{word}' ({number}) to process {process.pid} ({shown})",
        send,
    )
