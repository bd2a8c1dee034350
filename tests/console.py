"""Documents that are run: the commands of their `console` blocks, and what they say comes out.

A line that begins with `$ ` is a command, the lines up to the next one are its output, stdout and
stderr together. The directory HERE of a document is a private one; times are not compared.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from agent import links

if TYPE_CHECKING:
    from pathlib import Path

HERE = "/tmp/tour"  # noqa: S108  # only a name in documents
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^`(\S+)`:?\n\n```cf3\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = re.compile(r"\(\d+\.\d\d s\)")
MARK = "\x1e"


def steps(text: str) -> list[tuple[str, str]]:
    """The commands in the document TEXT with their outputs."""
    found: list[tuple[str, list[str]]] = []
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return [(command, "\n".join(lines).rstrip()) for command, lines in found]


def outputs(commands: list[str], directory: Path) -> list[str]:
    """What COMMANDS print in one shell whose HERE is DIRECTORY."""
    names, state = directory / "names", directory / "state"
    links.make(str(names))
    environ = {
        "PATH": f"{names}:{os.environ['PATH']}",
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "TROTH_WORKDIR": str(state),
        "TROTH_CACHE_DIR": str(directory / "cache"),
    }
    script = "".join([f"{command}\nprintf '{MARK}'\n" for command in commands])
    ran = subprocess.run(
        ["/bin/sh"],
        input=script.replace(HERE, str(state)),
        cwd=directory,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    printed = ran.stdout.replace(str(state), HERE).split(MARK)
    return [text.rstrip() for text in printed[: len(commands)]]


def timeless(text: str) -> str:
    """TEXT without what differs from run to run."""
    return SECONDS.sub("(0.00 s)", text)


def check(document: str, directory: Path) -> None:
    """Run the commands of DOCUMENT in DIRECTORY and compare what they print."""
    told = steps(document)
    assert told, "the document shows no command"
    printed = outputs([command for command, _ in told], directory)
    shown = [f"$ {command}\n{timeless(output)}" for command, output in told]
    seen = [
        f"$ {command}\n{timeless(output)}"
        for (command, _), output in zip(told, printed, strict=True)
    ]
    assert "\n".join(seen) == "\n".join(shown)
