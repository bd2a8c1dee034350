"""Modules of custom promise types: one child a module, what is asked of it and what it answers.

Both sides begin with a header; then each question and each answer ends with an empty line. Which
protocol a module speaks, lines of `key=value` or JSON, it says in its header.
"""

from agent.host import Host
from agent.log import LEVELS
from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.host.execute import Child
    from agent.log import Log

    Heard = Callable[[str, str], None]

KIND, REGULAR, EXECUTE = 0o170000, 0o100000, 1
PATIENCE = 5.0  # seconds for a module to end after it was asked to
LINES, JSON = "line_based", "json_based"


class Broken(Exception):
    """A module that cannot be started or understood. The message is what the promise says of it."""


class Module:
    """A module that runs: its CHILD, whether it answers in JSON, what else it can do."""

    __slots__ = ("broken", "child", "features", "interpreter", "json", "path")

    def __init__(self, child: "Child", path: str, interpreter: str | None) -> None:
        self.child = child
        self.path = path
        self.interpreter = interpreter
        self.json = False
        self.features: tuple[str, ...] = ()
        self.broken = ""

    @property
    def command(self) -> str:
        """The command line that it was started with."""
        return self.path if self.interpreter is None else f"{self.interpreter} {self.path}"

    def greet(self, version: str, log: "Log") -> None:
        """Exchange headers. Raises Broken."""
        self.write(f"cf-agent {version} v1\n\n")
        header = text(self.child.readline()).rstrip("\n")
        words = header.split()
        if not header:
            raise Broken(f"Did not receive header from promise module '{self.path}'")
        if len(words) < 3 or words[2] != "v1":
            raise Broken(f"Promise module '{self.command}' sent an invalid header: '{header}'")
        after = text(self.child.readline())
        if after != "\n":
            raise Broken(
                f"Promise module '{self.command}' failed to send empty line after header: "
                f"'{after.rstrip()}'"
            )
        self.features = tuple(words[3:])
        self.json = JSON in words[3:]
        if self.json and LINES in self.features:
            log(
                "warning",
                f"Ambiguous protocol specification from the custom promise module '{self.path}'. "
                "Please report this as a bug in the module",
            )
        elif not self.json and LINES not in self.features:
            log(
                "warning",
                f"Custom promise module '{self.path}' didn't fully specify protocol. "
                f"Using '{LINES}' as the default. Please report this as a bug in the module",
            )

    def write(self, said: str) -> None:
        """Say SAID to it; that it does not listen any more shows when its answer is read."""
        try:
            self.child.write(octets(said))
        except BrokenPipeError:
            return

    def ask(self, question: "dict[str, Any]", heard: "Heard") -> "dict[str, Any]":
        """Its answer to QUESTION; what it logs meanwhile goes to HEARD. Raises Broken."""
        if not self.broken:
            try:
                self.write(json_request(question) if self.json else line_request(question))
                return self._answer(heard)
            except Broken as complaint:
                if str(complaint):
                    heard("error", str(complaint))
                self.child.kill()
                self.broken = (
                    f"The '{self.path}' promise module sent an invalid/incomplete response with "
                    f"{'JSON' if self.json else 'line'} based protocol"
                )
        raise Broken(self.broken)

    def _answer(self, heard: "Heard", timeout: float | None = None) -> "dict[str, Any]":
        """What it says up to an empty line. Raises Broken."""
        answer: list[str] = []
        while True:
            line = text(self.child.readline(timeout))
            if not line.endswith("\n"):
                raise Broken
            line = line[:-1]
            if not line:
                break
            level, is_pair, message = line.removeprefix("log_").partition("=")
            if is_pair and line.startswith("log_") and level in LEVELS:
                heard(level, message)
            else:
                answer.append(line)
        return self._parsed(answer, heard)

    def _parsed(self, lines: list[str], heard: "Heard") -> "dict[str, Any]":
        """The answer in LINES. Raises Broken."""
        if not self.json:
            found: dict[str, Any] = {}
            for line in lines:
                key, is_pair, value = line.partition("=")
                if not is_pair:
                    raise Broken(f"Promise module sent invalid line: '{line}'")
                found[key] = value
            return found
        import json

        try:
            answer = json.loads("\n".join(lines))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Broken(f"Promise module '{self.path}' sent invalid JSON")
        for entry in answer.get("log", ()):
            if isinstance(entry, dict) and entry.get("level") in LEVELS:
                heard(entry["level"], str(entry.get("message", "")))
        return answer

    def end(self, log: "Log") -> None:
        """Ask it to end, and see to it that it does."""
        if not self.broken:
            question = {"operation": "terminate"}
            self.write(json_request(question) if self.json else line_request(question))
            try:
                self._answer(log, PATIENCE)
            except (Broken, TimeoutError):
                log("verbose", f"Promise module '{self.path}' did not answer that it ends")
        self.child.leave(PATIENCE)


def line_request(question: "dict[str, Any]") -> str:
    """QUESTION in lines of `key=value`, its attributes after the rest."""
    lines = [f"{key}={value}\n" for key, value in question.items() if key != "attributes"]
    attributes = question.get("attributes", {})
    lines += [f"attribute_{name}={value}\n" for name, value in attributes.items()]
    return "".join([*lines, "\n"])


def json_request(question: "dict[str, Any]") -> str:
    """QUESTION as one line of JSON."""
    import json

    told = json.dumps(question, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{told}\n\n"


def speakable(question: "dict[str, Any]") -> bool:
    """Whether lines of `key=value` can hold QUESTION: plain texts of one line each."""
    told = [*question.values(), *question.get("attributes", {}).values()]
    return not any("\n" in value for value in told if isinstance(value, str))


def start(path: str, interpreter: str | None, host: Host, version: str, log: "Log") -> Module:
    """Start the module PATH and exchange headers with it. Raises Broken.

    It is started by the real host even in a plan, where it is only asked what it would do.
    """
    if interpreter is not None and not _executable(interpreter, host):
        raise Broken(f"Promise module interpreter '{interpreter}' is not an executable file")
    if interpreter is None and not _executable(path, host):
        raise Broken(f"Promise module path '{path}' is not an executable file")
    if not host.exists(path):
        raise Broken(f"Promise module '{path}' does not exist")
    log.flush()
    words = [path] if interpreter is None else [interpreter, path]
    try:
        child = Host.start(host, words, loud=True)
    except OSError as error:
        raise Broken(f"Could not start promise module '{path}'. ({error.strerror})") from None
    module = Module(child, path, interpreter)
    try:
        module.greet(version, log)
    except Broken:
        child.kill()
        child.leave(PATIENCE)
        raise
    return module


def _executable(path: str, host: Host) -> bool:
    """Whether PATH is a file that may be executed."""
    status = host.stat(path)
    return status is not None and status.st_mode & KIND == REGULAR and host.access(path, EXECUTE)
