"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

from agent import cli
from agent import help as helps
from tests import console
from tests.agent.conftest import Program, program

__all__ = ["program"]
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_tour_goes_as_it_is_told(short_path: Path) -> None:
    seen, shown = console.compare(ROOT / "README.md", short_path)

    assert seen == shown != ""


def test_the_workflow_that_it_shows_runs_as_it_stands(program: Program, tmp_path: Path) -> None:
    text = README.partition("## Several hosts")[2].partition("```cf3\n")[2].partition("```")[0]
    policy = tmp_path / "policy.cf"
    policy.write_text(text.replace("/usr/local/bin/", "/bin/true "))
    policy.chmod(0o600)

    check = program("troth", "check", str(policy))
    plan = program("troth", "plan", "-D", "database,Hr03", str(policy))

    assert check.returncode == 0
    assert "run '/bin/true dump'" in plan.stdout


def test_every_command_is_mentioned() -> None:
    assert all(f"troth {command}" in README for command in cli.COMMANDS)


def test_every_target_of_the_makefile_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()

    assert f'version = "{helps.VERSION}"' in project
    assert f"## {helps.VERSION}" in (ROOT / "CHANGELOG.md").read_text()
