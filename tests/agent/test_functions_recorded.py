"""The recorded calls of `data/functions.txt`, made through the whole language on real files."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.host import Host
from policy import define, functions, values
from policy.build import build
from policy.context import Context, Frame, Scope, Variable
from policy.plan import Plan, Written

if TYPE_CHECKING:
    from policy.context import Callee

RECORDED = Path(__file__).parent / "data" / "functions.txt"
LINES = RECORDED.read_text().split("\n")
CALLS = [line for line in LINES if " -> " in line and not line.startswith((" ", "#"))]
SETUP = "\n".join(line for line in LINES if line.startswith(" "))
FILES = {
    "one": b"one line\n",
    "cr": b"abc\r",
    "crlf": b"abc\r\n",
    "two": b"a\nb\n",
    "nl": b"\n",
    "empty": b"",
    "nul": b"a\0b\n",
    "arr": b"k1:a:b\nk2:c:d\n\nk1:x\n#com\nk3\\\ncont:z\nlast",
    "c.csv": (b'a,b\r\n"c ""q"" d", e ,f\r\n\r\nx"y,z\r\n"p" ,"q"\r\n,,\r\n"nl\r\nin",2\r\nlast,1'),
    "lf.csv": b"a,b\nc,d\n",
    "cf.csv": (
        b"h1,cls,v\r\na,linux,1\r\nb,nosuch,2\r\n#c,any,3\r\n\r\nshort,any\r\nc,any,0\r\n"
        b"d,linux|x,z\r\n"
    ),
    "e.env": (
        b"A=1\n  export H = \"a b\" junk\n#c\nnoeq\n=v\nB=x'y\nC='q\\n\\x'\nD=a\\ b\\nc\nE=\n"
        b'F="unterminated\nG=a=b\n'
    ),
    "j1": b'{"a":1} x',
    "j5": b"5",
    "jb": b'{"a":',
    "un.json": b'{"$(scal)":["$(scal)","$(nosuch)",1.5]}',
    "y.yaml": b"a: 1\nb: [",
    "peers": b"a\nb\n#c\nc\nd\nweb07\nlocalh\n\ne\n",
    "ww": b"#!/bin/sh\n",
    "old": b"",
    "new": b"",
    "newer": b"",
    "fs/f": b"hello\n",
}
LINKS = {
    "l1": "f",
    "l2": "l1",
    "l3": "../fs/./l2",
    "dang": "nosuch",
    "cyc1": "cyc2",
    "cyc2": "cyc1",
}
FACT = ("source=agent",)


def function(name: str) -> "Callee":
    """A built-in that may look at the host."""
    _, params, _, flags = functions.SIGNATURES[name]
    count = -1 if "V" in flags else len(params.split())
    return functions.implementation(name, "agent.functions"), flags, count


def promises(directory: str) -> dict[str, Written]:
    """The promises of a policy that makes the recorded calls, and those of the setup, by name."""
    made = []
    for number, line in enumerate(CALLS):
        kind, _, call = line.rpartition(" -> ")[0].partition(" ")
        section = "classes" if kind == "class" else "vars"
        attribute = "expression" if kind == "class" else kind
        made.append(f'  {section}:\n    "call{number}" {attribute} => {call};')
    text = "\n".join(["bundle agent main", "{", SETUP, *made, "}"]).replace("DIR", directory)
    unit, diagnostics = build("calls.cf", text.encode(), "agent.functions")
    assert not [it for it in diagnostics if it.severity == "error"]
    (bundle,), _ = Plan().add("calls.cf", unit)
    found = [promise for section in bundle.sections.values() for promise in section]
    return {str(promise.promiser): promise for promise in found}


def keep(promise: Written, ctx: Context) -> None:
    """Evaluate PROMISE as the language does."""
    promise.link()
    {"vars": define.variables, "classes": define.set_classes}[promise.type](promise, ctx, set())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The files that the calls are about."""
    top = tmp_path_factory.mktemp("files")
    (top / "fs" / "sub").mkdir(parents=True)
    (top / "fs" / "sub").chmod(0o1777)
    for name, content in FILES.items():
        (top / name).write_bytes(content)
        (top / name).chmod(0o644)
    for name, target in LINKS.items():
        (top / "fs" / name).symlink_to(target)
    (top / "fs" / "ld").symlink_to(top / "fs" / "sub")
    os.mkfifo(top / "fs" / "fifo", 0o600)
    (top / "fs" / "f").chmod(0o4755)
    (top / "ww").chmod(0o777)
    os.utime(top / "old", (1400000000, 1400000000))
    os.utime(top / "new", (1600000000, 1600000000))
    os.utime(top / "newer", (1600000000.5, 1600000000.5))
    return str(top)


@pytest.fixture(scope="module")
def calls(directory: str) -> dict[str, Written]:
    return promises(directory)


@pytest.fixture(scope="module")
def ctx(calls: dict[str, Written]) -> Context:
    """This host, with a name and addresses of its own, and the setup evaluated."""
    host = Host()
    host.environ = {"KNOWN": "value", "PATH": "/usr/bin:/bin"}
    facts = {
        "fqhost": Variable("web07.example.com", "string", FACT),
        "uqhost": Variable("web07", "string", FACT),
        "ip_addresses": Variable(("127.0.0.1", "10.1.2.3"), "slist", FACT),
        "ip2iface[127.0.0.1]": Variable("lo", "string", FACT),
        "ip2iface[10.1.2.3]": Variable("eth0", "string", FACT),
    }
    ctx = Context(
        hard={"any": FACT, "linux": FACT},
        facts=facts,
        now=1700000000,
        log=lambda _level, _message: None,
        host=host,
        function=function,
    )
    scope = ctx.scopes["main"] = Scope()
    ctx.frame = Frame("main", "default", scope)
    for name, promise in calls.items():
        if not name.startswith("call"):
            keep(promise, ctx)
    return ctx


def shown(variable: Variable | None) -> str:
    """VARIABLE as the recording writes it."""
    if variable is None:
        return "UNDEF"
    if isinstance(variable.value, str):
        return f"[{variable.value}]".replace("\n", "\\n")
    if isinstance(variable.value, tuple):
        items = ", ".join(f'"{item}"' for item in variable.value)
        return f"{{ {items} }}".replace("\n", "\\n")
    return values.dump_json(variable.value)


CASES = [
    pytest.param(f"call{number}", line.rpartition(" -> ")[2], id=line.rpartition(" -> ")[0])
    for number, line in enumerate(CALLS)
]


@pytest.mark.parametrize(("name", "expected"), CASES)
def test_a_call_gives_what_the_reference_gives(
    ctx: Context, calls: dict[str, Written], directory: str, name: str, expected: str
) -> None:
    keep(calls[name], ctx)

    if calls[name].type == "classes":
        assert ("TRUE" if ctx.defined(name) else "FALSE") == expected
    else:
        assert shown(ctx.frame.scope.plain.get(name)) == expected.replace("DIR", directory)
