"""Users and groups, as the system knows them. Nothing is remembered here: Host does that."""

import grp
import pwd


def user(name: str | int) -> pwd.struct_passwd | None:
    """The user of this name, or of this number if it is an int."""
    try:
        return pwd.getpwuid(name) if type(name) is int else pwd.getpwnam(str(name))
    except (KeyError, ValueError, OverflowError):
        return None


def group(name: str | int) -> grp.struct_group | None:
    """The group of this name, or of this number if it is an int."""
    try:
        return grp.getgrgid(name) if type(name) is int else grp.getgrnam(str(name))
    except (KeyError, ValueError, OverflowError):
        return None


def users() -> list[pwd.struct_passwd]:
    """All users that the system lists."""
    return pwd.getpwall()


def groups() -> list[grp.struct_group]:
    """All groups that the system lists."""
    return grp.getgrall()
