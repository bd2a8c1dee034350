"""What a run makes of signals: the laws of server/SIGNALS.md §3 and §4, one each."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from agent import acts, heard, inbox, signals, state
from agent.exchange import Act
from server.wire.keys import Identity
from server.wire.signals import Signal, sign
from server.wire.trust import Peer, Store
from tests.agent.driver import NOW
from tests.agent.site import ASK, BODIES, EPOCH, MINUTE, Site
from tests.server.halves import Half, grant, trusted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_command_runs_once_for_a_signal_however_many_runs_see_it(site: Site) -> None:
    site.say("HostA", "did_job")

    assert [site.run(site.job("from_did_job")) for _ in "123"] == [["job"], [], []]


def test_a_new_signal_of_the_same_class_runs_it_again(site: Site) -> None:
    site.say("HostA", "did_job")
    site.run(site.job("from_did_job"))
    site.say("HostA", "did_job")

    assert site.run(site.job("from_did_job")) == ["job"]


def test_several_signals_of_one_class_are_consumed_by_one_run_and_listed(site: Site) -> None:
    site.say("HostA", "did_job")
    site.say("HostA", "did_job")

    assert site.run(site.job("from_did_job", "$(this.signals)")) == [
        "did_job@HostA#1,did_job@HostA#2"
    ]
    assert site.run(site.job("from_did_job", "$(this.signals)")) == []


def test_what_converges_sees_the_class_for_as_long_as_it_lives(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.say("HostA", "did_job")
    report = 'reports:\n from_did_job::\n "it is set";'

    site.run(report)
    site.run(report)

    assert capfd.readouterr().out.count("R: it is set") == 2


def test_a_failed_command_consumes_nothing_and_is_tried_again(site: Site) -> None:
    site.say("HostA", "did_job")
    flag = site.base / "works"
    text = (
        f"commands:\n from_did_job::\n \"/bin/sh -c 'echo try >> {site.jobs}; test -e {flag}'\""
        " action => at_once;"
    )
    tries = [site.run(text), site.run(text)]
    flag.touch()
    tries += [site.run(text), site.run(text)]

    assert tries == [["try"], ["try"], ["try"], []]


def test_an_edited_comment_fires_nothing_again(site: Site) -> None:
    site.say("HostA", "did_job")

    assert site.run(site.job("from_did_job", more='comment => "one",')) == ["job"]
    assert site.run(site.job("from_did_job", more='comment => "two",')) == []


def test_the_handle_names_a_promise_whose_command_changes(site: Site) -> None:
    site.say("HostA", "did_job")

    assert site.run(site.job("from_did_job", "a", more='handle => "h",')) == ["a"]
    assert site.run(site.job("from_did_job", "b", more='handle => "h",')) == []


def test_and_waits_for_a_fresh_signal_of_every_upstream(site: Site) -> None:
    job = site.job("from_did_one.from_did_two")
    site.say("HostA", "did_one")
    before = site.run(job)
    site.say("HostB", "did_two")
    both = site.run(job)
    site.say("HostA", "did_one")
    again = site.run(job)
    site.say("HostB", "did_two")

    assert (before, both, again, site.run(job)) == ([], ["job"], [], ["job"])


def test_or_fires_once_for_what_has_arrived(site: Site) -> None:
    job = site.job("from_did_one|from_did_two")
    site.say("HostA", "did_one")
    first = site.run(job)
    site.say("HostB", "did_two")
    second = site.run(job)

    assert (first, second, site.run(job)) == (["job"], ["job"], [])


@pytest.mark.parametrize(
    ("rule", "needs_both"),
    [
        ('"go" and => { "from_did_one", "from_did_two" };', True),
        ('"go" expression => "from_did_one.from_did_two";', True),
        ('"go" expression => and("from_did_one", "from_did_two");', True),
        ('"go" expression => "from_did_one", if => "from_did_two";', True),
        ('from_did_one:: "go" expression => "from_did_two";', True),
        ('"go" expression => isgreaterthan(countclassesmatching("from_did_.*"), "1");', True),
        ('"go" or => { "from_did_one", "from_did_two" };', False),
        ('"go" or => { classmatch("from_did_one"), "from_did_two" };', False),
        ('"go" expression => or("from_did_one", "from_did_two");', False),
        ('"go" expression => classmatch("from_did_.*");', False),
        ('"one" expression => "from_did_one"; "go" expression => "one|from_did_two";', False),
    ],
)
def test_a_derived_class_carries_the_signals_that_it_needs(
    site: Site, rule: str, needs_both: bool
) -> None:
    job = f"classes:\n any::\n{rule}\n" + site.job("go")
    site.say("HostA", "did_one")
    one = site.run(job)
    site.say("HostB", "did_two")
    two = site.run(job)
    site.say("HostB", "did_two")
    three = site.run(job)

    assert (one, two, three) == (([], ["job"], []) if needs_both else (["job"], ["job"], ["job"]))
    assert site.run(job) == []


def test_a_negated_class_needs_no_signal(site: Site) -> None:
    job = site.job("from_did_one.!from_did_two")
    site.say("HostA", "did_one")

    assert [site.run(job), site.run(job)] == [["job"], []]


def test_a_negated_class_that_is_there_holds_it_back(site: Site) -> None:
    site.say("HostA", "did_one")
    site.say("HostB", "did_two")

    assert site.run(site.job("from_did_one.!from_did_two")) == []


def test_an_if_with_a_signal_class_counts_like_a_guard(site: Site) -> None:
    job = site.job("any", more='if => "from_did_job",')
    site.say("HostA", "did_job")

    assert [site.run(job), site.run(job)] == [["job"], []]


def test_two_origins_with_one_prefix_are_one_class_with_the_signals_of_both(site: Site) -> None:
    site.say("HostA", "did_job")
    site.say("HostB", "did_job")
    job = site.job("from_did_job", "$(this.signals)")

    told = site.run(job)

    assert sorted(",".join(told).split(",")) == ["did_job@HostA#1", "did_job@HostB#1"]
    site.say("HostB", "did_job")
    assert site.run(job) == ["did_job@HostB#2"]


def test_a_call_of_a_bundle_carries_the_signals_of_its_guard(site: Site) -> None:
    call = 'methods:\n from_did_job::\n "any" usebundle => work, action => at_once;\n'
    bundle = f"bundle agent work {{ {site.job('any')} }}"
    site.say("HostA", "did_job")

    ran = []
    for _ in "12":
        site.jobs.unlink(missing_ok=True)
        site.agent.keep(f"{ASK}\n{call}", f"{BODIES}\n{bundle}")
        ran.append(site.jobs.exists())

    assert ran == [True, False]


def test_several_follow_ups_each_act_on_the_signal(site: Site) -> None:
    jobs = site.job("from_did_job", "one") + site.job("from_did_job", "two")
    site.say("HostA", "did_job")

    assert [site.run(jobs), site.run(jobs)] == [["one", "two"], []]


def test_a_cancel_voids_the_signals_before_it(site: Site) -> None:
    site.say("HostA", "did_job")
    site.say("HostA", "did_job", kind="cancel")
    cancelled = site.run(site.job("from_did_job"))
    site.say("HostA", "did_job")

    assert (cancelled, site.run(site.job("from_did_job"))) == ([], ["job"])


def test_a_renewed_state_is_the_same_edge(site: Site) -> None:
    first = site.say("HostA", "did_job", kind="state")
    ran = site.run(site.job("from_did_job"))
    site.say("HostA", "did_job", kind="state", first=first)

    assert (ran, site.run(site.job("from_did_job"))) == (["job"], [])


def test_level_runs_whenever_the_class_is_set(site: Site) -> None:
    site.say("HostA", "did_job")
    job = site.job("from_did_job", action="level")

    assert [site.run(job), site.run(job)] == [["job"], ["job"]]


def test_a_lock_longer_than_the_gap_holds_the_second_signal_until_it_ends(site: Site) -> None:
    job = site.job("from_did_job", action="hourly")
    site.agent.no_locks = False
    site.say("HostA", "did_job")
    first = site.run(job)
    site.say("HostA", "did_job")
    second = site.run(job)
    waits = acts.waits(site.state)

    assert (first, second) == (["job"], [])
    assert [(until > NOW, names) for _, until, names in waits] == [(True, "did_job")]
    site.agent.now = NOW + 3700
    assert site.run(job) == ["job"]


def test_the_signal_of_a_peer_that_is_removed_is_not_used(site: Site) -> None:
    site.say("HostA", "did_job")
    Store(f"{site.base}/ppkeys", int(NOW)).remove("HostA")

    assert site.run(site.job("from_did_job")) == []


def test_what_is_asked_of_nobody_is_false_and_said(site: Site) -> None:
    asks = 'classes: "met" expression => remoteclassesmatching("d.*", "Nobody", "no", "x");'

    ran = site.run(site.job("!met"), asks=asks)

    assert ran == ["job"]
    assert any("'Nobody' is no peer of this host" in line for line in site.kept.lines)


def test_contact_is_told_from_what_matches(site: Site) -> None:
    assert site.run(site.job("asked_a.!from_did_job")) == ["job"]


def test_a_run_that_asks_hears_what_a_peer_said_under_its_key_before(tmp_path: Path) -> None:
    old, new = Identity.new(), Identity.new()
    now = int(time.time())
    store = Store(f"{tmp_path}/ppkeys", now)
    memory = state.State(f"{tmp_path}/agent.db", lambda *_: None, now)
    with Half(new) as half:
        place = f"127.0.0.1:{half.address[1]}"
        half.trusts(trusted(store.create(), "me"))
        half.grants(grant())
        for key, more in ((old, {"successor": new.id}), (new, {"addresses": (place,)})):
            store._rewrite(Peer(id=key.id, label="HostA", key=key.public, **more))
        half.identity = old
        said = half.signal("did_it")
        half.identity = new
        half.say([said, half.signal("did_more")])

        inbox.pull(memory, store, store.trust().peers[new.id], None, 5.0)

    found = heard.live(memory, now * 1000)
    assert {one.name: one.origin for one in found} == {"did_it": old.id, "did_more": new.id}
    assert inbox.where(memory, new.id)[1] == 2


def test_what_a_peer_said_counts_when_it_is_away(site: Site) -> None:
    site.say("HostA", "did_job")
    heard.met(site.state, site.identities["HostA"].id, int(NOW) * 1000, reason="gone")
    site.agent.now = NOW + 400  # later than an answer is current

    assert site.run(site.job("from_did_job.!asked_a")) == ["job"]


def test_a_run_remembers_what_it_asked_for(site: Site) -> None:
    site.run("")

    asked = heard.asked(site.state, int(NOW) * 1000)
    assert {(server, pattern) for server, pattern, _, _ in asked} == {
        ("HostA", "did.*"), ("HostB", "did.*"),
    }  # fmt: skip


# what this host says


def test_each_outcome_is_an_event(site: Site) -> None:
    job = site.job("any", more='classes => says("done"),')
    site.run(job)
    site.run(job)

    assert site.said() == [("event", "done"), ("event", "done")]


def test_a_state_is_said_once_while_more_than_half_of_its_life_is_left(site: Site) -> None:
    rule = 'classes: "up" expression => "any", persistence => "10";'
    for later in (0, 60, 240):
        site.agent.now = NOW + later
        site.run(rule)
    early = site.said()
    site.agent.now = NOW + 301
    site.run(rule)

    assert early == [("state", "up")]
    assert site.said() == [("state", "up"), ("state", "up")]


def test_a_cancel_of_what_was_said_is_said_once(site: Site) -> None:
    site.run(site.job("any", more='classes => says("done"),'))
    cancel = 'classes: "done" cancel => "true";'
    site.run(cancel)
    site.run(cancel)

    assert site.said() == [("event", "done"), ("cancel", "done")]


def test_an_event_names_the_signals_that_led_to_it(site: Site) -> None:
    site.say("HostA", "did_job")
    site.run(site.job("from_did_job", more='classes => says("done"),'))

    (row,) = signals.unsigned(site.state)
    assert row.causes == [(site.identities["HostA"].id, EPOCH, 1)]


def test_a_dry_run_and_a_plan_say_and_consume_nothing(site: Site) -> None:
    site.say("HostA", "did_job")
    job = site.job("from_did_job", more='classes => says("done"),')
    site.agent.keep(f"{ASK}\n{job}", BODIES, dry=True)
    site.agent.keep(f"{ASK}\n{job}", BODIES, plan=True)

    assert site.said() == []
    assert not site.jobs.exists()
    assert site.run(job) == ["job"]


# interrupted


def _begun(site: Site, action: str) -> str:
    """A job on which a run died that had begun with the signal of now."""
    job = site.job("from_did_job", more='handle => "h",', action=action)
    site.run("")  # makes the policy's state
    path = "main:#h"
    site.state.do(
        lambda db: acts.consume(
            db, path, [(site.identities["HostA"].id, EPOCH, 1)], "begun", int(NOW) * 1000
        ),
        None,
    )
    return job


def test_what_was_interrupted_is_tried_again(site: Site) -> None:
    site.say("HostA", "did_job")
    job = _begun(site, "at_once")

    assert site.run(job) == ["job"]


def test_once_forbids_a_second_try_after_an_interrupted_one(site: Site) -> None:
    site.say("HostA", "did_job")
    job = _begun(site, "once")

    assert site.run(job) == []
    assert any("was interrupted; it is not tried again" in line for line in site.kept.lines)
    site.say("HostA", "did_job")
    assert [site.run(job), site.run(job)] == [["job"], []]


def test_once_writes_down_that_it_begins_before_it_does(site: Site) -> None:
    site.say("HostA", "did_job")
    script = site.base / "look"
    look = "SELECT ending FROM consumed"
    lines = (
        f"#!{sys.executable}",
        "import sqlite3",
        f"db = sqlite3.connect('{site.base}/state/agent.db')",
        f"open('{site.jobs}', 'a').write(*db.execute('{look}').fetchone())",
    )
    script.write_text("\n".join(lines))
    script.chmod(0o700)

    ran = site.run(f'commands:\n from_did_job::\n "{script}" action => once;')

    assert ran == ["begun"]
    assert [how for how, _ in acts.consumptions(site.state).values()] == ["repaired"]


def test_a_failed_one_may_be_tried_again_even_with_once(site: Site) -> None:
    site.say("HostA", "did_job")
    command = f"/bin/sh -c 'echo x >> {site.jobs}; exit 3'"
    job = f'commands:\n from_did_job::\n "{command}" action => once;'

    assert [site.run(job), site.run(job)] == [["x"], ["x"]]


def test_what_another_run_has_acted_on_meanwhile_cannot_begin(site: Site) -> None:
    seq = site.say("HostA", "did_job")
    act = Act("main:#h", frozenset([(site.identities["HostA"].id, EPOCH, seq)]))
    holder = (1, 1, int(NOW))
    begun = [site.state.begin(b"one", holder, None, None, act)]
    site.state.commit(b"one", int(NOW), act, "repaired")

    begun.append(site.state.begin(b"two", holder, None, None, act))

    assert begun == [True, False]


# what a peer may do to us


def test_a_peer_that_says_too_much_is_not_kept_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heard, "MOST_OF_ONE", 3)
    for number in range(5):
        site.say("HostA", f"did_{number}")
    site.say("HostB", "did_job")

    kept = [one.name for one in heard.live(site.state, int(NOW) * 1000)]

    assert sorted(kept) == ["did_0", "did_1", "did_2", "did_job"]


def test_what_is_older_than_we_remember_is_over_whatever_the_clock_of_its_origin_says(
    site: Site,
) -> None:
    identity, now = site.identities["HostA"], int(NOW) * 1000
    granted = now - heard.REMEMBERED - 1
    old = Signal(
        origin=identity.public, epoch=EPOCH, seq=1, kind="event", name="did_job", first=1,
        run=bytes(16), granted=granted, expires=granted + MINUTE,
    )  # fmt: skip

    batch = inbox.verify(identity.public, [sign(identity, old)], granted, now)

    assert (batch.keep, batch.over) == ([], 1)


def test_a_number_is_remembered_when_its_signal_is_over(site: Site) -> None:
    site.say("HostA", "did_job", minutes=1)
    late = (int(NOW) + 3 * 24 * 3600) * 1000
    heard.prune(site.state, late)

    rows: list[tuple[int, bytes]] = site.state.do(
        lambda db: db.execute("SELECT seq, body FROM received").fetchall(), []
    )

    assert rows == [(1, b"")]


def test_what_was_done_for_a_signal_is_written_down_though_others_hold_the_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "BUSY_SECONDS", 0.05)
    site.say("HostA", "did_job")
    script = site.base / "hold"
    script.write_text(
        f"#!/bin/sh\necho job >> {site.jobs}\n"
        f"{sys.executable} -c 'import sqlite3, time\n"
        f'db = sqlite3.connect("{site.base}/state/agent.db", isolation_level=None)\n'
        'db.execute("BEGIN IMMEDIATE"); print("", flush=True); time.sleep(0.6)\' > '
        f"{site.base}/held &\n"
        f"while ! test -s {site.base}/held; do sleep 0.01; done\n"
    )
    script.chmod(0o700)
    job = f'commands:\n from_did_job::\n "{script}" action => at_once;'

    assert [site.run(job), site.run(job)] == [["job"], []]


def test_a_command_does_not_begin_for_a_signal_if_that_cannot_be_written_down(site: Site) -> None:
    act = Act("main:#h", frozenset([(site.identities["HostA"].id, EPOCH, 1)]))
    site.state.broken = True

    begun = [site.state.begin(b"k", (1, 1, 1), None, None, it) for it in (None, act)]

    assert begun == [True, False]
