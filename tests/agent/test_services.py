"""Services: which bundle is called for them, with what, and how that ends."""

from pathlib import Path

import pytest

from agent.outcome import Outcome
from policy.errors import Fatal
from tests.agent.driver import Agent

BODIES = """
body service_method called {
  service_bundle => keeper("$(this.promiser)", "$(this.service_policy)");
}
body service_method bare { service_bundle => nothing; }
body service_method windows { service_type => "windows"; }
body action warn { action_policy => "warn"; }
bundle agent keeper(service, state) {
  reports: "keeper $(service) $(state) $(this.service_policy)";
}
bundle agent nothing { reports: "nothing"; }
bundle agent standard_services(service, state) { reports: "standard $(service) $(state)"; }
bundle agent service_my_own(service, state) { reports: "own $(service) $(state)"; }
bundle agent touch(service, state) { files: "$(service)" create => "true"; }
bundle agent fail(service, state) { commands: "/bin/false"; }
body service_method touching { service_bundle => touch("$(this.promiser)", "start"); }
body service_method failing { service_bundle => fail("$(this.promiser)", "start"); }
"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.mark.parametrize(
    ("promise", "report"),
    [
        ('"www" service_policy => "stop"', "standard www stop"),
        ('"www"', "standard www start"),
        ('"my.own" service_policy => "enable"', "own my.own enable"),
        ('"my.own" service_method => called', "keeper my.own start $(this.service_policy)"),
        ('"x" service_policy => "anything", service_method => called',
         "keeper x anything $(this.service_policy)"),
        ('"x" service_method => bare', "nothing"),
    ],
)  # fmt: skip
def test_which_bundle_is_called(
    agent: Agent, promise: str, report: str, capfd: pytest.CaptureFixture[str]
) -> None:
    comma = "," if "=>" in promise else ""
    kept = agent.keep(f"services: {promise}{comma} classes => fired;", BODIES)

    assert capfd.readouterr().out == f"R: {report}\n"
    assert kept.fired == {"kept"}


def test_policies_are_iterated_over(agent: Agent, capfd: pytest.CaptureFixture[str]) -> None:
    agent.keep(
        'vars: "want" slist => { "start", "enable" };\n'
        'services: "www" service_policy => "$(want)", service_method => called;',
        BODIES,
    )

    said = [line.rpartition(" $")[0] for line in capfd.readouterr().out.splitlines()]
    assert said == ["R: keeper www start", "R: keeper www enable"]


def test_the_standard_bundle_is_found_from_another_namespace(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    agent.keep(
        'methods: "x" usebundle => other:b;',
        f'{BODIES}\nbody file control {{ namespace => "other"; }}\n'
        'bundle agent b { services: "www"; }\nbody file control { namespace => "default"; }',
    )

    assert capfd.readouterr().out == "R: standard www start\n"


def test_it_ends_as_the_bundle_did(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "made"
    sections = f'services: "{path}" service_method => touching, classes => fired;'

    assert agent.keep(sections, BODIES).fired == {"repaired"}
    assert agent.keep(sections, BODIES).fired == {"kept"}


def test_a_bundle_that_fails(agent: Agent) -> None:
    kept = agent.keep('services: "x" service_method => failing, classes => fired;', BODIES)

    assert kept.lines[-1] == "error: Method 'fail' failed in some repairs"
    assert kept.fired == {"failed"}


def test_a_dry_run_changes_nothing(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "made"

    kept = agent.keep(
        f'services: "{path}" service_method => touching, classes => fired;', BODIES, dry=True
    )

    assert not path.exists()
    assert kept.lines[-1] == "warning: Method 'touch' invoked repairs, but only warnings promised"
    assert kept.fired == {"failed"}


def test_a_promise_that_only_warns_calls_nothing(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "made"

    kept = agent.keep(
        f'services: "{path}" service_method => touching, classes => fired, action => warn;', BODIES
    )

    assert not path.exists()
    assert kept.lines == [
        "warning: Bundle 'touch' should be invoked, but only a warning was promised!"
    ]
    assert kept.fired == {"failed"}


def test_no_bundle_for_a_service_ends_the_run(agent: Agent) -> None:
    with pytest.raises(Fatal, match="missing bundle 'default:standard_services'"):
        agent.keep('services: "www";')


def test_windows_is_skipped(agent: Agent) -> None:
    kept = agent.keep('services: "www" service_method => windows, classes => fired;', BODIES)

    assert kept.lines == ["info: Service type windows not supported on this platform."]
    assert kept.only(Outcome.SKIPPED)
    assert kept.fired == set()


def test_a_service_that_waits_for_itself(agent: Agent) -> None:
    kept = agent.keep('services: "www" service_dependencies => { "db", "www" };', BODIES)

    assert kept.lines[0] == "error: Service promiser 'www' has itself as dependency"
    assert kept.lines[1].startswith("error: Promise belongs to bundle 'main' in file ")
    assert kept.only(Outcome.FAILED)
