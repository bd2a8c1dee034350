"""Laws of a run: what is kept once, what depends on what, what ends it, what a plan cannot know."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

Program = Callable[..., "subprocess.CompletedProcess[str]"]
Policy = Callable[..., str]


def lines(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """What was printed; never a traceback."""
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.stdout.splitlines()


def test_a_handle_is_expanded_but_not_by_iteration(program: Program, policy: Policy) -> None:
    path = policy(
        """bundle agent main
{
  vars:
    "x" string => "1";
    "l" slist => { "a", "b" };
  reports:
    "first" handle => "h-$(x)";
    "second" depends_on => { "h_1" };
    "never" depends_on => { "h_2" };
    "$(l) $(this.handle)" handle => "of $(l)";
}
"""
    )

    said = lines(program("cf-agent", "-Kf", path))

    assert said == ["R: first", "R: second", "R: a of___l_", "R: b of___l_"]


def test_a_handle_knows_neither_the_promiser_nor_itself(program: Program, policy: Policy) -> None:
    path = policy(
        """bundle agent main
{
  vars:
    "x" handle => "$(this.handle) $(this.promiser)", string => "$(this.handle)";
  reports:
    "$(x)";
    "$(this.handle)" handle => "a $(this.handle) b";
}
"""
    )

    said = lines(program("cf-agent", "-Kf", path))

    assert said == ["R: __this_handle____this_promiser_", "R: a___this_handle__b"]


def test_a_called_bundle_keeps_its_variables(program: Program, policy: Policy) -> None:
    path = policy(
        """bundle agent main
{
  methods:
    "x" usebundle => web("80");
    "y" usebundle => lists;
  reports:
    "$(web.v)";
}
bundle agent web(p) { vars: "v" string => "port $(p)"; }
bundle agent lists { vars: "m" slist => variablesmatching("default:web\\..*"); }
"""
    )

    assert lines(program("cf-agent", "-Kf", path)) == ["R: port 80"]


def test_variables_that_contain_each_other_end_the_run(program: Program, policy: Policy) -> None:
    path = policy(
        """bundle agent main
{
  vars:
    "a" string => "$(b)$(b)";
    "b" string => "$(a)$(a)";
  reports:
    "$(a)";
}
"""
    )

    ended = program("cf-agent", "-Kf", path)

    assert "contains itself" in "\n".join(lines(ended))
    assert ended.returncode == 1


def test_calls_without_end_end_the_run(program: Program, policy: Policy) -> None:
    path = policy(
        """bundle agent main { methods: "x" usebundle => deeper("1"); }
bundle agent deeper(n)
{
  vars:
    "m" string => "x$(n)";
  methods:
    "y" usebundle => deeper("$(m)");
}
"""
    )

    ended = program("cf-agent", "-Kf", path)

    assert "nested too deeply" in "\n".join(lines(ended))
    assert ended.returncode == 1


def test_methods_may_be_nested_three_hundred_deep(program: Program, policy: Policy) -> None:
    bundles = "".join(
        f'bundle agent b{at} {{ methods: "m" usebundle => b{at + 1}; }}\n' for at in range(300)
    )
    path = policy(
        'bundle agent main { methods: "m" usebundle => b0; }\n'
        + bundles
        + 'bundle agent b300 { reports: "deep"; }\n'
    )

    assert lines(program("cf-agent", "-Kf", path)) == ["R: deep"]


def test_a_command_in_the_background_holds_its_lock(
    program: Program, policy: Policy, tmp_path: Path
) -> None:
    path = policy(
        """body action later { background => "true"; ifelapsed => "60"; }
bundle agent main
{
  commands:
    "/bin/sh -c 'echo ran >> DIR/ran'" action => later;
}
""".replace("DIR", str(tmp_path))
    )

    for _ in range(2):
        program("cf-agent", "-f", path)

    assert (tmp_path / "ran").read_text() == "ran\n"


def test_what_hangs_on_a_command_is_unknown_in_a_plan(
    program: Program, policy: Policy, tmp_path: Path
) -> None:
    path = policy(
        """bundle agent main
{
  vars:
    "o" string => execresult("/bin/echo hello", "noshell");
  files:
    "DIR/$(o)" create => "true";
}
""".replace("DIR", str(tmp_path))
    )

    planned = program("troth", "plan", path)

    assert "/bin/echo hello" in planned.stdout
    assert "0 to change" in planned.stdout
    assert planned.returncode == 4
    program("troth", "run", path)
    assert (tmp_path / "hello").exists()


def test_what_a_lock_leaves_alone_is_counted(program: Program, policy: Policy) -> None:
    path = policy('bundle agent main { files: "/proc/nowhere/x" create => "true"; }\n')

    first = program("troth", "run", path)
    second = program("troth", "run", path)

    assert first.returncode == 4
    assert "left alone: 0 kept, 1 left alone" in second.stderr


@pytest.mark.parametrize("attribute", ["ifelapsed", "expireafter"])
def test_a_control_without_a_value_is_left_aside(
    program: Program, policy: Policy, attribute: str
) -> None:
    path = policy(
        f'body agent control {{ {attribute} => "$(undef)"; }}\n'
        'bundle agent main { reports: "on"; }\n'
    )

    assert lines(program("cf-agent", "-Kf", path)) == ["R: on"]


@pytest.mark.parametrize(
    "promise",
    [
        'vars: "x" string => "1", comment => concat("$(undef)");',
        'defaults: "v" string => "d", if_match_regex => concat("$(un)");',
    ],
)
def test_a_function_without_a_value_is_left_aside(
    program: Program, policy: Policy, promise: str
) -> None:
    path = policy(f'bundle agent main {{ vars: "v" string => ""; {promise}\n reports: "on"; }}\n')

    assert lines(program("cf-agent", "-Kf", path)) == ["R: on"]


def test_runs_side_by_side_take_turns(program: Program, policy: Policy, tmp_path: Path) -> None:
    path = policy(
        """body action hour { ifelapsed => "60"; }
bundle agent main
{
  commands:
    "/bin/sh -c 'sleep 0.3; echo ran >> DIR/ran'" action => hour;
}
""".replace("DIR", str(tmp_path))
    )
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as side_by_side:
        began = time.monotonic()
        ended = list(side_by_side.map(lambda _: program("cf-agent", "-f", path), range(4)))

    assert [run.returncode for run in ended] == [0] * 4
    assert time.monotonic() - began < 30
    assert (tmp_path / "ran").read_text() == "ran\n"
