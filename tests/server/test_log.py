"""The log of own signals: order, what is left out, and when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.signals import START, Log
from server.wire.inside import Own
from server.wire.keys import Identity
from server.wire.signals import LONGEST_LIFE, Kind, Signal, sign

if TYPE_CHECKING:
    from server.wire.messages import Signed

HOST = Identity.new()
CLOCK = 1_800_000_000_000
KINDS: tuple[Kind, ...] = ("event", "state", "cancel")


def signal(
    seq: int, name: str = "c", kind: Kind = "event", life: int = 60, epoch: int = 1
) -> Signed:
    """A signal that lives for LIFE seconds from CLOCK on."""
    return sign(
        HOST,
        Signal(
            origin=HOST.public, epoch=epoch, seq=seq, kind=kind, name=name, first=seq,
            run=bytes(16), granted=CLOCK, expires=0 if kind == "cancel" else CLOCK + life * 1000,
        ),
    )  # fmt: skip


def filled(*signals: Signed, epoch: int = 1) -> Log:
    """A log with SIGNALS, at the moment 0."""
    log = Log()
    log.append(Own(epoch=epoch, upto=len(signals), signals=signals), 0.0, CLOCK)
    return log


def numbers(log: Log, now: float = 0.0, after: tuple[int, int] = START) -> list[int]:
    """The sequences of what is in LOG behind AFTER."""
    return [entry.position[1] for entry in log.since(after, now)]


def test_every_event_is_kept_until_it_expires() -> None:
    log = filled(signal(1), signal(2, life=10), signal(3))

    assert numbers(log) == [1, 2, 3]
    assert numbers(log, now=10.0) == [1, 3]
    assert numbers(log, now=60.0) == []


def test_an_event_costs_the_same_however_many_there_are_of_its_class() -> None:
    """5,000 took 25 s when each was compared with all before it."""
    said = [signal(seq) for seq in range(1, 5001)]
    begun = time.perf_counter()
    log = filled(*said)

    assert time.perf_counter() - begun < 2
    assert len(log) == 5000


def test_of_states_only_the_newest_of_a_class_is_kept() -> None:
    log = filled(signal(1, kind="state"), signal(2, "d", "state"), signal(3, kind="state"))

    assert numbers(log) == [2, 3]


def test_a_state_leaves_the_events_of_its_class() -> None:
    assert numbers(filled(signal(1), signal(2, kind="state"))) == [1, 2]


def test_a_cancel_voids_what_was_before_and_stays_until_that_would_have_ended() -> None:
    log = filled(
        signal(1, life=10),
        signal(2, kind="state", life=30),
        signal(3, "d"),
        signal(4, kind="cancel"),
    )

    assert numbers(log) == [3, 4]
    assert log.names(0.0) == ["d"]
    assert numbers(log, now=29.0) == [3, 4]
    assert numbers(log, now=31.0) == [3]


def test_what_comes_after_a_cancel_is_alive() -> None:
    log = filled(signal(1), signal(2, kind="cancel"), signal(3))

    assert numbers(log) == [2, 3]
    assert log.names(0.0) == ["c"]


def test_a_cancel_of_what_is_not_known_here_stays_as_long_as_anything_can() -> None:
    log = filled(signal(1, kind="cancel"))

    assert numbers(log, now=LONGEST_LIFE / 1000 - 1) == [1]
    assert numbers(log, now=LONGEST_LIFE / 1000 + 1) == []


def test_names_are_those_of_the_living() -> None:
    log = filled(signal(1, "b"), signal(2, "a", life=10))

    assert log.names(0.0) == ["a", "b"]
    assert log.names(0.0) is log.names(1.0)
    assert log.names(10.0) == ["b"]


def test_older_epochs_come_first() -> None:
    log = filled(signal(7, "old", epoch=1), signal(1, "new", epoch=2), epoch=2)

    assert [entry.position for entry in log.since(START, 0.0)] == [(1, 7), (2, 1)]
    assert log.end == (2, 2)
    assert numbers(log, after=(1, 7)) == [1]


def test_sweeping_changes_nothing_that_can_be_seen() -> None:
    log = filled(signal(1, life=10), signal(2), signal(3, kind="state"), signal(4, kind="state"))
    log.sweep(20.0)

    assert numbers(log, now=20.0) == [2, 4]
    assert len(log) == 2
    assert log.names(20.0) == ["c"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(KINDS)), max_size=12))
def test_what_is_kept_is_what_a_receiver_needs(said: list[tuple[str, Kind]]) -> None:
    """Who reads the log at its end knows the same living signals as who heard all of it."""
    signals = [signal(n, name, kind) for n, (name, kind) in enumerate(said, 1)]
    heard = [(n, name, kind) for n, (name, kind) in enumerate(said, 1)]
    read = [(n, *said[n - 1]) for n in numbers(filled(*signals))]

    assert living(read) == living(heard)


def living(said: list[tuple[int, str, Kind]]) -> list[int]:
    """The events, and the last states, that no cancel came after: as SIGNALS.md has it."""
    found: list[int] = []
    for n, name, kind in said:
        later = [(other, kind2) for other, name2, kind2 in said if name2 == name and other > n]
        cancelled = any(kind2 == "cancel" for _, kind2 in later)
        replaced = kind == "state" and any(kind2 == "state" for _, kind2 in later)
        if kind != "cancel" and not cancelled and not replaced:
            found.append(n)
    return found


@pytest.mark.parametrize("count", [1000])
def test_a_class_that_is_set_again_and_again_does_not_fill_memory(count: int) -> None:
    log = filled(*[signal(n, kind="state") for n in range(1, count)])

    assert len(log._entries) < 200
