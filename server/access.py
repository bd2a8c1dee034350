"""Who may have what: decisions about the grants of one policy. Pure: no file, no socket, no clock.

Denied unless admitted. Of paths the longest that policy names decides; for names each grant that
matches counts, and a denial among them is final. Texts from the network are looked up and matched,
never expanded as policy and never run as patterns.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import product
from typing import Any, Literal, NamedTuple, TypeAlias

from server import who
from server.grants import Control, Document, Grant, read
from server.who import Answer, Peer, Subject, Tests

Kind: TypeAlias = Literal["path", "literal", "context", "variable", "query", "bundle", "role"]

PATTERNS = frozenset(("context", "bundle", "role"))  # what regular expressions name
VALUED = frozenset(("literal", "variable"))
DOORS = (
    "allowallconnects",
    "allowconnects",
    "allowlegacyconnects",
    "denyconnects",
    "trustkeysfrom",
)
NAMED = frozenset(("role", "bundle"))  # what becomes an argument of a command, in the end
OF_ARGUMENTS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:")
LONGEST = 4096  # octets of a path, and more than any other name may have
REMEMBERED = 4096  # decisions
SORTS = 65536  # names whose rules are remembered
SORTED = 16384  # decisions about them


class Decision(NamedTuple):
    """Whether it is allowed; why, for our log and never for the peer; and by which promise."""

    allowed: bool
    reason: str
    rule: str = ""  # file:line


class Rule:
    """One promise of the policy, ready to be asked.

    OWN: its promiser has variables of the connection. Then those in its lists mean the peer, and
    only they, or patterns that match them as they are written, admit anybody.
    """

    __slots__ = ("admits", "denies", "matches", "name", "own", "place")

    def __init__(self, name: str, place: str, admits: Tests, denies: Tests = ()) -> None:
        self.name = name
        self.place = place
        self.admits = admits
        self.denies = denies
        self.matches: Callable[[str], Answer] = who.unsaid
        self.own = False

    def denial(self, subject: Subject) -> Decision | None:
        """That it denies SUBJECT, or may mean to."""
        item = who.denied(self.denies, subject)
        if self.own and item is None:
            item = who.denied(self.denies, subject.itself())
        return None if item is None else Decision(False, f"denied by '{item}'", self.place)

    def admission(self, subject: Subject) -> Decision | None:
        """That it admits SUBJECT."""
        item = who.admitted(self.admits, subject.itself() if self.own else subject)
        return None if item is None else Decision(True, f"admitted by '{item}'", self.place)


Sort: TypeAlias = "tuple[tuple[Rule, ...], tuple[Rule, ...]]"  # those that deny, that admit
NOBODYS: Sort = ((), ())


class Grants:
    """What one policy grants. Replaced as a whole when policy changes; for one thread."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.warnings: list[str] = []  # for the log of whoever loads these
        self.shortcuts: dict[str, str] = {}
        self._exact: dict[tuple[str, str], list[Rule]] = {}
        self._patterns: dict[str, list[Rule]] = {kind: [] for kind in PATTERNS}
        self._moving: list[Rule] = []  # paths with variables of the connection
        self._values: dict[tuple[str, str], Any] = {}
        for grant in document.access:
            self._add(grant)
        for role in document.roles:
            place = f"{role.file}:{role.line}"
            self._sort(Rule(role.name, place, who.users(role.authorize)), "role")
        lists = [(name, getattr(document.control, name)) for name in DOORS]
        self._named = [who.names(grant) for grant in document.access]
        if any(who.HOSTNAME in grant.name for grant in document.access):
            self._named.append(([who.HOSTNAME], []))
        self._doors = {name: who.addresses(items) for name, items in lists if items}
        for name, tests in self._doors.items():
            self._doubt("body server control", name, tests)
        self._remembered: dict[tuple[Peer, str, str], Decision] = {}
        self._sorts: dict[tuple[str, str], Sort] = {}
        self._sorted: dict[tuple[Peer, Sort], Decision | None] = {}

    @classmethod
    def parse(cls, text: str | bytes) -> "Grants":
        """The grants in the output of `troth access --json`. Raises BadGrants."""
        return cls(read(text))

    @property
    def control(self) -> Control:
        """What `body server control` says."""
        return self.document.control

    def value(self, kind: Kind, name: str) -> Any:
        """The text of a literal, or the value of a variable; None if it has none."""
        return self._values.get((kind, name))

    def listed(self, name: str, address: str) -> bool:
        """Whether ADDRESS is in the list NAME of the control body; in none if that is not there."""
        subject = Subject(Peer("", (address,)))
        return who.admitted(self._doors.get(name, ()), subject) is not None

    def may_connect(self, address: str) -> Decision:
        """Whether policy lets ADDRESS connect at all; to be asked before anything is read."""
        try:
            subject = Subject(Peer("", (address,)))
        except ValueError as error:
            return Decision(False, str(error))
        allowed = self._doors.get("allowconnects")
        if allowed is not None and who.admitted(allowed, subject) is None:
            return Decision(False, "not in allowconnects")
        item = who.denied(self._doors.get("denyconnects", ()), subject)
        if item is not None:
            return Decision(False, f"'{item}' in denyconnects")
        return Decision(True, "nothing keeps it from connecting")

    def needs_hosts(self, labels: Collection[str]) -> bool:
        """Whether the names that the DNS gives a peer decide anything.

        LABELS, in lower case, are names that are known without it; they can admit, but who denies a
        name has to know all that a peer has.
        """
        return any(
            denied or not all(name.lower() in labels for name in admitted)
            for admitted, denied in self._named
        )

    def decide(self, peer: Peer, kind: Kind, name: str) -> Decision:
        """As `may`."""
        if kind in PATTERNS and name:
            return self.of_sort(peer, self.sort(kind, name)) or _nothing(kind, name)
        key = (peer, kind, name)
        known = self._remembered.get(key)
        if known is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            known = self._remembered[key] = self._decide(*key)
        return known

    def sort(self, kind: Kind, name: str) -> Sort:
        """The rules that speak of NAME, of one of the KINDs that patterns name.

        Names of one sort are for each peer all allowed or all not.
        """
        known = self._sorts.get((kind, name))
        if known is None:
            if len(self._sorts) >= SORTS:
                self._sorts.clear()
            known = self._sorts[kind, name] = self._sort_of(kind, name)
        return known

    def of_sort(self, peer: Peer, sort: Sort) -> Decision | None:
        """What is decided for PEER of all names of SORT; None if nothing is said of it."""
        key = (peer, sort)
        try:
            return self._sorted[key]
        except KeyError:
            pass
        if len(self._sorted) >= SORTED:
            self._sorted.clear()
        try:
            found = _judge(*sort, Subject(peer))
        except ValueError as error:
            found = Decision(False, str(error))
        self._sorted[key] = found
        return found

    def _sort_of(self, kind: str, name: str) -> Sort:
        if len(name) > LONGEST or "\0" in name:
            return NOBODYS
        if kind in NAMED and not OF_ARGUMENTS.issuperset(name):
            return NOBODYS
        answers = [(rule, rule.matches(name)) for rule in self._patterns[kind]]
        return (
            tuple([rule for rule, answer in answers if answer is not False]),
            tuple([rule for rule, answer in answers if answer]),
        )

    def _decide(self, peer: Peer, kind: str, name: str) -> Decision:
        if not name or len(name) > LONGEST or "\0" in name:
            return Decision(False, f"{name[:40]!r} names nothing")
        try:
            subject = Subject(peer)
        except ValueError as error:
            return Decision(False, str(error))
        if kind == "path":
            return self._path(subject, name)
        rules = self._exact.get((kind, name), ())
        return _judge(rules, rules, subject) or _nothing(kind, name)

    def _path(self, subject: Subject, path: str) -> Decision:
        """The decision of what the policy says of PATH, or else of the innermost directory around.

        It is looked up twice, as it is and as a path with variables. The longer find decides; if it
        has nothing to say of SUBJECT, the other one does. From parents nothing is inherited.
        """
        if not canonical(path):
            return Decision(False, f"{path!r} is not a canonical absolute path")
        found: dict[int, list[Rule]] = {}
        for length, rules in (self._plain(path), self._moved(path, subject)):
            found.setdefault(length, []).extend(rules)
        for length in sorted(found, reverse=True):
            decision = _judge(found[length], found[length], subject)
            if decision is not None:
                return decision
        return _nothing("path", path)

    def _plain(self, path: str) -> tuple[int, list[Rule]]:
        """The rules for PATH or for the innermost directory around it, and the length of that."""
        end = len(path)
        while end > 0:
            rules = self._exact.get(("path", path[:end]))
            if rules:
                return end, rules
            end = path.rfind("/", 0, end - 1) + 1
        return 0, []

    def _moved(self, path: str, subject: Subject) -> tuple[int, list[Rule]]:
        """As `_plain`, of the rules with variables as they read for SUBJECT."""
        found: dict[int, list[Rule]] = {0: []}
        for rule in self._moving:
            for name in _substituted(rule.name, subject):
                if name == path or (name.endswith("/") and path.startswith(name)):
                    found.setdefault(len(name), []).append(rule)
        longest = max(found)
        return longest, found[longest]

    # taking in

    def _add(self, grant: Grant) -> None:
        """Take in one access promise."""
        place = f"{grant.file}:{grant.line}"
        rule = Rule(grant.name, place, who.admits(grant), who.denies(grant))
        self._doubt(place, "admits", rule.admits)
        self._doubt(place, "denials", rule.denies)
        self._sort(rule, grant.type)
        if grant.type in VALUED:
            self._values.setdefault((grant.type, grant.name), grant.value)
        if grant.shortcut and grant.type == "path":
            self._abbreviate(grant.shortcut, grant.promiser, place)

    def _sort(self, rule: Rule, kind: str) -> None:
        """Put RULE where requests for a KIND of resource find it."""
        if kind in PATTERNS:
            rule.matches = who.pattern(rule.name) or who.unsaid
            if rule.matches is who.unsaid:
                self.warnings.append(f"{rule.place}: '{rule.name}' is no pattern: it can only deny")
            self._patterns[kind].append(rule)
        elif kind == "path" and any(variable in rule.name for variable in who.CONNECTION):
            rule.own = True
            self._moving.append(rule)
        else:
            self._exact.setdefault((kind, rule.name), []).append(rule)

    def _abbreviate(self, shortcut: str, path: str, place: str) -> None:
        """Let SHORTCUT stand for PATH, unless it does for another."""
        if "/" in shortcut:
            self.warnings.append(f"{place}: the shortcut '{shortcut}' has a slash: not used")
        elif self.shortcuts.setdefault(shortcut, path) != path:
            self.warnings.append(f"{place}: the shortcut '{shortcut}' is taken: not used")

    def _doubt(self, place: str, name: str, tests: Tests) -> None:
        """Note the items of a list that mean nothing."""
        for item, test in tests:
            if test is who.unsaid:
                self.warnings.append(
                    f"{place}: '{item}' in {name} means nobody: it never admits and always denies"
                )


def may(grants: Grants, peer: Peer, kind: Kind, name: str) -> Decision:
    """Whether PEER may have the resource NAME of KIND.

    A path is the real one, links followed, with a slash at the end if it is a directory. Of a
    literal the name is its handle; of a role that of the class that the peer wants to define.
    """
    return grants.decide(peer, kind, name)


def located(grants: Grants, peer: Peer, request: str) -> str | None:
    """The path that PEER means by REQUEST, its shortcut expanded; None if it means none.

    It may lead anywhere: follow its links, then ask `may` about the real path.
    """
    if "\0" in request or len(request) > LONGEST:
        return None
    if request.startswith("/"):
        return request
    first, slash, rest = request.partition("/")
    replacement = grants.shortcuts.get(first)
    if replacement is None:
        return None
    found = next(_substituted(replacement, Subject(peer)), None)
    if found is None or not slash:
        return found
    return f"{found.rstrip('/')}/{rest}"


def canonical(path: str) -> bool:
    """Whether PATH is absolute and has no part that another path would not need."""
    if not path.startswith("/"):
        return False
    parts = path[1:].split("/")
    inner = parts[:-1] if parts[-1] == "" else parts
    return all(part not in ("", ".", "..") for part in inner)


# decisions


def _nothing(kind: str, name: str) -> Decision:
    return Decision(False, f"nothing admits this peer to the {kind} {name!r}")


def _judge(deniers: Sequence[Rule], admitters: Sequence[Rule], subject: Subject) -> Decision | None:
    """The first denial by DENIERS, else the first admission by ADMITTERS; None if there is none."""
    for rule in deniers:
        denial = rule.denial(subject)
        if denial is not None:
            return denial
    for rule in admitters:
        admission = rule.admission(subject)
        if admission is not None:
            return admission
    return None


def _substituted(path: str, subject: Subject) -> Iterator[str]:
    """PATH with the variables in it replaced by what is known of SUBJECT; nothing if it is not."""
    known = {
        who.IP: [text for text, _ in subject.addresses],
        who.HOSTNAME: subject.hosts,
        who.KEY: [subject.key],
    }
    variables = [name for name in who.CONNECTION if name in path]
    for values in product(*[known[name] for name in variables]):
        if any("/" in value or value in ("", ".", "..") for value in values):
            continue
        found = path
        for name, value in zip(variables, values, strict=True):
            found = found.replace(name, value)
        yield found
