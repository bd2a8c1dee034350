"""How a promise ends, how parts are merged, and the steps that an actuator may say."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ClassVar


class Outcome(int):
    """How a promise ended, in the order in which one hides another (see `merge`).

    Not an IntEnum: importing enum takes half as long as starting Python does.
    """

    SKIPPED: "ClassVar[Outcome]"
    KEPT: "ClassVar[Outcome]"
    REPAIRED: "ClassVar[Outcome]"
    WARNED: "ClassVar[Outcome]"
    FAILED: "ClassVar[Outcome]"
    DENIED: "ClassVar[Outcome]"
    TIMEOUT: "ClassVar[Outcome]"
    INTERRUPTED: "ClassVar[Outcome]"

    @property
    def name(self) -> str:
        """What it is called: "KEPT"."""
        return NAMES[self]

    def __repr__(self) -> str:
        return f"Outcome.{NAMES[self]}"

    __str__ = __repr__


NAMES = (
    "SKIPPED", "KEPT", "REPAIRED", "WARNED", "FAILED", "DENIED", "TIMEOUT", "INTERRUPTED",
)  # fmt: skip
OUTCOMES = tuple([Outcome(number) for number in range(len(NAMES))])
for _outcome in OUTCOMES:
    setattr(Outcome, NAMES[_outcome], _outcome)


def merge(prior: Outcome, new: Outcome) -> Outcome:
    """What PRIOR and NEW are together: the first failure stays, otherwise the higher one."""
    return prior if prior >= Outcome.FAILED else max(prior, new)


def _no_preview() -> str:
    return ""


class Change:
    """A step that is described, not done; the engine applies it or, in a dry run, shows it.

    WOULD completes "Should ..." (`create file '/x', mode '0600'`); DONE is logged at LEVEL after.
    APPLY does it: None means repaired, an Outcome says otherwise (a command's return code); it may
    raise OSError. PREVIEW is what a person sees in `troth plan`: a diff, a command line.
    DRY and WARN replace the whole line of a dry run and of `action_policy => "warn"`.
    UNKNOWN: nobody can say what happens until it runs (a command), so a plan does not apply it.
    QUIET: not a change of the host by itself (an edit of a buffer, a report): a plan takes it
    without a word.
    """

    __slots__ = ("apply", "done", "dry", "level", "preview", "quiet", "unknown", "warn", "would")

    def __init__(
        self,
        would: str,
        done: str,
        apply: "Callable[[], Outcome | None]",
        *,
        preview: "Callable[[], str]" = _no_preview,
        level: str = "info",
        dry: str | None = None,
        warn: str | None = None,
        unknown: bool = False,
        quiet: bool = False,
    ) -> None:
        self.would = would
        self.done = done
        self.apply = apply
        self.preview = preview
        self.level = level
        self.dry = dry
        self.warn = warn
        self.unknown = unknown
        self.quiet = quiet


class Verdict:
    """A part of a promise that ended without a change: kept, or failed with a message at LEVEL.

    FIRES: the outcome whose classes are set, where that is another one.
    """

    __slots__ = ("fires", "level", "message", "outcome")

    def __init__(
        self,
        outcome: Outcome,
        message: str = "",
        level: str = "verbose",
        *,
        fires: Outcome | None = None,
    ) -> None:
        self.outcome = outcome
        self.fires = outcome if fires is None else fires
        self.message = message
        self.level = level


def kept(message: str = "") -> Verdict:
    """This part is as promised."""
    return Verdict(Outcome.KEPT, message)


def failed(message: str, outcome: Outcome = Outcome.FAILED) -> Verdict:
    """This part cannot be kept, MESSAGE says why."""
    return Verdict(outcome, message, "error")
