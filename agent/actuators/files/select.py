"""Which objects a search means: `file_select`, names that apply and an expression over them."""

import stat

from agent.actuators.files import modes
from agent.actuators.files.task import leaf_name, matching, words
from policy import classes
from policy.values import integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.host import Status
    from agent.run import Run
    from policy.classes import Expression

KINDS = {
    stat.S_IFREG: ("reg", "plain"),
    stat.S_IFDIR: ("dir",),
    stat.S_IFLNK: ("symlink",),
    stat.S_IFIFO: ("fifo",),
    stat.S_IFSOCK: ("socket",),
    stat.S_IFCHR: ("char",),
    stat.S_IFBLK: ("block",),
}
ENDLESS = 99_999_999_999
PROMISER = ("$(this.promiser)", "${this.promiser}")
# attribute: the name that it gives, in which the reference is not consistent
NAMES = {
    "leaf_name": "leaf_name",
    "path_name": "path_name",
    "search_owners": "owner",
    "search_groups": "group",
    "search_mode": "mode",
    "search_size": "size",
    "file_types": "file_types",
    "issymlinkto": "issymlinkto",
    "exec_regex": "exec_regex",
    "exec_program": "exec_program",
    "atime": "atime",
    "ctime": "ctime",
    "mtime": "mtime",
}
# what holds where nothing is asked
UNASKED = {
    "leaf_name": "leaf_name",
    "path_name": "leaf_path",
    "search_owners": "owner",
    "search_groups": "group",
}


class Selector:
    """A `file_select` body, read once, asked for many objects."""

    __slots__ = ("body", "criteria", "result", "run", "unasked")

    def __init__(self, body: "dict[str, Any]", run: "Run") -> None:
        self.body = body
        self.run = run
        self.result: Expression = classes.compiled(str(body["file_result"]))
        self.unasked = {name for criterion, name in UNASKED.items() if criterion not in body}
        self.criteria = [(NAMES[name], CRITERIA[name]) for name in NAMES if name in body]

    def selects(self, path: str, status: "Status") -> bool:
        """Whether PATH, which is as STATUS says, is meant."""
        names = set(self.unasked)
        names.update([name for name, met in self.criteria if met(self, path, status)])
        found = holds(self.result, names)
        self.run.log(
            "verbose",
            f"file_select result '{self.body['file_result']}' on '{path}' was "
            f"'{'true' if found else 'false'}'",
        )
        return found

    def wanted(self, name: str) -> tuple[str, ...]:
        """The list of the criterion NAME."""
        return words(self.body.get(name))

    def bounds(self, name: str) -> tuple[int, int]:
        """The two ends of the range NAME."""
        now = self.run.ctx.now
        low, high = [
            ENDLESS if end == "inf" else integer(end, now)
            for end in str(self.body[name]).split(",")
        ]
        return low, high

    def command(self, path: str) -> str:
        """The program to ask about PATH."""
        command = str(self.body.get("exec_program", ""))
        for reference in PROMISER:
            command = command.replace(reference, path)
        return command


def holds(expression: "Expression", names: set[str]) -> bool:
    """Whether EXPRESSION is true if nothing but NAMES is."""
    if type(expression) is str:
        return expression in names
    if type(expression) is bool:
        return expression
    operator, terms = expression[0], expression[1:]
    if operator == "&":
        return all(holds(term, names) for term in terms)
    if operator == "|":
        return any(holds(term, names) for term in terms)
    return not holds(terms[0], names)


def _meant(text: str, names: set[str]) -> bool:
    """Whether TEXT is an expression that NAMES make true."""
    try:
        return holds(classes.compiled(text), names)
    except classes.BadExpression:
        return False


def _leaf(selector: Selector, path: str, _status: "Status") -> bool:
    name = leaf_name(path)
    return any(matching(selector.run, each, name) for each in selector.wanted("leaf_name"))


def _path(selector: Selector, path: str, _status: "Status") -> bool:
    return any(matching(selector.run, each, path) for each in selector.wanted("path_name"))


def _belongs(run: "Run", patterns: tuple[str, ...], number: int, name: str | None) -> bool:
    """Whether one of PATTERNS is NUMBER or NAME, as a pattern or as an expression."""
    candidates = [str(number)] if name is None else [str(number), name]
    names = {str(number), name or "none"}
    return any(
        any(matching(run, pattern, each) for each in candidates) or _meant(pattern, names)
        for pattern in patterns
    )


def _owner(selector: Selector, _path: str, status: "Status") -> bool:
    user = selector.run.host.user(status.st_uid)
    wanted = selector.wanted("search_owners")
    return _belongs(selector.run, wanted, status.st_uid, None if user is None else user.pw_name)


def _group(selector: Selector, _path: str, status: "Status") -> bool:
    group = selector.run.host.group(status.st_gid)
    wanted = selector.wanted("search_groups")
    return _belongs(selector.run, wanted, status.st_gid, None if group is None else group.gr_name)


def _mode(selector: Selector, _path: str, status: "Status") -> bool:
    have = status.st_mode & modes.ALL
    for text in selector.wanted("search_mode"):
        try:
            if modes.applied(have, text) == have:
                return True
        except modes.Malformed:
            selector.run.log("error", f"Problem validating a mode string '{text}' in search filter")
    return False


def _size(selector: Selector, _path: str, status: "Status") -> bool:
    low, high = selector.bounds("search_size")
    return low <= status.st_size <= high


def _kind(selector: Selector, _path: str, status: "Status") -> bool:
    kinds = set(KINDS.get(stat.S_IFMT(status.st_mode), ()))
    return any(_meant(text, kinds) for text in selector.wanted("file_types"))


def _link_to(selector: Selector, path: str, status: "Status") -> bool:
    if not stat.S_ISLNK(status.st_mode):
        return False
    target = selector.run.host.readlink(path)
    return any(matching(selector.run, each, target) for each in selector.wanted("issymlinkto"))


def _says(selector: Selector, path: str, _status: "Status") -> bool:
    finished = selector.run.host.execute(selector.command(path))
    pattern = str(selector.body["exec_regex"])
    lines = finished.out.decode("utf-8", "surrogateescape").splitlines()
    return any(matching(selector.run, pattern, line) for line in lines)


def _succeeds(selector: Selector, path: str, _status: "Status") -> bool:
    return selector.run.host.execute(selector.command(path)).returncode == 0


def _time(name: str) -> "Callable[[Selector, str, Status], bool]":
    """The criterion that the time NAME lies between two others."""

    def met(selector: Selector, _path: str, status: "Status") -> bool:
        low, high = selector.bounds(name)
        return low < int(getattr(status, f"st_{name}")) < high

    return met


CRITERIA: "dict[str, Callable[[Selector, str, Status], bool]]" = {
    "leaf_name": _leaf,
    "path_name": _path,
    "search_owners": _owner,
    "search_groups": _group,
    "search_mode": _mode,
    "search_size": _size,
    "file_types": _kind,
    "issymlinkto": _link_to,
    "exec_regex": _says,
    "exec_program": _succeeds,
    "atime": _time("atime"),
    "ctime": _time("ctime"),
    "mtime": _time("mtime"),
}
