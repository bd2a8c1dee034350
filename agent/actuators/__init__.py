"""What keeps the promises of each type: TABLE of promise type → module, imported when first met."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.outcome import Change, Verdict
    from agent.promise import Promise
    from agent.run import Run

    Actuator = Callable[[Promise, Run], Iterator[Change | Verdict]]

MODULES = {
    "commands": "commands",
    "custom": "custom",
    "delete_lines": "delete_lines",
    "field_edits": "field_edits",
    "files": "files",
    "insert_lines": "insert_lines",
    "methods": "methods",
    "processes": "processes",
    "replace_patterns": "replace_patterns",
    "reports": "reports",
    "services": "services",
}

# in the language, but nothing keeps them yet
NOT_YET = frozenset((
    "databases", "guest_environments", "packages", "storage", "users",
    "build_xpath", "delete_tree", "insert_tree", "delete_attribute", "set_attribute",
    "delete_text", "set_text", "insert_text",
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
