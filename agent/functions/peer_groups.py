"""Functions that part the hosts in a file into groups, each with a leader."""

from agent.functions.read import text_of
from policy import reading
from policy.errors import Failed
from policy.functions.arguments import refusal, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.context import Context

_MOST = 100000  # bytes of a file of peers


def _groups(ctx: "Context", function: str, args: tuple[str, ...]) -> list[list[str]]:
    """The hosts in a file, in groups of so many; this host is called ""."""
    path, comment, size = args
    many = short(ctx, size)
    if many < 2:
        message = f"Function {function}: called with a nonsensical group size of {many}, failing"
        raise refusal(ctx, message, "warning")
    text = text_of(ctx, path, str(_MOST))
    if text is None:
        raise Failed(function)
    ours = [ctx.facts[fact].value for fact in ("fqhost", "uqhost") if fact in ctx.facts]
    lines = reading.stripped(ctx, text, comment, path).split("\n")
    hosts = ["" if line in ours else line for line in lines if line not in ("", "\r")]
    return [hosts[at : at + many] for at in range(0, len(hosts), many)]


def _ours(ctx: "Context", function: str, args: tuple[str, ...]) -> list[str]:
    """The group that this host is in, [] if it is in none."""
    return next((group for group in _groups(ctx, function, args) if "" in group), [])


def peers(ctx: "Context", *args: str) -> tuple[str, ...]:
    r"""The other hosts of our group: each SIZE hosts of the list in PATH, one a line, are one.

    COMMENT is a pattern that is cut out first. Empty if we are not in it.
    Fails if PATH cannot be read.
    Example:
        files:
          "/tmp/hosts" content => "a$(const.n)b$(const.n)$(sys.host)$(const.n)c$(const.n)";
        vars:
          "others" slist => peers("/tmp/hosts", "#[^\n]*", 2);
        reports:
          "$(others)"; -> c
    """
    return tuple(filter(None, _ours(ctx, "peers", args)))


def peerleader(ctx: "Context", *args: str) -> str:
    r"""The first host of our group, `localhost` if that is us; for groups see `peers`.

    Fails if we are in no group or PATH cannot be read.
    Example:
        files:
          "/tmp/hosts" content => "web1$(const.n)$(sys.host)$(const.n)";
        vars:
          "leader" string => peerleader("/tmp/hosts", "#[^\n]*", 2);
        reports:
          "$(leader)"; -> web1
    """
    group = _ours(ctx, "peerleader", args)
    if not group:
        raise Failed("peerleader")
    return group[0] or "localhost"


def peerleaders(ctx: "Context", *args: str) -> tuple[str, ...]:
    r"""The first host of each group, `localhost` in place of our own name; for groups see `peers`.

    Fails if PATH cannot be read.
    Example:
        /tmp/hosts holds "web1\nweb2\nweb3\nweb4\n"
        peerleaders("/tmp/hosts", "#[^\n]*", 2) -> { "web1", "web3" }
    """
    return tuple(group[0] or "localhost" for group in _groups(ctx, "peerleaders", args))
