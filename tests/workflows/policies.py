"""Policy for tests of signals: what an upstream grants, how a downstream asks."""

from __future__ import annotations

BODIES = """
body classes state_repaired(x)
{
  promise_repaired => { "$(x)" };
  persist_time => "10";
  scope => "namespace";
}

body classes signal_for(x, minutes)
{
  promise_repaired => { "$(x)" };
  persist_time => "$(minutes)";
  scope => "namespace";
}

body action if_elapsed(x)
{
  ifelapsed => "$(x)";
  expireafter => "60";
}

body server control
{
  allowconnects => { "127.0.0.0/8", "10.0.0.0/8" };
}
"""


def policy(sections: str, grants: str = "") -> dict[str, str]:
    """A policy of one bundle with SECTIONS; GRANTS are promises of access."""
    server = f"bundle server access\n{{\naccess:\n{grants}\n}}\n" if grants else ""
    return {"promises.cf": f"bundle agent main\n{{\n{sections}\n}}\n{server}{BODIES}"}


def grants(names: str, *labels: str) -> str:
    """A promise to show the classes that match NAMES to hosts with LABELS."""
    listed = ", ".join([f'"{label}"' for label in labels])
    return f'"{names}" resource_type => "context", admit => {{ {listed} }};'


def signals(*names: str, admit: str = "Host2") -> dict[str, str]:
    """An upstream that signals NAME when it is run with -D do_NAME, however often."""
    jobs = [
        f'do_{name}::\n"/usr/local/bin/my_job {name}"\n'
        f'action => if_elapsed("0"), classes => state_repaired("{name}");'
        for name in names
    ]
    granted = "\n".join([grants(name, admit) for name in names])
    return policy("commands:\n" + "\n".join(jobs), granted)


def asks(*peers: str, prefix: str = "up", pattern: str = ".*") -> str:
    """Promises that ask PEERS for classes that match PATTERN; each is given PREFIX."""
    lines = [
        f'"asked_{peer}" expression => remoteclassesmatching("{pattern}", "{peer}", "no",'
        f' "{prefix}");'
        for peer in peers
    ]
    return "classes:\n" + "\n".join(lines) + "\n"


def follows(guard: str, more: str = "", classes: str = "") -> str:
    """A downstream of Host1: the job my_follow_up under GUARD, with MORE attributes."""
    comma = f",\n{more}" if more else ""
    return (
        f"{asks('Host1')}{classes}\ncommands:\n{guard}::\n"
        f'"/usr/local/bin/my_follow_up" action => if_elapsed("0"){comma};'
    )
