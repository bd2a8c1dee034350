"""Locks: not too often, and not two at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.locks import Locks, started
from agent.state import State

NOW = 1_000_000_000
IDENTITY = ("files", "main", "", "/etc/motd", (("create", "true"),))

Lines = list[tuple[str, str]]


@pytest.fixture
def lines() -> Lines:
    """What was logged."""
    return []


@pytest.fixture
def run(tmp_path: Path, lines: Lines) -> Iterator[Callable[[int], tuple[Locks, State]]]:
    """`run(60)`: the locks and the state of a run that starts a minute after the first could."""
    states = []

    def begin(after: int = 0) -> tuple[Locks, State]:
        def log(level: str, text: str) -> None:
            lines.append((level, text))

        states.append(State(f"{tmp_path}/agent.db", log, NOW + after))
        return Locks(states[-1], NOW + after, log), states[-1]

    yield begin
    for state in states:
        state.close()


# interrupts are ignored where the tests were started in the background
AWAKE = (
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "print(flush=True); time.sleep(60)"
)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """Another process of the program that we run, which does nothing and ends when interrupted."""
    command = [sys.executable, "-c", AWAKE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


# keys


VALUES = st.recursive(
    st.text() | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_a_key_is_that_of_equal_promises_only(one: object, other: object) -> None:
    locks = Locks(State("/nowhere", print, NOW), NOW, print)

    same = repr(one) == repr(other)
    assert (locks.key(("t", one)) == locks.key(("t", other))) == same


def test_a_key_does_not_depend_on_how_its_text_came_to_be() -> None:
    locks = Locks(State("/nowhere", print, NOW), NOW, print)

    word = "/etc/motd"
    built = "".join(["/etc", "/motd"])
    assert locks.key((word, word)) == locks.key((built, sys.intern(built)))
    assert len(locks.key(IDENTITY)) == 16


def test_a_key_may_hold_any_octets() -> None:
    locks = Locks(State("/nowhere", print, NOW), NOW, print)

    assert locks.key((os.fsdecode(b"\xff"),)) != locks.key((os.fsdecode(b"\xfe"),))


# not too often


@given(
    last=st.integers(0, 10**6), ifelapsed=st.integers(0, 200), wait=st.integers(0, 10**5),
    more=st.integers(0, 10**5),
)  # fmt: skip
def test_a_lock_that_is_over_stays_over(last: int, ifelapsed: int, wait: int, more: int) -> None:
    def may(now: int) -> bool:
        state = State("/nowhere", print, now)
        locks = Locks(state, now, lambda *_: None)
        locks._stamps = {b"k": last}  # as if read
        return locks.may(b"k", ifelapsed, 120)

    assert may(last + wait) == (wait // 60 >= ifelapsed)
    assert not may(last + wait) or may(last + wait + more)


@pytest.mark.parametrize(
    ("after", "ifelapsed", "allowed"),
    [(0, 1, False), (59, 1, False), (60, 1, True), (119, 2, False), (120, 2, True), (0, 0, True)],
)
def test_minutes_are_whole_ones(
    after: int, ifelapsed: int, allowed: bool, run: Callable[..., tuple[Locks, State]], lines: Lines
) -> None:
    first, state = run()
    key = first.key(IDENTITY)
    assert first.may(key, ifelapsed, 120)
    first.finish(key, changed=False)
    state.close()

    assert run(after)[0].may(key, ifelapsed, 120, "/etc/motd") is allowed

    if not allowed:
        said = f"Nothing promised here [/etc/motd] ({after // 60}/{ifelapsed} minutes elapsed)"
        assert ("verbose", said) in lines


def test_what_was_done_after_this_run_began_is_not_done_again(
    run: Callable[..., tuple[Locks, State]], lines: Lines
) -> None:
    second, _ = run()
    first, _ = run(30)
    key = first.key(IDENTITY)
    first.finish(key, changed=True)

    assert not second.may(key, 1, 120)
    assert lines[-1] == (
        "verbose",
        "Another cf-agent seems to have done this since I started (elapsed=-30)",
    )


def test_a_change_is_remembered_even_if_the_run_dies(
    run: Callable[..., tuple[Locks, State]],
) -> None:
    first, _ = run()
    kept, changed = first.key(("kept",)), first.key(("changed",))
    first.finish(kept, changed=False)
    first.finish(changed, changed=True)

    second, _ = run(1)
    assert second.may(kept, 1, 120)
    assert not second.may(changed, 1, 120)


# not two at once


def test_who_has_begun_is_not_disturbed(
    run: Callable[..., tuple[Locks, State]], sleeper: "subprocess.Popen[bytes]", lines: Lines
) -> None:
    first, state = run()
    key = first.key(IDENTITY)
    state.begin(key, (sleeper.pid, started(sleeper.pid), NOW), None, None)

    assert not run(119 * 60)[0].may(key, 0, 120, "/bin/x")
    assert lines[-1] == ("verbose", "Couldn't obtain lock for /bin/x (already running!)")
    assert sleeper.poll() is None


def test_who_takes_too_long_is_killed(
    run: Callable[..., tuple[Locks, State]], sleeper: "subprocess.Popen[bytes]", lines: Lines
) -> None:
    first, state = run()
    key = first.key(IDENTITY)
    state.begin(key, (sleeper.pid, started(sleeper.pid), NOW), None, None)

    later, _ = run(120 * 60)
    assert later.may(key, 0, 120, "/bin/x")
    assert later.begin(key)

    assert sleeper.wait(5) == -signal.SIGINT
    assert [line for line in lines if line[0] == "info"] == [
        ("info", "Lock expired after 120/120 minutes: /bin/x"),
        ("info", f"Process with PID {sleeper.pid} successfully killed"),
    ]


def test_another_program_is_not_killed(
    run: Callable[..., tuple[Locks, State]], lines: Lines
) -> None:
    first, state = run()
    key = first.key(IDENTITY)
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        state.begin(key, (other.pid, started(other.pid), NOW), None, None)

        assert not run(120 * 60)[0].may(key, 0, 120)
        assert other.poll() is None
        other.kill()
    assert lines[-1][0] == "error"


def test_who_died_in_it_is_reported_and_it_is_tried_again(
    run: Callable[..., tuple[Locks, State]], lines: Lines
) -> None:
    first, state = run()
    key = first.key(IDENTITY)
    with subprocess.Popen(["/bin/true"]) as dead:
        pass
    state.begin(key, (dead.pid, 1, NOW), None, None)

    later, _ = run(60)
    assert later.may(key, 0, 120, "/bin/x")
    assert later.begin(key)
    later.finish(key, changed=False)

    assert lines == [
        (
            "warning",
            f"'/bin/x' was interrupted when process {dead.pid} died; it is tried again",
        )
    ]
    assert run(120)[1].holders() == {}


def test_of_two_runs_that_looked_only_one_begins(run: Callable[..., tuple[Locks, State]]) -> None:
    (one, _), (two, _) = run(), run()
    key = one.key(IDENTITY)
    assert one.may(key, 1, 120)
    assert two.may(key, 1, 120)

    assert one.begin(key)
    assert not two.begin(key)


def test_we_are_the_holder_of_what_we_begin(run: Callable[..., tuple[Locks, State]]) -> None:
    locks, _ = run()
    key = locks.key(IDENTITY)
    locks.may(key, 1, 120)
    locks.begin(key)

    assert run()[1].holders() == {key: (os.getpid(), started(os.getpid()), NOW)}


def test_a_process_that_is_no_more_never_started() -> None:
    with subprocess.Popen(["/bin/true"]) as dead:
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        assert started(dead.pid) == 0, "a zombie"
    assert started(dead.pid) == 0
    assert started(os.getpid()) > 0
