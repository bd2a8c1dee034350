"""Lines for the audit log: the first of a kind at once, what follows counted, kinds bounded."""

from __future__ import annotations

from server.audit import MOST, MOST_EACH, REST, Auditor
from server.wire.inside import Noted


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def denied(name: str, peer: str = "SHA=a") -> Noted:
    """That PEER did not get NAME."""
    return Noted(event="denied", peer=peer, label="a", ip="10.0.0.7", object=name)


def counts(lines: tuple[Noted, ...]) -> list[tuple[str, int]]:
    """Object and count of each of LINES."""
    return [(line.object or line.reason, line.count) for line in lines]


def test_the_first_is_said_at_once_and_the_others_when_the_minute_is_over() -> None:
    clock = Clock()
    auditor = Auditor(clock)
    for _ in range(5):
        auditor.note(denied("x"))
    assert counts(auditor.due()) == [("x", 1)]
    assert auditor.due() == ()
    clock.now += 60

    assert counts(auditor.due()) == [("x", 4)]


def test_of_a_peer_that_asks_for_ever_other_names_the_rest_is_one_line() -> None:
    clock = Clock()
    auditor = Auditor(clock)
    for n in range(1000):
        auditor.note(denied(f"n{n}"))
    auditor.note(denied("x", "SHA=b"))
    auditor.note(denied("n0"))
    said = counts(auditor.due())
    assert said == [(f"n{n}", 1) for n in range(MOST_EACH)] + [("x", 1)]
    clock.now += 60
    assert counts(auditor.due()) == [("n0", 1), (REST, 1000 - MOST_EACH)]

    auditor.note(denied("n999"))
    assert counts(auditor.due()) == [("n999", 1)]


def test_of_many_peers_only_so_many_lines_are_told_apart() -> None:
    auditor = Auditor(Clock())
    for n in range(MOST + 9):
        auditor.note(denied("x", f"SHA={n}"))

    assert len(auditor.due()) == MOST
    assert (REST, 9) in counts(auditor.due(last=True))
    assert auditor.due(last=True) == ()
