"""Every example does what its README shows, and the index knows it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import console

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(readme.parent.name for readme in EXAMPLES.glob("*/README.md"))


def test_there_are_enough_examples() -> None:
    assert len(NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_its_readme_shows(name: str, tmp_path: Path) -> None:
    for file in (EXAMPLES / name).iterdir():
        shutil.copyfile(file, tmp_path / file.name)
        (tmp_path / file.name).chmod(0o600)

    console.check((EXAMPLES / name / "README.md").read_text(), tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_changes_only_the_work_directory(name: str) -> None:
    policy = (EXAMPLES / name / "policy.cf").read_text()
    written = [line.strip() for line in policy.splitlines() if line.strip().startswith('"/')]

    assert all(line.startswith('"/bin/echo ') for line in written)


@pytest.mark.parametrize("name", NAMES)
def test_the_index_lists_every_example(name: str) -> None:
    assert f"({name}/)" in (EXAMPLES / "README.md").read_text()
