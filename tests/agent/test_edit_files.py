"""Whole `files` promises with an edit bundle, against what the C agent was seen to do with them.

`golden/edit/*.json` hold, for each case, the policy, the file before and after, and what was said.
Where the development release and the one that was run differ, they hold the former. @FILE@ is the
file under edit, @DIR@ its directory, @POLICY@ the policy.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from agent import bundle as bundles
from agent.host import Host
from agent.log import Log
from agent.options import Settings
from agent.run import Run
from policy.build import build
from policy.context import Context
from policy.errors import Unresolved
from policy.plan import Plan

GOLDEN = Path(__file__).parent / "golden" / "edit"
CASES = {
    f"{path.stem}: {case['name']}": case
    for path in sorted(GOLDEN.glob("*.json"))
    for case in json.loads(path.read_text())
}
# what policy asks for: all lines whatever is there, only the first match, fields that collapse
NEVER_CONVERGE = {
    "all lines, whatever is there",
    "a run that does not match",
    "only the first match of the file",
    "something is inserted first",
    "a whole field deleted",
    "fields added",
    "dry: a whole field deleted",
}


def no_function(name: str) -> Any:
    raise Unresolved(name)


def keep(policy: str, directory: Path, *, dry: bool = False) -> None:
    """Evaluate the bundle `main` of POLICY; what it says goes to stdout."""
    log = Log("info")
    context = Context(
        hard={"any": ()}, facts={}, now=time.time(), log=log, host=Host(), function=no_function
    )
    run = Run(Settings({"dry": dry, "workdir": str(directory)}), Host(), log, context)
    unit, diagnostics = build("@POLICY@", policy.encode())
    assert not [each for each in diagnostics if each.severity == "error"]
    run.plan = Plan()
    run.plan.add("@POLICY@", unit)
    main = run.plan.bundle("main", "default", "agent")
    assert main is not None
    bundles.perform(main, (), run, sequence=True)
    log.flush()


def arranged(case: dict[str, Any], directory: Path) -> tuple[Path, str]:
    """The file under edit, and the policy about it."""
    file = directory / "f"
    file.write_bytes(case["before"].encode("utf-8", "surrogateescape"))
    for name, content in case.get("others", {}).items():
        (directory / name).write_text(content)
    policy = case["policy"].replace("@FILE@", str(file)).replace("@DIR@", str(directory))
    return file, policy


def content(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", CASES)
def test_as_the_c_agent(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    file, policy = arranged(case, tmp_path)

    keep(policy, tmp_path, dry="n" in case.get("options", ""))

    said = capfd.readouterr().out.replace(str(file), "@FILE@").replace(str(tmp_path), "@DIR@")
    assert content(file) == case["after"]
    assert said == "".join(f"{line}\n" for line in case["said"])


@pytest.mark.parametrize(
    "name", [name for name in CASES if CASES[name]["name"] not in NEVER_CONVERGE]
)
def test_a_second_run_changes_nothing(name: str, tmp_path: Path) -> None:
    file, policy = arranged(CASES[name], tmp_path)
    keep(policy, tmp_path)
    once = content(file)

    keep(policy, tmp_path)

    assert content(file) == once


# saving

INSERTING = """
bundle agent main
{
  files: "@FILE@" edit_line => e, edit_defaults => d @ELSEWHERE@;
}
bundle edit_line e { insert_lines: "new"; }
body edit_defaults d { edit_backup => "@HOW@"; rotate => "3"; }
"""


def edited(directory: Path, policy: str, before: str = "old\n") -> Path:
    """The file under edit after POLICY was kept."""
    file, policy = arranged({"policy": policy, "before": before}, directory)
    keep(policy, directory)
    return file


def inserting(how: str, elsewhere: str = "") -> str:
    return INSERTING.replace("@HOW@", how).replace("@ELSEWHERE@", elsewhere)


def test_the_old_file_is_kept_beside_the_new(tmp_path: Path) -> None:
    file = edited(tmp_path, inserting("true"))

    assert content(file) == "old\nnew\n"
    assert content(tmp_path / "f.cf-before-edit") == "old\n"


def test_the_old_file_is_kept_with_the_time_in_its_name(tmp_path: Path) -> None:
    edited(tmp_path, inserting("timestamp"))

    (kept,) = [path for path in tmp_path.iterdir() if path.name != "f"]
    prefix, started, *date, suffix = kept.name.split("_")
    assert (prefix, started.isdigit(), len(date)) == ("f", True, 6)
    assert suffix[4:] == ".cf-before-edit"


def test_so_many_old_files_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        edited(tmp_path, inserting("rotate"), f"{number}\n")

    kept = {path.name: content(path) for path in tmp_path.iterdir() if path.name != "f"}
    assert kept == {f"f.cf-before-edit.{age}": f"{5 - age}\n" for age in (1, 2, 3)}


def test_the_old_file_is_kept_elsewhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = edited(tmp_path, inserting("true", ', repository => "@DIR@/repository"'))

    (kept,) = (tmp_path / "repository").iterdir()
    assert content(kept) == "old\n"
    assert kept.name == f"{file}.cf-before-edit".replace("/", "_").replace(".", "_").replace(
        "-", "_"
    )
    assert (
        f"Moved '{file}.cf-before-edit' to repository location '{kept}'" in capfd.readouterr().out
    )


def test_a_link_stays_and_what_it_leads_to_is_edited(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old\n")
    (tmp_path / "f").symlink_to("real")
    keep(inserting("true").replace("@FILE@", f"{tmp_path}/f"), tmp_path)

    assert (tmp_path / "f").is_symlink()
    assert content(tmp_path / "real") == "old\nnew\n"
    assert content(tmp_path / "real.cf-before-edit") == "old\n"


def test_the_mode_stays(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old\n")
    (tmp_path / "f").chmod(0o640)
    keep(inserting("false").replace("@FILE@", f"{tmp_path}/f"), tmp_path)

    assert (tmp_path / "f").stat().st_mode & 0o7777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_outcomes_of_edits_set_their_classes_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    edited(
        tmp_path,
        """
        bundle agent main { files: "@FILE@" edit_line => e; }
        bundle edit_line e
        {
          insert_lines:
            "old$(const.n)new" classes => all("lines");
            "more" location => nowhere, classes => all("lost");
          reports:
            "kept and repaired" if => "lines_kept.lines_repaired.!lines_failed";
            "interrupted" if => "lost_failed.!lost_kept.!lost_repaired";
        }
        body location nowhere { select_line_matching => "nothing"; }
        body classes all(x)
        {
          promise_kept => { "$(x)_kept" };
          promise_repaired => { "$(x)_repaired" };
          repair_failed => { "$(x)_failed" };
        }
        """,
    )

    said = capfd.readouterr().out
    assert "R: kept and repaired\n" in said
    assert "R: interrupted\n" in said


# classic templates

TEMPLATES = [
    ("a $(v.s) $(unqualified)\na\na\n", "a S $(unqualified)\na\na\n"),
    ("a $(v.l)\nb\n", "a 1\na 2\nb\n"),
    ("[%CFEngine BEGIN %]\na $(v.l)\nb\n[%CFEngine END %]\nc", "a 1\nb\na 2\nb\nc\n"),
    ("[%CFEngine v:: %]\na\n[%CFEngine !v:: %]\nb\n[%CFEngine any:: %]\nc\n", "a\nc\n"),
    ("[%CFEngine !v:: %]\n[%CFEngine BEGIN %]\na\n[%CFEngine END %]\nc\n", ""),
    ("[%CFEngine BEGIN %]\na\n[%CFEngine !v:: %]\nb\n[%CFEngine END %]\nc\n", "a\nc\n"),
    ("a\n\n\nb\n\n", "a\n\n\nb\n\n"),
    ("", ""),
]
TEMPLATED = """
bundle agent main
{
  methods: "v"; "templated";
}
bundle agent templated
{
  vars: "unqualified" string => "mine";
  files: "@FILE@" edit_template => "@DIR@/template";
}
bundle agent v
{
  vars: "l" slist => { "1", "2" }; "s" string => "S";
  classes: "v" expression => "any", scope => "namespace";
}
"""


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_a_template_is_all_that_the_file_holds(
    template: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "template").write_text(template)

    file = edited(tmp_path, TEMPLATED)

    assert content(file) == expected


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("a\n[%CFEngine BEGIN\n", 'syntax error, missing close "%]" at line 2'),
        (
            "[%CFEngine BEGIN %]\n" * 2,
            "contains nested blocks which are not allowed, near line 2",
        ),
        (None, "Unable to open template file"),
    ],
)
def test_a_broken_template_leaves_the_file_alone(
    template: str | None, problem: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if template is not None:
        (tmp_path / "template").write_text(template)
    file = edited(tmp_path, TEMPLATED)

    assert content(file) == "old\n"
    assert problem in capfd.readouterr().out
