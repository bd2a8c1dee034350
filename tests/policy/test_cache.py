"""The cache gives back what it was given, and nothing that others could have put there."""

import os
import time
from pathlib import Path

import pytest

from policy import VERSION
from policy.cache import Cache, digest, directory

UNIT = {"bundles": (("agent", "default", "main", (), False, 1, b"blob"),), "bodies": ()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    cache = tmp_path / "cache"
    Cache(str(cache), os.geteuid()).put("one", UNIT)
    return cache


def get(root: Path, name: str = "one") -> object:
    return Cache(str(root), os.geteuid()).get(name)


def test_what_was_put_is_there(root: Path) -> None:
    assert get(root) == UNIT


def test_what_was_not_put_is_not_there(root: Path) -> None:
    assert get(root, "other") is None


def test_a_directory_that_others_may_enter_is_not_used(root: Path) -> None:
    (root / "units").chmod(0o755)

    assert get(root) is None


def test_a_file_that_others_may_write_is_not_used(root: Path) -> None:
    (root / "units" / "one").chmod(0o666)

    assert get(root) is None


def test_a_link_is_not_followed(root: Path) -> None:
    (root / "units" / "two").symlink_to(root / "units" / "one")

    assert get(root, "two") is None


@pytest.mark.parametrize("at", [0, 10, 40, 60, -1])
def test_a_damaged_file_is_not_used(root: Path, at: int) -> None:
    path = root / "units" / "one"
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)

    assert get(root) is None


def test_a_cut_file_is_not_used(root: Path) -> None:
    path = root / "units" / "one"
    path.write_bytes(path.read_bytes()[:-3])

    assert get(root) is None


def test_where_nothing_can_be_stored_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    Cache(str(tmp_path / "file"), os.geteuid()).put("one", UNIT)

    assert get(tmp_path / "file") is None


def aged(path: Path, days: float) -> Path:
    """PATH, made if need be, last used so many DAYS ago."""
    path.touch(mode=0o600)
    then = time.time() - days * 24 * 60 * 60
    os.utime(path, (then, then))
    return path


def test_what_was_not_used_for_long_goes_when_something_is_written(root: Path) -> None:
    units = root / "units"
    gone = [aged(units / "old", 31), aged(units / "one.4711", 2)]
    stays = [aged(units / "used", 29), aged(units / "two.4711", 0.5), units / "one"]
    aged(units / "swept", 2)

    Cache(str(root), os.geteuid()).put("two", UNIT)

    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stays)


def test_the_cache_is_looked_through_once_a_day(root: Path) -> None:
    old = aged(root / "units" / "old", 31)

    Cache(str(root), os.geteuid()).put("two", UNIT)

    assert old.exists()


def test_units_of_another_version_are_not_used(root: Path) -> None:
    path = root / "units" / "one"
    path.write_bytes(path.read_bytes().replace(VERSION.encode(), b"9.9.9", 1))

    assert get(root) is None


def test_digests_tell_parts_apart() -> None:
    assert digest(b"ab", b"c") != digest(b"a", b"bc")


def test_the_environment_chooses_the_directory() -> None:
    assert directory({"TROTH_CACHE_DIR": "/x"}, 0) == "/x"
    assert directory({}, 0) == "/var/cache/troth"
    assert directory({"HOME": "/home/u"}, 1000) == "/home/u/.cache/troth"
