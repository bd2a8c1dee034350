"""What functions of several modules expect of an argument, and what they say if it is not so."""

from policy import regexp, values
from policy.errors import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash

    from policy.context import Context

_DIGESTS = ("md5", "sha1", "sha256", "sha384", "sha512")


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


def digest(ctx: "Context", function: str, algorithm: str) -> "_Hash | None":
    """What makes digests by this ALGORITHM; None, and an error in the log, if there is none."""
    import hashlib

    if algorithm not in _DIGESTS:
        ctx.log("error", f"{function}: no digest is called '{algorithm}'")
        return None
    return hashlib.new(algorithm, usedforsecurity=False)
