"""An overlay answers as the host would after the same writing, and the host never learns of it."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.host import Host
from agent.host.overlay import NotRun, Overlay

NAMES = ["a", "b", "d", "d/e", "d/e/f", "d/link", "link", "link/e"]


def furnish(top: Path) -> None:
    """A small tree with a link to a directory in it."""
    (top / "d/e").mkdir(parents=True)
    (top / "a").write_text("a")
    (top / "d/e/f").write_text("f")
    (top / "link").symlink_to("d")
    (top / "d/link").symlink_to("../a")


def view(host: Host, top: str) -> dict[str, object]:
    """All that HOST says of what is below TOP."""
    found: dict[str, object] = {}

    def look(path: str) -> None:
        status = host.lstat(path)
        assert status is not None
        kind = stat.S_IFMT(status.st_mode)
        name = path.removeprefix(top)
        if kind == stat.S_IFDIR:
            names = sorted(host.listdir(path))
            found[name] = (oct(status.st_mode), names)
            for each in names:
                look(f"{path}/{each}")
        elif kind == stat.S_IFLNK:
            found[name] = (oct(kind), host.readlink(path), host.exists(path))
        else:
            found[name] = (oct(status.st_mode), host.read(path), status.st_size)

    look(top)
    return found


name = st.sampled_from(NAMES)
mode = st.sampled_from([0o700, 0o744, 0o755])  # we go on living in these directories
text = st.sampled_from([b"", b"x", b"yy"])
OPERATIONS: list[st.SearchStrategy[tuple[object, ...]]] = [
    st.tuples(st.just("write"), name, text),
    st.tuples(st.just("overwrite"), name, text),
    st.tuples(st.just("append"), name, text),
    st.tuples(st.just("create"), name, mode),
    st.tuples(st.just("mkdir"), name, mode),
    st.tuples(st.just("chmod"), name, mode),
    st.tuples(st.just("unlink"), name),
    st.tuples(st.just("rmdir"), name),
    st.tuples(st.just("rename"), name, name),
    st.tuples(st.just("link"), name, name),
    st.tuples(st.just("symlink"), st.sampled_from(["a", "../a", "d", "none"]), name),
]


def act(host: Host, top: str, operation: tuple[object, ...]) -> int:
    """Do OPERATION below TOP; the number of the error, or 0."""
    verb, *args = operation
    paths = 2 if verb in ("rename", "link") else 1
    first = 1 if verb == "symlink" else 0
    wanted = [f"{top}/{arg}" if first <= at < first + paths else arg for at, arg in enumerate(args)]
    try:
        getattr(host, str(verb))(*wanted)
    except OSError as error:
        return error.errno or 0
    return 0


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(OPERATIONS), max_size=8))
def test_an_overlay_answers_as_the_host_would(operations: list[tuple[object, ...]]) -> None:
    base = Path(tempfile.mkdtemp())
    try:
        furnish(base / "real")
        furnish(base / "seen")
        before = view(Host(), str(base / "seen"))
        real, overlay = Host(), Overlay()

        for operation in operations:
            refused = act(real, f"{base}/real", operation)
            assert bool(act(overlay, f"{base}/seen", operation)) == bool(refused), operation

        assert view(overlay, f"{base}/seen") == view(real, f"{base}/real")
        assert view(Host(), f"{base}/seen") == before
    finally:
        shutil.rmtree(base)


@pytest.fixture
def top(tmp_path: Path) -> str:
    furnish(tmp_path)
    return str(tmp_path)


def test_what_is_not_written_is_read_from_the_host(top: str) -> None:
    overlay = Overlay()

    assert overlay.read(f"{top}/link/e/f") == b"f"
    assert overlay.lstat(f"{top}/a") == os.lstat(f"{top}/a")
    assert overlay.realpath(f"{top}/d/link") == os.path.realpath(f"{top}/a")
    assert overlay.listdir(top) == os.listdir(top)


def test_a_directory_that_moved_still_holds_what_it_held(top: str) -> None:
    overlay = Overlay()

    overlay.rename(f"{top}/d", f"{top}/moved")

    assert overlay.read(f"{top}/moved/e/f") == b"f"
    assert not overlay.exists(f"{top}/d")
    assert not overlay.exists(f"{top}/link")


def test_owners_and_times_are_remembered(top: str) -> None:
    overlay = Overlay()
    uid = 1 if os.geteuid() == 0 else os.geteuid()

    overlay.chown(f"{top}/a", uid, -1)
    overlay.utime(f"{top}/a", 1.5, 2.5)

    status = overlay.lstat(f"{top}/a")
    assert status is not None
    assert (status.st_uid, status.st_atime, status.st_mtime) == (uid, 1.5, 2.5)
    assert status.st_size == 1
    assert status.st_ino == os.lstat(f"{top}/a").st_ino


def test_a_copy_and_what_it_was_copied_from(top: str) -> None:
    overlay = Overlay()

    overlay.copy(f"{top}/a", f"{top}/b", mode=0o640)

    assert overlay.same(f"{top}/a", f"{top}/b")
    assert overlay.access(f"{top}/b", os.R_OK)
    assert overlay.access(f"{top}/b", os.X_OK) is False


def test_what_the_system_would_refuse_is_refused(top: str) -> None:
    os.chmod(f"{top}/d", 0o500)
    overlay = Overlay()

    def create() -> None:
        overlay.create(f"{top}/d/new", 0o600)

    if os.geteuid() == 0:
        create()
        assert overlay.exists(f"{top}/d/new")
    else:
        with pytest.raises(PermissionError):
            create()
    os.chmod(f"{top}/d", 0o700)


@pytest.mark.parametrize(
    "run",
    [
        lambda host: host.execute("/bin/true"),
        lambda host: host.start(["/bin/cat"]),
    ],
)
def test_programs_are_not_run(run: Callable[[Overlay], object]) -> None:
    host = Overlay()

    with pytest.raises(NotRun):
        run(host)
    assert len(host.unknown) == 1
