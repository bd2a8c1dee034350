"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

from agent import cli
from agent import help as helps
from tests import console

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_tour_goes_as_it_is_told(short_path: Path) -> None:
    seen, shown = console.compare(ROOT / "README.md", short_path)

    assert seen == shown != ""


def test_every_command_is_mentioned() -> None:
    assert all(f"troth {command}" in README for command in cli.COMMANDS)


def test_every_target_of_the_makefile_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()

    assert f'version = "{helps.VERSION}"' in project
    assert f"## {helps.VERSION}" in (ROOT / "CHANGELOG.md").read_text()
