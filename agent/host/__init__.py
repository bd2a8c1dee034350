"""The operating system in the few verbs that the agent needs; nothing else calls it.

Paths are str, contents are bytes. What the system refuses is an OSError; what does not exist is
None where a verb says so.
"""

import errno
import os
import stat

from agent.host import contents
from agent.host.place import Place, firm

TYPE_CHECKING = False
if TYPE_CHECKING:
    import grp
    import pwd
    from collections.abc import Callable
    from typing import TypeAlias

    from agent.host.execute import Child, Finished
    from agent.host.processes import Process

    Status: TypeAlias = os.stat_result

CHUNK = 1 << 20


class Host:
    """The machine that the agent runs on."""

    def __init__(self) -> None:
        self.environ: dict[str, str] = dict(os.environ)
        self._users: dict[str | int, pwd.struct_passwd | None] = {}
        self._groups: dict[str | int, grp.struct_group | None] = {}
        self._processes: tuple[object, list[Process]] | None = None
        self._firm: set[str] = set()

    # looking

    def lstat(self, path: str) -> "Status | None":
        """What PATH is, links not followed; None if it does not exist."""
        try:
            return os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def stat(self, path: str) -> "Status | None":
        """What PATH leads to; None if it does not exist, as at the end of a dangling link."""
        try:
            return os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, path: str) -> bool:
        """Whether PATH leads to something that we may look at."""
        try:
            os.stat(path)
        except OSError:
            return False
        return True

    def read(self, path: str, limit: int = 0) -> bytes:
        """What the file PATH holds, at most LIMIT bytes of it unless LIMIT is 0.

        Like all that reads, it follows no link that a stranger made to what is not theirs.
        """
        fd = self._opened(path)
        try:
            return _read(fd, limit)
        finally:
            os.close(fd)

    def look(self, path: str) -> "tuple[Status, bytes]":
        """What PATH is and what it holds, in one look; nothing if it is no regular file."""
        fd = self._opened(path, os.O_NONBLOCK)
        try:
            status = os.fstat(fd)
            return status, _read(fd, 0) if stat.S_ISREG(status.st_mode) else b""
        finally:
            os.close(fd)

    def _opened(self, path: str, flags: int = 0) -> int:
        """A descriptor for reading PATH, which nobody has bent."""
        flags |= os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC
        directory = path.rpartition("/")[0]
        if directory in self._firm or self._is_firm(directory):
            try:
                return os.open(path, flags | os.O_NOFOLLOW)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
        with Place(path) as place:
            try:
                return place.open(flags)
            except OSError as error:
                error.filename = path
                raise

    def _is_firm(self, directory: str) -> bool:
        """Whether nobody can bend the way to DIRECTORY; remembered until we change something."""
        if not directory.startswith("/") or not firm(directory):
            return False
        self._firm.add(directory)
        return True

    def readlink(self, path: str) -> str:
        """The text of the link PATH."""
        return os.readlink(path)

    def listdir(self, path: str) -> list[str]:
        """The names in the directory PATH, in the order in which the system gives them."""
        return os.listdir(path)

    def access(self, path: str, mode: int) -> bool:
        """Whether PATH may be used as MODE says (os.R_OK, os.W_OK, os.X_OK)."""
        return os.access(path, mode)

    def realpath(self, path: str) -> str:
        """PATH with every link in it followed, as far as it exists."""
        return os.path.realpath(path)

    def trusted(self, path: str) -> str:
        """PATH with every link in it followed. Raises OSError ENOLINK if one is a stranger's."""
        with Place(path, follow=True) as place:
            directory = os.readlink(f"/proc/self/fd/{place.fd}")
            return f"{directory.rstrip('/')}/{place.name}"

    def xattrs(self, path: str) -> dict[str, bytes]:
        """The extended attributes of PATH that we may read; none where there is no such thing."""
        try:
            names = os.listxattr(path, follow_symlinks=False)
            return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
        except OSError:
            return {}

    def flags(self, path: str) -> int | None:
        """The flags of the file PATH in its file system (immutable: 0x10), None if it has none."""
        from agent.host.flags import flags

        with Place(path) as place:
            return flags(place)

    def same(self, path: str, other: str) -> bool:
        """Whether the files PATH and OTHER hold the same bytes."""
        left_fd = self._opened(path)
        try:
            right_fd = self._opened(other)
        except OSError:
            os.close(left_fd)
            raise
        with open(left_fd, "rb", buffering=0) as one, open(right_fd, "rb", buffering=0) as two:
            while True:
                left = one.read(CHUNK)
                if left != two.read(CHUNK):
                    return False
                if not left:
                    return True

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
        """Replace the file PATH in one step: who looks sees the old content or all of the new.

        It gets MODE, otherwise the mode of LIKE, otherwise 0600; the owner of LIKE; the extended
        attributes of what was there. If PATH is a link it is replaced; FOLLOW: what it leads to is,
        if the link may be trusted, and that is what the new file is like.
        """
        with Place(path, follow=follow) as place:
            if follow:
                like = place.status()
            contents.replace(place, data, self.xattrs(place.of(place.name)), mode, like)
        self._touched(path)

    def overwrite(self, path: str, data: bytes) -> None:
        """Put DATA into the existing file PATH itself: same inode, owner and mode."""
        with Place(path) as place:
            fd = place.open(os.O_WRONLY | os.O_NOCTTY)
        try:
            os.ftruncate(fd, 0)
            contents.pour(fd, data)
        finally:
            os.close(fd)
        self._touched(path)

    def append(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Add DATA to the end of the file PATH, made with MODE if it is not there."""
        with Place(path) as place:
            fd = place.open(os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY, mode)
        try:
            contents.pour(fd, data)
        finally:
            os.close(fd)
        self._touched(path)

    def create(self, path: str, mode: int) -> None:
        """Make the empty file PATH. Raises FileExistsError if anything is there, even a link."""
        with Place(path) as place:
            contents.empty(place, mode)

    def copy(self, source: str, path: str, *, mode: int) -> None:
        """Make the new file PATH of what SOURCE holds; what an earlier copy left is replaced."""
        origin = self._opened(source)
        try:
            with Place(path) as place:
                contents.copy(origin, place, mode)
        finally:
            os.close(origin)

    def set_xattr(self, path: str, name: str, value: bytes) -> None:
        """Give PATH the extended attribute NAME."""
        with Place(path) as place:
            os.setxattr(place.of(place.name), name, value, follow_symlinks=False)

    def set_flags(self, path: str, flags: int) -> None:
        """Let FLAGS be those of the file PATH in its file system."""
        from agent.host.flags import set_flags

        with Place(path) as place:
            set_flags(place, flags)

    def mkdir(self, path: str, mode: int) -> None:
        """Make the directory PATH with exactly MODE."""
        with Place(path) as place:
            os.mkdir(place.name, mode & 0o777, dir_fd=place.fd)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(place.name, flags, dir_fd=place.fd)
        try:
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def fifo(self, path: str, mode: int) -> None:
        """Make the named pipe PATH with exactly MODE."""
        with Place(path) as place:
            os.mkfifo(place.name, mode, dir_fd=place.fd)
        self.chmod(path, mode)

    def node(self, path: str, like: "Status") -> None:
        """Make the pipe, socket or device PATH as LIKE describes it."""
        with Place(path) as place:
            os.mknod(place.name, like.st_mode, like.st_rdev, dir_fd=place.fd)

    def chmod(self, path: str, mode: int, *, follow: bool = False) -> None:
        """Set the mode of PATH itself; a link in its place is refused unless we are to FOLLOW."""
        self._firm.clear()
        with Place(path, follow=follow) as place:
            flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(place.name, flags, dir_fd=place.fd)
        try:
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            os.chmod(f"/proc/self/fd/{fd}", mode)
        finally:
            os.close(fd)

    def chown(self, path: str, uid: int, gid: int, *, follow: bool = False) -> None:
        """Set owner and group of PATH, -1 leaves one as it is; of a link, unless we FOLLOW it."""
        self._firm.clear()
        with Place(path, follow=follow) as place:
            os.chown(place.name, uid, gid, dir_fd=place.fd, follow_symlinks=False)

    def touch(self, path: str) -> None:
        """Set the times of PATH to now."""
        with Place(path) as place:
            os.utime(place.name, dir_fd=place.fd)

    def utime(self, path: str, atime: float, mtime: float) -> None:
        """Set the times of PATH, in seconds since the epoch."""
        with Place(path) as place:
            os.utime(place.name, (atime, mtime), dir_fd=place.fd)

    def unlink(self, path: str) -> None:
        """Remove the file or link PATH."""
        with Place(path) as place:
            os.unlink(place.name, dir_fd=place.fd)
        self._touched(path)

    def rmdir(self, path: str) -> None:
        """Remove the empty directory PATH."""
        self._firm.clear()
        with Place(path) as place:
            os.rmdir(place.name, dir_fd=place.fd)

    def rename(self, old: str, new: str) -> None:
        """Move OLD to NEW, over whatever file is there."""
        self._firm.clear()
        with Place(old) as source, Place(new) as target:
            os.rename(source.name, target.name, src_dir_fd=source.fd, dst_dir_fd=target.fd)
        self._touched(new)

    def symlink(self, target: str, path: str) -> None:
        """Make PATH a symbolic link with the text TARGET."""
        with Place(path) as place:
            os.symlink(target, place.name, dir_fd=place.fd)

    def link(self, old: str, path: str) -> None:
        """Make PATH one more name of the file OLD."""
        with Place(old) as source, Place(path) as target:
            os.link(
                source.name, target.name,
                src_dir_fd=source.fd, dst_dir_fd=target.fd, follow_symlinks=False,
            )  # fmt: skip

    # people

    def user(self, name: str | int) -> "pwd.struct_passwd | None":
        """The user of this name, or of this number if it is an int."""
        if name not in self._users:
            from agent.host import accounts

            self._users[name] = accounts.user(name)
        return self._users[name]

    def group(self, name: str | int) -> "grp.struct_group | None":
        """The group of this name, or of this number if it is an int."""
        if name not in self._groups:
            from agent.host import accounts

            self._groups[name] = accounts.group(name)
        return self._groups[name]

    def users(self) -> "list[pwd.struct_passwd]":
        """All users that the system lists."""
        from agent.host import accounts

        return accounts.users()

    def groups(self) -> "list[grp.struct_group]":
        """All groups that the system lists."""
        from agent.host import accounts

        return accounts.groups()

    def _touched(self, path: str) -> None:
        """Forget who is known: /etc may say something else now."""
        if path.startswith("/etc/"):
            self._users.clear()
            self._groups.clear()

    def stirred(self) -> None:
        """Something ran, whatever it did: users and processes may be others now."""
        self._users.clear()
        self._groups.clear()
        self._firm.clear()
        self._processes = None

    # processes

    def processes(self, period: object) -> "list[Process]":
        """All processes, by number. They are looked at once in a PERIOD, and after programs ran."""
        from agent.host.processes import table

        if self._processes is None or self._processes[0] is not period:
            self._processes = (period, table())
        return self._processes[1]

    def owner(self, process: "Process") -> str:
        """The name of the user that PROCESS acts as, the number if there is none."""
        user = self.user(process.uid)
        return str(process.uid) if user is None else user.pw_name

    def kill(self, pid: int, signal: int) -> None:
        """Send SIGNAL to the process PID."""
        os.kill(pid, signal)
        self._processes = None

    # ourselves

    def getcwd(self) -> str:
        """The directory that relative paths are relative to."""
        return os.getcwd()

    def uname(self) -> "os.uname_result":
        """The kernel: sysname, nodename, release, version, machine."""
        return os.uname()

    def hostname(self) -> str:
        """The name of this host, as the kernel has it."""
        return os.uname().nodename

    @property
    def uid(self) -> int:
        """The user that we act as."""
        return os.geteuid()

    @property
    def gid(self) -> int:
        """The group that we act as."""
        return os.getegid()

    @property
    def pid(self) -> int:
        """Our process."""
        return os.getpid()

    @property
    def ppid(self) -> int:
        """The process that started ours."""
        return os.getppid()

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
        """Run COMMAND to its end. A str is split as the language splits, or given to the shell.

        LIMIT: no more than so many bytes of its output are kept (0: all). MERGE: what it writes to
        stderr appears in `out`. Raises OSError if it cannot be started.
        """
        from agent.host import execute as programs

        settings = programs.Settings(
            cwd=cwd,
            umask=umask,
            uid=uid,
            gid=gid,
            chroot=chroot,
            merge=merge,
            talk=bool(stdin),
        )
        environ = self.environ if env is None else env
        child = programs.start(programs.arguments(command, shell=shell), environ, settings)
        self.stirred()
        try:
            return child.finish(stdin=stdin, timeout=timeout, limit=limit)
        except BaseException:
            child.stop()
            raise

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
        """Start COMMAND and speak with it: `write`, `readline`, then `finish` or `leave`.

        MERGE: what it writes to stderr is among its lines; LOUD: it goes where ours goes.
        """
        from agent.host import execute as programs

        settings = programs.Settings(cwd=cwd, merge=merge, talk=True, loud=loud)
        environ = self.environ if env is None else env
        self.stirred()
        return programs.start(programs.arguments(command, shell=shell), environ, settings)

    def background(self, work: "Callable[[], None]") -> int:
        """Do WORK in a process of its own and return its id at once."""
        from agent.host.execute import alone

        pid = os.fork()
        if pid == 0:
            alone(work)
        self._processes = None
        return pid


def _read(fd: int, limit: int) -> bytes:
    """All that FD has to give, or its first LIMIT bytes."""
    parts = []
    size = limit or os.fstat(fd).st_size + 1
    while data := os.read(fd, size):
        parts.append(data)
        size = limit - sum(map(len, parts)) if limit else CHUNK
    return parts[0] if len(parts) == 1 else b"".join(parts)
