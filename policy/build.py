"""From the text of one file to its unit: parse, check, compile. The only door to lark in a run."""

import gc
import marshal
from typing import Any

from policy import check
from policy.compile import unit_of
from policy.diagnostics import Diagnostic
from policy.load import notes
from policy.parse import parse
from policy.source import Source


def build(
    path: str, data: bytes, host_package: str = ""
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The unit of the file PATH with the content DATA, and all that is to be said about it.

    HOST_PACKAGE is where the functions that look at the host live.
    """
    was_on = gc.isenabled()
    gc.disable()  # a tree of a hundred thousand nodes is no garbage
    try:
        policy, diagnostics = parse(Source(path, data.decode("utf-8", "surrogateescape")))
        found = [*diagnostics, *check.check(policy, host_package)]
        found.sort(key=lambda diagnostic: diagnostic.span.start)
        if any(diagnostic.severity == "error" for diagnostic in found):
            return {}, found
        unit = unit_of(policy)
        unit["notes"] = notes(found)
        unit["facts"] = marshal.dumps(check.facts(policy))
        return unit, found
    finally:
        if was_on:
            gc.enable()
