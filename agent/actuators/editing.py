"""A file under edit: load it, let the edit bundle work on its lines, save what came of it once.

`edit` is the part of a `files` promise that has an `edit_line` bundle or a classic template.
"""

from agent.edits import Buffer, lines_of
from agent.outcome import Change, Outcome, Verdict, failed, kept
from policy.values import integer, octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from agent.actuators.files.task import Task
    from agent.promise import Promise
    from agent.run import Run

    Steps = Generator[Change | Verdict, Outcome, Outcome]

TRUE = frozenset(("true", "yes"))
LIMIT = 100_000  # bytes, unless `editfilesize` or `max_file_size` says otherwise
REGULAR = 0o100000
KIND = 0o170000


def edit(promise: "Promise", run: "Run", path: str) -> "Iterator[Change | Verdict]":
    """Yield the one change of the file PATH that its edit bundle asks for.

    What the promises of the bundle say at info level is said only if the file was changed.
    """
    held = content(promise, run, path)
    run.buffer_info()
    outcome = Outcome.FAILED
    try:
        if held is None:
            yield failed(f"File '{path}' was marked for editing but could not be opened")
        else:
            join = (promise.body("edit_defaults") or {}).get("recognize_join") in TRUE
            original = lines_of(held, join=join)
            outcome = yield from _edited(promise, run, Buffer((), path), original)
    finally:
        run.release_info(outcome is Outcome.REPAIRED)


def content(promise: "Promise", run: "Run", path: str) -> str | None:
    """What the file PATH holds, or None after saying why it is not to be edited."""
    defaults = promise.body("edit_defaults") or {}
    status = run.host.stat(path)
    if status is None:
        run.log("verbose", f"The proposed file '{path}' could not be loaded")
        return None
    limit = (
        _limit(defaults.get("max_file_size")) or _limit(run.control.get("editfilesize")) or LIMIT
    )
    if "edit_line" in promise.attributes and status.st_size > limit:
        run.log(
            "info",
            f"File '{path}' is bigger than the edit limit. "
            f"max_file_size = {status.st_size} > {limit} bytes",
        )
        return None
    if status.st_mode & KIND != REGULAR:
        run.log("info", f"{path} is not a plain file")
        return None
    try:
        return text(run.host.read(path))
    except OSError as error:
        run.log("info", f"Couldn't read file '{path}' for editing. (fopen: {error.strerror})")
        return None


def _limit(written: "Any") -> int:
    """The size that is WRITTEN, 0 if there is none to speak of."""
    return max(integer(written), 0) if isinstance(written, str) else 0


def _edited(promise: "Promise", run: "Run", buffer: Buffer, original: list[str]) -> "Steps":
    """Yield what becomes of the file whose lines are ORIGINAL; how that ended."""
    attributes = promise.attributes
    defaults = promise.body("edit_defaults") or {}
    anew = defaults.get("empty_file_before_editing") in TRUE
    if "edit_line" in attributes:
        if not anew:
            buffer.lines.extend(original)
        _perform(promise, run, buffer, anew=anew)
    if (
        "edit_template" in attributes
        and attributes.get("template_method", "cfengine") == "cfengine"
    ):
        from agent.actuators.classic_template import render

        problem = render(promise, run, buffer)
        if problem:
            return (yield Verdict(Outcome.INTERRUPTED, problem, "error"))
    if not buffer.edits or buffer.lines == original:
        return (yield kept(f"No edit changes to file '{buffer.path}' need saving"))
    action = promise.body("action") or {}
    if action.get("action_policy") in ("warn", "nop"):
        for line in differences(original, buffer.lines):
            yield Verdict(Outcome.WARNED, line, "warning")
    old = "\n".join([*original, ""])
    return (yield from saved(promise, run, buffer.path, (old, buffer.text()), "Edited file"))


def _perform(promise: "Promise", run: "Run", buffer: Buffer, *, anew: bool) -> None:
    """Let the edit bundle that PROMISE names work on BUFFER."""
    name, args = promise.attributes["edit_line"]
    defaults = promise.body("edit_defaults") or {}
    run.ctx.define("edit.filename", buffer.path, "string")
    run.ctx.define("edit.empty_before_use", "true" if anew else "false", "string")
    run.call(
        name, args, kind="edit_line", edit=buffer, label=f"files promise '{promise.promiser}'",
        inherit=defaults.get("inherit") in TRUE,
    )  # fmt: skip


def saved(promise: "Promise", run: "Run", path: str, texts: tuple[str, str], done: str) -> "Steps":
    """Yield the change of the file PATH from the first to the second of TEXTS; how that ended.

    And then where the old content goes. DONE, and the path after it, is said when it is done.
    """
    from agent.actuators.files.backup import archive_edited
    from agent.actuators.files.task import Task

    task = Task(promise, run)
    outcome = yield Change(
        f"edit file '{path}'",
        f"{done} '{path}'",
        lambda: _save(task, path, texts[1]),
        preview=lambda: unified(*texts, path),
    )
    if outcome is Outcome.REPAIRED:
        yield from archive_edited(task, path)
    return outcome


def differences(old: list[str], new: list[str]) -> "Iterator[str]":
    """What `action_policy => "warn"` says of each place in which OLD and NEW differ."""
    if not new:
        return
    for at in range(max(len(old), len(new))):
        if at < len(old) and at < len(new):
            if old[at] != new[at]:
                yield f"edit_line warning promised: - {old[at]}"
        elif not old:
            yield "File content wants to change from from/to full/empty but only a warning promised"
        elif at < len(old):
            yield f" ! edit_line change warning promised: (remove) {old[at]}"
        else:
            yield f" ! edit_line change warning promised: (add) {new[at]}"


def unified(old: str, new: str, path: str) -> str:
    """The difference between OLD and NEW, as a person reads it."""
    from difflib import unified_diff

    names = (f"original {path}", f"changed  {path}")
    return "\n".join(unified_diff(lines_of(old), lines_of(new), *names, lineterm=""))


def _save(task: "Task", path: str, new: str) -> Outcome | None:
    """Write NEW into the file PATH, or where a link leads; the old one is kept as promised."""
    from agent.actuators.files.backup import replace

    try:
        replace(task, path, octets(new))
    except OSError as error:
        task.log("error", f"Unable to save file '{path}' after editing. ({task.why(error)})")
        return Outcome.FAILED
    return None
