"""Augments: variables and classes from data files, before any policy is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import facts
from agent.augments import load_augments, load_host_data
from agent.host import Host
from policy.context import Context, Variable

NOW = 1_000_000_000.0

Lines = list[tuple[str, str]]
Load = Callable[[str], Context]


def no_function(name: str) -> "tuple[Callable[..., Any], str, int]":
    """There are no functions here."""
    raise AssertionError(name)


@pytest.fixture
def lines() -> Lines:
    """What was said above verbose."""
    return []


@pytest.fixture
def ctx(tmp_path: Path, lines: Lines) -> Context:
    """What a run has before it loads its data."""
    host = Host()

    def log(level: str, text: str) -> None:
        if level != "verbose":
            lines.append((level, text.replace(str(tmp_path), "")))

    hard, known = facts.gather(host, NOW, None, str(tmp_path), entry=f"{tmp_path}/x.cf")
    return Context(hard=hard, facts=known, now=NOW, log=log, host=host, function=no_function)


@pytest.fixture
def augment(ctx: Context, tmp_path: Path) -> Load:
    """`augment(json)` loads it as def.json."""

    def load(text: str) -> Context:
        (tmp_path / "def.json").write_text(text)
        load_augments(ctx, f"{tmp_path}/def.json", ctx.log)
        return ctx

    return load


@pytest.fixture
def describe(ctx: Context, tmp_path: Path) -> Load:
    """`describe(json)` loads it as host_specific.json."""

    def load(text: str) -> Context:
        (tmp_path / "host_specific.json").write_text(text)
        load_host_data(ctx, f"{tmp_path}/host_specific.json", ctx.log)
        return ctx

    return load


def held(variable: Variable | None) -> tuple[object, str]:
    """Value and type."""
    assert variable is not None
    return variable.value, variable.type


# def.json


@pytest.mark.parametrize(
    ("json", "value", "kind"),
    [
        ('"text"', "text", "string"),
        ('"on $(sys.class)"', "on linux", "string"),
        ('"$(nothing.here)"', "$(nothing.here)", "string"),
        ("1.5", "1.50", "string"),
        ("7", "7", "string"),
        ("123456789012", "-1097262572", "string"),
        ("true", "true", "string"),
        ('["a", 1, true, 2.5, null]', ("a", "1", "true", "2.50"), "slist"),
        ("[]", (), "slist"),
        ('[["a"], 2]', [["a"], 2], "data"),
        (
            '{"k$(sys.class)": [1, null, 1.23456, "$(sys.class)"]}',
            {"klinux": [1, None, 1.2346, "linux"]}, "data",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ['"vars": {{"v": {}}}', '"variables": {{"v": {{"value": {}}}}}'])
def test_json_values_become_variables(
    form: str, json: str, value: object, kind: str, augment: Load
) -> None:
    ctx = augment("{" + form.format(json) + "}")

    assert held(ctx.variable("def.v")) == (value, kind)


def test_a_name_says_where_the_variable_lives(augment: Load) -> None:
    ctx = augment(
        '{"vars": {"a[i]": "1", "main.b": "2", "ns:other.c": "3", "$(sys.class)_k": "4"}}'
    )

    assert [ctx.lookup(name) for name in ("def.a[i]", "main.b", "ns:other.c", "def.linux_k")] == [
        "1", "2", "3", "4",
    ]  # fmt: skip


def test_variables_come_after_vars_and_may_use_them(augment: Load) -> None:
    ctx = augment(
        '{"variables": {"s": {"value": "new", "tags": ["t"], "comment": "c"}, "u": "$(def.r)"},'
        ' "vars": {"s": "old", "r": "x", "same": "$(def.r)"}}'
    )

    found = ctx.variable("def.s")
    assert found is not None
    assert (found.value, found.tags, found.comment) == ("new", ("t", "source=augments_file"), "c")
    assert ctx.lookup("def.u") == "x"
    assert ctx.lookup("def.same") == "$(def.r)", "nothing of its own section is known yet"


@pytest.mark.parametrize(
    ("condition", "defined"),
    [
        ('"linux"', True),
        ('"lin.*"', True),
        ('"inu"', False),
        ('"soft_one"', True),
        ('["nosuch", "linux"]', True),
        ('["nosuch"]', False),
        ("[]", False),
        ('"linux.!windows::"', True),
        ('"linux.windows::"', False),
        ("true", True),
        ('["true"]', True),
        ("5", False),
        ('{"class_expressions": ["any::"]}', True),
        ('{"class_expressions": ["nosuch::"]}', False),
        ('{"regular_expressions": ["li.*"], "tags": ["x"]}', True),
    ],
)
def test_a_class_is_set_if_a_condition_holds(
    condition: str, defined: bool, augment: Load, ctx: Context, lines: Lines
) -> None:
    ctx.soft["soft_one"] = ()

    augment('{"classes": {"c": ' + condition + "}}")

    assert ("c" in ctx.soft) is defined
    assert lines == []


def test_classes_have_tags_and_a_namespace(augment: Load) -> None:
    ctx = augment(
        '{"classes": {"ns:a": "any", "b-c": "any", "default:d": "any",'
        ' "t": {"class_expressions": ["any::"], "tags": ["x"]}}}'
    )

    assert ctx.soft == {
        "ns:a": ("source=augments_file",),
        "b_c": ("source=augments_file",),
        "d": ("source=augments_file",),
        "t": ("x", "source=augments_file"),
    }


def test_a_name_is_looked_up_without_knowing_all_classes(augment: Load, ctx: Context) -> None:
    augment('{"classes": {"c": ["linux", "nosuch"]}}')

    assert "network" not in ctx.hard._world.found  # type: ignore[attr-defined]  # facts are lazy


def test_inputs_wait_for_the_policy_to_ask_for_them(augment: Load, tmp_path: Path) -> None:
    ctx = augment('{"inputs": ["$(sys.policy_entry_dirname)/extra.cf"]}')

    assert held(ctx.variable("def.augments_inputs")) == ((f"{tmp_path}/extra.cf",), "slist")


def test_further_augments_override(augment: Load, tmp_path: Path, lines: Lines) -> None:
    (tmp_path / "more.json").write_text('{"vars": {"s": "more"}}')

    ctx = augment(
        '{"augments": ["$(sys.policy_entry_dirname)/more.json", "/nosuch.json"],'
        ' "vars": {"s": "first"}}'
    )

    assert ctx.lookup("def.s") == "more"
    message = "Could not load requested further augments from file '/nosuch.json'"
    assert lines == [("error", message)]


def test_augments_in_a_circle_end(augment: Load, lines: Lines) -> None:
    ctx = augment('{"augments": ["$(sys.policy_entry_dirname)/def.json"], "vars": {"v": "1"}}')

    assert ctx.lookup("def.v") == "1"
    assert lines[0] == ("error", "augments file '/def.json' leads back to itself")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Could not parse JSON file /def.json: No data"),
        ("[1]", "Invalid augments file contents in '/def.json', must be a JSON object"),
        ('{"vars": [1]}', "Invalid augments vars in '/def.json', must be a JSON object"),
        ('{"variables": 3}', "Invalid augments variables in '/def.json', must be a JSON object"),
        ('{"classes": ["x"]}', "Invalid augments classes in '/def.json', must be a JSON object"),
        (
            '{"inputs": "x"}',
            "Trying to augment inputs in '/def.json' but the value was not a list of strings",
        ),
        (
            '{"vars": {"n:v": "1"}}',
            "Invalid variable specification in augments data in '/def.json': 'n:v' "
            "(bundle name has to be specified if namespace is specified)",
        ),
        (
            '{"variables": {"v": {"tags": ["x"]}}}',
            "Missing value for the augments variable 'v' in '/def.json' (value field is required)",
        ),
        (
            '{"vars": {"v": null}}',
            "Missing value for the augments variable 'v' in '/def.json' (value field is required)",
        ),
        (
            '{"variables": {"v": {"value": "1", "tags": "x"}}}',
            "Invalid tags information for variable 'v' in augments file '/def.json': "
            "must be a JSON array of strings",
        ),
        (
            '{"variables": {"v": {"value": "1", "comment": ["x"]}}}',
            "Invalid type of the 'comment' field for the 'v' variable in augments data in "
            "'/def.json', must be a string",
        ),
        (
            '{"classes": {"c": {"tags": ["x"]}}}',
            "Invalid augments class data for class 'c' in '/def.json': "
            'either "class_expressions" or "regular_expressions" need to be specified',
        ),
        ('{"classes": {"c": [["x"]]}}', "Invalid augments class data for class 'c' in '/def.json'"),
        ('{"classes": {"c": null}}', "Invalid augments class data for class 'c' in '/def.json'"),
        ('{"classes": {"c": "a..b::"}}', "Unable to parse class expression 'a..b'"),
    ],
)
def test_what_is_wrong_is_said_and_the_run_goes_on(
    text: str, message: str, augment: Load, lines: Lines
) -> None:
    augment(text)

    assert lines == [("error", message)]


# host_specific.json


def test_host_data_live_in_the_namespace_data(describe: Load) -> None:
    ctx = describe(
        '{"vars": {"a": "1", "b.x": "2", "ns:b.y": ["q", 1], "d": {"k": 1.23456}},'
        ' "variables": {"c": {"value": "v", "tags": ["t"], "comment": "why"}, "p": "plain"}}'
    )

    assert held(ctx.variable("data:variables.a")) == ("1", "string")
    assert held(ctx.variable("data:b.x")) == ("2", "string")
    assert held(ctx.variable("ns:b.y")) == (("q", "1"), "slist")
    assert held(ctx.variable("data:variables.d")) == ({"k": 1.2346}, "data")
    assert held(ctx.variable("data:variables.p")) == ("plain", "string")
    found = ctx.variable("data:variables.c")
    assert found is not None
    assert (found.value, found.tags, found.comment) == ("v", ("t", "source=cmdb"), "why")


def test_host_classes_are_set_without_conditions(describe: Load, lines: Lines) -> None:
    ctx = describe(
        '{"classes": {"a": "any::", "b": ["any::"], "ns:c": "any::", "d": {},'
        ' "e": {"class_expressions": ["any::"], "tags": ["x"]}, "f": {"regular_expressions": []}}}'
    )

    assert lines == []
    assert ctx.soft == {
        name: ("x", "source=cmdb") if name == "data:e" else ("source=cmdb",)
        for name in ("data:a", "data:b", "ns:c", "data:d", "data:e", "data:f")
    }


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("[]", ["Invalid CMDB contents in '/host_specific.json', must be a JSON object", "*"]),
        ('{"vars": []}', ["Invalid 'vars' CMDB data, must be a JSON object", "*"]),
        (
            '{"vars": {"a": "$(sys.host)"}}',
            ["Invalid 'vars' CMDB data, cannot contain variable references", "*"],
        ),
        (
            '{"vars": {"n:z": "1"}}',
            [
                "Invalid variable specification in CMDB data: 'n:z' "
                "(bundle name has to be specified if namespace is specified)"
            ],
        ),
        (
            '{"variables": {"v": {}}}',
            ["Missing value in 'v' variable specification in CMDB data (value field is required)"],
        ),
        (
            '{"classes": {"c": "linux"}}',
            ["Invalid class specification 'linux' in CMDB data, only \"any::\" allowed"],
        ),
        (
            '{"classes": {"c": ["linux"]}}',
            ["Invalid class specification '[\"linux\"]' in CMDB data, only '[\"any::\"]' allowed"],
        ),
        (
            '{"classes": {"c": ["any::", "any::"]}}',
            [
                "Too many elements in class specification 'c' in CMDB data, "
                "only '[\"any::\"]' allowed"
            ],
        ),
        (
            '{"classes": {"c": {"class_expressions": ["linux"]}}}',
            [
                "Invalid class expression rules for class 'c' in CMDB data, "
                "only '[]' or '[\"any::\"]' allowed"
            ],
        ),
        (
            '{"classes": {"c": {"regular_expressions": ["lin"]}}}',
            [
                "Invalid regular expression rules for class 'c' in CMDB data, "
                "only '[]' or '[\"any\"]' allowed"
            ],
        ),
    ],
)
def test_what_is_wrong_in_host_data_is_said(
    text: str, messages: list[str], describe: Load, lines: Lines
) -> None:
    ctx = describe(text)

    expected = ["Failed to load CMDB data" if text == "*" else text for text in messages]
    assert lines == [("error", message) for message in expected]
    assert ctx.soft == {}


def test_a_bad_section_does_not_spoil_the_others(describe: Load) -> None:
    ctx = describe('{"vars": {"a": "@(x)"}, "variables": {"b": "1"}, "classes": {"c": "any::"}}')

    assert ctx.variable("data:variables.a") is None
    assert ctx.lookup("data:variables.b") == "1"
    assert "data:c" in ctx.soft


def test_an_unknown_key_in_host_data_is_skipped_with_a_warning(
    describe: Load, lines: Lines
) -> None:
    describe('{"other": 1}')

    message = "Invalid key 'other' in the CMDB data file '/host_specific.json', skipping it"
    assert lines == [("warning", message)]


def test_augments_do_not_override_host_data(describe: Load, augment: Load, lines: Lines) -> None:
    describe('{"vars": {"default:main.v": "host"}, "classes": {"default:c": "any::"}}')

    ctx = augment('{"vars": {"main.v": "augments"}, "classes": {"c": "any"}}')

    assert ctx.lookup("main.v") == "host"
    assert ctx.soft == {"c": ("source=cmdb",)}
    assert lines == []


def test_a_file_that_is_too_large_is_not_read(augment: Load, lines: Lines) -> None:
    augment('{"vars": {"v": "' + "x" * (5 << 20) + '"}}')

    message = "Could not parse JSON file /def.json: it is larger than 5 MiB"
    assert lines == [("error", message)]
