"""Clocks that are wrong, change their offset, or jump: the workflow chains, and it is told."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.workflows.hosts import Host, Site, until
from tests.workflows.policies import follows, policy, signals

if TYPE_CHECKING:
    from tests.workflows.conftest import Sites

QUIET = 0.4
HOUR = 3600


def prepared(both: Site) -> tuple[Host, Host]:
    """An upstream that signals `go`, a downstream that follows; not started yet."""
    one, two = both.hosts
    one.policy(signals("go"))
    two.policy(policy(follows("up_go")))
    return one, two


def started(one: Host, two: Host) -> None:
    """Start the daemons; TWO hears ONE."""
    one.site.start()
    two.run()
    two.meets(one)


def followed(one: Host, two: Host, times: int = 1) -> bool:
    """Whether one more job of ONE is followed by TWO, for the time TIMES, and only once."""
    one.run("-D", "do_go")
    two.waits_for("my_follow_up", times)
    time.sleep(QUIET)
    return len(two.did("my_follow_up")) == times


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_two_clocks_an_hour_apart(site: Sites, ahead: int) -> None:
    one, two = prepared(site("Host1", "Host2"))
    one.shift(ahead)
    started(one, two)

    assert followed(one, two)
    assert followed(one, two, 2)
    (skew,) = [row[0] for row in two.rows("SELECT skew FROM contacts WHERE peer = ?", one.id)]
    assert abs(skew - ahead * 1000) < 10_000
    (told,) = [line for line in two.audit("clock") if line.get("peer") == one.id][:1]
    assert "Host1" in (told.get("label", ""), told.get("object", ""))
    assert "clock" in two.troth("signal", "why", "up_go").stdout


def test_a_class_from_a_wrong_clock_lives_as_long_as_it_was_meant_to(site: Sites) -> None:
    """Ten minutes by the origin's count, although its clock says that they were over long ago."""
    one, two = prepared(site("Host1", "Host2"))
    one.shift(-HOUR)
    started(one, two)
    assert followed(one, two)

    (ends, at) = two.rows("SELECT ends, at FROM received")[0]
    assert 590_000 < ends - at <= 600_000


@pytest.mark.parametrize(
    "before_change", ["2026-03-29T00:59:58", "2026-10-25T00:59:58"], ids=["spring", "autumn"]
)
def test_daylight_saving_time(site: Sites, before_change: str) -> None:
    """The job begins before the clocks are changed and ends after: nothing is reported."""
    both = site("Host1", "Host2", zone="Europe/Berlin")
    one, two = prepared(both)
    begin = datetime.fromisoformat(before_change).replace(tzinfo=UTC).timestamp()
    for host in both.hosts:
        host.shift(begin - 4 - time.time())
    started(one, two)
    one.job("my_job", seconds=1)
    time.sleep(max(0.0, begin + 1.5 - time.time() - one.offset))

    assert followed(one, two)
    one.job("my_job")
    assert followed(one, two, 2)
    assert not two.audit("clock")


@pytest.mark.parametrize("jumper", ["upstream", "downstream"])
def test_a_clock_that_jumps_back(site: Sites, jumper: str) -> None:
    one, two = prepared(site("Host1", "Host2"))
    started(one, two)
    assert followed(one, two)
    (one if jumper == "upstream" else two).shift(-HOUR)

    assert followed(one, two, 2)
    two.run("-K")
    assert followed(one, two, 3)
    until(lambda: two.audit("clock") or one.audit("clock"), "a word about the clock")


def test_a_clock_that_jumps_forward_does_not_end_what_lives(site: Sites) -> None:
    one, two = prepared(site("Host1", "Host2"))
    two.job("my_follow_up", fails=1)
    started(one, two)
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    two.shift(HOUR)
    two.run("-K")

    assert len(two.did("my_follow_up")) == 2
