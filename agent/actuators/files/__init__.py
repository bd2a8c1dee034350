"""`files`: objects in the file system, and what is promised of them."""

import stat

from agent.actuators.files.perms import in_order
from agent.outcome import Outcome, Verdict, failed, kept, merge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.actuators.files.task import Steps, Task
    from agent.host import Status
    from agent.outcome import Change
    from agent.promise import Promise
    from agent.run import Run

# attributes of which one look at a plain file decides whether they are kept
QUICK = frozenset((
    "create", "perms", "classes", "action", "comment", "handle", "meta", "pathtype",
    "move_obstructions", "depends_on", "if", "unless", "ifvarclass", "with",
))  # fmt: skip
PHASE_ONE = frozenset(("rename", "perms", "changes", "transformer", "acl"))
CONTENT = frozenset((
    "content", "edit_line", "edit_xml", "edit_template", "edit_template_string",
))  # fmt: skip


def files(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield what it takes for PROMISE to be kept."""
    path, attributes = promise.promiser, promise.attributes
    if attributes.keys() <= QUICK and not _special(path) and not run.log.wants("verbose"):
        status = run.host.lstat(path)
        if status is not None and stat.S_ISREG(status.st_mode):
            perms = attributes.get("perms")
            if perms is None or in_order(perms, status, run.host):
                return
    from agent.actuators.files.task import Task

    yield from _searched(Task(promise, run))


def _special(path: str) -> bool:
    """Whether PATH may be a pattern."""
    return "*" in path or "+" in path or "[" in path or "(" in path


def _searched(task: "Task") -> "Steps":
    """Yield what it takes at each path that the promiser means."""
    promiser = task.promise.promiser
    literal = "copy_from" in task.attributes or task.attributes.get("pathtype") == "literal"
    if literal or not _special(promiser):
        steps = _promised(task, promiser, literal=literal)
    else:
        from agent.actuators.files.search import paths

        found = paths(task.run, promiser)
        steps = _promised(task, promiser) if found is None else _each(task, found)
    outcome, met = yield from _merged(steps)
    task.visit(promiser)
    if met and not literal and (task.varies or outcome is Outcome.SKIPPED):
        # for the classes that the promiser itself gives a name, or that nothing has set yet
        yield Verdict(outcome or Outcome.KEPT)


def _each(task: "Task", paths: "Iterator[str]") -> "Steps":
    """Yield what it takes at each of PATHS, which the promiser means; whether there are any."""
    from agent.actuators.files.search import remember

    promiser = task.promise.promiser
    found = False
    for path in paths:
        found = True
        remember(task.run, promiser, path)
        task.visit(path)
        outcome, _ = yield from _merged(_promised(task, path))
        if outcome is None:
            yield kept()
    task.run.ctx.scopes.pop("match", None)
    if found:
        return True
    task.log("verbose", f"No promiser file objects matched as regular expression '{promiser}'")
    if task.truth("create"):
        return (yield from _promised(task, promiser))
    yield Verdict(Outcome.SKIPPED)
    return False


def _merged(steps: "Steps") -> "Steps":
    """Yield STEPS; what their outcomes are together, None if there were none, and their value."""
    outcome = None
    try:
        step = next(steps)
        while True:
            answer = yield step
            outcome = answer if outcome is None else merge(outcome, answer)
            step = steps.send(answer)
    except StopIteration as end:
        return outcome, end.value


def _promised(task: "Task", path: str, *, literal: bool = False) -> "Steps":
    """Yield what it takes at PATH, unless the promise contradicts itself.

    Whether there is anything to fire classes for.
    """
    from agent.actuators.files.consistency import contradiction

    wrong = contradiction(task, path)
    if wrong:
        task.log("error", wrong)
        task.place("error")
        if literal:
            yield Verdict(Outcome.SKIPPED)
        return not literal
    if "fsattrs" in task.attributes:
        from agent.actuators.files.flags import thawed

        yield from thawed(task, path, _kept(task, path))
    else:
        yield from _kept(task, path)
    return True


def _kept(task: "Task", path: str) -> "Steps":
    """Yield what it takes at PATH, in the order in which each part builds on those before."""
    if not task.has_data():
        yield failed(f"No template data for the promise '{task.promise.promiser}'")
        return
    _say_default(task, path)
    there = yield from _there(task, path)
    if not there:
        return
    if path.endswith("/.") and "depth_search" not in task.attributes:
        path = _without_dot(task, path)
    status = task.host.lstat(path)
    if status is None:
        _say_no_parent(task, path)
    elif not _selected(task, path, status):
        yield Verdict(Outcome.SKIPPED)
        return
    for part in (_existing, _sourced, _filled, _sealed, _afterwards):
        go_on = yield from part(task, path)
        if not go_on:
            return


def _without_dot(task: "Task", path: str) -> str:
    """PATH without the `/.` at its end; the promise is called so, too, from here on."""
    found = path[:-2] or "/"
    if path == task.promise.promiser:
        task.promise.promiser = found
    return found


def _say_default(task: "Task", path: str) -> None:
    """Ask for `rxdirs` to be set where a mode is promised."""
    perms = task.body("perms")
    if perms is not None and "mode" in perms and "rxdirs" not in perms:
        promise = task.promise
        task.log(
            "warning",
            "Using the default value 'false' for attribute rxdirs "
            f"(promiser: {path}, file: {promise.path}:{promise.line}), please set it explicitly",
        )


def _there(task: "Task", path: str) -> "Steps":
    """Yield the creation of PATH if it is promised; whether there is anything more to do."""
    wanted = task.truth("create") or task.truth("touch")
    status = task.host.lstat(path)
    if status is not None and wanted:
        yield kept(f"File '{path}' exists as promised")
    if wanted and (status is None or _leads_nowhere(task, path, status)):
        from agent.actuators.files.create import create

        return (yield from create(task, path))
    if status is None and "delete" in task.attributes:
        yield kept(f"File '{path}' does not exist as promised")
        return False
    return True


def _leads_nowhere(task: "Task", path: str, status: "Status") -> bool:
    """Whether PATH is a link to nothing."""
    return stat.S_ISLNK(status.st_mode) and task.host.stat(path) is None


def _say_no_parent(task: "Task", path: str) -> None:
    """Mention that the directory of PATH is not there, as the reference does."""
    if "depth_search" in task.attributes:
        return
    above = path.rpartition("/")[0]
    if above and task.host.stat(above) is None:
        task.log(
            "info",
            f"Failed to chdir into '{above}'. (chdir: 'No such file or directory') "
            "- Attempting to create...",
        )


def _selected(task: "Task", path: str, status: "Status") -> bool:
    """Whether the promise is about PATH; a tree is searched for what it is about."""
    if "depth_search" in task.attributes and stat.S_ISDIR(status.st_mode):
        return True
    return task.selects(path, status)


def _existing(task: "Task", path: str) -> "Steps":
    """Yield what is promised of the object PATH, or of those below it; whether to go on."""
    attributes, link = task.attributes, task.host.lstat(path)
    status = None if link is None else task.host.stat(path)
    search = "depth_search" in attributes
    if search and status is not None and not stat.S_ISDIR(status.st_mode):
        task.log(
            "warning",
            f"depth_search (recursion) is promised for a base object '{path}' "
            "that is not a directory",
        )
    if link is None or not (
        "delete" in attributes or (status is not None and not PHASE_ONE.isdisjoint(attributes))
    ):
        return True
    from agent.actuators.files.leaf import leaf

    if search:
        from agent.actuators.files.search import Walk

        if status is None or not stat.S_ISDIR(status.st_mode):
            yield failed(
                f"Could not change to directory '{path}' "
                f"(mode '{link.st_mode & 0o7777:04o}', chdir: Not a directory)"
            )
            return True
        yield from Walk(task, status.st_dev).below(path)
        if not task.option("depth_search", "include_basedir"):
            return True
    yield from leaf(task, path, link)
    return True


def _sourced(task: "Task", path: str) -> "Steps":
    """Yield the copy or the link that PATH should be; whether to go on."""
    if "copy_from" in task.attributes:
        from agent.actuators.files.copying import copy_from

        yield from copy_from(task, path)
    if "link_from" in task.attributes:
        from agent.actuators.files.links import link_from

        return (yield from link_from(task, path))
    return True


def _filled(task: "Task", path: str) -> "Steps":
    """Yield what PATH should hold; whether to go on."""
    if CONTENT.isdisjoint(task.attributes):
        return True
    from agent.actuators.files import content

    clear = yield from content.unobstructed(task, path)
    if not clear:
        return False
    go_on = True
    exists = task.host.lstat(path) is not None
    if "content" in task.attributes:
        go_on = yield from content.content(task, path, exists=exists)
    if go_on and content.edits(task):
        exists = task.host.lstat(path) is not None
        go_on = yield from content.edited(task, path, exists=exists)
    return go_on


def _sealed(task: "Task", path: str) -> "Steps":
    """Yield what it takes for nobody to be able to change PATH, if so promised; True."""
    if "fsattrs" not in task.attributes:
        return True
    from agent.actuators.files.flags import sealed

    return (yield from sealed(task, path))


def _afterwards(task: "Task", path: str) -> "Steps":
    """Yield what is promised of PATH once more: it may have been made only now."""
    status = task.host.lstat(path)
    if status is None:
        if "changes" in task.attributes:
            yield failed(f"Promised to monitor '{path}' for changes, but file does not exist")
        return
    file = stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
    if file and task.selects(path, status):
        from agent.actuators.files.leaf import leaf

        yield from leaf(task, path, status)
