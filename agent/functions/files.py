"""Functions about files: whether they are there, what they are, when they changed."""

import os
import stat

from agent.functions.data_files import content
from agent.functions.paths import reached, seen
from policy import values
from policy.errors import Failed
from policy.functions.arguments import digest, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context

_PATIENCE = "3"  # seconds
_MOST_PATIENCE = 365 * 86400


# whether there is one, and of what kind


def fileexists(ctx: "Context", path: str) -> bool:
    """Whether there is something called PATH, be it a link that leads nowhere.

    Never fails: what may not be looked at counts as missing.
    Example:
        fileexists("/bin/sh") -> true
        fileexists("/no/such") -> false
    """
    return seen(ctx, path) is not None


def filesexist(ctx: "Context", paths: "Any") -> bool:
    """Whether all PATHS lead somewhere (links are followed); there must be at least one.

    Fails if PATHS is no list or container.
    Example:
        filesexist('["/bin/sh", "/etc/passwd"]') -> true
        filesexist('["/bin/sh", "/no/such"]') -> false
    """
    names = [values.formatted(path) for path in values.children(values.container(ctx, paths))]
    found = [name for name in names if name is not None]
    return bool(found) and all(reached(ctx, name) is not None for name in found)


def isdir(ctx: "Context", path: str) -> bool:
    """Whether PATH is a directory, not a link to one.

    With a slash at the end of PATH, links are followed.
    Never fails.
    Example:
        isdir("/etc") -> true
        isdir("/etc/passwd") -> false
    """
    status = seen(ctx, path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def isplain(ctx: "Context", path: str) -> bool:
    """Whether PATH is a regular file, not a link to one.

    Never fails.
    Example:
        isplain("/etc/passwd") -> true
        isplain("/etc") -> false
    """
    status = seen(ctx, path)
    return status is not None and stat.S_ISREG(status.st_mode)


def islink(ctx: "Context", path: str) -> bool:
    """Whether PATH is a symbolic link.

    Never fails.
    Example:
        /tmp/now links to nowhere
        islink("/tmp/now") -> true
        islink("/etc/passwd") -> false
    """
    status = seen(ctx, path)
    return status is not None and stat.S_ISLNK(status.st_mode)


def isexecutable(ctx: "Context", path: str) -> bool:
    """Whether we would run PATH: it may be executed by us, and not written by everybody.

    Links are followed; directories pass. One that all may write is a logged error.
    Never fails.
    Example:
        isexecutable("/bin/sh") -> true
        isexecutable("/etc/passwd") -> false
    """
    status = reached(ctx, path)
    if status is None:
        return False
    if status.st_mode & stat.S_IWOTH:
        ctx.log("error", f"SECURITY ALERT: promised executable '{path}' is world writable! ")
        ctx.log(
            "error", "SECURITY ALERT: CFEngine will not execute this - requires human inspection"
        )
        return False
    if ctx.host.uid in (0, status.st_uid):
        return bool(status.st_mode & stat.S_IXUSR)
    if ctx.host.gid == status.st_gid:
        return bool(status.st_mode & stat.S_IXGRP)
    if status.st_mode & stat.S_IXOTH:
        return True
    return bool(status.st_mode & stat.S_IXGRP) and status.st_gid in os.getgroups()


def isreadable(ctx: "Context", path: str, timeout: str = _PATIENCE) -> bool:
    """Whether a byte of PATH can be read within TIMEOUT seconds; 0 waits as long as it takes.

    Never fails: false if PATH is missing, a directory, or does not answer (a dead NFS server).
    Example:
        isreadable("/etc/passwd") -> true
        isreadable("/no/such", 1) -> false
    """
    seconds = min(integer(ctx, timeout), _MOST_PATIENCE)
    if seconds == 0:
        return _readable(ctx, path)
    if seconds < 0:
        seconds = int(_PATIENCE)
    import _thread

    answer = [False]
    done = _thread.allocate_lock()
    done.acquire()

    def look() -> None:
        answer[0] = _readable(ctx, path)
        done.release()

    _thread.start_new_thread(look, ())
    if not done.acquire(timeout=seconds):
        ctx.log("verbose", f"Read of '{path}' took longer than {seconds} seconds")
        return False
    return answer[0]


def _readable(ctx: "Context", path: str) -> bool:
    try:
        ctx.host.read(path, 1)
    except OSError:
        return False
    return True


def file_hash(ctx: "Context", path: str, algorithm: str) -> str:
    """The digest of what PATH holds, in hexadecimal; all zeroes if it cannot be read.

    Never fails: look for the zeroes, or ask `isreadable` before.
    Example:
        /tmp/motd holds "hello"
        file_hash("/tmp/motd", "md5") -> "5d41402abc4b2a76b9719d911017c592"
    """
    made = digest(ctx, "file_hash", algorithm)
    if made is None:
        return ""
    try:
        made.update(content(ctx, path))
    except IsADirectoryError:  # it can be opened, and nothing is in it
        pass
    except OSError as error:
        ctx.log("info", f"Cannot open file for hashing '{path}'. (fopen: {error.strerror})")
        return "00" * made.digest_size
    return made.hexdigest()


def hashmatch(ctx: "Context", path: str, algorithm: str, digest: str) -> bool:
    """Whether DIGEST, in lower case, is that of what PATH holds.

    Never fails: false if PATH cannot be read.
    Example:
        /tmp/motd holds "hello"
        hashmatch("/tmp/motd", "md5", "5d41402abc4b2a76b9719d911017c592") -> true
    """
    return file_hash(ctx, path, algorithm) == digest


# which of two is older


def _both(ctx: "Context", one: str, other: str) -> tuple[os.stat_result, os.stat_result]:
    """What ONE and OTHER lead to. Raises Failed if either leads nowhere."""
    left, right = reached(ctx, one), reached(ctx, other)
    if left is None or right is None:
        raise Failed(one if left is None else other)
    return left, right


def isnewerthan(ctx: "Context", one: str, other: str) -> bool:
    """Whether the content of ONE changed after that of OTHER, by whole seconds.

    Links are followed.
    Fails if one of them is missing.
    Example:
        /tmp/old is of 2020-01-01
        /tmp/new is of 2024-01-01
        isnewerthan("/tmp/new", "/tmp/old") -> true
    """
    left, right = _both(ctx, one, other)
    return int(left.st_mtime) > int(right.st_mtime)


def isnewerthantime(ctx: "Context", path: str, when: str) -> bool:
    """Whether the content of PATH changed after the time WHEN, in seconds since 1970.

    Fails if PATH is missing.
    Example:
        /tmp/new is of 2024-01-01
        isnewerthantime("/tmp/new", "1600000000") -> true
    """
    status = reached(ctx, path)
    if status is None:
        raise Failed("isnewerthantime")
    return int(status.st_mtime) > integer(ctx, when)


def accessedbefore(ctx: "Context", one: str, other: str) -> bool:
    """Whether ONE was read before OTHER was, by whole seconds.

    Many systems mount with relatime and update the times late.
    Fails if one of them is missing.
    Example:
        /tmp/old is of 2020-01-01
        /tmp/new is of 2024-01-01
        accessedbefore("/tmp/old", "/tmp/new") -> true
    """
    left, right = _both(ctx, one, other)
    return int(left.st_atime) < int(right.st_atime)


def changedbefore(ctx: "Context", one: str, other: str) -> bool:
    """Whether ONE changed *after* OTHER, by their inodes: the reference has it this way round.

    Fails if one of them is missing.
    Example:
        changedbefore("/proc/self/status", "/bin/sh") -> true
    """
    left, right = _both(ctx, one, other)
    return int(left.st_ctime) > int(right.st_ctime)


def makerule(ctx: "Context", target: str, sources: "Any") -> str:
    """`any` if TARGET is missing or older than one of SOURCES, otherwise `!any`, as in make.

    If one of a list of SOURCES is missing it is `!any`.
    Fails if SOURCES is no container and no file.
    Example:
        /tmp/a.c is of 2024-01-01
        /tmp/a.o is of 2020-01-01
        makerule("/tmp/a.o", "/tmp/a.c") -> "any"
    """
    made = seen(ctx, target)
    if made is not None and made.st_mode & 0o170000 != 0o100000:
        ctx.log(
            "warning", f"Function 'makerule' target-file '{target}' exists and is not a plain file"
        )
    if isinstance(sources, str) and seen(ctx, sources) is not None:
        names = [sources]
    else:
        listed = map(values.raw, values.children(values.container(ctx, sources)))
        names = [name for name in listed if isinstance(name, str)]
    stale = made is None
    for name in names:
        status = seen(ctx, name)
        if status is None:
            ctx.log(
                "verbose",
                f"Function 'makerule', source dependency {name} was not (yet) readable",
            )
            return "!any"
        stale = stale or int(status.st_mtime) > int(made.st_mtime if made is not None else 0)
    return "any" if stale else "!any"


def diskfree(ctx: "Context", path: str) -> str:
    """How many KiB ordinary users have left on the file system of PATH; 0 if that is unknown.

    Never fails; an error of the system is logged.
    Example:
        diskfree("/") -> e.g. 20480000
    """
    try:
        disk = os.statvfs(path)
    except OSError as error:
        ctx.log("error", f"Couldn't get filesystem info for '{path}'. (statfs: {error.strerror})")
        return "0"
    return str(disk.f_bavail * disk.f_bsize // 1024)
