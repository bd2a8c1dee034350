"""What files hold: content, templates; and how they end: deleted, renamed, rotated, transformed."""

import os
import stat
from pathlib import Path

import pytest

from agent.outcome import Outcome
from tests.agent.driver import NOW, Agent

BODIES = """
body perms mode(text) { mode => "$(text)"; rxdirs => "false"; }
body depth_search tree { depth => "inf"; }
body file_select all { leaf_name => { ".*" }; file_result => "leaf_name"; }
body delete tidy { dirlinks => "delete"; rmdirs => "true"; }
body delete files_only { dirlinks => "delete"; rmdirs => "false"; }
body rename to(name) { newname => "$(name)"; }
body rename off { disable => "true"; }
body rename rotated(n) { rotate => "$(n)"; }
body edit_defaults backup(how) { edit_backup => "$(how)"; }
"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def test_content_is_written_once(agent: Agent, tmp_path: Path) -> None:
    promise = f'files: "{tmp_path}/f" content => "text", classes => fired;'

    first, second = agent.keep(promise), agent.keep(promise)

    assert first.lines == [
        f"info: Created file '{tmp_path}/f', mode 0600",
        f"info: Updated file '{tmp_path}/f' with content 'text'",
    ]
    assert (tmp_path / "f").read_text() == "text"
    assert second.lines == []
    assert second.fired == {"kept"}


def test_content_takes_the_place_of_the_old_one_with_its_mode(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old and longer")
    path.chmod(0o604)

    agent.keep(f'files: "{path}" content => "new";')

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o604
    assert [entry.name for entry in tmp_path.iterdir()].count("f") == 1


def test_a_dry_run_writes_nothing(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")

    kept = agent.keep(
        f'files: "{tmp_path}/old" content => "new"; "{tmp_path}/new" content => "new";', dry=True
    )

    assert kept.lines[::2] == [
        f"warning: Should update file '{tmp_path}/old' with content 'new'",
        f"warning: Should create file '{tmp_path}/new', mode '0600'",
    ]
    assert (tmp_path / "old").read_text() == "old"


def test_a_plan_shows_the_difference(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old\n")

    kept = agent.keep(f'files: "{tmp_path}/f" content => "new";', plan=True)

    assert kept.run.planned is not None
    assert kept.run.planned.steps[0].preview.splitlines()[3:] == ["-old", "+new"]


def test_content_that_may_not_create(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(f'files: "{tmp_path}/f" content => "x", create => "false";')

    assert not (tmp_path / "f").exists()
    assert kept.only(Outcome.KEPT)


def test_what_is_no_file_is_in_the_way(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()

    refused = agent.keep(f'files: "{tmp_path}/d" content => "x";')
    moved = agent.keep(f'files: "{tmp_path}/d" content => "x", move_obstructions => "true";')

    assert refused.lines[0] == (
        f"error: Path '{tmp_path}/d' is not a regular file and move_obstructions is not set"
    )
    assert moved.lines[0] == (
        f"info: Moved obstructing path '{tmp_path}/d' to '{tmp_path}/d.cf-moved'"
    )
    assert (tmp_path / "d").read_text() == "x"


def test_content_excludes_edits(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/f" content => "x", edit_line => nothing;',
        'bundle edit_line nothing { reports: "x"; }',
    )

    assert kept.lines[0] == (
        "error: A file promise with content attribute cannot have edit operations"
    )


# templates


def mustache(path: Path, more: str = "") -> str:
    """A promise that PATH is rendered."""
    return (
        'vars: "d" data => \'{ "name": "x" }\';\n'
        f'files: "{path}" edit_template_string => "hello {{{{name}}}}", '
        f'template_method => "inline_mustache", template_data => @(d), classes => fired{more};'
    )


def test_a_template_is_rendered_once(agent: Agent, tmp_path: Path) -> None:
    promise = mustache(tmp_path / "f")

    first, second = agent.keep(promise), agent.keep(promise)

    assert first.lines == [
        f"info: Created file '{tmp_path}/f', mode 0600",
        f"info: Updated rendering of '{tmp_path}/f' from mustache template 'inline'",
    ]
    assert (tmp_path / "f").read_text() == "hello x"
    assert second.lines == []
    assert second.fired == {"kept"}


def test_a_rendering_keeps_the_old_file_its_mode_and_links(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o640)
    (tmp_path / "link").symlink_to("f")

    agent.keep(mustache(tmp_path / "link"))

    assert (tmp_path / "link").is_symlink()
    assert path.read_text() == "hello x"
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "f.cf-before-edit").read_text() == "old"


@pytest.mark.parametrize("how", ["false", "timestamp", "rotate"])
def test_what_becomes_of_the_old_rendering(agent: Agent, tmp_path: Path, how: str) -> None:
    (tmp_path / "f").write_text("old")
    names = {
        "false": [],
        "timestamp": [f"f_{int(NOW)}_"],
        "rotate": ["f.cf-before-edit.1"],
    }

    agent.keep(mustache(tmp_path / "f", f', edit_defaults => backup("{how}")'), BODIES)

    found = [path.name for path in tmp_path.glob("f?*")]
    assert len(found) == len(names[how])
    assert all(name.startswith(start) for name, start in zip(found, names[how], strict=True))


def test_a_dry_run_renders_nothing(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(mustache(tmp_path / "f"), dry=True)

    assert kept.lines[0] == (
        f"warning: Should update rendering of '{tmp_path}/f' from mustache template 'inline'"
    )
    assert not (tmp_path / "f").exists()


def test_a_template_from_a_file(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{{#items}}-{{.}}\n{{/items}}")
    promise = (
        'vars: "d" data => \'{ "items": ["a", "b"] }\';\n'
        f'files: "{tmp_path}/f" edit_template => "{tmp_path}/t", '
        'template_method => "mustache", template_data => @(d);'
    )

    kept = agent.keep(promise)

    assert (tmp_path / "f").read_text() == "-a\n-b\n"
    assert kept.lines[1].endswith(f"from mustache template '{tmp_path}/t'")


def test_a_template_that_is_not_there(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/f" edit_template => "/nowhere", template_method => "mustache";'
    )

    assert kept.lines[0] == "error: Template file '/nowhere' could not be opened for reading"
    assert not (tmp_path / "f").exists()


def test_a_template_without_its_data(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/f" edit_template_string => "x", create => "true", '
        'template_method => "inline_mustache", template_data => parsejson("none");'
    )

    assert f"error: No template data for the promise '{tmp_path}/f'" in kept.lines
    assert not (tmp_path / "f").exists()


def test_a_classic_template_creates_its_file(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("one\n[%CFEngine any:: %]\ntwo\n")
    promise = f'files: "{tmp_path}/f" edit_template => "{tmp_path}/t";'

    agent.keep(promise)

    assert (tmp_path / "f").read_text() == "one\ntwo\n"
    assert agent.keep(promise).only(Outcome.KEPT)


def test_a_classic_template_that_is_not_there_creates_nothing(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(f'files: "{tmp_path}/f" edit_template => "/nowhere", classes => fired;')

    assert kept.lines[0] == (
        f"error: Unable to open template file '/nowhere' to make '{tmp_path}/f'"
    )
    assert kept.fired == {"failed"}
    assert not (tmp_path / "f").exists()


# deletions


def test_a_file_is_deleted_once(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    promise = f'files: "{tmp_path}/f" delete => tidy, classes => fired;'

    first, second = agent.keep(promise, BODIES), agent.keep(promise, BODIES)

    assert first.lines == [f"info: Deleted file '{tmp_path}/f'"]
    assert first.fired == {"repaired"}
    assert second.fired == {"kept"}


def test_a_link_is_deleted_not_what_it_leads_to(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")

    agent.keep(f'files: "{tmp_path}/link" delete => tidy;', BODIES)

    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "d").is_dir()


@pytest.mark.parametrize(("body", "left"), [("tidy", ["full"]), ("files_only", ["empty", "full"])])
def test_only_empty_directories_are_deleted(
    agent: Agent, tmp_path: Path, body: str, left: list[str]
) -> None:
    top = tmp_path / "top"
    (top / "full/x").mkdir(parents=True)
    (top / "empty").mkdir()

    kept = agent.keep(
        f'files: "{top}/empty" delete => {body}; "{top}/full" delete => {body};', BODIES
    )

    assert sorted(os.listdir(top)) == left
    assert not any("full" in line for line in kept.lines)


def test_a_tree_is_emptied_and_its_root_stays(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "top/a/b").mkdir(parents=True)
    (tmp_path / "top/a/b/f").touch()
    promise = f'files: "{tmp_path}/top" delete => tidy, depth_search => tree, file_select => all;'

    dry = agent.keep(promise, BODIES, dry=True)
    kept = agent.keep(promise, BODIES)

    assert f"warning: Should delete directory '{tmp_path}/top/a'" in dry.lines
    assert os.listdir(tmp_path / "top") == []
    assert kept.lines[-1] == f"info: Deleted directory '{tmp_path}/top/a'"


def test_a_tree_is_not_deleted_without_saying_what(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "top/a").mkdir(parents=True)

    kept = agent.keep(
        f'files: "{tmp_path}/top" delete => tidy, depth_search => tree, classes => fired;', BODIES
    )

    assert kept.lines[0].startswith("error: Dangerous or ambiguous promise")
    assert (tmp_path / "top/a").is_dir()
    assert kept.fired == {"kept"}


# names


def test_a_file_gets_another_name(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    promise = f'files: "{tmp_path}/f" rename => to("g");'

    kept = agent.keep(promise, BODIES)

    assert kept.lines == [f"info: Renamed file '{tmp_path}/f' to '{tmp_path}/g'"]
    assert (tmp_path / "g").read_text() == "x"
    assert agent.keep(promise, BODIES).only(Outcome.KEPT)


def test_a_file_is_disabled(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").touch(0o644)

    kept = agent.keep(f'files: "{tmp_path}/f" rename => off;', BODIES)

    assert kept.lines == [
        f"warning: File object '{tmp_path}/f' exists, contrary to promise",
        f"info: Changed permissions of '{tmp_path}/f' to 'mode 0644'",
        f"info: Disabled file '{tmp_path}/f' by renaming to '{tmp_path}/f.cfdisabled' "
        "with mode 0644",
    ]


def test_a_link_is_disabled_by_deletion(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "link").symlink_to("f")

    kept = agent.keep(f'files: "{tmp_path}/link" rename => off;', BODIES)

    assert kept.lines[-1] == f"info: Disabled symbolic link '{tmp_path}/link' by deleting it"
    assert (tmp_path / "f").exists()


def test_a_dry_run_disables_nothing(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").touch()

    kept = agent.keep(f'files: "{tmp_path}/f" rename => off;', BODIES, dry=True)

    assert f"warning: Should rename 'file' '{tmp_path}/f'" in kept.lines
    assert (tmp_path / "f").exists()


def test_a_file_is_rotated_once_a_run(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("new")
    path.chmod(0o640)
    (tmp_path / "log.1").write_text("old")
    (tmp_path / "log.1.gz").write_text("zip")
    (tmp_path / "log.2").write_text("oldest")

    kept = agent.keep(f'files: "{path}" rename => rotated("2");', BODIES)

    assert kept.lines == [f"info: Rotated file '{path}' in 2 fifo"] * 2
    assert [(tmp_path / name).read_text() for name in ("log", "log.1", "log.2", "log.2.gz")] == [
        "",
        "new",
        "old",
        "zip",
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not (tmp_path / "log.3").exists()


def test_no_generations_empty_the_file(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x")

    kept = agent.keep(f'files: "{tmp_path}/log" rename => rotated("0");', BODIES)

    assert kept.lines[0] == f"info: Truncated '{tmp_path}/log'"
    assert (tmp_path / "log").read_text() == ""


def test_what_is_disabled_may_go_to_a_repository(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")

    kept = agent.keep(
        f'files: "{tmp_path}/f" rename => off, repository => "{tmp_path}/repo";', BODIES
    )

    assert kept.lines[-1].startswith(
        f"info: Moved '{tmp_path}/f.cfdisabled' to repository location '{tmp_path}/repo/"
    )
    assert len(os.listdir(tmp_path / "repo")) == 1
    assert not (tmp_path / "f.cfdisabled").exists()


# transformers


def test_a_transformer(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    command = f"/bin/mv {tmp_path}/f {tmp_path}/g"

    kept = agent.keep(
        f'files: "{tmp_path}/f" transformer => "/bin/mv $(this.promiser) {tmp_path}/g";'
    )

    assert kept.lines == [
        f"info: Transforming '{tmp_path}/f' with '{command}'",
        f"info: Transformed '{tmp_path}/f' with '{command}'",
        f"info: Transformer '{tmp_path}/f' => '{command}' seemed to work ok",
    ]
    assert kept.only(Outcome.REPAIRED)


def test_a_transformer_that_fails(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")

    kept = agent.keep(
        f'files: "{tmp_path}/f" transformer => "/bin/false", pathtype => "literal", '
        "classes => fired;"
    )

    assert f"error: Transformer '{tmp_path}/f' => '/bin/false' returned error" in kept.lines
    assert kept.fired == {"repaired", "failed"}  # it has acted, then it failed


@pytest.mark.parametrize("plan", [False, True])
def test_a_transformer_is_not_run_for_a_look(agent: Agent, tmp_path: Path, plan: bool) -> None:
    (tmp_path / "f").write_text("x")
    promise = f'files: "{tmp_path}/f" transformer => "/bin/rm $(this.promiser)";'

    kept = agent.keep(promise, dry=not plan, plan=plan)

    assert (tmp_path / "f").exists()
    would = f"transform file '{tmp_path}/f' with '/bin/rm {tmp_path}/f'"
    assert kept.planned[:1] == ([would] if plan else [])
    assert (f"warning: Should {would}" in kept.lines) is not plan


SEVERED = (
    "it is not owned by root or the user running this process, and the target owner and/or group "
    "differs from that of the symlink itself."
)
EVIL = """
bundle edit_line evil { insert_lines: "evil"; }
body printfile all(path) { file_to_print => "$(path)"; number_of_lines => "9"; }
"""


@pytest.fixture
def bent(tmp_path: Path) -> Path:
    """A stranger's link to a file of ours."""
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "bent").symlink_to("secret")
    os.chown(tmp_path / "bent", 1, 1, follow_symlinks=False)
    return tmp_path / "bent"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes links of others")
@pytest.mark.parametrize("plan", [False, True])
@pytest.mark.parametrize(
    "attributes",
    [
        'content => "evil"',
        "edit_line => evil",
        'template_method => "inline_mustache", edit_template_string => "evil"',
    ],
)
def test_nothing_is_written_through_a_strangers_link(
    agent: Agent, bent: Path, attributes: str, plan: bool
) -> None:
    kept = agent.keep(f'files: "{bent}" {attributes}, classes => fired;', EVIL, plan=plan)

    assert "failed" in kept.fired
    assert (bent.parent / "secret").read_text() == "secret\n"
    assert sorted(os.listdir(bent.parent)) == ["agent", "bent", "secret"]
    if "edit_line" not in attributes:
        assert f"error: Cannot follow symlink '{bent}'; {SEVERED}" in kept.lines


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes links of others")
def test_nothing_is_read_through_a_strangers_link(agent: Agent, bent: Path) -> None:
    out = bent.parent / "out"
    kept = agent.keep(
        f'vars: "read" string => readfile("{bent}", 99);\n'
        f'files: "{out}" create => "true", template_method => "mustache",'
        f' edit_template => "{bent}";\n'
        f'reports: "$(read)"; "all" printfile => all("{bent}");',
        EVIL,
    )

    assert not any("secret" in line.replace(str(bent.parent), "") for line in kept.lines)
    assert out.read_text() == ""
