"""Putting the copy of one regular file in its place: beside it first, then over it."""

import stat

from agent.actuators.files.backup import archive
from agent.actuators.files.create import remove_tree
from agent.actuators.files.links import hard_linked
from agent.actuators.files.task import FILE_MODE, WHY, repaired, stamp
from agent.outcome import Change, Outcome, failed, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.copying import Copy
    from agent.actuators.files.task import Steps
    from agent.host import Status

HERE = "localhost"
NEW, SAVED = ".cfnew", ".cfsaved"


def new(copy: "Copy", source: str, path: str, status: "Status") -> "Steps":
    """Yield the copy PATH of the file SOURCE, where there is nothing."""
    task = copy.task
    # in a dry run the reference names the two the wrong way round
    dry = f"Should copy '{path}' to '{source}'"
    outcome = yield Change(
        f"copy '{source}' to '{path}'",
        "",
        lambda: Outcome.SKIPPED,
        dry=dry,
        warn=f"{dry}, but only warning promised",
    )
    if outcome is not Outcome.SKIPPED:
        return
    installed = yield from _install(copy, source, path, status)
    if not installed:
        yield failed(f"Copy from '{HERE}:{source}' failed")
        return
    have = task.host.stat(path)
    if have is not None:
        yield from copy.attributes(source, path, status, have)
    yield repaired(f"Updated file '{path}' from '{HERE}:{source}'")
    copy.note_single(path)
    copy.define(path)


def update(copy: "Copy", source: str, path: str, status: "Status") -> "Steps":
    """Yield the copy PATH of the file SOURCE, in the place of what is there."""
    task = copy.task
    if _same_file(copy, path, status):
        yield kept(f"File '{path}' is an up to date copy of source")
        return
    outcome = yield task.gate(f"update file '{path}' from '{source}' on '{HERE}'")
    if outcome is not Outcome.SKIPPED:
        return
    copy.define(path)
    installed = yield from _install(copy, source, path, status)
    if not installed:
        yield failed(f"Was not able to copy '{source}' on '{HERE}' to '{path}'")
        return
    yield repaired(f"Updated '{path}' from source '{source}' on '{HERE}'")
    have = task.host.stat(path)
    if have is not None:
        yield from copy.attributes(source, path, status, have)
    copy.note_single(path)


def _same_file(copy: "Copy", path: str, status: "Status") -> bool:
    """Whether PATH is one more name of the copy that SOURCE's other name has already."""
    first = copy.linked.get((status.st_dev, status.st_ino))
    if first is None or status.st_nlink < 2:
        return False
    one, other = copy.task.host.lstat(first), copy.task.host.lstat(path)
    return (
        one is not None
        and other is not None
        and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
    )


def _install(copy: "Copy", source: str, path: str, status: "Status") -> "Steps":
    """Yield the steps that put the bytes of SOURCE at PATH; whether they are there."""
    task, host = copy.task, copy.task.host
    if status.st_nlink > 1:
        first = copy.linked.setdefault((status.st_dev, status.st_ino), path)
        if first != path and host.lstat(first) is not None:
            return (yield from _one_more_name(copy, path, first))
    fresh = f"{path}{NEW}"
    have = host.stat(path)
    outcome = yield _fetch(copy, source, fresh, status, have)
    if outcome is not Outcome.REPAIRED:
        return False
    if have is not None:
        saved = yield from _set_aside(copy, path, have)
        if not saved:
            return False
    if copy.option("verify") and not host.same(source, fresh):
        yield failed(f"New file '{fresh}' seems to have been corrupted in transit, aborting.")
        return False
    outcome = yield _move(copy, fresh, path, status)
    if outcome is not Outcome.REPAIRED:
        return False
    if have is not None and copy.backup != "false" and not stat.S_ISDIR(have.st_mode):
        backup = _backup_name(copy, path)
        yield from archive(task, backup, f"Archived backup '{backup}'")
    return True


def _move(copy: "Copy", fresh: str, path: str, status: "Status") -> Change:
    """The change that puts FRESH in the place of PATH."""
    host = copy.task.host

    def apply() -> None:
        host.rename(fresh, path)
        if copy.option("stealth"):
            host.utime(path, status.st_atime, status.st_mtime)

    return copy.task.change(
        f"move '{fresh}' to '{path}'",
        f"Moved '{fresh}' to '{path}'",
        apply,
        f"Could not install copy file as '{path}', directory in the way?. (rename: {WHY})",
        quiet=True,
    )


def _fetch(
    copy: "Copy", source: str, fresh: str, status: "Status", have: "Status | None"
) -> Change:
    """The change that makes FRESH a copy of SOURCE; what `preserve` gives it comes later."""
    host, preserve = copy.task.host, copy.option("preserve")

    def apply() -> None:
        host.copy(source, fresh, mode=mode)
        if copy.option("stealth"):
            host.utime(source, status.st_atime, status.st_mtime)

    mode = FILE_MODE if preserve or have is None else have.st_mode & 0o777
    how = "permissions preserved" if preserve else f"mode '{mode:o}'"
    return copy.task.change(
        f"copy '{source}' to '{fresh}'",
        f"Copied file '{source}' to '{fresh}' ({how})",
        apply,
        f"Failed copying file '{source}' to '{fresh}'",
        quiet=True,
    )


def _one_more_name(copy: "Copy", path: str, first: str) -> "Steps":
    """Yield PATH as a name of FIRST, because their sources are names of one file."""
    task, host = copy.task, copy.task.host
    if host.lstat(path) is not None:
        outcome = yield task.change(
            f"remove '{path}'", f"Removed '{path}'", lambda: host.unlink(path), quiet=True
        )
        if outcome is not Outcome.REPAIRED:
            return False
    outcome = yield hard_linked(task, path, first, first, quiet=True)
    return outcome is Outcome.REPAIRED


def _backup_name(copy: "Copy", path: str) -> str:
    """What PATH is called when it is replaced."""
    return f"{path}{stamp(copy.task.run.ctx.now) if copy.backup == 'timestamp' else ''}{SAVED}"


def _set_aside(copy: "Copy", path: str, have: "Status") -> "Steps":
    """Yield what keeps the old PATH, or frees the way where it is a directory."""
    task, host = copy.task, copy.task.host
    directory = stat.S_ISDIR(have.st_mode)
    if copy.backup == "false":
        if not directory:
            return True
        outcome = yield task.change(
            f"remove directory '{path}'",
            f"Removed directory '{path}'",
            lambda: remove_tree(task, path),
            f"Failed to remove directory '{path}'",
            quiet=True,
        )
        return outcome is Outcome.REPAIRED
    backup = _backup_name(copy, path)
    if host.lstat(backup) is not None:
        yield task.change(
            f"remove old backup '{backup}'",
            f"Removed old backup '{backup}'",
            lambda: remove_tree(task, backup),
            f"Failed to remove old backup '{backup}'",
            quiet=True,
        )
    outcome = yield task.change(
        f"back up '{path}' as '{backup}'",
        f"Backed up '{path}' as '{backup}'",
        lambda: host.rename(path, backup) if directory else _keep(copy, path, backup, have),
        f"Failed to back up '{path}' as '{backup}'",
        quiet=True,
    )
    return outcome is Outcome.REPAIRED


def _keep(copy: "Copy", path: str, backup: str, have: "Status") -> None:
    """Give the old file one more name, or a copy where that is impossible."""
    host = copy.task.host
    try:
        host.link(path, backup)
    except OSError:
        host.copy(path, backup, mode=stat.S_IMODE(have.st_mode))
