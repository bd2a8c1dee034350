"""What limits count, and what they forget."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire.limits import Bucket, Buckets, Recent, neighbourhood
from server.wire.stream import Pipe
from server.wire.transport import Cut


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
    recent, buckets = Recent(60.0, 100), Buckets((1.0, 1.0), 100)
    for number in range(1000):
        assert recent.new(number.to_bytes(4), 0.0)
        buckets.take(number, 1, 0.0)

    assert len(recent._seen) == len(buckets._buckets) == 100


def test_what_was_seen_is_new_again_later() -> None:
    recent = Recent(60.0, 100)

    assert [recent.new(b"x", now) for now in (0.0, 59.0, 60.0, 61.0)] == [True, False, True, False]


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


def test_no_more_is_read_than_allowed() -> None:
    async def read() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        pipes: list[Pipe] = []
        server = await loop.create_server(lambda: Pipe(512, pipes.append), "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as stranger:
            stranger.sendall(bytes(50_000))
            await asyncio.sleep(0.1)
            before = len(pipes[0]._data)
            pipes[0].lift()
            await pipes[0].exactly(50_000)
            pipes[0].abort()
        server.close()
        return before, len(pipes[0]._data)

    assert asyncio.run(read()) == (512, 0)


def test_who_does_not_read_cannot_keep_a_connection_open() -> None:
    async def leave() -> tuple[bool, bool]:
        loop = asyncio.get_running_loop()
        pipes: list[Pipe] = []
        server = await loop.create_server(lambda: Pipe(512, pipes.append), "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            await asyncio.sleep(0.05)
            pipe = pipes[0]
            pipe._transport.set_write_buffer_limits(high=64 << 20)
            await pipe.write(bytes(32 << 20), 1)
            pipe.close(0.1)
            await asyncio.sleep(0.02)
            before = pipe.ended
            await asyncio.sleep(0.3)
        server.close()
        return before, pipe.ended

    assert asyncio.run(leave()) == (False, True)


def test_a_write_that_nobody_reads_is_given_up() -> None:
    async def write() -> None:
        loop = asyncio.get_running_loop()
        pipes: list[Pipe] = []
        server = await loop.create_server(lambda: Pipe(512, pipes.append), "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            await asyncio.sleep(0.05)
            try:
                await pipes[0].write(bytes(32 << 20), 0.1)
            finally:
                server.close()

    with pytest.raises(Cut, match="does not read"):
        asyncio.run(write())
