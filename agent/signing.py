"""What runs say is numbered and signed here: on disk before anybody sees it (SIGNALS.md §3)."""

import time
from collections import Counter, deque
from contextlib import suppress

from agent import heard, signals
from server.wire import inside
from server.wire.keys import digest, fingerprint
from server.wire.messages import Signed
from server.wire.signals import LONGEST_CHAIN, BadSignal, Cause, Signal, read, sign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.ground import Ground
    from agent.signals import Unsigned
    from server.wire.keys import Identity

MINUTE = 60.0
AT_ONCE = inside.BATCH  # signals in one transaction, for which others wait, and in one message
SOON = 0.001  # seconds
A_CLASS, ALL = 6, 60  # signals a minute that runs may grant which a signal started


class Batch:
    """What was signed in one go; EPOCH and UPTO are the end of the log."""

    __slots__ = ("epoch", "said", "signed", "upto")

    def __init__(self, epoch: int, upto: int) -> None:
        self.epoch = epoch
        self.upto = upto
        self.signed: list[Signed] = []
        self.said: list[Unsigned] = []


class Signer:
    """Signs for one host. What is left for later, because there was too much, is in `waits`."""

    def __init__(self, ground: "Ground") -> None:
        self._memory = ground.memory
        self._audit = ground.audit
        self._log = ground.log
        self._end: tuple[int, int] | None = None  # of the log: only we write it
        self._next = 0  # an epoch that has to begin, 0 if none
        self._rates = Rates(MINUTE, A_CLASS, ALL)  # of runs that a signal started
        self._surplus = 0
        self.own: frozenset[bytes] = frozenset()  # the digests of our keys, old ones too
        self.waits = 0.0  # seconds after which to look again, 0 if nothing is left

    def end(self, now: int) -> tuple[int, int]:
        """Epoch and last number of the log; (0, 0) if it cannot be read."""
        if self._end is not None:
            return self._end
        state, epoch = self._memory.lasting, self._next
        found = signals.next_epoch(state, epoch) if epoch else signals.end_of_log(state, now)
        if found[0]:
            self._end, self._next = found, 0
        return found

    def next_epoch(self, epoch: int) -> None:
        """Begin EPOCH, or a later one, as soon as it can be written: nothing is signed before."""
        self._end, self._next = None, epoch

    def look(self, identity: "Identity", now: int) -> Batch | None:
        """Sign what runs have said by NOW; None if there is nothing."""
        self.waits = 0.0
        rows = signals.unsigned(self._memory.state)
        if not rows:
            return None
        epoch, upto = self.end(now)
        if not epoch:
            self.waits = 1.0
            return None
        batch = Batch(epoch, upto)
        sealed: list[tuple[int, int, bytes, bytes]] = []
        left_out: list[int] = []
        due = self._due(rows)
        if len(due) > AT_ONCE:
            self.waits = SOON
        for row in due[:AT_ONCE]:
            signed = self._signed(identity, row, batch)
            if signed is None:
                left_out.append(row.id)
                continue
            batch.upto += 1
            batch.signed.append(signed)
            batch.said.append(row)
            sealed.append((row.id, batch.upto, signed.body, signed.signature))
        if not sealed and not left_out:
            return None
        if not signals.sealed(self._memory.lasting, epoch, sealed, left_out):
            self._end = None
            self.waits = 1.0
            return None
        self._end = (epoch, batch.upto)
        return batch if sealed else None

    def _due(self, rows: "list[Unsigned]") -> "list[Unsigned]":
        """Those of ROWS that may be granted now; of a class that waits nothing overtakes."""
        waiting: dict[str, int] = {}
        due = []
        now = time.monotonic()
        for row in rows:
            if row.name in waiting or (row.woken and not self._rates.allow(row.name, now)):
                waiting[row.name] = waiting.get(row.name, 0) + 1
            else:
                due.append(row)
        self.waits = self._rates.pause(now) if waiting else 0.0
        surplus = sum(waiting.values())
        if surplus > self._surplus:
            self._audit("surplus", object=",".join(sorted(waiting)), count=surplus - self._surplus)
        self._surplus = surplus
        return due

    def _signed(self, identity: "Identity", row: "Unsigned", batch: Batch) -> Signed | None:
        """ROW with the next number; None if it must not be said."""
        causes = self._causes(row)
        reason = ""
        if any(cause.name == row.name and cause.origin in self.own for cause in causes):
            reason = "it is among its own causes"
        elif len(causes) > LONGEST_CHAIN:
            reason = f"it has more than {LONGEST_CHAIN} causes"
        if reason:
            self._audit("circle", object=row.name, decision="left out", reason=reason)
            self._log("notice", f"peers are not told of '{row.name}': {reason}")
            return None
        number = batch.upto + 1
        try:
            return sign(
                identity,
                Signal(
                    origin=identity.public, epoch=batch.epoch, seq=number,
                    kind=row.kind, name=row.name, first=row.renews or number, run=row.run,
                    granted=row.granted, expires=row.expires, causes=causes,
                ),
            )  # fmt: skip
        except BadSignal as error:
            self._audit("refused", object=row.name, decision="left out", reason=str(error))
            self._log("error", f"peers are not told of '{row.name}': {error}")
            return None

    def _causes(self, row: "Unsigned") -> tuple[Cause, ...]:
        """What led to ROW, the oldest first: the causes of its causes, and they themselves; of
        several signals of one host for one class the last."""
        found: dict[tuple[bytes, str], Cause] = {}
        if not row.causes:
            return ()
        for origin, epoch, seq, name, body in heard.causes_of(self._memory.state, row.causes):
            with suppress(BadSignal):  # it was verified; who can change our state is not stopped
                for cause in read(body).causes if body else ():
                    _keep(found, cause)
            _keep(found, Cause(fingerprint(origin), epoch, seq, name))
        return tuple(found.values())


def _keep(found: dict[tuple[bytes, str], Cause], cause: Cause) -> None:
    """Put CAUSE behind what was FOUND, unless a later one of its host and class is there."""
    key = cause.origin, cause.name
    known = found.get(key)
    if known is None or (known.epoch, known.seq) < (cause.epoch, cause.seq):
        found.pop(key, None)
        found[key] = cause


class Rates:
    """What was allowed in the last SECONDS: of each name at most EACH, and MOST in all."""

    def __init__(self, seconds: float, each: int, most: int) -> None:
        self._seconds = seconds
        self._each = each
        self._most = most
        self._allowed: deque[tuple[float, str]] = deque()

    def allow(self, name: str, now: float) -> bool:
        """Whether NAME is allowed once more; if so, it counts."""
        allowed = self._allowed
        while allowed and now - allowed[0][0] >= self._seconds:
            allowed.popleft()
        if len(allowed) >= self._most or sum(it == name for _, it in allowed) >= self._each:
            return False
        allowed.append((now, name))
        return True

    def pause(self, now: float) -> float:
        """After how many seconds the next may be allowed."""
        counts = Counter(name for _, name in self._allowed)
        full = len(self._allowed) >= self._most
        times = [at for at, name in self._allowed if full or counts[name] >= self._each]
        return max(0.05, min(times, default=now) + self._seconds - now)


def digests(*keys: bytes) -> frozenset[bytes]:
    """The digests of the public KEYS."""
    return frozenset(digest(key) for key in keys)
