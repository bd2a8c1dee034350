"""The daemon as a process: real runs, real peers, real signals of the system."""

from __future__ import annotations

import json
import os
import signal as numbers
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent import roles
from agent.links import FLAGS
from agent.options import Settings
from tests.workflows.hosts import Site, until
from tests.workflows.places import Loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workflows.hosts import Host

ROOT = Path(__file__).parents[2]
ROOTS = pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses who the network half is")
BODIES = """
body action now { ifelapsed => "0"; }
body classes done(name) { promise_repaired => { "$(name)" }; persist_time => "10"; }
bundle server shared { access: "did_.*" resource_type => "context", admit => { "Host2" }; }
"""
UPSTREAM = f"""
bundle agent main
{{
  commands:
    go::
      "/usr/local/bin/job" action => now, classes => done("did_job");
}}
{BODIES}
"""
DOWNSTREAM = f"""
bundle agent main
{{
  classes:
    "asked" expression => remoteclassesmatching("did_.*", "Host1", "yes", "up");
  commands:
    up_did_job::
      "/usr/local/bin/follow" action => now;
  reports:
    scheduled_run::
      "by schedule";
}}
{BODIES}
"""


@pytest.fixture(scope="module", autouse=True)
def parsed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of parsed policy that all processes of the test run share."""
    os.environ.setdefault("TROTH_CACHE_DIR", str(tmp_path_factory.getbasetemp().parent / "cache"))


@pytest.fixture
def alone() -> Iterator[Host]:
    """One host, whose daemon runs."""
    with Site("Host1", place=Loopback(1)) as site:
        site["Host1"].policy({"promises.cf": UPSTREAM})
        site["Host1"].start("-g", "info", "--network-user", "nobody")
        yield site["Host1"]


@pytest.fixture
def pair() -> Iterator[tuple[Host, Host]]:
    """Host1, and Host2 that has asked it and listens."""
    with Site("Host1", "Host2", place=Loopback(2)) as site:
        up, down = site.hosts
        up.policy({"promises.cf": UPSTREAM})
        down.policy({"promises.cf": DOWNSTREAM})
        down.run()
        for host in site.hosts:  # not in threads: it ends with the one that started it
            host.launch("-g", "info")
        for host in site.hosts:
            host.ready()
        down.meets(up)
        yield up, down


def status(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.troth("status", "--json").stdout)
    return found


def daemon_of(host: Host) -> subprocess.Popen[bytes]:
    assert host.daemon is not None
    return host.daemon


def memory_of(pid: int) -> int:
    """Kilobytes that the process PID has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def speaks(pid: int) -> bool:
    """Whether the process PID has a socket."""
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            if os.readlink(file).startswith("socket:"):
                return True
    return False


def users_of(pid: int) -> set[str]:
    """The users that the process PID is, or could be again."""
    text = Path(f"/proc/{pid}/status").read_text()
    return {
        user
        for line in text.splitlines()
        if line.startswith(("Uid:", "Gid:"))
        for user in line.split()[1:]
    }


def test_a_daemon_serves_shows_itself_and_ends(alone: Host) -> None:
    state = alone.workdir / "state"
    found = status(alone)["daemon"]
    network = found["network"]["pid"]

    assert found["pid"] == daemon_of(alone).pid
    assert found["network"]["port"] == alone.site.place.listening(0)[1]
    assert [stat.S_IMODE((state / name).stat().st_mode) for name in ("wake.sock", "control.sock")
            ] == [0o600, 0o600]  # fmt: skip
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert os.geteuid() != 0 or "0" not in users_of(network)
    assert "NoNewPrivs:\t1" in Path(f"/proc/{network}/status").read_text()
    assert f"listening on {':'.join(map(str, alone.site.place.listening(0)))}" in alone.told()
    assert max(memory_of(found["pid"]), memory_of(network)) < 40_000

    begun = time.monotonic()
    alone.stop()
    assert time.monotonic() - begun < 3
    assert not Path(f"/proc/{network}").exists()
    shown = alone.troth("status")
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (1, "no daemon runs")
    assert [line["event"] for line in alone.audit()] == ["start", "reload", "stop"]


def test_a_second_daemon_is_refused(alone: Host) -> None:
    for command in ("daemon", "serve"):
        ran = alone.troth(command, "--no-listen")

        assert ran.returncode == 1
        assert f"another daemon runs on '{alone.workdir}' already" in ran.stderr
        assert str(daemon_of(alone).pid) in ran.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--listen", "nowhere at all"], "is not an address"),
        (["--schedule", "Hr00 Min00"], "operator"),
        (["--splay", "soon"], "no number of minutes"),
        pytest.param(["--network-user", "nosuch"], "is no user of this host", marks=ROOTS),
        pytest.param(["--network-user", "root"], "is root", marks=ROOTS),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, options: list[str], told: str) -> None:
    environ = {**os.environ, "TROTH_WORKDIR": str(tmp_path / "work")}
    start = "import sys; from agent.cli import main; sys.exit(main(sys.argv))"
    ran = subprocess.run(
        [sys.executable, "-c", start, "daemon", *options], env=environ, cwd=ROOT,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert ran.returncode == 1
    assert told in ran.stderr


def test_a_disk_that_is_full_is_said(tmp_path: Path) -> None:
    state = tmp_path / "work" / "state"
    state.mkdir(0o700, parents=True)
    (state / "daemon.lock").symlink_to("/dev/full")
    environ = {**os.environ, "TROTH_WORKDIR": str(tmp_path / "work")}
    start = "import sys; from agent.cli import main; sys.exit(main(sys.argv))"
    ran = subprocess.run(
        [sys.executable, "-c", start, "daemon"], env=environ, cwd=ROOT,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert ran.returncode == 1
    assert "error: daemon: [Errno" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_network_half_inherits_nothing_but_its_socket(tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    high = 300
    os.dup2(secret, high)
    code = (
        "from agent.privileges import leave; leave(-1, -1); import os\n"
        "print([fd for fd in range(3, 400) if os.path.lexists(f'/proc/self/fd/{fd}')])"
    )
    try:
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, pass_fds=(secret, high),
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
    finally:
        os.close(secret)
        os.close(high)

    assert ran.stdout == "[]\n"


def test_the_network_half_loads_nothing_without_its_privileges() -> None:
    """Its user may not be able to read where troth is, or Python."""
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "from agent.privileges import leave; leave(-1, -1); loaded = {*sys.modules}\n"
        "from agent.cli import main; main(['troth', 'network'])\n"
        "print({*sys.modules} - loaded)"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.shutdown(socket.SHUT_WR)
        ran = subprocess.run(
            [sys.executable, FLAGS, "-c", code], stdin=theirs.fileno(), env={"TROTH_HALF": "0"},
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip

    assert (ran.stdout, ran.stderr) == ("set()\n", "")


def test_a_signal_starts_a_run_and_those_during_it_one_more(pair: tuple[Host, Host]) -> None:
    up, down = pair
    down.job("follow", seconds=0.7)

    for _ in range(4):
        up.run("-D", "go")
        time.sleep(0.05)
    down.waits_for("follow", 2)
    until(lambda: not status(down)["daemon"]["run"], "the end of the last run")
    time.sleep(0.3)

    jobs = len(down.did("follow"))
    runs = status(down)["runs"]
    assert 2 <= jobs <= 3
    assert len(runs) == jobs
    assert all(row["why"] == "did_job of Host1" and row["status"] == 0 for row in runs)
    assert [row[1:] for row in down.consumed()] == [("did_job", "repaired")] * 4
    begun, ended = down.did("follow"), down.did("follow", "ended")
    assert all(b.at >= e.at for b, e in zip(begun[1:], ended, strict=False)), "never two at once"


def test_what_happens_can_be_listed_and_watched(pair: tuple[Host, Host]) -> None:
    up, down = pair
    with (
        subprocess.Popen(
            down._command("signal", "watch"), env=down.environ(), stdout=subprocess.PIPE, text=True
        ) as watching,
        ExitStack() as stack,
    ):
        stack.callback(watching.kill)
        until(lambda: speaks(watching.pid), "the question of who watches")
        time.sleep(0.3)
        up.run("-D", "go")
        down.waits_for("follow")
        until(lambda: status(down)["runs"][0]["status"] == 0, "the end of the run")
        own = json.loads(up.troth("signal", "list", "--json").stdout)
        theirs = json.loads(down.troth("signal", "list", "--json").stdout)
        shown = down.troth("signal", "list").stdout
        whole = down.troth("signal", "audit", "--verify")
        down.stop()
        assert watching.stdout is not None
        seen = [line.split(" ", 1)[1].strip() for line in watching.stdout]

    assert [(row["from"], row["class"], row["seq"]) for row in own] == [("", "did_job", 1)]
    assert [(row["from"], row["class"], row["alive"]) for row in theirs] == [
        ("Host1", "did_job", True)
    ]
    assert [one["ending"] for one in theirs[0]["consumed"]] == ["repaired"]
    assert "did_job#1" in shown
    assert (whole.returncode, "whole and unchanged" in whole.stdout) == (0, True)
    assert seen[:2] == ["received did_job from Host1", "run 1 started: did_job of Host1"]
    assert seen[2].startswith("consumed did_job of Host1: repaired")
    assert seen[3].startswith("run 1 ended with status 0")


def test_a_peer_that_comes_to_us_is_in_contact(pair: tuple[Host, Host]) -> None:
    up, down = pair

    def contact() -> str:
        (line,) = [it for it in up.troth("status").stdout.splitlines() if it.startswith("Host2")]
        return line[17:48].strip()

    assert contact() == "live, visits us"
    down.stop()
    until(lambda: contact().startswith("visited us 2"), "the end of the visit")


def test_why_goes_by_the_policy_that_the_daemon_runs(tmp_path: Path) -> None:
    with Site("Host1", place=Loopback(1)) as site:
        host = site["Host1"]
        host.policy({"other.cf": DOWNSTREAM.replace("up_did_job::", "up_did_job.mine::")})
        host.start("-D", "mine", str(host.workdir / "inputs/other.cf"))
        told = host.troth("signal", "why", "up_did_job").stdout

    assert "'Host1' is no peer of this host" in told
    assert "other.cf" in told
    assert "waits for the signal" in told  # and not for 'mine'


def test_a_peer_is_cut_off_when_it_is_removed(pair: tuple[Host, Host]) -> None:
    up, down = pair

    removed = time.monotonic()
    up.store().remove("Host2")
    until(lambda: not down.hears(up), "the end of the session")

    assert time.monotonic() - removed < 2  # one, where nothing else runs
    assert [line["decision"] for line in up.audit("trust")] == ["not trusted any more"]
    up.run("-D", "go")
    time.sleep(0.5)
    assert down.did("follow") == []


def test_the_network_half_is_replaced_when_it_dies(pair: tuple[Host, Host]) -> None:
    up, down = pair
    old = status(up)["daemon"]["network"]["pid"]

    os.kill(old, numbers.SIGKILL)
    until(lambda: status(up)["daemon"]["network"]["pid"] not in (0, old), "another network half")
    up.run("-D", "go")

    down.waits_for("follow")
    assert daemon_of(up).poll() is None


def test_a_run_that_dies_is_tried_again(pair: tuple[Host, Host]) -> None:
    up, down = pair
    down.job("follow", seconds=5)
    up.run("-D", "go")
    down.waits_for("follow")
    down.job("follow")
    (run,) = [pid for pid, words in down.processes().items() if " run -g " in words]

    os.killpg(run, numbers.SIGKILL)

    down.waits_for("follow", 2)
    until(lambda: len(down.consumed()) == 1, "the end of the second try")
    runs = status(down)["runs"]
    assert [row["status"] for row in runs] == [0, -9]
    assert daemon_of(down).poll() is None


def test_what_came_while_we_were_away_starts_a_run(pair: tuple[Host, Host]) -> None:
    up, down = pair
    down.kill()
    up.run("-D", "go")

    down.start()

    down.waits_for("follow")


def test_policy_is_read_again_when_it_changes_or_somebody_says_so(alone: Host) -> None:
    def reloads() -> int:
        return len([line for line in alone.audit("reload") if line["object"] == "grants"])

    before = reloads()
    alone.policy({"promises.cf": UPSTREAM.replace("did_.*", "does_.*")})
    until(lambda: reloads() == before + 1, "a look at the changed policy")
    alone.policy({"promises.cf": "bundle agent main {"})
    until(lambda: "what was granted stays in force" in alone.told(), "the complaint")
    assert reloads() == before + 1
    alone.policy({"promises.cf": UPSTREAM})
    until(lambda: reloads() == before + 2, "the mended policy")

    daemon_of(alone).send_signal(numbers.SIGHUP)
    time.sleep(0.5)
    assert daemon_of(alone).poll() is None
    assert alone.troth("status").returncode == 0


def test_whom_it_trusts_is_read_again_when_somebody_says_so(alone: Host) -> None:
    """Nothing tells of a file that was changed in its place."""
    (alone.workdir / "ppkeys/localhost.priv").chmod(0o644)

    daemon_of(alone).send_signal(numbers.SIGHUP)
    until(lambda: "cannot read the key of this host" in alone.told(), "the complaint")


def test_a_minute_that_begins_starts_a_run() -> None:
    """By the clock that the environment shifts, which is read again each time."""
    with Site("Host1", place=Loopback(1)) as site:
        host = site["Host1"]
        host.policy({"promises.cf": DOWNSTREAM})
        ahead = 30 - time.time() % 60
        host.shift(ahead)
        host.start("-g", "info", "--schedule", "any")
        assert status(host)["runs"] == []

        host.shift(ahead + 59.5 - (time.time() + ahead) % 60)  # in the same minute of its clock

        until(lambda: "run 1 ended with status 0" in host.told(), "a run by schedule")
        assert status(host)["runs"][0]["why"] == "schedule"
        assert "agent: R: by schedule" in host.told()
        assert "R: by schedule\n" in (host.workdir / "outputs" / "previous").read_text()


def test_a_clock_that_jumps_back_is_reported_and_harms_nothing() -> None:
    with Site("Host1", place=Loopback(1)) as site:
        host = site["Host1"]
        host.policy({"promises.cf": UPSTREAM})
        host.shift(3600)
        host.start()

        host.shift(-3600)
        until(lambda: host.audit("clock"), "a word on the clock")
        host.run("-D", "go")

        until(lambda: host.rows("SELECT seq FROM own WHERE seq = 1"), "a signature")
        assert "jumped by -7200 s" in host.audit("clock")[0]["reason"]


def test_the_end_waits_for_a_run_and_a_second_word_does_not(alone: Host) -> None:
    alone.job("job", seconds=1)
    alone.policy({"promises.cf": UPSTREAM.replace("go::", "any::")})
    alone.job("job", seconds=1)
    _asked(alone, "run")
    alone.waits_for("job")
    daemon = daemon_of(alone)

    daemon.terminate()
    time.sleep(0.2)
    shown = alone.troth("status")

    assert "it ends, when what was begun is over" in shown.stdout
    assert daemon.wait(10) == 0
    assert len(alone.did("job", "ended")) == 1
    assert alone.rows("SELECT seq FROM own") == [(1,)], "what it said last is signed"

    alone.job("job", seconds=9)
    alone.start()
    _asked(alone, "run")
    alone.waits_for("job", 2)
    daemon = daemon_of(alone)
    daemon.terminate()
    time.sleep(0.1)
    daemon.terminate()
    assert daemon.wait(2) != 0


def _asked(host: Host, word: str) -> None:
    """Ask the daemon of HOST over its socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"{host.workdir}/state/control.sock")
        sock.sendall(json.dumps({"op": word}).encode() + b"\n")
        assert json.loads(sock.recv(4096)) == {"done": True}


def _classic(host: Host, name: str) -> subprocess.CompletedProcess[str]:
    """Start the daemon NAME of HOST as its system would."""
    return subprocess.run(
        [host.site.names / name, "-g", "info"], env=host.environ(), cwd="/",
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_who_starts_runs_is_alone(tmp_path: Path) -> None:
    """cf-execd beside `serve --wake`: one of them."""
    settings = {"workdir": str(tmp_path), "file": "none"}
    waking = roles.locked(Settings({**settings, "program": "serve", "wakes": True}))
    with pytest.raises(roles.Taken):
        roles.locked(Settings({**settings, "program": "cf-execd"}))
    for descriptor in waking:
        os.close(descriptor)
    for descriptor in roles.locked(Settings({**settings, "program": "serve"})):
        os.close(descriptor)


def test_classic_names_go_to_the_background_and_work_together() -> None:
    with Site("Host1", "Host2", place=Loopback(2)) as site:
        up, down = site.hosts
        address, port = site.place.listening(1)
        control = (
            f'body server control {{ port => "{port}"; bindtointerface => "{address}"; }}\n'
            'body executor control { schedule => { "!any" }; }\n'
        )
        up.policy({"promises.cf": UPSTREAM})
        up.start()
        down.policy({"promises.cf": DOWNSTREAM + control})
        ran = [_classic(down, name) for name in ("cf-serverd", "cf-execd", "cf-execd")]
        found = status(down)
        down.run()
        down.meets(up)
        up.run("-D", "go")
        down.waits_for("follow")

        os.kill(found["executor"]["pid"], numbers.SIGKILL)
        refused = down.troth("serve", "--no-listen", "--wake")
        up.run("-D", "go")
        until(lambda: len(down.rows("SELECT seq FROM received")) == 2, "the second signal")
        ran.append(_classic(down, "cf-execd"))
        down.waits_for("follow", 2)
        found["executor"] = status(down)["executor"]

        assert refused.returncode == 1
        assert [one.returncode for one in ran] == [0, 0, 1, 0], ran
        assert "another daemon" in ran[2].stdout
        assert found["daemon"]["network"]["port"] == port
        assert found["executor"]["program"] == "cf-execd"
        for one in (found["daemon"], found["executor"]):
            os.kill(one["pid"], numbers.SIGTERM)
        until(lambda: not down.processes(), "the end of both")


def test_cf_execd_runs_once(tmp_path: Path) -> None:
    with Site("Host1", place=Loopback(1)) as site:
        host = site["Host1"]
        host.policy({"promises.cf": DOWNSTREAM + EXEC})
        ran = subprocess.run(
            [site.names / "cf-execd", "--once", "-F"], env=host.environ(), cwd=tmp_path,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

        assert (ran.returncode, ran.stdout) == (0, "agent: instead\n")


EXEC = 'body executor control { exec_command => "/bin/echo instead"; }\n'
