"""XML under edit: a document in, a document out. Nothing here knows of promises or of a dry run.

`parsed` reads a `Document` and `Document.octets` writes it, changed in nothing but what was edited
and in what libxml2 writes in one way only: quotes, and the blanks between attributes. The others
look for nodes, and put trees and text into them.
"""

from agent.xpaths import Step
from policy.values import octets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.xpaths import Step as _Step


class Document:
    """The document in the file PATH. EDITS: how many were made. PROBLEM: why it cannot be read."""

    __slots__ = ("edits", "path", "problem", "tree")

    def __init__(self, path: str, tree: "Any" = None, problem: str = "") -> None:
        self.path = path
        self.tree = tree
        self.problem = problem
        self.edits = 0

    @property
    def root(self) -> "Any":
        """The outermost element, None if the document is empty."""
        return None if self.tree is None else self.tree.getroot()

    def begin(self, root: "Any") -> None:
        """Let ROOT be the outermost element of the document, which is empty."""
        self.tree = root.getroottree()

    def octets(self) -> bytes:
        """The document as a file holds it."""
        if self.tree is None:
            return b""
        info = self.tree.docinfo
        head = f'<?xml version="{info.xml_version or "1.0"}"'
        if self._declared():
            head += f' encoding="{info.encoding}"'
        if info.standalone is not None:
            head += f' standalone="{"yes" if info.standalone else "no"}"'
        lines = [f"{head}?>", *self._outermost(), ""]
        return "\n".join(lines).encode(info.encoding or "UTF-8", "xmlcharrefreplace")

    def _declared(self) -> bool:
        """Whether the document says how it is encoded."""
        encoding = self.tree.docinfo.encoding
        return encoding is not None and (encoding != "UTF-8" or self.tree.parser is not None)

    def _outermost(self) -> list[str]:
        """What is not inside of anything: the type, comments, the root."""
        root = self.root
        nodes = [*reversed([*root.itersiblings(preceding=True)]), root, *root.itersiblings()]
        pieces = [written(node) for node in nodes]
        kind = written(self.tree).removesuffix("".join(pieces)).strip()
        return [kind, *pieces] if kind else pieces
