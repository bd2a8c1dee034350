"""`acl`: access control lists as promised, through the attributes that the kernel keeps them in."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.actuators.files import aces
from agent.actuators.files.aces import GROUP, MASK, NOBODY, OTHER, OWNER, OWNING_GROUP, USER
from agent.outcome import Outcome
from tests.agent.driver import Agent

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
DAEMON = "42424"  # a number stands for itself, whether somebody has it or not
WHOLE = '"user:*:rwx", "group:*:rx", "all:rx"'


def supported() -> bool:
    """Whether the file system of temporary files has access control lists."""
    try:
        os.getxattr("/tmp", ACCESS)  # noqa: S108  # only looked at
    except OSError as error:
        return error.errno == errno.ENODATA
    return True


pytestmark = pytest.mark.skipif(not supported(), reason="no access control lists here")


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "f"
    path.touch()
    path.chmod(0o644)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "d"
    path.mkdir()
    path.chmod(0o755)
    return path


def promised(path: Path, more: str = "") -> str:
    return f'files: "{path}" acl => a, classes => fired{more};'


def body(text: str) -> str:
    return f'body acl a {{ {text} }}\nbody action warn {{ action_policy => "warn"; }}'


def append(*entries: str, more: str = "") -> str:
    quoted = ", ".join(f'"{entry}"' for entry in entries)
    return body(f'acl_method => "append"; acl_type => "posix"; aces => {{ {quoted} }}; {more}')


def listed(path: Path, name: str = ACCESS) -> dict[tuple[int, int], int] | None:
    try:
        return aces.decoded(os.getxattr(path, name))
    except OSError:
        return None


def base(mode: int, **more: int) -> dict[tuple[int, int], int]:
    """The list of MODE with a mask."""
    return aces.of_mode(mode) | {(MASK, NOBODY): more.get("mask", mode >> 3 & 7)}


def test_an_entry_is_added_once(agent: Agent, file: Path) -> None:
    bodies = append(f"user:{DAEMON}:rw")

    first, second = [agent.keep(promised(file), bodies) for _ in "12"]

    assert first.lines == [f"info: Access ACL on '{file}' successfully changed"]
    assert "repaired" in first.fired
    assert second.lines == []
    assert second.fired == {"kept"}
    assert listed(file) == base(0o644, mask=6) | {(USER, int(DAEMON)): 6}
    assert file.stat().st_mode & 0o777 == 0o664  # the group of the mode is the mask


@pytest.mark.parametrize(
    ("entries", "changed"),
    [
        (["user:*:=r"], {(OWNER, NOBODY): 4}),
        (["user:*:-w,+x"], {(OWNER, NOBODY): 5}),
        (["all:"], {(OTHER, NOBODY): 0}),
        (["group:*:+w"], {(OWNING_GROUP, NOBODY): 6, (MASK, NOBODY): 6}),
        (["group:7:rx:allow"], {(GROUP, 7): 5, (MASK, NOBODY): 5}),
        (["mask:r", "user:7:rwx"], {(USER, 7): 7, (MASK, NOBODY): 4}),
        (["user:7:r(w)"], {(USER, 7): 6, (MASK, NOBODY): 6}),
        (["user:7:rw", "user:7:x"], {(USER, 7): 1, (MASK, NOBODY): 5}),
    ],
)
def test_entries(
    entries: list[str], changed: dict[tuple[int, int], int], agent: Agent, file: Path
) -> None:
    agent.keep(promised(file), append(*entries))

    assert listed(file) == base(0o644) | changed


def test_what_is_not_promised_goes_if_all_is(agent: Agent, file: Path) -> None:
    agent.keep(promised(file), append("user:7:rw"))
    text = body('acl_method => "overwrite"; aces => { "user:*:rw", "group:*:r", "all:r" };')

    first, second = [agent.keep(promised(file), text) for _ in "12"]

    assert listed(file) == base(0o644)
    assert "repaired" in first.fired
    assert second.fired == {"kept"}


def test_a_dry_run_changes_no_list(agent: Agent, directory: Path) -> None:
    kept = agent.keep(
        promised(directory), append("user:7:rw", more='acl_default => "access";'), dry=True
    )

    assert kept.lines == [
        f"warning: Should update ACL Access on file '{directory}'",
        f"warning: Should copy default ACL on '{directory}' from access ACL",
        f"warning: Warnings encountered when actuating files promise '{directory}'",
    ]
    assert "failed" in kept.fired
    assert listed(directory) is None


def test_a_warning_changes_no_list(agent: Agent, file: Path) -> None:
    kept = agent.keep(promised(file, ", action => warn"), append("user:7:rw"))

    assert kept.lines[0] == (
        f"warning: Should update ACL Access on file '{file}', but only warning promised"
    )
    assert listed(file) is None


def test_a_plan_changes_no_list(agent: Agent, file: Path) -> None:
    kept = agent.keep(promised(file), append("user:7:rw"), plan=True)

    assert kept.planned == [f"update ACL Access on file '{file}'"]
    assert listed(file) is None


# directories


def test_what_is_made_in_a_directory_gets_its_list(agent: Agent, directory: Path) -> None:
    bodies = append("user:7:rx", more='acl_default => "access";')

    first, second = [agent.keep(promised(directory), bodies) for _ in "12"]

    assert first.lines == [
        f"info: Access ACL on '{directory}' successfully changed",
        f"info: Default ACL on '{directory}' successfully copied from access ACL.",
    ]
    assert second.lines == []
    assert listed(directory, DEFAULT) == listed(directory) == base(0o755) | {(USER, 7): 5}


def test_or_one_of_its_own(agent: Agent, directory: Path) -> None:
    text = body(
        f'acl_method => "overwrite"; aces => {{ {WHOLE} }}; acl_default => "specify"; '
        f'specify_default_aces => {{ {WHOLE}, "user:7:rw" }};'
    )

    first, second = [agent.keep(promised(directory), text) for _ in "12"]

    assert f"info: Default ACL on '{directory}' successfully changed" in first.lines
    assert second.lines == []
    assert listed(directory, DEFAULT) == base(0o755, mask=7) | {(USER, 7): 6}


def test_or_none(agent: Agent, directory: Path) -> None:
    agent.keep(promised(directory), append("user:7:rx", more='acl_default => "access";'))
    bodies = append("user:7:rx", more='acl_default => "clear";')

    first, second = [agent.keep(promised(directory), bodies) for _ in "12"]

    assert first.lines == [f"info: Default ACL on '{directory}' successfully cleared"]
    assert second.lines == []
    assert listed(directory, DEFAULT) is None
    assert listed(directory) is not None


# what cannot be kept


def place(agent: Agent) -> str:
    return f"error: Promise belongs to bundle 'main' in file '{agent.base}/policy.cf' near line 2"


def test_a_list_without_its_base_is_refused(agent: Agent, directory: Path) -> None:
    text = body('acl_method => "overwrite"; aces => { "user:*:rw", "group:*:r" };')

    kept = agent.keep(promised(directory), text)

    assert kept.lines == [
        "error: Invalid ACL in 'user::rw-,group::r--,mask::r--' at index 3 "
        "(acl_check: Missing or wrong entry)",
        place(agent),
        f"error: Errors encountered when actuating files promise '{directory}'",
    ]
    assert kept.only(Outcome.FAILED)
    assert listed(directory) is None


def test_a_bad_default_does_not_stop_the_other(agent: Agent, directory: Path) -> None:
    more = 'acl_default => "specify"; specify_default_aces => { "user:root:rx" };'

    kept = agent.keep(promised(directory), append("user:7:rx", more=more))

    assert kept.lines[:2] == [
        f"info: Access ACL on '{directory}' successfully changed",
        "error: Invalid ACL in 'user:root:r-x,mask::r-x' at index 0 "
        "(acl_check: Missing or wrong entry)",
    ]


@pytest.mark.parametrize(
    ("kind", "entry", "lines"),
    [
        ("posix", "user:root:rw:deny",
         ["Deny permission not supported by this ACL type", "",
          "ACL: Malformed perm_type syntax in ACE 'user:root:rw:deny'",
          "ACL: The ACE 'user:root:rw:deny' contains errors", ""]),
        ("generic", "mask:rw",
         ["This ACL type does not support mask ACE.", "",
          "ACL: The ACE 'mask:rw' contains errors", ""]),
        ("generic", "user:root:rw(x)",
         ["ACL: Invalid native permission 'x', or missing native end separator", "",
          "ACL: Malformed mode-string in ACE 'user:root:rw(x)'", "",
          "ACL: The ACE 'user:root:rw(x)' contains errors", ""]),
    ],
)  # fmt: skip
def test_an_entry_that_means_nothing_is_refused(
    kind: str, entry: str, lines: list[str], agent: Agent, directory: Path
) -> None:
    text = body(f'acl_method => "append"; acl_type => "{kind}"; aces => {{ "{entry}" }};')

    kept = agent.keep(promised(directory), text)

    said = [f"error: {line}" if line else place(agent) for line in lines]
    assert kept.lines == [
        *said,
        f"error: Syntax error in access control list for '{directory}'",
        place(agent),
        f"error: Errors encountered when actuating files promise '{directory}'",
    ]
    assert listed(directory) is None


def test_nobody_knows_the_name(agent: Agent, directory: Path) -> None:
    kept = agent.keep(promised(directory), append("user:no such one:r"))

    assert kept.lines[:3] == [
        "error: Could not get UID for user 'no such one', (getpwnam: not found)",
        "error: ACL: Error parsing entity in ':r'",
        place(agent),
    ]
    assert kept.only(Outcome.FAILED)


def test_a_file_has_no_default(agent: Agent, file: Path) -> None:
    kept = agent.keep(promised(file), append("user:7:r", more='acl_default => "access";'))

    assert kept.lines[0] == "error: acl_default can only be set on directories."
    assert listed(file) is None


def test_other_kinds_of_lists_are_refused(agent: Agent, directory: Path) -> None:
    text = body('acl_method => "append"; acl_type => "ntfs"; aces => { "user:root:r" };')

    kept = agent.keep(promised(directory), text)

    assert kept.lines[0] == "error: NTFS ACLs are not supported on this system"


# the list itself

entries = st.dictionaries(
    st.one_of(
        st.sampled_from([(tag, NOBODY) for tag in (OWNER, OWNING_GROUP, MASK, OTHER)]),
        st.tuples(st.sampled_from([USER, GROUP]), st.integers(0, 1 << 31)),
    ),
    st.integers(0, 7),
)


@given(entries)
def test_what_is_encoded_is_decoded(found: dict[tuple[int, int], int]) -> None:
    assert aces.decoded(aces.encoded(found)) == found


@pytest.mark.parametrize(
    ("tags", "at"),
    [([OWNER, OWNING_GROUP, OTHER], None), ([OWNER, USER, OWNING_GROUP, MASK, OTHER], None),
     ([USER, MASK], 0), ([OWNER, MASK, OTHER], 1), ([OWNER, OWNING_GROUP], 2), ([], 0)],
)  # fmt: skip
def test_what_is_missing(tags: list[int], at: int | None) -> None:
    assert aces.flaw({(tag, NOBODY): 0 for tag in tags}) == at
