"""The handshake below ours is the published one: vectors of others, another implementation."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from nacl import bindings as sodium

from server.wire.noise import CipherState, Handshake, NoiseError

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "noise.json").read_text()
)
NAMES = [f"{vector['source'].split(',')[0]} {vector['protocol_name']}" for vector in VECTORS]


def ends(vector: dict[str, Any]) -> list[Handshake]:
    """Initiator and responder with the keys of VECTOR."""
    return [
        Handshake(
            bytes.fromhex(vector[f"{end}_static"]),
            bytes.fromhex(vector[f"{end}_prologue"]),
            initiator=end == "init",
            psk=b"".join(map(bytes.fromhex, vector.get(f"{end}_psks", []))),
            ephemeral=bytes.fromhex(vector[f"{end}_ephemeral"]),
        )
        for end in ("init", "resp")
    ]


def test_both_patterns_are_covered() -> None:
    names = {vector["protocol_name"] for vector in VECTORS}

    assert names == {f"Noise_{p}_25519_ChaChaPoly_BLAKE2b" for p in ("XX", "XXpsk3")}


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_what_is_written_is_what_was_published(vector: dict[str, Any]) -> None:
    sides = ends(vector)
    written = []
    for number, message in enumerate(vector["messages"][:3]):
        written.append(sides[number % 2].write(bytes.fromhex(message["payload"])).hex())
        sides[1 - number % 2].read(bytes.fromhex(message["ciphertext"]))

    assert written == [message["ciphertext"] for message in vector["messages"][:3]]


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_what_was_published_is_read(vector: dict[str, Any]) -> None:
    sides = ends(vector)
    read = []
    for number, message in enumerate(vector["messages"][:3]):
        sides[number % 2].write(bytes.fromhex(message["payload"]))
        read.append(sides[1 - number % 2].read(bytes.fromhex(message["ciphertext"])).hex())

    assert read == [message["payload"] for message in vector["messages"][:3]]
    assert sides[0].hash == sides[1].hash
    assert vector.get("handshake_hash", sides[0].hash.hex()) == sides[0].hash.hex()


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_the_keys_after_it_are_the_published_ones(vector: dict[str, Any]) -> None:
    sides = ends(vector)
    for number, message in enumerate(vector["messages"][:3]):
        sides[number % 2].write(bytes.fromhex(message["payload"]))
        sides[1 - number % 2].read(bytes.fromhex(message["ciphertext"]))
    there, back = (CipherState(key) for key in sides[0].split())
    ciphers = [back, there]  # the first message after the handshake is the responder's
    sealed = [
        ciphers[number % 2].encrypt(b"", bytes.fromhex(message["payload"])).hex()
        for number, message in enumerate(vector["messages"][3:])
    ]

    assert sides[0].split() == sides[1].split()
    assert sealed == [message["ciphertext"] for message in vector["messages"][3:]]


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_every_bit_counts(vector: dict[str, Any]) -> None:
    """A bit of any message changed on its way: the handshake does not come to an end."""
    accepted = []
    messages = vector["messages"][:3]
    for victim, message in enumerate(messages):
        for bit in range(len(message["ciphertext"]) * 4):
            sides = ends(vector)
            try:
                for number in range(3):
                    octets = sides[number % 2].write(bytes.fromhex(messages[number]["payload"]))
                    if number == victim:
                        changed = bytearray(octets)
                        changed[bit // 8] ^= 1 << bit % 8
                        octets = bytes(changed)
                    sides[1 - number % 2].read(octets)
            except NoiseError:
                continue
            accepted.append((victim, bit))

    assert accepted == []


def test_a_failure_is_the_end() -> None:
    alice, bob = ends(VECTORS[0])
    with pytest.raises(NoiseError):
        bob.read(b"short")
    with pytest.raises(NoiseError):
        bob.read(alice.write(b""))


def test_nothing_is_said_out_of_turn() -> None:
    alice, bob = ends(VECTORS[0])
    with pytest.raises(NoiseError):
        bob.write(b"")
    with pytest.raises(NoiseError):
        alice.read(bytes(64))
    with pytest.raises(NoiseError):
        alice.split()


# an independent implementation


def oracle(psk: bytes, prologue: bytes, static: bytes, *, initiator: bool) -> Any:
    """The other implementation's end of a handshake."""
    connection = pytest.importorskip("noise.connection")
    name = b"Noise_%s_25519_ChaChaPoly_BLAKE2b" % (b"XXpsk3" if psk else b"XX")
    end = connection.NoiseConnection.from_name(name)
    end.set_prologue(prologue)
    if psk:
        end.set_psks(psk)
    end.set_keypair_from_private_bytes(connection.Keypair.STATIC, static)
    (end.set_as_initiator if initiator else end.set_as_responder)()
    end.start_handshake()
    return end


def test_the_oracle_is_not_this() -> None:
    assert "server" not in str(importlib.util.find_spec("noise"))


@pytest.mark.parametrize("initiator", [True, False])
@pytest.mark.parametrize("psk", [b"", bytes(range(32))], ids=["XX", "XXpsk3"])
def test_another_implementation_understands_us(*, psk: bytes, initiator: bool) -> None:
    for size in (0, 1, 16, 133, 1000):
        theirs = oracle(psk, b"prologue", sodium.randombytes(32), initiator=not initiator)
        ours = Handshake(
            sodium.randombytes(32), b"prologue", initiator=initiator, psk=psk,
            ephemeral=sodium.randombytes(32),
        )  # fmt: skip
        payloads = [sodium.randombytes(size) for _ in range(3)]
        heard = []
        for number, payload in enumerate(payloads):
            if (number % 2 == 0) == initiator:
                heard.append(bytes(theirs.read_message(ours.write(payload))))
            else:
                heard.append(ours.read(bytes(theirs.write_message(payload))))
        there, back = ours.split()
        mine = CipherState(there if initiator else back)

        assert heard == payloads
        assert ours.hash == theirs.get_handshake_hash()
        assert bytes(theirs.decrypt(mine.encrypt(b"", b"after"))) == b"after"
