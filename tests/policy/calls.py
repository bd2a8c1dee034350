"""Calls of functions as policy writes them, and files of the answers that an agent gave to them.

A line of such a file is `TYPE CALL -> RESULT`: a string in [], TRUE or FALSE, a list as policy
writes it, data as compact JSON, UNDEF if there is no value. After `~>` the items may come in any
order: that of the elements of an array says nothing.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policy import syntax
from policy.classes import holds
from policy.compile import rval
from policy.context import Context, Variable
from policy.errors import Unresolved
from policy.evaluate import evaluate
from policy.functions import SIGNATURES, implementation
from policy.parse import build, parse
from policy.source import Source
from policy.values import dump_json, normalised, parse_json

if TYPE_CHECKING:
    from policy.context import Callee

LISTS = {
    "sl": ("b", "a", "c", "a", "10", "9"),
    "el": (),
    "one": ("x",),
    "n": ("1.5", "2", "abc", "3x", "1e3"),
    "mix": ("10", "9", "abc", "", "-1", "1.5", "2x", "1e2"),
    "ips": ("10.0.0.10", "9.1.1.1", "10.0.0.2", "abc", "::1", "fe80::1", "1.2.3.4:80"),
    "macs": ("zz", "00:11:22:33:44:55", "001122334454", "ff:ff:ff:ff:ff:ff"),
}
DATA = {
    "d": '{"z":"zz","b":true,"a":1,"f":1.50,"n":null,"nest":{"q":"w","l":[1,2]},"g":-0.5}',
    "da": '["x",1,2.5,true,null,["in"],{"k":"v"},"x"]',
    "kv": '{"k1":{"a":"x"},"k2":"str","k3":["e1","e2",5],"k4":null,"k5":true}',
    "big": "[5000000000,3.14159,1.5]",
}
SCALARS = {
    "arr[k1]": "v1",
    "arr[k2]": "v2",
    "arr2[a][b]": "ab",
    "arr2[a][c]": "ac",
    "scal": "scalarvalue",
    "json": '["j1","j2"]',
    "utf": "åØx",
    "multi": "l1\nl2\n",
    "ws": r"  \t a b \t  ",
    "dl": "$",
}


def context(log: list[str] | None = None) -> Context:
    """A context with the variables that the recorded calls use, in bundle main. It adds to LOG."""
    said = [] if log is None else log
    ctx = Context(
        hard={"any": (), "linux": ()},
        facts={"host": Variable("vm", "string"), "interfaces": Variable(("eth0",), "slist")},
        now=1_000_000_000,
        log=lambda level, text: said.append(f"{level}: {text}"),
        function=_function,
    )
    ctx.frame.bundle = "main"
    ctx.scopes["main"] = ctx.frame.scope
    for name, items in LISTS.items():
        ctx.define(name, items, "slist")
    ctx.define("il", ("1", "2", "3"), "ilist")
    ctx.define("il3", ("1", "2"), "ilist")
    ctx.define("arr2[x]", ("l1", "l2"), "slist")
    for name, text in DATA.items():
        ctx.define(name, normalised(parse_json(text)), "data")
    for name, text in SCALARS.items():
        ctx.define(name, text, "string")
    return ctx


def _function(name: str) -> "Callee":
    _, params, _, flags = SIGNATURES[name]
    return implementation(name), flags, -1 if "V" in flags else len(params.split())


_grammar = cache(build)


def value(ctx: Context, call: str) -> Any:
    """What CALL is worth in CTX. Raises Unresolved and Failed as the functions do."""
    text = f'bundle agent main {{ vars: "v" string => {call}; }}'
    policy, mistakes = parse(Source("probe.cf", text), _grammar())
    assert not mistakes, mistakes
    bundle = policy.blocks[0]
    assert isinstance(bundle, syntax.Bundle)
    return evaluate(rval(bundle.sections[0].promises[0].attributes[0].value), ctx)


def answer(ctx: Context, kind: str, call: str) -> str:
    """What CALL is worth, as the files of recorded answers write it."""
    try:
        result = value(ctx, call)
    except Unresolved:
        return "FALSE" if kind == "class" else "UNDEF"
    if kind == "class":
        holding = holds(result, ctx) if isinstance(result, str) else result
        return "TRUE" if holding else "FALSE"
    if isinstance(result, tuple):
        return "{ " + ", ".join([f'"{item}"' for item in result]) + " }"
    if isinstance(result, (dict, list)):
        return dump_json(normalised(result))
    return f"[{result}]"


def recorded(name: str) -> list[tuple[str, str, str, bool]]:
    """Type, call, answer and whether order counts, of each line of tests/policy/data/NAME.txt."""
    path = Path(__file__).parent / "data" / f"{name}.txt"
    cases = []
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        if line and not line.startswith("#"):
            ordered = " ~> " not in line
            left, _, result = line.partition(" -> " if ordered else " ~> ")
            kind, _, call = left.partition(" ")
            cases.append((kind, call, result, ordered))
    return cases


def agrees(found: str, expected: str, *, ordered: bool) -> bool:
    """Whether an answer is the recorded one."""
    return found == expected or (not ordered and sorted(found) == sorted(expected))
