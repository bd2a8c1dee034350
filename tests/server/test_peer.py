"""`troth key` and `troth peer`: what they print, what two hosts know of each other afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from agent import key, peer
from agent.log import Log
from agent.options import Settings
from server.wire import messages, seen
from server.wire.client import visit
from server.wire.keys import fingerprint
from server.wire.peerfiles import BadKey
from server.wire.transport import Cut
from server.wire.trust import Peer, Store, TrustError
from tests.server.hosts import HANDLERS, Host

if TYPE_CHECKING:
    from pathlib import Path

    from server.wire.handshake import Proved
    from server.wire.serving import Visit


class Operator:
    """Somebody at the command line of a host whose work directory is PATH."""

    def __init__(self, path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        path.mkdir(mode=0o700)
        self.path = path
        self.status = 0
        self._capfd = capfd

    @property
    def store(self) -> Store:
        return Store(f"{self.path}/ppkeys", int(time.time()))

    def types(self, program: str, *words: str, **options: object) -> str:
        """What `troth PROGRAM WORDS` prints."""
        settings = Settings(
            {"workdir": str(self.path), "files": words, "now": time.time(), **options}
        )
        log = Log()
        self.status = {"key": key, "peer": peer}[program].main(settings, log)
        log.flush()
        return self._capfd.readouterr().out


@pytest.fixture
def hub(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Operator:
    operator = Operator(tmp_path / "hub", capfd)
    operator.types("key", "create")
    return operator


@pytest.fixture
def web(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Operator:
    operator = Operator(tmp_path / "web", capfd)
    operator.types("key", "create")
    return operator


def test_a_key_is_shown_as_hex_and_words(hub: Operator) -> None:
    number, words = hub.types("key").splitlines()

    assert number == hub.store.identity().id
    assert fingerprint(number) == fingerprint(words)
    assert hub.types("key", "show") == f"{number}\n{words}\n"


def test_a_key_is_shown_to_programs(hub: Operator) -> None:
    shown = json.loads(hub.types("key", json=True))

    assert shown["id"] == hub.store.identity().id


def test_a_key_is_made_once(hub: Operator) -> None:
    before = hub.types("key")
    said = hub.types("key", "create")

    assert (hub.status, hub.types("key")) == (1, before)
    assert "is there already" in said


def test_a_host_without_a_key_says_what_to_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    operator = Operator(tmp_path / "new", capfd)

    assert "'troth key create'" in operator.types("key")
    assert operator.status == 1


def test_a_peer_is_added_by_address_and_fingerprint(hub: Operator, web: Operator) -> None:
    number, words = web.types("key").splitlines()
    assert hub.types("peer", "add", "10.0.0.7", words, "web7") == f"web7: {number}\n"
    listed = hub.types("peer", "list")

    assert listed.split()[:3] == ["web7", number, "10.0.0.7"]
    assert "never seen" in listed
    assert hub.types("key", "show", "web7") == f"{number}\n{words}\n"


def test_a_peer_is_added_by_its_public_file(hub: Operator, web: Operator) -> None:
    hub.types("peer", "add", "10.0.0.7", f"{web.path}/ppkeys/localhost.pub")
    found = hub.store.trust().named("10.0.0.7")

    assert found is not None
    assert found.key == web.store.identity().public


def test_another_address_of_a_peer_is_added(hub: Operator, web: Operator) -> None:
    """As of one that has joined, which nobody knows where to visit."""
    number = web.store.identity().id
    hub.store.add(Peer(id=number, label="web7", key=web.store.identity().public))

    assert hub.types("peer", "add", "10.0.0.7", number) == "web7: 10.0.0.7\n"
    assert hub.types("peer", "add", "web7:1", number, "web7") == "web7: 10.0.0.7 web7:1\n"
    assert "already" in hub.types("peer", "add", "10.0.0.8", number, "web8")
    assert "error" in hub.types("peer", "add", "not an address", number)
    known = hub.store.trust().peers[number]
    assert (known.addresses, known.key) == (
        ("10.0.0.7", "web7:1"), web.store.identity().public
    )  # fmt: skip
    hub.store.revoke(number)
    assert "is no peer" in hub.types("peer", "add", "10.0.0.9", number)


def test_the_list_says_who_was_seen(hub: Operator, web: Operator) -> None:
    number = web.store.identity().id
    hub.types("peer", "add", "10.0.0.7", number)
    seen.note(f"{hub.path}/{peer.SEEN}", number, "10.0.0.8", 1_800_000_000)

    assert "seen 2027-01-15T08:00:00Z from 10.0.0.8" in hub.types("peer")
    assert json.loads(hub.types("peer", json=True))[0]["seen_at"] == 1_800_000_000


def test_a_peer_is_removed(hub: Operator, web: Operator) -> None:
    number = web.store.identity().id
    hub.types("peer", "add", "10.0.0.7", number)

    assert hub.types("peer", "remove", "10.0.0.7") == f"removed 10.0.0.7: {number}\n"
    assert hub.types("peer") == ""


def test_a_rotation_is_handed_over(hub: Operator, web: Operator) -> None:
    old = web.store.identity()
    hub.types("peer", "add", "10.0.0.7", old.id, "web7")
    number, statement = web.types("peer", "rotate").splitlines()

    assert hub.types("peer", "rotate", statement) == f"web7: {number}\n"
    assert web.store.identity().id == number != old.id


def test_who_has_to_be_told_of_a_rotation_by_hand_is_named(hub: Operator, web: Operator) -> None:
    hub.store.add(Peer(id=web.store.identity().id, label="web7"))

    assert "no address is known of web7" in hub.types("peer", "rotate")


def test_a_second_rotation_waits_or_is_forced(hub: Operator) -> None:
    hub.types("peer", "rotate")

    assert "would be lost" in hub.types("peer", "rotate")
    assert hub.status == 1
    hub.types("peer", "rotate", force=True)
    assert hub.status == 0


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("add", "10.0.0.7"),
        ("add", "10.0.0.7", "nonsense"),
        ("add", "10.0.0.7", "/nowhere/localhost.pub"),
        ("add", "not an address", "0" * 64),
        ("remove", "nobody"),
        ("join", "sgw1i.nonsense"),
        ("rotate", "sgw1r.nonsense"),
        ("list", "more"),
    ],
)
def test_what_cannot_be_done_is_said(hub: Operator, words: tuple[str, ...]) -> None:
    said = hub.types("peer", *words)

    assert hub.status == 1
    assert "error:" in said
    assert hub.types("peer") == ""


def test_an_invitation_is_for_a_time(hub: Operator) -> None:
    hub.types("peer", "invite", "web7", ttl="soon")
    assert hub.status == 1
    hub.types("peer", "invite", "web7", ttl="25h")
    assert hub.status == 1
    assert hub.types("peer", "invite", "web7", ttl="30m").startswith("sgw1i.")


class Hub(Host):
    """A server that lets in whom the files of an operator's host name."""

    def __init__(self, operator: Operator) -> None:
        super().__init__(handlers={**HANDLERS, messages.Rotate: self.rotate})
        self.identity = operator.store.identity()
        self._operator = operator

    async def rotate(self, request: messages.Rotate, visit: Visit) -> messages.Answer:
        """Trust a peer's new key, too."""
        try:
            self._operator.store.succeed(request.statement)
        except (BadKey, TrustError):
            return messages.Failed(n=request.n, code="no")
        return messages.Done(n=request.n)

    async def judge(self, proved: Proved, address: str) -> str | None:
        store = self._operator.store
        known = store.trust().judge(proved.identity, store.now)
        if known is None and proved.token:
            known = await asyncio.to_thread(store.enrol, proved.identity, proved.token, address)
        return known.label if known else None


def test_an_invited_host_joins(hub: Operator, web: Operator) -> None:
    with Hub(hub) as server:
        text = hub.types("peer", "invite", "web7", f"127.0.0.1:{server.address[1]}").strip()
        said = web.types("peer", "join", text, "hub")

    assert said.endswith("'hub' let us in\n")
    assert hub.store.trust().judge(web.store.identity().public, hub.store.now)
    assert web.store.token(hub.store.identity().id) == b""


def test_both_ends_of_an_invitation_use_a_removed_name_again_by_force(
    hub: Operator, web: Operator
) -> None:
    web.types("peer", "add", "10.0.0.1", "SHA=" + "1" * 64, "hub")
    hub.types("peer", "add", "10.0.0.7", "SHA=" + "7" * 64, "web7")
    web.types("peer", "remove", "hub")
    hub.types("peer", "remove", "web7")
    with Hub(hub) as server:
        address = f"127.0.0.1:{server.address[1]}"
        assert "--force" in hub.types("peer", "invite", "web7", address)
        text = hub.types("peer", "invite", "web7", address, force=True).strip()
        assert "--force" in web.types("peer", "join", text, "hub")
        said = web.types("peer", "join", text, "hub", force=True)

    assert said.endswith("'hub' let us in\n")


def test_a_name_that_is_taken_asks_no_stranger(hub: Operator, web: Operator) -> None:
    web.types("peer", "add", "10.0.0.1", "SHA=" + "1" * 64, "hub")
    with Hub(hub) as server:
        said = web.types("peer", "add", f"127.0.0.1:{server.address[1]}", "hub", first_use=True)
        assert server.door.counts.total() == 0

    assert "there is a 'hub' already" in said


def test_a_used_invitation_lets_nobody_in(
    hub: Operator, web: Operator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    late = Operator(tmp_path / "late", capfd)
    late.types("key", "create")
    with Hub(hub) as server:
        text = hub.types("peer", "invite", "web7", f"127.0.0.1:{server.address[1]}").strip()
        web.types("peer", "join", text, "hub")
        said = late.types("peer", "join", text, "hub")

    assert "did not let us in" in said
    assert [found.label for found in hub.store.trust().peers.values()] == ["web7"]


def test_a_peer_is_visited_at_the_address_where_it_is(hub: Operator, web: Operator) -> None:
    """Its fingerprint was enough; from now on we have its key."""
    web.types("peer", "add", "127.0.0.1:1", hub.store.identity().id, "hub")
    hub.types("peer", "add", "10.0.0.7", web.store.identity().id, "web7")
    known = web.store.trust().named("hub")
    assert known is not None
    with Hub(hub) as server:
        moved = replace(known, addresses=("127.0.0.1:1", f"127.0.0.1:{server.address[1]}"))
        with visit(web.store, moved, seconds=5) as session:
            session.log_in()

    assert web.store.trust().peers[known.id].key == hub.store.identity().public


def test_a_peer_without_an_address_cannot_be_visited(hub: Operator) -> None:
    nowhere = Peer(id="SHA=" + "0" * 64, label="nowhere")
    with pytest.raises(Cut, match="no address"):
        visit(hub.store, nowhere)


def test_a_peer_learns_our_new_key_when_we_visit(hub: Operator, web: Operator) -> None:
    hub.types("peer", "add", "10.0.0.7", web.store.identity().id, "web7")
    with Hub(hub) as server:
        address = f"127.0.0.1:{server.address[1]}"
        web.types("peer", "add", address, hub.store.identity().id, "hub")
        web.types("peer", "rotate")
        known = web.store.trust().named("hub")
        assert known is not None
        for _ in "12":
            with visit(web.store, known, seconds=5) as session:
                assert session.ask(messages.Ping(n=1)).n == 1

        assert server.door.counts["untrusted"] == 1
    assert hub.store.trust().judge(web.store.identity().public, hub.store.now)


def test_a_new_key_of_somebody_unknown_is_not_let_in(hub: Operator, web: Operator) -> None:
    with Hub(hub) as server:
        address = f"127.0.0.1:{server.address[1]}"
        web.types("peer", "add", address, hub.store.identity().id, "hub")
        web.types("peer", "rotate")
        known = web.store.trust().named("hub")
        assert known is not None
        with pytest.raises(Cut):
            visit(web.store, known, seconds=5)

    assert hub.store.trust().peers == {}
