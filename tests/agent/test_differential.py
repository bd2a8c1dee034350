"""A few of the random calls of `bench/differential.py`: we answer as the reference does."""

from pathlib import Path

import pytest

from bench import calls, differential, race
from policy.functions import SIGNATURES

CALLS = 100
LINKS = race.OURS / "cf-agent"


@pytest.mark.skipif(
    not (race.REFERENCE / "cf-agent").exists(), reason="needs cf-agent 3.21 in /usr/bin"
)
@pytest.mark.skipif(not LINKS.exists(), reason=f"needs {LINKS}: make setup")
@pytest.mark.parametrize("seed", [1, 2])
def test_random_calls_are_answered_as_by_the_reference(tmp_path: Path, seed: int) -> None:
    world = tmp_path / "world"
    calls.make_world(world)
    racers = race.sides(tmp_path, race.OURS, race.REFERENCE)
    asked = differential.drawn(CALLS, seed, "", str(world))

    found = differential.differences(asked, racers, str(world))

    assert [str(it) for it in found if not differential.reason(*it)] == []


def test_what_is_never_called_says_why_and_is_a_function() -> None:
    assert set(calls.LEFT_OUT) <= set(SIGNATURES)
    assert all(calls.LEFT_OUT.values())
