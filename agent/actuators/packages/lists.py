"""The lists of packages that one run knows, and that the next ones may rely on.

A list lives on in a file of the state directory, one line `name,version,architecture` a package;
its age is that of the file. A dry run and a plan read these files and do not write them.
"""

from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.run import Run

    Row = tuple[str, str, str]

INSTALLED, UPDATES = "packages_installed_", "packages_updates_"  # and the name of the module


class Lists:
    """The lists that are known to RUN, by name."""

    __slots__ = ("_known", "_run", "stocked")

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._known: dict[str, list[Row]] = {}
        self.stocked = False  # whether the inventory was taken in this run

    def recent(self, name: str, minutes: int, *, trusting: bool = True) -> "list[Row] | None":
        """The list NAME if it was made in this run or, if TRUSTING, at most MINUTES ago."""
        if name not in self._known and trusting:
            status = self._run.host.stat(self._path(name))
            if status is not None and (self._run.settings.now - status.st_mtime) // 60 < minutes:
                self._known[name] = self._read(name)
        return self._known.get(name)

    def last(self, name: str) -> "list[Row] | None":
        """The list NAME however old it is, None if there is none."""
        if name not in self._known:
            try:
                return self._read(name)
            except FileNotFoundError:
                return None
        return self._known[name]

    def modules(self, kind: str) -> list[str]:
        """The modules that made a list of this KIND."""
        try:
            names = self._run.host.listdir(f"{self._run.workdir}/state")
        except OSError:
            names = []
        names += self._known
        return sorted({name.removeprefix(kind) for name in names if name.startswith(kind)})

    def keep(self, name: str, found: "list[Row]") -> None:
        """Let FOUND be the list NAME from now on. If it cannot be written it is only forgotten."""
        self._known[name] = found
        if self._run.dry or self._run.planned is not None:
            return
        content = octets("".join([",".join(row) + "\n" for row in found]))
        try:
            self._run.host.write(self._path(name), content, mode=0o600)
        except OSError as error:
            self._run.log("verbose", f"cannot remember packages in '{name}': {error}")

    def _path(self, name: str) -> str:
        return f"{self._run.workdir}/state/{name}"

    def _read(self, name: str) -> "list[Row]":
        return rows(text(self._run.host.read(self._path(name))))


def lists(run: "Run") -> Lists:
    """The lists of RUN, made when first asked for."""
    if run.packages is None:
        run.packages = Lists(run)
    return run.packages


def rows(content: str) -> "list[Row]":
    """The packages that the lines of CONTENT are about."""
    found = []
    for line in content.splitlines():
        name, *rest = line.rsplit(",", 2)
        if len(rest) == 2:
            found.append((name, rest[0], rest[1]))
    return found
