"""Documents that are run: the commands of their `console` blocks, and what they say comes out.

A line that begins with `$ ` is a command, the lines up to the next one are its output, stdout and
stderr together. The directory HERE of a document is a private one; times are not compared. Files
that the document shows in `cf3` blocks under their name, and those beside it, are there.

`python -m tests.console FILE...` writes into documents what their commands print now: read it
before you keep it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agent import links

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
    state.mkdir(mode=0o700)
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


def furnish(document: Path, directory: Path) -> None:
    """Put into DIRECTORY what the commands of DOCUMENT work on."""
    for file in document.parent.iterdir():
        if file.suffix in (".cf", ".json"):
            shutil.copyfile(file, directory / file.name)
    for name, text in FILE.findall(document.read_text()):
        (directory / name).write_text(text)
    for file in directory.iterdir():
        file.chmod(0o600)


def compare(document: Path, directory: Path) -> tuple[str, str]:
    """What the commands of DOCUMENT print in DIRECTORY, and what it says that they print."""
    told = steps(document.read_text())
    furnish(document, directory)
    printed = outputs([command for command, _ in told], directory)
    seen = [f"$ {command}\n{output}" for (command, _), output in zip(told, printed, strict=True)]
    shown = [f"$ {command}\n{output}" for command, output in told]
    return timeless("\n".join(seen)), timeless("\n".join(shown))


def record(document: Path, directory: Path) -> None:
    """Write into DOCUMENT what its commands print."""
    furnish(document, directory)
    commands = [command for command, _ in steps(document.read_text())]
    texts = outputs(commands, directory)
    if any("Traceback" in text for text in texts):
        sys.exit(f"{document}: a command breaks; nothing was written")
    printed = iter(texts)

    def block(found: re.Match[str]) -> str:
        lines = [line for line in found[1].splitlines() if line.startswith("$ ")]
        told = [f"{line}\n{next(printed)}".rstrip() for line in lines]
        return "\n".join(["```console", *told, "```"])

    document.write_text(BLOCK.sub(block, document.read_text()))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as scratch:
            record(Path(name), Path(scratch))
