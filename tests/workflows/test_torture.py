"""The short forms of what hosts must withstand; in full they are `bench.torture`."""

from __future__ import annotations

import os

import pytest

from bench.torture.table import HOSTS, run

SEED = int(os.environ.get("TORTURE_SEED", "3"))


@pytest.mark.parametrize("name", [name for name, row in HOSTS.items() if row.short])
def test_hosts_withstand(name: str) -> None:
    run(name, HOSTS[name].short, full=False, seed=SEED)
