"""`packagesmatching` and `packageupdatesmatching`: what they know, and when modules are asked."""

import os
from pathlib import Path

import pytest

from tests.agent.driver import NOW, Agent, Kept

FAKE = """#!/bin/sh
echo "$1" >> "$(dirname "$0")/asked"
test -z "$(cat | grep -v '^options=')" || exit 1
case "$1" in
supports-api-version) echo 1 ;;
list-installed) printf 'Name=%s\\nVersion=%s\\nArchitecture=%s\\n' ed 1.2 amd64 mc 3 all ;;
list-updates-local) printf 'Name=ed\\nVersion=1.3\\nArchitecture=amd64\\n' ;;
esac
"""
CONTROL = 'body common control { package_inventory => { "fake" }; }'
BODY = """
body package_module fake {
  query_installed_ifelapsed => "60";
  query_updates_ifelapsed => "60";
  default_options => { "quick" };
}
"""
POLICY = """
vars:
  "found" data => %s;
  "shown" string => format("%%S", found);
reports:
  "$(shown)";
"""
ALL = 'packagesmatching(".*", ".*", ".*", ".*")'
ED = '{"arch":"amd64","method":"fake","name":"ed","version":"1.2"}'
MC = '{"arch":"all","method":"fake","name":"mc","version":"3"}'


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """An agent whose module directory has `fake` in it."""
    agent = Agent(tmp_path)
    modules = agent.base / "modules" / "packages"
    modules.mkdir(parents=True)
    (modules / "fake").write_text(FAKE)
    (modules / "fake").chmod(0o755)
    (agent.base / "state").mkdir(mode=0o700)
    return agent


def asked(agent: Agent) -> list[str]:
    """What the module was asked."""
    path = agent.base / "modules" / "packages" / "asked"
    return path.read_text().split() if path.exists() else []


def ask(agent: Agent, call: str, bodies: str = CONTROL + BODY, *, plan: bool = False) -> Kept:
    """Report what CALL comes to."""
    return agent.keep(POLICY % call, bodies, plan=plan)


def test_the_modules_of_the_inventory_are_asked(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    ask(agent, ALL)

    assert capfd.readouterr().out == f"R: [{ED},{MC}]\n"
    assert asked(agent) == ["supports-api-version", "list-installed", "list-updates-local"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('packagesmatching("e.", "1.*", "amd64", "fa.*")', f"[{ED}]"),
        ('packagesmatching("e", ".*", ".*", ".*")', "[]"),
        ('packagesmatching("mc", "3", "all", "fake")', f"[{MC}]"),
        (
            'packageupdatesmatching(".*", ".*", ".*", ".*")',
            '[{"arch":"amd64","method":"fake","name":"ed","version":"1.3"}]',
        ),
        ('packagesmatching("(", ".*", ".*", ".*")', "$(shown)"),
    ],
)
def test_patterns_choose(
    agent: Agent, capfd: pytest.CaptureFixture[str], call: str, expected: str
) -> None:
    ask(agent, call)

    assert capfd.readouterr().out == f"R: {expected}\n"


def test_what_was_listed_lately_is_not_asked_again(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without locks (-K) the module is asked in each run, so this asks whoever made the list."""
    ask(agent, ALL)
    capfd.readouterr()

    ask(agent, ALL, BODY)

    assert capfd.readouterr().out == f"R: [{ED},{MC}]\n"
    assert len(asked(agent)) == 3


def test_a_plan_asks_and_writes_nothing(agent: Agent, capfd: pytest.CaptureFixture[str]) -> None:
    ask(agent, ALL, plan=True)

    assert capfd.readouterr().out == f"R: [{ED},{MC}]\n"
    assert os.listdir(agent.base / "state") == []


def test_a_module_that_is_missing_fails_the_call(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    (agent.base / "modules" / "packages" / "fake").unlink()

    kept = ask(agent, ALL)

    assert capfd.readouterr().out == "R: $(shown)\n"
    assert "Cannot find package module at location" in kept.lines[0]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("echo Nonsense ed", "error: Unsupported response from package module: Nonsense ed"),
        ("echo PackageType=file", "error: Unsupported response from package module: PackageType"),
        ("echo ErrorMessage=no disk", "error: package module: ErrorMessage=no disk"),
        ("echo Version=1", "info: Error updating packages cache."),
        ("exit 3", "info: Some error occurred while communicating with package module while"),
    ],
)
def test_a_module_that_cannot_list_fails_the_call(
    agent: Agent, capfd: pytest.CaptureFixture[str], listed: str, said: str
) -> None:
    path = agent.base / "modules" / "packages" / "fake"
    path.write_text(FAKE.replace("list-installed) ", f"list-installed) {listed};"))

    kept = ask(agent, ALL)

    assert capfd.readouterr().out == "R: $(shown)\n"
    assert any(line.startswith(said) for line in kept.lines)
    assert "error: Can not update cache." in kept.lines


@pytest.mark.parametrize("version", ["2", "", "1; exit 1"])
def test_a_module_of_another_version_is_not_asked(
    agent: Agent, capfd: pytest.CaptureFixture[str], version: str
) -> None:
    path = agent.base / "modules" / "packages" / "fake"
    path.write_text(FAKE.replace("echo 1 ;;", f"echo {version} ;;"))

    kept = ask(agent, ALL)

    assert capfd.readouterr().out == "R: $(shown)\n"
    (said,) = [line for line in kept.lines if "wrapper API version" in line]
    assert said.startswith("error: Unsupported package module")
    assert asked(agent) == ["supports-api-version"]


def test_an_interpreter_runs_what_need_not_be_executable(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    (agent.base / "modules" / "packages" / "fake").chmod(0o644)
    body = BODY.replace("{\n", '{\n  interpreter => "/bin/sh";\n', 1)

    ask(agent, ALL, CONTROL + body)

    assert capfd.readouterr().out == f"R: [{ED},{MC}]\n"


def test_with_locks_a_list_is_good_for_as_long_as_its_body_says(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    agent.no_locks = False
    ask(agent, ALL)
    for name in ("installed", "updates"):
        os.utime(agent.base / "state" / f"packages_{name}_fake", (NOW, NOW))

    agent.now = NOW + 59 * 60
    ask(agent, ALL)
    assert len(asked(agent)) == 3
    agent.now = NOW + 60 * 60
    ask(agent, ALL)

    assert len(asked(agent)) == 6
    assert capfd.readouterr().out == f"R: [{ED},{MC}]\n" * 3


def test_a_list_that_cannot_be_read_fails_the_call(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    ask(agent, ALL)
    path = agent.base / "state" / "packages_installed_fake"
    path.unlink()
    path.mkdir()
    capfd.readouterr()

    ask(agent, ALL, BODY)

    assert capfd.readouterr().out == "R: $(shown)\n"


def test_an_inventory_of_no_module_says_so(agent: Agent) -> None:
    kept = ask(agent, ALL, CONTROL)

    assert "error: there is no body package_module 'fake' for the inventory" in kept.lines


def test_without_modules_what_methods_listed_counts(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = "ed,1,amd64,dpkg\nbroken\n"
    (agent.base / "state" / "software_packages.csv").write_text(lines)
    os.utime(agent.base / "state" / "software_packages.csv", (NOW, NOW))

    ask(agent, ALL, "")

    expected = '[{"arch":"amd64","method":"dpkg","name":"ed","version":"1"}]'
    assert capfd.readouterr().out == f"R: {expected}\n"


def test_where_nothing_was_listed_there_is_nothing(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    ask(agent, ALL, "")

    assert capfd.readouterr().out == "R: []\n"
