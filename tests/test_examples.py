"""Every example does what its README shows, and the index knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import console

EXAMPLES = Path(__file__).parent.parent / "examples"
# an echo, or a job of the reader's: the READMEs put one into the work directory
HARMLESS = ('"/bin/echo ', '"/usr/local/bin/my_')
NAMES = sorted(readme.parent.name for readme in EXAMPLES.glob("*/README.md"))


def test_there_are_enough_examples() -> None:
    assert len(NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_its_readme_shows(name: str, short_path: Path) -> None:
    seen, shown = console.compare(EXAMPLES / name / "README.md", short_path)

    assert seen == shown != ""


@pytest.mark.parametrize("name", NAMES)
def test_an_example_changes_only_the_work_directory(name: str) -> None:
    policies = [path.read_text() for path in (EXAMPLES / name).glob("*.cf")]
    lines = [line.strip() for text in policies for line in text.splitlines()]
    written = [line for line in lines if line.startswith('"/')]

    assert all(line.startswith(HARMLESS) for line in written)


@pytest.mark.parametrize("name", NAMES)
def test_the_index_lists_every_example(name: str) -> None:
    assert f"({name}/)" in (EXAMPLES / "README.md").read_text()
