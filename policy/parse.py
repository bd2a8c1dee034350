"""From text to tree: a scanner and a driver for the LALR tables that lark makes of grammar.lark.

The tables are plain data that `tables` gives and `build` takes back, so lark itself is needed once.
Driving them here is several times faster than lark's own loop, and the symbols before a mistake
are at hand to explain it and to go on behind it.
"""

from __future__ import annotations

import gc
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from policy.construct import Builder, token_text
from policy.diagnostics import Diagnostic
from policy.mistakes import SUPERFLUOUS, explain
from policy.source import Source, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lark import Lark

    from policy.construct import Token
    from policy.syntax import Policy

VERSION = (3, 28, 0)
FEATURES = frozenset(
    ("copyfrom_restrict_keys", "def_json_preparse", "host_specific_data_load", "pam",
     "tls_1_1", "tls_1_2", "tls_1_3", "xml", "yaml")
)  # fmt: skip
MAX_MISTAKES = 13

MACRO = (
    r"@(?:else|endif|if (?:(?:minimum|maximum|before|at|after)_version\(<v>\)"
    r"|between_versions\(<v> *, *<v>\)|feature\([A-Za-z0-9_]+\)))"
).replace("<v>", r"\d{1,5}(?:\.\d{1,5}){0,2}")
TOO_LONG = r"[\w.:]{1024,}"
SET_WITH_WORDS = re.compile(r"(?<!\\)\[(?:[^\\\]]|\\.)*?\\w(?:[^\\\]]|\\.)*\]")
MACRO_BRANCH = re.compile(r"^@(else|endif)", re.MULTILINE)
# behind a mistake, reading goes on at one of these if it can stand there
LANDMARKS = frozenset(
    ("CLASS_GUARD", "STRING_GUARD", "PROMISE_GUARD", "LBRACE", "RBRACE",
     "BUNDLE", "BODY", "PROMISE", "END")
)  # fmt: skip
BLOCKS = frozenset(("BUNDLE", "BODY", "PROMISE"))
# a state that one of these can follow is where a statement, a section or the `{` of a block is due
LEVELS = frozenset(("CLASS_GUARD", "PROMISE_GUARD", "params"))
PUNCTUATION = frozenset(
    ("COMMA", "SEMICOLON", "LPAR", "RPAR", "LBRACE", "RBRACE", "FAT_ARROW", "THIN_ARROW", "END")
)
QUOTES = frozenset("\"'`")
UNFIT = -(1 << 30)

# what `@if` asks, by how our version compares with those that are given
COMPARISONS: dict[str, Callable[..., bool]] = {
    "minimum_version": lambda ours: ours >= 0,
    "maximum_version": lambda ours: ours <= 0,
    "before_version": lambda ours: ours < 0,
    "at_version": lambda ours: ours == 0,
    "after_version": lambda ours: ours > 0,
    "between_versions": lambda low, high: low >= 0 and high <= 0,
}


MOST_DROPPED = 100_000  # tokens between a mistake and where reading goes on
GRAMMAR = os.path.join(os.path.dirname(__file__), "grammar.lark")


class Grammar(NamedTuple):
    """What drives the parser. A row maps symbols to the next state, or to `~rule` to reduce by."""

    scanner: re.Pattern[str]
    rows: list[dict[str, int]]
    rules: list[tuple[int, str, str]]
    symbols: list[str]
    start: int


def lark() -> Lark:
    """The grammar as lark reads it."""
    from lark import Lark

    with open(GRAMMAR, encoding="utf-8") as file:
        return Lark(file.read(), parser="lalr", lexer="basic", start="policy")


def tables() -> bytes:
    """The grammar as `build` takes it, made anew. To be kept under a key made of grammar.lark."""
    from marshal import dumps

    from lark.grammar import Rule

    made = lark()
    data, memo = made.memo_serialize([Rule])
    table = data["parser"]["parser"]
    symbols = {number: name.lstrip("$") for number, name in table["tokens"].items()}
    rules = {number: at for at, number in enumerate(memo)}
    rows: list[dict[str, int]] = [{} for _ in table["states"]]
    for state, actions in table["states"].items():
        for symbol, (reduces, to) in actions.items():
            rows[state][symbols[symbol]] = ~rules[to["@"]] if reduces else to
    end = table["end_states"]["policy"]
    rows[end]["END"] = end
    named = [
        (len(rule["expansion"]), rule["origin"]["name"], rule["alias"] or rule["origin"]["name"])
        for rule in memo.values()
    ]
    return dumps((_pattern(made), rows, named, table["start_states"]["policy"]))


def _pattern(made: Lark) -> str:
    """One expression for any token: blanks, then one group, named after its kind."""
    patterns = {terminal.name: terminal.pattern.to_regexp() for terminal in made.terminals}
    blanks = "|".join(patterns.pop(name) for name in made.ignore_tokens)
    kinds = {"MACRO": MACRO, "TOO_LONG": TOO_LONG, **patterns, "END": r"\Z", "JUNK": "(?s:.)"}
    groups = "|".join(f"(?P<{name}>{pattern})" for name, pattern in kinds.items())
    return SET_WITH_WORDS.sub(_complement, f"(?:{blanks})*+(?:{groups})")


def _complement(found: re.Match[str]) -> str:
    """A set with word characters in it as all but the rest of ASCII: it compiles in no time."""
    inside = re.compile(found[0], re.ASCII)
    outside = [chr(code) for code in range(128) if not inside.match(chr(code))]
    return f"[^{''.join(map(re.escape, outside))}]"


@cache
def build(data: bytes | None = None) -> Grammar:
    """The grammar out of DATA, which `tables` gave, or made anew."""
    from marshal import loads

    pattern, rows, rules, start = loads(data or tables())
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


class _Parser:
    """Drives the tables over the tokens of one source, and finds the way on after a mistake."""

    def __init__(self, source: Source, grammar: Grammar) -> None:
        self.source = source
        self.scanner, self.rows, rules, self.symbols, start = grammar
        self.builder = Builder(source)
        self.rules = [(size, origin, getattr(self.builder, name)) for size, origin, name in rules]
        self.states = [start]
        self.values: list[Any] = []
        self.condition: Token | None = None
        self.begin = 0
        self.tokens = self.scan()

    def parse(self) -> tuple[Policy, list[Diagnostic]]:
        """Read all tokens. What is not a whole block by then is not in the tree."""
        while (token := next(self.tokens, None)) is not None:
            if not self.advance(token.lastgroup or "", token):
                self.recover(token)
        mistakes = sorted(self.builder.mistakes, key=lambda mistake: mistake.span.start)
        if len(mistakes) >= MAX_MISTAKES:
            last = mistakes[MAX_MISTAKES - 1].span
            mistakes[MAX_MISTAKES:] = [Diagnostic("Too many errors", last)]
        return self.builder.policy(self.values[0] if self.values else []), mistakes

    def advance(self, kind: str, token: Token) -> bool:
        """Reduce what a token of KIND completes, then shift it. False if it cannot stand here."""
        rows, states = self.rows, self.states
        while (action := rows[states[-1]].get(kind)) is not None:
            if action >= 0:
                states.append(action)
                self.values.append(token)
                return True
            self.reduce(~action)
        return False

    def reduce(self, rule: int) -> None:
        """Replace the parts of RULE, which are on the stack, by what is made of them."""
        states, values = self.states, self.values
        size, origin, make = self.rules[rule]
        if size:
            parts = values[-size:]
            del values[-size:], states[-size:]
            values.append(make(*parts))
        else:
            values.append(make())
        states.append(self.rows[states[-1]][origin])

    # mistakes

    def recover(self, token: Token) -> None:
        """Say what is wrong with TOKEN and go on: as if it were right, or somewhere behind it."""
        self.settle()
        symbols = [self.symbols[state] for state in self.states]
        kind = token.lastgroup or ""
        unclosed = self.unclosed(token)
        missing = self.report(symbols, token, unclosed)
        if len(self.builder.mistakes) >= MAX_MISTAKES or token_text(token) in QUOTES:
            self.tokens.close()
        elif unclosed:
            self.reread(unclosed, token, missing)
        elif (symbols[-1], kind) in SUPERFLUOUS or self.insert(missing, kind, token):
            return
        elif symbols[-1] == "COMMA" and kind == "SEMICOLON":
            self.cut(len(self.states) - 2)
            self.advance(kind, token)
        else:
            self.skip(token)

    def settle(self) -> None:
        """Reduce what needs no look at the next token: the last symbol tells where we are."""
        while True:
            row = self.rows[self.states[-1]]
            rules = {~action for action in row.values() if action < 0}
            shifts = any(action >= 0 and symbol.isupper() for symbol, action in row.items())
            if len(rules) != 1 or (shifts and not self.symbols[self.states[-1]].isupper()):
                return
            self.reduce(rules.pop())

    def report(self, symbols: list[str], token: Token, unclosed: Token | None) -> tuple[str, ...]:
        """Note the mistake; the kinds of token that may be missing before TOKEN."""
        kind, span = token.lastgroup or "", self.builder.span(token)
        said = explain(symbols, kind, token_text(token).partition("\n")[0])
        message, hint = said.message, said.hint
        if kind == "TOO_LONG":
            message, hint = "identifier too long", ""
        if kind == "END":
            end = len(self.source.text.rstrip())
            span = Span(self.source, end, end)
        if unclosed:
            line = self.builder.span(unclosed).line
            hint = f"a text that begins in line {line} ends here: is its closing quote missing?"
        self.builder.mistake(message, span, hint)
        return said.missing

    def unclosed(self, token: Token) -> Token | None:
        """A text of several lines in this statement that a word touches: it lacks its quote."""
        before = found = None
        for here in self.scanner.finditer(self.source.text, self.begin, token.end()):
            touches = here.start() == here.start(here.lastindex or 0)
            if before and touches and here.lastgroup not in PUNCTUATION:
                found = found or before
            elif here.lastgroup == "SEMICOLON" and here.end() < token.end():
                found = None
            before = here if "\n" in (here["STRING"] or "") else None
        return found

    def reread(self, unclosed: Token, token: Token, missing: tuple[str, ...]) -> None:
        """Go on as if the text UNCLOSED, somewhere before TOKEN, had ended with its first line."""
        self.begin = self.source.text.index("\n", unclosed.start("STRING"))
        self.tokens = self.scan()
        following = next(self.tokens, None)
        if following and unclosed.end() == token.start():
            kind = following.lastgroup or ""
            if self.advance(kind, following) or self.insert(missing, kind, following):
                return
        self.skip(following)

    def fits(self, *kinds: str) -> bool:
        """Whether tokens of these KINDS could follow."""
        rows, states = self.rows, self.states.copy()
        for kind in kinds:
            while (action := rows[states[-1]].get(kind, UNFIT)) < 0:
                if action == UNFIT:
                    return False
                size, origin, _ = self.rules[~action]
                del states[len(states) - size :]
                states.append(rows[states[-1]][origin])
            states.append(action)
        return True

    def insert(self, missing: tuple[str, ...], kind: str, token: Token) -> bool:
        """Go on with TOKEN as if the one of the MISSING kinds that fits had been before it."""
        for absent in missing:
            if self.fits(absent, kind) and (kind not in BLOCKS or self.begins_line(token)):
                self.advance(absent, token)
                return self.advance(kind, token)
        return False

    def skip(self, token: Token | None) -> None:
        """Drop what was begun, a statement or a head, up to where reading can go on.

        Where that is nowhere near, what follows is no policy, and is left unread.
        """
        level = len(self.states) - 1
        while level > 1 and not LEVELS & self.rows[self.states[level]].keys():
            level -= 1
        depth = [self.symbols[state] for state in self.states[level:]].count("LBRACE")
        self.cut(level)
        statement = "CLASS_GUARD" in self.rows[self.states[-1]]
        dropped = 0
        while token is not None:
            kind = token.lastgroup or ""
            if kind == "SEMICOLON" and statement:
                return
            if kind == "RBRACE" and depth:
                depth -= 1
            elif kind in LANDMARKS and self.resume(kind, token):
                return
            elif kind == "LBRACE":
                depth += 1
            dropped += 1
            if dropped > MOST_DROPPED:
                self.tokens.close()
            token = next(self.tokens, None)

    def resume(self, kind: str, token: Token) -> bool:
        """Go on with TOKEN if it can stand here, or ends the block that was not closed."""
        if self.advance(kind, token) or self.insert(("RBRACE",), kind, token):
            return True
        if kind != "END" and not (kind in BLOCKS and self.begins_line(token)):
            return False
        self.cut(1)
        return self.advance(kind, token)

    def cut(self, level: int) -> None:
        """Forget what is on the stack above LEVEL."""
        del self.states[level + 1 :], self.values[level:]

    def begins_line(self, token: Token) -> bool:
        """Whether only blanks are before TOKEN on its line: elsewhere a keyword is a slip."""
        start = token.start(token.lastindex or 0)
        return not self.source.text[self.source.text.rfind("\n", 0, start) + 1 : start].strip()

    # tokens

    def scan(self) -> Generator[Token]:
        """The tokens from BEGIN on outside of what macros leave out."""
        at: int | None = self.begin
        while at is not None:
            for token in self.scanner.finditer(self.source.text, at):
                if token.lastgroup == "MACRO":
                    at = self.macro(token)
                    break
                yield token
            else:
                at = None
                if self.condition:
                    self.unfinished(self.condition, "without ignore_state")

    def macro(self, token: Token) -> int | None:
        """Where to read on behind the macro TOKEN, or None if that makes no sense."""
        word = token["MACRO"].partition(" ")[0]
        mistake = self.misplaced(word, token)
        if mistake:
            self.builder.mistake(f"fatal: {mistake}", self.builder.span(token))
            return None
        if word == "@else":
            return self.leave_out(token)
        self.condition = token if word == "@if" else None
        return token.end() if word == "@endif" or _holds(token["MACRO"]) else self.leave_out(token)

    def misplaced(self, word: str, token: Token) -> str:
        """Why the macro WORD cannot stand here, if so."""
        start = token.start("MACRO")
        if word != "@else" and start and self.source.text[start - 1] != "\n":
            return f"macro {word} must be at beginning of the line."
        if word == "@if":
            return "nested @if macros are not allowed" if self.condition else ""
        if self.condition:
            return ""
        noun = "macro" if word == "@else" else "macros"
        return f"{word} {noun} without a matching @if are not allowed"

    def leave_out(self, token: Token) -> int | None:
        """Where the text ends that the macro TOKEN leaves out."""
        end = MACRO_BRANCH.search(self.source.text, token.end())
        if end is None:
            self.unfinished(token, "in ignore_state")
            return None
        if end[1] == "endif":
            self.condition = None
        return end.end()

    def unfinished(self, token: Token, state: str) -> None:
        message = f"EOF seen while @if was waiting for @endif {state}"
        self.builder.mistake(message, self.builder.span(token), "write @endif on a line of its own")


def _holds(macro: str) -> bool:
    """Whether the condition of an `@if` holds. Of our version, as many parts count as it names."""
    word, _, rest = macro.removeprefix("@if ").rstrip(")").partition("(")
    if word == "feature":
        return rest in FEATURES
    given = [tuple(int(part) for part in text.split(".")) for text in rest.split(",")]
    return COMPARISONS[word](*[_compare(VERSION[: len(version)], version) for version in given])


def _compare(ours: tuple[int, ...], other: tuple[int, ...]) -> int:
    return (ours > other) - (ours < other)
