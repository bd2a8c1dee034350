"""What functions of several modules expect of an argument, and what they say if it is not so."""

from policy import regexp, values
from policy.errors import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.context import Context


def refusal(ctx: "Context", message: str, level: str = "error") -> Failed:
    """What to raise where a function has no value, after saying MESSAGE."""
    ctx.log(level, message)
    return Failed(message)


def integer(ctx: "Context", text: str) -> int:
    """The integer that TEXT writes; if none, the number for that, which functions go on with."""
    try:
        return values.integer(text, ctx.now)
    except ValueError as error:
        ctx.log("error", str(error))
        return values.NO_INTEGER


def short(ctx: "Context", text: str) -> int:
    """The integer that TEXT writes, as the 32 bits hold it that most functions have for one."""
    return values.wrapped(integer(ctx, text))


def real(ctx: "Context", text: str) -> float:
    """The number that TEXT writes. Raises Failed."""
    try:
        return values.real(text)
    except ValueError as error:
        raise refusal(ctx, str(error)) from None


def pattern(ctx: "Context", text: str) -> regexp.Pattern:
    """The regular expression that TEXT writes. Raises Failed."""
    try:
        return regexp.compile(text)
    except regexp.BadPattern as bad:
        raise refusal(ctx, str(bad)) from None
