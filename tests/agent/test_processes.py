"""Processes: which ones are meant, how many may be, what they are sent, what starts again."""

import os
import pwd
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.host import Host, processes
from agent.host.overlay import Overlay
from agent.outcome import Outcome
from tests.agent.driver import Agent, Kept

COLUMNS = "user:30,pid,ppid,pgid,pcpu,pmem,vsz,ni,rss:9,tname,nlwp,stime,etime,time,args"
BODIES = """
body process_count range(low, high) {
  match_range => irange("$(low)", "$(high)");
  in_range_define => { "in range" };
  out_of_range_define => { "out" };
}
body process_count rangeless { in_range_define => { "in" }; }
body process_count classless { match_range => "0,9"; }
body action warn { action_policy => "warn"; }
"""

Program = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def name(tmp_path: Path) -> str:
    """What only the processes of this test have in their command."""
    return f"victim-{os.getpid()}-{tmp_path.name}"


@pytest.fixture
def start(name: str) -> Iterator[Start]:
    """`start(script)` starts a shell that does SCRIPT, and is found by NAME."""
    begun: list[subprocess.Popen[bytes]] = []

    def run(script: str = "exec sleep 60") -> "subprocess.Popen[bytes]":
        command = f"echo; {script}" if script != "exec sleep 60" else f"echo; read x # {name}"
        shell = ["/bin/sh", "-c", command, name]
        child = subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        begun.append(child)
        return child

    yield run
    for child in begun:
        child.kill()
        child.communicate()


def ended(child: "subprocess.Popen[bytes]") -> bool:
    """Whether CHILD is no more, which may take a moment."""
    try:
        child.wait(0.2)
    except subprocess.TimeoutExpired:
        return False
    return True


# the table


@pytest.mark.skipif(not os.path.exists("/bin/ps"), reason="nothing to compare with")
def test_a_line_is_that_of_ps(start: Start) -> None:
    pid = start().pid

    def told() -> tuple[str, str]:
        found = next(each for each in processes.table() if each.pid == pid)
        said = subprocess.run(
            ["/bin/ps", "-ww", "-o", COLUMNS, "-p", str(pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        return processes.line(found, Host().owner(found)), said.stdout.splitlines()[1]

    pairs = [told() for _ in "123"]  # a second may pass between the two
    assert any(ours == theirs for ours, theirs in pairs), pairs


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "?"), (0x8801, "pts/1"), (0x8905, "pts/261"), (0x0401, "tty1"), (0x0441, "ttyS1"),
     (0xE500, "hvc0"), (0x108800, "pts/256")],
)  # fmt: skip
def test_the_names_of_terminals(number: int, name: str) -> None:
    assert processes.terminal(number) == name


def test_the_table_is_read_once_a_period_and_after_programs() -> None:
    host = Host()
    now, later = object(), object()

    first = host.processes(now)

    assert host.processes(now) is first
    assert host.processes(later) is not first
    second = host.processes(later)
    host.execute(["/bin/true"])
    assert host.processes(later) is not second


def test_functions_find_processes(agent: Agent, start: Start, name: str) -> None:
    one, two = start().pid, start().pid

    kept = agent.keep(
        f'vars: "found" data => findprocesses("{name}");\n'
        f'classes: "there" expression => processexists("{name}"), scope => "namespace";\n'
        f'"absent" expression => processexists("x{name}"), scope => "namespace";\n'
        'reports: "$(found[0][pid]) $(found[1][pid])" report_to_file => "'
        f'{agent.base}/found";'
    )

    said = (agent.base / "found").read_text().split()
    assert said == [str(pid) for pid in sorted((one, two), reverse=True)]
    assert kept.has("there")
    assert not kept.has("absent")


# which ones


@pytest.mark.parametrize(
    ("select", "count"),
    [
        ("", 2),
        ('process_owner => { "nobody", "OWNER" };', 2),
        ('process_owner => { "OWNE" };', 0),
        ("pid => irange(PID, PID);", 1),
        ("ppid => irange(PARENT, PARENT);", 2),
        ("ppid => irange(0, 0);", 0),
        ("pgid => irange(1, inf);", 2),
        ('vsize => irange("100", "100000");', 2),
        ('vsize => irange("100000", "100");', 2),
        ('rsize => irange("1g", "2g");', 0),
        ('threads => irange("1", "1");', 2),
        ('priority => irange("-20", "19");', 2),
        ('ttime_range => irange("0", "60");', 2),
        ('stime_range => irange("STARTED", "1999999999");', 2),
        ('stime_range => irange("0", "STARTED");', 0),
        ('status => "S";', 2),
        ('status => "[RZ]";', 0),
        ('command => "/bin/sh .*";', 2),
        ('command => "/bin/sh";', 0),
        ('tty => ".*";', 2),
        ('command => "/bin/sh"; status => "S";', 0),
        ('command => "/bin/sh"; status => "S"; process_result => "status";', 2),
        ('command => "/bin/sh"; status => "S"; process_result => "!command.status";', 2),
        ('command => "/bin/sh"; status => "S"; process_result => "command|status";', 2),
        ('status => "S"; process_result => "(status&!command)";', 2),
        ('status => "S"; process_result => "tty";', 0),
    ],
)
def test_which_processes_are_selected(
    agent: Agent, start: Start, name: str, select: str, count: int
) -> None:
    pid = start().pid
    start()
    words = {
        "OWNER": pwd.getpwuid(os.geteuid()).pw_name,
        "OWNE": pwd.getpwuid(os.geteuid()).pw_name[:-1],
        "PID": str(pid),
        "PARENT": str(os.getpid()),
        "STARTED": str(int(time.time()) - 60),
    }
    for word, value in words.items():
        select = select.replace(f'"{word}"', f'"{value}"').replace(f"{word})", f"{value})")
        select = select.replace(f"{word},", f"{value},")

    kept = agent.keep(
        f'processes: "{name}" process_select => s, process_count => range("{count}", "{count}");',
        f"{BODIES} body process_select s {{ {select} }}",
    )

    assert kept.has("in_range")


# how many


@pytest.mark.parametrize(
    ("low", "high", "within"),
    [
        ("1", "1", True),
        ("0", "inf", True),
        ("2", "0", True),
        ("0", "0", False),
        ("2", "inf", False),
    ],
)
def test_a_count(agent: Agent, start: Start, name: str, low: str, high: str, within: bool) -> None:
    start()

    kept = agent.keep(
        f'processes: "{name}" process_count => range("{low}", "{high}"), classes => fired;', BODIES
    )

    assert kept.has("in_range") == within
    assert kept.has("out") != within
    assert kept.fired == ({"kept"} if within else {"repaired", "kept"})


def test_a_count_in_range_is_all_that_was_promised(agent: Agent, start: Start, name: str) -> None:
    child = start()

    agent.keep(
        f'processes: "{name}" process_count => range("1", "1"), signals => {{ "kill" }};'
        f'"x{name}" process_count => range("0", "0"), restart_class => "again";',
        BODIES,
    )

    assert not ended(child)


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ("process_count => rangeless", "process_count used without match_range, "),
        ("process_count => classless", "process_count body is insufficiently defined. "),
        ('process_count => range("0", "0"), restart_class => "again"',
         "Promise constraint conflicts - 'NAME' processes cannot have zero count if restarted"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(agent: Agent, name: str, attributes: str, complaint: str) -> None:
    kept = agent.keep(f'processes: "{name}" {attributes}, comment => "why";', BODIES)

    assert kept.lines[0].startswith(f"error: {complaint}".replace("NAME", name))
    assert kept.lines[1].startswith("error: Promise belongs to bundle 'main' in file ")
    assert kept.lines[2] == "error: Comment is 'why'"


# signals


def signalled(kept: Kept) -> list[str]:
    """What was sent, in order."""
    return [line.split("'")[1] for line in kept.lines if line.startswith("info: Signalled ")]


def test_signals_are_sent_in_order(agent: Agent, start: Start, name: str) -> None:
    child = start("trap 'exit 7' USR1; while :; do sleep 0.05; done")

    kept = agent.keep(
        f'processes: "{name}" signals => {{ "stop", "CONT", "usr1" }}, classes => fired;'
    )

    assert signalled(kept) == ["stop", "CONT", "usr1"]
    assert kept.lines[0].startswith(f"info: Signalled 'stop' (19) to process {child.pid} (")
    assert kept.lines[0].endswith(f"{name})")
    assert child.wait(5) == 7
    assert kept.fired == {"repaired", "kept"}


def test_a_number_is_a_pause(agent: Agent, start: Start, name: str) -> None:
    start()
    before = time.monotonic()

    kept = agent.keep(f'processes: "{name}" signals => {{ "cont", "1s", "cont" }};')

    assert time.monotonic() - before > 1
    assert signalled(kept) == ["cont", "cont"]


def test_where_none_is_nothing_is_sent(agent: Agent, name: str) -> None:
    kept = agent.keep(f'processes: "{name}" signals => {{ "kill" }}, classes => fired;')

    assert kept.lines == []
    assert kept.fired == {"kept"}


def test_a_process_that_is_gone_fails_the_rest(agent: Agent, start: Start, name: str) -> None:
    child = start()
    threading.Thread(target=child.wait).start()  # it vanishes as soon as it ends

    kept = agent.keep(
        f'processes: "{name}" signals => {{ "kill", "1", "kill" }}, classes => fired;'
    )

    assert signalled(kept) == ["kill"]
    assert "Couldn't send promised signal 'kill' (9) to pid" in kept.lines[-1]
    assert kept.lines[-1].endswith("(might be dead). (kill: No such process)")
    assert kept.fired == {"repaired", "failed", "kept"}


def test_we_do_not_signal_ourselves(program: Program, policy: Callable[..., str]) -> None:
    path = policy("", "only_we_bear_this_name.cf")  # in our command line, so the pattern is ours
    policy(
        'bundle agent main { processes: ".*only_we_bear_this.*" signals => { "kill" }; }',
        "only_we_bear_this_name.cf",
    )

    ended = program("cf-agent", "-KIf", path)

    assert (ended.stdout, ended.returncode) == ("", 0)


def test_the_first_processes_get_no_signals(agent: Agent) -> None:
    kept = agent.keep(
        'processes: ".*" process_select => first, signals => { "cont" };',
        'body process_select first { pid => irange("1", "3"); }',
        level="verbose",
    )

    assert signalled(kept) == []
    assert any("Will not signal or restart processes 0,1,2,3" in line for line in kept.lines)


# stopping and restarting


@pytest.mark.parametrize(
    ("program", "fired", "line"),
    [
        ("/bin/true x", {"repaired", "kept"},
         "info: Promise to stop 'NAME' repaired, '/bin/true x' returned zero"),
        ("/bin/false", {"failed", "kept"},
         "error: Promise to stop 'NAME' failed, '/bin/false' returned nonzero"),
        ("/no/program", {"failed"},
         "error: Process promise to stop 'NAME' could not be kept because '/no/program' "
         "is not executable"),
    ],
)  # fmt: skip
def test_a_command_that_stops(
    agent: Agent, start: Start, name: str, program: str, fired: set[str], line: str
) -> None:
    start()

    kept = agent.keep(f'processes: "{name}" process_stop => "{program}", classes => fired;')

    assert kept.lines[-1] == line.replace("NAME", name)
    assert kept.fired == fired


def test_what_the_command_says_is_seen(
    agent: Agent, start: Start, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    start()

    agent.keep(f'processes: "{name}" process_stop => "/bin/echo stopped";')

    assert capfd.readouterr().out == "stopped\n"


def test_nothing_to_stop(agent: Agent, name: str) -> None:
    kept = agent.keep(f'processes: "{name}" process_stop => "/bin/false", classes => fired;')

    assert kept.fired == {"kept"}


def test_what_does_not_run_is_to_be_started(agent: Agent, start: Start, name: str) -> None:
    start()

    kept = agent.keep(
        f'processes: "{name}" restart_class => "one"; '
        f'"x{name}" restart_class => "two.b", classes => fired;'
    )

    assert not kept.has("one")
    assert kept.has("two_b")
    assert kept.fired == {"kept"}


def test_what_was_killed_is_to_be_started(agent: Agent, start: Start, name: str) -> None:
    child = start()
    sections = (
        f'processes: "{name}" signals => {{ "term" }}, restart_class => "again", classes => fired;'
    )

    kept = agent.keep(sections)

    assert ended(child)
    assert kept.has("again")
    assert kept.fired == {"repaired"}
    assert kept.lines[0] == (
        f"warning: Promise '{name}' kills then restarts - never strictly converges"
    )
    assert kept.lines[1].startswith("info: Promise belongs to bundle 'main' in file ")


def test_what_got_another_signal_is_not(agent: Agent, start: Start, name: str) -> None:
    start()

    kept = agent.keep(
        f'processes: "{name}" signals => {{ "cont" }}, restart_class => "again", classes => fired;'
    )

    assert not kept.has("again")
    assert kept.fired == {"repaired", "kept"}


def test_a_pattern_that_is_none(agent: Agent) -> None:
    kept = agent.keep('processes: "[" restart_class => "again", classes => fired;')

    assert not kept.has("again")
    assert kept.fired == {"failed"}


# only said


def test_a_dry_run_sends_nothing(agent: Agent, start: Start, name: str) -> None:
    child = start()

    kept = agent.keep(
        f'processes: "{name}" signals => {{ "term", "3", "kill" }}, restart_class => "again",'
        f' classes => fired; "x{name}" restart_class => "other";',
        dry=True,
    )

    assert not ended(child)
    said = [line.partition(" in process entry")[0] for line in kept.lines[2:]]
    assert said == [f"error: Need to keep signal promise '{each}'" for each in ("term", "kill")]
    assert kept.fired == {"kept"}
    assert not kept.has("again")
    assert kept.has("other")


def test_a_dry_run_stops_nothing(agent: Agent, start: Start, name: str, tmp_path: Path) -> None:
    start()

    kept = agent.keep(
        f'processes: "{name}" process_stop => "/bin/touch {tmp_path}/x", classes => fired;',
        dry=True,
    )

    assert not (tmp_path / "x").exists()
    assert kept.lines == [
        f"error: Need to keep process-stop promise for '{name}', but only a warning is promised"
    ]
    assert kept.fired == {"failed", "kept"}


def test_a_promise_that_only_warns(agent: Agent, start: Start, name: str, tmp_path: Path) -> None:
    child = start()

    kept = agent.keep(
        f'processes: "{name}" signals => {{ "kill" }}, process_stop => "/bin/touch {tmp_path}/x",'
        " classes => fired, action => warn;",
        BODIES,
    )

    assert not ended(child)
    assert not (tmp_path / "x").exists()
    assert kept.lines[0].startswith("warning: Matched '")
    assert kept.lines[0].endswith(f"{name}'")
    assert kept.fired == {"kept"}
    assert kept.only(Outcome.WARNED)


def test_a_restart_that_is_only_warned_of(agent: Agent, name: str) -> None:
    kept = agent.keep(
        f'processes: "{name}" restart_class => "again", classes => fired, action => warn;', BODIES
    )

    assert not kept.has("again")
    assert kept.lines == [
        f"warning: Need to keep restart promise for '{name}', but only a warning is promised"
    ]
    assert kept.fired == {"failed"}


def test_a_plan_sends_nothing_and_goes_on_as_if_it_had(
    agent: Agent, start: Start, name: str
) -> None:
    child = start()

    kept = agent.keep(
        f'processes: "{name}" signals => {{ "kill" }}; "{name}.?" restart_class => "again",'
        f' process_stop => "/bin/false";',
        plan=True,
    )

    assert not ended(child)
    assert [would.partition(" (")[0] for would in kept.planned] == [
        f"send signal 'kill' to process {child.pid}"
    ]
    assert kept.has("again")


def test_an_overlay_signals_nobody(start: Start) -> None:
    child = start()
    overlay = Overlay()

    overlay.kill(child.pid, 15)

    assert not ended(child)
    assert child.pid not in {each.pid for each in overlay.processes(None)}
