"""Promises kept in this process by the real engine: what was said, and what came of it."""

import os
from pathlib import Path

from agent.host import Host
from agent.host.overlay import Overlay
from agent.life import evaluate, finish, load_policy, obey, prepare
from agent.log import Log
from agent.options import Settings
from agent.outcome import Outcome
from agent.planned import Planned
from agent.run import Run

NOW = 1_800_000_000.0
FIRED = """
body classes fired {
  promise_kept => { "kept" };
  promise_repaired => { "repaired" };
  repair_failed => { "failed" };
  repair_denied => { "denied" };
}
"""


class Kept:
    """What a run came to: LINES that were said, the names of the classes that promises fired."""

    def __init__(self, run: Run, lines: list[str]) -> None:
        self.lines = lines
        self.run = run
        self.fired = {"kept", "repaired", "failed", "denied"} & set(run.ctx.soft)
        self.planned = [step.would for step in run.planned.steps] if run.planned else []

    def only(self, *outcomes: Outcome) -> bool:
        """Whether the promises ended in these ways and no other."""
        return {outcome for outcome, count in self.run.counts.items() if count} == set(outcomes)

    def has(self, name: str) -> bool:
        """Whether the class NAME is set."""
        return name in self.run.ctx.soft


class Agent:
    """An agent with a work directory of its own below TMP_PATH."""

    def __init__(self, tmp_path: Path) -> None:
        self.base = tmp_path / "agent"
        self.base.mkdir(mode=0o700)
        self.now = NOW
        self.no_locks = True
        os.environ.setdefault("TROTH_CACHE_DIR", str(tmp_path.parent / "cache"))

    def keep(
        self,
        sections: str,
        bodies: str = "",
        *,
        dry: bool = False,
        plan: bool = False,
        level: str = "info",
    ) -> Kept:
        """Keep the promises in SECTIONS of one bundle, with BODIES and one called `fired`."""
        policy = self.base / "policy.cf"
        policy.write_text(f"bundle agent main {{\n{sections}\n}}\n{bodies}\n{FIRED}")
        policy.chmod(0o600)
        said = self.base / "said"
        fd = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        settings = Settings(
            {
                "program": "cf-agent",
                "file": str(policy),
                "workdir": str(self.base),
                "now": self.now,
                "dry": dry,
                "no_locks": self.no_locks,
                "level": level,
            }
        )
        try:
            log = Log(level, talk=fd)
            host = Overlay() if plan else Host()
            run = prepare(settings, host, log)
            run.planned = Planned(host) if isinstance(host, Overlay) else None
            load_policy(run)
            obey(run)
            evaluate(run)
            finish(run)
            log.flush()
        finally:
            os.close(fd)
        lines = said.read_text(errors="surrogateescape").splitlines()
        return Kept(run, [line.strip() for line in lines])
