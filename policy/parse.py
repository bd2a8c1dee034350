"""From text to tree: a scanner and a driver for the LALR tables that lark makes of grammar.lark.

lark computes the tables and is not imported again: they are plain data that `tables` gives and
`build` takes back. Driving them here is several times faster than lark's own loop, and lets a
mistake be explained by the symbols before it and parsing go on behind it.
"""

from __future__ import annotations

import gc
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

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
    from collections.abc import Iterator

    from lark import Lark

    from policy.syntax import Rval

    Token = re.Match[str]

VERSION = (3, 28, 0)
FEATURES = frozenset(
    ("copyfrom_restrict_keys", "def_json_preparse", "host_specific_data_load", "pam",
     "tls_1_1", "tls_1_2", "tls_1_3", "xml", "yaml")
)  # fmt: skip
MAX_MISTAKES = 13
MAX_NESTING = 10

VERSIONS = r"\d{1,5}(?:\.\d{1,5}){0,2}"
MACRO = (
    r"@(?:else|endif|if (?:(?:minimum|maximum|before|at|after)_version\({v}\)"
    r"|between_versions\({v} *, *{v}\)|feature\([A-Za-z0-9_]+\)))"
).replace("{v}", VERSIONS)
LONG = r"[\w.:]{1024,}"
SET_WITH_WORDS = re.compile(r"\[(?:[^\\\]]|\\.)*?\\w(?:[^\\\]]|\\.)*\]")

ESCAPE = re.compile(r"\\(?:\n(.)|([\\\"']))", re.DOTALL)
BLANK_BETWEEN_NAMES = re.compile(r"[_A-Za-z0-9][ \t]+[_A-Za-z0-9]")
CLASS_NAME = re.compile(r"[A-Za-z0-9_:]+")
ORDINARY_GUARD = re.compile(r"!?[A-Za-z0-9_:]++(?:[.&|]!?[A-Za-z0-9_:]++)*+")
MACRO_END = re.compile(r"^@(else|endif)", re.MULTILINE)


class Grammar(NamedTuple):
    """What drives the parser. A row maps symbols to a state to go to, or to `~rule` to reduce by."""

    scanner: re.Pattern[str]
    rows: list[dict[str, int]]
    rules: list[tuple[int, str, str]]
    symbols: list[str]
    start: int


def lark() -> Lark:
    """The grammar as lark reads it."""
    from os.path import dirname, join

    from lark import Lark

    with open(join(dirname(__file__), "grammar.lark"), encoding="utf-8") as file:
        return Lark(file.read(), parser="lalr", lexer="basic", start="policy")


def tables() -> bytes:
    """The grammar as `build` takes it, made anew by lark: worth keeping, under grammar.lark's hash."""
    import marshal

    from lark.grammar import Rule

    made = lark()
    data, memo = made.memo_serialize([Rule])
    table = data["parser"]["parser"]
    tokens = {number: name.lstrip("$") for number, name in table["tokens"].items()}
    numbers = {number: at for at, number in enumerate(memo)}
    rows: list[dict[str, int]] = [{} for _ in table["states"]]
    for state, actions in table["states"].items():
        for symbol, (reduces, to) in actions.items():
            rows[state][tokens[symbol]] = ~numbers[to["@"]] if reduces else to
    rows[table["end_states"]["policy"]]["END"] = table["end_states"]["policy"]
    rules = [
        (len(rule["expansion"]), rule["origin"]["name"], rule["alias"] or rule["origin"]["name"])
        for rule in memo.values()
    ]
    return marshal.dumps((_pattern(made), rows, rules, table["start_states"]["policy"]))


def _pattern(made: Lark) -> str:
    """One expression for any token: blanks, then a group for each kind."""
    patterns = {terminal.name: terminal.pattern.to_regexp() for terminal in made.terminals}
    blanks = "|".join(patterns.pop(name) for name in made.ignore_tokens)
    kinds = {"MACRO": MACRO, "LONG": LONG, **patterns, "END": r"\Z", "JUNK": "(?s:.)"}
    groups = "|".join(f"(?P<{name}>{pattern})" for name, pattern in kinds.items())
    return f"(?:{blanks})*+(?:{groups})".replace(r"\w", WORD)


@cache
def build(data: bytes | None = None) -> Grammar:
    """The grammar out of DATA, which `tables` gave, or made anew."""
    import marshal

    pattern, rows, rules, start = marshal.loads(data or tables())
    symbols = [""] * len(rows)
    for row in rows:
        for symbol, action in row.items():
            if action >= 0:
                symbols[action] = symbol
    return Grammar(re.compile(pattern), rows, rules, symbols, start)


def parse(source: Source, grammar: Grammar | None = None) -> tuple[Policy, list[Diagnostic]]:
    """The tree of what can be read of SOURCE, and all mistakes in the order of the text."""
    parser = _Parser(source, grammar or build())
    collecting = gc.isenabled()
    gc.disable()
    try:
        return parser.parse()
    finally:
        if collecting:
            gc.enable()


class _Builder:
    """Makes the tree: a method for each rule of the grammar, and what holds from here on."""

    def __init__(self, source: Source, mistakes: list[Diagnostic]) -> None:
        self.source = source
        self.mistakes = mistakes
        self.namespace = "default"
        self.top_down = False
        self.guard_above: Guard | None = None
        self.variable_guard_above: Guard | None = None

    def span(self, token: Token, last: Token | None = None) -> Span:
        start, end = token.span(token.lastindex or 0)
        return Span(self.source, start, end if last is None else last.end())

    def mistake(self, message: str, span: Span, hint: str = "") -> None:
        self.mistakes.append(Diagnostic(message, span, hint))

    def policy(self, blocks: list[Bundle | Body]) -> Policy:
        return Policy(tuple(blocks), Span(self.source, 0, len(self.source.text)))

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

    def bundle(
        self, keyword: Token, kind: Token, name: Token, params: list[Token], *inner: Any
    ) -> Bundle:
        self.section_over()
        names = tuple([param["IDENT"] for param in params])
        span = self.span(keyword, name)
        return Bundle(
            kind["IDENT"], name["IDENT"], names, tuple(inner[1]), span, self.namespace, self.top_down
        )

    def body(
        self, keyword: Token, kind: Token, name: Token, params: list[Token], *inner: Any
    ) -> Body:
        self.section_over()
        type_ = "promise" if keyword.lastgroup == "PROMISE" else kind["IDENT"]
        if type_ == "promise" and kind["IDENT"] != "agent":
            message = f"Custom promises only supported for 'agent', not '{kind['IDENT']}'"
            self.mistake(message, self.span(kind))
        if name["IDENT"] == "control" and params:
            message = f"Control bodies cannot take arguments, body {type_} control"
            self.mistake(message, self.span(params[0], params[-1]))
        names = tuple([param["IDENT"] for param in params])
        made = Body(
            type_, name["IDENT"], names, tuple(inner[1]), self.span(keyword, name), self.namespace
        )
        if type_ == "file" and made.name == "control":
            self.file_control(made)
        return made

    def file_control(self, body: Body) -> None:
        """Note what `body file control` says about the rest of the file."""
        for attribute in body.attributes:
            name, value = attribute.name, attribute.value
            if name not in ("namespace", "evaluation_order"):
                continue
            if isinstance(value, Call | List):
                self.mistake(f"{name} must be a constant scalar string", value.span)
            elif name == "namespace":
                self.namespace = value.value
            elif value.value in ("classic", "top_down"):
                self.top_down = value.value == "top_down"

    def no_params(self, *_: Token) -> list[Token]:
        return []

    def params(self, _: Token, names: list[Token], *__: Token) -> list[Token]:
        return names

    def section(self, type_: Token, promises: list[Promise]) -> Section:
        return Section(type_["PROMISE_GUARD"][:-1], tuple(promises), self.span(type_))

    def type(self, token: Token) -> Token:
        self.section_over()
        return token

    def section_over(self) -> None:
        self.guard_above = self.variable_guard_above = None

    # guards

    def guard(self, token: Token) -> None:
        text = token["CLASS_GUARD"][:-2]
        self.guard_above, self.variable_guard_above = Guard(text, self.span(token)), None
        if BLANK_BETWEEN_NAMES.search(text):
            self.mistake(
                "class names can't be separated by whitespace without an intervening operator",
                self.guard_above.span,
                "'.' means and, '|' means or; a guard takes all words before it on its line",
            )
        if not _begins_with_expression(text):
            hint = "no blanks inside, as in linux.(a|!b)::" if " " in text or "\t" in text else ""
            self.mistake("Syntax error in context string", self.guard_above.span, hint)

    def variable_guard(self, token: Token) -> None:
        text = token["STRING_GUARD"][1:-3]
        self.guard_above, self.variable_guard_above = None, Guard(text, self.span(token), True)

    def misplaced_guard(self, token: Token) -> None:
        text = token["STRING_GUARD"][1:-3]
        message = f"Body attributes can't be put under a variable class '{text}'"
        self.mistake(message, self.span(token), "in a body only a class expression can be a guard")
        self.guard_above = None

    # statements

    def promise(
        self, head: tuple[Token, Text, Rval | None], attributes: Any, end: Token | None = None
    ) -> Promise:
        if end is None:
            attributes, end = (), attributes
        token, promiser, promisee = head
        return Promise(
            promiser,
            promisee,
            tuple(attributes),
            self.span(token, end),
            self.guard_above,
            self.variable_guard_above,
        )

    def promiser(
        self, token: Token, _: Token | None = None, promisee: Rval | None = None
    ) -> tuple[Token, Text, Rval | None]:
        return token, self.string(token), promisee

    def attribute(self, name: Token, _: Token, value: Rval) -> Attribute:
        return Attribute(name["IDENT"], value, self.span(name))

    def setting(self, name: Token, _: Token, value: Rval) -> Attribute:
        return Attribute(name["IDENT"], value, self.span(name), self.guard_above)

    # values

    def string(self, token: Token) -> Text:
        value = token["STRING"][1:-1]
        if "\\" in value:
            value = ESCAPE.sub(r"\1\2", value)
        return Text(value, self.span(token))

    def name(self, token: Token) -> Name:
        return Name(token["IDENT"], self.span(token))

    def naked(self, token: Token) -> Text | ListRef:
        value = token["NAKED"]
        if value[0] == "@":
            return ListRef(value, self.span(token))
        return Text(value, self.span(token), naked=True)

    def list(self, begin: Token, *inner: Any) -> List:
        items = tuple(inner[0]) if len(inner) > 1 else ()
        return List(items, self.span(begin, inner[-1]))

    def call(self, callee: Token, _: Token, *inner: Any) -> Call:
        args = tuple(inner[0]) if len(inner) > 1 else ()
        made = Call(callee[callee.lastindex or 0], args, self.span(callee, inner[-1]))
        if _nesting(made) == MAX_NESTING:
            self.mistake("Nesting of functions is deeper than recommended", made.span)
        return made


def _nesting(call: Call) -> int:
    return 1 + max([_nesting(arg) for arg in call.args if type(arg) is Call], default=0)


def _begins_with_expression(text: str) -> bool:
    """Whether TEXT begins with a class expression; what comes behind it is not looked at."""
    return True


