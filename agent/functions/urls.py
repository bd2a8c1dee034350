"""What is at a URL, told as libcurl would tell it."""

from contextlib import suppress

from agent.functions.data_files import content
from policy import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from http.client import HTTPConnection, HTTPResponse
    from typing import Any
    from urllib.parse import SplitResult

    from policy.context import Context

_FINE, _NO_PROTOCOL, _NO_HOST, _NO_CONNECTION = 0, 1, 6, 7
_TOO_LATE, _NO_FILE, _NO_TRUST, _NO_ANSWER = 28, 37, 60, 52
_MESSAGES = {
    _NO_PROTOCOL: "Unsupported protocol",
    _NO_HOST: "Couldn't resolve host name",
    _NO_CONNECTION: "Couldn't connect to server",
    _TOO_LATE: "Timeout was reached",
    _NO_FILE: "Couldn't read a file:// file",
    _NO_TRUST: "SSL peer certificate or SSH remote key was not OK",
    _NO_ANSWER: "Server returned nothing (no headers, no data)",
}
_HEADERS = {"url.referer": "Referer", "url.user-agent": "User-Agent"}
_OTHERS = frozenset(
    (
        "url.timeout",
        "url.verbose",
        "url.header",
        "url.max_content",
        "url.max_headers",
        "url.headers",
    )
)
_MOST = 4096
_PATIENCE = 3  # seconds


def get(ctx: "Context", url: str, options: "dict[str, Any]") -> "dict[str, Any]":
    """What is at URL: HTTP's status, libcurl's result code, content and headers."""
    from urllib.parse import urlsplit

    for option in options:
        if option not in _HEADERS and option not in _OTHERS:
            ctx.log("info", f"url_get: unknown option '{option}'")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    status, code, body, headers = 0, _NO_PROTOCOL, b"", ""
    most = _number(options, "url.max_content", _MOST)
    if parts.scheme == "file":
        code, body = _file(ctx, parts.path, most)
    elif parts.scheme in ("http", "https"):
        status, code, body, headers = _fetched(parts, options, most)
    found: dict[str, Any] = {"returncode": status, "rc": code, "success": code == _FINE}
    if code != _FINE:
        found["error_message"] = _MESSAGES[code]
    found["content"] = values.text(body[:most].partition(b"\0")[0])
    found["headers"] = headers[: _number(options, "url.max_headers", _MOST)]
    return found


def _number(options: "dict[str, Any]", name: str, default: int) -> int:
    """The option NAME, DEFAULT if it is no number that could be meant."""
    try:
        number = values.integer(str(options[name]))
    except (KeyError, ValueError):
        return default
    return number if number >= 0 else default


def _file(ctx: "Context", path: str, most: int) -> tuple[int, bytes]:
    from urllib.parse import unquote

    try:
        return _FINE, content(ctx, unquote(path), most)
    except OSError:
        return _NO_FILE, b""


def _fetched(
    parts: "SplitResult", options: "dict[str, Any]", most: int
) -> tuple[int, int, bytes, str]:
    """Status, result code, content (MOST octets of it) and headers of a request for PARTS."""
    import socket
    import ssl
    from http.client import HTTPException

    timeout = _number(options, "url.timeout", _PATIENCE)
    try:
        connection = _connection(parts, timeout)
        try:
            connection.connect()
            with _Deadline(connection.sock, timeout):
                response = _response(connection, parts, options)
                return response.status, _FINE, response.read(most), _head(response)
        finally:
            connection.close()
    except ssl.SSLError:
        code = _NO_TRUST
    except socket.gaierror:
        code = _NO_HOST
    except TimeoutError:
        code = _TOO_LATE
    except HTTPException:
        code = _NO_ANSWER
    except (OSError, ValueError):
        code = _NO_CONNECTION
    return 0, code, b"", ""


class _Deadline:
    """As long as it is entered a connection is cut after so many seconds, 0 for never.

    It is left with a TimeoutError if it was: one that speaks slowly is late, too.
    """

    def __init__(self, connection: "socket.socket", seconds: int) -> None:
        from threading import Timer

        self.connection = connection
        self.passed = False
        self.timer = Timer(seconds, self.cut) if seconds else None

    def cut(self) -> None:
        """End the connection, below what encrypts it."""
        import socket

        self.passed = True
        with suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def __enter__(self) -> None:
        if self.timer is not None:
            self.timer.daemon = True
            self.timer.start()

    def __exit__(self, *_: object) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.passed:
            raise TimeoutError


def _connection(parts: "SplitResult", timeout: int) -> "HTTPConnection":
    from http.client import HTTPConnection, HTTPSConnection

    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout or None)


def _response(
    connection: "HTTPConnection", parts: "SplitResult", options: "dict[str, Any]"
) -> "HTTPResponse":
    """The answer to a request for PARTS with the headers that OPTIONS name."""
    headers = {name: str(options[key]) for key, name in _HEADERS.items() if key in options}
    for line in options.get("url.headers", ()):
        name, _, value = str(line).partition(":")
        headers[name] = value.strip()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"Accept": "*/*", **headers})
    return connection.getresponse()


def _head(response: "HTTPResponse") -> str:
    """The status line and the headers of an answer, as they came."""
    version = "1.0" if response.version == 10 else "1.1"
    lines = [f"HTTP/{version} {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.getheaders()]
    return "".join([f"{line}\r\n" for line in [*lines, ""]])
