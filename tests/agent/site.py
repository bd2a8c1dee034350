"""A host with two peers, HostA and HostB, whose signals it receives, all in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import heard, inbox, signals
from agent.state import State
from server.wire.keys import Identity
from server.wire.signals import Signal, sign
from server.wire.trust import Peer, Store
from tests.agent.driver import NOW, Agent

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60_000
EPOCH = 1_700_000_000_000
ASK = """
classes:
  "asked_a" expression => remoteclassesmatching("did.*", "HostA", "no", "from");
  "asked_b" expression => remoteclassesmatching("did.*", "HostB", "no", "from");
"""
BODIES = """
body action at_once { ifelapsed => "0"; }
body action level { ifelapsed => "0"; signals => "level"; }
body action once { ifelapsed => "0"; signals => "once"; }
body action hourly { ifelapsed => "60"; }
body classes says(name) { promise_repaired => { "$(name)" }; persist_time => "10"; }
"""


class Site:
    """This host and two peers, whose signals it receives."""

    def __init__(self, tmp_path: Path) -> None:
        self.agent = Agent(tmp_path)
        self.base = self.agent.base
        self.jobs = tmp_path / "jobs"
        self.identities = {"HostA": Identity.new(), "HostB": Identity.new()}
        store = Store(f"{self.base}/ppkeys", int(NOW))
        store.create()
        for label, identity in self.identities.items():
            store.add(Peer(id=identity.id, label=label, key=identity.public))
        self.seq = dict.fromkeys(self.identities, 0)
        self.state = State(f"{self.base}/state/agent.db", lambda *_: None, NOW)
        for identity in self.identities.values():
            heard.met(self.state, identity.id, int(NOW) * 1000, live=True)

    def say(
        self, label: str, name: str, *, kind: str = "event", first: int = 0, minutes: int = 10
    ) -> int:
        """Let the peer LABEL say that its class NAME is set; the number of its signal."""
        self.seq[label] += 1
        seq, identity, now = self.seq[label], self.identities[label], int(NOW) * 1000
        signal = Signal(
            origin=identity.public, epoch=EPOCH, seq=seq, kind=kind, name=name,  # type: ignore[arg-type]
            first=first or seq, run=bytes(16), granted=now,
            expires=0 if kind == "cancel" else now + minutes * MINUTE,
        )  # fmt: skip
        batch = inbox.verify(identity.public, [sign(identity, signal)], now, now)
        assert not batch.bad
        assert heard.receive(self.state, identity.id, batch.keep, (EPOCH, seq, 0), now)
        return seq

    def run(self, sections: str, *, asks: str = ASK) -> list[str]:
        """Keep SECTIONS; the jobs that ran, in order."""
        self.jobs.unlink(missing_ok=True)
        self.kept = self.agent.keep(f"{asks}\n{sections}", BODIES)
        return self.jobs.read_text().split() if self.jobs.exists() else []

    def job(self, guard: str, name: str = "job", more: str = "", *, action: str = "at_once") -> str:
        """A command that runs under GUARD."""
        return (
            f"commands:\n {guard}::\n  \"/bin/sh -c 'echo {name} >> {self.jobs}'\""
            f" {more} action => {action};\n"
        )

    def said(self) -> list[tuple[str, str]]:
        """The signals of this host: kind and class."""
        return [(row.kind, row.name) for row in signals.unsigned(self.state)]
