"""Globs from the network: what they mean, and that no peer can make them cost anything."""

from __future__ import annotations

import fnmatch
import re
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audit import Auditor
from server.hub import Hub
from server.wire.globs import Globs

LETTERS = st.text(alphabet="ab_", max_size=12)
GLOBS = st.lists(st.text(alphabet="ab_*?", min_size=1, max_size=10), max_size=5)


@pytest.mark.parametrize(
    ("glob", "name", "means"),
    [
        ("*", "anything", True),
        ("did_*", "did_it", True),
        ("did_*", "did_", True),
        ("did_*", "undid_it", False),
        ("*_done", "backup_done", True),
        ("*_done", "backup_done_2", False),
        ("job_?", "job_1", True),
        ("job_?", "job_12", False),
        ("job_?", "job_", False),
        ("a*b*c", "a_b_b_c", True),
        ("a*b*c", "acb", False),
        ("job", "job", True),
        ("job", "jobs", False),
        ("[a-z]", "a", False),
        ("j.b", "job", False),
    ],
)
def test_stars_and_question_marks(glob: str, name: str, means: bool) -> None:
    assert Globs((glob,)).mean(name) is means


@given(texts=GLOBS, name=LETTERS)
def test_they_mean_what_those_of_files_mean(texts: list[str], name: str) -> None:
    expected = any(re.match(fnmatch.translate(text), name) for text in texts)

    assert Globs(tuple(texts)).mean(name) == expected


def test_no_glob_means_nothing() -> None:
    assert not Globs(()).mean("a")


def test_they_cost_little_memory_whatever_their_characters() -> None:
    """64 globs of 255 characters are as many as a peer may ask for at once; each time others."""
    hub = Hub(Auditor(time.monotonic), lambda: 0)
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 64 * 253)))
    words = [text[at : at + 253] for at in range(0, len(text), 253)]
    tracemalloc.start()
    for n in range(10):
        hub.globs(tuple(f"{word}?{n}" for word in words))
        hub.globs(tuple("ab_" * 84 + f"{letter}{n}*" for letter in "cdefghijklmnopqrstuvwxyz"))
    used, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert used < 100_000
    assert peak < 2_000_000
    assert hub.globs(("a*",)) is hub.globs(("a*",))


def test_bombs_cost_no_more_than_the_length_of_a_name() -> None:
    bomb = Globs(tuple("*a?" * 84 + letter for letter in "bcdefghijklmnopqrstuvwxyz" * 3)[:64])
    name = "a" * 255
    begun = time.perf_counter()
    for _ in range(20):
        assert not bomb.mean(name)

    assert (time.perf_counter() - begun) / 20 < 0.02
