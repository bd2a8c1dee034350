"""Addresses: what is none is refused at the border, and what slipped in before stops nobody."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest

from server.names import confirmed
from server.wire import messages, stream
from server.wire.client import Client, visit
from server.wire.keys import Identity
from server.wire.transport import BadAddress, placed
from server.wire.trust import Peer, Store
from tests.server.hosts import Host, terms

if TYPE_CHECKING:
    from pathlib import Path

LONG = "x" * 64


@pytest.mark.parametrize(
    "text",
    ["a..b", ".", ".a", "a..", f"{LONG}.example.com", f"{LONG}:1", "[a..b]", "[::%", "[fe80]:1",
     f"[fe80::1%{LONG}]"],
)  # fmt: skip
def test_what_the_resolver_does_not_take_is_no_address(text: str) -> None:
    with pytest.raises(BadAddress):
        placed(text)


@pytest.mark.parametrize("text", ["a.", f"{LONG[1:]}.b", "[::ffff:10.0.0.7]", "_a.b-c"])
def test_what_it_takes_is_one(text: str) -> None:
    assert placed(text)[1] == 5308


def test_a_visit_goes_on_behind_what_is_no_address(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    store = Store(f"{tmp_path}/ppkeys", int(time.time()))
    with Host(store.create()) as host:
        at = "{}:{}".format(*host.address)
        peer = Peer(
            id=host.identity.id, label="x", key=host.identity.public,
            addresses=("a..b", f"{LONG}:1", at),
        )  # fmt: skip
        with visit(store, peer, seconds=5) as session:
            assert isinstance(session.ask(messages.Ping(n=session.number())), messages.Pong)


def test_a_name_that_cannot_be_asked_for_is_no_address() -> None:
    who = terms(Identity.new())

    with pytest.raises(BadAddress):
        Client(("a..b", 1), who, None)
    with pytest.raises(BadAddress):
        asyncio.run(stream.connect(("a..b", 1), who, None, ""))


def test_a_name_in_the_dns_that_is_none_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostbyaddr", lambda address: ("a..b", [LONG], [address]))

    assert confirmed("192.0.2.7") == ()
