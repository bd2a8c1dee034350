"""What is promised of one object that is there: transformer, rename, delete, touch, attributes."""

import errno
import stat

from agent.actuators.files.perms import attributes
from agent.actuators.files.task import WHY
from agent.outcome import Change, Outcome, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.task import Steps, Task
    from agent.host import Status

ATTRIBUTES = frozenset(("perms", "changes", "acl"))


def leaf(task: "Task", path: str, status: "Status") -> "Steps":
    """Yield what it takes for PATH, which is as STATUS says, to be as promised."""
    task.log("verbose", f"Handling file existence constraints on '{path}'")
    task.visit(path)
    wanted = task.attributes
    if "transformer" in wanted:
        from agent.actuators.files.transform import transform

        yield from transform(task, path)
    else:
        if "rename" in wanted:
            from agent.actuators.files.rename import rename

            yield from rename(task, path, status)
        if "delete" in wanted:
            yield from delete(task, path, status)
        if task.truth("touch"):
            yield task.change(
                f"update time stamps for '{path}'",
                f"Touched (updated time stamps) for path '{path}'",
                lambda: task.host.touch(path),
                f"Touch '{path}' failed to update timestamps",
            )
    if ATTRIBUTES.isdisjoint(wanted):
        return
    if stat.S_ISDIR(status.st_mode) and _is_skipped_base(task, path):
        task.log("verbose", f"Promise to skip base directory '{path}'")
        return
    yield from attributes(task, path, status, task.body("perms") or {})


def _is_skipped_base(task: "Task", path: str) -> bool:
    """Whether PATH is where a search starts, and nothing is promised of it."""
    search = task.body("depth_search")
    return (
        search is not None
        and search.get("depth", "0") != "0"
        and not task.option("depth_search", "include_basedir")
        and path == task.promise.promiser
    )


def delete(task: "Task", path: str, status: "Status") -> "Steps":
    """Yield the removal of PATH; a directory only if it is empty and `rmdirs` is promised."""
    task.log("verbose", f"Verifying file deletions for '{path}'")
    if not stat.S_ISDIR(status.st_mode):
        yield task.change(
            f"delete file '{path}'",
            f"Deleted file '{path}'",
            lambda: task.host.unlink(path),
            f"Couldn't unlink '{path}' tidying. (unlink: {WHY})",
        )
        return
    if not task.option("delete", "rmdirs"):
        yield kept(f"Keeping directory '{path}' since 'rmdirs' attribute was not specified")
        return
    if "depth_search" in task.attributes and path == task.promise.promiser:
        return  # where a search starts stays
    yield Change(f"delete directory '{path}'", "", lambda: _remove_directory(task, path))


def _remove_directory(task: "Task", path: str) -> Outcome:
    """Remove the directory PATH; one that is not empty is left alone, as promised to nobody."""
    try:
        task.host.rmdir(path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            task.log("verbose", f"Delete directory '{path}' not empty, skipping")
            return Outcome.KEPT
        task.log("error", f"Delete directory '{path}' failed (rmdir: {error.strerror})")
        return Outcome.FAILED
    task.log("info", f"Deleted directory '{path}'")
    return Outcome.REPAIRED
