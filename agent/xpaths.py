"""Paths through a document: which of them name the same node for ever, and which can be built.

A path that can be built is absolute, and each step of it a name with conditions or without:
`/Server/Host[@name="a" | Alias = b]`. All conditions of a step are to hold.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_VALUE = r"'[^']+'|\"[^\"]+\"|[A-Za-z0-9_.-]+"
_CONDITION = rf"\s*(@?{_NAME}|text\(\))\s*=\s*({_VALUE})\s*"
_STEP = rf"/({_NAME})\s*(?:\[({_CONDITION}(?:\|{_CONDITION})*)\])?"
# where a node stands among others: what is there changes as others come and go
_POSITION = r"\[\s*(?:\d|position\s*\(|last\s*\()|(?:following|preceding)(?:-sibling)?::"
_QUOTED = r"'[^']*'|\"[^\"]*\""


class Step:
    """One element on the way: its name, and the attributes, children and text that it has."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, conditions: "list[tuple[str, str]]") -> None:
        self.name = name
        self.attributes = [(what[1:], value) for what, value in conditions if what[0] == "@"]
        self.children = [
            (what, value) for what, value in conditions if what[0] != "@" and what != "text()"
        ]
        self.text = next((value for what, value in conditions if what == "text()"), None)

    def describes(self, node: "Any") -> bool:
        """Whether the element NODE is as this step says."""
        return (
            node.tag == self.name
            and all(node.get(name) == value for name, value in self.attributes)
            and all(
                any(child.tag == name and child.text == value for child in node)
                for name, value in self.children
            )
            and (self.text is None or node.text == self.text)
        )


def convergent(path: str) -> bool:
    """Whether PATH says what a node is, and not at which place it stands."""
    import re

    return re.search(_POSITION, re.sub(_QUOTED, "''", path)) is None


def steps(path: str) -> list[Step] | None:
    """The steps of PATH, from the root on; None if it is not of the kind that can be built."""
    import re

    found = []
    at = 0
    while at < len(path):
        match = re.compile(_STEP).match(path, at)
        if match is None:
            return None
        conditions = re.findall(_CONDITION, match[2] or "")
        found.append(Step(match[1], [(what, _plain(value)) for what, value in conditions]))
        at = match.end()
    return found or None


def _plain(value: str) -> str:
    """VALUE without its quotes."""
    return value[1:-1] if value[0] in "'\"" else value
