"""The grants of a host as `troth access --json` writes them (GRANTS.md): text to types.

Nothing is ignored that is not understood: an attribute from a later release may be a denial.
"""

import json
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

Texts: TypeAlias = tuple[str, ...]
Positive: TypeAlias = Annotated[int, Meta(ge=0)]
Kind: TypeAlias = Literal["path", "literal", "context", "variable", "query", "bundle"]


class BadGrants(ValueError):
    """A text that must not become grants; the message says why."""


class Grant(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One access promise, evaluated."""

    type: Kind
    name: Annotated[str, Meta(min_length=1)]
    promiser: str
    value: Any
    admit: Texts
    admit_hostnames: Texts
    admit_ips: Texts
    admit_keys: Texts
    deny: Texts
    deny_hostnames: Texts
    deny_ips: Texts
    deny_keys: Texts
    ifencrypted: bool
    maproot: Texts
    shortcut: str
    report_data_select: dict[str, Texts] | None
    handle: str
    comment: str
    bundle: str
    file: str
    line: int


class Role(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One roles promise, evaluated."""

    name: str
    authorize: Texts
    handle: str
    comment: str
    bundle: str
    file: str
    line: int


class Control(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `body server control` says; None is what it does not say."""

    allowallconnects: Texts | None = None
    allowciphers: str | None = None
    allowconnects: Texts | None = None
    allowlegacyconnects: Texts | None = None
    allowtlsversion: str | None = None
    allowusers: Texts | None = None
    auditing: bool | None = None
    bindtointerface: str | None = None
    call_collect_interval: Positive | None = None
    cfruncommand: str | None = None
    collect_window: Positive | None = None
    denybadclocks: bool | None = None
    denyconnects: Texts | None = None
    dynamicaddresses: Texts | None = None
    hostnamekeys: bool | None = None
    listen: bool | None = None
    logallconnections: bool | None = None
    logencryptedtransfers: bool | None = None
    maxconnections: Positive | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    serverfacility: str | None = None
    skipverify: Texts | None = None
    trustkeysfrom: Texts | None = None


class Document(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a policy grants."""

    format: Literal[1]
    policy: str
    files: Texts
    control: Control
    access: tuple[Grant, ...]
    roles: tuple[Role, ...]


def read(text: str | bytes) -> Document:
    """The grants in TEXT. Raises BadGrants."""
    try:
        # not msgspec's own reader: file names may hold what is not UTF-8
        found = msgspec.convert(json.loads(text, object_pairs_hook=_once), Document)
    except (ValueError, RecursionError) as error:  # msgspec's are of the first kind
        raise BadGrants(f"these are no grants: {str(error)[:200]}") from None
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; ValueError if a name comes twice, as then one of the two would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return found
