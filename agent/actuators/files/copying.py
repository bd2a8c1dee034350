"""Copies of files and trees on this host (`copy_from`)."""

import stat

from agent.actuators.files import install, links
from agent.actuators.files.create import directory_mode, parents, remove_tree
from agent.actuators.files.perms import attributes
from agent.actuators.files.search import Walk, entries, matches
from agent.actuators.files.task import (
    FALSE,
    WHY,
    joined,
    leaf_name,
    listed,
    repaired,
    words,
)
from agent.outcome import Change, Outcome, failed, kept
from policy.values import integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.actuators.files.task import Steps, Task
    from agent.host import Status

HERE = "localhost"


def copy_from(task: "Task", path: str) -> "Steps":
    """Yield what it takes for PATH to be the copy that is promised."""
    body = task.body("copy_from") or {}
    if "source" not in body:
        yield failed(f"Body copy_from for '{path}' has no source")
        return
    task.log("verbose", f"File '{path}' copy_from '{body['source']}'")
    servers = words(body.get("servers"))
    if servers and servers[0] != HERE:
        yield failed(f"not yet supported: copy_from another host ('{servers[0]}', for '{path}')")
        return
    yield from Copy(task).promised(str(body["source"]), path)


class Copy:
    """One promise to copy: how, and which source had several names and was copied already."""

    __slots__ = ("body", "compare", "follow", "kind", "linked", "override", "task", "walk")

    def __init__(self, task: "Task") -> None:
        body = task.body("copy_from") or {}
        self.task = task
        self.body = body
        default = task.run.control.get("defaultcopytype", "ctime")
        self.compare: str = body.get("compare", default)
        self.kind: str = body.get("link_type", "symlink")
        self.follow = self.kind == "none"
        self.override = task.truth("move_obstructions")
        self.linked: dict[tuple[int, int], str] = {}
        self.walk: Walk | None = None

    def option(self, name: str) -> bool:
        """Whether NAME is true in the body."""
        return self.task.option("copy_from", name)

    # the whole

    def promised(self, source: str, path: str) -> "Steps":
        """Yield the copy PATH of SOURCE, a file or a tree."""
        task, host = self.task, self.task.host
        status = host.stat(source)
        if status is None:
            missing = f"Can't stat file '{source}' on '{HERE}'"
            if self.option("missing_ok"):
                excuse = "but promise is kept because of 'missing_ok' in files.copy_from promise"
                yield kept(f"{missing} {excuse}")
            else:
                yield failed(f"{missing} in files.copy_from promise")
            return
        tree = stat.S_ISDIR(status.st_mode)
        made = yield from parents(task, joined(path, ".") if tree else path, force=self.override)
        if made is None:
            return
        if made:
            yield repaired(f"Created parent directory for '{path}'")
        if not tree:
            yield from self.thing(source, path)
            return
        self.walk = Walk(task, status.st_dev)
        if host.stat(path) is not None:
            yield from self.tree(source, path, self.walk.depth)
        target = host.stat(path)
        if target is not None and self.option("check_root"):
            yield from self.attributes(source, path, status, target)

    def tree(self, source: str, path: str, depth: int) -> "Steps":
        """Yield the copy of the directory SOURCE, and of what is in it, into the directory PATH."""
        task = self.task
        if depth == 0:
            yield failed(f"Maximum recursion level reached at '{source}'")
            return
        ready = yield from self._real_directory(path)
        if not ready:
            return
        try:
            names = entries(task.run, source)
        except OSError:
            yield failed(f"Can't open directory '{source}' for copying", Outcome.INTERRUPTED)
            return
        for name in names:
            yield from self._entry(joined(source, name), path, depth)
        if self.option("purge"):
            yield from self._purge(path, set(names))

    def _real_directory(self, path: str) -> "Steps":
        """Yield what makes PATH a directory where it is a link; whether it is one."""
        task, host = self.task, self.task.host
        path = path.rstrip("/")
        status = host.lstat(path)
        if status is None or not stat.S_ISLNK(status.st_mode):
            return True
        if not self.override:
            yield failed(
                f"Path '{path}' is a symlink. "
                "Unable to move it aside without move_obstructions is set"
            )
            return False
        outcome = yield task.change(
            f"backup '{path}'",
            f"Backed up '{path}'",
            lambda: host.rename(path, f"{path}.cf-moved"),
            f"Unable to backup old '{path}'",
        )
        if outcome is not Outcome.REPAIRED:
            return False
        outcome = yield self._directory(path, f"Created directory for '{path}'")
        return outcome is Outcome.REPAIRED

    def _directory(self, path: str, done: str) -> Change:
        """The making of the directory PATH."""
        return self.task.change(
            f"create directory '{path}'",
            done,
            lambda: self.task.host.mkdir(path, directory_mode(self.task)),
            f"Can't make directory '{path}'. (mkdir: {WHY})",
            refused=Outcome.INTERRUPTED,
        )

    def _entry(self, source: str, path: str, depth: int) -> "Steps":
        """Yield the copy of SOURCE, whose directory goes to the directory PATH."""
        task, host, walk = self.task, self.task.host, self.walk
        assert walk is not None  # noqa: S101  # only trees have entries
        status = host.stat(source) if walk.links or self.follow else host.lstat(source)
        if status is None:
            task.log("verbose", f"Skipping '{source}'")
            return
        if walk.xdev and status.st_dev != walk.device:
            task.log("verbose", f"Skipping '{source}' on different device")
            return
        collapse = self.option("collapse_destination_dir")
        target = joined(path, leaf_name(source))
        if not stat.S_ISDIR(status.st_mode):
            yield from self.thing(source, target)
            return
        if walk.links:
            task.log("verbose", "Traversing directory links during copy is too dangerous, pruned")
            return
        if walk.pruned(source):
            return
        if collapse:
            yield from self.tree(source, path, depth - 1)
            return
        if host.stat(target) is None:
            outcome = yield self._directory(target, f"Created directory '{target}'")
            if outcome is not Outcome.REPAIRED:
                return
        have = host.stat(target)
        if have is not None:
            task.log("verbose", f"Entering '{target}'")
            yield from self.attributes(source, target, status, have)
            yield from self.tree(source, target, depth - 1)

    def _purge(self, path: str, wanted: set[str]) -> "Steps":
        """Yield the removal of what is in the directory PATH and not WANTED."""
        task, host = self.task, self.task.host
        if "depth_search" not in task.attributes:
            yield kept(f"No depth search when copying '{path}' so purging does not apply")
            return
        if len(path) < 2:
            yield failed(f"Purge of '{path}' denied - too dangerous!")
            return
        for name in entries(task.run, path):
            if name in wanted:
                continue
            each = joined(path, name)
            status = host.lstat(each)
            if status is None:
                continue
            directory = stat.S_ISDIR(status.st_mode)
            yield task.change(
                f"purge '{each}' from copy dest directory",
                f"Purged directory '{each}' in copy dest directory"
                if directory
                else f"Purged '{each}' copy dest directory",
                lambda each=each: remove_tree(task, each),  # type: ignore[misc]
                f"Unable to purge directory tree '{each}'"
                if directory
                else f"Couldn't delete '{each}' while purging",
            )

    # one object

    def thing(self, source: str, path: str) -> "Steps":
        """Yield the copy PATH of the object SOURCE, which is no directory."""
        host = self.task.host
        status = host.stat(source) if self.follow else host.lstat(source)
        if status is None:
            yield failed(f"Can't stat '{source}' in verify copy")
            return
        if not self.follow:
            name = leaf_name(source)
            if self._listed("linkcopy_patterns", name):
                if not self._listed("copylink_patterns", name):
                    yield from self._link(source, path, status, source)
                    return
                yield kept(
                    f"File {source} matches both copylink_patterns and linkcopy_patterns"
                    " - promise loop (skipping)!"
                )
                return
            if stat.S_ISLNK(status.st_mode) and self._listed("copylink_patterns", name):
                source = host.realpath(source)
                target = host.stat(source)
                if target is None:
                    yield failed(f"Can't stat '{source}' in verify copy")
                    return
                status = target
        yield from self._copy(source, path, status)

    def _listed(self, attribute: str, name: str) -> bool:
        """Whether one of the patterns of ATTRIBUTE is NAME."""
        return listed(self.task.run, self.body.get(attribute), name)

    def _link(self, source: str, path: str, status: "Status", text: str) -> "Steps":
        """Yield the link PATH to TEXT that stands for the copy of SOURCE."""
        task = self.task
        if self.kind == "absolute" and not text.startswith("/"):
            text = joined(source.rpartition("/")[0], text)
        wish = links.Wish(missing="force", override=self.override)
        outcome = yield from links.linked(task, path, text, self.kind, wish)
        have = task.host.lstat(path)
        if outcome in (Outcome.KEPT, Outcome.REPAIRED) and have is not None:
            yield from self.attributes(source, path, status, have)

    def _copy(self, source: str, path: str, status: "Status") -> "Steps":
        """Yield the copy PATH of SOURCE, which is as STATUS says, links decided on already."""
        task = self.task
        excuse = self._excuse(source, path, status)
        if excuse:
            yield kept(excuse)
            return
        have = task.host.lstat(path)
        link = stat.S_ISLNK(status.st_mode) and not self.follow
        ready = yield from self._way(path, have, link=link)
        if not ready:
            return
        have = task.host.lstat(path)
        if not self._sized(status):
            yield kept(
                f"Source file '{source}' size is not in the permitted safety range, skipping"
            )
        elif have is None and not link:
            yield from self._new(source, path, status)
        elif have is None or (link and not self._mismatch(status, have)):
            yield from self._link(source, path, status, task.host.readlink(source))
        else:
            yield from self._existing(source, path, status, have)

    def _way(self, path: str, have: "Status | None", *, link: bool) -> "Steps":
        """Yield what makes room for PATH, where HAVE is now; whether there is."""
        if have is not None:
            if link or not stat.S_ISLNK(have.st_mode):
                return True
            return (yield from self._unlinked(path))
        made = yield from parents(self.task, path, force=True)
        if made:
            yield repaired(f"Created parent directory for '{path}'")
        return made is not None

    def _excuse(self, source: str, path: str, status: "Status") -> str:
        """Why SOURCE is not copied to PATH, or nothing."""
        if source == path:
            return f"File copy promise loop: file/dir '{source}' is its own source"
        if not self.task.selects(source, status):
            return f"Skipping non-selected file '{source}'"
        if ("copied", path) in self.task.run.seen:
            return f"Skipping single-copied file '{path}'"
        return ""

    def _unlinked(self, path: str) -> "Steps":
        """Yield the removal of the link PATH to make way for a file; whether it is gone."""
        if self.option("type_check") and not self.follow:
            yield failed(
                "File image exists but destination type is silly (file/dir/link doesn't match)"
            )
            return False
        outcome = yield self.task.change(
            f"remove old symbolic link '{path}' to make way for copy",
            f"Removing old symbolic link '{path}' to make way for copy",
            lambda: self.task.host.unlink(path),
            f"Couldn't remove link '{path}'. (unlink: {WHY})",
        )
        return outcome is Outcome.REPAIRED

    def _sized(self, status: "Status") -> bool:
        """Whether the size of the source is within `copy_size`."""
        limits = self.body.get("copy_size")
        if limits is None:
            return True
        low, high = str(limits).split(",")
        return integer(low) <= status.st_size and (high == "inf" or status.st_size <= integer(high))

    def _mismatch(self, status: "Status", have: "Status") -> bool:
        """Whether `type_check` forbids to replace HAVE by a copy of STATUS."""
        kinds = stat.S_IFMT(status.st_mode), stat.S_IFMT(have.st_mode)
        return self.option("type_check") and not self.follow and kinds[0] != kinds[1]

    def _wrong_type(self, source: str, path: str) -> "Any":
        return failed(f"Promised file copy {path} exists but type mismatch with source '{source}'")

    def _new(self, source: str, path: str, status: "Status") -> "Steps":
        """Yield the copy PATH, where there is nothing."""
        task, host = self.task, self.task.host
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            task.log(
                "verbose",
                f"'{path}' wasn't at destination, copying from '{HERE}:{source}'",
            )
            yield from install.new(self, source, path, status)
        elif kind == stat.S_IFIFO:
            yield task.change(
                f"create FIFO '{path}'",
                f"Created fifo '{path}'",
                lambda: host.fifo(path, stat.S_IMODE(status.st_mode)),
                f"Cannot create fifo '{path}'. (mkfifo: {WHY})",
            )
        else:
            yield task.change(
                f"make special file/device '{path}'",
                f"Created special file/device '{path}'.",
                lambda: host.node(path, status),
                f"Cannot create special file '{path}'. (mknod: {WHY})",
            )

    def _existing(self, source: str, path: str, status: "Status", have: "Status") -> "Steps":
        """Yield what brings the existing PATH up to date with SOURCE."""
        task = self.task
        task.log("verbose", f"Destination file '{path}' already exists")
        if self.compare == "exists":
            yield kept("Existence only is promised, no copying required")
            return
        stale = self.option("force_update") or self._stale(source, path, status, have)
        if self._mismatch(status, have):
            yield self._wrong_type(source, path)
        elif stale and stat.S_ISREG(status.st_mode):
            yield from install.update(self, source, path, status)
        else:
            self.linked.setdefault((status.st_dev, status.st_ino), path)
            yield from self.attributes(source, path, status, have)
            self.note_single(path)
            yield kept(f"File '{path}' is an up to date copy of source")

    def _stale(self, source: str, path: str, status: "Status", have: "Status") -> bool:
        """Whether PATH is not what SOURCE is, as `compare` judges it."""
        newer = int(have.st_mtime) < int(status.st_mtime)
        if self.compare == "mtime":
            return newer
        changed = newer or int(have.st_ctime) < int(status.st_ctime)
        if self.compare == "ctime":
            return changed
        if self.compare == "atime":
            return changed or self._differ(source, path, status, have)
        if stat.S_ISREG(have.st_mode) and stat.S_ISREG(status.st_mode):
            return self._differ(source, path, status, have)
        return changed

    def _differ(self, source: str, path: str, status: "Status", have: "Status") -> bool:
        """Whether the two files hold different bytes."""
        return status.st_size != have.st_size or not self.task.host.same(source, path)

    # what comes with a copy

    def attributes(self, source: str, path: str, status: "Status", have: "Status") -> "Steps":
        """Yield the owner, group and mode of the copy PATH, and what `preserve` adds."""
        task, host = self.task, self.task.host
        perms = dict(task.body("perms") or {})
        preserve = self.option("preserve")
        if preserve:
            perms["mode"] = f"{stat.S_IMODE(status.st_mode):04o}"
            perms.setdefault("owners", (str(status.st_uid),))
            perms.setdefault("groups", (str(status.st_gid),))
        yield from attributes(task, path, have, perms)
        if not preserve:
            return
        theirs, ours = host.xattrs(source), host.xattrs(path)
        missing = {name: value for name, value in theirs.items() if ours.get(name) != value}
        if missing:

            def apply() -> None:
                for name, value in missing.items():
                    host.set_xattr(path, name, value)

            yield task.change(
                f"copy extended attributes from '{source}' to '{path}'",
                f"Copied extended attributes from '{source}' to '{path}'",
                apply,
                "Could not preserve extended attributes (ACLs and security contexts) "
                f"on file '{path}'",
            )

    def note_single(self, path: str) -> None:
        """Remember that PATH was copied, if it is to be copied only once a run."""
        patterns = words(self.task.run.control.get("files_single_copy"))
        if patterns and matches(self.task.run, patterns, path):
            self.task.run.seen.add(("copied", path))

    def define(self, path: str) -> None:
        """Set the class that `files_auto_define` wants for the copied file PATH."""
        patterns = words(self.task.run.control.get("files_auto_define"))
        if not patterns or not matches(self.task.run, patterns, path):
            return
        from policy.values import canonify

        name = f"auto_{canonify(path)}"
        self.task.run.set_class(name, ("source=promise",))
        self.task.log("info", f"Auto defining class '{name}'")

    @property
    def backup(self) -> str:
        """What becomes of the old file: `true`, `timestamp`, or `false` for nothing."""
        how: str = self.body.get("copy_backup", "true")
        return "false" if how in FALSE else how
