"""Whom a host trusts: nobody whom its operator did not name, invite, or let follow another key."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire import keys, seen
from server.wire.keys import Identity
from server.wire.peerfiles import BadKey
from server.wire.statements import (
    INVITATION,
    Invitation,
    armoured,
    invitation,
    rotation,
    unarmoured,
)
from server.wire.transport import BadAddress, placed
from server.wire.trust import BLOCKED, Peer, Store, TrustError

NOW = 1_800_000_000
DAY = 24 * 3600


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "ppkeys"), NOW)
    made.create()
    return made


def later(store: Store, seconds: int) -> Store:
    """STORE after SECONDS."""
    return Store(store.path, NOW + seconds)


def entry(identity: Identity, label: str = "web1", not_after: int = 0) -> Peer:
    return Peer(id=identity.id, label=label, key=identity.public, added_at=NOW, not_after=not_after)


def labels(store: Store) -> list[str]:
    return sorted(peer.label for peer in store.trust().peers.values())


# peers


def test_nobody_is_trusted_at_first(store: Store) -> None:
    assert store.trust().judge(Identity.new().public, NOW) is None
    assert store.trust().judge(store.identity().public, NOW) is None


def test_who_was_added_is_trusted(store: Store) -> None:
    web = Identity.new()
    store.add(entry(web))
    found = store.trust().judge(web.public, NOW)

    assert found == entry(web)


def test_a_fingerprint_is_enough(store: Store) -> None:
    web = Identity.new()
    store.add(Peer(id=web.id, label="web1", addresses=("10.0.0.7", "[2001:db8::7]:99")))
    assert store.trust().judge(web.public, NOW) is not None
    store.learn(web.public)

    assert store.trust().peers[web.id].key == web.public


def test_a_key_is_learnt_only_of_those_whom_we_trust(store: Store) -> None:
    store.learn(Identity.new().public)

    assert store.trust().peers == {}


def test_the_end_of_an_entry_is_the_end_of_trust(store: Store) -> None:
    web = Identity.new()
    store.add(entry(web, not_after=NOW + 10))

    assert store.trust().judge(web.public, NOW + 10)
    assert not store.trust().judge(web.public, NOW + 11)


def test_revocation_wins(store: Store) -> None:
    web = Identity.new()
    store.add(entry(web))
    store.revoke(web.id)

    assert not store.trust().judge(web.public, NOW)
    with pytest.raises(TrustError, match="revoked"):
        store.add(entry(web, "other"))


def test_another_key_for_a_known_label_is_refused(store: Store) -> None:
    store.add(entry(Identity.new()))
    with pytest.raises(TrustError, match="another key"):
        store.add(entry(Identity.new()))


def test_a_key_has_one_label(store: Store) -> None:
    web = Identity.new()
    store.add(entry(web))
    with pytest.raises(TrustError, match="already"):
        store.add(entry(web, "web2"))


def test_a_host_is_not_its_own_peer(store: Store) -> None:
    with pytest.raises(TrustError, match="itself"):
        store.add(entry(store.identity()))


@pytest.mark.parametrize("label", ["", "a b", "../x", "-x", ".x", "x" * 65, "x\ny", "é"])
def test_labels_are_names(store: Store, label: str) -> None:
    with pytest.raises(TrustError, match="not a label"):
        store.add(entry(Identity.new(), label))


def test_who_was_removed_is_not_trusted(store: Store) -> None:
    web = Identity.new()
    store.add(entry(web))
    gone = store.remove("web1")

    assert [peer.id for peer in gone] == [web.id]
    assert not store.trust().judge(web.public, NOW)


def test_a_label_that_was_freed_stays_blocked(store: Store) -> None:
    store.add(entry(Identity.new()))
    store.remove("web1")
    with pytest.raises(TrustError, match="30 days"):
        store.add(entry(Identity.new()))
    later(store, BLOCKED).add(entry(Identity.new()))

    assert labels(store) == ["web1"]


def test_a_blocked_label_can_be_forced(store: Store) -> None:
    store.add(entry(Identity.new()))
    store.remove("web1")
    store.add(entry(Identity.new()), force=True)

    assert labels(store) == ["web1"]


def test_a_blocked_label_can_be_invited_by_force(store: Store) -> None:
    store.add(entry(Identity.new()))
    store.remove("web1")
    with pytest.raises(TrustError, match="--force"):
        store.invite("web1", ("hub:5308",), 3600)
    token = store.invite("web1", ("hub:5308",), 3600, force=True).token

    assert store.enrol(Identity.new().public, token, "10.0.0.7") is not None


def test_who_is_removed_after_an_invitation_by_force_stays_out(store: Store) -> None:
    store.add(entry(Identity.new()))
    store.remove("web1")
    token = store.invite("web1", ("hub:5308",), 3600, force=True).token
    store.add(entry(Identity.new()), force=True)
    soon = later(store, 60)
    soon.remove("web1")

    assert soon.enrol(Identity.new().public, token, "10.0.0.7") is None


def test_an_address_of_several_removes_none(store: Store) -> None:
    for label in ("a", "b"):
        web = Identity.new()
        store.add(Peer(id=web.id, label=label, addresses=("10.0.0.7",)))
    with pytest.raises(TrustError, match="several"):
        store.remove("10.0.0.7")

    assert labels(store) == ["a", "b"]


def test_who_is_no_peer_cannot_be_removed(store: Store) -> None:
    with pytest.raises(TrustError, match="no peer"):
        store.remove("web1")


# files


def test_a_directory_that_others_can_change_is_refused(store: Store) -> None:
    os.chmod(store.path, 0o770)  # noqa: S103  # what is tested
    with pytest.raises(BadKey, match="chmod 700"):
        store.trust()
    with pytest.raises(BadKey, match="chmod 700"):
        store.add(entry(Identity.new()))


def test_a_peer_that_others_can_change_is_refused(store: Store) -> None:
    web = Identity.new()
    store.add(entry(web))
    os.chmod(f"{store.path}/root-{web.id}.pub", 0o620)
    with pytest.raises(BadKey, match="open to others"):
        store.trust()


def test_a_file_that_describes_another_key_is_refused(store: Store) -> None:
    web, other = Identity.new(), Identity.new()
    store.add(entry(web))
    os.rename(f"{store.path}/root-{web.id}.pub", f"{store.path}/root-{other.id}.pub")
    with pytest.raises(BadKey, match="another key"):
        store.trust()


def test_everything_is_for_us_only(store: Store) -> None:
    store.add(entry(Identity.new()))
    store.invite("web2", (), 60)
    store.rotate(60)
    modes = {
        os.stat(os.path.join(where, name)).st_mode & 0o077
        for where, below, files in os.walk(store.path)
        for name in [*below, *files]
    }

    assert modes == {0}


def test_one_of_many_who_want_a_label_gets_it(store: Store) -> None:
    failed = []

    def add() -> None:
        try:
            store.add(entry(Identity.new()))
        except TrustError:
            failed.append(1)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(failed) == 7
    assert labels(store) == ["web1"]


# invitations


def invited(store: Store, source: str = "") -> bytes:
    """The token of an invitation for an hour."""
    return store.invite("web1", ("hub:5308",), 3600, source).token


def test_an_invitation_lets_one_in_once(store: Store) -> None:
    token = invited(store)
    web, late = Identity.new(), Identity.new()
    peer = store.enrol(web.public, token, "10.0.0.7")

    assert peer is not None
    assert peer.label == "web1"
    assert store.trust().judge(web.public, NOW) == peer
    assert store.enrol(late.public, token, "10.0.0.7") is None
    assert labels(store) == ["web1"]


def test_one_of_many_who_come_at_once_is_let_in(store: Store) -> None:
    token = invited(store)
    found: list[Peer | None] = []

    def come() -> None:
        found.append(store.enrol(Identity.new().public, token, "::1"))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [peer is not None for peer in found].count(True) == 1
    assert labels(store) == ["web1"]


def test_an_invitation_ends(store: Store) -> None:
    token = invited(store)

    assert later(store, 3601).enrol(Identity.new().public, token, "10.0.0.7") is None
    assert store.enrol(Identity.new().public, token, "10.0.0.7") is None


def test_an_invitation_is_for_a_network(store: Store) -> None:
    token = invited(store, source="10.0.0.0/8")

    assert store.enrol(Identity.new().public, token, "192.0.2.1") is None
    assert store.enrol(Identity.new().public, token, "::1") is None
    assert store.enrol(Identity.new().public, token, "10.255.0.1") is not None


@pytest.mark.parametrize(
    "token", [b"", bytes(16), bytes(47), bytes(48), b"../../localhost." + bytes(32)]
)
def test_a_token_that_nobody_gave_opens_nothing(store: Store, token: bytes) -> None:
    invited(store)

    assert store.enrol(Identity.new().public, token, "10.0.0.7") is None


def test_the_right_id_with_a_wrong_secret_opens_nothing(store: Store) -> None:
    token = invited(store)

    assert store.enrol(Identity.new().public, token[:47] + bytes([token[47] ^ 1]), "::1") is None
    assert store.enrol(Identity.new().public, token, "::1") is not None


def test_the_inviter_does_not_keep_the_secret(store: Store) -> None:
    token = invited(store)
    kept = b"".join(path.read_bytes() for path in Path(store.path).rglob("*") if path.is_file())

    assert token[16:].hex().encode() not in kept


@pytest.mark.parametrize("life", [0, -1, DAY + 1])
def test_an_invitation_lasts_a_day_at_most(store: Store, life: int) -> None:
    with pytest.raises(TrustError):
        store.invite("web1", (), life)


def test_a_joiner_trusts_the_inviter_and_keeps_the_token(store: Store, tmp_path: Path) -> None:
    text = store.invite("web1", ("hub:5308", "10.0.0.1"), 3600).text()
    web = Store(str(tmp_path / "web"), NOW)
    web.create()
    hub = web.join(text, "hub")

    assert hub.key == store.identity().public
    assert hub.addresses == ("hub:5308", "10.0.0.1")
    assert store.enrol(web.identity().public, web.token(hub.id), "::1") is not None
    web.joined(hub.id)
    assert web.token(hub.id) == b""


def test_a_joining_that_cannot_be_read_is_no_key(store: Store) -> None:
    os.makedirs(f"{store.path}/joins")
    descriptor = os.open(f"{store.path}/joins/x", os.O_WRONLY | os.O_CREAT, 0o600)
    os.close(descriptor)

    with pytest.raises(BadKey, match="does not hold an invitation"):
        store.token("x")


def test_an_expired_invitation_joins_nobody(store: Store, tmp_path: Path) -> None:
    text = store.invite("web1", (), 60).text()
    with pytest.raises(TrustError, match="expired"):
        Store(str(tmp_path / "web"), NOW + 61).join(text, "hub")


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_mistyped_invitation_is_noticed(at: int, typed: str) -> None:
    given_ = Invitation(NOW, bytes(range(48)), Identity(bytes(32)).public, ("hub:5308",))
    text = given_.text()
    wrong = text[:at] + typed + text[at + 1 :]
    if wrong.strip() == text:
        return
    with pytest.raises(BadKey):
        invitation(wrong)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_arbitrary_octets_are_no_invitation_or_one(octets: bytes) -> None:
    try:
        found = invitation(armoured(INVITATION, octets))
    except BadKey:
        return

    assert unarmoured(INVITATION, found.text()) == octets


# rotation


def rotated(store: Store, tmp_path: Path, overlap: int = DAY) -> tuple[Identity, Identity, bytes]:
    """A peer of STORE that has changed its key: before, after, and its word for it."""
    web = Store(str(tmp_path / "web"), NOW)
    old = web.create()
    store.add(entry(old))
    statement = web.rotate(overlap)
    return old, web.identity(), statement


def test_the_successor_inherits_the_label(store: Store, tmp_path: Path) -> None:
    old, new, statement = rotated(store, tmp_path)
    store.succeed(statement)
    trust = store.trust()

    assert trust.judge(new.public, NOW + 2 * DAY)
    assert trust.named("web1") == trust.peers[new.id]
    assert trust.judge(old.public, NOW + DAY)
    assert not trust.judge(old.public, NOW + DAY + 1)


def test_the_same_word_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    _, _, statement = rotated(store, tmp_path)

    assert store.succeed(statement) == store.succeed(statement)


def test_two_successors_are_one_too_many(store: Store, tmp_path: Path) -> None:
    old, new, statement = rotated(store, tmp_path)
    store.succeed(statement)
    thief = Store(str(tmp_path / "thief"), NOW)
    os.mkdir(thief.path, 0o700)
    keys.save(old, f"{thief.path}/localhost.priv")
    with pytest.raises(TrustError, match="two successors"):
        store.succeed(thief.rotate(DAY))

    for identity in (old, new, thief.identity()):
        assert not store.trust().judge(identity.public, NOW)


def test_an_end_is_inherited(store: Store, tmp_path: Path) -> None:
    web = Store(str(tmp_path / "web"), NOW)
    store.add(entry(web.create(), not_after=NOW + 10))
    store.succeed(web.rotate(DAY))

    assert not store.trust().judge(web.identity().public, NOW + 11)


def test_nobody_follows_a_stranger(store: Store, tmp_path: Path) -> None:
    web = Store(str(tmp_path / "web"), NOW)
    web.create()
    with pytest.raises(TrustError, match="not trusted"):
        store.succeed(web.rotate(DAY))


def test_nobody_follows_into_a_revoked_key(store: Store, tmp_path: Path) -> None:
    _, new, statement = rotated(store, tmp_path)
    store.revoke(new.id)
    with pytest.raises(TrustError):
        store.succeed(statement)


def test_nobody_takes_the_place_of_another_peer(store: Store, tmp_path: Path) -> None:
    _, new, statement = rotated(store, tmp_path)
    store.add(entry(new, "other"))
    with pytest.raises(TrustError, match="another peer"):
        store.succeed(statement)


def test_both_keys_have_to_sign(store: Store, tmp_path: Path) -> None:
    _, _, statement = rotated(store, tmp_path)
    for at in (0, 40, 70, 80, 90, 150, 211):
        changed = bytearray(statement)
        changed[at] ^= 1
        with pytest.raises(BadKey):
            store.succeed(bytes(changed))


@given(st.binary(max_size=220))
def test_arbitrary_octets_are_no_rotation(octets: bytes) -> None:
    with pytest.raises(BadKey):
        rotation(octets)


def test_the_old_key_is_kept_until_the_rotation_is_over(store: Store) -> None:
    old = store.identity()
    statement = store.rotate(DAY)
    kept = later(store, DAY).previous()

    assert kept is not None
    assert (kept[0].public, kept[1]) == (old.public, statement)
    assert later(store, DAY + 1).previous() is None
    assert not os.path.exists(f"{store.path}/localhost.priv.old")


def test_a_rotation_ends_before_the_next_one_begins(store: Store) -> None:
    """Peers that have not heard of the first one would know neither key then."""
    store.rotate(DAY)
    first = store.identity().id
    with pytest.raises(TrustError, match="not over"):
        later(store, DAY).rotate(DAY)

    assert store.identity().id == first
    assert rotation(later(store, DAY).rotate(DAY, force=True)).serial == 2
    assert rotation(later(store, 2 * DAY + 1).rotate(DAY)).serial == 3


def test_a_rotation_without_an_overlap_is_refused(store: Store) -> None:
    with pytest.raises(TrustError, match="for a while"):
        store.rotate(0)


def test_removal_takes_all_keys_of_a_label(store: Store, tmp_path: Path) -> None:
    old, new, statement = rotated(store, tmp_path)
    store.succeed(statement)

    assert {peer.id for peer in store.remove("web1")} == {old.id, new.id}


# addresses, and when they were seen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web7", ("web7", 5308)),
        ("web7.example.com:1", ("web7.example.com", 1)),
        ("10.0.0.7:65535", ("10.0.0.7", 65535)),
        ("[2001:db8::7]", ("2001:db8::7", 5308)),
        ("[fe80::1%eth0]:99", ("fe80::1%eth0", 99)),
    ],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert placed(text) == found


@pytest.mark.parametrize(
    "text", ["", ":1", "a b", "a:0", "a:65536", "2001:db8::7", "a/b", "x" * 256]
)
def test_texts_that_are_no_addresses(text: str) -> None:
    with pytest.raises(BadAddress):
        placed(text)


def test_the_last_visit_is_remembered(tmp_path: Path) -> None:
    directory = str(tmp_path / "seen")
    assert seen.last(directory, "SHA=x") is None
    seen.note(directory, "SHA=x", "10.0.0.70", NOW)
    seen.note(directory, "SHA=x", "10.0.0.7", NOW + 1)

    assert seen.last(directory, "SHA=x") == seen.Seen(NOW + 1, "10.0.0.7")


# trust on first use


def test_nobody_is_trusted_on_first_use_unless_somebody_opens(store: Store) -> None:
    assert store.opened() == ()
    assert store.first_use(Identity.new().public, "10.0.0.7") is None


def test_an_opening_is_for_a_network_a_number_and_a_while(store: Store) -> None:
    store.open("10.0.0.0/24", 600, 2)
    came = [
        store.first_use(Identity.new().public, "10.0.1.7"),
        later(store, 601).first_use(Identity.new().public, "10.0.0.6"),
        store.first_use(Identity.new().public, "10.0.0.7"),
        store.first_use(Identity.new().public, "10.0.0.8"),
        store.first_use(Identity.new().public, "10.0.0.9"),
    ]

    assert [peer.label if peer else "" for peer in came] == ["", "", "10.0.0.7", "10.0.0.8", ""]
    assert labels(store) == ["10.0.0.7", "10.0.0.8"]


def test_another_key_from_an_address_that_is_known_is_refused(store: Store) -> None:
    store.open("10.0.0.0/24", 600, 2)
    first = store.first_use(Identity.new().public, "10.0.0.7")

    assert first is not None
    assert store.first_use(Identity.new().public, "10.0.0.7") is None


@pytest.mark.parametrize(("life", "count"), [(0, 1), (3601, 1), (60, 0), (60, 101)])
def test_an_opening_has_bounds(store: Store, life: int, count: int) -> None:
    with pytest.raises(TrustError):
        store.open("10.0.0.0/24", life, count)
