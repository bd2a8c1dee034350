"""Ways to a name that nobody can bend while we are on them.

A link on the way counts if root or we made it, or who owns what it leads to; otherwise whoever can
write to a directory could lead root anywhere. Each directory is opened from the one before it and
each link is read on its own, so what was looked at is what is used.
"""

import errno
import os
import stat

FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
MOST_LINKS = 40
OTHERS_WRITE = 0o022


class Place:
    """The directory that holds a path, open, and the name in it: `with Place(path) as place`.

    FOLLOW: if the path is a link, the place of what it leads to in the end, whether that is there
    or not. Raises OSError ENOLINK for a link that is a stranger's.
    """

    __slots__ = ("fd", "follow", "links", "name", "path")

    def __init__(self, path: str, *, follow: bool = False) -> None:
        self.path = path.rstrip("/") or "/"
        self.name = "."
        self.fd = -1
        self.follow = follow
        self.links = 0

    def __enter__(self) -> "Place":
        self.fd = os.open("/" if self.path.startswith("/") else ".", FLAGS)
        try:
            self._walk(self.path, follow=self.follow)
        except OSError as error:
            os.close(self.fd)
            error.filename = self.path
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def open(self, flags: int, mode: int = 0o600) -> int:
        """Open the name, over a link that may be trusted; nothing is made at the end of a link."""
        try:
            return self._open(flags, mode)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        magic = self._magic(flags)
        if magic >= 0:
            return magic
        self._follow()
        return self._open(flags & ~os.O_CREAT, mode)

    def of(self, name: str) -> str:
        """A path of NAME in this directory, for calls that take nothing but paths."""
        return f"/proc/self/fd/{self.fd}/{name}"

    def status(self) -> "os.stat_result | None":
        """What is at the name, None if nothing is."""
        try:
            return os.lstat(self.name, dir_fd=self.fd)
        except FileNotFoundError:
            return None

    def _open(self, flags: int, mode: int) -> int:
        return os.open(self.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=self.fd)

    def _walk(self, path: str, *, follow: bool) -> None:
        """Go from where we are to PATH."""
        parts = [part for part in path.split("/") if part] or ["."]
        for part in parts[:-1]:
            self.name = part
            self._enter()
        self.name = parts[-1]
        if follow:
            status = self.status()
            if status is not None and stat.S_ISLNK(status.st_mode):
                self._follow()

    def _enter(self) -> None:
        """Go into the directory that is at the name."""
        try:
            below = os.open(self.name, FLAGS | os.O_NOFOLLOW, dir_fd=self.fd)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            below = self._magic(FLAGS)
            if below < 0:
                self._follow()
                below = os.open(self.name, FLAGS | os.O_NOFOLLOW, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = below

    def _follow(self) -> None:
        """Go to what the link at the name leads to. Raises OSError if it must not be followed."""
        self.links += 1
        if self.links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self.name)
        link = os.lstat(self.name, dir_fd=self.fd)
        try:
            text = os.readlink(self.name, dir_fd=self.fd)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # no link, and no directory where one was wanted
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self.path) from None
        if text.startswith("/"):
            root = os.open("/", FLAGS)
            os.close(self.fd)
            self.fd = root
        self._walk(text, follow=True)
        if not ours(link):
            target = self.status()
            if target is None or target.st_uid != link.st_uid:
                raise _severed(self.path)

    def _magic(self, flags: int) -> int:
        """Open the link at the name if it is one of the kernel's, whose text is no way; or -1."""
        link = os.lstat(self.name, dir_fd=self.fd)
        if not stat.S_ISLNK(link.st_mode) or link.st_dev != os.lstat("/proc/self").st_dev:
            return -1
        found = os.open(self.name, flags & ~os.O_CREAT | os.O_CLOEXEC, dir_fd=self.fd)
        if ours(link) or os.fstat(found).st_uid == link.st_uid:
            return found
        os.close(found)
        raise _severed(self.path)


def ours(status: "os.stat_result") -> bool:
    """Whether root or we own the object of STATUS."""
    return status.st_uid in (0, os.geteuid())


def firm(directory: str) -> bool:
    """Whether the absolute DIRECTORY is reached over no link, and only we and root can change that.

    Then nothing on the way to what it holds can be bent.
    """
    at = 1
    while at:
        at = directory.find("/", at) + 1
        above = directory[: at - 1] if at else directory
        try:
            status = os.lstat(above or "/")
        except OSError:
            return False
        if not stat.S_ISDIR(status.st_mode) or status.st_mode & OTHERS_WRITE or not ours(status):
            return False
    return True


def _severed(path: str) -> OSError:
    return OSError(errno.ENOLINK, os.strerror(errno.ENOLINK), path)
