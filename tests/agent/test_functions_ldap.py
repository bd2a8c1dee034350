"""The functions that ask a directory: against a small one that knows two people."""

import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.functions import ldap
from tests.agent.driver import Agent
from tests.agent.world import listening

if TYPE_CHECKING:
    from tests.agent.driver import Kept

PEOPLE = {
    "uid=ann,dc=org": {"uid": [b"ann"], "mail": [b"ann@example.org", b"a@example.org"]},
    "uid=bob,dc=org": {"uid": [b"bob"], "mail": [b"bob@example.com"], "photo": [b"\xff\x00"]},
}
BIND, SEARCH, UNBIND = 0x60, 0x63, 0x42


# just enough of BER


def tlv(tag: int, *parts: bytes) -> bytes:
    """A value with its tag and its length before it."""
    content = b"".join(parts)
    return bytes((tag, 0x84)) + len(content).to_bytes(4, "big") + content


def element(data: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """The tag and the content of the value at AT, and where the next one is."""
    size, start = data[at + 1], at + 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[at + 2 : start], "big")
    return data[at], data[start : start + size], start + size


def result(tag: int, code: int = 0) -> bytes:
    """An answer that ends something."""
    return tlv(tag, tlv(0x0A, bytes((code,))), tlv(4), tlv(4))


def entry(name: str, attributes: dict[str, list[bytes]]) -> bytes:
    """One record of what was found."""
    rows = [
        tlv(0x30, tlv(4, key.encode()), tlv(0x31, *[tlv(4, value) for value in values]))
        for key, values in attributes.items()
    ]
    return tlv(0x64, tlv(4, name.encode()), tlv(0x30, *rows))


def answers(kind: int, request: bytes) -> Iterator[bytes]:
    """What the directory says to a request: it finds everybody that the filter names."""
    if kind == BIND:
        yield result(0x61, 49 if b"refused" in request else 0)
    elif kind == SEARCH:
        for name, attributes in PEOPLE.items():
            if attributes["uid"][0] in request or b"everybody" in request:
                yield entry(name, attributes)
        yield result(0x65, 50 if b"secret" in request else 0)


def converse(peer: socket.socket) -> None:
    """Answer a client until it goes."""
    while data := peer.recv(65536):
        _, message, _ = element(data)
        _, number, at = element(message)
        kind, request, _ = element(message, at)
        if kind == UNBIND:
            return
        for answer in answers(kind, request):
            peer.sendall(tlv(0x30, tlv(2, number), answer))


@pytest.fixture
def uri() -> Iterator[str]:
    """Where the directory is."""
    with listening(converse) as port:
        yield f"ldap://127.0.0.1:{port}"


def ask(tmp_path: Path, promises: str, report: str) -> "Kept":
    """Keep PROMISES and a report."""
    return Agent(tmp_path).keep(f'{promises}\nreports:\n  "{report}";')


@pytest.fixture
def library() -> None:
    """The package that speaks LDAP."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pytest.importorskip("ldap3", reason="needs the extra 'ldap': pip install ldap3")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("promises", "expected"),
    [
        ('vars: "x" string => ldapvalue(URI "(uid=ann)", "mail", SUB);', "ann@example.org"),
        ('vars: "x" string => ldapvalue(URI "(uid=ann)", "MAIL", SUB);', "ann@example.org"),
        ('vars: "x" string => ldapvalue(URI "(uid=nobody)", "mail", SUB);', "$(x)"),
        ('vars: "x" string => ldapvalue(URI "(uid=ann)", "phone", SUB);', "$(x)"),
        (
            'vars: "l" slist => ldaplist(URI "(cn=everybody)", "mail", SUB);'
            '"x" string => join(" ", "l");',
            "ann@example.org a@example.org bob@example.com",
        ),
        (
            'vars: "l" slist => ldaplist(URI "(uid=nobody)", "mail", SUB);'
            '"x" string => length("l");',
            "0",
        ),
        (
            'classes: "found" expression => ldaparray("person", URI "(uid=ann)", SUB);\n'
            'vars:\nfound::\n"x" string => join(" ", "person[mail]");',
            "ann@example.org a@example.org",
        ),
        (
            'classes: "found" expression => ldaparray("person", URI "(uid=bob)", SUB);\n'
            'vars:\nfound::\n"x" string => "$(person[uid]) $(person[mail])";',
            "bob bob@example.com",
        ),
        (
            'classes: "found" not => ldaparray("person", URI "(uid=nobody)", SUB);\n'
            'vars:\nfound::\n"x" string => "none";',
            "none",
        ),
        (
            'vars: "x" string => regldap(URI "(uid=ann)", "mail", "subtree", "a@.*", "none");',
            "any",
        ),
        (
            'vars: "x" string => regldap(URI "(uid=ann)", "mail", "subtree", "@", "none");',
            "!any",
        ),
    ],
)
def test_a_directory_is_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], uri: str, promises: str, expected: str
) -> None:
    promises = promises.replace("URI", f'"{uri}", "dc=org",').replace("SUB", '"subtree", "none"')

    ask(tmp_path, promises, "$(x)")

    assert capfd.readouterr().out == f"R: {expected}\n"


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("filter_", "said"),
    [
        ("(uid=secret)", "the directory refuses: insufficientAccessRights"),
        ("(uid", "cannot ask 'URI': "),
    ],
)
def test_a_refusal_is_an_error(tmp_path: Path, uri: str, filter_: str, said: str) -> None:
    call = f'ldapvalue("{uri}", "dc=org", "{filter_}", "mail", "subtree", "none")'

    kept = ask(tmp_path, f'vars: "x" string => {call};', "$(x)")

    assert kept.lines[0].startswith(f"error: ldapvalue: {said}".replace("URI", uri))


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad\r\n\r\n", b"0\x03\x02\x01\x01", b"\0" * 99]
)
def test_what_is_no_directory_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(ldap, "_PATIENCE", 1)

    def mumble(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(answer)

    with listening(mumble) as port:
        where = f"ldap://127.0.0.1:{port}"
        call = f'ldapvalue("{where}", "dc=org", "(uid=ann)", "mail", "subtree", "none")'

        kept = ask(tmp_path, f'vars: "x" string => {call};', "$(x)")

    assert kept.lines[0].startswith(f"error: ldapvalue: cannot ask '{where}': ")


@pytest.mark.usefixtures("library")
def test_a_silent_directory_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap, "_PATIENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"ldap://127.0.0.1:{server.getsockname()[1]}"
        call = f'ldapvalue("{where}", "dc=org", "(uid=ann)", "mail", "subtree", "none")'

        kept = ask(tmp_path, f'vars: "x" string => {call};', "$(x)")

    assert kept.lines[0].startswith(f"error: ldapvalue: cannot ask '{where}': ")


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ldap3", None)
    call = 'ldapvalue("ldap://127.0.0.1:1", "dc=org", "(uid=ann)", "mail", "subtree", "none")'

    kept = ask(tmp_path, f'vars: "x" string => {call};', "$(x)")

    assert kept.lines[0] == (
        "error: ldapvalue: LDAP needs the Python package 'ldap3': pip install 'troth[ldap]'"
    )


@pytest.mark.parametrize(("scope", "security"), [("subtree", "sasl"), ("forest", "none")])
def test_what_is_not_supported_is_an_error(tmp_path: Path, scope: str, security: str) -> None:
    call = 'ldapvalue("ldap://127.0.0.1:1", "dc=org", "(uid=ann)", "mail", "$(a)", "$(b)")'

    kept = ask(
        tmp_path,
        f'vars: "a" string => "{scope}"; "b" string => "{security}"; "x" string => {call};',
        "$(x)",
    )

    assert kept.lines[0] == (
        f"error: ldapvalue: '{security}' and '{scope}' are not both supported here"
    )
