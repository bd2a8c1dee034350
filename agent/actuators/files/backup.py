"""Where old content goes: a name beside the file, or the repository."""

import errno

from agent.actuators.files.task import FALSE, joined, stamp
from agent.outcome import Change, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.task import Steps, Task


def repository(task: "Task") -> str | None:
    """The directory that backups are moved to, None if they stay where they are."""
    found = task.attributes.get("repository") or task.run.control.get("default_repository")
    return str(found) if found else None


def archive(task: "Task", path: str, archived: str = "") -> "Steps":
    """Yield the moving of PATH to the repository, if there is one; ARCHIVED is said of it after."""
    directory = repository(task)
    if directory is None or (task.body("copy_from") or {}).get("copy_backup") == "false":
        return
    from policy.values import canonify

    seen = task.run.seen
    if ("archived", path) in seen:
        task.log(
            "info",
            f"The file '{path}' has already been moved to the repository once. "
            "Multiple update will cause loss of backup.",
        )
        return
    seen.add(("archived", path))
    target = joined(directory, canonify(path).replace("_", task.run.control.get("repchar", "_")))
    outcome = yield Change(
        f"move '{path}' to repository location '{target}'",
        f"Moved '{path}' to repository location '{target}'",
        lambda: _into(task, path, target),
    )
    if archived and outcome is Outcome.REPAIRED:
        from agent.actuators.files.task import repaired

        yield repaired(archived)


def _into(task: "Task", path: str, target: str) -> None:
    """Move the file PATH to TARGET, making the repository if it is not there."""
    host = task.host
    at = target.find("/", 1)
    while at > 0:
        if not host.exists(target[:at]):
            host.mkdir(target[:at], 0o700)
        at = target.find("/", at + 1)
    host.write(target, host.read(path), like=host.stat(path))
    host.unlink(path)


# edited files


def _before_edit(task: "Task", path: str) -> str:
    """What PATH as it was before an edit is called."""
    how = (task.body("edit_defaults") or {}).get("edit_backup")
    return f"{path}{stamp(task.run.ctx.now) if how == 'timestamp' else ''}.cf-before-edit"


def put(task: "Task", path: str, data: bytes) -> None:
    """Put DATA in the place of PATH, or of what it leads to. Part of a step's apply."""
    try:
        task.host.write(path, data, follow=True)
    except OSError as error:
        _say_severed(task, path, error)
        raise


def _say_severed(task: "Task", path: str, error: OSError) -> None:
    """Say of PATH what is behind ERROR, if a link was not followed."""
    if error.errno == errno.ENOLINK:
        task.log(
            "error",
            f"Cannot follow symlink '{path}'; it is not owned by root or the user running this "
            "process, and the target owner and/or group differs from that of the symlink itself.",
        )


def replace(task: "Task", path: str, data: bytes, *, aloud: bool = False) -> None:
    """Put DATA in the place of PATH, or of what it leads to, and keep the old file as promised.

    Part of a step's apply. ALOUD: a link that must not be followed is spoken of.
    """
    host = task.host
    defaults = task.body("edit_defaults") or {}
    try:
        path = host.trusted(path)
    except OSError as error:
        if aloud:
            _say_severed(task, path, error)
        raise
    status = host.lstat(path)
    how = defaults.get("edit_backup", "true")
    if how not in FALSE and status is not None:
        backup = _before_edit(task, path)
        if host.lstat(backup) is not None:
            host.unlink(backup)
        try:
            host.link(path, backup)
        except OSError:
            host.write(backup, host.read(path), like=status)
        if how == "rotate":
            from agent.actuators.files.rename import rotate

            rotate(task, backup, int(defaults.get("rotate", "0")))
            host.unlink(backup)
    host.write(path, data, follow=True)


def archive_edited(task: "Task", path: str) -> "Steps":
    """Yield the moving of the backup of an edit to the repository, if there is one."""
    if repository(task) is None:
        return
    backup = _before_edit(task, task.host.trusted(path))
    if task.host.lstat(backup) is not None:
        yield from archive(task, backup)
