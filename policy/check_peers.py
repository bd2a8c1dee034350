"""A guard that wants one host to be several: it can never hold, and looks as if it waited for all.

The names of hosts are those that the policy asks (`remoteclassesmatching`, `remotescalar`) and
those that it admits; where a name is made from a variable, all that it could become. What begins
with a prefix that a question gives is a class that came from a host, not a host.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from policy.classes import BadExpression, compiled
from policy.diagnostics import Diagnostic
from policy.syntax import Bundle, Call, List, Policy, Promise, Rval, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.classes import Expression

# function: which argument is the server, and which the prefix (if it has one)
ASKING = {"remoteclassesmatching": (1, 3), "remotescalar": (1, None)}
ADMITTING = frozenset(("admit", "admit_hostnames"))
REFERENCE = re.compile(r"[$@](?:\([^()]*\)|\{[^{}]*\})")
LEAST = 2  # characters of a name that are no variable's, or it could become anything
HINT = (
    "ask each of them with a prefix of its own, and wait for 'a_done.b_done': the classes, "
    "not the hosts"
)


def of_policy(policy: Policy) -> Iterator[Diagnostic]:
    """What is wrong with the guards of POLICY if its peers are hosts."""
    bundles = [block for block in policy.blocks if isinstance(block, Bundle)]
    calls = [call for bundle in bundles for call in _questions(bundle)]
    servers = [text for call in calls for text in _argument(call, 0)]
    servers += [text for bundle in bundles for text in _admitted(bundle)]
    peers = [_pattern(text) for text in servers if _telling(text)]
    prefixes = [_pattern(f"{text}_$(class)") for call in calls for text in _argument(call, 1)]
    guards = {
        promise.guard.span.start: promise.guard
        for bundle in bundles
        for promise in _promises(bundle)
        if promise.guard and peers
    }
    for guard in guards.values():
        hosts = _several(guard.text, peers, prefixes)
        if hosts:
            message = f"{_listed(hosts)} are hosts: no host is more than one of them"
            yield Diagnostic(message, guard.span, HINT, severity="warning", kind="hosts")


def _several(
    guard: str, peers: list[re.Pattern[str]], prefixes: list[re.Pattern[str]]
) -> list[str]:
    """The hosts that GUARD wants this one to be at once, if they are several."""
    for names in _joined(guard):
        hosts = [
            name
            for name in dict.fromkeys(names)
            if any(peer.fullmatch(name) for peer in peers)
            and not any(prefix.fullmatch(name) for prefix in prefixes)
        ]
        if len(hosts) > 1:
            return hosts
    return []


def _promises(bundle: Bundle) -> Iterator[Promise]:
    for section in bundle.sections:
        yield from section.promises


def _questions(bundle: Bundle) -> Iterator[Call]:
    """The calls in BUNDLE that ask a host."""
    for promise in _promises(bundle):
        for attribute in promise.attributes:
            yield from _calls(attribute.value)


def _calls(value: Rval) -> Iterator[Call]:
    """The calls in VALUE that ask a host."""
    match value:
        case List(items=items):
            for item in items:
                yield from _calls(item)
        case Call(name=name, args=args):
            if name in ASKING:
                yield value
            for argument in args:
                yield from _calls(argument)
        case _:
            pass


def _argument(call: Call, which: int) -> Iterator[str]:
    """The server (0) or the prefix (1) that CALL gives, if it is a text."""
    at = ASKING[call.name][which]
    if at is not None:
        yield from _texts(*call.args[at : at + 1])


def _admitted(bundle: Bundle) -> Iterator[str]:
    """Whom BUNDLE admits, if it is one of a server."""
    for promise in _promises(bundle) if bundle.type == "server" else ():
        for attribute in promise.attributes:
            if attribute.name in ADMITTING:
                yield from _texts(attribute.value)


def _telling(server: str) -> bool:
    """Whether SERVER says which hosts it may be."""
    return len(REFERENCE.sub("", server)) >= LEAST and not server[0].isdigit()


def _pattern(text: str) -> re.Pattern[str]:
    """What the class of a host looks like that TEXT names."""
    pieces = [re.sub(r"\W", "_", piece) for piece in REFERENCE.split(text)]
    return re.compile(r"\w+".join(pieces))


def _texts(*values: Rval) -> Iterator[str]:
    """The literal texts among VALUES."""
    for value in values:
        match value:
            case Text(value=text) if text:
                yield text
            case List(items=items):
                yield from _texts(*items)
            case _:
                pass


def _joined(guard: str) -> Iterator[list[str]]:
    """The names that the class expression GUARD wants together, for each way to fulfil it."""
    try:
        expression = compiled(guard)
    except BadExpression:
        return
    yield from _ways(expression)


def _ways(expression: Expression) -> Iterator[list[str]]:
    """Of an expression the names wanted together, without those that are negated.

    Alternatives inside of a conjunction are not multiplied out: each is looked at by itself.
    """
    if isinstance(expression, str):
        yield [expression]
    elif isinstance(expression, tuple) and expression[0] == "|":
        for term in expression[1:]:
            yield from _ways(term)
    elif isinstance(expression, tuple) and expression[0] == "&":
        names = [term for term in expression[1:] if isinstance(term, str)]
        yield names
        for term in expression[1:]:
            if not isinstance(term, str):
                yield from ([*names, *way] for way in _ways(term))


def _listed(names: list[str]) -> str:
    """NAMES as a sentence has them."""
    quoted = [f"'{name}'" for name in names]
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"
