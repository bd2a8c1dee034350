"""Which distribution this is, by os-release and by the files of those that came before it."""

from policy.context import Variable
from policy.values import canonify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.facts import World

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
ALIASES = {"rhel": "redhat", "opensuse": "suse", "sles": "suse", "sled": "suse"}
OF_FLAVOR = (
    "inventory", "attribute_name=none", "source=agent", "derived-from=sys.flavor", "hardclass",
)  # fmt: skip

# fmt: off
VENDORS = (
    # /etc/redhat-release begins with: vendor, edition; the first that fits
    ("Red Hat Enterprise Linux ES",              "redhat",     "es"),
    ("Red Hat Enterprise Linux WS",              "redhat",     "ws"),
    ("Red Hat Enterprise Linux AS",              "redhat",     "as"),
    ("Red Hat Enterprise Linux Server",          "redhat",     "s"),
    ("Red Hat Enterprise Linux Client",          "redhat",     "c"),
    ("Red Hat Enterprise Linux Workstation",     "redhat",     "c"),
    ("Red Hat Enterprise Linux ComputeNode",     "redhat",     "cn"),
    ("Red Hat Enterprise Linux",                 "redhat",     ""),
    ("Red Hat Linux",                            "redhat",     ""),
    ("Scientific Linux CERN",                    "scientific", "cern"),
    ("Scientific Linux",                         "scientific", "sl"),
    ("CentOS",                                   "centos",     ""),
    ("Enterprise Linux Enterprise Linux Server", "oracle",     "s"),
)

# class: what people call it; the first that is set
HUMAN = {
    "ubuntu": "Ubuntu", "debian": "Debian", "centos": "CentOS", "fedora": "Fedora",
    "redhat": "RHEL", "opensuse": "OpenSUSE", "suse": "SUSE", "amazon_linux": "Amazon",
    "manjaro": "Manjaro", "arch": "Arch", "archarm": "Arch", "postmarketos": "postmarketOS",
    "alpine": "Alpine", "gentoo": "Gentoo", "slackware": "Slackware",
}
CRONTAB = "/var/spool/cron/crontabs"
CRONTABS = {"SUSE": "/var/spool/cron/tabs", "redhat": "/var/spool/cron"}
DOC_ROOTS = {"debian": "/var/www", "SUSE": "/srv/www/htdocs", "redhat": "/var/www/html"}
# fmt: on

# whose classes NAME_MAJOR_MINOR tell a minor version that os-release does not
VERSIONED = frozenset((
    "debian", "ubuntu", "redhat", "rhel", "centos", "fedora", "suse", "opensuse", "opensuse_leap",
    "slackware", "sles",
))  # fmt: skip


def distribution(world: "World") -> None:
    """All about the distribution. What is found later has the last word on the flavor."""
    release = _os_release(world)
    for look in (_red_hat, _oracle, _suse, _amazon, _slackware, _debian, _cumulus, _alpine):
        look(world)
    for path, flavor in (("/etc/gentoo-release", "gentoo"), _arch(world)):
        if world.host.exists(path):
            _flavor(world, flavor, path)
    _summary(world, release)


def crontab(world: "World") -> None:
    """Where cron keeps the table of the user that this runs as."""
    world.need("distribution")
    user = world.host.user(world.host.uid)
    if user is not None:
        place = next((CRONTABS[name] for name in CRONTABS if name in world.classes), CRONTAB)
        world.put("crontab", f"{place}/{user.pw_name}")


def _from(path: str) -> tuple[str, ...]:
    """The tags of a class that the file at PATH tells."""
    origin = f"derived-from-file={path}"
    return ("inventory", "attribute_name=none", "source=agent", origin, "hardclass")


def _flavor(world: "World", flavor: str, path: str = "") -> None:
    """Say that this is FLAVOR, which the file at PATH tells."""
    world.define(canonify(flavor), _from(path) if path else OF_FLAVOR)
    origin = (f"derived-from-file={path}",) if path else ()
    world.put("flavour", flavor, "source=agent", *origin)
    world.put("flavor", flavor, "inventory", "source=agent", "attribute_name=none", *origin)


def _line(world: "World", path: str) -> str:
    """The first line of the file at PATH."""
    return world.text(path).partition("\n")[0]


def _numbers(text: str) -> list[str]:
    """The version that TEXT begins with: `9.3 (Blue Onyx)` is 9 and 3."""
    found: list[str] = []
    for part in text.strip().split(" ")[0].split("."):
        rest = part.lstrip("0123456789")
        if rest == part:
            break
        found.append(str(int(part.removesuffix(rest) if rest else part)))
        if rest:
            break
    return found


def _define_each(world: "World", words: "Iterable[str]", path: str) -> None:
    """Define the first of WORDS, the first two joined, and so on."""
    name = ""
    for word in words:
        name = f"{name}_{word}" if name else word
        world.define(canonify(name), _from(path))


def _os_release(world: "World") -> dict[str, str]:
    """What os-release says, and the classes of it."""
    path = next(filter(world.host.exists, OS_RELEASE), None)
    if path is None:
        return {}
    found: dict[str, str] = {}
    for line in world.text(path).splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            found[key] = _unquoted(value)
    world.variables["os_release"] = Variable(found, "data", _from(path)[:-1])
    name = canonify(found.get("ID", ""))
    version = canonify(found.get("VERSION_ID", ""))
    if name and version:
        _flavor(world, f"{name}_{version.partition('_')[0]}")
    for known in (name, ALIASES.get(name, "")):
        if known:
            _define_each(world, f"{known}_{version}".rstrip("_").split("_"), path)
    return found


def _unquoted(value: str) -> str:
    """VALUE as a shell would read it."""
    if value[:1] not in ('"', "'") or value[-1:] != value[0]:
        return value
    inside = value[1:-1]
    if value[0] == '"' and "\\" in inside:
        for char in '"$`':
            inside = inside.replace(f"\\{char}", char)
        inside = inside.replace("\\\\", "\\")
    return inside


def _red_hat(world: "World") -> None:
    """Fedora, or Red Hat and what was made of it."""
    path = "/etc/fedora-release"
    if world.host.exists(path):
        _define_each(world, ("redhat",), path)
        _define_each(world, ("fedora",), path)
        version = _numbers(_line(world, path).partition("release ")[2])
        if version:
            _flavor(world, f"fedora_{version[0]}", path)
        return
    path = "/etc/redhat-release"
    if not world.host.exists(path):
        return
    _define_each(world, ("redhat",), path)
    line = _line(world, path)
    version = _numbers(line.lower().partition("release ")[2])[:2]
    for start, vendor, edition in VENDORS:
        if version and line.startswith(start):
            if edition:
                _define_each(world, (vendor, edition, *version), path)
            _define_each(world, (vendor, *version), path)
            _flavor(world, f"{vendor}_{version[0]}", path)
            return


def _oracle(world: "World") -> None:
    path = "/etc/oracle-release"
    if world.host.exists(path):
        line = _line(world, path)
        version = _numbers(line.partition("release ")[2])[:2]
        known = line.startswith("Oracle Linux Server") and len(version) > 1
        _define_each(world, ("oracle", *version) if known else ("oracle",), path)
        if known:
            _flavor(world, f"oracle_{version[0]}", path)


def _suse(world: "World") -> None:
    """SUSE up to SLES 12 and openSUSE 13; later ones are told by os-release only."""
    path = "/etc/SuSE-release"
    if not world.host.exists(path):
        return
    for name in ("SUSE", "suse", "SuSE"):
        world.define(name, _from(path))
    first, *lines = world.text(path).splitlines() or [""]
    said = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    dotted = [word for word in first.split() if len(_numbers(word)) > 1]
    if dotted:
        version, names = _numbers(dotted[0])[:2], ["SUSE", "SuSE"]
    else:
        version, names = [said.get("VERSION", ""), said.get("PATCHLEVEL", "")], ["SLES"]
        for words, short in (("suse linux enterprise server", "SLES"), ("desktop", "SLED")):
            if words in first.lower():
                world.define(f"{short}{version[0]}", _from(path))
    if all(version):
        for name in names:
            _define_each(world, (name, *version), path)
        _define_each(world, ("SuSE", version[0]), path)
        _flavor(world, f"SUSE_{version[0]}", path)


def _amazon(world: "World") -> None:
    path = "/etc/system-release"
    line = _line(world, path)
    if "Amazon" in line:
        words = line.split()
        version = canonify(words[3]) if len(words) > 3 else ""
        world.define("amazon_linux", _from(path))
        _flavor(world, f"amazon_linux_{version}" if version else "amazon_linux", path)
        world.define("AmazonLinux", OF_FLAVOR)


def _slackware(world: "World") -> None:
    path = "/etc/slackware-version"
    if world.host.exists(path):
        version = _numbers(_line(world, path).removeprefix("Slackware "))[:3]
        _define_each(world, ("slackware", *version), path)


def _debian(world: "World") -> None:
    """Debian and Ubuntu; the latter has the version of the former in /etc/debian_version."""
    path = "/etc/debian_version"
    if not world.host.exists(path):
        return
    _define_each(world, ("debian",), path)
    line = _line(world, path)
    version = _numbers(line)[:2]
    if version:
        _define_each(world, ("debian", *version), path)
        _flavor(world, f"debian_{version[0]}", path)
    elif line.partition("/")[0]:
        world.define(canonify(f"debian_{line.partition('/')[0]}"), _from(path))
    path = "/etc/issue"
    words = _line(world, path).split()
    if words[:1] == ["Debian"] and len(words) > 2:
        code = words[2].partition("/")[0].partition(".")[0]
        _flavor(world, f"debian_{code}", path)
    elif words[:1] == ["Ubuntu"] and len(words) > 1:
        major = words[1].partition(".")[0]
        _define_each(world, ("ubuntu",), path)
        _flavor(world, f"ubuntu_{major}", path)


def _cumulus(world: "World") -> None:
    path = "/etc/lsb-release"
    text = world.text(path)
    if "Cumulus" in text:
        world.define("cumulus", _from(path))
        version = text.partition("DISTRIB_RELEASE=")[2].partition("\n")[0]
        if version:
            _flavor(world, f"cumulus_{canonify(version)}", path)


def _alpine(world: "World") -> None:
    path = "/etc/alpine-release"
    if world.host.exists(path):
        world.define("alpine_linux", _from(path))
        for version in _line(world, path).split()[:1]:
            world.define(canonify(f"alpine_linux_{version}"), _from(path))
        _flavor(world, "alpinelinux", path)


def _arch(world: "World") -> tuple[str, str]:
    """The file to look for and the flavor that it means."""
    path = "/etc/manjaro-release"
    if world.host.exists(path):
        return path, "manjaro"
    return "/etc/arch-release", "archlinux"


def _summary(world: "World", release: dict[str, str]) -> None:
    """What follows from the classes and the flavor."""
    classes = world.classes
    human = next((name for name in HUMAN if name in classes), None)
    origin = (f"derived-from={human}",) if human else ()
    world.put("os_name_human", HUMAN.get(human or "", "Unknown"), "source=agent", *origin)
    flavor = world.variables.get("flavor")
    digits = "" if flavor is None else str(flavor.value).lstrip(_LETTERS)
    major = digits[: len(digits) - len(digits.lstrip("0123456789"))]
    origin = ("derived-from=flavor",) if major else ()
    world.put("os_version_major", major or "Unknown", "source=agent", *origin)
    world.put("os_version_minor", _minor(release.get("VERSION_ID", ""), classes))
    root = next((DOC_ROOTS[name] for name in DOC_ROOTS if name in classes), None)
    if root is not None:
        world.put("doc_root", root)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-. "


def _minor(version: str, classes: "Iterable[str]") -> str:
    """The minor version, by os-release or else by a class like `debian_12_11`."""
    parts = version.split(".")
    if len(parts) > 1:
        return parts[1]
    for name in sorted(classes):
        base, _, digits = name.rpartition("_")
        system, _, major = base.rpartition("_")
        if system in VERSIONED and major.isdigit() and digits.isdigit():
            return digits
    return "Unknown"
