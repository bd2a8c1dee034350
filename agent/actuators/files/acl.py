"""Who else may do what with an object: POSIX access control lists (`acl`)."""

import stat

from agent.actuators.files import aces
from agent.actuators.files.aces import GROUP, Malformed
from agent.actuators.files.task import WHY, words
from agent.outcome import Outcome, failed, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.actuators.files.aces import List
    from agent.actuators.files.task import Steps, Task

ACCESS, DEFAULT = "Access", "Default"
NAMES = {ACCESS: "system.posix_acl_access", DEFAULT: "system.posix_acl_default"}


def acl(task: "Task", path: str) -> "Steps":
    """Yield what it takes for the lists of PATH, or of what it leads to, to be as promised."""
    body: dict[str, Any] = task.body("acl") or {}
    if body.get("acl_type") == "ntfs":
        yield failed("NTFS ACLs are not supported on this system")
        return
    status = task.host.stat(path)
    if status is None:
        return
    inherited = str(body.get("acl_default", "nochange"))
    if inherited != "nochange" and not stat.S_ISDIR(status.st_mode):
        task.log("error", "acl_default can only be set on directories.")
        task.place("error")
        yield from _broken(task, path)
        return
    lists = Lists(task, path, body)
    access = yield from lists.kept(ACCESS, words(body.get("aces")), aces.of_mode(status.st_mode))
    if access is None:
        return
    if inherited == "specify":
        yield from lists.kept(DEFAULT, words(body.get("specify_default_aces")), {})
    elif inherited == "access":
        yield from lists.copied(access)
    elif inherited == "clear":
        yield from lists.cleared()


def _broken(task: "Task", path: str) -> "Steps":
    """Yield the failure of a list that means nothing."""
    task.log("error", f"Syntax error in access control list for '{path}'")
    task.place("error")
    yield failed("")


class Lists:
    """The two lists of the object PATH, and what BODY promises of them."""

    __slots__ = ("_anew", "_file", "_generic", "_path", "_task")

    def __init__(self, task: "Task", path: str, body: "dict[str, Any]") -> None:
        self._task = task
        self._path = path
        self._file = task.host.realpath(path)
        self._anew = body.get("acl_method") == "overwrite"
        self._generic = body.get("acl_type", "generic") == "generic"

    def _have(self, which: str) -> "List | None":
        """The list of this kind, None if there is none."""
        value = self._task.host.xattrs(self._file).get(NAMES[which])
        return aces.decoded(value) or None if value else None

    def kept(self, which: str, entries: tuple[str, ...], implied: "List") -> "Steps":
        """Yield what it takes for the list WHICH to hold ENTRIES; what it is then, None if nothing.

        IMPLIED is the list that stands for none.
        """
        task, path = self._task, self._path
        have = self._have(which)
        base = {} if self._anew else have or implied
        try:
            want = aces.edited(base, entries, self._number, generic=self._generic)
        except Malformed as wrong:
            for line, placed in wrong.lines:
                task.log("error", line)
                if placed:
                    task.place("error")
            if wrong.lines[-1][0].startswith("ACL: The ACE"):
                yield from _broken(task, path)
            else:
                yield failed("")
            return None
        at = aces.flaw(want)
        if at is not None:
            described = aces.described(want, self._name)
            task.log(
                "error",
                f"Invalid ACL in '{described}' at index {at} (acl_check: Missing or wrong entry)",
            )
            task.place("error")
            yield failed("")
            return None
        if want == have:
            yield kept(f"'{which}' ACL on '{path}' needs no modification.")
            return want
        outcome = yield self._set(
            which, want, f"update ACL {which} on file '{path}'",
            f"{which} ACL on '{path}' successfully changed",
        )  # fmt: skip
        return None if outcome is Outcome.FAILED else want

    def copied(self, access: "List") -> "Steps":
        """Yield what it takes for the default list to be as the one for ACCESS."""
        if self._have(DEFAULT) == access:
            yield kept(f"Default ACL on '{self._path}' as promised")
            return
        yield self._set(
            DEFAULT, access, f"copy default ACL on '{self._path}' from access ACL",
            f"Default ACL on '{self._path}' successfully copied from access ACL.",
        )  # fmt: skip

    def cleared(self) -> "Steps":
        """Yield what it takes for there to be no default list."""
        if self._have(DEFAULT) is None:
            yield kept(f"Default ACL on '{self._path}' as promised")
            return
        yield self._set(
            DEFAULT, {}, f"clean default ACL on '{self._path}'",
            f"Default ACL on '{self._path}' successfully cleared",
        )  # fmt: skip

    def _set(self, which: str, want: "List", would: str, done: str) -> "Any":
        described = aces.described(want, self._name)
        return self._task.change(
            would,
            done,
            lambda: self._task.host.set_xattr(self._file, NAMES[which], aces.encoded(want)),
            f"Error setting new {which} ACL({described}) on file '{self._path}' "
            f"(acl_set_file: {WHY}), are required ACEs present ?",
        )

    def _number(self, kind: str, name: str) -> int:
        """The number of the user or the group NAME. Raises LookupError."""
        user = kind == "user"
        entry = self._task.host.user(name) if user else self._task.host.group(name)
        if entry is not None:
            return int(getattr(entry, "pw_uid" if user else "gr_gid"))
        if name.isdigit():
            return int(name)
        if user:
            raise LookupError(f"Could not get UID for user '{name}', (getpwnam: not found)")
        raise LookupError(f"Could not get GID for group '{name}', (getgrnam: not found)")

    def _name(self, tag: int, number: int) -> str:
        """The name of the user or the group of NUMBER."""
        host = self._task.host
        entry = host.group(number) if tag == GROUP else host.user(number)
        return str(number) if entry is None else str(entry[0])
