"""What the tests of all parts share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory with a short name, for outputs that are cut to the width of a terminal."""
    directory = tempfile.mkdtemp(prefix="t")
    yield Path(directory)
    shutil.rmtree(directory)
