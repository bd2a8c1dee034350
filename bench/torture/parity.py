"""Random access promises: we decide as the real cf-serverd, or else as a model of it, does.

What departs on purpose (GRANTS.md) is left out: host names, and items that mean nothing.
"""

from __future__ import annotations

import ipaddress
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import serverd
from bench.torture.table import Case, must
from server.access import Grants, may
from server.who import Peer
from tests.server.halves import document, grant

if TYPE_CHECKING:
    from random import Random

CLASSES = tuple(a + b for a in ("a", "b", "ab", "c") for b in ("_x", "_y", "_xy", "_1", "", "x"))
PATTERNS = ("a_.*", ".*_x", "a.*", "b_(x|y)", "ab?_xy", ".*", "a_x", ".*_[0-9]", "[ab]_y", "b_.")
RULES = 8
SOURCES = 12  # addresses that ask
LISTS = ("admit_ips", "deny_ips", "admit_keys", "deny_keys", "admit", "deny")
OTHER_KEY = "MD5=" + "0" * 32
NAMES = ("default:a.x", "default:a.y", "b")


class Promise(NamedTuple):
    """A random access promise."""

    name: str
    lists: dict[str, list[str]]


def classes(case: Case) -> str:
    """Make random promises; compare each decision. Classes with the real one where it is."""
    decisions = allowed = differences = 0
    real = serverd.installed()
    with tempfile.TemporaryDirectory(prefix="torture.") as scratch:
        key = OTHER_KEY.replace("0", "1")
        number = 0
        while decisions < case.many:
            number += 1
            promises = [_promise(case.random, PATTERNS) for _ in range(RULES)]
            sources = [_source(case.random) for _ in range(SOURCES)]
            if real:
                key, found = _asked(Path(scratch) / str(number), promises, sources)
            else:
                found = {source: _modelled(promises, source, key) for source in sources}
            for source, theirs in found.items():
                ours = _decided("context", promises, Peer(key, (source,)), CLASSES)
                decisions += len(CLASSES)
                allowed += len(theirs)
                differences += len(ours ^ theirs)
                must(ours == theirs, f"{source}, {promises}: ours {ours}, theirs {theirs}")
        for kind in ("variable", "literal"):
            for _ in range(max(1, case.many // 200)):
                promises = [_promise(case.random, NAMES) for _ in range(4)]
                for source in (_source(case.random), _source(case.random)):
                    theirs = _modelled(promises, source, key, exact=True)
                    ours = _decided(kind, promises, Peer(key, (source,)), NAMES)
                    decisions += len(NAMES)
                    must(ours == theirs, f"{kind}, {source}, {promises}: {ours}, {theirs}")
    oracle = "cf-serverd" if real else "a model"
    return f"{decisions:,} decisions, {allowed:,} allowed, {differences} unlike {oracle}"


def _promise(random: Random, names: tuple[str, ...]) -> Promise:
    lists: dict[str, list[str]] = {}
    for name in LISTS:
        odds = 0.6 if name == "admit_ips" else 0.25
        if random.random() < odds:
            items = [_item(random, name) for _ in range(random.randrange(1, 3))]
            lists[name] = items
    return Promise(random.choice(names), lists)


def _item(random: Random, name: str) -> str:
    if name.endswith("keys"):
        return random.choice(("KEY", OTHER_KEY))
    a, b = random.randrange(4), random.randrange(1, 4)
    shapes = [
        f"127.0.{a}.{b}", f"127.0.{a}.0/24", "127.0.0.0/22", f"127.0.{a}", "127.0",
        f"127.0.{a}.1-2", f"127.0.0-{a}.{b}", f"127\\.0\\.{a}\\..*", f"127.0.[01].{b}",
        "10.0.0.0/8",
    ]  # fmt: skip
    if name in ("admit", "deny"):
        shapes = [*shapes[:4], "KEY"]
    return random.choice(shapes)


def _source(random: Random) -> str:
    return f"127.0.{random.randrange(4)}.{random.randrange(1, 4)}"


# ours


def _decided(kind: Any, promises: list[Promise], peer: Peer, names: tuple[str, ...]) -> set[str]:
    """Those of NAMES that we let PEER see."""
    rules = [
        grant(name, kind, value="v", **({"admit_ips": []} | _filled(lists, peer.key)))
        for name, lists in promises
    ]
    grants = Grants.parse(document(*rules))
    return {name for name in names if may(grants, peer, kind, name).allowed}


def _filled(lists: dict[str, list[str]], key: str) -> dict[str, list[str]]:
    return {
        name: [key if item == "KEY" else item for item in items] for name, items in lists.items()
    }


# theirs


def _asked(
    home: Path, promises: list[Promise], sources: list[str]
) -> tuple[str, dict[str, set[str]]]:
    """The key of the client, and what cf-serverd lets it see from SOURCES."""
    key = _key(home)
    access = "\n".join(_written(promise, key) for promise in promises)
    found = {}
    with serverd.Serverd(home, CLASSES, access) as real:
        for source in sources:
            talker = real.talker(source)
            answer = talker.ask("CONTEXT .*")
            talker.close()
            found[source] = set(answer.split(",")) & set(CLASSES)
    return key, found


def _key(home: Path) -> str:
    """Make the key of the host in HOME; its digest."""
    home.mkdir(mode=0o700)
    environ = serverd.environ(home)
    subprocess.run([serverd.program("cf-key")], env=environ, check=True, capture_output=True)
    public = str(home / "ppkeys/localhost.pub")
    ran = subprocess.run(
        [serverd.program("cf-key"), "-p", public],
        env=environ, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = re.search(r"(MD5|SHA)=[0-9a-f]+", ran.stdout)
    must(found, f"no digest in {ran.stdout}")
    return found[0] if found else ""


def _written(promise: Promise, key: str) -> str:
    """PROMISE as policy."""
    attributes = [
        f"{name} => {{ {', '.join(_quoted(item) for item in items)} }}"
        for name, items in _filled(promise.lists, key).items()
    ]
    written = ", ".join(['resource_type => "context"', *attributes])
    return f'"{promise.name}" {written};'


def _quoted(item: str) -> str:
    escaped = item.replace("\\", "\\\\")
    return f'"{escaped}"'


# a model of who is let in and what is granted, written without a look at ours


def _modelled(promises: list[Promise], source: str, key: str, *, exact: bool = False) -> set[str]:
    """What a server with PROMISES lets SOURCE see."""
    names = NAMES if exact else CLASSES
    return {name for name in names if _model(promises, (source, key), name, exact=exact)}


def _model(promises: list[Promise], who: tuple[str, str], name: str, *, exact: bool) -> bool:
    matching = [
        lists for pattern, lists in promises
        if (pattern == name if exact else re.fullmatch(pattern, name))
    ]  # fmt: skip
    if any(_listed(lists, "deny", who) for lists in matching):
        return False
    return any(_listed(lists, "admit", who) for lists in matching)


def _listed(lists: dict[str, list[str]], verb: str, who: tuple[str, str]) -> bool:
    source, key = who
    mixed = lists.get(verb, [])
    addresses = lists.get(f"{verb}_ips", []) + [item for item in mixed if item != "KEY"]
    keys = lists.get(f"{verb}_keys", []) + [item for item in mixed if item == "KEY"]
    return any(_address(item, source) for item in addresses) or any(
        item == "KEY" or item == key for item in keys
    )


def _address(item: str, source: str) -> bool:
    if "/" in item:
        return ipaddress.ip_address(source) in ipaddress.ip_network(item)
    if re.fullmatch(r"[0-9.]+", item):
        return source == item or source.startswith(f"{item}.")
    if re.fullmatch(r"[0-9.-]+", item):
        parts = [part.split("-") for part in item.split(".")]
        numbers = [int(part) for part in source.split(".")]
        return all(
            int(part[0]) <= number <= int(part[-1])
            for part, number in zip(parts, numbers, strict=False)
        )
    return re.fullmatch(item, source) is not None
