"""Who may have what: how admissions and denials combine, and what nobody is talked into."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policy import vocabulary
from server.access import Decision, Grants, Kind, canonical, located, may
from server.grants import BadGrants, Control
from server.who import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "SHA=" + "0a" * 32
OTHER = "SHA=" + "0b" * 32
HOST2 = Peer(KEY, ("10.0.0.2",), ("web.example.com",), ("Host2",))
NAMELESS = Peer(OTHER, ("10.0.0.3",), (), ("Host3",))
SIDES = (
    "admit", "admit_hostnames", "admit_ips", "admit_keys",
    "deny", "deny_hostnames", "deny_ips", "deny_keys",
)  # fmt: skip
EVERYBODY = ["0.0.0.0/0"]


def grant(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """A row of the JSON; MORE are its attributes."""
    return {
        "type": kind, "name": name, "promiser": name, "value": None,
        **{side: [] for side in SIDES},
        "ifencrypted": False, "maproot": [], "shortcut": "", "report_data_select": None,
        "handle": "", "comment": "", "bundle": "rules", "file": "site.cf", "line": 1,
        **more,
    }  # fmt: skip


def path(name: str, **more: Any) -> dict[str, Any]:
    return grant("path", name, **more)


def context(name: str, **more: Any) -> dict[str, Any]:
    return grant("context", name, **more)


def role(name: str, *users: str) -> dict[str, Any]:
    place = {"handle": "", "comment": "", "bundle": "rules", "file": "site.cf", "line": 1}
    return {"name": name, "authorize": list(users), **place}


def document(
    access: Sequence[dict[str, Any]], roles: Sequence[dict[str, Any]] = (), **control: Any
) -> dict[str, Any]:
    return {
        "format": 1, "policy": "site.cf", "files": ["site.cf"],
        "control": control, "access": list(access), "roles": list(roles),
    }  # fmt: skip


def granted(*access: dict[str, Any], **control: Any) -> Grants:
    return Grants.parse(json.dumps(document(access, **control)))


def allowed(access: Sequence[dict[str, Any]], peer: Peer, kind: Kind, name: str) -> bool:
    return may(granted(*access), peer, kind, name).allowed


# denied by default


@pytest.mark.parametrize("kind", get_args(Kind))
def test_without_a_grant_nobody_may_anything(kind: Kind) -> None:
    assert not allowed([], HOST2, kind, "/etc/" if kind == "path" else "name")


@pytest.mark.parametrize("kind", ["path", "literal", "context", "variable", "query", "bundle"])
def test_a_grant_that_admits_nobody_admits_nobody(kind: Kind) -> None:
    name = "/srv/" if kind == "path" else "name"

    assert not allowed([grant(kind, name)], HOST2, kind, name)
    assert not allowed([grant(kind, name, deny_ips=["192.0.2.1"])], HOST2, kind, name)


@pytest.mark.parametrize("kind", ["path", "literal", "context", "variable", "query", "bundle"])
def test_a_grant_is_for_its_own_type_of_resource(kind: Kind) -> None:
    others = [other for other in get_args(Kind) if other != kind]
    access = [grant(kind, "/x", admit_ips=EVERYBODY)]

    assert [other for other in others if allowed(access, HOST2, other, "/x")] == []


def test_a_decision_names_the_promise_and_the_item() -> None:
    grants = granted(context("job_.*", admit_ips=["10.0.0.0/8"], line=12))

    assert may(grants, HOST2, "context", "job_1") == Decision(
        True, "admitted by '10.0.0.0/8'", "site.cf:12"
    )


# whom an item means


@pytest.mark.parametrize(
    ("side", "item", "means"),
    [
        # addresses
        ("admit_ips", "10.0.0.2", True),
        ("admit_ips", "10.0.0.20", False),
        ("admit_ips", "10.0.0.0/8", True),
        ("admit_ips", "10.0.0.1/30", True),
        ("admit_ips", "10.0.0.1/32", False),
        ("admit_ips", "0.0.0.0/0", True),
        ("admit_ips", "::/0", False),
        ("admit_ips", "::ffff:10.0.0.2", True),
        ("admit_ips", "::ffff:10.0.0.0/104", True),
        ("admit_ips", "10.0.0.0/33", False),
        ("admit_ips", "10.0.0.0/255.0.0.0", False),
        ("admit_ips", "10", True),
        ("admit_ips", "10.0", True),
        ("admit_ips", "1", False),
        ("admit_ips", "10.0.0", True),
        ("admit_ips", "10.0.0.1-20", True),
        ("admit_ips", "10.0.0.3-20", False),
        ("admit_ips", "10.0-1", True),
        ("admit_ips", "10.1-2", False),
        ("admit_ips", "10.0.0.0-9/24", False),
        ("admit_ips", r"10\.0\.0\.[1-3]", True),
        ("admit_ips", r"10\.0\.0", False),  # a pattern matches all of it
        ("admit_ips", ".*", True),
        ("admit_ips", "*", False),
        ("admit_ips", "web.example.com", False),
        # names
        ("admit_hostnames", "web.example.com", True),
        ("admit_hostnames", "WEB.example.com", True),
        ("admit_hostnames", "web", False),
        ("admit_hostnames", ".example.com", True),
        ("admit_hostnames", ".com", True),
        ("admit_hostnames", ".web.example.com", False),  # of a domain only what is below it
        ("admit_hostnames", "example.com", False),
        ("admit_hostnames", "webXexample.com", False),
        ("admit_hostnames", r"w.*\.example\.com", True),
        ("admit_hostnames", r"example\.com", False),
        ("admit_hostnames", r"WEB\..*", True),
        ("admit_hostnames", "Host2", True),
        ("admit_hostnames", "Host", False),
        ("admit_hostnames", "10.0.0.2", False),
        ("admit_hostnames", "(", False),
        # keys
        ("admit_keys", KEY, True),
        ("admit_keys", KEY.upper(), True),
        ("admit_keys", KEY[:-1], False),
        ("admit_keys", OTHER, False),
        ("admit_keys", ".*", False),
        # all of them, told apart by their look
        ("admit", "10.0", True),
        ("admit", KEY, True),
        ("admit", "Host2", True),
        ("admit", "web.example.com", True),
        ("admit", ".example.com", True),
        ("admit", r".*\.example\.com", True),
        ("admit", r".*example.com", True),
        ("admit", r".*xample.com", False),  # means that domain, not its end
        ("admit", r"^web\.example\.com", True),
        ("admit", r"^example\.com", False),
        ("admit", r"web\.example\.com", True),
        ("admit", r"example\.com", False),
        ("admit", r"^.*\.example\.com$", True),
        ("admit", r"^.*\.web\.example\.com", False),
        ("admit", r"webb?\.example\.com", True),
        ("admit", r".*.example.com", True),
        ("admit", r".*.web.example.com", False),
        ("admit", r"web.*", False),  # nobody can translate these
        ("admit", r"web[0-9]?\.example\.com", False),
        ("admit", ".*", True),
        ("admit", "", False),
        ("admit", "$(nowhere)", False),
        ("admit", "@(nowhere)", False),
        ("admit", "$(connection.key)", False),  # says nothing where the promiser does not
    ],
)
def test_whom_an_item_admits(side: str, item: str, *, means: bool) -> None:
    assert allowed([context("job", **{side: [item]})], HOST2, "context", "job") is means


@pytest.mark.parametrize(
    ("item", "address", "means"),
    [
        ("2001:db8::2", "2001:db8:0:0::2", True),
        ("2001:db8::/32", "2001:db8::2", True),
        ("2001:db8::/128", "2001:db8::2", False),
        ("0.0.0.0/0", "2001:db8::2", False),
        ("fe80::1", "fe80::1%eth0", True),
        ("10.0.0.0/8", "::ffff:10.0.0.2", True),
        ("2001:db8:0:0:0:0:0:1-ff", "2001:db8::fe", True),
        ("2001:db8:0:0:0:0:0:1-ff", "2001:db8::100", False),
        ("10.0.0.1-20", "2001:db8::2", False),
    ],
)
def test_addresses_of_both_versions(item: str, address: str, *, means: bool) -> None:
    peer = Peer(KEY, (address,))

    assert allowed([context("job", admit_ips=[item])], peer, "context", "job") is means


def test_a_label_of_hex_digits_is_a_name() -> None:
    peer = Peer(KEY, ("192.0.2.1",), (), ("db",))

    assert allowed([context("job", admit=["db"])], peer, "context", "job")


def test_a_claimed_name_that_no_host_can_have_is_no_name() -> None:
    peer = Peer(KEY, ("192.0.2.1",), ("$(connection.hostname)", "..", "a/b"))

    access = [
        path("/srv/$(connection.hostname)/", admit_hostnames=["$(connection.hostname)", ".*"])
    ]
    assert not allowed(access, peer, "path", "/srv/../")
    assert not allowed(access, peer, "path", "/srv/$(connection.hostname)/")
    assert not allowed([context("job", admit_hostnames=[".*"])], peer, "context", "job")


def test_what_is_no_address_is_refused() -> None:
    peer = Peer(KEY, ("nonsense",))

    assert not allowed([context("job", admit_keys=[KEY])], peer, "context", "job")


# what is not known admits nobody and denies everybody


@pytest.mark.parametrize(
    ("side", "item"),
    [
        ("deny_hostnames", ".evil.example"),  # it has no confirmed name
        ("deny_hostnames", ".*"),
        ("deny", "evil.example"),
        ("deny_ips", "$(nowhere)"),
        ("deny_ips", "10.0.0.0/33"),
        ("deny_ips", "evil.example"),
        ("deny_ips", "("),
        ("deny_ips", "10.0."),
        ("deny", "@(nowhere)"),
        ("deny", "(evil"),
        ("deny", ""),
        ("deny_keys", "$(nowhere)"),
    ],
)
def test_a_denial_of_which_nobody_knows_whom_it_means_means_everybody(side: str, item: str) -> None:
    access = [context("job", admit_ips=EVERYBODY, **{side: [item]})]

    assert not allowed(access, NAMELESS, "context", "job")


def test_items_that_mean_nobody_are_complained_of() -> None:
    grants = granted(context("job", admit=["@(x)"], deny=["("], line=7), allowconnects=["10.0."])

    assert grants.warnings == [
        "site.cf:7: '@(x)' in admits means nobody: it never admits and always denies",
        "site.cf:7: '(' in denials means nobody: it never admits and always denies",
        "body server control: '10.0.' in allowconnects means nobody: "
        "it never admits and always denies",
    ]


def test_a_name_without_an_end_of_denials_does_not_deny_others() -> None:
    access = [context("job", admit_ips=EVERYBODY, deny_hostnames=[".evil.example"])]

    assert allowed(access, HOST2, "context", "job")


# one grant: a denial of any kind beats an admission of any kind


@pytest.mark.parametrize(
    "deny",
    [
        {"deny": ["Host2"]},
        {"deny": ["10"]},
        {"deny": [KEY]},
        {"deny": [r"web[0-9]?\.example\.com"]},
        {"deny_hostnames": [".com"]},
        {"deny_ips": [".*"]},
        {"deny_keys": [KEY.upper()]},
    ],
)
def test_a_denial_beats_every_admission(deny: dict[str, list[str]]) -> None:
    admit = {"admit": [".*"], "admit_ips": EVERYBODY, "admit_keys": [KEY]}

    assert not allowed([context("job", **admit, **deny)], HOST2, "context", "job")


def test_promises_with_one_promiser_are_one() -> None:
    access = [path("/srv/", admit_ips=EVERYBODY), path("/srv/", deny_keys=[KEY])]

    assert not allowed(access, HOST2, "path", "/srv/x")
    assert allowed(access, NAMELESS, "path", "/srv/x")


# names


@pytest.mark.parametrize("kind", ["context", "bundle"])
def test_patterns_match_all_of_a_name(kind: Kind) -> None:
    access = [grant(kind, "job_[0-9]", admit_ips=EVERYBODY)]

    assert allowed(access, HOST2, kind, "job_1")
    assert not allowed(access, HOST2, kind, "my_job_1")
    assert not allowed(access, HOST2, kind, "job_11")


@pytest.mark.parametrize("kind", ["literal", "variable", "query"])
def test_other_names_are_exact(kind: Kind) -> None:
    access = [grant(kind, "a.c", admit_ips=EVERYBODY)]

    assert allowed(access, HOST2, kind, "a.c")
    assert not allowed(access, HOST2, kind, "abc")


@pytest.mark.parametrize("order", [1, -1])
def test_any_denial_among_the_patterns_is_final(order: int) -> None:
    access = [context(".*", admit_ips=EVERYBODY), context("secret.*", deny_ips=["10"])][::order]

    assert allowed(access, HOST2, "context", "job")
    assert not allowed(access, HOST2, "context", "secret_job")


def test_a_pattern_without_a_word_on_this_peer_leaves_the_others() -> None:
    access = [context("job", admit_keys=[OTHER]), context("j.*", admit_keys=[KEY])]

    assert allowed(access, HOST2, "context", "job")


def test_a_promiser_that_is_no_pattern_can_only_deny() -> None:
    broken = context("job(", admit_ips=EVERYBODY, deny_keys=[OTHER])
    access = [broken, context("job", admit_ips=EVERYBODY)]

    assert not allowed([broken], HOST2, "context", "job(")
    assert allowed(access, HOST2, "context", "job")
    assert not allowed(access, NAMELESS, "context", "job")


def test_a_pattern_that_takes_too_long_admits_nobody() -> None:
    access = [context("(a|a|a|a)*b", admit_ips=EVERYBODY)]

    assert not allowed(access, HOST2, "context", "a" * 40)


@pytest.mark.parametrize("name", [".*", "job_.*", "job_1|job_2", "", "job_1\0", "x" * 5000])
def test_what_comes_from_the_network_is_no_pattern(name: str) -> None:
    assert not allowed([context("job_[0-9]", admit_ips=EVERYBODY)], HOST2, "context", name)


# paths


PATHS = [
    path("/", admit_keys=[KEY]),
    path("/srv/", admit_ips=["10.0.0.3"]),
    path("/srv/pub/", admit_ips=EVERYBODY),
    path("/srv/pub/private", deny_ips=EVERYBODY),
    path("/srv/pub/mute/", deny_ips=["192.0.2.1"]),
    path("/srv/file", admit_keys=[KEY]),
]


@pytest.mark.parametrize(
    ("name", "host2", "nameless"),
    [
        ("/", True, False),
        ("/etc/passwd", True, False),
        ("/srv/", False, True),  # nothing is inherited from /
        ("/srv", True, False),  # is no directory, so it is only in /
        ("/srv/x", False, True),
        ("/srv/pub/", True, True),
        ("/srv/pub/a/b/c", True, True),
        ("/srv/pub/private", False, False),
        ("/srv/pub/private2", True, True),
        ("/srv/pub/private/x", True, True),  # an entry without a slash is that file only
        ("/srv/pub/mute/x", False, False),
        ("/srv/public", False, True),
        ("/srv/file", True, False),
        ("/srv/file/", False, True),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_longest_path_decides(name: str, order: int, *, host2: bool, nameless: bool) -> None:
    access = PATHS[::order]

    assert allowed(access, HOST2, "path", name) is host2
    assert allowed(access, NAMELESS, "path", name) is nameless


@pytest.mark.parametrize(
    "name", ["srv", "", "/srv/../etc", "/srv//x", "/./srv", "/srv/.", "/srv/.."]
)
def test_a_path_that_is_not_canonical_is_refused(name: str) -> None:
    assert not canonical(name)
    assert not allowed([path("/", admit_ips=EVERYBODY)], HOST2, "path", name)


# paths with variables of the connection


def own(name: str = "key", **more: Any) -> dict[str, Any]:
    return path(f"/home/$(connection.{name})/", **more)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ip", "10.0.0.2"), ("hostname", "web.example.com"), ("key", KEY)],
)
def test_everybody_has_a_directory_of_his_own(name: str, value: str) -> None:
    kind = {"ip": "admit_ips", "hostname": "admit_hostnames", "key": "admit_keys"}[name]
    access = [own(name, **{kind: [f"$(connection.{name})"]})]

    assert allowed(access, HOST2, "path", f"/home/{value}/x")
    assert not allowed(access, NAMELESS, "path", f"/home/{value}/x")
    assert not allowed(access, HOST2, "path", "/home/x")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"admit": ["$(connection.key)"]}, True),
        ({"admit": [".*"]}, True),  # a pattern matches the variable as it is written
        ({"admit_ips": ["0.0.0.0/0"]}, False),
        ({"admit_keys": [KEY]}, False),
        ({"admit_ips": ["$(connection.key)"]}, False),
        ({"admit_keys": ["$(connection.key)"], "deny_keys": ["$(connection.key)"]}, False),
        ({"admit_keys": ["$(connection.key)"], "deny_ips": ["10.0.0.0/8"]}, False),
        (
            {"admit_keys": ["$(connection.key)"], "deny_hostnames": ["$(connection.hostname)"]},
            False,
        ),
    ],
)
def test_who_is_admitted_to_his_own(more: dict[str, Any], *, expected: bool) -> None:
    assert allowed([own(**more)], HOST2, "path", f"/home/{KEY}/x") is expected


def test_a_file_of_his_own_is_only_that_file() -> None:
    access = [path("/home/$(connection.key)", admit_keys=["$(connection.key)"])]

    assert allowed(access, HOST2, "path", f"/home/{KEY}")
    assert not allowed(access, HOST2, "path", f"/home/{KEY}2")
    assert not allowed(access, HOST2, "path", f"/home/{KEY}/x")


@pytest.mark.parametrize("key", ["a/b", "..", ".", ""])
def test_what_leads_elsewhere_is_not_put_into_a_path(key: str) -> None:
    grants = granted(own(shortcut="mine", admit=[".*"]))

    assert located(grants, Peer(key, ("10.0.0.2",)), "mine/x") is None


def test_without_a_name_there_is_no_directory_of_that_name() -> None:
    access = [own("hostname", admit=[".*"]), own("ip", admit_hostnames=["$(connection.hostname)"])]

    assert not allowed(access, NAMELESS, "path", "/home//x")
    assert not allowed(access, NAMELESS, "path", "/home/10.0.0.3/x")


MINE: dict[str, Any] = {"admit_keys": ["$(connection.key)"]}


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        # either of the two lookups is enough ...
        ([path("/home/", admit_ips=EVERYBODY), own()], True),
        ([path("/home/", admit_keys=[OTHER]), own(**MINE)], True),
        ([path(f"/home/{KEY}/sub/", admit_keys=[OTHER]), own(**MINE)], True),
        # ... unless the longer one denies, which the reference would overlook
        ([path("/home/", admit_ips=EVERYBODY), own(deny_keys=["$(connection.key)"])], False),
        ([path(f"/home/{KEY}/sub/", deny_keys=[KEY]), own(**MINE)], False),
        ([path(f"/home/{KEY}/", deny_keys=[KEY]), own(**MINE)], False),
        # a shorter denial is that of a parent, and nothing is inherited from parents
        ([path("/home/", deny_ips=EVERYBODY), own(**MINE)], True),
        ([own(deny_keys=["$(connection.key)"]), path(f"/home/{KEY}/sub/", admit=[KEY])], True),
        # two with variables
        ([own(**MINE), path("/home/$(connection.key)/sub/", deny_ips=["10"])], False),
        ([own(**MINE), path("/home/$(connection.key)/sub/", deny_ips=["11"])], False),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_plain_paths_and_those_with_variables(
    access: list[dict[str, Any]], order: int, *, expected: bool
) -> None:
    assert allowed(access[::order], HOST2, "path", f"/home/{KEY}/sub/x") is expected


# shortcuts


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("files", "/srv/files/"),
        ("files/a/b", "/srv/files/a/b"),
        ("files/", "/srv/files/"),
        ("files/../../etc", "/srv/files/../../etc"),  # to be resolved, then asked about
        ("mine/x", f"/home/{KEY}/x"),
        ("named/x", "/hosts/web.example.com/x"),
        ("unknown/x", None),
        ("file", None),
        ("", None),
        ("/srv/files", "/srv/files"),
        ("files/a\0b", None),
        ("$(connection.key)/x", None),
    ],
)
def test_what_a_shortcut_means(request_: str, expected: str | None) -> None:
    grants = granted(
        path("/srv/files/", shortcut="files"),
        path("/other/", shortcut="files"),
        own(shortcut="mine"),
        path("/hosts/$(connection.hostname)/", shortcut="named"),
        path("/slash/", shortcut="a/b"),
    )

    assert located(grants, HOST2, request_) == expected
    assert grants.warnings == [
        "site.cf:1: the shortcut 'files' is taken: not used",
        "site.cf:1: the shortcut 'a/b' has a slash: not used",
    ]


def test_a_shortcut_with_a_name_is_nothing_for_the_nameless() -> None:
    grants = granted(path("/hosts/$(connection.hostname)/", shortcut="named"))

    assert located(grants, NAMELESS, "named/x") is None


def test_a_shortcut_grants_nothing() -> None:
    grants = granted(path("/srv/files/", shortcut="files", admit_keys=[OTHER]))

    found = located(grants, HOST2, "files/x")
    assert found is not None
    assert not may(grants, HOST2, "path", found).allowed


# roles, and who may connect


def test_a_role_is_for_labels() -> None:
    grants = Grants.parse(json.dumps(document([], [role("job_.*", "Host2"), role("x", "root")])))

    assert may(grants, HOST2, "role", "job_1").allowed
    assert not may(grants, HOST2, "role", "x").allowed
    assert not may(grants, NAMELESS, "role", "job_1").allowed
    assert not may(grants, HOST2, "role", "my_job_1").allowed


@pytest.mark.parametrize("name", ["a b", "a;b", "a,b", "-x", "a.b", "$(x)"])
@pytest.mark.parametrize("kind", ["role", "bundle"])
def test_what_becomes_an_argument_has_plain_characters(kind: Kind, name: str) -> None:
    access = [grant("bundle", ".*", admit_ips=EVERYBODY)]
    grants = Grants.parse(json.dumps(document(access, [role(".*", "Host2")])))

    assert may(grants, HOST2, kind, "ns:a_1").allowed
    assert not may(grants, HOST2, kind, name).allowed


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ({}, True),
        ({"allowconnects": []}, True),
        ({"allowconnects": ["10.0.0.0/8"]}, True),
        ({"allowconnects": ["192.0.2.1"]}, False),
        ({"allowconnects": ["@(nowhere)"]}, False),
        ({"denyconnects": ["10"]}, False),
        ({"denyconnects": ["192.0.2.1"]}, True),
        ({"denyconnects": ["@(nowhere)"]}, False),
        ({"allowconnects": ["10"], "denyconnects": ["10.0.0.2"]}, False),
    ],
)
def test_who_may_connect(control: dict[str, list[str]], *, expected: bool) -> None:
    assert granted(**control).may_connect("10.0.0.2").allowed is expected


def test_lists_of_the_control_body() -> None:
    grants = granted(trustkeysfrom=["10"])

    assert grants.listed("trustkeysfrom", "10.0.0.2")
    assert not grants.listed("trustkeysfrom", "192.0.2.1")
    assert not grants.listed("allowallconnects", "10.0.0.2")


# what is read


def test_values_come_with_their_grants() -> None:
    grants = granted(
        grant("literal", "motd", value="hello"), grant("variable", "g.hosts", value=["a", "b"])
    )

    assert grants.value("literal", "motd") == "hello"
    assert grants.value("variable", "g.hosts") == ["a", "b"]
    assert grants.value("literal", "g.hosts") is None


GOOD = document([path("/srv/")], [role("x", "root")], port=5308)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "nonsense", "[" * 100_000, b"\xff",
        json.dumps(GOOD)[:-1],
        json.dumps({**GOOD, "format": 2}),
        json.dumps({**GOOD, "more": 1}),
        json.dumps({**GOOD, "roles": None}),
        json.dumps({**GOOD, "control": {"port": 0}}),
        json.dumps({**GOOD, "control": {"port": "5308"}}),
        json.dumps({**GOOD, "control": {"maxconnections": -1}}),
        json.dumps({**GOOD, "control": {"unheard_of": True}}),
        json.dumps({**GOOD, "access": [{**path("/x"), "deny_phases_of_the_moon": ["new"]}]}),
        json.dumps({**GOOD, "access": [{**path("/x"), "deny": "10.0.0.1"}]}),
        json.dumps({**GOOD, "access": [{**path("/x"), "type": "socket"}]}),
        json.dumps({**GOOD, "access": [{**path("/x"), "name": ""}]}),
        json.dumps(GOOD).replace('"deny": []', '"deny": ["10"], "deny": []'),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadGrants, match=r"^these are no grants: ."):
        Grants.parse(text)


@pytest.mark.parametrize("name", list(GOOD["access"][0]))
def test_no_attribute_of_a_grant_may_be_missing(name: str) -> None:
    row = {key: value for key, value in path("/srv/").items() if key != name}

    with pytest.raises(BadGrants):
        Grants.parse(json.dumps({**GOOD, "access": [row]}))


def test_every_attribute_of_the_control_body_can_be_read() -> None:
    rows = vocabulary.OF_BODIES["server"].values()

    assert set(Control.__struct_fields__) == {row.name for row in rows if row.status != "removed"}


def test_file_names_need_not_be_utf_8() -> None:
    name = b"/srv/\xff/".decode("utf-8", "surrogateescape")

    assert allowed([path(name, admit_ips=EVERYBODY)], HOST2, "path", f"{name}x")


# laws

ITEMS = {
    "admit": ["Host2", "10", KEY, ".example.com", ".*", "db"],
    "admit_hostnames": ["web.example.com", "Host3", ".*", "$(connection.hostname)"],
    "admit_ips": ["10.0.0.2", "10.0.0.0/8", "192.0.2.1", "$(connection.ip)"],
    "admit_keys": [KEY, OTHER, "$(connection.key)"],
    "deny": ["Host3", "10.0.0.3", OTHER, ".org", "@(x)"],
    "deny_hostnames": [".evil.example", "web.example.com"],
    "deny_ips": ["10.0.0.2-3", "192.0.2.1", "$(connection.ip)"],
    "deny_keys": [KEY, OTHER],
}
LISTS = {side: st.lists(st.sampled_from(items), max_size=2) for side, items in ITEMS.items()}
NAMES = {
    "path": [
        "/", "/a/", "/a/b", "/a/b/", "/a/10.0.0.2/", "/a/$(connection.ip)/", "/a/$(connection.key)",
    ],
    "context": ["job", "job_.*", ".*", "j|job", "job("],
}  # fmt: skip
ASKED: dict[str, list[str]] = {
    "path": [
        "/", "/a/", "/a", "/a/b", "/a/b/", "/a/b/c", "/a/10.0.0.2/", "/a/10.0.0.2/x", f"/a/{KEY}",
    ],
    "context": ["job", "job_1", "j", "x"],
}  # fmt: skip
PEERS = st.sampled_from([HOST2, NAMELESS, Peer(OTHER, ("192.0.2.1",), ("x.evil.example",))])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[dict[str, Any]], Kind, str]:
    """Some grants of a kind, and what is asked for."""
    kind: Kind = draw(st.sampled_from(["path", "context"]))
    rows = draw(
        st.lists(
            st.builds(lambda name, lists: grant(kind, name, **lists), st.sampled_from(NAMES[kind]),
                      st.fixed_dictionaries(LISTS)),
            max_size=5,
        )
    )  # fmt: skip
    return rows, kind, draw(st.sampled_from(ASKED[kind]))


@given(cases(), PEERS, st.data())
def test_the_order_of_promises_means_nothing(
    case: tuple[list[dict[str, Any]], Kind, str], peer: Peer, data: st.DataObject
) -> None:
    rows, kind, name = case

    assert allowed(rows, peer, kind, name) is allowed(
        data.draw(st.permutations(rows)), peer, kind, name
    )


@given(cases(), PEERS, st.data())
def test_no_denial_more_ever_admits(
    case: tuple[list[dict[str, Any]], Kind, str], peer: Peer, data: st.DataObject
) -> None:
    rows, kind, name = case
    assume(rows)
    assume(not allowed(rows, peer, kind, name))
    at = data.draw(st.integers(0, len(rows) - 1))
    side = data.draw(st.sampled_from(SIDES[4:]))
    more = [*rows[at][side], data.draw(st.sampled_from(ITEMS[side]))]

    assert not allowed([*rows[:at], {**rows[at], side: more}, *rows[at + 1 :]], peer, kind, name)


@given(cases(), PEERS)
def test_nobody_is_admitted_where_nobody_is_named(
    case: tuple[list[dict[str, Any]], Kind, str], peer: Peer
) -> None:
    rows, kind, name = case

    mute = [{**row, **{side: [] for side in SIDES[:4]}} for row in rows]
    assert not allowed(mute, peer, kind, name)


@given(cases(), PEERS)
def test_a_denial_is_never_overruled(
    case: tuple[list[dict[str, Any]], Kind, str], peer: Peer
) -> None:
    """Of a class all grants that match it, of a path the longest, each asked alone."""
    rows, kind, name = case
    lone = [row for row in rows if not _harmless(row, peer, kind, name)]
    if kind == "path":
        around = [_as_read(row["name"], peer) for row in rows if _covers(row, peer, name)]
        longest = max(map(len, around), default=0)
        lone = [row for row in lone if len(_as_read(row["name"], peer)) == longest]

    assert not (lone and allowed(rows, peer, kind, name))


def _as_read(name: str, peer: Peer) -> str:
    return name.replace("$(connection.ip)", peer.addresses[0]).replace(
        "$(connection.key)", peer.key
    )


def _covers(row: dict[str, Any], peer: Peer, name: str) -> bool:
    """Whether the path of ROW is NAME, or a directory around it."""
    prefix = _as_read(row["name"], peer)
    return name == prefix or (prefix.endswith("/") and name.startswith(prefix))


def _harmless(row: dict[str, Any], peer: Peer, kind: Kind, name: str) -> bool:
    """Whether ROW has nothing against PEER: alone, and admitting everybody, it admits him."""
    if kind == "path" and not _covers(row, peer, name):
        return True
    silent = {**row, **{side: [] for side in SIDES[4:]}}
    admit = {"admit": [".*"], "admit_keys": ["$(connection.key)"]}
    if not allowed([{**silent, **admit}], peer, kind, name):
        return True  # does not match the name, or is broken
    return allowed([{**row, **admit}], peer, kind, name)
