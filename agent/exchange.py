"""What a run has to do with signals: which have come, which this promise has acted on, what waits.

One a run, made when the first function asks a peer or the first class is kept beyond the run; a run
without either never loads this.
"""

from agent import acts, heard, signals
from policy import provenance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agent.heard import Heard, Met
    from agent.run import Run
    from policy.context import Frame
    from policy.plan import Written
    from policy.provenance import Formula, Signal
    from server.wire.peerfiles import Known

PULL_SECONDS = 10.0
CALLS = "→"  # between the steps of a call path


class Act:
    """A promise that acts on signals: its call PATH, those that it NEEDS and has not consumed.

    ONCE: a second try after an interrupted one is forbidden.
    """

    __slots__ = ("needs", "once", "path")

    def __init__(self, path: str, needs: "frozenset[Signal]") -> None:
        self.path = path
        self.needs = needs
        self.once = False


class Exchange:
    """The signals of one run."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._state = run.state
        self._live: list[Heard] | None = None
        self._consumed: dict[tuple[str, Signal], tuple[str, int]] | None = None
        self._known: dict[str, Known] | None = None
        self._contacts: dict[str, Met] | None = None
        self._called: dict[str, bool] = {}  # peers that were asked in this run, and whether it went
        self._asked: dict[tuple[str, str], str] = {}
        self.calls: list[tuple[str, str, str]] = []  # of functions: server, pattern, prefix
        self.waits: list[tuple[str, int, str]] = []
        self._said: set[tuple[object, ...]] = set()
        self.woken = bool(run.host.environ.get("TROTH_WOKEN"))
        self.id = signals.run_id(self.now())

    def now(self) -> int:
        """The time, in milliseconds."""
        return self._state.milliseconds() if self._state is not None else 0

    # granting

    def source(self, name: str) -> "signals.Source | None":
        """What the signal of the class NAME, set now, has to say; None if it was said."""
        run = self._run
        firing = run.firing
        if firing is not None:  # a promise of several parts has one outcome for a peer
            key = (name, id(firing.written), firing.promiser)
            if key in self._said:
                return None
            self._said.add(key)
        causes = provenance.signals(run.ctx.because)
        return signals.Source(self.id, event=firing is not None, woken=self.woken, causes=causes)

    # asking

    def ask(self, server: str, pattern: str, prefix: str) -> "Known | None":
        """The peer that policy calls SERVER; None if that is nobody we trust.

        That PATTERN was asked for is remembered, so that the daemon keeps listening; PREFIX is for
        those who ask why.
        """
        peer = self.peer(server)
        if (server, pattern, prefix) not in self.calls:
            self.calls.append((server, pattern, prefix))
        self._asked[server, pattern] = peer.id if peer is not None else ""
        return peer

    def said_by(self, peer: "Known") -> "list[Heard]":
        """The live signals of PEER."""
        keys = self.keys_of(peer)
        return [live for live in self.live() if live.origin in keys]

    def keys_of(self, peer: "Known") -> set[str]:
        """The ids of PEER: that of the key before its last one says what is still to be done."""
        return {it.id for it in self.trusted().values() if it.label == peer.label}

    def peer(self, server: str) -> "Known | None":
        """The peer with this label, address or id; of a rotated one the newest key."""
        from server.wire.peerfiles import named

        return named(self.trusted(), server)

    def label(self, origin: str) -> str:
        """What the peer with the id ORIGIN is called here."""
        peer = self.trusted().get(origin)
        return origin if peer is None else peer.label

    def trusted(self) -> "dict[str, Known]":
        """Whom this host trusts, by id; nobody if that cannot be read."""
        if self._known is None:
            from server.wire import peerfiles

            try:
                self._known = peerfiles.known(f"{self._run.workdir}/ppkeys", self.now() // 1000)
            except (peerfiles.BadKey, OSError) as error:
                self._run.log("error", f"cannot read whom this host trusts: {error}")
                self._known = {}
        return self._known

    def live(self) -> "list[Heard]":
        """All signals that live, of peers that are trusted."""
        if self._live is None:
            found = [] if self._state is None else heard.live(self._state, self.now())
            trusted = self.trusted() if found else {}
            self._live = [live for live in found if live.origin in trusted]
        return self._live

    def contact(self, peer: "Known") -> bool:
        """Whether there is contact with PEER: a live session of the daemon, or an answer now."""
        if peer.id not in self._called:
            met = self._met().get(peer.id)
            if met is not None and met.live:
                self._called[peer.id] = True
            elif self._run.planned is not None:  # a plan asks nobody
                self._called[peer.id] = met is not None and met.current(self.now())
            else:
                self._called[peer.id] = self._pull(peer)
        return self._called[peer.id]

    def _met(self) -> "dict[str, Met]":
        if self._contacts is None:
            self._contacts = {} if self._state is None else heard.contacts(self._state)
        return self._contacts

    def _pull(self, peer: "Known") -> bool:
        """Ask PEER for its signals; whether it answered."""
        from agent import inbox
        from server.wire.client import UNREACHED
        from server.wire.trust import Store, TrustError

        state = self._state
        if state is None:
            return False
        try:
            store = Store(f"{self._run.workdir}/ppkeys", self.now() // 1000)
            whole = store.trust().peers.get(peer.id)
            if whole is None:
                raise TrustError("it is not trusted any more")
            inbox.pull(state, store, whole, self._met().get(peer.id), PULL_SECONDS)
        except UNREACHED as error:
            reason = str(error) or type(error).__name__
            self._run.log("info", f"no contact with '{peer.label}': {reason}")
            heard.met(state, peer.id, self.now(), reason=reason)
            return False
        self._live = None
        return True

    # acting

    def consumed(self, path: str, signal: "Signal") -> bool:
        """Whether the promise PATH is done with SIGNAL."""
        ending = self.consumptions().get((path, signal))
        return ending is not None and ending[0] not in acts.OPEN

    def interrupted(self, act: Act) -> "frozenset[Signal]":
        """The signals that the promise of ACT began with and never ended."""
        ends = self.consumptions()
        return frozenset(
            signal for signal in act.needs if ends.get((act.path, signal), ("", 0))[0] == acts.BEGUN
        )

    def consumptions(self) -> "dict[tuple[str, Signal], tuple[str, int]]":
        """How each promise ended for each signal, and when; acts.OPEN is no end."""
        if self._consumed is None:
            self._consumed = {} if self._state is None else acts.consumptions(self._state)
        return self._consumed

    def act(self, written: "Written") -> Act:
        """What WRITTEN, kept now, would act on."""
        path = self.path(written)
        needs = provenance.signals(self._run.ctx.because)
        return Act(path, frozenset(it for it in needs if not self.consumed(path, it)))

    def fresh(self, act: Act) -> bool:
        """Whether the promise of ACT is to be kept by what it has not consumed."""
        ctx = self._run.ctx
        return provenance.fresh(ctx.because, lambda signal: self.consumed(act.path, signal), ctx)

    def done(self, act: Act, ending: str) -> None:
        """Remember in this run that ACT ended."""
        for signal in act.needs:
            self.consumptions()[act.path, signal] = (ending, self.now())

    def wait(self, path: str, until: int, formula: "Formula") -> None:
        """Note that the promise PATH, or one behind it, has a signal and a lock until UNTIL."""
        behind = f"{path}{CALLS}"
        done = {
            signal
            for (at, signal), (ending, _) in self.consumptions().items()
            if (at == path or at.startswith(behind)) and ending != acts.FAILED
        }
        pending = provenance.signals(formula) - done
        if pending:
            names = {live.name for live in self.live() if live.signal in pending}
            self.waits.append((path, until, ",".join(sorted(names))))

    def path(self, written: "Written") -> str:
        """What names WRITTEN as it is kept now, whatever comments and attributes say."""
        ctx = self._run.ctx
        steps = [step_of(written, ctx.wheels)]
        frame: Frame | None = ctx.frame
        while frame is not None:
            if frame.call is not None:
                steps.append(step_of(*frame.call))
            frame = frame.caller
        return CALLS.join(reversed(steps))

    def told(self, needs: "Iterable[Signal]") -> str:
        """NEEDS as `$(this.signals)` has them: `class@label#number`, in order."""
        needed = set(needs)
        found = [live for live in self.live() if live.signal in needed]
        return ",".join([f"{it.name}@{self.label(it.origin)}#{it.first}" for it in found])

    def close(self) -> None:
        """Write down what was asked and what waits."""
        if self._state is None or self._run.planned is not None or self._run.dry:
            return
        questions = [(server, pattern, peer) for (server, pattern), peer in self._asked.items()]
        heard.ask(self._state, questions, self.now())
        if self._asked or self.waits or self._run.ctx.signalled:
            now = self.now() / 1000  # what another run holds has no end that is known
            acts.wait(self._state, [entry for entry in self.waits if entry[1] > now])


def step_of(written: "Written", wheels: dict[str, str]) -> str:
    """WRITTEN in a call path: bundle, handle or promiser as written, items of the iteration."""
    name, number = "", 0
    for attribute, value in written.attributes:
        if attribute == "handle":
            name = f"#{text_of(value)}"
    if not name:
        name = text_of(written.promiser)
        for other in written.bundle.sections.get(written.type, ()):
            if other is written:
                break
            number += text_of(other.promiser) == name
    counted = f"~{number}" if number else ""
    items = ",".join([f"{key}={value}" for key, value in sorted(wheels.items())])
    return f"{written.bundle.key}:{name}{counted}" + (f"[{items}]" if items else "")


def text_of(rval: "Any") -> str:
    """RVAL about as it was written."""
    if type(rval) is str:
        return rval
    operator, *parts = rval
    if operator in ("var", "at"):
        return f"{'$' if operator == 'var' else '@'}({text_of(parts[0])})"
    return "".join([text_of(part) for part in parts if type(part) in (str, tuple)])
