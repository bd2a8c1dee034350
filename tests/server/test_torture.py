"""The tests of spec/network.md §3.8 in their short form; in full they are `bench.torture`."""

from __future__ import annotations

import pytest

from bench.torture.table import TESTS, run

SEED = 20_260_101


@pytest.mark.parametrize("name", TESTS)
def test_it_holds(name: str) -> None:
    run(name, full=False, seed=SEED)


def test_the_table_is_numbered_as_the_specification() -> None:
    numbers = [int(row.number) for row in TESTS.values()]

    assert numbers == sorted(numbers)
