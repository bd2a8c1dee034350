"""Symbolic and hard links, relative and absolute ones, directories of them."""

from pathlib import Path

import pytest

from agent.actuators.files.links import compressed, relative
from agent.outcome import Outcome
from tests.agent.driver import Agent, Kept


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    (tmp_path / "target").write_text("there")
    return Agent(tmp_path)


def link(
    agent: Agent, path: Path, source: object, more: str = "", *, moving: bool = False,
    dry: bool = False,
) -> Kept:  # fmt: skip
    """Promise that PATH is a link to SOURCE."""
    moves = ', move_obstructions => "true"' if moving else ""
    return agent.keep(
        f'files: "{path}" link_from => it, classes => fired{moves};',
        f'body link_from it {{ source => "{source}"; {more} }}',
        dry=dry,
    )


def test_a_link_is_made_once(agent: Agent, tmp_path: Path) -> None:
    path, target = tmp_path / "a/link", tmp_path / "target"

    first, second = link(agent, path, target), link(agent, path, target)

    assert first.lines[1:] == [
        f"info: Created parent directory for link '{path}'",
        f"info: Linked files '{path}' -> '{target}'",
    ]
    assert path.readlink() == target
    assert first.fired == {"repaired"}
    assert second.lines == []
    assert second.fired == {"kept"}


def test_a_dry_run_links_nothing(agent: Agent, tmp_path: Path) -> None:
    kept = link(agent, tmp_path / "link", tmp_path / "target", dry=True)

    assert kept.lines[0] == f"warning: Should create link '{tmp_path}/link'"
    assert not (tmp_path / "link").is_symlink()
    assert kept.fired == {"failed"}


@pytest.mark.parametrize(
    ("path", "source", "way"),
    [
        ("/a/b/link", "/a/b/f", "./f"),
        ("/a/b/link", "/a/c/f", "./../c/f"),
        ("/a/b/c/link", "/x", "./../../../x"),
        ("/link", "/usr/bin", "./usr/bin"),
        ("/a/b/link", "/a/b", "./../b"),
    ],
)
def test_relative_ways(path: str, source: str, way: str) -> None:
    assert relative(path, source) == way


def test_paths_are_compressed() -> None:
    assert compressed("/a//b/./c/../d/") == "/a/b/d"
    assert compressed("/../a") == "/a"


@pytest.mark.parametrize(
    ("kind", "source", "text"),
    [
        ("symlink", "target", "target"),
        ("relative", "{}/target", "./target"),
        ("absolute", "./target", "{}/target"),
        ("absolute", "{}/x/../target", "{}/target"),
    ],
)
def test_what_a_link_says(agent: Agent, tmp_path: Path, kind: str, source: str, text: str) -> None:
    wanted = source.format(tmp_path), f'link_type => "{kind}";'

    link(agent, tmp_path / "link", *wanted)

    assert (tmp_path / "link").readlink() == Path(text.format(tmp_path))
    assert link(agent, tmp_path / "link", *wanted).fired == {"kept"}


def test_a_hard_link(agent: Agent, tmp_path: Path) -> None:
    more = 'link_type => "hardlink";'

    first = link(agent, tmp_path / "link", tmp_path / "target", more)
    second = link(agent, tmp_path / "link", tmp_path / "target", more)

    assert first.lines == [f"info: Hard linked file '{tmp_path}/link' -> '{tmp_path}/target'"]
    assert (tmp_path / "link").samefile(tmp_path / "target")
    assert second.fired == {"kept"}


def test_a_directory_is_not_hard_linked(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()

    kept = link(agent, tmp_path / "link", tmp_path / "d", 'link_type => "hardlink";')

    assert kept.lines[0].endswith("is not a regular file, not appropriate to hard-link")
    assert kept.fired == {"failed"}


@pytest.mark.parametrize(("policy", "outcome"), [("nop", "failed"), ("force", "repaired")])
def test_a_source_that_is_not_there(
    agent: Agent, tmp_path: Path, policy: str, outcome: str
) -> None:
    kept = link(agent, tmp_path / "link", "/nowhere", f'when_no_source => "{policy}";')

    assert kept.fired == {outcome}
    assert (tmp_path / "link").is_symlink() is (policy == "force")


def test_a_link_whose_source_is_gone_goes_too(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/nowhere")

    kept = link(agent, tmp_path / "link", "/nowhere", 'when_no_source => "delete";')

    assert kept.lines == [f"info: Removed dead link '{tmp_path}/link'"]
    assert not (tmp_path / "link").is_symlink()


def test_a_wrong_link_is_replaced_if_that_is_promised(agent: Agent, tmp_path: Path) -> None:
    path, target = tmp_path / "link", tmp_path / "target"
    path.symlink_to("wrong")

    refused = link(agent, path, target)
    moved = link(agent, path, target, moving=True)

    assert refused.lines[0] == (
        f"error: Link '{path}' points to 'wrong' not '{target}', but not moving obstructions"
    )
    assert refused.fired == {"failed"}
    assert moved.lines == [
        f"info: Overrode incorrect link '{path}'",
        f"info: Linked files '{path}' -> '{target}'",
    ]


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_a_file_in_the_way(agent: Agent, tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "link", tmp_path / "target"
    path.write_text("old")
    more = f'link_type => "{kind}";'

    refused = link(agent, path, target, more)
    moved = link(agent, path, target, more, moving=True)

    assert f"error: Object '{path}' is obstructing promise" in refused.lines
    assert refused.fired == {"failed"}
    assert f"info: Moved obstructing object '{path}' to '{path}.cfsaved'" in moved.lines
    assert (tmp_path / "link.cfsaved").read_text() == "old"
    assert path.read_text() == "there"


def test_a_directory_in_the_way(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "link").mkdir()

    kept = link(agent, tmp_path / "link", tmp_path / "target", moving=True)

    assert f"info: Moved directory '{tmp_path}/link' to '{tmp_path}/link.cfsaved'" in kept.lines
    assert (tmp_path / "link").is_symlink()
    assert len(list(tmp_path.glob("link_*.cfsaved.dir"))) == 1


@pytest.fixture
def children(tmp_path: Path) -> Path:
    """A directory with two files, and one with one of them already."""
    for name in ("children/a", "children/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("theirs")
    return tmp_path / "children"


def test_a_directory_of_links(agent: Agent, tmp_path: Path, children: Path) -> None:
    more = 'link_children => "true";'

    first = link(agent, tmp_path / "d", children, more)
    second = link(agent, tmp_path / "d", children, more)

    assert first.lines[0] == f"info: Created directory '{tmp_path}/d/.', mode 0700"
    assert {path.readlink() for path in (tmp_path / "d").iterdir()} == {
        children / "a",
        children / "b",
    }
    assert second.fired == {"kept"}


@pytest.mark.parametrize(
    ("policy", "content"), [("if_no_such_file", "ours"), ("override_file", "theirs")]
)
def test_files_among_the_links(
    agent: Agent, tmp_path: Path, children: Path, policy: str, content: str
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_text("ours")

    link(
        agent,
        tmp_path / "d",
        children,
        f'link_children => "true"; when_linking_children => "{policy}";',
    )

    assert (tmp_path / "d/a").read_text() == content
    assert (tmp_path / "d/b").is_symlink()


def test_some_children_may_be_copied(agent: Agent, tmp_path: Path, children: Path) -> None:
    link(agent, tmp_path / "d", children, 'link_children => "true"; copy_patterns => { "a" };')

    assert (tmp_path / "d/a").read_text() == "theirs"
    assert not (tmp_path / "d/a").is_symlink()
    assert (tmp_path / "d/b").is_symlink()


def test_a_link_and_a_copy_exclude_each_other(agent: Agent, tmp_path: Path) -> None:
    kept = agent.keep(
        f'files: "{tmp_path}/f" link_from => l, copy_from => c, classes => fired;',
        'body link_from l { source => "/x"; } body copy_from c { source => "/x"; }',
    )

    assert kept.lines[0] == (
        f"error: Promise constraint conflicts - '{tmp_path}/f' file cannot both be a copy of "
        "and a link to the source"
    )
    assert kept.only(Outcome.SKIPPED)
