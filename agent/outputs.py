"""What runs said, in files: one a run that said something, `previous` is the last of them."""

import os
import time

from agent.schedule import spoken
from policy.values import canonify

KEPT = 30 * 24 * 3600  # seconds
PREFIX = "cf_"
LINK = "previous"


class Output:
    """The file of one run in DIRECTORY, made when there is something to write.

    It is called as that of cf-execd: for HOST, the second NOW at which the run began, and NUMBER.
    THERE is whether it was made.
    """

    def __init__(self, directory: str, host: str, now: float, number: int) -> None:
        moment = canonify(spoken(time.localtime(now)))
        self._directory = directory
        self.name = f"{PREFIX}{canonify(host)}__{int(now)}_{moment}_{number:#x}"
        self.there = False
        self._fd = -1
        self._rest = b""

    def lines(self, data: bytes) -> list[bytes]:
        """The lines that are whole with DATA, but for blank ones."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > 1 << 16:
            lines.append(self._rest)
            self._rest = b""
        return [line for line in lines if line.strip()]

    def write(self, lines: list[bytes]) -> None:
        """Write down LINES, but for those that say that nothing was to be done. Raises OSError."""
        told = [line for line in lines if not nothing(line)]
        if told:
            self._write(b"".join([line + b"\n" for line in told]))

    def close(self) -> None:
        """Write no more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            os.makedirs(self._directory, 0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(f"{self._directory}/{self.name}", flags, 0o600)
            self.there = True
            scratch = f"{self._directory}/.{LINK}.{os.getpid()}"
            os.symlink(self.name, scratch)
            os.replace(scratch, f"{self._directory}/{LINK}")
        os.write(self._fd, data)


def nothing(line: bytes) -> bool:
    """Whether LINE is the summary of a run that had nothing to do."""
    return line.startswith((b"converged: ", b"left alone: ")) and line.endswith(b" s)")


def prune(directory: str, now: float) -> list[OSError]:
    """Remove the outputs in DIRECTORY that are older than 30 days; what was in the way."""
    refusals = []
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [error]
    for name in names:
        path = f"{directory}/{name}"
        try:
            if name.startswith(PREFIX) and os.lstat(path).st_mtime < now - KEPT:
                os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            refusals.append(error)
    return refusals
