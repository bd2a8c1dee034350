"""Finding objects: a tree (`depth_search`), or the paths that a pattern means."""

import stat

from agent.actuators.files.leaf import leaf
from agent.actuators.files.links import dead_link
from agent.actuators.files.task import joined, leaf_name, listed, matching, words
from agent.outcome import Outcome, Verdict, failed
from policy import regexp
from policy.values import integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.actuators.files.changes import Listing
    from agent.actuators.files.task import Steps, Task
    from agent.host import Status
    from agent.run import Run

DEEPEST = 100
SKIPPED = frozenset((".", "..", "lost+found", ".cfengine.rm"))


def entries(run: "Run", directory: str) -> list[str]:
    """The names in DIRECTORY that promises may be about. Raises OSError."""
    suspicious = words(run.control.get("suspiciousnames"))
    found = []
    for name in run.host.listdir(directory):
        if name in SKIPPED:
            continue
        if name == "...":
            run.log(
                "warning",
                f"Possible path traversal attempt detected in '{directory}/{name}', skipping",
            )
        elif name in suspicious and _is_file(run, f"{directory}/{name}"):
            run.log(
                "warning",
                f"Filename '{directory}/{name}' is classified as suspiscious, skipping",
            )
        else:
            found.append(name)
    return found


def _is_file(run: "Run", path: str) -> bool:
    """Whether PATH is a plain file or a link."""
    status = run.host.lstat(path)
    return status is not None and (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode))


class Walk:
    """A search through a tree: how deep, over which links and devices, where not."""

    __slots__ = ("depth", "device", "exclude", "include", "links", "task", "xdev")

    def __init__(self, task: "Task", device: int) -> None:
        body = task.body("depth_search") or {}
        self.task = task
        self.device = device
        self.depth = integer(str(body.get("depth", "0")))
        self.exclude = words(body.get("exclude_dirs"))
        self.include = words(body.get("include_dirs"))
        self.links = task.option("depth_search", "traverse_links")
        self.xdev = task.option("depth_search", "xdev")

    def below(self, directory: str, level: int = 0) -> "Steps":
        """Yield what it takes for all below DIRECTORY to be as promised, inner objects first."""
        if level > DEEPEST:
            yield Verdict(
                Outcome.WARNED,
                f"Very deep nesting of directories (>{level} deep) for '{directory}' "
                "(Aborting files)",
                "warning",
            )
            yield failed("")
            return
        try:
            names = entries(self.task.run, directory)
        except OSError as error:
            self.task.log(
                "info",
                f"Could not open existing directory '{directory}'. (opendir: {error.strerror})",
            )
            return
        listing = self._listing(directory)
        for name in names:
            path = joined(directory, name)
            status = self.task.host.lstat(path)
            if status is not None:
                met = yield from self._entry(path, status, level)
                if met is not None:
                    if listing is not None:
                        listing.meet(name)
                    yield from leaf(self.task, path, met)
        if listing is not None:
            yield from listing.recorded()

    def _listing(self, directory: str) -> "Listing | None":
        """What is to be told of the entries of DIRECTORY, if anything is."""
        if "changes" not in self.task.attributes:
            return None
        from agent.actuators.files import changes

        watching = changes.watch(self.task)
        return None if watching is None else changes.Listing(watching, directory)

    def _entry(self, path: str, status: "Status", level: int) -> "Steps":
        """Yield what it takes for all below PATH to be as promised.

        What PATH is, or leads to, if the promise is about PATH itself, too; None if it is not.
        """
        task = self.task
        if stat.S_ISLNK(status.st_mode):
            gone = yield from dead_link(task, path)
            if gone:
                return None
            if self.links:
                target = self._followed(path, status)
                if target is None:
                    return None
                status = target
        if self.xdev and status.st_dev != self.device:
            task.log(
                "verbose",
                f"Skipping '{path}' on different device - use xdev option to change this.",
            )
            return None
        if stat.S_ISDIR(status.st_mode):
            if self.pruned(path):
                return None
            if self.depth > 1 and level <= self.depth:
                task.log("verbose", f"Entering '{path}', level {level}")
                yield from self.below(path, level + 1)
        return status if task.selects(path, status) else None

    def _followed(self, path: str, status: "Status") -> "Status | None":
        """What the link PATH leads to; None if it is a stranger's or leads nowhere."""
        if status.st_uid not in (0, self.task.host.uid):
            self.task.log(
                "info",
                f"File '{path}' is an untrusted link: "
                "cfengine will not follow it with a destructive operation",
            )
            return None
        return self.task.host.stat(path)

    def pruned(self, path: str) -> bool:
        """Whether the directory PATH is to be left alone with all below it."""
        run = self.task.run
        if self.exclude and matches(run, self.exclude, path):
            self.task.log("verbose", f"Skipping matched excluded directory '{path}'")
            return True
        if self.include and not matches(run, self.include, path):
            self.task.log("verbose", f"Skipping matched non-included directory '{path}'")
            return True
        return False


def matches(run: "Run", patterns: tuple[str, ...], path: str) -> bool:
    """Whether one of PATTERNS is PATH or its last name."""
    return listed(run, patterns, path) or listed(run, patterns, leaf_name(path))


# promisers that are patterns


def is_pattern(path: str) -> bool:
    """Whether PATH looks like a pattern: an unescaped `*`, `+` or `[`, or `|` within brackets."""
    if not any(char in path for char in "*+[("):
        return False
    depth, found, escaped = 0, False, False
    for char in path:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in "*+[":
            found = True
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "|" and depth > 0:
            found = True
    return found


def spans_directories(path: str) -> bool:
    """Whether a group or a set of characters in the pattern PATH has a `/` in it."""
    square = round_ = 0
    for char in path:
        square += {"[": 1, "]": -1}.get(char, 0)
        round_ += {"(": 1, ")": -1}.get(char, 0)
        if char == "/" and (square or round_):
            return True
    return False


def paths(run: "Run", promiser: str) -> "Iterator[str] | None":
    """The paths that PROMISER means, level by level, in the order of the directories.

    None if it is no pattern.
    """
    if not is_pattern(promiser):
        return None
    if spans_directories(promiser):
        run.log(
            "error",
            f"Path regular expression {promiser} seems to use expressions containing "
            "the directory symbol /",
        )
        run.log("error", "Use a work-around to avoid pathological behaviour")
        return None
    return _expanded(run, "", [part for part in promiser.split("/") if part])


def _expanded(run: "Run", base: str, parts: list[str]) -> "Iterator[str]":
    """The paths below BASE that PARTS mean."""
    at = next((at for at, part in enumerate(parts) if is_pattern(part)), None)
    if at is None:
        yield "/".join([base, *parts])
        return
    directory = "/".join([base, *parts[:at]])
    try:
        names = entries(run, directory or "/")
    except OSError:
        yield "/".join([base, *parts])  # perhaps somebody wants to create it
        return
    for name in names:
        if matching(run, parts[at], name):
            yield from _expanded(run, f"{directory}/{name}", parts[at + 1 :])


def remember(run: "Run", pattern: str, path: str) -> None:
    """Let `$(match.N)` be what the groups of PATTERN are in PATH."""
    from policy.context import Scope, Variable

    found = regexp.search(pattern, path)
    groups = run.ctx.scopes["match"] = Scope()
    for number in range(found.groups + 1 if found is not None else 0):
        group = found.group(number) if found is not None else None
        if group is not None:
            groups.plain[str(number)] = Variable(group, "string")
