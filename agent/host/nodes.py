"""The objects of an overlay: what is known of each, and how ways lead through them."""

import errno
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from agent.host import Status


class Node:
    """One object: what is known of it here, and in ORIGIN the real path for all else.

    ENTRIES of a directory are those that differ from the real ones; None is one that is gone.
    """

    __slots__ = ("changed", "data", "device", "entries", "flags", "mode", "origin", "owner",
                 "status", "target", "times", "xattrs")  # fmt: skip

    def __init__(self, mode: int, owner: tuple[int, int]) -> None:
        now = time.time()
        self.mode = mode
        self.owner = owner
        self.times = (now, now)
        self.changed = now
        self.device = 0
        self.origin: str | None = None
        self.status: Status | None = None
        self.data: bytes | None = None
        self.target: str | None = None
        self.entries: dict[str, Node | None] = {}
        self.flags: int | None = None
        self.xattrs: dict[str, bytes] = {}

    def touched(self) -> None:
        """Note that it is not any more what the system says of it."""
        self.status = None
        self.changed = time.time()


def real_node(path: str, status: "Status") -> Node:
    """The node for what is at the real PATH."""
    node = Node(status.st_mode, (status.st_uid, status.st_gid))
    node.origin = path
    node.status = status
    node.times = (status.st_atime, status.st_mtime)
    return node


def refuse(number: int, path: str) -> "NoReturn":
    raise OSError(number, os.strerror(number), path)


def names(path: str) -> list[str]:
    """The names in PATH, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def directory(node: Node | None, path: str) -> Node:
    """NODE, through which PATH leads. Raises OSError if it is none or no directory."""
    if node is None:
        refuse(errno.ENOENT, path)
    if not stat.S_ISDIR(node.mode):
        refuse(errno.ENOTDIR, path)
    return node


def holds(node: Node, other: Node) -> bool:
    """Whether OTHER, to which we came through it, is NODE or below it."""
    if node is other:
        return True
    return any(holds(entry, other) for entry in node.entries.values() if entry is not None)
