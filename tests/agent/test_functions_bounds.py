"""Functions fed too much, or what has no end: bounded time and memory, and a clear failure."""

import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent import life
from agent.functions import commands, network
from policy.errors import Failed
from policy.evaluate import evaluate
from policy.strings import parse
from tests.agent.world import World, listening

SECONDS = 60  # what takes seconds here takes hours if it is not linear
MEMORY = 2 << 30
MEGABYTES = 10_000_000
MANY = 100_000


@pytest.fixture
def world() -> Iterator[World]:
    """A world that ends after a minute, and has no more than 2 GiB more than it has now."""

    def late(*_: object) -> None:
        raise TimeoutError(f"took more than {SECONDS} seconds")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    frames = sys.getrecursionlimit()
    sys.setrecursionlimit(life.DEEPEST)
    signal.alarm(SECONDS)
    yield World()
    sys.setrecursionlimit(frames)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@cache
def big(unit: str) -> str:
    """Ten megabytes of UNIT."""
    return (unit * (MEGABYTES // len(unit) + 1))[:MEGABYTES]


# ten megabytes


LINE = f"key:{'value ' * 14}# remark\n"
TEXTS: list[tuple[str, Callable[[], tuple[str, ...]], int]] = [
    # function, its arguments, the length of what it gives
    ("canonify", lambda: (big(LINE),), 4095),
    ("canonifyuniquely", lambda: (big(LINE),), 4095),
    ("escape", lambda: (big(LINE),), 4093),
    ("basename", lambda: (big("a"),), 4095),
    ("hash", lambda: (big(LINE), "md5"), 32),
    ("string_reverse", lambda: (big(LINE),), MEGABYTES),
    ("string_upcase", lambda: (big("é"),), MEGABYTES),
    ("string_trim", lambda: (big(" "),), 0),
    ("string_replace", lambda: (big("ab"), "a", "xx"), MEGABYTES * 3 // 2),
    ("regex_replace", lambda: (big(LINE), "remark", "", ""), MEGABYTES - 6),
    ("format", lambda: ("%s", big(LINE)), MEGABYTES),
    ("lastnode", lambda: (big("a"), ":"), MEGABYTES),
    ("string_mustache", lambda: (big("{{! " + "x" * 94 + "}}"), "{}"), 0),
    ("int", lambda: (big("9"),), 20),
    ("isvariable", lambda: (big("a"),), 0),
    ("regcmp", lambda: (".*", big(LINE)), 1),
    ("validjson", lambda: (big("["),), 0),
    ("validjson", lambda: (f'"{big("a" * 98 + chr(92) + "n")}"',), 1),
    ("validjson", lambda: (f"[{big('9')}]",), 0),
    ("splitstring", lambda: (big("a" * 99 + ","), ",", "999999999"), MANY + 1),
    ("string_split", lambda: (big("a" * 99 + ","), ",", "200000"), MANY + 1),
    ("parsejson", lambda: (f'["{big(LINE)}"]',), 1),
    ("data_regextract", lambda: ("(?<all>.*)", big(LINE)), 2),
    ("getusers", lambda: (big("a,"), ""), -1),
]


@pytest.mark.parametrize(("name", "args", "length"), TEXTS)
def test_ten_megabytes_are_taken(
    world: World, name: str, args: Callable[[], tuple[str, ...]], length: int
) -> None:
    found = world.call(name, *args())

    size = int(found) if isinstance(found, bool) else len(found)
    assert length in (size, -1)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("concat", lambda: (big(LINE),)),
        ("parsejson", lambda: (big("["),)),
        ("parsejson", lambda: (f'{{"a":{big("[")}',)),
        ("string_mustache", lambda: (big("{{#a}}"), '{"a":true}')),
        ("string_mustache", lambda: (big("{{"), "{}")),
        ("string_split", lambda: ("a", "x*", "999999999")),
        ("expandrange", lambda: ("[1-999999999]", "1")),
        ("format", lambda: ("%999999999s", "x")),
        ("format", lambda: ("%.999999999f", "1")),
        ("getuid", lambda: (big("a"),)),
        ("getgid", lambda: (big("9"),)),
        ("strftime", lambda: ("gmtime", big("%Y"), "0")),
        ("int", lambda: (big("x"),)),
    ],
)
def test_what_is_too_much_fails(
    world: World, name: str, args: Callable[[], tuple[str, ...]]
) -> None:
    with pytest.raises(Failed):
        world.call(name, *args())


def test_a_sum_with_too_many_brackets_is_none(world: World) -> None:
    assert world.call("eval", big("(")) == ""
    assert world.logged[0].startswith("info: eval error")


def test_braces_beyond_measure_find_nothing(world: World) -> None:
    assert world.call("findfiles", "/" + big("{a,b}")) == ()


def test_references_that_never_close_stay(world: World) -> None:
    text = big("$(")[: MEGABYTES // 10]

    assert world.ctx.expand(text) == text


def test_a_long_name_is_nobodys(world: World) -> None:
    assert not world.call("userexists", big("a"))
    assert not world.call("groupexists", big("9"))


# files of ten megabytes

FILES: list[tuple[str, tuple[str, ...], str, int]] = [
    # function, arguments behind the path, what is in it, the length of what it gives
    ("readfile", (), LINE, MEGABYTES),
    (
        "readstringlist",
        ("#[^\n]*", "\n", "999999999", "99999999"),
        LINE,
        MEGABYTES // len(LINE) + 1,
    ),
    ("data_readstringarrayidx", ("", "\t", "inf", "inf"), "a" * 999 + "\n", MEGABYTES // 1000),
    ("readcsv", (), f'"{"a" * 92}",  b\r\n', MEGABYTES // 100),
    ("readcsv", (), "aaaaaaa\n,", 1),
    ("readenvfile", (), f"A={'b' * 97}\n", 1),
    ("countlinesmatching", (), LINE, 6),
]


@pytest.mark.parametrize(("name", "args", "unit", "length"), FILES)
def test_a_file_of_ten_megabytes_is_read(
    world: World, tmp_path: Path, name: str, args: tuple[str, ...], unit: str, length: int
) -> None:
    path = tmp_path / "big"
    path.write_text(big(unit), newline="")
    before = (".*",) if name == "countlinesmatching" else ()

    assert len(world.call(name, *before, str(path), *args)) == length


def test_a_quote_that_never_closes_is_no_row(world: World, tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    path.write_text('"' + big("a" * 98 + "\r\n"), newline="")

    assert world.call("readcsv", str(path)) == []


def test_a_file_larger_than_memory_is_not_read(world: World, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(Failed):
        world.call("readfile", str(path))
    assert world.call("readfile", str(path), "10") == ""
    assert "File too large" in world.logged[0]


# a hundred thousand items


@cache
def items() -> list[Any]:
    """So many numbers, as text, from the greatest to the least."""
    return [str(number) for number in range(MANY, 0, -1)]


LISTS: list[tuple[str, tuple[Any, ...]]] = [
    # function, what comes before the list; after ... what comes behind it
    ("length", (...,)),
    ("nth", (..., "-1")),
    ("join", (",", ...)),
    ("sort", (..., "lex")),
    ("sort", (..., "int")),
    ("sort", (..., "ip")),
    ("sort", (..., "mac")),
    ("reverse", (...,)),
    ("shuffle", (..., "seed")),
    ("unique", (...,)),
    ("sublist", (..., "tail", "5")),
    ("difference", (..., ...)),
    ("intersection", (..., ...)),
    ("grep", ("1.*", ...)),
    ("filter", ("1.*", ..., "true", "true", "99")),
    ("every", ("[0-9]+", ...)),
    ("some", ("nosuch", ...)),
    ("sum", (...,)),
    ("variance", (...,)),
    ("max", (..., "real")),
    ("min", (..., "lex")),
    ("getindices", (...,)),
    ("getvalues", (...,)),
    ("maparray", ("$(this.k)=$(this.v)", ...)),
    ("mergedata", (..., ...)),
    ("storejson", (...,)),
    ("data_expand", (...,)),
    ("string_mustache", ("{{#-top-}}{{.}}{{/-top-}}", ...)),
]


@pytest.mark.parametrize(("name", "args"), LISTS)
def test_a_hundred_thousand_items_are_taken(world: World, name: str, args: tuple[Any, ...]) -> None:
    given = [items() if arg is ... else arg for arg in args]

    assert world.call(name, *given) is not None


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("maplist", ("$(this)x", "items")),
        ("mapdata", ("none", "$(this.v)x", "items")),
        ("mapdata", ("json", '["$(this.v)"]', "items")),
    ],
)
def test_a_hundred_thousand_items_are_mapped(
    world: World, name: str, args: tuple[str, ...]
) -> None:
    world.ctx.define("items", tuple(items()), "slist")
    first, pattern, *rest = args if name == "mapdata" else ("", *args)
    prepared = [it for it in (first, parse(pattern), *rest) if it]

    assert len(evaluate(("call", name, *prepared), world.ctx)) == MANY


def test_as_many_items_inside_of_an_item_are_told_apart(world: World) -> None:
    assert len(world.call("maparray", "$(this.v)", [items()])) == MANY


def test_as_many_items_come_back_from_a_command(world: World) -> None:
    world.ctx.define("items", tuple(items()), "slist")

    assert world.call("mapdata", "json_pipe", "/bin/cat", "items") == [items()]


# patterns that backtrack


def _no_engine() -> bool:
    try:
        import policy.pcre2  # noqa: F401
    except OSError:
        return True
    return False


needs_engine = pytest.mark.skipif(_no_engine(), reason="libpcre2 is not here")
CATASTROPHE = "(a+)+$"
VICTIM = "a" * 60 + "b"


@needs_engine
def test_a_search_that_never_ends_is_given_up(world: World) -> None:
    assert not world.call("regcmp", CATASTROPHE, VICTIM)
    assert "match limit exceeded" in world.logged[0]


@needs_engine
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("grep", (CATASTROPHE, f'["{VICTIM}", "{VICTIM}"]')),
        ("every", (CATASTROPHE, f'["{VICTIM}", "{VICTIM}"]')),
        ("regex_replace", (VICTIM, CATASTROPHE, "", "g")),
        ("string_split", (VICTIM, CATASTROPHE, "9")),
        ("data_regextract", (CATASTROPHE, VICTIM)),
    ],
)
def test_one_search_given_up_ends_the_function(
    world: World, name: str, args: tuple[str, ...]
) -> None:
    with pytest.raises(Failed):
        evaluate(("call", name, *args), world.ctx)
    assert len(world.logged) == 1


# files that cannot be read


@pytest.fixture(params=["pipe", "device", "directory", "cycle"])
def unreadable(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path of something that opens or reads only with trouble."""
    path = tmp_path / "unreadable"
    if request.param == "device":
        return "/dev/zero"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "directory":
        path.mkdir()
    else:
        path.symlink_to(path)
    return str(path)


READERS = {
    "readfile": (),
    "readjson": (),
    "readyaml": (),
    "readcsv": (),
    "readenvfile": (),
    "readstringlist": ("", ",", "9", "0"),
    "readintlist": ("", ",", "9", "0"),
    "data_readstringarray": ("", ",", "9", "0"),
}


@pytest.mark.parametrize("name", READERS)
def test_what_cannot_be_read_fails_and_says_so(world: World, name: str, unreadable: str) -> None:
    with pytest.raises(Failed):
        world.call(name, unreadable, *READERS[name])
    assert unreadable in world.logged[0]


def test_what_cannot_be_read_has_no_lines(world: World, unreadable: str) -> None:
    assert not world.call("regline", ".*", unreadable)
    assert not world.call("read_module_protocol", unreadable)
    assert set(world.call("file_hash", unreadable, "md5")) <= set("0123456789abcdef")


def test_the_beginning_of_a_device_can_be_read(world: World) -> None:
    assert world.call("readfile", "/dev/zero", "5") == ""
    assert world.call("readfile", "/dev/null") == ""


def test_a_pipe_is_not_waited_for(world: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert not world.call("isreadable", str(tmp_path / "pipe"), "1")
    assert not world.call("isreadable", "/nosuch", "-1")


# programs without an end


def test_all_that_is_kept_of_endless_output_is_taken(world: World) -> None:
    found = world.call("execresult", "/usr/bin/yes", "noshell")

    assert len(found) == commands._LIMIT - 1


def test_a_program_that_talks_for_ever_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_LIMIT", MEGABYTES)

    assert len(world.call("execresult", "/usr/bin/yes", "noshell")) == MEGABYTES - 1
    world.ctx.agent = None  # nobody is to see it
    assert world.call("returnszero", "/usr/bin/yes", "noshell")


# hosts that do not answer


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@pytest.fixture
def dripping() -> Iterator[str]:
    """A port that answers anybody, an octet now and then, for ever."""
    ended = threading.Event()

    def drip(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not ended.wait(0.1):
            try:
                peer.sendall(b".")
            except OSError:
                return

    with listening(drip) as port:
        yield str(port)
        ended.set()


def test_a_silent_host_is_left(world: World, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_PATIENCE", 0.2)
    world.ctx.define("hosts", ("127.0.0.1",), "slist")

    with pytest.raises(Failed):
        world.call("readtcp", "127.0.0.1", silent, "hello", "10")
    assert world.call("selectservers", "@(hosts)", silent, "hello", "", "10", "up") == "0"
    assert "timed out" in world.logged[0]


def test_a_silent_web_server_is_too_late(world: World, silent: str) -> None:
    found = world.call("url_get", f"http://127.0.0.1:{silent}/", '{"url.timeout": 1}')

    assert (found["rc"], found["success"]) == (28, False)


def test_a_slow_web_server_is_too_late(world: World, dripping: str) -> None:
    found = world.call("url_get", f"http://127.0.0.1:{dripping}/", '{"url.timeout": 1}')

    assert (found["rc"], found["success"]) == (28, False)


def test_of_an_endless_answer_only_the_beginning_is_read(world: World, dripping: str) -> None:
    options = '{"url.timeout": 30, "url.max_content": 3}'

    found = world.call("url_get", f"http://127.0.0.1:{dripping}/", options)

    assert found["content"] == "..."


def test_an_option_that_is_no_number_is_not_heeded(world: World) -> None:
    found = world.call("url_get", "file:///nosuch", '{"url.max_content": "many"}')

    assert found["rc"] == 37
