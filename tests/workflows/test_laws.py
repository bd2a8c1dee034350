"""When a signal fires, on two hosts: one law a test."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.workflows.hosts import Host, until
from tests.workflows.policies import asks, follows, policy, signals

if TYPE_CHECKING:
    from tests.workflows.conftest import Sites

QUIET = 0.4


def pair(site: Sites, downstream: str, *names: str) -> tuple[Host, Host]:
    """An upstream that signals NAMES and a downstream with a policy, which listens."""
    one, two = site("Host1", "Host2").hosts
    one.policy(signals(*names))
    two.policy(policy(downstream))
    one.site.start()
    two.run()
    two.meets(one)
    return one, two


def times(host: Host, name: str = "my_follow_up") -> int:
    """How often the job NAME ran, once it is quiet."""
    time.sleep(QUIET)
    return len(host.did(name))


def received(host: Host, count: int) -> None:
    """Wait until HOST has COUNT signals."""
    until(lambda: len(host.rows("SELECT 1 FROM received")) >= count, f"{count} signals")


def test_every_outcome_is_a_signal_though_the_class_lives(site: Sites) -> None:
    one, two = pair(site, follows("up_go"), "go")
    for count in (1, 2, 3):
        one.run("-D", "do_go")
        two.waits_for("my_follow_up", count)

    assert times(two) == 3


def test_what_was_consumed_fires_nothing_in_later_runs(site: Sites) -> None:
    one, two = pair(site, follows("up_go"), "go")
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    for options in ((), ("-K",), ("-K",)):
        two.run(*options)

    assert times(two) == 1


def test_an_edited_comment_fires_nothing(site: Sites) -> None:
    one, two = pair(site, follows("up_go", 'comment => "once"'), "go")
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    two.policy(policy(follows("up_go", 'comment => "edited"')))
    two.run("-K")

    assert times(two) == 1


def test_a_derived_and_needs_a_fresh_signal_of_each(site: Sites) -> None:
    derived = '"both" and => { "up_a", "up_b" };'
    one, two = pair(site, follows("both", classes=derived), "a", "b")
    one.run("-D", "do_a")
    assert times(two) == 0
    one.run("-D", "do_b")
    two.waits_for("my_follow_up")
    one.run("-D", "do_b")
    assert times(two) == 1
    one.run("-D", "do_a")

    two.waits_for("my_follow_up", 2)
    assert times(two) == 2


def test_a_derived_or_needs_one(site: Sites) -> None:
    derived = '"either" or => { "up_a", "up_b" };'
    one, two = pair(site, follows("either", classes=derived), "a", "b")
    one.run("-D", "do_a")
    two.waits_for("my_follow_up")
    one.run("-D", "do_b")
    two.waits_for("my_follow_up", 2)
    two.run("-K")

    assert times(two) == 2


def test_a_negated_class_needs_no_signal(site: Sites) -> None:
    """`up_go.!up_stop`: go fires; once stop is there, another go does not."""
    one, two = pair(site, follows("up_go.!up_stop"), "go", "stop")
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    one.run("-D", "do_stop")
    received(two, 2)
    one.run("-D", "do_go")

    assert times(two) == 1


def test_a_condition_counts_as_a_guard_does(site: Sites) -> None:
    one, two = pair(
        site, follows("any", 'if => "up_$(name)"', 'vars:\n"name" string => "go";'), "go"
    )
    two.run("-K")
    assert times(two) == 0
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    two.run("-K")

    assert times(two) == 1


def test_two_origins_with_one_prefix_are_two_signals(site: Sites) -> None:
    one, two, three = site("Host1", "Host2", "Host3").hosts
    for host in (one, three):
        host.policy(signals("go"))
    two.policy(policy(asks("Host3") + follows("up_go")))
    one.site.start()
    two.run()
    two.meets(one, three)
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    three.run("-D", "do_go")

    two.waits_for("my_follow_up", 2)
    assert times(two) == 2


CANCELS = """
commands:
  do_go::
    "/usr/local/bin/my_job" action => if_elapsed("0"), classes => state_repaired("go");
  undo_go::
    "/bin/true" action => if_elapsed("0"), classes => cancelled("go");
}
body classes cancelled(x)
{
  cancel_repaired => { "$(x)" };
}
bundle server access
{
access:
  "go" resource_type => "context", admit => { "Host2" };
"""


def test_a_cancel_voids_what_was_not_consumed(site: Sites) -> None:
    one, two = site("Host1", "Host2").hosts
    one.policy(policy(CANCELS))
    two.policy(policy(follows("up_go")))
    one.start()
    two.run()
    one.run("-D", "do_go")
    one.run("-D", "undo_go")
    two.start()
    two.meets(one)

    two.run("-K")
    assert times(two) == 0
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    assert times(two) == 1


def test_a_lock_longer_than_the_gap_between_two_signals(site: Sites) -> None:
    """What waits for the lock runs when it ends, once for all that has come."""
    locked = follows("up_go").replace('if_elapsed("0")', 'if_elapsed("1")')
    one, two = pair(site, locked, "go")
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    for _ in range(2):
        one.run("-D", "do_go")
    received(two, 3)
    until(lambda: two.rows("SELECT 1 FROM waits"), "a promise that waits for its lock")
    assert times(two) == 1
    two.shift(56)  # the rest of the minute passes

    two.waits_for("my_follow_up", 2, seconds=70)
    assert times(two) == 2
    assert len(two.consumed()) == 3


def test_what_converges_sees_a_received_class_for_as_long_as_it_lives(site: Sites) -> None:
    downstream = asks("Host1") + 'reports:\nup_go::\n"heard" action => if_elapsed("0");'
    one, two = pair(site, downstream, "go")
    one.run("-D", "do_go")
    received(two, 1)

    assert ["heard" in two.run("-K") for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize(("mode", "count"), [("level", 3), ("each", 1), ("once", 1)])
def test_a_command_may_want_the_level(site: Sites, mode: str, count: int) -> None:
    action = f'body action wanted\n{{\nifelapsed => "0";\nsignals => "{mode}";\n}}\n'
    one, two = pair(site, follows("up_go"), "go")
    files = policy(follows("up_go").replace('if_elapsed("0")', "wanted"))
    two.policy({name: text + action for name, text in files.items()})
    two.run()
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    for _ in range(2):
        two.run()

    assert times(two) == count


def test_signals_that_a_command_is_told_do_not_make_it_another_one(site: Sites) -> None:
    """Its lock holds, whatever `$(this.signals)` says."""
    locked = follows("up_go").replace('if_elapsed("0")', 'if_elapsed("1")')
    one, two = pair(site, locked.replace('follow_up"', 'follow_up $(this.signals)"'), "go")
    one.run("-D", "do_go")
    two.waits_for("my_follow_up")
    one.run("-D", "do_go")
    received(two, 2)

    assert times(two) == 1
    assert two.did("my_follow_up")[0].rest == "go@Host1#1"
