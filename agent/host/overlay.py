"""A host on which nothing happens: what is read falls through, what is written stays in memory.

So a plan can see what a later promise would meet after an earlier one had been kept. Programs are
not run: nobody can say what they would do.
"""

import errno
import os
import stat
import time

from agent.host import Host
from agent.host.nodes import Node, directory, holds, names, real_node, refuse
from policy.errors import Unresolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.host import Status
    from agent.host.execute import Child, Finished
    from agent.host.processes import Process

MOST_LINKS = 40
EXECUTABLE = 0o111
DEADLY = (9, 15)  # SIGKILL, and SIGTERM, which few programs refuse


class NotRun(Unresolved):
    """A program was to be run, which an overlay does not do: what hangs on it stays unknown."""


class Overlay(Host):
    """The real host, on which everything that is written stays in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._root = real_node("/", os.lstat("/"))
        self._ended: set[int] = set()
        self.unknown: list[str] = []  # the commands whose answers somebody wanted

    def _not_run(self, command: str | list[str]) -> NotRun:
        """What is raised instead of running COMMAND."""
        text = command if isinstance(command, str) else " ".join(command)
        if text not in self.unknown:
            self.unknown.append(text)
        return NotRun(f"not run: nobody can say what it would do: {text}")

    # ways through the tree

    def _child(self, node: Node, name: str) -> Node | None:
        """What NAME is in the directory NODE, kept there from now on."""
        if name in node.entries:
            return node.entries[name]
        if node.origin is None:
            return None
        path = f"{node.origin.rstrip('/')}/{name}"
        status = super().lstat(path)
        if status is None:
            return None
        found = node.entries[name] = real_node(path, status)
        return found

    def _way(self, path: str, *, follow: bool, wary: bool = False) -> tuple[Node, str, Node | None]:
        """The directory that PATH leads to, the name in it, and what that is.

        WARY: no link is followed that a stranger made to what is not theirs.
        """
        parts = names(path if path.startswith("/") else f"{self.getcwd()}/{path}")
        above: list[Node] = [self._root]
        name, links = ".", 0
        found: Node | None = self._root
        strangers: list[tuple[int, int]] = []  # whose link, and how much of the way is after it
        while parts:
            name = parts.pop()
            if name == "..":
                del above[max(1, len(above) - 1) :]
                name, found = ".", above[-1]
            else:
                found = self._child(above[-1], name)
            if found is not None and stat.S_ISLNK(found.mode) and (parts or follow):
                links += 1
                if links > MOST_LINKS:
                    refuse(errno.ELOOP, path)
                if wary and found.owner[0] not in (0, self.uid):
                    strangers.append((found.owner[0], len(parts)))
                target = self._text(found)
                if target.startswith("/"):
                    del above[1:]
                parts += names(target)
                name, found = ".", above[-1]
            elif parts and name != ".":
                above.append(directory(found, path))
            while strangers and strangers[-1][1] == len(parts):
                if found is None or found.owner[0] != strangers.pop()[0]:
                    refuse(errno.ENOLINK, path)
        return above[-1], name, found

    def _text(self, node: Node) -> str:
        """The text of the link NODE."""
        if node.target is None:
            assert node.origin is not None  # noqa: S101  # made here it has a target
            node.target = super().readlink(node.origin)
        return node.target

    def _node(self, path: str, *, follow: bool = True, wary: bool = False) -> Node:
        """What is at PATH. Raises OSError if nothing is."""
        node = self._way(path, follow=follow, wary=wary)[2]
        if node is None:
            refuse(errno.ENOENT, path)
        return node

    def _room(self, path: str) -> tuple[Node, str]:
        """The directory for a new PATH, and its name there. Raises OSError if that is taken."""
        parent, name, found = self._way(path, follow=False, wary=True)
        if found is not None:
            refuse(errno.EEXIST, path)
        self._allow(parent, path)
        return parent, name

    def _allow(self, directory: Node, path: str) -> None:
        """Raise OSError if the system would not let us change DIRECTORY."""
        real = directory.origin if directory.status is not None else None
        if real is not None and not super().access(real, os.W_OK | os.X_OK):
            refuse(errno.EACCES, path)

    def _ours(self, path: str, *, follow: bool = True) -> Node:
        """What is at PATH. Raises OSError if only its owner may do what is to be done."""
        node = self._node(path, follow=follow, wary=True)
        if self.uid not in (0, node.owner[0]):
            refuse(errno.EPERM, path)
        return node

    def _put(self, path: str, mode: int) -> Node:
        """A new object at PATH."""
        parent, name = self._room(path)
        node = parent.entries[name] = Node(mode, (self.uid, self.gid))
        node.device = self._status(parent).st_dev
        parent.touched()
        return node

    # looking

    def _status(self, node: Node) -> "Status":
        """What the system would say of NODE."""
        if node.status is not None:
            return node.status
        size = 0
        rest: dict[str, float] = {}
        number, device = id(node) & 0xFFFFFFFF, node.device
        if node.origin is not None:
            real = os.lstat(node.origin)
            size, number, device = real.st_size, real.st_ino, real.st_dev
            rest["st_rdev"] = real.st_rdev
        if node.data is not None:
            size = len(node.data)
        elif node.target is not None:
            size = len(os.fsencode(node.target))
        atime, mtime = node.times
        rest |= {"st_atime": atime, "st_mtime": mtime, "st_ctime": node.changed}
        for name in ("atime", "mtime", "ctime"):
            rest[f"st_{name}_ns"] = int(rest[f"st_{name}"] * 1_000_000_000)
        whole = (int(atime), int(mtime), int(node.changed))
        return os.stat_result((node.mode, number, device, 1, *node.owner, size, *whole), rest)

    def lstat(self, path: str) -> "Status | None":
        """As of the host."""
        return self._looked(path, follow=False)

    def stat(self, path: str) -> "Status | None":
        """As of the host."""
        return self._looked(path, follow=True)

    def _looked(self, path: str, *, follow: bool) -> "Status | None":
        try:
            node = self._way(path, follow=follow)[2]
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if node is None else self._status(node)

    def exists(self, path: str) -> bool:
        """As of the host."""
        try:
            return self._way(path, follow=True)[2] is not None
        except OSError:
            return False

    def read(self, path: str, limit: int = 0) -> bytes:
        """As of the host."""
        node = self._node(path, wary=True)
        if stat.S_ISDIR(node.mode):
            refuse(errno.EISDIR, path)
        if node.data is None and node.origin is not None:
            return super().read(node.origin, limit)
        data = node.data or b""
        return data[:limit] if limit else data

    def look(self, path: str) -> "tuple[Status, bytes]":
        """As of the host."""
        node = self._node(path, wary=True)
        return self._status(node), self.read(path) if stat.S_ISREG(node.mode) else b""

    def readlink(self, path: str) -> str:
        """As of the host."""
        node = self._node(path, follow=False)
        if not stat.S_ISLNK(node.mode):
            refuse(errno.EINVAL, path)
        return self._text(node)

    def listdir(self, path: str) -> list[str]:
        """As of the host: what is there in truth and not gone here, then what is new here."""
        node = self._node(path)
        if not stat.S_ISDIR(node.mode):
            refuse(errno.ENOTDIR, path)
        real = [] if node.origin is None else super().listdir(node.origin)
        kept = [name for name in real if node.entries.get(name, node) is not None]
        known = set(real)
        return kept + [
            name for name, entry in node.entries.items() if entry is not None and name not in known
        ]

    def access(self, path: str, mode: int) -> bool:
        """As of the host, by the mode that an object has here."""
        try:
            node = self._node(path)
        except OSError:
            return False
        if node.status is not None and node.origin is not None:
            return super().access(node.origin, mode)
        if self.uid == 0:
            return not mode & os.X_OK or bool(node.mode & EXECUTABLE)
        shift = 6 if node.owner[0] == self.uid else 3 if node.owner[1] == self.gid else 0
        return node.mode >> shift & mode & 7 == mode & 7

    def realpath(self, path: str) -> str:
        """As of the host."""
        parts = names(path if path.startswith("/") else f"{self.getcwd()}/{path}")
        found: list[str] = []
        links = 0
        while parts:
            name = parts.pop()
            if name == "..":
                del found[-1:]
                continue
            here = "/" + "/".join([*found, name])
            status = self.lstat(here)
            if status is None or not stat.S_ISLNK(status.st_mode) or links >= MOST_LINKS:
                found.append(name)
                continue
            links += 1
            target = self.readlink(here)
            if target.startswith("/"):
                found.clear()
            parts += names(target)
        return "/" + "/".join(found)

    def trusted(self, path: str) -> str:
        """As of the host."""
        self._way(path, follow=True, wary=True)
        return self.realpath(path)

    def xattrs(self, path: str) -> dict[str, bytes]:
        """As of the host."""
        try:
            node = self._node(path, follow=False)
        except OSError:
            return {}
        real = {} if node.origin is None else super().xattrs(node.origin)
        return real | node.xattrs

    def flags(self, path: str) -> int | None:
        """As of the host."""
        node = self._node(path, follow=False)
        if node.flags is None and node.origin is not None:
            return super().flags(node.origin)
        return node.flags or 0

    def same(self, path: str, other: str) -> bool:
        """As of the host."""
        return self.read(path) == self.read(other)

    # writing

    def write(
        self,
        path: str,
        data: bytes,
        *,
        mode: int | None = None,
        like: "Status | None" = None,
        follow: bool = False,
    ) -> None:
        """As of the host."""
        parent, name, old = self._way(path, follow=follow, wary=True)
        if follow:
            like = None if old is None else self._status(old)
        self._allow(parent, path)
        if old is not None and stat.S_ISDIR(old.mode):
            refuse(errno.EISDIR, path)
        wanted = 0o600 if like is None else stat.S_IMODE(like.st_mode)
        owner = (self.uid, self.gid) if like is None else (like.st_uid, like.st_gid)
        node = Node(stat.S_IFREG | (wanted if mode is None else mode), owner)
        node.data = data
        node.xattrs = self.xattrs(path)
        node.device = self._status(parent).st_dev
        parent.entries[name] = node
        parent.touched()

    def overwrite(self, path: str, data: bytes) -> None:
        """As of the host."""
        node = self._node(path, wary=True)
        if stat.S_ISDIR(node.mode):
            refuse(errno.EISDIR, path)
        if not self.access(path, os.W_OK):
            refuse(errno.EACCES, path)
        node.data = data
        node.times = (node.times[0], time.time())
        node.touched()

    def append(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """As of the host."""
        if self.exists(path):
            self.overwrite(path, self.read(path) + data)
        else:
            self._put(path, stat.S_IFREG | mode).data = data

    def create(self, path: str, mode: int) -> None:
        """As of the host."""
        self._put(path, stat.S_IFREG | mode).data = b""

    def copy(self, source: str, path: str, *, mode: int) -> None:
        """As of the host."""
        data = self.read(source)
        if self.lstat(path) is not None:
            self.unlink(path)
        self._put(path, stat.S_IFREG | mode).data = data

    def set_xattr(self, path: str, name: str, value: bytes) -> None:
        """As of the host."""
        self._ours(path, follow=False).xattrs[name] = value

    def set_flags(self, path: str, flags: int) -> None:
        """As of the host."""
        self._ours(path, follow=False).flags = flags

    def mkdir(self, path: str, mode: int) -> None:
        """As of the host."""
        self._put(path.rstrip("/"), stat.S_IFDIR | mode)

    def fifo(self, path: str, mode: int) -> None:
        """As of the host."""
        self._put(path, stat.S_IFIFO | mode)

    def node(self, path: str, like: "Status") -> None:
        """As of the host."""
        self._put(path, like.st_mode)

    def chmod(self, path: str, mode: int, *, follow: bool = False) -> None:
        """As of the host."""
        node = self._ours(path, follow=follow)
        if stat.S_ISLNK(node.mode):
            refuse(errno.ELOOP, path)
        node.mode = stat.S_IFMT(node.mode) | mode
        node.touched()

    def chown(self, path: str, uid: int, gid: int, *, follow: bool = False) -> None:
        """As of the host."""
        node = self._ours(path, follow=follow)
        wanted = (node.owner[0] if uid == -1 else uid, node.owner[1] if gid == -1 else gid)
        ours = (node.owner[1], self.gid, *os.getgroups())
        if self.uid != 0 and (wanted[0] != node.owner[0] or wanted[1] not in ours):
            refuse(errno.EPERM, path)
        node.owner = wanted
        node.touched()

    def touch(self, path: str) -> None:
        """As of the host."""
        now = time.time()
        self.utime(path, now, now)

    def utime(self, path: str, atime: float, mtime: float) -> None:
        """As of the host."""
        node = self._ours(path)
        node.times = (atime, mtime)
        node.touched()

    def unlink(self, path: str) -> None:
        """As of the host."""
        self._remove(path, lambda node: errno.EISDIR if stat.S_ISDIR(node.mode) else 0)

    def rmdir(self, path: str) -> None:
        """As of the host."""

        def refusal(node: Node) -> int:
            if not stat.S_ISDIR(node.mode):
                return errno.ENOTDIR
            return errno.ENOTEMPTY if self.listdir(path) else 0

        self._remove(path, refusal)

    def _remove(self, path: str, refusal: "Callable[[Node], int]") -> None:
        """Take PATH away, unless REFUSAL gives the number of an error."""
        parent, name, node = self._way(path, follow=False, wary=True)
        if node is None:
            refuse(errno.ENOENT, path)
        number = refusal(node)
        if number:
            refuse(number, path)
        self._allow(parent, path)
        parent.entries[name] = None
        parent.touched()

    def rename(self, old: str, new: str) -> None:
        """As of the host."""
        source, name, node = self._way(old, follow=False, wary=True)
        if node is None:
            refuse(errno.ENOENT, old)
        target, new_name, there = self._way(new, follow=False, wary=True)
        self._allow(source, old)
        self._allow(target, new)
        if there is node:
            return
        if holds(node, target):
            refuse(errno.EINVAL, new)
        if there is not None and stat.S_ISDIR(there.mode):
            if not stat.S_ISDIR(node.mode):
                refuse(errno.EISDIR, new)
            if self.listdir(new):
                refuse(errno.ENOTEMPTY, new)
        elif there is not None and stat.S_ISDIR(node.mode):
            refuse(errno.ENOTDIR, new)
        source.entries[name] = None
        target.entries[new_name] = node
        source.touched()
        target.touched()

    def symlink(self, target: str, path: str) -> None:
        """As of the host."""
        self._put(path, stat.S_IFLNK | 0o777).target = target

    def link(self, old: str, path: str) -> None:
        """As of the host."""
        node = self._node(old, follow=False, wary=True)
        if stat.S_ISDIR(node.mode):
            refuse(errno.EPERM, old)
        parent, name = self._room(path)
        parent.entries[name] = node
        parent.touched()

    # programs

    def execute(
        self,
        command: str | list[str],
        *,
        shell: bool = False,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout: float | None = None,
        umask: int = 0o077,
        uid: int | None = None,
        gid: int | None = None,
        chroot: str | None = None,
        stdin: bytes = b"",
        merge: bool = True,
        limit: int = 0,
    ) -> "Finished":
        """Note the COMMAND, and raise NotRun."""
        raise self._not_run(command)

    def start(
        self,
        command: str | list[str],
        *,
        shell: bool = False,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        merge: bool = False,
        loud: bool = False,
    ) -> "Child":
        """Note the COMMAND, and raise NotRun."""
        raise self._not_run(command)

    def processes(self, period: object) -> "list[Process]":
        """The processes without those that were sent a deadly signal."""
        return [each for each in super().processes(period) if each.pid not in self._ended]

    def kill(self, pid: int, signal: int) -> None:
        """Note that PID would end of SIGNAL. Raises OSError if it could not be sent."""
        os.kill(pid, 0)
        if signal in DEADLY:
            self._ended.add(pid)

    def background(self, work: "Callable[[], None]") -> int:
        """Do WORK at once: it stays in memory, and in another process nobody would see it."""
        work()
        return self.pid
