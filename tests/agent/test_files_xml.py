"""`edit_xml`: what becomes of a document, and that it is said, once, and only if it is done."""

from pathlib import Path

import pytest

from agent.outcome import Outcome
from agent.xpaths import convergent, steps
from tests.agent.driver import Agent

HEAD = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
DOCUMENT = HEAD + '<a>\n <b n="1">text</b>\n <b n="2"/>\n <!-- c -->\n</a>\n'
FIRST, SECOND = "/a/b[@n='1']", "/a/b[@n='2']"


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "f.xml"
    path.write_text(DOCUMENT)
    return path


def promised(file: Path, more: str = "") -> str:
    return f'files: "{file}" edit_xml => x, edit_defaults => bare, classes => fired{more};'


def bundle(promises: str) -> str:
    return (
        f'bundle edit_xml x {{\n{promises}\n}}\nbody edit_defaults bare {{ edit_backup => "false"; '
        '}\nbody edit_defaults anew { edit_backup => "false"; '
        'empty_file_before_editing => "true"; }\nbody action warn { action_policy => "warn"; }'
    )


# what a promise makes of DOCUMENT (or of the document given), and what it says
EDITS = {
    "an element": ('build_xpath: "/a/c";', DOCUMENT, " -->\n</a>", " -->\n<c/></a>",
                   "Built XPath '/a/c' in XML document 'FILE'", "build_xpath promise '/a/c'"),
    "elements on the way": (
        """build_xpath: "/a/c[@x = 'y' | e = 2]/d";""", "<a/>\n", "<a/>",
        '<a><c x="y"><e>2</e><d/></c></a>',
        "Built XPath '/a/c[@x = 'y' | e = 2]/d' in XML document 'FILE'",
        "build_xpath promise '/a/c[@x = 'y' | e = 2]/d'"),
    "a document": ('build_xpath: "/a/c";', "", "", '<?xml version="1.0"?>\n<a><c/></a>\n',
                   "Built XPath '/a/c' into an empty XML document 'FILE'",
                   "build_xpath promise '/a/c'"),
    "a tree": ('insert_tree: "<c/>" select_xpath => "/a";', DOCUMENT, " -->\n</a>",
               " -->\n<c/></a>", "Inserted tree '<c/>' at XPath '/a' in XML document 'FILE'",
               "insert_tree promise '<c/>'"),
    "a document of a tree": ('insert_tree: "<c/>";', "", "", '<?xml version="1.0"?>\n<c/>\n',
                             "Inserted tree '<c/>' into an empty XML document 'FILE'",
                             "insert_tree promise '<c/>'"),
    "no such tree": ('delete_tree: "<b n=\'2\'/>" select_xpath => "/a";', DOCUMENT,
                     '<b n="2"/>', "",
                     "Deleted tree '<b n='2'/>' at XPath '/a' in XML document 'FILE'",
                     "delete_tree promise '<b n='2'/>'"),
    "an attribute": (
        f'set_attribute: "k" attribute_value => "v", select_xpath => "{FIRST}";', DOCUMENT,
        '<b n="1">', '<b n="1" k="v">',
        f"Set attribute with name 'k' to value 'v' at XPath '{FIRST}' in XML document 'FILE'",
        "set_attribute promise 'k'"),
    "no attribute": (
        'delete_attribute: "n" select_xpath => "/a/b[text()=\'text\']";', DOCUMENT,
        '<b n="1">', "<b>",
        "Deleted attribute 'n' at XPath '/a/b[text()='text']' in the XML document 'FILE'",
        "delete_attribute promise 'n'"),
    "a text": (f'set_text: "new" select_xpath => "{FIRST}";', DOCUMENT, "text", "new",
               f"Set text 'new' at XPath '{FIRST}' in XML document 'FILE'",
               "set_text promise 'new'"),
    "more text": (f'insert_text: " new" select_xpath => "{FIRST}";', DOCUMENT, "text",
                  "text new", f"Inserted text ' new' at XPath '{FIRST}' in the XML document 'FILE'",
                  "insert_text promise ' new'"),
    "less text": (f'delete_text: "ex" select_xpath => "{FIRST}";', DOCUMENT, "text", "tt",
                  f"Deleted text 'ex' at XPath '{FIRST}' in the XML document 'FILE'",
                  "delete_text promise 'ex'"),
}  # fmt: skip


def expected(before: str, old: str, new: str) -> str:
    after = before.replace(old, new, 1) if old else new
    return after if after.startswith("<?xml") else f'<?xml version="1.0"?>\n{after}'


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_made_once(name: str, agent: Agent, file: Path) -> None:
    promise, before, old, new, said, what = EDITS[name]
    file.write_text(before)

    first, second = [agent.keep(promised(file), bundle(promise)) for _ in "12"]

    assert file.read_text() == expected(before, old, new)
    assert first.lines == [
        f"info: {said.replace('FILE', str(file))}",
        f"info: {what} repaired",
        f"info: Edited xml file '{file}'",
    ]
    assert first.fired == {"repaired"}
    assert second.lines == []
    assert second.fired == {"kept"}


@pytest.mark.parametrize("name", EDITS)
def test_a_dry_run_edits_nothing(name: str, agent: Agent, file: Path) -> None:
    promise, before, _, _, said, what = EDITS[name]
    file.write_text(before)

    kept = agent.keep(promised(file), bundle(promise), dry=True)

    would = said.replace("FILE", str(file)).partition("'")
    assert file.read_text() == before
    assert kept.lines[0].startswith("warning: Should ")
    assert kept.lines[0].endswith("".join(would[1:]))
    assert kept.lines[1] == f"warning: Warnings encountered when actuating {what}"
    assert kept.fired == {"kept"}


def test_a_plan_shows_one_difference_for_a_file(agent: Agent, file: Path) -> None:
    edits = bundle(
        f'set_text: "new" select_xpath => "{FIRST}";\ninsert_tree: "<c/>" select_xpath => "/a";'
    )

    kept = agent.keep(promised(file), edits, plan=True)

    assert kept.planned == [f"edit file '{file}'"]
    assert kept.run.planned is not None
    preview = kept.run.planned.steps[0].preview.splitlines()
    assert [line for line in preview if line[:1] in "+-"][2:] == [
        '- <b n="1">text</b>', '+ <b n="1">new</b>', "-</a>", "+<c/></a>",
    ]  # fmt: skip
    assert file.read_text() == DOCUMENT


def test_a_warning_is_one_for_the_file(agent: Agent, file: Path) -> None:
    edits = bundle(f'set_text: "new" select_xpath => "{FIRST}";')

    kept = agent.keep(promised(file, ", action => warn"), edits)

    assert kept.lines == [
        f"warning: Should edit file '{file}', but only warning promised",
        f"warning: Warnings encountered when actuating files promise '{file}'",
    ]
    assert file.read_text() == DOCUMENT


def test_promises_are_kept_in_the_order_of_their_types(agent: Agent, file: Path) -> None:
    file.write_text("<a><c/></a>")
    edits = bundle(
        """insert_text: "r" select_xpath => "/a/d";
        set_text: "q" select_xpath => "/a/d";
        delete_tree: "<c/>" select_xpath => "/a";
        build_xpath: "/a/d";"""
    )

    agent.keep(promised(file), edits)

    assert file.read_text() == '<?xml version="1.0"?>\n<a><d>qr</d></a>\n'


def test_what_is_not_edited_stays_as_written(agent: Agent, file: Path) -> None:
    text = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<!DOCTYPE a [\n'
        '<!ENTITY foo "bar">\n]>\n<!-- top -->\n<?pi x?>\n<a>\n <b><![CDATA[<x>]]></b>&foo;\n'
        "\t<c>\u20ac</c><d></d>\n</a>\n<!-- end -->\n"
    )
    file.write_text(text)

    agent.keep(promised(file), bundle('set_text: "1" select_xpath => "/a/d";'))

    assert file.read_text() == text.replace("<d></d>", "<d>1</d>")


def test_what_the_encoding_lacks_is_a_reference(agent: Agent, file: Path) -> None:
    agent.keep(promised(file), bundle(f'set_text: "\u00e9\u20ac" select_xpath => "{FIRST}";'))

    assert '<b n="1">é&#8364;</b>' in file.read_text("iso-8859-1")


def test_nothing_that_a_document_points_to_is_read(agent: Agent, file: Path) -> None:
    secret = file.with_name("secret")
    secret.write_text("secret")
    file.write_text(f'<!DOCTYPE a [<!ENTITY e SYSTEM "file://{secret}">]>\n<a><b/>&e;</a>')

    agent.keep(promised(file), bundle('set_text: "1" select_xpath => "/a/b";'))

    assert "<a><b>1</b>&e;</a>" in file.read_text()


def test_a_path_is_built_before_its_node_is_edited(agent: Agent, file: Path) -> None:
    path = "/a/b[@n='3']"
    edits = f'set_text: "new" select_xpath => "{path}", build_xpath => "{path}";'

    first, second = [agent.keep(promised(file), bundle(edits)) for _ in "12"]

    assert '<b n="3">new</b></a>' in file.read_text()
    assert first.fired == {"repaired"}
    assert second.fired == {"kept"}


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ("<c>hi there</c>", "<c>hi</c>"),
        ('<c x="1" y="2"/>', '<c x="1"/>'),
        ("<c><e/><d/></c>", "<c><d/></c>"),
        ("<c>\n <d>1</d>\n</c>", "<c><d>1</d></c>\n"),
    ],
)
def test_a_tree_that_is_there_is_not_inserted(
    there: str, wanted: str, agent: Agent, file: Path
) -> None:
    file.write_text(f"<a>{there}</a>")
    tree = wanted.replace('"', '\\"')

    kept = agent.keep(promised(file), bundle(f'insert_tree: "{tree}" select_xpath => "/a";'))

    assert kept.fired == {"kept"}
    assert file.read_text() == f"<a>{there}</a>"


@pytest.mark.parametrize("there", ['<c><d x="1"/></c>', "<c><d>12</d></c>", "<q><c/></q>"])
def test_a_tree_like_another_is_inserted(there: str, agent: Agent, file: Path) -> None:
    file.write_text(f"<a>{there}</a>")

    agent.keep(promised(file), bundle('insert_tree: "<c><d/></c>" select_xpath => "/a";'))

    assert f"<a>{there}<c><d/></c></a>" in file.read_text()


def test_text_around_a_deleted_tree_stays(agent: Agent, file: Path) -> None:
    file.write_text("<a>1<c/>2<c/>3</a>")

    agent.keep(promised(file), bundle('delete_tree: "<c/>" select_xpath => "/a";'))

    assert "<a>123</a>" in file.read_text()


def test_a_file_that_is_to_be_empty_first_is_compared_as_a_whole(agent: Agent, file: Path) -> None:
    promise = promised(file).replace("bare", "anew")
    edits = bundle('insert_tree: "<c/>";')

    first, second = [agent.keep(promise, edits) for _ in "12"]

    assert file.read_text() == '<?xml version="1.0"?>\n<c/>\n'
    assert first.fired == {"repaired"}
    assert second.fired == {"kept"}


# promises that cannot be kept; FILE is the file
REFUSALS = {
    'set_text: "x";': ["Tree insertion requires select_xpath to be specified",
                       "The promised text set 'x' breaks its own promises"],
    'set_text: "x" select_xpath => "/a/z";': [
        "No node selected by XPath '/a/z' in the XML document 'FILE'"],
    'set_text: "x" select_xpath => "/a/b";': [
        "Current select_xpath expression '/a/b' returns 2 edit nodes in XML document 'FILE', "
        "unique edit node required",
        "No node selected by XPath '/a/b' in the XML document 'FILE'"],
    'set_text: "x" select_xpath => "/a/b[";': [
        "Unable to evaluate XPath expression '/a/b['",
        "No node selected by XPath '/a/b[' in the XML document 'FILE'"],
    'set_attribute: "k" select_xpath => "/a/b[1]";': [
        "The promised attribute set 'k', breaks its own promises"],
    'delete_attribute: "k" select_xpath => "/a/z";': [
        "The promised XPath pattern '/a/z', was NOT successful when selecting an edit node, "
        "in XML document 'FILE'"],
    'insert_tree: "<c/>" select_xpath => "/a/z";': [
        "Failed to select edit node in the XML document 'FILE' using the XPath '/a/z'"],
    'build_xpath: "/a/c[1]";': [
        "Promiser expression (/a/c[1]) is not convergent",
        "The promised XPath build '/a/c[1]' breaks its own promises",
        "Errors encountered when actuating build_xpath promise '/a/c[1]'"],
    'build_xpath: "a/c";': [
        "Promiser expression 'a/c' contains syntax that is not supported for xpath_build. "
        "Please refer to users manual for supported syntax specifications.",
        "The promised XPath build 'a/c' breaks its own promises",
        "Errors encountered when actuating build_xpath promise 'a/c'"],
}  # fmt: skip


@pytest.mark.parametrize("promise", REFUSALS)
def test_a_refusal_is_said_in_each_pass(promise: str, agent: Agent, file: Path) -> None:
    kept = agent.keep(promised(file), bundle(promise))

    reasons = [f"error: {line.replace('FILE', str(file))}" for line in REFUSALS[promise]]
    assert kept.lines == 3 * reasons
    assert kept.fired == {"kept"}  # what a promise of the bundle comes to is its own affair
    assert file.read_text() == DOCUMENT


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        ('set_attribute: "k" select_xpath => "/a/b[text()=\'text\']";', "Failed to load the value"),
        (f'set_attribute: "a b" attribute_value => "v", select_xpath => "{FIRST}";', "Failed to s"),
        ('insert_tree: "<c>" select_xpath => "/a";', "Failed to parse the tree '<c>'"),
        ('insert_tree: "<c/>";', "The tree '<c/>' requested to be inserted"),
        ('delete_tree: "<c" select_xpath => "/a";', "Tree to be deleted '<c' at XPath"),
        ('build_xpath: "/x";', "The promised XML document"),
        ('build_xpath: "/a/b/c";', "Current select_xpath expression '/a/b' returns 2"),
    ],
)
def test_what_no_document_can_hold_is_an_error(
    promise: str, said: str, agent: Agent, file: Path
) -> None:
    kept = agent.keep(promised(file), bundle(promise))

    assert kept.lines[0].startswith(f"error: {said}")
    assert "error: Errors encountered when actuating" in kept.lines[-1]
    assert file.read_text() == DOCUMENT


def test_what_is_no_document_is_left_alone(agent: Agent, file: Path) -> None:
    file.write_text("junk")

    kept = agent.keep(promised(file), bundle(f'set_text: "x" select_xpath => "{FIRST}";'))

    assert kept.lines[0].startswith(f"error: {file}: Start tag expected")
    assert kept.lines[1:] == 3 * [f"error: Unable to load XML document '{file}'"]
    assert kept.fired == {"kept"}
    assert file.read_text() == "junk"


def test_a_missing_file_is_an_error(agent: Agent, file: Path) -> None:
    file.unlink()

    kept = agent.keep(promised(file), bundle('build_xpath: "/a";'))

    assert f"error: File '{file}' was marked for editing but could not be opened" in kept.lines
    assert kept.only(Outcome.FAILED)


@pytest.mark.parametrize(
    "path", ["/a/b[ 1 ]", "/a/b[position()<2]", "/a/b[last()-1]", "/a/following::b",
             "/a/b/preceding-sibling::c"],
)  # fmt: skip
def test_a_place_among_others_does_not_last(path: str) -> None:
    assert not convergent(path)


@pytest.mark.parametrize("path", ["/a/b[@n='[1]']", "//b[c]", "/a/*", "/a/b[count(c)=1]"])
def test_what_a_node_is_lasts(path: str) -> None:
    assert convergent(path)


@pytest.mark.parametrize(
    "path",
    ["", "/", "//a", "/a/", "/a/*", "/a/@x", "/a[b]", "/a[@x='']", "/x:a", "/a|/b",
     "/a[@x='1' and @y='2']", "/a[b='1'][c='2']"],
)  # fmt: skip
def test_other_paths_cannot_be_built(path: str) -> None:
    assert steps(path) is None
