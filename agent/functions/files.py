"""Functions about files: whether they are there, what they are, when they changed."""

import os
import stat

from agent.functions import glob
from agent.functions.data_files import content
from policy import regexp, values
from policy.errors import Failed
from policy.functions.arguments import integer, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from policy.context import Context

_LONGEST_CHAIN = 31
_DIGESTS = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
_PATIENCE = "3"  # seconds
_MOST_PATIENCE = 365 * 86400


def _seen(ctx: "Context", path: str) -> os.stat_result | None:
    """What PATH is, links not followed; None if we cannot know."""
    try:
        found: os.stat_result | None = ctx.host.lstat(path)
    except OSError:
        return None
    return found


def _reached(ctx: "Context", path: str) -> os.stat_result | None:
    """What PATH leads to; None if we cannot know."""
    try:
        found: os.stat_result | None = ctx.host.stat(path)
    except OSError:
        return None
    return found


# whether there is one, and of what kind


def fileexists(ctx: "Context", path: str) -> bool:
    """Whether there is something called PATH, be it a link that leads nowhere.

    Never fails: what may not be looked at counts as missing.
    Example:
        fileexists("/bin/sh") -> true
        fileexists("/no/such") -> false
    """
    return _seen(ctx, path) is not None


def filesexist(ctx: "Context", paths: "Any") -> bool:
    """Whether all PATHS lead somewhere (links are followed); there must be at least one.

    Fails if PATHS is no list or container.
    Example:
        filesexist('["/bin/sh", "/etc/passwd"]') -> true
        filesexist('["/bin/sh", "/no/such"]') -> false
    """
    names = [values.formatted(path) for path in values.children(values.container(ctx, paths))]
    found = [name for name in names if name is not None]
    return bool(found) and all(_reached(ctx, name) is not None for name in found)


def isdir(ctx: "Context", path: str) -> bool:
    """Whether PATH is a directory, not a link to one.

    With a slash at the end of PATH, links are followed.
    Never fails.
    Example:
        isdir("/etc") -> true
        isdir("/etc/passwd") -> false
    """
    status = _seen(ctx, path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def isplain(ctx: "Context", path: str) -> bool:
    """Whether PATH is a regular file, not a link to one.

    Never fails.
    Example:
        isplain("/etc/passwd") -> true
        isplain("/etc") -> false
    """
    status = _seen(ctx, path)
    return status is not None and stat.S_ISREG(status.st_mode)


def islink(ctx: "Context", path: str) -> bool:
    """Whether PATH is a symbolic link.

    Never fails.
    Example:
        /tmp/now links to nowhere
        islink("/tmp/now") -> true
        islink("/etc/passwd") -> false
    """
    status = _seen(ctx, path)
    return status is not None and stat.S_ISLNK(status.st_mode)


def isexecutable(ctx: "Context", path: str) -> bool:
    """Whether we would run PATH: it may be executed by us, and not written by everybody.

    Links are followed; directories pass. One that all may write is a logged error.
    Never fails.
    Example:
        isexecutable("/bin/sh") -> true
        isexecutable("/etc/passwd") -> false
    """
    status = _reached(ctx, path)
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


# what it is


def filesize(ctx: "Context", path: str) -> str:
    """How many bytes PATH has; of a link, the length of its text.

    Store it in an int: a string promise that fails here ends the agent.
    Fails if PATH is missing.
    Example:
        /tmp/motd holds "hello"
        filesize("/tmp/motd") -> 5
    """
    status = _seen(ctx, path)
    if status is None:
        raise Failed("filesize")
    return str(status.st_size)


_KINDS = {
    stat.S_IFREG: "regular file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "FIFO/pipe", stat.S_IFSOCK: "socket", stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}  # fmt: skip


def _permissions(mode: int) -> str:
    """MODE as `ls -l` shows it, but for the bits beyond the nine."""
    bits = [char if mode & 0o400 >> at else "-" for at, char in enumerate("rwxrwxrwx")]
    return ("d" if stat.S_ISDIR(mode) else "-") + "".join(bits)


_FIELDS: "dict[str, Callable[[os.stat_result], object]]" = {
    "size": lambda it: it.st_size,
    "gid": lambda it: it.st_gid,
    "uid": lambda it: it.st_uid,
    "ino": lambda it: it.st_ino,
    "nlink": lambda it: it.st_nlink,
    "ctime": lambda it: int(it.st_ctime),
    "atime": lambda it: int(it.st_atime),
    "mtime": lambda it: int(it.st_mtime),
    "mode": lambda it: it.st_mode,
    "modeoct": lambda it: f"{it.st_mode:o}",
    "permstr": lambda it: _permissions(it.st_mode),
    "permoct": lambda it: f"{it.st_mode & 0o777:o}",
    "type": lambda it: _KINDS.get(stat.S_IFMT(it.st_mode), "unknown"),
    "devno": lambda it: it.st_dev,
    "dev_minor": lambda it: os.minor(it.st_dev),
    "dev_major": lambda it: os.major(it.st_dev),
}


def filestat(ctx: "Context", path: str, field: str) -> str:
    """A FIELD of what is known of PATH itself, links not followed (but by `linktarget`).

    Times are seconds since 1970, `modeoct` is like 100644, `permoct` like 644, `type` is words.
    Fails if PATH is missing.
    Example:
        /tmp/motd holds "hello"
        filestat("/tmp/motd", "size") -> "5"
        filestat("/tmp/motd", "type") -> "regular file"
        filestat("/tmp/motd", "permoct") -> "644"
    """
    status = _seen(ctx, path)
    if status is None:
        raise Failed("filestat")
    if field in _FIELDS:
        return str(_FIELDS[field](status))
    if field in _NAMES:
        return _NAMES[field](ctx, path)
    return ""


def _attributes(ctx: "Context", path: str) -> str:
    """The last extended attribute of PATH that can be printed."""
    shown = ""
    for name, value in ctx.host.xattrs(path).items():
        line = f"{name}={values.text(value)}"
        if line.isprintable() and line.isascii():
            shown = f"{line}\n"
        else:
            ctx.log(
                "info",
                f"Skipping extended attribute of '{path}', it has non-printable data: '{line}'",
            )
    return shown


def _directory(_: "Context", path: str) -> str:
    """What comes before the last slash of PATH."""
    return _single_slashes(path).rpartition("/")[0] or "/"


def _single_slashes(path: str) -> str:
    while "//" in path:
        path = path.replace("//", "/")
    return path


def _target(ctx: "Context", path: str) -> str:
    """Where the links that begin with PATH end, as an absolute path."""
    at = path
    for _ in range(_LONGEST_CHAIN):
        status = _seen(ctx, at)
        if status is None:
            ctx.log(
                "info",
                f"filestat bailing on link '{at}' (original '{path}') because it could not be read",
            )
            return at
        if not stat.S_ISLNK(status.st_mode):
            return at
        text = ctx.host.readlink(at)
        at = text if text.startswith("/") else f"{_directory(ctx, at)}/{text}"
        at = _compressed(at)
    ctx.log(
        "info",
        f"filestat bailing on link '{at}' (original '{path}') "
        f"because {_LONGEST_CHAIN + 1} cycles were chased",
    )
    return at


def _compressed(path: str) -> str:
    """The absolute PATH without `.`, `..` and empty parts."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _link(ctx: "Context", path: str) -> str:
    """The text of the link PATH, or PATH itself if it is none."""
    status = _seen(ctx, path)
    if status is None or not stat.S_ISLNK(status.st_mode):
        return path
    text: str = ctx.host.readlink(path)
    return text


_NAMES: "dict[str, Callable[[Context, str], str]]" = {
    "basename": lambda _, path: path.rpartition("/")[2],
    "dirname": _directory,
    "linktarget": _target,
    "linktarget_shallow": _link,
    "xattr": _attributes,
}


def file_hash(ctx: "Context", path: str, algorithm: str) -> str:
    """The digest of what PATH holds, in hexadecimal; all zeroes if it cannot be read.

    Never fails: look for the zeroes, or ask `isreadable` before.
    Example:
        /tmp/motd holds "hello"
        file_hash("/tmp/motd", "md5") -> "5d41402abc4b2a76b9719d911017c592"
    """
    import hashlib

    try:
        data = content(ctx, path)
    except IsADirectoryError:  # it can be opened, and nothing is in it
        data = b""
    except OSError as error:
        ctx.log("info", f"Cannot open file for hashing '{path}'. (fopen: {error.strerror})")
        return "00" * _DIGESTS[algorithm]
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


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
    left, right = _reached(ctx, one), _reached(ctx, other)
    if left is None or right is None:
        raise Failed(one if left is None else other)
    return left, right


def isnewerthan(ctx: "Context", one: str, other: str) -> bool:
    """Whether the content of ONE changed after that of OTHER (links are followed).

    Fails if one of them is missing.
    Example:
        /tmp/old is of 2020-01-01
        /tmp/new is of 2024-01-01
        isnewerthan("/tmp/new", "/tmp/old") -> true
    """
    left, right = _both(ctx, one, other)
    return left.st_mtime > right.st_mtime


def isnewerthantime(ctx: "Context", path: str, when: str) -> bool:
    """Whether the content of PATH changed after the time WHEN, in seconds since 1970.

    Fails if PATH is missing.
    Example:
        /tmp/new is of 2024-01-01
        isnewerthantime("/tmp/new", "1600000000") -> true
    """
    status = _reached(ctx, path)
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


# directories and disks


def lsdir(ctx: "Context", directory: str, pattern: str, with_path: str) -> tuple[str, ...]:
    r"""The names in DIRECTORY that PATTERN spans (all, if empty), as paths if WITH_PATH.

    The order is the system's, `.` and `..` are among the names.
    Never fails: an unreadable DIRECTORY is a logged error and an empty list.
    Example:
        /tmp/conf/a.cf holds ""
        /tmp/conf/b.txt holds ""
        lsdir("/tmp/conf", ".*\.cf", "false") -> { "a.cf" }
        lsdir("/tmp/conf", ".*\.cf", "true") -> { "/tmp/conf/a.cf" }
    """
    try:
        names = [".", "..", *ctx.host.listdir(directory)]
        found = [name for name in reversed(names) if not pattern or regexp.full(pattern, name)]
    except OSError as error:
        ctx.log(
            "error",
            f"Directory '{directory}' could not be accessed in lsdir(), "
            f"(opendir: {error.strerror})",
        )
        return ()
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
        return ()
    prefix = f"{directory}/" if values.truth(with_path) else ""
    return tuple(prefix + name for name in found)


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


def findfiles(ctx: "Context", *patterns: str) -> tuple[str, ...]:
    """What there is of these absolute glob PATTERNS.

    They know `*`, `?`, `[a-z]`, `{a,b}`, and `**` for 0 to 6 levels of directories. Directories
    end in a slash, hidden files match `*`, links that lead nowhere are left out.
    Never fails: relative PATTERNS are left out with a warning.
    Example:
        /tmp/conf/a.cf holds ""
        /tmp/conf/b.cf holds ""
        findfiles("/tmp/conf/*.cf") -> { "/tmp/conf/a.cf", "/tmp/conf/b.cf" }
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if not pattern.startswith("/"):
            ctx.log("warning", f"Non-absolute path in findfiles(), skipping: {pattern}")
            continue
        found.update(dict.fromkeys(glob.find(ctx.host, pattern)))
    return tuple(found)


def findfiles_up(ctx: "Context", path: str, pattern: str, levels: str = "inf") -> list[str]:
    """What there is of the glob PATTERN in the directory PATH and so many LEVELS above it.

    Fails if PATH is no absolute path of a directory, or PATTERN is absolute.
    Example:
        /tmp/repo/.git is a directory
        /tmp/repo/src is a directory
        findfiles_up("/tmp/repo/src", ".git", 1) -> ["/tmp/repo/.git/"]
    """
    problem = ""
    status = _reached(ctx, path)
    if not path.startswith("/"):
        problem = f"not an absolute path '{path}'"
    elif status is None or not stat.S_ISDIR(status.st_mode):
        problem = f"path '{path}' is not a directory"
    elif pattern.startswith("/"):
        problem = f"glob '{pattern}' cannot be an absolute path"
    if problem:
        raise refusal(ctx, f"Function findfiles_up, {problem}")
    directory = _single_slashes(path).rstrip("/")
    found: list[str] = []
    for _ in range(integer(ctx, levels) + 1):
        found += glob.find(ctx.host, f"{directory}/{pattern}")
        if not directory:
            break
        directory = directory.rpartition("/")[0]
    return found


def search_up(ctx: "Context", path: str, pattern: str, levels: str = "inf") -> list[str]:
    """The older name of findfiles_up.

    Fails as it does.
    Example:
        /tmp/repo/Makefile holds ""
        search_up("/tmp/repo", "Makefile", 1) -> ["/tmp/repo/Makefile"]
    """
    return findfiles_up(ctx, path, pattern, levels)


# access control lists: version 2 of the kernel's form, little-endian (tag, permissions, id)

_ACL_HEADER = 4
_ACL_ENTRY = 8
_ACL_TAGS = {1: "user", 2: "user", 4: "group", 8: "group", 16: "mask", 32: "other"}
_ACL_NAMED = {2: "user", 8: "group"}


def _entry(ctx: "Context", raw: bytes) -> str:
    """One entry of a list in its long form: `user:root:rwx`."""
    tag, bits = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[2:4], "little")
    name = ""
    if tag in _ACL_NAMED:
        number = int.from_bytes(raw[4:8], "little")
        known = ctx.host.user(number) if tag == 2 else ctx.host.group(number)
        name = known[0] if known is not None else str(number)
    allowed = "".join([char if bits & 4 >> at else "-" for at, char in enumerate("rwx")])
    return f"{_ACL_TAGS[tag]}:{name}:{allowed}"


def getacls(ctx: "Context", path: str, which: str) -> tuple[str, ...]:
    """The entries of the default or access control list of PATH, as `getfacl` writes them.

    A directory may have no default list.
    Never fails: an error is logged and the list is empty.
    Example:
        /tmp/motd holds "hello"
        getacls("/tmp/motd", "access") -> { "user::rw-", "group::r--", "other::r--" }
    """
    status = _reached(ctx, path)
    if status is None:
        ctx.log("error", f"Could not get ACLs of '{path}': there is no such file")
        return ()
    raw = ctx.host.xattrs(path).get(f"system.posix_acl_{which}")
    if raw is None:
        if which == "default":
            return ()
        bits = _permissions(status.st_mode)
        return (f"user::{bits[1:4]}", f"group::{bits[4:7]}", f"other::{bits[7:]}")
    at = range(_ACL_HEADER, len(raw), _ACL_ENTRY)
    return tuple(_entry(ctx, raw[start : start + _ACL_ENTRY]) for start in at)
