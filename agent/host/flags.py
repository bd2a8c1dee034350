"""The flags that a file system keeps for a file, such as that nobody may change it."""

import errno
import os
import stat
from fcntl import ioctl
from sys import byteorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.host.place import Place

GET, SET = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
LONG, INT = 8, 4  # the number of the call says one, the kernel writes the other
PEEK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NO_SUCH_THING = (errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS)


def flags(place: "Place") -> int | None:
    """The flags of the file or directory at PLACE; None if nobody keeps any."""
    status = os.lstat(place.name, dir_fd=place.fd)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return None
    fd = os.open(place.name, PEEK, dir_fd=place.fd)
    try:
        return int.from_bytes(ioctl(fd, GET, bytes(LONG))[:INT], byteorder)
    except OSError as error:
        if error.errno in NO_SUCH_THING:
            return None
        raise
    finally:
        os.close(fd)


def set_flags(place: "Place", wanted: int) -> None:
    """Let the flags of the file at PLACE be those in WANTED."""
    fd = os.open(place.name, PEEK, dir_fd=place.fd)
    try:
        ioctl(fd, SET, wanted.to_bytes(LONG, byteorder))
    finally:
        os.close(fd)
