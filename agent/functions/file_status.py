"""Functions about one file: its size and all else that is known of it."""

import os
import stat

from agent.functions.paths import reached, seen, single_slashes
from policy import values
from policy.errors import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.context import Context

_LONGEST_CHAIN = 31


def filesize(ctx: "Context", path: str) -> str:
    """How many bytes PATH has; of a link, the length of its text.

    Store it in an int: a string promise that fails here ends the agent.
    Fails if PATH is missing.
    Example:
        /tmp/motd holds "hello"
        filesize("/tmp/motd") -> 5
    """
    status = seen(ctx, path)
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
    status = seen(ctx, path)
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
    return single_slashes(path).rpartition("/")[0] or "/"


def _target(ctx: "Context", path: str) -> str:
    """Where the links that begin with PATH end, as an absolute path."""
    at = path
    for _ in range(_LONGEST_CHAIN):
        status = seen(ctx, at)
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
    status = seen(ctx, path)
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
    status = reached(ctx, path)
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
