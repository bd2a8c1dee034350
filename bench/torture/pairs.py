"""Two hosts, one of which follows what the other signals: what several tests begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.workflows.hosts import until
from tests.workflows.policies import asks, grants, policy

if TYPE_CHECKING:
    from tests.workflows.hosts import Host, Site


def go(minutes: int = 10) -> dict[str, str]:
    """An upstream that signals `go` at each run with -D do_go."""
    return policy(
        'commands:\ndo_go::\n"/usr/local/bin/my_job" action => if_elapsed("0"),'
        f' classes => signal_for("go", "{minutes}");',
        grants("go", "Host2"),
    )


FOLLOWS = 'commands:\nup_go::\n"/usr/local/bin/my_follow_up" action => if_elapsed("0");'


def pair(site: Site) -> tuple[Host, Host]:
    """Host1 signals, Host2 follows; both are up and in contact."""
    one, two = site.hosts[:2]
    one.policy(go())
    two.policy(policy(asks("Host1") + FOLLOWS))
    for host in (one, two):
        host.start()
    two.run()
    two.meets(one)
    return one, two


def received(host: Host) -> int:
    rows = host.rows("SELECT count(*) FROM received")
    return int(rows[0][0]) if rows else 0


def more_than(before: int, host: Host) -> None:
    """Wait until HOST has received more than BEFORE signals."""
    until(lambda: received(host) > before, "a signal")


def sound(host: Host) -> bool:
    """Whether the state of HOST is a good database."""
    return host.rows("PRAGMA integrity_check") == [("ok",)]
