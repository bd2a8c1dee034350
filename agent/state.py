"""What the agent remembers from run to run, in one SQLite file: locks, persistent classes, and what
monitored files were like.

It is opened when something is first asked of it that the file can know, because to load SQLite
takes 3 ms. Without a file that can be read and written the run goes on, with one warning and
without a memory.
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection
    from typing import TypeVar

    from agent.exchange import Act
    from agent.signals import Source

    T = TypeVar("T")

FOUR_WEEKS = 28 * 24 * 3600
BUSY_SECONDS = 5.0
CORRUPT = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED
LASTING = 60.0  # seconds to get written down what a command did for a signal

# What it takes to come from each version of the file (its `user_version`) to the next one.
SCHEMA = (
    (
        # a promise, and when it was last kept
        "CREATE TABLE locks (key BLOB PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
        # a promise that a process is at, or was when it died
        "CREATE TABLE holders (key BLOB PRIMARY KEY, pid INTEGER NOT NULL, start INTEGER NOT NULL,"
        " begun INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE classes (name TEXT PRIMARY KEY, expires INTEGER NOT NULL,"
        " timer TEXT NOT NULL, tags TEXT NOT NULL) WITHOUT ROWID",
    ),
    (
        # what a file was like when it was last looked at: its digest, its status, its entries
        "CREATE TABLE seen (path BLOB NOT NULL, kind TEXT NOT NULL, value BLOB NOT NULL,"
        " PRIMARY KEY (path, kind)) WITHOUT ROWID",
    ),
    (
        # what this host says; `seq` and all behind it are NULL until the executor has signed it
        "CREATE TABLE own (id INTEGER PRIMARY KEY AUTOINCREMENT, class TEXT NOT NULL,"
        " kind TEXT NOT NULL, run BLOB NOT NULL, woken INTEGER NOT NULL, granted INTEGER NOT NULL,"
        " expires INTEGER NOT NULL, renews INTEGER, causes TEXT NOT NULL,"
        " epoch INTEGER, seq INTEGER, body BLOB, signature BLOB)",
        "CREATE INDEX own_class ON own (class, id)",
        "CREATE UNIQUE INDEX own_seq ON own (epoch, seq)",
        "CREATE TABLE log (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL,"
        " seq INTEGER NOT NULL)",
        # what peers said; `ends` by the wall clock, `lasts` by the steady one, of `boot`
        "CREATE TABLE received (origin TEXT NOT NULL, epoch INTEGER NOT NULL,"
        " seq INTEGER NOT NULL, first INTEGER NOT NULL, class TEXT NOT NULL, kind TEXT NOT NULL,"
        " granted INTEGER NOT NULL, expires INTEGER NOT NULL, ends INTEGER NOT NULL,"
        " lasts INTEGER NOT NULL, boot TEXT NOT NULL, at INTEGER NOT NULL,"
        " void INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL, signature BLOB NOT NULL,"
        " PRIMARY KEY (origin, epoch, seq)) WITHOUT ROWID",
        "CREATE INDEX received_class ON received (origin, class)",
        "CREATE INDEX received_ends ON received (origin, ends)",
        # which promise acted on which signal, and how that ended (acts.py)
        "CREATE TABLE consumed (path TEXT NOT NULL, origin TEXT NOT NULL, epoch INTEGER NOT NULL,"
        " first INTEGER NOT NULL, class TEXT NOT NULL, ending TEXT NOT NULL, at INTEGER NOT NULL,"
        " PRIMARY KEY (path, origin, epoch, first)) WITHOUT ROWID",
        "CREATE TABLE asked (server TEXT NOT NULL, pattern TEXT NOT NULL, peer TEXT NOT NULL,"
        " at INTEGER NOT NULL, PRIMARY KEY (server, pattern)) WITHOUT ROWID",
        # `at` is the last contact; `spoiled` an epoch in which one number had two meanings
        "CREATE TABLE contacts (peer TEXT PRIMARY KEY, live INTEGER NOT NULL DEFAULT 0,"
        " at INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,"
        " reason TEXT NOT NULL DEFAULT '', skew INTEGER NOT NULL DEFAULT 0,"
        " epoch INTEGER NOT NULL DEFAULT 0, upto INTEGER NOT NULL DEFAULT 0,"
        " view INTEGER NOT NULL DEFAULT 0, spoiled INTEGER NOT NULL DEFAULT -1) WITHOUT ROWID",
        # the runs that a daemon started; times in seconds
        "CREATE TABLE runs (id INTEGER PRIMARY KEY AUTOINCREMENT, began REAL NOT NULL,"
        " ended REAL NOT NULL DEFAULT 0, status INTEGER, why TEXT NOT NULL,"
        " lines INTEGER NOT NULL DEFAULT 0, output TEXT NOT NULL DEFAULT '',"
        " said TEXT NOT NULL DEFAULT '')",
        "CREATE TABLE waits (path TEXT PRIMARY KEY, until INTEGER NOT NULL, class TEXT NOT NULL)"
        " WITHOUT ROWID",
    ),
    (
        # so that a signal costs the same however many of its class, or of its peer, are there
        "DROP INDEX received_class",
        "CREATE INDEX received_open ON received (origin, class, kind, epoch, seq) WHERE void = 0",
        "CREATE INDEX received_first ON received (origin, epoch, first)",
    ),
)


class State:
    """The file at PATH. NOW is the start of the run, in seconds, BEGUN the same by the clock that
    does not jump; LOG takes a level and a text."""

    __slots__ = (
        "_db", "_file", "_kept", "_log", "_monotonic", "_now", "_path", "_pid", "_saw", "_seen",
        "_stamps", "broken",
    )  # fmt: skip

    def __init__(
        self, path: str, log: "Callable[[str, str], None]", now: float, begun: float = 0.0
    ) -> None:
        self.broken = False
        self._path = path
        self._log = log
        self._now = now
        self._monotonic = begun or time.monotonic()
        self._db: Connection | None = None
        self._file: tuple[int, int] | None = None  # which one is open
        self._pid = 0
        self._stamps: dict[bytes, int] = {}
        self._kept: dict[bytes, int] = {}
        self._seen: dict[tuple[bytes, str], bytes | None] = {}  # in this run
        self._saw: dict[tuple[bytes, str], bytes | None] = {}  # what of that is to be remembered

    def clock(self) -> int:
        """The time, counted from the start of the run."""
        return int(self._now + time.monotonic() - self._monotonic)

    def milliseconds(self) -> int:
        """The same for signals, whose times are finer."""
        return int((self._now + time.monotonic() - self._monotonic) * 1000)

    # locks

    def locks(self) -> dict[bytes, int]:
        """When each promise was last kept."""
        self._stamps = self.do(
            lambda db: dict(db.execute("SELECT key, last FROM locks")), {}, create=False
        )
        return self._stamps

    def holders(self) -> dict[bytes, tuple[int, int, int]]:
        """Who is at which promise, or was: process, its start, and when it began."""
        rows: list[tuple[bytes, int, int, int]] = self.do(
            lambda db: db.execute("SELECT key, pid, start, begun FROM holders").fetchall(),
            [], create=False,
        )  # fmt: skip
        return {key: (pid, start, begun) for key, pid, start, begun in rows}

    def begin(
        self, key: bytes, holder: tuple[int, int, int], last: int | None,
        before: tuple[int, int, int] | None, act: "Act | None" = None,
    ) -> bool:  # fmt: skip
        """Write down that HOLDER begins with KEY, before it does.

        False if somebody else was faster: when looked at it was last kept at LAST, held by BEFORE,
        and nobody had acted on the signals of ACT. And if it must not be done twice (ACT) and that
        it was done could not be written down.
        """

        def work(db: "Connection") -> bool:
            db.execute("BEGIN IMMEDIATE")
            kept = db.execute("SELECT last FROM locks WHERE key = ?", (key,)).fetchone()
            held = db.execute("SELECT pid, start, begun FROM holders WHERE key = ?", (key,))
            seen = None if last is None else (last,)
            if kept != seen or held.fetchone() not in (None, before):
                db.execute("ROLLBACK")
                return False
            if act is not None:
                from agent import acts

                if not acts.untouched(db, act.path, act.needs):
                    db.execute("ROLLBACK")
                    return False
                if act.once:
                    acts.consume(db, act.path, act.needs, acts.BEGUN, self.milliseconds())
            db.execute("INSERT OR REPLACE INTO holders VALUES (?, ?, ?, ?)", (key, *holder))
            db.execute("COMMIT")
            return True

        return self.do(work, default=act is None)

    def commit(self, key: bytes, when: int, act: "Act | None" = None, ending: str = "") -> None:
        """Write down at once that KEY was done with at WHEN, and that nobody holds it.

        With an ENDING the signals of ACT are consumed; without it failed: they can be tried again.
        """

        def work(db: "Connection") -> bool:
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT OR REPLACE INTO locks VALUES (?, ?)", (key, when))
            db.execute("DELETE FROM holders WHERE key = ?", (key,))
            if act is not None:
                from agent import acts

                how = ending or acts.FAILED
                acts.consume(db, act.path, act.needs, how, self.milliseconds())
            db.execute("COMMIT")
            return True

        patience = LASTING if act is not None else 0.0
        if not self.do(work, default=False, patience=patience) and act is not None and ending:
            self._log(
                "error",
                f"that '{act.path}' acted on its signals cannot be written down: "
                "it may act on them again",
            )

    def give_up(self, act: "Act") -> None:
        """Write down at once that what ACT began was interrupted: its signals are consumed."""
        from agent import acts

        def work(db: "Connection") -> None:
            db.execute("BEGIN IMMEDIATE")
            acts.consume(db, act.path, act.needs, "interrupted", self.milliseconds())
            db.execute("COMMIT")

        self.do(work, None)

    def keep(self, key: bytes, when: int) -> None:
        """Write down when the run ends that KEY was found kept at WHEN."""
        self._kept[key] = when

    # persistent classes

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The persistent classes that are still alive, with their tags; the others are deleted."""
        now = self.clock()
        rows: list[tuple[str, int, str]] = self.do(
            lambda db: db.execute("SELECT name, expires, tags FROM classes").fetchall(),
            [], create=False,
        )  # fmt: skip
        alive = {}
        for name, expires, tags in rows:
            if now > expires:
                self._log("verbose", f"Persistent class '{name}' expired")
                continue
            minutes = (expires - now) // 60
            self._log("verbose", f"Persistent class '{name}' for {minutes} more minutes")
            alive[name] = (*filter(None, tags.split(",")), "source=persistent")
        if len(alive) < len(rows):
            self.do(lambda db: db.execute("DELETE FROM classes WHERE expires < ?", (now,)), None)
        return alive

    def persist(
        self, name: str, minutes: int, timer: str, tags: tuple[str, ...],
        source: "Source | None" = None,
    ) -> bool:  # fmt: skip
        """Keep the class NAME for MINUTES from now; if TIMER is `absolute`, from the first time.

        SOURCE is what its signal has to say. Whether there is a new one to be signed.
        """
        now = self.clock()
        text = os.fsencode(",".join(tags))

        def work(db: "Connection") -> tuple[str, bool]:
            db.execute("BEGIN IMMEDIATE")
            row = db.execute(
                "SELECT expires, timer, tags FROM classes WHERE name = ?", (name,)
            ).fetchone()
            fixed = row and row[1] == "absolute" and now < row[0] and os.fsencode(row[2]) == text
            expires = row[0] if fixed else now + 60 * minutes
            if not fixed:
                db.execute(
                    "INSERT OR REPLACE INTO classes VALUES (?, ?, ?, CAST(? AS TEXT))",
                    (name, expires, timer, text),
                )
            new = False
            if source is not None:
                from agent import signals

                new = signals.grant(db, name, source, self.milliseconds(), expires * 1000)
            db.execute("COMMIT")
            left = (row[0] - now) // 60 if row else None
            return _persisted(name, minutes, timer, left, fixed=bool(fixed)), new

        message, new = self.do(work, ("", False))
        if message:
            self._log("verbose", message)
        return new

    def forget(self, name: str, source: "Callable[[], Source | None] | None" = None) -> bool:
        """Let the class NAME end with this run; SOURCE gives what the cancel has to say of it.

        Whether there is a new signal to be signed.
        """

        def work(db: "Connection") -> bool:
            if not db.execute("SELECT 1 FROM classes WHERE name = ?", (name,)).fetchone():
                return False
            from agent import signals

            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM classes WHERE name = ?", (name,))
            why = source() if source is not None else None
            new = why is not None and signals.cancel(db, name, why, self.milliseconds())
            db.execute("COMMIT")
            return new

        return self.do(work, default=False, create=False)

    # monitored files

    def seen(self, path: bytes, kind: str) -> bytes | None:
        """What of this KIND was seen of PATH when it was last looked at, None if nothing was."""
        if (path, kind) in self._seen:
            return self._seen[path, kind]
        row: tuple[bytes] | None = self.do(
            lambda db: db.execute(
                "SELECT value FROM seen WHERE path = ? AND kind = ?", (path, kind)
            ).fetchone(),
            None, create=False,
        )  # fmt: skip
        return None if row is None else row[0]

    def see(self, path: bytes, kind: str, value: bytes | None, *, remember: bool) -> None:
        """Let VALUE be what was last seen of PATH, None: nothing; after this run if REMEMBER."""
        self._seen[path, kind] = value
        if remember:
            self._saw[path, kind] = value

    def _flush_seen(self) -> None:
        """Write down what was seen, in one transaction."""
        saw, self._saw = self._saw, {}
        if not saw:
            return

        def work(db: "Connection") -> None:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)",
                [(*key, value) for key, value in saw.items() if value is not None],
            )
            db.executemany(
                "DELETE FROM seen WHERE path = ? AND kind = ?",
                [key for key, value in saw.items() if value is None],
            )
            db.execute("COMMIT")

        self.do(work, None)

    # the file

    def close(self) -> None:
        """Write what was left to the end, in one transaction, and close the file."""
        self._flush_seen()
        kept, self._kept = self._kept, {}
        if kept:
            horizon = self.clock() - FOUR_WEEKS
            old = min(self._stamps.values(), default=horizon) < horizon

            def work(db: "Connection") -> None:
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT OR REPLACE INTO locks VALUES (?, ?)", kept.items())
                if old:
                    db.execute("DELETE FROM locks WHERE last < ?", (horizon,))
                    db.execute("DELETE FROM holders WHERE begun < ?", (horizon,))
                db.execute("COMMIT")

            self.do(work, None)
        db, self._db = self._db, None
        if db is not None and self._pid == os.getpid():
            db.close()

    def do(
        self, work: "Callable[[Connection], T]", default: "T", *,
        create: bool = True, patience: float = 0.0,
    ) -> "T":  # fmt: skip
        """What WORK comes to, or DEFAULT if there is no state, or none yet and not to CREATE it.

        While somebody else has the file, it is tried again for PATIENCE seconds.
        """
        if self.broken or not (create or self._db or _there(self._path)):
            return default
        import _sqlite3

        try:
            try:
                return self._tried(work, time.monotonic() + patience)
            except _sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in CORRUPT:
                    raise
                self._set_aside()
                return work(self._connection())
        except (_sqlite3.Error, OSError) as error:
            self._give_up(getattr(error, "strerror", None) or str(error))
            return default
        except BaseException:
            if self._db is not None and self._db.in_transaction:
                self._db.execute("ROLLBACK")  # or nobody else could write
            raise

    def _tried(self, work: "Callable[[Connection], T]", end: float) -> "T":
        """What WORK comes to; while somebody else has the file, again until END."""
        import _sqlite3

        while True:
            try:
                return work(self._connection())
            except _sqlite3.OperationalError as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code not in BUSY or time.monotonic() > end:
                    raise

    def _connection(self) -> "Connection":
        """The open file; after a fork a new one, because the parent's must not be touched."""
        if self._db is not None and self._pid == os.getpid():
            return self._db
        self._pid = os.getpid()
        self._db = _opened(self._path)
        self._file = _which(self._path)
        return self._db

    @property
    def moved(self) -> bool:
        """Whether what is open is not what is called so any more."""
        return self._db is not None and self._file != _which(self._path)

    def _give_up(self, reason: str) -> None:
        """Go on without a memory."""
        self.broken = True
        self._log("warning", f"state file '{self._path}': {reason}; this run remembers nothing")
        if self._db is not None:
            self._db.close()  # and with it what was begun
            self._db = None

    def _set_aside(self) -> None:
        """Move a file that cannot be read out of the way, unless somebody did so already."""
        moved = self.moved
        if self._db is not None:
            self._db.close()
            self._db = None
        if moved:
            return
        aside = f"{self._path}.corrupt.{self.clock()}"
        os.rename(self._path, aside)
        for suffix in ("-wal", "-shm"):
            if os.path.exists(self._path + suffix):
                os.rename(self._path + suffix, aside + suffix)
        self._log(
            "error",
            f"state file '{self._path}' is corrupt: it is kept as '{aside}' and a new one begins, "
            "so locks, persistent classes and what was seen of files are forgotten",
        )


def _which(path: str) -> tuple[int, int] | None:
    """Which file is at PATH now, None if none is."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _persisted(name: str, minutes: int, timer: str, left: int | None, *, fixed: bool) -> str:
    """What the reference says of a class that is kept: LEFT are the minutes that it had before."""
    if fixed:
        return f"Persistent class '{name}' is already in a preserved state --  {left} minutes to go"
    policy = "preserve" if timer == "absolute" else "reset"
    if left is None:
        return f"Creating persistent class '{name}' ({minutes} minutes, policy {policy})"
    if timer == "absolute":
        return f"Updating persistent class '{name}' ({minutes} minutes, policy preserve)"
    return (
        f"Resetting persistent class '{name}' timer to {minutes} minutes "
        f"(was {left} minutes remaining)"
    )


def _there(path: str) -> bool:
    """Whether the file PATH is there, or may be: nobody lets us look."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _opened(path: str) -> "Connection":
    """The file at PATH, made if it is not there, its tables as this version wants them.

    Raises OSError, too, if others can put another one in its place: it says what to run again, and
    which signals came.
    """
    import _sqlite3

    _safe(os.path.dirname(path))
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        # SQLite would make it readable for others; what it makes beside it follows its mode
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    db = _sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    db.text_factory = os.fsdecode
    db.execute("PRAGMA synchronous = NORMAL")
    version = _version(db)
    if version != len(SCHEMA):
        _upgrade(db)
    return db


def _safe(directory: str) -> None:
    """Raise OSError if others can change what is in DIRECTORY."""
    try:
        found = os.stat(directory)
    except FileNotFoundError:
        return  # it will be ours
    if found.st_mode & 0o022 or found.st_uid not in (os.geteuid(), 0):
        raise OSError(f"'{directory}' can be changed by others: chmod 700")


def _version(db: "Connection") -> int:
    """Which of the versions in SCHEMA the file has, 0 if it is new."""
    row: tuple[int] = db.execute("PRAGMA user_version").fetchone()
    return row[0]


def _upgrade(db: "Connection") -> None:
    """Bring the file to the newest version. Raises OSError if it is newer than that."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    version = _version(db)  # again: another agent may have been faster
    if version > len(SCHEMA):
        raise OSError(f"it is of version {version}, made by a newer program")
    for statements in SCHEMA[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(SCHEMA)}")
    db.execute("COMMIT")
