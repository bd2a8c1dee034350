"""`troth signal`: what this host and its peers have said to each other, and what came of it."""

import json
import os
import time

from agent import acts, heard, signals
from agent.control import SOCKET, ask
from agent.log import octets
from agent.peer import trusted
from agent.roles import EXECD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.log import Log
    from agent.options import Settings
    from agent.state import State

    Row = dict[str, Any]

HEAD = ("FROM", "CLASS", "KIND", "AGE", "LEFT", "CAME TO")
EXIT_FAILED, EXIT_CHANGED = 1, 2
AUDIT = "state/audit.jsonl"
UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def main(settings: "Settings", log: "Log") -> int:
    """Do what the words after `troth signal` ask; without one, list them."""
    word, *rest = settings.files or ("list",)
    if word not in ACTIONS:
        log("error", f"troth signal: '{word}' is none of {', '.join(ACTIONS)}")
        return EXIT_FAILED
    least, most, form, act = ACTIONS[word]
    if not least <= len(rest) <= most:
        log("error", f"usage: troth signal {word} {form}".rstrip())
        return EXIT_FAILED
    try:
        return act(settings, log, list(rest))
    except (OSError, ValueError) as error:
        log("error", f"troth signal: {error}")
        return EXIT_FAILED


# list


def _list(settings: "Settings", log: "Log", _words: list[str]) -> int:
    """The signals that are there: ours, then those of peers, each in order."""
    state = _state(settings, log)
    peers = trusted(settings, log).peers
    rows = listed(settings, state, {peer.id: peer.label for peer in peers.values()})
    if state.broken:
        return EXIT_FAILED  # it was said why
    state.close()
    if settings.json:
        log.show(json.dumps(rows, indent=2))
        return 0
    lines = [HEAD, *[_shown(row, settings.now * 1000) for row in rows]]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD) - 1)]
    for line in lines:
        cells = [f"{cell:{width}}" for cell, width in zip(line, widths, strict=False)]
        log.show("  ".join([*cells, line[-1]]).rstrip())
    return 0


def listed(settings: "Settings", state: "State", labels: dict[str, str]) -> "list[Row]":
    """All signals, ours first; times in milliseconds by the clock of this host."""
    now = int(settings.now * 1000)
    done: dict[tuple[str, int, int], list[Row]] = {}
    for (path, signal), (ending, at) in acts.consumptions(state).items():
        done.setdefault(signal, []).append({"path": path, "ending": ending, "at": at})
    rows: list[Row] = [
        {
            "from": "", "origin": "", "epoch": one.epoch or 0, "seq": one.seq or 0,
            "first": one.first or 0, "class": one.name, "kind": one.kind, "at": one.granted,
            "ends": one.expires, "void": bool(one.void), "consumed": [],
            "alive": one.kind != "cancel" and not one.void and one.expires > now,
        }
        for one in signals.said(state)
    ] + [
        {
            "from": labels.get(one.origin, ""), "origin": one.origin, "epoch": one.epoch,
            "seq": one.seq, "first": one.first, "class": one.name, "kind": one.kind, "at": one.at,
            "ends": one.ends, "void": bool(one.void), "alive": bool(one.lives),
            "consumed": sorted(done.get(one.signal, []), key=lambda row: row["at"]),
        }
        for one in heard.history(state, now)
    ]  # fmt: skip
    return rows


def _shown(row: "Row", now: float) -> tuple[str, ...]:
    """A line for people."""
    number = f"#{row['seq']}" if row["seq"] else "(not signed)"
    left = "-"
    if row["kind"] != "cancel":
        left = "void" if row["void"] else _span(row["ends"] - now) if row["alive"] else "over"
    acted = ", ".join([f"{one['ending']} {one['path']}" for one in row["consumed"]])
    who = row["from"] or row["origin"] or "this host"
    return who, f"{row['class']}{number}", row["kind"], _span(now - row["at"]), left, acted


def _span(milliseconds: float) -> str:
    """A time in the two largest units that it has."""
    rest, told = int(max(0.0, milliseconds) // 1000), ""
    for size, unit in UNITS:
        if rest >= size or (unit == "s" and not told):
            told += f"{rest // size}{unit}"
            rest %= size
        if len(told) > 4:
            break
    return told


# watch


def _watch(settings: "Settings", log: "Log", _words: list[str]) -> int:
    """What happens, as it happens, until the daemon or the reader ends."""
    from agent.cli import Stopped
    from agent.control import opened

    with opened(settings.workdir, None) as sock:
        if sock is None:
            log("error", "no daemon runs")
            return EXIT_FAILED
        sock.sendall(b'{"op":"watch"}\n')
        try:
            with sock.makefile("r", encoding="utf-8") as file:
                for line in file:
                    event = json.loads(line)
                    told = line.rstrip("\n") if settings.json else _told(event)
                    if told:
                        os.write(1, octets(f"{told}\n"))
        except BrokenPipeError:
            return 0  # nobody reads it any more
        except Stopped as stopped:
            return 128 + int(stopped.args[0])
    return 0


def _told(event: "Row") -> str:
    """An EVENT as a line of the timeline, "" if it is for programs only."""
    form = FORMS.get(event["event"])
    if form is None:
        return ""
    at = event["at"]
    clock = time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000 % 1000):03}"
    return f"{clock} {form(event)}"


def _contact(event: "Row") -> str:
    if event["live"]:
        return f"contact with {event['label']} at {event['address']}"
    return f"no contact with {event['label']}: {event['reason'] or 'it ended'}"


def _ended(event: "Row") -> str:
    return f"run {event['n']} ended with status {event['status']} after {event['seconds']:.2f} s"


# event: what is said of it
FORMS: "dict[str, Callable[[Row], str]]" = {
    "granted": lambda it: f"granted {it['name']}" + (" (cancel)" if it["kind"] == "cancel" else ""),
    "received": lambda it: (
        f"received {it['name']} from {it['label']}"
        + (" (cancel)" if it["kind"] == "cancel" else "")
    ),
    "expired": lambda it: f"received {it['count']} signals of {it['label']} that are over",
    "run": lambda it: f"run {it['n']} started: {it['why']}",
    "ended": _ended,
    "consumed": lambda it: (
        f"{'tried' if it['ending'] in acts.OPEN else 'consumed'} {it['name']} of {it['label']}:"
        f" {it['ending']} {it['path']}"
    ),
    "contact": _contact,
    "listening": lambda it: f"listening on {it['address']}:{it['port']}" if it["port"] else "",
}


# others


def _why(settings: "Settings", log: "Log", words: list[str]) -> int:
    """Why a follow-up of each class in WORDS has fired, or not."""
    from agent import why

    _as_runs(settings)
    return max([why.main(settings, log, word) for word in words])


def _as_runs(settings: "Settings") -> None:
    """Go by the policy, and the classes, of the runs that signals start here."""
    settings.file = f"{settings.workdir}/inputs/promises.cf"
    for name in (EXECD, SOCKET):  # beside `troth serve` it is cf-execd that starts them
        try:
            found = ask(settings.workdir, "status", name)
        except (OSError, ValueError):
            continue  # it does not answer: what can be read without it is told
        if isinstance(found, dict) and "policy" in found:
            settings.file = found["policy"]
            settings.defines = (*settings.defines, *found["defines"])
            return


def _clear(settings: "Settings", log: "Log", words: list[str]) -> int:
    """Use the signals of a peer again that used one number twice, under whichever of its keys."""
    trust = trusted(settings, log)
    peer = trust.named(words[0])
    if peer is None:
        log("error", f"'{words[0]}' is no peer of this host")
        return EXIT_FAILED
    keys = [one.id for one in trust.peers.values() if one.label == peer.label]
    state = _state(settings, log)
    cleared = sum(heard.clear(state, key) for key in keys)  # all of them
    if state.broken:
        return EXIT_FAILED
    state.close()
    log.show(f"the signals of '{peer.label}' " + ("are used again" if cleared else "are used"))
    return 0


def _audit(settings: "Settings", log: "Log", words: list[str]) -> int:
    """Show the audit log, or look whether it is whole; of older files, if they are named first."""
    from agent import audit

    lines: list[str] = []
    for name in words or [f"{settings.workdir}/{AUDIT}"]:
        try:
            with open(name, encoding="utf-8", errors="replace") as file:
                lines += file.read().splitlines()
        except FileNotFoundError:
            log("error", f"troth signal: there is no audit log '{name}'; the daemon writes it")
            return EXIT_FAILED
    if not settings.verify:
        for line in lines:
            log.show(line if settings.json else _plainly(line))
        return 0
    count, wrong = audit.verify(lines)
    for text in wrong:
        log("error", text)
    log.show(f"{count} lines, {f'{len(wrong)} mistakes' if wrong else 'whole and unchanged'}")
    return EXIT_CHANGED if wrong else 0


def _plainly(line: str) -> str:
    """A line of the audit log for people."""
    try:
        found = json.loads(line)
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["wall"]))
        rest = {k: v for k, v in found.items() if k not in ("n", "wall", "monotonic", "chain")}
        event = rest.pop("event")
    except (ValueError, KeyError, TypeError, AttributeError):
        return line
    rest.pop("count", None) if rest.get("count") == 1 else None
    return f"{at} {event:12} " + " ".join([f"{name}={value}" for name, value in rest.items()])


def _state(settings: "Settings", log: "Log") -> "State":
    from agent.state import State

    return State(f"{settings.workdir}/state/agent.db", log, int(settings.now))


# word: how many words follow at least and at most, which, and what does it
ACTIONS: "dict[str, tuple[int, int, str, Callable[[Settings, Log, list[str]], int]]]" = {
    "list": (0, 0, "", _list),
    "watch": (0, 0, "", _watch),
    "why": (1, 9, "CLASS...", _why),
    "clear": (1, 1, "PEER", _clear),
    "audit": (0, 99, "[--verify] [FILE...]", _audit),
}
