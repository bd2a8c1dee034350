"""Package modules: where they are, what they are asked, what they answer.

A module is started anew for each command. It is told lines of `Key=Value` and answers with such.
"""

import os

from agent.actuators.packages.lists import INSTALLED, UPDATES, lists
from agent.host import Host
from policy.plan import Linked, evaluated
from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agent.actuators.packages.lists import Row
    from agent.host.execute import Finished
    from agent.run import Run

    Pairs = list[tuple[str, str]]

API = "1"
ERRORS = ("Error", "ErrorMessage")
KEYS = frozenset(("Name", "Version", "Architecture"))
PATIENCE = 600  # seconds that a module has for one answer


class Broken(Exception):
    """A module that cannot be used, or what went wrong in it; "" if that is said already."""


class Module:
    """The package module NAME as its body DECLARED it."""

    __slots__ = ("_installed_age", "_updates_age", "interpreter", "name", "options", "path", "run")

    def __init__(self, name: str, declared: "dict[str, Any]", run: "Run") -> None:
        self.name = name
        self.run = run
        self.path: str = declared.get("module_path") or f"{run.workdir}/modules/packages/{name}"
        self.interpreter: str | None = declared.get("interpreter")
        self.options = [f"options={it}" for it in _items(declared.get("default_options", ()))]
        self._installed_age = _minutes(declared.get("query_installed_ifelapsed"))
        self._updates_age = _minutes(declared.get("query_updates_ifelapsed"))

    def check(self) -> None:
        """Raise Broken if it cannot be used."""
        if self.interpreter is not None:
            self._usable("module interpreter", self.interpreter, os.X_OK, "the file")
        mode = os.R_OK if self.interpreter is not None else os.X_OK
        self._usable("module", self.path, mode, "file")
        try:
            finished = self._asked("supports-api-version", ())
            version = "-1" if finished.returncode else text(finished.out).partition("\n")[0]
        except OSError:
            version = "-1"
        if version == "-1":
            self.run.log("info", "Error occurred while getting supported API version.")
        if version != API:
            raise Broken(f"Unsupported package module wrapper API version: {version}")

    def _usable(self, what: str, path: str, mode: int, it: str) -> None:
        """Raise Broken if PATH is not there for us."""
        host = self.run.host
        status = host.stat(path)
        if status is not None and host.access(path, mode):
            return
        reason = "No such file or directory" if status is None else "Permission denied"
        raise Broken(
            f"Cannot find package {what} at location '{path}' or access to {it} is restricted: "
            f"{reason}"
        )

    def take_stock(self) -> None:
        """Bring its lists up to date where they are too old. Raises Broken."""
        wanted = (
            (INSTALLED, "list-installed", self._installed_age),
            (UPDATES, "list-updates-local", self._updates_age),
        )
        known, trusting = lists(self.run), not self.run.settings.no_locks
        old = [
            (f"{kind}{self.name}", command)
            for kind, command, age in wanted
            if known.recent(f"{kind}{self.name}", age, trusting=trusting) is None
        ]
        if old:
            self.check()
        for name, command in old:
            known.keep(name, self._listed(command))

    def _listed(self, command: str) -> "list[Row]":
        """What it lists when asked COMMAND. Raises Broken."""
        self.run.log("verbose", f"asking package module '{self.path}' to {command}")
        try:
            return _rows(self._answer(command, "updating packages cache"))
        except Broken:
            self.run.log("info", "Error updating packages cache.")
            raise Broken("Can not update cache.") from None

    def _asked(self, command: str, told: "Iterable[str]") -> "Finished":
        """The end of it when asked COMMAND. It is real in a plan too, where it is only asked."""
        self.run.log.flush()  # it may write to our stderr
        words = [self.path, command]
        if self.interpreter is not None:
            words.insert(0, self.interpreter)
        child = Host.start(self.run.host, words, loud=True)
        stdin = octets("".join([f"{line}\n" for line in told]))
        return child.finish(stdin=stdin, timeout=PATIENCE)

    def _answer(self, command: str, doing: str) -> "Pairs":
        """What it answers; its errors are logged. Raises Broken."""
        log = self.run.log
        try:
            finished = self._asked(command, self.options)
            failed = finished.returncode != 0
        except OSError:
            failed = True
        if failed:
            doing = f"communicating with package module while {doing}"
            log("info", f"Some error occurred while {doing}.")
            raise Broken
        pairs: Pairs = []
        broken = False
        for line in text(finished.out).splitlines():
            key, is_pair, value = line.partition("=")
            if key in ERRORS:
                log("error", f"package module: {line}")
                broken = True
            elif is_pair and key in KEYS:
                pairs.append((key, value))
            elif line:
                log("error", f"Unsupported response from package module: {line}")
                broken = True
        if broken:
            raise Broken
        return pairs


def _rows(pairs: "Pairs") -> "list[Row]":
    """The packages that PAIRS list: each begins with its name. Raises Broken."""
    found: list[dict[str, str]] = []
    for key, value in pairs:
        if key == "Name":
            found.append({})
        elif not found:
            raise Broken
        found[-1][key] = value
    return [(row["Name"], row.get("Version", ""), row.get("Architecture", "")) for row in found]


def _items(value: "Any") -> tuple[str, ...]:
    """A list, or the one item that stands for it."""
    return (value,) if isinstance(value, str) else tuple(value)


def _minutes(text: "Any") -> int:
    return int(text) if isinstance(text, str) and text.isdigit() else 0


def named(name: str, run: "Run") -> Module | None:
    """The module that the body NAME declares, None if there is no such body."""
    space, _, base = name.rpartition(":")
    body = run.plan.bodies.get(("package_module", space or "default", base))
    if body is None:
        return None
    return Module(base, evaluated(Linked(base, body.attributes), run.ctx), run)


def inventory(run: "Run") -> list[str]:
    """The modules of `package_inventory` by name, their lists brought up to date once a run."""
    names = _items(run.control.get("package_inventory", ()))
    if not lists(run).stocked:
        lists(run).stocked = True
        for name in names:
            _take_stock(name, run)
    return [name.rpartition(":")[2] for name in names]


def _take_stock(name: str, run: "Run") -> None:
    module = named(name, run)
    if module is None:
        run.log("error", f"there is no body package_module '{name}' for the inventory")
        return
    try:
        module.take_stock()
    except Broken as broken:
        run.log("error", str(broken) or f"package module '{name}' cannot list packages")
