"""What a plan finds: the changes that a run would make, each applied to an overlay of the host.

So a later promise sees what an earlier one would have done. What nobody can know before it runs (a
command) is not run: it is taken to succeed, and marked.
"""

from agent.outcome import Outcome
from policy.strings import expandable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.host.overlay import Overlay
    from agent.outcome import Change
    from agent.promise import Promise


class Step:
    """One change that a run would make, and the promise that asks for it."""

    __slots__ = ("only_warn", "preview", "promise", "unknown", "would")

    def __init__(self, step: "Change", promise: "Promise", *, only_warn: bool = False) -> None:
        self.would = step.would
        self.preview = step.preview()
        self.unknown = step.unknown
        self.promise = promise
        self.only_warn = only_warn


class Planned:
    """The steps of a plan, in order, and whether one of them cannot be taken."""

    def __init__(self, host: "Overlay") -> None:
        self.steps: list[Step] = []
        self.unknown = host.unknown  # commands that functions wanted the answers of
        self.defined: set[tuple[str, str]] = set()  # for whoever asks: bundle, class set in it

    def unsure(self, promise: "Promise") -> bool:
        """Whether PROMISE still holds references, which an answer unknown here may resolve."""
        values = (promise.promiser, *promise.attributes.values())
        return bool(self.unknown) and any(type(it) is str and expandable(it) for it in values)

    def take(self, step: "Change", promise: "Promise") -> Outcome:
        """Note STEP and take it where nobody sees: on the overlay."""
        if step.quiet:  # an edit of a buffer, a report: part of another step, or nothing to plan
            result = step.apply()
            return Outcome.REPAIRED if result is None else result
        self.steps.append(Step(step, promise))
        if step.unknown:
            return Outcome.REPAIRED
        result = step.apply()
        return Outcome.REPAIRED if result is None else result

    def note(self, step: "Change", promise: "Promise") -> None:
        """Note a STEP that policy only wants to be warned of."""
        self.steps.append(Step(step, promise, only_warn=True))
