"""The short forms of what the server must withstand; in full they are `bench.torture`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.torture.table import HOSTS, SERVER, run

if TYPE_CHECKING:
    from bench.torture.table import Row

SEED = 20_260_101


@pytest.mark.parametrize("name", SERVER)
def test_it_holds(name: str) -> None:
    run(name, SERVER[name].short, full=False, seed=SEED)


@pytest.mark.parametrize("table", [SERVER, HOSTS])
def test_the_table_is_in_the_order_of_the_list(table: dict[str, Row]) -> None:
    numbers = [int(row.number) for row in table.values()]

    assert numbers == sorted(numbers)


def test_no_name_is_in_both_tables() -> None:
    assert not SERVER.keys() & HOSTS.keys()
