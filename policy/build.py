"""From the text of one file to its unit: parse, check, compile. The only door to lark in a run."""

import gc
import marshal
from typing import Any

from policy import check, parse
from policy.cache import Cache, digest
from policy.compile import unit_of
from policy.diagnostics import Diagnostic
from policy.load import notes
from policy.source import Source, Span, read
from policy.syntax import Policy


def grammar(cache: Cache) -> parse.Grammar:
    """What drives the parser; made by lark once, then kept in CACHE."""
    sources = [read(file).text.encode() for file in (parse.GRAMMAR, parse.__file__)]
    name = f"{digest(*sources)}.grammar"
    kept = cache.get(name)
    if kept is None:
        kept = {"tables": parse.tables()}
        cache.put(name, kept)
    return parse.build(kept["tables"])


def _mistyped(policy: Policy, source: Source) -> list[Diagnostic]:
    """Promise types that are slips of ours; what modules of other files keep is not known here."""
    found = check.check_together([check.facts(policy)], lambda _: source)
    return [one for one in found if one.hint and one.message.startswith(check.UNDEFINED_TYPE)]


def build(
    path: str, data: bytes, host_package: str = "", driver: parse.Grammar | None = None
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The unit of the file PATH with the content DATA, and all that is to be said about it.

    HOST_PACKAGE is where the functions that look at the host live, DRIVER what `grammar` gave.
    """
    was_on = gc.isenabled()
    gc.disable()  # a tree of a hundred thousand nodes is no garbage
    try:
        source = Source(path, data.decode("utf-8", "surrogateescape"))
        if path.endswith(".json"):
            return {}, [Diagnostic("not yet supported: policy in JSON", Span(source, 0, 0))]
        policy, diagnostics = parse.parse(source, driver)
        found = [*diagnostics, *check.check(policy, host_package)]
        found.sort(key=lambda diagnostic: diagnostic.span.start)
        if any(diagnostic.severity == "error" for diagnostic in found):
            found += _mistyped(policy, source)
            return {}, sorted(found, key=lambda diagnostic: diagnostic.span.start)
        unit = unit_of(policy)
        unit["notes"] = notes(found)
        unit["facts"] = marshal.dumps(check.facts(policy))
        return unit, found
    finally:
        if was_on:
            gc.enable()
