"""Random calls of the built-in functions, as policy writes them, and the world they are about.

What an argument may be comes from the signature table; where its words (`str`, `int>=0`) leave out
what would make a call interesting, `KINDS` says it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from policy.functions import SIGNATURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    Maker = Callable[["Draw"], str]

SETUP = r"""
    "sl" slist => { "b", "a", "c", "a", "10", "9" };
    "il" ilist => { "1", "2", "3" };
    "rl" rlist => { "1.5", "2", "0x10" };
    "el" slist => { };
    "one" slist => { "x" };
    "n" slist => { "1.5", "2", "abc", "3x", "1e3", "-7", "" };
    "mix" slist => { "10", "9", "abc", "", "-1", "1.5", "2x", "1e2", "é", "A" };
    "ips" slist => { "10.0.0.10", "9.1.1.1", "10.0.0.2", "abc", "::1", "fe80::1", "1.2.3.4:80" };
    "macs" slist => { "zz", "00:11:22:33:44:55", "001122334454", "ff:ff:ff:ff:ff:ff" };
    "files" slist => { "DIR/two", "DIR/old" };
    "d" data => '{"z":"zz","b":true,"a":1,"f":1.50,"n":null,"nest":{"q":"w","l":[1,2]},"g":-0.5}';
    "da" data => '["x",1,2.5,true,null,["in"],{"k":"v"},"x"]';
    "kv" data => '{"k1":{"a":"x"},"k2":"str","k3":["e1","e2",5],"k4":null,"k5":true}';
    "big" data => '[5000000000,3.14159,1.5]';
    "ed" data => '{}';
    "arr1[k]" string => "v";
    "arr[k1]" string => "v1";
    "arr[k2]" string => "v2";
    "arr2[a][b]" string => "ab";
    "arr2[a][c]" string => "ac";
    "arr2[x]" slist => { "l1", "l2" };
    "scal" string => "scalarvalue";
    "json" string => '["j1","j2"]';
    "utf" string => "åØx";
    "multi" string => "l1
l2
";
    "tabs" string => "$(const.t)a  b$(const.r)";
    "empty" string => "";
    "zero" string => "0";
    "neg" string => "-5";
    "kilo" string => "1k";
    "huge" string => "99999999999999999999";
    "point" string => "2.75";
    "name" string => "sl";
    "dollar" string => "$(const.dollar)";
    "half" string => "0123456789,abc.(x) éLL0123456789,abc.(x) é0123456789,abc.(x) é\n0123456789";
    "kilobyte" string => "$(half)$(half)$(half)$(half)$(half)$(half)$(half)$(half)$(half)$(half)";
    "long" string => "$(kilobyte)$(kilobyte)$(kilobyte)$(kilobyte)$(kilobyte)$(kilobyte)";
"""

FILES = {
    "one": b"one line\n",
    "cr": b"abc\r",
    "crlf": b"abc\r\nd\r\n",
    "two": b"a\nb\n",
    "nl": b"\n",
    "empty": b"",
    "noend": b"x\ny",
    "nul": b"a\0b\n",
    "latin": b"caf\xe9\nx\n",
    "ints": b"1 2\n10k,3\n-4\n",
    "reals": b"1.5 2\n0x10,3e2\n",
    "arr": b"k1:a:b\nk2:c:d\n\nk1:x\n#com\nk3\\\ncont:z\nlast",
    "nums": b"1:2:3\n4:5k:-6\n",
    "c.csv": b'a,b\r\n"c ""q"" d", e ,f\r\n\r\nx"y,z\r\n"p" ,"q"\r\n,,\r\n"nl\r\nin",2\r\nlast,1',
    "lf.csv": b"a,b\nc,d\n",
    "cf.csv": b"h1,cls,v\r\na,linux,1\r\nb,nosuch,2\r\n#c,any,3\r\n\r\ns,any\r\nc,any,0\r\n",
    "e.env": b"A=1\n  export H = \"a b\" junk\n#c\nnoeq\n=v\nB=x'y\nC='q\\n\\x'\nE=\nG=a=b\n",
    "j1": b'{"a":1, "b":[1.5,null]} x',
    "j2.json": b'{a: "x", b: [1 2], "c": {"$(scal)": "$(scal)"},}',
    "j5": b"5",
    "jb": b'{"a":',
    "y.yaml": b"a: 1\nb: [x, 2.5, ~, yes]\nc:\n  - d: e\n---\nz: 2\n",
    "peers": b"a\nb\n#c\nc\nd\n\ne\n",
    "mod": b'^context=ctx\n=v1=text\n@l1={ \'a\', "b" }\n+modclass\n%d1={"k":[1]}\nfree\n=a[x]=y\n',
    "ww": b"#!/bin/sh\n",
    "old": b"old",
    "new": b"newer",
    ".hidden": b"",
    "fs/f": b"hello\n",
    "fs/sub/g": b"g\n",
}
LINKS = {"l1": "f", "l2": "l1", "l3": "../fs/./l2", "dang": "nosuch", "c1": "c2", "c2": "c1"}
ENVIRON = {"PROBE": "probed value", "LC_ALL": "C", "TZ": "UTC"}

LEFT_OUT = {
    # functions that are never called, and why
    "callstack_callers": "a form of its own",
    "data_sysctlvalues": "changes while we look",
    "datastate": "everything there is",
    "diskfree": "changes while we look",
    "findprocesses": "changes while we look",
    "network_connections": "changes while we look",
    "now": "the time",
    "processexists": "changes while we look",
    "randomint": "chance",
    "hostsseen": "peers",
    "hostswithclass": "peers",
    "hubknowledge": "peers",
    "remoteclassesmatching": "peers",
    "remotescalar": "peers",
    "readtcp": "network",
    "selectservers": "network",
    "url_get": "network",
    "ldaparray": "network",
    "ldaplist": "network",
    "ldapvalue": "network",
    "regldap": "network",
    "packagesmatching": "packages of the machine",
    "packageupdatesmatching": "packages of the machine",
    "irange": "no variable can hold it",
    "rrange": "no variable can hold it",
    "classfilterdata": "since 3.27",
    "findlocalgroups": "since 3.27",
    "findlocalusers": "since 3.26",
    "getacls": "since 3.27",
    "getbundlemetatags": "since 3.26",
    "getgroupinfo": "since 3.27",
    "getgroups": "since 3.27",
    "hostswithgroup": "since 3.27",
    "is_type": "since 3.26",
    "isconnectable": "since 3.26",
    "isnewerthantime": "since 3.27",
    "isreadable": "since 3.22",
    "useringroup": "since 3.26",
    "validfiledata": "since 3.29",
    "version_compare": "since 3.23",
}


class Call(NamedTuple):
    """A call, what it returns, and its number, which names what it defines."""

    number: int
    name: str
    returns: str
    text: str


class Draw:
    """A source of chance, and of what is made by it: arguments as policy writes them."""

    def __init__(self, random: Random, directory: str) -> None:
        self.random = random
        self.directory = directory
        self.number = 0
        self.depth = 0

    def one(self, *choices: str) -> str:
        """One of CHOICES."""
        return self.random.choice(choices)

    def some(self, make: Callable[[], str], least: int, most: int) -> list[str]:
        """As many as chance says of what MAKE makes."""
        return [make() for _ in range(self.random.randint(least, most))]

    def seldom(self, chance: float) -> bool:
        """True with this CHANCE."""
        return self.random.random() < chance

    def path(self, name: str) -> str:
        """The file NAME of this world."""
        return f"{self.directory}/{name}"

    def quoted(self, text: str) -> str:
        """TEXT between quotes."""
        quote = self.one('"', "'")
        escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
        return f"{quote}{escaped}{quote}"

    def of(self, *choices: str) -> str:
        """One of CHOICES between quotes."""
        return self.quoted(self.one(*choices))

    def nested(self, *names: str) -> str:
        """A call of one of NAMES in the place of an argument."""
        self.depth += 1
        try:
            return written(self, self.one(*names))
        finally:
            self.depth -= 1


# texts

_ATOMS = (
    "a", "b", "c", "x", "ab", "Z", "0", "1", "9", "42", " ", "  ", ",", ".", "/", ":", "-", "_",
    "=", "+", "*", "é", "ß", "%", "#", "\n", "\t", "'", '"', "\\", "\\n", "[", "]", "{", "}", "(",
    ")", "|", "&", "!", "?", "^", "@", "<", ">", ";", "~",
)  # fmt: skip
_TEXTS = (
    "", " ", "a", "abc", "a,b,c", "a,b,,c", ",a,", "a b  c", "é", "10", "-1", "1.5", "1k", "5%",
    "inf", "0x10", "1e3", "any", "linux", "!any", "a.b", "/a/b/c.txt", "[1,2]", "{}", "x=1", "%s",
    "\\d+", "aXbXc", "aaa", "$(scal)", "$(multi)", "$(utf)", "$(empty)", "$(json)", "$(tabs)",
    "sl", "$(arr[k1])", "${scal}", "$(d[nest][q])", "$(d[f])", "$(da[2])", "x$(point)",
    "$(const.n)", "$(const.dollar)(scal)", "$(sys.nosuch)", "$(long)",
)  # fmt: skip
_TEXT_MAKERS = (
    "concat", "canonify", "string_upcase", "string_head", "join", "format", "nth", "escape", "sum",
    "string_replace", "regex_replace", "hash", "lastnode", "dirname", "ifelse", "regcmp", "length",
    "string_mustache", "eval", "storejson",
)  # fmt: skip
_LIST_MAKERS = (
    "splitstring", "string_split", "sort", "unique", "getvalues", "getindices", "maplist", "grep",
    "reverse", "sublist", "filter",
)  # fmt: skip
_DATA_MAKERS = ("parsejson", "mergedata", "data_expand", "mapdata", "data_regextract")


def _text(draw: Draw) -> str:
    if draw.depth < 2 and draw.seldom(0.06):
        return draw.nested(*_TEXT_MAKERS)
    if draw.seldom(0.02):
        return draw.quoted(draw.one("$(nosuch)", "x$(nosuch)", "$(sl)", "$(arr[nosuch])"))
    if draw.seldom(0.5):
        return draw.of(*_TEXTS)
    return draw.quoted("".join(draw.some(lambda: draw.one(*_ATOMS), 0, 8)))


def _texts(draw: Draw) -> str:
    """An argument of a function that takes any number: now and then a list."""
    if draw.depth < 2 and draw.seldom(0.06):
        return draw.nested(*_LIST_MAKERS)
    return _text(draw)


_PIECES = (
    "a", "b", "x", "1", ".", ".*", "a+", "b?", "[ab]", "[^a]", "\\d", "\\w+", "\\s", "(a)", "(b|c)",
    "(?:x)", "^", "$", "|", "\\.", ",", " ", "é", "{2}", "*?", "(?i)", "(?<n>a)", "[[:alpha:]]",
    "\\b", "x*", "[0-9]+", "\n", "/", ":", "l", "\\n",
)  # fmt: skip
_REGEXES = (
    "", ".*", "a", "[ab]", "a|ab", "a*", ",", "(", "[", "*", "\\", "z.*", "(\\w)(\\w)?", ":", "#.*",
    "#[^\n]*", "\\s+", "[0-9]+", "^.$", "(?<x>a)(b)?", "1.*", "k\\d", "(a)|(z)", "$", "l\\d$",
)  # fmt: skip


def _regex(draw: Draw) -> str:
    if draw.seldom(0.6):
        return draw.of(*_REGEXES)
    return draw.quoted("".join(draw.some(lambda: draw.one(*_PIECES), 0, 5)))


# numbers

_NUMBERS = (
    "0", "1", "-1", "2", "10", "9", "3.7", "-3.7", "1e3", "1k", "1K", "2m", "5%", "101%", "-5%",
    "0x10", "inf", "-inf", "nan", "", " 5", "5 ", "5 x", "5x", "abc", ".5", "5.", "1.9999999",
    "99999999999", "12345678901234567890", "+7", "1e400", "2G", "-678", "now", "007", "1e-5",
)  # fmt: skip


def _number(draw: Draw) -> str:
    return draw.of(*_NUMBERS, "$(neg)", "$(point)", "$(kilo)", "$(huge)", "$(empty)", "$(scal)")


def _count(draw: Draw) -> str:
    if draw.seldom(0.15):
        return draw.of("$(neg)", "$(zero)", "$(kilo)", "$(huge)", "$(empty)", "$(scal)", "$(point)")
    return draw.one("0", "1", "2", "3", "5", "10", "99", "inf", '"2"', '"1k"', "4000")


def _integer(draw: Draw) -> str:
    return draw.one(_count(draw), '"-1"', '"-2"', '"-10"', "1", "2", "3", "7")


def _between(low: int, high: int) -> Maker:
    def make(draw: Draw) -> str:
        if draw.seldom(0.05):
            return draw.of("$(neg)", "$(kilo)", "$(empty)", "$(scal)")
        edges = (low, low + 1, high, high - 1, low + 11, low + 30, min(low + 59, high))
        return str(draw.random.choice(edges))

    return make


_OPERATORS = ("+", "-", "*", "/", "^", "%", "==", "<=", "<", ">=", ">", "**")
_VALUES = (
    "0", "1", "2", "3", "10", "1.5", "-1", "0.1", "100", "3k", "2 m", "1G", "1t", "pi", "e", "ln2",
    "sqrt2", "log2e", "1e3", ".5", "7.", "0x10",
)  # fmt: skip
_APPLIED = ("sin", "cos", "sqrt", "abs", "ceil", "floor", "log10", "log", "step", "atan", "tan",
            "log2", "asin", "acos", "exp")  # fmt: skip


def _expression(draw: Draw, depth: int = 0) -> str:
    if depth > 2 or draw.seldom(0.4):
        return draw.one(*_VALUES)
    inner = _expression(draw, depth + 1)
    form = draw.one("({})", "{}", "{f}({})", "{f}(({}))", "{}{o}{}", "{} {o} {}", "{}{o}{}")
    other = _expression(draw, depth + 1)
    form = form.replace("{f}", draw.one(*_APPLIED)).replace("{o}", draw.one(*_OPERATORS))
    return form.replace("{}", inner, 1).replace("{}", other, 1)


def _sum(draw: Draw) -> str:
    text = _expression(draw)
    if draw.seldom(0.15):
        at = draw.random.randrange(len(text) + 1)
        text = text[:at] + draw.one(" ", "x", "(", ")", "+", "$(point)", "k", "-", "é") + text[at:]
    return draw.quoted(text)


# containers

_SCALARS = (
    "1", "-5", "0", "1.5", "2.50", "-0.5", "1.5e2", "true", "false", "null", '"a"', '"b"', '"x y"',
    '""', '"é"', '"10"', '"a\\"q"', '"C:\\\\new"', '"\\u0041"', '"\\n"', '"$(scal)"', "sl", "scal",
    "nosuch", "4294967296", "1e3", "01", "arr", "sys.nosuch", '"\\/"', '"\\t\\q"', "-0", "1.23456",
)  # fmt: skip
_KEYS = ('"a"', '"b"', '"k"', '"1"', '""', '"é"', "bare", "b-c", '"x y"', '"0"', '"a.b"', '"n"')
_PLAIN = ("1", "2", "1.5", '"a"', '"b"', '"10"', "true", "null", '"x y"', '"é"', '"aXb"', "-3.25")


def _json(draw: Draw, depth: int = 0, *, plain: bool = True) -> str:
    inner = draw.seldom(0.2) and depth < 3

    def value() -> str:
        if inner and draw.seldom(0.5):
            return _json(draw, depth + 1, plain=plain)
        return draw.one(*(_PLAIN if plain else _SCALARS))

    comma = draw.one(",", ", ", ",", " , ", *(() if plain else (" ", ",,", "\n")))
    if draw.seldom(0.5):
        return f"[{comma.join(draw.some(value, 0, 5))}]"
    colon = draw.one(":", ": ", *(() if plain else (" ", "=")))

    def entry() -> str:
        return draw.one(*_KEYS) + colon + value()

    end = "" if plain or draw.seldom(0.8) else draw.one(",", " x", "}")
    return "{" + comma.join(draw.some(entry, 0, 5)) + end + "}"


def _json_text(draw: Draw) -> str:
    text = _json(draw, plain=draw.seldom(0.4))
    if draw.seldom(0.15):
        at = draw.random.randrange(len(text) + 1)
        text = text[:at] + draw.one("", "}", "]", " ", "x", '"', "\\", ",") + text[at + 1 :]
    if draw.seldom(0.05):
        text = draw.one("5", "true", '"str"', "", " ", "null", "x", "[1] x", "sl", "d", "@(sl)")
    return draw.quoted(text)


_NAMES = (
    "sl", "il", "rl", "el", "one", "n", "mix", "d", "da", "kv", "big", "ed", "arr1", "ips", "sl",
    "@(sl)", "@{sl}", "@(d)", "probe.sl", "@(probe.da)", "default:probe.sl", "d[nest]", "da[5]",
    "d[nest][l]", "kv[k1]", "arr2[a]", "arr", "arr2", "arr2[x]", "d[a]", "other.list", "other.data",
    "other.array",
)  # fmt: skip
_STRANGE = (
    "scal", "nosuch", "", " ", "5", "true", "null", '"str"', "$(json)", "$(name)", "d[",
    "d[nosuch]", "nosuch[x]", "other.nosuch", "nosuch.sl", "@(nosuch)", "@(sl", "sl x", "arr[k1]",
    "sys.nosuch", "5x", "a b", "[", "{", "$(sl)", "$(nosuch)", "x:y.z",
)  # fmt: skip


def _container(draw: Draw) -> str:
    if draw.depth < 2 and draw.seldom(0.1):
        return draw.nested(*_LIST_MAKERS, *_DATA_MAKERS)
    if draw.seldom(0.08):
        return draw.of(*_STRANGE)
    if draw.seldom(0.1):
        return draw.one("sl", "il", "d", "da", "el", "arr1", "nosuch", "@(sl)", "@(d)")
    if draw.seldom(0.3):
        return draw.quoted(_json(draw, plain=not draw.seldom(0.2)))
    return draw.of(*_NAMES)


def _paths(draw: Draw) -> str:
    names = ", ".join(f'"{draw.path(draw.one(*FILES, "nosuch"))}"' for _ in "123")
    return draw.one(draw.quoted(f"[{names}]"), '"files"', '"@(files)"', '"el"', '"nosuch"', '"sl"')


def _index(draw: Draw) -> str:
    return draw.one(
        "0", "1", "2", "5", "99", '"-1"', '"-7"', '"a"', '"k1"', '"k"', '"nosuch"', '"1k"', '""',
        '"nest"', '"f"', '"n"', '"1.5"', '"0x1"', '"$(zero)"', '"$(neg)"', '" 1"', '"inf"',
    )  # fmt: skip


# files

_FILES = (*FILES, "fs", "fs/l1", "fs/l2", "fs/l3", "fs/dang", "fs/c1", "fs/sub", "fs/ld", "nosuch")


def _file(draw: Draw) -> str:
    if draw.seldom(0.04):
        return draw.one('"$(scal)"', '"$(empty)"', '"$(nosuch)"', '"/"')
    return draw.quoted(draw.path(draw.one(*_FILES)) + draw.one("", "", "", "", "", "/"))


def _array_file(draw: Draw) -> str:
    return draw.quoted(draw.path(draw.one("arr", "two", "crlf", "empty", "nosuch", "noend", "nl")))


def _number_file(draw: Draw) -> str:
    return draw.quoted(draw.path(draw.one("nums", "empty", "nosuch", "ints", "reals")))


def _directory(draw: Draw) -> str:
    return draw.quoted(draw.path(draw.one("fs", "fs/", "fs/sub", "nosuch", "two", "fs/ld")))


def _glob(draw: Draw) -> str:
    names = ("*", "f*", "?", "[a-f]*", "nosuch", "l?", "*.csv", "two", "fs/*", "*/f", "sub/*", "f")
    return draw.quoted(draw.path(draw.one("", "fs/", "fs/sub/") + draw.one(*names)))


def _relative_glob(draw: Draw) -> str:
    return draw.of("*", "f*", "g", "two", "nosuch", "*.csv", "s*/g")


def _path_text(draw: Draw) -> str:
    return draw.quoted(
        "".join(draw.some(lambda: draw.one("/", "a", "b.txt", ".", "..", "//"), 0, 6))
    )


def _command(draw: Draw) -> str:
    return draw.of(
        "/bin/echo hi", "/bin/echo 'a b' \"c d\" e'f", "/bin/true", "/bin/false", "/bin/echo",
        "echo hi; echo err >&2; exit 3", "/bin/echo a  b", "/nosuch/x", "nosuchcommand",
        "/etc/passwd",
        "/bin/sh -c 'echo a; echo b; echo'", "/bin/sh -c 'echo $PROBE; exit 2'",
        "/bin/echo $(scal)",
        "/bin/cat /dev/null", "/usr/bin/printf 'a\\nb\\n\\n'", "echo a | tr a b", '"/bin/echo" x',
    )  # fmt: skip


# what has a form of its own

_SPECS = ("%s", "%d", "%f", "%x", "%o", "%S", "%%", "%5s", "%-5s|", "%05d", "%.2f", "%5.1f", "%+d",
          "%ld", "%.3s", "%c", "%i", "%u", "%e", "%X", "% d", "%#x", "%08.3f", "%hd", "%-3d|", "%5",
          "%", "%.0f", "%.d", "%10S", "%#o", "%lld", "%.5d", "%-010d", "%F", "%g")  # fmt: skip


def _template(draw: Draw) -> str:
    return draw.quoted("".join(draw.some(lambda: draw.one(*_SPECS, "a", " ", "b%%", "é"), 0, 4)))


def _shown(draw: Draw) -> str:
    return draw.random.choice((_container, _text, _number, _number, _text))(draw)


_TAGS = (
    "{{a}}", "{{{a}}}", "{{&b}}", "{{%a}}", "{{$b}}", "{{nest.q}}", "{{.}}", "{{@}}", "{{-top-}}",
    "{{%-top-}}", "{{#a}}", "{{/a}}", "{{^a}}", "{{#b}}", "{{/b}}", "{{#nest}}", "{{/nest}}",
    "{{#.}}", "{{/.}}", "{{! c }}", "{{nosuch}}", "{{#nosuch}}", "{{/nosuch}}", "{{^nosuch}}",
    "{{ f }}", "{{$.}}", "{{%.}}", "{{", "}}", "{{=<% %>=}}", "<%a%>", "x", "\n", "  ", "{{n}}",
    "{{#-top-}}", "{{/-top-}}", "{{$nest}}", "{{-top-.a}}", "{{#l}}", "{{/l}}", "{{z}}", "{{'}}",
)  # fmt: skip
_SECTIONS = (
    "{{#nest}}{{q}}{{#l}}({{.}}){{/l}}{{/nest}}", "{{#-top-}}{{@}}={{.}};{{/-top-}}",
    "{{#a}}{{.}},{{/a}}", "{{#b}}x{{/b}}{{^b}}y{{/b}}", "{{#nest}}{{@}}{{/nest}}{{z}}",
    "a\n{{#b}}\n  b\n{{/b}}\nc", "{{^nosuch}}\n none\n{{/nosuch}}\n", " {{! x }} \nz",
)  # fmt: skip


def _mustache(draw: Draw) -> str:
    if draw.seldom(0.3):
        return draw.of(*_SECTIONS)
    return draw.quoted("".join(draw.some(lambda: draw.one(*_TAGS), 0, 5)))


def _replacement(draw: Draw) -> str:
    return draw.of(
        "", "X", "<\\1>", "[$1]", "a$2b", "\\0", "$$", "\\\\", "\\", "é", "$", "x$0y", "\\2"
    )


def _map_template(draw: Draw) -> str:
    return draw.of(
        "$(this)", "<$(this)>", "x", "$(this)$(scal)", "$(this)$(nosuch)", "", "${this}", "@(this)",
    )  # fmt: skip


def _pair_template(draw: Draw) -> str:
    return draw.of(
        "$(this.k)=$(this.v)", "$(this.v)", "$(this.k)", "x", "$(this.k)$(this.k[1])=$(this.v)",
        '{"$(this.k)":"$(this.v)"}', '["$(this.v)"]', "$(this.v)$(scal)", "", "${this.v}",
        "$(this.v)$(nosuch)",
    )  # fmt: skip


def _class_expression(draw: Draw) -> str:
    if draw.depth < 2 and draw.seldom(0.15):
        return draw.nested("regcmp", "isvariable", "strcmp", "not", "some", "fileexists", "concat")
    return draw.of(
        "any", "linux", "nosuch", "!any", "!nosuch", "any.linux", "any|nosuch", "any&!nosuch", "",
        "(any)", "a b", "any.", "linux.(any|nosuch)", "$(nosuch)", "@(sl)", "x-y", "!!any",
        "default:any",
        "$(scal)", "é",
    )  # fmt: skip


def _reference(draw: Draw) -> str:
    return draw.of(
        *_NAMES, *_STRANGE, "d[n]", "da[0]", "da[9]", "const.n", "d[f]", "arr2[a][b]", "kv[k5]"
    )


def _time_form(draw: Draw) -> str:
    parts = ("%Y", "%m", "%d", "%H", "%M", "%S", "%s", "%P", "%F", "%T", "%A", "%j", "%%", "-",
        "x", "é",
             "%e", "%Z", "%z", "%U", "%Q", "%", "%E", "%-d", "%5Y", "%c")  # fmt: skip
    return draw.quoted("".join(draw.some(lambda: draw.one(*parts), 0, 4)))


def _array_name(draw: Draw) -> str:
    return f'"a{draw.number}"'


def _yaml(draw: Draw) -> str:
    atoms = ("a: 1", "- x", "b: [1, 2.5]", "- {k: v}", "c:", "  d: e", "~", "- yes", "- 'q'",
        "- 007",
             "k: |\n  t\n  u", "--- ", "- &a x", "- *a", "# c", "- !!str 5", "-", "x", "- null",
             "- .5")  # fmt: skip
    return draw.quoted("\n".join(draw.some(lambda: draw.one(*atoms), 1, 3)))


def _words(*words: str) -> Maker:
    return lambda draw: draw.of(*words)


MAKERS: dict[str, Maker] = {
    "text": _text, "texts": _texts, "regex": _regex, "number": _number, "count": _count,
    "integer": _integer, "expression": _sum, "json": _json_text, "container": _container,
    "paths": _paths, "index": _index, "file": _file, "array-file": _array_file,
    "number-file": _number_file, "directory": _directory, "glob": _glob, "globs": _glob,
    "relative-glob": _relative_glob, "path-text": _path_text, "command": _command,
    "template": _template, "shown": _shown, "mustache": _mustache, "replacement": _replacement,
    "map": _map_template, "pairs": _pair_template, "class": _class_expression,
    "classes": _class_expression, "reference": _reference, "time-form": _time_form,
    "named": _words(*_NAMES[:17], "nosuch", "d[nest]", "other.list", "nosuch.x", "$(name)"),
    "array": _array_name, "yaml": _yaml,
    "array-text": _words("1:2\n3:4", "a b\nc", "", "x:y:z\n\n#c\n1:2\n", "$(multi)", "a", ":",
        "1,2,3"),
    "number-text": _words("1:2\n3:4", "", "10k:1\n", "5", "1:-2:3"),
    "comment": _words("", "#[^\n]*", "#.*", "(", "x*", "\\s*#[^\n]*", "a"),
    "separator": _words(":", ",", " ", "[:,]", "\\s+", "(", "x*", "", "\n"),
    "bool": _words("true", "false", "yes", "no", "on", "off"),
    "suffix": _words("", ".txt", "txt", "b.txt", "."),
    "version": _words("2", "2.9", "1.10.99", "4", "4.0.0", "99.1", "x", "", "2.x", "3.99.1-2",
        "$(zero)"),
    "class-pattern": _words("linux", "any", "nosuch", "lin(ux)", "(", "linu.", "probe_.*"),
    "class-name": _words("linux", "any", "nosuch", "probe_class"),
    "tag": _words("hardclass", "nosuch", "source=.*", "inventory"),
    "range": _words("[1-3]", "h[08-11]z", "a[3-1]", "[1-10]x", "p[2-4", "[-1-2]", "[$(zero)-4]"),
    "few": _words("0", "1", "2", "3", "10", "$(neg)", "$(scal)"),
    "step": _words("1", "2", "1", "2", "3"),
    "levels": _words("0", "1", "2"),
    "shell": _words("noshell", "useshell"),
    "user": _words("root", "daemon", "nosuchuser", "0", "1", "99999", "", "nobody"),
    "users": _words("", "root", "root,daemon", "nosuch", "0", "0,1", ","),
    "environment": _words("PROBE", "NOSUCHVAR"),
    "digest": _words("b1946ac92492d2347c6235b4d2611184", "nosuch",
        "d41d8cd98f00b204e9800998ecf8427e"),
    "host": _words("localhost", "127.0.0.1"),
    "ip-range": _words("127.0.0.1", "127", "127.0.0.0/8", "0.0.0.0/0", "10.0.0.1/16", "127.0.0.1-9",
                       "10.0-5.1", "::1", "abc", "", "1.2.3.4/33", "10.1", "192.168.1.0/24",
                       "1.2/3-4"),
    "ip": _words("127.0.0.1", "10.0.3.4", "10.12.0.1", "192.168.1.77", "::1", "fe80::1", "abc",
        "", "1.2.3.4"),
    "interface": _words("lo", "eth0", "nosuch"),
    "host-range": _words("1-5", "a", "", "5-1", "0-99"),
    "year": _words("1971", "2900", "3000", "1970"),
    "far": lambda _: "1000",
    "stamp": _words("0", "1", "1000000000", "2147483648", "99999999999", "951782400", "1709164800"),
    "map-mode": _words("none", "canonify", "json"),
    "sysctl": _words("kernel.ostype", "kernel/ostype", "nosuch", "", "kernel",
        "net.ipv4.ip_forward"),
    "bundle": _words("other", "default:other", "nosuch", "nosuch:other"),
    "bundle-pattern": _words("default:other", "default:oth.*", "nosuch", "(", "other",
        "default:[no].*er"),
    "variable-pattern": _words("default:other\\..*", "default:other.data", "nosuch", "(",
        "other.*", "default:const.n"),
    "other-tag": _words("source=promise", "nosuch", ".*promise", "t1"),
    "module": _words("nosuch"),
    "infix": _words("infix"),
    "constant": _words("x", "$(sl)"),
    "seed": _words("seed", "", "a", "é", "$(scal)"),
    "replaced": _words("", "a", "X", "aa", "b", "é", "$(scal)", ",", "."),
    "options": _words("", "g", "gi", "i", "T", "gT", "U", "x", "s", "m", "gm", "z"),
    "ifelse": _class_expression,
}  # fmt: skip

KINDS = {
    # function: what its arguments are, where its signature leaves that open; the last may repeat
    "accessedbefore": "file file",
    "ago": "far",
    "and": "classes...",
    "basename": "path-text suffix...",
    "bundlesmatching": "bundle-pattern other-tag...",
    "bundlestate": "bundle",
    "cf_version_after": "version",
    "cf_version_at": "version",
    "cf_version_before": "version",
    "cf_version_between": "version version",
    "cf_version_maximum": "version",
    "cf_version_minimum": "version",
    "changedbefore": "file file",
    "classesmatching": "class-pattern tag...",
    "classfiltercsv": "file bool count count...",
    "classmatch": "class-pattern tag...",
    "concat": "texts...",
    "countclassesmatching": "class-pattern tag...",
    "countlinesmatching": "regex file",
    "data_expand": "container",
    "data_readstringarray": "array-file comment separator count count",
    "data_readstringarrayidx": "array-file comment separator count count",
    "data_regextract": "regex text",
    "difference": "container container",
    "dirname": "path-text",
    "eval": "expression math|class... infix...",
    "every": "regex container",
    "execresult": "command shell both|stdout|stderr...",
    "execresult_as_data": "command shell both|stdout|stderr...",
    "expandrange": "range step",
    "filesexist": "paths",
    "filter": "regex container bool bool count",
    "findfiles": "globs...",
    "findfiles_up": "directory relative-glob levels",
    "format": "template shown...",
    "getclassmetatags": "class-name",
    "getenv": "environment count",
    "getfields": "regex file separator array",
    "getgid": "user",
    "getindices": "container",
    "getuid": "user",
    "getuserinfo": "user...",
    "getusers": "users users",
    "getvalues": "container",
    "getvariablemetatags": "named",
    "grep": "regex container",
    "groupexists": "user",
    "hashmatch": "file md5|sha1|sha256 digest",
    "hash_to_int": "integer integer text",
    "host2ip": "host",
    "hostrange": "text host-range",
    "int": "number",
    "intersection": "container container",
    "ip2host": "host",
    "iprange": "ip-range interface...",
    "isgreaterthan": "number number",
    "isipinsubnet": "ip-range ip...",
    "islessthan": "number number",
    "isvariable": "reference",
    "join": "text container",
    "lastnode": "text regex",
    "laterthan": "year",
    "length": "container",
    "lsdir": "directory regex bool",
    "makerule": "file paths",
    "maparray": "pairs container",
    "mapdata": "map-mode pairs container",
    "maplist": "map container",
    "max": "container",
    "mean": "container",
    "mergedata": "container container...",
    "min": "container",
    "none": "regex container",
    "not": "class",
    "nth": "container index",
    "or": "classes...",
    "parseintarray": "array number-text comment separator count count",
    "parsejson": "json",
    "parserealarray": "array number-text comment separator count count",
    "parsestringarray": "array array-text comment separator count count",
    "parsestringarrayidx": "array array-text comment separator count count",
    "parseyaml": "yaml",
    "peerleader": "file comment",
    "peerleaders": "file comment",
    "peers": "file comment",
    "product": "container",
    "readcsv": "file count...",
    "readintarray": "array number-file comment separator count count",
    "readintlist": "number-file comment separator count count",
    "readrealarray": "array number-file comment separator count count",
    "readreallist": "number-file comment separator count count",
    "readstringarray": "array array-file comment separator count count",
    "readstringarrayidx": "array array-file comment separator count count",
    "readstringlist": "file comment separator count count",
    "regarray": "container regex",
    "regcmp": "regex text",
    "regex_replace": "text regex replacement options",
    "regextract": "regex text array",
    "regline": "regex file",
    "reglist": "container regex",
    "registryvalue": "text text",
    "returnszero": "command shell",
    "reverse": "container",
    "search_up": "directory relative-glob levels",
    "shuffle": "container seed",
    "some": "regex container",
    "sort": "container",
    "splitstring": "text regex count",
    "storejson": "container",
    "strftime": "gmtime|localtime time-form stamp",
    "string_mustache": "mustache container",
    "string_replace": "text replaced text -",
    "string_split": "text regex few",
    "sublist": "container head|tail count",
    "sum": "container",
    "sysctlvalue": "sysctl",
    "type": "reference bool...",
    "unique": "container",
    "usemodule": "module text",
    "userexists": "user",
    "validdata": "json JSON -",
    "validjson": "json -",
    "variablesmatching": "variable-pattern other-tag...",
    "variablesmatching_as_data": "variable-pattern other-tag...",
    "variance": "container",
}
_WRITTEN: dict[str, Maker] = {"str": _text, "path": _file, "id": _words("x"), "int": _integer}


def _maker(word: str) -> Maker:
    """What makes arguments of the kind WORD, of `KINDS` or of a signature."""
    if word in MAKERS:
        return MAKERS[word]
    if word.startswith("int["):
        low, _, high = word[4:-1].partition("..")
        return _between(int(low), int(high))
    if word.startswith("int>="):
        return _count
    if "|" in word:
        return _words(*word.split("|"))
    return _WRITTEN.get(word.partition("/")[0], _words(word))


def _kinds(name: str) -> list[str]:
    """The kinds of the arguments of NAME: what `KINDS` says, and the signature for the rest.

    A `-` ends them: the reference takes no more.
    """
    signature = SIGNATURES[name][1].split()
    special = KINDS.get(name, "").split()
    if special and special[-1] == "-":
        return special[:-1]
    return special + signature[len(special) :]


def written(draw: Draw, name: str) -> str:
    """A call of NAME as policy writes it."""
    arguments: list[str] = []
    least, _, most = SIGNATURES[name][3].partition("V")[2].partition(":")
    for word in _kinds(name):
        make = _maker(word.removesuffix("..."))
        if not word.endswith("..."):
            arguments.append(make(draw))
            continue
        missing = max(int(least or 0) - len(arguments), 0)
        room = (int(most) if most else len(arguments) + 4) - len(arguments)
        count = draw.random.randint(missing, max(min(room, missing + 3), missing))
        arguments += [make(draw) for _ in range(count if not most else min(count, 1))]
    if name == "ifelse" and len(arguments) % 2 == 0:
        arguments.append(_text(draw))
    return f"{name}({draw.one(', ', ',').join(arguments)})"


NAMES = [name for name in SIGNATURES if name not in LEFT_OUT]


def draw_call(draw: Draw, number: int, only: str = "") -> Call:
    """The call with this NUMBER: of the function ONLY, or of any."""
    draw.number = number
    name = only or draw.one(*NAMES)
    return Call(number, name, SIGNATURES[name][0], written(draw, name))


def make_world(directory: Path) -> None:
    """The files that calls are about, below DIRECTORY."""
    (directory / "fs" / "sub").mkdir(parents=True)
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o644)
        os.utime(directory / name, (1_500_000_000, 1_500_000_000))
    for name, target in LINKS.items():
        (directory / "fs" / name).symlink_to(target)
    (directory / "fs" / "ld").symlink_to(directory / "fs" / "sub")
    (directory / "fs" / "f").chmod(0o4755)
    (directory / "ww").chmod(0o777)
    os.utime(directory / "old", (1_400_000_000, 1_400_000_000))
    os.utime(directory / "new", (1_600_000_000, 1_600_000_000))
