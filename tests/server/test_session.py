"""Two hosts over real sockets: who gets in, what they may ask, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire import messages
from server.wire.client import Client
from server.wire.handshake import TOKEN, Closed, Initiator
from server.wire.keys import Identity, digest
from server.wire.limits import Limits
from server.wire.stream import connect
from server.wire.transport import Cut, Refused
from tests.server.hosts import CLASSES, Host, terms, until

if TYPE_CHECKING:
    from collections.abc import Iterator

ALICE = Identity.new()
MALLORY = Identity.new()


def client(host: Host, identity: Identity = ALICE, **more: bytes) -> Client:
    return Client(
        host.address,
        terms(identity, now=int(time.time()), psk=more.pop("psk", b"")),
        host.pin,
        seconds=10,
        **more,
    )


def raw(host: Host, *parts: bytes) -> socket.socket:
    """A connection on which PARTS were sent, unless the other end hung up before."""
    connection = socket.create_connection(host.address, timeout=10)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            connection.sendall(part)
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that still comes on CONNECTION, until the other end closes it."""
    received = b""
    with connection:
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionError:
            pass
    return received


# who gets in


def test_a_trusted_peer_is_answered() -> None:
    with Host(ALICE) as host, client(host) as session:
        answer = session.ask(messages.List(n=session.number()))

    assert answer == messages.Classes(n=1, names=CLASSES)


def test_many_questions_go_over_one_session() -> None:
    with Host(ALICE) as host, client(host) as session:
        numbers = [session.ask(messages.Ping(n=session.number())).n for _ in range(50)]

    assert numbers == list(range(1, 51))


def test_a_resident_process_connects_too() -> None:
    async def ask(host: Host) -> messages.AnyAnswer:
        mine = terms(ALICE, now=int(time.time()))
        first = messages.packed(messages.List(n=7))
        session = await connect(host.address, mine, host.pin, "host", first=first)
        answer = messages.answer(await session.receive(5) or b"")
        await session.end()
        return answer

    with Host(ALICE) as host:
        answer = asyncio.run(ask(host))

    assert answer == messages.Classes(n=7, names=CLASSES)


def test_an_unknown_key_gets_nothing_after_the_handshake() -> None:
    with Host(ALICE) as host, client(host, MALLORY) as session:
        with pytest.raises(Cut):
            session.log_in()

        assert host.door.counts["untrusted"] == 1


def test_a_site_secret_has_to_be_the_same() -> None:
    with Host(ALICE, psk=bytes(32), limits=Limits(hello_seconds=0.2)) as host:
        with client(host, psk=bytes(32)) as session:
            assert session.ask(messages.Ping(n=1)).n == 1
        with client(host, psk=b"\1" * 32) as session, pytest.raises(Cut):
            session.log_in()
        with pytest.raises(Cut):
            Client(host.address, terms(ALICE, now=int(time.time())), host.pin, seconds=5)


def test_another_host_at_the_address_says_nothing() -> None:
    """It does not know what we look for, and we do not tell it."""
    with Host(ALICE) as host:
        with pytest.raises(Cut):
            Client(host.address, terms(ALICE, now=int(time.time())), digest(MALLORY.public))

        assert host.door.counts["gate"] == 1


def test_a_token_opens_once() -> None:
    token = bytes(range(TOKEN))
    with Host(token=token) as host:
        with client(host, token=token) as session:
            session.log_in()
        with client(host, MALLORY, token=token) as session, pytest.raises(Cut):
            session.log_in()


# strangers


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b" " * 64,
        b"SSH-2.0-OpenSSH_9.6\r\n" + b"\0" * 64,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
        Initiator(terms(MALLORY), digest(MALLORY.public)).hello(),
        Initiator(terms(MALLORY), None).hello(),
    ],
    ids=["http", "ssh", "tls", "another-host's-gate", "ungated"],
)
def test_a_stranger_gets_no_octet(octets: bytes) -> None:
    with Host() as host:
        assert rest(raw(host, octets)) == b""


def test_who_passes_the_gate_but_not_the_rest_gets_one_message() -> None:
    with Host() as host:
        hello = Initiator(terms(MALLORY), host.pin).hello()
        received = rest(raw(host, hello, b"\0\xc5" + b"\0" * 197))

    assert len(received) == 2 + 229


def test_an_open_address_may_come_without_a_pin() -> None:
    with Host(ALICE) as host:
        host.door.open_to = lambda address: address == "127.0.0.1"
        with Client(host.address, terms(ALICE, now=int(time.time())), None, seconds=10) as session:
            session.log_in()

            assert session.proved.identity == host.identity.public


def test_the_first_message_cannot_be_repeated() -> None:
    with Host() as host:
        hello = Initiator(terms(MALLORY), host.pin).hello()
        with raw(host, hello) as first:
            assert first.recv(1) == b"\0"
            assert rest(raw(host, hello)) == b""

        assert host.door.counts["repeated"] == 1


# limits


def test_who_says_nothing_is_closed() -> None:
    with Host(limits=Limits(hello_seconds=0.1)) as host:
        begun = time.monotonic()
        assert rest(raw(host)) == b""
        assert time.monotonic() - begun < 2
        assert host.door.counts["late"] == 1


def test_who_sends_an_octet_now_and_then_is_closed() -> None:
    with Host(limits=Limits(hello_seconds=0.2)) as host, raw(host) as connection:
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 5:
                connection.sendall(b"S")
                time.sleep(0.02)
        except ConnectionError:
            pass

    assert time.monotonic() - begun < 2


def test_half_a_handshake_is_closed() -> None:
    with Host(limits=Limits(handshake_seconds=0.3)) as host:
        hello = Initiator(terms(MALLORY), host.pin).hello()
        received = rest(raw(host, hello, b"\0\xc5" + b"\0" * 100))

    assert len(received) == 2 + 229


def test_too_many_without_proof_push_out_the_oldest() -> None:
    with Host(limits=Limits(unproved_address=3)) as host:
        connections = [raw(host) for _ in range(4)]
        assert until(lambda: host.door.counts["crowded"] == 1)
        assert rest(connections[0]) == b""
        for connection in connections[1:]:
            connection.close()


def test_an_address_in_a_hurry_is_closed_before_it_costs() -> None:
    limits = Limits(handshakes_address=(0.001, 2.0))
    with Host(limits=limits) as host:
        received = [
            rest(raw(host, Initiator(terms(MALLORY), host.pin).hello(), bytes(2)))
            for _ in range(4)
        ]  # fmt: skip

    assert [len(octets) for octets in received] == [231, 231, 0, 0]


def test_the_silent_may_take_all_handshakes_that_are_left() -> None:
    limits = Limits(handshakes=(0.001, 2.0))
    with Host(limits=limits) as host:
        silent = [raw(host) for _ in range(2)]
        assert rest(raw(host)) == b""
        assert until(lambda: host.door.counts["busy"] == 1)
        silent[0].close()
        assert until(lambda: host.door.counts["cut"] == 1)
        hello = Initiator(terms(MALLORY), host.pin).hello()
        assert len(rest(raw(host, hello, bytes(2)))) == 231
        silent[1].close()


def test_a_full_house_says_so_to_those_whom_it_knows() -> None:
    with Host(ALICE, limits=Limits(sessions_key=1)) as host, client(host) as session:
        session.log_in()
        with client(host) as second, pytest.raises(Refused, match="try_later"):
            second.log_in()
        with client(host, MALLORY) as third, pytest.raises(Cut):
            third.log_in()


def test_reserved_places_are_for_the_essential() -> None:
    bob = Identity.new()
    with Host(ALICE, bob, limits=Limits(sessions=2, reserved=2)) as host:
        host.door.essential = frozenset([bob.id])
        with client(host) as session, pytest.raises(Refused):
            session.log_in()
        with client(host, bob) as session:
            session.log_in()


def test_a_session_that_is_left_makes_room() -> None:
    with Host(ALICE, limits=Limits(sessions_key=1)) as host:
        for _ in range(5):
            with client(host) as session:
                session.log_in()
            assert until(lambda: not host.door.sessions())


def test_who_asks_too_much_is_told_so() -> None:
    limits = Limits(requests=(1.0, 3.0), delay_seconds=0.0)
    with Host(ALICE, limits=limits) as host, client(host) as session:
        answers = [session.ask(messages.Ping(n=n)) for n in range(1, 6)]

    busy = [isinstance(answer, messages.Failed) for answer in answers]
    assert busy == [False, False, False, True, True]


def test_a_request_that_takes_too_long_is_ended() -> None:
    limits = Limits(request_seconds=0.05)
    with Host(ALICE, limits=limits) as host, client(host) as session:
        answer = session.ask(messages.Variable(n=1, name="x"))

    assert answer == messages.Failed(n=1, code="late")


def test_what_this_host_does_not_serve_is_said() -> None:
    with Host(ALICE) as host, client(host) as session:
        answer = session.ask(messages.Literal(n=1, handle="x"))

    assert answer == messages.Failed(n=1, code="unsupported")


# how it ends


def test_a_server_that_stops_lets_go_of_everybody() -> None:
    with Host(ALICE) as host:
        session = client(host)
        session.log_in()
    with session, pytest.raises((Cut, OSError)):
        session.ask(messages.Ping(n=1))


def test_a_peer_that_is_cut_off_is_cut_off_at_once() -> None:
    with Host(ALICE) as host, client(host) as session:
        session.log_in()
        begun = time.monotonic()
        assert host.called(lambda: host.door.cut(ALICE.id)) == 1
        with pytest.raises((Cut, OSError)):
            session.ask(messages.Ping(n=1))

    assert time.monotonic() - begun < 1


def test_an_idle_session_ends_in_good_order() -> None:
    with Host(ALICE, limits=Limits(idle_seconds=0.1)) as host, client(host) as session:
        session.log_in()
        assert isinstance(session._next(), messages.Leaving)
        with pytest.raises(Cut, match="the peer ended the session"):
            session._next()


def test_a_session_in_which_something_is_always_asked_ends_as_others_do() -> None:
    limits = Limits(session_seconds=0.1, request_seconds=0.1, requests=(1000.0, 1000.0))
    with Host(ALICE, limits=limits) as host, client(host) as session:
        session.log_in()
        numbers = iter(range(1, 100))
        ask = [session._sender.message(messages.packed(messages.Variable(n=n, name="x")))
               for n in (next(numbers), next(numbers))]  # fmt: skip
        session._wire.write(b"".join(ask))
        begun = time.monotonic()
        while not isinstance(session._next(), messages.Leaving):
            variable = messages.Variable(n=next(numbers), name="x")
            session._wire.write(session._sender.message(messages.packed(variable)))
        assert time.monotonic() - begun < 3


def test_octets_that_are_no_request_end_the_session() -> None:
    with Host(ALICE) as host, client(host) as session:
        session.log_in()
        session._wire.write(session._sender.message(b"\xc1"))
        with pytest.raises((Cut, OSError)):
            session._next()

        assert host.door.counts["cut"] == 1


def test_a_message_that_takes_too_long_ends_the_session() -> None:
    limits = Limits(message_seconds=0.1)
    with Host(ALICE, limits=limits) as host, client(host) as session:
        session.log_in()
        session._wire.write(session._sender.message(bytes(5000))[:100])
        begun = time.monotonic()
        with pytest.raises((Cut, OSError)):
            session._next()

    assert time.monotonic() - begun < 2


def test_a_client_that_meets_silence_gives_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(TimeoutError):
        Client(mute.getsockname(), terms(ALICE), digest(MALLORY.public), seconds=0.1)


@pytest.mark.parametrize("octets", [b"", b"\0\xe4", b"\0\xe5" + bytes(229), b"HTTP/1.1 400 Bad"])
def test_a_client_that_meets_something_else_hangs_up(octets: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def speak() -> None:
            with other.accept()[0] as connection:
                connection.recv(56)
                connection.sendall(octets)

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises((Closed, Cut)):
            Client(other.getsockname(), terms(ALICE), digest(MALLORY.public), seconds=5)
        thread.join()


def test_a_mistake_of_ours_ends_one_session(caplog: pytest.LogCaptureFixture) -> None:
    with Host(ALICE) as host, client(host) as session:
        session.log_in()
        with client(host) as other, pytest.raises(Cut):
            other.ask(messages.Unsubscribe(n=1, which=1))

        assert session.ask(messages.Ping(n=5)).n == 5
        assert host.door.counts["error: LookupError('a mistake of ours')"] == 1


def test_what_breaks_a_session_ends_no_other() -> None:
    with Host(ALICE) as host, client(host) as session:
        session.log_in()
        with client(host) as other:
            other.log_in()
            other._wire.write(b"\0\x20" + bytes(32))
            with pytest.raises((Cut, OSError)):
                other._next()

        assert session.ask(messages.Ping(n=5)).n == 5


# octets that nobody agreed on


@settings(max_examples=100, deadline=None)
@given(octets=st.binary(max_size=600))
def test_arbitrary_octets_from_strangers_and_friends(crowded: Host, octets: bytes) -> None:
    """As a first message, instead of a last one, in place of frames, and as a request."""
    hello = Initiator(terms(ALICE, now=int(time.time())), crowded.pin).hello()
    for parts in ((octets,), (hello, octets)):
        with raw(crowded, *parts) as connection:
            hang_up(connection)
            rest(connection)
    for wrapped in (False, True):
        with client(crowded) as session:
            session.log_in()
            session._wire.write(session._sender.message(octets or b"x") if wrapped else octets)
            hang_up(session._wire._socket)
            with pytest.raises((Cut, OSError)):
                session._next()
    with client(crowded) as honest:
        assert honest.ask(messages.List(n=1)) == messages.Classes(n=1, names=CLASSES)

    assert [reason for reason in crowded.door.counts if reason.startswith("error")] == []


def hang_up(connection: socket.socket) -> None:
    """Say no more, unless the other end was faster."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def crowded() -> Iterator[Host]:
    """A host that does not mind many visits."""
    plenty = (1e6, 1e6)
    limits = Limits(
        handshakes=plenty, handshakes_address=plenty, requests=plenty,
        unproved_address=1000, unproved=1000, sessions_key=1000,
    )  # fmt: skip
    with Host(ALICE, limits=limits) as host:
        yield host


def test_a_command_does_not_pay_for_asyncio() -> None:
    code = "import sys, server.wire.client; print('asyncio' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "False\n"


def test_the_first_answer_does_not_wait_for_an_acknowledgement() -> None:
    """Nagle's algorithm and delayed acknowledgements together cost 40 ms."""
    with Host(ALICE) as host:
        times = []
        for _ in range(5):
            with client(host) as session:
                begun = time.monotonic()
                session.ask(messages.Ping(n=1))
                times.append(time.monotonic() - begun)

    assert min(times) < 0.03
