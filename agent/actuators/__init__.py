"""What keeps the promises of each type: TABLE of promise type → module, imported when first met."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.outcome import Change, Verdict
    from agent.promise import Promise
    from agent.run import Run

    Actuator = Callable[[Promise, Run], Iterator[Change | Verdict]]

MODULES = {
    "build_xpath": "xml_nodes",
    "commands": "commands",
    "custom": "custom",
    "delete_attribute": "xml_nodes",
    "delete_lines": "delete_lines",
    "delete_text": "xml_nodes",
    "delete_tree": "xml_nodes",
    "field_edits": "field_edits",
    "files": "files",
    "insert_lines": "insert_lines",
    "insert_text": "xml_nodes",
    "insert_tree": "xml_nodes",
    "methods": "methods",
    "processes": "processes",
    "replace_patterns": "replace_patterns",
    "reports": "reports",
    "services": "services",
    "set_attribute": "xml_nodes",
    "set_text": "xml_nodes",
}

# in the language, but nothing keeps them yet
NOT_YET = frozenset((
    "databases", "guest_environments", "packages", "storage", "users",
))  # fmt: skip


def actuator(kind: str) -> "Actuator":
    """What keeps promises of type KIND."""
    module = MODULES.get(kind)
    if module is None:
        return _not_yet if kind in NOT_YET else _undefined
    found = __import__(f"agent.actuators.{module}", fromlist=[kind])
    function: Actuator = getattr(found, kind)
    return function


def _not_yet(promise: "Promise", _run: "Run") -> "Iterator[Change | Verdict]":
    from agent.outcome import failed

    yield failed(f"not yet supported: promises of type '{promise.type}' ('{promise.promiser}')")


def _undefined(promise: "Promise", _run: "Run") -> "Iterator[Change | Verdict]":
    from agent.outcome import failed

    yield failed(f"Undefined promise type '{promise.type}'")
