"""What the checker says about policy, and what it leaves alone."""

import marshal

import pytest

from policy.check import check, check_together, facts
from policy.diagnostics import Diagnostic
from policy.parse import parse
from policy.source import Source


def checked(text: str, path: str = "x.cf") -> list[Diagnostic]:
    """What is wrong with a file that can be parsed."""
    policy, mistakes = parse(Source(path, text))
    assert mistakes == []
    return check(policy)


def together(*texts: str) -> list[Diagnostic]:
    """What is wrong between files, through the form in which facts are stored."""
    sources = {f"{at}.cf": Source(f"{at}.cf", text) for at, text in enumerate(texts)}
    units = [marshal.loads(marshal.dumps(facts(parse(it)[0]))) for it in sources.values()]
    return check_together(units, sources.__getitem__)


def messages(diagnostics: list[Diagnostic], severity: str = "error") -> list[str]:
    return [found.message for found in diagnostics if found.severity == severity]


def main(text: str) -> list[Diagnostic]:
    return checked(f"bundle agent main\n{{\n{text}\n}}\n")


PROMISES = [
    # promises of an agent bundle, and what is said about them
    ('vars: "a" strin => "x", string => "y";',
     "Unknown attribute 'strin' for promise type 'vars' in bundle with type 'agent'"),
    ('insert_lines: "x";', "Promise type 'insert_lines' not supported by 'agent' bundle type"),
    ('vars: "a" int => "abc";', "Cannot parse value as integer"),
    ('vars: "a" int => "";', "Cannot parse value as integer"),
    ('vars: "a" int => "150%";', "Cannot parse value as integer"),
    ('vars: "a" int => "999999999999999";', "Integer is out of range"),
    ('vars: "a" real => "1.2.3";', "Real value is out of range"),
    ('vars: "a" real => "1e200";', "Real value is out of range"),
    ('vars: "a" ilist => { "1", "x" };', "Cannot parse value as integer"),
    ('vars: "a" slist => "x";', "Attempted to give a scalar to a non-scalar type"),
    ('vars: "a" slist => @(x);', "Attempted to give a scalar to a non-scalar type"),
    ('vars: "a" string => { "x" };', "Attempted to give a list to a non-list type"),
    ('vars: "a" data => { "x" };', "Attempted to give a list to a non-list type"),
    ('vars: "5" string => "x";',
     "Variable promises cannot have a purely numerical name (promiser)"),
    ('vars: "this" string => "x";', "Variable promise is using an invalid name (promiser)"),
    ('vars: "a.b.c" string => "x";', "Variable promise is using an invalid name (promiser)"),
    ('vars: ".a" string => "x";', "Variable promise is using an invalid name (promiser)"),
    ('vars: "a." string => "x";', "Variable promise is using an invalid name (promiser)"),
    ('vars: "a" slist => { now() };', "Function does not return the required type"),
    ('vars: "a" slist => { isdir("/x") };', "Function does not return the required type"),
    ('vars: "a" string => "x", int => "5";',
     "Variable contains existing data type contstraint string, tried to redefine with int"),
    ('vars: "a" string => "$(a)x";',
     "Scalar variable 'a' contains itself (non-convergent) '$(a)x'"),
    ('vars: "a" slist => { "${a}" };',
     "Scalar variable 'a' contains itself (non-convergent) '${a}'"),
    ('classes: "5" expression => "any";',
     "Classes promises cannot have a purely numerical name (promiser)"),
    ('classes: "a" expression => "b c";', "Context string is invalid/out of range"),
    ('classes: "a" and => { "b", "c/d" };', "Context string is invalid/out of range"),
    ('classes: "a" and => "b";', "Attempted to give a scalar to a non-scalar type"),
    ('classes: "a" scope => "bogus";', "Selection is out of bounds"),
    ('files: "/x" create => "maybe";', "Selection is out of bounds"),
    ('files: "/x" perms => "m";',
     "An rvalue is quoted, but we expect an unquoted body identifier"),
    ('files: "/x" perms => { "m" };', "Type mismatch in constraint: perms"),
    ('files: "/x" edit_line => { "m" };', "Type mismatch in constraint: edit_line"),
    ('files: "/x" edit_template => "x";', "Filename is not an absolute path"),
    ('files: "/x" edit_template => "";', "Empty scalar value is out of range"),
    ('methods: "x" useresult => "a b";', "Scalar value is out of range"),
    ('processes: "x" signals => { "term", "bogus" };', "Scalar value is out of range"),
    ('reports: "x" comment => { "y" };', "Type mismatch in constraint: comment"),
    ('reports: "x" if => "a..b";', "Syntax error in context string"),
    ('reports: "x" if => "(a | b)";', "Syntax error in context string"),
    ('reports: "x" if => "";', "Syntax error in context string"),
    ('reports: "$()";', "Empty variable reference"),
    ('git: "x" ifvarclass => "a";',
     "Common attribute 'ifvarclass' not supported for custom promises, "
     "use 'if' instead (git promises)"),
    # functions
    ('vars: "a" string => no_such("x");', "Unknown function"),
    ('vars: "a" slist => { "b", no_such("x") };', "Unknown function"),
    ('vars: "a" string => parsejson("[]");', "Function does not return the required type"),
    ('vars: "a" slist => now();', "Function does not return the required type"),
    ('vars: "a" int => canonify("x");', "Function does not return the required type"),
    ('vars: "a" rlist => { now() };', "Function does not return the required type"),
    ('classes: "a" and => { canonify("x") };', "Function does not return the required type"),
    ('files: "/x" create => concat("true");', "Function does not return the required type"),
    ('vars: "a" string => canonify();',
     "Arguments to function 'canonify' do not tally. Expected 1 not 0"),
    ('vars: "a" string => concat(canonify("x", "y"));',
     "Arguments to function 'canonify' do not tally. Expected 1 not 2"),
    ('vars: "a" string => filestat("x", "size");',
     "In function 'filestat', error in variable 'x', 'Filename is not an absolute path'"),
    ('vars: "a" string => hash("x", "md6");',
     "In function 'hash', error in variable 'md6', 'Selection is out of bounds'"),
    ('vars: "a" int => on("1", 1, 1, 0, 0, 0);',
     "In function 'on', error in variable '1', 'Integer is out of range'"),
    ('reports: "x" if => isdir("x");',
     "In function 'isdir', error in variable 'x', 'Filename is not an absolute path'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PROMISES)
def test_a_mistake_in_a_promise(text: str, expected: str) -> None:
    assert messages(main(text)) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        'vars: "a" int => "10k"; "b" int => "inf"; "c" int => "50%"; "d" int => 5;',
        'vars: "a" int => "$(x)"; "b" real => "2k"; "c" string => @(x); "d" data => @(x);',
        'vars: "a" slist => { "", @(x), getindices("y"), concat() }; "b" slist => canonify("x");',
        'vars: "a" string => isvariable("x"); "b" ilist => { now() }; "c" real => sum("x");',
        'vars: "a[$(b.c.d)]" string => "$(a[1])"; "b[1]" string => "$(b[2])";',
        'vars: "a" string => "$(a)x", if => "never"; "b" int => "$(b)";',
        'vars:\n linux::\n "a" string => "$(a)x";\n "$(c)"::\n "b" string => "$(b)x";',
        'vars: "a" string => "x", string => "y"; "b" data => "no json";',
        'classes: "a" expression => "a..b"; "b"; "c" and => { isvariable("x"), "y.!z" };',
        'classes: "a" expression => "$(x) y", scope => "$(scope)";',
        'files: "/x" create => yes, perms => m, edit_line => "e", template_data => "x";',
        'files: "/x" edit_template => "$(x)", perms => n:m("1"), pathtype => "$(x)y";',
        'commands: "/bin/x" depends_on => "h", meta => "m", handle => "a b", module => on;',
        'reports: "x" if => "a)"; "y" if => "$(x)"; "z" unless => ""; "q" if => "a b";',
        'reports: "x" if => and("a", not("b")), with => getindices("x"); "$(a.)";',
        'processes: "x" signals => { "term", "HUP", "5s" };',
        'methods: "x"; "y" usebundle => "$(b)"; "z" usebundle => $(b)("1");',
        'packages: "x"; "y" package_select => ">=", package_version => "1";',
        'services: "x" service_policy => "start"; storage: "/x" volume => v;',
        'git: "x" depth => options("1"), repository => name, classes => if_ok("x");',
        'vars: "a" string => nth("x", 0), meta => { "t" }; meta: "m" string => "x";',
        'vars: "a" int => ago(0, 0, "$(x)", 0, 0, 0); "b" slist => sort("x", "$(mode)");',
    ],
)
def test_what_is_no_mistake(text: str) -> None:
    assert messages(main(text)) == []


BODIES = [
    ('body perms m { bogus => "x"; }', "Unknown attribute 'bogus' for 'body perms m'"),
    ('body perms m { owners => "root"; }', "Attempted to give a scalar to a non-scalar type"),
    ('body perms m { owners => { "a b" }; }', "Scalar value is out of range"),
    ('body perms m { owners => { "" }; }', "Empty scalar value is out of range"),
    ('body agent control { bogus => "x"; }', "Unknown attribute 'bogus' for 'body agent control'"),
    ('body agent control { ifelapsed => "x"; }', "Cannot parse value as integer"),
    ('body server control { port => "70000"; }', "Integer is out of range"),
    ('body file control { namespace => "a b"; }', "Scalar value is out of range"),
    ('body common control { bundlesequence => "main"; }',
     "Attempted to give a scalar to a non-scalar type"),
    ('body action a { ifelapsed => "-1"; }', "Integer is out of range"),
    ('body action a { log_kept => "stdout"; }',
     "An action body with log_kept, log_repaired or log_failed is required to have "
     "a log_string attribute"),
    ('body action a { log_kept => "x"; log_string => "x"; }', "Scalar value is out of range"),
    ('body copy_from c { copy_size => "1"; }',
     "Range format specifier should be of form 'a,b'' but got multiple items"),
    ('body copy_from c { copy_size => "a,b"; }', "Integer is out of range"),
    ('body copy_from c { copy_size => canonify("x"); }',
     "Function does not return the required type"),
    ('body process_select p { priority => "-30,2"; }', "Integer is out of range"),
    ('body process_select p { process_result => "BOGUS"; }', "Scalar value is out of range"),
    ('body file_select f { file_types => { "plain", "bogus" }; }', "Selection is out of bounds"),
    ('body edit_field f { value_separator => "ab"; }', "Scalar value is out of range"),
    ('body service_method s { service_bundle => { "x" }; }',
     "Type mismatch in constraint: service_bundle"),
    ('promise agent git { bogus => "x"; }', "Unknown attribute 'bogus' for 'promise agent git'"),
    ('promise agent files { path => "/x"; }',
     "'files' promises are built in and cannot be custom"),
    ("bundle agnt main { }", "Unknown bundle type 'agnt'"),
    ("bundle agent match { }", 'Use of a reserved container name as a bundle name "match"'),
    ('bundle server s { access: "/x" report_data_select => r; }',
     "Constraint report_data_select is allowed only for 'query' resource_type"),
    ('bundle common c { files: "/x" create => "true"; }',
     "Promise type 'files' not supported by 'common' bundle type"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), BODIES)
def test_a_mistake_in_a_block(text: str, expected: str) -> None:
    assert messages(checked(text)) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        'body perms m { linux:: mode => 600; !linux:: mode => "$(x)8"; inherit_from => p("1"); }',
        'body git_options o { anything => { "x" }; }',
        'body common control { bundlesequence => { default("x"), "a", @(b), main }; }',
        'body common control { bundlesequence => getindices("x"); inputs => { }; }',
        'body copy_from c { copy_size => irange("1", "2"); source => $(x); }',
        'body copy_from c { copy_size => "1k,inf"; portnumber => "no port"; }',
        'body file_select f { search_mode => { "u+x", "$(x)" }; file_result => "leaf_name"; }',
        'promise agent git { path => "$(x)"; interpreter => "/bin/sh"; }',
        'bundle server s { access: "x" report_data_select => r, resource_type => "query"; }',
        "bundle agent m { } bundle common m { } bundle knowledge k { }",
    ],
)
def test_what_is_no_mistake_in_a_block(text: str) -> None:
    assert messages(checked(text)) == []


@pytest.mark.parametrize(
    "mode",
    [
        "644",
        "0644",
        "1777",
        "000",
        "u=rwx,g=rx",
        "a+r",
        "go-w",
        "a-x",
        "u=s",
        "+t",
        ",u=r",
        "600,u+x",
    ],
)
def test_a_mode(mode: str) -> None:
    assert checked(f'body perms m {{ mode => "{mode}"; }}') == []


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("", "mode string is incomplete"),
        ("0", "mode string is incomplete"),
        ("+x", "mode string is incomplete"),
        ("rwx", "mode string is incomplete"),
        ("u=rw,o=", "mode string is incomplete"),
        ("8", "Invalid mode string (8)"),
        ("a=X", "Invalid mode string (a=X)"),
        ("777777", "Mode-Value too big : 777777"),
        ("u+x+w", "Too many +-= in mode string"),
        ("u=u", "Mode string constant (u) used out of context"),
    ],
)
def test_what_is_no_mode(mode: str, reason: str) -> None:
    (found,) = checked(f'body perms m {{ mode => "{mode}"; }}')

    assert (found.message, found.hint) == ("Error parsing Unix permission string", reason)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ('vars: "a" if => "b";', "sanity-check",
         "No action requested for vars promise with promiser 'a' in x.cf:main close to line 3"),
        ('outputs: "x";', "removed", "Removed promise type 'outputs' in bundle type 'agent'"),
        ('vars: "a" string => basename();', "arity",
         "'basename' takes 1 to 2 arguments, 0 given: it will always fail"),
        ('reports: "x" if => filexists("/x");', "undefined",
         "Unknown function 'filexists': the call will always fail"),
    ],
)  # fmt: skip
def test_a_warning_about_a_promise(text: str, kind: str, message: str) -> None:
    (found,) = [it for it in main(text) if it.kind != "unsupported"]

    assert (found.severity, found.kind, found.message) == ("warning", kind, message)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ('body acl a { acl_directory_inherit => "parent"; }', "deprecated",
         "Deprecated constraint 'acl_directory_inherit' in body type 'acl'"),
        ('body action a { value_kept => "5"; }', "removed",
         "Removed constraint 'value_kept' in promise type 'action'"),
        ("body reporter control { }", "removed", "Removed body 'control' of type 'reporter'"),
    ],
)  # fmt: skip
def test_a_warning_about_a_body(text: str, kind: str, message: str) -> None:
    (found,) = checked(text)

    assert (found.severity, found.kind, found.message) == ("warning", kind, message)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('files: "/x" creat => "true";', "did you mean 'create'?"),
        ('files: "/x" create => "tru";', "did you mean 'true'?"),
        ('vars: "x" string => cannonify("x");', "did you mean 'canonify'?"),
        ('files: "/x" perms => "m";', "leave the quotes out"),
    ],
)
def test_a_hint(text: str, hint: str) -> None:
    assert [found.hint for found in main(text) if found.severity == "error"] == [hint]


def test_mistakes_come_in_the_order_of_the_text() -> None:
    found = main('files: "/x" create => "a"; "/y" creat => "b"; vars: "1" int => "c";')

    assert [it.span.start for it in found] == sorted(it.span.start for it in found)
    assert len(messages(found)) == 4


def test_functions_of_the_host_are_looked_for_where_it_is_said() -> None:
    policy, _ = parse(Source("x.cf", 'bundle agent m { classes: "c" expression => isdir("/x"); }'))

    assert check(policy) == []
    assert [it.kind for it in check(policy, "no.such.package")] == ["unsupported"]


# between files


def test_a_bundle_may_be_there_once() -> None:
    found = together("bundle agent x { }", "\nbundle agent x { }\nbundle common x { }")

    assert messages(found) == ["Duplicate definition of bundle x with type agent"] * 2
    assert [(it.span.source.path, it.span.line) for it in found] == [("0.cf", 1), ("1.cf", 2)]
    assert [it.hint for it in found] == ["also at 1.cf:2", "also at 0.cf:1"]


def test_a_body_may_be_there_once_in_a_namespace() -> None:
    space = 'body file control { namespace => "n"; }\n'
    body = 'body perms m { mode => "600"; }\n'

    assert together(body, space + body) == []
    assert messages(together(body, body)) == ["Duplicate definition of body m with type perms"] * 2


def test_control_of_the_file_may_be_there_in_each() -> None:
    space = 'body file control { namespace => "n"; }\n'

    assert together(space + space, space) == []
    assert len(together("body common control { }", "body common control { }")) == 2


def test_the_main_bundle_of_a_library_is_not_there() -> None:
    library = "bundle agent __main__ { }"

    assert together("bundle agent main { }", library) == []
    assert len(together("bundle agent main { }\n" + library)) == 2


def test_a_handle_may_be_given_once_under_a_guard() -> None:
    text = """bundle agent {} {{ commands:
        {}::
          "/bin/x" handle => "h";
    }}"""

    found = together(text.format("a", "g"), text.format("b", "h"), text.format("c", "g"))

    assert messages(found) == ["Duplicate promise handle h found"]
    assert [(it.span.source.path, it.hint) for it in found] == [
        ("2.cf", "it is that of the promise at 0.cf:3")
    ]


def test_a_handle_with_a_variable_may_be_another_each_time() -> None:
    promise = '"/bin/x" handle => "h_$(x)";'

    assert together(f"bundle agent a {{ commands: {promise} {promise} }}") == []


CALLS = [
    # in namespace n: what is used, and what is said about it
    ('files: "/x" perms => m;', []),
    ('files: "/x" perms => m("1");',
     ["Argument arity mismatch in body 'm' at line 2 in file '0.cf', expected 0, got 1"]),
    ('files: "/x" perms => p;',
     ["Argument arity mismatch in body 'p' at line 2 in file '0.cf', expected 1, got 0"]),
    ('files: "/x" perms => n:m;', ["Undefined body n:m with type perms"]),
    ('files: "/x" perms => default:m;', []),
    ('files: "/x" perms => nosuch;', ["Undefined body nosuch with type perms"]),
    ('files: "/x" perms => $(b);', ["Undefined body $(b) with type perms"]),
    ('files: "/x" action => m;', ["Undefined body m with type action"]),
    ('git: "x" action => m, perms => whatever;', ["Undefined body m with type action"]),
    ('methods: "x" usebundle => b("1");', []),
    ('methods: "x" usebundle => b;', []),
    ('methods: "x" usebundle => nosuch("1");', []),
    ('methods: "x" usebundle => $(b)("1", "2");', []),
    ('methods: "x" usebundle => default:b("1", "2");',
     ["Conflicting arity in calling bundle default:b, expected 1 arguments, 2 given"]),
    ('files: "/x" edit_line => e("1");',
     ["Conflicting arity in calling bundle e, expected 0 arguments, 1 given"]),
]  # fmt: skip
LIBRARY = """
body perms m { mode => "600"; }
body perms p(mode) { mode => "$(mode)"; }
bundle agent b(x) { }
bundle edit_line e { }
promise agent git { path => "/x"; }
"""


@pytest.mark.parametrize(("text", "expected"), CALLS)
def test_a_reference_to_a_body_or_bundle(text: str, expected: list[str]) -> None:
    user = f'body file control {{ namespace => "n"; }}\nbundle agent main {{ {text} }}'

    assert messages(together(user, LIBRARY)) == expected


def test_the_nearest_body_is_named() -> None:
    found = together('bundle agent main { files: "/x" perms => system_own; }',
                     "body perms system_owned { } body action system_own { }")  # fmt: skip

    assert [it.hint for it in found] == ["did you mean 'system_owned'?"]


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        ("body perms a { inherit_from => a; }", "self body inheritance in a->a"),
        ("body perms a { inherit_from => b; } body perms b { inherit_from => a; }",
         "self body inheritance in a->b"),
        ("body perms a { inherit_from => b; } body perms b(x) { }",
         "Argument count mismatch for body (gave 0 arguments) vs. inherited body 'default:b' "
         "(requires 1 arguments)"),
        ('body perms a { inherit_from => b("1"); } body perms b { }',
         "Argument count mismatch for body (gave 1 arguments) vs. inherited body 'default:b' "
         "(requires 0 arguments)"),
    ],
)  # fmt: skip
def test_a_parent_that_cannot_be_is_a_mistake_once_the_body_is_used(
    bodies: str, message: str
) -> None:
    user = 'bundle agent main { files: "/x" perms => a; }'

    assert message in messages(together(bodies), "warning")
    assert message in messages(together(bodies, user))


def test_a_parent_that_is_not_there_is_left_out() -> None:
    found = together("body perms a { inherit_from => b; }")

    assert messages(found, "warning") == ["Undefined body b with type perms: nothing is inherited"]


def test_comments_are_required_if_policy_says_so() -> None:
    user = 'bundle agent main { reports: "x"; "y" comment => "z"; }'

    assert together(user, "body common control { }") == []
    assert messages(together(user, 'body common control { require_comments => "yes"; }')) == [
        "Promise is missing a comment attribute, and comments are required by policy"
    ]


def test_a_promise_type_that_no_module_keeps() -> None:
    user = 'bundle agent main { fils: "/x" create => "true"; }'
    (found,) = together(user)

    assert (found.severity, found.message) == ("warning", "Undefined promise type 'fils'")
    assert found.hint == "did you mean 'files'?"
    assert together(user, 'promise agent fils { path => "/x"; }') == []


def test_a_mistake_between_files_has_a_place_without_their_text() -> None:
    policy, _ = parse(Source("x.cf", 'bundle agent m {\n files: "/x" perms => p; }'))
    (found,) = check_together([facts(policy)])

    assert str(found).startswith("x.cf:2:23: error: Undefined body p with type perms")


@pytest.mark.parametrize(
    ("item", "mistakes"), [('main("1")', 0), ('main("1", "2")', 1), ('"main"', 0), ("main", 0)]
)
def test_arguments_in_a_bundlesequence(item: str, mistakes: int) -> None:
    control = f"body common control {{ bundlesequence => {{ {item} }}; }}"

    assert len(together(control, "bundle agent main(x) { }")) == mistakes


ASKS = """
bundle agent main {{
  vars: "n" slist => {{ "2", "3" }};
  classes:
    "heard$(n)" expression => remoteclassesmatching("did.*", "Host$(n)", "no", "Host$(n)");
  methods:
    {guard}::
      "any" usebundle => main;
}}
bundle server access {{
  access: "did_it" resource_type => "context", admit => {{ "web.example.com", "192.168.1.7" }};
}}
"""


@pytest.mark.parametrize(
    ("guard", "hosts"),
    [
        ("Host2.Host3.Host4.hostX_did", "'Host2', 'Host3' and 'Host4'"),
        ("linux.(Host2|any.Host3.(Host4.x))", "'Host3' and 'Host4'"),
        ("Host2.web_example_com", "'Host2' and 'web_example_com'"),
    ],
)
def test_a_guard_that_wants_one_host_to_be_several(guard: str, hosts: str) -> None:
    (found,) = [it for it in checked(ASKS.format(guard=guard)) if it.kind == "hosts"]

    assert found.message == f"{hosts} are hosts: no host is more than one of them"


@pytest.mark.parametrize(
    "guard",
    ["Host2", "(Host2|Host3).linux", "Host2.!Host3", "Host2_did.Host3_did", "Host2.Host2", "a.b"],
)
def test_a_guard_that_wants_no_host_to_be_several(guard: str) -> None:
    assert not [it for it in checked(ASKS.format(guard=guard)) if it.kind == "hosts"]
