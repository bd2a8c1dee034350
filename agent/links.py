"""`troth links DIR`: the executable that starts fast, and the names that it answers to.

A script that pip makes imports `re` and all that Python's site brings along before the first line
of ours: twice the time of the interpreter itself. Ours starts Python isolated (no variable of the
environment and no file here can change what it imports) and without site, and in UTF-8
whatever the locale; `cli.launch` finds third-party packages when the first of them is needed.
"""

import os
import sys

from agent.cli import LINKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.log import Log
    from agent.options import Settings

EXECUTABLE = "troth"
MARK = "# made by 'troth links'"
FLAGS = "-ISXutf8"
LONGEST = 126  # octets that every kernel reads of a first line


class NotOurs(Exception):
    """Something in the way that troth did not make."""


def main(settings: "Settings", log: "Log") -> int:
    """Make the executable and its links in the directory that was named."""
    directory = os.path.abspath(settings.files[0])
    try:
        make(directory)
    except (OSError, NotOurs) as error:
        log("error", f"cannot make the links: {error}")
        return 1
    log.show(f"{directory}: {' '.join([EXECUTABLE, *LINKS])}")
    return 0


def make(directory: str) -> None:
    """Make or renew everything in DIRECTORY; nothing if something there is not ours."""
    os.makedirs(directory, exist_ok=True)
    executable = f"{directory}/{EXECUTABLE}"
    if os.path.lexists(executable) and not _is_launcher(executable):
        raise NotOurs(f"'{executable}' is there and is not ours")
    for name in LINKS:
        path = f"{directory}/{name}"
        if os.path.lexists(path) and not _is_link(path):
            raise NotOurs(f"'{path}' is there and is not ours")
    _replace(executable)
    for name in LINKS:
        path = f"{directory}/{name}"
        if not os.path.lexists(path):
            os.symlink(EXECUTABLE, path)


def launcher(python: str, root: str) -> str:
    """A script that starts troth, which lies in ROOT, with the interpreter PYTHON."""
    first = f"#!{python} {FLAGS}\n"
    if len(os.fsencode(first)) > LONGEST or any(char.isspace() for char in python):
        quoted = python.replace("'", "'\"'\"'")
        first = f"#!/bin/sh\n'''exec' '{quoted}' {FLAGS} \"$0\" \"$@\"\n' '''\n"
    return (
        f"{first}{MARK}\n"
        f"import sys\nsys.path.append({root!r})\n"
        "from agent.cli import launch\nlaunch()\n"
    )


def _replace(executable: str) -> None:
    """Write the launcher of this installation to EXECUTABLE, whole or not at all."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    scratch = f"{executable}.{os.getpid()}"
    try:
        with open(scratch, "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(launcher(sys.executable, root))
        os.chmod(scratch, 0o755)  # noqa: S103  # it is there to be run by all
        os.replace(scratch, executable)
    except OSError:
        if os.path.exists(scratch):
            os.unlink(scratch)
        raise


def _is_launcher(path: str) -> bool:
    """Whether PATH is a file that `launcher` made."""
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return MARK.encode() in file.read(4096)


def _is_link(path: str) -> bool:
    """Whether PATH is a link to the executable beside it."""
    return os.path.islink(path) and os.readlink(path) == EXECUTABLE
