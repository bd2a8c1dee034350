"""The short forms of what hosts must withstand; `python -m bench.torture_hosts --full`: more."""

from __future__ import annotations

import os

import pytest

from bench import torture_hosts

SEED = int(os.environ.get("TORTURE_SEED", "3"))
SHORT = [name for name, (_, short, _) in torture_hosts.TESTS.items() if short]


@pytest.mark.parametrize("name", SHORT)
def test_hosts_withstand(name: str) -> None:
    row = torture_hosts.run(name, full=False, seed=SEED)

    assert row.seed == SEED, row
