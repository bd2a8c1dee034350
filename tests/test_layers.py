"""Who may import whom: the language knows no host, the agent knows no lark, the protocol nobody."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
OURS = ("agent", "policy", "server")

# package: what of ours it may import besides itself
MAY = {
    "policy": (),
    "agent": ("policy", "server.wire"),
    "server": ("policy",),
    "server.wire": (),
}
# module of theirs: the only files that may import it
ONLY = {
    "lark": ("policy/parse.py",),
    "nacl": ("server/",),
    "msgspec": ("server/",),
    "watchdog": ("agent/daemon.py", "server/"),
    "yaml": ("policy/",),
    "dateutil": ("policy/", "agent/schedule.py"),
    "lxml": ("agent/",),
    "psutil": ("agent/host/",),
    "rich": ("agent/",),
}
# what the language must not have: a world
WORLDLY = frozenset(
    ("subprocess", "socket", "asyncio", "pwd", "grp", "random", "tempfile", "shutil")
)
FILES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]


def imports(path: Path) -> Iterator[str]:
    """The dotted names that the file PATH imports, wherever in it; those only for types too."""
    module = str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name: str) -> str:
    """The package in the table that the file NAME belongs to."""
    return (
        "server.wire" if name.replace("/", ".").startswith("server.wire") else name[:6].strip("/.")
    )


def within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether MODULE is one of PACKAGES or in one."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_imports_only_those_below(name: str) -> None:
    own = layer(name)
    allowed = (own, *MAY[own])
    ours = {module for module in imports(ROOT / name) if within(module, OURS)}

    assert {module for module in ours if not within(module, allowed)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_only_their_owners_import_the_packages_of_others(name: str) -> None:
    for module in imports(ROOT / name):
        top = module.partition(".")[0]
        if top in OURS or top in sys.stdlib_module_names or top == "__future__":
            continue
        assert any(name.startswith(owner) for owner in ONLY[top]), f"{name} imports {module}"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("policy/")])
def test_the_language_has_no_world(name: str) -> None:
    assert {module.partition(".")[0] for module in imports(ROOT / name)}.isdisjoint(WORLDLY)


def test_everything_ours_is_in_a_layer() -> None:
    assert {layer(name) for name in NAMES} == set(MAY)
