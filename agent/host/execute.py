"""Starting programs, and hearing them to the end.

`posix_spawn` starts them: it copies no page tables. A user or a root of their own needs a fork, and
the child to change itself before it becomes the program.
"""

import errno
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

# What Python ignores and a program expects to die of. `signal` knows them too, but costs 2 ms.
SIGPIPE, SIGXFSZ = 13, 25
SIGKILL, SIGTERM = 9, 15
STDERR = 2
SHELL = "/bin/sh"
QUOTES = "\"'`"
BLANKS = " \t\n\r\v\f"
MOST_ARGUMENTS = 2048
GRACE = 1.0
CHUNK = 65536


class Settings:
    """What is different for a program than for us."""

    __slots__ = ("chroot", "cwd", "gid", "loud", "merge", "talk", "uid", "umask")

    def __init__(
        self,
        *,
        cwd: str | None = None,
        umask: int = 0o077,
        uid: int | None = None,
        gid: int | None = None,
        chroot: str | None = None,
        merge: bool = True,
        talk: bool = False,
        loud: bool = False,
    ) -> None:
        self.cwd = cwd
        self.umask = umask
        self.uid = uid
        self.gid = gid
        self.chroot = chroot
        self.merge = merge
        self.talk = talk
        self.loud = loud

    @property
    def plain(self) -> bool:
        """Whether `posix_spawn` can do it."""
        return self.uid is None and self.gid is None and self.chroot is None


class Finished:
    """How a program ended. A negative RETURNCODE is the signal that killed it."""

    __slots__ = ("err", "out", "returncode", "timed_out")

    def __init__(self, returncode: int, out: bytes, err: bytes, timed_out: bool) -> None:
        self.returncode = returncode
        self.out = out
        self.err = err
        self.timed_out = timed_out


def split(command: str) -> list[str]:
    """COMMAND as the language splits it: at blanks; a word may be quoted as a whole, no escapes."""
    words: list[str] = []
    at, end = 0, len(command)
    while at < end and len(words) < MOST_ARGUMENTS:
        char = command[at]
        if char in BLANKS:
            at += 1
        elif char in QUOTES:
            close = command.find(char, at + 1)
            close = end if close < 0 else close
            words.append(command[at + 1 : close])
            at = close + 1
        else:
            start = at
            while at < end and command[at] not in BLANKS:
                at += 1
            words.append(command[start:at])
    return words


def arguments(command: str | list[str], *, shell: bool) -> list[str]:
    """What to start for COMMAND. Raises OSError if there is nothing in it."""
    if shell:
        text = command if isinstance(command, str) else " ".join(command)
        return [SHELL, "-c", text]
    if isinstance(command, str):
        # most commands have no quotes, and str.split is a hundred times faster
        quoted = '"' in command or "'" in command or "`" in command
        command = split(command) if quoted else command.split()
    if not command:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "")
    return command


class Child:
    """A program that runs, and our ends of its pipes: IN -1 if it reads nothing from us."""

    __slots__ = ("_held", "err", "inp", "out", "pid")

    def __init__(self, pid: int, inp: int, out: int, err: int) -> None:
        self.pid = pid
        self.inp = inp
        self.out = out
        self.err = err
        self._held = b""

    def write(self, data: bytes) -> None:
        """Say DATA to it. Raises BrokenPipeError if it does not listen any more."""
        while data:
            data = data[os.write(self.inp, data) :]

    def readline(self, timeout: float | None = None) -> bytes:
        """Its next line with the line end, what is left of it at its end, b"" after that.

        Raises TimeoutError if TIMEOUT seconds pass without one.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._held:
            if (
                until is not None
                and not select.select([self.out], [], [], max(0.0, until - time.monotonic()))[0]
            ):
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            data = os.read(self.out, CHUNK)
            if not data:
                rest, self._held = self._held, b""
                return rest
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return line + b"\n"

    def close_input(self) -> None:
        """Say that nothing more is coming."""
        if self.inp >= 0:
            os.close(self.inp)
            self.inp = -1

    def kill(self, signal: int = SIGKILL) -> None:
        """Send SIGNAL to it, if it is still there."""
        try:
            os.kill(self.pid, signal)
        except ProcessLookupError:
            return

    def leave(self, timeout: float) -> None:
        """Close its pipes and wait for its end, which after TIMEOUT seconds comes by force."""
        self.close_input()
        os.close(self.out)
        until = time.monotonic() + timeout
        pause = 0.0002
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            if time.monotonic() >= until:
                self.kill()
                os.waitpid(self.pid, 0)
                return
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def stop(self) -> None:
        """End it, as we are ending: ask, wait a moment, use force."""
        signal, until = SIGTERM, time.monotonic() + GRACE
        try:
            ended = os.waitpid(self.pid, os.WNOHANG)[0]
            if not ended:
                self.kill(signal)
            while not ended:
                if time.monotonic() >= until and signal != SIGKILL:
                    signal = SIGKILL
                    self.kill(signal)
                time.sleep(0.01)
                ended = os.waitpid(self.pid, os.WNOHANG)[0]
        except ChildProcessError:
            return  # it had ended, and we had heard of that

    def finish(
        self, *, stdin: bytes = b"", timeout: float | None = None, limit: int = 0
    ) -> Finished:
        """Hear it to its end."""
        if self.inp < 0 and self.err < 0 and timeout is None and not limit:
            out = self._held + _drain(self.out)
            os.close(self.out)
            return Finished(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), out, b"", False)
        return _Conversation(self, stdin, timeout, limit).run()

    def take_held(self) -> bytes:
        """What was read but not asked for."""
        held, self._held = self._held, b""
        return held


class _Conversation:
    """The end of a program that is fed, timed or limited: all its pipes at once."""

    def __init__(self, child: Child, stdin: bytes, timeout: float | None, limit: int) -> None:
        self.child = child
        self.stdin = memoryview(stdin)
        self.until = None if timeout is None else time.monotonic() + timeout
        self.limit = limit
        self.heard: dict[int, list[bytes]] = {child.out: [child.take_held()]}
        self.room = limit - len(self.heard[child.out][0])
        self.signal = 0
        if child.err >= 0:
            self.heard[child.err] = []
        self.poll = select.poll()
        for fd in self.heard:
            self.poll.register(fd, select.POLLIN)
        if child.inp >= 0:
            os.set_blocking(child.inp, False)
            self.poll.register(child.inp, select.POLLOUT)

    def run(self) -> Finished:
        """Feed and listen until every pipe is closed, then wait."""
        child = self.child
        open_ends = set(self.heard)
        while open_ends and not self._full():
            ready = self.poll.poll(self._patience())
            if not ready and self.until is not None:
                self._end_it()
            for fd, _ in ready:
                if fd == child.inp:
                    self._feed()
                elif not self._listen(fd):
                    self.poll.unregister(fd)
                    open_ends.discard(fd)
        if child.inp >= 0:
            child.close_input()
        for fd in self.heard:
            os.close(fd)
        out = b"".join(self.heard[child.out])
        err = b"".join(self.heard.get(child.err, []))
        return Finished(self._code(), out, err, self.signal != 0)

    def _full(self) -> bool:
        """Whether it said more than is kept: it then finds its pipes closed, and ends of that."""
        return self.limit > 0 and self.room < 0

    def _patience(self) -> float | None:
        """How many milliseconds to wait for something to happen."""
        if self.until is None:
            return None
        return max(0.0, self.until - time.monotonic()) * 1000

    def _end_it(self) -> None:
        """Time is up: ask it to end, then make it. Its own children may keep the pipes open."""
        self.signal = SIGKILL if self.signal else SIGTERM
        self.child.kill(self.signal)
        self.until = time.monotonic() + GRACE if self.signal == SIGTERM else None

    def _feed(self) -> None:
        """Write as much as it takes now; the end of the text closes the pipe."""
        try:
            self.stdin = self.stdin[os.write(self.child.inp, self.stdin[:CHUNK]) :]
        except BrokenPipeError:
            self.stdin = self.stdin[:0]
        if not self.stdin:
            self.poll.unregister(self.child.inp)
            self.child.close_input()

    def _listen(self, fd: int) -> bool:
        """Take what is there; False at the end."""
        data = os.read(fd, CHUNK)
        if self.limit:
            self.heard[fd].append(data[: max(0, self.room)])
            self.room -= len(data)
        else:
            self.heard[fd].append(data)
        return bool(data)

    def _code(self) -> int:
        """Wait for its end, no longer than it may take."""
        pause = 0.0002  # most have ended when their pipes did
        while self.until is not None:
            pid, status = os.waitpid(self.child.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= self.until:
                self._end_it()
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return os.waitstatus_to_exitcode(os.waitpid(self.child.pid, 0)[1])


def _drain(fd: int) -> bytes:
    """All that comes from FD until everybody has closed it."""
    data = os.read(fd, CHUNK)
    if not data:
        return data
    parts = [data]
    while data := os.read(fd, CHUNK):
        parts.append(data)
    return b"".join(parts)


def start(words: list[str], env: dict[str, str], settings: Settings) -> Child:
    """Start the program that WORDS name. Raises OSError if that cannot be."""
    theirs: list[int] = []
    inp = err = -1
    try:
        if settings.talk:
            reader, inp = os.pipe()
            theirs.append(reader)
        else:
            theirs.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        out, writer = os.pipe()
        theirs.append(writer)
        if settings.merge:
            theirs.append(writer)
        elif settings.loud:
            theirs.append(os.dup(STDERR))
        else:
            err, writer = os.pipe()
            theirs.append(writer)
        begin = _spawn if settings.plain else _fork
        try:
            pid = begin(words, env, settings, theirs)
        except OSError:
            for fd in (inp, out, err):
                if fd >= 0:
                    os.close(fd)
            raise
    finally:
        for fd in set(theirs):
            os.close(fd)
    return Child(pid, inp, out, err)


def _spawn(words: list[str], env: dict[str, str], settings: Settings, theirs: list[int]) -> int:
    """The quick way: the kernel lends our memory to the child until it is the program.

    It inherits our directory and umask, so those are lent too: nothing else of us runs meanwhile.
    """
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(theirs)]
    here = -1
    if settings.cwd is not None:
        here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    ours = os.umask(settings.umask)
    try:
        if settings.cwd is not None:
            os.chdir(settings.cwd)
        return os.posix_spawnp(
            words[0], words, env, file_actions=actions, setsigdef=(SIGPIPE, SIGXFSZ)
        )
    finally:
        os.umask(ours)
        if here >= 0:
            os.fchdir(here)
            os.close(here)


def _fork(words: list[str], env: dict[str, str], settings: Settings, theirs: list[int]) -> int:
    """The slow way: a copy of us that changes itself and then becomes the program."""
    complaint, complain = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(words, env, settings, theirs, complain)
    os.close(complain)
    with open(complaint, "rb") as pipe:
        reason = pipe.read()
    if reason:
        os.waitpid(pid, 0)
        raise OSError(int(reason), os.strerror(int(reason)), words[0])
    return pid


def _become(
    words: list[str], env: dict[str, str], settings: Settings, theirs: list[int], complain: int
) -> "NoReturn":
    """In the child: change what SETTINGS say, and be the program; errors go to COMPLAIN."""
    try:
        import signal
        import warnings  # noqa: F401  # execvpe wants it, and after `_settle` we may not read it

        _settle(settings)
        for number, fd in enumerate(theirs):
            os.dup2(fd, number)
        for ignored in (SIGPIPE, SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        os.execvpe(words[0], words, env)  # noqa: S606  # the policy said without
    except OSError as error:
        os.write(complain, b"%d" % (error.errno or errno.EINVAL))
    finally:
        os._exit(127)


def _settle(settings: Settings) -> None:
    """Root, directory, groups, user: in the order in which each is still allowed."""
    os.umask(settings.umask)
    if settings.chroot is not None:
        os.chroot(settings.chroot)
        os.chdir("/")
    if settings.cwd is not None:
        os.chdir(settings.cwd)
    if settings.gid is not None:
        os.setgid(settings.gid)
    if settings.uid is not None:
        _groups_of(settings)
        os.setuid(settings.uid)


def _groups_of(settings: Settings) -> None:
    """Give up our supplementary groups for those of the user."""
    import pwd

    if os.geteuid() != 0 or settings.uid is None:
        return
    try:
        user = pwd.getpwuid(settings.uid)
    except KeyError:
        os.setgroups([] if settings.gid is None else [settings.gid])
        return
    gid = user.pw_gid if settings.gid is None else settings.gid
    os.initgroups(user.pw_name, gid)
    if settings.gid is None:
        os.setgid(gid)


def alone(work: "Callable[[], None]") -> "NoReturn":
    """In a background child: do WORK and leave without what belongs to the parent's end."""
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)
