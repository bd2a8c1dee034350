"""What can go wrong in the language: mistakes, answers that are not there, the end of a run."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.diagnostics import Diagnostic


class PolicyError(Exception):
    """Mistakes in policy: all of them, in the order of the source."""

    def __init__(self, diagnostics: "list[Diagnostic]") -> None:
        super().__init__("\n".join(str(diagnostic) for diagnostic in diagnostics))
        self.diagnostics = diagnostics


class Unresolved(Exception):
    """There is no value yet; a later pass may have one. An answer, not a mistake."""


class Failed(Unresolved):
    """A function was called and has no value to give. What it had to say is in the log already."""


class Unusable(Exception):
    """What a function was to work with is of no use. The message is for the log; the call fails."""


class Fatal(Exception):
    """The run cannot go on: bad data that no later pass can mend. Exit status 1."""


class Aborted(Exception):
    """Policy asked for the run to end here (`abortclasses`). Exit status 6 under `cf-agent`."""
