"""`reports`: what policy has to say."""

from agent.outcome import Change, Outcome, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.promise import Promise
    from agent.run import Run

LINES = "5"  # of a file that is printed, unless `number_of_lines` says otherwise


def reports(promise: "Promise", run: "Run") -> "Iterator[Change | Verdict]":
    """Yield one step that prints, or keep the text as what the bundle returns."""
    index = promise.attributes.get("bundle_return_value_index")
    if index is not None:
        run.result(index, promise.promiser)
        yield Verdict(Outcome.SKIPPED)
        return
    announced = f"Need to repair reports promise: {promise.promiser}"
    yield Change(
        f"report '{promise.promiser}'", "", lambda: _report(promise, run),
        dry=announced, warn=announced, quiet=True,
    )  # fmt: skip


def _report(promise: "Promise", run: "Run") -> Outcome:
    """Print, or write down, what PROMISE says."""
    outcome = Outcome.KEPT
    target = promise.attributes.get("report_to_file")
    if target is None:
        run.say(promise.promiser)
    elif not _written(target, promise.promiser, run):
        outcome = Outcome.FAILED
    printed = promise.body("printfile")
    if printed is not None and not _printed(printed, run):
        outcome = Outcome.FAILED
    return outcome


def _written(path: str, text: str, run: "Run") -> bool:
    """Append TEXT to the file PATH; whether that could be done."""
    from policy.values import octets

    try:
        run.host.append(path, octets(f"{text}\n"), mode=0o600)
    except OSError as error:
        run.log(
            "error",
            f"Could not open log file '{path}', message '{text}'. (fopen: {error.strerror})",
        )
        return False
    return True


def _printed(body: "dict[str, Any]", run: "Run") -> bool:
    """Print the first or the last lines of a file; whether it could be read."""
    from agent.edits import lines_of
    from policy.values import integer, text

    path = body.get("file_to_print")
    if path is None:
        run.log("verbose", "Printfile promise was incomplete, with no filename.")
        return False
    try:
        lines = lines_of(text(run.host.read(path)))
    except OSError as error:
        run.log("error", f"Printing of file '{path}' was not possible. (fopen: {error.strerror})")
        return False
    count = integer(body.get("number_of_lines", LINES))
    for line in lines[:count] if count >= 0 else lines[count:]:
        run.say(line)
    return True
