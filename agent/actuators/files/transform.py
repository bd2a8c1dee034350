"""Running a program over a file (`transformer`)."""

from agent.outcome import Change, Outcome, Verdict, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.actuators.files.task import Steps, Task


def transform(task: "Task", path: str) -> "Steps":
    """Yield the run of the transformer over PATH, and what its return code means."""
    from agent.actuators.commands import judged, refusal

    command = str(task.attributes["transformer"])
    reasons = refusal(command, task.run)
    if reasons is not None:
        for reason in reasons:
            task.log("error", reason)
        yield failed(f"Transformer '{command}' for file '{path}' failed")
        return
    codes: list[int] = []

    def apply() -> Outcome | None:
        task.log("info", f"Transforming '{path}' with '{command}'")
        try:
            finished = task.host.execute(command)
        except OSError:
            task.log("error", f"Transformer '{command}' for file '{path}' failed")
            return Outcome.FAILED
        for line in finished.out.decode("utf-8", "surrogateescape").splitlines():
            task.log("info", line)
        codes.append(finished.returncode)
        return None

    yield Change(
        f"transform file '{path}' with '{command}'",
        f"Transformed '{path}' with '{command}' ",
        apply,
        unknown=True,
    )
    if not codes:
        return
    # the reference has called it repaired before it asks how it ended
    good = True
    for verdict in judged(task.promise, codes[0]):
        good = good and verdict.outcome < Outcome.FAILED
        yield verdict
    level, how = ("info", "seemed to work ok") if good else ("error", "returned error")
    yield Verdict(Outcome.SKIPPED, f"Transformer '{path}' => '{command}' {how}", level)
