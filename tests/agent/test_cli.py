"""The command line: options as getopt reads them, the names of links, help, and what is refused."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from agent import cli, links, options
from agent import help as helps

ROOT = Path(__file__).parent.parent.parent
NOWHERE = {"TROTH_WORKDIR": "/w"}


def parse(program: str, *arguments: str, **environ: str) -> options.Settings:
    return options.parse(program, [program, *arguments], {**NOWHERE, **environ}, 0.0)


# reading options


def test_short_options_come_in_bundles() -> None:
    settings = parse("cf-agent", "-KIf", "./p.cf")

    assert (settings.no_locks, settings.level, settings.file) == (True, "info", "./p.cf")


def test_an_argument_may_be_attached_to_a_short_option() -> None:
    assert parse("cf-agent", "-Da,b", "-D", "c").defines == ("a", "b", "c")


@pytest.mark.parametrize("form", [("--log-level=info",), ("--log-level", "info"), ("--log-l=inf",)])
def test_long_options_take_their_argument_either_way(form: tuple[str, ...]) -> None:
    assert parse("cf-agent", *form).level == "info"


def test_an_optional_argument_must_be_attached() -> None:
    settings = parse("cf-agent", "--show-evaluated-vars", "./p.cf")

    assert (settings.show_vars, settings.file) == ("", "./p.cf")


def test_options_and_files_mix() -> None:
    settings = parse("cf-agent", "./p.cf", "-K")

    assert (settings.no_locks, settings.file) == (True, "./p.cf")


def test_after_two_dashes_all_are_files() -> None:
    assert parse("cf-agent", "--", "-K").file == "-K"


def test_the_last_level_wins() -> None:
    assert parse("cf-agent", "-d", "-I").level == "info"


@pytest.mark.parametrize(
    ("word", "level"),
    [("err", "error"), ("errors", "error"), ("n", "notice"), ("information", "info"),
     ("verb", "verbose"), ("critical", "critical"), ("none", "none")],
)  # fmt: skip
def test_levels_may_be_cut_short_or_in_the_plural(word: str, level: str) -> None:
    assert parse("cf-agent", "-g", word).level == level


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "cf-agent: unrecognized option '--nonsense'"),
        (["-Z"], "cf-agent: invalid option -- 'Z'"),
        (["-f"], "cf-agent: option requires an argument -- 'f'"),
        (["--file"], "cf-agent: option '--file' requires an argument"),
        (["--inform=x"], "cf-agent: option '--inform' doesn't allow an argument"),
        (
            ["--no-"],
            "cf-agent: option '--no-' is ambiguous; possibilities: '--no-lock' "
            "'--no-extensions' '--no-augments' '--no-host-specific-data'",
        ),
        (["-g", "loud"], "Invalid log level: 'loud'"),
        (["-Cblue"], "Unrecognized color mode 'blue'"),
        (["--skip-db-check=maybe"], "Invalid argument for --skip-db-check(yes/no): 'maybe'"),
        (
            ["--simulate=x"],
            "Invalid argument for --simulate, 'manifest' or 'diff' required, not 'x'",
        ),
        (["--simulate=diff"], "not yet supported: option '--simulate'"),
        (["-T"], "Option --trust-server can only be used when bootstrapping"),
        (["a.cf", "b.cf"], "Too many arguments"),
    ],
)
def test_what_means_nothing_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(options.Usage) as refused:
        parse("cf-agent", *arguments)

    assert str(refused.value) == message


def test_a_program_that_takes_no_word_refuses_one() -> None:
    with pytest.raises(options.Usage, match="Too many arguments"):
        parse("status", "x")


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ([], "/w/inputs/promises.cf"),
        (["-f", "a.cf"], "/w/inputs/a.cf"),
        (["-f", "./a.cf"], "./a.cf"),
        (["-f", "/a.cf"], "/a.cf"),
        (["a.cf"], "a.cf"),
        (["-f", "/b.cf", "a.cf"], "a.cf"),
    ],
)
def test_which_policy_is_meant(arguments: list[str], file: str) -> None:
    assert parse("cf-agent", *arguments).file == file


def test_the_work_directory_comes_from_option_or_environment() -> None:
    assert parse("run", "-w", "/x").workdir == "/x"
    assert parse("run", CFENGINE_TEST_OVERRIDE_WORKDIR="/y").workdir == "/w"
    assert parse("cf-agent", CFENGINE_TEST_OVERRIDE_WORKDIR="/y").workdir == "/y"


def test_without_a_home_in_the_environment_the_table_of_users_says_it() -> None:
    assert options.home({"HOME": "/h"}) == "/h"
    assert options.home({}) == pwd.getpwuid(os.geteuid()).pw_dir


@pytest.mark.parametrize("program", sorted(options.PROGRAMS))
def test_no_option_is_there_twice(program: str) -> None:
    rows = options.PROGRAMS[program][0]
    names = [row[0] for row in rows] + [row[1] for row in rows if row[1]]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("program", sorted(options.PROGRAMS))
def test_every_option_sets_something_that_exists(program: str) -> None:
    known = {*options.Settings.__annotations__, *options.LATER, "trust", "ignored"}

    assert {row[3] for row in options.PROGRAMS[program][0]} <= known


# help


@pytest.mark.parametrize("program", sorted(options.PROGRAMS))
def test_help_explains_every_option_and_ends_with_an_example(program: str) -> None:
    text = helps.text(program)

    assert all(f"--{row[0]}" in text for row in options.PROGRAMS[program][0])
    assert text.splitlines()[-1].startswith("Example: ")
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("program", [name for name in options.PROGRAMS if "-" not in name])
def test_help_of_ours_fits_a_screen(program: str) -> None:
    assert len(helps.text(program).splitlines()) <= 24


def test_no_meaning_is_left_over() -> None:
    known = {row[0] for rows, _ in options.PROGRAMS.values() for row in rows}

    assert set(helps.MEANINGS) == known


# the program


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory with troth under all its names."""
    directory = str(tmp_path_factory.mktemp("names"))
    links.make(directory)
    return directory


def run(command: str, *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    ran = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout, ran.stderr


def test_the_name_decides(names: str) -> None:
    assert run(f"{names}/cf-agent", "-V") == (0, "CFEngine Core 3.28.0\n", "")
    assert run(f"{names}/troth", "--version")[1].startswith("troth ")


@pytest.mark.parametrize("name", [name for name, module in cli.LINKS.items() if module is None])
def test_what_is_still_to_come_says_so(names: str, name: str) -> None:
    assert run(f"{names}/{name}", "--help") == (1, "", f"not yet supported: {name}\n")


def test_an_unknown_option_shows_the_help_on_stdout(names: str) -> None:
    status, out, err = run(f"{names}/cf-agent", "--nonsense")

    assert (status, err) == (1, f"{names}/cf-agent: unrecognized option '--nonsense'\n")
    assert out == helps.text("cf-agent")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["rum"], "did you mean 'run'?"),
        (["plan", "--jsn"], "did you mean '--json'?"),
        (["run", "--dry-run"], "'troth plan' shows"),
    ],
)
def test_what_is_wrong_names_the_nearest_right(names: str, arguments: list[str], hint: str) -> None:
    status, out, err = run(f"{names}/troth", *arguments)

    assert (status, out) == (1, "")
    assert hint in err


@pytest.mark.parametrize("words", [["doc", "--list"], ["signal", "list"], ["--version"]])
def test_what_was_asked_for_and_cannot_be_written_is_a_failure(
    names: str, words: list[str], tmp_path: Path
) -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [f"{names}/troth", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={"TROTH_WORKDIR": str(tmp_path), "TROTH_CACHE_DIR": str(tmp_path)},
        )  # fmt: skip

    assert ran.returncode == 1
    assert words == ["--version"] or "cannot write to stdout: No space left" in ran.stderr


def test_promises_are_kept_whether_that_can_be_written_or_not(names: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.cf"
    policy.write_text('bundle agent main { reports: "here"; }\n')
    policy.chmod(0o600)
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [f"{names}/troth", "run", policy], stdout=full, stderr=subprocess.PIPE, text=True,
            env={"TROTH_WORKDIR": str(tmp_path), "TROTH_CACHE_DIR": str(tmp_path)}, check=False,
        )  # fmt: skip

    assert (ran.returncode, "cannot write to stdout" in ran.stderr) == (0, True)


@pytest.mark.parametrize("words", ["--help", "--version", "run --help", "run --nonsense", "what"])
def test_who_closes_stdout_and_stderr_is_told_nothing(names: str, words: str) -> None:
    closed = f"{names}/troth {words} >&-"

    status, _, err = run("/bin/sh", "-c", closed)
    assert "Traceback" not in err
    assert status == run("/bin/sh", "-c", f"{closed} 2>&-")[0]


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_has_help(names: str, command: str) -> None:
    assert run(f"{names}/troth", command, "--help") == (0, helps.text(command), "")


# links


def test_links_are_made_again_without_complaint(tmp_path: Path) -> None:
    links.make(str(tmp_path))
    links.make(str(tmp_path))

    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*cli.LINKS, "troth"])


@pytest.mark.parametrize("name", ["troth", "cf-agent"])
def test_links_replace_nothing_of_others(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("#!/bin/sh\n")

    with pytest.raises(links.NotOurs):
        links.make(str(tmp_path))

    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def script(path: Path, python: str, then: str) -> str:
    """An executable like those that `troth links` makes, that does THEN at its end."""
    start = links.launcher(python, str(ROOT))
    path.write_text(start.replace("import launch\nlaunch()\n", then))
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_in_a_directory_with_blanks_is_found(tmp_path: Path) -> None:
    directory = tmp_path / "two words and a 'quote'"
    directory.mkdir()
    (directory / "python").symlink_to(sys.executable)
    agent = script(tmp_path / "cf-agent", f"{directory}/python", "import launch\nlaunch()\n")

    assert run(agent, "-V") == (0, "CFEngine Core 3.28.0\n", "")


def test_packages_of_the_environment_are_found_when_one_is_needed(tmp_path: Path) -> None:
    then = """import Packages
sys.meta_path.append(Packages)
before = 'site' in sys.modules
import lark
print(before, 'site' in sys.modules)
"""

    assert run(script(tmp_path / "any", sys.executable, then)) == (0, "False True\n", "")


@pytest.mark.parametrize("word", ["run", "plan", "check"])
def test_who_knows_cf_agent_is_told_how_the_policy_is_named(word: str) -> None:
    with pytest.raises(options.Usage, match="invalid option -- 'f': name the policy without it"):
        options.parse(word, [f"troth {word}", "-f", "a.cf"], NOWHERE, 0.0)
