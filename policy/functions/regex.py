"""Functions that match, take apart and replace by regular expressions."""

from policy import regexp
from policy.errors import Failed
from policy.functions.arguments import refusal
from policy.values import octets, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.context import Context

_TAGS = ("source=function", "function=regextract")


def regcmp(ctx: "Context", expression: str, subject: str) -> bool:
    r"""Whether the first match of a regular expression spans all of a text.

    So `a|ab` does not match `ab`. `.` matches newlines, ^ and $ match at every line.
    Never fails: a bad expression is an error in the log and false.
    Example:
        regcmp("web\d+", "web07") -> true
        regcmp("web", "web07") -> false
    """
    try:
        return regexp.full(expression, subject)
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
        return False


def regextract(ctx: "Context", expression: str, subject: str, array: str) -> bool:
    r"""Whether a regular expression is found in SUBJECT; if so, its groups go to ARRAY.

    ARRAY[1] is the first group. ARRAY[0] is the whole match; named groups are there by name.
    Never fails.
    Example:
        classes:
          "found" expression => regextract("(\w+):(\d+)", "web1:80", "part");
        reports:
          found::
            "$(part[1]) port $(part[2])"; -> web1 port 80
    """
    groups = _groups(ctx, expression, subject)
    if groups is None:
        return False
    for key, value in groups.items():
        ctx.define(f"{array}[{key}]", value, "string", _TAGS)
    return True


def data_regextract(ctx: "Context", expression: str, subject: str) -> dict[str, str]:
    r"""What the groups of a regular expression that is found in SUBJECT matched, by name or number.

    Fails if it is not found or is bad.
    Example:
        data_regextract("(?<host>\w+):(\d+)", "web1:80") -> {"0":"web1:80","2":"80","host":"web1"}
    """
    groups = _groups(ctx, expression, subject)
    if groups is None:
        raise Failed(expression)
    return groups


def _groups(ctx: "Context", expression: str, subject: str) -> dict[str, str] | None:
    """What each group matched, "" if it took no part; None if there is no match."""
    try:
        match = regexp.search(expression, subject)
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
        return None
    if match is None:
        return None
    names = {number: name for name, number in match.names.items()}
    return {
        names.get(number, str(number)): match.group(number) or ""
        for number in range(match.groups + 1)
    }


# replacing

_OPTIONS = {
    "i": regexp.CASELESS,
    "m": regexp.MULTILINE,
    "s": regexp.DOTALL,
    "x": regexp.EXTENDED,
    "U": regexp.UNGREEDY,
}
_DIGITS = frozenset(b"0123456789")
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def regex_replace(
    ctx: "Context", subject: str, expression: str, replacement: str, options: str
) -> str:
    r"""SUBJECT with the first match replaced, or with option `g` each of them.

    $1 or \1 in REPLACEMENT is a group, $& the match; other OPTIONS are i m s x U, and T: take
    REPLACEMENT as plain text.
    Fails if EXPRESSION or a reference to a group is bad.
    Example:
        regex_replace("web-01", "(\w+)-(\d+)", "\2.\1", "") -> "01.web"
        regex_replace("a-b-c", "-", "", "g") -> "abc"
    """
    for letter in options:
        if letter not in _OPTIONS and letter not in "gT":
            ctx.log("warning", f"regex_replace does not know the option '{letter}'")
    flags = sum(flag for letter, flag in _OPTIONS.items() if letter in options)
    try:
        compiled = regexp.Pattern(expression, flags)
        matches = _matches(compiled, octets(subject), every="g" in options)
    except regexp.BadPattern as bad:
        raise refusal(ctx, str(bad)) from None
    if not matches:
        return subject
    new = octets(replacement)
    template: list[bytes | int] = [new]
    if "T" not in options:
        template = _template(ctx, new, matches[0], octets(subject))
    return text(_replaced(ctx, octets(subject), matches, template))


def _matches(compiled: regexp.Pattern, subject: bytes, *, every: bool) -> list[regexp.Match]:
    """The first match, or EVERY one: where one is empty, another may begin at the same place."""
    found: list[regexp.Match] = []
    at = options = 0
    while at <= len(subject):
        match = compiled.find(subject, at, options)
        if match is None:
            if not options:
                break
            at, options = at + 1, 0
            continue
        found.append(match)
        if not every:
            break
        start, at = match.octets()
        options = regexp.NOTEMPTY_ATSTART | regexp.ANCHORED if start == at else 0
    return found


def _replaced(
    ctx: "Context", subject: bytes, matches: list[regexp.Match], template: "list[bytes | int]"
) -> bytes:
    """SUBJECT with TEMPLATE, filled with the groups of each match, in the place of MATCHES."""
    parts: list[bytes] = []
    done = 0
    for match in matches:
        start, end = match.octets()
        parts.append(subject[done:start])
        parts += [
            part if isinstance(part, bytes) else _group(ctx, subject, match, part)
            for part in template
        ]
        done = end
    return b"".join([*parts, subject[done:]])


def _group(ctx: "Context", subject: bytes, match: regexp.Match, number: int) -> bytes:
    start, end = match.octets(number)
    if start < 0:
        raise refusal(ctx, f"regex_replace: group {number} has no part in the match")
    return subject[start:end]


def _template(
    ctx: "Context", new: bytes, first: regexp.Match, subject: bytes
) -> "list[bytes | int]":
    """A replacement taken apart into plain octets and numbers of groups.

    `$&`, $` and `$'` are about the FIRST match, wherever they are used.
    """
    start, end = first.octets()
    constant = {
        b"$": b"$",
        b"+": str(first.groups).encode(),
        b"&": subject[start:end],
        b"`": subject[:start],
        b"'": subject[end:],
    }
    parts: list[bytes | int] = []
    at = 0
    while at < len(new):
        mark = new[at : at + 1]
        after = new[at + 1 : at + 2]
        if mark == b"\\" and after and after[0] in _DIGITS:
            mark = b"$"
        if mark != b"$":
            parts.append(mark)
            at += 1
        elif after in constant:
            parts.append(constant[after])
            at += 2
        else:
            name, at = _reference(new, at + 1)
            parts.append(_referred(ctx, name, first))
    return parts


def _reference(new: bytes, at: int) -> tuple[str, int]:
    """The name or number that follows a `$`, in braces or not, and where it ends."""
    braced = new[at : at + 1] == b"{"
    start = at + braced
    kind = _DIGITS if new[start : start + 1].isdigit() else _WORD
    end = start
    while end < len(new) and new[end] in kind:
        end += 1
    if braced and new[end : end + 1] != b"}":
        return "", at
    return new[start:end].decode("ascii"), end + braced


def _referred(ctx: "Context", name: str, match: regexp.Match) -> bytes | int:
    """The number of the group NAME; nothing for one digit too high."""
    if name.isdigit():
        if int(name) <= match.groups:
            return int(name)
        if len(name) == 1:
            return b""
    elif name in match.names:
        return match.names[name]
    raise refusal(ctx, f"regex_replace: the regular expression has no group '{name}'")
