"""Owner, group and mode of files, one by one and in trees; what `file_select` picks."""

import os
from pathlib import Path

import pytest

from agent.outcome import Outcome
from tests.agent.driver import Agent

ROOT = os.geteuid() == 0
BODIES = """
body perms mode(text) { mode => "$(text)"; rxdirs => "false"; }
body perms searchable(text) { mode => "$(text)"; rxdirs => "true"; }
body perms owner(name) { owners => { "$(name)" }; }
body perms group(name) { groups => { "$(name)" }; }
body depth_search tree { depth => "inf"; }
body depth_search with_base { depth => "inf"; include_basedir => "true"; }
body depth_search not(dir) { depth => "inf"; exclude_dirs => { "$(dir)" }; }
body depth_search deep(levels) { depth => "$(levels)"; }
body depth_search tidy_links { depth => "inf"; rmdeadlinks => "true"; }
"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with two files and a directory with one."""
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True, mode=0o755)
    for name in ("a", "b.txt", "sub/c"):
        (top / name).write_text(name)
        (top / name).chmod(0o644)
    return top


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


def test_a_mode_is_set_once(agent: Agent, tree: Path) -> None:
    promise = f'files: "{tree}/a" perms => mode("600"), classes => fired;'

    first, second = agent.keep(promise, BODIES), agent.keep(promise, BODIES)

    assert first.lines == [
        f"info: Regular file '{tree}/a' had permissions 0644, changed it to 0600"
    ]
    assert first.fired == {"repaired", "kept"}  # the second look, after the change
    assert second.lines == []
    assert second.fired == {"kept"}


def test_a_dry_run_changes_no_mode(agent: Agent, tree: Path) -> None:
    kept = agent.keep(f'files: "{tree}/a" perms => mode("600");', BODIES, dry=True)

    said = f"warning: Should change permissions of '{tree}/a' from 0644 to 0600"
    assert kept.lines == [
        said,
        said,
        f"warning: Warnings encountered when actuating files promise '{tree}/a'",
    ]
    assert mode(tree / "a") == 0o644


def test_a_default_that_matters_is_to_be_written_down(agent: Agent, tree: Path) -> None:
    kept = agent.keep(
        f'files: "{tree}/a" perms => m;', 'body perms m { mode => "644"; }', level="warning"
    )

    assert kept.lines == [
        "warning: Using the default value 'false' for attribute rxdirs (promiser: "
        f"{tree}/a, file: {agent.base}/policy.cf:2), please set it explicitly"
    ]


def test_directories_are_made_searchable_if_promised(agent: Agent, tree: Path) -> None:
    agent.keep(f'files: "{tree}" depth_search => with_base, perms => searchable("640");', BODIES)

    assert mode(tree) == mode(tree / "sub") == 0o750
    assert mode(tree / "a") == mode(tree / "sub/c") == 0o640


def test_another_owner(agent: Agent, tree: Path) -> None:
    promise = f'files: "{tree}/a" perms => owner("1"), classes => fired;'
    ours = os.geteuid()

    first, second = agent.keep(promise, BODIES), agent.keep(promise, BODIES)

    if ROOT:
        assert first.lines == [f"info: Owner of '{tree}/a' was {ours}, set to 1"]
        assert first.fired == {"repaired", "kept"}
        assert second.only(Outcome.KEPT)
    else:
        assert first.lines[0].startswith(f"error: Cannot set ownership on file '{tree}/a'. (chown")
        assert first.fired == {"denied", "kept"}


def test_an_owner_that_nobody_is(agent: Agent, tree: Path) -> None:
    kept = agent.keep(
        f'files: "{tree}/a" perms => owner("no-such-user"), classes => fired;', BODIES
    )

    assert kept.lines[:3] == [
        "info: Could not get UID for user 'no-such-user', (getpwnam: not found)",
        f"info: Promise belongs to bundle 'main' in file '{agent.base}/policy.cf' near line 2",
        f"error: None of the promised owners for '{tree}/a' exist -- see INFO logs for more",
    ]
    assert "failed" in kept.fired


def test_the_present_owner_may_be_any_of_those_promised(agent: Agent, tree: Path) -> None:
    kept = agent.keep(
        f'files: "{tree}/a" perms => both;',
        f'body perms both {{ owners => {{ "1", "{os.geteuid()}" }};'
        f' groups => {{ "1", "{os.getegid()}" }}; }}',
    )

    assert kept.only(Outcome.KEPT)


def test_the_mode_at_a_link_is_that_of_what_it_leads_to(agent: Agent, tree: Path) -> None:
    (tree / "link").symlink_to("a")
    promise = f'files: "{tree}/link" perms => mode("600"), classes => fired;'

    first, second = agent.keep(promise, BODIES), agent.keep(promise, BODIES)

    assert mode(tree / "a") == 0o600
    assert "repaired" in first.fired
    assert second.only(Outcome.KEPT)


def test_the_mode_of_a_directory_is_not_changed_at_a_link(agent: Agent, tree: Path) -> None:
    (tree / "link").symlink_to("sub")

    agent.keep(f'files: "{tree}/link" perms => mode("700");', BODIES)

    assert mode(tree / "sub") == 0o755


@pytest.mark.skipif(not ROOT, reason="only root makes links of others")
def test_a_strangers_link_changes_no_mode(agent: Agent, tree: Path) -> None:
    (tree / "link").symlink_to("a")
    os.chown(tree / "link", 1, 1, follow_symlinks=False)

    kept = agent.keep(f'files: "{tree}/link" perms => mode("600"), classes => fired;', BODIES)

    assert mode(tree / "a") == 0o644
    assert "failed" in kept.fired
    assert (
        f"error: Failed to change permissions of '{tree}/link'. (chmod: Link has been severed)"
        in kept.lines
    )


def test_the_mode_of_links_in_a_tree_is_nobodys_business(agent: Agent, tree: Path) -> None:
    (tree / "out").write_text("")
    (tree / "out").chmod(0o644)
    (tree / "sub/link").symlink_to("../out")

    agent.keep(f'files: "{tree}/sub" depth_search => tree, perms => mode("600");', BODIES)

    assert mode(tree / "out") == 0o644


# trees


def test_a_search_leaves_its_start_alone(agent: Agent, tree: Path) -> None:
    tree.chmod(0o755)

    agent.keep(f'files: "{tree}" depth_search => tree, perms => mode("700");', BODIES)

    assert mode(tree) == 0o755
    assert mode(tree / "sub") == mode(tree / "sub/c") == mode(tree / "a") == 0o700


def test_directories_may_be_left_out(agent: Agent, tree: Path) -> None:
    agent.keep(f'files: "{tree}" depth_search => not("s.b"), perms => mode("600");', BODIES)

    assert mode(tree / "sub") == 0o755
    assert mode(tree / "sub/c") == 0o644
    assert mode(tree / "a") == 0o600


@pytest.mark.parametrize(("depth", "levels"), [("0", 1), ("1", 1), ("2", 4), ("3", 5)])
def test_how_deep_a_depth_is(agent: Agent, tmp_path: Path, depth: str, levels: int) -> None:
    deep = tmp_path / "deep"
    for level in range(7):
        path = deep.joinpath(*"123456"[:level])
        path.mkdir(parents=True, exist_ok=True)
        (path / "f").touch(0o644)

    agent.keep(f'files: "{deep}" depth_search => deep("{depth}"), perms => mode("u+x");', BODIES)

    reached = [level for level in range(7) if mode(deep.joinpath(*"123456"[:level]) / "f") & 0o100]
    assert reached == list(range(levels))


def test_a_search_of_something_else_than_a_directory_fails(agent: Agent, tree: Path) -> None:
    kept = agent.keep(
        f'files: "{tree}/a" depth_search => tree, perms => mode("600"), classes => fired;', BODIES
    )

    assert "that is not a directory" in kept.lines[0]
    assert "failed" in kept.fired


def test_links_that_lead_nowhere_are_tidied_if_promised(agent: Agent, tree: Path) -> None:
    (tree / "dead").symlink_to("/nowhere/at/all")
    (tree / "live").symlink_to("a")

    kept = agent.keep(f'files: "{tree}" depth_search => tidy_links, perms => mode("u+r");', BODIES)

    assert f"info: Removed dead link '{tree}/dead'" in kept.lines
    assert not (tree / "dead").is_symlink()
    assert (tree / "live").is_symlink()


def test_a_tree_that_is_kept_stays_as_it_is(agent: Agent, tree: Path) -> None:
    promise = f'files: "{tree}" depth_search => tree, perms => mode("700"), classes => fired;'
    agent.keep(promise, BODIES)

    again = agent.keep(promise, BODIES)

    assert again.fired == {"kept"}
    assert again.lines == []


# patterns


def test_a_pattern_is_kept_at_each_path_that_it_means(agent: Agent, tree: Path) -> None:
    kept = agent.keep(f'files: "{tree}/.*/[ac]" perms => mode("600");', BODIES)

    assert mode(tree / "sub/c") == 0o600
    assert mode(tree / "a") == 0o644
    assert kept.only(Outcome.REPAIRED)


def test_a_pattern_that_means_nothing_is_neither_kept_nor_not(agent: Agent, tree: Path) -> None:
    kept = agent.keep(f'files: "{tree}/x[ac]" perms => mode("600"), classes => fired;', BODIES)

    assert kept.only(Outcome.SKIPPED)
    assert kept.fired == set()


def test_a_pattern_may_be_meant_literally(agent: Agent, tree: Path) -> None:
    (tree / "[a]").touch(0o644)

    agent.keep(f'files: "{tree}/[a]" pathtype => "literal", perms => mode("600");', BODIES)

    assert mode(tree / "[a]") == 0o600
    assert mode(tree / "a") == 0o644


def test_classes_may_be_named_after_what_was_matched(agent: Agent, tree: Path) -> None:
    kept = agent.keep(
        f'files: "{tree}/(.)[.]txt" perms => mode("600"), classes => named;',
        BODIES + 'body classes named { promise_repaired => { "did_$(match.1)", '
        '"at_$(this.promiser)" }; }',
    )

    assert kept.has("did_b")
    assert any(name.endswith("tree_b_txt") for name in kept.run.ctx.soft)


def test_a_broken_pattern_is_said_to_be_broken(agent: Agent, tree: Path) -> None:
    kept = agent.keep(f'files: "{tree}/a[" perms => mode("600");', BODIES)

    assert kept.lines[0].startswith("error: Regular expression error:")


# selections


SELECTIONS = {
    'leaf_name => { "a", "c" }; file_result => "leaf_name";': {"a", "c"},
    'leaf_name => { ".*" }; file_types => { "dir" }; file_result => "file_types";': {"sub"},
    'leaf_name => { ".*[.]txt" }; file_result => "!leaf_name";': {"a", "sub", "c", "link"},
    'path_name => { "/.*/sub/.*" }; file_result => "path_name";': {"c"},
    'path_name => { "/.*/sub/.*" }; leaf_name => { "a" }; file_result => "path_name|leaf_name";': {
        "a",
        "c",
    },
    'search_size => irange("2","10"); file_types => { "reg" }; file_result => "size.file_types";': {
        "b.txt",
        "c",
    },
    'search_mode => { "755" }; file_result => "mode";': {"sub"},
    'issymlinkto => { "a" }; file_result => "issymlinkto";': {"link"},
    'search_owners => { "strangers" }; file_result => "owner";': set(),
    'exec_program => "/bin/grep -q txt $(this.promiser)"; file_types => { "plain" };'
    ' file_result => "exec_program.file_types";': {"b.txt"},
    'exec_regex => "sub/c"; exec_program => "/bin/cat $(this.promiser)";'
    ' file_result => "exec_regex";': {"c"},
    'mtime => irange("0","1000"); file_result => "mtime";': {"b.txt"},
}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_what_a_selection_picks(agent: Agent, tree: Path, selection: str) -> None:
    (tree / "link").symlink_to("a")
    os.utime(tree / "b.txt", (500, 500))

    kept = agent.keep(
        f'files: "{tree}" depth_search => tree, file_select => some, perms => mode("u+r");',
        BODIES + f"body file_select some {{ {selection} }}",
        level="verbose",
    )

    start = "verbose: Handling file existence constraints on "
    picked = {line.rpartition("/")[2][:-1] for line in kept.lines if line.startswith(start)}
    assert picked == SELECTIONS[selection]


def test_a_file_that_is_not_selected_is_kept(agent: Agent, tree: Path) -> None:
    kept = agent.keep(
        f'files: "{tree}/a" file_select => others, perms => mode("600"), classes => fired;',
        BODIES + 'body file_select others { leaf_name => { "b" }; file_result => "leaf_name"; }',
    )

    assert mode(tree / "a") == 0o644
    assert kept.fired == {"kept"}


# set-id programs of root


@pytest.mark.skipif(not ROOT, reason="only root makes programs of root")
def test_a_new_setuid_program_is_announced_once(agent: Agent, tree: Path) -> None:
    (tree / "a").chmod(0o4755)
    promise = f'files: "{tree}/a" perms => mode("4755");'

    first, second = agent.keep(promise, BODIES), agent.keep(promise, BODIES)

    assert first.lines == [f"notice: NEW SETUID root PROGRAM '{tree}/a'"]
    assert second.lines == []


def test_a_setuid_flag_that_is_not_promised_goes(agent: Agent, tree: Path) -> None:
    (tree / "a").chmod(0o4755)

    kept = agent.keep(f'files: "{tree}/a" perms => mode("755");', BODIES)

    assert mode(tree / "a") == 0o755
    if ROOT:
        assert kept.lines[0] == f"info: Removed setuid (root) flag from '{tree}/a'"
