"""Making what is not there: files, directories, pipes, and the directories on the way to them."""

import stat

from agent.actuators.files import modes
from agent.actuators.files.task import DIRECTORY_MODE, FILE_MODE, WHY, leaf_name, parent, repaired
from agent.outcome import Change, Outcome, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.task import Steps, Task

DANGLING = (
    "Most likely a dangling symlink is in the way. "
    "Refusing to create the target file of dangling symlink (security risk)."
)


def create(task: "Task", path: str) -> "Steps":
    """Yield what it takes to make PATH; whether it is there afterwards."""
    if not path.startswith("/"):
        yield failed(
            f"Cannot create a relative filename '{path}' - has no invariant meaning. "
            "(create: No such file or directory)"
        )
        return False
    text = (task.body("perms") or {}).get("mode")
    try:
        if "depth_search" in task.attributes or leaf_name(path) == ".":
            return (yield from _directory(task, path, modes.initial(text, directory_mode(task))))
        mode = modes.initial(text, FILE_MODE)
    except modes.Malformed as error:
        task.log("error", str(error))
        yield failed("Problem validating a mode string")
        return False
    made = yield from parents(task, path, force=task.truth("move_obstructions"))
    if made is None:
        return False
    if made:
        yield repaired(f"Created directory for '{path}'")
    outcome = yield _fifo(task, path, mode) if _is_fifo(task) else _file(task, path, mode)
    return outcome is Outcome.REPAIRED


def _is_fifo(task: "Task") -> bool:
    return bool(task.attributes.get("file_type") == "fifo")


def _file(task: "Task", path: str, mode: int) -> Change:
    """The making of an empty file; never through a link."""

    def apply() -> Outcome | None:
        try:
            task.host.create(path, mode)
        except OSError as error:
            reason = f"(open: {error.strerror})"
            if isinstance(error, FileExistsError):
                reason = f"(open: '{error.strerror}'). {DANGLING}"
            task.log("error", f"Error creating file '{path}', mode '{mode:04o}'. {reason}")
            return Outcome.FAILED
        return None

    would = f"create file '{path}', mode '{mode:04o}'"
    return Change(would, f"Created file '{path}', mode {mode:04o}", apply)


def _fifo(task: "Task", path: str, mode: int) -> Change:
    return task.change(
        f"create named pipe '{path}', mode {mode:04o}",
        f"Created named pipe '{path}', mode {mode:04o}",
        lambda: task.host.fifo(path, mode),
        f"Error creating file '{path}', mode '{mode:04o}'. (mkfifo: {WHY})",
    )


def _directory(task: "Task", path: str, mode: int) -> "Steps":
    """Yield the making of the directory PATH with those above it, all with MODE."""
    inside = path if leaf_name(path) == "." else f"{path}/."
    clear = yield from _clear(task, inside, force=task.truth("move_obstructions"))
    if not clear:
        return False
    missing = _missing(task, inside)

    def apply() -> None:
        for directory in missing:
            task.host.mkdir(directory, mode)

    outcome = yield task.change(
        f"create directory '{path}'",
        f"Created directory '{path}', mode {mode:04o}",
        apply,
        f"Failed to make directory: {path} (mkdir: {WHY})",
    )
    return outcome is Outcome.REPAIRED


def parents(task: "Task", path: str, *, force: bool) -> "Steps":
    """Yield the making of the directories above PATH: whether any was made, None if it cannot be.

    FORCE: what is no directory is moved aside.
    """
    above = task.host.stat(parent(path))
    if above is not None and stat.S_ISDIR(above.st_mode):
        return False
    clear = yield from _clear(task, path, force=force)
    if not clear:
        return None
    mode = directory_mode(task)
    made = False
    for directory in _missing(task, path):
        outcome = yield task.change(
            f"make directory '{directory}' for '{path}'",
            "",
            lambda directory=directory: task.host.mkdir(directory, mode),  # type: ignore[misc]
            f"Failed to make directory: {directory} (mkdir: {WHY})",
        )
        if outcome is Outcome.FAILED:
            return None
        made = made or outcome is Outcome.REPAIRED
    return made


def directory_mode(task: "Task") -> int:
    """The mode of directories for which none is promised."""
    text = task.run.control.get("default_directory_create_mode")
    try:
        return modes.applied(DIRECTORY_MODE, text) if isinstance(text, str) else DIRECTORY_MODE
    except modes.Malformed:
        return DIRECTORY_MODE


def _missing(task: "Task", path: str) -> list[str]:
    """The directories above PATH that are not there, outermost first."""
    found = []
    at = path.rfind("/")
    while at > 0:
        above = path[:at]
        if above.endswith("/"):
            at -= 1
            continue
        if task.host.stat(above) is not None:
            break
        found.append(above)
        at = above.rfind("/")
    return found[::-1]


def _clear(task: "Task", path: str, *, force: bool) -> "Steps":
    """Whether directories can be made for PATH; with FORCE, what is in the way is moved aside."""
    above = parent(path).rstrip("/") or "/"
    status = task.host.lstat(above)
    if status is not None and not stat.S_ISDIR(status.st_mode):
        target = task.host.stat(above)
        if target is not None and stat.S_ISDIR(target.st_mode):
            return True
        if force:
            return (yield from _move_aside(task, above, path))
        if not stat.S_ISLNK(status.st_mode):
            yield failed(
                f"The object '{above}' is not a directory. "
                "Cannot make a new directory without deleting it."
            )
            return False
    at = above.find("/", 1)
    while at > 0:
        found = task.host.stat(above[:at])
        if found is not None and not stat.S_ISDIR(found.st_mode):
            yield failed(f"Cannot make {above} - {above[:at]} is not a directory!")
            return False
        at = above.find("/", at + 1)
    return True


def _move_aside(task: "Task", obstruction: str, path: str) -> "Steps":
    """Yield the renaming of OBSTRUCTION; whether the way is free then."""
    host, saved = task.host, f"{obstruction}.cf-moved"

    def apply() -> None:
        if host.lstat(saved) is not None:
            remove_tree(task, saved)
        host.rename(obstruction, saved)

    moved = f"'{obstruction}' to '{saved}' to make directories for '{path}'"
    outcome = yield task.change(
        f"move obstructing file/link {moved}",
        f"Moved obstructing file/link {moved}",
        apply,
        f"Couldn't rename '{obstruction}' to .cf-moved (rename: {WHY})",
    )
    return outcome is Outcome.REPAIRED


def remove_tree(task: "Task", path: str) -> None:
    """Remove PATH and all below it; links are removed, not followed. Part of a step's apply."""
    host = task.host
    status = host.lstat(path)
    if status is None:
        return
    if not stat.S_ISDIR(status.st_mode):
        host.unlink(path)
        return
    for name in host.listdir(path):
        remove_tree(task, f"{path}/{name}")
    host.rmdir(path)
