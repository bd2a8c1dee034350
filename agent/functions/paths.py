"""What there is at a path, for the functions that ask: nothing that they cannot know."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from policy.context import Context


def seen(ctx: "Context", path: str) -> "os.stat_result | None":
    """What PATH is, links not followed; None if we cannot know."""
    try:
        found: os.stat_result | None = ctx.host.lstat(path)
    except OSError:
        return None
    return found


def reached(ctx: "Context", path: str) -> "os.stat_result | None":
    """What PATH leads to; None if we cannot know."""
    try:
        found: os.stat_result | None = ctx.host.stat(path)
    except OSError:
        return None
    return found


def single_slashes(path: str) -> str:
    """PATH with one slash where there are several."""
    while "//" in path:
        path = path.replace("//", "/")
    return path
