"""Class expressions: `linux.(Hr05|!weekend)` compiled to tuples, and whether they hold.

Compiled: a name is itself, `true` and `false` are True and False, all else a tuple headed by its
operator: ("&", ...), ("|", ...), ("!", x).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from policy.context import Context

    Expression: TypeAlias = "str | bool | tuple[Expression, ...]"

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:")
_CONSTANTS = {"true": True, "false": False}
DEEPEST = 200  # brackets in each other


class BadExpression(ValueError):
    """The text is no class expression; the message is what the user is told."""


class _Reader:
    """A position in the text of an expression, its blanks already removed."""

    __slots__ = ("at", "depth", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def alternatives(self) -> "Expression":
        """`a.b | c | ...`."""
        found = [self.conjunction()]
        while self.peek() == "|":
            self.at += 2 if self.text.startswith("||", self.at) else 1
            found.append(self.conjunction())
        return found[0] if len(found) == 1 else ("|", *found)

    def conjunction(self) -> "Expression":
        """`a . !b & ...`."""
        found = [self.negation()]
        while self.peek() in (".", "&") and self.peek():
            self.at += 1
            found.append(self.negation())
        return found[0] if len(found) == 1 else ("&", *found)

    def negation(self) -> "Expression":
        if self.peek() == "!":
            self.at += 1
            return ("!", self.primary())
        return self.primary()

    def primary(self) -> "Expression":
        """A name, or an expression in brackets."""
        if self.peek() == "(":
            self.at += 1
            self.depth += 1
            if self.depth > DEEPEST:
                raise BadExpression
            inner = self.alternatives()
            if self.peek() != ")":
                raise BadExpression
            self.at += 1
            self.depth -= 1
            return inner
        return self.name()

    def name(self) -> "Expression":
        start, depth, text = self.at, 0, self.text
        while self.at < len(text):
            char = text[self.at]
            if char == "[":
                depth += 1
            elif char == "]":
                depth -= 1
            elif char not in _NAME and not (depth and char == " "):
                break
            self.at += 1
        if self.at == start:
            raise BadExpression
        word = text[start : self.at]
        return _CONSTANTS.get(word, word)


def compiled(text: str) -> "Expression":
    """TEXT as tuples. What follows a complete expression is ignored, as the reference does.

    Raises BadExpression.
    """
    if text.isidentifier() and text.isascii():
        return _CONSTANTS.get(text, text)
    if " " in text or "\t" in text:
        _no_blank_between_names(text)
        text = text.replace(" ", "").replace("\t", "")
    try:
        return _Reader(text).alternatives()
    except BadExpression:
        raise BadExpression(f"Couldn't find any class matching '{text}'") from None


def _no_blank_between_names(text: str) -> None:
    """Raise BadExpression where two names in TEXT have nothing but blanks between them."""
    words = text.split()
    for at, right in enumerate(words[1:]):
        left = words[at]
        if left[-1] in _NAME and right[0] in _NAME:
            raise BadExpression(
                "class expressions can't be separated by whitespace without an intervening "
                f"operator in expression '{text}'"
            )


def truth(expression: "Expression", ctx: "Context") -> bool:
    """Whether the compiled EXPRESSION holds in CTX."""
    if type(expression) is str:
        return ctx.defined(expression)
    if type(expression) is bool:
        return expression
    operator = expression[0]
    terms = expression[1:]
    if operator == "&":
        for term in terms:  # noqa: SIM110  # a generator takes twice as long
            if not (ctx.defined(term) if type(term) is str else truth(term, ctx)):
                return False
        return True
    if operator == "|":
        for term in terms:  # noqa: SIM110  # as above
            if ctx.defined(term) if type(term) is str else truth(term, ctx):
                return True
        return False
    return not truth(terms[0], ctx)


def holds(text: str, ctx: "Context") -> bool:
    """Whether the expression TEXT holds in CTX. Raises BadExpression."""
    return truth(ctx.expression(text), ctx)
