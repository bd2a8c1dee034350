"""`changes`: what has become of files since they were last looked at is told once, and recorded."""

import hashlib
import os
from pathlib import Path

import pytest

from agent.outcome import Outcome
from tests.agent.driver import NOW, Agent

BODIES = """
body changes all { hash => "sha256"; report_changes => "all"; update_hashes => "true"; }
body changes content(hash) { hash => "$(hash)"; report_changes => "content"; update_hashes => "true"; }
body changes stats { report_changes => "stats"; update_hashes => "true"; }
body changes told { hash => "sha256"; report_changes => "all"; update_hashes => "false"; }
body changes none { report_changes => "none"; }
body changes silent(what) {
  hash => "sha256"; report_changes => "all"; update_hashes => "true"; silence => { "$(what)" };
}
body depth_search tree { depth => "inf"; }
body action warn { action_policy => "warn"; }
"""  # noqa: E501  # bodies in one line each
STAMP = 1_700_000_000


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "d/f"
    path.parent.mkdir()
    write(path, "a")
    return path


def write(path: Path, text: str) -> None:
    """Let PATH hold TEXT without a change of its time."""
    path.write_text(text)
    path.chmod(0o644)
    os.utime(path, (STAMP, STAMP))


def watched(path: Path, body: str = "all", more: str = "") -> str:
    return f'files: "{path}" handle => "h", changes => {body}, classes => fired{more};'


def log(agent: Agent) -> list[str]:
    """The log of changes, without its times, which are all the start of the run."""
    path = agent.base / "state/file_changes.log"
    lines = path.read_text().splitlines() if path.exists() else []
    assert all(line.startswith(f"{NOW:.0f},h,") for line in lines)
    return [line.split(",", 2)[2] for line in lines]


def sha(text: str, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, text.encode()).hexdigest()


def test_the_first_look_is_recorded_once(agent: Agent, file: Path) -> None:
    first, second = [agent.keep(watched(file), BODIES) for _ in "12"]

    assert first.lines == [
        f"info: Stored sha256 hash for '{file}' (SHA={sha('a')})",
        f"info: Wrote stat information for '{file}' to database",
    ]
    assert "repaired" in first.fired
    assert not first.has("checksum_alerts")
    assert second.lines == []
    assert second.fired == {"kept"}
    assert log(agent) == []


def test_other_content_is_told_and_recorded_once(agent: Agent, file: Path) -> None:
    agent.keep(watched(file), BODIES)
    write(file, "b")

    second, third = [agent.keep(watched(file), BODIES) for _ in "12"]

    assert second.lines == [
        f"info: Hash 'sha256' for '{file}' changed!",
        f"info: Updated sha256 hash for '{file}' (SHA={sha('b')})",
        f"info: Recorded integrity changes in '{file}'",
    ]
    assert second.has("checksum_alerts")
    assert third.lines == []
    assert third.has("checksum_alerts")  # for ten minutes
    assert log(agent) == [f"{file},C,Content changed"]


def test_without_updates_it_is_an_error_each_time(agent: Agent, file: Path) -> None:
    agent.keep(watched(file, "told"), BODIES)
    write(file, "b")

    runs = [agent.keep(watched(file, "told"), BODIES) for _ in "12"]

    for kept in runs:
        assert kept.lines[:3] == [
            f"info: Hash 'sha256' for '{file}' changed!",
            f"error: Hash for file '{file}' changed, but not updating the records",
            f"info: Recorded integrity changes in '{file}'",
        ]
        assert {"repaired", "failed"} <= kept.fired
        assert kept.only(Outcome.FAILED)


def test_a_mode_is_told_and_recorded_once(agent: Agent, file: Path) -> None:
    agent.keep(watched(file), BODIES)
    file.chmod(0o600)

    second, third = [agent.keep(watched(file), BODIES) for _ in "12"]

    assert second.lines == [
        f"notice: Permissions for '{file}' changed 100644 -> 100600",
        f"info: Recorded permissions changes in '{file}'",
        f"info: Wrote stat information changes for '{file}' to database",
    ]
    assert third.lines == []
    assert log(agent) == [f"{file},S,Permission: 100644 -> 100600"]


def test_the_time_of_a_change_is_told_as_people_read_it(agent: Agent, file: Path) -> None:
    agent.keep(watched(file, "stats"), BODIES)
    os.utime(file, (STAMP, STAMP + 1))

    kept = agent.keep(watched(file, "stats"), BODIES)

    assert kept.lines[0].startswith(f"notice: Last modified time for '{file}' changed '")
    assert kept.lines[1] == f"info: Recorded mtime changes in '{file}'"
    assert log(agent)[0].startswith(f"{file},S,Modified time: ")


def test_a_file_that_was_replaced_is_another_inode(agent: Agent, file: Path) -> None:
    agent.keep(watched(file, "stats"), BODIES)
    before = file.stat().st_ino
    other = file.with_name("other")
    write(other, "a")
    other.rename(file)

    kept = agent.keep(watched(file, "stats"), BODIES)

    assert kept.lines == [
        f"notice: inode for '{file}' changed {before} -> {file.stat().st_ino}",
        f"info: Wrote stat information changes for '{file}' to database",
    ]
    assert log(agent) == []


@pytest.mark.parametrize(
    ("name", "algorithm", "label"),
    [("best", "sha512", "SHA"), ("md5", "md5", "MD5"), ("sha1", "sha1", "SHA")],
)
def test_digests(name: str, algorithm: str, label: str, agent: Agent, file: Path) -> None:
    kept = agent.keep(watched(file, f'content("{name}")'), BODIES)

    digest = sha("a", algorithm)
    assert kept.lines == [f"info: Stored {algorithm} hash for '{file}' ({label}={digest})"]


def test_nothing_is_told_if_nothing_is_asked(agent: Agent, file: Path) -> None:
    kept = agent.keep(watched(file, "none"), BODIES)

    assert kept.lines == []
    assert kept.fired == {"kept"}


def test_a_dry_run_records_nothing(agent: Agent, file: Path) -> None:
    dry = agent.keep(watched(file), BODIES, dry=True)
    after = agent.keep(watched(file), BODIES)

    said = [
        f"warning: Should record change of hash for file '{file}'",
        f"warning: Should record integrity changes in '{file}'",
        f"warning: Should write stat information for '{file}' to database",
    ]
    assert dry.lines == [
        *said,
        *said,
        f"warning: Warnings encountered when actuating files promise '{file}'",
    ]
    assert dry.fired == {"failed", "kept"}
    assert after.lines[0].startswith("info: Stored")


def test_a_plan_records_nothing(agent: Agent, file: Path) -> None:
    planned = agent.keep(watched(file.parent, "all", ", depth_search => tree"), BODIES, plan=True)
    after = agent.keep(watched(file), BODIES)

    assert planned.planned == [
        f"record change of hash for file '{file}'",
        f"write stat information for '{file}' to database",
        f"record directory listing for '{file.parent}'",
    ]
    assert after.lines[0].startswith("info: Stored")
    assert log(agent) == []


def test_a_warning_records_nothing(agent: Agent, file: Path) -> None:
    promise = watched(file, 'content("md5")', ", action => warn")

    first, second = [agent.keep(promise, BODIES) for _ in "12"]

    assert first.lines[0] == (
        f"warning: Should record change of hash for file '{file}', but only warning promised"
    )
    assert first.lines == second.lines


def test_a_file_that_is_not_there_is_an_error(agent: Agent, file: Path) -> None:
    file.unlink()

    kept = agent.keep(watched(file), BODIES)

    assert kept.lines[0] == (
        f"error: Promised to monitor '{file}' for changes, but file does not exist"
    )
    assert kept.fired == {"failed"}


def test_a_link_is_not_told_of_again_and_again(agent: Agent, file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to("f")

    first, second = [agent.keep(watched(link), BODIES) for _ in "12"]

    assert first.lines[0] == f"info: Stored sha256 hash for '{link}' (SHA={sha('a')})"
    assert second.lines == []


# trees


def test_what_is_new_in_a_tree_is_told_once(agent: Agent, file: Path) -> None:
    directory = file.parent
    promise = watched(directory, 'content("md5")', ", depth_search => tree")

    first, second = [agent.keep(promise, BODIES) for _ in "12"]

    assert first.lines == [
        f"notice: New file '{file}' found",
        f"info: Stored md5 hash for '{file}' (MD5={sha('a', 'md5')})",
        f"info: Recorded directory listing for '{directory}'",
    ]
    assert second.lines == []
    assert second.fired == {"kept"}
    assert log(agent) == [f"{file},N,New file found"]


def test_what_is_gone_from_a_tree_is_told_once(agent: Agent, file: Path) -> None:
    directory = file.parent
    promise = watched(directory, "all", ", depth_search => tree")
    agent.keep(promise, BODIES)
    file.unlink()

    second, third = [agent.keep(promise, BODIES) for _ in "12"]

    assert second.lines == [
        f"notice: File '{file}' no longer exists",
        f"info: Removal of '{file}' recorded",
        f"info: Recorded directory listing for '{directory}'",
    ]
    assert third.lines == []
    assert log(agent) == [f"{file},N,New file found", f"{file},R,File removed"]


def test_a_file_that_comes_back_is_new(agent: Agent, file: Path) -> None:
    promise = watched(file.parent, 'content("md5")', ", depth_search => tree")
    agent.keep(promise, BODIES)
    file.unlink()
    agent.keep(promise, BODIES)
    write(file, "b")

    kept = agent.keep(promise, BODIES)

    assert kept.lines[:2] == [
        f"notice: New file '{file}' found",
        f"info: Stored md5 hash for '{file}' (MD5={sha('b', 'md5')})",
    ]


def test_a_listing_that_is_not_to_be_updated_is_a_failure(agent: Agent, file: Path) -> None:
    promise = watched(file.parent, "told", ", depth_search => tree")

    agent.keep(promise, BODIES)
    kept = agent.keep(promise, BODIES)

    assert kept.lines[:2] == [
        f"notice: New file '{file}' found",
        f"info: Failed to record directory listing for '{file.parent}'",
    ]
    assert kept.only(Outcome.FAILED)


# silence


@pytest.mark.parametrize(
    ("silence", "heard"),
    [
        ("content", ["notice: Permissions for", "info: Recorded permissions", "info: Wrote stat"]),
        ("stats", ["info: Hash 'sha256'", "info: Recorded integrity"]),
        ("perms", ["info: Hash 'sha256'", "info: Recorded integrity"]),
        ("all", []),
    ],
)
def test_what_is_silent_is_recorded_all_the_same(
    silence: str, heard: list[str], agent: Agent, file: Path
) -> None:
    promise = watched(file, f'silent("{silence}")')
    agent.keep(promise, BODIES)
    write(file, "b")
    file.chmod(0o600)

    kept = agent.keep(promise, BODIES)

    lines = [line for line in kept.lines if "Updated sha256" not in line]
    assert len(lines) == len(heard)
    assert all(line.startswith(start) for line, start in zip(lines, heard, strict=True))
    assert "repaired" in kept.fired
    assert log(agent) == [
        f"{file},C,Content changed", f"{file},S,Permission: 100644 -> 100600",
    ]  # fmt: skip
