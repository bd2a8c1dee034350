"""Parsed policy, kept on disk: one file a unit, found by the content of its source.

marshal trusts its input, so a stored file is used only if it lies in a directory of ours that
nobody else may enter, opens without following links, and is ours alone to write.
"""

import marshal
import os
import stat
import sys
import time
from _blake2 import blake2b

from policy import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 3
HEADER = f"troth {VERSION} unit {FORMAT} {sys.implementation.cache_tag}\n".encode()
DAY = 24 * 60 * 60
UNUSED = 30 * DAY  # a unit that nobody read for so long goes
SWEPT = "swept"  # when its file was written, units were last looked through
CHECK = 16  # octets of hash in front of a stored unit


def directory(environ: "dict[str, str]", uid: int) -> str:
    """Where units are kept: TROTH_CACHE_DIR, or what is usual for this user."""
    chosen = environ.get("TROTH_CACHE_DIR")
    if chosen:
        return chosen
    if uid == 0:
        return "/var/cache/troth"
    base = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME", "/"), ".cache")
    return os.path.join(base, "troth")


def digest(*parts: bytes) -> str:
    """The name of what PARTS are."""
    total = blake2b(digest_size=24)
    for part in parts:
        total.update(b"%d:" % len(part))
        total.update(part)
    return total.hexdigest()


def _check(data: bytes) -> bytes:
    """What DATA must hash to, so that a damaged file is noticed."""
    return blake2b(data, digest_size=CHECK).digest()


class Cache:
    """The units under ROOT; it gives nothing and takes nothing if ROOT cannot be trusted."""

    def __init__(self, root: str, uid: int) -> None:
        self._units = os.path.join(root, "units")
        self._uid = uid
        self._trusted: bool | None = None

    def _ours(self, found: os.stat_result, forbidden: int) -> bool:
        return found.st_uid == self._uid and not found.st_mode & forbidden

    def _usable(self) -> bool:
        """Whether the directory is ours alone; looked at once a run."""
        if self._trusted is None:
            try:
                found = os.lstat(self._units)
            except OSError:
                return False
            self._trusted = stat.S_ISDIR(found.st_mode) and self._ours(found, 0o077)
        return self._trusted

    def get(self, name: str) -> "dict[str, Any] | None":
        """The unit NAME, or None if there is none that may be trusted."""
        if not self._usable():
            return None
        try:
            opened = os.open(os.path.join(self._units, name), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode) or not self._ours(found, 0o022):
                return None
            data = os.read(opened, found.st_size)
        finally:
            os.close(opened)
        start = len(HEADER) + CHECK
        if not data.startswith(HEADER) or _check(data[start:]) != data[len(HEADER) : start]:
            return None
        unit: dict[str, Any] = marshal.loads(memoryview(data)[start:])
        return unit

    def put(self, name: str, unit: "dict[str, Any]") -> None:
        """Store UNIT under NAME; where that cannot be done, the next run parses again."""
        try:
            os.makedirs(self._units, mode=0o700, exist_ok=True)
        except OSError:
            return
        if not self._usable():
            return
        target = os.path.join(self._units, name)
        scratch = f"{target}.{os.getpid()}"
        try:
            opened = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        try:
            with open(opened, "wb") as file:
                data = marshal.dumps(unit)
                file.write(HEADER + _check(data) + data)
            os.rename(scratch, target)
        except OSError:
            os.unlink(scratch)
        else:
            self._sweep(time.time())

    def _sweep(self, now: float) -> None:
        """Once a day, remove units that were not used for long and what broken runs left."""
        mark = os.path.join(self._units, SWEPT)
        try:
            if _idle(os.lstat(mark), now) < DAY:
                return
        except OSError:
            pass  # never swept so far
        try:
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            os.utime(mark, (now, now))
            names = os.listdir(self._units)
        except OSError:
            return
        for name in names:
            path = os.path.join(self._units, name)
            limit = DAY if name.rpartition(".")[2].isdigit() else UNUSED
            try:
                if name != SWEPT and _idle(os.lstat(path), now) > limit:
                    os.unlink(path)
            except OSError:
                continue  # another run was faster


def _idle(found: os.stat_result, now: float) -> float:
    """For how many seconds a file was neither read nor written."""
    return now - max(found.st_atime, found.st_mtime)
