"""What limits count, and what they forget."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire.limits import Bucket, Buckets, Recent, neighbourhood
from server.wire.stream import Pipe
from server.wire.transport import Cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 5)), max_size=60))
def test_no_more_comes_out_than_flowed_in(steps: list[tuple[float, float]]) -> None:
    now, taken, bucket = 0.0, 0.0, Bucket(10.0, 0.0)
    for pause, amount in steps:
        now += pause
        if bucket.take((2.0, 10.0), amount, now) == 0:
            taken += amount

    assert taken <= 10.0 + 2.0 * now + 1e-6


def test_who_waits_as_long_as_told_gets_it() -> None:
    bucket = Bucket(1.0, 0.0)
    assert bucket.take((2.0, 1.0), 1.0, 0.0) == 0
    wait = bucket.take((2.0, 1.0), 1.0, 0.0)

    assert wait == 0.5
    assert bucket.take((2.0, 1.0), 1.0, wait) == 0


def test_a_clock_that_goes_back_fills_nothing() -> None:
    bucket = Bucket(1.0, 100.0)
    assert bucket.take((1.0, 1.0), 1.0, 100.0) == 0
    assert bucket.take((1.0, 1.0), 1.0, 50.0) == 1.0
    assert bucket.take((1.0, 1.0), 1.0, 100.5) == 0.5


def test_each_has_a_bucket_of_its_own() -> None:
    buckets = Buckets((1.0, 1.0), 10)

    assert [buckets.take(name, 1, 0.0) for name in "aba"] == [0, 0, 1]


def test_memory_is_bounded() -> None:
    recent, buckets = Recent(100), Buckets((1.0, 1.0), 100)
    for number in range(1000):
        assert recent.new(number.to_bytes(4))
        buckets.take(number, 1, 0.0)

    assert len(recent._seen) + len(recent._before) <= 200
    assert len(buckets._buckets) == 100


@given(st.lists(st.integers(0, 12), max_size=80))
def test_the_last_that_were_seen_are_not_new(numbers: list[int]) -> None:
    recent = Recent(4)
    new: list[int] = []
    for number in numbers:
        known = number in new[-4:]
        if recent.new(bytes([number])):
            assert not known
            new.append(number)
        else:
            assert number in new[-8:]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_who_shares_limits(one: str, other: str, *, same: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) == same


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Pipe, socket.socket]]:
    """A pipe and the stranger at its other end."""
    pipe = Pipe(512)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as stranger,
    ):
        near, _ = server.accept()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: pipe, near)
        yield pipe, stranger


def test_no_more_is_read_than_allowed() -> None:
    async def read() -> tuple[int, int]:
        async with connected() as (pipe, stranger):
            stranger.sendall(bytes(50_000))
            await asyncio.sleep(0.1)
            before = len(pipe._data)
            pipe.lift()
            await pipe.exactly(50_000)
            pipe.abort()
        return before, len(pipe._data)

    assert asyncio.run(read()) == (512, 0)


def test_who_does_not_read_cannot_keep_a_connection_open() -> None:
    async def leave() -> tuple[bool, bool]:
        async with connected() as (pipe, _):
            pipe._transport.set_write_buffer_limits(high=64 << 20)
            await pipe.write(bytes(32 << 20), 1)
            pipe.close(0.1)
            await asyncio.sleep(0.02)
            before = pipe.ended
            await asyncio.sleep(0.3)
        return before, pipe.ended

    assert asyncio.run(leave()) == (False, True)


def test_a_write_that_nobody_reads_is_given_up() -> None:
    async def write() -> None:
        async with connected() as (pipe, _):
            await pipe.write(bytes(32 << 20), 0.1)

    with pytest.raises(Cut, match="does not read"):
        asyncio.run(write())
