"""Bytes into files: those of a new one, in the place of an old one or on its own."""

import os
import stat

from agent.host.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.host import Status

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
BLOCK = 1 << 16
ZEROS = bytes(BLOCK)


def replace(
    place: Place, data: bytes, xattrs: dict[str, bytes], mode: int | None, like: "Status | None"
) -> None:
    """Put a file that holds DATA in PLACE in one step, with XATTRS and MODE, otherwise as LIKE."""
    temporary = f".{place.name[:200]}.{os.getpid()}.cf-new"
    fd = _fresh(temporary, place)
    try:
        try:
            pour(fd, data)
            _dress(fd, xattrs, mode, like)
        finally:
            os.close(fd)
        os.rename(temporary, place.name, src_dir_fd=place.fd, dst_dir_fd=place.fd)
    except OSError:
        os.unlink(temporary, dir_fd=place.fd)
        raise


def empty(place: Place, mode: int) -> None:
    """Make an empty file in PLACE. Raises FileExistsError if anything is there, even a link."""
    fd = os.open(place.name, NEW, mode, dir_fd=place.fd)
    try:
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def copy(origin: int, place: Place, mode: int) -> None:
    """Make the new file in PLACE of what the descriptor ORIGIN gives; its holes stay holes."""
    fd = _fresh(place.name, place)
    try:
        size = 0
        while data := os.read(origin, BLOCK):
            size += len(data)
            if data == ZEROS[: len(data)]:
                os.lseek(fd, size, os.SEEK_SET)
            else:
                pour(fd, data)
        os.ftruncate(fd, size)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _fresh(name: str, place: Place) -> int:
    """A descriptor of the new file NAME; what an earlier run left there is removed."""
    try:
        return os.open(name, NEW, 0o600, dir_fd=place.fd)
    except FileExistsError:
        os.unlink(name, dir_fd=place.fd)
        return os.open(name, NEW, 0o600, dir_fd=place.fd)


def _dress(fd: int, xattrs: dict[str, bytes], mode: int | None, like: "Status | None") -> None:
    """Give the new file FD the owner of LIKE, the attributes XATTRS, and its final mode."""
    wanted = 0o600 if like is None else stat.S_IMODE(like.st_mode)
    if mode is not None:
        wanted = mode
    if like is not None:
        made = os.fstat(fd)
        if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
            try:
                os.fchown(fd, like.st_uid, like.st_gid)
            except PermissionError:
                wanted &= 0o777  # set-id bits were meant for another owner
    for name, value in xattrs.items():
        try:
            os.setxattr(fd, name, value)
        except OSError:
            continue  # not for us to set: a label that the system gives by itself
    os.fchmod(fd, wanted)


def pour(fd: int, data: bytes) -> None:
    """Write all of DATA."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])
