"""Host names of addresses, as far as the DNS confirms them in both directions.

It is asked in threads and only so long; what is not known in time is no name.
"""

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

SECONDS = 3.0
KEPT, KEPT_NOTHING = 300.0, 30.0
MOST = 4096
THREADS = 4


def confirmed(address: str) -> tuple[str, ...]:
    """The names that the DNS gives ADDRESS and that lead back to it; blocks."""
    try:
        name, others, _ = socket.gethostbyaddr(address)
    except (OSError, UnicodeError):
        return ()
    return tuple(candidate for candidate in (name, *others[:8]) if _leads(candidate, address))


def _leads(name: str, address: str) -> bool:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the DNS may say what is no name
        return False
    return any(sockaddr[0] == address for *_, sockaddr in found)


class Names:
    """The names of addresses, looked up once and remembered for some minutes."""

    def __init__(self, look: Callable[[str], tuple[str, ...]] | None = None) -> None:
        self._look = look or confirmed
        self._known: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[tuple[str, ...]]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def known(self, address: str) -> tuple[str, ...] | None:
        """The names of ADDRESS if it was asked for; None if not."""
        found = self._known.get(address)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    async def of(self, address: str) -> tuple[str, ...]:
        """The names of ADDRESS; none if that takes too long."""
        known = self.known(address)
        if known is not None:
            return known
        task = self._asked.get(address)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(address))
            self._asked[address] = task
        return await asyncio.shield(task)

    async def _ask(self, address: str) -> tuple[str, ...]:
        """Look ADDRESS up and remember what came of it."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "names")
        try:
            async with asyncio.timeout(SECONDS):
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self._threads, self._look, address)
        except TimeoutError:
            found = ()
        finally:
            del self._asked[address]
        self._known[address] = (time.monotonic() + (KEPT if found else KEPT_NOTHING), found)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return found
