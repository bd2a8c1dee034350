"""`troth access`: what policy grants on this host, as the server reads it; nothing else is done."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from server.access import Grants, may
from server.who import Peer

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Program = Callable[..., "subprocess.CompletedProcess[str]"]
    Policy = Callable[..., str]
    Granted = Callable[[str], dict[str, Any]]

KEY = "SHA=" + "0a" * 32


def server(*promises: str, kind: str = "access") -> str:
    """A server bundle with PROMISES of one kind."""
    return f"bundle server rules {{ {kind}: {' '.join(promises)} }}\n"


@pytest.fixture
def granted(program: Program, policy: Policy) -> Granted:
    """`granted(text)`: the JSON for a policy, which is sound."""

    def evaluate(text: str) -> dict[str, Any]:
        ended = program("troth", "access", "--json", policy(text))
        assert ended.returncode == 0, ended.stderr
        Grants.parse(ended.stdout)
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    return evaluate


# what is evaluated


def test_a_promise_with_all_its_attributes(granted: Granted, policy: Policy) -> None:
    path = policy("")
    text = """
    bundle server rules
    {
      access:
        "delta"
          handle => "all",
          comment => "everything at once",
          resource_type => "query",
          report_data_select => selection("x"),
          admit => { "a" }, admit_hostnames => { "b" }, admit_ips => { "c" }, admit_keys => { "d" },
          deny => { "e" }, deny_hostnames => { "f" }, deny_ips => { "g" }, deny_keys => { "h" },
          ifencrypted => "true",
          maproot => { "i" },
          shortcut => "j";
    }
    body report_data_select selection(x) { metatags_include => { "$(x)", "inventory" }; }
    """

    found = granted(text)

    assert found["access"] == [
        {
            "type": "query", "name": "delta", "promiser": "delta", "value": None,
            "admit": ["a"], "admit_hostnames": ["b"], "admit_ips": ["c"], "admit_keys": ["d"],
            "deny": ["e"], "deny_hostnames": ["f"], "deny_ips": ["g"], "deny_keys": ["h"],
            "ifencrypted": True, "maproot": ["i"], "shortcut": "j",
            "report_data_select": {"metatags_include": ["x", "inventory"]},
            "handle": "all", "comment": "everything at once", "bundle": "rules",
            "file": path, "line": 5,
        }
    ]  # fmt: skip
    assert (found["format"], found["policy"], found["files"]) == (1, path, [path])


def test_variables_and_lists_come_from_all_bundles(granted: Granted) -> None:
    text = """
    bundle common g { vars: "signal" string => "did_my_job"; "nets" slist => { "10", "11" }; }
    bundle agent main { vars: "who" string => "Host2"; }
    bundle server other { vars: "more" slist => { "Host3" }; }
    bundle server rules
    {
      vars: "mine" slist => { "$(main.who)", @(other.more), @(last.one) };
      access:
        "$(g.signal)" resource_type => "context", admit => { @(mine) }, admit_ips => { @(g.nets) };
    }
    bundle server last { vars: "one" slist => { "Host4" }; }
    """

    (row,) = granted(text)["access"]

    assert row["name"] == "did_my_job"
    assert row["admit"] == ["Host2", "Host3", "Host4"]
    assert row["admit_ips"] == ["10", "11"]


def test_lists_iterate(granted: Granted) -> None:
    text = """
    bundle server rules
    {
      vars: "jobs" slist => { "a", "b" };
      access: "done_$(jobs)" resource_type => "context", admit => { "$(jobs)_host" };
    }
    """

    rows = granted(text)["access"]

    assert [(row["name"], row["admit"]) for row in rows] == [
        ("done_a", ["a_host"]), ("done_b", ["b_host"]),
    ]  # fmt: skip


def test_guards_and_conditions_select(granted: Granted) -> None:
    text = """
    bundle server rules
    {
      classes: "mine" expression => "server";
      access:
        mine:: "a" resource_type => "query";
        !mine:: "b" resource_type => "query";
        any::
          "c" resource_type => "query", if => "mine";
          "d" resource_type => "query", unless => "mine";
          "e" resource_type => "query", if => isdir("/etc");
          "f" resource_type => "query", if => "$(no.such)";
        agent:: "g" resource_type => "query";
    }
    """

    assert [row["name"] for row in granted(text)["access"]] == ["a", "c", "e"]


def test_classes_can_be_given(program: Program, policy: Policy) -> None:
    path = policy(server('\nhub:: "a" resource_type => "query";'))

    ended = program("troth", "access", "--json", "-D", "hub", path)

    assert [row["name"] for row in json.loads(ended.stdout)["access"]] == ["a"]


def test_empty_items_mean_nobody(granted: Granted) -> None:
    (row,) = granted(server('"/x/" admit => { "cf_null", "" }, deny => { "cf_null", "10" };'))[
        "access"
    ]

    assert (row["admit"], row["deny"]) == ([], ["10"])


def test_roles(granted: Granted) -> None:
    (row,) = granted(server('"job_.*" authorize => { "root", "Host2" };', kind="roles"))["roles"]

    assert (row["name"], row["authorize"], row["bundle"]) == ("job_.*", ["root", "Host2"], "rules")


def test_the_control_body(granted: Granted) -> None:
    text = """
    bundle common g { vars: "acl" slist => { "10.0.0.0/8" }; }
    body server control
    {
      allowconnects => { "127.0.0.1", @(g.acl) };
      trustkeysfrom => { "127.0.0.1" };
      maxconnections => "2k";
      port => "5310";
      denybadclocks => "no";
      bindtointerface => "127.0.0.1";
      keycacheTTL => "24";
      !server:: denyconnects => { "10" };
    }
    """

    assert granted(text)["control"] == {
        "allowconnects": ["127.0.0.1", "10.0.0.0/8"],
        "bindtointerface": "127.0.0.1",
        "denybadclocks": False,
        "maxconnections": 2000,
        "port": 5310,
        "trustkeysfrom": ["127.0.0.1"],
    }


def test_values_of_literals_and_variables(granted: Granted) -> None:
    text = """
    bundle agent main
    {
      vars:
        "here" string => "here";
        "text" string => "$(sys.class) $(here)";
        "list" slist => { "a", "b" };
        "data" data => '{ "k": [1, null] }';
    }
    """ + server(
        '"hello $(main.here)" resource_type => "literal", handle => "motd", admit => { "10" };',
        *[f'"main.{name}" resource_type => "variable";' for name in ("text", "list", "data", "no")],
    )

    rows = granted(text)["access"]

    assert {row["name"]: row["value"] for row in rows} == {
        "motd": "hello here",
        "main.text": "linux here",
        "main.list": ["a", "b"],
        "main.data": {"k": [1, None]},
        "main.no": None,
    }


# paths


def test_paths_are_resolved(granted: Granted, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "file").touch()
    (tmp_path / "link").symlink_to("real")
    names = [
        "real", "real/", "real/.", "link", "link/file", "link/file/", "link/new", "link/new/.",
        "no/../real/x/",
    ]  # fmt: skip

    rows = granted(server(*[f'"{tmp_path}/{name}";' for name in names]))["access"]

    assert [row["name"].removeprefix(f"{tmp_path}/") for row in rows] == [
        "real/", "real/", "real/", "real/", "real/file", "real/file", "real/new", "real/new/",
        "real/x/",
    ]  # fmt: skip


def test_variables_of_the_connection_stay(granted: Granted, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    text = server(
        f'"{tmp_path}/link/$(connection.key)/" admit_keys => {{ $(connection.key) }};',
        '"/a/${connection.ip}/." admit_ips => { "${connection.ip}" };',
    )

    first, second = granted(text)["access"]

    assert first["name"] == f"{tmp_path}/real/$(connection.key)/"
    assert first["admit_keys"] == ["$(connection.key)"]
    assert (second["name"], second["admit_ips"]) == ("/a/$(connection.ip)/", ["$(connection.ip)"])


def test_the_server_reads_it(program: Program, policy: Policy) -> None:
    text = server(
        '"did_.*" resource_type => "context", admit => { "Host2" }, deny_ips => { "11" };'
    )

    grants = Grants.parse(program("troth", "access", "--json", policy(text)).stdout)

    peer = Peer(KEY, ("10.0.0.2",), (), ("Host2",))
    assert may(grants, peer, "context", "did_it").allowed
    assert not may(grants, Peer(KEY, ("11.0.0.2",), (), ("Host2",)), "context", "did_it").allowed


# what cannot be used


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        ('"/x/$(no.such)/" admit => { "10" };', "'/x/$(no.such)/' has no value yet"),
        ('"relative" admit => { "10" };', "'relative' is not an absolute path"),
        ('"x" resource_type => "literal", admit => { "10" };', "needs a handle"),
        ('"$(e.empty)" resource_type => "query", admit => { "10" };', "a query without a name"),
    ],
)
def test_what_cannot_be_granted_is_left_out(
    program: Program, policy: Policy, promise: str, said: str
) -> None:
    text = server(promise) + 'bundle common e { vars: "empty" string => ""; }'

    ended = program("troth", "access", "--json", policy(text))

    assert (ended.returncode, json.loads(ended.stdout)["access"]) == (0, [])
    assert said in ended.stderr


@pytest.mark.parametrize(
    "text",
    [
        "bundle server rules { access: ",
        server('"/x" admti => { "10" };'),
        server('"x" resource_type => "socket";'),
        server('"x" resource_type => "$(no.such)", deny => { "10" };'),
        server('"/x/$(no.such)/" deny => { "10" };'),
        server('"relative" deny_keys => { "SHA=a" };'),
        server('"/x" admit => { "10" }, deny => splitstring("$(no.such)", ",", "9");'),
        'body server control { allowconnects => splitstring("$(no.such)", ",", "9"); }',
        'body common control { inputs => { "nowhere.cf" }; }',
    ],
)
def test_a_policy_that_fails_says_nothing_on_stdout(
    program: Program, policy: Policy, text: str
) -> None:
    path = policy(text)

    for options in (["--json"], []):
        ended = program("troth", "access", *options, path)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr


def test_no_policy_at_all(program: Program) -> None:
    ended = program("troth", "access", "--json", "nowhere.cf")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "nowhere.cf" in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="what root may write others may not")
def test_a_policy_that_others_may_write_grants_nothing(program: Program, policy: Policy) -> None:
    path = policy(server('"/x" admit => { "10" };'))
    os.chmod(path, 0o602)  # noqa: S103  # that is the point

    assert program("troth", "access", "--json", path).returncode == 1


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        ('"/x/" deny => { "$(no.such)" };', "'$(no.such)' in 'deny' has no value: it denies every"),
        ('"/x/" admit => { @(no.such) };', "'@(no.such)' in 'admit' has no value: it admits nob"),
        ('"job(" resource_type => "context";', "missing closing parenthesis"),
        ('"$(connection.ip)" resource_type => "query";', "$(connection...) means nothing in a que"),
        (
            '"/x/" admit => splitstring("$(no.such)", ",", "9");',
            "'admit' has no value, nothing is granted by it",
        ),
    ],
)
def test_doubts_are_told(program: Program, policy: Policy, promise: str, said: str) -> None:
    path = policy(server(promise))

    ended = program("troth", "access", path)

    assert ended.returncode == 0
    assert said in ended.stderr


# what is not done


def test_no_other_promise_is_kept(program: Program, policy: Policy, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    text = f"""
    bundle common g
    {{
      classes: "stays" expression => "any", persistence => "10";
      reports: "from a common bundle";
    }}
    bundle agent main
    {{
      files: "{touched}" create => "true";
      commands: "/bin/touch {touched}";
      reports: "from main";
    }}
    bundle server rules
    {{
      classes: "stays_too" expression => "any", persistence => "10";
      access:
        stays.stays_too:: "/x/";
      reports: "from a server bundle";
    }}
    """

    ended = program("troth", "access", policy(text))

    assert ended.stdout.startswith("TYPE  NAME  WHO     WHERE\npath  /x/   nobody  ")
    assert "from" not in ended.stdout
    assert not touched.exists()
    later = program("troth", "run", policy('bundle agent main { reports: stays|stays_too:: "x"; }'))
    assert later.stdout == ""


def test_the_text_is_the_same_each_time(program: Program, policy: Policy) -> None:
    path = policy(server('"/x/" admit => { "10" };', '"/y/" deny => { "11" };'))

    first, second = (program("troth", "access", "--json", path).stdout for _ in "12")

    assert first == second != ""


# the table


def test_the_table(program: Program, policy: Policy) -> None:
    path = policy(
        server('"/no/x" admit_ips => { "10" }, deny => { "10.1" }, shortcut => "x";')
        + 'bundle server b { roles: "job" authorize => { "root" }; access: "/y" deny => { "10" }; }'
        + 'body server control { port => "5310"; allowconnects => { "10", "11" }; }'
    )

    ended = program("troth", "access", path)

    assert ended.stdout.replace(path, "P") == (
        "TYPE     NAME           WHO             WHERE\n"
        "path     /no/x          admit_ips 10    P:1\n"
        "                        deny 10.1\n"
        "                        shortcut x\n"
        "path     /y             nobody          P:2\n"
        "                        deny 10\n"
        "role     job            authorize root  P:2\n"
        "control  allowconnects  10\n"
        "control  allowconnects  11\n"
        "control  port           5310\n"
    )
