"""What a syntax mistake is called, by the symbols before it. Users know the texts, tests too."""

from __future__ import annotations

import re
from typing import NamedTuple


class Situation(NamedTuple):
    """Where parsing stopped: what is said, what may help, and which tokens may just be missing."""

    message: str
    hint: str = ""
    missing: tuple[str, ...] = ()


HEADER = "a block begins: bundle TYPE NAME {, body TYPE NAME { or promise agent NAME {"
OPEN = "{ begins what a block holds, a list of parameters (a, b) may come before it"
PARAMETERS = "parameters are plain words: (a, b)"
RVALUE = 'a value is "text", a word, $(variable), a call f(x) or a list { "a", "b" }'
ITEM = 'a list holds "text", words, $(variables), @(lists) and calls, but no lists: { "a", @(b) }'
ARGUMENT = 'arguments are "text", words, $(variables), @(lists) and calls, but no { }: f("a", @(b))'
STATEMENT = '\',\' separates attributes, \';\' ends the promise: "promiser" a => "b", c => "d";'

# fmt: off
SITUATIONS = {
    # the last symbols before the mistake (the longest row that fits counts)
    ("blocks",): Situation("Expected 'bundle' or 'body' keyword, wrong input '%s'", HEADER),
    ("BUNDLE",): Situation("Expected bundle type, wrong input '%s'", HEADER),
    ("BODY",): Situation("Expected body type, wrong input '%s'", HEADER),
    ("PROMISE",): Situation("Expected 'agent', got '%s'", HEADER),
    ("BUNDLE", "IDENT"): Situation("Expected bundle identifier, wrong input '%s'", HEADER),
    ("BODY", "IDENT"): Situation("Expected body identifier, wrong input '%s'", HEADER),
    ("PROMISE", "IDENT"): Situation("Expected promise type identifier, wrong input '%s'", HEADER),
    ("IDENT", "IDENT"): Situation("Expected body open '{', wrong input '%s'", OPEN, ("LBRACE",)),
    ("params",): Situation("Expected body open '{', wrong input '%s'", OPEN, ("LBRACE",)),
    ("IDENT", "IDENT", "LPAR"): Situation(
        "Error in bundle parameter list, expected ')', wrong input '%s'", PARAMETERS
    ),
    ("names", "COMMA"): Situation("Expected identifier, wrong input '%s'", PARAMETERS, ("RPAR",)),
    ("names",): Situation(
        "Error in bundle parameter list, expected ')', wrong input '%s'", PARAMETERS,
        ("COMMA", "RPAR"),
    ),
    ("sections",): Situation(
        "Expected promise type, got '%s'", "a bundle holds sections, such as vars: or files:",
        ("RBRACE",),
    ),
    ("statements",): Situation(
        "Expected promiser string, got '%s'", 'a promise begins with "text" in quotes', ("RBRACE",)
    ),
    ("promiser",): Situation("Expected ';', got '%s'", STATEMENT, ("SEMICOLON",)),
    ("attributes",): Situation(
        "Check previous line, Expected ';', got '%s'", STATEMENT, ("SEMICOLON", "COMMA")
    ),
    ("attributes", "COMMA"): Situation("Expected attribute, got '%s'", STATEMENT),
    ("settings",): Situation(
        "Expected attribute, got '%s'", 'a body holds attributes, each with its end: a => "b";',
        ("RBRACE",),
    ),
    ("setting",): Situation(
        "Expected ';' check previous statement, got '%s'", "in a body, ';' ends each attribute",
        ("SEMICOLON",),
    ),
    ("IDENT",): Situation("Expected '=>', got '%s'", "an attribute: name => value", ("FAT_ARROW",)),
    ("FAT_ARROW",): Situation("Invalid r-value type '%s'", RVALUE),
    ("THIN_ARROW",): Situation("Invalid r-value type '%s'", RVALUE),
    ("LBRACE",): Situation("Invalid input for a list item, got '%s'", ITEM, ("RBRACE",)),
    ("items", "COMMA"): Situation("Invalid input for a list item, got '%s'", ITEM, ("RBRACE",)),
    ("items",): Situation(
        "Expected ',', wrong input '%s'", "',' separates the items of a list, '}' ends it",
        ("COMMA", "RBRACE"),
    ),
    ("LPAR",): Situation("Invalid function argument, wrong input '%s'", ARGUMENT, ("RPAR",)),
    ("args", "COMMA"): Situation(
        "Invalid function argument, wrong input '%s'", ARGUMENT, ("RPAR",)
    ),
    ("args",): Situation(
        "Expected ',', wrong input '%s'", "',' separates arguments, ')' ends them",
        ("COMMA", "RPAR"),
    ),
}
MESSAGES = {
    # the same symbols and what came: another message there
    ("statements", "BUNDLE"): "Expected '}', got '%s'",
    ("statements", "BODY"): "Expected '}', got '%s'",
    ("statements", "PROMISE"): "Expected '}', got '%s'",
    ("settings", "BUNDLE"): "Expected '}', got '%s'",
    ("settings", "BODY"): "Expected '}', got '%s'",
    ("settings", "PROMISE"): "Expected '}', got '%s'",
    ("IDENT", "IDENT", "LPAR", "COMMA"): "Expected identifier, wrong input '%s'",
    ("promiser", "COMMA"):
        "Expected attribute, got '%s' (comma after promiser is not allowed since 3.5.0)",
    ("promiser", "-"): "Expected '->', got '%s'",
    ("promiser", ">"): "Expected '->', got '%s'",
    ("attributes", "IDENT"): "Check previous line, Expected ',', got '%s'",
    ("items", "SEMICOLON"): "Expected '}', wrong input '%s'",
    ("items", "FAT_ARROW"): "Check list statement previous line, Expected '}', wrong input '%s'",
    ("LPAR", "SEMICOLON"): "Expected ')', wrong input '%s'",
    ("args", "COMMA", "SEMICOLON"): "Expected ')', wrong input '%s'",
    ("args", "COMMA", "FAT_ARROW"):
        "Check function statement  previous line, Expected ')', wrong input '%s'",
    ("LPAR", "FAT_ARROW"):
        "Check function statement  previous line, Expected ')', wrong input '%s'",
}
SUPERFLUOUS = frozenset({
    # the last symbol, what came: leave it out and go on
    ("sections", "SEMICOLON"), ("statements", "SEMICOLON"), ("settings", "SEMICOLON"),
    ("promiser", "COMMA"), ("COMMA", "COMMA"), ("LBRACE", "COMMA"), ("LPAR", "COMMA"),
})
HINTS = {
    # what came, whatever the situation
    "END": "the file ends before the block that is open here",
    "BUNDLE": "the block before it is not closed; or quote the word, it is reserved",
    "BODY": "the block before it is not closed; or quote the word, it is reserved",
    "PROMISE": "the block before it is not closed; or quote the word, it is reserved",
    '"': "the text that begins here has no closing quote",
    "'": "the text that begins here has no closing quote",
    "`": "the text that begins here has no closing quote",
    "@": "macros stand alone at the start of a line: @if minimum_version(3.24), @else, @endif",
}
# fmt: on


# a class on the line of its section is read as one token
SECTION_AND_CLASS = re.compile(r"[A-Za-z_]+:[ \t]")
NEW_LINE = "a section ends with its line: start the class on a new line"


def explain(symbols: list[str], kind: str, got: str) -> Situation:
    """What to say of GOT, a token of KIND behind SYMBOLS."""
    rows = [tuple(symbols[-length:]) for length in (3, 2, 1)]
    row = next(row for row in rows if row in SITUATIONS)
    came = got if kind == "JUNK" else kind
    message = MESSAGES.get((*row, came), SITUATIONS[row].message)
    if kind == "CLASS_GUARD" and SECTION_AND_CLASS.match(got):
        return Situation(message % got, NEW_LINE, SITUATIONS[row].missing)
    return Situation(message % got, HINTS.get(came, SITUATIONS[row].hint), SITUATIONS[row].missing)
