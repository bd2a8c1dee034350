"""`troth check` and `cf-promises`: find the mistakes in policy, and show what it says."""

import os
import time

from agent import life
from agent.host import Host
from agent.log import STDERR, unusable
from agent.options import Settings
from policy.errors import Fatal, PolicyError
from policy.load import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.log import Log
    from agent.run import Run

    Note = tuple[str, str, str]  # severity, kind, the whole text

UNDEFINED_TYPE = "Undefined promise type"
CANNOT, FOUND = 1, 2  # exit statuses of `troth check`
TALKATIVE = ("sanity-check", "unsupported", "arity")  # warnings of cf-promises --verbose


def main(settings: Settings, log: "Log") -> int:
    """`troth check` or `cf-promises`: the exit status of each."""
    return promises(settings, log) if settings.program == "cf-promises" else check(settings, log)


# under our own name


class Findings:
    """What was found in all the files so far."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.files: set[str] = set()
        self.unusable = False

    def count(self, severity: str) -> int:
        """How many findings of SEVERITY there are."""
        return sum(row["severity"] == severity for row in self.rows)

    def unread(self) -> int:
        """How many of them are not about policy, but that there is none."""
        return sum(row["kind"] == "unusable" for row in self.rows)


def check(settings: Settings, log: "Log") -> int:
    """Check each of the files that SETTINGS name, with all that it includes."""
    findings = Findings()
    for file in settings.files or (settings.file,):
        _examine(Settings({**settings.__dict__, "file": file}), findings, log)
    if settings.json:
        log.show(_as_json(findings))
    else:
        log.show(_as_text(findings), STDERR)
    if findings.unusable:
        return CANNOT
    return FOUND if findings.count("error") else 0


def _examine(settings: Settings, findings: Findings, log: "Log") -> None:
    """Add what is to be said about the policy of SETTINGS to FINDINGS."""
    run = life.prepare(settings, Host(), log)
    try:
        life.load_policy(run, trusting=True)
    except PolicyError as error:
        from policy.diagnostics import as_json

        for diagnostic in error.diagnostics:
            text = _judged((diagnostic.severity, diagnostic.kind, str(diagnostic)))[2]
            severity = "error" if f": error: {UNDEFINED_TYPE}" in text else diagnostic.severity
            _add(findings, text, {**as_json(diagnostic), "severity": severity})
    except (Refused, Fatal, OSError) as error:
        findings.unusable = True
        reason = _reason(error)
        log("error", reason)
        findings.rows.append(unusable(settings.file, reason))
    for note in map(_judged, run.loader.notes):
        _add(findings, note[2], note_as_json(note))
    findings.files.update(path for path, _, _ in run.loader.units)
    for path in sorted(findings.files):
        _examine_mode(path, findings, run)


def _judged(note: "Note") -> "Note":
    """A warning as we see it: the reference takes what fails at run time for a trifle."""
    severity, kind, text = note
    if severity != "warning" or f": warning: {UNDEFINED_TYPE}" not in text.partition("\n")[0]:
        return note
    return "error", kind, text.replace(": warning: ", ": error: ", 1)


def _examine_mode(path: str, findings: Findings, run: "Run") -> None:
    """Warn of a policy file that `troth run` refuses, because others may write it."""
    found = run.host.stat(path)
    if found is None or not found.st_mode & 0o022:
        return
    message, hint = "others may write this file: it will not be run", f"chmod go-w {path}"
    text = f"{path}:1:1: warning: {message} [-Wwritable]\nhint: {hint}"
    _add(findings, text, note_as_json(("warning", "writable", text)))


def _add(findings: Findings, text: str, row: "dict[str, Any]") -> None:
    """Add a finding, unless a file before included the same one."""
    if text not in findings.texts:
        findings.texts.append(text)
        findings.rows.append(row)
        findings.files.add(row["file"])


def note_as_json(note: "Note") -> "dict[str, Any]":
    """A warning that was kept with a cached file, taken apart again."""
    severity, kind, text = note
    first, *others = text.split("\n")
    place, _, message = first.partition(f": {severity}: ")
    file, line, column = place.rsplit(":", 2)
    hint = others[-1].removeprefix("hint: ") if others and others[-1].startswith("hint: ") else ""
    return {
        "file": file,
        "line": int(line),
        "column": int(column),
        "severity": severity,
        "kind": kind,
        "message": message.removesuffix(f" [-W{kind}]"),
        "hint": hint,
    }


def _as_json(findings: Findings) -> str:
    from json import dumps

    counts = {"errors": findings.count("error"), "warnings": findings.count("warning")}
    document = {
        "format": 1, "summary": counts, "files": sorted(findings.files),
        "diagnostics": findings.rows,
    }  # fmt: skip
    return dumps(document, indent=2) + "\n"


def _as_text(findings: Findings) -> str:
    """The findings, and how many there are."""
    errors, warnings = findings.count("error") - findings.unread(), findings.count("warning")
    files = len(findings.files)
    where = f" in {files} file{'s' * (files != 1)}" if files else ""
    counts = [f"{errors} error{'s' * (errors != 1)}"] if errors else []
    counts += [f"{warnings} warning{'s' * (warnings != 1)}"] if warnings else []
    total = ", ".join(counts) or ("could not be read" if findings.unusable else "no mistakes")
    return "\n".join([*findings.texts, f"check: {total}{where}"])


def _reason(error: Exception) -> str:
    """Why a file could not be used, in the words of the reference."""
    if isinstance(error, OSError):
        return f"Can't stat file '{error.filename}' for parsing. (stat: {error.strerror})"
    return str(error)


# as cf-promises


def promises(settings: Settings, log: "Log") -> int:
    """Check one policy and print what else was asked for; 1 if there is a mistake."""
    if settings.syntax == "json":
        from policy.dump import language

        log.show(language())
        return 0
    run = life.prepare(settings, Host(), log)
    try:
        life.load_policy(run, trusting=True)
        if settings.full_check:
            _check_sequence(run)
    except PolicyError as error:
        log.mistakes(error)
        return 1
    except Fatal as error:
        log("error", f"Fatal CFEngine error: {error}")
        return 1
    except (Refused, OSError) as error:
        log("error", _reason(error))
        return 1
    if not _warned(run.loader.notes, settings, log):
        return 1
    _show(run, settings, log)
    return 0


def _check_sequence(run: "Run") -> None:
    """Raise Fatal if a bundle of the sequence does not exist."""
    for name, _ in life.sequence(run):
        life.bundle_of(run, name)


def _warned(notes: "list[Note]", settings: Settings, log: "Log") -> bool:
    """Print the warnings that are wanted; false if one of them is to count as an error."""
    wanted = {*[name.removeprefix("error=") for name in settings.warnings]}
    wanted |= set(TALKATIVE) if log.wants("verbose") else set()
    fatal = settings.warnings and settings.warnings[0].startswith("error=")
    found = [text for _, kind, text in notes if kind in wanted or "all" in wanted]
    for text in found:
        log.show(text.replace(": warning: ", ": error: ", 1) if fatal else text, STDERR)
    if found and fatal:
        log("error", "There are syntax errors in policy files")
    return not (found and fatal)


def _show(run: "Run", settings: Settings, log: "Log") -> None:
    """Print the policy and the tables, and mark the release, as asked."""
    if settings.output != "none":
        log.show(_dumped(run, settings.output))
    if settings.show_classes is not None or settings.show_vars is not None:
        from agent import tables

        tables.show(run, settings.show_classes, settings.show_vars)
    if settings.release:
        _tag(settings.release, run)


def _dumped(run: "Run", form: str) -> str:
    """The policy as FORM says: as policy or JSON, the entry file or all files."""
    from policy import dump
    from policy.parse import parse
    from policy.source import read

    paths = [path for path, _, _ in run.loader.units]
    if not form.endswith("-full"):
        paths = paths[:1]
    policies = [parse(read(path))[0] for path in paths]
    return dump.as_json(policies) if form.startswith("json") else dump.as_cf(policies)


def _tag(directory: str, run: "Run") -> None:
    """Leave word in DIRECTORY that its policy was checked, when, and which one it was."""
    from hashlib import sha1
    from json import dumps

    names = "".join([name for _, name, _ in run.loader.units])
    release = sha1(names.encode(), usedforsecurity=False).hexdigest()
    for name, content in (
        ("cf_promises_release_id", {"releaseId": release}),
        ("cf_promises_validated", {"timestamp": int(time.time())}),
    ):
        text = dumps(content, indent=2) + "\n"
        run.host.write(os.path.join(directory, name), text.encode(), mode=0o600)
