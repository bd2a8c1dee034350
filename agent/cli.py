"""The command line: a table from subcommands and names of links to the modules that do the work.

Nothing is imported before it is known to be needed: an agent that has nothing to do spends most
of its time on imports.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

# subcommand: the module whose `main` does it, what it does
COMMANDS = {
    "run": ("agent.life", "keep the promises of a policy"),
    "plan": ("agent.life", "show what a run would change; change nothing"),
    "check": ("agent.check", "find the mistakes in policy"),
    "access": ("agent.access", "show what the server shares, and with whom"),
    "doc": ("agent.doc", "say what a word of the language means"),
    "key": ("agent.key", "make or show the key of this host"),
    "peer": ("agent.peer", "the hosts that this one trusts"),
    "daemon": ("agent.resident", "run periodically, serve peers, act on their signals"),
    "serve": ("agent.resident", "serve peers alone"),
    "status": ("agent.status", "how the daemon, its runs and the peers are"),
    "signal": ("agent.signal", "what hosts have told each other"),
    "links": ("agent.links", "make cf-agent, cf-promises and the other names of troth"),
}
# what the daemon starts for itself
INSIDE = {
    "network": "server.cli",
    "controls": "agent.controls",
}
# name of a link: the module whose `main` does it; None if that is still to come
LINKS = {
    "cf-agent": "agent.life",
    "cf-promises": "agent.check",
    "cf-serverd": "agent.resident",
    "cf-key": None,
    "cf-execd": "agent.resident",
    "cf-runagent": None,
    "cf-net": None,
    "cf-secret": None,
    "cf-check": None,
}
# what they are for is done whether somebody hears of it or not
KEEPERS = frozenset(("run", "daemon", "serve", "cf-agent", "cf-execd", "cf-serverd"))
EXIT_USAGE = 1


class Stopped(BaseException):
    """A signal asked for the end; what was begun is put in order on the way out."""


def main(argv: list[str] | None = None) -> int:
    """Do what ARGV (argv[0] first) asks; the exit status."""
    argv = sys.argv if argv is None else argv
    name = argv[0].rpartition("/")[2]
    if name in LINKS:
        module = LINKS[name]
        if module is None:
            return _complain(f"not yet supported: {name}")
        return _start(name, module, argv)
    command = argv[1] if len(argv) > 1 else "--help"
    if command in COMMANDS:
        return _start(command, COMMANDS[command][0], [f"troth {command}", *argv[2:]])
    if command in INSIDE:
        return _start(command, INSIDE[command], [f"troth {command}", *argv[2:]])
    return _about(command)


def _start(name: str, module: str, argv: list[str]) -> int:
    """Read the options of the program NAME and run the main function of MODULE."""
    import os
    import time

    from agent import log, options

    now, begun = time.time(), time.monotonic()
    if os.environ.get("TROTH_CLOCK"):
        from agent import clock

        now = clock.now()
    try:
        settings = options.parse(name, argv, os.environ, now)
        settings.begun = begun
    except options.Usage as error:
        from agent import help as helps

        out, err = helps.refusal(error, name)
        _print(out)
        return _complain(err)
    if settings.show:
        from agent import help as helps

        _print(helps.shown(settings))
        return 0
    if settings.workdir != options.workdir(name, "", os.environ):
        for variable in options.WORKDIRS:  # for the agents that this one starts
            os.environ[variable] = settings.workdir
    return _guarded(__import__(module, fromlist=["main"]).main, settings, log.opened(settings))


def _guarded(work: "Any", settings: "Any", log: "Any") -> int:
    """The exit status of WORK, which SIGINT, SIGTERM and SIGHUP end in good order."""
    import _signal as signals  # type: ignore[import-not-found]  # signal: 1 ms

    signals.signal(signals.SIGINT, _stop)
    signals.signal(signals.SIGTERM, _stop)
    if signals.getsignal(signals.SIGHUP) != signals.SIG_IGN:  # as nohup sets it
        signals.signal(signals.SIGHUP, _stop)
    signals.signal(signals.SIGCHLD, signals.SIG_DFL)  # or nobody could wait for what we start
    try:
        status: int = work(settings, log)
    except Stopped as stopped:
        number = stopped.args[0]
        log("error", f"stopped by signal {number}; what is not done yet is left for the next run")
        status = 128 + number
    finally:
        log.flush()
    if log.lost:
        log("error", f"cannot write to stdout: {log.lost}")
        log.flush()
        status = status if settings.program in KEEPERS else status or EXIT_USAGE
    return status


def _stop(number: int, _frame: "FrameType | None") -> None:
    raise Stopped(number)


def _complain(message: str) -> int:
    if sys.stderr is not None and message:
        sys.stderr.write(message if message.endswith("\n") else f"{message}\n")
    return EXIT_USAGE


def _print(text: str) -> None:
    """Write TEXT to stdout, if that is not closed."""
    if sys.stdout is not None:
        sys.stdout.write(text)


def _about(command: str) -> int:
    """Answer `troth --help`, `troth --version`, and what is no command."""
    from agent import help as helps

    if command in ("--version", "-V", "version"):
        _print(f"troth {helps.VERSION} (the language of CFEngine {helps.CLASSIC_VERSION})\n")
        return 0
    if command in ("--help", "-h", "help"):
        overview = {name: what for name, (_, what) in COMMANDS.items()}
        _print(helps.overview(overview))
        return 0
    hint = helps.nearest(command, list(COMMANDS))
    return _complain(f"troth: '{command}' is not a command{hint}\nsee 'troth --help'")


# started by a launcher (links.py)


class Packages:
    """Finds what is neither ours nor Python's: sets up the environment's packages when first asked.

    Python was started without site, because a run that finds its policy in the cache needs none of
    them and would pay for the search.
    """

    @staticmethod
    def find_spec(name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """Where the module NAME is, once the packages of the environment are looked at."""
        if path is not None or name in sys.stdlib_module_names:
            return None
        sys.meta_path.remove(Packages)
        import site

        site.main()
        for finder in sys.meta_path:
            found = finder.find_spec(name, path, target)
            if found is not None:
                return found
        return None


def launch() -> None:
    """Be the program that was called, and end without taking the interpreter down in order."""
    import os

    sys.meta_path.append(Packages)
    status = main()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it was closed before we began
            try:
                stream.flush()
            except OSError:
                status = status or EXIT_USAGE
    os._exit(status)
