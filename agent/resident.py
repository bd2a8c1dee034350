"""`troth daemon` and `troth serve`, cf-execd and cf-serverd, until they live: what is asked of them
is looked at, nobody else is one here, and they go to the background if they are to.
"""

import os

from agent import background, half, roles
from agent.timetable import checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.log import Log
    from agent.options import Settings

EXIT_FAILED = 1


class Refused(Exception):
    """Why the daemon does not start."""


def main(settings: "Settings", log: "Log") -> int:
    """`troth daemon`, `troth serve`, `cf-execd`, `cf-serverd`: 0 when it ended as it was asked."""
    settings.file = os.path.abspath(settings.file)
    try:
        _sensible(settings)
        locks = roles.locked(settings)
    except (Refused, roles.Taken, OSError) as error:
        log("error", f"{settings.program}: {error}")
        return EXIT_FAILED
    voice, started = background.begin(settings, log)
    if voice is None:
        return started()  # the process that was called; another one goes on
    try:
        roles.signed(locks)
        first = _first(settings)
        _placed(settings)
    except (Refused, OSError) as error:
        voice("error", f"{settings.program}: {error}")
        return started(EXIT_FAILED)
    from agent import daemon

    status = daemon.live(settings, voice, started, first)
    for descriptor in locks:
        os.close(descriptor)
    return status


def _sensible(settings: "Settings") -> None:
    """Raise Refused for options that mean nothing."""
    if settings.splay and not settings.splay.isdecimal():
        raise Refused(f"--splay '{settings.splay}' is no number of minutes")
    if settings.schedule and (problem := checked(settings.schedule)):
        raise Refused(problem)
    if settings.network_user:
        try:
            half.account(settings.network_user)
        except half.NoUser as error:
            raise Refused(str(error)) from None
    if settings.socket not in ("", "no"):
        raise Refused("not yet supported: option '--with-runagent-socket'")


def _placed(settings: "Settings") -> None:
    """Raise Refused if nobody can listen where we are told to: this loads much."""
    if settings.listen:
        from server.wire.transport import BadAddress

        try:
            roles.listening(settings.listen)
        except BadAddress as error:
            raise Refused(str(error)) from None


def _first(settings: "Settings") -> tuple[int, int] | None:
    """The network half, started before we load what we need; None if it is not wanted, or later."""
    key = f"{settings.workdir}/ppkeys/localhost.priv"
    if not roles.ROLES[settings.program].speaks or not os.path.exists(key):
        return None
    try:
        return half.start(settings)
    except (OSError, half.NoUser):
        return None  # it is tried again, and complained of
