"""Ways to a name that nobody can bend while we are on them.

A link on the way counts if root or we made it, or who owns what it leads to; otherwise whoever can
write to a directory could lead root anywhere. Each directory is opened from the one before it, so
what was looked at is what is used.
"""

import errno
import os

FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Place:
    """The directory that holds a path, open, and the name in it: `with Place(path) as place`."""

    __slots__ = ("fd", "name", "path")

    def __init__(self, path: str) -> None:
        self.path = path.rstrip("/") or "/"
        self.name = self.path.rpartition("/")[2] or "."
        self.fd = -1

    def __enter__(self) -> "Place":
        fd = os.open("/" if self.path.startswith("/") else ".", FLAGS)
        try:
            for part in self.path.split("/")[:-1]:
                if part:
                    below = _step(fd, part)
                    os.close(fd)
                    fd = below
        except OSError as error:
            os.close(fd)
            error.filename = self.path
            raise
        self.fd = fd
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def open(self, flags: int, mode: int = 0o600) -> int:
        """Open the name, over a link that may be trusted; nothing is made at the end of a link."""
        try:
            return os.open(self.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=self.fd)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        return _trusted(self.fd, self.name, flags & ~os.O_CREAT | os.O_CLOEXEC)

    def of(self, name: str) -> str:
        """A path of NAME in this directory, for calls that take nothing but paths."""
        return f"/proc/self/fd/{self.fd}/{name}"


def _step(fd: int, part: str) -> int:
    """The directory PART of the directory FD."""
    try:
        return os.open(part, FLAGS | os.O_NOFOLLOW, dir_fd=fd)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
    return _trusted(fd, part, FLAGS)


def _trusted(fd: int, name: str, flags: int) -> int:
    """Open the link NAME in the directory FD. Raises OSError ENOLINK if it is a stranger's."""
    link = os.lstat(name, dir_fd=fd)
    found = os.open(name, flags, dir_fd=fd)
    target = os.fstat(found)
    if link.st_uid in (0, os.geteuid(), target.st_uid):
        return found
    os.close(found)
    raise OSError(errno.ENOLINK, os.strerror(errno.ENOLINK), name)
