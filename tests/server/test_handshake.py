"""Who is let through a handshake: fixed messages with their reasons, and everything nearby."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from server.wire.handshake import (
    M1,
    REASONS,
    TOKEN,
    Closed,
    Initiator,
    Responder,
    Terms,
    gate,
    knock,
    unpacked,
)
from server.wire.keys import Identity, digest
from tests.server.hosts import NOW, met, terms
from tests.server.vectors import make

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "handshake.json").read_text()
)
CASES: list[dict[str, str]] = VECTORS["cases"]
ALICE, BOB = Identity.new(), Identity.new()
PIN = digest(make.BOB.public)


def fixed(name: str) -> Terms:
    """The terms of the host NAME in the vectors."""
    mine = make.AS_ALICE if name == "alice" else make.AS_BOB
    secret = make.SECRETS[f"{name}'s e"]
    return Terms(credentials=mine, clock=make.NOW * 1000, ephemeral=lambda: secret)


def outcome(case: dict[str, str]) -> str:
    """The reason for which CASE is refused, or nothing."""
    octets = bytes.fromhex(case["octets"])
    initiator = Initiator(fixed("alice"), PIN)
    m1 = initiator.hello()
    try:
        if case["message"] == "M1":
            knock(octets, PIN)
        elif case["message"] == "M2":
            initiator.finish(octets)
        else:
            responder = Responder(fixed("bob"), m1)
            responder.reply()
            responder.finish(octets)
    except Closed as closed:
        return str(closed)
    return ""


@pytest.mark.parametrize("case", CASES, ids=[f"{case['message']} {case['name']}" for case in CASES])
def test_each_vector_ends_as_it_says(case: dict[str, str]) -> None:
    assert outcome(case) == case["reason"]


def test_the_vectors_are_what_their_maker_makes() -> None:
    assert make.cases() == CASES


def test_most_vectors_fail_and_every_reason_has_one() -> None:
    failing = [case for case in CASES if case["reason"]]

    assert len(failing) > 3 * (len(CASES) - len(failing))
    assert {case["reason"] for case in failing} == REASONS


def test_what_we_write_is_fixed() -> None:
    good = {case["message"]: case["octets"] for case in CASES if case["name"] == "a good one"}
    initiator = Initiator(fixed("alice"), PIN)
    m1 = initiator.hello()
    m2 = Responder(fixed("bob"), m1).reply()
    m3, _ = initiator.finish(m2)

    assert {"M1": m1.hex(), "M2": m2.hex(), "M3": m3.hex()} == good


def test_both_know_each_other_and_the_channel() -> None:
    of_bob, of_alice = met(terms(ALICE), terms(BOB))

    assert (of_bob.identity, of_alice.identity) == (BOB.public, ALICE.public)
    assert of_bob.channel == of_alice.channel
    assert (of_bob.send_key, of_bob.receive_key) == (of_alice.receive_key, of_alice.send_key)
    assert of_bob.send_key != of_bob.receive_key


def test_no_two_handshakes_are_alike() -> None:
    mine, theirs = terms(ALICE), terms(BOB)
    channels = {met(mine, theirs)[0].channel for _ in range(10)}

    assert len(channels) == 10


def test_a_clock_that_is_off_is_measured_not_refused() -> None:
    of_bob, of_alice = met(terms(ALICE, now=NOW + 3600), terms(BOB))

    assert (of_bob.skew, of_alice.skew) == (-3_600_000, 3_600_000)


def test_a_token_arrives_only_where_it_was_sent() -> None:
    token = bytes(range(TOKEN))
    initiator = Initiator(terms(ALICE), digest(BOB.public), token)
    responder = Responder(terms(BOB), initiator.hello())
    m3, _ = initiator.finish(responder.reply())

    assert token not in m3
    assert responder.finish(m3).token == token


def test_ungated_only_where_the_address_is_open() -> None:
    m1 = Initiator(terms(ALICE), None).hello()

    knock(m1, digest(BOB.public), open_to=True)
    with pytest.raises(Closed, match="gate"):
        knock(m1, digest(BOB.public))


def test_ungated_with_anything_in_the_gate() -> None:
    m1 = bytearray(Initiator(terms(ALICE), None).hello())
    m1[8] = 1
    with pytest.raises(Closed, match="gate"):
        knock(bytes(m1), digest(BOB.public), open_to=True)


@pytest.mark.parametrize("point", make.LOW_ORDER.values(), ids=list(make.LOW_ORDER))
def test_an_ephemeral_key_of_low_order_gets_no_answer(point: bytes) -> None:
    clear = b"SGW1\1\1\0\0"
    m1 = clear + gate(digest(BOB.public), clear, point) + point
    knock(m1, digest(BOB.public))
    responder = Responder(terms(BOB), m1)
    with pytest.raises(Closed, match="noise"):
        responder.reply()


@pytest.mark.parametrize(
    ("alice", "bob"), [(b"", b"\1" * 32), (b"\1" * 32, b""), (b"\1" * 32, b"\2" * 32)]
)
def test_site_secrets_that_differ(alice: bytes, bob: bytes) -> None:
    with pytest.raises(Closed):
        met(terms(ALICE, psk=alice), terms(BOB, psk=bob))


def test_one_site_secret() -> None:
    of_bob, _ = met(terms(ALICE, psk=b"\1" * 32), terms(BOB, psk=b"\1" * 32))

    assert of_bob.identity == BOB.public


def test_a_message_sent_back_proves_nothing() -> None:
    """Whoever reflects what we say is not taken for a peer, nor for ourselves."""
    initiator = Initiator(terms(ALICE), digest(ALICE.public))
    m1 = initiator.hello()
    with pytest.raises(Closed, match="noise"):
        initiator.finish((m1 * 5)[:229])


def test_somebody_in_the_middle_who_has_a_key_of_its_own() -> None:
    mallory = Identity.new()
    initiator = Initiator(terms(ALICE), digest(BOB.public))
    m2 = Responder(terms(mallory), initiator.hello()).reply()
    with pytest.raises(Closed, match="identity"):
        initiator.finish(m2)


def test_a_certificate_of_somebody_else() -> None:
    """Who copied a certificate has not got its static key."""
    borrowed = replace(terms(Identity.new()), credentials=terms(BOB).credentials)
    borrowed.credentials.secret = terms(ALICE).credentials.secret
    initiator = Initiator(terms(ALICE), digest(BOB.public))
    m2 = Responder(borrowed, initiator.hello()).reply()
    with pytest.raises(Closed, match="certificate"):
        initiator.finish(m2)


def test_every_bit_of_the_handshake_counts() -> None:
    """In M1 the gate notices, or Noise; in M2 and M3 Noise."""
    mine, theirs = fixed("alice"), fixed("bob")
    sizes = {"M1": 56, "M2": 229, "M3": 197}
    accepted = [
        (victim, bit)
        for victim, size in sizes.items()
        for bit in range(size * 8)
        if survives(mine, theirs, victim, bit)
    ]

    assert accepted == []


def survives(mine: Terms, theirs: Terms, victim: str, bit: int) -> bool:
    """Whether a handshake comes to an end though BIT of the message VICTIM was changed."""

    def carried(name: str, octets: bytes) -> bytes:
        if name != victim:
            return octets
        changed = bytearray(octets)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    try:
        initiator = Initiator(mine, PIN)
        m1 = carried("M1", initiator.hello())
        knock(m1, PIN, open_to=True)
        responder = Responder(theirs, m1)
        m3, _ = initiator.finish(carried("M2", responder.reply()))
        responder.finish(carried("M3", m3))
    except Closed:
        return False
    return True


@given(st.binary(max_size=300))
def test_arbitrary_octets_are_refused_with_a_reason(octets: bytes) -> None:
    initiator = Initiator(terms(ALICE), PIN)
    m1 = initiator.hello()
    responder = Responder(terms(BOB), m1)
    responder.reply()
    for judge in (lambda: knock(octets, PIN), lambda: initiator.finish(octets),
                  lambda: responder.finish(octets), lambda: unpacked(octets[:132])):  # fmt: skip
        with pytest.raises(Closed) as closed:
            judge()
        assert str(closed.value) in REASONS


@settings(max_examples=300)
@given(st.data())
def test_arbitrary_octets_of_the_right_length_are_refused(data: st.DataObject) -> None:
    octets = data.draw(st.binary(min_size=M1, max_size=M1))
    with pytest.raises(Closed):
        knock(b"SGW1\1\1\0\0" + octets[8:], PIN)
