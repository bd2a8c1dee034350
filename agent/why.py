"""`troth signal why CLASS`: for each promise that waits for a signal, what keeps it.

The policy is gone through as in a plan: nothing is changed, no peer is asked. What that says of
promises, and what the state says of signals, is put together here.
"""

import re
import time
from contextlib import suppress

from agent import acts, heard, signals
from agent.contacts import WRONG_CLOCK
from agent.exchange import CALLS, step_of, text_of
from policy.context import Frame, Scope, scope_key
from policy.errors import Unresolved
from policy.evaluate import evaluate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent.exchange import Exchange
    from agent.heard import Heard
    from agent.log import Log
    from agent.options import Settings
    from agent.run import Run
    from policy.context import Context
    from policy.plan import Written
    from policy.provenance import Signal
    from server.wire.peerfiles import Known

NOT_HERE = 1
DEFINING = ("expression", "and", "or", "xor", "not")
SILENT = ("vars", "meta", "defaults", "roles", "access")
ANY = "\0"  # what a variable stands for
LEAST = 3  # letters that have to be known of a name
WORD = re.compile(rf"[A-Za-z0-9_:{ANY}]+")
REFERENCE = re.compile(r"[$@](\([^()]*\)|\{[^{}]*\})")


def main(settings: "Settings", log: "Log", name: str) -> int:
    """Say what keeps the promises that wait for the class NAME: the exit status."""
    run = rehearsed(settings, log)
    if run is None:
        return NOT_HERE
    found = explained(run, name)
    if settings.json:
        import json

        log.show(json.dumps(found, indent=2))
    else:
        log.show("\n".join(told(found)))
    return 0 if found["sources"] or found["own"] else NOT_HERE


def rehearsed(settings: "Settings", log: "Log") -> "Run | None":
    """The run that the policy would be now, on an overlay of this host; None if it cannot be."""
    from agent import life
    from agent.host.overlay import Overlay
    from agent.planned import Planned

    host = Overlay()
    quiet = type(settings)({**settings.__dict__, "plan": True, "no_locks": False})
    run = life.prepare(quiet, host, log)
    run.planned = Planned(host)
    ctx, defined = run.ctx, run.planned.defined
    ctx.defined_now = lambda name: defined.add((_key(ctx.frame), name))
    return None if life.execute(run) else run


def _key(frame: "Frame") -> str:
    """What the bundle of FRAME is called."""
    return scope_key(frame.namespace, frame.bundle)


def explained(run: "Run", name: str) -> "dict[str, Any]":
    """What is known of the class NAME: where it could come from, who waits for it, and why."""
    exchange = run.exchange()
    names = {name, *_derived(run, name)}
    roots = _roots(run, {name})
    sources = [
        source
        for root in roots
        for call in exchange.calls
        if (source := _source(run, exchange, call, root)) is not None
    ]
    return {
        "class": name,
        "sources": sources,
        "own": _own(run, name),
        "here": [] if sources else _here(exchange, name),
        "promises": [_promise(run, exchange, written, name) for written in _waiting(run, names)],
    }


# where it comes from


def _source(
    run: "Run", exchange: "Exchange", call: tuple[str, str, str], name: str
) -> "dict[str, Any] | None":
    """What the peer of CALL (server, pattern, prefix) has to do with NAME, None if nothing."""
    from policy import regexp

    server, pattern, prefix = call
    if not name.startswith(f"{prefix}_"):
        return None
    remote = name.removeprefix(f"{prefix}_")
    spelled = [it.name for it in _history(run) if it.name.replace(":", "_") == remote]
    theirs = spelled[0] if spelled else remote
    try:
        if not regexp.full(pattern, theirs):
            return None
    except regexp.BadPattern as bad:
        return {"server": server, "class": theirs, "state": "bad pattern", "said": str(bad)}
    peer = exchange.peer(server)
    if peer is None:
        return {"server": server, "class": theirs, "state": "no peer",
                "said": f"'{server}' is no peer of this host: troth peer add"}  # fmt: skip
    state, said = _contact(run, exchange, peer, theirs)
    said += _off(run, peer.id)
    return {"server": server, "class": theirs, "state": state, "said": said}


def _here(exchange: "Exchange", name: str) -> list[str]:
    """What the class NAME of a peer that is asked for it is called here."""
    from policy import regexp

    found = set()
    for _, pattern, prefix in exchange.calls:
        with suppress(regexp.BadPattern):
            if regexp.full(pattern, name):
                found.add(f"{prefix}_{name.replace(':', '_')}")
    return sorted(found)


def _off(run: "Run", peer: str) -> str:
    """What is to be said of the clock of PEER, if it is off by much."""
    met = heard.contacts(run.state).get(peer) if run.state is not None else None
    if met is None or abs(met.skew) < WRONG_CLOCK:
        return ""
    side = "ahead of" if met.skew > 0 else "behind"
    return f"; its clock is {abs(met.skew) // 1000} s {side} ours"


def _contact(run: "Run", exchange: "Exchange", peer: "Known", theirs: str) -> tuple[str, str]:
    """A word for how it stands with the class THEIRS of PEER, and a sentence."""
    now = exchange.now()
    state = run.state
    met = heard.contacts(state).get(peer.id) if state is not None else None
    keys = exchange.keys_of(peer)
    mine = [it for it in _history(run) if it.origin in keys and it.name == theirs]
    if met is not None and any(it.epoch == met.spoiled for it in mine):
        return "spoiled", "one number of its log had two meanings: see the audit log"
    if any(it.lives for it in mine):
        last = [it for it in mine if it.lives][-1]
        return "received", f"received at {moment(last.at)}, lives until {moment(last.ends)}"
    if mine:
        last = mine[-1]
        if last.void or last.kind == "cancel":
            return "cancelled", f"cancelled by its origin, which was told at {moment(last.at)}"
        return "expired", f"received at {moment(last.at)}, expired at {moment(last.ends)}"
    if met is None or not met.at:
        why = f": {met.reason}" if met is not None and met.reason else ""
        return "no contact", f"no contact yet{why}"
    if not met.current(now):
        why = f": {met.reason}" if met.reason else ""
        return "no contact", f"no contact since {moment(met.at)}{why}"
    return "never received", (
        "never received: not set there, or not granted to this host (a peer does not tell which)"
    )


def _history(run: "Run") -> "list[Heard]":
    """What was received."""
    if run.state is None:
        return []
    return heard.history(run.state, run.exchange().now())


def _own(run: "Run", name: str) -> "list[dict[str, Any]]":
    """The signals of this host for the class NAME, which peers may wait for."""
    if run.state is None:
        return []
    rows = signals.spoken(run.state, run.exchange().now())
    return [
        {"kind": row[3], "number": row[1], "granted": row[6], "expires": row[7]}
        for row in rows
        if row[2] == name
    ]


# who waits


def _written(run: "Run") -> "Iterator[Written]":
    """All promises of the policy that are kept by an agent."""
    for (kind, _), bundle in run.plan.bundles.items():
        if kind in ("agent", "common"):
            for promises in bundle.sections.values():
                yield from promises


def mentions(written: "Written", names: set[str], ctx: "Context") -> bool:
    """Whether the guard or a condition of WRITTEN mentions one of the classes NAMES."""
    return any(_meets(word, name) for word in _words(written, ctx) for name in names)


def _words(written: "Written", ctx: "Context") -> set[str]:
    """The classes that the guard and the conditions of WRITTEN mention."""
    texts = [_spelled(written.guard)] if written.guard is not None else []
    for attribute, value in written.attributes:
        if attribute == "if" or (written.type == "classes" and attribute in DEFINING):
            texts.append(_expanded(written, value, ctx))
    return {word for text in texts for word in WORD.findall(text)}


def _roots(run: "Run", names: set[str]) -> list[str]:
    """Which classes of peers NAMES are, or follow from; in order."""
    found = set(names)
    while True:
        more = {
            word
            for written in _written(run)
            if written.type == "classes" and any(_meets(_promised(written), name) for name in found)
            for word in _words(written, run.ctx)
        }
        if more <= found:
            return sorted(name for name in found if _comes(run, name))
        found |= more


def _promised(written: "Written") -> str:
    """The class that WRITTEN sets, as far as its name is known."""
    return REFERENCE.sub(ANY, text_of(written.promiser))


def _comes(run: "Run", name: str) -> bool:
    """Whether a peer that is asked would bring the class NAME."""
    return ANY not in name and any(
        name.startswith(f"{prefix}_") for _, _, prefix in run.exchange().calls
    )


def _meets(word: str, name: str) -> bool:
    """Whether WORD may be the class NAME; what nobody knows in them may be anything."""
    if ANY not in word and ANY not in name:
        return word == name
    return _spans(word, name) or _spans(name, word)


def _spans(pattern: str, word: str) -> bool:
    """Whether WORD is what PATTERN says, ANY in it being anything."""
    literal = [re.escape(part) for part in pattern.split(ANY)]
    if max(map(len, literal)) < LEAST:
        return False
    return re.fullmatch("[A-Za-z0-9_:]*".join(literal), word.replace(ANY, "x")) is not None


def _expanded(written: "Written", value: "Any", ctx: "Context") -> str:
    """The condition VALUE of WRITTEN with its references replaced, as far as they have values."""
    bundle, frame = written.bundle, ctx.frame
    scope = ctx.scopes.get(scope_key(bundle.namespace, bundle.name), Scope())
    ctx.frame = Frame(bundle.name, bundle.namespace, scope)
    try:
        found = evaluate(value, ctx) if type(value) is tuple and value[0] == "cat" else value
    except Unresolved:
        found = value
    finally:
        ctx.frame = frame
    return _spelled(found)


def _spelled(expression: "Any") -> str:
    """All that stands in EXPRESSION, as words; what depends on variables is ANY."""
    if isinstance(expression, str):
        return REFERENCE.sub(ANY, expression)
    if not isinstance(expression, tuple):
        return ""
    if expression[0] == "cat":
        return REFERENCE.sub(ANY, text_of(expression))
    return " ".join([_spelled(part) for part in expression])


def _derived(run: "Run", name: str) -> set[str]:
    """The classes that follow from NAME, as far as their names are known."""
    found: set[str] = set()
    while True:
        more = {
            _promised(written)
            for written in _written(run)
            if written.type == "classes" and mentions(written, {name, *found}, run.ctx)
        }
        if more <= found:
            return found
        found |= more


def _waiting(run: "Run", names: set[str]) -> "list[Written]":
    """The promises that depend on one of the classes NAMES."""
    return [
        written
        for written in _written(run)
        if written.type not in (*SILENT, "classes") and mentions(written, names, run.ctx)
    ]


def _promise(run: "Run", exchange: "Exchange", written: "Written", name: str) -> "dict[str, Any]":
    """How it stands with WRITTEN, which waits for NAME."""
    state, said = _standing(run, exchange, written, name)
    return {
        "promise": text_of(written.promiser), "type": written.type, "bundle": written.bundle.key,
        "file": written.path, "line": written.line, "state": state, "said": said,
    }  # fmt: skip


def _standing(run: "Run", exchange: "Exchange", written: "Written", name: str) -> tuple[str, str]:
    """A word for what WRITTEN is going to do, and a sentence."""
    step = step_of(written, {})
    planned = run.planned.steps if run.planned is not None else []
    ends = _ends(exchange, step)
    done = {signal: end for signal, end in ends.items() if end[1] not in acts.OPEN}
    targets = _alive(exchange, _roots(run, {name}))
    tries = [when for it, (when, how) in ends.items() if it in targets and how == acts.FAILED]
    failed = max(tries, default=0)
    tried = f"failed at {moment(failed)}, " if failed else ""
    if any(it.promise.written is written for it in planned):
        return "about to run", f"{tried}about to run{' again' if failed else ''}"
    locked = [until for path, until, _ in exchange.waits if _leads(path, step)]
    if locked and locked[0] * 1000 <= exchange.now():
        return "running", "is being acted on now, by another run"
    if locked:
        until = moment(locked[0] * 1000)
        return "locked", f"{tried}has a signal, but its lock lasts until {until}"
    if targets and targets <= done.keys():
        when, how = max(done[signal] for signal in targets)
        return "consumed", f"has acted on it already, at {moment(when)}: {how}"
    others = _roots(run, _words(written, run.ctx))
    missing = _missing(run, written)
    if targets:  # what it did not act on yet: what else has to come?
        stale = [root for root in others if _alive(exchange, [root]) <= done.keys()]
        missing += [f"a new '{root}'" for root in stale]
    also = f"waits for {', '.join(missing)}" if missing else "waits for the signal"
    if written.type not in ("commands", "methods") and not missing:
        return "converges", "is kept whenever the class is set"
    return "waits", f"has a signal that it did not act on yet, and {also}" if targets else also


def _alive(exchange: "Exchange", names: list[str]) -> "frozenset[Signal]":
    """The live signals that peers bring as the classes NAMES."""
    return frozenset(
        live.signal
        for live in exchange.live()
        for _, _, prefix in exchange.calls
        if f"{prefix}_{live.name.replace(':', '_')}" in names
    )


def _ends(exchange: "Exchange", step: str) -> "dict[Signal, tuple[int, str]]":
    """When and how the promise that is STEP in a call path ended for each signal."""
    found: dict[Signal, tuple[int, str]] = {}
    for (path, signal), (how, when) in exchange.consumptions().items():
        if _leads(path, step):
            found[signal] = max(found.get(signal, (0, "")), (when, how))
    return found


def _leads(path: str, step: str) -> bool:
    """Whether STEP, whatever its iteration, is on the call path PATH."""
    return any(re.sub(r"\[.*\]$", "", part) == step for part in path.split(CALLS))


def _missing(run: "Run", written: "Written") -> list[str]:
    """What the guard of WRITTEN wants that is not set here and that no peer brings."""
    if written.guard is None or run.planned is None:
        return []
    words = {word for word in WORD.findall(_spelled(written.guard)) if ANY not in word}
    return sorted(
        f"'{word}'"
        for word in words
        if not run.ctx.defined(word)
        and (written.bundle.key, word) not in run.planned.defined
        and not _negated(word, written.guard)
        and not _roots(run, {word})
    )


def _negated(word: str, expression: "Any") -> bool:
    """Whether WORD stands in EXPRESSION only to be absent."""
    return isinstance(expression, tuple) and (
        (expression[0] == "!" and word in WORD.findall(_spelled(expression[1])))
        or any(_negated(word, part) for part in expression[1:])
    )


# told


def told(found: "dict[str, Any]") -> list[str]:
    """FOUND as lines for people."""
    name = found["class"]
    lines = [f"{name}"]
    lines += [f"  from {it['server']} ({it['class']}): {it['said']}" for it in found["sources"]]
    lines += [
        f"  said by this host: {it['kind']} #{it['number']} at {moment(it['granted'])}"
        + (f", until {moment(it['expires'])}" if it["expires"] else "")
        for it in found["own"]
    ]
    if found["here"]:
        lines.append(f"  as a class of a peer it has a prefix here: {', '.join(found['here'])}")
    elif not found["sources"] and not found["own"]:
        lines.append("  no peer is asked for it, and this host has not said it")
    for it in found["promises"]:
        lines.append(f'  {it["file"]}:{it["line"]} {it["type"]} "{it["promise"]}"')
        lines.append(f"      {it['said']}")
    if not found["promises"] and found["sources"]:
        lines.append("  no promise here waits for it")
    return lines


def moment(when: int) -> str:
    """WHEN, in milliseconds, as people write it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when / 1000))
