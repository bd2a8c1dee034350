"""Data beside the policy: `def.json` may refer to facts, `host_specific.json` may not.

Both define variables and classes before any policy is read. What is wrong in them is said, and the
rest is used.
"""

from policy import regexp
from policy.classes import BadExpression, holds
from policy.context import primitive
from policy.json_text import parse_json
from policy.values import canonify, normalised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from policy.context import Context

    Log = Callable[[str, str], None]

MAX_SIZE = 5 << 20
AUGMENTS = "source=augments_file"
HOST_DATA = "source=cmdb"
AUGMENTS_KEYS = ("vars", "variables", "classes", "inputs", "augments")
HOST_DATA_KEYS = ("vars", "variables", "classes")
REFERENCES = ("$(", "${", "@(", "@{")


class _File:
    """A file while it is taken in. TAG is put on what it defines, messages call it DATA."""

    __slots__ = ("ctx", "data", "log", "path", "tag")

    def __init__(self, ctx: "Context", path: str, log: "Log", tag: str) -> None:
        self.ctx = ctx
        self.path = path
        self.log = log
        self.tag = tag
        self.data = "CMDB data" if tag == HOST_DATA else f"augments data in '{path}'"

    def error(self, message: str) -> None:
        """Say what is wrong."""
        self.log("error", message)

    def variables(self, section: str, data: "dict[str, Any]") -> None:
        """Define the variables of `vars`, or of `variables`, where more may be said of each."""
        for name, value in data.items():
            if section == "variables" and isinstance(value, dict):
                self._variable(
                    name, value.get("value"), self.tags("variable", name, value),
                    self.comment("variable", name, value),
                )  # fmt: skip
            else:
                self._variable(name, value, (self.tag,), "")

    def _variable(self, name: str, value: "Any", tags: tuple[str, ...], comment: str) -> None:
        """Define a variable; what host-specific data say of it is stronger."""
        if value is None:
            self.error(
                f"Missing value in '{name}' variable specification in CMDB data "
                "(value field is required)"
                if self.tag == HOST_DATA
                else f"Missing value for the augments variable '{name}' in '{self.path}' "
                "(value field is required)"
            )
            return
        where = self._place(name)
        if where is None:
            return
        known = self.ctx.variable(where)
        if self.tag == AUGMENTS and known is not None and HOST_DATA in known.tags:
            self._too_late("variable", where)
            return
        self.log("verbose", f"Installing variable '{where}' of {self.data}")
        kept, kind = _typed(value)
        self.ctx.define(where, kept, kind, tags, comment)

    def _place(self, name: str) -> str | None:
        """The variable NAME with the bundle that it has if it names none; None if it is no name."""
        namespace, scope, _, _ = self.ctx.reference(name)
        if namespace and not scope:
            self.error(
                f"Invalid variable specification in {self.data}: '{name}' "
                "(bundle name has to be specified if namespace is specified)"
            )
            return None
        if self.tag == AUGMENTS:
            return name if scope else f"def.{name}"
        if namespace:
            return name
        return f"data:{name}" if scope else f"data:variables.{name}"

    def define_class(self, name: str, tags: tuple[str, ...], comment: str = "") -> None:
        """Define a class for all bundles; what host-specific data say of it is stronger."""
        namespace, colon, base = name.rpartition(":")
        namespace = namespace if colon else "default" if self.tag == AUGMENTS else "data"
        base = canonify(base)
        key = base if namespace == "default" else f"{canonify(namespace)}:{base}"
        if self.tag == AUGMENTS and HOST_DATA in self.ctx.soft.get(key, ()):
            self._too_late("class", name)
            return
        self.log("verbose", f"Installing class '{key}' of {self.data}")
        self.ctx.soft.setdefault(key, tags)
        if comment:
            self.ctx.comments.setdefault(key, comment)

    def _too_late(self, what: str, name: str) -> None:
        self.log(
            "verbose",
            f"Cannot set {what} {name if ':' in name else f'default:{name}'} from augments, "
            "already defined from host-specific data",
        )

    def tags(self, what: str, name: str, value: "dict[str, Any]") -> tuple[str, ...]:
        """The tags in VALUE, and ours."""
        found = value.get("tags")
        if found is None or _is_list(found):
            return (*_texts(found or ()), self.tag)
        self.error(
            f"Invalid json_tags information for {what} '{name}' in CMDB data: "
            "must be a JSON array of strings"
            if self.tag == HOST_DATA
            else f"Invalid tags information for {what} '{name}' in augments file '{self.path}': "
            "must be a JSON array of strings"
        )
        return (self.tag,)

    def comment(self, what: str, name: str, value: "dict[str, Any]") -> str:
        """The comment in VALUE, if it is a text."""
        found = value.get("comment")
        if found is None or isinstance(found, str):
            return found or ""
        self.error(
            f"Invalid type of the 'comment' field for the '{name}' {what} in {self.data}, "
            "must be a string"
        )
        return ""


# def.json


def load_augments(
    ctx: "Context", path: str, log: "Log", *, inside: frozenset[str] = frozenset()
) -> bool:
    """Take in the augments file PATH and those that it names; whether it could be read.

    INSIDE are the files that are being read already and that lead here.
    """
    if path in inside:
        log("error", f"augments file '{path}' leads back to itself")
        return False
    if not ctx.host.exists(path):
        log("verbose", f"could not load JSON augments from '{path}'")
        return False
    data = _read(ctx, path, log)
    if data is None:
        return False
    if not isinstance(data, dict):
        log("error", f"Invalid augments file contents in '{path}', must be a JSON object")
        return False
    log("verbose", f"Loaded augments file '{path}', installing contents")
    for key in data:
        if key not in AUGMENTS_KEYS:
            log("verbose", f"Unknown augments key '{key}' in file '{path}', skipping it")
    _augment(_File(ctx, path, log, AUGMENTS), data, inside | {path})
    return True


def _augment(file: _File, data: "dict[str, Any]", inside: frozenset[str]) -> None:
    """Define what DATA say; later files override it. A section is expanded before it is defined."""
    for section in ("vars", "variables", "classes"):
        found = data.get(section)
        if found is None:
            continue
        if not isinstance(found, dict):
            file.error(f"Invalid augments {section} in '{file.path}', must be a JSON object")
            continue
        found = _expanded(found, file.ctx)
        if section == "classes":
            for name, condition in found.items():
                _augmented_class(file, name, condition)
        else:
            file.variables(section, found)
    inputs = _names(file, data.get("inputs"))
    if inputs is not None:
        texts = tuple(map(file.ctx.expand, inputs))
        file.ctx.define("def.augments_inputs", texts, "slist", (AUGMENTS,))
    for name in _names(file, data.get("augments")) or ():
        if load_augments(file.ctx, file.ctx.expand(name), file.log, inside=inside):
            file.log("verbose", f"Completed augmenting from file '{name}'")
        else:
            file.error(f"Could not load requested further augments from file '{name}'")


def _names(file: _File, value: "Any") -> tuple[str, ...] | None:
    """The file names that VALUE lists; None if it is not there, or no list, which is said."""
    if value is None:
        return None
    if _is_list(value):
        return _texts(value)
    file.error(f"Trying to augment inputs in '{file.path}' but the value was not a list of strings")
    return None


def _augmented_class(file: _File, name: str, value: "Any") -> None:
    """Define a class if one of the conditions in VALUE holds."""
    tags: tuple[str, ...] = (AUGMENTS,)
    comment = ""
    conditions: Any = value
    always: str | None = "true"
    if isinstance(value, dict):
        found = [value.get("class_expressions"), value.get("regular_expressions")]
        if found.count(None) != 1:
            file.error(
                f"Invalid augments class data for class '{name}' in '{file.path}': "
                'either "class_expressions" or "regular_expressions" need to be specified'
            )
            return
        tags = file.tags("class", name, value)
        comment = file.comment("class", name, value)
        conditions, always = found[0] if found[1] is None else found[1], None
    elif not isinstance(value, list):
        conditions = None if value is None else [value]
    if not _is_list(conditions):
        file.error(f"Invalid augments class data for class '{name}' in '{file.path}'")
        return
    for condition in _texts(conditions):
        if condition == always or _met(file, condition):
            file.define_class(name, tags, comment)
            return


def _met(file: _File, condition: str) -> bool:
    """Whether an expression (`a.b::`) holds, or a pattern matches a class that is defined."""
    ctx = file.ctx
    if condition.endswith("::"):
        try:
            return holds(condition[:-2], ctx)
        except BadExpression:
            file.error(f"Unable to parse class expression '{condition[:-2]}'")
            return False
    if canonify(condition) == condition:
        return ctx.defined(condition)  # a name matches itself: no need to know all classes
    try:
        return any(regexp.full(condition, name) for name in (*ctx.hard, *ctx.soft))
    except regexp.BadPattern as error:
        file.error(str(error))
        return False


# host_specific.json


def load_host_data(ctx: "Context", path: str, log: "Log") -> None:
    """Take in what PATH says of this host: in the namespace `data` where no other is named."""
    file = _File(ctx, path, log, HOST_DATA)
    data = _read(ctx, path, log)
    if data is None or not _host_data(file, data):
        log("error", "Failed to load CMDB data")


def _host_data(file: _File, data: "Any") -> bool:
    """Define what DATA say; False if a part of it is of no use as a whole."""
    if not isinstance(data, dict):
        file.error(f"Invalid CMDB contents in '{file.path}', must be a JSON object")
        return False
    for key in data:
        if key not in HOST_DATA_KEYS:
            message = f"Invalid key '{key}' in the CMDB data file '{file.path}', skipping it"
            file.log("warning", message)
    good = True
    for section in HOST_DATA_KEYS:
        found = data.get(section, {})
        if not isinstance(found, dict):
            file.error(f"Invalid '{section}' CMDB data, must be a JSON object")
            good = False
        elif _refers(found):
            file.error(f"Invalid '{section}' CMDB data, cannot contain variable references")
            good = False
        elif section == "classes":
            for name, value in found.items():
                _host_class(file, name, value)
        else:
            file.variables(section, found)
    return good


def _host_class(file: _File, name: str, value: "Any") -> None:
    """Define a class: there is no condition but that it always holds, in whatever form."""
    tags: tuple[str, ...] = (HOST_DATA,)
    comment = ""
    if isinstance(value, dict):
        bad = _conditional(name, value)
        if not bad:
            tags = file.tags("class", name, value)
            comment = file.comment("class", name, value)
    elif isinstance(value, list):
        said = ", ".join(_texts(value))
        bad = f"Invalid class specification '[\"{said}\"]' in CMDB data, only '[\"any::\"]' allowed"
        if len(value) > 1:
            bad = (
                f"Too many elements in class specification '{name}' in CMDB data, "
                "only '[\"any::\"]' allowed"
            )
        elif value == ["any::"]:
            bad = ""
    else:
        said = primitive(value) or ""
        bad = f"Invalid class specification '{said}' in CMDB data, only \"any::\" allowed"
        if value == "any::":
            bad = ""
    if bad:
        file.error(bad)
    else:
        file.define_class(name, tags, comment)


def _conditional(name: str, value: "dict[str, Any]") -> str:
    """What is wrong with the conditions in VALUE, which may be none, or one that always holds."""
    for kind, called, always in (
        ("class_expressions", "class expression", "any::"),
        ("regular_expressions", "regular expression", "any"),
    ):
        if value.get(kind) not in (None, [], [always]):
            return (
                f"Invalid {called} rules for class '{name}' in CMDB data, "
                f"only '[]' or '[\"{always}\"]' allowed"
            )
    return ""


# both


def _read(ctx: "Context", path: str, log: "Log") -> "Any":
    """The data in the file PATH; None if they cannot be read, which is said."""
    try:
        octets: bytes = ctx.host.read(path, MAX_SIZE + 1)
        if len(octets) > MAX_SIZE:
            raise ValueError("it is larger than 5 MiB")
        return parse_json(octets.decode("utf-8", "surrogateescape"), whole=True)
    except OSError as error:
        log("error", f"Could not open JSON file {path}: {error.strerror}")
    except ValueError as error:
        log("error", f"Could not parse JSON file {path}: {error}")
    return None


def _typed(value: "Any") -> "tuple[Any, str]":
    """VALUE as variables hold it, and the type: string, slist for plain values only, or data."""
    if _is_list(value):
        return _texts(value), "slist"
    if isinstance(value, list | dict):
        return normalised(value), "data"
    return primitive(normalised(value)), "string"


def _is_list(value: "Any") -> bool:
    """Whether VALUE is a list of plain values."""
    return isinstance(value, list) and not any(isinstance(item, list | dict) for item in value)


def _texts(values: "Iterable[Any]") -> tuple[str, ...]:
    """Plain values as texts, null left out."""
    return tuple([text for value in values if (text := primitive(normalised(value))) is not None])


def _expanded(value: "Any", ctx: "Context") -> "Any":
    """VALUE with the references in its texts and keys replaced, as far as they are known."""
    if isinstance(value, dict):
        return {ctx.expand(key): _expanded(item, ctx) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, ctx) for item in value]
    return ctx.expand(value) if isinstance(value, str) else value


def _refers(value: "Any") -> bool:
    """Whether a text in VALUE, or a key, refers to a variable."""
    if isinstance(value, dict):
        return any(_refers(key) or _refers(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_refers(item) for item in value)
    return isinstance(value, str) and any(mark in value for mark in REFERENCES)
