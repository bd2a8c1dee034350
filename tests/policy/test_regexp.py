"""Regular expressions: the same with libpcre2 and, as far as it goes, without."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import pcre2, regexp, regexp_fallback

OPTIONS = regexp.MULTILINE | regexp.DOTALL
PIECES = st.sampled_from(
    ["a", "b", "ab", ".", "a*", "b+", "a?", "(a|ab)", "(b)", "(?:a|b)", "|", "^", "$", r"\w",
     r"\d*", "[ab]", "[^a]", "[]a-]", "a{2}", "b{1,}", "a+?", "a*+", r"\n", "\n", r"\bb",
     "(?=b)", "(?!a)", "(?<=a)", r"(a)\1", "(?P<n>a)", r"\.", "é", "#", " ", "-"]
)  # fmt: skip
PATTERNS = st.lists(PIECES, max_size=4).map("".join)
SUBJECTS = st.text("ab\n.1é -", max_size=8)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a|ab", "ab", False),
        ("ab|a", "ab", True),
        ("a*?", "aaa", False),
        (".*", "a\nb\n", True),
        ("l1$.^l2.*", "l1\nl2\n", True),
        ("b", "abc", False),
        ("", "", True),
        ("", "a", False),
        ("plain", "plain", True),
        ("^.$", "é", False),
        ("^..$", "é", True),
        (r"\Qa.b\E", "a.b", True),
        (r"(?<x>a)\k<x>", "aa", True),
        (r"a\Kb", "ab", False),
        ("[[:alpha:]]+", "abc", True),
        ("É", "é", False),
        ("(?i)É", "é", False),
    ],
)
def test_the_first_match_spans_the_text(pattern: str, text: str, matches: bool) -> None:
    assert regexp.full(pattern, text) is matches


@given(PATTERNS, SUBJECTS)
def test_full_is_a_search_whose_match_spans_the_text(pattern: str, text: str) -> None:
    try:
        match = regexp.search(pattern, text)
    except regexp.BadPattern:
        return

    spans = match is not None and match.octets() == (0, len(text.encode()))
    assert regexp.full(pattern, text) == spans


@given(PATTERNS, SUBJECTS, st.integers(0, 4))
def test_the_standard_library_agrees_or_refuses(pattern: str, text: str, start: int) -> None:
    octets, subject = pattern.encode(), text.encode()
    try:
        ours = regexp_fallback.Code(octets, OPTIONS)
    except regexp.BadPattern:
        return
    theirs = pcre2.Code(octets, OPTIONS)

    assert (ours.groups, ours.names) == (theirs.groups, theirs.names)
    for options in (0, regexp.ANCHORED, regexp.ANCHORED | regexp.NOTEMPTY_ATSTART):
        if start <= len(subject):
            found, wanted = (it.find(subject, start, options) for it in (ours, theirs))
            assert found == wanted


@pytest.mark.parametrize(
    "pattern",
    [r"\Qa\E", "(?<n>a)", "[[:alpha:]]", "a{,3}", r"\Z", r"\v", r"\R", "(?|a)", "(?R)", r"\x{41}",
     "[a--b]", "a(?i)b", r"\10", "(*UTF)a", "{"],
)  # fmt: skip
def test_without_the_library_what_could_differ_is_refused(pattern: str) -> None:
    with pytest.raises(regexp.BadPattern, match="Regular expression error"):
        regexp_fallback.Code(pattern.encode(), OPTIONS)


def test_without_the_library_other_options_are_refused() -> None:
    with pytest.raises(regexp.BadPattern, match="libpcre2"):
        regexp_fallback.Code(b"a", regexp.UNGREEDY)


def test_without_the_library_plain_patterns_still_match() -> None:
    program = """
import sys
sys.modules["_ctypes"] = None
from policy import regexp
assert regexp.full("a.*", "abc") and not regexp.full("a|ab", "ab")
try:
    regexp.full("(?<n>a)", "a")
except regexp.BadPattern as bad:
    print(bad)
"""

    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert finished.stdout.startswith("Regular expression error: 'this needs libpcre2'")


def test_positions_count_characters() -> None:
    match = regexp.search("(x)(é)?(z)?", "éxé")

    assert match is not None
    assert match.span() == (1, 3)
    assert [match.group(number) for number in range(4)] == ["xé", "x", "é", None]
    assert match.span(3) == (-1, -1)
    assert regexp.search("é", "éxé", 1).span() == (2, 3)  # type: ignore[union-attr]  # there is one


def test_a_match_of_half_a_character_is_said_to_be_of_all() -> None:
    match = regexp.search(".", "é")

    assert match is not None
    assert match.span() == (0, 1)
    assert match.octets() == (0, 1)
    assert match.group() == "\udcc3"


def test_groups_have_names() -> None:
    match = regexp.search("(a)(?<second>b)", "ab")

    assert match is not None
    assert match.names == {"second": 2}
    assert match.groups == 2
    assert match.group("second") == "b"


def test_many_groups_are_all_told() -> None:
    match = regexp.search("(a)" * 100, "a" * 100)

    assert match is not None
    assert match.span(100) == (99, 100)


def test_a_bad_pattern_says_what_and_where() -> None:
    with pytest.raises(regexp.BadPattern) as bad:
        regexp.compile("a(")

    assert str(bad.value) == (
        "Regular expression error: 'missing closing parenthesis' in expression 'a(' (offset: 2)"
    )


def test_a_search_that_would_not_end_is_given_up() -> None:
    with pytest.raises(regexp.BadPattern, match="match limit exceeded"):
        regexp.full("(a+)+$", "a" * 40 + "b")


def test_a_pattern_is_compiled_once() -> None:
    assert regexp.compile("once.*") is regexp.compile("once.*")


def test_plain_text_needs_no_engine() -> None:
    program = """
import sys
sys.path[:0] = ["."]
from policy import regexp
assert regexp.full("a-b c", "a-b c") and regexp.search("b", "abc").span() == (1, 2)
print({"_ctypes", "re"} & set(sys.modules))
"""

    finished = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )

    assert finished.stdout == "set()\n"


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        (r"default:main\.x.*", "default:main.xy", True),
        (r"default:main\.x.*", "default:mainzxy", False),
        ("ab*", "a", True),
        ("ab?c", "ac", True),
        ("a{2}", "aa", True),
        ("a|b", "b", True),
        (r"\d+", "42", True),
        (r"\x41b", "Ab", True),
        ("(?i)ab.", "ABc", True),
        ("^ab.", "abc", True),
    ],
)
def test_the_plain_head_of_a_pattern_decides_nothing_alone(
    pattern: str, text: str, spans: bool
) -> None:
    assert regexp.full(pattern, text) is spans
