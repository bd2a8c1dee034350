"""What this host says: the tables `own` and `log` (server/SIGNALS.md §2 and §3).

A run says that a class is set, in the transaction that sets it; the executor numbers and signs it
and hands it on. What peers said is in heard.py, what promises made of it in acts.py: these three
have every statement of SQL on signals. Times are in milliseconds by the clock of this host. A
signal is named by (origin, epoch, first): the id of a key, the epoch of its log, and the number of
the signal that set the class.
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
LONGEST_LIFE = 30 * DAY


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


def next_epoch(state: "State", epoch: int) -> tuple[int, int]:
    """Begin EPOCH, or one later than all before; its end of the log, (0, 0) if it cannot be."""

    def work(db: "Connection") -> tuple[int, int]:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT OR IGNORE INTO log VALUES (1, ?, 0)", (epoch - 1,))
        db.execute("UPDATE log SET epoch = max(?, epoch + 1), seq = 0", (epoch,))
        found: tuple[int, int] = db.execute("SELECT epoch, seq FROM log").fetchone()
        db.execute("COMMIT")
        return found

    return state.do(work, (0, 0))


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
            "SELECT epoch, seq, class, kind, body, signature, granted, expires FROM own"
            " LEFT JOIN (SELECT class, min(id) AS first FROM own WHERE expires > ?1 GROUP BY class)"
            " USING (class) WHERE seq IS NOT NULL"
            " AND (expires > ?1 OR (kind = 'cancel' AND id > first)) ORDER BY epoch, seq",
            (now,),
        ).fetchall(),
        [], create=False,
    )  # fmt: skip


def prune(state: "State", now: int) -> None:
    """Forget what this host said and nobody can hear any more."""

    def work(db: "Connection") -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "DELETE FROM own WHERE seq IS NOT NULL AND kind != 'cancel' AND expires < ?",
            (now - DAY,),
        )
        db.execute(
            "DELETE FROM own WHERE seq IS NOT NULL AND kind = 'cancel' AND granted < ?"
            " AND id NOT IN (SELECT max(id) FROM own GROUP BY class)",
            (now - LONGEST_LIFE,),
        )
        db.execute("COMMIT")

    state.do(work, None, create=False)


# the word to the executor


def wake(workdir: str) -> bool:
    """Tell the executor of WORKDIR to look at what is new; whether it hears."""
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
            " coalesce(o.id < last, 0) FROM own o LEFT JOIN own b ON b.id = o.renews"
            " LEFT JOIN (SELECT class, max(id) AS last FROM own WHERE kind = 'cancel'"
            " GROUP BY class) c ON c.class = o.class ORDER BY o.id"
        ).fetchall(),
        [], create=False,
    )  # fmt: skip
    return [Said(row) for row in rows]
