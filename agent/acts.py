"""What promises made of signals: the tables `consumed` and `waits`.

A promise is named by its call path (exchange.py). That it is done with a signal is written in the
transaction that ends it, so most of this is called inside one. What failed has a row, too, for
those who ask why nothing happened: its signals are there to be tried again.
"""

from agent.signals import DAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection

    from agent.state import State
    from policy.provenance import Signal


BEGUN, FAILED = "begun", "failed"  # BEGUN: only where a second try is forbidden
OPEN = (BEGUN, FAILED)


def consumptions(state: "State") -> "dict[tuple[str, Signal], tuple[str, int]]":
    """How each promise ended for each signal, and when; OPEN is no end."""
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
    """Write down how the promise PATH ended for SIGNALS; inside a transaction."""
    db.executemany(
        "INSERT OR REPLACE INTO consumed SELECT ?1, ?2, ?3, ?4, coalesce((SELECT class FROM"
        " received WHERE origin = ?2 AND epoch = ?3 AND first = ?4 LIMIT 1), ''), ?5, ?6",
        [(path, *signal, ending, now) for signal in signals],
    )


def untouched(db: "Connection", path: str, signals: "Iterable[Signal]") -> bool:
    """Whether the promise PATH is done with none of SIGNALS, as far as anybody has written."""
    return not any(
        db.execute(
            "SELECT 1 FROM consumed WHERE path = ? AND origin = ? AND epoch = ? AND first = ?"
            " AND ending NOT IN (?, ?)",
            (path, *signal, *OPEN),
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
    """Forget what was done for signals that heard.prune has forgotten."""
    state.do(
        lambda db: db.execute(
            "DELETE FROM consumed WHERE at < ? AND NOT EXISTS (SELECT 1 FROM received r"
            " WHERE r.origin = consumed.origin AND r.epoch = consumed.epoch"
            " AND r.first = consumed.first)",
            (now - DAY,),
        ),
        None, create=False,
    )  # fmt: skip
