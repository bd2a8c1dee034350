"""Sites for the tests of workflows: they share parsed policy, and all are taken down at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.workflows.hosts import Site
from tests.workflows.places import Loopback, namespaces_work

Sites = Callable[..., Site]


@pytest.fixture(scope="session", autouse=True)
def parsed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache that all processes of the test run share."""
    os.environ.setdefault("TROTH_CACHE_DIR", str(tmp_path_factory.getbasetemp().parent / "cache"))


@pytest.fixture
def site() -> Iterator[Sites]:
    """`site("Host1", "Host2")`: hosts on loopback; REAL ones in namespaces where there can be."""
    with ExitStack() as stack:

        def make(*labels: str, real: bool = False, zone: str = "UTC") -> Site:
            near = not real or namespaces_work()
            place = Loopback(len(labels), relays=real) if near else None
            made = Site(*labels, place=place, zone=zone)
            stack.callback(_close, made)
            return made

        yield make


def _close(made: Site) -> None:
    made.close()
    left = [told for host in made.hosts for told in host.processes().values()]
    assert not left, f"still running: {left}"
