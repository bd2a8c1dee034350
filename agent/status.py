"""`troth status`: how the daemon of this host is, its last runs, and the contact with peers.

What only the daemon knows is asked of it; the rest is in the state, and is shown without one, too.
"""

import os
import time

from agent import acts, heard, history
from agent.control import SOCKET, ask
from agent.peer import SEEN, trusted
from agent.roles import EXECD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.heard import Met
    from agent.log import Log
    from agent.options import Settings
    from agent.state import State

    Row = dict[str, Any]

RUNS = 10
WIDTH = 110  # columns, where there is no terminal
LEAST = 20  # of the reasons of a run
EXIT_NONE = 1


def main(settings: "Settings", log: "Log") -> int:
    """Show it: 0 if a daemon runs, 1 if none does or it does not answer."""
    from agent.state import State

    state = State(f"{settings.workdir}/state/agent.db", log, int(settings.now))
    daemons, silent = _asked(settings, log)
    shown = {
        "daemon": daemons[0] if daemons else None,
        "executor": daemons[1] if len(daemons) > 1 else None,
        "silent": silent,
        "runs": history.last(state, RUNS),
        "peers": peers(settings, log, state, _visitors(daemons)),
        "waits": [
            {"path": path, "until": until, "class": name} for path, until, name in acts.waits(state)
        ],
    }
    state.close()
    if settings.json:
        from json import dumps

        log.show(dumps(shown, indent=2))
    else:
        log.show("".join([f"{line}\n" for line in _text(shown, settings)]))
    return 0 if daemons else EXIT_NONE


def _asked(settings: "Settings", log: "Log") -> "tuple[list[Row], bool]":
    """What the daemons of this host say of themselves; whether one may be there that is silent."""
    said, silent = [], False
    for name in (SOCKET, EXECD):
        try:
            found = ask(settings.workdir, "status", name)
        except (OSError, ValueError) as error:
            log("error", f"the daemon does not answer: {error}")
            silent = True
            continue
        if isinstance(found, dict) and "pid" in found:
            said.append(dict(found))
    return said, silent


def _visitors(daemons: "list[Row]") -> frozenset[str]:
    """Who has come in to one of DAEMONS, and is there now."""
    reports = [(found.get("network") or {}).get("report") or {} for found in daemons]
    return frozenset(one["peer"] for report in reports for one in report.get("sessions", ()))


def peers(
    settings: "Settings", log: "Log", state: "State", visitors: frozenset[str] = frozenset()
) -> "list[Row]":
    """The contact with each peer that is trusted, or that was contacted, or that is here."""
    trust, now = trusted(settings, log), int(settings.now)
    known = trust.peers
    met = heard.contacts(state)
    asked: dict[str, int] = {}
    for _, _, peer, at in heard.asked(state, int(settings.now * 1000)):
        asked[peer] = max(asked.get(peer, 0), at)
    rows = []
    for peer in sorted({*known, *met}, key=lambda one: known[one].label if one in known else one):
        one = known.get(peer)
        rows.append(
            {"id": peer, "label": one.label if one else "", "asked": asked.get(peer, 0),
             "trusted": bool(one and peer not in trust.revoked and one.current(now)),
             "visits": peer in visitors, "seen": _seen(settings, peer),
             **_met(met.get(peer))}
        )  # fmt: skip
    return rows


def _seen(settings: "Settings", peer: str) -> int:
    """When PEER was last spoken with, whoever came to whom; 0 for never, or if nobody may know."""
    from server.wire import seen

    try:
        last = seen.last(f"{settings.workdir}/{SEEN}", peer)
    except OSError:
        return 0
    return last.when * 1000 if last else 0


def _met(met: "Met | None") -> "Row":
    """What is known of the contact; times in milliseconds, 0 for never."""
    if met is None:
        return {"live": False, "at": 0, "failed": 0, "reason": "", "skew": 0, "epoch": 0,
                "upto": 0, "spoiled": False}  # fmt: skip
    return {
        "live": bool(met.live), "at": met.at, "failed": met.failed, "reason": met.reason,
        "skew": met.skew, "epoch": met.epoch, "upto": met.upto, "spoiled": met.spoiled >= 0,
    }  # fmt: skip


def _text(shown: "Row", settings: "Settings") -> "list[str]":
    daemons = [found for found in (shown["daemon"], shown["executor"]) if found is not None]
    lines = [line for found in daemons for line in _daemon(found)]
    if not daemons:
        lines.append("no daemon answers" if shown["silent"] else "no daemon runs")
    if shown["runs"]:
        lines += ["", "RUN     BEGAN                SECONDS  STATUS  WHY"]
        lines += [_run(row, _width()) for row in shown["runs"]]
    if shown["peers"]:
        lines += ["", "PEER             CONTACT                         CLOCK     UP TO"]
        lines += [_peer(row, settings.now) for row in shown["peers"]]
    if shown["waits"]:
        lines += ["", *[_wait(wait) for wait in shown["waits"]]]
    return lines


def _wait(wait: "Row") -> str:
    return f"{wait['class']} waits until {moment(wait['until'])} for the lock of {wait['path']}"


def _daemon(found: "Row") -> "list[str]":
    """What a daemon says of itself."""
    program = (
        found["program"] if found["program"].startswith("cf-") else f"troth {found['program']}"
    )
    lines = [f"{program} runs, process {found['pid']}, policy {found['policy']}"]
    if found["ending"]:
        lines.append("it ends, when what was begun is over")
    elif not found["evaluated"]:
        lines.append("its policy could not be evaluated, or is being evaluated just now")
    if found["run"]:
        lines.append(f"run {found['run']['n']} goes on: {found['run']['why']}")
    network = found.get("network")
    if network and network["port"]:
        lines.append(f"listening on {network['address']}:{network['port']}")
    elif network:
        why = f": {network['problem']}" if network["problem"] else ""
        lines.append(f"not listening{why}" if network["pid"] else "the network half does not run")
    report = network and network["report"]
    if isinstance(report, dict):
        lines.append(_server(report))
    return lines


def _server(report: "Row") -> str:
    """What the network half says of itself."""
    told = [f"sessions {len(report.get('sessions', ()))}", f"peers {report.get('peers', 0)}"]
    if report.get("memory"):
        told.append(f"memory {report['memory'] / 1e6:.0f} MB")
    counts = report.get("counts", {})
    if counts:
        told.append("refused: " + ", ".join([f"{word} {n}" for word, n in sorted(counts.items())]))
    return f"server: {', '.join(told)}"


def _run(row: "Row", width: int) -> str:
    """One run; of its reasons what WIDTH leaves room for. `lost`: nobody knows how it ended."""
    ended = row["status"] is not None
    seconds = f"{row['ended'] - row['began']:.2f}" if ended else "-"
    status = str(row["status"]) if ended else ("lost" if row["ended"] else "-")
    line = f"{row['id']:<7} {moment(row['began'])}  {seconds:>7}  {status:>6}  "
    room = max(width - len(line), LEAST)
    why = row["why"]
    return line + (why if len(why) <= room else f"{why[: room - 1]}…")


def _width() -> int:
    """How many columns there are to show it in."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return WIDTH


def _peer(row: "Row", now: float) -> str:
    contact = "never"
    if row["live"]:
        contact = "live"
    elif row["visits"]:
        contact = "live, visits us"
    elif row["at"]:
        contact = f"last {moment(row['at'] / 1000)}"
    elif row["seen"]:
        contact = f"visited us {moment(row['seen'] / 1000)}"
    clock = "right" if abs(row["skew"]) < 1000 else f"{row['skew'] / 1000:+.0f} s"
    line = (
        f"{row['label'] or row['id'][:16]:16} {contact:31} {clock:9} {row['epoch']}/{row['upto']}"
    )
    if row["spoiled"]:
        line += "  NOT USED: one number, two signals"
    if not row["live"] and row["reason"]:
        line += f"  {row['reason']}"
    return line if row["trusted"] else f"{line}  (not trusted)"


def moment(seconds: float) -> str:
    """SECONDS since 1970 as people write them, here."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
