"""Classic templates (`edit_template`, method cfengine): lines to insert, guarded by classes.

Each line, or each block between `[%CFEngine BEGIN %]` and `[%CFEngine END %]`, becomes an
`insert_lines` promise: so lists in it are iterated over as in any promise.
"""

from marshal import dumps

from agent import bundle as bundles
from agent.actuators.regions import TRUE
from agent.edits import lines_of
from policy import classes, strings
from policy.plan import Bundle
from policy.values import canonify, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.edits import Buffer
    from agent.promise import Promise
    from agent.run import Run
    from policy.context import Context

MARK = "[%CFEngine"
ATTRIBUTES = (("insert_type", "preserve_all_lines"),)


class Broken(Exception):
    """A template that cannot be read. The message is what the promise says of it."""


def render(promise: "Promise", run: "Run", buffer: "Buffer") -> str:
    """Put what the template of PROMISE says into BUFFER; what is wrong with it, or nothing."""
    path: str = promise.attributes["edit_template"]
    try:
        lines = lines_of(text(run.host.read(path)))
    except OSError:
        return f"Unable to open template file '{path}' to make '{promise.promiser}'"
    try:
        parts = chunks(lines, run.ctx)
    except Broken as broken:
        return f"Template file '{path}' {broken}"
    promises = [(line, None, strings.parse(part), None, ATTRIBUTES) for line, part in parts]
    name = f"temp_cf_bundle_{canonify(path)}"
    blob = dumps((("insert_lines", tuple(promises)),))
    bundle = Bundle(run.plan, path, ("edit_line", "default", name, (), False, 1, blob))
    defaults = promise.body("edit_defaults") or {}
    bundles.perform(bundle, (), run, inherit=defaults.get("inherit") in TRUE, edit=buffer)
    buffer.edits += 1  # an empty template counts, too
    return ""


def chunks(lines: list[str], ctx: "Context") -> list[tuple[int, str]]:
    """The texts to insert, each with the number of the line that it ends on. Raises Broken."""
    found: list[tuple[int, str]] = []
    block: list[str] = []
    guard, outer = "any", "any"
    inside = False
    for number, line in enumerate(lines, 1):
        if not line.startswith(MARK):
            if _holds(guard, ctx):
                if inside:
                    block.append(line)
                else:
                    found.append((number, line))
            continue
        word = _marker(line, number)
        if word == "BEGIN":
            if inside:
                raise Broken(f"contains nested blocks which are not allowed, near line {number}")
            inside, outer = True, guard
        elif word.endswith("::"):
            guard = word[:-2]
        else:
            if word == "END":
                inside, guard = False, outer
            if _holds(guard, ctx):
                found.append((number, "\n".join(block)))
            block = []
    return found


def _marker(line: str, number: int) -> str:
    """What stands between the brackets of the marker LINE."""
    words = line[len(MARK) :].split()
    if len(words) < 2 or words[1] != "%]":
        raise Broken(f'syntax error, missing close "%]" at line {number}')
    return words[0]


def _holds(guard: str, ctx: "Context") -> bool:
    """Whether the class expression GUARD holds; one that is none does not."""
    try:
        return classes.holds(guard, ctx)
    except classes.BadExpression as bad:
        ctx.log("error", str(bad))
        return False
