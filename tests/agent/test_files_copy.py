"""Copies of files and trees: when they are stale, what becomes of the old, what else is there."""

import os
from pathlib import Path

import pytest

from agent.outcome import Outcome
from tests.agent.driver import NOW, Agent

BODIES = """
body perms mode(text) { mode => "$(text)"; rxdirs => "false"; }
body depth_search tree { depth => "inf"; }
body depth_search deep(levels) { depth => "$(levels)"; }
body file_select named(name) { leaf_name => { "$(name)" }; file_result => "leaf_name"; }
"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with a file, a link, and a directory with a file."""
    top = tmp_path / "source"
    (top / "sub").mkdir(parents=True)
    (top / "f").write_text("new")
    (top / "f").chmod(0o640)
    (top / "link").symlink_to("f")
    (top / "sub/g").write_text("deep")
    return top


def from_(source: Path, more: str = "") -> str:
    return f'{BODIES}body copy_from it {{ source => "{source}"; compare => "digest"; {more} }}'


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


def test_a_file_is_copied_once(agent: Agent, source: Path, tmp_path: Path) -> None:
    promise = f'files: "{tmp_path}/d/f" copy_from => it, classes => fired;'
    bodies = from_(source / "f")

    first, second = agent.keep(promise, bodies), agent.keep(promise, bodies)

    target = f"{tmp_path}/d/f"
    assert first.lines == [
        f"info: Failed to chdir into '{tmp_path}/d'. (chdir: 'No such file or directory') "
        "- Attempting to create...",
        f"info: Created parent directory for '{target}'",
        f"info: Copied file '{source}/f' to '{target}.cfnew' (mode '600')",
        f"info: Moved '{target}.cfnew' to '{target}'",
        f"info: Updated file '{target}' from 'localhost:{source}/f'",
    ]
    assert Path(target).read_text() == "new"
    assert mode(Path(target)) == 0o600
    assert first.fired == {"repaired", "kept"}
    assert second.lines == []
    assert second.fired == {"kept"}


def test_an_old_file_is_kept_under_another_name(agent: Agent, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "f"
    target.write_text("old")
    target.chmod(0o604)

    kept = agent.keep(f'files: "{target}" copy_from => it;', from_(source / "f"))

    assert kept.lines == [
        f"info: Copied file '{source}/f' to '{target}.cfnew' (mode '604')",
        f"info: Backed up '{target}' as '{target}.cfsaved'",
        f"info: Moved '{target}.cfnew' to '{target}'",
        f"info: Updated '{target}' from source '{source}/f' on 'localhost'",
    ]
    assert target.read_text() == "new"
    assert mode(target) == 0o604
    assert (tmp_path / "f.cfsaved").read_text() == "old"


@pytest.mark.parametrize("how", ["false", "timestamp"])
def test_what_becomes_of_the_old_file(agent: Agent, source: Path, tmp_path: Path, how: str) -> None:
    (tmp_path / "f").write_text("old")

    agent.keep(
        f'files: "{tmp_path}/f" copy_from => it;', from_(source / "f", f'copy_backup => "{how}";')
    )

    saved = [path.name for path in tmp_path.glob("f*cfsaved")]
    assert saved == [] if how == "false" else saved[0].startswith(f"f_{int(NOW)}_")


def test_it_may_go_to_a_repository(agent: Agent, source: Path, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")

    kept = agent.keep(
        f'files: "{tmp_path}/f" copy_from => it, repository => "{tmp_path}/repo";',
        from_(source / "f"),
    )

    name = f"{tmp_path}/f.cfsaved".translate(str.maketrans("/.-", "___"))
    assert kept.lines[3:5] == [
        f"info: Moved '{tmp_path}/f.cfsaved' to repository location '{tmp_path}/repo/{name}'",
        f"info: Archived backup '{tmp_path}/f.cfsaved'",
    ]
    assert (tmp_path / "repo" / name).read_text() == "old"
    assert not (tmp_path / "f.cfsaved").exists()


def test_a_dry_run_copies_nothing(agent: Agent, source: Path, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    promise = f'files: "{tmp_path}/new" copy_from => it; "{tmp_path}/old" copy_from => it;'

    kept = agent.keep(promise, from_(source / "f"), dry=True)

    assert kept.lines[::2] == [
        f"warning: Should copy '{tmp_path}/new' to '{source}/f'",  # as the reference has it
        f"warning: Should update file '{tmp_path}/old' from '{source}/f' on 'localhost'",
    ]
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "old").read_text() == "old"


def test_a_plan_shows_the_copy_and_what_comes_after_it(
    agent: Agent, source: Path, tmp_path: Path
) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/new" copy_from => it, perms => mode("644");'
        f' "{tmp_path}/new" content => "newer";',
        from_(source / "f"),
        plan=True,
    )

    assert kept.planned == [
        f"copy '{source}/f' to '{tmp_path}/new'",
        f"change permissions of '{tmp_path}/new' from 0600 to 0644",
        f"update file '{tmp_path}/new' with content 'newer'",
    ]
    assert not (tmp_path / "new").exists()


STALE = {
    # how to compare: whether the copy is renewed if it is newer and differs, older and the same
    "mtime": (False, True),
    "exists": (False, False),
    "digest": (True, False),
    "hash": (True, False),
    "binary": (True, False),
    "atime": (True, True),
}


@pytest.mark.parametrize("compare", STALE)
def test_when_a_copy_is_stale(agent: Agent, source: Path, tmp_path: Path, compare: str) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("new")
    new.write_text("NEW")
    os.utime(old, (1, 1))
    os.utime(source / "f", (1000, 1000))
    bodies = f'body copy_from it {{ source => "{source}/f"; compare => "{compare}"; }}'

    kept = agent.keep(f'files: "{new}" copy_from => it; "{old}" copy_from => it;', bodies)

    renewed = [any(f"'{path}.cfnew'" in line for line in kept.lines) for path in (new, old)]
    assert renewed == list(STALE[compare])


def test_a_copy_may_be_forced(agent: Agent, source: Path, tmp_path: Path) -> None:
    promise = f'files: "{tmp_path}/f" copy_from => it;'
    agent.keep(promise, from_(source / "f"))

    again = agent.keep(promise, from_(source / "f", 'force_update => "true";'))

    assert again.only(Outcome.REPAIRED)


@pytest.mark.parametrize(("allowed", "outcome"), [("", "failed"), ("true", "kept")])
def test_a_source_that_is_not_there(
    agent: Agent, tmp_path: Path, allowed: str, outcome: str
) -> None:
    more = f'missing_ok => "{allowed}";' if allowed else ""

    kept = agent.keep(
        f'files: "{tmp_path}/f" copy_from => it, classes => fired;', from_(Path("/nowhere"), more)
    )

    assert kept.fired == {outcome}
    if not allowed:
        assert kept.lines[0] == (
            "error: Can't stat file '/nowhere' on 'localhost' in files.copy_from promise"
        )


def test_another_host_is_not_supported(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/f" copy_from => it;',
        from_(Path("/etc/passwd"), 'servers => { "example.com", "localhost" };'),
    )

    assert kept.lines[0].startswith("error: not yet supported: copy_from another host")
    assert kept.only(Outcome.FAILED)


def test_files_of_another_size_may_be_left_alone(
    agent: Agent, source: Path, tmp_path: Path
) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/f" copy_from => it;',
        from_(source / "f", 'copy_size => irange("10","inf");'),
    )

    assert kept.only(Outcome.KEPT)
    assert not (tmp_path / "f").exists()


def test_what_preserve_preserves(agent: Agent, source: Path, tmp_path: Path) -> None:
    (source / "f").chmod(0o4751)
    promise = f'files: "{tmp_path}/f" copy_from => it;'
    bodies = from_(source / "f", 'preserve => "true";')

    kept = agent.keep(promise, bodies)

    assert f"'{tmp_path}/f.cfnew' (permissions preserved)" in kept.lines[0]
    assert mode(tmp_path / "f") == 0o4751
    assert agent.keep(promise, bodies, level="error").only(Outcome.KEPT)


def test_permissions_are_set_between_the_copy_and_its_announcement(
    agent: Agent, source: Path, tmp_path: Path
) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/f" copy_from => it, perms => mode("644");', from_(source / "f")
    )

    assert kept.lines[1:] == [
        f"info: Moved '{tmp_path}/f.cfnew' to '{tmp_path}/f'",
        f"info: Regular file '{tmp_path}/f' had permissions 0600, changed it to 0644",
        f"info: Updated file '{tmp_path}/f' from 'localhost:{source}/f'",
    ]


def test_a_link_makes_way_for_a_file(agent: Agent, source: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "f").symlink_to("victim")

    kept = agent.keep(f'files: "{tmp_path}/f" copy_from => it;', from_(source / "f"))

    assert kept.lines[0] == (
        f"info: Removing old symbolic link '{tmp_path}/f' to make way for copy"
    )
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "f").is_symlink()


def test_a_type_that_is_checked(agent: Agent, source: Path, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()

    kept = agent.keep(
        f'files: "{tmp_path}/f" copy_from => it;', from_(source / "f", 'type_check => "true";')
    )

    assert kept.lines[0] == (
        f"error: Promised file copy {tmp_path}/f exists but type mismatch with source '{source}/f'"
    )


def test_stealth_leaves_no_trace_of_time(agent: Agent, source: Path, tmp_path: Path) -> None:
    os.utime(source / "f", (1000, 2000))

    agent.keep(f'files: "{tmp_path}/f" copy_from => it;', from_(source / "f", 'stealth => "true";'))

    read, made = (source / "f").stat(), (tmp_path / "f").stat()
    assert (read.st_atime, read.st_mtime, made.st_mtime) == (1000, 2000, 2000)


# trees


def test_a_tree_is_copied_once(agent: Agent, source: Path, tmp_path: Path) -> None:
    promise = f'files: "{tmp_path}/d" copy_from => it, depth_search => tree, classes => fired;'

    first, second = agent.keep(promise, from_(source)), agent.keep(promise, from_(source))

    assert (tmp_path / "d/f").read_text() == "new"
    assert (tmp_path / "d/sub/g").read_text() == "deep"
    assert (tmp_path / "d/link").readlink() == Path("f")
    assert f"info: Created directory '{tmp_path}/d/sub'" in first.lines
    assert f"info: Linked files '{tmp_path}/d/link' -> 'f'" in first.lines
    assert second.lines == []
    assert second.fired == {"kept"}


def test_a_tree_needs_a_depth(agent: Agent, source: Path, tmp_path: Path) -> None:
    none = agent.keep(f'files: "{tmp_path}/d" copy_from => it;', from_(source))
    one = agent.keep(
        f'files: "{tmp_path}/d" copy_from => it, depth_search => deep("1");', from_(source)
    )

    assert f"error: Maximum recursion level reached at '{source}'" in none.lines
    assert f"error: Maximum recursion level reached at '{source}/sub'" in one.lines
    assert (tmp_path / "d/sub").is_dir()
    assert not (tmp_path / "d/sub/g").exists()


def test_what_is_not_in_the_source_is_purged(agent: Agent, source: Path, tmp_path: Path) -> None:
    (tmp_path / "d/old/older").mkdir(parents=True)
    (tmp_path / "d/stray").write_text("x")
    (tmp_path / "outside").write_text("x")
    (tmp_path / "d/old/out").symlink_to(tmp_path / "outside")
    promise = f'files: "{tmp_path}/d" copy_from => it, depth_search => tree;'
    bodies = from_(source, 'purge => "true";')

    planned = agent.keep(promise, bodies, dry=True)
    kept = agent.keep(promise, bodies)

    assert f"warning: Should purge '{tmp_path}/d/stray' from copy dest directory" in planned.lines
    assert f"info: Purged '{tmp_path}/d/stray' copy dest directory" in kept.lines
    assert f"info: Purged directory '{tmp_path}/d/old' in copy dest directory" in kept.lines
    assert sorted(os.listdir(tmp_path / "d")) == ["f", "link", "sub"]
    assert (tmp_path / "outside").exists()


def test_a_tree_may_collapse_into_one_directory(agent: Agent, source: Path, tmp_path: Path) -> None:
    agent.keep(
        f'files: "{tmp_path}/d" copy_from => it, depth_search => tree;',
        from_(source, 'collapse_destination_dir => "true";'),
    )

    assert sorted(os.listdir(tmp_path / "d")) == ["f", "g", "link"]


def test_only_selected_files_are_copied(agent: Agent, source: Path, tmp_path: Path) -> None:
    agent.keep(
        f'files: "{tmp_path}/d" copy_from => it, depth_search => tree, file_select => named("g");',
        from_(source),
    )

    assert sorted(os.listdir(tmp_path / "d")) == ["sub"]
    assert os.listdir(tmp_path / "d/sub") == ["g"]


def test_links_may_be_copied_and_files_linked(agent: Agent, source: Path, tmp_path: Path) -> None:
    agent.keep(
        f'files: "{tmp_path}/d" copy_from => it, depth_search => tree;',
        from_(source, 'copylink_patterns => { "l.*" }; linkcopy_patterns => { "f" };'),
    )

    assert (tmp_path / "d/link").read_text() == "new"
    assert not (tmp_path / "d/link").is_symlink()
    assert (tmp_path / "d/f").readlink() == source / "f"


def test_names_of_one_file_stay_names_of_one_file(
    agent: Agent, source: Path, tmp_path: Path
) -> None:
    os.link(source / "f", source / "twin")
    promise = f'files: "{tmp_path}/d" copy_from => it, depth_search => tree;'

    agent.keep(promise, from_(source))
    again = agent.keep(promise, from_(source))

    assert (tmp_path / "d/f").samefile(tmp_path / "d/twin")
    assert again.only(Outcome.KEPT)


def test_a_class_for_each_file_that_was_copied(agent: Agent, source: Path, tmp_path: Path) -> None:
    control = 'body agent control { files_auto_define => { ".*/f" }; }'

    kept = agent.keep(f'files: "{tmp_path}/f" copy_from => it;', from_(source / "f") + control)

    assert any(name.startswith("auto_") and name.endswith("_f") for name in kept.run.ctx.soft)
