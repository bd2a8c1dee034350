"""Functions about addresses, names, connections, and the settings of the kernel."""

from agent.functions import glob
from agent.functions.addresses import inside
from policy import regexp, values
from policy.errors import Failed
from policy.functions.arguments import integer, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

    from policy.context import Context

_PATIENCE = 30.0  # seconds
_MOST_ANSWERED = 4095  # octets


# names and addresses


def host2ip(ctx: "Context", host: str) -> str:
    """The first address of HOST, or HOST itself if it has none.

    Never fails.
    Example:
        host2ip("127.0.0.1") -> "127.0.0.1"
    """
    import socket

    try:
        return str(socket.getaddrinfo(host, None)[0][4][0])
    except (OSError, UnicodeError) as error:
        ctx.log(
            "info",
            f"Unable to lookup hostname '{host}' or cfengine service. "
            f"(getaddrinfo: {_reason(error)})",
        )
        return host


def _reason(error: OSError | UnicodeError) -> str:
    """Why there is no such host; a name that is none for Python is none for anybody."""
    return str(error.strerror) if isinstance(error, OSError) else "Name or service not known"


def ip2host(ctx: "Context", address: str) -> str:
    """The name of an ADDRESS, or ADDRESS itself if it has none.

    Never fails.
    Example:
        ip2host("not an address") -> "not an address"
    """
    import socket

    try:
        found = socket.getaddrinfo(address, None, flags=socket.AI_NUMERICHOST)[0][4]
        return socket.getnameinfo((str(found[0]), 0), 0)[0]
    except (OSError, UnicodeError) as error:
        ctx.log(
            "error",
            f"Unable to convert IP address '{address}'. (getaddrinfo: {_reason(error)})",
        )
        return address


def iprange(ctx: "Context", wanted: str, *interfaces: str) -> bool:
    """Whether an address of ours is in the range WANTED; of INTERFACES only, if any are given.

    A range is 10.0.0.0/8, 10.0.0.1-20, 10.0 or an address, also IPv6.
    Never fails.
    Example:
        iprange("127.0.0.0/8", "lo") -> e.g. true
        iprange("192.0.2.250-251") -> false
    """
    canonical = {values.canonify(interface) for interface in interfaces}
    known = ctx.facts.get("ip_addresses")
    for address in known.value if known is not None else ():
        at = ctx.facts.get(f"ip2iface[{address}]")
        if interfaces and (at is None or at.value not in canonical):
            continue
        if inside(ctx, wanted, address):
            return True
    return False


def isipinsubnet(ctx: "Context", wanted: str, *addresses: str) -> bool:
    """Whether one of ADDRESSES is in the range WANTED; for ranges see `iprange`.

    Never fails.
    Example:
        isipinsubnet("10.0.0.0/8", "10.1.2.3") -> true
        isipinsubnet("10.0.0.1-20", "10.0.0.21") -> false
    """
    return any(inside(ctx, wanted, address) for address in addresses)


def _own_names(ctx: "Context") -> list[str]:
    """What this host is called."""
    return [str(ctx.facts[fact].value) for fact in ("fqhost", "uqhost") if fact in ctx.facts]


def hostrange(ctx: "Context", prefix: str, numbers: str) -> bool:
    """Whether this host is called PREFIX and a number between the two in NUMBERS, `N-M`.

    Fails if NUMBERS is no range.
    Example:
        hostrange("no-such-host-", "1-20") -> false
    """
    low, dash, high = numbers.partition("-")
    if not (dash and low.isdecimal() and high.isdecimal()):
        raise refusal(
            ctx,
            "HostRange syntax error: second arg should have X-Y format where X and Y are decimal "
            "numbers",
        )
    name = (_own_names(ctx) or [""])[-1].lower()
    number = name.removeprefix(prefix.lower())
    if not name.startswith(prefix.lower()) or not number.isdecimal():
        return False
    return int(low) <= int(number) <= int(high)


def hostinnetgroup(ctx: "Context", netgroup: str) -> bool:
    """Whether this host is in a NETGROUP, by its name or because all hosts are.

    Never fails.
    Example:
        hostinnetgroup("no-such-group") -> false
    """
    import ctypes

    member = ctypes.CDLL(None).innetgr
    group = values.octets(netgroup)
    return any(member(group, values.octets(name), None, None) for name in _own_names(ctx))


# connections


def _connection(host: str, port: str, timeout: float) -> "socket.socket":
    """A connection to PORT of HOST. Raises OSError."""
    import socket

    number = int(port) if port.isdecimal() else socket.getservbyname(port, "tcp")
    return socket.create_connection((host, number), timeout)


def isconnectable(ctx: "Context", host: str, port: str, timeout: str = "30") -> bool:
    """Whether PORT of HOST takes TCP connections within TIMEOUT seconds (30 if not given).

    Never fails.
    Example:
        isconnectable("127.0.0.1", "1", 1) -> false
    """
    try:
        _connection(host, port, integer(ctx, timeout)).close()
    except (OSError, OverflowError, UnicodeError):
        return False
    return True


def _ask(host: str, port: str, query: str, most: int) -> bytes:
    """What PORT of HOST answers first to QUERY, MOST octets of it. Raises OSError."""
    with _connection(host, port, _PATIENCE) as connection:
        if query:
            connection.sendall(values.octets(query))
        return connection.recv(min(most, _MOST_ANSWERED))


def readtcp(ctx: "Context", host: str, port: str, query: str, most: str) -> str:
    """What PORT of HOST answers first to QUERY, at most MOST (and 4095) bytes.

    Fails if there is no connection within 30 seconds or it breaks.
    Example:
        readtcp("127.0.0.1", "1", "", 100) -> fails
    """
    if ctx.agent is None:
        raise Failed("readtcp")
    try:
        answer = _ask(host, port, query, integer(ctx, most))
    except (OSError, OverflowError, UnicodeError) as error:
        message = f"readtcp: no answer of '{host}' port '{port}': {error}"
        raise refusal(ctx, message, "verbose") from None
    return values.text(answer.partition(b"\0")[0])


def selectservers(ctx: "Context", *args: str) -> str:
    """How many HOSTS answer as they should; they become ARRAY[0], ARRAY[1]...

    To be there is enough if QUERY is empty; otherwise PATTERN must span the first LIMIT bytes of
    the answer. HOSTS is `@(list)`.
    Fails if it is no list.
    Example:
        vars:
          "hosts" slist => { "127.0.0.1" };
          "up" int => selectservers("@(hosts)", "1", "", "", 100, "alive");
        reports:
          "$(up) of 1"; -> 0 of 1
    """
    reference, port, query, pattern, most, array = args
    hosts = ctx.lookup(reference[2:-1]) if reference[:2] in ("@(", "@{") else None
    if not isinstance(hosts, tuple):
        raise refusal(ctx, f"selectservers: '{reference}' is no list", "verbose")
    count = 0
    for host in hosts if ctx.agent is not None else ():
        if _answers(ctx, host, port, query, pattern, most):
            ctx.define(f"{array}[{count}]", host, "string")
            count += 1
    return str(count)


def _answers(ctx: "Context", host: str, port: str, query: str, pattern: str, most: str) -> bool:
    """Whether HOST takes connections and, if there is a QUERY, PATTERN spans its answer."""
    if not query:
        return isconnectable(ctx, host, port)
    try:
        answer = values.text(_ask(host, port, query, integer(ctx, most)))
        return not pattern or regexp.full(pattern, answer)
    except regexp.BadPattern as bad:
        ctx.log("error", str(bad))
    except (OSError, OverflowError, UnicodeError) as error:
        ctx.log("verbose", f"selectservers: no answer of '{host}' port '{port}': {error}")
    return False


def url_get(ctx: "Context", url: str, options: str) -> "dict[str, Any]":
    """What is at URL: an object with returncode, rc, success, content and headers.

    If it went wrong, also error_message. OPTIONS is an object: url.timeout (3 s), url.max_content
    (4096 bytes), url.headers, ... Asked for once a run.
    Fails if OPTIONS is no object; a server that does not answer is success false.
    Example:
        /tmp/motd holds "hello"
        vars:
          "got" data => url_get("file:///tmp/motd", "{}");
        reports:
          "$(got[content])"; -> hello
    """
    from agent.functions import urls

    wanted = values.container(ctx, options)
    if not isinstance(wanted, dict):
        raise Failed("url_get")
    key = ("url_get", url, values.dump_json(wanted))
    if key not in ctx.cached_calls:
        ctx.cached_calls[key] = urls.get(ctx, url, wanted)
    found: dict[str, Any] = ctx.cached_calls[key]
    return found


# the kernel


def _proc(ctx: "Context", path: str) -> str:
    """Where the kernel shows PATH; tests have a /proc of their own."""
    return f"{ctx.host.environ.get('CFENGINE_TEST_OVERRIDE_PROCDIR', '')}/proc/{path}"


def _setting(ctx: "Context", path: str) -> str | None:
    """What the setting at PATH is, None if it cannot be read."""
    try:
        data: bytes = ctx.host.read(path)
    except OSError:
        return None
    return values.text(data).rstrip("\n")


def sysctlvalue(ctx: "Context", key: str) -> str:
    """The setting of the kernel that is called KEY, with dots.

    Fails if there is none.
    Example:
        sysctlvalue("kernel.ostype") -> "Linux"
        sysctlvalue("kernel.nothing") -> fails
    """
    value = _setting(ctx, _proc(ctx, f"sys/{key.replace('.', '/')}"))
    if value is None:
        raise Failed("sysctlvalue")
    return value


def data_sysctlvalues(ctx: "Context") -> "dict[str, Any]":
    """All settings of the kernel that can be read, by their names with dots.

    Slow: it reads a thousand files.
    Never fails on Linux.
    Example:
        vars:
          "all" data => data_sysctlvalues();
        reports:
          "$(all[kernel.ostype])"; -> Linux
    """
    found: dict[str, Any] = {}
    root = _proc(ctx, "sys/")
    for path in glob.find(ctx.host, f"{root}**/*"):
        value = None if path.endswith("/") else _setting(ctx, path)
        if value is not None:
            found[path.removeprefix(root).replace("/", ".")] = value
    return found


_STATES = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2",
    6: "TIME_WAIT", 7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK",
}  # fmt: skip


def _end(text: str) -> dict[str, str]:
    """One end of a connection: `0100007F:1F90`, each four octets of the address reversed."""
    address, _, port = text.partition(":")
    words = [address[at : at + 8] for at in range(0, len(address), 8)]
    raw = b"".join([bytes.fromhex(word)[::-1] for word in words])
    if len(raw) == 4:
        shown = ".".join(map(str, raw))
    else:
        shown = ":".join([f"{raw[at] << 8 | raw[at + 1]:x}" for at in range(0, len(raw), 2)])
    return {"address": shown, "port": str(int(port, 16))}


def _state(text: str) -> str:
    """The state that the hexadecimal TEXT names; read as a decimal, as the reference does."""
    return _STATES.get(values.leading_integer(text)[0] or 0, "UNKNOWN")


def network_connections(ctx: "Context") -> "dict[str, Any]":
    """The connections that the kernel knows of, as objects in `tcp`, `tcp6`, `udp` and `udp6`.

    Each has local and remote, with address and port, and state (UNKNOWN if it listens).
    Fails if the kernel tells nothing.
    Example:
        vars:
          "all" data => network_connections();
          "kinds" slist => sort(getindices("all"));
          "text" string => join(" ", "kinds");
        reports:
          "$(text)"; -> tcp tcp6 udp udp6
    """
    found: dict[str, Any] = {}
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        table = _setting(ctx, _proc(ctx, f"net/{kind}"))
        if table is None:
            continue
        rows = [line.split() for line in table.split("\n")[1:]]
        found[kind] = [
            {"local": _end(row[1]), "remote": _end(row[2]), "state": _state(row[3])}
            for row in rows
            if len(row) > 3
        ]
    if not found:
        raise Failed("network_connections")
    return found
