"""Functions given nonsense: what does not fit through the checks of a call, as variables may say.

They may fail, and they may give something; they may not break.
"""

import os
import random
from pathlib import Path

import pytest

from agent.functions import ldap, network
from policy.context import Context, Frame, Scope
from policy.errors import Fatal, Unresolved
from policy.evaluate import evaluate
from policy.functions import SIGNATURES
from tests.agent.site import Site
from tests.agent.world import World

NONSENSE = (
    "", " ", "\n", "a", "é", "\udcff", "-1", "0", "1", "1k", "0.5", "1e400", "nan", "inf", "-inf",
    "99999999999999999999", "4294967295", "$(x)", "$(", "@(l)", "@(", "l", "d", "d[k]", "d[",
    "d[k][x]", "[", "{", "[1]", '["a","b"]', '[[["x"]]]', '{"k":null}', '{"a":[1,"\\u0000"]}', "(",
    "[a", "*", "\\", "/", "/nosuch", "/etc", "/dev/null", "//", "..", "any", "!any", "a|", "a b",
    "x:y.z", "::", "none", "name=root", '["name=root"]', '["name=("]', '["uid=0","="]', "1.2.3",
    "1.2.3.4/33", "::1/200", "1-2", "sys", "this", "default:main", "a,b", "%s%d", "%1000d", "root",
    "file:///", "http://127.0.0.1:1/", "http://[", "http://a:b@c:99999/", "ldap://127.0.0.1:1",
    "auto", "json_pipe", "ip", "md5", "gmtime", "useshell", "x" * 5000,
)  # fmt: skip
TIMES = 40
SLOW = frozenset(("isconnectable", "network_connections", "data_sysctlvalues", "findprocesses"))
PEERS = sorted(name for name, row in SIGNATURES.items() if row[2] == "host.peers")
NAMES = sorted(SIGNATURES.keys() - set(PEERS))


def arguments(name: str, chance: random.Random) -> list[str]:
    """As many words as NAME takes, or nearly so where it may take any number."""
    words = SIGNATURES[name][1].split()
    count = len(words) + (chance.choice((-1, 0, 1)) if "V" in SIGNATURES[name][3] else 0)
    given = [chance.choice(NONSENSE) for _ in range(max(count, 0))]
    for at, word in enumerate(words[:count]):
        if "|" in word and "/" not in word and chance.random() < 0.5:
            given[at] = chance.choice(word.rstrip(".").split("|"))
    return given


def survives(ctx: Context, name: str, times: int) -> None:
    """Call NAME with so much nonsense."""
    chance = random.Random(name)  # noqa: S311  # no secret
    for _ in range(times):
        call = ("call", name, *arguments(name, chance))
        try:
            evaluate(call, ctx)
        except (Unresolved, Fatal):
            continue
        except Exception as error:
            pytest.fail(f"{call[1:]}: {error!r}")


@pytest.mark.parametrize("name", NAMES)
def test_nonsense_breaks_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(network, "_PATIENCE", 0.1)
    monkeypatch.setattr(ldap, "_PATIENCE", 1)
    world = World(str(tmp_path))
    world.ctx.agent = None
    world.ctx.define("l", ("a", "b"), "slist")
    world.ctx.define("d", {"k": [1, {"x": "y"}], "n": None}, "data")

    survives(world.ctx, name, 2 if name in SLOW else TIMES)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", PEERS)
def test_nonsense_about_peers_breaks_nothing(name: str, tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.run("")
    ctx = site.kept.run.ctx
    ctx.frame = Frame("main", "default", ctx.scopes.setdefault("main", Scope()))

    survives(ctx, name, TIMES)
