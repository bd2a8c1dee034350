"""`troth signal why`: one answer for each thing that can keep a follow-up from firing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agent import heard, why
from agent.log import Log
from agent.options import Settings
from tests.agent.driver import NOW
from tests.agent.site import ASK, Site

if TYPE_CHECKING:
    from pathlib import Path

NAME = "from_did_job"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.run(site.job(NAME), asks=ASK)
    return site


def explained(site: Site, name: str = NAME) -> dict[str, Any]:
    """What is said of NAME."""
    settings = Settings(
        {"program": "signal", "file": str(site.base / "policy.cf"), "workdir": str(site.base),
         "now": site.agent.now, "no_locks": False}
    )  # fmt: skip
    run = why.rehearsed(settings, Log("error"))
    assert run is not None
    return why.explained(run, name)


def states(found: dict[str, Any]) -> tuple[set[str], list[str]]:
    """The words for sources and promises."""
    return (
        {source["state"] for source in found["sources"]},
        [promise["state"] for promise in found["promises"]],
    )


def test_never_received(site: Site) -> None:
    assert states(explained(site)) == ({"never received"}, ["waits"])


def test_no_contact(site: Site) -> None:
    for identity in site.identities.values():
        heard.met(site.state, identity.id, int(NOW) * 1000, reason="refused")
    site.agent.now = NOW + 400

    found = explained(site)

    assert states(found) == ({"no contact"}, ["waits"])
    assert all("refused" in source["said"] for source in found["sources"])


def test_about_to_run(site: Site) -> None:
    site.say("HostA", "did_job")

    assert states(explained(site)) == ({"received", "never received"}, ["about to run"])


def test_what_failed_is_tried_again(site: Site) -> None:
    site.say("HostA", "did_job")
    site.run(f'commands:\n {NAME}::\n "/bin/false" action => at_once;')

    (promise,) = explained(site)["promises"]
    assert promise["state"] == "about to run"
    assert promise["said"].startswith("failed at ")
    assert promise["said"].endswith(", about to run again")


def test_what_failed_waits_for_its_lock(site: Site) -> None:
    site.say("HostA", "did_job")
    site.run(f'commands:\n {NAME}::\n "/bin/false" action => hourly;')

    (promise,) = explained(site)["promises"]
    assert promise["state"] == "locked"
    assert promise["said"].startswith("failed at ")


def test_an_old_failure_says_nothing_of_a_new_signal(site: Site) -> None:
    site.say("HostA", "did_job")
    site.run(f'commands:\n {NAME}::\n "/bin/false" action => at_once;')
    site.say("HostA", "did_job", kind="cancel")
    site.say("HostB", "did_job")

    (promise,) = explained(site)["promises"]
    assert (promise["state"], promise["said"]) == ("about to run", "about to run")


def test_consumed(site: Site) -> None:
    site.say("HostA", "did_job")
    site.run(site.job(NAME))

    assert states(explained(site))[1] == ["consumed"]


def test_cancelled(site: Site) -> None:
    site.say("HostA", "did_job")
    site.say("HostA", "did_job", kind="cancel")

    assert states(explained(site)) == ({"cancelled", "never received"}, ["waits"])


def test_locked(site: Site) -> None:
    site.agent.no_locks = False
    site.say("HostA", "did_job")
    site.run(site.job(NAME, action="hourly"))
    site.say("HostA", "did_job")

    assert states(explained(site))[1] == ["locked"]


def test_no_peer(site: Site) -> None:
    asks = 'classes: "a" expression => remoteclassesmatching("did.*", "HostC", "no", "from");'
    site.run(site.job(NAME), asks=asks)

    assert states(explained(site)) == ({"no peer"}, ["waits"])


def test_a_class_under_its_name_at_the_peer_is_told_by_its_name_here(site: Site) -> None:
    found = explained(site, "did_job")

    assert found["here"] == [NAME]
    assert NAME in why.told(found)[1]
    assert explained(site)["here"] == []


def test_a_pattern_that_is_none_is_said(site: Site) -> None:
    site.run(site.job(NAME), asks=ASK.replace("did.*", "did["))

    assert states(explained(site))[0] == {"bad pattern"}
    assert explained(site, "did_job")["here"] == []


def test_what_else_a_guard_wants_is_named(site: Site) -> None:
    site.run(site.job(f"Host2.{NAME}"))

    (promise,) = explained(site)["promises"]
    assert "'Host2'" in promise["said"]


def test_a_condition_made_of_variables_and_a_derived_class_are_found(site: Site) -> None:
    rule = 'vars: "n" string => "did_job"; classes: "go" expression => "from_$(n)";\n'
    site.run(rule + site.job("go"))

    assert len(explained(site)["promises"]) == 1


def test_what_this_host_says_itself_is_shown(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    own = [{"kind": "event", "number": 3, "granted": 0, "expires": 1000}]
    found = {"class": "x", "sources": [], "promises": [], "own": own, "here": []}

    assert any("event #3" in line for line in why.told(found))


def test_a_signal_that_waits_for_another_is_told_from_one_that_was_acted_on(site: Site) -> None:
    job = site.job("from_did_job.from_did_two")
    site.say("HostA", "did_job")
    site.say("HostB", "did_two")
    site.run(job)
    site.say("HostA", "did_job")

    (promise,) = explained(site)["promises"]

    assert promise["state"] == "waits"
    assert "a new 'from_did_two'" in promise["said"]


def test_names_made_of_lists_are_found(site: Site) -> None:
    rule = (
        'vars: "n" slist => { "from", "at" };'
        'classes: "some_$(n)" expression => "$(n)_did_job"; "go" or => { "some_from" };\n'
    )
    site.run(rule + site.job("go") + site.job("any", "b", 'if => "$(n)_did_job",'))

    assert len(explained(site)["promises"]) == 2


def test_what_must_be_absent_is_not_waited_for(site: Site) -> None:
    site.run(site.job(f"{NAME}.!stopped"))

    (promise,) = explained(site)["promises"]
    assert "stopped" not in promise["said"]


def test_a_class_that_follows_from_others_is_told_by_what_it_follows_from(site: Site) -> None:
    rule = 'classes:\n "all" and => { "from_did_job", "from_did_two" };\n'
    site.run(rule + site.job("all"))
    site.say("HostA", "did_job")

    found = explained(site, "all")

    assert {source["class"] for source in found["sources"]} == {"did_job", "did_two"}
    assert found["promises"][0]["said"].endswith("waits for a new 'from_did_two'")


def test_a_class_that_the_bundle_has_set_is_not_waited_for(site: Site) -> None:
    rule = 'classes:\n "ready" expression => "any";\n'
    site.run(rule + site.job(f"ready.{NAME}"))

    (promise,) = explained(site)["promises"]
    assert "ready" not in promise["said"]
