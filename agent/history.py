"""The runs that the daemon started, in the state of this host: why, when, and how they ended."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any

    from agent.state import State

KEPT = 1000
FIELDS = ("id", "began", "ended", "status", "why", "lines", "output", "said")


def began(state: "State", why: str, now: float) -> int:
    """Note that a run began; its number, 0 if it cannot be noted."""

    def work(db: "Connection") -> int:
        db.execute("BEGIN IMMEDIATE")
        number = db.execute("INSERT INTO runs (began, why) VALUES (?, ?)", (now, why)).lastrowid
        assert number is not None  # noqa: S101  # a row was inserted
        db.execute("DELETE FROM runs WHERE id <= ?", (number - KEPT,))
        db.execute("COMMIT")
        return number

    return state.do(work, 0)


def ended(state: "State", number: int, now: float, status: int, told: tuple[int, str, str]) -> None:
    """Note how the run NUMBER ended; TOLD are lines, name of the output and the last line."""
    state.do(
        lambda db: db.execute(
            "UPDATE runs SET ended = ?, status = ?, lines = ?, output = ?, said = ? WHERE id = ?",
            (now, status, *told, number),
        ),
        None,
    )


def lost(state: "State", now: float) -> None:
    """Note that nobody hears any more how the runs end that go on, or seem to; they have no status.

    Who started them was killed, or did not wait for them.
    """
    text = "UPDATE runs SET ended = ? WHERE status IS NULL AND ended = 0"
    state.do(lambda db: db.execute(text, (now,)), None, create=False)


def last(state: "State", many: int) -> "list[dict[str, Any]]":
    """The last runs, the newest first."""

    def work(db: "Connection") -> "list[dict[str, Any]]":
        rows = db.execute(
            f"SELECT {', '.join(FIELDS)} FROM runs ORDER BY id DESC LIMIT ?",  # noqa: S608
            (many,),
        )
        return [dict(zip(FIELDS, row, strict=True)) for row in rows]

    return state.do(work, [], create=False)
