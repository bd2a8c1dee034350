"""`reports`: where they go, and how they end."""

import time
from pathlib import Path
from typing import Any

import pytest

from agent import bundle as bundles
from agent.host import Host
from agent.log import Log
from agent.options import Settings
from agent.run import Run
from policy.build import build
from policy.context import Context
from policy.errors import Unresolved
from policy.plan import Plan

CLASSES = 'body classes c { promise_kept => { "kept" }; repair_failed => { "failed" }; }'


def no_function(name: str) -> Any:
    raise Unresolved(name)


def keep(policy: str, *, dry: bool = False) -> dict[str, tuple[str, ...]]:
    """Evaluate the bundle `main` of POLICY; the classes that it leaves behind."""
    log = Log()
    context = Context(
        hard={"any": ()}, facts={}, now=time.time(), log=log, host=Host(), function=no_function
    )
    run = Run(Settings({"dry": dry}), Host(), log, context)
    unit, _ = build("p.cf", (policy + CLASSES).encode())
    run.plan = Plan()
    run.plan.add("p.cf", unit)
    main = run.plan.bundle("main", "default", "agent")
    assert main is not None
    bundles.perform(main, (), run, sequence=True)
    log.flush()
    return context.soft


def said(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().out


def test_a_report_is_printed_and_kept(capfd: pytest.CaptureFixture[str]) -> None:
    classes = keep('bundle agent main { reports: "a$(const.n)b" classes => c; }')

    assert said(capfd) == "R: a\nb\n"
    assert set(classes) == {"kept"}


def test_the_same_report_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    keep('bundle agent main { reports: "a"; "b"; "a"; "a" handle => "other"; }')

    assert said(capfd) == "R: a\nR: b\nR: a\n"


def test_an_open_reference_waits_for_the_last_pass(capfd: pytest.CaptureFixture[str]) -> None:
    keep('bundle agent main { reports: "$(nothing)"; "b"; }')

    assert said(capfd) == "R: b\nR: $(nothing)\n"


def test_a_report_goes_to_a_file_instead(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "log"
    target.write_text("before\n")

    keep(f'bundle agent main {{ reports: "a" report_to_file => "{target}"; }}')

    assert target.read_text() == "before\na\n"
    assert said(capfd) == ""


def test_the_file_of_reports_is_ours_alone(tmp_path: Path) -> None:
    target = tmp_path / "log"

    keep(f'bundle agent main {{ reports: "a" report_to_file => "{target}"; }}')

    assert target.stat().st_mode & 0o7777 == 0o600


def test_a_file_that_cannot_be_written_fails_the_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "no" / "log"

    classes = keep(
        f'bundle agent main {{ reports: "a" report_to_file => "{target}", classes => c; }}'
    )

    assert said(capfd) == (
        f"   error: Could not open log file '{target}', message 'a'. "
        "(fopen: No such file or directory)\n"
    )
    assert set(classes) == {"failed"}


@pytest.mark.parametrize(
    ("count", "expected"),
    [("2", "12"), ("-2", "67"), ("0", ""), ("inf", "1234567"), ("-9", "1234567"), (None, "12345")],
)
def test_a_file_is_printed_from_its_start_or_to_its_end(
    count: str | None, expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    source.write_text("1\n2\n3\n4\n5\n6\n7")
    lines = "" if count is None else f'number_of_lines => "{count}";'

    keep(
        'bundle agent main { reports: "head" printfile => p; }'
        f'body printfile p {{ file_to_print => "{source}"; {lines} }}'
    )

    assert said(capfd) == "".join(f"R: {line}\n" for line in ["head", *expected])


def test_a_file_that_cannot_be_printed_fails_the_report(
    capfd: pytest.CaptureFixture[str],
) -> None:
    classes = keep(
        'bundle agent main { reports: "head" printfile => p, classes => c; }'
        'body printfile p { file_to_print => "/no/file"; }'
    )

    assert said(capfd) == (
        "R: head\n   error: Printing of file '/no/file' was not possible. "
        "(fopen: No such file or directory)\n"
    )
    assert set(classes) == {"failed"}


@pytest.mark.parametrize("action", ["", "action => w,"])
def test_a_report_that_may_not_be_made_is_announced(
    action: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "log"

    classes = keep(
        f'bundle agent main {{ reports: "a" {action} classes => c, report_to_file => "{target}"; }}'
        'body action w { action_policy => "warn"; }',
        dry=not action,
    )

    assert said(capfd) == " warning: Need to repair reports promise: a\n"
    assert set(classes) == {"failed"}
    assert not target.exists()


def test_a_bundle_returns_what_it_reports_under_an_index(
    capfd: pytest.CaptureFixture[str],
) -> None:
    classes = keep(
        """
        bundle agent main
        {
          methods: "m" usebundle => m, useresult => "r";
          reports: "$(r[1]) $(r[k])";
        }
        bundle agent m
        {
          reports:
            "one" bundle_return_value_index => "1", classes => c;
            "two" bundle_return_value_index => "k";
        }
        """
    )

    assert said(capfd) == "R: one two\n"
    assert not classes


def test_legacy_attributes_do_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    keep(
        'bundle agent main { reports: "a" friend_pattern => "x", intermittency => "0.5", '
        'lastseen => "1", showstate => { "otherprocs" }; }'
    )

    assert said(capfd) == "R: a\n"
