"""The parts of the daemon, each for itself: what is signed, kept, counted, watched, written."""

from __future__ import annotations

import asyncio
import json
import os
import signal as numbers
import socket
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import ValidationError

from agent import (
    acts,
    clock,
    control,
    controls,
    heard,
    history,
    outputs,
    receiving,
    signal,
    signals,
    signing,
    status,
)
from agent.admission import Admission
from agent.audit import Audit, verify
from agent.children import Child
from agent.contacts import Contacts
from agent.due import Due
from agent.executor import CLAIMS, Executor
from agent.granted import Policy
from agent.ground import Ground
from agent.memory import Memory
from agent.network import Pipe
from agent.notify import Notify
from agent.options import Settings
from agent.runs import Runs, Terms
from agent.signing import Rates, Signer
from agent.state import State
from agent.timetable import Timetable, checked
from agent.trusting import Keys
from policy.classes import BadExpression
from server.wire import inside
from server.wire.keys import Identity, digest
from server.wire.messages import Signed
from server.wire.signals import Cause, Signal, read, sign, verified
from server.wire.trust import Peer, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.conftest import Program

NOW = 1_800_000_000_000
HOUR = 3_600_000
RUN = bytes(16)


class Heard:
    """What was told, as pairs of event and fields; a log, too."""

    talk = 2

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, *text: str, **fields: Any) -> None:
        self.lines.append((event, {**fields, "text": "".join(text)}))

    def show(self, text: str, fd: int = 1) -> None:
        self.lines.append(("show", {"text": text}))

    def events(self, name: str) -> list[dict[str, Any]]:
        return [fields for event, fields in self.lines if event == name]


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(str(tmp_path / "agent.db"), lambda: NOW / 1000, Heard())


def ground(memory: Memory, told: Heard | None = None, workdir: str = "") -> Ground:
    """What parts of a daemon stand on; what they say goes to TOLD."""
    ears: Any = told or Heard()
    settings = Settings({"workdir": workdir, "file": "none"})
    made = Ground(settings, ears, memory, ears, lambda: NOW / 1000)
    made.audit = ears
    return made


def grant(
    memory: Memory, name: str, *, woken: bool = False, event: bool = True,
    causes: tuple[Any, ...] = (), now: int = NOW,
) -> None:  # fmt: skip
    """Have a run say that the class NAME is set for an hour."""
    source = signals.Source(RUN, event=event, woken=woken, causes=causes)

    def work(db: sqlite3.Connection) -> bool:
        return signals.grant(db, name, source, now, now + HOUR)

    assert memory.state.do(work, default=False)


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


# signing


def test_signals_are_numbered_in_order_and_verify(memory: Memory) -> None:
    identity = Identity.new()
    for name in ("a", "b", "a"):
        grant(memory, name)

    batch = Signer(ground(memory)).look(identity, NOW)

    assert batch is not None
    found = [verified(identity.public, signed) for signed in batch.signed]
    assert [(one.seq, one.first, one.name, one.kind) for one in found] == [
        (1, 1, "a", "event"), (2, 2, "b", "event"), (3, 3, "a", "event")
    ]  # fmt: skip
    assert {one.epoch for one in found} == {batch.epoch} == {NOW}
    assert batch.upto == 3


def test_what_is_signed_is_on_disk_when_it_is_told(memory: Memory, tmp_path: Path) -> None:
    grant(memory, "a")

    Signer(ground(memory)).look(Identity.new(), NOW)

    assert memory.state.do(lambda db: db.execute("PRAGMA synchronous").fetchone(), None) == (2,)
    assert rows(tmp_path / "agent.db", "SELECT seq FROM own") == [(1,)]
    assert rows(tmp_path / "agent.db", "SELECT epoch, seq FROM log") == [(NOW, 1)]


def test_nothing_is_told_that_could_not_be_written(memory: Memory, tmp_path: Path) -> None:
    grant(memory, "a")
    signer = Signer(ground(memory))
    signer.end(NOW)
    with closing(sqlite3.connect(tmp_path / "agent.db", isolation_level=None)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON own BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        assert signer.look(Identity.new(), NOW) is None
        assert signer.waits > 0
        other.execute("DROP TRIGGER full")

    memory._broken_at = 1.0  # long ago
    batch = signer.look(Identity.new(), NOW)

    assert batch is not None
    assert (batch.upto, len(batch.signed)) == (1, 1)


def test_the_numbers_go_on_after_a_restart(memory: Memory) -> None:
    identity = Identity.new()
    grant(memory, "a")
    Signer(ground(memory)).look(identity, NOW)
    grant(memory, "b")

    batch = Signer(ground(memory)).look(identity, NOW + 5)

    assert batch is not None
    assert [(read(it.body).epoch, read(it.body).seq) for it in batch.signed] == [(NOW, 2)]


def test_a_renewal_names_what_it_renews(memory: Memory) -> None:
    identity, signer = Identity.new(), Signer(ground(memory))
    grant(memory, "up", event=False)
    signer.look(identity, NOW)
    later = NOW + HOUR // 2 + 1
    grant(memory, "up", event=False, now=later)

    batch = signer.look(identity, later)

    assert batch is not None
    assert [(it.seq, it.first) for it in map(read, [one.body for one in batch.signed])] == [(2, 1)]


def receive(
    memory: Memory, origin: Identity, name: str, causes: tuple[Cause, ...] = (), seq: int = 1
) -> tuple[str, int, int]:
    """Have received a signal; what names it."""
    signal = Signal(
        origin=origin.public, epoch=1, seq=seq, kind="event", name=name, first=seq, run=RUN,
        granted=NOW, expires=NOW + HOUR, causes=causes,
    )  # fmt: skip
    made = sign(origin, signal)
    incoming = heard.Incoming(signal, made.body, made.signature, HOUR)
    assert heard.receive(memory.state, origin.id, [incoming], (1, seq, 1), NOW) is not None
    return origin.id, 1, seq


def test_causes_are_told_with_theirs(memory: Memory) -> None:
    first, second = Identity.new(), Identity.new()
    far = Cause(digest(first.public), 7, 8, "begun")
    grant(memory, "done", causes=(receive(memory, second, "halfway", (far,)),))

    batch = Signer(ground(memory)).look(Identity.new(), NOW)

    assert batch is not None
    causes = read(batch.signed[0].body).causes
    assert causes == (far, Cause(digest(second.public), 1, 1, "halfway"))


@pytest.mark.parametrize("name", ["ping", "other"])
def test_what_goes_in_a_circle_is_not_said(memory: Memory, name: str) -> None:
    """Ours led to theirs: theirs must not lead to ours again, though to something else."""
    us, them, told = Identity.new(), Identity.new(), Heard()
    ours = Cause(digest(us.public), 1, 1, "ping")
    grant(memory, name, causes=(receive(memory, them, "pong", (ours,)),))
    signer = Signer(ground(memory, told))
    signer.own = signing.digests(us.public)

    batch = signer.look(us, NOW)

    assert (batch is None) == (name == "ping")
    assert len(told.events("circle")) == (name == "ping")
    assert signals.unsigned(memory.state) == []


def test_a_chain_ends_after_sixteen_causes(memory: Memory) -> None:
    told = Heard()
    chain = tuple(Cause(bytes([n]) * 32, 1, n, "link") for n in range(16))
    grant(memory, "next", causes=(receive(memory, Identity.new(), "link", chain),))

    assert Signer(ground(memory, told)).look(Identity.new(), NOW) is None
    assert "16" in told.events("circle")[0]["reason"]
    assert "peers are not told of 'next'" in str(told.events("notice"))


def test_many_signals_of_one_class_are_one_cause(memory: Memory) -> None:
    """A host that was away hears of all that happened, and acts on it at once."""
    them, told = Identity.new(), Heard()
    far = [(Cause(digest(them.public), 7, n, "begun"),) for n in range(1, 21)]
    heard_of = tuple([receive(memory, them, "halfway", one, seq=n) for n, one in enumerate(far, 1)])
    grant(memory, "done", causes=heard_of)

    batch = Signer(ground(memory, told)).look(Identity.new(), NOW)

    assert batch is not None
    causes = read(batch.signed[0].body).causes
    assert [(one.name, one.seq) for one in causes] == [("begun", 20), ("halfway", 20)]
    assert told.events("circle") == []


def test_runs_that_signals_started_grant_a_class_six_times_a_minute(memory: Memory) -> None:
    told, identity = Heard(), Identity.new()
    for _ in range(8):
        grant(memory, "busy", woken=True)
    grant(memory, "busy")
    grant(memory, "calm", woken=True)
    signer = Signer(ground(memory, told))

    batch = signer.look(identity, NOW)

    assert batch is not None
    assert [read(one.body).name for one in batch.signed] == ["busy"] * 6 + ["calm"]
    assert 0 < signer.waits <= 60
    assert len(signals.unsigned(memory.state)) == 3
    assert told.events("surplus")[0]["count"] == 3


def test_many_signals_are_signed_in_several_goes(memory: Memory) -> None:
    identity, signer = Identity.new(), Signer(ground(memory))
    for number in range(signing.AT_ONCE + 1):
        grant(memory, f"c{number}")

    sizes = []
    while (batch := signer.look(identity, NOW)) is not None:
        sizes.append((len(batch.signed), batch.upto, signer.waits > 0))

    assert sizes == [(512, 512, True), (1, 513, False)]


def test_rates_are_those_of_the_last_minute() -> None:
    rates = Rates(60.0, signing.A_CLASS, signing.ALL)

    assert [rates.allow("c", 0.0) for _ in range(7)] == [True] * 6 + [False]
    assert rates.pause(10.0) == 50.0
    assert rates.allow("c", 60.0)
    assert sum(rates.allow(f"c{n}", 61.0) for n in range(70)) == 59


def test_what_is_over_makes_nobody_look_again_at_once() -> None:
    rates = Rates(60.0, 6, 60)
    for name, at in (("before", 0.0), ("now", 120.0)):
        assert all(rates.allow(name, at) for _ in range(6))

    assert rates.pause(121.0) == 59.0


# receiving


class Receipt:
    """A receiver, whom it trusts, and what it told."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.peer = Identity.new()
        entry = Peer(id=self.peer.id, label="Host1", key=self.peer.public)
        self.trust = receiving_trust({entry.id: entry})
        self.heard = Heard()
        self.stored: list[int] = []
        self.again: list[str] = []
        self.woken: list[str] = []
        self.receiver = receiving.Receiver(
            ground(memory, self.heard), self.stored.append, self.again.append, self.woken.append
        )
        heard.ask(memory.state, [("Host1", "did_.*", self.peer.id)], NOW)

    def signal(self, name: str = "did_it", **more: Any) -> Signed:
        given = {
            "origin": self.peer.public, "epoch": 1, "seq": 1, "kind": "event", "name": name,
            "run": RUN, "granted": NOW, "expires": NOW + HOUR, **more,
        }  # fmt: skip
        given.setdefault("first", given["seq"])
        return sign(self.peer, Signal(**given))

    def take(
        self, *signed: Signed, n: int = 1, skew: int = 0, upto: int = 9, view: int = 1
    ) -> None:
        message = inside.Received(
            n=n, peer=self.peer.id, epoch=1, upto=upto, view=view, skew=skew, signals=signed
        )
        self.receiver.take(message, self.trust, NOW)

    def live(self) -> list[str]:
        return [one.name for one in heard.live(self.memory.state, NOW)]


def receiving_trust(peers: dict[str, Peer], revoked: frozenset[str] = frozenset()) -> Any:
    from server.wire.trust import Trust

    return Trust(peers, revoked)


@pytest.fixture
def receipt(memory: Memory) -> Receipt:
    return Receipt(memory)


def test_a_signal_is_kept_then_acknowledged_then_starts_a_run(receipt: Receipt) -> None:
    receipt.take(receipt.signal())

    assert receipt.live() == ["did_it"]
    assert receipt.stored == [1]
    assert receipt.woken == ["did_it of Host1"]
    assert heard.contacts(receipt.memory.state)[receipt.peer.id].upto == 9


@pytest.mark.parametrize("name", ["undid_it", "did"])
def test_what_nobody_asked_for_is_kept_and_starts_nothing(receipt: Receipt, name: str) -> None:
    receipt.take(receipt.signal(name))

    assert (receipt.live(), receipt.woken) == ([name], [])


def test_a_forged_signal_is_refused(receipt: Receipt) -> None:
    signed = receipt.signal()
    forged = Signed(signed.body.replace(b"did_it", b"did_me"), signed.signature)

    receipt.take(forged, receipt.signal("did_that", seq=2))

    assert receipt.live() == ["did_that"]
    assert receipt.heard.events("refused")[0]["label"] == "Host1"


def test_no_class_has_the_end_of_a_line_in_its_name(receipt: Receipt) -> None:
    """`$(this.signals)` of a command would have it, too."""
    receipt.take(receipt.signal("did_it\n"))

    assert receipt.live() == []
    assert receipt.heard.events("refused")


def test_a_signal_of_somebody_else_is_refused(receipt: Receipt) -> None:
    other = Receipt(receipt.memory)

    receipt.take(other.signal())

    assert receipt.live() == []


def test_a_revoked_peer_is_not_heard(receipt: Receipt) -> None:
    receipt.trust = receiving_trust(receipt.trust.peers, frozenset((receipt.peer.id,)))

    receipt.take(receipt.signal())

    assert (receipt.live(), receipt.stored, receipt.woken) == ([], [], [])
    assert receipt.heard.events("refused")


def test_what_is_over_is_counted_and_acknowledged(receipt: Receipt) -> None:
    receipt.take(receipt.signal(granted=NOW - HOUR, expires=NOW - 1))

    assert (receipt.live(), receipt.stored, receipt.woken) == ([], [1], [])
    assert receipt.heard.events("expired")[0]["count"] == 1


def test_what_is_left_is_counted_by_the_clock_of_the_origin(receipt: Receipt) -> None:
    """Theirs is an hour ahead: by ours it was granted in the future, and lives as long as it says.

    Theirs is two hours ahead: it is over.
    """
    receipt.take(receipt.signal(granted=NOW + HOUR, expires=NOW + HOUR + 5000), skew=HOUR)
    receipt.take(receipt.signal("did_late", seq=2), skew=2 * HOUR, n=2)

    assert receipt.live() == ["did_it"]
    assert heard.live(receipt.memory.state, NOW + 4999)
    ends = receipt.memory.state.do(
        lambda db: db.execute("SELECT ends FROM received").fetchone()[0], 0
    )
    assert ends == NOW + 5000


def test_the_same_signal_twice_starts_one_run(receipt: Receipt) -> None:
    for n in (1, 2):
        receipt.take(receipt.signal(), n=n)

    assert (receipt.stored, receipt.woken) == ([1, 2], ["did_it of Host1"])


def test_a_renewal_starts_no_run(receipt: Receipt) -> None:
    receipt.take(receipt.signal(kind="state"))
    receipt.take(receipt.signal(kind="state", seq=2, first=1), n=2)

    assert (receipt.live(), receipt.woken) == (["did_it"], ["did_it of Host1"])


def test_a_renewal_of_what_we_never_heard_starts_one(receipt: Receipt) -> None:
    receipt.take(receipt.signal(kind="state", seq=2, first=1))

    assert receipt.woken == ["did_it of Host1"]


def test_what_was_said_under_the_key_before_stays_what_it_was(receipt: Receipt) -> None:
    """A rotation makes no new signals of those that are known."""
    receipt.take(receipt.signal())
    old, signed = receipt.peer, receipt.signal()
    receipt.peer = Identity.new()
    entries = [
        Peer(id=old.id, label="Host1", key=old.public, successor=receipt.peer.id),
        Peer(id=receipt.peer.id, label="Host1", key=receipt.peer.public),
    ]
    receipt.trust = receiving_trust({entry.id: entry for entry in entries})

    receipt.take(signed, receipt.signal("did_more", seq=2), n=2)

    found = heard.live(receipt.memory.state, NOW)
    assert {one.name: one.origin for one in found} == {
        "did_it": old.id, "did_more": receipt.peer.id
    }  # fmt: skip
    assert receipt.stored == [1, 2]
    assert not receipt.heard.events("refused")


def steps(memory: Memory, work: Callable[[], object]) -> int:
    """How many hundred steps SQLite takes for WORK."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    memory.state.do(lambda db: db.set_progress_handler(step, 100), None)
    work()
    memory.state.do(lambda db: db.set_progress_handler(None, 0), None)
    return count


def incoming(kind: str, *numbers: int, first: int = 0) -> list[heard.Incoming]:
    """Signals of one class, as they are kept."""
    return [
        heard.Incoming(
            Signal(
                origin=bytes(32), epoch=1, seq=number, kind=kind,  # type: ignore[arg-type]
                name="did_it", first=first or number, run=RUN, granted=NOW, expires=NOW + HOUR,
            ),
            b"%d" % number, bytes(64), HOUR,
        )
        for number in numbers
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["cancel", "state"])
def test_a_signal_costs_the_same_however_many_there_are_of_its_class(
    memory: Memory, kind: str
) -> None:
    costs = []
    for begin in (1000, 101_000):

        def receive(batch: list[heard.Incoming]) -> None:
            heard.receive(memory.state, "SHA=1", batch, (1, 9, 1), NOW)

        receive(incoming("event", *range(begin, begin + 20)))
        receive(incoming(kind, begin + 20))
        ends = begin + 100
        costs.append(
            steps(memory, lambda ends=ends: receive(  # type: ignore[misc]
                incoming(kind, *range(ends, ends + 50), *range(ends - 1, ends - 51, -1))
            ))
        )  # fmt: skip
        receive(incoming("event", *range(begin + 200, begin + 3200)))
        receive(incoming(kind, *range(begin + 3200, begin + 3700)))

    assert costs[1] < 2 * costs[0]


def test_what_is_remembered_of_signals_is_looked_up_in_no_row_but_theirs(memory: Memory) -> None:
    """Whether one renews what lives, and whether what was done for one can be forgotten."""
    costs = []
    for begin in (1, 1001):
        numbers = range(begin, begin + (50 if begin == 1 else 5000))
        heard.receive(memory.state, "SHA=1", incoming("event", *numbers), (1, 9, 1), NOW)
        memory.state.do(
            lambda db, last=numbers[-1]: acts.consume(  # type: ignore[misc]
                db, "p", [("SHA=1", 1, number) for number in range(last - 49, last + 1)], "kept", 0
            ),
            None,
        )
        edges = {(1, numbers[-1])}
        assert heard.alive(memory.state, NOW, "SHA=1", {*edges, (2, 1)}) == edges
        costs.append(
            (
                steps(memory, lambda edges=edges: heard.alive(  # type: ignore[misc]
                    memory.state, NOW, "SHA=1", edges
                )),
                steps(memory, lambda: acts.prune(memory.state, NOW)),
            )
        )  # fmt: skip

    assert costs[1][0] <= costs[0][0] + 1
    assert costs[1][1] < 4 * costs[0][1]
    assert len(acts.consumptions(memory.state)) == 100


def test_what_this_host_has_said_is_looked_up_once(memory: Memory) -> None:
    """A class that is set and cancelled in each run leaves 8,640 cancels in its 30 days."""
    costs = []
    for count in (100, 300):
        for n in range(count):
            grant(memory, "a", now=NOW - 2 * HOUR + n)
            source = signals.Source(RUN, event=True, woken=False)
            memory.state.do(
                lambda db, at=NOW - 2 * HOUR + n, why=source: signals.cancel(db, "a", why, at),  # type: ignore[misc]
                None,
            )
        while Signer(ground(memory)).look(Identity.new(), NOW):
            pass
        costs.append(
            (
                steps(memory, lambda: signals.spoken(memory.state, NOW)),
                steps(memory, lambda: signals.said(memory.state)),
            )
        )

    assert all(more < 8 * less for less, more in zip(*costs, strict=True))
    assert signals.spoken(memory.state, NOW) == []
    assert [one.void for one in signals.said(memory.state)] == [1] * 799 + [0]


def test_a_number_of_another_epoch_renews_nothing(receipt: Receipt) -> None:
    """After the log of a peer was put back its numbers begin anew, beside those that live."""
    receipt.take(receipt.signal("did_a", kind="state"))
    receipt.take(
        receipt.signal("did_b", kind="state", epoch=2), receipt.signal("did_c", epoch=2, seq=2),
        receipt.signal("did_b", kind="state", epoch=2, seq=3, first=1), n=2,
    )  # fmt: skip

    assert receipt.woken == ["did_a of Host1", "did_b of Host1"]


def test_where_a_log_was_left_holds_for_what_was_seen_of_it(receipt: Receipt) -> None:
    """Who sees more begins again: that its log was known to the end before says nothing."""
    cursors = []
    for n, (view, upto) in enumerate([(1, 9), (1, 5), (2, 3), (2, 4), (2, 2)]):
        receipt.take(view=view, upto=upto, n=n)
        met = heard.contacts(receipt.memory.state)[receipt.peer.id]
        cursors.append((met.view, met.upto))

    assert cursors == [(1, 9), (1, 9), (2, 3), (2, 4), (2, 4)]


def test_a_number_with_two_meanings_ends_the_trust_in_an_epoch(receipt: Receipt) -> None:
    receipt.take(receipt.signal("did_this"))
    receipt.take(receipt.signal("did_that"), n=2)

    assert receipt.live() == []
    assert receipt.heard.events("equivocation")
    assert heard.clear(receipt.memory.state, receipt.peer.id)
    assert receipt.live() == ["did_this"]


def test_what_cannot_be_kept_is_not_acknowledged_until_it_is(
    receipt: Receipt, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "agent.db", isolation_level=None)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON received BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        receipt.take(receipt.signal())
        receipt.take(receipt.signal("did_more", seq=2), n=2)
        assert receipt.stored == []
        other.execute("DROP TRIGGER full")

    receipt.memory._broken_at = 1.0  # long ago
    receipt.receiver.again(receipt.trust, NOW + 1000)

    assert (receipt.stored, receipt.live()) == ([1, 2], ["did_it", "did_more"])


def test_nothing_is_kept_behind_what_could_not_be_held(
    receipt: Receipt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its log would be left behind what is missing, which nobody would ask for again."""
    monkeypatch.setattr(receiving, "MOST_HELD", 1)
    with closing(sqlite3.connect(tmp_path / "agent.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        receipt.take(receipt.signal("did_1"), n=1, upto=1)
        receipt.take(receipt.signal("did_2", seq=2), n=2, upto=2)
        other.execute("ROLLBACK")
    receipt.memory._broken_at = 1.0  # long ago
    receipt.receiver.again(receipt.trust, NOW + 1000)
    receipt.take(receipt.signal("did_3", seq=3), n=3, upto=3)
    assert (receipt.stored, receipt.again) == ([1], [receipt.peer.id])
    assert heard.contacts(receipt.memory.state)[receipt.peer.id].upto == 1

    receipt.receiver.begun(receipt.peer.id)
    receipt.take(receipt.signal("did_2", seq=2), n=4, upto=2)

    assert (receipt.stored, receipt.live()) == ([1, 4], ["did_1", "did_2"])


def test_what_came_before_we_started_is_a_reason_for_a_run(receipt: Receipt) -> None:
    assert receiving.wakeful(receipt.memory, receipt.trust, NOW) == ""

    receipt.take(receipt.signal())

    assert "did_it of Host1" in receiving.wakeful(receipt.memory, receipt.trust, NOW)


def test_the_network_half_writes_no_more_than_it_has_to_into_the_log() -> None:
    line = inside.Noted(event="denied")
    good = inside.packed(inside.Audit(lines=(line,)))[4:]
    assert inside.from_network.decode(good) == inside.Audit(lines=(line,))
    with pytest.raises(ValidationError):
        inside.from_network.decode(good.replace(b"denied", b"revoke"))


@pytest.mark.parametrize(
    "message",
    [
        inside.Visited(peer="SHA=../../cron.d/x", address="* * * * * root id", skew=0),
        inside.Joined(peer=f"../revoked/SHA={'0' * 64}"),
        inside.Joined(peer=f"SHA={'0' * 64}\n"),
        inside.Contact(peer="SHA=1", live=True),
        inside.Contact(peer=f"SHA={'0' * 64}", live=True, skew=1 << 63),
        inside.Learnt(identity=b""),
        inside.Enrol(n=1, identity=bytes(33), token=b"", address="127.0.0.1"),
    ],
)
def test_the_network_half_can_name_peers_and_no_files(message: inside.Message) -> None:
    with pytest.raises(ValidationError):
        inside.from_network.decode(inside.packed(message)[4:])


def test_who_is_no_peer_leaves_no_trace(own: Keys, memory: Memory) -> None:
    contacts = Contacts(ground(memory, None, os.path.dirname(own.path)), own)

    contacts.visited(inside.Visited(peer=Identity.new().id, address="127.0.0.1", skew=0))

    assert not os.path.exists(f"{os.path.dirname(own.path)}/state/net/seen")


# what peers say of our own log


def executor(memory: Memory, told: Heard, workdir: str) -> Executor:
    """An executor whose network half was not started."""
    stands = ground(memory, told, workdir)
    policy = Policy(stands.settings, stands.log, controls=False)
    return Executor(stands, policy, lambda why: None, lambda: None)


def test_a_peer_is_believed_once_an_hour_that_our_log_was_put_back(
    memory: Memory, tmp_path: Path
) -> None:
    told = Heard()

    async def claimed() -> list[int]:
        made = executor(memory, told, str(tmp_path))
        before = made.signer.end(NOW)[0]
        for beyond in range(1, 4):
            made._rolled_back(inside.RolledBack(peer="SHA=1", epoch=before + 1000 * beyond, seq=1))
        return [before, made.signer.end(NOW)[0]]

    assert asyncio.run(claimed()) == [NOW, NOW + 1001]
    assert [line["decision"] for line in told.events("rollback")] == ["epoch", "no", "no"]


def test_nothing_is_signed_before_an_epoch_that_has_to_begin(
    memory: Memory, tmp_path: Path
) -> None:
    """The numbers of the one before are known to who claims that our log was put back."""
    grant(memory, "a")
    signer = Signer(ground(memory))
    signer.end(NOW)
    with closing(sqlite3.connect(tmp_path / "agent.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        signer.next_epoch(NOW + 1000)
        assert signer.end(NOW) == (0, 0)
        assert signer.look(Identity.new(), NOW) is None
        other.execute("ROLLBACK")

    memory._broken_at = 1.0  # long ago
    batch = signer.look(Identity.new(), NOW)

    assert batch is not None
    assert (batch.epoch, batch.upto) == (NOW + 1000, 1)


def test_a_long_log_is_told_before_anybody_is_let_in_and_never_as_longer_than_told(
    own: Keys, memory: Memory
) -> None:
    """Who is told that there is nothing else up to its end does not ask for what comes later."""
    for _ in range(1100):
        grant(memory, "a")

    async def hello() -> list[inside.Message]:
        made = executor(memory, Heard(), os.path.dirname(own.path))
        made._policy.grants = b"{}"
        made.keys.look()
        assert made.keys.identity is not None
        while made.signer.look(made.keys.identity, NOW):
            pass
        ours, theirs = socket.socketpair()
        made.network._pipe = pipe = Pipe(print, print)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: pipe, ours)
        made._hello(inside.Hello(static=bytes(32)))
        told: list[inside.Message] = []
        data = b""
        while not told or not isinstance(told[-1], inside.Wanted):
            data += await asyncio.to_thread(theirs.recv, 1 << 20)
            while len(data) >= 4 + int.from_bytes(data[:4]) > 4:
                size = int.from_bytes(data[:4])
                told.append(inside.from_executor.decode(data[4 : 4 + size]))
                data = data[4 + size :]
        theirs.close()
        pipe.transport.abort() if pipe.transport else None
        return told

    told = asyncio.run(hello())

    said = [it for it in told if isinstance(it, inside.Own)]
    assert [(it.upto, len(it.signals), it.afresh) for it in said] == [
        (512, 512, True), (1024, 512, False), (1100, 76, False)
    ]  # fmt: skip
    kinds = [type(it) for it in told]
    assert kinds == [inside.Setup, *[inside.Own] * 3, inside.Trust, inside.Granted, inside.Wanted]


def test_few_peers_in_all_are_believed_in_an_hour() -> None:
    claims = Rates(3600.0, 1, CLAIMS)

    assert [claims.allow(f"p{n}", 0.0) for n in range(5)] == [True] * 3 + [False] * 2
    assert [claims.allow("p0", at) for at in (3599.0, 3600.0)] == [False, True]


# whom we trust, whom we visit


@pytest.fixture
def own(tmp_path: Path, memory: Memory) -> Keys:
    work = tmp_path / "work"
    work.mkdir(mode=0o700)
    Store(f"{work}/ppkeys", NOW // 1000).create()
    return Keys(ground(memory, None, str(work)))


def peer_of(own: Keys, label: str) -> Peer:
    identity = Identity.new()
    entry = Peer(id=identity.id, label=label, key=identity.public, addresses=("127.0.0.1:1",))
    own.store().add(entry)
    return entry


def test_changes_of_trust_are_seen(own: Keys) -> None:
    assert own.look()
    entry = peer_of(own, "Host1")
    assert own.look()
    assert [peer.label for peer in own.message().peers] == ["Host1"]
    own.store().invite("Host2", ("127.0.0.1",), 60)
    assert own.look()
    assert own.message().enrolling
    own.store().revoke(entry.id)
    assert own.look()
    assert own.message().peers == ()


def test_a_file_that_cannot_be_read_takes_trust_from_nobody_else(own: Keys) -> None:
    good, bad = peer_of(own, "Host1"), peer_of(own, "Host2")
    own.look()
    os.chmod(f"{own.path}/root-{bad.id}.pub", 0o666)  # noqa: S103  # that is the mistake
    own.store().revoke(good.id)
    own.look()

    assert [peer.label for peer in own.message().peers] == ["Host2"]


def test_a_directory_that_others_may_change_is_noticed_when_that_is_so(own: Keys) -> None:
    kept = peer_of(own, "Host1")
    own.look()
    os.chmod(own.path, 0o777)  # noqa: S103  # that is the mistake

    assert own.look()
    assert "whom this host trusts" in str(own._log.events("error"))  # type: ignore[attr-defined]
    assert list(own.trust.peers) == [kept.id]


def test_a_file_that_is_written_over_is_read_when_somebody_says_so(own: Keys) -> None:
    entry = peer_of(own, "Host1")
    own.look()
    path = Path(f"{own.path}/root-{entry.id}.pub")
    path.write_text(path.read_text().replace("Host1", "Host9"))
    own.forget()

    assert own.look()
    assert own.label(entry.id) == "Host9"


def test_who_was_away_is_told_of_our_new_key_later(
    own: Keys, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = peer_of(own, "Host1")
    own.store().rotate(3600)
    own.read()
    monkeypatch.setattr("agent.admission.PAUSE", 0.0)
    admission = Admission(ground(memory, told := Heard()), own, lambda message: None)

    async def entered() -> None:
        for _ in range(1000):
            if not admission._entering:
                return
            await asyncio.sleep(0.01)

    async def work() -> None:
        admission.introduce()
        await entered()
        assert admission._untold == {kept.id}
        admission.again()
        assert admission._entering
        await entered()

    asyncio.run(work())
    assert len([it for it in told.events("info") if "new key yet" in it["text"]]) == 1


def test_peers_that_policy_asked_are_wanted(own: Keys, memory: Memory) -> None:
    entry = peer_of(own, "Host1")
    own.look()
    told = Heard()
    heard.ask(memory.state, [("Host1", "did_.*", ""), ("nobody", ".*", "")], NOW)
    contacts = Contacts(ground(memory, told, str(own.path)), own)

    assert [(want.peer, want.globs, want.after) for want in contacts.wants() or ()] == [
        (entry.id, ("*",), 0)
    ]


def test_what_of_the_keys_cannot_be_read_is_said_once(own: Keys, memory: Memory) -> None:
    """And what of them can be read is used."""
    entry, told = peer_of(own, "Host1"), Heard()
    keys = Keys(ground(memory, told, os.path.dirname(own.path)))
    for name, text in (("rotated", "x"), ("joins", ""), (f"joins/{entry.id}", "token: x\n")):
        if text:
            descriptor = os.open(f"{own.path}/{name}", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(descriptor, text.encode())
            os.close(descriptor)
        else:
            os.mkdir(f"{own.path}/{name}", 0o700)
    heard.ask(memory.state, [("Host1", ".*", ""), ("Host1", "x", "")], NOW)
    contacts = Contacts(ground(memory, told, str(own.path)), keys)

    for _ in "12":
        keys.read()
        assert keys.previous() is None
        assert [(want.peer, want.token) for want in contacts.wants() or ()] == [(entry.id, b"")]

    texts = [line["text"] for line in told.events("error")]
    assert [text.partition(":")[0] for text in texts] == [
        "cannot read the last rotation of the key", "cannot read the invitation of 'Host1'"
    ]  # fmt: skip


def test_what_cannot_be_kept_of_a_peer_is_said(own: Keys, memory: Memory) -> None:
    entry, told = peer_of(own, "Host1"), Heard()
    own.look()
    os.makedirs(f"{own.path}/joins/{entry.id}")
    own.store().open("127.0.0.0/8", 60, 1)
    (opening,) = os.listdir(f"{own.path}/open")
    os.truncate(f"{own.path}/open/{opening}", 0)
    os.chmod(f"{own.path}/root-{entry.id}.pub", 0o666)  # noqa: S103  # that is the mistake
    admission = Admission(ground(memory, told), own, lambda message: None)

    admission.learnt(inside.Learnt(identity=entry.key))
    admission.joined(inside.Joined(peer=entry.id))
    admission.enrol(inside.Enrol(n=1, identity=bytes(32), token=b"", address="127.0.0.1"))

    assert ["not heard" in line["text"] for line in told.events("error")] == [True, False]
    assert "invitation of 'Host1'" in told.events("warning")[0]["text"]
    (line,) = told.events("enrol")
    assert (line["decision"], opening in line["reason"]) == ("refused", True)


def test_no_peer_that_is_revoked_is_told_of_our_new_key(own: Keys) -> None:
    good, bad = peer_of(own, "Host1"), peer_of(own, "Host2")
    own.store().revoke(bad.id)
    own.look()

    assert [peer.id for peer in own.peers()] == [good.id]


def test_nobody_is_left_because_the_state_cannot_be_read(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is what we said taken back from the network half."""
    said: list[inside.Message] = []
    grant(memory, "a")

    async def spoken() -> None:
        made = executor(memory, Heard(), str(tmp_path))
        monkeypatch.setattr(made.network, "say", said.append)
        made._static, made._set = bytes(32), True
        made.signer.look(Identity.new(), NOW)
        memory.state.broken = True
        made.want()
        made._say_all()
        assert said == []
        memory._broken_at = 1.0  # long ago
        made.look()

    asyncio.run(spoken())

    assert [type(one) for one in said] == [inside.Own, inside.Wanted, inside.Trust]


@pytest.mark.parametrize("there", [False, True])
def test_a_key_that_cannot_be_used_is_not_called_missing(own: Keys, *, there: bool) -> None:
    told, key = Heard(), f"{own.path}/localhost.priv"
    os.chmod(key, 0o644)
    if not there:
        os.unlink(key)
    memory = Memory(f"{own.path}/../agent.db", lambda: NOW / 1000, told)

    async def started() -> None:
        executor(memory, told, os.path.dirname(own.path)).start()

    asyncio.run(started())

    assert bool(told.events("error")) == there
    assert bool(told.events("warning")) == (not there)


# what commands say of peers


def asker(own: Keys, *words: str) -> tuple[Settings, State]:
    """What a command with WORDS is given beside the keys of OWN, and the state that it finds."""
    work = os.path.dirname(own.path)
    settings = Settings({"workdir": work, "files": words, "now": NOW / 1000})
    return settings, State(f"{work}/state/agent.db", Heard(), NOW // 1000)


def test_who_does_not_listen_is_not_waited_for(tmp_path: Path) -> None:
    """And who is not there is nobody to complain of."""
    (tmp_path / "state").mkdir()
    control.tell(str(tmp_path), "run", "execd.sock", why="x")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "state/execd.sock"))
        sock.listen(0)
        control.tell(str(tmp_path), "run", "execd.sock", why="x")

        with pytest.raises(BlockingIOError):  # no room for another one
            control.tell(str(tmp_path), "run", "execd.sock", why="y")

        heard_of, _ = sock.accept()
        with heard_of, heard_of.makefile() as file:
            assert json.loads(file.readline()) == {"op": "run", "why": "x"}


def test_what_was_said_twice_under_a_key_before_is_cleared_by_label(own: Keys) -> None:
    old, new = Identity.new(), Identity.new()
    for entry in (
        Peer(id=old.id, label="Host1", key=old.public),
        Peer(id=new.id, label="Host2", key=new.public),
    ):
        own.store().add(entry)
    own.store()._rewrite(Peer(id=old.id, label="Host2", key=old.public, successor=new.id))
    told: Any = Heard()
    settings, state = asker(own, "clear", "Host2")
    heard.met(state, old.id, NOW)
    state.do(lambda db: db.execute("UPDATE contacts SET spoiled = 7"), None)

    assert signal.main(settings, told) == 0
    assert heard.contacts(state)[old.id].spoiled == -1
    assert told.lines[-1][1]["text"] == "the signals of 'Host2' are used again"


def test_who_is_revoked_is_not_shown_as_trusted(own: Keys) -> None:
    good, bad = peer_of(own, "Host1"), peer_of(own, "Host2")
    own.store().revoke(bad.id)
    told: Any = Heard()
    settings, state = asker(own)

    rows = status.peers(settings, told, state)

    assert [(row["id"], row["label"], row["trusted"]) for row in rows] == [
        (good.id, "Host1", True), (bad.id, "Host2", False)
    ]  # fmt: skip


# the state


def test_who_writes_holds_us_up_for_a_moment_only(memory: Memory, tmp_path: Path) -> None:
    """And what we wanted to write meanwhile is written after that, in order."""
    memory.write(lambda state: heard.met(state, "SHA=1", 1, live=True))
    with closing(sqlite3.connect(tmp_path / "agent.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        memory.write(lambda state: heard.met(state, "SHA=1", 2, reason="gone"))
        memory.write(lambda state: heard.met(state, "SHA=1", 3, live=True))
        assert time.monotonic() - begun < 2
        other.execute("ROLLBACK")

    memory._broken_at, memory._due = 1.0, 0.0  # long ago
    memory.changed()

    found = heard.contacts(memory.state)["SHA=1"]
    assert (found.live, found.at, found.failed) == (1, 3, 2)


def test_a_file_that_takes_the_place_of_the_state_is_opened(memory: Memory, tmp_path: Path) -> None:
    """Runs write to what is called so; of a file that was set aside nobody hears anything."""
    memory.write(lambda state: heard.met(state, "SHA=1", 1))
    memory.changed()
    for path in tmp_path.glob("agent.db*"):
        path.rename(tmp_path / f"old{path.name.removeprefix('agent.db')}")
    run = State(str(tmp_path / "agent.db"), Heard(), NOW / 1000)
    heard.met(run, "SHA=2", 1)

    assert memory.changed()
    assert [*heard.contacts(memory.state)] == ["SHA=2"]
    memory.write(lambda state: heard.met(state, "SHA=3", 1))
    assert [*heard.contacts(run)] == ["SHA=2", "SHA=3"]


def test_a_mistake_in_what_is_to_be_written_is_made_once(memory: Memory) -> None:
    for _ in range(2):
        with pytest.raises(OverflowError):
            memory.write(lambda state: heard.met(state, "SHA=1", 1, skew=1 << 63))

    memory.write(lambda state: heard.met(state, "SHA=2", 1))
    assert [*heard.contacts(memory.state)] == ["SHA=2"]


def test_a_wrong_clock_is_reported_once(own: Keys, memory: Memory, tmp_path: Path) -> None:
    entry = peer_of(own, "Host1")
    own.look()
    told = Heard()
    contacts = Contacts(ground(memory, told, str(own.path)), own)

    for skew in (1000, HOUR, HOUR, 0):
        contacts.visited(inside.Visited(peer=entry.id, address="127.0.0.1", skew=skew))

    assert [line["reason"] for line in told.events("clock")] == [
        "3600 s ahead of ours", "right again"
    ]  # fmt: skip


# the audit log


def test_the_chain_shows_what_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(str(path), lambda: NOW / 1000, Heard())
    for number in range(4):
        audit("denied", peer=f"p{number}", count=number)
    audit.close()
    lines = path.read_text().splitlines()

    assert verify(lines) == (4, [])
    assert verify(lines[1:]) == (3, [])
    assert verify([*lines[:1], lines[1].replace("p1", "p9"), *lines[2:]])[1]
    assert "number 3 follows 1" in verify([lines[0], *lines[2:]])[1][0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(lines[2])["peer"] == "p2"
    assert "count" not in json.loads(lines[0])


def test_the_chain_goes_on_after_a_restart_and_in_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(str(path), lambda: 1.0, Heard())
    audit("start")
    audit.close()
    with path.open("a") as file:
        file.write('{"n":2,"wall"')  # the power went
    audit = Audit(str(path), lambda: 1.0, Heard())
    audit("start")
    path.rename(tmp_path / "old")
    audit.reopen()
    audit("stop")
    lines = (tmp_path / "old").read_text().splitlines() + path.read_text().splitlines()

    assert [json.loads(line)["n"] for line in lines if line.endswith("}")] == [1, 2, 3]
    assert verify(lines) == (3, ["line 2: this is no line of the log"])


def test_a_large_log_goes_on_in_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.audit.LARGEST", 500)
    path, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    audit = Audit(str(path), lambda: 1.0, Heard())
    while not old.exists():
        audit("denied")
    audit.close()
    path.unlink()  # the power went before there was a line
    audit = Audit(str(path), lambda: 1.0, Heard())
    audit("stop")
    lines = old.read_text().splitlines() + path.read_text().splitlines()

    assert verify(lines) == (len(lines), [])
    assert path.stat().st_size < 500 <= old.stat().st_size < 1000


def test_a_log_that_was_moved_away_goes_on_in_another_file_when_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.audit.LARGEST", 300)
    told = Heard()
    audit = Audit(str(tmp_path / "audit.jsonl"), lambda: 1.0, told)
    audit("start")
    (tmp_path / "audit.jsonl").rename(tmp_path / "kept")
    for _ in range(3):
        audit("denied")
    lines = [
        line
        for name in ("kept", "audit.jsonl")
        for line in (tmp_path / name).read_text().splitlines()
    ]

    assert verify(lines) == (4, [])
    assert told.lines == []


def test_a_line_for_which_there_was_no_room_spoils_no_other(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "audit.jsonl"
    audit = Audit(str(path), lambda: 1.0, Heard())
    audit("denied")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = numbers.signal(numbers.SIGXFSZ, numbers.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        audit("denied", reason="half of a line")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        numbers.signal(numbers.SIGXFSZ, before)
    audit("denied", reason="after it")
    *_, torn, last = path.read_text().splitlines()

    assert '"after it"' in last
    assert verify([last]) == (1, [])
    assert verify([torn])[0] == 0


def test_where_there_is_no_log_none_is_shown(program: Program) -> None:
    ran = program("troth", "signal", "audit")

    assert ran.returncode == 1
    assert "there is no audit log" in ran.stderr


# time


@pytest.mark.parametrize(
    ("told", "offset"), [("3600", 3600.0), ("-1.5", -1.5), ("", 0.0), ("x", 0.0), ("nan", 0.0)]
)
def test_the_environment_shifts_the_clock(
    monkeypatch: pytest.MonkeyPatch, told: str, offset: float
) -> None:
    monkeypatch.setenv("TROTH_CLOCK", told)

    assert clock.offset() == offset
    assert abs(clock.now() - time.time() - offset) < 1


def test_a_file_that_shifts_the_clock_is_read_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "clock"
    monkeypatch.setenv("TROTH_CLOCK", str(path))

    found = [clock.offset()]
    for text in ("60\n", "-60\n"):
        path.write_text(text)
        found.append(clock.offset())

    assert found == [0.0, 60.0, -60.0]


@pytest.mark.parametrize(
    ("expressions", "due"),
    [
        (("Min00",), True),
        (("Min05", "Hr01.linux"), False),
        (("Hr00.Min00_05.linux",), True),
        (("!linux", "any"), True),
        ((), False),
    ],
)
def test_a_run_is_due_by_class(
    monkeypatch: pytest.MonkeyPatch, expressions: tuple[str, ...], due: bool
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    midnight = 1_800_000_000 // 86400 * 86400.0

    assert Timetable(expressions, ("linux",)).due(midnight + 30) == due


def test_the_usual_schedule_is_every_five_minutes() -> None:
    table = Timetable()

    assert sum(table.due(minute * 60.0) for minute in range(60)) == 12


def test_a_schedule_that_means_nothing_is_refused() -> None:
    assert checked("Hr00 Min00")
    assert checked("Hr00.Min00") == ""
    with pytest.raises(BadExpression):
        Timetable(("(",))


class Wanted:
    """Runs that are only counted."""

    def __init__(self) -> None:
        self.why: list[tuple[str, bool]] = []
        self.terms = Terms()

    def want(self, why: str, *, woken: bool = False) -> None:
        self.why.append((why, woken))


def due(memory: Memory, told: Heard, **given: object) -> tuple[Due, Wanted]:
    """What makes counted runs due, on a command line with GIVEN."""
    runs: Any = Wanted()
    made = ground(memory, told)
    for name, value in given.items():
        setattr(made.settings, name, value)
    return Due(made, runs), runs


def test_a_lock_that_ends_starts_one_run(memory: Memory) -> None:
    judge, runs = due(memory, Heard())
    end = NOW // 1000 + 60
    acts.wait(memory.state, [("main:job", end, "did_it"), ("main:other", end + 60, "did_it")])
    judge.note_locks()

    for now in (end - 1, end, end + 1):
        judge.locks(now)
        judge.note_locks()

    assert runs.why == [("the lock of main:job is over", True)]


def test_policy_says_when_and_how_runs_start(memory: Memory) -> None:
    told = Heard()
    judge, runs = due(memory, told)
    body = {
        "schedule": ["any"], "exec_command": "/bin/true", "agent_expireafter": "5",
        "mailto": "ops@example.org",
    }  # fmt: skip

    for _ in "12":
        judge.obey({"executor": body, "host": "web7", "share": 0.5})

    assert (runs.terms.command, runs.terms.silence, runs.terms.host) == ("/bin/true", 300.0, "web7")
    assert len(told.events("warning")) == 1, "mail is not there yet, said once"


def test_what_policy_says_badly_is_said_and_the_rest_holds(memory: Memory) -> None:
    told = Heard()
    judge, runs = due(memory, told)

    judge.obey({"executor": {"schedule": ["Hr00 Min00", "any"], "agent_expireafter": "2k"}})
    kept = (judge._timetable.due(60.0), runs.terms.silence)
    judge.obey({"executor": {"schedule": ["Hr00 Min00"], "splaytime": "soon"}})

    assert kept == (True, 120_000.0)
    assert [judge._timetable.due(60.0 * minute) for minute in (0, 1)] == [True, False]
    assert [line["text"].partition(":")[0] for line in told.events("error")] == [
        "schedule", "schedule", "'splaytime' of body executor control is not a number"
    ]  # fmt: skip


def test_the_command_line_goes_before_policy(memory: Memory) -> None:
    async def go(schedule: str) -> list[tuple[str, bool]]:
        judge, runs = due(memory, Heard(), schedule=schedule)
        judge.obey({"executor": {"schedule": ["any"]}})
        judge.minute(NOW / 1000 + 60)
        await asyncio.sleep(0.02)
        return runs.why

    assert asyncio.run(go("any")) == [("schedule", False)]
    assert asyncio.run(go("!any")) == []


def test_hosts_spread_their_runs(memory: Memory) -> None:
    """A tenth of a second here: a share of 1/600 of one minute."""

    async def go() -> tuple[int, int]:
        judge, runs = due(memory, Heard(), schedule="any", splay="1")
        judge.obey({"share": 1 / 600})
        judge.minute(NOW / 1000 + 60)
        await asyncio.sleep(0.03)
        early = len(runs.why)
        await asyncio.sleep(0.2)
        return early, len(runs.why)

    assert asyncio.run(go()) == (0, 1)


def test_a_jump_of_the_clock_is_seen(memory: Memory) -> None:
    judge, _ = due(memory, Heard())

    assert [round(judge.jumped(NOW / 1000 + by)) for by in (1, 3600, 3601, 0)] == [
        0,
        3599,
        0,
        -3601,
    ]


def test_the_share_of_a_host_is_that_of_the_reference() -> None:
    assert controls.share("The quick brown fox jumps over the lazy dog") == 0x519E91F5 / 2**32
    assert 0 <= controls.share("web7+10.0.0.7+0") < 1


# runs


class Lab:
    """Runs of shell commands, in a loop."""

    def __init__(self, tmp_path: Path, memory: Memory, command: str, silence: float = 60.0) -> None:
        self.heard = Heard()
        self.ended: list[int] = []
        self.bell = asyncio.Semaphore(0)
        self.work = tmp_path / "runs"
        self.work.mkdir()
        self.runs = Runs(ground(memory, self.heard, str(self.work)), self._ended)
        self.runs.terms = Terms(command, silence, "web7.example")
        self.runs.open()

    def _ended(self, status: int) -> None:
        self.ended.append(status)
        self.bell.release()

    async def over(self, times: int = 1) -> None:
        async with asyncio.timeout(10):
            for _ in range(times):
                await self.bell.acquire()

    def outputs(self) -> list[Path]:
        return sorted((self.work / "outputs").glob("cf_*"))


def test_what_a_run_says_is_kept_and_logged(tmp_path: Path, memory: Memory) -> None:
    async def go() -> Lab:
        lab = Lab(tmp_path, memory, "echo one; echo; echo two >&2; printf three; exit 6")
        lab.runs.want("schedule")
        await lab.over()
        return lab

    lab = asyncio.run(go())

    assert lab.ended == [6]
    (output,) = lab.outputs()
    assert output.read_text() == "one\ntwo\nthree\n"
    assert output.name.startswith("cf_web7_example__1800000000_Fri_Jan_15_")
    assert os.readlink(output.parent / "previous") == output.name
    assert [line["text"] for line in lab.heard.events("show")] == [
        "agent: one", "agent: two", "agent: three"
    ]  # fmt: skip


def test_what_has_nothing_to_say_leaves_no_output(tmp_path: Path, memory: Memory) -> None:
    async def go() -> Lab:
        lab = Lab(tmp_path, memory, "echo; echo 'converged: 2 kept (0.02 s)'")
        lab.runs.want("schedule")
        await lab.over()
        return lab

    lab = asyncio.run(go())

    assert (lab.ended, (lab.work / "outputs").exists()) == ([0], False)
    (run,) = history.last(memory.state, 9)
    assert (run["status"], run["lines"], run["output"], run["said"]) == (
        0, 0, "", "converged: 2 kept (0.02 s)"
    )  # fmt: skip


def test_what_cannot_be_written_is_logged_and_that_once(tmp_path: Path, memory: Memory) -> None:
    async def go() -> Lab:
        lab = Lab(tmp_path, memory, "echo one; sleep 0.1; echo two; sleep 0.1; printf three")
        (lab.work / "outputs").write_text("in the way")
        lab.runs.want("schedule")
        await lab.over()
        return lab

    lab = asyncio.run(go())

    assert [line["text"] for line in lab.heard.events("show")] == [
        "agent: one", "agent: two", "agent: three"
    ]  # fmt: skip
    assert len(lab.heard.events("error")) == 1
    (run,) = history.last(memory.state, 9)
    assert (run["lines"], run["output"], run["said"]) == (3, "", "three")


def test_wake_ups_during_a_run_start_one_more(tmp_path: Path, memory: Memory) -> None:
    async def go() -> Lab:
        lab = Lab(tmp_path, memory, 'echo "woken $TROTH_WOKEN"; sleep 0.1')
        lab.runs.want("schedule")
        for number in range(5):
            lab.runs.want(f"signal {number}", woken=True)
        await lab.over(2)
        await asyncio.sleep(0.05)
        return lab

    lab = asyncio.run(go())

    assert lab.ended == [0, 0]
    assert [output.read_text() for output in lab.outputs()] == ["woken \n", "woken 1\n"]


def test_a_run_knows_only_so_many_reasons(tmp_path: Path, memory: Memory) -> None:
    async def reasons() -> list[str]:
        runs = Runs(ground(memory, None, str(tmp_path)), lambda status: None)
        for n in range(100):
            runs.want(f"did_{n} of Host1", woken=True)
        runs.want("schedule")
        return [*runs._asked]

    assert asyncio.run(reasons())[15:] == ["did_15 of Host1", "and more", "schedule"]


def test_nothing_starts_before_it_is_known_how(tmp_path: Path, memory: Memory) -> None:
    async def go() -> Lab:
        lab = Lab(tmp_path, memory, "true")
        lab.runs.close()
        lab.runs.want("early", woken=True)
        assert lab.runs.current is None
        lab.runs.open()
        await lab.over()
        return lab

    assert asyncio.run(go()).ended == [0]


def test_who_says_nothing_for_too_long_is_ended_with_its_children(
    tmp_path: Path, memory: Memory
) -> None:
    async def go() -> Lab:
        lab = Lab(tmp_path, memory, "sleep 60 & sleep 60; wait", silence=0.05)
        lab.runs.want("schedule")
        await asyncio.sleep(0.1)
        lab.runs.check()
        await lab.over()
        return lab

    lab = asyncio.run(go())

    assert lab.ended == [-numbers.SIGTERM]
    assert "agent_expireafter" in lab.heard.events("error")[0]["text"]


def test_who_goes_on_talking_is_not_ended(tmp_path: Path, memory: Memory) -> None:
    async def go() -> Lab:
        lab = Lab(tmp_path, memory, "for i in 1 2 3 4 5; do echo $i; sleep 0.3; done", silence=1.2)
        lab.runs.want("schedule")
        while not lab.ended:
            lab.runs.check()
            await asyncio.sleep(0.01)
        return lab

    assert asyncio.run(go()).ended == [0]


def test_a_run_for_a_signal_that_is_killed_is_tried_again(
    tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.runs.RETRIES", (0.01, 0.01))

    async def go() -> Lab:
        lab = Lab(tmp_path, memory, "kill -9 $$")
        lab.runs.want("signal", woken=True)
        await lab.over(3)
        await asyncio.sleep(0.1)
        return lab

    assert asyncio.run(go()).ended == [-9, -9, -9]


def test_what_a_run_leaves_behind_may_still_talk(tmp_path: Path, memory: Memory) -> None:
    """A child that is left in the background is not waited for, nor is its pipe closed."""

    async def go() -> Lab:
        lab = Lab(tmp_path, memory, "(sleep 0.2; echo late) & echo early")
        lab.runs.want("schedule")
        await lab.over()
        assert lab.outputs()[0].read_text() == "early\n"
        await asyncio.sleep(0.4)
        return lab

    lab = asyncio.run(go())

    assert lab.outputs()[0].read_text() == "early\nlate\n"


def test_old_outputs_are_removed(tmp_path: Path) -> None:
    """Whatever is in the way of one of them."""
    (tmp_path / "cf_a directory").mkdir()
    for name, age in (("cf_old", 31), ("cf_new", 29), ("mine", 31)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (NOW / 1000 - age * 86400,) * 2)
    os.utime(tmp_path / "cf_a directory", (0, 0))

    refusals = outputs.prune(str(tmp_path), NOW / 1000)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cf_a directory", "cf_new", "mine"
    ]  # fmt: skip
    assert [error.filename for error in refusals] == [str(tmp_path / "cf_a directory")]
    assert outputs.prune(f"{tmp_path}/nowhere", NOW / 1000) == []


def test_the_end_of_a_child_is_heard_of_without_help_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(pid: int) -> int:
        raise OSError(38, "not implemented")

    async def go() -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[int] = loop.create_future()
        said = bytearray()
        Child(loop, ["/bin/sh", "-c", "echo x; exit 3"], {}, said.extend, over.set_result)
        return await asyncio.wait_for(over, 10), bytes(said)

    monkeypatch.setattr(os, "pidfd_open", missing)

    assert asyncio.run(go()) == (3, b"x\n")


def test_policy_tells_of_the_daemon_without_being_evaluated_in_it(
    program: Program, policy: Callable[[str], str]
) -> None:
    text = """
    bundle agent main { reports: "never"; }
    body executor control { schedule => { "Min00", "linux.Hr03" }; splaytime => "5"; }
    """
    ran = program("troth", "controls", policy(text))
    found = json.loads(ran.stdout)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert found["executor"] == {"schedule": ["Min00", "linux.Hr03"], "splaytime": "5"}
    assert {"linux", "any"} <= set(found["classes"])
    assert not [name for name in found["classes"] if name.startswith(("Hr", "Min", "GMT_", "Yr"))]
    assert 0 <= found["share"] < 1
    assert program("troth", "controls", policy("bundle agent")).returncode == 1


def test_the_schedule_knows_the_domain_that_policy_gives(
    program: Program, policy: Callable[[str], str]
) -> None:
    text = 'bundle agent main { } body common control { domain => "far.example"; }'
    found = json.loads(program("troth", "controls", policy(text)).stdout)

    assert found["host"].endswith(".far.example")
    assert "far_example" in found["classes"]


def test_without_a_daemon_the_state_is_shown(program: Program) -> None:
    shown = program("troth", "status", "--json")
    listed = program("troth", "signal", "list", "--json")
    watched = program("troth", "signal", "watch")

    assert (shown.returncode, json.loads(shown.stdout)["daemon"]) == (1, None)
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
    assert (watched.returncode, "no daemon runs" in watched.stderr) == (1, True)
    assert program("troth", "signal", "clear", "nobody").returncode == 1
    assert program("troth", "signal", "what").returncode == 1


def test_a_state_of_others_is_not_taken_for_an_empty_one(program: Program, tmp_path: Path) -> None:
    state = tmp_path / "work/state"
    if root := os.geteuid() == 0:
        state.symlink_to("state")  # root may look everywhere, but that leads nowhere
    else:
        state.mkdir(mode=0o000)
    try:
        ran = [
            program("troth", *words.split())
            for words in ("status", "signal list", "signal audit", "signal watch")
        ]
    finally:
        if not root:
            state.chmod(0o700)

    reason = "symbolic links" if root else "denied"
    assert [one.returncode for one in ran] == [1, 1, 1, 1]
    assert all(str(state) in one.stderr and reason in one.stderr for one in ran)
    assert "no daemon answers" in ran[0].stdout


def test_a_daemon_that_does_not_answer_is_not_called_absent(
    program: Program, tmp_path: Path
) -> None:
    state = tmp_path / "work/state"
    state.mkdir(mode=0o700)
    (state / "control.sock").symlink_to("control.sock")  # what nobody can look into
    shown, watched = program("troth", "status"), program("troth", "signal", "watch")

    assert (shown.returncode, watched.returncode) == (1, 1)
    assert "no daemon answers" in shown.stdout
    assert "control.sock" in watched.stderr


def test_a_socket_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100)

    with pytest.raises(OSError, match=r"control\.sock': .*path too long"):
        control.ask(str(directory), "status", control.SOCKET)


def test_signals_that_cannot_be_read_are_not_shown_as_none(
    program: Program, tmp_path: Path
) -> None:
    state = tmp_path / "work/state"
    state.mkdir(mode=0o700)
    (state / "agent.db").symlink_to("agent.db")
    listed = program("troth", "signal", "list")

    assert (listed.returncode, listed.stdout) == (1, "")
    assert "agent.db" in listed.stderr


def test_runs_of_a_daemon_that_was_killed_are_lost(memory: Memory, tmp_path: Path) -> None:
    history.began(memory.state, "before", 10.0)
    history.lost(memory.state, 20.0)
    number = history.began(memory.state, "w" * 200, 30.0)

    rows = history.last(memory.state, 9)
    told = [status._run(row, 80) for row in rows]
    assert [(row["ended"], row["status"]) for row in rows] == [(0, None), (20.0, None)]
    assert (len(told[0]), told[0].endswith("…"), number) == (80, True, 2)
    assert "lost" in told[1]


def test_what_waits_for_a_lock_is_named() -> None:
    waits = [{"path": path, "until": 0, "class": "up"} for path in ("main:/bin/a", "main:/bin/b")]
    shown = {
        "daemon": None, "executor": None, "silent": False, "runs": [], "peers": [], "waits": waits
    }  # fmt: skip
    lines = status._text(shown, Settings({}))

    assert [line.rpartition(" ")[2] for line in lines[-3:]] == ["", "main:/bin/a", "main:/bin/b"]


def test_why_it_does_not_listen_is_shown() -> None:
    network = {
        "pid": 1,
        "address": "",
        "port": 0,
        "problem": "the address is taken",
        "report": None,
    }
    found = {
        "program": "daemon", "pid": 1, "policy": "p", "evaluated": True, "ending": False,
        "run": None, "network": network,
    }  # fmt: skip

    assert status._daemon(found)[-1] == "not listening: the address is taken"


# systemd


def test_systemd_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "s"))
        sock.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "s"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        told = Notify()
        says: list[Callable[[], None]] = [told.ready, told.reloading, told.stopping, told.alive]
        for say in says:
            say()
        lines = [sock.recv(512).decode() for _ in range(4)]

    assert lines[0].startswith("READY=1")
    assert "RELOADING=1" in lines[1]
    assert "MONOTONIC_USEC=" in lines[1]
    assert lines[2:] == ["STOPPING=1", "WATCHDOG=1"]
    assert "NOTIFY_SOCKET" not in os.environ
