"""The tree that the rules of grammar.lark make: one method for each rule or alias there.

Its state is what holds from here on in the file: the namespace, the evaluation order, the guards.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from policy import strings
from policy.classes import DEEPEST
from policy.diagnostics import Diagnostic
from policy.source import Source, Span
from policy.syntax import (
    Attribute,
    Body,
    Bundle,
    Call,
    Guard,
    List,
    ListRef,
    Name,
    Policy,
    Promise,
    Section,
    Text,
)

if TYPE_CHECKING:
    from policy.syntax import Rval

    Token = re.Match[str]  # its one group is named after its kind; blanks before it are outside
    Promiser = tuple[Token, Text, Rval | None]

MAX_NESTING = 10

ESCAPE = re.compile(r"\\(?:\n(.)?|([\\\"']))", re.DOTALL)
BLANK_BETWEEN_NAMES = re.compile(r"[_A-Za-z0-9][ \t]+[_A-Za-z0-9]")
# a class expression in which each `(...)` has become one character that no name has
FLAT = r"!?(?:[A-Za-z0-9_:]+|\x01)(?:(?:[.&]|\|\|?)!?(?:[A-Za-z0-9_:]+|\x01))*"
FLAT_EXPRESSION = re.compile(FLAT)
FLAT_GROUP = re.compile(rf"\({FLAT}\)")


def token_text(token: Token) -> str:
    """What the token consists of."""
    return token[token.lastindex or 0]


class Builder:
    """Makes the tree of one source. SPAN, MISTAKE and SECTION_OVER apart, methods are rules."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.mistakes: list[Diagnostic] = []
        self.namespace = "default"
        self.top_down = False
        self.class_guard: Guard | None = None
        self.string_guard: Guard | None = None

    def span(self, token: Token, last: Token | None = None) -> Span:
        """Where TOKEN is, up to the end of LAST if there is one."""
        start, end = token.span(token.lastindex or 0)
        return Span(self.source, start, end if last is None else last.end())

    def mistake(self, message: str, span: Span, hint: str = "") -> None:
        """Note what is wrong; the tree is made nevertheless."""
        self.mistakes.append(Diagnostic(message, span, hint))

    def section_over(self) -> None:
        """From here on nothing is guarded."""
        self.class_guard = self.string_guard = None

    # sequences

    def none(self) -> list[Any]:
        return []

    def more(self, before: list[Any], one: Any, *_: Token) -> list[Any]:
        before.append(one)
        return before

    def same(self, one: Any, *_: Any) -> Any:
        return one

    def first(self, one: Any) -> list[Any]:
        return [one]

    def next(self, before: list[Any], _: Token, one: Any) -> list[Any]:
        before.append(one)
        return before

    # blocks

    def policy(self, blocks: list[Bundle | Body]) -> Policy:
        return Policy(tuple(blocks), Span(self.source, 0, len(self.source.text)))

    def bundle(
        self, keyword: Token, kind: Token, name: Token, params: list[Token], *inner: Any
    ) -> Bundle:
        self.section_over()
        return Bundle(
            kind["IDENT"],
            name["IDENT"],
            tuple([param["IDENT"] for param in params]),
            tuple(inner[1]),
            self.span(keyword, name),
            self.namespace,
            self.top_down,
        )

    def body(
        self, keyword: Token, kind: Token, name: Token, params: list[Token], *inner: Any
    ) -> Body:
        self.section_over()
        made = Body(
            kind["IDENT"] if keyword.lastgroup == "BODY" else "promise",
            name["IDENT"],
            tuple([param["IDENT"] for param in params]),
            tuple(inner[1]),
            self.span(keyword, name),
            self.namespace,
        )
        if keyword.lastgroup == "PROMISE":
            self._custom(kind)
        elif made.name == "control":
            self._control(made, params)
        return made

    def _custom(self, kind: Token) -> None:
        if kind["IDENT"] != "agent":
            message = f"Custom promises only supported for 'agent', not '{kind['IDENT']}'"
            self.mistake(message, self.span(kind))

    def _control(self, body: Body, params: list[Token]) -> None:
        if params:
            message = f"Control bodies cannot take arguments, body {body.type} control"
            self.mistake(message, self.span(params[0], params[-1]))
        if body.type == "file":
            for attribute in body.attributes:
                if attribute.name in ("namespace", "evaluation_order"):
                    self._file_control(attribute)

    def _file_control(self, attribute: Attribute) -> None:
        """Note what `body file control` says about the rest of the file."""
        match attribute.name, attribute.value:
            case name, Call(span=span) | List(span=span):
                self.mistake(f"{name} must be a constant scalar string", span)
            case "namespace", rval:
                self.namespace = rval.value
            case _, Text(value="classic" | "top_down" as order) | Name(
                value="classic" | "top_down" as order
            ):
                self.top_down = order == "top_down"

    def no_params(self, *_: Token) -> list[Token]:
        return []

    def params(self, _: Token, names: list[Token], *__: Token) -> list[Token]:
        return names

    # statements

    def section(self, guard: Token, promises: list[Promise]) -> Section:
        return Section(guard["PROMISE_GUARD"][:-1], tuple(promises), self.span(guard))

    def type(self, guard: Token) -> Token:
        self.section_over()
        return guard

    def guard(self, token: Token) -> None:
        text, span = token["CLASS_GUARD"][:-2], self.span(token)
        self.class_guard, self.string_guard = Guard(text, span), None
        if BLANK_BETWEEN_NAMES.search(text):
            self.mistake(
                "class names can't be separated by whitespace without an intervening operator",
                span,
                "'.' means and, '|' means or; a guard takes in all words before it on its line",
            )
        if _depth(text) > DEEPEST:
            hint = f"brackets may be nested up to {DEEPEST} deep"
            self.mistake("Syntax error in context string", span, hint)
        elif not _begins_with_expression(text):
            hint = "write it without blanks, as in linux.(a|!b)::" if " " in text else ""
            self.mistake("Syntax error in context string", span, hint)

    def variable_guard(self, token: Token) -> None:
        text = token["STRING_GUARD"][1:-3]
        self.class_guard, self.string_guard = None, Guard(text, self.span(token), variable=True)

    def promise(self, promiser: Promiser, *rest: Any) -> Promise:
        token, text, promisee = promiser
        return Promise(
            text,
            promisee,
            tuple(rest[0]) if len(rest) > 1 else (),
            self.span(token, rest[-1]),
            self.class_guard,
            self.string_guard,
        )

    def promiser(self, token: Token, *promisee: Any) -> Promiser:
        return token, self.string(token), promisee[1] if promisee else None

    def attribute(self, name: Token, _: Token, value: Rval) -> Attribute:
        return Attribute(name["IDENT"], value, self.span(name))

    def setting(self, name: Token, _: Token, value: Rval) -> Attribute:
        guard = self.string_guard
        if guard is not None:
            self.string_guard = None
            message = f"Body attributes can't be put under a variable class '{guard.text}'"
            self.mistake(message, guard.span, "in a body, a guard is written without quotes")
        return Attribute(name["IDENT"], value, self.span(name), self.class_guard)

    # values

    def string(self, token: Token) -> Text:
        value = token["STRING"][1:-1]
        if "\0" in value:
            at = token.start("STRING") + 1 + value.index("\0")
            self.mistake("Runaway string", Span(self.source, at, at + 1), "a NUL octet stands here")
        if strings.too_deep(value):
            hint = f"at most {strings.DEEPEST} references may be in each other"
            self.mistake("Stack overflow in variable reference parsing", self.span(token), hint)
            value = ""
        return Text(ESCAPE.sub(r"\1\2", value) if "\\" in value else value, self.span(token))

    def name(self, token: Token) -> Name:
        return Name(token["IDENT"], self.span(token))

    def naked(self, token: Token) -> Text | ListRef:
        value = token["NAKED"]
        if value.startswith("@"):
            return ListRef(value, self.span(token))
        return Text(value, self.span(token), naked=True)

    def list(self, begin: Token, *inner: Any) -> List:
        return List(tuple(inner[0]) if len(inner) > 1 else (), self.span(begin, inner[-1]))

    def call(self, callee: Token, _: Token, *inner: Any) -> Call:
        args = tuple(inner[0]) if len(inner) > 1 else ()
        made = Call(token_text(callee), args, self.span(callee, inner[-1]))
        if not _nested(made, MAX_NESTING):
            return made
        for arg in args:
            if type(arg) is Call and _nested(arg, MAX_NESTING):
                return arg  # said of it already; the tree stays as flat as it is
        self.mistake("Nesting of functions is deeper than recommended", made.span)
        return made


def _nested(call: Call, levels: int) -> bool:
    """Whether at least so many LEVELS of calls are in each other here."""
    return levels == 1 or any(type(arg) is Call and _nested(arg, levels - 1) for arg in call.args)


def _depth(text: str) -> int:
    """How many brackets of TEXT are in each other where it is deepest."""
    return max(accumulate((char == "(") - (char == ")") for char in text), default=0)


def _begins_with_expression(text: str) -> bool:
    """Whether TEXT begins with a class expression: the language does not look behind it."""
    while (flatter := FLAT_GROUP.sub("\x01", text)) != text:
        text = flatter
    found = FLAT_EXPRESSION.match(text)
    return found is not None and not text.startswith((".", "&", "|"), found.end())
