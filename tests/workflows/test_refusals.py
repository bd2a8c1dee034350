"""Whoever may not know learns nothing, and the refusal is in the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from server.wire.trust import Peer
from tests.workflows.hosts import Host, until
from tests.workflows.policies import asks, grants, policy, signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.workflows.conftest import Sites

QUIET = 0.4
HEARD = asks("Host1", pattern="secret.*|no_such_class") + (
    'reports:\nup_secret::\n"heard" action => if_elapsed("0");\n'
    '!up_secret::\n"silence" action => if_elapsed("0");'
)


def pair(site: Sites, admit: str) -> tuple[Host, Host]:
    """An upstream with the class `secret`, granted to ADMIT, and Host2, which asks for it."""
    one, two = site("Host1", "Host2").hosts
    one.policy(signals("secret", admit=admit))
    two.policy(policy(HEARD))
    one.run("-D", "do_secret")
    return one, two


def hidden(one: Host) -> dict[str, Any]:
    """What the audit log of ONE says of a class that somebody may not see, once it does."""
    return until(lambda: one.audit("granted-none") or one.audit("denied"), "a refusal in the log")[
        0
    ]


def removed(one: Host, two: Host) -> None:
    """Take TWO out of the peers of ONE."""
    assert one.troth("peer", "remove", "Host2").returncode == 0


def revoked(one: Host, two: Host) -> None:
    """Revoke the key of TWO at ONE."""
    directory = one.workdir / "ppkeys" / "revoked"
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / two.id).write_text(f"at: {int(time.time())}\n")
    (directory / two.id).chmod(0o600)


def expired(one: Host, two: Host) -> None:
    """Let the trust of ONE in TWO be over."""
    store = one.store()
    store.remove("Host2")
    store.add(
        Peer(id=two.id, label="Host2", key=two.store().identity().public,
             added_at=int(time.time()) - 100, not_after=int(time.time()) - 10),
        force=True,
    )  # fmt: skip


def test_a_peer_without_a_grant(site: Sites) -> None:
    one, two = pair(site, admit="Host3")
    one.site.start()
    said = [two.run("-K") for _ in range(2)]
    time.sleep(QUIET)

    assert all("silence" in text for text in said)
    assert not two.rows("SELECT 1 FROM received")
    assert hidden(one)["peer"] == two.id


def test_a_class_outside_of_the_pattern_of_the_grant(site: Sites) -> None:
    one, two = site("Host1", "Host2").hosts
    one.policy(signals("secret"))
    text = one.workdir / "inputs" / "promises.cf"
    granted = text.read_text().replace(grants("secret", "Host2"), grants("secre", "Host2"))
    text.write_text(granted)
    two.policy(policy(HEARD))
    one.run("-D", "do_secret")
    one.site.start()
    said = two.run("-K")
    time.sleep(QUIET)

    assert "silence" in said
    assert not two.rows("SELECT 1 FROM received")
    assert hidden(one)["peer"] == two.id


@pytest.mark.parametrize("end", [removed, revoked, expired])
def test_a_key_that_is_trusted_no_more(site: Sites, end: Callable[[Host, Host], None]) -> None:
    one, two = pair(site, admit="Host2")
    end(one, two)
    one.site.start()
    said = [two.run("-K") for _ in range(2)]
    time.sleep(QUIET)

    assert all("silence" in text for text in said)
    assert not two.rows("SELECT 1 FROM received")
    assert not two.hears(one)
    until(lambda: one.audit("refused"), "a refusal in the log")


@pytest.mark.parametrize("end", [removed, revoked])
def test_a_key_that_is_trusted_no_more_in_an_open_session(
    site: Sites, end: Callable[[Host, Host], None]
) -> None:
    """The session ends within a second, and what comes later is not heard."""
    one, two = pair(site, admit="Host2")
    one.site.start()
    two.run()
    two.meets(one)
    until(lambda: two.rows("SELECT 1 FROM received"), "the first signal")
    end(one, two)

    until(lambda: not two.hears(one), "the end of the session", 2.0)
    one.run("-D", "do_secret")
    time.sleep(QUIET)
    assert len(two.rows("SELECT 1 FROM received")) == 1


def test_a_grant_that_is_taken_back(site: Sites) -> None:
    one, two = pair(site, admit="Host2")
    one.site.start()
    two.run()
    two.meets(one)
    reloads = len(one.audit("reload"))
    one.policy(signals("secret", admit="Host3"))
    until(lambda: len(one.audit("reload")) > reloads, "the new grants")
    time.sleep(QUIET)
    before = len(two.rows("SELECT 1 FROM received"))
    one.run("-D", "do_secret")
    time.sleep(QUIET)

    assert len(two.rows("SELECT 1 FROM received")) == before == 1
