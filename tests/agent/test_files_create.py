"""Objects that promise to exist, and the directories on the way to them."""

import os
from pathlib import Path

import pytest

from agent.outcome import Outcome
from tests.agent.driver import Agent

PERMS = """
body perms mode(text) { mode => "$(text)"; rxdirs => "false"; }
"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


def test_a_file_is_created_once(agent: Agent, tmp_path: Path) -> None:
    promise = f'files: "{tmp_path}/f" create => "true", classes => fired;'

    first, second = agent.keep(promise), agent.keep(promise)

    assert first.lines == [f"info: Created file '{tmp_path}/f', mode 0600"]
    assert mode(tmp_path / "f") == 0o600
    assert first.only(Outcome.REPAIRED)
    assert first.fired == {"repaired"}
    assert second.lines == []
    assert second.only(Outcome.KEPT)
    assert second.fired == {"kept"}


def test_it_has_its_mode_from_the_start_and_that_is_a_part_kept(
    agent: Agent, tmp_path: Path
) -> None:
    promise = f'files: "{tmp_path}/a/b/f" create => "true", perms => mode("664"), classes => fired;'
    before = os.umask(0o077)

    try:
        kept = agent.keep(promise, PERMS)
    finally:
        os.umask(before)

    assert kept.lines == [
        f"info: Created directory for '{tmp_path}/a/b/f'",
        f"info: Created file '{tmp_path}/a/b/f', mode 0664",
    ]
    assert mode(tmp_path / "a/b/f") == 0o664
    assert mode(tmp_path / "a") == 0o700
    assert kept.fired == {"repaired", "kept"}


@pytest.mark.parametrize("plan", [False, True])
def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    agent: Agent, tmp_path: Path, plan: bool
) -> None:
    promise = f'files: "{tmp_path}/a/f" create => "true", classes => fired;'

    kept = agent.keep(promise, dry=not plan, plan=plan)

    assert not (tmp_path / "a").exists()
    if plan:
        assert kept.planned == [
            f"make directory '{tmp_path}/a' for '{tmp_path}/a/f'",
            f"create file '{tmp_path}/a/f', mode '0600'",
        ]
        assert kept.fired == {"repaired"}
    else:
        assert kept.lines == [
            f"warning: Should make directory '{tmp_path}/a' for '{tmp_path}/a/f'",
            f"warning: Should create file '{tmp_path}/a/f', mode '0600'",
            f"warning: Warnings encountered when actuating files promise '{tmp_path}/a/f'",
        ]
        assert kept.fired == {"failed"}


def test_a_warning_is_all_that_is_promised(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/f" create => "true", action => warn, classes => fired;',
        'body action warn { action_policy => "warn"; }',
    )

    assert kept.lines[0] == (
        f"warning: Should create file '{tmp_path}/f', mode '0600', but only warning promised"
    )
    assert not (tmp_path / "f").exists()


def test_a_name_that_ends_in_a_dot_is_a_directory(agent: Agent, tmp_path: Path) -> None:
    promise = f'files: "{tmp_path}/d/e/." create => "true", perms => mode("750");'

    first, second = agent.keep(promise, PERMS), agent.keep(promise, PERMS)

    assert first.lines == [f"info: Created directory '{tmp_path}/d/e/.', mode 0750"]
    assert mode(tmp_path / "d") == mode(tmp_path / "d/e") == 0o750
    assert second.only(Outcome.KEPT)


def test_where_a_search_starts_is_a_directory(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/d" create => "true", depth_search => all;',
        'body depth_search all { depth => "inf"; }',
    )

    assert (tmp_path / "d").is_dir()
    assert kept.only(Outcome.REPAIRED)


def test_a_pipe(agent: Agent, tmp_path: Path) -> None:
    promise = f'files: "{tmp_path}/p" create => "true", file_type => "fifo";'

    first, second = agent.keep(promise), agent.keep(promise)

    assert first.lines == [f"info: Created named pipe '{tmp_path}/p', mode 0600"]
    assert (tmp_path / "p").is_fifo()
    assert second.only(Outcome.KEPT)


def test_nothing_is_created_through_a_dangling_link(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    kept = agent.keep(f'files: "{tmp_path}/link" create => "true", classes => fired;')

    assert "Most likely a dangling symlink is in the way." in kept.lines[0]
    assert not (tmp_path / "nowhere").exists()
    assert kept.fired == {"kept", "failed"}


def test_a_relative_name_is_refused(agent: Agent) -> None:
    kept = agent.keep('files: "f" create => "true";')

    assert kept.lines[0].startswith("error: Cannot create a relative filename 'f'")
    assert kept.only(Outcome.FAILED)


def test_a_file_in_the_way_of_a_directory(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    promise = f'files: "{tmp_path}/f/g" create => "true"'

    refused = agent.keep(f"{promise};")
    moved = agent.keep(f'{promise}, move_obstructions => "true";')

    assert refused.lines[0] == (
        f"error: The object '{tmp_path}/f' is not a directory. "
        "Cannot make a new directory without deleting it."
    )
    assert moved.only(Outcome.REPAIRED)
    assert (tmp_path / "f.cf-moved").read_text() == "x"
    assert (tmp_path / "f/g").is_file()


def test_what_may_not_be_written_is_a_failure(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)

    kept = agent.keep(f'files: "{tmp_path}/closed/f" create => "true", classes => fired;')

    if os.geteuid() == 0:  # nothing is closed to root
        assert kept.fired == {"repaired"}
    else:
        assert kept.lines[0] == (
            f"error: Error creating file '{tmp_path}/closed/f', mode '0600'. "
            "(open: Permission denied)"
        )
        assert kept.fired == {"failed"}


def test_touching_creates_and_is_never_kept(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "f"
    promise = f'files: "{path}" touch => "true";'
    agent.keep(promise)
    os.utime(path, (1, 1))

    again = agent.keep(promise)

    assert again.lines == [f"info: Touched (updated time stamps) for path '{path}'"]
    assert path.stat().st_mtime > 1
    assert again.only(Outcome.REPAIRED)


def test_what_is_not_supported_says_so(agent: Agent, tmp_path: Path) -> None:
    body = 'body copy_from x { source => "/etc/motd"; servers => { "far.example" }; }'

    kept = agent.keep(f'files: "{tmp_path}/f" copy_from => x;', body)

    assert "not yet supported" in kept.lines[0]
    assert kept.only(Outcome.FAILED)
