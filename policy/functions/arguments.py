"""What functions of several modules expect of an argument, and what they say if it is not so."""

from policy import regexp, values
from policy.errors import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from policy.context import Context


def refuse(ctx: "Context", message: str, level: str = "error") -> "NoReturn":
    """Say MESSAGE, and that the function has no value."""
    ctx.log(level, message)
    raise Failed(message)


def integer(ctx: "Context", text: str) -> int:
    """The integer that TEXT writes. Raises Failed."""
    try:
        return values.integer(text, ctx.now)
    except ValueError as error:
        refuse(ctx, str(error))


def real(ctx: "Context", text: str) -> float:
    """The number that TEXT writes. Raises Failed."""
    try:
        return values.real(text)
    except ValueError as error:
        refuse(ctx, str(error))


def pattern(ctx: "Context", text: str) -> regexp.Pattern:
    """The regular expression that TEXT writes. Raises Failed."""
    try:
        return regexp.compile(text)
    except regexp.BadPattern as bad:
        refuse(ctx, str(bad))
