"""XML under edit: a document in, a document out. Nothing here knows of promises or of a dry run.

`parsed` reads a `Document` and `Document.octets` writes it, changed in nothing but what was edited
and in what libxml2 writes in one way only: quotes, and the blanks between attributes. The others
look for nodes, and compare and change them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.xpaths import Step

DECLARATION = '<?xml version="1.0"?>'
UTF8 = "UTF-8"
XML = "http://www.w3.org/XML/1998/namespace"


class Unselected(Exception):
    """A path does not lead to exactly one element; the text says more, if there is more to say."""


class Document:
    """The document in the file PATH. EDITS: how many were made. PROBLEM: why it cannot be read."""

    __slots__ = ("declaration", "edits", "encoding", "path", "problem", "tree")

    def __init__(self, path: str) -> None:
        self.path = path
        self.tree: Any = None
        self.problem = ""
        self.edits = 0
        self.declaration = DECLARATION
        self.encoding = UTF8

    @property
    def root(self) -> "Any":
        """The outermost element, None if the document is empty."""
        return None if self.tree is None else self.tree.getroot()

    def octets(self) -> bytes:
        """The document as a file holds it."""
        if self.tree is None:
            return b""
        text = "\n".join([self.declaration, *self._outermost(), ""])
        return text.encode(self.encoding, "xmlcharrefreplace")

    def _outermost(self) -> list[str]:
        """What is not inside of anything: the document type, comments, the root."""
        root = self.root
        nodes = [*reversed([*root.itersiblings(preceding=True)]), root, *root.itersiblings()]
        pieces = [written(node) for node in nodes]
        kind = written(self.tree).removesuffix("".join(pieces)).strip()
        return [kind, *pieces] if kind else pieces


def written(node: "Any") -> str:
    """NODE as text, without what follows it."""
    from lxml import etree  # type: ignore[import-untyped]  # it comes without types

    return str(etree.tostring(node, encoding="unicode", with_tail=False))


def _parser() -> "Any":
    """A parser that leaves alone what a document only points to."""
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, strip_cdata=False
    )


def parsed(data: bytes, path: str) -> Document:
    """The document in DATA, which the file PATH holds. What cannot be read has a PROBLEM."""
    from lxml import etree

    document = Document(path)
    if not data:
        return document
    try:
        root = etree.fromstring(data, _parser())
        document.encoding = root.getroottree().docinfo.encoding or UTF8
        head, found, _ = data.decode(document.encoding, "replace").partition("?>")
    except (etree.XMLSyntaxError, LookupError) as error:
        document.problem = getattr(error, "msg", str(error))
        return document
    document.tree = root.getroottree()
    if found and head.startswith("<?xml"):
        document.declaration = f"{head}?>"
    return document


def alone(root: "Any") -> "Any":
    """A new document of a copy of ROOT."""
    from copy import deepcopy

    copied = deepcopy(root)
    copied.tail = None
    return copied.getroottree()


def fragment(text: str) -> "list[Any]":
    """The elements in TEXT, each with the text between it and the next. Raises ValueError."""
    from lxml import etree

    try:
        around = etree.fromstring(f"<around>{text.strip()}</around>", _parser())
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from None
    return list(around)


# looking


def select(document: Document, path: str) -> "Any":
    """The element that PATH leads to. Raises Unselected."""
    from lxml import etree

    if document.tree is None:
        raise Unselected
    try:
        found = document.tree.xpath(path)
    except etree.XPathError:
        raise Unselected(f"Unable to evaluate XPath expression '{path}'") from None
    if not isinstance(found, list) or not found:
        raise Unselected
    if len(found) > 1:
        raise Unselected(several(path, len(found), document))
    if not is_element(found[0]):
        raise Unselected(
            f"The promised XPath pattern '{path}' was NOT found when selecting an edit node "
            f"in XML document '{document.path}'"
        )
    return found[0]


def several(path: str, count: int, document: Document) -> str:
    """The complaint that PATH leads to COUNT nodes."""
    return (
        f"Current select_xpath expression '{path}' returns {count} edit nodes "
        f"in XML document '{document.path}', unique edit node required"
    )


def is_element(node: "Any") -> bool:
    """Whether NODE is an element: no comment, no instruction, no reference, no text."""
    return isinstance(getattr(node, "tag", None), str)


def along(document: Document, steps: "list[Step]") -> "list[list[Any]]":
    """The elements that each of STEPS leads to, as far as any does."""
    found: list[list[Any]] = []
    among = [] if document.root is None else [document.root]
    for step in steps:
        met = [node for node in among if step.describes(node)]
        if not met:
            break
        found.append(met)
        among = [child for node in met for child in node if is_element(child)]
    return found


def contains(node: "Any", wanted: "Any") -> bool:
    """Whether NODE is what WANTED describes, whatever else it has.

    Text may be longer than wanted and there may be more attributes and children; the children that
    are wanted are exactly as described.
    """
    have, wants = dict(node.attrib), dict(wanted.attrib)
    if node.tag != wanted.tag or have | wants != have:
        return False
    inside = [child for child in wanted if is_element(child)]
    if not inside:
        return "".join(wanted.itertext()).strip() in "".join(node.itertext())
    return all(any(same(child, each) for child in node) for each in inside)


def same(node: "Any", other: "Any") -> bool:
    """Whether NODE and OTHER differ in nothing but blanks between elements and in comments."""
    if not is_element(node) or node.tag != other.tag or dict(node.attrib) != dict(other.attrib):
        return False
    mine = [child for child in node if is_element(child)]
    its = [child for child in other if is_element(child)]
    if len(mine) != len(its):
        return False
    if not mine:
        return "".join(node.itertext()) == "".join(other.itertext())
    return all(map(same, mine, its))


# changing


def built(steps: "list[Step]", node: "Any") -> "Any":
    """Make the elements of STEPS, each in the one before it and the first in NODE; the first.

    Without a NODE the first is the root of a new document.
    """
    from lxml import etree

    first = None
    for step in steps:
        node = etree.Element(step.name) if node is None else etree.SubElement(node, step.name)
        first = node if first is None else first
        for name, value in step.attributes:
            node.set(name, value)
        node.text = step.text
        for name, value in step.children:
            etree.SubElement(node, name).text = value
    return first


def remove(node: "Any") -> None:
    """Take NODE out, and leave the text that follows it."""
    parent, before = node.getparent(), node.getprevious()
    if node.tail and before is not None:
        before.tail = (before.tail or "") + node.tail
    elif node.tail:
        parent.text = (parent.text or "") + node.tail
    parent.remove(node)


def text_of(node: "Any") -> str:
    """The text that promises about the text of NODE are about: all of it, if it is only text."""
    if any(is_element(child) for child in node):
        return node.text or ""
    return "".join([node.text or "", *(child.tail or "" for child in node)])


def set_text_of(node: "Any", text: str) -> None:
    """Let TEXT be the text of NODE. Raises ValueError for what no document can hold."""
    node.text = text
    if not any(is_element(child) for child in node):
        for child in node:
            child.tail = None


def attribute_name(node: "Any", name: str) -> str:
    """NAME as lxml has it: the prefix replaced by what it stands for at NODE."""
    prefix, colon, local = name.partition(":")
    if not colon:
        return name
    space = XML if prefix == "xml" else node.nsmap.get(prefix)
    return name if space is None else f"{{{space}}}{local}"
