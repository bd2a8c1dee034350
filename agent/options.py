"""What each program can be asked on its command line: tables of options, one reader, one result.

The reader does what getopt_long does: options and files in any order, short ones in bundles, long
ones cut short where no other begins so, arguments attached or apart, `--` before what only looks
like an option. What the options mean, in words, is in help.py.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    Value: TypeAlias = "str | bool | tuple[str, ...]"
    # long name, short name or "", argument ("" none, "[X]" optional), field of Settings,
    # and the value of an option without argument, or what makes one of the argument
    Option: TypeAlias = "tuple[str, str, str, str, Value | Callable[[str, Value], Value]]"


class Settings:
    """What one run was asked to do; handed down, never global."""

    program: str = ""
    file: str = ""  # the entry policy
    files: tuple[str, ...] = ()  # as named on the command line
    workdir: str = ""
    now: float = 0.0
    begun: float = 0.0  # NOW by the clock that does not jump; 0: unknown
    timezone: str | None = None
    defines: tuple[str, ...] = ()
    negates: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    no_locks: bool = False
    dry: bool = False
    plan: bool = False
    json: bool = False
    detailed_exitcode: bool = False
    level: str = "notice"
    timestamps: bool = False
    timing: bool = False
    color: bool = False
    ignore_preferred: bool = False
    no_augments: bool = False
    no_host_data: bool = False
    show_classes: str | None = None  # a pattern; "" means all
    show_vars: str | None = None
    full_check: bool = False
    eval_functions: bool = True
    output: str = "none"  # of the parsed policy: none cf json cf-full json-full
    syntax: str = "none"  # of the description of the language: none json
    warnings: tuple[str, ...] = ()
    ttl: str = ""  # of an invitation, or of a key beside its successor
    source: str = ""  # the network that an invitation is for
    force: bool = False
    first_use: bool = False  # take whatever key answers
    release: str = ""  # the directory to tag as checked
    listing: bool = False  # of all names; FILES are kinds of them
    word: str = ""  # to look for in what is said about names
    listen: str = ""  # where the server does: ADDR[:PORT]
    no_listen: bool = False
    network_user: str = ""  # who the network half is, if root starts it
    schedule: str = ""  # a class expression, instead of the policy's
    splay: str = ""  # minutes
    once: bool = False
    wakes: bool = False  # start runs for signals, and nothing else
    foreground: bool = False
    socket: str = ""  # the directory of that for cf-runagent, or "no"
    verify: bool = False
    show: str = ""  # instead of a run: help version manual diagnostics

    def __init__(self, given: "dict[str, object]") -> None:
        self.__dict__.update(given)


class Usage(Exception):
    """A command line that means nothing.

    HOW says where the message goes: "getopt" to stderr with the help after it on stdout, "plain" to
    stderr, "log" to stdout as a line of level error.
    """

    def __init__(self, message: str, how: str = "log") -> None:
        super().__init__(message)
        self.how = how


# what becomes of arguments

LEVELS = ("critical", "errors", "warnings", "notices", "information", "verbose", "debug")
PLURALS = {"errors": "error", "warnings": "warning", "notices": "notice", "information": "info"}
MODULES = (
    "help", "all", "evalctx", "expand", "iterations", "parser", "vartable", "vars", "locks", "ps",
)  # fmt: skip
WARNINGS = ("deprecated", "removed", "sanity-check", "all")


def _text(text: str, before: "Value") -> str:
    return text


def _names(text: str, before: "Value") -> tuple[str, ...]:
    """The names before, and those that TEXT adds between commas."""
    assert isinstance(before, tuple)  # noqa: S101  # the default of such a field is one
    return (*before, *[name for name in text.split(",") if name])


def _level(text: str, before: "Value") -> str:
    """A log level, cut short or in the plural as people write it."""
    if text == "none":
        return text
    for word in LEVELS:
        if text and word.startswith(text):
            return PLURALS.get(word, word)
    raise Usage(f"Invalid log level: '{text}'", "plain")


def _modules(text: str, before: "Value") -> tuple[str, ...]:
    names = tuple(text.split(","))
    if "help" in names:
        listed = "\n".join([f"    {name}" for name in MODULES])
        raise Usage(
            f"--log-modules accepts a comma separated list of one or more of these:\n\n{listed}\n",
            "plain",
        )
    return names


def _warnings(text: str, before: "Value") -> tuple[str, ...]:
    names = text.removeprefix("error=").split(",")
    for name in names:
        if name not in WARNINGS:
            raise Usage(f"Unrecognized warning '{name}'")
    return _names(text, before)


def _one_of(allowed: str, message: str, absent: str = "") -> "Callable[[str, Value], str]":
    """A check that the argument is among the words ALLOWED; MESSAGE says that it is not."""
    words = allowed.split()

    def check(text: str, before: "Value") -> str:
        if not text and absent:
            return absent
        if text not in words:
            raise Usage(message.replace("%s", text))
        return text

    return check


_color = _one_of("always auto never", "Unrecognized color mode '%s'", "auto")
_yes_no = _one_of("yes no", "Invalid argument for --skip-db-check(yes/no): '%s'", "yes")
_simulate = _one_of(
    "manifest manifest-full diff",
    "Invalid argument for --simulate, 'manifest' or 'diff' required, not '%s'",
)
_dump = _one_of(
    "none cf json cf-full json-full",
    "Invalid policy output format: '%s'. "
    "Possible values are 'none', 'cf', 'json', 'cf-full', 'json-full'",
)
_syntax = _one_of(
    "none json",
    "Invalid syntax description output format: '%s'. Possible values are 'none', 'json'",
)


def _is_yes(text: str, before: "Value") -> bool:
    return text == "yes"


# fmt: off
COMMON: "tuple[Option, ...]" = (
    # long                         short argument  field               value
    ("define",                       "D", "CLASSES", "defines",          _names),
    ("negate",                       "N", "CLASSES", "negates",          _names),
    ("bundlesequence",               "b", "BUNDLES", "bundles",          _names),
    ("workdir",                      "w", "DIR",     "workdir",          _text),
    ("log-level",                    "g", "LEVEL",   "level",            _level),
    ("verbose",                      "v", "",        "level",            "verbose"),
    ("timestamp",                    "l", "",        "timestamps",       True),
    ("color",                        "C", "[WHEN]",  "color",            _color),
    ("help",                         "h", "",        "show",             "help"),
)
QUIET: "Option" = \
    ("quiet",                        "q", "",        "level",            "error")
NO_LOCK: "Option" = \
    ("no-lock",                      "K", "",        "no_locks",         True)
JSON: "Option" = \
    ("json",                         "",  "",        "json",             True)
DETAILED: "Option" = \
    ("detailed-exitcode",            "",  "",        "detailed_exitcode", True)
ACCESS = tuple(option for option in COMMON if option[0] != "bundlesequence")
DOC: "tuple[Option, ...]" = (
    ("list",                         "",  "",        "listing",          True),
    ("search",                       "",  "WORD",    "word",             _text),
    JSON,
    *COMMON[-2:],
)
# where the policy is an argument; who knows cf-agent writes -f before it
NAMING = ("troth run", "troth plan", "troth check")
# what names the work directory, the amount of talk, and help
PLACE: "tuple[Option, ...]" = tuple(
    [row for row in COMMON if row[0] in ("workdir", "log-level", "verbose", "color", "help")]
)
PEER: "tuple[Option, ...]" = (
    ("ttl",                          "",  "TIME",    "ttl",              _text),
    ("from",                         "",  "NETWORK", "source",           _text),
    ("force",                        "",  "",        "force",            True),
    ("first-use",                    "",  "",        "first_use",        True),
)
SERVE: "tuple[Option, ...]" = (
    *ACCESS,
    ("listen",                       "",  "ADDRESS", "listen",           _text),
    ("no-listen",                    "",  "",        "no_listen",        True),
    ("network-user",                 "",  "USER",    "network_user",     _text),
)
DAEMON: "tuple[Option, ...]" = (
    *SERVE,
    ("schedule",                     "",  "EXPR",    "schedule",         _text),
    ("splay",                        "",  "MINUTES", "splay",            _text),
    ("once",                         "O", "",        "once",             True),
)
CLASSIC: "tuple[Option, ...]" = (
    *COMMON,
    ("file",                         "f", "FILE",    "file",             _text),
    ("dry-run",                      "n", "",        "dry",              True),
    ("inform",                       "I", "",        "level",            "info"),
    ("debug",                        "d", "",        "level",            "debug"),
    ("log-modules",                  "",  "NAMES",   "ignored",          _modules),
    ("ignore-preferred-augments",    "",  "",        "ignore_preferred", True),
    ("version",                      "V", "",        "show",             "version"),
    ("man",                          "M", "",        "show",             "manual"),
)
AGENT: "tuple[Option, ...]" = (
    *CLASSIC,
    NO_LOCK,
    ("timing-output",                "t", "",        "timing",           True),
    ("self-diagnostics",             "x", "",        "show",             "diagnostics"),
    ("no-extensions",                "E", "",        "ignored",          True),
    ("no-augments",                  "",  "",        "no_augments",      True),
    ("no-host-specific-data",        "",  "",        "no_host_data",     True),
    ("show-evaluated-classes",       "",  "[RE]",    "show_classes",     _text),
    ("show-evaluated-vars",          "",  "[RE]",    "show_vars",        _text),
    ("skip-db-check",                "",  "[yes|no]", "ignored",         _yes_no),
    ("simulate",                     "",  "MODE",    "simulate",         _simulate),
    ("profile",                      "p", "",        "profile",          True),
    ("bootstrap",                    "B", "HOST",    "bootstrap",        _text),
    ("trust-server",                 "T", "[yes|no]", "trust",           _text),
    ("skip-bootstrap-policy-run",    "",  "",        "ignored",          True),
    ("skip-bootstrap-service-start", "",  "",        "ignored",          True),
)
RESIDENT: "tuple[Option, ...]" = (
    *[row for row in CLASSIC if row[0] != "bundlesequence"],
    NO_LOCK,
    ("no-fork",                      "F", "",        "foreground",       True),
    ("no-winsrv",                    "W", "",        "ignored",          True),
    ("ld-library-path",              "L", "PATH",    "ignored",          _text),
)
EXECD: "tuple[Option, ...]" = (
    *RESIDENT,
    ("once",                         "O", "",        "once",             True),
    ("with-runagent-socket",         "",  "DIR|no",  "socket",           _text),
    ("skip-db-check",                "",  "[yes|no]", "ignored",         _yes_no),
)
SERVERD: "tuple[Option, ...]" = (
    *RESIDENT,
    ("generate-avahi-conf",          "A", "",        "ignored",          True),
    ("graceful-detach",              "t", "[SECONDS]", "ignored",        _text),
)
PROMISES: "tuple[Option, ...]" = (
    *CLASSIC,
    ("full-check",                   "c", "",        "full_check",       True),
    ("policy-output-format",         "p", "FORMAT",  "output",           _dump),
    ("syntax-description",           "s", "FORMAT",  "syntax",           _syntax),
    ("eval-functions",               "",  "yes|no",  "eval_functions",   _is_yes),
    ("show-classes",                 "",  "[RE]",    "show_classes",     _text),
    ("show-vars",                    "",  "[RE]",    "show_vars",        _text),
    ("warn",                         "W", "WARNINGS", "warnings",        _warnings),
    ("tag-release",                  "T", "DIR",     "release",          _text),
    ("diagnostic",                   "x", "",        "show",             "retired"),
)
# fmt: on

# program: its options, and the settings that differ from the usual ones
PROGRAMS: "dict[str, tuple[tuple[Option, ...], dict[str, Value]]]" = {
    "run": ((*COMMON, QUIET, NO_LOCK, DETAILED), {"level": "info"}),
    "plan": ((*COMMON, QUIET, NO_LOCK, JSON), {"plan": True}),
    "check": ((*COMMON, JSON), {}),
    "access": ((*ACCESS, QUIET, JSON), {}),
    "doc": (DOC, {}),
    "key": ((*PLACE, JSON), {}),
    "peer": ((*PLACE, JSON, *PEER), {}),
    "daemon": (DAEMON, {"foreground": True}),
    "serve": (
        (*SERVE, ("wake", "", "", "wakes", True)),
        {"foreground": True},
    ),
    "status": ((*PLACE, JSON), {}),
    "signal": ((*COMMON[:2], *PLACE, JSON, ("verify", "", "", "verify", True)), {}),
    "links": ((COMMON[-1],), {}),
    "network": (PLACE, {}),
    "controls": (ACCESS, {}),
    "cf-agent": (AGENT, {}),
    "cf-promises": (PROMISES, {}),
    "cf-execd": (EXECD, {}),
    "cf-serverd": (SERVERD, {}),
}

MANY = ("check", "doc", "key", "peer", "signal")  # programs that take more than one word
ALONE = ("status",)  # those that take none
WORKDIRS = ("TROTH_WORKDIR", "CFENGINE_TEST_OVERRIDE_WORKDIR")
LATER = {"simulate": "--simulate", "profile": "--profile", "bootstrap": "--bootstrap"}


# reading


def parse(name: str, argv: list[str], environ: "Mapping[str, str]", now: float) -> Settings:
    """What the arguments ARGV (argv[0] first) ask of the program NAME. Raises Usage."""
    options, values = PROGRAMS[name]
    found: dict[str, object] = dict(values)
    found["program"] = name
    found["now"] = now
    files = _read(options, argv, found)
    if "show" not in found:
        _refuse(found)
        _choose_files(name, found, files)
    found["workdir"] = workdir(name, str(found.get("workdir", "")), environ)
    found["color"] = _colored(name, found.get("color"), environ)
    settings = Settings(found)
    if not name.startswith("cf-") and not settings.file:
        settings.file = f"{settings.workdir}/inputs/promises.cf"
    elif name.startswith("cf-") and not files:
        settings.file = _entry(settings.file, settings.workdir)
    return settings


def _read(options: "tuple[Option, ...]", argv: list[str], found: "dict[str, object]") -> list[str]:
    """Put what the options in ARGV say into FOUND; what is left are files."""
    files: list[str] = []
    rest = argv[:0:-1]
    while rest and "show" not in found:
        word = rest.pop()
        if word == "--":
            files += rest[::-1]
            break
        if word.startswith("--"):
            _long(options, word[2:], rest, found, argv[0])
        elif word.startswith("-") and word != "-":
            _short(options, word[1:], rest, found, argv[0])
        else:
            files.append(word)
    return files


def _long(
    options: "tuple[Option, ...]", word: str, rest: list[str], found: "dict[str, object]", me: str
) -> None:
    """Take the long option WORD, its argument behind `=` or from REST."""
    name, equals, argument = word.partition("=")
    option = _named(options, name, me)
    if not option[2]:
        if equals:
            raise Usage(f"{me}: option '--{option[0]}' doesn't allow an argument", "getopt")
    elif not equals and not option[2].startswith("["):
        if not rest:
            raise Usage(f"{me}: option '--{option[0]}' requires an argument", "getopt")
        argument = rest.pop()
    _store(option, argument, found)


def _named(options: "tuple[Option, ...]", name: str, me: str) -> "Option":
    """The option called NAME, or the only one that begins so."""
    close = [option for option in options if option[0].startswith(name)]
    for option in close:
        if option[0] == name:
            return option
    if not close:
        raise Usage(f"{me}: unrecognized option '--{name}'", "getopt")
    if len(close) > 1:
        several = " ".join([f"'--{option[0]}'" for option in close])
        raise Usage(f"{me}: option '--{name}' is ambiguous; possibilities: {several}", "getopt")
    return close[0]


def _short(
    options: "tuple[Option, ...]",
    letters: str,
    rest: list[str],
    found: "dict[str, object]",
    me: str,
) -> None:
    """Take a bundle of short options; the first that wants an argument takes what follows it."""
    while letters and "show" not in found:
        letter, letters = letters[0], letters[1:]
        option = next((option for option in options if option[1] == letter), None)
        if option is None:
            hint = ": name the policy without it" if letter == "f" and me in NAMING else ""
            raise Usage(f"{me}: invalid option -- '{letter}'{hint}", "getopt")
        if not option[2]:
            _store(option, "", found)
            continue
        if not letters and not option[2].startswith("["):
            if not rest:
                raise Usage(f"{me}: option requires an argument -- '{letter}'", "getopt")
            letters = rest.pop()
        _store(option, letters, found)
        return


def _store(option: "Option", argument: str, found: "dict[str, object]") -> None:
    """Note what OPTION says with ARGUMENT."""
    field, value = option[3], option[4]
    if callable(value):
        value = value(argument, found.get(field, getattr(Settings, field, "")))  # type: ignore[arg-type]  # what was stored is a Value
    found[field] = value


def _refuse(found: "dict[str, object]") -> None:
    """Raise Usage for what makes no sense together, or is not there yet."""
    if "trust" in found and "bootstrap" not in found:
        raise Usage("Option --trust-server can only be used when bootstrapping")
    for field, option in LATER.items():
        if field in found:
            raise Usage(f"not yet supported: option '{option}'")


def _choose_files(name: str, found: "dict[str, object]", files: list[str]) -> None:
    """Note the policy that FILES or an option name."""
    if len(files) > (name not in ALONE) and name not in MANY:
        raise Usage("Too many arguments")
    if name == "doc" and not (files or "listing" in found or "word" in found):
        raise Usage("troth doc: which name?", "getopt")
    if name == "links" and not files:
        raise Usage("troth links: which directory?", "getopt")
    found["files"] = tuple(files)
    if files:
        found["file"] = files[0]


def _entry(file: str, directory: str) -> str:
    """The path that `-f FILE` means: as it is if absolute or dotted, else among the inputs."""
    if file.startswith(("/", ".")):
        return file
    return f"{directory}/inputs/{file or 'promises.cf'}"


def workdir(name: str, chosen: str, environ: "Mapping[str, str]") -> str:
    """Where the program NAME has its state: as CHOSEN, as the environment says, or as usual."""
    variables = WORKDIRS[::-1] if name.startswith("cf-") else WORKDIRS
    for given in (chosen, *[environ.get(variable) for variable in variables]):
        if given:
            return os.path.abspath(given)
    if os.geteuid() == 0:
        return "/var/lib/troth"
    base = environ.get("XDG_STATE_HOME") or os.path.join(home(environ), ".local/state")
    return os.path.join(base, "troth")


def home(environ: "Mapping[str, str]") -> str:
    """The home of our user: as the environment says, or else the table of users."""
    if environ.get("HOME"):
        return environ["HOME"]
    from pwd import getpwuid

    try:
        return getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/"


def _colored(name: str, chosen: object, environ: "Mapping[str, str]") -> bool:
    """Whether what NAME prints is coloured: its log lines, or the diffs of a plan."""
    if chosen in ("always", "never"):
        return chosen == "always"
    if environ.get("NO_COLOR"):
        return False
    classic = name.startswith("cf-")
    if classic and chosen is None:
        return environ.get("CFENGINE_COLOR") == "1"
    return os.isatty(1 if classic or name in ("plan", "doc") else 2)
