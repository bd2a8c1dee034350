"""What peers said, and how they are reached: the tables `received`, `asked` and `contacts`.

Times are in milliseconds by the clock of this host, unless a name says otherwise. A signal ends by
the clock that does not jump, as long as the system runs, and then by the wall clock.
"""

from agent.signals import DAY, LONGEST_LIFE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any

    from agent.state import State
    from policy.provenance import Signal

ASKED_LIFE = 7 * DAY  # how long a peer is listened to after the last question
CONTACT_LIFE = 300 * 1000  # how old an answer may be and still be one
REMEMBERED = 2 * LONGEST_LIFE  # an older signal is not taken, so none can come back unknown
MOST_OF_ONE = 50_000  # signals of one peer that live, or ended in the last day
VOIDED = {"cancel": ("event", "state", "cancel"), "state": ("state",)}  # of a class, by a newer one


# what they said


class Incoming:
    """A verified signal of a peer as it is to be kept; LEFT: milliseconds that it has to live."""

    __slots__ = ("body", "epoch", "expires", "first", "granted", "kind", "left", "name", "seq",
                 "signature")  # fmt: skip

    def __init__(self, found: "Any", body: bytes, signature: bytes, left: int) -> None:
        self.epoch: int = found.epoch
        self.seq: int = found.seq
        self.first: int = found.first
        self.name: str = found.name
        self.kind: str = found.kind
        self.granted: int = found.granted
        self.expires: int = found.expires
        self.body = body
        self.signature = signature
        self.left = left


class Kept:
    """What receiving came to: FRESH classes; SPOILED, an epoch in which a number had two meanings,
    or -1; SURPLUS, how many were not kept because their origin says too much."""

    __slots__ = ("fresh", "spoiled", "surplus")

    def __init__(self) -> None:
        self.fresh: list[str] = []
        self.spoiled = -1
        self.surplus = 0


def receive(
    state: "State", peer: str, incoming: list[Incoming], cursor: tuple[int, int, int], now: int
) -> "Kept | None":
    """Keep what PEER said; CURSOR (epoch, upto, view) is where its log was left.

    None if it could not be kept: then nothing must be acknowledged.
    """
    boot, mono = clock()

    def work(db: "Connection") -> Kept:
        db.execute("BEGIN IMMEDIATE")
        kept = Kept()
        have = 0
        if incoming:
            (have,) = db.execute(
                "SELECT count(*) FROM received WHERE origin = ? AND ends > ?", (peer, now - DAY)
            ).fetchone()
        for one in incoming:
            known = db.execute(
                "SELECT body FROM received WHERE origin = ? AND epoch = ? AND seq = ?",
                (peer, one.epoch, one.seq),
            ).fetchone()
            if known:
                if known[0] not in (one.body, b""):
                    kept.spoiled = one.epoch
                continue
            if have >= MOST_OF_ONE:
                kept.surplus += 1
                continue
            have += 1
            here = (peer, one.name, one.epoch, one.seq)
            # a cancel voids, a newer state takes the place of an older one
            for kind in VOIDED.get(one.kind, ()):
                db.execute(
                    "UPDATE received INDEXED BY received_open SET void = 1"
                    " WHERE void = 0 AND origin = ? AND class = ?"
                    " AND (epoch, seq) < (?, ?) AND kind = ?",
                    (*here, kind),
                )
            void = any(
                db.execute(
                    "SELECT 1 FROM received INDEXED BY received_open"
                    " WHERE void = 0 AND origin = ? AND class = ?"
                    " AND (epoch, seq) > (?, ?) AND kind = ? LIMIT 1",
                    (*here, kind),
                ).fetchone()
                for kind, voided in VOIDED.items() if one.kind in voided
            )  # fmt: skip
            db.execute(
                "INSERT INTO received VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (peer, one.epoch, one.seq, one.first, one.name, one.kind, one.granted, one.expires,
                 now + one.left, mono + one.left, boot, now, int(void), one.body,
                 one.signature),
            )  # fmt: skip
            if one.kind != "cancel" and not void:
                kept.fresh.append(one.name)
        db.execute("INSERT OR IGNORE INTO contacts (peer) VALUES (?)", (peer,))
        # of another view it replaces the one before: what is behind it may never have been told
        db.execute(
            "UPDATE contacts SET epoch = ?1, upto = ?2, view = ?3"
            " WHERE peer = ?4 AND (view != ?3 OR (epoch, upto) < (?1, ?2))",
            (*cursor, peer),
        )
        db.execute(
            "UPDATE contacts SET at = max(at, ?), spoiled = max(spoiled, ?) WHERE peer = ?",
            (now, kept.spoiled, peer),
        )
        db.execute("COMMIT")
        return kept

    return state.do(work, None)


class Heard:
    """One received signal: AT and ENDS are when it came and ends, LIVES whether it still counts."""

    __slots__ = ("at", "ends", "epoch", "first", "kind", "lives", "name", "origin", "seq", "void")

    def __init__(self, row: "tuple[Any, ...]") -> None:
        (self.origin, self.epoch, self.seq, self.first, self.name, self.kind, self.at, self.ends,
         self.void, self.lives) = row  # fmt: skip

    @property
    def signal(self) -> "Signal":
        """What names it."""
        return self.origin, self.epoch, self.first


_ENDS = "CASE WHEN boot = ?1 THEN ?3 + lasts - ?2 ELSE ends END"
_SPOILED = "(SELECT coalesce(max(spoiled), -1) FROM contacts WHERE peer = origin)"
_LIVES = f"(void = 0 AND kind != 'cancel' AND {_ENDS} > ?3 AND epoch != {_SPOILED})"
_COLUMNS = f"origin, epoch, seq, first, class, kind, at, {_ENDS}, void, {_LIVES}"
_HEARD = f"SELECT {_COLUMNS} FROM received WHERE (?4 = '' OR origin = ?4)"  # noqa: S608  # ours
_IN_ORDER = " ORDER BY at, origin, epoch, seq"
_NEWEST = (
    f"SELECT {_LIVES} FROM received"  # noqa: S608  # as above
    " WHERE origin = ?4 AND epoch = ?5 AND first = ?6 ORDER BY seq DESC LIMIT 1"
)


def live(state: "State", now: int, peer: str = "") -> list[Heard]:
    """The received signals that live, of all peers or of one, in the order of their arrival."""
    return _heard(state, now, peer, f"{_HEARD} AND {_LIVES}{_IN_ORDER}")


def alive(
    state: "State", now: int, peer: str, edges: "set[tuple[int, int]]"
) -> "set[tuple[int, int]]":
    """Those of EDGES, by epoch and first number, of PEER that live: what renews them is no news."""

    def work(db: "Connection") -> "set[tuple[int, int]]":
        times = clock()
        return {edge for edge in edges if (db.execute(_NEWEST, (*times, now, peer, *edge))
                                           .fetchone() or (0,))[0]}  # fmt: skip

    return state.do(work, set(), create=False) if edges else set()


def history(state: "State", now: int) -> list[Heard]:
    """All that was received and is not forgotten yet, in the order of its arrival."""
    return _heard(state, now, "", f"{_HEARD}{_IN_ORDER}")


def _heard(state: "State", now: int, peer: str, query: str) -> list[Heard]:
    rows: list[tuple[Any, ...]] = state.do(
        lambda db: db.execute(query, (*clock(), now, peer)).fetchall(), [], create=False
    )
    return [Heard(row) for row in rows]


def causes_of(state: "State", signals: "list[Signal]") -> "list[tuple[str, int, int, str, bytes]]":
    """Of those of SIGNALS that were received: origin, epoch, number, class, body."""

    def work(db: "Connection") -> "list[tuple[str, int, int, str, bytes]]":
        found = []
        for signal in signals:
            found += db.execute(
                "SELECT origin, epoch, seq, class, body FROM received"
                " WHERE origin = ? AND epoch = ? AND first = ? ORDER BY seq DESC LIMIT 1",
                signal,
            ).fetchall()
        return found

    return state.do(work, [], create=False)


def clock() -> tuple[str, int]:
    """Which start of the system this is, and the milliseconds since then, sleep included."""
    from time import CLOCK_BOOTTIME, clock_gettime

    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        boot = ""
    return boot, int(clock_gettime(CLOCK_BOOTTIME) * 1000)


# questions and contacts


def ask(state: "State", questions: "list[tuple[str, str, str]]", now: int) -> None:
    """Remember the QUESTIONS of a run: server as policy names it, pattern, id of the peer or ""."""

    def work(db: "Connection") -> None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?)", [(*it, now) for it in questions]
        )
        db.execute("COMMIT")

    if questions:
        state.do(work, None)


def asked(state: "State", now: int) -> "list[tuple[str, str, str, int]]":
    """The questions of the last week: server, pattern, peer, when it was asked last."""
    return state.do(
        lambda db: db.execute(
            "SELECT server, pattern, peer, at FROM asked WHERE at > ?", (now - ASKED_LIFE,)
        ).fetchall(),
        [], create=False,
    )  # fmt: skip


class Met:
    """What is known of the contact with a peer. SKEW: how far its clock is ahead of ours."""

    __slots__ = ("at", "epoch", "failed", "live", "peer", "reason", "skew", "spoiled", "upto",
                 "view")  # fmt: skip

    def __init__(self, row: "tuple[Any, ...]") -> None:
        (self.peer, self.live, self.at, self.failed, self.reason, self.skew, self.epoch, self.upto,
         self.view, self.spoiled) = row  # fmt: skip

    def current(self, now: int) -> bool:
        """Whether what is here is what the peer has: a live session, or an answer not long ago."""
        return bool(self.live) or 0 <= now - self.at <= CONTACT_LIFE


def contacts(state: "State") -> dict[str, Met]:
    """Each peer that was contacted, or tried."""
    rows: list[tuple[Any, ...]] = state.do(
        lambda db: db.execute(
            "SELECT peer, live, at, failed, reason, skew, epoch, upto, view, spoiled FROM contacts"
        ).fetchall(),
        [], create=False,
    )  # fmt: skip
    return {row[0]: Met(row) for row in rows}


def met(
    state: "State", peer: str, now: int, *, live: bool = False, skew: int = 0, reason: str = ""
) -> None:
    """Note a contact with PEER, which is LIVE; or with a REASON, why there is none."""

    def work(db: "Connection") -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT OR IGNORE INTO contacts (peer) VALUES (?)", (peer,))
        if reason:
            db.execute(
                "UPDATE contacts SET live = 0, failed = ?, reason = ? WHERE peer = ?",
                (now, reason, peer),
            )
        else:
            db.execute(
                "UPDATE contacts SET live = ?, at = ?, skew = ?, reason = '' WHERE peer = ?",
                (int(live), now, skew, peer),
            )
        db.execute("COMMIT")

    state.do(work, None)


def nobody_live(state: "State") -> None:
    """No session is open: the process that had them is gone."""
    state.do(
        lambda db: db.execute("UPDATE contacts SET live = 0 WHERE live = 1"), None, create=False
    )


def clear(state: "State", peer: str) -> bool:
    """Use the signals of PEER again, in which one number had two meanings; whether there was."""
    return state.do(
        lambda db: db.execute(
            "UPDATE contacts SET spoiled = -1 WHERE peer = ? AND spoiled != -1", (peer,)
        ).rowcount > 0,
        default=False, create=False,
    )  # fmt: skip


def prune(state: "State", now: int) -> None:
    """Forget what cannot matter any more.

    Of what peers said the number is remembered until it is too old to be taken again.
    """

    def work(db: "Connection") -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "DELETE FROM received WHERE granted < ? AND ends < ?", (now - REMEMBERED, now - DAY)
        )
        db.execute(
            "UPDATE received SET body = x'', signature = x'' WHERE ends < ? AND body != x''",
            (now - DAY,),
        )
        db.execute("DELETE FROM asked WHERE at < ?", (now - 4 * ASKED_LIFE,))
        db.execute("COMMIT")

    state.do(work, None, create=False)
