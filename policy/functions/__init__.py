"""The built-in functions: one table of all signatures, and the way from a name to what answers it.

A row is (returns, parameters, home, flags).
RETURNS is class string int real slist ilist rlist data irange or rrange.
PARAMETERS, blank-separated: `str`, `str/REGEX/`, `path` (absolute), `id`, `bool`, `listref`, `int`,
`int>=0`, `int[LOW..HIGH]`, `real`, or the allowed words with `|` between them; `...` after the last
one of a variadic function.
HOME is a module here, or `host.X` for module X of the package that looks at the host.
FLAGS: `+` takes containers by name or as inline JSON, `K` its answers are kept for the run, `D`
prepares its arguments itself, `U` acts (refused in simulations), `X` deprecated, `V1:3` variadic,
from one to three arguments (`V1:` without an upper limit).

Everything imports this module: nothing but the table is made when it is loaded.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# fmt: off
SIGNATURES: "dict[str, tuple[str, str, str, str]]" = {
    # name                      returns, parameters, home, flags
    "accessedbefore":           ("class", "path path", "host.files", ""),
    "accumulated":              ("int",
        "int[0..1000] int[0..1000] int[0..1000] int[0..1000] int[0..1000] "
        "int[0..40000]", "times", ""),
    "ago":                      ("int",
        "int[0..1000] int[0..1000] int[0..1000] int[0..1000] int[0..1000] "
        "int[0..40000]", "times", ""),
    "and":                      ("class", "str...", "logic", "V0:"),
    "basename":                 ("string", "str str...", "text", "V1:2"),
    "bundlesmatching":          ("slist", "str...", "names", "V1:"),
    "bundlestate":              ("data", "id", "names", ""),
    "callstack_callers":        ("data", "", "names", ""),
    "callstack_promisers":      ("slist", "", "names", ""),
    "canonify":                 ("string", "str", "text", ""),
    "canonifyuniquely":         ("string", "str", "text", ""),
    "cf_version_after":         ("class", "str", "logic", ""),
    "cf_version_at":            ("class", "str", "logic", ""),
    "cf_version_before":        ("class", "str", "logic", ""),
    "cf_version_between":       ("class", "str str", "logic", ""),
    "cf_version_maximum":       ("class", "str", "logic", ""),
    "cf_version_minimum":       ("class", "str", "logic", ""),
    "changedbefore":            ("class", "path path", "host.files", ""),
    "classesmatching":          ("slist", "str str...", "names", "V1:"),
    "classfiltercsv":           ("data", "path bool int>=0 int>=0...", "host.read_data", "V3:4"),
    "classfilterdata":          ("data",
        "str array_of_arrays|array_of_objects|object_of_arrays|object_of_objects|auto "
        "str...", "data", "+V2:3"),
    "classify":                 ("class", "str", "logic", ""),
    "classmatch":               ("class", "str str...", "logic", "V1:"),
    "concat":                   ("string", "str...", "text", "V0:"),
    "countclassesmatching":     ("int", "str str...", "names", "V1:"),
    "countlinesmatching":       ("int", "str path", "host.read", ""),
    "data_expand":              ("data", "str", "data", "+"),
    "data_readstringarray":     ("data", "path str str int>=0 int>=0", "host.read", ""),
    "data_readstringarrayidx":  ("data", "path str str int>=0 int>=0", "host.read", ""),
    "data_regextract":          ("data", "str str", "regex", ""),
    "data_sysctlvalues":        ("data", "", "host.network", ""),
    "datastate":                ("data", "", "names", ""),
    "difference":               ("slist", "str str", "lists", "+"),
    "dirname":                  ("string", "str", "text", ""),
    "diskfree":                 ("int", "path", "host.files", ""),
    "escape":                   ("string", "str", "text", ""),
    "eval":                     ("string", "str math|class infix...", "numbers", "V1:3"),
    "every":                    ("class", "str str", "lists", "+"),
    "execresult":               ("string",
        "str/.+/ noshell|useshell|powershell both|stdout|stderr...", "host.commands", "KUV2:3"),
    "execresult_as_data":       ("data",
        "str/.+/ noshell|useshell|powershell both|stdout|stderr...", "host.commands", "KUV2:3"),
    "expandrange":              ("slist", "str int>=0", "numbers", ""),
    "file_hash":                ("string", "path md5|sha1|sha256|sha384|sha512", "host.files", ""),
    "fileexists":               ("class", "path", "host.files", ""),
    "filesexist":               ("class", "str", "host.files", "+"),
    "filesize":                 ("int", "path", "host.file_status", ""),
    "filestat":                 ("string",
        "path size|gid|uid|ino|nlink|ctime|atime|mtime|xattr|mode|modeoct|permstr|permoct|type|"
        "devno|dev_minor|dev_major|basename|dirname|linktarget|linktarget_shallow",
        "host.file_status", ""),
    "filter":                   ("slist", "str str bool bool int>=0", "lists", "+"),
    "findfiles":                ("slist", "str...", "host.find", "V1:"),
    "findfiles_up":             ("data", "path str/.+/ int>=0...", "host.find", "V2:3"),
    "findlocalgroups":          ("data", "str", "host.users", ""),
    "findlocalusers":           ("data", "str", "host.users", ""),
    "findprocesses":            ("data", "str", "host.processes", "K"),
    "format":                   ("string", "str...", "text", "+V1:"),
    "getacls":                  ("slist", "path default|access", "host.file_status", ""),
    "getbundlemetatags":        ("slist", "id str...", "names", "V1:"),
    "getclassmetatags":         ("slist", "id str...", "names", "V1:"),
    "getenv":                   ("string", "id int>=0", "host.commands", ""),
    "getfields":                ("int", "str path str str", "host.read", ""),
    "getgid":                   ("int", "str", "host.users", ""),
    "getgroupinfo":             ("data", "str...", "host.users", "V0:1"),
    "getgroups":                ("slist", "str str...", "host.users", "V0:2"),
    "getindices":               ("slist", "str", "lists", "+"),
    "getuid":                   ("int", "str", "host.users", ""),
    "getuserinfo":              ("data", "str...", "host.users", "V0:1"),
    "getusers":                 ("slist", "str str...", "host.users", "V0:2"),
    "getvalues":                ("slist", "str", "lists", "+"),
    "getvariablemetatags":      ("slist", "id str...", "names", "V1:"),
    "grep":                     ("slist", "str str", "lists", "+"),
    "groupexists":              ("class", "str", "host.users", ""),
    "hash":                     ("string", "str md5|sha1|sha256|sha384|sha512", "text", ""),
    "hash_to_int":              ("int", "int int str", "numbers", ""),
    "hashmatch":                ("class",
        "path md5|sha1|sha256|sha384|sha512 id", "host.files", ""),
    "host2ip":                  ("string", "str", "host.network", "K"),
    "hostinnetgroup":           ("class", "str", "host.network", ""),
    "hostrange":                ("class", "str str", "host.network", ""),
    "hostsseen":                ("slist",
        "int>=0 lastseen|notseen name|address|hostkey", "host.peers", ""),
    "hostswithclass":           ("slist",
        "str/[a-zA-Z0-9_]+/ name|address|hostkey", "host.peers", ""),
    "hostswithgroup":           ("slist",
        "str/[a-zA-Z0-9_]+/ name|address|hostkey", "host.peers", ""),
    "hubknowledge":             ("string", "id", "host.peers", "K"),
    "ifelse":                   ("string", "str str...", "logic", "V1:"),
    "int":                      ("int", "str", "numbers", ""),
    "intersection":             ("slist", "str str", "lists", "+"),
    "ip2host":                  ("string", "str", "host.network", "K"),
    "iprange":                  ("class", "str...", "host.network", "V1:"),
    "irange":                   ("irange", "int int", "numbers", ""),
    "is_type":                  ("string", "str str", "data", ""),
    "isconnectable":            ("class", "str str int>=0...", "host.network", "V2:3"),
    "isdir":                    ("class", "path", "host.files", ""),
    "isexecutable":             ("class", "path", "host.files", ""),
    "isgreaterthan":            ("class", "str str", "numbers", ""),
    "isipinsubnet":             ("class", "str...", "host.network", "V1:"),
    "islessthan":               ("class", "str str", "numbers", ""),
    "islink":                   ("class", "path", "host.files", ""),
    "isnewerthan":              ("class", "path path", "host.files", ""),
    "isnewerthantime":          ("class", "path int>=0", "host.files", ""),
    "isplain":                  ("class", "path", "host.files", ""),
    "isreadable":               ("class", "path int>=0...", "host.files", "V1:2"),
    "isvariable":               ("class", "str", "names", ""),
    "join":                     ("string", "str str", "lists", "+"),
    "lastnode":                 ("string", "str str", "text", ""),
    "laterthan":                ("class",
        "int[0..10000] int[0..1000] int[0..1000] int[0..1000] int[0..1000] "
        "int[0..40000]", "times", ""),
    "ldaparray":                ("class",
        "str str str str subtree|onelevel|base none|ssl|sasl", "host.ldap", ""),
    "ldaplist":                 ("slist",
        "str str str str subtree|onelevel|base none|ssl|sasl", "host.ldap", "K"),
    "ldapvalue":                ("string",
        "str str str str subtree|onelevel|base none|ssl|sasl", "host.ldap", "K"),
    "length":                   ("int", "str", "lists", "+"),
    "lsdir":                    ("slist", "str/.+/ str bool", "host.find", ""),
    "makerule":                 ("string", "path str", "host.files", "+"),
    "maparray":                 ("slist", "str str", "lists", "+"),
    "mapdata":                  ("data", "none|canonify|json|json_pipe str str", "lists", "+D"),
    "maplist":                  ("slist", "str str", "lists", "+D"),
    "max":                      ("string", "str lex|int|real|IP|ip|MAC|mac", "numbers", "+"),
    "mean":                     ("real", "str", "numbers", "+"),
    "mergedata":                ("data", "str str...", "data", "+V1:"),
    "min":                      ("string", "str lex|int|real|IP|ip|MAC|mac", "numbers", "+"),
    "network_connections":      ("data", "", "host.network", ""),
    "none":                     ("class", "str str", "lists", "+"),
    "not":                      ("class", "str", "logic", ""),
    "now":                      ("int", "", "times", ""),
    "nth":                      ("string", "str str", "lists", "+"),
    "on":                       ("int",
        "int[1970..3000] int[0..1000] int[0..1000] int[0..1000] int[0..1000] "
        "int[0..1000]", "times", ""),
    "or":                       ("class", "str...", "logic", "V0:"),
    "packagesmatching":         ("data", "str str str str", "host.packages", ""),
    "packageupdatesmatching":   ("data", "str str str str", "host.packages", ""),
    "parseintarray":            ("int", "id str str str int>=0 int>=0", "data", ""),
    "parsejson":                ("data", "str", "data", ""),
    "parserealarray":           ("int", "id str str str int>=0 int>=0", "data", ""),
    "parsestringarray":         ("int", "id str str str int>=0 int>=0", "data", ""),
    "parsestringarrayidx":      ("int", "id str str str int>=0 int>=0", "data", ""),
    "parseyaml":                ("data", "str", "data", ""),
    "peerleader":               ("string", "path str int[2..64]", "host.peer_groups", ""),
    "peerleaders":              ("slist", "path str int[2..64]", "host.peer_groups", ""),
    "peers":                    ("slist", "path str int[2..64]", "host.peer_groups", ""),
    "processexists":            ("class", "str", "host.processes", "K"),
    "product":                  ("real", "str", "numbers", "+"),
    "randomint":                ("int", "int int", "numbers", ""),
    "read_module_protocol":     ("class", "path", "host.commands", ""),
    "readcsv":                  ("data", "path int>=0...", "host.read_data", "V1:2"),
    "readdata":                 ("data", "path CSV|YAML|JSON|ENV|auto", "host.read_data", ""),
    "readenvfile":              ("data", "path int>=0...", "host.read_data", "V1:2"),
    "readfile":                 ("string", "path int>=0...", "host.read", "V1:2"),
    "readintarray":             ("int", "id path str str int>=0 int>=0", "host.read", ""),
    "readintlist":              ("ilist", "path str str int>=0 int>=0", "host.read", ""),
    "readjson":                 ("data", "path int>=0...", "host.read_data", "V1:2"),
    "readrealarray":            ("int", "id path str str int>=0 int>=0", "host.read", ""),
    "readreallist":             ("rlist", "path str str int>=0 int>=0", "host.read", ""),
    "readstringarray":          ("int", "id path str str int>=0 int>=0", "host.read", ""),
    "readstringarrayidx":       ("int", "id path str str int>=0 int>=0", "host.read", ""),
    "readstringlist":           ("slist", "path str str int>=0 int>=0", "host.read", ""),
    "readtcp":                  ("string", "str str str int>=0", "host.network", "K"),
    "readyaml":                 ("data", "path int>=0...", "host.read_data", "V1:2"),
    "regarray":                 ("class", "str str", "lists", "+"),
    "regcmp":                   ("class", "str str", "regex", ""),
    "regex_replace":            ("string", "str str str str", "regex", ""),
    "regextract":               ("class", "str str id", "regex", ""),
    "registryvalue":            ("string", "str str", "host.commands", ""),
    "regldap":                  ("class",
        "str str str str subtree|onelevel|base str none|ssl|sasl", "host.ldap", "K"),
    "regline":                  ("class", "str str", "host.read", ""),
    "reglist":                  ("class", "str str", "lists", "+"),
    "remoteclassesmatching":    ("class", "str str bool id", "host.peers", ""),
    "remotescalar":             ("string", "id str bool", "host.peers", "K"),
    "returnszero":              ("class",
        "str/.+/ noshell|useshell|powershell", "host.commands", "KU"),
    "reverse":                  ("slist", "str", "lists", "+"),
    "rrange":                   ("rrange", "real real", "numbers", ""),
    "search_up":                ("data", "path str/.+/ int>=0...", "host.find", "V2:3"),
    "selectservers":            ("int", "listref str str str int>=0 id", "host.network", ""),
    "shuffle":                  ("slist", "str str", "lists", "+"),
    "some":                     ("class", "str str", "lists", "+"),
    "sort":                     ("slist", "str lex|int|real|IP|ip|MAC|mac...", "lists", "+V1:2"),
    "splayclass":               ("class", "str daily|hourly", "logic", ""),
    "splitstring":              ("slist", "str str int>=0", "text", "X"),
    "storejson":                ("string", "str", "data", "+"),
    "strcmp":                   ("class", "str str", "text", ""),
    "strftime":                 ("string", "gmtime|localtime str int>=0", "times", ""),
    "string":                   ("string", "str", "numbers", ""),
    "string_downcase":          ("string", "str", "text", ""),
    "string_head":              ("string", "str int", "text", ""),
    "string_length":            ("int", "str", "text", ""),
    "string_mustache":          ("string", "str str...", "text", "+V1:2"),
    "string_replace":           ("string", "str str str strings|lists...", "text", "+V3:4"),
    "string_reverse":           ("string", "str", "text", ""),
    "string_split":             ("slist", "str str int>=0", "text", ""),
    "string_tail":              ("string", "str int", "text", ""),
    "string_trim":              ("string", "str", "text", ""),
    "string_upcase":            ("string", "str", "text", ""),
    "sublist":                  ("slist", "str head|tail int>=0", "lists", "+"),
    "sum":                      ("real", "str", "numbers", "+"),
    "sysctlvalue":              ("string", "str", "host.network", ""),
    "translatepath":            ("string", "path", "text", ""),
    "type":                     ("string", "str bool...", "data", "V1:2"),
    "unique":                   ("slist", "str", "lists", "+"),
    "url_get":                  ("data", "str str", "host.network", ""),
    "usemodule":                ("class", "str str", "host.commands", "U"),
    "userexists":               ("class", "str", "host.users", ""),
    "useringroup":              ("class", "str str", "host.users", ""),
    "validdata":                ("class", "str JSON bool...", "data", "V2:3"),
    "validfiledata":            ("class", "path CSV|YAML|JSON|ENV|auto", "host.read_data", ""),
    "validjson":                ("class", "str bool...", "data", "V1:2"),
    "variablesmatching":        ("slist", "str str...", "names", "V1:"),
    "variablesmatching_as_data":("data", "str str...", "names", "V1:"),
    "variance":                 ("real", "str", "numbers", "+"),
    "version_compare":          ("class", "str =|==|!=|>|<|>=|<= str", "logic", ""),
}
# fmt: on


class Unsupported(Exception):
    """The language has this function, this program does not yet."""


def implementation(name: str, host_package: str = "") -> "Callable[..., Any]":
    """The Python function behind the built-in NAME, which must be in the table.

    HOST_PACKAGE is where the functions that look at the host live. Raises Unsupported.
    """
    home = SIGNATURES[name][2]
    if home.startswith("host."):
        if not host_package:
            raise Unsupported(name)
        path = f"{host_package}.{home[5:]}"
    else:
        path = f"{__name__}.{home}"
    try:
        module = __import__(path, fromlist=("*",))
    except ModuleNotFoundError as error:
        if error.name is not None and f"{path}.".startswith(f"{error.name}."):
            raise Unsupported(name) from None
        raise
    for spelling in (f"{name}_", name):  # `and_`, because Python owns the word `and`
        if hasattr(module, spelling):
            found: Callable[..., Any] = getattr(module, spelling)
            return found
    raise Unsupported(name)


def supported(name: str, host_package: str = "") -> bool:
    """Whether NAME can be called; without HOST_PACKAGE those of the host are taken on trust."""
    if not host_package and SIGNATURES[name][2].startswith("host."):
        return True
    try:
        implementation(name, host_package)
    except Unsupported:
        return False
    return True
