"""`fsattrs`: a file that nobody may change, and that the promise that made it so may."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host import Host
from agent.host.overlay import Overlay
from agent.outcome import Outcome
from tests.agent.driver import Agent

IMMUTABLE = 0x10
BODIES = """
body fsattrs firm { immutable => "true"; }
body fsattrs soft { immutable => "false"; }
body perms mode(text) { mode => "$(text)"; rxdirs => "false"; }
body edit_defaults bare { edit_backup => "false"; }
body delete gone { rmdirs => "false"; }
bundle edit_line line { insert_lines: "more"; }
"""


def supported() -> bool:
    """Whether we may make files immutable where temporary files are."""
    path = f"/var/tmp/troth-flags.{os.getpid()}"  # noqa: S108  # made exclusively
    host = Host()
    host.create(path, 0o600)
    try:
        flags = host.flags(path)
        if flags is None:
            return False
        host.set_flags(path, flags | IMMUTABLE)
        host.set_flags(path, flags)
    except OSError:
        return False
    finally:
        host.unlink(path)
    return True


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not supported(), reason="needs root and a file system with flags"
)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "f"
    path.write_text("text\n")
    path.chmod(0o644)
    yield path
    if path.exists():
        freeze(path, on=False)


def freeze(path: Path, *, on: bool = True) -> None:
    host = Host()
    flags = host.flags(str(path)) or 0
    host.set_flags(str(path), flags | IMMUTABLE if on else flags & ~IMMUTABLE)


def frozen(path: Path) -> bool:
    return bool((Host().flags(str(path)) or 0) & IMMUTABLE)


def promised(path: Path, body: str, more: str = "") -> str:
    return f'files: "{path}" fsattrs => {body}, classes => fired{more};'


def test_a_file_is_made_immutable_once(agent: Agent, file: Path) -> None:
    first, second = [agent.keep(promised(file, "firm"), BODIES) for _ in "12"]

    assert first.lines == [f"info: Set the immutable bit on file '{file}'"]
    assert first.fired == {"repaired"}
    assert second.lines == []
    assert second.fired == {"kept"}
    assert frozen(file)


def test_a_file_is_made_mutable_once(agent: Agent, file: Path) -> None:
    freeze(file)

    first, second = [agent.keep(promised(file, "soft"), BODIES) for _ in "12"]

    assert first.lines == [f"info: Cleared the immutable bit on file '{file}'"]
    assert first.fired == {"repaired"}
    assert second.fired == {"kept"}
    assert not frozen(file)


def test_a_dry_run_sets_no_flag(agent: Agent, file: Path) -> None:
    kept = agent.keep(promised(file, "firm"), BODIES, dry=True)

    assert kept.lines[0] == f"warning: Should set the immutable bit on file '{file}'"
    assert kept.fired == {"failed"}
    assert not frozen(file)


def test_a_plan_sets_no_flag(agent: Agent, file: Path) -> None:
    kept = agent.keep(promised(file, "firm"), BODIES, plan=True)

    assert kept.planned == [f"set the immutable bit on file '{file}'"]
    assert not frozen(file)


@pytest.mark.parametrize(
    "more",
    [', perms => mode("600")', ", edit_line => line, edit_defaults => bare", ', content => "x"'],
)
def test_the_promise_itself_may_change_the_file(more: str, agent: Agent, file: Path) -> None:
    freeze(file)

    first, second = [agent.keep(promised(file, "firm", more), BODIES) for _ in "12"]

    assert "repaired" in first.fired
    assert "failed" not in first.fired
    assert second.fired == {"kept"}
    assert frozen(file)


def test_a_file_is_created_immutable(agent: Agent, file: Path) -> None:
    file.unlink()

    agent.keep(promised(file, "firm", ', create => "true"'), BODIES)

    assert frozen(file)


def test_what_is_promised_to_be_mutable_is_before_it_is_changed(agent: Agent, file: Path) -> None:
    freeze(file)

    kept = agent.keep(promised(file, "soft", ", delete => gone"), BODIES)

    assert kept.only(Outcome.REPAIRED)
    assert not file.exists()


def test_another_promise_is_told_why_it_may_not(agent: Agent, file: Path) -> None:
    freeze(file)

    kept = agent.keep(f'files: "{file}" perms => mode("600"), classes => fired;', BODIES)

    assert kept.lines[0] == (
        f"error: Failed to change permissions of '{file}'. "
        "(chmod: Operation not permitted (the immutable bit is set))"
    )
    assert "failed" in kept.fired


def test_where_nobody_keeps_flags_nothing_is_promised(agent: Agent) -> None:
    kept = agent.keep(promised(Path("/proc/self/status"), "firm"), BODIES)

    assert kept.lines == []


def test_an_overlay_keeps_the_flag_to_itself(file: Path) -> None:
    overlay = Overlay()
    flags = overlay.flags(str(file))
    assert flags is not None

    overlay.set_flags(str(file), flags | IMMUTABLE)

    assert overlay.flags(str(file)) == flags | IMMUTABLE
    assert not frozen(file)
