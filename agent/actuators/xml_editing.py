"""An XML file under edit: load it, let the edit bundle work on the document, save it once."""

from agent.actuators.editing import content, saved
from agent.document import Document, parsed
from agent.outcome import Outcome, failed, kept
from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.actuators.editing import Steps
    from agent.outcome import Change, Verdict
    from agent.promise import Promise
    from agent.run import Run

TRUE = frozenset(("true", "yes"))


def edit(promise: "Promise", run: "Run", path: str) -> "Iterator[Change | Verdict]":
    """Yield the one change of the file PATH that its `edit_xml` bundle asks for.

    What the promises of the bundle say at info level is said only if the file was changed.
    """
    held = content(promise, run, path)
    run.buffer_info()
    outcome = Outcome.FAILED
    try:
        if held is None:
            yield failed(f"File '{path}' was marked for editing but could not be opened")
        else:
            outcome = yield from _edited(promise, run, path, held)
    finally:
        run.release_info(outcome is Outcome.REPAIRED)


def _edited(promise: "Promise", run: "Run", path: str, held: str) -> "Steps":
    """Yield what becomes of the file PATH, in which is HELD; how that ended."""
    defaults = promise.body("edit_defaults") or {}
    anew = defaults.get("empty_file_before_editing") in TRUE
    document = parsed(octets(held), path)
    before = document.octets()
    if anew:
        document = Document(path)
    if document.problem:
        run.log("error", f"{path}: {document.problem}")
    name, args = promise.attributes["edit_xml"]
    run.ctx.define("edit.filename", path, "string")
    run.ctx.define("edit.empty_before_use", "true" if anew else "false", "string")
    run.call(
        name, args, kind="edit_xml", edit=document, label=f"files promise '{promise.promiser}'",
        inherit=defaults.get("inherit") in TRUE,
    )  # fmt: skip
    after = document.octets()
    if not document.edits or after == before:
        return (yield kept(f"No edit changes to xml file '{path}' need saving"))
    return (yield from saved(promise, run, path, (held, text(after)), "Edited xml file"))
