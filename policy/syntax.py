"""The tree of a policy file: frozen, with a span on each node that equality ignores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policy.source import Span


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string, its escapes resolved: `"a $(b)"`. An unquoted `$(b)` is a naked Text."""

    value: str
    span: Span = field(compare=False, repr=False)
    naked: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """An unquoted word: a body, a bundle, an option, a number: `true`, `default:mog`, `10k`."""

    value: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ListRef:
    """An unquoted list reference, the text with its brackets: `@(x)`, `@{ns:b.x}`."""

    value: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call, or a body or bundle reference: `mog("644", "root")`."""

    name: str
    args: tuple[Rval, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class List:
    """A list as written: `{ "a", @(b), f() }`."""

    items: tuple[Rval, ...]
    span: Span = field(compare=False, repr=False)


Rval = Text | Name | ListRef | Call | List


@dataclass(frozen=True, slots=True)
class Guard:
    """What must hold: a class expression (`linux.!Hr05::`), or VARIABLE text (`"$(c)"::`)."""

    text: str
    span: Span = field(compare=False, repr=False)
    variable: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name => value`; in a body also the guard that it stands under."""

    name: str
    value: Rval
    span: Span = field(compare=False, repr=False)
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """`"promiser" -> promisee attribute => value, ...;` and the guard that it stands under.

    `guard` is the last class guard, `variable_guard` the last `"..."::` behind it, if any.
    """

    promiser: Text
    promisee: Rval | None
    attributes: tuple[Attribute, ...]
    span: Span = field(compare=False, repr=False)
    guard: Guard | None = None
    variable_guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """`type:` and the promises after it."""

    type: str
    promises: tuple[Promise, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """`bundle type name(params) { ... }`. The namespace is that of its place in the file."""

    type: str
    name: str
    params: tuple[str, ...]
    sections: tuple[Section, ...]
    span: Span = field(compare=False, repr=False)
    namespace: str = "default"
    top_down: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """`body type name(params) { ... }`, or with type "promise" a custom promise type."""

    type: str
    name: str
    params: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    span: Span = field(compare=False, repr=False)
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class Policy:
    """One file: its blocks in order. `promise agent NAME` is a Body of type "promise"."""

    blocks: tuple[Bundle | Body, ...]
    span: Span = field(compare=False, repr=False)
