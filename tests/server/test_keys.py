"""Who a host is: signatures for one purpose, fingerprints to be read out, files for one user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire import keys
from server.wire.keys import Identity
from server.wire.peerfiles import BadKey

if TYPE_CHECKING:
    from pathlib import Path


@given(st.binary(min_size=32, max_size=32))
def test_a_fingerprint_comes_back_from_all_its_forms(fingerprint: bytes) -> None:
    forms = [
        keys.id_of(fingerprint),
        fingerprint.hex(),
        fingerprint.hex().upper(),
        keys.words(fingerprint),
        keys.words(fingerprint).replace(" ", "-"),
        f"  {keys.words(fingerprint).upper()}\n",
    ]

    assert {keys.fingerprint(form) for form in forms} == {fingerprint}


@given(st.text(max_size=100))
def test_any_other_text_is_no_fingerprint(text: str) -> None:
    with pytest.raises(BadKey):
        keys.fingerprint(text)


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        # published examples of this spelling (arXiv:0901.4016), which are IPv4 addresses
        ((127, 0, 0, 1), "lusab babad"),
        ((63, 84, 220, 193), "gutih tugad"),
        ((140, 98, 193, 141), "mudof sakat"),
        ((147, 67, 119, 2), "natag lisaf"),
    ],
)
def test_words_are_those_of_the_published_spelling(octets: tuple[int, ...], words: str) -> None:
    assert keys.words(bytes(octets)) == words


def test_a_word_that_is_none_is_refused() -> None:
    words = keys.words(bytes(32)).split()
    with pytest.raises(BadKey):
        keys.fingerprint(" ".join([*words[:-1], "babax"]))


def test_an_id_has_the_shape_that_policy_knows() -> None:
    assert len(Identity(bytes(32)).id) == len("SHA=") + 64


def test_a_signature_is_for_one_purpose() -> None:
    identity = Identity.new()
    signature = identity.sign(keys.STATIC, b"body")

    assert keys.signed(identity.public, keys.STATIC, b"body", signature)
    assert not keys.signed(identity.public, keys.ROTATE, b"body", signature)
    assert not keys.signed(identity.public, keys.STATIC, b"bodY", signature)
    assert not keys.signed(Identity.new().public, keys.STATIC, b"body", signature)


@pytest.mark.parametrize("public", [bytes(32), b"\1" + bytes(31), b"", bytes(31), b"\xff" * 32])
def test_keys_that_are_none_sign_nothing(public: bytes) -> None:
    assert not keys.signed(public, keys.STATIC, b"", bytes(64))
    assert not keys.signed(public, keys.STATIC, b"", public.ljust(32, b"\0") + bytes(32))


@given(st.binary(max_size=200))
def test_arbitrary_octets_are_no_signature(octets: bytes) -> None:
    assert not keys.signed(Identity(bytes(32)).public, keys.STATIC, b"body", octets)


def test_an_identity_comes_back_from_its_file(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    identity = Identity.new()
    keys.save(identity, path)

    assert keys.load(path).public == identity.public
    assert os.stat(path).st_mode & 0o7777 == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_an_identity_is_not_overwritten(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    keys.save(Identity(bytes(32)), path)
    with pytest.raises(FileExistsError):
        keys.save(Identity.new(), path)

    assert keys.load(path).seed == bytes(32)
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601, 0o666])
def test_a_key_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    keys.save(Identity.new(), str(path))
    path.chmod(mode)
    with pytest.raises(BadKey, match="chmod 600"):
        keys.load(str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away: root only")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    keys.save(Identity.new(), path)
    os.chown(path, 12345, 12345)
    with pytest.raises(BadKey, match="another user"):
        keys.load(path)


def test_a_key_file_is_not_a_link(tmp_path: Path) -> None:
    keys.save(Identity.new(), str(tmp_path / "key"))
    (tmp_path / "link").symlink_to("key")
    with pytest.raises(OSError, match="symbolic links"):
        keys.load(str(tmp_path / "link"))


def test_a_pipe_is_no_key_file(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    os.mkfifo(path, 0o600)
    with pytest.raises(BadKey, match="not a file"):
        keys.load(path)


@pytest.mark.parametrize(
    "text",
    ["", "\n", f"{keys.ENVELOPE}\n", f"{keys.ENVELOPE}\nxyz\n", f"{keys.ENVELOPE}\n{'00' * 31}\n",
     f"{keys.ENVELOPE}\n{'00' * 32}\nmore\n", f"another\n{'00' * 32}\n", "0" * 5000, "\udcff"],
)  # fmt: skip
def test_other_files_hold_no_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(BadKey):
        keys.load(str(path))


def test_no_text_of_a_key_shows_its_secret() -> None:
    identity = Identity.new()
    credentials = keys.Credentials.new(identity, 0)

    assert identity.seed.hex() not in repr(identity)
    assert str(credentials.secret) not in repr(credentials)
