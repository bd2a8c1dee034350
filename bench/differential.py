"""Random calls of the built-in functions, answered by our agent and by the reference, compared.

usage: python -m bench.differential [--calls N] [--seed N] [--only NAME] [--ours DIR]
                                    [--reference DIR] [--keep FILE]

Hundreds of calls are one policy. Where an agent does not live to the end of it, the calls are
halved until those that kill it are alone. What differs is asked again alone, and then has to be in
the table of known differences between the reference's version, 3.21, and ours, 3.28.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import calls, race

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.calls import Call

BATCH = 250
MEMORY = 2_000_000 * 1024  # bytes of address space: the reference once took 16 GB
SECONDS = 15
POLICY = """
body common control { bundlesequence => { "other", "probe", "result" }; }
bundle agent other {
  vars:
    "list" slist => { "o1", "o2" };
    "data" data => '{"o":{"p":[1,"q"]},"r":2.5}';
    "array[x]" string => "ox";
    "array[y]" string => "oy";
}
bundle agent probe {
  vars:
%s
  vars:
%s
    "classes" slist => classesmatching("[cn][0-9]+");
  classes:
    "probe_class" expression => "any";
%s
}
bundle agent result {
  files:
    "$(sys.workdir)/result.json"
      create => "true",
      content => storejson(bundlestate("probe"));
}
"""


# running


def policy(asked: list[Call], directory: str) -> str:
    """The policy that makes all calls ASKED for."""
    variables, classes = [], []
    for call in asked:
        if call.returns == "class":
            classes.append(f'    "c{call.number}" expression => {call.text};')
            classes.append(f'    "n{call.number}" not => {call.text};')
        else:
            variables.append(f'    "v{call.number}" {call.returns} => {call.text};')
    setup = calls.SETUP.replace("DIR", directory)
    return POLICY % (setup, "\n".join(variables), "\n".join(classes))


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _run(command: list[str], environ: dict[str, str]) -> None:
    """Let COMMAND, and what it starts, have its time and memory, and no more."""
    process = subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_limited,
        start_new_session=True,
    )
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def state(side: race.Side, asked: list[Call], directory: str) -> dict[str, Any] | None:
    """All variables after the calls ASKED for; None if SIDE did not live to tell."""
    path = side.workdir / "calls.cf"
    path.write_text(policy(asked, directory), encoding="utf-8")
    path.chmod(0o600)
    result = side.workdir / "result.json"
    result.unlink(missing_ok=True)
    _run(side.command("cf-agent", "-Kf", str(path)), {**side.environ(), **calls.ENVIRON})
    try:
        text = result.read_text(encoding="latin-1")  # both write octets, one of them as \u00XX
        return dict(json.loads(text, strict=False, parse_float=str))
    except (OSError, ValueError):
        return None


def answers(side: race.Side, asked: list[Call], directory: str) -> dict[int, Any]:
    """What SIDE answers to each call: see `answer`."""
    found = state(side, asked, directory)
    if found is not None:
        arrays: dict[str, dict[str, Any]] = {}
        for key, value in found.items():
            name, bracket, index = key.partition("[")
            if bracket:
                arrays.setdefault(name, {})[bracket + index] = value
        return {call.number: answer(call, found, arrays.get(f"a{call.number}")) for call in asked}
    if len(asked) == 1:
        return {asked[0].number: "DEAD"}
    middle = len(asked) // 2
    return {
        **answers(side, asked[:middle], directory),
        **answers(side, asked[middle:], directory),
    }


def answer(call: Call, found: dict[str, Any], array: dict[str, Any] | None) -> Any:
    """What came of CALL: a value, `any` or `!any` of a class, UNDEF; and the ARRAY that it set.

    DEAD, in place of all this, is an agent that ended, crashed or took too long.
    """
    if call.returns == "class":
        classes = found.get("classes", ())
        holds, fails = f"c{call.number}" in classes, f"n{call.number}" in classes
        value = "any" if holds else "!any" if fails else "UNDEF"
    else:
        value = found.get(f"v{call.number}", "UNDEF")
    return [value, array] if array else value


# comparing


def unordered(value: Any) -> Any:
    """VALUE without regard to the order of items, and of characters in a text."""
    if isinstance(value, dict):
        return sorted((key, unordered(item)) for key, item in value.items())
    if isinstance(value, list):
        return sorted(json.dumps(unordered(item)) for item in value)
    return "".join(sorted(value)) if isinstance(value, str) else value


ANY_ORDER = re.compile(
    r"\barr\b|\barr2\b|other\.array|classesmatching|variablesmatching|lsdir|findfiles|search_up"
)


def same(call: Call, theirs: Any, ours: Any) -> bool:
    """Whether the answers to CALL are the same as far as they are specified."""
    if theirs == ours:
        return True
    return bool(ANY_ORDER.search(call.text)) and unordered(theirs) == unordered(ours)


class Known(NamedTuple):
    """A difference that is meant: in calls that PATTERN finds, if HOLDS of both answers."""

    pattern: str
    reason: str
    holds: Callable[[Any, Any], bool] = lambda _theirs, _ours: True


def decoded(value: Any) -> Any:
    r"""VALUE with each `\u00XX` in it as the octet that it stands for."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if isinstance(value, dict):
        return {decoded(key): decoded(item) for key, item in value.items()}
    if isinstance(value, str):
        return re.sub(r"\\u00([0-9a-f]{2})", lambda it: chr(int(it[1], 16)), value)
    return value


def _escapes(theirs: Any, ours: Any) -> bool:
    return bool(decoded(theirs) == decoded(ours))


def _globs(theirs: Any, ours: Any) -> bool:
    """Whether two lists of paths are the same but for what the old engine did not know."""
    if not isinstance(theirs, list) or not isinstance(ours, list):
        return False
    links = ("/fs/dang", "/fs/c1", "/fs/c2", "/fs/.", "/fs/..", "/.hidden")
    left, right = (
        {path.rstrip("/") for path in paths if not path.endswith(links)} for paths in (theirs, ours)
    )
    return left == right


def _dead(theirs: Any, _: Any) -> bool:
    return bool(theirs == "DEAD")


def _shells(theirs: Any, ours: Any) -> bool:
    return bool(json.dumps(ours).replace("/bin/sh: ", "sh: ") == json.dumps(theirs))


def _refused(_: Any, ours: Any) -> bool:
    """Whether we do not have an answer."""
    return bool(ours in ("UNDEF", "!any", "", []))


def _stricter(theirs: Any, ours: Any) -> bool:
    """Whether the other side has an answer that we refuse to give, or died of it."""
    return _dead(theirs, ours) or _refused(theirs, ours)


def _zeros(theirs: Any, ours: Any) -> bool:
    left, right = (re.sub(r"-(0\b)", r"\1", json.dumps(it)) for it in (theirs, ours))
    return left == right


def _keys(value: Any) -> bool:
    """Whether VALUE has a key that must be escaped in JSON."""
    if isinstance(value, dict):
        return any(set(key) & set('"\\\n\t\r') or _keys(it) for key, it in value.items())
    return isinstance(value, list) and any(map(_keys, value))


KNOWN: tuple[Known, ...] = (
    Known("", r"JSON is written with \u00XX for an octet since 3.28", _escapes),
    Known(
        r"\w\(.*storejson\(.*[^\x00-\x7f]",
        r"another function makes something of JSON in which 3.28 writes \u00XX",
        lambda it, ours: not {"UNDEF", "DEAD"} & {str(it), str(ours)},
    ),
    Known("findfiles|search_up", "another engine for globs since 3.24", _globs),
    Known("(?i)yaml", "a document that is empty, or no UTF-8, crashes 3.21", _dead),
    Known("expandrange", "a step too small or too large is no longer fatal in 3.28", _dead),
    Known(
        r"[0-9]e[0-9]|mapdata\(.json",
        "a JSON integer with an exponent ends 3.21 in most functions; an error for us",
        _stricter,
    ),
    Known("", "3.21 writes keys of JSON unescaped", lambda it, ours: it == "DEAD" and _keys(ours)),
    Known("getindices", "lists have positions as their indices since 3.26"),
    Known("valid(json|data)", "what follows the text is an error since 3.22", _refused),
    Known("validdata", "only containers are data since 3.26", _refused),
    Known(r"\\u", r"JSON escapes of the form \u00XX are decoded since 3.28"),
    Known(
        "getenv",
        "a length that is none or negative is a format of printf for 3.21",
        lambda it, _: str(it).startswith("%"),
    ),
    Known(
        r"(?<![$][({])(d\[[abfgn]\]|da\[\d|kv\[k[245])",
        "a primitive inside data crashes 3.21, or is taken for nothing; we fail",
        _refused,
    ),
    Known(r"-0\b", "a JSON -0 is 0 for us", _zeros),
    Known("eval.*%", "a remainder by less than 1 kills 3.21", _dead),
    Known(
        r"""regex_replace\(.*(\$\$|\$['"]|\\)""",
        "a lone dollar, a backslash and an empty match at the end mean something else since 3.24",
    ),
    Known(
        r"regex_replace\(.*[$][1-9]",
        "a group that took no part in the match is an error since 3.24",
        lambda _, ours: ours == "UNDEF",
    ),
    Known("useshell", "its shell is `sh`, ours `/bin/sh`, as it says in its own errors", _shells),
    Known(
        r"""[^\s{,:]\s*\\?"[^"\\]*\\?"\s*[:= ]""",
        "a quoted key follows a brace or a comma since 2026",
        _refused,
    ),
    Known(
        r"isipinsubnet\(.0\.0\.0\.0/0",
        "an address that is none is in no network since 3.28",
        _refused,
    ),
    Known(r"@[({]", "3.21 ends over many texts that begin as `@(` and are no reference", _dead),
    Known("data_expand", "a primitive is no data for us", lambda _, ours: ours == "UNDEF"),
    Known("ifelse", "3.21 ends if it chooses a call that fails; we only fail", _dead),
    Known(
        r"format\(.*(list|string|values|indices|sort|unique|grep|reverse|filter|json|data|split)\(",
        "a list or data of a nested call is one argument of format since 3.26, not several",
        lambda it, ours: "UNDEF" in (it, ours),
    ),
    Known(r"translatepath\(.*long", "3.21 cuts it, at no fixed place"),
    Known(r"format\(.*%-?\d*S", "%S knows all containers since 3.26", lambda it, _: it == "UNDEF"),
)


def reason(call: Call, theirs: Any, ours: Any) -> str:
    """Why the answers to CALL may differ; "" if nobody knows."""
    for row in KNOWN:
        if re.search(row.pattern, call.text, re.DOTALL) and row.holds(theirs, ours):
            return row.reason
    return ""


class Difference(NamedTuple):
    """A call and its two answers."""

    call: Call
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        shown = [json.dumps(it, sort_keys=True) for it in (self.theirs, self.ours)]
        return (
            f"{self.call.returns} {self.call.text!r}\n    theirs {shown[0]}\n    ours   {shown[1]}"
        )


def differences(asked: list[Call], racers: list[race.Side], directory: str) -> Iterator[Difference]:
    """Where the two sides do not agree, when asked together and again when asked alone."""
    ours, theirs = (answers(side, asked, directory) for side in racers)
    for call in asked:
        if same(call, theirs[call.number], ours[call.number]):
            continue
        mine, other = (answers(side, [call], directory)[call.number] for side in racers)
        if not same(call, other, mine):
            yield Difference(call, other, mine)


def drawn(count: int, seed: int, only: str, directory: str) -> list[Call]:
    """As many random calls, the same for the same SEED."""
    draw = calls.Draw(random.Random(seed), directory)  # noqa: S311  # no secret
    return [calls.draw_call(draw, number, only) for number in range(count)]


def main() -> int:
    """Compare; 1 if there is a difference that nobody can explain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", choices=calls.NAMES, metavar="NAME")
    parser.add_argument("--ours", type=Path, default=race.OURS)
    parser.add_argument("--reference", type=Path, default=race.REFERENCE)
    parser.add_argument("--keep", type=Path, help="also write the unexplained ones to this file")
    options = parser.parse_args()
    explained: Counter[str] = Counter()
    unexplained: list[Difference] = []
    with tempfile.TemporaryDirectory(prefix="differential.") as scratch:
        racers = race.sides(Path(scratch), options.ours, options.reference)
        if len(racers) < 2:
            print(f"there is no agent to compare with in '{options.reference}'")
            return 0
        world = Path(scratch) / "world"
        calls.make_world(world)
        asked = drawn(options.calls, options.seed, options.only, str(world))
        for at in range(0, len(asked), BATCH):
            for found in differences(asked[at : at + BATCH], racers, str(world)):
                why = reason(*found)
                explained[why] += 1
                if not why:
                    unexplained.append(found)
                    print(str(found).replace(str(world), "DIR"), flush=True)
    for why, count in explained.most_common():
        print(f"{count:6} {why or 'UNEXPLAINED'}")
    print(f"{len(asked)} calls compared, {len(unexplained)} unexplained differences")
    if options.keep is not None:
        options.keep.write_text("\n".join(map(str, unexplained)))
    return int(bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
