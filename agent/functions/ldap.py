"""Functions that ask a directory over LDAP, with the package ldap3 where it is installed."""

from policy.errors import Failed
from policy.functions.arguments import pattern, refusal
from policy.values import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.context import Context

    Record = dict[str, list[str]]  # the values of each attribute

_PATIENCE = 10  # seconds for a connection, and for each answer
_MOST = 10_000  # records that an answer may have
_SCOPES = {"subtree": "SUBTREE", "onelevel": "LEVEL", "base": "BASE"}
_ALL = "*"
# what ldap3 raises over an answer that is no LDAP
_GARBLED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


def _library(ctx: "Context", function: str) -> "Any":
    """The package ldap3. Raises Failed."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it uses old names of pyasn1
            return __import__("ldap3")
    except ImportError:
        raise refusal(
            ctx, f"{function}: LDAP needs the Python package 'ldap3': pip install 'troth[ldap]'"
        ) from None


def _search(
    ctx: "Context", function: str, where: list[str], scope: str, security: str,
    attribute: str,
) -> "list[Record]":  # fmt: skip
    """The records that are found WHERE, an address, a name and a filter, say. Raises Failed."""
    if ctx.agent is None:  # a policy that is only checked
        raise Failed(function)
    if security not in ("none", "ssl") or scope not in _SCOPES:
        raise refusal(ctx, f"{function}: '{security}' and '{scope}' are not both supported here")
    uri, name, wanted = where
    ldap3 = _library(ctx, function)
    try:
        connection = ldap3.Connection(
            _server(ldap3, uri, security), read_only=True, receive_timeout=_PATIENCE,
            check_names=False,
        )  # fmt: skip
        try:
            if not connection.bind():
                reason = connection.result["description"]
                raise refusal(ctx, f"{function}: '{uri}' lets nobody in: {reason}")
            connection.search(
                name, wanted, search_scope=getattr(ldap3, _SCOPES[scope]), attributes=[attribute],
                time_limit=_PATIENCE, size_limit=_MOST,
            )  # fmt: skip
            return _records(ctx, function, connection)
        finally:
            connection.unbind()
    except (ldap3.core.exceptions.LDAPException, OSError, *_GARBLED) as error:
        raise refusal(ctx, f"{function}: cannot ask '{uri}': {error}") from None


def _server(ldap3: "Any", uri: str, security: str) -> "Any":
    """The server at URI; over TLS its certificate has to be good."""
    import ssl

    encrypted = security == "ssl" or uri.lower().startswith("ldaps:")
    return ldap3.Server(
        uri,
        use_ssl=encrypted,
        tls=ldap3.Tls(validate=ssl.CERT_REQUIRED) if encrypted else None,
        get_info=ldap3.NONE,
        connect_timeout=_PATIENCE,
    )


def _records(ctx: "Context", function: str, connection: "Any") -> "list[Record]":
    """What the answer to a search has. Raises Failed if it is that the search was refused."""
    result = connection.result
    if result["result"] not in (0, 3, 4, 32):  # found, time or size at an end, no such name
        reason = result["message"] or result["description"]
        raise refusal(ctx, f"{function}: the directory refuses: {reason}")
    return [
        {
            name: [text(value) for value in values]
            for name, values in entry["raw_attributes"].items()
        }
        for entry in connection.response or ()
        if entry["type"] == "searchResEntry"
    ]


def _found(ctx: "Context", function: str, args: tuple[str, ...]) -> list[str]:
    """The values of one attribute, however it is spelled, in all that is found. Raises Failed."""
    *where, attribute, scope, security = args
    return [
        value
        for record in _search(ctx, function, where, scope, security, attribute)
        for name, values in record.items()
        if name.lower() == attribute.lower()
        for value in values
    ]


def ldapvalue(ctx: "Context", *args: str) -> str:
    """The first value of RECORD in what FILTER finds below DN in a directory.

    A SCOPE is `subtree`, `onelevel` or `base`; SECURITY is `none` or `ssl`.
    Fails if there is none, the directory does not answer, or the package ldap3 is missing.
    Example:
        ldapvalue("ldap://no-such-host.invalid", "dc=org", "(uid=x)", "mail", "subtree", "none")
        -> fails
    """
    found = _found(ctx, "ldapvalue", args)
    if not found:
        raise Failed("ldapvalue")
    return found[0]


def ldaplist(ctx: "Context", *args: str) -> tuple[str, ...]:
    """All values of RECORD in what FILTER finds below DN in a directory; see `ldapvalue`.

    Fails if the directory does not answer, or the package ldap3 is missing.
    Example:
        ldaplist("ldap://no-such-host.invalid", "dc=org", "(uid=x)", "mail", "subtree", "none")
        -> fails
    """
    return tuple(_found(ctx, "ldaplist", args))


def ldaparray(ctx: "Context", *args: str) -> bool:
    """Whether FILTER finds something below DN in a directory; the first of it is put into ARRAY.

    Each attribute with one value is a string, with several a list. For SCOPE and SECURITY see
    `ldapvalue`.
    Fails if the directory does not answer, or the package ldap3 is missing.
    Example:
        ldaparray("user", "ldap://no-such-host.invalid", "dc=org", "(uid=x)", "subtree", "none")
        -> fails
    """
    array, *where, scope, security = args
    for record in _search(ctx, "ldaparray", where, scope, security, _ALL)[:1]:
        for name, values in record.items():
            if len(values) == 1:
                ctx.define(f"{array}[{name}]", values[0], "string")
            else:
                ctx.define(f"{array}[{name}]", tuple(values), "slist")
        return True
    return False


def regldap(ctx: "Context", *args: str) -> bool:
    """Whether REGEX spans a value of RECORD in what FILTER finds in a directory; see `ldapvalue`.

    Fails if REGEX is none, the directory does not answer, or the package ldap3 is missing.
    Example:
        regldap("ldap://no-such-host.invalid", "dc=org", "(uid=x)", "mail", "base", ".*", "none")
        -> fails
    """
    expression = pattern(ctx, args[5])
    return any(map(expression.full, _found(ctx, "regldap", (*args[:5], args[6]))))
