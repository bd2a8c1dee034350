"""Functions about users and groups."""

from policy import reading, values
from policy.errors import Failed
from policy.functions.arguments import pattern, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import grp
    import pwd
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from policy.context import Context

_LONGEST_NAME = 1000  # longer than any
_NOBODY_AT_ALL = 2**32 - 1  # what stands for "leave it" where a number is asked for


def _user(ctx: "Context", text: str) -> "pwd.struct_passwd | None":
    """The user called TEXT, or of that number if it is all digits."""
    known: pwd.struct_passwd | None = ctx.host.user(_asked(text))
    return known


def _group(ctx: "Context", text: str) -> "grp.struct_group | None":
    """The group called TEXT, or of that number if it is all digits."""
    known: grp.struct_group | None = ctx.host.group(_asked(text))
    return known


def _asked(text: str) -> str | int:
    """The number that TEXT is, or else the name, cut: the C library aborts on a very long one."""
    return int(text) if text.isdecimal() and len(text) < _LONGEST_NAME else text[:_LONGEST_NAME]


def _possible(text: str, function: str) -> None:
    """Raise Failed if TEXT is a number that nobody can have."""
    if _asked(text) == _NOBODY_AT_ALL:
        raise Failed(function)


def getuid(ctx: "Context", name: str) -> str:
    """The number of a user.

    Digits are taken as a name, too.
    Fails if there is none.
    Example:
        getuid("root") -> 0
        getuid("no-such-user") -> fails
    """
    user = ctx.host.user(name[:_LONGEST_NAME]) or _user(ctx, name)
    if user is None:
        raise refusal(ctx, f"Could not get UID for user '{name}', (getpwnam: not found)")
    return str(user.pw_uid)


def getgid(ctx: "Context", name: str) -> str:
    """The number of a group.

    Digits are taken as a name, too.
    Fails if there is none.
    Example:
        getgid("root") -> 0
    """
    group = ctx.host.group(name[:_LONGEST_NAME]) or _group(ctx, name)
    if group is None:
        raise refusal(ctx, f"Could not get GID for group '{name}', (getgrnam: not found)")
    return str(group.gr_gid)


def userexists(ctx: "Context", user: str) -> bool:
    """Whether there is a user of this name or number.

    Never fails for anything that could be a user.
    Example:
        userexists("root") -> true
        userexists("no-such-user") -> false
    """
    _possible(user, "userexists")
    return _user(ctx, user) is not None


def groupexists(ctx: "Context", group: str) -> bool:
    """Whether there is a group of this name or number.

    Never fails for anything that could be a group.
    Example:
        groupexists("root") -> true
        groupexists("no-such-group") -> false
    """
    _possible(group, "groupexists")
    return _group(ctx, group) is not None


def useringroup(ctx: "Context", user: str, group: str) -> bool:
    """Whether GROUP lists USER, or is the group that USER has by itself.

    Fails if the groups cannot be read; false if one of the two is not there.
    Example:
        useringroup("root", "root") -> true
        useringroup("no-such-user", "root") -> false
    """
    member = ctx.host.user(user[:_LONGEST_NAME])
    whole = ctx.host.group(group[:_LONGEST_NAME])
    if member is None or whole is None:
        return False
    return user in whole.gr_mem or member.pw_gid == whole.gr_gid


# all of them


def _except(known: "Iterator[tuple[str, int]]", names: str, numbers: str) -> tuple[str, ...]:
    """The names of those who are KNOWN, without these NAMES and NUMBERS."""
    unwanted = set(reading.chunks(names, ","))
    without = set(reading.chunks(numbers, ","))
    return tuple(
        dict.fromkeys(
            name for name, number in known if name not in unwanted and str(number) not in without
        )
    )


def getusers(ctx: "Context", names: str = "", uids: str = "") -> tuple[str, ...]:
    """All users but those of these NAMES and UIDS, each with commas between.

    Never fails.
    Example:
        vars:
          "users" slist => getusers("daemon,bin", "");
        classes:
          "root_is_there" expression => some("root", "users");
        reports:
          root_is_there::
            "root"; -> root
    """
    return _except(((it.pw_name, it.pw_uid) for it in ctx.host.users()), names, uids)


def getgroups(ctx: "Context", names: str = "", gids: str = "") -> tuple[str, ...]:
    """All groups but those of these NAMES and GIDS, each with commas between.

    Never fails.
    Example:
        vars:
          "groups" slist => getgroups();
        classes:
          "root_is_there" expression => some("root", "groups");
        reports:
          root_is_there::
            "root"; -> root
    """
    return _except(((it.gr_name, it.gr_gid) for it in ctx.host.groups()), names, gids)


# what is known of one


def getuserinfo(ctx: "Context", user: str | None = None) -> "dict[str, Any]":
    """What is known of a user, by name or number: username, description, home_dir, shell, uid, gid.

    Never fails: of who runs this if there is no such user, or none is named.
    Example:
        vars:
          "root" data => getuserinfo("root");
        reports:
          "$(root[uid]) $(root[home_dir])"; -> 0 /root
    """
    found = _user(ctx, user) if user is not None else None
    found = found or ctx.host.user(ctx.host.uid)
    if found is None:
        raise Failed("getuserinfo")
    return {
        "username": found.pw_name,
        "description": found.pw_gecos,
        "home_dir": found.pw_dir,
        "shell": found.pw_shell,
        "uid": found.pw_uid,
        "gid": found.pw_gid,
    }


def getgroupinfo(ctx: "Context", group: str | None = None) -> "dict[str, Any]":
    """What is known of a group, by name or number: name, gid, members.

    Never fails: of our own group if there is no such group, or none is named.
    Example:
        vars:
          "root" data => getgroupinfo("root");
        reports:
          "$(root[name]) $(root[gid])"; -> root 0
    """
    found = _group(ctx, group) if group is not None else None
    found = found or ctx.host.group(ctx.host.gid)
    if found is None:
        raise Failed("getgroupinfo")
    return {"name": found.gr_name, "gid": found.gr_gid, "members": list(found.gr_mem)}


# those that a filter keeps

_USER: "Mapping[str, Callable[[pwd.struct_passwd], str]]" = {
    "name": lambda it: it.pw_name,
    "uid": lambda it: str(it.pw_uid),
    "gid": lambda it: str(it.pw_gid),
    "gecos": lambda it: it.pw_gecos,
    "dir": lambda it: it.pw_dir,
    "shell": lambda it: it.pw_shell,
}
_GROUP: "Mapping[str, Callable[[grp.struct_group], str]]" = {
    "name": lambda it: it.gr_name,
    "gid": lambda it: str(it.gr_gid),
}


def _filters(ctx: "Context", function: str, text: str) -> list[tuple[str, str]]:
    """The attributes and patterns that a filter is made of. Raises Failed."""
    try:
        items = values.children(values.container(ctx, text))
    except Failed:
        raise refusal(ctx, f"Function '{function}' couldn't parse argument '{text}'") from None
    found: list[tuple[str, str]] = []
    for item in items:
        name, equals, wanted = item.partition("=") if isinstance(item, str) else ("", "", "")
        if not equals:
            raise refusal(ctx, f"Function '{function}': '{item}' is no 'attribute=regex'")
        found.append((name.strip(), wanted.strip()))
    return found


def _spans(ctx: "Context", expression: str, text: str) -> bool:
    return pattern(ctx, expression).full(text)


def findlocalusers(ctx: "Context", wanted: str) -> "dict[str, Any]":
    """The users of /etc/passwd whose attributes all patterns of WANTED span, by name.

    WANTED is a list of "ATTRIBUTE=PATTERN": name uid gid gecos dir shell.
    Fails if WANTED is no such list.
    Example:
        vars:
          "found" data => findlocalusers('["uid=0", "name=root"]');
        reports:
          "$(found[root][dir])"; -> /root
    """
    filters = _filters(ctx, "findlocalusers", wanted)
    for attribute, _ in filters:
        if attribute not in _USER:
            raise refusal(ctx, f"Function 'findlocalusers': there is no attribute '{attribute}'")
    return {
        it.pw_name: {
            "uid": it.pw_uid,
            "gid": it.pw_gid,
            "gecos": it.pw_gecos,
            "dir": it.pw_dir,
            "shell": it.pw_shell,
        }
        for it in ctx.host.users()
        if all(_spans(ctx, rx, _USER[name](it)) for name, rx in filters)
    }


def _members(ctx: "Context", patterns: str, members: list[str]) -> bool:
    """Whether each of PATTERNS spans one of MEMBERS, or "" if there are none."""
    return all(
        any(_spans(ctx, wanted.strip(), it) for it in members or [""])
        for wanted in patterns.split(",")
    )


def _fits(ctx: "Context", group: "grp.struct_group", filters: list[tuple[str, str]]) -> bool:
    """Whether GROUP is as FILTERS say; one of them that makes no sense keeps all out."""
    for attribute, wanted in filters:
        if attribute == "members":
            fits = _members(ctx, wanted, group.gr_mem)
        elif attribute in _GROUP:
            fits = _spans(ctx, wanted, _GROUP[attribute](group))
        else:
            ctx.log("error", f"Function 'findlocalgroups': there is no attribute '{attribute}'")
            fits = False
        if not fits:
            return False
    return True


def findlocalgroups(ctx: "Context", wanted: str) -> "dict[str, Any]":
    """The groups of /etc/group whose attributes all patterns of WANTED span, by name.

    WANTED is a list of "name=...", "gid=...", "members=..."; each member must match.
    Never fails: a wrong filter is an error in the log and matches nothing.
    Example:
        vars:
          "found" data => findlocalgroups('["name=root"]');
        reports:
          "$(found[root][gid])"; -> 0
    """
    try:
        filters = _filters(ctx, "findlocalgroups", wanted)
    except Failed:
        if not wanted.strip().startswith(("[", "{")):
            raise
        return {}
    return {
        it.gr_name: {"gid": it.gr_gid, "members": list(it.gr_mem)}
        for it in ctx.host.groups()
        if _fits(ctx, it, filters)
    }
