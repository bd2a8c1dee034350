"""Telling what has become of an object since it was last looked at (`changes`).

What it was like is in the state of the agent; each change is a line of `state/file_changes.log`.
"""

import stat

from agent.actuators.files.task import TRUE, joined, words
from agent.outcome import Change, Outcome, failed, kept
from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.actuators.files.task import Steps, Task
    from agent.host import Status
    from agent.state import State

BEST, USUAL = "sha512", "sha256"
ALERT_MINUTES = 10
STATUS, LISTING = "status", "listing"
# an aspect of an object: what `silence` calls it, and how it is told, recorded and logged
ASPECTS = (
    ("perms", "Permissions for", "permissions", "Permission: "),
    ("owner", "Owner for", "ownership", "Owner: "),
    ("group", "Group for", "group", "Group: "),
    ("device", "Device for", "device", "Device change from "),
    ("inode", "inode for", "", ""),
    ("mtime", "Last modified time for", "mtime", "Modified time: "),
)


class Watch:
    """A `changes` body: what it asks to be told and to be kept, and where that is."""

    __slots__ = ("_silent", "body", "state", "task", "update")

    def __init__(self, task: "Task", state: "State") -> None:
        self.task = task
        self.state = state
        self.body: dict[str, Any] = task.body("changes") or {}
        self.update = self.body.get("update_hashes") in TRUE
        self._silent = frozenset(words(self.body.get("silence")))

    def reports(self, what: str) -> bool:
        """Whether changes of WHAT (content, stats) are to be told."""
        return self.body.get("report_changes", "none") in (what, "all")

    def silent(self, *aspects: str) -> bool:
        """Whether nobody wants to hear of any of ASPECTS."""
        quiet = self._silent
        return all(
            aspect in quiet or "all" in quiet or ("stats" in quiet and aspect != "content")
            for aspect in aspects
        )

    def tell(self, level: str, message: str, aspect: str) -> None:
        """Say MESSAGE, unless nobody wants to hear of ASPECT."""
        self.task.log("verbose" if self.silent(aspect) else level, message)

    def seen(self, path: str, kind: str) -> bytes | None:
        """What of this KIND was last seen of PATH."""
        return self.state.seen(octets(path), kind)

    def see(self, path: str, kind: str, value: bytes | None) -> None:
        """Let VALUE be what was last seen of PATH."""
        self.state.see(octets(path), kind, value, remember=self.task.run.planned is None)

    def write(self, path: str, letter: str, what: str) -> None:
        """Note in the log of changes WHAT happened to PATH."""
        from agent.promise import handle

        task = self.task
        ctx = task.run.ctx
        line = f"{int(ctx.now)},{handle(task.promise.written, ctx)},{path},{letter},{what}\n"
        state = f"{task.run.workdir}/state"
        if not task.host.exists(state):
            task.host.mkdir(state, 0o700)
        task.host.append(f"{state}/file_changes.log", octets(line))

    def recorded(self, path: str, what: str, aspect: str, logged: str) -> Change:
        """The step that notes in the log that WHAT of PATH has changed."""
        change = self.task.change(
            f"record {what} changes in '{path}'",
            f"Recorded {what} changes in '{path}'",
            lambda: self.write(path, "C" if aspect == "content" else "S", logged),
            f"Failed to record {what} changes in '{path}'",
        )
        change.level = "verbose" if self.silent(aspect) else "info"
        return change


def watch(task: "Task") -> Watch | None:
    """What TASK has to tell of changes, None if nothing is promised or there is no state."""
    state = task.run.state
    if "changes" not in task.attributes or state is None:
        return None
    return Watch(task, state)


def changes(task: "Task", path: str, status: "Status") -> "Steps":
    """Yield the recording of what PATH, which is as STATUS says, has changed in."""
    watching = watch(task)
    if watching is None:
        yield failed("Unable to open the hash database!")
        return
    if watching.reports("content") and _is_file(task, path, status):
        yield from _content(watching, path)
    if watching.reports("stats"):
        yield from _stats(watching, path, status)


def _is_file(task: "Task", path: str, status: "Status") -> bool:
    """Whether PATH is a plain file, or leads to one."""
    found = task.host.stat(path) if stat.S_ISLNK(status.st_mode) else status
    return found is not None and stat.S_ISREG(found.st_mode)


def _content(watching: Watch, path: str) -> "Steps":
    """Yield the recording of the digest of PATH."""
    from hashlib import new

    task = watching.task
    wanted = str(watching.body.get("hash", USUAL))
    algorithm = BEST if wanted == "best" else wanted
    try:
        digest = new(algorithm, task.host.read(path), usedforsecurity=False).digest()
    except OSError as error:
        yield failed(f"Could not read '{path}' to tell whether it has changed: {error.strerror}")
        return
    known = watching.seen(path, algorithm)
    if known == digest:
        yield kept(f"File hash for {path} is correct")
        return
    if known is not None:
        watching.tell("info", f"Hash '{algorithm}' for '{path}' changed!", "content")
        task.run.ctx.set_class("checksum_alerts", ("source=agent",), minutes=ALERT_MINUTES)
    if known is not None and not watching.update:
        yield failed(f"Hash for file '{path}' changed, but not updating the records")
    else:
        action = "Stored" if known is None else "Updated"
        label = "MD5" if algorithm == "md5" else "SHA"
        outcome = yield task.change(
            f"record change of hash for file '{path}'",
            f"{action} {algorithm} hash for '{path}' ({label}={digest.hex()})",
            lambda: watching.see(path, algorithm, digest),
        )
        if known is None and outcome is Outcome.REPAIRED:
            return
    yield watching.recorded(path, "integrity", "content", "Content changed")


def _stats(watching: Watch, path: str, status: "Status") -> "Steps":
    """Yield the recording of what is said of PATH in STATUS."""
    task = watching.task
    now = (
        status.st_mode, status.st_uid, status.st_gid, status.st_dev, status.st_ino,
        int(status.st_mtime),
    )  # fmt: skip
    value = octets(" ".join(map(str, now)))
    known = watching.seen(path, STATUS)
    would = f"write stat information for '{path}' to database"
    if known is None:
        done = f"Wrote stat information for '{path}' to database"
        yield task.change(would, done, lambda: watching.see(path, STATUS, value))
        return
    if known == value:
        yield kept(f"No stat information change for '{path}'")
        return
    changed = []
    before = map(int, known.split())
    for aspect, old, new in zip(ASPECTS, before, now, strict=True):
        if old != new:
            changed.append(aspect[0])
            yield from _aspect(watching, path, aspect, (old, new))
    if watching.update:
        step = task.change(
            would,
            f"Wrote stat information changes for '{path}' to database",
            lambda: watching.see(path, STATUS, value),
        )
        step.level = "verbose" if watching.silent(*changed) else "info"
        yield step


def _aspect(
    watching: Watch, path: str, aspect: tuple[str, str, str, str], values: tuple[int, int]
) -> "Steps":
    """Yield the recording of the change of one ASPECT of PATH between VALUES."""
    name, title, recorded, logged = aspect
    old, new, arrow = str(values[0]), str(values[1]), " -> "
    told = f"{old}{arrow}{new}"
    if name == "perms":
        old, new = f"{values[0]:04o}", f"{values[1]:04o}"
        told = f"{old}{arrow}{new}"
    elif name == "mtime":
        from time import ctime

        old, new = ctime(values[0]), ctime(values[1])
        told = f"'{old}'{arrow}'{new}'"
    elif name == "device":
        arrow = " to "
    watching.tell("notice", f"{title} '{path}' changed {told}", name)
    if recorded:
        yield watching.recorded(path, recorded, name, f"{logged}{old}{arrow}{new}")


# directories


class Listing:
    """What of a directory that is searched was there before, and what is there now."""

    __slots__ = ("_known", "_met", "_path", "_watching")

    def __init__(self, watching: Watch, path: str) -> None:
        known = watching.seen(path, LISTING)
        self._watching = watching
        self._path = path
        self._known = set(text(known).split("\0")) - {""} if known else set()
        self._met: list[str] = []

    def meet(self, name: str) -> None:
        """Note that NAME is in the directory, and tell of it if it is new."""
        self._met.append(name)
        if name not in self._known:
            self._watching.tell("notice", f"New file '{joined(self._path, name)}' found", "add")

    def recorded(self) -> "Steps":
        """Yield the recording of what is not there any more, and of what is."""
        watching, directory = self._watching, self._path
        for name in sorted(self._known.difference(self._met)):
            yield from _removed(watching, joined(directory, name))
        if self._known == set(self._met):
            return

        def act() -> Outcome | None:
            for name in self._met:
                if name not in self._known:
                    watching.write(joined(directory, name), "N", "New file found")
            if watching.update:
                watching.see(directory, LISTING, octets("\0".join(sorted(self._met))))
                return None
            watching.task.log("info", f"Failed to record directory listing for '{directory}'")
            return Outcome.FAILED

        yield Change(
            f"record directory listing for '{directory}'",
            f"Recorded directory listing for '{directory}'",
            act,
        )


def _removed(watching: Watch, path: str) -> "Steps":
    """Yield the recording that PATH is gone; all that was known of it is forgotten."""
    watching.tell("notice", f"File '{path}' no longer exists", "remove")

    def act() -> None:
        watching.write(path, "R", "File removed")
        for kind in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", STATUS, LISTING):
            watching.see(path, kind, None)

    step = watching.task.change(f"record removal of '{path}'", f"Removal of '{path}' recorded", act)
    step.level = "verbose" if watching.silent("remove") else "info"
    yield step
