"""Log lines: their form, which of them are printed, and when they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.log import STDERR, Log

ROOT = Path(__file__).parent.parent.parent


def printed(log: Log, capfd: pytest.CaptureFixture[str]) -> str:
    log.flush()
    return capfd.readouterr().out


@pytest.mark.parametrize(
    ("level", "line"),
    [("critical", "CRITICAL: x\n"), ("error", "   error: x\n"), ("warning", " warning: x\n"),
     ("notice", "  notice: x\n"), ("info", "    info: x\n"), ("verbose", " verbose: x\n"),
     ("debug", "   debug: x\n")],
)  # fmt: skip
def test_the_level_is_aligned_to_the_right(
    level: str, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    log = Log("debug")

    log(level, "x")

    assert printed(log, capfd) == line


def test_lines_above_the_level_are_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log("notice")

    log("info", "quiet")
    log("notice", "loud")

    assert printed(log, capfd) == "  notice: loud\n"


def test_a_timestamp_comes_first(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(timestamps=True)

    log("error", "x")

    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"
    assert re.fullmatch(rf"{stamp}    error: x\n", printed(log, capfd))


def test_a_timestamp_is_by_the_clock_of_the_host(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(timestamps=True)
    monkeypatch.setenv("TROTH_CLOCK", str(1000 * 24 * 3600))
    year = time.localtime(time.time() + 1000 * 24 * 3600).tm_year

    log("error", "x")

    assert printed(log, capfd).startswith(f"{year}-")


def test_a_colour_ends_on_the_next_line(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(color=True)

    log("error", "x")
    log.say("y")

    assert printed(log, capfd) == "\033[31m   error: x\n\033[0mR: y\n"


def test_a_prefix_is_for_info_and_below(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log("info", prefix="P ")

    log("notice", "x")
    log("info", "y")

    assert printed(log, capfd) == "  notice: x\nP     info: y\n"


def test_bytes_that_are_not_text_come_out_as_they_came_in(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    log = Log()

    log.say(os.fsdecode(b"\xff"))
    log.flush()

    assert capfdbinary.readouterr().out == b"R: \xff\n"


def test_no_level_silences_reports(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log("none")

    log("critical", "x")
    log.say("y")

    assert printed(log, capfd) == "R: y\n"


def test_what_was_held_back_is_printed_or_forgotten(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log("info")

    for show in (True, False):
        log.hold()
        log("info", f"{show}")
        log("error", "at once")
        log.release(show)

    assert printed(log, capfd) == "   error: at once\n    info: True\n   error: at once\n"


def test_a_report_level_only_raises(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log("info")

    before = log.raised({"report_level": "error"})
    log("info", "still")
    log.restore(before)
    before = log.raised({"report_level": "verbose"})
    log("verbose", "now")
    log.restore(before)
    log("verbose", "no more")

    assert printed(log, capfd) == "    info: still\n verbose: now\n"


def test_stdout_and_stderr_keep_their_order() -> None:
    script = (
        "from agent.log import Log, STDERR\nlog = Log(talk=STDERR)\n"
        "log.say('1')\nlog('error', '2')\nlog.say('3')\nlog.flush()"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip

    assert ran.stdout == "R: 1\n   error: 2\nR: 3\n"


def test_a_reader_who_left_does_not_end_the_run() -> None:
    script = (
        "import os, sys\nfrom agent.log import Log\nlog = Log()\nsys.stdin.read()\n"
        "log.say('x')\nlog.flush()\nlog.say('y')\nlog.flush()\nos.write(2, b'went on')"
    )
    command = [sys.executable, "-c", script]

    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as agent:
        for pipe in (agent.stdout, agent.stdin):
            assert pipe is not None
            pipe.close()
        assert agent.stderr is not None
        said = agent.stderr.read()

    assert (said, agent.returncode) == (b"went on", 0)


def test_stderr_is_never_late(capfd: pytest.CaptureFixture[str]) -> None:
    Log().show("x", STDERR)

    assert capfd.readouterr().err == "x\n"
