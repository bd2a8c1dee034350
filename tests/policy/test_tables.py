"""Readers of CSV, settings and YAML; what the reference answered, where it was asked."""

from typing import Any

import pytest

from policy import tables

CSV: list[tuple[str, list[list[str]]]] = [
    ("", []),
    ("a,b\r\n", [["a", "b"]]),
    ("a,b", [["a", "b"]]),
    ("a,b\nc,d\n", [["a", "b\nc", "d\n"]]),
    ("a,b,\r\n", [["a", "b", ""]]),
    ("a,,b,", [["a", "", "b", ""]]),
    (",", [["", ""]]),
    ("\r\n\r\n", [[""], [""]]),
    (" \r\n", [[" "]]),
    ("a, ,\r\n", [["a", " ", ""]]),
    ('"a",\r\n', [["a", ""]]),
    (' "p","q" \r\n', [["p", "q"]]),
    ('"p" ,"q"\r\n', [["p", "q"]]),
    ('\t"x",y\r\n', [["x", "y"]]),
    ('"nl\r\nin",2\r\n', [["nl\r\nin", "2"]]),
    ('"a""b"\r\n', [['a"b']]),
    ('a,"",b\r\n', [["a", "", "b"]]),
    ('a,"" ,b \r\n', [["a", "", "b "]]),
    ('"x"\n', [["x"]]),
    ("a\r\r\nb", [["a\r"], ["b"]]),
    ("a\rb,c\r\n", [["a\rb", "c"]]),
    ('"p"x,q\r\nz\r\n', [["z"]]),
    ('a"b,c\r\nx,y\r\n', []),
    ('"unterm\r\na,b\r\n', []),
    ('a,"b', []),
    ('"a" "b"\r\n', []),
    ('"a","b"\n"c","d"\n', []),
]


@pytest.mark.parametrize(("text", "rows"), CSV)
def test_csv(text: str, rows: list[list[str]]) -> None:
    found = [row for row in map(tables.fields, tables.records(text)) if row is not None]

    assert found == rows


SETTINGS = [
    ("A=1", {"A": "1"}),
    ('  export H = "a b" junk', {"export H": "a b"}),
    ("#c=1\nnoeq\n=v\n", {}),
    ("B=x'y", {}),
    (r"C='q\n\x'", {"C": "q\nx"}),
    (r"D=a\ b\nc", {"D": "a b\nc"}),
    ("E=", {"E": ""}),
    ('F="unterminated', {"F": "unterminated"}),
    ("G=a=b", {"G": "a=b"}),
    ("A=1\nA=2", {"A": "2"}),
]


@pytest.mark.parametrize(("text", "settings"), SETTINGS)
def test_settings(text: str, settings: dict[str, str]) -> None:
    assert tables.environment(text) == settings


YAML: list[tuple[str, Any]] = [
    ("- 1\n- -2\n- 1.50", [1, -2, 1.5]),
    ("[~, null, Null, '']", [None, None, None, ""]),
    ("[y, No, TRUE, off, 'on']", [True, False, True, False, "on"]),
    ("[007, .5, 0x1F, +1, 1e3, 2001-01-01]", ["007", ".5", "0x1F", "+1", "1e3", "2001-01-01"]),
    ("a: 200 300", {"a": 200}),
    ("1: x\ntrue: z", {"1": "x", "true": "z"}),
    ("a: 1\nb: 2\na: 3", {"b": 2, "a": 3}),
    ("a: {b: [c, {d: e}]}", {"a": {"b": ["c", {"d": "e"}]}}),
    ("a: [", {"a": []}),
    ("- 1\n---\n- 2", [1]),
    ("5", 5),
]


@pytest.mark.parametrize(("text", "value"), YAML)
def test_yaml(text: str, value: Any) -> None:
    assert tables.yaml(text) == value


@pytest.mark.parametrize("text", ["", "# nothing", "%bad"])
def test_there_may_be_no_yaml(text: str) -> None:
    with pytest.raises(ValueError, match=r"No data|directive|expected"):
        tables.yaml(text)
