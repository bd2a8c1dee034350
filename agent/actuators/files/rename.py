"""Giving an object another name: `newname`, `disable`, `rotate`."""

import stat

from agent.actuators.files import modes
from agent.actuators.files.backup import archive
from agent.actuators.files.task import TRUE, WHY, joined, parent
from agent.outcome import Change, Outcome, Verdict, failed, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.task import Steps, Task
    from agent.host import Status

COMPRESSED = ("", ".gz", ".Z", ".bz", ".bz2")
SUFFIX = ".cfdisabled"


def rename(task: "Task", path: str, status: "Status") -> "Steps":
    """Yield what the `rename` body asks of PATH."""
    body = task.body("rename") or {}
    now = task.host.lstat(path)
    if now is None:
        yield kept(f"File object named '{path}' is not there (promise kept)")
        return
    disable = body.get("disable") in TRUE
    if disable:
        task.log("warning", f"File object '{path}' exists, contrary to promise")
    if "newname" in body:
        yield from _move(task, path, _target(path, body["newname"]))
    elif disable and stat.S_ISLNK(now.st_mode):
        yield task.change(
            f"disable link '{path}'",
            f"Disabled symbolic link '{path}' by deleting it",
            lambda: task.host.unlink(path),
            f"Unable to unlink '{path}'. (unlink: {WHY})",
        )
    elif disable:
        yield from _disable(task, path, status)
    elif "rotate" in body:
        yield _rotation(task, path, int(body["rotate"]))


def _target(path: str, name: str) -> str:
    """The path that NAME is, seen from where PATH is."""
    return name if name.startswith("/") else joined(parent(path), name)


def _move(task: "Task", path: str, target: str) -> "Steps":
    """Yield the renaming of PATH to TARGET."""
    if ("archived", target) in task.run.seen:
        warning = (
            f"Renaming '{path}' to same destination twice would overwrite saved copy - aborting"
        )
        yield Verdict(Outcome.WARNED, warning, "warning")
        return
    yield task.change(
        f"rename file '{path}' to '{target}'",
        f"Renamed file '{path}' to '{target}'",
        lambda: task.host.rename(path, target),
        f"Error occurred while renaming '{path}'",
    )


def _disable(task: "Task", path: str, status: "Status") -> "Steps":
    """Yield what makes PATH unusable under its name."""
    body, host = task.body("rename") or {}, task.host
    target = f"{path}{body.get('disable_suffix', SUFFIX)}"
    try:
        # the documented 0600 is given by nobody: without a `disable_mode` the mode stays
        mode = modes.applied(status.st_mode, body["disable_mode"]) if "disable_mode" in body else (
            status.st_mode & modes.ALL
        )  # fmt: skip
    except modes.Malformed as error:
        yield failed(str(error))
        return
    kind = "directory" if stat.S_ISDIR(status.st_mode) else "file"
    outcome = yield Change(
        f"rename '{kind}' '{path}'",
        f"Changed permissions of '{path}' to 'mode {mode:04o}'",
        lambda: host.chmod(path, mode),
    )
    if outcome is not Outcome.REPAIRED:
        return
    outcome = yield task.change(
        f"rename file '{path}' to '{target}'",
        f"Disabled file '{path}' by renaming to '{target}' with mode {mode:04o}",
        lambda: host.rename(path, target),
        f"Error occurred while renaming '{path}'",
    )
    if outcome is Outcome.REPAIRED:
        yield from archive(task, target)


def _rotation(task: "Task", path: str, generations: int) -> Change:
    """The change that empties PATH, after its content moved on in GENERATIONS."""
    if generations == 0:
        return Change(
            f"truncate '{path}'", f"Truncated '{path}'", lambda: task.host.overwrite(path, b"")
        )
    return Change(
        f"rotate file '{path}' in {generations} fifo",
        f"Rotated file '{path}' in {generations} fifo",
        lambda: rotate(task, path, generations),
    )


def rotate(task: "Task", path: str, generations: int) -> None:
    """Move PATH.1 to PATH.2 and so on, and the content of PATH to PATH.1: once a run.

    Part of a step's apply.
    """
    host, seen = task.host, task.run.seen
    if ("rotated", path) in seen:
        return
    seen.add(("rotated", path))
    status = host.stat(path)
    if status is None:
        return
    for number in range(generations - 1, 0, -1):
        for suffix in COMPRESSED:
            old = f"{path}.{number}{suffix}"
            if host.lstat(old) is not None:
                host.rename(old, f"{path}.{number + 1}{suffix}")
    host.write(f"{path}.1", host.read(path), like=status)
    host.write(path, b"", like=status)
