"""The language as the reference agent speaks it: what each policy of golden/language prints.

The first line of an .out says the options and the exit status; WORKDIR stands for the work
directory. The outputs are those of the real agent.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

Program = Callable[..., "subprocess.CompletedProcess[str]"]

GOLDEN = sorted((Path(__file__).parent / "golden" / "language").glob("*.cf"))


@pytest.mark.parametrize("policy", GOLDEN, ids=lambda path: path.stem)
def test_a_policy_prints_what_the_reference_prints(
    policy: Path, program: Program, tmp_path: Path
) -> None:
    first, _, expected = policy.with_suffix(".out").read_text().partition("\n")
    _, options, _, status = first.split()
    entry = Path(shutil.copy(policy, tmp_path))
    entry.chmod(0o600)

    ended = program("cf-agent", options, "-f", str(entry))

    assert ended.stdout == expected.replace("WORKDIR", str(tmp_path / "work"))
    assert ended.returncode == int(status)
