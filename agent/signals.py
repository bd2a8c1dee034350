"""Signals in the state of a host (server/SIGNALS.md §2): every statement of SQL on them.

Three use it: a run, which grants, asks and consumes; the executor, which numbers, signs and
receives; and commands that show what is there. Times are in milliseconds by the clock of this host,
unless a name says otherwise. A signal is named by (origin, epoch, first): the id of a key, the
epoch of its log, and the number of the signal that set the class.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection
    from typing import Any

    from agent.state import State
    from policy.provenance import Signal

DAY = 24 * 3600 * 1000
ASKED_LIFE = 7 * DAY  # how long a peer is listened to after the last question
CONTACT_LIFE = 300 * 1000  # how old an answer may be and still be one
LONGEST_LIFE = 30 * DAY
REMEMBERED = 2 * LONGEST_LIFE  # an older signal is not taken, so none can come back unknown
MOST_OF_ONE = 50_000  # signals of one peer that live, or ended in the last day


class Source:
    """Why a run sets a persistent class: what its signal is to say.

    EVENT: by the outcome of a promise. CAUSES are the signals that led to it.
    """

    __slots__ = ("causes", "event", "run", "woken")

    def __init__(
        self, run: bytes, *, event: bool, woken: bool, causes: "Iterable[Signal]" = ()
    ) -> None:
        self.run = run
        self.event = event
        self.woken = woken
        self.causes = sorted(causes)


# what a run says; called inside a transaction


def grant(db: "Connection", name: str, source: Source, now: int, expires: int) -> bool:
    """Say that the class NAME is set until EXPIRES, unless that was said well enough."""
    kind = "event" if source.event else "state"
    expires = min(expires, now + LONGEST_LIFE)
    renews = None
    if kind == "state":
        last = db.execute(
            "SELECT id, kind, expires, renews FROM own WHERE class = ? ORDER BY id DESC LIMIT 1",
            (name,),
        ).fetchone()
        if last and last[1] == "state" and last[2] > now:
            if last[2] - now > (expires - now) / 2:
                return False
            renews = last[3] or last[0]
    _say(db, name, kind, source, (now, expires), renews)
    return True


def cancel(db: "Connection", name: str, source: Source, now: int) -> bool:
    """Say that the class NAME is not set any more, if somebody may think that it is."""
    last = db.execute(
        "SELECT kind, expires FROM own WHERE class = ? ORDER BY id DESC LIMIT 1", (name,)
    ).fetchone()
    if not last or last[0] == "cancel" or last[1] <= now:
        return False
    _say(db, name, "cancel", source, (now, 0), None)
    return True


def _say(
    db: "Connection", name: str, kind: str, source: Source, times: tuple[int, int],
    renews: int | None,
) -> None:  # fmt: skip
    causes = ";".join([f"{origin},{epoch},{first}" for origin, epoch, first in source.causes])
    db.execute(
        "INSERT INTO own (class, kind, run, woken, granted, expires, renews, causes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (name, kind, source.run, int(source.woken), *times, renews, causes),
    )


# what the executor does with it


class Unsigned:
    """A row of `own` that has no number yet; RENEWS is the number that it repeats, or None."""

    __slots__ = ("causes", "expires", "granted", "id", "kind", "name", "renews", "run", "woken")

    def __init__(self, row: "tuple[Any, ...]") -> None:
        (self.id, self.name, self.kind, self.run, self.woken, self.granted, self.expires,
         causes, self.renews) = row  # fmt: skip
        pieces = [piece.split(",") for piece in causes.split(";") if piece]
        self.causes: list[Signal] = [(it[0], int(it[1]), int(it[2])) for it in pieces]


def unsigned(state: "State") -> list[Unsigned]:
    """What runs have said and nobody has signed, in order."""
    rows: list[tuple[Any, ...]] = state.do(
        lambda db: db.execute(
            "SELECT a.id, a.class, a.kind, a.run, a.woken, a.granted, a.expires, a.causes, b.seq"
            " FROM own a LEFT JOIN own b ON b.id = a.renews"
            " AND b.epoch = (SELECT epoch FROM log)"
            " WHERE a.epoch IS NULL AND a.seq IS NULL ORDER BY a.id"
        ).fetchall(),
        [], create=False,
    )  # fmt: skip
    return [Unsigned(row) for row in rows]


def end_of_log(state: "State", now: int) -> tuple[int, int]:
    """Epoch and last sequence of this host's log, which begins NOW if there is none."""

    def work(db: "Connection") -> tuple[int, int]:
        db.execute("INSERT OR IGNORE INTO log VALUES (1, ?, 0)", (now,))
        found: tuple[int, int] = db.execute("SELECT epoch, seq FROM log").fetchone()
        return found

    return state.do(work, (0, 0))


def next_epoch(state: "State", now: int) -> tuple[int, int]:
    """Begin another epoch, later than all before; its end of the log."""
    before, _ = end_of_log(state, now)
    epoch = max(now, before + 1)
    state.do(lambda db: db.execute("UPDATE log SET epoch = ?, seq = 0", (epoch,)), None)
    return epoch, 0


def sealed(
    state: "State", epoch: int, rows: "list[tuple[int, int, bytes, bytes]]", left_out: list[int]
) -> bool:
    """Write down numbers and signatures of ROWS (id, seq, body, signature); forget LEFT_OUT.

    Whether that is on disk: nobody may see them before.
    """

    def work(db: "Connection") -> bool:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "UPDATE own SET epoch = ?, seq = ?, body = ?, signature = ? WHERE id = ?",
            [(epoch, seq, body, signature, number) for number, seq, body, signature in rows],
        )
        db.executemany("DELETE FROM own WHERE id = ?", [(number,) for number in left_out])
        log = ("UPDATE log SET seq = ? WHERE epoch = ?", (rows[-1][1], epoch)) if rows else None
        known = log is None or db.execute(*log).rowcount == 1
        db.execute("COMMIT" if known else "ROLLBACK")  # it is another log, if this is another file
        return known

    return state.do(work, default=False)


def spoken(state: "State", now: int) -> "list[tuple[int, int, str, str, bytes, bytes, int, int]]":
    """The signed signals that may still matter: (epoch, seq, class, kind, body, signature, granted,
    expires), in order. A cancel matters for as long as what it voids could have lived."""
    return state.do(
        lambda db: db.execute(
            "SELECT epoch, seq, class, kind, body, signature, granted, expires FROM own o"
            " WHERE seq IS NOT NULL AND (expires > ? OR (kind = 'cancel' AND EXISTS"
            " (SELECT 1 FROM own p WHERE p.class = o.class AND p.id < o.id AND p.expires > ?)))"
            " ORDER BY epoch, seq",
            (now, now),
        ).fetchall(),
        [], create=False,
    )  # fmt: skip


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


# what peers said


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
            if one.kind != "event":  # a cancel voids, a newer state takes the place of an older one
                db.execute(
                    "UPDATE received SET void = 1 WHERE origin = ? AND class = ?"
                    " AND (epoch, seq) < (?, ?) AND (? = 'cancel' OR kind = 'state')",
                    (peer, one.name, one.epoch, one.seq, one.kind),
                )
            void = db.execute(
                "SELECT 1 FROM received WHERE origin = ? AND class = ? AND (epoch, seq) > (?, ?)"
                " AND (kind = 'cancel' OR (kind = 'state' AND ? = 'state'))",
                (peer, one.name, one.epoch, one.seq, one.kind),
            ).fetchone()
            db.execute(
                "INSERT INTO received VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (peer, one.epoch, one.seq, one.first, one.name, one.kind, one.granted, one.expires,
                 now + one.left, mono + one.left, boot, now, int(bool(void)), one.body,
                 one.signature),
            )  # fmt: skip
            if one.kind != "cancel" and not void:
                kept.fresh.append(one.name)
        db.execute("INSERT OR IGNORE INTO contacts (peer) VALUES (?)", (peer,))
        db.execute(
            "UPDATE contacts SET at = max(at, ?), view = ?, spoiled = max(spoiled, ?)"
            " WHERE peer = ?",
            (now, cursor[2], kept.spoiled, peer),
        )
        db.execute(
            "UPDATE contacts SET epoch = ?, upto = ? WHERE peer = ? AND (epoch, upto) < (?, ?)",
            (*cursor[:2], peer, *cursor[:2]),
        )
        db.execute("COMMIT")
        return kept

    return state.do(work, None)


class Kept:
    """What receiving came to: FRESH classes; SPOILED, an epoch in which a number had two meanings,
    or -1; SURPLUS, how many were not kept because their origin says too much."""

    __slots__ = ("fresh", "spoiled", "surplus")

    def __init__(self) -> None:
        self.fresh: list[str] = []
        self.spoiled = -1
        self.surplus = 0


class Live:
    """A received signal that lives."""

    __slots__ = ("epoch", "first", "name", "origin", "seq")

    def __init__(self, row: tuple[str, int, int, int, str]) -> None:
        self.origin, self.epoch, self.seq, self.first, self.name = row

    @property
    def signal(self) -> "Signal":
        """What names it."""
        return self.origin, self.epoch, self.first


_ALIVE = (
    "void = 0 AND kind != 'cancel' AND CASE WHEN boot = ? THEN lasts > ? ELSE ends > ? END"
    " AND epoch != (SELECT coalesce(max(spoiled), -1) FROM contacts WHERE peer = origin)"
)


def live(state: "State", now: int, peer: str = "") -> list[Live]:
    """The received signals that live, of all peers or of one, in order."""
    boot, mono = clock()
    rows: list[tuple[str, int, int, int, str]] = state.do(
        lambda db: db.execute(
            f"SELECT origin, epoch, seq, first, class FROM received WHERE {_ALIVE}"  # noqa: S608
            " AND (? = '' OR origin = ?) ORDER BY origin, epoch, seq",
            (boot, mono, now, peer, peer),
        ).fetchall(),
        [], create=False,
    )  # fmt: skip
    return [Live(row) for row in rows]


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


# what promises did


def consumptions(state: "State") -> "dict[tuple[str, Signal], tuple[str, int]]":
    """How each promise ended for each signal, and when."""
    rows: list[tuple[str, str, int, int, str, int]] = state.do(
        lambda db: db.execute(
            "SELECT path, origin, epoch, first, ending, at FROM consumed"
        ).fetchall(),
        [], create=False,
    )  # fmt: skip
    return {
        (path, (origin, epoch, first)): (ending, at)
        for path, origin, epoch, first, ending, at in rows
    }


def consume(
    db: "Connection", path: str, signals: "Iterable[Signal]", ending: str, now: int
) -> None:
    """Write down that the promise PATH is done with SIGNALS; inside a transaction."""
    db.executemany(
        "INSERT OR REPLACE INTO consumed SELECT ?1, ?2, ?3, ?4, coalesce((SELECT class FROM"
        " received WHERE origin = ?2 AND epoch = ?3 AND first = ?4 LIMIT 1), ''), ?5, ?6",
        [(path, *signal, ending, now) for signal in signals],
    )


def spare(db: "Connection", path: str, signals: "Iterable[Signal]") -> None:
    """Forget that the promise PATH began with SIGNALS; inside a transaction."""
    db.executemany(
        "DELETE FROM consumed WHERE path = ? AND origin = ? AND epoch = ? AND first = ?"
        " AND ending = 'begun'",
        [(path, *signal) for signal in signals],
    )


def untouched(db: "Connection", path: str, signals: "Iterable[Signal]") -> bool:
    """Whether the promise PATH is done with none of SIGNALS, as far as anybody has written."""
    return not any(
        db.execute(
            "SELECT 1 FROM consumed WHERE path = ? AND origin = ? AND epoch = ? AND first = ?"
            " AND ending != 'begun'",
            (path, *signal),
        ).fetchone()
        for signal in signals
    )


def wait(state: "State", waits: "list[tuple[str, int, str]]") -> None:
    """Let WAITS (path, until when, class) be all that waits for a lock."""

    def work(db: "Connection") -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM waits")
        db.executemany("INSERT OR REPLACE INTO waits VALUES (?, ?, ?)", waits)
        db.execute("COMMIT")

    state.do(work, None, create=bool(waits))


def waits(state: "State") -> "list[tuple[str, int, str]]":
    """What waits for a lock: path, until when (seconds), class."""
    return state.do(
        lambda db: db.execute("SELECT path, until, class FROM waits ORDER BY until").fetchall(),
        [], create=False,
    )  # fmt: skip


def prune(state: "State", now: int) -> None:
    """Forget what cannot matter any more.

    Of what peers said the number is remembered until it is too old to be taken again.
    """

    def work(db: "Connection") -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "DELETE FROM own WHERE seq IS NOT NULL AND expires < ? AND granted < ?"
            " AND id NOT IN (SELECT max(id) FROM own GROUP BY class)",
            (now - DAY, now - LONGEST_LIFE),
        )
        db.execute("DELETE FROM own WHERE seq IS NOT NULL AND kind != 'cancel' AND expires < ?",
                   (now - DAY,))  # fmt: skip
        db.execute(
            "DELETE FROM received WHERE granted < ? AND ends < ?", (now - REMEMBERED, now - DAY)
        )
        db.execute(
            "UPDATE received SET body = x'', signature = x'' WHERE ends < ? AND body != x''",
            (now - DAY,),
        )
        db.execute(
            "DELETE FROM consumed WHERE at < ? AND NOT EXISTS (SELECT 1 FROM received r"
            " WHERE r.origin = consumed.origin AND r.epoch = consumed.epoch"
            " AND r.first = consumed.first)",
            (now - DAY,),
        )
        db.execute("DELETE FROM asked WHERE at < ?", (now - 4 * ASKED_LIFE,))
        db.execute("COMMIT")

    state.do(work, None, create=False)


# the word to the executor


def wake(workdir: str) -> bool:
    """Tell the executor of WORKDIR that there is something to sign; whether it hears."""
    from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, socket

    bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
    try:
        bell.sendto(b"!", f"{workdir}/state/wake.sock")
    except OSError:  # nobody there: whoever comes looks first
        return False
    finally:
        bell.close()
    return True


def run_id(now: int) -> bytes:
    """A name for the run that began NOW: later ones sort behind it."""
    return now.to_bytes(6, "big") + os.urandom(10)


# for people


class History:
    """One received signal, alive or not; times in milliseconds by this host's clock."""

    __slots__ = ("at", "ends", "epoch", "first", "kind", "lives", "name", "origin", "seq", "void")

    def __init__(self, row: "tuple[Any, ...]") -> None:
        (self.origin, self.epoch, self.seq, self.first, self.name, self.kind, self.at, self.ends,
         self.void, self.lives) = row  # fmt: skip

    @property
    def signal(self) -> "Signal":
        """What names it."""
        return self.origin, self.epoch, self.first


def history(state: "State", now: int) -> list[History]:
    """All that was received and is not forgotten yet, in the order of its arrival."""
    boot, mono = clock()
    rows: list[tuple[Any, ...]] = state.do(
        lambda db: db.execute(
            "SELECT origin, epoch, seq, first, class, kind, at,"
            " CASE WHEN boot = ?1 THEN ?3 + lasts - ?2 ELSE ends END, void,"
            " void = 0 AND kind != 'cancel' AND CASE WHEN boot = ?1 THEN lasts > ?2 ELSE ends > ?3"
            " END AND epoch != (SELECT coalesce(max(spoiled), -1) FROM contacts"
            " WHERE peer = origin) FROM received ORDER BY at, origin, epoch, seq",
            (boot, mono, now),
        ).fetchall(),
        [], create=False,
    )  # fmt: skip
    return [History(row) for row in rows]


class Said:
    """One signal of this host; EPOCH and SEQ are None until it is signed."""

    __slots__ = ("epoch", "expires", "first", "granted", "kind", "name", "seq", "void")

    def __init__(self, row: "tuple[Any, ...]") -> None:
        (self.epoch, self.seq, self.first, self.name, self.kind, self.granted, self.expires,
         self.void) = row  # fmt: skip


def said(state: "State") -> list[Said]:
    """All that this host has said and that is not forgotten yet, in order."""
    rows: list[tuple[Any, ...]] = state.do(
        lambda db: db.execute(
            "SELECT o.epoch, o.seq, coalesce(b.seq, o.seq), o.class, o.kind, o.granted, o.expires,"
            " EXISTS (SELECT 1 FROM own p WHERE p.class = o.class AND p.id > o.id"
            " AND p.kind = 'cancel') FROM own o LEFT JOIN own b ON b.id = o.renews ORDER BY o.id"
        ).fetchall(),
        [], create=False,
    )  # fmt: skip
    return [Said(row) for row in rows]
