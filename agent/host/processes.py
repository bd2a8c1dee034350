"""The processes of this host, read from /proc, and the line that `ps` would print of each.

Running `ps` costs more than reading what it reads. Its lines are for people and for policy that
matches them: `-eo user:30,pid,ppid,pgid,pcpu,pmem,vsz,ni,rss:9,tname,nlwp,stime,etime,time,args`.
"""

import os
import time

TYPE_CHECKING = False

# fields of /proc/PID/stat after the name in brackets
STATE, PARENT, GROUP, TTY, USER_TIME, SYSTEM_TIME = 0, 1, 2, 4, 11, 12
NICE, THREADS, START, SIZE, RESIDENT, SCHEDULING = 16, 17, 19, 20, 21, 38
TIMED = (b"0", b"3")  # ways of scheduling in which a nice value means something
SHOWN = dict.fromkeys((*range(32), 127), "?") | {10: " "}
# major number of a terminal: its name, and from which minor number on
TERMINALS = {
    4: ("tty", 0),
    204: ("ttyAMA", 64),
    229: ("hvc", 0),
    **{136 + more: ("pts/", -256 * more) for more in range(8)},
}
SERIAL = 64  # minor number of the first serial line among the terminals of major 4
MANY = 999


class Process:
    """One process: times in seconds, sizes in kilobytes, START since the epoch, STATE a letter.

    NICE is None where another way of scheduling does without. UID is whom it acts as.
    """

    __slots__ = (
        "command", "cpu", "elapsed", "group", "nice", "parent", "pid", "resident", "size", "start",
        "state", "threads", "tty", "uid", "world",
    )  # fmt: skip

    def __init__(self, pid: int, fields: list[bytes], world: "World") -> None:
        self.pid = pid
        self.world = world
        self.uid = 0
        self.command = ""
        self.state = chr(fields[STATE][0])
        self.parent = int(fields[PARENT])
        self.group = int(fields[GROUP])
        self.tty = terminal(int(fields[TTY]))
        self.cpu = (int(fields[USER_TIME]) + int(fields[SYSTEM_TIME])) / world.ticks
        self.nice = int(fields[NICE]) if fields[SCHEDULING] in TIMED else None
        self.threads = int(fields[THREADS])
        started = int(fields[START]) / world.ticks
        self.start = int(world.now - world.uptime + started)
        self.elapsed = max(0, int(world.uptime - started))
        self.size = int(fields[SIZE]) // 1024
        self.resident = int(fields[RESIDENT]) * world.page


class World:
    """What all processes are measured by."""

    __slots__ = ("memory", "now", "page", "ticks", "uptime", "width")

    def __init__(self) -> None:
        self.now = time.time()
        self.uptime = float(_read("/proc/uptime").split()[0])
        self.memory = int(_read("/proc/meminfo").split(None, 2)[1])
        self.width = len(str(int(_read("/proc/sys/kernel/pid_max")) - 1))
        self.ticks = os.sysconf("SC_CLK_TCK")
        self.page = os.sysconf("SC_PAGE_SIZE") // 1024


def _read(path: str) -> bytes:
    """What the file PATH of the kernel holds."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = [os.read(fd, 4096)]
        while len(parts[-1]) == 4096:
            parts.append(os.read(fd, 4096))
    finally:
        os.close(fd)
    return b"".join(parts)


def table() -> list[Process]:
    """All processes, by number. Those that end while we look are left out."""
    world = World()
    found = []
    for pid in sorted([int(name) for name in os.listdir("/proc") if name.isdigit()]):
        try:
            found.append(_process(pid, world))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _process(pid: int, world: World) -> Process:
    """The process PID as it is now. Raises OSError if it has ended."""
    before, _, after = _read(f"/proc/{pid}/stat").rpartition(b")")
    process = Process(pid, after.split(), world)
    for line in _read(f"/proc/{pid}/status").split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"Uid":
            process.uid = int(value.split()[1])
        elif name == b"VmSize":
            process.size = int(value.split()[0])
        elif name == b"VmRSS":
            process.resident = int(value.split()[0])
            break
    words = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ")
    if process.state == "Z":
        words = b"[" + before.partition(b"(")[2] + b"] <defunct>"
    elif not words:
        words = b"[" + before.partition(b"(")[2] + b"]"
    process.command = words.decode("utf-8", "replace").replace("\ufffd", "?").translate(SHOWN)
    return process


def terminal(number: int) -> str:
    """The name of the terminal with this device NUMBER, `?` for none."""
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    if major == 4 and minor >= SERIAL:
        return f"ttyS{minor - SERIAL}"
    if major not in TERMINALS:
        return "?"
    name, first = TERMINALS[major]
    return f"{name}{minor - first}"


def line(process: Process, owner: str) -> str:
    """What `ps` prints of PROCESS, whose owner is called OWNER."""
    world = process.world
    share = min(process.resident * 1000 // world.memory, MANY)
    nice = "-" if process.nice is None else str(process.nice)
    width = world.width
    return (
        f"{owner:<30} {process.pid:>{width}} {process.parent:>{width}} {process.group:>{width}} "
        f"{_busy(process):>4} {share // 10:>2}.{share % 10} {process.size:>6} {nice:>3} "
        f"{process.resident:>9} {process.tty:<8} {process.threads:>4} "
        f"{_started(process):<5} {_elapsed(process.elapsed):>11} {_used(process.cpu)} "
        f"{process.command}"
    )


def _busy(process: Process) -> str:
    """Which part of its life PROCESS was computing, in percent."""
    share = int(process.cpu * 1000 / process.elapsed) if process.elapsed else 0
    return str(share // 10) if share > MANY else f"{share // 10}.{share % 10}"


def _started(process: Process) -> str:
    """When PROCESS started: a time of today, a day of this year, or a year."""
    then, today = time.localtime(process.start), time.localtime(process.world.now)
    if then.tm_year != today.tm_year:
        return time.strftime("%Y", then)
    return time.strftime("%H:%M" if then.tm_yday == today.tm_yday else "%b%d", then)


def _elapsed(seconds: int) -> str:
    """SECONDS as `[[days-]hours:]minutes:seconds`."""
    hours = seconds // 3600
    if hours:
        return _used(seconds)
    return f"{seconds // 60:02}:{seconds % 60:02}"


def _used(seconds: float) -> str:
    """SECONDS as `[days-]hours:minutes:seconds`."""
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    prefix = f"{days}-" if days else ""
    return f"{prefix}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
