"""`commands`: programs that are run, what they say, and what their return codes mean."""

import os

from agent.host.execute import QUOTES, split
from agent.outcome import Change, Outcome, Verdict, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.host.execute import Finished
    from agent.promise import Promise
    from agent.run import Run

TRUE = frozenset(("true", "yes"))
SHELL = frozenset(("useshell", "true", "yes", "on"))
UMASK = 0o077
# octets of output that one message holds
BLOCK = 4096
DIE = "cfengine-die"
PREVIEWS = (":silent:", ":inform:", ":verbose:", ":editverbose:", ":error:", ":logonly:")
COULD_NOT_START = 1
KIND, REGULAR = 0o170000, 0o100000
CODES = {
    # list in the classes body: how a code in it ends, what that is called, the level of the words
    "kept_returncodes": (Outcome.KEPT, "kept", "info"),
    "repaired_returncodes": (Outcome.REPAIRED, "repaired", "info"),
    "failed_returncodes": (Outcome.FAILED, "failed", "error"),
}


def commands(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the run of the command that is promised."""
    command = Command(promise, run)
    complaints = command.complaints()
    if complaints:
        for complaint in complaints[:-1]:
            run.log("error", complaint)
        yield failed(complaints[-1])
        return
    text = command.text
    run.log(command.level, f"Executing '{command.settings()}' ... '{text}'")
    yield Change(
        f"run '{text}'",
        "",
        command.perform,
        preview=lambda: text,
        dry=f"Would execute script '{text}'",
        warn=f"Command '{text}' needs to be executed, but only warning was promised",
        unknown=True,
    )
    for verdict in command.verdicts[1:]:
        yield Verdict(verdict.outcome)


class Command:
    """A command as promised: TEXT is what messages call it, VERDICTS what came of it."""

    __slots__ = ("contain", "gid", "level", "promise", "run", "shell", "text", "uid", "verdicts")

    def __init__(self, promise: "Promise", run: "Run") -> None:
        attributes = promise.attributes
        self.promise = promise
        self.run = run
        self.contain: dict[str, Any] = promise.body("contain") or _NOTHING
        self.shell = self.contain.get("useshell") in SHELL
        self.level = "info" if promise.truth("inform", default=True) else "verbose"
        self.text: str = promise.promiser
        if "args" in attributes:
            self.text = f"{self.text} {attributes['args']}"
        if "arglist" in attributes:
            self.text = " ".join([self.text, *_words(attributes["arglist"])])
        self.uid: int | None = None
        self.gid: int | None = None
        self.verdicts: list[Verdict] = []

    def truth(self, name: str, *, default: bool) -> bool:
        """The option NAME of `contain`."""
        value = self.contain.get(name)
        return default if value is None else value in TRUE

    @property
    def silent(self) -> bool:
        """Whether what it writes is not shown: by default if it speaks to us instead."""
        return self.truth("no_output", default=self.promise.truth("module"))

    def complaints(self) -> tuple[str, ...]:
        """Why it is not run, if it is not."""
        contain, promiser = self.contain, self.promise.promiser
        if contain:
            if self.silent and self.truth("preview", default=False):
                return ("no_output and preview are mutually exclusive (broken promise)",)
            if contain.get("useshell") == "powershell":
                return ("Powershell is only supported on Windows",)
            unknown = self._identity()
            if unknown:
                return (unknown,)
        if self.shell and not promiser.startswith(("/", '"/', "'/", "`/")):
            return ()
        reasons = refusal(promiser, self.run)
        if reasons is None:
            return ()
        if " " in promiser:
            self.run.log(
                "verbose",
                f'Paths with spaces must be inside escaped quoutes (e.g. \\"{promiser}\\")',
            )
        return (*reasons, f"'{promiser}' promises to be executable but isn't")

    def _identity(self) -> str:
        """Find who it runs as; what is wrong with that, or nothing."""
        host = self.run.host
        owner, group = self.contain.get("exec_owner"), self.contain.get("exec_group")
        if owner is not None:
            user = None if owner.isdigit() else host.user(owner)
            if user is None and not owner.isdigit():
                return f"Could not get UID for user '{owner}', (getpwnam: not found)"
            self.uid = int(owner) if user is None else user.pw_uid
        if group is not None:
            entry = None if group.isdigit() else host.group(group)
            if entry is None and not group.isdigit():
                return f"Could not get GID for group '{group}', (getgrnam: not found)"
            self.gid = int(group) if entry is None else entry.gr_gid
        return ""

    def settings(self) -> str:
        """Under which conditions it runs, in short."""
        limit = self.contain.get("exec_timeout")
        found = "no timeout" if limit is None else f"timeout={limit}s"
        if self.uid is not None:
            found += f",uid={self.uid}"
        if self.gid is not None:
            found += f",gid={self.gid}"
        return found

    def perform(self) -> Outcome:
        """Run it, say what it says, and judge how it ended."""
        log, text = self.run.log, self.text
        finished = self._finished()
        output = finished.out.decode("utf-8", "surrogateescape")
        if "\0" in output:
            output = "\n".join([line.partition("\0")[0] for line in output.split("\n")])
        if DIE in output:
            output = _until_death(output)
        count = self._heard(output) if output else 0
        code = finished.returncode
        if code < 0:
            promiser = self.promise.promiser
            message = f"Finished script '{promiser}' - failed (abnormal termination)"
            self.verdicts = [failed(message)]
        else:
            self.verdicts = judged(self.promise, code)
        for verdict in self.verdicts:
            log(verdict.level, verdict.message)
        if count:
            quote(output, text, self.run)
            log("info", f"Last {count} quoted lines were generated by promiser '{text}'")
        self.run.afterwards.append((self.level, f"Completed execution of '{text}'"))
        return self.verdicts[0].outcome

    def _finished(self) -> "Finished":
        """The end of it; one that cannot be started ends like one that fails at once."""
        host, contain = self.run.host, self.contain
        command: str | list[str] = self.text
        attributes = self.promise.attributes
        if not self.shell and "arglist" in attributes:
            plain = self.promise.promiser
            if "args" in attributes:
                plain = f"{plain} {attributes['args']}"
            command = [*split(plain), *_words(attributes["arglist"])]
        try:
            if not contain:
                return host.execute(command)
            limit = contain.get("exec_timeout")
            return host.execute(
                command,
                shell=self.shell,
                cwd=contain.get("chdir"),
                timeout=None if limit is None else int(limit),
                umask=int(str(contain["umask"]), 8) if "umask" in contain else UMASK,
                uid=self.uid,
                gid=self.gid,
                chroot=contain.get("chroot"),
            )
        except OSError as error:
            from agent.host.execute import Finished

            reason = error.strerror or str(error)
            what = f"run '{self.text}'. (execv"
            if contain and error.filename == contain.get("chdir"):
                what = f"chdir to '{error.filename}'. (chdir"
            self.run.log("error", f"Couldn't {what}: {reason})")
            return Finished(COULD_NOT_START, b"", b"", False)

    def _heard(self, output: str) -> int:
        """Obey what a module says, preview what wants to be; how many lines are to be quoted."""
        log, text = self.run.log, self.text
        if self.contain and self.truth("preview", default=False):
            for line in _lines(output):
                log("verbose", f"'{_unprefixed(line)}', preview of '{text}'")
        silent = self.silent
        if self.promise.truth("module"):
            from agent import modules

            say = None if silent else (lambda line: log("info", f"M '{text}': {line}"))
            modules.take(self.run.ctx, output.removesuffix("\n"), text, say=say)
        return 0 if silent else sum(1 for line in _lines(output) if line)


_NOTHING: "dict[str, Any]" = {}


def _words(value: "Any") -> tuple[str, ...]:
    """A list, or the one item that stands for it."""
    return (value,) if isinstance(value, str) else tuple(value)


def _lines(output: str) -> list[str]:
    """The lines of OUTPUT."""
    return output.removesuffix("\n").split("\n")


def _until_death(output: str) -> str:
    """The lines of OUTPUT before the one that asks to stop reading."""
    lines = _lines(output)
    end = next(at for at, line in enumerate(lines) if DIE in line)
    return "".join([f"{line}\n" for line in lines[:end]])


def _unprefixed(line: str) -> str:
    """LINE without what says how loud it should be."""
    for prefix in PREVIEWS:
        if line.startswith(prefix):
            return line[len(prefix) :]
    return line


def quote(output: str, command: str, run: "Run") -> None:
    """Print the lines of OUTPUT in as few messages as hold them."""
    space = command.find(" ")
    end = len(command) if space < 0 else space
    name = command[end - 10 if end >= 10 else 0 :][:15]
    block: list[str] = []
    size = 0
    for line in _lines(output):
        if not line:
            continue
        length = len(name) + len(line) + 12
        if length > BLOCK:
            run.log("notice", f"Q: '{name}': {line}")
            continue
        if size + length > BLOCK:
            run.log("notice", "\n".join(block))
            block, size = [], 0
        block.append(f'Q: "...{name}": {line}')
        size += length - 1
    if block:
        run.log("notice", "\n".join(block))


def refusal(command: str, run: "Run") -> tuple[str, ...] | None:
    """What speaks against the program that COMMAND begins with; None if it may be run."""
    first = split(command)[0] if command[:1] in QUOTES else command.split(None, 1)[0]
    host = run.host
    status = host.stat(first)
    if status is None or not first.startswith("/"):
        return (f"Proposed executable file '{first}' doesn't exist",)
    if status.st_mode & 0o002:
        return (
            f"SECURITY ALERT: promised executable '{first}' is world writable! ",
            "SECURITY ALERT: CFEngine will not execute this - requires human inspection",
        )
    regular = status.st_mode & KIND == REGULAR
    return None if regular and host.access(first, os.X_OK) else ()


def judged(promise: "Promise", code: int) -> list[Verdict]:
    """What the return CODE means to PROMISE: one verdict, or one for each list that CODE is in."""
    about = f"command related to promiser '{promise.promiser}'"
    classes = promise.attributes.get("classes")
    if not isinstance(classes, dict) or CODES.keys().isdisjoint(classes):
        if code == 0:
            return [Verdict(Outcome.REPAIRED, f"Finished {about} -- succeeded")]
        return [failed(f"Finished {about} -- an error occurred, returned {code}")]
    quiet = promise.type == "commands" and not promise.truth("inform", default=True)
    found = []
    about = f"Command related to promiser '{promise.promiser}' returned code '{code}'"
    for name, (outcome, word, level) in CODES.items():
        if str(code) in _words(classes.get(name, ())):
            level = "verbose" if quiet and level == "info" else level
            found.append(Verdict(outcome, f"{about} defined as promise {word}", level))
    if found:
        return found
    return [failed(f"{about} not defined as promise kept, not kept or repaired; setting to failed")]
