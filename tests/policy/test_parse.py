"""What the text of a policy means as a tree, and what is said of its mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.diagnostics import Diagnostic, as_json, nearest
from policy.parse import build, parse, tables
from policy.source import Source, Span, read
from policy.syntax import Body, Bundle, Call, Guard, List, ListRef, Name, Promise, Rval, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

    from policy.syntax import Policy

CASES = Path(__file__).parent / "cases" / "syntax_mistakes.cf"
EXPECTED = re.compile(r'#!(?:\+(\d+))? "(.*)"$')
HERE = Span(Source("", ""), 0, 0)


def chunks() -> Iterator[ParameterSet]:
    """The files in the file of cases, each at the line that it has there."""
    line, text = 1, ""
    for row in [*CASES.read_text().splitlines(keepends=True), "---\n"]:
        if row == "---\n":
            yield pytest.param(text, id=f"line {line}")
            line, text = line + text.count("\n") + 1, ""
        else:
            text += row


def good(text: str) -> Policy:
    """The tree of TEXT, which has no mistakes."""
    policy, mistakes = parse(Source("p.cf", text))
    assert [str(mistake) for mistake in mistakes] == []
    return policy


def promises(text: str) -> tuple[Promise, ...]:
    """The promises in sections TEXT of a bundle."""
    (bundle,) = good(f"bundle agent b\n{{\n{text}\n}}\n").blocks
    assert isinstance(bundle, Bundle)
    return tuple(promise for section in bundle.sections for promise in section.promises)


def value(text: str) -> Rval:
    """The right-hand side TEXT."""
    (promise,) = promises(f'vars:\n "x" string => {text};')
    return promise.attributes[0].value


def messages(text: str) -> list[str]:
    return [mistake.message for mistake in parse(Source("p.cf", text))[1]]


# mistakes


@pytest.mark.parametrize("text", [*chunks()])
def test_each_mistake_is_said_once_where_it_is(text: str) -> None:
    wanted = {
        number + int(found[1] or 0): found[2]
        for number, line in enumerate(text.splitlines(), 1)
        if (found := EXPECTED.search(line))
    }

    _, mistakes = parse(Source("p.cf", text))

    said = "\n".join(map(str, mistakes))
    assert [mistake.span.line for mistake in mistakes] == sorted(wanted), said
    for mistake in mistakes:
        pattern = wanted[mistake.span.line]
        assert re.search(pattern, f"{mistake.message}\n{mistake.hint}", re.DOTALL), said


def test_what_is_right_beside_a_mistake_is_in_the_tree() -> None:
    text = """
bundle agent a
{
  vars:
    "x" string => ;
    "y" string => "kept"
  files:
    "z" create => "true", ;
bundle agent b(
{
}
"""
    policy, mistakes = parse(Source("p.cf", text))

    assert len(mistakes) == 5
    a, b = policy.blocks
    assert isinstance(a, Bundle)
    assert [[p.promiser.value for p in s.promises] for s in a.sections] == [["y"], ["z"]]
    assert b.name == "b"


def test_the_thirteenth_mistake_is_the_last() -> None:
    text = "bundle agent a\n{\n  vars:\n" + '    "x" string = "y";\n' * 20 + "}\n"

    said = messages(text)

    assert said == ["Expected '=>', got '='"] * 13 + ["Too many errors"]


def test_a_mistake_is_shown_with_its_place_and_a_hint() -> None:
    text = 'bundle agent a\n{\n  files:\n\t"/etc/motd"\n\t"/etc/issue" create => "true";\n}\n'

    (mistake,) = parse(Source("motd.cf", text))[1]

    assert str(mistake) == (
        "motd.cf:5:2: error: Expected ';', got '\"/etc/issue\"'\n"
        '   \t"/etc/issue" create => "true";\n'
        "   \t^^^^^^^^^^^^\n"
        'hint: \',\' separates attributes, \';\' ends the promise: "promiser" a => "b", c => "d";'
    )


def test_what_spans_lines_is_shown_by_its_first() -> None:
    source = Source("p.cf", 'a "b\nc" d\r\n')

    shown = Diagnostic("old", Span(source, 2, 7), severity="warning", kind="deprecated")

    assert str(shown) == 'p.cf:1:3: warning: old [-Wdeprecated]\n   a "b\n     ^^'


def test_a_mistake_at_the_end_is_behind_the_last_word() -> None:
    (mistake,) = parse(Source("p.cf", "bundle agent a\n\n\n"))[1]

    assert (mistake.span.line, mistake.span.column) == (1, 15)


def test_a_mistake_is_an_object_for_programs() -> None:
    (mistake,) = parse(Source("p.cf", "bundle agent a {\nvars: x\n}"))[1]

    assert as_json(mistake) == {
        "file": "p.cf", "line": 2, "column": 7, "end_line": 2, "end_column": 8,
        "severity": "error", "kind": "", "message": "Expected promiser string, got 'x'",
        "hint": 'a promise begins with "text" in quotes',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "meant"), [("strin", "string"), ("sting", "string"), ("perms", None)]
)
def test_a_slip_is_recognised(word: str, meant: str | None) -> None:
    assert nearest(word, ["int", "slist", "string"]) == meant


PIECES = [
    "bundle", "body", "promise", "agent", "b", "control", "{", "}", "(", ")", ",", ";", "=>", "->",
    '"s"', "'", "`", "$(x)", "@(y)", "@", "vars:", "any::", "a b::", '"$(v)"::', "::", ":", "\\",
    "\n@if feature(xml)", "\n@if feature(no)", "\n@else", "\n@endif\n", "# c\n", "\n", "é",
    "bundle agent b\n{\nvars:\n", '"x" string => ', 'f("a", ', "{ a, ",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES)).map(" ".join))
@settings(deadline=None)
def test_any_text_has_a_tree_and_mistakes_in_order(text: str) -> None:
    policy, mistakes = parse(Source("p.cf", text))

    starts = [mistake.span.start for mistake in mistakes]
    assert starts == sorted(starts)
    assert mistakes == [] or str(mistakes[0])
    assert len(policy.blocks) <= text.count("bundle") + text.count("body") + text.count("promise")


def test_depth_is_a_mistake_and_no_trouble() -> None:
    calls = 'vars: "x" string => ' + "f(" * 1500 + ")" * 1500 + ";"
    guard = "vars:\n" + "(" * 1500 + "a" + ")" * 1500 + "::"

    assert messages(f"bundle agent a {{ {calls} }}") == [
        "Nesting of functions is deeper than recommended"
    ]
    assert messages(f"bundle agent a {{ {guard} }}") == ["Syntax error in context string"]


def test_references_in_references_have_an_end() -> None:
    value = 'vars: "x" string => "' + "$(" * 2000 + "a" + ")" * 2000 + '";'

    assert messages(f"bundle agent a {{ {value} }}") == [
        "Stack overflow in variable reference parsing"
    ]


def test_a_text_with_a_nul_octet_is_a_mistake_there() -> None:
    _, [found] = parse(Source("p.cf", 'bundle agent a { vars: "x" string => "a\0b"; }'))

    assert (found.message, found.span.text) == ("Runaway string", "\0")
    assert "NUL" in found.hint


# values


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r'"a\"b\'c\\d"', "a\"b'c\\d"),
        (r"'a\"b\'c\\d'", "a\"b'c\\d"),
        (r"`a\"b\'c\\d`", "a\"b'c\\d"),
        (r'"\n\t\$(x)\ \`"', r"\n\t\$(x)\ \`"),
        ('"a\\\nb\\\n\\\nc\nd"', "ab\\\nc\nd"),
        ("'say \"#\"'", 'say "#"'),
        ('`it\'s "#"`', 'it\'s "#"'),
        ('""', ""),
        ('"é\udcff"', "é\udcff"),
    ],
)
def test_a_text_is_what_its_escapes_leave(written: str, meant: str) -> None:
    assert value(written) == Text(meant, HERE)


@pytest.mark.parametrize(
    "word", ["a", "3x", "10", "ns:a", "a.b", "ns:a.b", "é1", "bundle.a", "bodyx"]
)
def test_a_word_is_a_name(word: str) -> None:
    assert value(word) == Name(word, HERE)


@pytest.mark.parametrize(
    "text", ["$(x)", "${n:b.x[1]}", "$(x[$(i)])", "${x[${i}.$(j)]}", "$(x[1][2])"]
)
def test_a_variable_may_stand_alone(text: str) -> None:
    assert value(text) == Text(text, HERE, naked=True)
    assert value(text.replace("$", "@", 1)) == ListRef(text.replace("$", "@", 1), HERE)


def test_lists_and_calls_hold_all_but_lists() -> None:
    a, b, c = Text("a", HERE), Name("b", HERE), ListRef("@(c)", HERE)

    assert value('{ "a", b, @(c), f(), }') == List((a, b, c, Call("f", (), HERE)), HERE)
    assert value('f ("a", b, @(c), g(b),)') == Call("f", (a, b, c, Call("g", (b,), HERE)), HERE)
    assert value("$(m)(b)") == Call("$(m)", (b,), HERE)
    assert value("{}") == List((), HERE)


# guards


def test_a_guard_holds_up_to_the_next() -> None:
    made = promises("""vars:
      "1";
    linux.(a|!b)::
      "2"; any :: "3";
    "$(x)"::
      "4";
    'it "is"'::
      "5";
  files:
      "6";""")

    assert [promise.guard for promise in made] == [
        None, Guard("linux.(a|!b)", HERE), Guard("any ", HERE), None, None, None
    ]  # fmt: skip
    assert [promise.variable_guard for promise in made] == [
        None, None, None, Guard("$(x)", HERE, True), Guard('it "is"', HERE, True), None
    ]  # fmt: skip


def test_a_guard_swallows_the_words_before_it() -> None:
    (promise,) = promises("""classes:
  reports: c::
    "shown?";""")

    assert promise.guard == Guard("reports: c", HERE)


def test_the_guard_of_an_attribute_ends_with_its_body() -> None:
    policy = good('body a b { x => "1"; linux:: x => "2"; any:: x => "3"; } body a c { x => "4"; }')

    b, c = policy.blocks
    assert isinstance(b, Body)
    assert isinstance(c, Body)
    guards = [
        attribute.guard and attribute.guard.text for attribute in (*b.attributes, *c.attributes)
    ]
    assert guards == [None, "linux", "any", None]


# blocks


def test_a_promise_has_promisee_and_attributes() -> None:
    bare, thanked, whole = promises(
        'methods: "a"; "b" -> { "c", d }; "e" -> f usebundle => n:g("h"), if => i;'
    )

    assert (bare.promisee, bare.attributes) == (None, ())
    assert thanked.promisee == List((Text("c", HERE), Name("d", HERE)), HERE)
    assert whole.promisee == Name("f", HERE)
    assert [attribute.name for attribute in whole.attributes] == ["usebundle", "if"]


def test_blocks_have_parameters_and_types() -> None:
    policy = good("bundle agent n:a(b, 3c,) {} body x y() {} promise agent z { path => '/m'; }")

    a, y, z = policy.blocks
    assert (a.type, a.name, a.params) == ("agent", "n:a", ("b", "3c"))
    assert (y.type, y.name, y.params) == ("x", "y", ())
    assert (type(z), z.type, z.name) == (Body, "promise", "z")


def test_file_control_holds_from_there_on() -> None:
    policy = good("""
bundle agent a {}
body file control { namespace => "n"; evaluation_order => "top_down"; }
bundle agent b {}
body x c {}
body file control { nosuch:: namespace => "default"; }
body file control { evaluation_order => "classic"; }
bundle agent d {}
""")

    assert [block.namespace for block in policy.blocks] == ["default"] * 2 + ["n"] * 3 + [
        "default"
    ] * 2
    assert [block.top_down for block in policy.blocks if isinstance(block, Bundle)] == [
        False, True, False
    ]  # fmt: skip


# macros


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("minimum_version(3)", True),
        ("minimum_version(3.28)", True),
        ("minimum_version(3.28.1)", False),
        ("maximum_version(3.28)", True),
        ("maximum_version(3.9)", False),
        ("before_version(3.28)", False),
        ("before_version(3.29)", True),
        ("at_version(3.28.0)", True),
        ("at_version(3.27)", False),
        ("after_version(3.28)", False),
        ("after_version(3.27.9)", True),
        ("between_versions(3.28, 3.28)", True),
        ("between_versions(3.1 ,3.27)", False),
        ("feature(yaml)", True),
        ("feature(unheard_of)", False),
    ],
)
def test_a_macro_chooses(condition: str, holds: bool) -> None:
    policy = good(f"@if {condition}\nbundle agent yes {{}}\n@else\nbundle agent no {{}}\n@endif\n")

    assert [block.name for block in policy.blocks] == ["yes" if holds else "no"]


def test_what_a_macro_leaves_out_may_be_anything() -> None:
    policy = good('@if feature(no)\n"}; @endif `\n @else\n@if x\n@endif\nbundle agent a {}\n')

    assert [block.name for block in policy.blocks] == ["a"]


def test_a_macro_in_a_text_is_text() -> None:
    assert value('"\n@if feature(no)\n@else\n"') == Text("\n@if feature(no)\n@else\n", HERE)


# sources


def test_spans_say_where_things_are() -> None:
    text = "# é\nbundle agent a\n{\n  vars:\n    'x' -> y string => f('z'), b => c;\n}\n"

    (bundle,) = good(text).blocks

    assert isinstance(bundle, Bundle)
    (section,) = bundle.sections
    (promise,) = section.promises
    first, second = promise.attributes
    assert bundle.span.text == "bundle agent a"
    assert section.span.text == "vars:"
    assert promise.span.text == "'x' -> y string => f('z'), b => c;"
    assert (first.span.text, first.value.span.text) == ("string", "f('z')")
    assert (second.span.line, second.span.column) == (5, 32)


def test_bytes_and_line_ends_of_any_kind_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.cf"
    path.write_bytes(b'bundle agent a\r\n{\r\n  vars: "x" string => "\xff\r\n";\r\n}\r\n')

    policy, mistakes = parse(read(str(path)))

    assert mistakes == []
    (bundle,) = policy.blocks
    assert isinstance(bundle, Bundle)
    assert bundle.sections[0].promises[0].attributes[0].value == Text("\udcff\r\n", HERE)
    assert bundle.span.source.line(2) == "{"


def test_the_grammar_is_kept_as_plain_data() -> None:
    kept = build(tables())

    assert parse(Source("p.cf", "bundle agent a {}"), kept) == parse(
        Source("p.cf", "bundle agent a {}")
    )
