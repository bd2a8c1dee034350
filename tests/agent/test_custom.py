"""Custom promise types: what their modules are told, and what their answers come to."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import promise_modules
from agent.actuators.custom import BODIES
from agent.outcome import Outcome
from policy import vocabulary
from tests.agent.driver import Agent, Kept

ROOT = Path(__file__).parents[2]
JSON = "demo 0.1 v1 json_based action_policy"
LINES = "demo 0.1 v1 line_based action_policy"
MORE = """
body perms private { mode => "600"; rxdirs => "false"; }
body colour bright(hue) { hue => "$(hue)"; also => { "a", "b" }; }
body action warn { action_policy => "warn"; }
body action often { ifelapsed => "0"; expireafter => "9"; log_level => "error"; }
"""


class Custom:
    """An agent with modules for the promise types `demo` and `other`."""

    def __init__(self, tmp_path: Path) -> None:
        self.agent = Agent(tmp_path)
        self.path = tmp_path / "module.py"
        self.log = tmp_path / "heard"
        self.made = tmp_path / "made"

    def keep(self, promises: str, header: str = JSON, **more: Any) -> Kept:
        """Keep PROMISES, of type `demo` unless they name another, by a module with HEADER."""
        self.write(f"serve({header!r}, {str(self.log)!r})")
        sections = promises if ":\n" in promises else f"demo:\n{promises}"
        return self.agent.keep(sections, self.declared() + MORE, **more)

    def write(self, then: str) -> None:
        """Make the module: it imports `serve` and does THEN."""
        begin = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        imported = "from tests.agent.promise_module import serve\n"
        self.path.write_text(f"{begin}{imported}{then}\n")

    def declared(self) -> str:
        """The declarations of the types."""
        body = f'{{ interpreter => "{sys.executable}"; path => "{self.path}"; }}\n'
        return f"promise agent demo {body}promise agent other {body}"

    @property
    def heard(self) -> list[str]:
        """The lines that the module was told."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def told(self) -> dict[str, Any]:
        """The attributes of the last evaluation, which was asked for in JSON."""
        asked = [json.loads(line) for line in self.heard if '"evaluate_promise"' in line]
        attributes: dict[str, Any] = asked[-1].get("attributes", {})
        return attributes


@pytest.fixture
def custom(tmp_path: Path) -> Custom:
    return Custom(tmp_path)


def writes(custom: Custom, more: str = "") -> str:
    """A promise to write a file."""
    return f'"{custom.made}" do => "write", content => "x", classes => fired{more};'


# repaired, kept, and only said


@pytest.mark.parametrize("header", [JSON, LINES])
def test_what_was_repaired_is_kept(custom: Custom, header: str) -> None:
    first = custom.keep(writes(custom), header)
    second = custom.keep(writes(custom), header)

    assert first.fired == {"repaired"}
    assert first.lines == [f"info: wrote file '{custom.made}'"]
    assert custom.made.read_text() == "x"
    assert second.fired == {"kept"}
    assert second.lines == []


def test_a_dry_run_changes_nothing(custom: Custom) -> None:
    kept = custom.keep(writes(custom), dry=True)

    assert not custom.made.exists()
    assert kept.lines == [f"warning: Should write file '{custom.made}', but only warning promised"]
    assert kept.fired == {"failed"}
    assert custom.told["action_policy"] == "warn"


def test_a_promise_that_only_warns_changes_nothing(custom: Custom) -> None:
    kept = custom.keep(writes(custom, ", action => warn"))

    assert not custom.made.exists()
    assert kept.fired == {"failed"}


@pytest.mark.parametrize("dry", [True, False])
def test_a_module_that_cannot_only_warn_is_not_asked_to(custom: Custom, dry: bool) -> None:
    promise = writes(custom, "" if dry else ", action => warn")

    kept = custom.keep(promise, "demo 0.1 v1 json_based", dry=dry)

    assert kept.lines == [
        "error: Not making changes to the system, but the custom promise module "
        f"'{custom.path}' doesn't support action_policy"
    ]
    assert kept.fired == {"failed"}
    assert '"evaluate_promise"' not in "".join(custom.heard)


def test_the_answer_is_the_preview_of_a_plan(custom: Custom) -> None:
    kept = custom.keep(writes(custom), plan=True)

    assert not custom.made.exists()
    assert kept.planned == [f"write file '{custom.made}'"]
    assert kept.lines == []
    assert kept.fired == {"repaired"}


def test_a_plan_does_not_know_what_a_module_would_do_that_cannot_say(custom: Custom) -> None:
    kept = custom.keep(writes(custom), "demo 0.1 v1 json_based", plan=True)

    assert kept.run.planned is not None
    assert [step.unknown for step in kept.run.planned.steps] == [True]
    assert not custom.made.exists()


@pytest.mark.parametrize("result", ["error", "not_kept"])
def test_a_module_that_fails_fails_in_a_plan(custom: Custom, result: str) -> None:
    kept = custom.keep(f'"p" result => "{result}", say => "error", classes => fired;', plan=True)

    assert kept.planned == []
    assert kept.fired == {"failed"}


def test_what_is_kept_is_no_step_of_a_plan(custom: Custom) -> None:
    custom.made.write_text("x")

    kept = custom.keep(writes(custom), plan=True)

    assert kept.planned == []
    assert kept.fired == {"kept"}


# what a module is told


def test_json_questions(custom: Custom) -> None:
    custom.keep('"p\\"\u00e9" b => "1", a => { "x", "y" }, handle => "h", comment => "why";')

    policy = custom.agent.base / "policy.cf"
    asked = {
        "attributes": {"a": ["x", "y"], "b": "1", "comment": "why", "handle": "h"},
        "filename": str(policy),
        "line_number": 3,
        "log_level": "info",
        "operation": "validate_promise",
        "promise_type": "demo",
        "promiser": 'p"\u00e9',
    }
    lines = [json.dumps(asked, separators=(",", ":"), ensure_ascii=False)]
    lines += ["", lines[0].replace("validate", "evaluate"), "", '{"operation":"terminate"}', ""]
    assert custom.heard == ["cf-agent 3.28.0 v1", "", *lines]


def test_questions_in_lines(custom: Custom) -> None:
    custom.keep('"p" b => "1=2", a => "", comment => "why", perms => private;', LINES)

    told = [
        "log_level=info",
        "promise_type=demo",
        "promiser=p",
        "line_number=3",
        f"filename={custom.agent.base}/policy.cf",
        "attribute_b=1=2",
        "attribute_a=",
        "attribute_comment=why",
        "attribute_perms_name=private",
        "attribute_perms=true",
        "attribute_mode=600",
        "attribute_rxdirs=false",
        "",
    ]
    asked = ["operation=validate_promise", *told, "operation=evaluate_promise", *told]
    assert custom.heard == ["cf-agent 3.28.0 v1", "", *asked, "operation=terminate", ""]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("perms => private", {"mode": "600", "perms": "true", "perms_name": "private",
                              "rxdirs": "false"}),
        ('colour => bright("red")', {"colour": {"hue": "red", "also": ["a", "b"]}}),
        ("colour => nothing", {"colour": "nothing"}),
        ("action => often", {"ifelapsed": "0"}),
        ("list => @(l), each => { @(l), 'c' }", {"list": ["a", "b"], "each": ["a", "b", "c"]}),
        ("none => @(none)", {"none": []}),
        ("data => @(d)", {"data": {"a": [1, "q", True, None, 1.5]}}),
        ('made => mergedata("d", \'{"b": 2}\')', {"made": {"a": [1, "q", True, None, 1.5],
                                                           "b": 2}}),
        ('is => and("any"), isnt => not("any")', {"is": "any", "isnt": "!any"}),
        ('w => "$(with)", with => "here", if => "any", meta => { "m" }', {"w": "here"}),
        ('me => "$(this.promiser)"', {"me": "p"}),
    ],
)  # fmt: skip
def test_what_is_told_of_attributes(custom: Custom, written: str, told: dict[str, Any]) -> None:
    custom.keep(
        'vars: "l" slist => { "a", "b" }; "none" slist => {};\n'
        '"d" data => \'{"a":[1,"q",true,null,1.5]}\';\n'
        f'demo:\n"p" {written};'
    )

    assert custom.told == told


def test_the_bodies_that_are_spread_out_are_those_of_the_language() -> None:
    assert set(vocabulary.BODIES) == BODIES


@pytest.mark.parametrize(
    ("level", "wanted", "told"),
    [
        ("notice", "", "notice"),
        ("error", "", "error"),
        ("verbose", 'log_level => "inform"', "info"),
        ("info", 'log_level => "verbose"', "info"),
        ("info", 'log_level => "critical"', "error"),
        ("info", "action => often", "error"),
    ],
)
def test_at_which_level_a_module_logs(custom: Custom, level: str, wanted: str, told: str) -> None:
    custom.keep(f'"p" {wanted};', level=level)

    assert {json.loads(line)["log_level"] for line in custom.heard if "_promise" in line} == {told}


def test_one_process_keeps_all_promises_of_a_path(custom: Custom) -> None:
    kept = custom.keep(
        'demo:\n"a" say => "notice"; "b" say => "notice";\nother:\n"c" say => "notice";'
    )

    assert len(kept.lines) == 3
    assert len(set(kept.lines)) == 1
    assert custom.heard.count('{"operation":"terminate"}') == 1


def test_what_a_module_writes_to_stderr_is_seen(
    custom: Custom, capfd: pytest.CaptureFixture[str]
) -> None:
    custom.write(f"print('x' * 100000, file=sys.stderr); serve({JSON!r}, {str(custom.log)!r})")

    custom.agent.keep('demo: "p" classes => fired;', custom.declared())

    assert capfd.readouterr().err == "x" * 100000 + "\n"


# what answers come to


BUG = "CRITICAL: Bug in promise module -"
ABOUT = "demo promise with promiser 'p' (FILE:3)"


@pytest.mark.parametrize(
    ("answer", "fired", "line"),
    [
        ('result => "kept"', "kept", ""),
        ('result => "kept", say => "error"', "kept", "error: said error"),
        ('result => "repaired", say => "info"', "repaired", "info: said info"),
        ('result => "repaired"', "repaired",
         f"{BUG} Failed to log about changes made by a repaired {ABOUT}"),
        ('result => "not_kept", say => "error"', "failed", "error: said error"),
        ('result => "not_kept", say => "critical"', "failed", "CRITICAL: said critical"),
        ('result => "not_kept"', "failed", f"{BUG} Failed to log errors for not kept {ABOUT}"),
        ('result => "error"', "failed",
         "error: An unexpected error occured in promise module (demo promise, promiser: 'p' "
         "module: 'MODULE')"),
        ('result => "none"', "failed",
         "error: Promise module did not return a result for promise evaluation (demo promise, "
         "promiser: 'p' module: 'MODULE')"),
        ('result => "fine"', "failed",
         "error: Promise module returned unacceptable result: 'fine' (demo promise, "
         "promiser: 'p' module: 'MODULE')"),
        ('valid => "invalid"', "failed", f"{BUG} No error(s) logged for invalid {ABOUT}"),
        ('valid => "none"', "failed", f"{BUG} No error(s) logged for invalid {ABOUT}"),
        ('valid => "invalid", complain => "error"', "failed", "error: said error"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("header", [JSON, LINES])
def test_how_a_promise_ends(
    custom: Custom, header: str, answer: str, fired: str, line: str
) -> None:
    kept = custom.keep(f'"p" {answer}, classes => fired;', header)

    said = [each.partition(" by ")[0] if "said" in each else each for each in kept.lines]
    expected = line.replace("FILE", f"{custom.agent.base}/policy.cf")
    assert said == ([expected.replace("MODULE", str(custom.path))] if line else [])
    assert kept.fired == {fired}


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ('result => "kept", say => "info"', f"'info:' log messages reported for {ABOUT}"),
        ('result => "repaired", say => "info"', f"{ABOUT} repaired"),
        ('result => "not_kept"', f"Failed to log warnings for not kept {ABOUT}"),
    ],
)
def test_a_module_that_should_only_warn_is_watched(
    custom: Custom, answer: str, complaint: str
) -> None:
    kept = custom.keep(f'"p" {answer};', dry=True)

    expected = complaint.replace("FILE", f"{custom.agent.base}/policy.cf")
    assert f"{BUG} {expected} while making changes on the system disabled" in kept.lines


def test_the_classes_of_an_answer_hold_in_the_bundle(custom: Custom) -> None:
    kept = custom.keep(
        'demo:\n"p" result => "not_kept", say => "error", classes_set => "one,and two";\n'
        'classes:\n one.and_two::\n "inside" scope => "namespace";',
        LINES,
    )

    assert kept.has("inside")
    assert not kept.has("one")


# what cannot be told


def test_an_open_promise_fails_and_waits_for_a_value(custom: Custom) -> None:
    kept = custom.keep(
        'demo:\n"p" a => "$(later)", classes => fired;\nvars:\n failed::\n "later" string => "now";'
    )

    assert kept.fired == {"failed", "kept"}
    assert kept.only(Outcome.KEPT)
    assert custom.told == {"a": "now"}
    assert kept.lines == []


@pytest.mark.parametrize(
    "promise",
    ['"p $(no)"', '"p" a => "$(no)"', '"p" a => { "$(no)" }', '"p" a => @(no)',
     '"p" a => no_function("x")', '"p" colour => dull("x")'],
)  # fmt: skip
def test_a_promise_that_stays_open_is_complained_of_once(custom: Custom, promise: str) -> None:
    kept = custom.keep(f"{promise}, classes => fired;" if "=>" in promise else f"{promise};")

    promiser = promise.split('"')[1]
    assert kept.lines[-1:] == [
        f"error: demo promise with promiser '{promiser}' has unresolved/unexpanded variables"
    ]
    assert kept.only(Outcome.FAILED)
    assert '"validate_promise"' not in "".join(custom.heard)


@pytest.mark.parametrize(
    ("promise", "complaint"),
    [
        ('"p" a => { "x" };', "has unresolved/unexpanded variables"),
        ('"p" a => "x$(const.n)$(const.n)operation=evaluate_promise";',
         "has a text of several lines, which its module cannot be told"),
    ],
)  # fmt: skip
def test_lines_cannot_tell_everything(custom: Custom, promise: str, complaint: str) -> None:
    kept = custom.keep(promise, LINES)

    assert kept.lines == [f"error: demo promise with promiser 'p' {complaint}"]
    assert not any(line.startswith("operation=eval") for line in custom.heard)


# modules that fail


@pytest.mark.parametrize("do", ["die", "babble"])
@pytest.mark.parametrize(("header", "name"), [(JSON, "JSON"), (LINES, "line")])
def test_a_module_that_fails_keeps_no_further_promise(
    custom: Custom, do: str, header: str, name: str
) -> None:
    kept = custom.keep(f'"a" do => "{do}"; "b"; "c" classes => fired;', header)

    broken = (
        f"error: The '{custom.path}' promise module sent an invalid/incomplete response with "
        f"{name} based protocol"
    )
    assert [line for line in kept.lines if line == broken] == [broken] * 3
    assert len(kept.lines) == (3 if do == "die" else 4)
    assert kept.fired == {"failed"}


@pytest.mark.parametrize(
    ("then", "complaint"),
    [
        ("sys.exit(1)", "Did not receive header from promise module 'MODULE'"),
        ("print('demo 1 v1 json_based\\nmore', flush=True)",
         "Promise module 'PYTHON MODULE' failed to send empty line after header: 'more'"),
        ("print('demo 1 v9 json_based\\n', flush=True)",
         "Promise module 'PYTHON MODULE' sent an invalid header: 'demo 1 v9 json_based'"),
    ],
)  # fmt: skip
def test_a_bad_start(custom: Custom, then: str, complaint: str) -> None:
    custom.write(then)

    kept = custom.agent.keep('demo: "p" classes => fired;', custom.declared())

    expected = complaint.replace("MODULE", str(custom.path)).replace("PYTHON", sys.executable)
    assert kept.lines == [f"error: {expected}"]
    assert kept.fired == {"failed"}


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("demo 0.1 v1", "didn't fully specify protocol. Using 'line_based' as the default."),
        ("demo 0.1 v1 json_based line_based", "Ambiguous protocol specification"),
    ],
)
def test_a_vague_header(custom: Custom, header: str, complaint: str) -> None:
    kept = custom.keep('"p" classes => fired;', header)

    assert [complaint in line for line in kept.lines] == [True]
    assert kept.fired == {"kept"}


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ('interpreter => "/no/python"; path => "/dev/null";',
         "Promise module interpreter '/no/python' is not an executable file"),
        ('interpreter => "/bin/sh"; path => "/no/module";',
         "Promise module '/no/module' does not exist"),
        ('path => "/etc/passwd";', "Promise module path '/etc/passwd' is not an executable file"),
    ],
)  # fmt: skip
def test_a_module_that_is_not_there(custom: Custom, declared: str, complaint: str) -> None:
    kept = custom.agent.keep('demo: "p" classes => fired;', f"promise agent demo {{ {declared} }}")

    assert kept.lines == [f"error: {complaint}"]
    assert kept.fired == {"failed"}


def test_one_path_has_one_interpreter(custom: Custom) -> None:
    custom.write(f"serve({JSON!r}, {str(custom.log)!r})")

    kept = custom.agent.keep(
        'demo: "p"; other: "q" classes => fired;',
        f'promise agent demo {{ interpreter => "{sys.executable}"; path => "{custom.path}"; }}'
        f'promise agent other {{ interpreter => "/bin/sh"; path => "{custom.path}"; }}',
    )

    assert kept.lines == [
        "error: Conflicting interpreter specifications for custom promise module "
        f"'{custom.path}' (started with '{sys.executable}' and '/bin/sh' requested for promise "
        "'q' of type 'other')"
    ]
    assert kept.fired == {"failed"}


def test_a_type_that_nobody_declared(custom: Custom) -> None:
    kept = custom.agent.keep('custom: "p" classes => fired;')

    assert kept.lines == ["error: Undefined promise type 'custom'"]
    assert kept.fired == {"failed"}


# the end


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_module_that_does_not_end_is_ended(
    custom: Custom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promise_modules, "PATIENCE", 0.1)
    custom.write(
        f"serve({JSON!r}, {str(custom.log)!r})\nimport time\nsys.stdout.flush()\ntime.sleep(60)"
    )

    kept = custom.agent.keep('demo: "p" say => "notice";', custom.declared())

    assert not alive(int(kept.lines[0].rpartition(" ")[2]))


def test_what_a_module_leaves_running_does_not_hold_us(custom: Custom) -> None:
    custom.write(
        "import subprocess\nsubprocess.Popen(['/bin/sleep', '2'])\n"
        f"serve({JSON!r}, {str(custom.log)!r})"
    )

    before = os.times().elapsed
    kept = custom.agent.keep('demo: "p" classes => fired;', custom.declared())

    assert kept.fired == {"kept"}
    assert os.times().elapsed - before < 1.5
