"""Laws of the functions about names that no recorded call states."""

from typing import NoReturn

import pytest

from policy.context import Context, Frame, Scope, Variable
from policy.errors import Failed, Unresolved
from policy.functions import names


class Agent:
    """The bundles of a policy, as an agent gives them."""

    def bundles(self) -> dict[str, tuple[str, ...]]:
        return {"default:a": ("t1", "k=5"), "default:b": ("t1",), "n:c": ()}

    def promisers(self) -> list[str]:
        return ["first", "second"]


@pytest.fixture
def ctx() -> Context:
    """Two bundles, `main` and `n:other`, each with a variable `v`; main is being evaluated."""

    def nothing(name: str) -> NoReturn:
        raise Unresolved(name)

    ctx = Context(
        hard={"any": ()},
        facts={"host": Variable("h", "string"), "ipv4[eth0]": Variable("10.0.0.1", "string")},
        now=0,
        log=lambda _level, _message: None,
        function=nothing,
    )
    ctx.scopes["main"] = Scope()
    ctx.scopes["n:other"] = Scope()
    ctx.frame = Frame("main", "default", ctx.scopes["main"])
    ctx.define("v", "here", "string", ("t=1", "u"))
    ctx.define("a[x][y]", ("1", "2"), "slist")
    ctx.define("n:other.v", "there", "string")
    ctx.agent = Agent()
    return ctx


def test_an_iteration_variable_is_a_variable(ctx: Context) -> None:
    ctx.wheels["i"] = "1"

    assert names.isvariable(ctx, "i")


def test_names_come_with_namespace_scope_and_indices(ctx: Context) -> None:
    found = names.variablesmatching(ctx, r".*\.(v|a\[.*|ipv4.*)")

    assert sorted(found) == [
        "default:main.a[x][y]", "default:main.v", "default:sys.ipv4[eth0]", "n:other.v",
    ]  # fmt: skip


def test_any_of_several_tags_will_do(ctx: Context) -> None:
    assert names.variablesmatching(ctx, ".*", "nosuch", "t=.*") == ("default:main.v",)


def test_bundles_are_evaluated_before_their_variables_are_listed(ctx: Context) -> None:
    def prepare(key: str) -> None:
        ctx.unprepared.discard(key)
        ctx.scopes[key] = Scope()
        ctx.define(f"{key}.late", "x", "string")

    ctx.unprepared = {"one", "two"}
    ctx.prepare = prepare

    found = names.variablesmatching(ctx, r".*\.late")

    assert sorted(found) == ["default:one.late", "default:two.late"]


def test_the_state_holds_classes_and_variables_by_scope(ctx: Context) -> None:
    ctx.soft["n:c"] = ()

    state = names.datastate(ctx)

    assert state["classes"] == {"any": True, "n:c": True}
    assert state["vars"]["main"] == {"v": "here", "a[x][y]": ["1", "2"]}
    assert state["vars"]["n:other"] == {"v": "there"}
    assert state["vars"]["sys"]["host"] == "h"


def test_mangled_names_are_no_part_of_the_state(ctx: Context) -> None:
    ctx.frame.scope.put("n#x", (), Variable("hidden", "string"))

    assert "n#x" not in names.bundlestate(ctx, "main")


def test_the_state_of_a_bundle_elsewhere_needs_its_namespace(ctx: Context) -> None:
    assert names.bundlestate(ctx, "n:other") == {"v": "there"}
    with pytest.raises(Failed):
        names.bundlestate(ctx, "other")


def test_the_last_bundle_comes_first(ctx: Context) -> None:
    assert names.bundlesmatching(ctx, ".*:.") == ("n:c", "default:b", "default:a")


def test_only_the_first_tag_decides_about_bundles(ctx: Context) -> None:
    assert names.bundlesmatching(ctx, ".*", "t1", "nosuch") == ("default:b", "default:a")
    assert names.bundlesmatching(ctx, ".*", "nosuch", "t1") == ()


def test_no_bundle_is_spanned_by_what_is_no_pattern(ctx: Context) -> None:
    with pytest.raises(Failed):
        names.bundlesmatching(ctx, "(")


def test_tags_of_bundles(ctx: Context) -> None:
    assert names.getbundlemetatags(ctx, "a") == ("t1", "k=5")
    assert names.getbundlemetatags(ctx, "default:a", "k") == ("5",)
    with pytest.raises(Failed):
        names.getbundlemetatags(ctx, "n:c")


def test_callers_are_told_from_the_outside(ctx: Context) -> None:
    ctx.frame = Frame("inner", "n", Scope(), caller=ctx.frame)

    found = names.callstack_callers(ctx)

    assert [it["bundle"]["name"] for it in found] == ["main", "inner"]
    assert [(it["frame"], it["depth"]) for it in found] == [(2, 0), (1, 1)]
    assert names.callstack_promisers(ctx) == ("first", "second")
