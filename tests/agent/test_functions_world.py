"""Laws of the functions that meet programs, users, processes and peers."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agent.functions import commands, network, processes, read, read_data, users
from policy.errors import Failed
from tests.agent.world import World, listening


@pytest.fixture
def world() -> World:
    return World()


# programs


def test_what_cannot_be_run_is_complained_about(world: World) -> None:
    with pytest.raises(Failed):
        commands.execresult(world.ctx, "/nosuch x", "noshell")
    with pytest.raises(Failed):
        commands.execresult(world.ctx, "true", "noshell")
    assert not commands.returnszero(world.ctx, "/etc/passwd", "useshell")

    assert world.logged == [
        "error: Proposed executable file '/nosuch' doesn't exist",
        "error: execresult '/nosuch x' is assumed to be executable but isn't",
        "error: execresult 'true' does not have an absolute path",
        "error: returnszero '/etc/passwd' is assumed to be executable but isn't",
    ]


def test_a_shell_talks_to_the_user_and_a_program_does_not(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.returnszero(world.ctx, "/bin/echo quiet", "noshell")
    commands.returnszero(world.ctx, "/bin/echo loud", "useshell")

    assert capsys.readouterr().out == "loud\n"


def test_there_is_no_powershell(world: World) -> None:
    with pytest.raises(Failed):
        commands.execresult(world.ctx, "true", "powershell")


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str], World]:
    """`module(script)` is a world with the module `m` that says so."""
    (tmp_path / "modules").mkdir()

    def make(script: str) -> World:
        path = tmp_path / "modules" / "m"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return World(str(tmp_path))

    return make


def test_a_module_gets_its_arguments(module: Callable[[str], World]) -> None:
    world = module('echo "=args=$1,$2"; echo said')

    assert commands.usemodule(world.ctx, "m", "a 'b c'")
    assert world.ctx.lookup("m.args") == "a,b c"
    assert world.logged[-1].endswith("/modules/m\" a 'b c'': said")


def test_a_module_that_fails_is_heard_but_not_trusted(module: Callable[[str], World]) -> None:
    world = module("echo +heard; exit 3")

    assert not commands.usemodule(world.ctx, "m", "")
    assert "heard" in world.ctx.soft
    assert world.logged[-1].endswith("returned non-zero exit code 3")


def test_a_module_that_is_not_there_fails(world: World) -> None:
    with pytest.raises(Failed):
        commands.usemodule(world.ctx, "m", "")

    assert world.logged == ["error: Plug-in module '\"/nosuch/modules/m\"' not found"]


def test_what_a_module_would_say_may_be_in_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("=v=1\nfree text\n")

    assert commands.read_module_protocol(world.ctx, str(tmp_path / "f.txt"))
    assert world.ctx.lookup("f_txt.v") == "1"
    assert world.logged == []
    assert not commands.read_module_protocol(world.ctx, "/nosuch")


# files that are not there


def test_a_file_that_is_missing_is_an_error_in_the_run(world: World) -> None:
    with pytest.raises(Failed):
        read.readfile(world.ctx, "/nosuch")

    assert world.logged == [
        "error: CfReadFile: Could not examine file '/nosuch' (stat: No such file or directory)"
    ]


def test_a_file_that_is_missing_before_the_run_may_come(world: World) -> None:
    world.ctx.pass_number = 0
    with pytest.raises(Failed):
        read.readfile(world.ctx, "/nosuch")
    with pytest.raises(Failed):
        read_data.readjson(world.ctx, "/nosuch")

    assert [line.partition(":")[0] for line in world.logged] == ["verbose", "verbose"]


# people


def test_all_users_but_some(world: World) -> None:
    everybody = users.getusers(world.ctx)

    assert "root" in everybody
    assert users.getusers(world.ctx, "root") == tuple(n for n in everybody if n != "root")
    assert "root" not in users.getusers(world.ctx, "", "0,1")
    assert "root" not in users.getgroups(world.ctx, "x,root")


def test_who_is_not_there_is_taken_for_us(world: World) -> None:
    ours = users.getuserinfo(world.ctx)

    assert ours["uid"] == os.geteuid()
    assert users.getuserinfo(world.ctx, "nosuchuser") == ours
    assert users.getgroupinfo(world.ctx, "nosuchgroup") == users.getgroupinfo(world.ctx)


def test_users_are_found_by_all_their_attributes(world: World) -> None:
    found = users.findlocalusers(world.ctx, '[" uid = 0 ", "name=r.*t"]')

    assert list(found) == ["root"]
    assert found["root"]["dir"] == "/root"
    assert users.findlocalusers(world.ctx, '{"x": "name=root", "y": "uid=1"}') == {}


def test_a_number_that_stands_for_nobody_fails(world: World) -> None:
    with pytest.raises(Failed):
        users.userexists(world.ctx, str(2**32 - 1))


# processes


def test_we_are_among_the_processes(world: World) -> None:
    found = processes.findprocesses(world.ctx, "python|pytest")

    assert processes.processexists(world.ctx, "python|pytest")
    assert os.getpid() in [it["pid"] for it in found]


# peers


@pytest.fixture
def port() -> Iterator[str]:
    """A port of this host that answers `pong` to whatever it is asked."""

    def pong(peer: socket.socket) -> None:
        if peer.recv(100):
            peer.sendall(b"pong\n")

    with listening(pong) as port:
        yield str(port)


def test_a_port_that_listens_can_be_connected_to(world: World, port: str) -> None:
    assert network.isconnectable(world.ctx, "127.0.0.1", port, "5")


def test_a_port_is_asked_and_answers(world: World, port: str) -> None:
    assert network.readtcp(world.ctx, "127.0.0.1", port, "ping", "3") == "pon"


def test_nobody_answers_outside_of_a_run(world: World, port: str) -> None:
    world.ctx.agent = None

    with pytest.raises(Failed):
        network.readtcp(world.ctx, "127.0.0.1", port, "ping", "3")


def test_servers_are_selected_by_their_answer(world: World, port: str) -> None:
    world.ctx.define("hosts", ("no.such.invalid", "127.0.0.1"), "slist")
    args = ("@(hosts)", port, "ping", "p.ng\n", "10", "up")

    assert network.selectservers(world.ctx, *args) == "1"
    assert world.ctx.lookup("up[0]") == "127.0.0.1"
    assert network.selectservers(world.ctx, *args[:3], "nosuch", *args[4:]) == "0"


def test_what_is_no_list_of_servers_fails(world: World) -> None:
    with pytest.raises(Failed):
        network.selectservers(world.ctx, "@(nosuch)", "1", "", "", "10", "up")


@pytest.fixture
def site() -> Iterator[str]:
    """A web server that has /here, and counts what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self) -> None:  # its name there
            Handler.asked += 1
            agent = self.headers["User-Agent"]
            body = f"{Handler.asked} {agent} {self.headers['X-A']}".encode()
            self.send_response(200 if self.path == "/here?q" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def test_a_page_is_fetched_once(world: World, site: str) -> None:
    options = '{"url.user-agent": "us", "url.headers": ["X-A: b"], "url.max_content": 6}'
    found = [network.url_get(world.ctx, f"{site}/here?q", options) for _ in range(2)]

    assert found[0] == found[1]
    assert found[0]["content"] == "1 us b"
    assert (found[0]["returncode"], found[0]["rc"], found[0]["success"]) == (200, 0, True)
    assert found[0]["headers"].startswith("HTTP/1.0 200 OK\r\n")


def test_a_page_that_is_missing_is_an_answer_too(world: World, site: str) -> None:
    found = network.url_get(world.ctx, f"{site}/nosuch", "{}")

    assert (found["returncode"], found["success"]) == (404, True)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://no.such.invalid/", 6),
        ("http://127.0.0.1:1/", 7),
        ("file:///nosuch", 37),
        ("gopher://x/", 1),
    ],
)
def test_what_cannot_be_fetched_has_a_code(world: World, url: str, code: int) -> None:
    found = network.url_get(world.ctx, url, '{"url.timeout": 5}')

    assert (found["rc"], found["success"]) == (code, False)
    assert found["error_message"]


def test_a_file_is_a_page(world: World, tmp_path: Path) -> None:
    (tmp_path / "a b").write_text("text")

    found = network.url_get(world.ctx, f"file://{tmp_path}/a%20b", "{}")

    assert found["content"] == "text"


# the kernel


def test_the_kernel_is_asked_where_tests_want_it(world: World, tmp_path: Path) -> None:
    (tmp_path / "proc" / "sys" / "a" / "b").mkdir(parents=True)
    (tmp_path / "proc" / "sys" / "a" / "b" / "c").write_text("1 2\n\n")
    (tmp_path / "proc" / "net").mkdir()
    (tmp_path / "proc" / "net" / "tcp").write_text(
        "  sl  local_address rem_address   st\n   0: 0100007F:1F90 0201000A:0050 01 x\n"
        "   1: 00000000:0016 00000000:0000 0A x\n"
    )
    world.ctx.host.environ["CFENGINE_TEST_OVERRIDE_PROCDIR"] = str(tmp_path)

    assert network.sysctlvalue(world.ctx, "a.b.c") == "1 2"
    assert network.data_sysctlvalues(world.ctx) == {"a.b.c": "1 2"}
    assert network.network_connections(world.ctx) == {
        "tcp": [
            {
                "local": {"address": "127.0.0.1", "port": "8080"},
                "remote": {"address": "10.0.1.2", "port": "80"},
                "state": "ESTABLISHED",
            },
            {
                "local": {"address": "0.0.0.0", "port": "22"},  # noqa: S104  # it is read
                "remote": {"address": "0.0.0.0", "port": "0"},  # noqa: S104  # it is read
                "state": "UNKNOWN",
            },
        ]
    }
