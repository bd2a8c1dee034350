"""Owner, group and mode of one object (`perms`), and the notices about set-id programs."""

import stat

from agent.actuators.files import modes
from agent.actuators.files.task import TRUE, WHY, repaired
from agent.outcome import Outcome, failed, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.actuators.files.task import Steps, Task
    from agent.host import Host, Status

ANYBODY = "*"
# what makes a link count as a link, not as what it leads to
BY_ITSELF = frozenset(("depth_search", "copy_from"))
SAME = -1  # what chown(2) takes for "leave it"
KINDS = {
    stat.S_IFREG: "Regular file",
    stat.S_IFDIR: "Directory",
    stat.S_IFSOCK: "Socket",
    stat.S_IFIFO: "Named pipe",
    stat.S_IFBLK: "Block device",
    stat.S_IFCHR: "Character device",
}
SET_ID = stat.S_ISUID | stat.S_ISGID


def in_order(perms: "dict[str, Any]", status: "Status", host: "Host") -> bool:
    """Whether the plain file of STATUS is as PERMS promise and there is nothing to say."""
    mode = perms.get("mode")
    if status.st_mode & SET_ID:
        return False
    if mode is not None:
        if "rxdirs" not in perms:
            return False
        try:
            plus, minus = modes.masks(mode)
        except modes.Malformed:
            return False
        if (status.st_mode | plus) & ~minus & modes.ALL != status.st_mode & modes.ALL:
            return False
    owners, groups = perms.get("owners"), perms.get("groups")
    if owners is not None and not _among(status.st_uid, owners, host.user, "pw_uid"):
        return False
    return groups is None or _among(status.st_gid, groups, host.group, "gr_gid")


def _among(number: int, names: "Any", find: "Any", field: str) -> bool:
    """Whether NUMBER is that of one of NAMES, all of which are known."""
    met = False
    for name in (names,) if type(names) is str else names:
        if name == ANYBODY:
            return True
        if name.isdigit():
            met = met or int(name) == number
            continue
        entry = find(name)
        if entry is None:
            return False
        met = met or getattr(entry, field) == number
    return met


def attributes(task: "Task", path: str, status: "Status", perms: "dict[str, Any]") -> "Steps":
    """Yield what it takes for PATH, which is as STATUS says, to be as PERMS promise."""
    have = status.st_mode & modes.ALL
    try:
        want = _mode(perms, status)
    except modes.Malformed as error:
        task.log("error", str(error))
        yield failed("Problem validating a mode string")
        return
    yield from set_id(task, path, status, want)
    yield from ownership(task, path, status, perms.get("owners"), perms.get("groups"))
    if "changes" in task.attributes:
        from agent.actuators.files.changes import changes

        yield from changes(task, path, status)
    if stat.S_ISLNK(status.st_mode):
        from agent.actuators.files.links import dead_link

        gone = yield from dead_link(task, path)
        if not gone:
            yield from _listed(task, path)
            yield from _beyond(task, path, perms)
        return
    yield from set_id(task, path, status, status.st_mode)
    yield from mode(task, path, status, have, want)
    yield from _listed(task, path)
    if task.truth("touch"):
        yield task.change(
            f"update time stamps for '{path}'",
            f"Updated timestamps on '{path}'",
            lambda: task.host.touch(path),
            f"Updating timestamps on '{path}' failed. (utime: {WHY})",
            refused=Outcome.DENIED,
        )


def _beyond(task: "Task", path: str, perms: "dict[str, Any]") -> "Steps":
    """Yield what it takes for the file that the link PATH leads to; in trees only links count."""
    if not BY_ITSELF.isdisjoint(task.attributes):
        return
    target = task.host.stat(path)
    if target is not None and stat.S_ISREG(target.st_mode):
        want = _mode(perms, target)
        yield from set_id(task, path, target, want)
        yield from ownership(task, path, target, perms.get("owners"), perms.get("groups"))
        if "mode" in perms:
            yield from mode(task, path, target, target.st_mode & modes.ALL, want)


def _at_link(task: "Task", path: str) -> bool:
    """Whether there is a link at PATH."""
    status = task.host.lstat(path)
    return status is not None and stat.S_ISLNK(status.st_mode)


def _listed(task: "Task", path: str) -> "Steps":
    """Yield what it takes for the access control lists of PATH to be as promised."""
    if "acl" in task.attributes:
        from agent.actuators.files.acl import acl

        yield from acl(task, path)


def _mode(perms: "dict[str, Any]", status: "Status") -> int:
    """The mode that the object of STATUS should have. Raises Malformed."""
    text = perms.get("mode")
    if text is None:
        return status.st_mode & modes.ALL
    want = modes.applied(status.st_mode, text)
    if stat.S_ISDIR(status.st_mode) and perms.get("rxdirs") in TRUE:
        return modes.searchable(want)
    return want


def mode(task: "Task", path: str, status: "Status", have: int, want: int) -> "Steps":
    """Yield the change of PATH from the mode HAVE to WANT."""
    if have == want:
        yield kept(f"File permissions on '{path}' as promised")
        return
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "Object")
    link = _at_link(task, path)
    if link:
        kind = f"Symbolic link to {kind[0].lower()}{kind[1:]}"
    yield task.change(
        f"change permissions of '{path}' from {have:04o} to {want:04o}",
        f"{kind} '{path}' had permissions {have:04o}, changed it to {want:04o}",
        lambda: task.host.chmod(path, want, follow=link),
        f"Failed to change permissions of '{path}'. (chmod: {WHY})",
    )


def ownership(task: "Task", path: str, status: "Status", owners: "Any", groups: "Any") -> "Steps":
    """Yield the change of PATH to the first known one of OWNERS and of GROUPS, if it has none."""
    uid = yield from _wanted(task, path, status.st_uid, owners, _USERS)
    gid = yield from _wanted(task, path, status.st_gid, groups, _GROUPS)
    if uid == SAME and gid == SAME:
        return
    if uid != SAME and gid != SAME:
        would = f"change owner and group of '{path}' to '{uid}:{gid}'"
    elif uid != SAME:
        would = f"change owner of '{path}' to '{uid}'"
    else:
        would = f"change group of '{path}' to '{gid}'"
    link = stat.S_ISLNK(status.st_mode)
    follow = not link and _at_link(task, path)
    what = f"link '{path}'" if link else f"'{path}'"
    done = []
    if uid != SAME:
        done.append(f"Owner of {what} was {status.st_uid}, set to {uid}")
    if gid != SAME:
        done.append(f"Group of {what} was {status.st_gid}, set to {gid}")
    outcome = yield task.change(
        would,
        done[0],
        lambda: task.host.chown(path, uid, gid, follow=follow),
        f"Cannot set ownership on link '{path}'. (lchown: {WHY})"
        if link
        else f"Cannot set ownership on file '{path}'. (chown: {WHY})",
        refused=Outcome.FAILED if link else Outcome.DENIED,
    )
    if outcome is Outcome.REPAIRED and len(done) > 1:
        yield repaired(done[1])


# how owners and groups differ: what they are called, the field of their number, who looks them up
_USERS = ("Owner", "owners", "pw_uid", "UID for user", "getpwnam")
_GROUPS = ("Group", "groups", "gr_gid", "GID for group", "getgrnam")


def _wanted(task: "Task", path: str, have: int, names: "Any", words: tuple[str, ...]) -> "Steps":
    """The number to change to, or SAME; says which of NAMES are unknown."""
    if names is None:
        return SAME
    title, plural, field, of_what, call = words
    find = task.host.user if field == "pw_uid" else task.host.group
    numbers = []
    for name in (names,) if isinstance(names, str) else names:
        if name == ANYBODY:
            return SAME
        number = int(name) if name.isdigit() else getattr(find(name), field, None)
        if number is None:
            task.log("info", f"Could not get {of_what} '{name}', ({call}: not found)")
            task.place("info")
        else:
            numbers.append(number)
    if have in numbers:
        yield kept(f"{title} of '{path}' as promised ({have})")
        return SAME
    if not numbers:
        yield failed(f"None of the promised {plural} for '{path}' exist -- see INFO logs for more")
        return SAME
    return numbers[0]


# programs that run as root whoever starts them


def set_id(task: "Task", path: str, status: "Status", want: int) -> "Steps":
    """Announce a set-id program of root that was not seen before, or that it will be none."""
    if status.st_uid != 0 or not status.st_mode & SET_ID:
        return
    for bit, word in ((stat.S_ISUID, "setuid"), (stat.S_ISGID, "setgid")):
        if not status.st_mode & bit:
            continue
        if not want & bit:
            yield task.change(
                f"remove {word} (root) flag from '{path}'",
                f"Removed {word} (root) flag from '{path}'",
                lambda: None,
            )
        elif bit == stat.S_ISUID or not stat.S_ISDIR(status.st_mode):
            _notice(task, path, word)


def _notice(task: "Task", path: str, word: str) -> None:
    """Say that PATH is a set-id program, once in the life of the host."""
    host = task.host
    if host.uid != 0:
        return
    node = task.run.ctx.facts["host"].value if "host" in task.run.ctx.facts else "localhost"
    record = f"{task.run.workdir}/cfagent.{node}.log"
    line = path.encode("utf-8", "surrogateescape")
    seen = host.read(record).splitlines() if host.exists(record) else []
    if line not in seen:
        task.log("notice", f"NEW {word.upper()} root PROGRAM '{path}' ")
        host.append(record, line + b"\n")
