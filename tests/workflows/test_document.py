"""The workflows of the document on distributed scheduling, each on hosts of its own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.workflows.hosts import Host, Site, until

if TYPE_CHECKING:
    from tests.workflows.conftest import Sites

QUIET = 0.4  # seconds in which what must not happen would have happened


def shifted(site: Site, text: str) -> None:
    """Let it be TEXT (UTC) on all hosts."""
    offset = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - time.time()
    for host in site.hosts:
        host.shift(offset)


def ready(site: Site, example: str, listeners: dict[str, list[str]], entry: str = "") -> None:
    """Start all daemons with the policy EXAMPLE; LISTENERS have asked, and are listening."""
    for host in site.hosts:
        host.example(example, entry=entry)
    site.start()
    for label, peers in listeners.items():
        site[label].run()
        site[label].meets(*[site[peer] for peer in peers])


def quiet(host: Host, name: str, times: int) -> bool:
    """Whether the job NAME ran TIMES times on HOST, and a while later no more."""
    time.sleep(QUIET)
    return len(host.did(name)) == times


def test_exact_times(site: Sites) -> None:
    both = site("Host1", "Host2")
    one, two = both.hosts
    done = []
    for host in both.hosts:
        host.example("workflow-exact-times")
    for at in ("2012-01-24T16:44:59", "2012-01-24T16:46", "2012-01-24T16:51", "2013-01-24T16:46"):
        shifted(both, at)
        for host in both.hosts:
            host.run("-K")
        done.append((len(one.did("my_job")), len(two.did("my_follow_up"))))

    assert done == [(0, 0), (1, 0), (1, 1), (1, 1)]


def test_a_signalled_pair(site: Sites) -> None:
    both = site("Host1", "Host2")
    one, two = both.hosts
    shifted(both, "2012-01-24T16:46")
    ready(both, "workflow-signalled-pair", {"Host2": ["Host1"]})
    assert not two.did()
    one.run()

    (begun,) = two.waits_for("my_follow_up")
    (ended,) = one.did("my_job", "ended")
    assert ended.at < begun.at
    two.run("-K")
    assert quiet(two, "my_follow_up", 1)


def test_every_day(site: Sites) -> None:
    both = site("Host1", "Host2")
    one, two = both.hosts
    shifted(both, "2026-11-03T15:59")
    ready(both, "workflow-daily", {"Host2": ["Host1"]})
    for day, at in enumerate(("2026-11-03T16:00", "2026-11-04T16:20"), 1):
        shifted(both, at)
        for _ in range(3):
            one.run()
        two.waits_for("my_follow_up", day)

    assert len(one.did("my_job")) == 2
    assert quiet(two, "my_follow_up", 2)


def test_an_encapsulated_chain(site: Sites) -> None:
    both = site("upstream.example.org", "downstream.exampe.org")
    up, down = both.hosts
    shifted(both, "2026-11-03T16:11")
    for host in both.hosts:
        host.example("workflow-encapsulated-chain", replace=("/bin/echo $", "/usr/local/bin/do $"))
    both.start()
    assert "Server communication failed" not in down.run()
    down.meets(up)
    up.run()

    (job,) = up.waits_for("do")
    (follow_up,) = down.waits_for("do")
    assert (job.rest, follow_up.rest) == ("Starting remote job", "Starting local follow-up job")
    assert quiet(down, "do", 1)


def test_waiting_for_all_as_the_document_has_it(site: Sites) -> None:
    """Its guard wants one host to be three: it is run, said, and never does a follow-up."""
    four = site("Host1", "Host2", "Host3", "Host4", real=True)
    shifted(four, "2026-11-03T16:10")
    ready(four, "workflow-aggregation-and", {})
    for host in (*four.hosts[1:], *four.hosts):
        host.run()
    told = four["Host1"].troth("check")

    assert four["Host1"].did("my_job")
    time.sleep(QUIET)
    assert not any(host.did("my_follow_up") for host in four.hosts)
    assert "'Host2', 'Host3' and 'Host4' are hosts: no host is more than one of them" in told.stderr
    assert told.returncode == 0


def test_waiting_for_all(site: Sites) -> None:
    four = site("Host1", "Host2", "Host3", "Host4", real=True)
    one, *others = four.hosts
    shifted(four, "2026-11-03T16:10")
    ready(four, "workflow-aggregation-and", {"Host1": ["Host2", "Host3", "Host4"]}, "works.cf")
    for host in others[:2]:
        host.run()
    assert quiet(one, "my_follow_up", 0)
    others[2].run()

    one.waits_for("my_follow_up")
    others[0].run("-K")  # a second signal of one of the three is not enough for a second follow-up
    assert quiet(one, "my_follow_up", 1)
    for host in others[1:]:
        host.run("-K")
    one.run("-K")
    one.waits_for("my_follow_up", 2)


def test_whichever_comes_first_as_the_document_has_it(site: Sites) -> None:
    four = site("Host1", "Host2", "Host3", "Host4", real=True)
    one, *others = four.hosts
    shifted(four, "2026-11-03T16:10")
    ready(four, "workflow-aggregation-or", {host.label: ["Host1"] for host in others})
    one.run()

    for host in others:
        host.waits_for("my_follow_up")
    assert not one.did("my_follow_up")


def test_whichever_comes_first(site: Sites) -> None:
    four = site("Host1", "Host2", "Host3", "Host4", real=True)
    one, *others = four.hosts
    shifted(four, "2026-11-03T16:10")
    ready(four, "workflow-aggregation-or", {"Host1": ["Host2", "Host3", "Host4"]}, "works.cf")
    others[1].run()
    one.waits_for("my_follow_up")
    assert quiet(one, "my_follow_up", 1)
    one.stop()
    for host in (others[0], others[2]):
        host.run()
    one.start()
    one.meets(*others)
    until(lambda: len(one.rows("SELECT 1 FROM received")) == 3, "three signals received")
    one.run("-K")

    one.waits_for("my_follow_up", 2)
    one.run("-K")
    assert len(one.did("my_follow_up")) <= 3  # 2 if both had arrived when the run began
    assert len(one.consumed()) == 3


def test_several_follow_ups(site: Sites) -> None:
    """Each is tried until it has succeeded, without the others."""
    both = site("Host1", "Host2")
    one, two = both.hosts
    shifted(both, "2026-11-03T16:10")
    ready(both, "workflow-follow-ups", {"Host2": ["Host1"]})
    two.job("my_follow_up2", fails=1)
    one.run()

    for name in ("my_follow_up1", "my_follow_up2", "my_follow_up3"):
        two.waits_for(name)
    two.run("-K")
    two.run("-K")
    done = [job.name for job in two.did()]
    assert sorted(done) == ["my_follow_up1", "my_follow_up2", "my_follow_up2", "my_follow_up3"]


def test_a_chain_of_five(site: Sites) -> None:
    five = site("Host1", "Host2", "Host3", "Host4", "Host5", real=True)
    shifted(five, "2026-11-03T16:10")
    links = {f"Host{n}": [f"Host{n - 1}"] for n in range(2, 6)}
    ready(five, "workflow-long-chain", links)
    five["Host1"].run()

    five["Host5"].waits_for("my_job")
    begun = [host.did("my_job")[0].at for host in five.hosts]
    assert begun == sorted(begun)
    time.sleep(QUIET)
    assert [len(host.did("my_job")) for host in five.hosts] == [1] * 5


def test_an_upstream_that_fails_twice(site: Sites) -> None:
    both = site("Host1", "Host2")
    one, two = both.hosts
    shifted(both, "2026-11-03T16:10")
    ready(both, "workflow-self-healing", {"Host2": ["Host1"]})
    one.job("my_job", fails=2)
    for _ in range(2):
        one.run()
    assert quiet(two, "my_follow_up", 0)
    for _ in range(3):
        one.run()

    two.waits_for("my_follow_up")
    assert [job.rest for job in one.did("my_job", "ended")] == ["1", "1", "0"]
    assert quiet(two, "my_follow_up", 1)


def test_a_follow_up_that_fails_twice(site: Sites) -> None:
    """What failed has not consumed its signal: each run tries again, and nothing after success."""
    both = site("Host1", "Host2")
    one, two = both.hosts
    shifted(both, "2026-11-03T16:10")
    ready(both, "workflow-self-healing", {"Host2": ["Host1"]})
    two.job("my_follow_up", fails=2)
    one.run()
    two.waits_for("my_follow_up")
    for times in (2, 3, 3, 3):
        two.run()
        assert len(two.did("my_follow_up")) == times

    assert [job.rest for job in two.did("my_follow_up", "ended")] == ["1", "1", "0"]


@pytest.mark.parametrize("down", ["downstream", "upstream"])
def test_a_host_that_is_down_for_a_while(site: Sites, down: str) -> None:
    """What was signalled before or meanwhile is heard when both are up."""
    both = site("Host1", "Host2")
    one, two = both.hosts
    shifted(both, "2026-11-03T16:10")
    ready(both, "workflow-self-healing", {"Host2": ["Host1"]})
    sleeper = two if down == "downstream" else one
    sleeper.kill()
    one.run()
    assert quiet(two, "my_follow_up", 0)
    sleeper.start()

    two.waits_for("my_follow_up")
    assert quiet(two, "my_follow_up", 1)


def test_a_network_that_is_cut_and_comes_back(site: Sites) -> None:
    three = site("Host1", "Host2", "Host3", real=True)
    one, two, _ = three.hosts
    shifted(three, "2026-11-03T16:10")
    ready(three, "workflow-self-healing", {"Host2": ["Host1"]})
    three.cut(two)
    one.run()
    assert quiet(two, "my_follow_up", 0)
    healed = time.time()
    three.heal()

    (begun,) = two.waits_for("my_follow_up")
    assert begun.at > healed
    assert quiet(two, "my_follow_up", 1)
