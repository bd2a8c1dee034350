"""Visits to peers: what comes is stored before it is acknowledged, what is lost comes again."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from server.outgoing import LAST, Pause, longest
from server.wire import inside, messages
from server.wire.handshake import TOKEN
from server.wire.inside import (
    Answered,
    Contact,
    Enrol,
    Joined,
    Learnt,
    Received,
    Stored,
    Succeed,
    Visited,
    Want,
    Wanted,
)
from server.wire.keys import DAEMON_LIFE, Identity, certify
from server.wire.limits import Limits
from server.wire.signals import read
from tests.server.halves import EPOCH, Half, grant, trusted
from tests.server.hosts import Host, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.wire.serving import Visit

ALL = ("*",)
MANY = 1100  # signals: five batches


class Proxy:
    """A port that leads to another, until it is cut."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.open = True
        self.visits = 0
        self.address = "{}:{}".format(*self._server.getsockname())

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def cut(self) -> None:
        """Cut all connections."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with closing(end), suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near = self._server.accept()[0]
            except OSError:
                return
            self.visits += 1
            if not self.open:
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def place(half: Half) -> str:
    """Where HALF is."""
    host, port = half.address
    return f"{host}:{port}"


@contextmanager
def pair(limits: Limits | None = None) -> Iterator[tuple[Half, Half]]:
    """An upstream that shares everything, and a downstream that knows it."""
    with Half(limits=limits) as up, Half(host="", limits=limits) as down:
        up.trusts(trusted(down.identity, "down"))
        up.grants(grant())
        down.trusts(trusted(up.identity, "up", place(up)))
        yield up, down


def want(down: Half, up: Half, globs: tuple[str, ...] = ALL, **more: Any) -> None:
    """Have DOWN visit UP."""
    down.tell(Wanted(wants=(Want(peer=up.identity.id, globs=globs, **more),)))


def received(down: Half, *, store: bool = True) -> list[str]:
    """The classes in the next batch that DOWN's executor gets."""
    batch = down.hear(Received)
    if store:
        down.tell(Stored(n=batch.n))
    return [read(signed.body).name for signed in batch.signals]


def acknowledged(up: Half) -> list[int]:
    """What the visitor of UP has said that it keeps."""
    sessions = up.report()["sessions"]
    return [s["acknowledged"][1] for session in sessions for s in session["subscriptions"]]


def test_backlog_and_what_follows_reach_the_executor() -> None:
    with pair() as (up, down):
        up.own("a", "b")
        want(down, up)
        contact = down.hear(Contact)
        assert (contact.peer, contact.live) == (up.identity.id, True)
        assert received(down) == ["a", "b"]
        for name in ("c", "d"):
            up.own(name)
            assert received(down) == [name]


def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    with pair() as (up, down):
        up.own("a")
        want(down, up)
        batch = down.hear(Received)
        time.sleep(0.1)
        assert acknowledged(up) == [0]
        down.tell(Stored(n=batch.n))
        assert until(lambda: acknowledged(up) == [1])


def test_an_executor_that_does_not_store_is_not_flooded() -> None:
    with pair() as (up, down):
        up.own(*[f"c{n}" for n in range(3000)])
        want(down, up)
        assert until(lambda: len([m for m in down.heard if isinstance(m, Received)]) >= 4)
        time.sleep(0.5)
        assert len([m for m in down.heard if isinstance(m, Received)]) == 4
        found: list[str] = []
        while len(found) < 3000:
            found += received(down)

    assert found == [f"c{n}" for n in range(3000)]


def test_a_visit_begins_where_it_was_left() -> None:
    with pair() as (up, down):
        up.own("a", "b", "c")
        want(down, up)
        first = down.hear(Received)
        down.tell(Wanted(wants=()))
        want(down, up, epoch=EPOCH, after=2, view=first.view)

        assert received(down) == ["c"]


def test_a_cut_is_noticed_at_once_and_the_next_visit_resumes() -> None:
    with Half() as target, Proxy(target.address) as proxy, Half(host="") as down:
        target.trusts(trusted(down.identity, "down"))
        target.grants(grant())
        down.trusts(trusted(target.identity, "up", proxy.address))
        target.own("a", "b")
        want(down, target)
        assert received(down) == ["a", "b"]
        assert down.hear(Contact).live
        time.sleep(1.1)  # or it would not count as a session
        for name in ("c", "d"):
            begun = time.monotonic()
            proxy.cut()
            assert not down.hear(Contact).live
            target.own(name)
            assert received(down) == [name]
            assert down.hear(Contact).live
            assert time.monotonic() - begun < 1
            time.sleep(1.1)


def test_what_was_not_stored_comes_again() -> None:
    with Half() as target, Proxy(target.address) as proxy, Half(host="") as down:
        target.trusts(trusted(down.identity, "down"))
        target.grants(grant())
        down.trusts(trusted(target.identity, "up", proxy.address))
        target.own("a")
        want(down, target)
        assert received(down, store=False) == ["a"]
        proxy.cut()

        assert received(down) == ["a"]


def test_what_could_not_be_kept_comes_again() -> None:
    with pair() as (up, down):
        up.own("a")
        want(down, up)
        assert received(down, store=False) == ["a"]
        down.tell(inside.Again(peer=up.identity.id))

        gone = down.hear(Contact, lambda contact: not contact.live)
        assert gone.reason == "what it says cannot be kept"
        assert received(down) == ["a"]


class Endless:
    """Batches without end, as fast as VISIT takes them."""

    subscribed = True

    def __init__(self, request: messages.Subscribe, visit: Visit) -> None:
        self._n = request.n
        self._visit = visit

    def flush(self) -> None:
        while self._visit.ready:
            self._visit.push(messages.Signals(n=self._n, epoch=1, upto=1, signals=(), more=True))

    def leave(self) -> None:
        pass


def endless(request: messages.Subscribe, visit: Visit) -> None:
    visit.guest = Endless(request, visit)


def test_a_peer_says_only_so_much_a_second() -> None:
    limits = Limits(heard=(100.0, 200.0))  # messages without signals: 20 at once, 10 a second
    with Half(host="", limits=limits) as down:
        down.answer = lambda message: Stored(n=message.n) if isinstance(message, Received) else None
        with Host(down.identity, handlers={messages.Subscribe: endless}) as peer:
            down.trusts(trusted(peer.identity, "peer", "{}:{}".format(*peer.address)))
            down.tell(Wanted(wants=(Want(peer=peer.identity.id, globs=ALL),)))
            assert down.hear(Contact).live
            time.sleep(1.0)
            assert 20 <= len([m for m in down.heard if isinstance(m, Received)]) <= 35
            assert down.report()["visits"][0]["live"]


def test_a_cut_is_noticed_while_the_executor_does_not_store() -> None:
    # a little more than the executor may have: with more, reading pauses, and nothing is heard of
    # the other end until something is stored or `store_seconds` are over
    with Half() as target, Proxy(target.address) as proxy, Half(host="") as down:
        target.trusts(trusted(down.identity, "down"))
        target.grants(grant())
        down.trusts(trusted(target.identity, "up", proxy.address))
        target.own(*[f"c{n}" for n in range(MANY)])
        want(down, target)
        assert down.hear(Contact).live
        old = [down.hear(Received) for _ in range(4)]
        proxy.cut()
        assert not down.hear(Contact).live
        found = received(down)
        for batch in old:
            down.tell(Stored(n=batch.n))  # too late: it has come again
        while len(found) < MANY:
            found += received(down)

    assert found == [f"c{n}" for n in range(MANY)]


def test_what_is_not_stored_for_long_is_asked_for_again() -> None:
    with pair(Limits(store_seconds=0.2)) as (up, down):
        up.own(*[f"c{n}" for n in range(3000)])
        want(down, up)
        assert down.hear(Contact).live
        gone = down.hear(Contact)
        assert gone.reason == "what the peer says is not stored"
        first = {down.hear(Received).upto for _ in range(4)}

        assert down.hear(Received).upto == min(first)


def test_a_peer_that_is_silent_is_given_up() -> None:
    with pair(Limits(ping_seconds=0.1, subscribed_seconds=0.5)) as (up, down):
        want(down, up)
        assert down.hear(Contact).live
        time.sleep(1.0)  # pings keep it alive
        assert not [m for m in down.heard if isinstance(m, Contact)]
        (visit,) = down.report()["visits"]
        assert visit["live"]
        with stopped(up):
            gone = down.hear(Contact)
            assert (gone.live, gone.reason) == (False, "no answer for too long")


@contextmanager
def stopped(half: Half) -> Iterator[None]:
    """HALF, which is in a thread, does nothing for a while."""
    held = threading.Event()
    half.loop.call_soon_threadsafe(held.wait, 10)
    try:
        yield
    finally:
        held.set()


def test_the_first_address_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = f"127.0.0.1:{other.getsockname()[1]}"
    with pair() as (up, down):
        at = place(up)
        down.trusts(trusted(up.identity, "up", free, at))
        want(down, up)

        assert down.hear(Contact, lambda contact: contact.live).address == at


def test_addresses_that_are_none_are_passed_over() -> None:
    with pair() as (up, down):
        down.trusts(trusted(up.identity, "up", "a..b", f"{'x' * 64}:1"))
        want(down, up)
        assert "is not an address" in down.hear(Contact).reason
        down.trusts(trusted(up.identity, "up", "a..b", place(up)))

        assert down.hear(Contact).live
        assert not down.said


def test_another_host_at_the_address_is_not_spoken_with() -> None:
    with pair() as (up, down), Half() as mallory:
        mallory.trusts(trusted(down.identity, "down"))
        down.trusts(trusted(up.identity, "up", place(mallory)))
        want(down, up)

        assert not down.hear(Contact).live


def test_a_peer_that_is_not_trusted_any_more_is_left() -> None:
    with pair() as (up, down):
        want(down, up)
        assert down.hear(Contact).live
        down.trusts()
        gone = down.hear(Contact)
        assert (gone.live, gone.reason) == (False, "not trusted")
        down.trusts(trusted(up.identity, "up", place(up)))
        assert down.hear(Contact, lambda contact: contact.live).address


def test_only_the_fingerprint_of_a_peer_has_to_be_known() -> None:
    with pair() as (up, down):
        down.trusts(trusted(up.identity, "up", place(up), key=b""))
        want(down, up)

        assert down.hear(Learnt).identity == up.identity.public


def test_a_token_opens_the_first_visit() -> None:
    token = bytes(range(TOKEN))
    with pair() as (up, down):
        up.trusts(enrolling=True)
        up.answer = lambda message: (
            Answered(n=message.n, label="down") if isinstance(message, Enrol) else None
        )
        down.tell(Wanted(wants=(Want(peer=up.identity.id, globs=ALL, token=token),)))

        assert down.hear(Joined).peer == up.identity.id
        assert up.hear(Visited).peer == down.identity.id


def test_what_stays_wanted_is_not_disturbed() -> None:
    with pair() as (up, down), Half() as other:
        up.own("a")
        want(down, up)
        assert received(down) == ["a"]
        assert down.hear(Contact).live
        other.trusts(trusted(down.identity, "down"))
        other.grants(grant())
        down.trusts(
            trusted(up.identity, "up", place(up)),
            trusted(other.identity, "other", place(other)),
        )
        both = [Want(peer=host.identity.id, globs=ALL) for host in (up, other)]
        down.tell(Wanted(wants=tuple(both)))
        assert down.hear(Contact).peer == other.identity.id
        down.tell(Wanted(wants=tuple(both[:1])))
        gone = down.hear(Contact)
        assert (gone.peer, gone.live) == (other.identity.id, False)
        assert until(lambda: not other.report()["sessions"])
        up.own("b")

        assert down.hear(Received, lambda batch: batch.peer == up.identity.id).upto == 2
        assert len(up.report()["sessions"]) == 1


def test_other_globs_are_asked_for_on_the_same_session() -> None:
    with pair() as (up, down):
        up.own("a1", "b1")
        want(down, up, ("a*",))
        assert received(down) == ["a1"]
        want(down, up, ("b*",))
        assert received(down) == ["b1"]
        up.own("a2", "b2")
        assert received(down) == ["b2"]
        (session,) = up.report()["sessions"]
        assert [s["globs"] for s in session["subscriptions"]] == [["b*"]]


def test_a_visit_from_a_peer_says_that_it_is_there() -> None:
    """Who was away long is not tried often; when it comes to us it is there."""
    with Half() as here, Half() as there:
        for one, other in ((here, there), (there, here)):
            one.grants(grant())
            one.trusts(trusted(other.identity, "other", "127.0.0.1:1"))
        want(here, there)
        assert not here.hear(Contact).live
        time.sleep(1.5)
        here.trusts(trusted(there.identity, "other", "127.0.0.1:1", place(there)))
        assert here.hear(Contact).live


def test_after_a_rotation_a_peer_who_knows_the_old_key_is_told() -> None:
    old = Identity.new()
    statement = bytes(212)
    with pair() as (up, down):
        up.trusts(trusted(old, "down"))

        def answer(message: inside.Message) -> inside.Message | None:
            if isinstance(message, Succeed):
                assert message.statement == statement
                up.trusts(trusted(old, "down"), trusted(down.identity, "down"))
                return Answered(n=message.n, label="down")
            return None

        up.answer = answer
        previous = certify(old, down.static, int(time.time()), DAEMON_LIFE)
        down.tell(down.setup(down.static, previous=previous.packed(), statement=statement))
        want(down, up)

        assert down.hear(Contact, lambda contact: contact.live).address
        assert up.hear(Succeed).peer == old.id


def test_pauses_grow_and_begin_anew() -> None:
    pause = Pause(lambda low, high: high)

    assert [pause.next() for _ in range(9)] == [0.25, 1, 2, 4, 8, 16, 32, 60, 60]
    pause.reset()
    assert pause.next() == 0.25
    assert pause.next() < LAST


def test_the_fewer_are_visited_the_shorter_is_the_longest_pause() -> None:
    assert [longest(visits) for visits in (1, 40, 400, 5000)] == [1, 1, 10, LAST]


def test_pauses_are_spread_out() -> None:
    pauses = [Pause() for _ in range(200)]
    for _ in range(8):
        found = [pause.next() for pause in pauses]

    assert min(found) < 15
    assert max(found) > 45
