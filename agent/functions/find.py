"""Functions that find files: the names in a directory, and globs."""

import stat

from agent.functions import glob
from agent.functions.paths import reached, single_slashes
from policy import regexp, values
from policy.functions.arguments import integer, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.context import Context


def lsdir(ctx: "Context", directory: str, pattern: str, with_path: str) -> tuple[str, ...]:
    r"""The names in DIRECTORY that PATTERN spans (all, if empty), as paths if WITH_PATH.

    The order is the system's, `.` and `..` are among the names.
    Never fails: an unreadable DIRECTORY is a logged error and an empty list.
    Example:
        /tmp/conf/a.cf holds ""
        /tmp/conf/b.txt holds ""
        lsdir("/tmp/conf", ".*\.cf", "false") -> { "a.cf" }
        lsdir("/tmp/conf", ".*\.cf", "true") -> { "/tmp/conf/a.cf" }
    """
    try:
        names = [".", "..", *ctx.host.listdir(directory)]
        found = [name for name in reversed(names) if not pattern or regexp.full(pattern, name)]
    except OSError as error:
        ctx.log(
            "error",
            f"Directory '{directory}' could not be accessed in lsdir(), "
            f"(opendir: {error.strerror})",
        )
        return ()
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
        return ()
    prefix = f"{directory}/" if values.truth(with_path) else ""
    return tuple(prefix + name for name in found)


def findfiles(ctx: "Context", *patterns: str) -> tuple[str, ...]:
    """What there is of these absolute glob PATTERNS.

    They know `*`, `?`, `[a-z]`, `{a,b}`, and `**` for 0 to 6 levels of directories. Directories
    end in a slash, hidden files match `*`, links that lead nowhere are left out.
    Never fails: relative PATTERNS are left out with a warning.
    Example:
        /tmp/conf/a.cf holds ""
        /tmp/conf/b.cf holds ""
        findfiles("/tmp/conf/*.cf") -> { "/tmp/conf/a.cf", "/tmp/conf/b.cf" }
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if not pattern.startswith("/"):
            ctx.log("warning", f"Non-absolute path in findfiles(), skipping: {pattern}")
            continue
        found.update(dict.fromkeys(glob.find(ctx.host, pattern)))
    return tuple(found)


def findfiles_up(ctx: "Context", path: str, pattern: str, levels: str = "inf") -> list[str]:
    """What there is of the glob PATTERN in the directory PATH and so many LEVELS above it.

    Fails if PATH is no absolute path of a directory, or PATTERN is absolute.
    Example:
        /tmp/repo/.git is a directory
        /tmp/repo/src is a directory
        findfiles_up("/tmp/repo/src", ".git", 1) -> ["/tmp/repo/.git/"]
    """
    problem = ""
    status = reached(ctx, path)
    if not path.startswith("/"):
        problem = f"not an absolute path '{path}'"
    elif status is None or not stat.S_ISDIR(status.st_mode):
        problem = f"path '{path}' is not a directory"
    elif pattern.startswith("/"):
        problem = f"glob '{pattern}' cannot be an absolute path"
    if problem:
        raise refusal(ctx, f"Function findfiles_up, {problem}")
    directory = single_slashes(path).rstrip("/")
    found: list[str] = []
    for _ in range(integer(ctx, levels) + 1):
        found += glob.find(ctx.host, f"{directory}/{pattern}")
        if not directory:
            break
        directory = directory.rpartition("/")[0]
    return found


def search_up(ctx: "Context", path: str, pattern: str, levels: str = "inf") -> list[str]:
    """The older name of findfiles_up.

    Fails as it does.
    Example:
        /tmp/repo/Makefile holds ""
        search_up("/tmp/repo", "Makefile", 1) -> ["/tmp/repo/Makefile"]
    """
    return findfiles_up(ctx, path, pattern, levels)
