"""Functions that run programs: their output, whether they succeed, what modules say."""

import re

from agent import modules
from agent.functions.data_files import content
from agent.functions.files import isexecutable
from policy import values
from policy.errors import Failed
from policy.functions.arguments import integer, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.host.execute import Finished
    from policy.context import Context

_LIMIT = 100 * 1024 * 1024  # octets of output
_BLANK = " \t\n\r\v\f"
_AFTER_NUL = re.compile(rb"\0[^\n]*")


def _startable(ctx: "Context", function: str, command: str, shell: str) -> bool:
    """Whether COMMAND may be run; why not is logged."""
    if shell == "powershell":
        ctx.log("error", "Powershell is only supported on Windows")
        return False
    program = modules.program(command)
    if not program.startswith("/"):
        if shell == "noshell":
            ctx.log("error", f"{function} '{command}' does not have an absolute path")
        return shell != "noshell"
    if isexecutable(ctx, program):
        return True
    if ctx.host.stat(program) is None:
        ctx.log("error", f"Proposed executable file '{program}' doesn't exist")
    ctx.log("error", f"{function} '{command}' is assumed to be executable but isn't")
    return False


def _run(ctx: "Context", function: str, command: str, shell: str, output: str) -> "Finished":
    """COMMAND run to its end. Raises Failed."""
    if not _startable(ctx, function, command, shell):
        raise Failed(function)
    try:
        finished: Finished = ctx.host.execute(
            command, shell=shell != "noshell", merge=output == "both", limit=_LIMIT
        )
    except OSError as error:
        reason = error.strerror
        raise refusal(ctx, f"Couldn't open pipe to command '{command}'. ({reason})") from None
    return finished


def _heard(finished: "Finished", output: str) -> str:
    """What a program wrote to where OUTPUT says, without the blanks at its end.

    No line goes on after a byte 0.
    """
    said = finished.err if output == "stderr" else finished.out
    return values.text(_AFTER_NUL.sub(b"", said)).rstrip(_BLANK)


def execresult(ctx: "Context", command: str, shell: str, output: str = "both") -> str:
    """What COMMAND writes to OUTPUT (both, if not given), without blanks at the end.

    How it ends does not matter. With `useshell` /bin/sh reads COMMAND; with `noshell` it is an
    absolute path and words.
    Fails if it cannot be run.
    Example:
        execresult("/bin/echo hello", "noshell") -> "hello"
        execresult("echo one; echo two >&2", "useshell", "stderr") -> "two"
    """
    return _heard(_run(ctx, "execresult", command, shell, output), output)


def execresult_as_data(
    ctx: "Context", command: str, shell: str, output: str = "both"
) -> "dict[str, Any]":
    """What COMMAND writes (`output`) and how it ends (`exit_code`, -1 if a signal ended it).

    Arguments as of `execresult`.
    Fails if it cannot be run.
    Example:
        execresult_as_data("echo oops; exit 3", "useshell") -> {"exit_code":3,"output":"oops"}
    """
    finished = _run(ctx, "execresult_as_data", command, shell, output)
    return {"exit_code": max(finished.returncode, -1), "output": _heard(finished, output)}


def returnszero(ctx: "Context", command: str, shell: str) -> bool:
    """Whether COMMAND ends with status 0; one that a signal ended counts as if it did.

    With `useshell` /bin/sh reads COMMAND; with `noshell` it is an absolute path and words.
    Never fails: one that cannot be run is an error in the log and false.
    Example:
        returnszero("/bin/true", "noshell") -> true
        returnszero("exit 3", "useshell") -> false
    """
    if not _startable(ctx, "returnszero", command, shell):
        return False
    try:
        finished: Finished = ctx.host.execute(command, shell=shell != "noshell", limit=_LIMIT)
    except OSError as error:
        ctx.log("error", f"Couldn't open pipe to command '{command}'. ({error.strerror})")
        return False
    if (
        finished.out
        and ctx.agent is not None
        and (shell != "noshell" or ctx.agent.log.wants("info"))
    ):
        ctx.agent.log.show(values.text(finished.out))
    return finished.returncode <= 0


# modules


def usemodule(ctx: "Context", name: str, args: str) -> bool:
    """Run NAME of the directory `modules` and take in what it says; whether it ends with status 0.

    What it may say: see `read_module_protocol`. Run each time that it is asked for, so not in
    vars.
    Fails if it is missing, not ours or root's, or cannot be run.
    Example:
        usemodule("no-such-module", "") -> fails
    """
    path = f"{ctx.facts['workdir'].value}/modules/{name}"
    quoted = f'"{path}"'
    status = ctx.host.stat(path)
    if status is None:
        raise refusal(ctx, f"Plug-in module '{quoted}' not found")
    if status.st_uid not in (0, ctx.host.uid):
        raise refusal(
            ctx, f"Module '{quoted}' was not owned by uid {ctx.host.uid} who is executing agent"
        )
    command = f"{quoted} {args}"
    try:
        finished: Finished = ctx.host.execute(command)
    except OSError as error:
        reason = f"cf_popen: {error.strerror}"
        raise refusal(ctx, f"Couldn't open pipe from '{command}'. ({reason})") from None

    def say(line: str) -> None:
        if line.strip():
            ctx.log("info", f"M '{command}': {line}")

    modules.take(ctx, values.text(finished.out), command, say=say)
    if finished.returncode:
        ctx.log("error", f"Module '{command}' returned non-zero exit code {finished.returncode}")
    return finished.returncode == 0


def read_module_protocol(ctx: "Context", path: str) -> bool:
    r"""Take in what a file says in the language of modules.

    That is +class, -class, =name=text, @name={ "list" }, %name={"json": 1}, ^context=bundle, ...
    Variables are put into a bundle that is called as the file.
    Never fails: false if it cannot be read.
    Example:
        /tmp/facts holds "+tuned\n=level=high\n"
        classes:
          "read" expression => read_module_protocol("/tmp/facts");
        reports:
          tuned::
            "level $(facts.level)"; -> level high
    """
    try:
        text = values.text(content(ctx, path))
    except OSError:
        return False
    modules.take(ctx, text, path)
    return True


def getenv(ctx: "Context", name: str, limit: str) -> str:
    """The first LIMIT bytes of an environment variable of the agent, "" if it is not set.

    Never fails.
    Example:
        getenv("NO_SUCH_VARIABLE", 100) -> ""
    """
    value: str = ctx.host.environ.get(name, "")
    return values.text(values.octets(value)[: max(0, integer(ctx, limit))])


def registryvalue(ctx: "Context", key: str, name: str) -> str:
    r"""A value in the registry of Windows. There is none here.

    Fails always.
    Example:
        registryvalue("HKEY_LOCAL_MACHINE\SOFTWARE", "x") -> fails
    """
    raise Failed("registryvalue")
