"""Flags that a file system keeps for a file (`fsattrs`): whether anybody may change it at all."""

from agent.actuators.files.task import FALSE, IMMUTABLE, TRUE
from agent.outcome import Change, Outcome, Verdict, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.actuators.files.task import Steps, Task


def thawed(task: "Task", path: str, steps: "Steps") -> "Steps":
    """Yield STEPS, each of which may change PATH even if it is immutable and promised to be."""
    wanted = (task.body("fsattrs") or {}).get("immutable")
    if wanted in FALSE:
        yield from _cleared(task, path)
    try:
        step = next(steps)
        while True:
            if wanted in TRUE and isinstance(step, Change):
                step.apply = _thawing(task, path, step.apply)
            answer = yield step
            step = steps.send(answer)
    except StopIteration:
        return


def _thawing(
    task: "Task", path: str, act: "Callable[[], Outcome | None]"
) -> "Callable[[], Outcome | None]":
    """ACT, with the flag of PATH lifted while it is at it."""

    def apply() -> Outcome | None:
        flags = _flags(task, path) or 0
        if not flags & IMMUTABLE:
            return act()
        task.host.set_flags(path, flags & ~IMMUTABLE)
        try:
            return act()
        finally:
            now = _flags(task, path)
            if now is not None:
                task.host.set_flags(path, now | IMMUTABLE)

    return apply


def _flags(task: "Task", path: str) -> int | None:
    """The flags of PATH; None if it has none, or is not there."""
    return None if task.host.lstat(path) is None else task.host.flags(path)


def _cleared(task: "Task", path: str) -> "Steps":
    """Yield the clearing of the flag of PATH."""
    flags = _flags(task, path)
    if flags is None:
        return
    if not flags & IMMUTABLE:
        yield kept(f"The immutable bit is not set on file '{path}' as promised")
        return
    yield _flagged(task, path, flags & ~IMMUTABLE, ("clear", "Cleared"))


def sealed(task: "Task", path: str) -> "Steps":
    """Yield the setting of the flag of PATH if that is promised; whether to go on with PATH."""
    if (task.body("fsattrs") or {}).get("immutable") not in TRUE:
        return True
    flags = _flags(task, path)
    if flags is None:
        yield Verdict(Outcome.SKIPPED, f"No flags are kept for '{path}'")
    elif flags & IMMUTABLE:
        yield kept(f"The immutable bit is already set on file '{path}' as promised")
    else:
        yield _flagged(task, path, flags | IMMUTABLE, ("set", "Set"))
    return True


def _flagged(task: "Task", path: str, flags: int, words: tuple[str, str]) -> Change:
    """The change of the flags of PATH to FLAGS."""

    def apply() -> Outcome | None:
        try:
            task.host.set_flags(path, flags)
        except OSError as error:
            task.log(
                "error",
                f"Failed to {words[0]} the immutable bit on file '{path}': {error.strerror}",
            )
            return Outcome.FAILED
        return None

    return Change(
        f"{words[0]} the immutable bit on file '{path}'",
        f"{words[1]} the immutable bit on file '{path}'",
        apply,
    )
