"""Facts: what is so about a host, found when first asked for."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent import facts
from agent.facts import identity, network, traffic
from agent.facts.installation import VERSION
from agent.host import Host
from policy.context import Variable

NOW = 1795247939.5  # Sat Nov 21 2026 07:58:59 UTC
ROOT = Path(__file__).parents[2]


class Elsewhere(Host):
    """A host whose files lie below a directory, and whose kernel says what we like."""

    def __init__(self, root: Path, name: str = "web1") -> None:
        super().__init__()
        self.root = root
        self.name = name

    def read(self, path: str, limit: int = 0) -> bytes:
        return super().read(f"{self.root}{path}", limit)

    def exists(self, path: str) -> bool:
        return super().exists(f"{self.root}{path}")

    def listdir(self, path: str) -> list[str]:
        return super().listdir(f"{self.root}{path}")

    def uname(self) -> os.uname_result:
        return os.uname_result(("Linux", self.name, "6.1.0-9", "#1 SMP", "x86_64"))

    def hostname(self) -> str:
        return self.name


def host(root: Path, files: dict[str, str], name: str = "web1") -> Elsewhere:
    """A host that has these FILES, and is known to /etc/hosts."""
    for path, text in {"/etc/hosts": f"127.0.1.1 {name}\n", **files}.items():
        target = Path(f"{root}{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Elsewhere(root, name)


def gathered(on: Host, workdir: str = "/w", entry: str = "") -> tuple[set[str], dict[str, str]]:
    """All classes but those of the clock, and all variables that are text."""
    hard, known = facts.gather(on, NOW, None, workdir, entry=entry)
    texts = {name: fact.value for name, fact in known.items() if isinstance(fact.value, str)}
    return {name for name in hard if "time_based" not in hard[name]}, texts


# laziness


def test_every_class_is_found_one_by_one_as_by_enumerating() -> None:
    hard, _ = facts.gather(Host(), NOW, None, "/w")

    for name in list(hard):
        alone, _ = facts.gather(Host(), NOW, None, "/w")
        assert name in alone, name


def test_every_variable_is_found_one_by_one_as_by_enumerating() -> None:
    _, known = facts.gather(Host(), NOW, None, "/w", entry="x.cf")

    for name in list(known):
        _, alone = facts.gather(Host(), NOW, None, "/w", entry="x.cf")
        assert alone[name].type == known[name].type


def test_every_theme_has_a_function() -> None:
    for theme, module in facts.THEMES.items():
        assert callable(getattr(__import__(f"agent.facts.{module}", fromlist=(theme,)), theme))


def test_a_name_that_nothing_bears_costs_no_look_at_the_network() -> None:
    code = (
        "import os, sys\n"
        "from agent.host import Host\n"
        "from agent import facts\n"
        "before = set(sys.modules)\n"
        "hard, known = facts.gather(Host(), 0.0, None, '/w')\n"
        "assert 'linux' in hard and 'nothing123' not in hard and known.get('nothing') is None\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    allowed = (
        "agent.facts.distribution", "agent.facts.identity",
        "policy.values", "policy.json", "policy.numbers",
    )  # fmt: skip
    new = [name for name in eval(done.stdout) if not name.startswith(allowed)]  # noqa: S307
    assert (new, done.stderr) == ([], "")


def test_unknown_names_are_no_facts() -> None:
    hard, known = facts.gather(Host(), NOW, None, "/w")

    for name in ("", "nothing", "Hr25", "ipv4_999", "1_2_3_4", "_", "default:linux"):
        assert name not in hard
        assert known.get(name) is None
    with pytest.raises(KeyError):
        hard["nothing"]


def test_what_is_added_is_a_class_with_those_tags() -> None:
    hard, _ = facts.gather(Host(), NOW, None, "/w")

    hard.add("linux", ("source=environment",))
    hard.add("opt_dry_run")

    assert hard["linux"] == ("source=environment",)
    assert "opt_dry_run" in list(hard)


def test_what_is_put_is_not_found_out_again() -> None:
    _, known = facts.gather(Host(), NOW, None, "/w")

    known.put("arch", Variable("pdp11", "string"))

    assert known["arch"].value == "pdp11"
    assert dict(known)["arch"].value == "pdp11"


def test_all_classes_are_tagged_as_hard() -> None:
    hard, _ = facts.gather(Host(), NOW, None, "/w")

    assert all(tags[-1] == "hardclass" for tags in hard.values())
    assert hard["linux"] == identity.KERNEL


# identity


def test_the_kernel_names_the_machine(tmp_path: Path) -> None:
    classes, texts = gathered(host(tmp_path, {}))

    assert {
        "any", "agent", "linux", "x86_64", "linux_x86_64", "linux_6_1_0_9",
        "linux_x86_64_6_1_0_9", "linux_x86_64_6_1_0_9__1_SMP", "64_bit", "cfengine_3_28",
        "community_edition", "feature_tls_1", "compiled_on_linux_gnu",
    } <= classes  # fmt: skip
    assert texts["long_arch"] == "linux_x86_64_6_1_0_9__1_SMP"
    assert texts["release"] == "6.1.0-9"


@pytest.mark.parametrize(
    ("name", "hosts", "qualified", "domain", "classes"),
    [
        ("web1", "127.0.0.1 web1", "web1", "", {"web1"}),
        (
            "web1", "127.0.0.1 localhost\n10.1.1.1 Web1.Example.com web1 al.ias # x",
            "web1.example.com", "example.com",
            {"web1", "web1_example_com", "example_com", "com", "al_ias"},
        ),
        (
            "WEB1.Sub.Example.com", "127.0.0.1 web1.sub.example.com",
            "web1.sub.example.com", "sub.example.com",
            {"web1", "web1_sub_example_com", "sub_example_com", "example_com", "com"},
        ),
    ],
)  # fmt: skip
def test_names_are_as_the_resolver_says(
    name: str, hosts: str, qualified: str, domain: str, classes: set[str], tmp_path: Path
) -> None:
    found, texts = gathered(host(tmp_path, {"/etc/hosts": hosts}, name))

    assert (texts["fqhost"], texts["domain"], texts["uqhost"]) == (qualified, domain, "web1")
    assert texts["host"] == name.lower()
    assert classes <= found


def test_policy_may_put_the_host_into_a_domain(tmp_path: Path) -> None:
    hard, known = facts.gather(host(tmp_path, {}), NOW, None, "/w")

    identity.qualify("example.org", hard, known)

    assert [known[name].value for name in ("fqhost", "domain")] == [
        "web1.example.org",
        "example.org",
    ]
    assert "example_org" in hard


# distribution

UBUNTU = {
    "/etc/os-release": 'ID=ubuntu\nVERSION_ID="22.04"\n',
    "/etc/debian_version": "bookworm/sid\n",
    "/etc/issue": "Ubuntu 22.04.3 LTS \\n \\l\n",
}
DEBIAN = {
    "/etc/os-release": 'NAME="Debian \\"GNU\\""\nID=debian\nVERSION_ID="12"\n',
    "/etc/debian_version": "12.11\n",
    "/etc/issue": "Debian GNU/Linux 12 \\n \\l\n",
}
ROCKY = {
    "/etc/os-release": 'ID="rocky"\nVERSION_ID="9.3"\n',
    "/etc/redhat-release": "Rocky Linux release 9.3 (Blue Onyx)\n",
}
RHEL = {
    "/etc/os-release": 'ID="rhel"\nVERSION_ID="8.9"\n',
    "/etc/redhat-release": "Red Hat Enterprise Linux Server release 8.9 (Ootpa)\n",
}
CENTOS = {
    "/etc/os-release": 'ID="centos"\nVERSION_ID="7"\n',
    "/etc/redhat-release": "CentOS Linux release 7.9.2009 (Core)\n",
}
SLES_12 = {
    "/etc/os-release": 'ID="sles"\nVERSION_ID="12.5"\n',
    "/etc/SuSE-release": "SUSE Linux Enterprise Server 12 (x86_64)\nVERSION = 12\nPATCHLEVEL = 5\n",
}
LEAP = {"/etc/os-release": 'ID="opensuse-leap"\nVERSION_ID="15.5"\n'}
ALPINE = {"/etc/os-release": "ID=alpine\nVERSION_ID=3.19.1\n", "/etc/alpine-release": "3.19.1\n"}
ARCH = {"/etc/os-release": "ID=arch\n", "/etc/arch-release": ""}
AMAZON = {
    "/etc/os-release": 'ID="amzn"\nVERSION_ID="2"\n',
    "/etc/system-release": "Amazon Linux release 2 (Karoo)\n",
}
SID = {
    "/etc/os-release": "ID=debian\n",
    "/etc/debian_version": "trixie/sid\n",
    "/etc/issue": "Debian GNU/Linux trixie/sid \\n \\l\n",
}

# fmt: off
DISTRIBUTIONS = [
    # files,  classes, of which there are no others,
    # flavor, name, major, minor version
    (UBUNTU,  "ubuntu ubuntu_22 ubuntu_22_04 debian debian_bookworm",
     "ubuntu_22", "Ubuntu", "22", "04"),
    (DEBIAN,  "debian debian_12 debian_12_11",
     "debian_12", "Debian", "12", "11"),
    (SID,     "debian debian_trixie",
     "debian_trixie", "Debian", "Unknown", "Unknown"),
    (ROCKY,   "rocky rocky_9 rocky_9_3 redhat",
     "rocky_9", "RHEL", "9", "3"),
    (RHEL,    "rhel rhel_8 rhel_8_9 redhat redhat_8 redhat_8_9 redhat_s redhat_s_8 redhat_s_8_9",
     "redhat_8", "RHEL", "8", "9"),
    (CENTOS,  "centos centos_7 centos_7_9 redhat",
     "centos_7", "CentOS", "7", "9"),
    (SLES_12, "sles sles_12 sles_12_5 suse suse_12 suse_12_5 SUSE SUSE_12 SuSE SuSE_12 SLES SLES12"
              " SLES_12 SLES_12_5",
     "SUSE_12", "SUSE", "12", "5"),
    (LEAP,    "opensuse opensuse_leap opensuse_leap_15 opensuse_leap_15_5",
     "opensuse_leap_15", "OpenSUSE", "15", "5"),
    (ALPINE,  "alpine alpine_3 alpine_3_19 alpine_3_19_1 alpinelinux alpine_linux"
              " alpine_linux_3_19_1",
     "alpinelinux", "Alpine", "Unknown", "19"),
    (ARCH,    "arch archlinux",
     "archlinux", "Arch", "Unknown", "Unknown"),
    (AMAZON,  "amzn amzn_2 amazon_linux amazon_linux_2 AmazonLinux",
     "amazon_linux_2", "Amazon", "2", "Unknown"),
    ({},      "",
     None, "Unknown", "Unknown", "Unknown"),
]
# fmt: on


@pytest.mark.parametrize(
    ("files", "classes", "flavor", "human", "major", "minor"), DISTRIBUTIONS,
    ids=[case[2] or "none" for case in DISTRIBUTIONS],
)  # fmt: skip
def test_a_distribution_is_told_by_its_files(
    files: dict[str, str], classes: str, flavor: str | None, human: str, major: str, minor: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "none").mkdir()
    without, _ = gathered(host(tmp_path / "none", {}))
    found, texts = gathered(host(tmp_path / "some", files))

    assert found - without == set(classes.split())
    assert texts.get("flavor") == texts.get("flavour") == flavor
    assert texts["os_name_human"] == human
    assert (texts["os_version_major"], texts["os_version_minor"]) == (major, minor)


def test_os_release_is_read_as_a_shell_would(tmp_path: Path) -> None:
    _, known = facts.gather(host(tmp_path, DEBIAN), NOW, None, "/w")

    assert known["os_release"].value == {
        "NAME": 'Debian "GNU"', "ID": "debian", "VERSION_ID": "12",
    }  # fmt: skip


# the machine


def test_processors_and_sockets_are_counted(tmp_path: Path) -> None:
    cpus = "/sys/devices/system/cpu"
    files = {f"{cpus}/cpu{n}/topology/physical_package_id": f"{n // 2}\n" for n in range(4)}
    classes, texts = gathered(host(tmp_path, {f"{cpus}/online": "0-2,3\n", **files}))

    assert (texts["cpus"], texts["cpusockets"]) == ("4", "2")
    assert {"4_cpus", "2_cpusockets"} <= classes


def test_one_processor_is_no_plural(tmp_path: Path) -> None:
    classes, _ = gathered(host(tmp_path, {"/sys/devices/system/cpu/online": "0\n"}))

    assert {"1_cpu", "1_cpusocket"} <= classes


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        ({"/proc/xen/capabilities": "control_d\n"}, {"xen", "xen_dom0"}),
        ({"/proc/xen/capabilities": "\n"}, {"xen", "xen_domu_pv"}),
        ({"/proc/bc/0": ""}, {"virt_host_vz"}),
        ({"/proc/vz": ""}, {"virt_guest_vz"}),
        ({"/usr/bin/aptitude": ""}, {"have_aptitude"}),
        ({"/proc/1/cmdline": "/nowhere/systemd\0--system"}, {"systemd"}),
        ({"/proc/1/cmdline": "/nowhere/runit\0/systemd"}, set()),
    ],
)
def test_what_runs_the_machine(files: dict[str, str], classes: set[str], tmp_path: Path) -> None:
    without, _ = gathered(host(tmp_path / "none", {}))
    found, _ = gathered(host(tmp_path / "some", files))

    assert found - without == classes


# network


def test_the_loopback_interface_is_seen() -> None:
    classes, texts = gathered(Host())

    assert {"127_0_0_1", "ipv4_127", "ipv4_127_0_0", "ipv4_127_0_0_1", "net_iface_lo"} <= classes
    assert texts["ipv4[lo]"] == "127.0.0.1"
    assert texts["ipv4_3[lo]"] == "127.0.0"
    assert texts["ip2iface[127.0.0.1]"] == "lo"
    assert "hardware_mac[lo]" not in texts
    assert "loopback" in texts["interface_flags[lo]"]


def test_interfaces_that_nobody_wants_are_not_seen(tmp_path: Path) -> None:
    (tmp_path / "ignore_interfaces.rx").write_text("l.\nnosuch\n")

    classes, texts = gathered(Host(), str(tmp_path))

    assert "net_iface_lo" not in classes
    assert "ipv4[lo]" not in texts


def test_addresses_belong_to_links() -> None:
    links, addresses = network.interfaces()

    assert {index for index, _, _ in addresses} <= set(links)
    assert {len(packed) for _, _, packed in addresses} <= {4, 16}


# The third route loses by its metric, the second address of eth0 by its scope.
PROC_NET = {
    "/proc/net/route": (
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 00000000 010200C0 0003 0 0 7 00000000 0 0 0\n"
        "eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
        "eth1 00000000 020200C0 0003 0 0 9 00000000 0 0 0\n"
    ),
    "/proc/net/netstat": "TcpExt: A B\nTcpExt: 1 2\n",
    "/proc/net/snmp6": "Ip6InReceives 17\n",
    "/proc/net/ipv6_route": (
        "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 ffffffff 0000000a 00000000 00000001 eth0\n"
    ),
    "/proc/net/if_inet6": (
        "fd000000000000000000000000000002 04 40 00 82 eth0\n"
        "fe8000000000000000fc00fffe000001 04 40 20 80 eth0\n"
    ),
    "/proc/net/dev": "Inter-|\n face |\n  lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
}


def test_the_best_default_route_is_the_gateway(tmp_path: Path) -> None:
    hard, known = facts.gather(host(tmp_path, PROC_NET), NOW, None, "/w")

    inet = known["inet"].value
    assert isinstance(inet, dict)
    assert inet["default_gateway"] == "192.0.2.1"
    assert inet["default_route"] == inet["routes"][0]
    assert inet["routes"][1]["flags"] == ["up", "net", "not_default", "local"]
    assert inet["stats"] == {"TcpExt": {"A": "1", "B": "2"}}
    assert "ipv4_gw_192_0_2_2" in hard
    assert hard["ipv4_gw_192_0_2_1"] == traffic.GATEWAY


def test_ipv6_is_told_in_full(tmp_path: Path) -> None:
    _, known = facts.gather(host(tmp_path, PROC_NET), NOW, None, "/w")

    inet6 = known["inet6"].value
    assert isinstance(inet6, dict)
    assert inet6["addresses"]["eth0"]["address"] == "fd00:0:0:0:0:0:0:2"
    assert inet6["stats"] == {"Ip6InReceives": 17}
    route = inet6["routes"][0]
    assert (route["dest"], route["metric"], route["refcnt"]) == ("fd00:0:0:0:0:0:0:0", -1, 10)


def test_devices_are_counted(tmp_path: Path) -> None:
    _, known = facts.gather(host(tmp_path, PROC_NET), NOW, None, "/w")

    devices = known["interfaces_data"].value
    assert isinstance(devices, dict)
    assert devices["lo"]["device"] == "lo"
    assert devices["lo"]["receive_multicast"] == "8"
    assert devices["lo"]["transmit_bytes"] == "9"


# the installation


def test_places_follow_the_work_directory(tmp_path: Path) -> None:
    _, texts = gathered(host(tmp_path, {}), "/some/where")

    expected = {
        "workdir": "", "bindir": "/bin", "inputdir": "/inputs", "masterdir": "/masterfiles",
        "moduledir": "/modules", "statedir": "/state", "keydir": "/ppkeys", "logdir": "",
        "piddir": "", "libdir": "/inputs/lib", "default_policy_path": "/inputs/promises.cf",
    }  # fmt: skip
    assert {name: texts[name] for name in expected} == {
        name: f"/some/where{below}" for name, below in expected.items()
    }
    assert texts["local_libdir"] == "lib"


def test_only_programs_that_are_there_are_known_and_quoted(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/cf-agent").touch()

    _, texts = gathered(Host(), str(tmp_path))

    agent = f'"{tmp_path}/bin/cf-agent"'
    programs = {name: path for name, path in texts.items() if path.startswith('"')}
    assert programs == {"cf_agent": agent, "cf_twin": agent}


@pytest.mark.parametrize("entry", ["/p/./q/../x.cf", "//p/x.cf", "/p/x.cf"])
def test_the_entry_is_an_absolute_path(entry: str) -> None:
    _, texts = gathered(Host(), entry=entry)

    assert texts["policy_entry_filename"] == "/p/x.cf"
    assert (texts["policy_entry_dirname"], texts["policy_entry_basename"]) == ("/p", "x.cf")


def test_versions_are_theirs_and_ours() -> None:
    _, texts = gathered(Host())

    assert texts["cf_version"] == "3.28.0"
    assert [texts[f"cf_version_{part}"] for part in ("major", "minor", "patch")] == ["3", "28", "0"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert texts["troth_version"] == VERSION == project["version"]


def test_the_user_is_known() -> None:
    _, known = facts.gather(Host(), NOW, None, "/w")

    user = known["user_data"].value
    assert isinstance(user, dict)
    assert user["uid"] == os.geteuid()


@pytest.mark.parametrize(
    ("server", "address", "port"),
    [
        ("192.0.2.7\n", "192.0.2.7", "5308"),
        ("hub:99", "hub", "99"),
        ("fd00::1", "fd00::1", "5308"),
        ("[fd00::1]:99", "fd00::1", "99"),
    ],
)
def test_a_client_knows_its_hub(server: str, address: str, port: str, tmp_path: Path) -> None:
    classes, texts = gathered(host(tmp_path, {"/w/policy_server.dat": server}))

    assert (texts["policy_hub"], texts["policy_hub_port"]) == (address, port)
    assert texts["cfengine_role"] == "client"
    assert "cfengine_client" in classes
    assert "policy_server" not in classes


def test_a_hub_knows_that_it_is_one(tmp_path: Path) -> None:
    files = {"/w/policy_server.dat": "192.0.2.7", "/w/state/am_policy_hub": ""}
    classes, texts = gathered(host(tmp_path, files))

    assert {"policy_server", "am_policy_hub"} <= classes
    assert texts["cfengine_role"] == "hub"


# the clock


def test_the_clock_is_that_of_the_run() -> None:
    hard, known = facts.gather(Host(), NOW, "Asia/Tokyo", "/w")

    assert known["date"].value == "Sat Nov 21 16:58:59 2026"
    assert known["cdate"].value == "Sat_Nov_21_16_58_59_2026"
    assert (known["systime"].value, known["sysday"].value) == ("1795247939", "20778")
    assert known["time_based_gmt_hr_qoh"].value == "GMT_Hr07_Q4"
    assert "Hr16" in hard
    assert "GMT_Hr16" not in hard
