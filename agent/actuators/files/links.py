"""Links: `link_from`, the links that a copy makes, and links that lead nowhere."""

import stat

from agent.actuators.files.backup import archive
from agent.actuators.files.create import create, parents
from agent.actuators.files.task import WHY, joined, leaf_name, listed, parent, repaired, stamp
from agent.outcome import Change, Outcome, failed, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.task import Steps, Task

SAVED = ".cfsaved"


class Wish:
    """How links are to be made: what to do about obstructions and missing sources."""

    __slots__ = ("missing", "override")

    def __init__(self, *, missing: str, override: bool) -> None:
        self.missing = missing
        self.override = override


def link_from(task: "Task", path: str) -> "Steps":
    """Yield what makes PATH the link, or the directory of links, that is promised.

    Whether to go on with the promise.
    """
    body = task.body("link_from") or {}
    wish = Wish(missing=body.get("when_no_source", "nop"), override=task.truth("move_obstructions"))
    if task.option("link_from", "link_children"):
        origin = task.host.stat(body["source"])
        if origin is not None and not stat.S_ISDIR(origin.st_mode):
            task.log(
                "error",
                f"Cannot promise to link the children of '{body['source']}' "
                "as it is not a directory!",
            )
            return False
        yield from _children(task, path, body["source"], wish, 1)
    else:
        yield from _one(task, path, body["source"], wish)
    return True


def _one(task: "Task", path: str, source: str, wish: Wish) -> "Steps":
    """Yield what makes PATH a link to SOURCE, or a copy of it if `copy_patterns` say so."""
    body = task.body("link_from") or {}
    if listed(task.run, body.get("copy_patterns"), leaf_name(path)):
        from agent.actuators.files.copying import Copy

        task.log("verbose", f"Link '{path}' matches copy_patterns")
        yield from Copy(task).thing(source, path)
        return
    yield from linked(task, path, source, body.get("link_type", "symlink"), wish)


def linked(task: "Task", path: str, source: str, kind: str, wish: Wish) -> "Steps":
    """Yield what makes PATH a link of KIND to SOURCE; how it ended, roughly."""
    if kind == "hardlink":
        return (yield from _hard(task, path, source, wish))
    if kind == "absolute":
        if source.startswith("."):
            source = joined(parent(path), source)
        source = compressed(source)
        if wish.missing == "force":
            source = task.host.realpath(source)
    elif kind == "relative" and not source.startswith("."):
        source = relative(path, compressed(source))
    return (yield from _symbolic(task, path, source, wish))


def compressed(path: str) -> str:
    """PATH without `.`, `..` and doubled slashes."""
    found: list[str] = []
    for part in path.split("/"):
        if part == ".." and found:
            found.pop()
        elif part not in ("", ".", ".."):
            found.append(part)
    return "/" + "/".join(found)


def relative(path: str, source: str) -> str:
    """The way from the link PATH to SOURCE, as the reference writes it: it starts with `./`."""
    here, there = path.split("/")[1:], source.split("/")[1:]
    common = 0
    while common < min(len(here), len(there)) - 1 and here[common] == there[common]:
        common += 1
    return "./" + "../" * (len(here) - common - 1) + "/".join(there[common:])


def _dotted(source: str) -> str:
    """SOURCE as a link has it: what names no directory is in this one."""
    return source if source.startswith(("/", ".")) else f"./{source}"


def _reached(path: str, source: str) -> str:
    """What a link PATH with the text SOURCE leads to."""
    return source if source.startswith("/") else compressed(joined(parent(path), source))


def _symbolic(task: "Task", path: str, source: str, wish: Wish) -> "Steps":
    """Yield what makes PATH a symbolic link with the text SOURCE."""
    to = _dotted(source)
    if task.host.stat(_reached(path, to)) is None and wish.missing != "force":
        if wish.missing == "delete":
            yield from dead_link(task, path)
            return Outcome.SKIPPED
        return (yield failed(f"Unable to create link '{path}' -> '{to}', no source"))
    status = task.host.lstat(path)
    if status is None or not stat.S_ISLNK(status.st_mode):
        return (yield from _fresh(task, path, source, wish))
    text = task.host.readlink(path)
    if text in (source, to):
        return (yield kept(f"Link '{path}' points to '{source}', promise kept"))
    if not wish.override:
        message = f"Link '{path}' points to '{text}' not '{to}', but not moving obstructions"
        return (yield failed(message))
    outcome = yield task.change(
        f"remove incorrect link '{path}'",
        f"Overrode incorrect link '{path}'",
        lambda: task.host.unlink(path),
        f"Error removing link '{path}' (points to '{text}' not '{to}')",
    )
    if outcome is not Outcome.REPAIRED:
        return outcome
    return (yield _making(task, path, source))


def _making(task: "Task", path: str, source: str, *, quiet: bool = False) -> Change:
    """The change that makes the link."""
    return task.change(
        f"link files '{path}' -> '{source}'",
        f"Linked files '{path}' -> '{source}'",
        lambda: task.host.symlink(source, path),
        f"Couldn't link '{source}' to '{path}'. (symlink: {WHY})",
        quiet=quiet,
    )


def _fresh(task: "Task", path: str, source: str, wish: Wish) -> "Steps":
    """Yield the link PATH, where there is none, after what is in the way is moved."""
    to = _dotted(source)
    outcome = yield task.gate(f"create link '{path}'")
    if outcome is not Outcome.SKIPPED:
        return outcome
    ready = yield from _parents(task, path, wish)
    if not ready:
        return Outcome.FAILED
    clear = yield from _cleared(task, path, wish)
    if not clear:
        message = f"Unable to create link '{path}' -> '{to}', failed to move obstruction"
        return (yield failed(message))
    outcome = yield _making(task, path, source, quiet=True)
    if outcome is Outcome.FAILED:
        yield failed(f"Unable to create link '{path}' -> '{to}'")
    return outcome


def _parents(task: "Task", path: str, wish: Wish) -> "Steps":
    """Yield the directories above the link PATH; whether they are there."""
    made = yield from parents(task, path, force=wish.override)
    if made:
        yield repaired(f"Created parent directory for link '{path}'")
    return made is not None


def _cleared(task: "Task", path: str, wish: Wish) -> "Steps":
    """Whether nothing is at PATH any more."""
    host = task.host
    status = host.lstat(path)
    if status is None:
        return True
    if not wish.override:
        yield failed(f"Object '{path}' is obstructing promise")
        return False
    time = stamp(task.run.ctx.now)
    if stat.S_ISDIR(status.st_mode):
        saved = f"{path}{time}{SAVED}.dir"
        outcome = yield task.change(
            f"move aside directory '{path}' obstructing",
            f"Moved directory '{path}' to '{path}{SAVED}'",
            lambda: host.rename(path, saved),
            f"Can't rename '{path}' to '{saved}'. (rename: {WHY})",
        )
        return outcome is Outcome.REPAIRED
    stamped = any(
        (task.body(body) or {}).get(attribute) == "timestamp"
        for body, attribute in (("copy_from", "copy_backup"), ("edit_defaults", "edit_backup"))
    )
    saved = f"{path}{time if stamped else ''}{SAVED}"
    outcome = yield task.change(
        f"move aside object '{path}' obstructing promise",
        f"Moved obstructing object '{path}' to '{saved}'",
        lambda: host.rename(path, saved),
        f"Can't rename '{path}' to '{saved}'. (rename: {WHY})",
    )
    if outcome is Outcome.REPAIRED:
        yield from archive(task, saved, f"Archived '{saved}'")
    return outcome is Outcome.REPAIRED


# hard links


def _hard(task: "Task", path: str, source: str, wish: Wish) -> "Steps":
    """Yield what makes PATH one more name of the file SOURCE."""
    host, to = task.host, _dotted(source)
    origin = _reached(path, to)
    theirs, ours = host.stat(origin), host.stat(path)
    if theirs is None or not stat.S_ISREG(theirs.st_mode):
        message = f"Source file '{to}' is not a regular file, not appropriate to hard-link"
        return (yield failed(message))
    if ours is None:
        ready = yield from _parents(task, path, wish)
        return (yield hard_linked(task, path, to, origin)) if ready else Outcome.FAILED
    if (ours.st_ino, ours.st_dev) == (theirs.st_ino, theirs.st_dev):
        return (yield kept(f"Hard link '{path}' -> '{to}' exists and is okay"))
    task.log("info", f"'{path}' does not appear to be a hard link to '{to}'")
    outcome = yield task.gate(f"hard link '{path}' -> '{to}'")
    if outcome is not Outcome.SKIPPED:
        return outcome
    clear = yield from _cleared(task, path, wish)
    if not clear:
        message = f"Unable to create hard link '{path}' -> '{to}', failed to move obstruction"
        return (yield failed(message))
    return (yield hard_linked(task, path, to, origin, quiet=True))


def hard_linked(task: "Task", path: str, to: str, origin: str, *, quiet: bool = False) -> Change:
    """The change that makes PATH one more name of ORIGIN, which messages call TO."""
    return task.change(
        f"hard link files '{path}' -> '{to}'",
        f"Hard linked file '{path}' -> '{to}'",
        lambda: task.host.link(origin, path),
        f"Failed to hard link '{to}' to '{path}'. (link: {WHY})",
        quiet=quiet,
    )


# directories of links


def _children(task: "Task", path: str, source: str, wish: Wish, level: int) -> "Steps":
    """Yield what makes PATH a directory with a link to each entry of the directory SOURCE."""
    from agent.actuators.files.search import entries

    host = task.host
    ready = yield from _directory(task, path, wish)
    if ready is None:
        return
    if not ready:
        yield failed(f"Failed to create directory '{path}' for linking files as its children")
        return
    try:
        names = entries(task.run, source)
    except OSError as error:
        yield failed(
            f"Can't open source of children to link '{source}'. (opendir: {error.strerror})"
        )
        return
    overriding = (task.body("link_from") or {}).get("when_linking_children") == "override_file"
    depth = int((task.body("depth_search") or {}).get("depth", "0").replace("inf", "999999"))
    for name in names:
        child, origin = joined(path, name), joined(source, name)
        status, theirs = host.lstat(child), host.lstat(origin)
        if status is not None and not stat.S_ISLNK(status.st_mode) | stat.S_ISDIR(status.st_mode):
            if not overriding:
                task.log(
                    "verbose",
                    f"Have promised not to disturb existing content belonging to '{child}'",
                )
                continue
            wish.override = True
        if level < depth and theirs is not None and stat.S_ISDIR(theirs.st_mode):
            yield from _children(task, child, origin, wish, level + 1)
        else:
            yield from _one(task, child, origin, wish)


def _directory(task: "Task", path: str, wish: Wish) -> "Steps":
    """Yield what makes PATH a directory: whether it is one, None if it must not be."""
    status = task.host.lstat(path)
    if status is not None and stat.S_ISDIR(status.st_mode):
        return True
    if status is not None:
        if not (wish.override and stat.S_ISLNK(status.st_mode)):
            yield failed(
                f"Cannot promise to link files to children of '{path}' as it is not a directory"
            )
            return None
        outcome = yield task.change(
            f"remove obstructing link '{path}'",
            f"Removed obstructing link '{path}'",
            lambda: task.host.unlink(path),
            f"Failed to remove obstructing link '{path}'",
        )
        if outcome is not Outcome.REPAIRED:
            return None
    return (yield from create(task, f"{path}/."))


def dead_link(task: "Task", path: str) -> "Steps":
    """Yield the removal of the link PATH if it leads nowhere and that is promised; if it is."""
    status = task.host.lstat(path)
    if status is None or not stat.S_ISLNK(status.st_mode):
        return False
    doomed = (
        task.option("depth_search", "rmdeadlinks")
        or (task.body("link_from") or {}).get("when_no_source") == "delete"
    )
    if not doomed or task.host.stat(path) is not None:
        return False
    yield task.change(
        f"remove dead link '{path}'",
        f"Removed dead link '{path}'",
        lambda: task.host.unlink(path),
    )
    return True
