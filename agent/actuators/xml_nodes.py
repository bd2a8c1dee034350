"""The promises of an `edit_xml` bundle: elements, trees, attributes and text in a document."""

from agent import document as documents
from agent import xpaths
from agent.actuators.regions import concluded
from agent.document import Document, Unselected
from agent.outcome import Change, Outcome, Verdict, failed, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from agent.actuators.regions import Steps
    from agent.promise import Promise
    from agent.run import Run

    Found = Generator[Change | Verdict, Outcome, Any]

LAST_PASS = 3

# What is said of each type: what needs `select_xpath`; of a promise that contradicts itself; of a
# node that is not there; of a path that could not be built. P is the promiser, X the path, F the
# file.
WORDS = {
    "delete_tree": (
        "Tree deletion",
        "The promised tree deletion 'P' is inconsistent",
        "The promised XPath pattern 'X', was NOT successful when selecting an edit node, "
        "in XML document 'F'",
        "tree deletion 'P'",
    ),
    "insert_tree": (
        "Tree insertion",
        "The promised tree insertion 'P' breaks its own promises",
        "Failed to select edit node in the XML document 'F' using the XPath 'X'",
        "tree insertion 'P'",
    ),
    "delete_attribute": (
        "Attribute deletion",
        "The promised attribute deletion 'P', is inconsistent",
        "The promised XPath pattern 'X', was NOT successful when selecting an edit node, "
        "in XML document 'F'",
        "attribute deletion 'P'",
    ),
    "set_attribute": (
        "Attribute insertion",
        "The promised attribute set 'P', breaks its own promises",
        "No node to edit selected by XPath 'X' in the XML document 'F'",
        "setting attribute 'P'",
    ),
    "delete_text": (
        "Tree insertion",
        "The promised text deletion 'P' is inconsistent",
        "No node selected by XPath 'X' in XML document 'F'",
        "text deletion in 'F'",
    ),
    "set_text": (
        "Tree insertion",
        "The promised text set 'P' breaks its own promises",
        "No node selected by XPath 'X' in the XML document 'F'",
        "changing text in 'P'",
    ),
    "insert_text": (
        "Tree insertion",
        "The promised text insertion 'P' breaks its own promises",
        "No node selected by XPath 'X' in XML document 'F'",
        "text insertion into 'F'",
    ),
}


class Edit:
    """A promise of an `edit_xml` bundle, the document that it is about, and the words for it."""

    __slots__ = ("document", "path", "promise", "promiser", "run")

    def __init__(self, promise: "Promise", run: "Run") -> None:
        document = run.edit
        if not isinstance(document, Document):
            raise TypeError("an XML promise outside an edit_xml bundle")
        self.document = document
        self.promise = promise
        self.promiser = promise.promiser
        self.path = str(promise.attributes.get("select_xpath", ""))
        self.run = run

    def worded(self, text: str) -> str:
        """TEXT of WORDS, with its names filled in."""
        names = {"P": self.promiser, "X": self.path, "F": self.document.path}
        head, *rest = text.split("'")
        return "'".join([head, *(names.get(part, part) for part in rest)])

    def not_now(self, *reasons: str) -> Verdict:
        """REASONS are said, and the next pass tries again; after the last one it has failed."""
        for reason in reasons:
            self.run.log("error", reason)
        last = self.run.ctx.pass_number >= LAST_PASS
        return Verdict(Outcome.FAILED if last else Outcome.SKIPPED)

    def change(self, would: str, done: str, act: "Callable[[], Any]", complaint: str) -> Change:
        """A step that ACT takes in the document; what no document can hold is a COMPLAINT."""

        def apply() -> Outcome | None:
            try:
                act()
            except (ValueError, TypeError):
                self.run.log("error", complaint)
                return Outcome.FAILED
            self.document.edits += 1
            return None

        return Change(would, done, apply, quiet=True)


def _kept(
    promise: "Promise", run: "Run", work: "Callable[[Edit, Any], Steps]"
) -> "Iterator[Change | Verdict]":
    """Yield what WORK does at the one node that PROMISE is about."""
    edit = Edit(promise, run)
    node = yield from _node(edit)
    if node is not None:
        yield from concluded(promise.type, promise, run, work(edit, node))


def _node(edit: Edit) -> "Found":
    """Yield what it takes for the node that is to be edited to be there; it, or None."""
    needs, wrong, missing, unbuilt = [edit.worded(text) for text in WORDS[edit.promise.type]]
    if edit.document.problem:
        yield edit.not_now(f"Unable to load XML document '{edit.document.path}'")
        return None
    if not edit.path:
        yield edit.not_now(f"{needs} requires select_xpath to be specified", wrong)
        return None
    if not xpaths.convergent(edit.path):
        yield edit.not_now(wrong)
        return None
    if "build_xpath" in edit.promise.attributes:
        outcome = yield from _build(edit, str(edit.promise.attributes["build_xpath"]))
        if outcome is Outcome.WARNED:
            return None
        if outcome not in (Outcome.KEPT, Outcome.REPAIRED):
            yield edit.not_now(f"Failed to build XPath for {unbuilt}")
            return None
    try:
        return documents.select(edit.document, edit.path)
    except Unselected as reason:
        yield edit.not_now(*filter(None, (str(reason), missing)))
        return None


# elements


def build_xpath(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the making of the elements that the promiser leads through."""
    edit = Edit(promise, run)
    wrong = ""
    if edit.document.problem:
        wrong = f"Unable to load XML document '{edit.document.path}'"
    elif edit.path:
        wrong = "XPath build does not require select_xpath to be specified"
    elif "build_xpath" in promise.attributes:
        wrong = "Attribute: build_xpath is not allowed within bundle: build_xpath"
    wrong = wrong or _unbuildable(promise.promiser)
    if wrong:
        broken = f"The promised XPath build '{promise.promiser}' breaks its own promises"
        end = f"Errors encountered when actuating build_xpath promise '{promise.promiser}'"
        reasons = (wrong, end) if edit.document.problem else (wrong, broken, end)
        yield edit.not_now(*reasons)
        return
    yield from concluded("build_xpath", promise, run, _built(edit, promise.promiser))


def _unbuildable(path: str) -> str:
    """Why PATH cannot be built, or nothing."""
    if not xpaths.convergent(path):
        return f"Promiser expression ({path}) is not convergent"
    if xpaths.steps(path) is None:
        return (
            f"Promiser expression '{path}' contains syntax that is not supported for xpath_build. "
            "Please refer to users manual for supported syntax specifications."
        )
    return ""


def _build(edit: Edit, path: str) -> "Found":
    """Yield what it takes for PATH to be there, and how that ended."""
    wrong = _unbuildable(path)
    if wrong:
        edit.run.log("error", wrong)
        edit.run.log("error", f"The promised XPath build '{path}' breaks its own promises")
        return Outcome.SKIPPED
    return (yield from _built(edit, path))


def _built(edit: Edit, path: str) -> "Found":
    """Yield the making of what PATH, which can be built, lacks; how that ended."""
    steps = xpaths.steps(path) or []
    document = edit.document
    along = documents.along(document, steps)
    if not along and document.root is not None:
        return (
            yield failed(
                f"The promised XML document '{document.path}' already exists and contains "
                "a root element"
            )
        )
    if along and len(along[-1]) > 1:
        until = "/".join(path.split("/")[: len(along) + 1])
        return (yield failed(documents.several(until, len(along[-1]), document)))
    if len(along) == len(steps):
        return (yield kept(f"XPath '{path}' exists in XML document '{document.path}' as promised"))
    where = f"in XML document '{document.path}'"
    if not along:
        where = f"into an empty XML document '{document.path}'"

    def act() -> None:
        first = documents.built(steps[len(along) :], along[-1][0] if along else None)
        if not along:
            document.tree = first.getroottree()

    return (
        yield edit.change(
            f"build XPath '{path}' {where}",
            f"Built XPath '{path}' {where}",
            act,
            f"The promised XPath '{path}' was not built successfully {where}",
        )
    )


# trees


def insert_tree(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the adding of the promised tree, unless it is there."""
    edit = Edit(promise, run)
    empty = edit.document.root is None and not edit.document.problem
    if empty and edit.path and "build_xpath" not in promise.attributes:
        yield edit.not_now(
            "Tree insertion into an empty file, using select_xpath, does not make sense",
            edit.worded(WORDS["insert_tree"][1]),
        )
    elif not edit.path and not edit.document.problem:
        yield from concluded("insert_tree", promise, run, _rooted(edit))
    else:
        yield from _kept(promise, run, _planted)


def _trees(edit: Edit, where: str) -> "list[Any] | str":
    """The elements of the promised tree, or why there are none."""
    try:
        found = documents.fragment(edit.promiser)
    except ValueError:
        return f"Failed to parse the tree '{edit.promiser}' (to be inserted {where})"
    if not found:
        return f"The tree '{edit.promiser}' (to be inserted {where}) is empty"
    return found


def _rooted(edit: Edit) -> "Steps":
    """Yield the making of an empty document of the promised tree."""
    document, tree = edit.document, edit.promiser
    found = _trees(edit, f"into the XML document '{document.path}'")
    if isinstance(found, str):
        yield failed(found)
        return
    if document.root is None:
        where = f"into an empty XML document '{document.path}'"

        def act() -> None:
            (root,) = found  # ValueError: a document has one
            document.tree = documents.alone(root)

        yield edit.change(
            f"insert the promised tree '{tree}' {where}",
            f"Inserted tree '{tree}' {where}",
            act,
            f"Failed to insert the tree '{tree}' {where}",
        )
    elif len(found) == 1 and documents.same(document.root, found[0]):
        yield kept(
            f"The promised XML document '{document.path}' already exists and contains "
            "the correct root element"
        )
    else:
        edit.run.log(
            "error",
            f"The tree '{tree}' requested to be inserted into the XML document "
            f"'{document.path}', however XML document is not empty and tree to be inserted "
            "does not match existing content",
        )
        yield Verdict(
            Outcome.FAILED,
            "Specify select_xpath expression insert into a non-empty XML document",
            "notice",
        )


def _planted(edit: Edit, node: "Any") -> "Steps":
    """Yield the adding of what NODE does not have of the promised tree."""
    tree, path = edit.promiser, edit.document.path
    found = _trees(edit, f"at XPath '{edit.path}' in the XML document '{path}'")
    if isinstance(found, str):
        yield failed(found)
        return
    lacks = [wanted for wanted in found if not _children_like(node, wanted)]
    where = f"at XPath '{edit.path}' in XML document '{path}'"
    if not lacks:
        yield kept(f"The tree '{tree}' already exists {where}")
        return
    yield edit.change(
        f"insert tree '{tree}' {where}",
        f"Inserted tree '{tree}' {where}",
        lambda: node.extend(lacks),
        f"Failed to insert tree '{tree}' at XPath '{edit.path}' into the XML document '{path}'",
    )


def _children_like(node: "Any", wanted: "Any") -> "list[Any]":
    """The children of NODE that have all that WANTED has."""
    return [
        child for child in node if documents.is_element(child) and documents.contains(child, wanted)
    ]


def delete_tree(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the removal of each child that has all that the promised tree has."""
    yield from _kept(promise, run, _felled)


def _felled(edit: Edit, node: "Any") -> "Steps":
    tree = edit.promiser
    where = f"at XPath '{edit.path}' in XML document '{edit.document.path}'"
    try:
        found = documents.fragment(tree)
    except ValueError:
        found = []
    if not tree.strip() or ("<" in tree and not found):
        yield failed(f"Tree to be deleted '{tree}' {where} was not parsed successfully")
        return
    unwanted = [child for wanted in found for child in _children_like(node, wanted)]
    if not unwanted:
        yield kept(f"The promised tree to be deleted '{tree}' does not exist {where}")
        return

    def act() -> None:
        for child in dict.fromkeys(unwanted):
            documents.remove(child)

    yield edit.change(
        f"delete tree '{tree}' {where}",
        f"Deleted tree '{tree}' {where}",
        act,
        f"Failed to delete tree '{tree}' {where}",
    )


# attributes


def set_attribute(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the setting of the attribute that the promiser names."""
    yield from _kept(promise, run, _attributed)


def _attributed(edit: Edit, node: "Any") -> "Steps":
    name, value = edit.promiser, edit.promise.attributes.get("attribute_value")
    where = f"at XPath '{edit.path}' in XML document '{edit.document.path}'"
    if value is None:
        yield failed(
            f"Failed to load the value of the attribute '{name}' (to be set {where})into a buffer"
        )
        return
    key = documents.attribute_name(node, name)
    if node.attrib.get(key) == value:
        yield kept(f"Attribute with name '{name}' and value '{value}' already exists {where}")
        return
    yield edit.change(
        f"set attribute with name '{name}' to value '{value}' {where}",
        f"Set attribute with name '{name}' to value '{value}' {where}",
        lambda: node.set(key, value),
        f"Failed to set the attribute with name '{name}' to value '{value}' {where}",
    )


def delete_attribute(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the removal of the attribute that the promiser names."""
    yield from _kept(promise, run, _unattributed)


def _unattributed(edit: Edit, node: "Any") -> "Steps":
    name = edit.promiser
    key = documents.attribute_name(node, name)
    where = f"at XPath '{edit.path}' in the XML document '{edit.document.path}'"
    if key not in node.attrib:
        yield kept(f"Attribute '{name}' (to be deleted {where}) does not exist")
        return
    yield edit.change(
        f"delete the attribute '{name}' {where}",
        f"Deleted attribute '{name}' {where}",
        lambda: node.attrib.pop(key),
        f"Failed to delete the attribute '{name}' {where}.",
    )


# text


def set_text(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the change of the text of a node to exactly the promiser."""
    yield from _kept(promise, run, _text_set)


def _text_set(edit: Edit, node: "Any") -> "Steps":
    text = edit.promiser
    where = f"at XPath '{edit.path}' in XML document '{edit.document.path}'"
    if documents.text_of(node) == text:
        yield kept(f"Text '{text}' already exists {where}")
        return
    yield edit.change(
        f"set text '{text}' {where}",
        f"Set text '{text}' {where}",
        lambda: documents.set_text_of(node, text),
        f"Failed to set text '{text}' {where}",
    )


def insert_text(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the adding of the promiser to the text of a node, unless that has it."""
    yield from _kept(promise, run, _text_inserted)


def _text_inserted(edit: Edit, node: "Any") -> "Steps":
    text = edit.promiser
    where = f"at XPath '{edit.path}' in the XML document '{edit.document.path}'"
    have = documents.text_of(node)
    if text in have:
        yield kept(f"Text '{text}' already exists {where}")
        return
    yield edit.change(
        f"insert text '{text}' {where}",
        f"Inserted text '{text}' {where}",
        lambda: documents.set_text_of(node, have + text),
        f"Failed to insert text '{text}' {where}",
    )


def delete_text(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield the removal of the promiser from the text of a node."""
    yield from _kept(promise, run, _text_deleted)


def _text_deleted(edit: Edit, node: "Any") -> "Steps":
    text = edit.promiser
    where = f"at XPath '{edit.path}' in the XML document '{edit.document.path}'"
    have = documents.text_of(node)
    if not text or text not in have:
        yield kept(f"Text '{text}' does not exist {where}")
        return
    yield edit.change(
        f"delete text '{text}' {where}",
        f"Deleted text '{text}' {where}",
        lambda: documents.set_text_of(node, have.replace(text, "")),
        f"Failed to delete text '{text}' {where}",
    )
