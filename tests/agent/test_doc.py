"""`troth doc`: every name of the language has a text, and every example is true.

In an example a line `PATH holds "TEXT"`, `PATH is a directory`, `PATH links to TARGET` or `PATH is
of DATE` says what there is before; below /tmp, which is a directory of the test here. Then come
calls, each with its answer behind `->`, or a policy and what it reports. An answer after `e.g.` is
one such as we get: other letters and digits in the same places.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from agent import doc
from agent.facts import VARIABLES
from agent.options import Settings
from policy import vocabulary
from policy.build import build
from policy.context import CONSTANTS
from policy.functions import SIGNATURES
from policy.reference import sections
from tests.agent.conftest import START, Program, environment

ENTRIES = doc.entries()
FUNCTIONS = [entry for entry in ENTRIES if entry.kind == "function"]
SECTION = re.compile(r"(vars|classes|files|reports|commands|methods|meta|\w+):$")
GIVEN = re.compile(r'(/tmp/\S+) (holds (?P<text>".*")|is a (?P<kind>directory)|'
                   r"links to (?P<target>\S+)|is of (?P<date>\S+))$")  # fmt: skip
TMP = "/tmp/"  # noqa: S108  # as it is written in the examples
LISTS = ("slist", "ilist", "rlist")


class Example(NamedTuple):
    """Something to run: SOURCE is a call or a policy, ANSWERS what it comes to."""

    owner: str
    number: int
    source: str
    answers: tuple[str, ...]
    given: tuple[str, ...]

    @property
    def is_call(self) -> bool:
        """Whether it is the call of a function."""
        return self.source.startswith(f"{self.owner}(")

    @property
    def label(self) -> str:
        """A name for it that a bundle can have."""
        return f"example_{self.owner.replace(' ', '_')}_{self.number}"


def examples(entry: doc.Entry) -> list[Example]:
    """The examples of ENTRY, in order."""
    found: list[Example] = []
    given: list[str] = []
    source: list[str] = []
    answers: list[str] = []

    def close() -> None:
        if source:
            found.append(
                Example(entry.name, len(found), "\n".join(source), tuple(answers), tuple(given))
            )
            source.clear()
            answers.clear()

    for line in entry.example.splitlines():
        if GIVEN.match(line):
            given.append(line)
            continue
        text, arrow, answer = line.partition("-> ") if "-> " in line else (line, "", "")
        if text.strip() and answers:
            close()
        if text.strip():
            source.append(text.rstrip())
        if arrow:
            answers.append(answer)
    close()
    return found


def arrange(line: str, directory: Path) -> None:
    """Make what a line of an example says there is."""
    found = GIVEN.match(line)
    assert found
    path = directory / found[1].removeprefix(TMP)
    path.parent.mkdir(parents=True, exist_ok=True)
    if found["kind"]:
        path.mkdir(parents=True, exist_ok=True)
    elif found["target"]:
        path.symlink_to(found["target"])
    else:
        path.write_bytes(json.loads(found["text"] or '""').encode())
        path.chmod(0o644)
    if found["date"]:
        when = time.mktime(time.strptime(found["date"], "%Y-%m-%d"))
        os.utime(path, (when, when))


def policy(example: Example) -> str:
    """A bundle that reports what EXAMPLE comes to, and the bodies and bundles it needs."""
    label = example.label
    if not example.is_call:
        lines = example.source.splitlines()
        at = next((n for n, line in enumerate(lines) if SECTION.match(line)), len(lines))
        before, own = "\n".join(lines[:at]), "\n".join(lines[at:])
        return f"{before}\nbundle agent {label} {{\n{own}\n}}"
    returns = SIGNATURES[example.owner][0]
    if returns == "class":
        value = f'classes: "yes" expression => {example.source}; "no" not => {example.source};'
        shown = 'yes:: "true"; no:: "false"; !yes.!no:: "fails";'
    else:
        kind = returns if returns in (*LISTS, "int", "real", "data") else "string"
        value = f'vars: "answer" {kind} => {example.source};'
        if kind in (*LISTS, "data"):
            value += ' "shown" string => format("%S", "answer");'
        else:
            value += ' "shown" string => "$(answer)";'
        value += ' classes: "known" expression => isvariable("answer");'
        shown = 'known:: "$(shown)"; !known:: "fails";'
    return f"bundle agent {label} {{ {value}\nreports:\n{shown} }}"


def written(example: Example, lines: list[str]) -> list[str]:
    """What was reported, LINES, as the answers of examples are written."""
    returns = SIGNATURES[example.owner][0] if example.is_call else ""
    if returns in ("ilist", "rlist"):
        return ["{ " + ", ".join([f'"{item}"' for item in json.loads(lines[0])]) + " }"]
    if returns != "string" or lines == ["fails"]:
        return lines
    text = "\n".join(lines).replace('"', '\\"').replace("\n", "\\n")
    return [f'"{text}"']


def shape(text: str) -> str:
    """TEXT with one letter in place of each word, to compare answers that differ between hosts."""
    return re.sub(r"[\w.-]+", "x", text)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the examples of functions report, by label: one run of the agent for all of them."""
    base = tmp_path_factory.mktemp("doc")
    bundles, calls = [], []
    for example in RUNNING:
        directory = base / example.label
        directory.mkdir()
        for line in example.given:
            arrange(line, directory)
        bundles.append(policy(example).replace(TMP, f"{directory}/"))
        calls.append(f'"{example.label}" usebundle => {example.label};')
        calls.append(f'"end {example.label}" usebundle => end("{example.label}");')
    bundles.append('bundle agent end(label) { reports: "=end= $(label)"; }')
    file = base / "examples.cf"
    file.write_text(
        "bundle agent main {\nmethods:\n" + "\n".join(calls) + "\n}\n" + "\n".join(bundles)
    )
    file.chmod(0o600)
    (base / "work").mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", START, "cf-agent", "-Kf", str(file)],
        env=environment(base),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in done.stdout.splitlines():
        text = line.removeprefix("R: ")
        if text.startswith("=end= "):
            label = text.removeprefix("=end= ")
            while len(lines) > 1 and not lines[-1]:  # what was read ends in a newline
                lines.pop()
            found[label] = [it.replace(f"{base / label}/", TMP) for it in lines]
            lines = []
        elif not re.match(" *(error|warning|notice): ", line):
            lines.append(text)
    return found


def _running() -> list[Example]:
    wanted = [
        entry
        for entry in ENTRIES
        if entry.kind in ("function", "promise type") and doc.NOT_HERE not in entry.notes
    ]
    return [it for entry in wanted for it in examples(entry) if it.answers]


RUNNING = _running()


@pytest.mark.parametrize("example", RUNNING, ids=lambda it: f"{it.owner}-{it.number}")
def test_an_example_comes_to_what_it_says(example: Example, reported: dict[str, list[str]]) -> None:
    found = written(example, reported[example.label])
    expected = list(example.answers)

    if expected[0].startswith("e.g. "):
        found, expected = [shape(it) for it in found], [shape(expected[0].removeprefix("e.g. "))]
    assert found == expected


@pytest.mark.parametrize("entry", FUNCTIONS, ids=lambda entry: entry.name)
def test_a_function_has_a_meaning_and_an_example_and_says_when_it_fails(entry: doc.Entry) -> None:
    assert entry.meaning
    assert entry.fails.startswith(("Fails", "Never fails"))
    if doc.NOT_HERE not in entry.notes:
        assert any(example.answers for example in examples(entry))


def test_every_function_has_an_entry() -> None:
    assert {entry.name for entry in FUNCTIONS} == set(SIGNATURES)


# promise types, bodies, attributes, variables


def known_bodies() -> dict[str, dict[str, vocabulary.Attribute]]:
    """The attributes of all types of bodies, by the names they have here."""
    return {
        f"{name} control" if name in vocabulary.CONTROLS else name: rows
        for name, rows in vocabulary.OF_BODIES.items()
    }


def test_every_promise_type_and_attribute_has_a_row() -> None:
    table = sections("promises")

    assert set(table) == {"*", *vocabulary.OF_PROMISES}
    for name, rows in {"*": vocabulary.IN_EVERY_PROMISE, **vocabulary.OF_PROMISES}.items():
        assert list(table[name].rows) == sorted(rows), name


def test_every_type_of_body_and_attribute_has_a_row() -> None:
    table = sections("bodies")

    assert set(table) == {"*", *known_bodies()}
    for name, rows in {"*": vocabulary.IN_EVERY_BODY, **known_bodies()}.items():
        assert sorted(table[name].rows) == sorted(rows), name


def test_every_variable_that_the_agent_sets_has_a_row() -> None:
    table = sections("variables")
    times = {name for name in table["sys"].rows if name.startswith("time_based_")}

    assert set(table["sys"].rows) - times == set(VARIABLES)
    assert len(times) == 24
    assert set(table["const"].rows) == set(CONSTANTS)


def test_no_text_is_missing() -> None:
    assert [entry.name for entry in ENTRIES if not entry.meaning] == []


def test_promise_types_and_bodies_have_an_example() -> None:
    kinds = ("promise type", "body", "attribute")

    assert [it.name for it in ENTRIES if it.kind in kinds and not it.example] == []


def mistakes(text: str) -> list[str]:
    """What the checker says about TEXT."""
    _, diagnostics = build("doc.cf", text.encode(), "agent.functions")
    return [it.message for it in diagnostics if it.severity == "error"]


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ENTRIES if entry.kind in ("promise type", "body")],
    ids=lambda entry: f"{entry.kind}-{entry.name}",
)
def test_an_example_is_good_policy(entry: doc.Entry) -> None:
    found = examples(entry)

    assert [mistakes(policy(example)) for example in found] == [[]] * len(found)


ATTRIBUTES = [entry for entry in ENTRIES if entry.kind == "attribute"]


@pytest.mark.parametrize("entry", ATTRIBUTES, ids=lambda entry: f"{entry.form} {entry.name}")
def test_the_value_that_an_attribute_is_shown_with_is_allowed(entry: doc.Entry) -> None:
    owner = entry.name.partition(".")[0] if "." in entry.name else "files"
    place = entry.form.rpartition("attribute of ")[2]
    if place.startswith("'body "):
        text = f"body {owner} control {{ {entry.example}; }}"
    elif place == "'promise' blocks":
        text = f"promise agent x {{ {entry.example}; }}"
    elif "bod" in place:
        kind = "perms" if place == "every body" else owner
        text = f"body {kind} x {{ {entry.example}; }}"
    else:
        bundle = vocabulary.bundles_with(owner)[0]
        text = f'bundle {bundle} x {{ {owner}: "/x" {entry.example}; }}'

    assert mistakes(text) == []


# the command


def test_what_several_things_are_called_is_said_of_all(program: Program) -> None:
    done = program("troth", "doc", "classes")

    assert done.returncode == 0
    for said in ("(promise type, in every bundle)", "(body, written 'body classes NAME')"):
        assert said in done.stdout


def test_an_attribute_is_found_by_its_own_name_and_with_its_owner(program: Program) -> None:
    alone, owned = program("troth", "doc", "rxdirs"), program("troth", "doc", "perms.rxdirs")

    assert alone.stdout == owned.stdout
    assert "attribute of 'perms' bodies" in alone.stdout


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("regcomp", "regcmp"), ("sys.arhc", "sys.arch"), ("$(sys.arhc)", "sys.arch")],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    program: Program, name: str, nearest: str
) -> None:
    done = program("troth", "doc", name)

    assert done.returncode == 1
    assert done.stdout == ""
    assert f"nothing is called '{name}'; nearest: {nearest} " in done.stderr
    assert "$(" not in done.stderr.partition("nearest")[2]


def test_a_variable_is_found_as_a_reference(program: Program) -> None:
    plain, reference = program("troth", "doc", "const.t"), program("troth", "doc", "$(const.t)")

    assert plain.stdout == reference.stdout != ""


def test_a_variable_is_shown_with_its_value_here(program: Program) -> None:
    done = program("troth", "doc", "sys.os")

    assert "Here:\n    $(sys.os) = linux\n" in done.stdout


def test_lists_can_be_of_one_kind(program: Program) -> None:
    done = program("troth", "doc", "--list", "functions")

    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == sorted(SIGNATURES)


def test_a_list_of_no_kind_is_refused(program: Program) -> None:
    done = program("troth", "doc", "--list", "things")

    assert done.returncode == 1
    assert "'things' is not a kind: functions promises bodies" in done.stderr


def test_search_finds_words_in_the_texts(program: Program) -> None:
    done = program("troth", "doc", "--search", "MUSTACHE")

    assert {"string_mustache", "files.template_method"} <= {
        line.split()[0] for line in done.stdout.splitlines()
    }


def test_json_says_the_same(program: Program) -> None:
    done = program("troth", "doc", "--json", "join")

    (found,) = json.loads(done.stdout)
    assert found["form"] == "join(glue: str, items: container) -> string"
    assert found["fails"] == "Fails if ITEMS is no list or container."


def test_without_a_name_it_asks_for_one(program: Program) -> None:
    done = program("troth", "doc")

    assert done.returncode == 1
    assert "which name?" in done.stderr


def test_pages_are_plain_text_80_columns_wide() -> None:
    settings = Settings({"now": time.time(), "workdir": "/nowhere"})
    pages = [doc.page(entry, settings) for entry in ENTRIES if entry.kind != "variable"]
    prose = [page.partition("\nExample:")[0] for page in pages]

    assert [line for text in prose for line in text.splitlines() if len(line) > doc.WIDTH] == []
    assert "\x1b" not in "".join(pages)


def test_a_page_for_a_terminal_has_a_bold_head() -> None:
    settings = Settings({"now": time.time(), "workdir": "/nowhere", "color": True})

    assert doc.page(FUNCTIONS[0], settings).startswith("\x1b[1maccessedbefore(")
