"""The real host: files replaced at once, ways that nobody can bend, programs to their end."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.host import Host
from agent.host.execute import Finished
from agent.host.overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = os.geteuid() == 0
host = Host()


def shell(command: str, on: Host = host, **more: Any) -> Finished:
    """What COMMAND comes to if a shell reads it."""
    return on.execute(command, shell=True, **more)  # noqa: S604  # that is what it is for


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# looking


def test_what_is_not_there_has_no_status(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "dead").symlink_to("nowhere")

    assert host.lstat(f"{tmp_path}/nowhere") is None
    assert host.lstat(f"{tmp_path}/f/below") is None
    assert host.stat(f"{tmp_path}/dead") is None
    assert host.lstat(f"{tmp_path}/dead") is not None
    assert not host.exists(f"{tmp_path}/dead")


def test_files_are_read_whole_or_in_part(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)

    assert len(host.read(f"{tmp_path}/f")) == 3_000_000
    assert host.read(f"{tmp_path}/f", 5) == b"xxxxx"
    assert host.read("/proc/self/comm").endswith(b"\n")  # says that it is empty


@pytest.mark.parametrize(("one", "other", "same"), [(b"ab", b"ab", True), (b"ab", b"ac", False)])
def test_whether_files_hold_the_same(tmp_path: Path, one: bytes, other: bytes, same: bool) -> None:
    (tmp_path / "one").write_bytes(one)
    (tmp_path / "other").write_bytes(other)

    assert host.same(f"{tmp_path}/one", f"{tmp_path}/other") is same


# writing


def test_a_file_is_replaced_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    with path.open() as reader:
        host.write(str(path), b"new", mode=0o640)

        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert mode(path) == 0o640
    assert os.listdir(tmp_path) == ["f"]


def test_a_file_is_written_like_another(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o754)
    if ROOT:
        os.chown(path, 1, 2)

    host.write(str(path), b"new", like=path.stat())

    status = path.stat()
    assert (mode(path), status.st_uid, status.st_gid) == (
        0o754,
        1 if ROOT else os.geteuid(),
        2 if ROOT else os.getegid(),
    )


def test_extended_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")

    host.write(str(path), b"new", like=path.stat())

    assert os.getxattr(path, "user.note") == b"kept"


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)

    try:
        host.create(f"{tmp_path}/f", 0o666)
        host.mkdir(f"{tmp_path}/d", 0o777)
        host.fifo(f"{tmp_path}/p", 0o622)
    finally:
        os.umask(before)

    assert [mode(tmp_path / name) for name in "fdp"] == [0o666, 0o777, 0o622]


def test_nothing_is_created_over_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")

    with pytest.raises(FileExistsError):
        host.create(f"{tmp_path}/link", 0o600)


def test_the_mode_of_what_a_link_leads_to_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "f").touch(0o600)
    (tmp_path / "link").symlink_to("f")

    with pytest.raises(OSError, match="Too many levels"):
        host.chmod(f"{tmp_path}/link", 0o777)
    assert mode(tmp_path / "f") == 0o600


@pytest.mark.skipif(not ROOT, reason="only root makes links of others")
@pytest.mark.parametrize("last", ["f", ""])
def test_a_strangers_link_leads_nowhere(tmp_path: Path, last: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("precious")
    link = tmp_path / "link"
    link.symlink_to("d/f" if not last else "d")
    os.chown(link, 1, 1, follow_symlinks=False)
    path = f"{link}/{last}".rstrip("/")

    with pytest.raises(OSError, match="Link has been severed"):
        host.overwrite(path, b"bent")
    assert (tmp_path / "d/f").read_text() == "precious"


@pytest.fixture
def bent(tmp_path: Path) -> Path:
    """A stranger's links to a file of ours, to its directory, and to our link to it."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("secret")
    (tmp_path / "own").symlink_to("d/f")
    for name, target in (("file", "d/f"), ("dir", "d"), ("twice", "own"), ("new", "d/new")):
        (tmp_path / name).symlink_to(target)
        os.chown(tmp_path / name, 1, 1, follow_symlinks=False)
    (tmp_path / "ours").symlink_to("file")
    return tmp_path


@pytest.mark.skipif(not ROOT, reason="only root makes links of others")
@pytest.mark.parametrize("name", ["file", "dir/f", "twice", "ours"])
@pytest.mark.parametrize("kind", [Host, Overlay])
def test_a_strangers_link_is_neither_read_nor_written(
    bent: Path, name: str, kind: type[Host]
) -> None:
    on, path, copy = kind(), f"{bent}/{name}", f"{bent}/copy"
    uses: list[Callable[[], object]] = [
        lambda: on.read(path),
        lambda: on.look(path),
        lambda: on.same(path, path),
        lambda: on.copy(path, copy, mode=0o600),
        lambda: on.trusted(path),
        lambda: on.write(path, b"bent", follow=True),
        lambda: on.chmod(path, 0o666, follow=True),
        lambda: on.append(path, b"bent"),
    ]

    for use in uses:
        with pytest.raises(OSError, match="Link has been severed"):
            use()
    assert (bent / "d/f").read_text() == "secret"
    assert mode(bent / "d/f") == 0o644
    assert not (bent / "copy").exists()


@pytest.mark.skipif(not ROOT, reason="only root makes links of others")
@pytest.mark.parametrize("kind", [Host, Overlay])
def test_nothing_is_made_at_the_end_of_a_strangers_link(bent: Path, kind: type[Host]) -> None:
    with pytest.raises(OSError, match="Link has been severed"):
        kind().write(f"{bent}/new", b"bent", follow=True)
    assert not (bent / "d/new").exists()


@pytest.mark.skipif(not ROOT, reason="only root makes links of others")
@pytest.mark.parametrize("kind", [Host, Overlay])
def test_a_stranger_may_lead_to_what_is_theirs(bent: Path, kind: type[Host]) -> None:
    os.chown(bent / "d/f", 1, 1)
    on = kind()

    on.write(f"{bent}/file", b"new", follow=True)

    status = on.lstat(f"{bent}/d/f")
    assert status is not None
    assert on.read(f"{bent}/ours") == b"new"
    assert status.st_uid == 1
    assert (bent / "file").is_symlink()


def test_a_trusted_path_has_no_links(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "one").symlink_to("d")
    (tmp_path / "two").symlink_to(f"{tmp_path}/one/f")

    for on in (Host(), Overlay()):
        assert on.trusted(f"{tmp_path}/two") == f"{tmp_path.resolve()}/d/f"


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    for on in (Host(), Overlay()):
        with pytest.raises(OSError, match="Too many levels"):
            on.read(f"{tmp_path}/a")


def test_links_of_the_kernel_are_followed() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"said")
    os.close(writer)

    assert host.read(f"/proc/self/fd/{reader}") == b"said"
    os.close(reader)


def test_what_cannot_be_read_is_named_in_full(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        host.read(f"{tmp_path}/nowhere")

    assert caught.value.filename == f"{tmp_path}/nowhere"


def test_our_own_links_lead_where_they_say(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")

    host.create(f"{tmp_path}/link/f", 0o600)
    host.rename(f"{tmp_path}/link/f", f"{tmp_path}/d/../g")

    assert os.listdir(tmp_path / "d") == []
    assert (tmp_path / "g").exists()


def test_appending_makes_the_file(tmp_path: Path) -> None:
    for word in (b"a", b"b"):
        host.append(f"{tmp_path}/f", word)

    assert (tmp_path / "f").read_bytes() == b"ab"
    assert mode(tmp_path / "f") == 0o600


def test_holes_are_copied_as_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(10_000_000)
        file.write(b"end")

    host.copy(f"{tmp_path}/sparse", f"{tmp_path}/copy", mode=0o600)

    assert (tmp_path / "copy").read_bytes() == (tmp_path / "sparse").read_bytes()
    assert (tmp_path / "copy").stat().st_blocks * 512 < 1_000_000


def test_users_and_groups_by_name_and_number() -> None:
    root = host.user("root")

    assert root is not None
    assert host.user(root.pw_uid) == root
    assert host.user("no-such-user") is None
    assert host.group(2**31) is None


# programs


def test_a_program_is_run_to_its_end() -> None:
    finished = host.execute("/bin/echo 'a  b' c")

    assert (finished.returncode, finished.out, finished.err) == (0, b"a  b c\n", b"")


def test_channels_may_be_kept_apart() -> None:
    apart = shell("echo out; echo err >&2", merge=False)
    merged = shell("echo out; echo err >&2")

    assert (apart.out, apart.err) == (b"out\n", b"err\n")
    assert merged.out == b"out\nerr\n"


def test_a_program_is_fed_more_than_a_pipe_holds() -> None:
    data = b"x" * 1_000_000

    assert host.execute(["/bin/cat"], stdin=data).out == data


def test_one_that_does_not_listen_is_no_error() -> None:
    assert host.execute("/bin/true", stdin=b"x" * 1_000_000).returncode == 0


def test_no_more_is_kept_than_the_limit() -> None:
    finished = host.execute("/usr/bin/seq 5", limit=10)

    assert (finished.returncode, finished.out) == (0, b"1\n2\n3\n4\n5\n")


@pytest.mark.parametrize("merge", [False, True])
def test_who_says_more_than_the_limit_finds_nobody_listening(merge: bool) -> None:
    finished = host.execute("/usr/bin/yes", limit=10, merge=merge)

    assert (finished.returncode, finished.out) == (-signal.SIGPIPE, b"y\ny\ny\ny\ny\n")


def test_a_signal_is_a_negative_code() -> None:
    assert shell("kill -9 $$").returncode == -signal.SIGKILL


def test_a_program_dies_of_a_broken_pipe_as_it_should() -> None:
    finished = shell("/usr/bin/yes | head -1")

    assert finished.out == b"y\n"


@pytest.mark.parametrize("command", ["/bin/sleep 60", "trap '' TERM; exec /bin/sleep 60"])
def test_time_runs_out(command: str) -> None:
    start = time.monotonic()

    finished = host.execute(command, shell="trap" in command, timeout=0.1)

    assert finished.timed_out
    assert finished.returncode in (-signal.SIGTERM, -signal.SIGKILL)
    assert time.monotonic() - start < 30


def test_one_that_is_in_time_is_not_timed_out() -> None:
    finished = host.execute("/bin/echo x", timeout=60)

    assert (finished.out, finished.timed_out) == (b"x\n", False)


def test_where_and_with_which_umask_a_program_runs(tmp_path: Path) -> None:
    here, mask = os.getcwd(), os.umask(0o022)
    os.umask(mask)

    host.execute("/usr/bin/touch f", cwd=str(tmp_path), umask=0o037)

    assert mode(tmp_path / "f") == 0o640
    assert os.getcwd() == here
    assert os.umask(mask) == mask


@pytest.mark.skipif(not ROOT, reason="only root becomes somebody else")
def test_as_whom_a_program_runs(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    finished = shell("/usr/bin/id -u; /usr/bin/id -G", uid=1, gid=1)

    assert finished.out.split() == [b"1", b"1"]


@pytest.mark.parametrize("uid", [None, os.geteuid()])
def test_what_cannot_be_started_raises(uid: int | None) -> None:
    with pytest.raises(FileNotFoundError):
        host.execute("/nowhere/at/all", uid=uid)


def test_the_environment_is_that_of_the_host() -> None:
    own = Host()
    own.environ["TOLD"] = "yes"

    assert shell("echo $TOLD", own).out == b"yes\n"
    assert shell("echo $TOLD", own, env={"PATH": "/bin"}).out == b"\n"


def test_no_descriptor_of_ours_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "f").open("w") as ours:
        os.dup2(ours.fileno(), 99, inheritable=False)
        finished = host.execute("/bin/ls /proc/self/fd")
        os.close(99)

    assert b"99" not in finished.out.split()


def test_a_conversation() -> None:
    child = host.start(["/bin/cat"])

    child.write(b"one\ntwo\nrest")

    assert child.readline() == b"one\n"
    assert child.readline(timeout=60) == b"two\n"
    with pytest.raises(TimeoutError):
        child.readline(timeout=0.01)
    assert child.finish().out == b"rest"


def test_work_in_the_background(tmp_path: Path) -> None:
    pid = host.background(lambda: (tmp_path / "done").touch())

    assert os.waitpid(pid, 0)[1] == 0
    assert (tmp_path / "done").exists()


def test_who_stops_us_stops_what_we_run(tmp_path: Path) -> None:
    program = (
        "import signal\nfrom agent.host import Host\n"
        "def stop(*_): raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        f"Host().execute(['/bin/sh', '-c', 'echo $$ > {tmp_path}/new;"
        f" mv {tmp_path}/new {tmp_path}/pid; exec sleep 30'])"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as us:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        us.send_signal(signal.SIGTERM)
        us.wait(10)

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
