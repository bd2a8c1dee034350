"""The recorded calls of `data/functions.txt`, made through the whole language."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
FACT = ("inventory", "source=agent", "attribute_name=none")
HARD = ("source=agent", "hardclass")


def function(name: str) -> "Callee":
    """A built-in that looks at nothing but the policy."""
    _, params, _, flags = functions.SIGNATURES[name]
    count = -1 if "V" in flags else len(params.split())
    return functions.implementation(name), flags, count


def promises() -> list[Written]:
    """The promises of a policy that makes the recorded calls, after those of the setup."""
    made = []
    for number, line in enumerate(CALLS):
        kind, _, call = line.rpartition(" -> ")[0].partition(" ")
        section = "classes" if kind == "class" else "vars"
        attribute = "expression" if kind == "class" else kind
        made.append(f'  {section}:\n    "call{number}" {attribute} => {call};')
    text = "\n".join(["bundle agent main", "{", SETUP, *made, "}"])
    unit, diagnostics = build("calls.cf", text.encode(), "agent.functions")
    assert not [it for it in diagnostics if it.severity == "error"]
    (bundle,), _ = Plan().add("calls.cf", unit)
    return [promise for section in bundle.sections.values() for promise in section]


def keep(promise: Written, ctx: Context) -> None:
    """Evaluate PROMISE as the language does."""
    promise.link()
    {"vars": define.variables, "classes": define.set_classes}[promise.type](promise, ctx, set())


@pytest.fixture(scope="module")
def ctx() -> Context:
    """A host that never changes, with the setup evaluated."""
    facts = {
        "fqhost": Variable("host.example.com", "string", FACT),
        "cf_version": Variable("3.28.0", "string", FACT),
    }
    ctx = Context(
        hard={"any": HARD, "linux": HARD},
        facts=facts,
        now=1700000000,
        log=lambda _level, _message: None,
        function=function,
    )
    scope = ctx.scopes["main"] = Scope()
    ctx.frame = Frame("main", "default", scope)
    for promise in ALL.values():
        if not promise.promiser.startswith("call"):
            keep(promise, ctx)
    return ctx


ALL = {promise.promiser: promise for promise in promises()}


def shown(variable: Variable | None) -> str:
    """VARIABLE as the recording writes it."""
    if variable is None:
        return "UNDEF"
    if isinstance(variable.value, str):
        return "[" + variable.value.replace("\n", "\\n") + "]"
    if isinstance(variable.value, tuple):
        return "{ " + ", ".join(f'"{item}"' for item in variable.value) + " }"
    return values.dump_json(variable.value)


CASES = [
    pytest.param(f"call{number}", line.rpartition(" -> ")[2], id=line.rpartition(" -> ")[0])
    for number, line in enumerate(CALLS)
]


@pytest.mark.parametrize(("name", "expected"), CASES)
def test_a_call_gives_what_the_reference_gives(ctx: Context, name: str, expected: str) -> None:
    keep(ALL[name], ctx)

    if ALL[name].type == "classes":
        assert ("TRUE" if ctx.defined(name) else "FALSE") == expected
    else:
        assert shown(ctx.frame.scope.plain.get(name)) == expected
