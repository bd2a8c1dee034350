"""What a person reads about the command line: help, manual pages, and what was probably meant."""

import os

from agent.options import PROGRAMS, Settings, Usage
from policy import VERSION as VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.options import Option

CLASSIC_VERSION = "3.28.0"  # the release of CFEngine whose language this is

# program: arguments, what it is for, an example
PURPOSES = {
    "run": (
        "[FILE]",
        "Keep the promises of the policy FILE (default: inputs/promises.cf of the work directory).",
        "troth run -D web ./site.cf",
    ),
    "plan": (
        "[FILE]",
        "Show what 'troth run' would change, as diffs; change nothing.",
        "troth plan ./site.cf",
    ),
    "check": (
        "[FILE...]",
        "Find the mistakes in each policy FILE and all that it includes.",
        "troth check ./site.cf",
    ),
    "access": (
        "[FILE]",
        "Show what the server bundles of the policy FILE share from this host, and with whom.",
        "troth access ./site.cf",
    ),
    "doc": (
        "NAME...",
        "Say what a function, promise type, body, attribute or variable is, with an example.",
        "troth doc files.perms regcmp",
    ),
    "key": (
        "[create | show [PEER]]",
        "Make the key of this host, or show by what others know it, or a peer.",
        "troth key create",
    ),
    "peer": (
        "[add | list | remove | invite | join | open | rotate] ...",
        "Say which hosts this one trusts; 'troth peer add' alone says what follows.",
        "troth peer invite web7 hub.example.com --ttl 2h",
    ),
    "daemon": (
        "[FILE]",
        "Keep the promises of the policy FILE periodically and when peers signal; serve peers.",
        "troth daemon --listen 0.0.0.0",
    ),
    "serve": (
        "[FILE]",
        "Serve peers what the policy FILE grants, and listen to them; start no runs.",
        "troth serve --listen 0.0.0.0",
    ),
    "status": (
        "",
        "Show how the daemon is, its last runs, and the contact with peers.",
        "troth status",
    ),
    "signal": (
        "[list | watch | why CLASS | clear PEER | audit]",
        "Show the signals of this host and of its peers, as they are or as they come.",
        "troth signal watch",
    ),
    "network": (
        "",
        "The half of 'troth daemon' that speaks with the network; nobody else starts it.",
        "troth network",
    ),
    "controls": (
        "[FILE]",
        "Print for 'troth daemon' what the policy FILE says about it.",
        "troth controls ./site.cf",
    ),
    "links": (
        "DIR",
        "Make troth and its other names (cf-agent, cf-promises, ...) in the directory DIR.",
        "troth links ~/bin",
    ),
    "cf-agent": (
        "[FILE]",
        "Keep the promises of the policy FILE (default: inputs/promises.cf of the work directory).",
        "cf-agent -KIf ./site.cf",
    ),
    "cf-promises": (
        "[FILE]",
        "Find the mistakes in the policy FILE and all that it includes.",
        "cf-promises -cf ./site.cf",
    ),
    "cf-execd": (
        "",
        "Run the agent periodically, as 'body executor control' says.",
        "cf-execd -F",
    ),
    "cf-serverd": (
        "",
        "Serve peers what policy grants, as 'body server control' says.",
        "cf-serverd -F -f ./site.cf",
    ),
}

MEANINGS = {
    "define": "define these classes, separated by commas",
    "negate": "forget these persistent classes",
    "bundlesequence": "evaluate these bundles instead of the policy's own",
    "workdir": "where state, inputs and modules are",
    "log-level": "critical, error, warning, notice, info, verbose, debug",
    "verbose": "say what is being done and why",
    "timestamp": "begin log lines with the time",
    "color": "always, auto or never",
    "help": "print this",
    "list": "list all names, or those of the kinds NAME...: functions, bodies, ...",
    "search": "list the names that have WORD in their text",
    "quiet": "errors only, no summary",
    "no-lock": "keep promises however recently they were kept",
    "json": "print JSON instead of text",
    "detailed-exitcode": "exit with 2 if something was repaired",
    "file": "the policy, if not named at the end",
    "dry-run": "warn of what would change, change nothing",
    "inform": "say what was changed",
    "debug": "say everything",
    "log-modules": "accepted, has no effect",
    "ignore-preferred-augments": "read def.json, not def_preferred.json",
    "version": "print the version",
    "man": "print a manual page for 'man -l -'",
    "timing-output": "say how long things took, with --verbose",
    "self-diagnostics": "look at the work directory",
    "no-extensions": "accepted, has no effect",
    "no-augments": "do not read def.json",
    "no-host-specific-data": "do not read host_specific.json",
    "show-evaluated-classes": "print the classes at the end",
    "show-evaluated-vars": "print the variables at the end",
    "skip-db-check": "accepted, has no effect",
    "simulate": "not yet supported: see 'troth plan'",
    "profile": "not yet supported",
    "bootstrap": "not yet supported",
    "trust-server": "only with --bootstrap",
    "skip-bootstrap-policy-run": "only with --bootstrap",
    "skip-bootstrap-service-start": "only with --bootstrap",
    "full-check": "check the bundle sequence, too",
    "policy-output-format": "print the policy: none, cf, json, cf-full, json-full",
    "syntax-description": "print the language: none, json",
    "eval-functions": "whether functions are called (default yes)",
    "show-classes": "print the classes",
    "show-vars": "print the variables",
    "warn": "deprecated, removed, sanity-check, all; error=...",
    "ttl": "how long: invitation (1h), opening (10m), old key beside new (7d)",
    "from": "only a joiner from this network, such as 10.0.0.0/8",
    "first-use": "'add' without a fingerprint: trust the key that answers",
    "force": "use a label again before 30 days, rotate before the last rotation is over",
    "listen": "ADDR or ADDR:PORT, instead of what policy says; port 0: any",
    "no-listen": "let no peer come in, only visit them",
    "network-user": "who the part is that speaks with the network (troth, nobody)",
    "schedule": "run when this class expression holds, each minute",
    "splay": "spread the runs of hosts over so many minutes",
    "once": "one run, now, and no more",
    "wake": "start a run when a signal comes that was asked for",
    "verify": "of the audit log: whether a line is missing or was changed",
    "no-fork": "stay in the foreground",
    "no-winsrv": "accepted, has no effect",
    "ld-library-path": "accepted, has no effect",
    "with-runagent-socket": "not yet supported, unless 'no'",
    "generate-avahi-conf": "accepted, has no effect",
    "graceful-detach": "accepted, has no effect",
    "tag-release": "mark the policy in DIR as checked",
    "diagnostic": "accepted, has no effect",
}

EXIT_CODES = {
    "run": "0 converged, 1 could not evaluate, 2 repaired (--detailed-exitcode), 4 failed, 6 both",
    "plan": "0 nothing to do, 1 could not evaluate, 2 changes, 4 failed or unknown, 6 both",
    "check": "0 clean, 1 a file could not be read, 2 mistakes found",
    "access": "0 shown, 1 could not evaluate",
    "doc": "0 found, 1 nothing is called so",
    "key": "0 done, 1 could not be done",
    "peer": "0 done, 1 could not be done",
    "daemon": "0 ended as asked, 1 could not start, as where one runs already",
    "serve": "0 ended as asked, 1 could not start, as where one runs already",
    "status": "0 a daemon runs, 1 none does, or it does not answer",
    "signal": "0 done, 1 could not be done, 2 (audit --verify) the log was changed",
    "network": "0 ended as asked, 1 could not start",
    "controls": "0 shown, 1 could not evaluate",
    "links": "0 made, 1 could not be made",
    "cf-agent": "0 also when promises fail, 1 could not evaluate, 6 aborted by a class",
    "cf-promises": "0 no mistakes, 1 mistakes",
    "cf-execd": "0 ended as asked, 1 could not start",
    "cf-serverd": "0 ended as asked, 1 could not start",
}

# what has another name here
HINTS = {"--dry-run": "; 'troth plan' shows what a run would do"}


def name_of(program: str) -> str:
    """What is typed to start PROGRAM."""
    return program if program.startswith("cf-") else f"troth {program}"


def form(option: "Option") -> str:
    """The forms of an option: `-g, --log-level LEVEL`, `--color[=WHEN]`."""
    long, short, argument = option[:3]
    if argument.startswith("["):
        argument = f"[={argument[1:-1]}]"
    elif argument:
        argument = f" {argument}"
    return f"{f'-{short}, ' if short else '    '}--{long}{argument}"


def text(program: str) -> str:
    """The help for PROGRAM."""
    arguments, purpose, example = PURPOSES[program]
    forms = [(form(option), MEANINGS[option[0]]) for option in PROGRAMS[program][0]]
    width = max(len(left) for left, _ in forms) + 2
    rows = "\n".join([f"  {left:{width}}{right}" for left, right in forms])
    return (
        f"Usage: {name_of(program)} [OPTIONS] {arguments}\n{purpose}\n\nOptions:\n{rows}\n\n"
        f"Exit codes: {EXIT_CODES[program]}.\nExample: {example}\n"
    )


def overview(commands: "dict[str, str]") -> str:
    """What `troth` alone can be told; COMMANDS are subcommands and what they do."""
    rows = "\n".join([f"  {name:8}{what}" for name, what in commands.items()])
    return (
        f"Usage: troth COMMAND [OPTIONS] ...\n\nCommands:\n{rows}\n\n"
        "'troth COMMAND --help' says more. Called by a name that 'troth links' makes, such as\n"
        "cf-agent, it takes the options of that program.\n"
        "Example: troth plan ./site.cf\n"
    )


def manual(program: str) -> str:
    """A manual page for PROGRAM, as roff."""
    arguments, purpose, example = PURPOSES[program]
    lines = [
        f'.TH {program.upper()} 8 "" "troth {VERSION}"',
        f".SH NAME\n{program} \\- {purpose}",
        f".SH SYNOPSIS\n.B {program}\n[OPTIONS] {arguments}\n.SH OPTIONS",
        *[
            f".TP\n.B {form(option).strip()}\n{MEANINGS[option[0]]}"
            for option in PROGRAMS[program][0]
        ],
        f".SH EXIT STATUS\n{EXIT_CODES[program]}.\n.SH EXAMPLE\n{example}",
    ]
    return "\n".join(lines).replace("-", "\\-") + "\n"


def shown(settings: Settings) -> str:
    """What SETTINGS want to see instead of a run."""
    match settings.show:
        case "help":
            return text(settings.program)
        case "version":
            return f"CFEngine Core {CLASSIC_VERSION}\n"
        case "manual":
            return manual(settings.program)
        case "diagnostics":
            return diagnostics(settings)
        case _:
            return "   error: Self-diagnostic functionality is retired.\n"


def diagnostics(settings: Settings) -> str:
    """What the work directory looks like."""
    found = [f"work directory: {settings.workdir}"]
    for name in ("inputs", "state", "modules", "ppkeys"):
        there = os.path.isdir(f"{settings.workdir}/{name}")
        found.append(f"[ {'YES' if there else 'NO '} ] there is a directory {name}")
    there = os.path.exists(f"{settings.workdir}/inputs/promises.cf")
    found.append(f"[ {'YES' if there else 'NO '} ] there is a policy inputs/promises.cf")
    return "\n".join(found) + "\n"


def nearest(word: str, words: "list[str]") -> str:
    """A question about the one of WORDS that looks most like WORD, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(word, words, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def refusal(error: Usage, program: str) -> tuple[str, str]:
    """What goes to stdout and to stderr when a command line means nothing."""
    message = str(error)
    if program.startswith("cf-"):
        if error.how == "getopt":
            return text(program), f"{message}\n"
        return ("", f"{message}\n") if error.how == "plain" else (f"   error: {message}\n", "")
    unknown = message.partition("unrecognized option '")[2].rstrip("'")
    options = [f"--{option[0]}" for option in PROGRAMS[program][0]]
    hint = HINTS.get(unknown) or (nearest(unknown, options) if unknown else "")
    return "", f"{message}{hint}\nsee '{name_of(program)} --help'\n"
