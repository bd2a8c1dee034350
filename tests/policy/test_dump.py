"""Policy and the tables of the language as `cf-promises` shows them to programs."""

import json
from typing import Any

from policy import dump
from policy.functions import SIGNATURES
from policy.parse import parse
from policy.source import Source
from policy.vocabulary import OF_BODIES, OF_PROMISES

TEXT = r"""body common control { bundlesequence => { "main" }; }
bundle agent main(a, b)
{
  vars:
    linux::
      "s" string => "a\"b\n$(a)", if => "any";
      "n" int => 5, comment => @(q);
    "$(v)"::
      "l" slist => { "a", @(x), concat("1", word) };
  files:
      "/x\"y" -> { "me", us }
        perms => m("1",
                   "2"),
        template_data => '{ "k": [1, 2.5, null] }';
  vars:
      "d" data => @(y);
      "e" data => "$(y)";
  methods:
}
body perms m(a, b)
{
  linux::
    mode => "$(a)";
    rxdirs => "true";
  any::
    owners => { "$(b)" };
}
promise agent git { path => "/x"; }
"""


def tree(text: str) -> Any:
    policy, mistakes = parse(Source("./x.cf", text))
    assert mistakes == []
    return json.loads(dump.as_json([policy]))


def test_bodies_have_a_context_for_each_guard_and_begin_with_any() -> None:
    _, body = tree(TEXT)["bodies"]

    assert [(it["name"], len(it["attributes"])) for it in body["contexts"]] == [
        ("any", 0),
        ("linux", 2),
        ("any", 1),
    ]
    assert body["contexts"][1]["attributes"][0] == {
        "line": 23,
        "lval": "mode",
        "rval": {"type": "string", "value": "$(a)"},
    }
    assert {key: body[key] for key in ("arguments", "bodyType", "line", "name", "namespace")} == {
        "arguments": ["a", "b"],
        "bodyType": "perms",
        "line": 20,
        "name": "m",
        "namespace": "default",
    }


def test_sections_of_one_type_are_one_with_the_line_of_the_last() -> None:
    (bundle,) = tree(TEXT)["bundles"]

    kinds = [(it["name"], it["line"], len(it["contexts"])) for it in bundle["promiseTypes"]]
    assert kinds == [("vars", 15, 2), ("files", 10, 1), ("methods", 18, 0)]
    assert (bundle["sourcePath"], bundle["evaluation_order"]) == ("./x.cf", "undefined")


def test_values() -> None:
    variables, _, _ = tree(TEXT)["bundles"][0]["promiseTypes"]
    promises = [it for context in variables["contexts"] for it in context["promises"]]
    values = [[it["rval"] for it in promise["attributes"]] for promise in promises]

    call = {
        "type": "functionCall",
        "name": "concat",
        "arguments": [{"type": "string", "value": "1"}, {"type": "string", "value": "word"}],
    }
    items = [{"type": "string", "value": "a"}, {"type": "string", "value": "@(x)"}, call]
    assert values[0][0] == {"type": "string", "value": 'a\\"b\\n$(a)'}
    assert values[1] == [{"type": "symbol", "value": "5"}, {"type": "string", "value": "@(q)"}]
    assert values[2] == [{"type": "symbol", "value": "$(v)"}, {"type": "list", "value": items}]
    assert [value[0]["name"] for value in values[3:]] == ["mergedata", "parsejson"]


def test_a_variable_guard_is_an_attribute_without_a_line() -> None:
    contexts = tree(TEXT)["bundles"][0]["promiseTypes"][0]["contexts"]

    assert contexts[1]["name"] == "any"
    assert contexts[1]["promises"][0]["attributes"][0] == {
        "line": 0,
        "lval": "ifvarclass",
        "rval": {"type": "symbol", "value": "$(v)"},
    }


def test_a_promise_has_the_line_that_its_parts_end_in() -> None:
    (context,) = tree(TEXT)["bundles"][0]["promiseTypes"][1]["contexts"]
    (promise,) = context["promises"]

    assert (promise["promiser"], promise["promisee"]) == ('/x"y', ["me", "us"])
    assert promise["line"] == 11
    assert [(it["lval"], it["line"]) for it in promise["attributes"]] == [
        ("perms", 13),
        ("template_data", 14),
    ]
    assert promise["attributes"][1]["rval"] == {"k": [1, 2.5, None]}


def test_the_json_form_to_the_blank() -> None:
    policy, _ = parse(Source("./x.cf", "bundle common é { }"))

    assert (
        dump.as_json([policy])
        == r"""{
      "bodies": [],
      "bundles": [
        {
          "arguments": [],
          "bundleType": "common",
          "evaluation_order": "undefined",
          "line": 1,
          "name": "\u00c3\u00a9",
          "namespace": "default",
          "promiseTypes": [],
          "sourcePath": "./x.cf"
        }
      ]
    }"""
    )


def test_the_text_form_to_the_blank() -> None:
    policy, _ = parse(Source("./x.cf", TEXT))

    assert (
        dump.as_cf([policy])
        == r"""bundle agent main(a, b)
{
vars:
  linux::
    "s"        string => "a\"b\n$(a)",
        if => "any";
    "n"        int => 5,
        comment => "@(q)";
  any::
    "l"        ifvarclass => $(v),
        slist =>  {"a","@(x)",concat("1","word")};
    "d"        data => mergedata("y");
    "e"        data => parsejson("$(y)");

files:
  any::
    "/x\"y"        perms => m("1","2"),
        template_data => {
  "k": [
    1,
    2.5000,
    null
  ]
};

methods:


}

body common control()
{
  bundlesequence =>  {"main"};

}

body perms m(a, b)
{

linux::  mode => "$(a)";
  rxdirs => "true";

  owners =>  {"$(b)"};

}

"""
    )


def test_several_files_are_one_policy() -> None:
    files = [parse(Source(path, f"bundle agent {path} {{ }}"))[0] for path in ("a", "b")]

    assert [it["name"] for it in json.loads(dump.as_json(files))["bundles"]] == ["a", "b"]


def test_the_language_describes_itself() -> None:
    described = json.loads(dump.language())

    assert set(described["functions"]) == set(SIGNATURES)
    assert set(described["promiseTypes"]) == set(OF_PROMISES)
    assert set(described["bodyTypes"]) == set(OF_BODIES) - {"promise"}
    assert described["promiseTypes"]["vars"]["attributes"]["int"] == {
        "attribute": "int",
        "range": "-99999999999,99999999999",
        "status": "normal",
        "type": "int",
        "visibility": "promiseType",
    }
    assert described["functions"]["readfile"]["parameters"] == [
        {"range": '"?(/.*)', "type": "string"},
        {"range": "0,99999999999", "type": "int"},
    ]
