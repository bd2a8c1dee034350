"""Promises that contradict themselves: checked at each path before anything is done there."""

from agent.actuators.files.content import edits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.task import Task

# attributes without which none of the contradictions can be
SIDES = frozenset((
    "link_from", "copy_from", "edit_line", "edit_xml", "depth_search", "delete", "rename",
    "file_select", "transformer", "file_type",
))  # fmt: skip


def contradiction(task: "Task", path: str) -> str:
    """What in the promise about PATH excludes something else in it, or nothing."""
    if SIDES.isdisjoint(task.attributes):
        return ""
    return (
        _sources(task, path) or _searches(task, path) or _endings(task, path) or _kinds(task, path)
    )


def _sources(task: "Task", path: str) -> str:
    """Where it comes from."""
    has = task.attributes.__contains__
    if has("link_from") and has("copy_from"):
        return (
            f"Promise constraint conflicts - '{path}' file cannot both be a copy of "
            "and a link to the source"
        )
    if has("link_from") and "source" not in (task.body("link_from") or {}):
        return f"Promise to establish a link at '{path}' has no source"
    if has("edit_line") and has("edit_xml"):
        return (
            f"Promise constraint conflicts - '{path}' editing file as both line and xml "
            "makes no sense"
        )
    return ""


def _searches(task: "Task", path: str) -> str:
    """Which objects it is about."""
    has = task.attributes.__contains__
    if has("depth_search") and edits(task):
        return "Recursive depth_searches are not compatible with general file editing"
    if has("delete") and has("depth_search") and not has("file_select"):
        return (
            f"Dangerous or ambiguous promise - '{path}' specifies recursive deletion "
            "but has no file selection criteria"
        )
    if has("file_select") and "file_result" not in (task.body("file_select") or {}):
        return (
            "File selection failed: check file_select body definition; "
            "file_result attribute is not defined."
        )
    if has("depth_search") and task.option("changes", "report_diffs"):
        return "Difference reporting is not allowed during a depth_search"
    return ""


def _endings(task: "Task", path: str) -> str:
    """What becomes of it."""
    has = task.attributes.__contains__
    exists = task.truth("create") or has("copy_from") or edits(task)
    if has("delete") and (exists or has("rename")):
        return (
            f"Promise constraint conflicts - '{path}' cannot be deleted and exist at the same time"
        )
    if has("rename") and exists:
        return (
            f"Promise constraint conflicts - '{path}' cannot be renamed/moved "
            "and exist there at the same time"
        )
    return ""


def _kinds(task: "Task", path: str) -> str:
    """What it is, and how it is done."""
    has = task.attributes.__contains__
    if task.option("action", "background") and task.option("action", "audit"):
        return "Auditing cannot be performed on backgrounded promises (this might change)."
    if has("transformer") and (has("copy_from") or has("link_from")):
        return (
            f"File object(s) '{path}' cannot both be a copy of source "
            "and transformed simultaneously"
        )
    if edits(task) and task.attributes.get("file_type") == "fifo":
        return "Editing is not allowed on fifos"
    return ""
