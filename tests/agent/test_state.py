"""State: what is remembered from run to run, and that a run goes on without it."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.state import FOUR_WEEKS, SCHEMA, State

NOW = 1_000_000_000
KEY, OTHER = b"k" * 16, b"o" * 16
HOLDER = (4711, 99, NOW)
ROOT = Path(__file__).parents[2]

Lines = list[tuple[str, str]]


@pytest.fixture
def lines() -> Lines:
    """What was logged."""
    return []


@pytest.fixture
def state(tmp_path: Path, lines: Lines) -> Callable[..., State]:
    """`state()` is the next run's; `state(60)` that of a run a minute later."""
    return lambda after=0: State(
        f"{tmp_path}/state/agent.db", lambda *line: lines.append(line), NOW + after
    )


# the file


def test_asking_makes_no_file(state: Callable[..., State], tmp_path: Path) -> None:
    first = state()
    first.forget("c")

    assert (first.locks(), first.holders(), first.classes()) == ({}, {}, {})
    first.close()
    assert list(tmp_path.iterdir()) == []


def test_asking_loads_no_sqlite(tmp_path: Path) -> None:
    code = (
        "import sys; from agent.state import State\n"
        f"one = State({f'{tmp_path}/agent.db'!r}, print, 0)\n"
        "one.classes(); one.locks(); one.close()\n"
        "print('_sqlite3' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert (done.stdout, done.stderr) == ("False\n", "")


def test_nobody_else_may_read_it(state: Callable[..., State], tmp_path: Path) -> None:
    os.umask(os.umask(0))
    one = state()
    one.commit(KEY, NOW)

    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    for path in (tmp_path / "state").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    one.close()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_what_others_can_replace_is_not_believed(
    state: Callable[..., State], tmp_path: Path, lines: Lines, mode: int
) -> None:
    """It says which signals have come, and so which commands run."""
    one = state()
    one.commit(KEY, NOW)
    one.close()
    (tmp_path / "state").chmod(mode)

    assert state().locks() == {}
    assert "can be changed by others: chmod 700" in lines[0][1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a directory away")
def test_what_belongs_to_somebody_else_is_not_believed(
    state: Callable[..., State], tmp_path: Path, lines: Lines
) -> None:
    state().commit(KEY, NOW)
    os.chown(tmp_path / "state", 65534, 65534)

    assert state().locks() == {}
    assert "can be changed by others" in lines[0][1]


def test_a_link_in_its_place_is_not_followed(
    state: Callable[..., State], tmp_path: Path, lines: Lines
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/agent.db").symlink_to(tmp_path / "elsewhere")

    state().commit(KEY, NOW)

    assert not (tmp_path / "elsewhere").exists()
    assert [level for level, _ in lines] == ["warning"]


def test_a_new_file_has_the_newest_version(state: Callable[..., State], tmp_path: Path) -> None:
    one = state()
    one.commit(KEY, NOW)
    one.close()

    with closing(sqlite3.connect(tmp_path / "state/agent.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(SCHEMA),)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_of_a_newer_program_is_left_alone(
    state: Callable[..., State], tmp_path: Path, lines: Lines
) -> None:
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state/agent.db")) as db:
        db.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")

    one = state()
    assert one.begin(KEY, HOLDER, None, None)
    one.close()

    assert one.broken
    assert [level for level, _ in lines] == ["warning"]
    assert "newer" in lines[0][1]
    with closing(sqlite3.connect(tmp_path / "state/agent.db")) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


@pytest.mark.parametrize("damage", ["no database at all" * 100, None])
def test_a_corrupt_file_is_set_aside(
    damage: str | None, state: Callable[..., State], tmp_path: Path, lines: Lines
) -> None:
    path = tmp_path / "state/agent.db"
    one = state()
    for number in range(500):
        one.keep(number.to_bytes(16), NOW)
    one.close()
    octets = path.read_bytes()
    path.write_bytes(damage.encode() if damage else octets[:4096] + b"\xff" * (len(octets) - 4096))

    two = state()
    assert two.locks() == {}
    two.commit(KEY, NOW)
    two.close()

    assert state().locks() == {KEY: NOW}
    assert [level for level, _ in lines] == ["error"]
    assert len(list(path.parent.glob("agent.db.corrupt.*"))) == 1


def test_a_file_that_another_run_has_set_aside_is_not_set_aside_twice(
    state: Callable[..., State], tmp_path: Path
) -> None:
    """What is called so by then is a good one."""
    one, other = state(), state()
    one.commit(KEY, NOW)
    other._set_aside()
    other.commit(KEY, NOW + 7)

    one._set_aside()

    assert one.locks() == {KEY: NOW + 7}
    assert len([*(tmp_path / "state").glob("agent.db.corrupt.*")]) <= 3  # with -wal and -shm


def test_without_a_place_for_it_the_run_goes_on(lines: Lines) -> None:
    one = State("/proc/nowhere/agent.db", lambda *line: lines.append(line), NOW)

    one.commit(KEY, NOW)
    one.persist("c", 5, "reset", ())
    assert one.begin(OTHER, HOLDER, None, None)
    one.keep(KEY, NOW)
    one.close()

    assert [level for level, _ in lines] == ["warning"]
    assert "/proc/nowhere/agent.db" in lines[0][1]


def test_on_a_full_disk_the_run_goes_on(
    state: Callable[..., State], tmp_path: Path, lines: Lines
) -> None:
    one = state()
    one.commit(KEY, NOW)
    one.close()
    with closing(sqlite3.connect(tmp_path / "state/agent.db")) as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    code = (
        "import resource, signal; from agent.state import State\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({4096 * pages}, {4096 * pages}))\n"
        f"one = State({f'{tmp_path}/state/agent.db'!r}, lambda *line: print(line[0]), {NOW})\n"
        "for number in range(9999): one.keep(number.to_bytes(16), 1)\n"
        "one.close(); one.commit(b'x' * 16, 1); one.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert (done.stdout, done.stderr) == ("warning\n", "")
    assert state().locks() == {KEY: NOW}


# locks


@given(st.dictionaries(st.binary(min_size=16, max_size=16), st.integers(NOW, 2 * NOW)))
def test_what_was_kept_is_remembered(kept: dict[bytes, int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as root:
        one = State(f"{root}/agent.db", print, NOW)
        for key, when in kept.items():
            one.keep(key, when)
        one.close()

        two = State(f"{root}/agent.db", print, NOW)
        assert two.locks() == kept
        two.close()


def test_what_was_only_kept_is_written_at_the_end(state: Callable[..., State]) -> None:
    one = state()
    one.keep(KEY, NOW)

    assert state().locks() == {}
    one.close()
    assert state().locks() == {KEY: NOW}


def test_what_did_something_is_written_at_once(state: Callable[..., State]) -> None:
    state().commit(KEY, NOW)

    assert state().locks() == {KEY: NOW}


def test_a_holder_is_seen_until_the_promise_is_done(state: Callable[..., State]) -> None:
    one = state()
    assert one.begin(KEY, HOLDER, None, None)
    assert state().holders() == {KEY: HOLDER}

    one.commit(KEY, NOW + 5)

    assert state().holders() == {}
    assert state().locks() == {KEY: NOW + 5}


def test_only_one_of_two_begins(state: Callable[..., State]) -> None:
    one, two = state(), state()

    assert one.begin(KEY, HOLDER, None, None)
    assert not two.begin(KEY, (1, 2, 3), None, None)
    assert state().holders() == {KEY: HOLDER}


def test_what_another_run_did_meanwhile_is_not_begun_again(state: Callable[..., State]) -> None:
    one, two = state(), state()
    one.commit(KEY, NOW)

    assert not two.begin(KEY, HOLDER, None, None)
    assert two.begin(KEY, HOLDER, NOW, None)


def test_a_dead_holder_can_be_replaced(state: Callable[..., State]) -> None:
    state().begin(KEY, HOLDER, None, None)

    assert state().begin(KEY, (1, 2, 3), None, HOLDER)
    assert state().holders() == {KEY: (1, 2, 3)}


def test_a_holder_that_gave_up_meanwhile_is_no_obstacle(state: Callable[..., State]) -> None:
    assert state().begin(KEY, (1, 2, 3), None, HOLDER)


def test_rows_of_four_weeks_ago_are_dropped(state: Callable[..., State]) -> None:
    one = state()
    one.keep(KEY, NOW)
    one.begin(OTHER, HOLDER, None, None)
    one.close()

    later = state(FOUR_WEEKS + 60)
    later.locks()
    later.keep(OTHER, NOW + FOUR_WEEKS)
    later.close()

    assert state().locks() == {OTHER: NOW + FOUR_WEEKS}
    assert state().holders() == {}


def test_a_child_does_not_use_the_parents_connection(state: Callable[..., State]) -> None:
    one = state()
    one.commit(KEY, NOW)
    child = os.fork()
    if child == 0:
        one.commit(OTHER, NOW)
        os._exit(0)

    assert os.waitpid(child, 0)[1] == 0
    one.commit(KEY, NOW + 1)
    assert state().locks() == {KEY: NOW + 1, OTHER: NOW}


def test_time_goes_on_during_a_run(state: Callable[..., State]) -> None:
    one = state()
    before = one.clock()
    time.sleep(1.05)

    assert before == NOW
    assert one.clock() == NOW + 1


# persistent classes


def test_a_class_lives_as_long_as_it_was_told(state: Callable[..., State], lines: Lines) -> None:
    state().persist("c", 5, "reset", ("source=promise", "x"))

    assert state(5 * 60).classes() == {"c": ("source=promise", "x", "source=persistent")}
    assert state(5 * 60 + 1).classes() == {}
    assert state().classes() == {}, "an expired class is deleted"
    assert ("verbose", "Creating persistent class 'c' (5 minutes, policy reset)") in lines
    assert ("verbose", "Persistent class 'c' for 0 more minutes") in lines
    assert ("verbose", "Persistent class 'c' expired") in lines


def test_reset_starts_the_time_again(state: Callable[..., State], lines: Lines) -> None:
    state().persist("c", 5, "reset", ())
    state(120).persist("c", 5, "reset", ())

    assert "c" in state(120 + 5 * 60).classes()
    assert lines[1][1] == (
        "Resetting persistent class 'c' timer to 5 minutes (was 3 minutes remaining)"
    )


def test_absolute_keeps_the_first_expiry(state: Callable[..., State], lines: Lines) -> None:
    state().persist("c", 5, "absolute", ())
    state(120).persist("c", 5, "absolute", ())

    assert state(5 * 60 + 1).classes() == {}
    assert [text for _, text in lines[:2]] == [
        "Creating persistent class 'c' (5 minutes, policy preserve)",
        "Persistent class 'c' is already in a preserved state --  3 minutes to go",
    ]


def test_absolute_begins_anew_when_the_time_is_over(state: Callable[..., State]) -> None:
    state().persist("c", 5, "absolute", ())
    state(6 * 60).persist("c", 5, "absolute", ())

    assert "c" in state(11 * 60).classes()


def test_a_forgotten_class_ends(state: Callable[..., State]) -> None:
    one = state()
    one.persist("c", 5, "reset", ())
    one.persist("ns:c", 5, "reset", ())
    one.forget("c")

    assert set(state().classes()) == {"ns:c"}


def test_tags_may_be_any_octets(state: Callable[..., State]) -> None:
    tags = (os.fsdecode(b"caf\xe9"), "é")
    state().persist("c", 5, "absolute", tags)
    state().persist("c", 5, "absolute", tags)

    assert state().classes()["c"] == (*tags, "source=persistent")
