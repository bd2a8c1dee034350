"""The closed table: what fits comes back as it was, and nothing else becomes a message."""

from __future__ import annotations

import typing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire import messages
from server.wire.messages import ANSWERS, REQUESTS, Answer, BadMessage, Request

PROTOCOL = Path(messages.__file__).with_name("PROTOCOL.md").read_text()

number = st.integers(0, 2**32 - 1)
sequence = st.integers(0, 2**63 - 1)
name = st.text(st.characters(codec="utf-8"), max_size=255)
globs = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=255), max_size=64).map(
    tuple
)
code = st.from_regex("[a-z_]{1,32}", fullmatch=True)
signed = st.builds(
    messages.Signed, body=st.binary(max_size=2048), signature=st.binary(min_size=64, max_size=64)
)

FIELDS: dict[type[Request] | type[Answer], dict[str, st.SearchStrategy[typing.Any]]] = {
    messages.Ping: {},
    messages.List: {"after": name},
    messages.Variable: {"name": name},
    messages.Literal: {"handle": name},
    messages.Pull: {
        "globs": globs, "epoch": sequence, "after": sequence,
        "limit": st.integers(0, 512), "wait": st.integers(0, 25),
    },
    messages.Subscribe: {"globs": globs, "epoch": sequence, "after": sequence},
    messages.Ack: {"epoch": sequence, "upto": sequence},
    messages.Unsubscribe: {"which": number},
    messages.Rotate: {"statement": st.binary(max_size=512)},
    messages.GoAway: {},
    messages.Welcome: {
        "session": st.binary(min_size=16, max_size=16), "rate": number, "idle": number,
    },
    messages.Refuse: {"code": code},
    messages.Pong: {"clock": sequence},
    messages.Classes: {"names": st.lists(name, max_size=20).map(tuple), "more": st.booleans()},
    messages.Found: {"value": st.binary(max_size=1000)},
    messages.Signals: {
        "epoch": sequence, "upto": sequence, "signals": st.lists(signed, max_size=3).map(tuple),
    },
    messages.Done: {},
    messages.Failed: {"code": code},
    messages.Leaving: {},
}  # fmt: skip


def made(kind: type[Request] | type[Answer]) -> st.SearchStrategy[typing.Any]:
    return st.builds(kind, n=number, **FIELDS[kind])


requests = st.one_of([made(kind) for kind in REQUESTS])
answers = st.one_of([made(kind) for kind in ANSWERS])


@settings(max_examples=300)
@given(requests)
def test_a_request_comes_as_it_was_sent(request: messages.AnyRequest) -> None:
    assert messages.request(messages.packed(request)) == request


@settings(max_examples=300)
@given(answers)
def test_an_answer_comes_as_it_was_sent(answer: messages.AnyAnswer) -> None:
    assert messages.answer(messages.packed(answer)) == answer


@settings(max_examples=500)
@given(st.binary(max_size=500))
def test_arbitrary_octets_are_refused(octets: bytes) -> None:
    for parse in (messages.request, messages.answer):
        with pytest.raises(BadMessage):
            parse(octets)


@settings(max_examples=500)
@given(requests, st.data())
def test_octets_near_a_message_are_one_or_refused(
    request: messages.AnyRequest, data: st.DataObject
) -> None:
    octets = bytearray(messages.packed(request))
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = messages.request(bytes(octets))
    except BadMessage:
        return

    assert messages.request(messages.packed(found)) == found


@pytest.mark.parametrize(
    "octets",
    [
        b"\x91" * 250_000,
        b"\x83\xa2op\xa4ping\xa1n\x01\xa1x" + b"\x91" * 250_000,
        b"\xdf" + b"\xff" * 4,
    ],
    ids=["arrays", "arrays-in-an-unknown-field", "a-map-of-four-billion"],
)  # fmt: skip
def test_bombs_are_refused(octets: bytes) -> None:
    with pytest.raises(BadMessage):
        messages.request(octets)


REFUSED = {
    "an unknown operation": {"op": "exec", "n": 1},
    "an attribute's name as operation": {"op": "__init__", "n": 1},
    "no operation": {"n": 1},
    "no number": {"op": "ping"},
    "a number below zero": {"op": "ping", "n": -1},
    "a number beyond 32 bits": {"op": "ping", "n": 2**32},
    "a text for a number": {"op": "ping", "n": "1"},
    "a name of 256 characters": {"op": "variable", "n": 1, "name": "x" * 256},
    "65 globs": {"op": "subscribe", "n": 1, "globs": ["x"] * 65},
    "an empty glob": {"op": "subscribe", "n": 1, "globs": [""]},
    "a long glob": {"op": "subscribe", "n": 1, "globs": ["x" * 256]},
    "a limit of 513": {"op": "pull", "n": 1, "globs": [], "limit": 513},
    "a wait of 26 seconds": {"op": "pull", "n": 1, "globs": [], "wait": 26},
    "an answer": {"op": "pong", "n": 1, "clock": 1},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(BadMessage):
        messages.request(msgspec.msgpack.encode(REFUSED[name]))


def test_fields_of_later_versions_are_skipped() -> None:
    octets = msgspec.msgpack.encode({"op": "ping", "n": 1, "later": [1, {"x": None}]})

    assert messages.request(octets) == messages.Ping(n=1)


def test_the_table_is_whole() -> None:
    """What decodes is in the table; each row is documented and has a case here."""
    assert (
        set(typing.get_args(messages.AnyRequest)) == set(REQUESTS) == set(Request.__subclasses__())
    )
    assert set(typing.get_args(messages.AnyAnswer)) == set(ANSWERS) == set(Answer.__subclasses__())
    assert set(FIELDS) == {*REQUESTS, *ANSWERS}


@pytest.mark.parametrize("kind", [*REQUESTS, *ANSWERS], ids=lambda kind: kind.__name__)
def test_each_operation_is_in_the_protocol(kind: type[msgspec.Struct]) -> None:
    assert f"`{kind.__struct_config__.tag}`" in PROTOCOL


def test_requests_weigh_what_the_protocol_says() -> None:
    assert messages.weight(messages.List(n=1)) == 1
    assert messages.weight(messages.Pull(n=1, globs=(), limit=500)) == 6
    assert messages.weight(messages.Rotate(n=1, statement=b"")) == 20
