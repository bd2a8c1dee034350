"""The audit log of a host: what peers did and were refused, and what changed in whom it trusts.

One JSON object a line (server/SIGNALS.md §7); `chain` ties each line to all before it. A log that
is large is moved to `audit.jsonl.1`; one that was moved away goes on in a new file, with the next
number.
"""

import json
import os
import time
from contextlib import suppress
from errno import ENOSPC
from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

GENESIS = "0" * 64
SEAL = ',"chain":"'
LARGEST = 64 << 20  # octets in one file
TAIL = 1 << 16  # octets at the end, in which the last line is
LASTING = frozenset(
    ("start", "trust", "enrol", "rotate", "revoke", "rollback", "equivocation")
)  # fmt: skip


class Audit:
    """The log at PATH; CLOCK gives the time. What cannot be written is said to LOG, once."""

    def __init__(
        self, path: str, clock: "Callable[[], float]", log: "Callable[[str, str], None]"
    ) -> None:
        self._path = path
        self._clock = clock
        self._log = log
        self._fd = -1
        self._number, self._chain = 0, GENESIS
        self._mute = False
        self._open()

    def __call__(self, event: str, **fields: object) -> None:
        """Write that EVENT happened; FIELDS that are empty say nothing."""
        self._number += 1
        line = {
            "n": self._number,
            "wall": round(self._clock(), 3),
            "monotonic": round(time.monotonic(), 3),
            "event": event,
            **{name: value for name, value in fields.items() if value not in ("", 0, None)},
        }
        text = json.dumps(line, separators=(",", ":"))
        self._chain = _sealed(self._chain, text)
        try:
            if self._fd >= 0 and os.fstat(self._fd).st_size >= LARGEST:
                with suppress(FileNotFoundError):  # it was moved away, and nobody said so
                    os.replace(self._path, f"{self._path}.1")
                self.close()
            if self._fd < 0:
                self._open()
            whole = f'{text[:-1]}{SEAL}{self._chain}"}}\n'.encode()
            if os.write(self._fd, whole) < len(whole):
                self.close()  # the next line begins behind the end of this one
                raise OSError(ENOSPC, os.strerror(ENOSPC))
            if event in LASTING:
                os.fsync(self._fd)
            self._mute = False
        except OSError as error:
            if not self._mute:
                self._log("error", f"cannot write '{self._path}': {error.strerror}")
            self._mute = True

    def reopen(self) -> None:
        """Write from now on to what is called so now."""
        self.close()
        self._open()

    def close(self) -> None:
        """Write no more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            self._fd = os.open(self._path, flags, 0o600)
            size = os.fstat(self._fd).st_size
            tail = os.pread(self._fd, TAIL, max(0, size - TAIL))
            if tail and not tail.endswith(b"\n"):
                os.write(self._fd, b"\n")  # we were stopped in the middle of a line
            if not tail and not self._number:
                tail = _end(f"{self._path}.1")
        except OSError as error:
            if not self._mute:
                self._log("error", f"cannot open '{self._path}': {error.strerror}")
            self._mute = True
            return
        for line in reversed(tail.splitlines()):
            found = _parsed(line.decode("utf-8", "replace"))
            if found is not None:
                self._number = max(self._number, found["n"])
                self._chain = found["chain"]
                return


def _end(path: str) -> bytes:
    """The end of the file PATH, nothing if there is none. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, TAIL, max(0, os.fstat(descriptor).st_size - TAIL))
    finally:
        os.close(descriptor)


def _sealed(chain: str, text: str) -> str:
    """The chain after the line TEXT."""
    return blake2b(bytes.fromhex(chain) + text.encode(), digest_size=32).hexdigest()


def _parsed(line: str) -> "dict[str, Any] | None":
    """The LINE, if it is one."""
    try:
        found = json.loads(line)
        if len(bytes.fromhex(found["chain"])) == 32 and type(found["n"]) is int:
            return dict(found)
    except (ValueError, KeyError, TypeError):
        pass
    return None


def verify(lines: "Iterable[str]") -> tuple[int, list[str]]:
    """How many of LINES there are, and what is wrong: changed, missing, or cut short.

    What precedes the first line cannot be told from here.
    """
    count, number, chain = 0, None, None
    wrong: list[str] = []
    for position, line in enumerate(lines, 1):
        found = _parsed(line)
        if found is None:
            wrong.append(f"line {position}: this is no line of the log")
            continue
        count += 1
        text = f"{line.rstrip()[: line.rindex(SEAL)]}}}"
        if number is not None and found["n"] != number + 1:
            wrong.append(f"line {position}: number {found['n']} follows {number}")
        before = chain if chain is not None else (GENESIS if found["n"] == 1 else None)
        if before is not None and _sealed(before, text) != found["chain"]:
            wrong.append(f"line {position}: it, or what precedes it, was changed")
        number, chain = found["n"], found["chain"]
    return count, wrong
