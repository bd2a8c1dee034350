"""Functions about data containers: JSON and YAML in and out, merging, filtering, types."""

from policy import reading, tables, values
from policy.errors import Failed
from policy.functions.arguments import refusal, short
from policy.functions.logic import is_true
from policy.functions.names import reached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context

# from text and to text


def _contained(ctx: "Context", value: "Any", kind: str, text: str) -> "Any":
    """VALUE, which the TEXT of a KIND gave, if it is a container. Raises Failed."""
    if not isinstance(value, (dict, list)):
        raise refusal(ctx, f"Non-container from parsing {kind} expression '{text}'")
    return value


def parsejson(ctx: "Context", text: str) -> "Any":
    """The container that JSON text says; bare words in it are variables.

    Lenient: keys without quotes and commas at the end of a list are fine.
    Fails if it is no JSON, or no array or object; the log says where.
    Example:
        parsejson('{"port": 80, "hosts": ["a", "b"]}') -> {"hosts":["a","b"],"port":80}
        parsejson('"just text"') -> fails
    """
    try:
        value = values.parse_json(text, lambda word: values.named(ctx, word, scalars=True))
    except values.BadJSON as bad:
        raise refusal(ctx, f"Error parsing JSON expression '{bad.rest}': {bad}") from None
    return _contained(ctx, value, "JSON", text)


def parseyaml(ctx: "Context", text: str) -> "Any":
    """The container that the first YAML document of a text says.

    Fails if there is no document, or it is no array or object.
    Example:
        parseyaml("[a, 1, yes]") -> ["a",1,true]
    """
    try:
        value = tables.yaml(text)
    except ValueError as error:
        raise refusal(ctx, f"Error parsing YAML expression '{text}': {error}") from None
    return _contained(ctx, value, "YAML", text)


def _valid(text: str, *, strict: bool) -> bool:
    """Whether TEXT is one JSON value, if STRICT a container, and nothing else."""
    try:
        value = values.parse_json(text, whole=True)
    except values.BadJSON:
        return False
    return isinstance(value, (dict, list)) or not strict


def validjson(ctx: "Context", text: str, strict: str = "false") -> bool:
    """Whether TEXT is JSON, with the leniency of `parsejson`; STRICT takes arrays and objects only.

    Never fails.
    Example:
        validjson("[1, 2]") -> true
        validjson("5", "true") -> false
    """
    return _valid(text, strict=values.truth(strict))


def validdata(ctx: "Context", text: str, kind: str, strict: str = "false") -> bool:
    """Whether TEXT is data of this KIND, of which there is one: always strict, in fact.

    Never fails.
    Example:
        validdata('{"a": 1}', "JSON") -> true
        validdata("{oops", "JSON") -> false
    """
    return _valid(text, strict=True)


def storejson(ctx: "Context", data: "Any") -> str:
    r"""A container as JSON text, indented, its keys sorted.

    Fails if DATA is no list, array or container.
    Example:
        storejson('["a", 1]') -> "[\n  \"a\",\n  1\n]"
    """
    return values.dump_json(values.container(ctx, data), pretty=True)


# one out of several


def _merged(left: "Any", right: "Any") -> "Any":
    """LEFT and RIGHT as one: two arrays in a row, or an object where RIGHT, or an array, wins."""
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    if isinstance(left, list):
        left, right = right, left
    if isinstance(right, list):
        right = {str(index): value for index, value in enumerate(right)}
    return {**{key: value for key, value in left.items() if key not in right}, **right}


def mergedata(ctx: "Context", *containers: "Any") -> "Any":
    """CONTAINERS as one: arrays one behind the other, objects with the later of equal keys.

    Not deep: the value of a key is replaced whole. An array joined to an object has keys "0",
    "1"...
    Fails if one of them is no list, array or container.
    Example:
        mergedata('{"a": 1, "b": 2}', '{"b": 3}') -> {"a":1,"b":3}
        mergedata('["a"]', '["b"]') -> ["a","b"]
    """
    whole: Any = None
    for given in containers:
        part = values.container(ctx, given)
        if not isinstance(part, (dict, list)):
            raise refusal(ctx, f"mergedata argument '{given}' is not a data container")
        whole = part if whole is None else _merged(whole, part)
    if whole is None:
        raise Failed("mergedata")
    return whole


def _expanded(ctx: "Context", value: "Any") -> "Any":
    """VALUE with the references in its keys and texts expanded."""
    if isinstance(value, dict):
        return {ctx.expand(key): _expanded(ctx, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(ctx, item) for item in value]
    return ctx.expand(value) if isinstance(value, str) else value


def data_expand(ctx: "Context", data: "Any") -> "Any":
    r"""A copy of a container with the references to variables in its texts and keys expanded.

    References to what is not there stay as they are.
    Fails if DATA is no container.
    Example:
        /tmp/site.json holds "{\"os\": \"it is $(sys.os)\"}"
        data_expand(readjson("/tmp/site.json")) -> {"os":"it is linux"}
    """
    return _expanded(ctx, values.container(ctx, data))


# what of it holds here


def _expression(child: "Any", key: str) -> str:
    """The class expression of a child: what is at KEY. Raises LookupError or ValueError."""
    at = values.integer(key) if isinstance(child, list) else key
    if isinstance(at, int) and at < 0:
        raise IndexError(f"there is no element {key}")
    expression = child[at]
    if not isinstance(expression, str):
        raise ValueError(f"a class expression must be a string, not {expression!r}")
    return expression


def _wanted(ctx: "Context", child: "Any", own: str | None, key: str | None, shape: str) -> bool:
    """Whether the expression of CHILD holds: what is at KEY in it, or else its OWN key.

    SHAPE is what it has to be part of. Raises LookupError or ValueError if it is not.
    """
    outer = "array" if own is None else "object"
    inner = "arrays" if isinstance(child, list) else "objects"
    if not isinstance(child, (dict, list)) or shape not in ("auto", f"{outer}_of_{inner}"):
        raise ValueError(f"a child is no part of '{shape}'")
    if key is not None:
        return is_true(ctx, _expression(child, key))
    if own is None:
        raise ValueError("an array needs a key or an index")
    return is_true(ctx, own)


def classfilterdata(ctx: "Context", data: "Any", structure: str, key: str | None = None) -> "Any":
    """The children of a container whose class expression holds.

    STRUCTURE says what it is, or `auto`. KEY (or index) is where a child has its expression;
    without KEY, the keys of an object are the expressions.
    Fails if a child is of another structure or has no KEY: then nothing is kept.
    Example:
        classfilterdata('{"linux": {"port": 22}, "windows": {"port": 3389}}', "auto")
        -> {"linux":{"port":22}}
    """
    whole = values.container(ctx, data)
    try:
        if isinstance(whole, list):
            return [child for child in whole if _wanted(ctx, child, None, key, structure)]
        return {
            own: child for own, child in whole.items() if _wanted(ctx, child, own, key, structure)
        }
    except (LookupError, ValueError) as error:
        raise refusal(ctx, f"classfilterdata: {error}", "verbose") from None


# types

_JSON_TYPES = {dict: "object", list: "array", str: "string", int: "int", bool: "boolean"}


def _json_type(value: "Any") -> str:
    if value is None:
        return "null"
    return "real" if isinstance(value, float) else _JSON_TYPES[type(value)]


def type_(ctx: "Context", name: str, detail: str = "false") -> str:
    """The type of the variable NAME or `none`; with DETAIL its origin, or what kind of data it is.

    An array without index is `none`.
    Never fails.
    Example:
        type("sys.host") -> "string"
        type("sys.interfaces", "true") -> "policy slist"
    """
    found = reached(ctx, name)
    detailed = values.truth(detail)
    if found is None:
        return "policy none" if detailed else "none"
    variable, value = found
    if not detailed:
        return variable.type
    return f"data {_json_type(value)}" if variable.type == "data" else f"policy {variable.type}"


def is_type(ctx: "Context", name: str, expected: str) -> bool:
    """`any` or `!any`: whether the variable NAME is of the EXPECTED type.

    That is detailed, as `policy slist`, if it has a blank in it.
    Never fails: what is not there is of type `none`.
    Example:
        is_type("sys.host", "string") -> "any"
        is_type("sys.host", "policy slist") -> "!any"
    """
    return type_(ctx, name, "true" if " " in expected else "false") == expected


# arrays from text: ARRAY, the text, patterns of comments and separators, the most lines and bytes


def _array(ctx: "Context", args: tuple[str, ...], kind: str, *, indexed: bool = False) -> str:
    """Set the array that ARGS name from the text that they hold."""
    array, text, comment, separator, most, size = args
    limit = short(ctx, size)
    if limit >= 0:
        text = values.text(values.octets(text)[:limit])
    layout = reading.Layout(comment, separator, short(ctx, most), kind)
    where = "string argument 2"
    return reading.define_array(ctx, array, text, layout, where=where, indexed=indexed)


def parsestringarray(ctx: "Context", *args: str) -> str:
    r"""Set ARRAY[first field][n] from the lines of a text; how many lines those were.

    With n = 0 it is the first field itself. COMMENT is cut out first, then lines are split by
    SEPARATOR, both patterns; at most MOST lines of the first LIMIT bytes.
    Never fails.
    Example:
        vars:
          "n" int => parsestringarray("user", "bob:1002:dev", "#[^\n]*", ":", 10, 1000);
        reports:
          "$(n): $(user[bob][1]) $(user[bob][2])"; -> 1: 1002 dev
    """
    return _array(ctx, args, "string")


def parsestringarrayidx(ctx: "Context", *args: str) -> str:
    r"""As parsestringarray, but ARRAY[line][n], both counted from 0.

    Never fails.
    Example:
        vars:
          "n" int => parsestringarrayidx("user", "bob:1002:dev", "#[^\n]*", ":", 10, 1000);
        reports:
          "$(n): $(user[0][0]) $(user[0][1])"; -> 1: bob 1002
    """
    return _array(ctx, args, "string", indexed=True)


def parseintarray(ctx: "Context", *args: str) -> str:
    r"""As parsestringarray, each field an integer.

    One that is none ends the agent.
    Never fails.
    Example:
        vars:
          "n" int => parseintarray("port", "1:80:443", "#[^\n]*", ":", 10, 1000);
        reports:
          "$(n): $(port[1][2])"; -> 1: 443
    """
    return _array(ctx, args, "int")


def parserealarray(ctx: "Context", *args: str) -> str:
    r"""As parsestringarray, each field a real.

    One that is none ends the agent.
    Never fails.
    Example:
        vars:
          "n" int => parserealarray("load", "1:0.5:2.25", "#[^\n]*", ":", 10, 1000);
        reports:
          "$(n): $(load[1][1]) $(load[1][2])"; -> 1: 0.5 2.25
    """
    return _array(ctx, args, "real")
