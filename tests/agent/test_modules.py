"""The lines that modules may say, and what comes of them."""

from pathlib import Path
from typing import NoReturn

import pytest

from agent import modules
from agent.host import Host
from policy.context import Context, Frame, Scope
from policy.errors import Fatal, Unresolved


class World:
    """A context that remembers what was logged, said and persisted."""

    def __init__(self) -> None:
        self.logged: list[str] = []
        self.said: list[str] = []
        self.persisted: list[tuple[str, int, str]] = []
        self.ctx = Context(
            hard={"any": (), "linux": ()},
            facts={},
            now=0,
            log=lambda level, message: self.logged.append(f"{level}: {message}"),
            host=Host(),
            function=self.nothing,
        )
        self.ctx.frame = Frame("main", "default", Scope())
        self.ctx.persist = lambda key, minutes, timer, _: self.persisted.append(
            (key, minutes, timer)
        )

    def nothing(self, name: str) -> NoReturn:
        raise Unresolved(name)

    def hears(self, *lines: str, command: str = "/x/my-mod.sh a b") -> None:
        """Take in LINES of a module."""
        modules.take(self.ctx, "\n".join(lines), command, say=self.said.append)

    def value(self, name: str) -> object:
        """The value of `scope.name`."""
        return self.ctx.lookup(name)


@pytest.fixture
def world() -> World:
    return World()


TAGS = ("source=module", "derived_from=/x/my-mod.sh a b")


def test_variables_go_where_the_program_is_called(world: World) -> None:
    world.hears(
        "=v=a=b", "=e=", "=n", "=a[k]=x", "@l={ \"a\", 'b', }", "@none={}", '%d={"k":[1.5]}'
    )

    assert world.value("my_mod_sh.v") == "a=b"
    assert world.value("my_mod_sh.e") == ""
    assert world.value("my_mod_sh.n") == ""
    assert world.value("my_mod_sh.a[k]") == "x"
    assert world.value("my_mod_sh.l") == ("a", "b")
    assert world.value("my_mod_sh.none") == ()
    assert world.value("my_mod_sh.d[k][0]") == "1.50"
    assert world.logged == []


def test_a_program_may_be_quoted(world: World) -> None:
    world.hears("=v=1", command='"/a dir/m.py" x')

    assert world.value("m_py.v") == "1"


def test_another_scope_may_be_asked_for(world: World) -> None:
    world.hears("^context=other", "=v=1", "^context=bad-name", "=w=2")

    assert world.value("other.v") == "1"
    assert world.value("other.w") == "2"
    assert world.logged == [
        "error: Module protocol was given an unacceptable ^context directive 'bad-name', skipping"
    ]


def test_classes_are_canonified_but_for_their_namespace(world: World) -> None:
    world.hears("+m-two!x", "+n:c-d")

    assert world.ctx.soft == {"m_two_x": TAGS, "n:c_d": TAGS}


def test_tags_are_those_that_were_asked_for_last(world: World) -> None:
    world.hears("^meta=t1,t2", "+c", "=v=1")
    variable = world.ctx.variable("my_mod_sh.v")

    assert variable is not None
    assert world.ctx.soft["c"] == variable.tags == ("t1", "t2", *TAGS)


def test_classes_outlive_the_run_from_when_it_is_said(world: World) -> None:
    world.hears("+short", "^persistence=10", "+long", "^persistence=0", "+again")

    assert world.persisted == [("long", 10, "absolute")]


def test_classes_are_taken_back(world: World) -> None:
    world.ctx.frame.classes["private"] = ()
    world.hears("+a", "+b", "+c", "-a,private,nosuch", "-default:b")

    assert list(world.ctx.soft) == ["c"]
    assert world.ctx.frame.classes == {}
    assert world.persisted == []


def test_hard_classes_cannot_be_taken_back(world: World) -> None:
    with pytest.raises(Fatal, match="Cannot negate the reserved class 'linux'"):
        world.hears("-linux")


def test_data_may_be_in_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"a": 1}')
    (tmp_path / "d.yaml").write_text("b: [2]")
    world.hears(f"&j={tmp_path}/d.json", f"&y={tmp_path}/d.yaml", "&n=/nosuch")

    assert world.value("my_mod_sh.j") == {"a": 1}
    assert world.value("my_mod_sh.y") == {"b": [2]}
    assert world.logged == ["error: could not load module file '/nosuch'"]


def test_other_lines_are_said(world: World) -> None:
    world.hears("hello", "", " +indented", "#x")

    assert world.said == ["hello", " +indented", "#x"]


def test_nobody_needs_to_listen(world: World) -> None:
    modules.take(world.ctx, "hello\n+c\n", "x")

    assert list(world.ctx.soft) == ["c"]


MISTAKES = [
    ("^nosuch=1", "info: Unknown extended module command '^nosuch=1'"),
    ("%d=5", "info: Module protocol JSON '5' should be object or array; wasn't"),
    (
        "%d={",
        "info: Failed to parse JSON '{' for module protocol: Unable to parse json data as object, "
        "did not end with '}'",
    ),
    (
        '@l={ "a" "b" }',
        'error: Module protocol could not parse variable l\'s data content { "a" "b" }',
    ),
    (
        f"+{'c' * 1024}",
        "error: Module protocol was given an overlong +class line (1025 bytes), skipping",
    ),
    (
        f"=v={'x' * 4400}",
        "error: Module protocol was given an overlong variable = line (4403 bytes), skipping",
    ),
    (
        f'@l={{ "{"x" * 1025}" }}',
        "error: Module protocol was given a variable @ line with an oversize entry, skipping",
    ),
]


@pytest.mark.parametrize(("line", "complaint"), MISTAKES, ids=[line[:12] for line, _ in MISTAKES])
def test_a_mistake_is_told_and_changes_nothing(world: World, line: str, complaint: str) -> None:
    world.hears(line)

    assert world.logged == [complaint]
    assert list(world.ctx.scopes) == ["const"]
    assert world.ctx.soft == {}


def test_a_value_has_its_limit(world: World) -> None:
    world.hears(f"=v={'é' * 2050}")

    assert len(str(world.value("my_mod_sh.v")).encode("utf-8", "surrogateescape")) == 4095
