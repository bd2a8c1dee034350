"""The functions that ask peers, or tell of them: what was said, by whom, and when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from agent import heard
from server.wire import messages, seen
from server.wire.trust import Peer, Store
from tests.agent.driver import NOW, Agent
from tests.agent.site import Site
from tests.server.hosts import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server.wire.serving import Visit

HOUR = 3600
ADDRESS = "192.0.2.7"
LIST = 'vars: "l" slist => %s; "x" string => join(",", "l");'
TEXT = 'vars: "x" string => %s;'
SHOWN = '\nreports: "$(x)";'


def reported(capfd: pytest.CaptureFixture[str]) -> str:
    """The one thing that a run reported."""
    return capfd.readouterr().out.removeprefix("R: ").removesuffix("\n")


# who said it, and when


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A host with two peers: HostA was here half an hour ago, HostB yesterday."""
    site = Site(tmp_path)
    for label, ago in (("HostA", HOUR // 2), ("HostB", 24 * HOUR)):
        peer = site.identities[label].id
        seen.note(f"{site.base}/state/net/seen", peer, ADDRESS, int(NOW) - ago)
    return site


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('hostsseen(1, "lastseen", "name")', "HostA"),
        ('hostsseen("48", "lastseen", "name")', "HostA,HostB"),
        ('hostsseen("1k", "lastseen", "name")', "HostA,HostB"),
        ("hostsseen(inf, 'lastseen', 'address')", ADDRESS),
        ('hostsseen(1, "notseen", "name")', "HostB"),
        ('hostsseen(0, "lastseen", "name")', "$(x)"),
        ('hostsseen("$(sys.flavor)", "lastseen", "name")', "$(x)"),
    ],
)
def test_peers_were_here_or_not(
    site: Site, capfd: pytest.CaptureFixture[str], call: str, expected: str
) -> None:
    site.run(LIST % call + SHOWN, asks="")

    assert ",".join(sorted(reported(capfd).split(","))) == expected


def test_when_a_peer_was_here_may_be_unreadable(site: Site) -> None:
    path = site.base / "state" / "net" / "seen" / site.identities["HostA"].id
    path.unlink()
    path.mkdir()

    site.run(LIST % 'hostsseen(1, "lastseen", "name")' + SHOWN, asks="")

    problem = "error: hostsseen: cannot tell when 'HostA' was: "
    assert any(line.startswith(problem) for line in site.kept.lines)


@pytest.mark.parametrize("field", ["name", "address", "hostkey"])
def test_the_peers_with_a_class_are_told(
    site: Site, capfd: pytest.CaptureFixture[str], field: str
) -> None:
    site.say("HostA", "did_it")
    site.say("HostA", "did_more")

    site.run(LIST % f'hostswithclass("did_it", "{field}")' + SHOWN, asks="")

    expected = site.identities["HostA"].id if field == "hostkey" else "HostA"
    assert reported(capfd) == expected


# texts


class Told:
    """A host whose peer `teller` has a text, and the agent there."""

    def __init__(self, tmp_path: Path, peer: Host) -> None:
        self.agent = Agent(tmp_path)
        self.agent.now = time.time()
        store = Store(f"{self.agent.base}/ppkeys", int(self.agent.now))
        peer.trusted[store.create().public] = "asker"
        address = f"{peer.address[0]}:{peer.address[1]}"
        identity = peer.identity
        store.add(Peer(id=identity.id, label="teller", key=identity.public, addresses=(address,)))
        self.lines: list[str] = []

    def ask(self, call: str) -> None:
        """Report what CALL comes to."""
        self.lines = self.agent.keep(TEXT % call + SHOWN).lines


def literal(request: messages.Literal, _: Visit) -> messages.Answer:
    """The texts of the peer."""
    if request.handle == "motd":
        return messages.Found(n=request.n, value="hällo".encode())
    return messages.Failed(n=request.n, code="no")


@pytest.fixture
def peer() -> Iterator[Host]:
    with Host(handlers={messages.Literal: literal}) as peer:
        yield peer


def test_a_peer_tells_its_text_and_what_it_said_is_remembered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Host(handlers={messages.Literal: literal}) as peer:
        told = Told(tmp_path, peer)
        told.ask('remotescalar("motd", "teller", "yes")')
        assert reported(capfd) == "hällo"

    told.ask('remotescalar("motd", "teller", "yes")')

    assert reported(capfd) == "hällo"
    assert told.lines[0].startswith("info: no text 'motd' from 'teller': ")


def test_the_policy_server_is_a_peer_like_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], peer: Host
) -> None:
    told = Told(tmp_path, peer)
    (told.agent.base / "policy_server.dat").write_text("teller\n")

    told.ask('hubknowledge("motd")')

    assert reported(capfd) == "hällo"


@pytest.mark.parametrize("handle", ['"secret"', 'string_reverse("é")'])
def test_what_a_peer_does_not_tell_is_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], peer: Host, handle: str
) -> None:
    """Octets that are no text are no handle, either."""
    told = Told(tmp_path, peer)

    told.ask(f'remotescalar({handle}, "teller", "yes")')

    assert reported(capfd) == ""
    assert told.lines[0].startswith("info: no text ")


def test_a_peer_may_be_removed_while_a_run_goes_on(site: Site) -> None:
    peer = site.identities["HostB"].id
    heard.met(site.state, peer, int(NOW) * 1000, reason="not yet")
    file = site.base / "ppkeys" / f"root-{peer}.pub"

    site.run(
        'classes: "a" expression => remoteclassesmatching(".*", "HostA", "yes", "a");\n'
        f'"b" expression => returnszero("/bin/rm {file}", "noshell");\n'
        '"c" expression => remoteclassesmatching(".*", "HostB", "yes", "c");\n',
        asks="",
    )

    assert "info: no contact with 'HostB': it is not trusted any more" in site.kept.lines
