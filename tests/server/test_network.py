"""The network half against a fake executor: what peers are answered, told, and not told."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server import network
from server.wire import inside, messages
from server.wire.client import Client
from server.wire.handshake import TOKEN, Terms
from server.wire.inside import (
    Answered,
    Audit,
    Enrol,
    Gone,
    Learnt,
    RolledBack,
    Succeed,
    Visited,
    Want,
    Wanted,
)
from server.wire.keys import DAEMON_LIFE, Credentials, Identity, certify, digest
from server.wire.limits import Limits
from server.wire.messages import Failed, List, Literal, Ping, Pull, Signals, Subscribe, Variable
from server.wire.transport import Cut, Refused
from tests.server.halves import EPOCH, ROOT, WORLD, Half, document, grant, seen, trusted
from tests.server.hosts import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ALICE, BOB = Identity.new(), Identity.new()
ALL = ("*",)
NO = Failed(n=1, code="no")


@pytest.fixture
def half() -> Iterator[Half]:
    """A host that trusts Alice and Bob, and shares every class with Alice."""
    with Half() as half:
        half.trusts(trusted(ALICE, "alice"), trusted(BOB, "bob"))
        half.grants(grant(admit_keys=[ALICE.id]))
        yield half


def listed(client: Client) -> tuple[str, ...]:
    answer = client.ask(List(n=client.number()))
    assert isinstance(answer, messages.Classes)
    return answer.names


def told(client: Client) -> list[str]:
    """The classes in the next message."""
    return seen(client._next())


# what may be asked


def test_ping_says_the_time(half: Half) -> None:
    with half.client(BOB) as bob:
        answer = bob.ask(Ping(n=1))

    assert isinstance(answer, messages.Pong)
    assert abs(answer.clock / 1000 - time.time()) < 5


def test_list_names_living_classes_in_order(half: Half) -> None:
    half.own("b", "a", "gone")
    half.own("short", life=0.2)
    half.own("gone", kind="cancel")
    with half.client(ALICE) as alice:
        assert listed(alice) == ("a", "b", "short")
        time.sleep(0.3)
        assert listed(alice) == ("a", "b")


def test_a_list_of_any_length_is_complete(half: Half) -> None:
    names = [f"class_{n:05}" for n in range(2500)]
    half.own(*names)
    found: list[str] = []
    with half.client(ALICE) as alice:
        more = True
        while more:
            answer = alice.ask(List(n=alice.number(), after=found[-1] if found else ""))
            assert isinstance(answer, messages.Classes)
            found += answer.names
            more = answer.more

    assert found == names


def test_answers_fit_into_what_the_asker_takes(half: Half) -> None:
    names = [f"{'x' * 200}_{n:03}" for n in range(40)]
    half.own(*names)
    now = int(time.time())
    small = Terms(credentials=Credentials.new(ALICE, now), clock=now * 1000, max_message=4096)
    with Client(half.address, small, digest(half.identity.public), seconds=10) as alice:
        answer = alice.ask(List(n=1))
        assert isinstance(answer, messages.Classes)
        assert 10 < len(answer.names) < 40
        assert answer.more
        pulled = alice.ask(Pull(n=2, globs=ALL))
        assert isinstance(pulled, Signals)
        assert 1 <= len(pulled.signals) < 40
        assert pulled.more


def test_variables_are_json_and_literals_are_themselves(half: Half) -> None:
    half.grants(
        grant("default:a.x", "variable", value={"y": ["z", "ü"]}),
        grant("default:a.s", "variable", value="text"),
        grant("motd", "literal", value="hello\nü"),
    )
    with half.client(ALICE) as alice:
        container = alice.ask(Variable(n=1, name="default:a.x"))
        text = alice.ask(Variable(n=2, name="default:a.s"))
        literal = alice.ask(Literal(n=3, handle="motd"))

    assert isinstance(container, messages.Found)
    assert json.loads(container.value) == {"y": ["z", "ü"]}
    assert text == messages.Found(n=2, value=b'"text"')
    assert literal == messages.Found(n=3, value="hello\nü".encode())


def test_a_value_that_is_too_large_is_called_so(half: Half) -> None:
    half.grants(grant("motd", "literal", value="x" * 50_000))
    with half.client(ALICE) as alice:
        assert alice.ask(Literal(n=1, handle="motd")) == Failed(n=1, code="large")


@pytest.mark.parametrize(
    "request_",
    [
        Variable(n=1, name="default:a.secret"),
        Variable(n=1, name="default:a.absent"),
        Variable(n=1, name="default:a.unset"),
        Literal(n=1, handle="secret"),
        Literal(n=1, handle="absent"),
        Literal(n=1, handle=""),
    ],
)
def test_what_is_not_granted_looks_like_what_is_not_there(
    half: Half, request_: messages.Request
) -> None:
    half.grants(
        grant("default:a.secret", "variable", value="s", admit_keys=[ALICE.id]),
        grant("default:a.unset", "variable", value=None, admit_keys=[BOB.id]),
        grant("secret", "literal", value="s", admit_keys=[ALICE.id]),
    )
    with half.client(BOB) as bob:
        assert bob.ask(request_) == NO


def test_who_is_granted_nothing_sees_the_same_as_where_nothing_is(half: Half) -> None:
    with half.client(BOB) as bob:
        before = (listed(bob), seen(bob.ask(Pull(n=7, globs=ALL))))
        half.own("secret")
        assert until(lambda: half.report()["log"]["signals"] == 1)
        after = (listed(bob), seen(bob.ask(Pull(n=8, globs=("secret",)))))

    assert before == after == ((), [])
    line = half.hear(Audit).lines[0]
    assert (line.event, line.peer, line.label, line.operation) == ("denied", BOB.id, "bob", "list")


def test_a_refusal_is_in_the_log_with_its_rule(half: Half) -> None:
    half.grants(
        grant("job_.*", admit_keys=[BOB.id]),
        grant("secret", "literal", value="s", deny_keys=[BOB.id]),
    )
    with half.client(BOB) as bob:
        for n in range(1, 4):
            bob.ask(Literal(n=n, handle="secret"))
        (line,) = half.hear(Audit).lines

    assert (line.event, line.operation, line.object) == ("denied", "literal", "secret")
    assert (line.rule, line.ip, line.decision) == ("s.cf:1", "127.0.0.1", "deny")


# pulling


def test_a_refusal_by_a_policy_with_a_name_that_is_not_utf_8_is_in_the_log_too(half: Half) -> None:
    half.grants(grant("a", "literal", deny=["alice\udcff", "alice"], file="\udcff.cf"))
    with half.client(ALICE) as alice:
        assert alice.ask(Literal(n=1, handle="a")) == Failed(n=1, code="no")
    (line,) = half.hear(Audit).lines

    assert (line.object, line.rule) == ("a", "\\udcff.cf:1")


def test_pull_gives_what_is_behind_the_cursor(half: Half) -> None:
    half.own("a", "b", "c")
    with half.client(ALICE) as alice:
        first = alice.ask(Pull(n=1, globs=ALL, limit=2))
        assert isinstance(first, Signals)
        assert (seen(first), first.upto, first.more) == (["a", "b"], 2, True)
        rest = alice.ask(Pull(n=2, globs=ALL, epoch=first.epoch, after=first.upto, view=first.view))

    assert isinstance(rest, Signals)
    assert (seen(rest), rest.epoch, rest.upto, rest.more) == (["c"], EPOCH, 3, False)


def test_pull_gives_only_what_its_globs_mean_and_says_up_to_where(half: Half) -> None:
    half.own("did_a", "other", "did_b", "last")
    with half.client(ALICE) as alice:
        answer = alice.ask(Pull(n=1, globs=("did_*",)))

    assert isinstance(answer, Signals)
    assert (seen(answer), answer.upto) == (["did_a", "did_b"], 4)


def test_a_pull_with_another_view_is_served_from_the_beginning(half: Half) -> None:
    half.own("a", "b")
    with half.client(ALICE) as alice:
        answer = alice.ask(Pull(n=1, globs=ALL, epoch=EPOCH, after=2, view=1))

    assert seen(answer) == ["a", "b"]


def test_a_pull_waits_for_the_next_signal(half: Half) -> None:
    with half.client(ALICE) as alice:
        here = alice.ask(Pull(n=1, globs=ALL))
        assert isinstance(here, Signals)
        alice._wire.write(
            alice._sender.message(
                messages.packed(
                    Pull(n=2, globs=ALL, epoch=here.epoch, after=here.upto, view=here.view, wait=10)
                )
            )
        )
        time.sleep(0.1)
        half.own("now")
        begun = time.monotonic()

        assert told(alice) == ["now"]
        assert time.monotonic() - begun < 1


def test_a_pull_that_waits_in_vain_is_answered(half: Half) -> None:
    with half.client(ALICE) as alice:
        begun = time.monotonic()
        answer = alice.ask(Pull(n=1, globs=ALL, wait=1))

        assert seen(answer) == []
        assert 0.9 < time.monotonic() - begun < 3
        assert isinstance(alice.ask(Ping(n=2)), messages.Pong)


def test_a_cursor_beyond_the_log_is_reported(half: Half) -> None:
    half.own("a")
    with half.client(ALICE) as alice:
        answer = alice.ask(Pull(n=1, globs=ALL, epoch=EPOCH, after=99))

    assert seen(answer) == ["a"]
    assert half.hear(RolledBack) == RolledBack(peer=ALICE.id, epoch=EPOCH, seq=99)


def test_what_one_peer_claims_of_our_log_takes_nobody_elses_place(half: Half) -> None:
    half.own("a")
    with half.client(ALICE) as alice:
        for beyond in range(1, 40):
            alice.ask(Pull(n=beyond, globs=ALL, epoch=EPOCH + beyond, after=1))
    with half.client(BOB) as bob:
        bob.ask(Pull(n=1, globs=ALL, epoch=EPOCH, after=7))

    assert half.hear(RolledBack, lambda claim: claim.peer == BOB.id).seq == 7
    assert len([it for it in half.heard if isinstance(it, RolledBack)]) == 16


def test_before_the_log_is_known_nobody_is_said_to_be_beyond_it(half: Half) -> None:
    with half.client(ALICE) as alice:
        alice.ask(Pull(n=1, globs=ALL, epoch=EPOCH, after=1))
        half.own("a")
        alice.ask(Pull(n=2, globs=ALL, epoch=EPOCH, after=9))

    assert half.hear(RolledBack).seq == 9


# subscribing


def test_a_subscription_brings_the_backlog_and_then_what_comes(half: Half) -> None:
    half.own("a", "b")
    with half.client(ALICE) as alice:
        assert seen(alice.ask(Subscribe(n=1, globs=ALL))) == ["a", "b"]
        for name in ("c", "d"):
            half.own(name)
            assert told(alice) == [name]
        half.own("c", kind="cancel")
        assert told(alice) == ["c"]


def test_a_subscription_is_answered_even_if_there_is_nothing(half: Half) -> None:
    with half.client(ALICE) as alice:
        answer = alice.ask(Subscribe(n=1, globs=ALL))

    assert isinstance(answer, Signals)
    assert (answer.signals, answer.more, answer.view > 0) == ((), False, True)


def test_a_subscription_resumes_where_it_was_left(half: Half) -> None:
    half.own("a", "b")
    with half.client(ALICE) as alice:
        answer = alice.ask(Subscribe(n=1, globs=ALL))
        assert isinstance(answer, Signals)
    half.own("c")
    with half.client(ALICE) as alice:
        cursor = {"epoch": answer.epoch, "after": answer.upto, "view": answer.view}

        assert seen(alice.ask(Subscribe(n=1, globs=ALL, **cursor))) == ["c"]


def test_a_large_backlog_comes_whole_and_in_order(half: Half) -> None:
    names = [f"c{n}" for n in range(3000)]
    half.own(*names)
    with half.client(ALICE) as alice:
        answer = alice.ask(Subscribe(n=1, globs=ALL))
        found = seen(answer)
        while isinstance(answer, Signals) and answer.more:
            answer = alice._next()
            found += seen(answer)

    assert found == names


def test_what_the_peer_keeps_is_shown(half: Half) -> None:
    half.own("a")
    with half.client(ALICE) as alice:
        alice.ask(Subscribe(n=1, globs=ALL))
        ack = messages.packed(messages.Ack(n=1, epoch=EPOCH, upto=1))
        alice._wire.write(alice._sender.message(ack))
        alice.ask(Ping(n=2))
        (session,) = half.report()["sessions"]

    assert session["subscriptions"] == [
        {"globs": ["*"], "cursor": [EPOCH, 1], "acknowledged": [EPOCH, 1]}
    ]


def test_what_is_not_subscribed_any_more_is_not_sent(half: Half) -> None:
    with half.client(ALICE) as alice:
        alice.ask(Subscribe(n=1, globs=("a*",)))
        alice.ask(Subscribe(n=2, globs=("b*",)))
        assert alice.ask(messages.Unsubscribe(n=3, which=1)) == messages.Done(n=3)
        half.own("a1", "b1")

        assert told(alice) == ["b1"]


def test_a_flood_of_subscriptions_is_stemmed(half: Half) -> None:
    with half.client(ALICE) as alice:
        answers = [alice.ask(Subscribe(n=n, globs=ALL)) for n in range(1, 11)]
        half.own("a")

        assert answers[4:] == [Failed(n=n, code="busy") for n in range(5, 11)]
        assert [told(alice) for _ in range(4)] == [["a"]] * 4
        (session,) = half.report()["sessions"]
        assert len(session["subscriptions"]) == 4


def test_who_does_not_read_holds_up_nobody_and_no_memory() -> None:
    with Half(process=True) as half:
        half.trusts(trusted(ALICE, "alice"), trusted(BOB, "bob"))
        half.grants(grant())
        with half.client(BOB) as bob:
            bob.ask(Subscribe(n=1, globs=ALL))
            slow = [half.client(ALICE) for _ in range(4)]
            for client in slow:
                client._wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.ask(Subscribe(n=1, globs=ALL))
            before = half.report()["memory"]
            got: list[str] = []
            for batch in range(20):
                half.own(*[f"c{batch}_{n}" for n in range(500)])
                while len(got) < 500 * (batch + 1):
                    got += told(bob)
            grown = half.report()["memory"] - before
            for client in slow:
                client._wire.close()

    # the log itself takes some 10 MB; 10,000 signals for four who do not read would take 11 more
    assert grown < 16e6


def test_who_does_not_read_is_cut_off() -> None:
    with Half(limits=Limits(write_seconds=0.3)) as half:
        half.trusts(trusted(ALICE, "alice"))
        half.grants(grant())
        with half.client(ALICE) as alice:
            alice.ask(Subscribe(n=1, globs=ALL))
            for batch in range(60):
                half.own(*[f"c{batch}_{n}" + "x" * 200 for n in range(300)])

            assert until(lambda: not half.report()["sessions"], seconds=10)


# what changes while sessions are open


def test_what_is_newly_granted_is_told_at_once(half: Half) -> None:
    half.own("a_1", "b_1")
    half.grants(grant("a_.*"))
    with half.client(ALICE) as alice:
        first = alice.ask(Subscribe(n=1, globs=ALL))
        assert seen(first) == ["a_1"]
        half.grants(grant("a_.*"), grant("b_.*"))
        begun = time.monotonic()
        again = alice._next()

        assert seen(again) == ["a_1", "b_1"]
        assert time.monotonic() - begun < 1
        assert isinstance(first, Signals)
        assert isinstance(again, Signals)
        assert first.view != again.view


def test_what_is_not_granted_any_more_is_not_told(half: Half) -> None:
    half.own("a_1", "b_1")
    with half.client(ALICE) as alice:
        assert seen(alice.ask(Subscribe(n=1, globs=ALL))) == ["a_1", "b_1"]
        half.grants(grant("b_.*", admit_keys=[ALICE.id]))
        assert told(alice) == []  # only the new view
        half.own("a_2", "b_2")

        assert told(alice) == ["b_2"]
        assert listed(alice) == ("b_1", "b_2")


def test_a_change_that_changes_nothing_for_a_peer_tells_it_nothing(half: Half) -> None:
    half.own("a")
    with half.client(ALICE) as alice:
        alice.ask(Subscribe(n=1, globs=ALL))
        half.grants(grant(admit_keys=[ALICE.id], comment="other words", line=7))
        half.own("b")

        assert told(alice) == ["b"]


def test_grants_that_cannot_be_read_leave_those_before(half: Half) -> None:
    half.own("a")
    half.tell(inside.Granted(document=b'{"format": 2}'))
    with half.client(ALICE) as alice:
        assert listed(alice) == ("a",)
    assert "the grants from before stay in force" in half.said[0]


def test_a_removed_key_is_cut_off_and_others_are_not(half: Half) -> None:
    with half.client(ALICE) as alice, half.client(BOB) as bob:
        listed(alice)
        listed(bob)
        half.trusts(trusted(BOB, "bob"))
        begun = time.monotonic()
        with pytest.raises((Cut, OSError)):
            alice._next()
        assert time.monotonic() - begun < 1
        with pytest.raises(Cut), half.client(ALICE) as again:
            again.log_in()
        assert listed(bob) == ()


def test_a_key_whose_time_is_over_is_cut_off(half: Half) -> None:
    end = int(time.time()) + 1
    half.trusts(trusted(ALICE, "alice", not_after=end))
    with half.client(ALICE) as alice:
        listed(alice)
        with pytest.raises((Cut, OSError)):
            alice._next()
        assert time.time() < end + 2.5
        with pytest.raises(Cut), half.client(ALICE) as again:
            again.log_in()


def test_labels_are_what_the_operator_calls_a_peer_now(half: Half) -> None:
    half.own("a")
    half.grants(grant(admit_hostnames=["other"]))
    with half.client(ALICE) as alice:
        assert listed(alice) == ()
        half.trusts(trusted(ALICE, "other"))

        assert until(lambda: listed(alice) == ("a",))


# who gets in


def test_a_visit_is_reported(half: Half) -> None:
    with half.client(ALICE, skew=-3600) as alice:
        alice.log_in()
        visited = half.hear(Visited)

    assert (visited.peer, visited.address) == (ALICE.id, "127.0.0.1")
    assert -3_603_000 < visited.skew < -3_598_000


def test_a_peer_of_whom_only_the_fingerprint_is_known_is_learnt(half: Half) -> None:
    half.trusts(trusted(ALICE, "alice", key=b""))
    with half.client(ALICE) as alice:
        alice.log_in()

    assert half.hear(Learnt).identity == ALICE.public


def test_a_stranger_with_a_token_is_the_executors_question(half: Half) -> None:
    token = bytes(range(TOKEN))
    half.trusts(enrolling=True)

    def answer(message: inside.Message) -> inside.Message | None:
        if isinstance(message, Enrol):
            return Answered(n=message.n, label="web" if message.token == token else "")
        return None

    half.answer = answer
    with half.client(ALICE, token=token) as alice:
        alice.log_in()
        asked = half.hear(Enrol)
    with pytest.raises(Cut), half.client(BOB, token=bytes(TOKEN)) as bob:
        bob.log_in()

    assert (asked.identity, asked.token, asked.address) == (ALICE.public, token, "127.0.0.1")


def test_without_invitations_nobody_is_asked(half: Half) -> None:
    carol = Identity.new()
    with pytest.raises(Cut), half.client(carol, token=bytes(TOKEN)) as client:
        client.log_in()

    assert not [message for message in half.heard if isinstance(message, Enrol)]
    line = half.hear(Audit).lines[0]
    assert (line.event, line.reason, line.ip) == ("refused", "untrusted", "127.0.0.1")


def test_a_successor_is_the_executors_question(half: Half) -> None:
    def answer(message: inside.Message) -> inside.Message | None:
        if isinstance(message, Succeed):
            label = "alice" if message.statement == b"good" else ""
            return Answered(n=message.n, label=label)
        return None

    half.answer = answer
    with half.client(ALICE) as alice:
        assert alice.ask(messages.Rotate(n=1, statement=b"good")) == messages.Done(n=1)
        assert alice.ask(messages.Rotate(n=2, statement=b"bad")) == Failed(n=2, code="no")
    assert half.hear(Succeed).peer == ALICE.id


def test_wrong_clocks_are_refused_only_if_policy_says_so(half: Half) -> None:
    with half.client(ALICE, skew=7200) as alice:
        alice.log_in()
    half.grants(grant(), denybadclocks=True)
    with pytest.raises(Cut), half.client(ALICE, skew=7200) as alice:
        alice.log_in()
    with half.client(ALICE, skew=1800) as alice:
        alice.log_in()

    assert half.hear(Audit).lines[0].reason == "clock"


@pytest.mark.parametrize(
    "control", [{"allowconnects": ["10.0.0.0/8"]}, {"denyconnects": ["127.0.0.1"]}]
)
def test_an_address_that_may_not_connect_is_closed(
    half: Half, control: dict[str, list[str]]
) -> None:
    half.grants(grant(), **control)
    half.report()
    with pytest.raises((Cut, OSError)), half.client(ALICE) as alice:
        alice.log_in()

    assert half.hear(Audit).lines[0].reason == "unwelcome"


def test_a_full_house_refuses(half: Half) -> None:
    half.grants(grant(), maxconnections=1)
    with half.client(ALICE) as alice:
        alice.log_in()
        with pytest.raises(Refused), half.client(BOB) as bob:
            bob.log_in()


def test_the_last_places_are_for_those_whose_signals_are_asked_for(half: Half) -> None:
    half.tell(Wanted(wants=(Want(peer=BOB.id, globs=ALL),)))
    half.grants(grant(), maxconnections=8, allowallconnects=["127.0.0.1"])
    half.report()
    with ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(half.client(ALICE)).log_in()
        with pytest.raises(Refused), half.client(ALICE) as alice:
            alice.log_in()
        with half.client(BOB) as bob:
            bob.log_in()


def test_addresses_in_allowallconnects_have_no_limit_of_their_own(half: Half) -> None:
    half.grants(grant(), allowallconnects=["127.0.0.1"])
    with half.client(ALICE) as alice:
        clients = [half.client(ALICE) for _ in range(30)]
        for client in clients:
            client.log_in()
        answers = [alice.ask(Ping(n=n)) for n in range(1, 200)]
        for client in clients:
            client.close()

    assert not [answer for answer in answers if isinstance(answer, Failed)]


def test_who_asks_too_much_is_told_so(half: Half) -> None:
    with half.client(ALICE) as alice:
        busy = [alice.ask(Pull(n=n, globs=ALL)) for n in range(1, 14)]

    assert busy[-1] == Failed(n=13, code="busy") or isinstance(busy[-1], Signals)
    assert sum(isinstance(answer, Failed) for answer in busy) <= 13


# where it listens


def test_it_does_not_listen_to_the_world_unless_policy_says_to_whom() -> None:
    with Half(host=WORLD) as half:
        assert half.address == ("", 0)
        half.grants(grant())
        ready = half.hear(inside.Ready)
        assert "allowconnects" in ready.problem
        half.grants(grant(), allowconnects=["0.0.0.0/0", "::/0"])
        ready = half.hear(inside.Ready)
        assert (ready.problem, ready.port > 0) == ("", True)
        half.grants(grant())
        assert "allowconnects" in half.hear(inside.Ready).problem
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", ready.port), 5)


def test_a_place_that_is_taken_is_reported(half: Half) -> None:
    with Half(port=half.address[1]) as other:
        assert other.address == ("", 0)


# host names


def test_host_names_count_when_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def confirmed(address: str) -> tuple[str, ...]:
        looked.append(address)
        time.sleep(0.2)
        return ("a.example.com",)

    monkeypatch.setattr("server.names.confirmed", confirmed)
    with Half() as half:
        half.trusts(trusted(ALICE, "alice"))
        half.grants(grant(admit_hostnames=[".example.com"]))
        half.own("a")
        for _ in range(2):
            with half.client(ALICE) as alice:
                assert listed(alice) == ("a",)
    assert looked == ["127.0.0.1"]


def confirming(monkeypatch: pytest.MonkeyPatch, kept: float) -> list[str]:
    """The names that the DNS gives, each of which is remembered for KEPT seconds."""
    found = ["a.example.com"]
    monkeypatch.setattr("server.names.confirmed", lambda address: tuple(found))
    monkeypatch.setattr("server.names.KEPT", kept)
    return found


def test_who_is_subscribed_is_known_by_name_when_policy_comes_to_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    confirming(monkeypatch, 300.0)
    with Half() as half:
        half.trusts(trusted(ALICE, "alice"))
        half.grants(grant("a"))
        half.own("a", "b")
        with half.client(ALICE) as alice:
            assert seen(alice.ask(Subscribe(n=1, globs=ALL))) == ["a"]
            half.grants(grant("a"), grant("b", admit_hostnames=[".example.com"]))
            assert told(alice) == []  # its name is not known yet

            assert told(alice) == ["a", "b"]


def test_a_name_that_was_confirmed_holds_until_it_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = confirming(monkeypatch, 0.05)
    with Half() as half:
        half.trusts(trusted(ALICE, "alice"))
        half.grants(grant(admit_hostnames=[".example.com"]))
        half.own("a")
        with half.client(ALICE) as alice:
            assert seen(alice.ask(Subscribe(n=1, globs=ALL))) == ["a"]
            time.sleep(0.1)
            half.trusts(trusted(ALICE, "alice"), trusted(BOB, "bob"))
            half.own("b")
            assert told(alice) == ["b"]
            found.clear()
            assert told(alice) == []  # another view

            half.own("c")
            assert listed(alice) == ()


def test_the_dns_is_not_asked_if_labels_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.names.confirmed", lambda address: 1 / 0)
    with Half() as half:
        half.trusts(trusted(ALICE, "Host2"))
        half.grants(grant(admit=["Host2"]))
        half.own("a")
        with half.client(ALICE) as alice:
            assert listed(alice) == ("a",)


def test_a_dns_that_is_silent_gives_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.names.SECONDS", 0.1)

    def slow(address: str) -> tuple[str, ...]:
        time.sleep(0.5)
        return ("a.b",)

    monkeypatch.setattr("server.names.confirmed", slow)
    with Half() as half:
        half.trusts(trusted(ALICE, "alice"))
        half.grants(grant(admit_hostnames=[".b"]))
        half.own("a")
        with half.client(ALICE) as alice:
            assert listed(alice) == ()


# this half itself


def test_it_ends_when_the_executor_does() -> None:
    with Half(process=True) as half:
        pass
    assert half.process is not None
    assert half.process.returncode == 0


def test_it_ends_in_good_order_when_it_is_told_to(half: Half) -> None:
    with half.client(ALICE) as alice:
        alice.ask(Subscribe(n=1, globs=ALL))
        half.tell(inside.Drain())
        assert alice._next() == messages.Leaving()
        with pytest.raises(Cut, match="the peer ended the session"):
            alice._next()
        half.hear(Gone)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(half.address, 5)
        half._thread.join(5)
        assert half.status == 0


def test_octets_that_are_no_message_end_it(half: Half) -> None:
    half._socket.sendall(b"\0\0\0\1\xc1")
    half._thread.join(5)

    assert half.status == 1
    assert "no message from the executor" in half.said[0]


def test_what_is_reserved_ends_it(half: Half) -> None:
    half.tell(inside.Descriptor(n=1, size=5))
    half._thread.join(5)

    assert half.status == 1
    assert half.said == ["'Descriptor' is not spoken yet"]


def test_a_certificate_for_another_key_ends_it(half: Half) -> None:
    half.tell(half.setup(bytes(32)))
    half._thread.join(5)

    assert half.status == 1


def test_it_says_that_it_is_alive(half: Half, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "ALIVE_TICKS", 1)

    assert half.hear(inside.Alive).lag < 1


def test_it_asks_for_another_certificate_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "ALIVE_TICKS", 1)
    monkeypatch.setattr(network, "ASK_AGAIN", 0.0)
    with Half() as half:
        half.trusts(trusted(ALICE, "alice"))
        first = half.report()
        assert first["listening"]
        old = int(time.time()) - DAEMON_LIFE + 3600
        static = half.static
        stale = certify(half.identity, static, old, DAEMON_LIFE)
        half.tell(inside.Setup(certificate=stale.packed(), listen=("127.0.0.1", 0)))
        again = half.hear(inside.Hello)
        assert again.static != static
        half.tell(half.setup(again.static))
        with half.client(ALICE) as alice:
            alice.log_in()


def test_every_message_of_the_executor_is_taken() -> None:
    kinds = inside.FromExecutor.__args__

    assert set(network.TAKEN) == set(kinds)


def test_a_policy_that_grants_nothing_is_one_too(half: Half) -> None:
    half.tell(inside.Granted(document=document()))
    half.own("a")
    with half.client(ALICE) as alice:
        assert listed(alice) == ()


def test_the_process_needs_no_tls() -> None:
    with Half(process=True) as half:
        loaded = Path(f"/proc/{half.pid}/maps").read_text()

    assert "/_asyncio." in loaded
    assert "/_ssl." not in loaded


def test_the_process_does_without_what_is_spared() -> None:
    code = (
        "import sys; from server import cli; cli.lighten(); import server.network\n"
        "sys.exit(any(sys.modules[spared] for _, spared in cli.SPARED))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False)

    assert ran.returncode == 0
