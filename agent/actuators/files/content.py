"""What a file holds, as a whole: `content`, and templates rendered with data."""

import stat

from agent.actuators.files import backup
from agent.actuators.files.create import create
from agent.actuators.files.task import FALSE, WHY
from agent.outcome import Change, Outcome, Verdict, failed, kept
from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.task import Steps, Task

CLASSIC, FROM_FILE, INLINE = "cfengine", "mustache", "inline_mustache"
EDITS = ("edit_line", "edit_xml", "edit_template", "edit_template_string")


def edits(task: "Task") -> bool:
    """Whether any attribute asks for the file to be edited."""
    return any(name in task.attributes for name in EDITS)


def never_created(task: "Task") -> bool:
    """Whether policy says in so many words that the file is not to be created."""
    return task.attributes.get("create") in FALSE


def unobstructed(task: "Task", path: str) -> "Steps":
    """Yield what makes room for a file at PATH; whether there is."""
    status = task.host.lstat(path)
    if status is None or stat.S_ISREG(status.st_mode):
        return True
    if task.truth("move_obstructions"):
        outcome = yield task.change(
            f"Moving obstructing file '{path}'",
            f"Moved obstructing path '{path}' to '{path}.cf-moved'",
            lambda: task.host.rename(path, f"{path}.cf-moved"),
            f"Could not move obstruction '{path}' to '{path}.cf-moved'. (rename: {WHY})",
        )
        return outcome is not Outcome.FAILED
    if stat.S_ISLNK(status.st_mode):
        return True
    yield failed(f"Path '{path}' is not a regular file and move_obstructions is not set")
    return False


def content(task: "Task", path: str, *, exists: bool) -> "Steps":
    """Yield what it takes for PATH to hold `content`; whether to go on with the promise."""
    wanted = task.attributes["content"]
    if edits(task):
        yield failed("A file promise with content attribute cannot have edit operations")
        return False
    if not exists and not never_created(task):
        exists = yield from create(task, path)
    if not exists:
        task.log(
            "verbose",
            f"Cannot render file '{path}' with content '{wanted}': file does not exist",
        )
        return False
    task.log("verbose", f"Replacing '{path}' with content '{wanted}'")
    data = octets(wanted)
    have = _held(task, path)
    if have != data:
        yield _with_preview(
            task.change(
                f"update file '{path}' with content '{wanted}'",
                f"Updated file '{path}' with content '{wanted}'",
                lambda: backup.put(task, path, data),
                f"Cannot open file '{path}' for writing: {WHY}",
            ),
            have,
            data,
            path,
        )
    return True


def _held(task: "Task", path: str) -> bytes | None:
    """What the file PATH holds; None if nobody lets us look, or it is not there."""
    try:
        return task.host.read(path)
    except OSError:
        return None


def _with_preview(change: Change, have: bytes | None, data: bytes, path: str) -> Change:
    """CHANGE, which a person sees as the difference between HAVE and DATA."""

    def preview() -> str:
        from difflib import unified_diff

        old, new = text(have or b"").splitlines(), text(data).splitlines()
        names = (f"original {path}", f"changed  {path}")
        return "\n".join(unified_diff(old, new, *names, lineterm=""))

    change.preview = preview
    return change


# edits and templates


def edited(task: "Task", path: str, *, exists: bool) -> "Steps":
    """Yield what edit bundles and templates make of PATH; whether to go on with the promise."""
    if not exists and never_created(task):
        task.log("verbose", f"Cannot render file '{path}': file does not exist")
        return False
    attributes = task.attributes
    if "edit_xml" in attributes:
        from agent.actuators import xml_editing

        yield from xml_editing.edit(task.promise, task.run, path)
        return True
    method = attributes.get("template_method", CLASSIC)
    classic = method == CLASSIC and "edit_template" in attributes
    if "edit_line" in attributes or classic:
        ready = exists or "edit_line" in attributes or (yield from _begun(task, path))
        if ready:
            from agent.actuators import editing

            yield from editing.edit(task.promise, task.run, path)
    if method in (FROM_FILE, INLINE):
        template = yield from _template(task, path, method)
        if template is not None:
            exists = task.host.lstat(path) is not None
            fine = yield from _rendered(task, path, template, exists=exists)
            if fine:
                yield kept(f"No edit changes to file '{path}' need saving")
    return True


def _begun(task: "Task", path: str) -> "Steps":
    """Yield the empty file PATH that a classic template fills; whether it is there."""
    template = task.attributes["edit_template"]
    wrong = _flaw(task, template, path)
    if wrong:
        yield Verdict(Outcome.INTERRUPTED, wrong, "error")
        return False
    made = yield from create(task, path)
    if not made:
        yield failed(f"Failed to create file '{path}' for rendering cfengine template '{template}'")
    return made


def _flaw(task: "Task", template: str, path: str) -> str:
    """What is wrong with the classic TEMPLATE of PATH, or nothing."""
    from agent.actuators.classic_template import Broken, chunks
    from agent.edits import lines_of

    try:
        chunks(lines_of(text(task.host.read(template))), task.run.ctx)
    except OSError:
        return f"Unable to open template file '{template}' to make '{path}'"
    except Broken as broken:
        return f"Template file '{template}' {broken}"
    return ""


def _template(task: "Task", path: str, method: str) -> "Steps":
    """The text to render, None if there is none."""
    attributes = task.attributes
    if method == INLINE:
        if "edit_template_string" in attributes:
            task.log("verbose", f"Rendering '{path}' with method '{method}'")
        return attributes.get("edit_template_string")
    file = attributes.get("edit_template")
    if file is None:
        return None
    task.log("verbose", f"Rendering '{path}' using template '{file}' with method '{method}'")
    try:
        return text(task.host.read(file))
    except OSError:
        yield failed(f"Template file '{file}' could not be opened for reading")
        return None


def _rendered(task: "Task", path: str, template: str, *, exists: bool) -> "Steps":
    """Yield what it takes for PATH to hold TEMPLATE as rendered; whether it does."""
    from policy import mustache

    inline = task.attributes.get("template_method") == INLINE
    name = "inline" if inline else task.attributes["edit_template"]
    try:
        data = octets(mustache.render(template, task.data()))
    except mustache.Unrenderable:
        source = task.attributes["edit_template_string"] if inline else name
        yield failed(f"Error rendering mustache template '{source}'")
        return False
    have = _held(task, path)
    if have == data:
        return True
    gate = task.gate(f"update rendering of '{path}' from mustache template '{name}'")
    outcome = yield _with_preview(gate, have, data, path)
    if outcome is not Outcome.SKIPPED:
        return False
    if not exists:
        made = yield from create(task, path)
        if not made:
            yield failed(f"Failed to create file '{path}' for rendering mustache template '{name}'")
            return
    outcome = yield task.change(
        f"update rendering of '{path}'",
        f"Updated rendering of '{path}' from mustache template '{name}'",
        lambda: backup.replace(task, path, data, aloud=True),
        f"Failed to update rendering of '{path}' from mustache template '{name}'",
        quiet=True,
    )
    if outcome is Outcome.REPAIRED:
        yield from backup.archive_edited(task, path)
    return outcome is Outcome.REPAIRED
