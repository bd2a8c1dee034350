"""How much of anything one peer may have: PROTOCOL.md §6. Time is handed in, in seconds."""

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """The numbers; rates are (a second, at once)."""

    unproved: int = 128
    unproved_address: int = 8
    handshakes: tuple[float, float] = (200.0, 200.0)
    handshakes_address: tuple[float, float] = (5.0, 20.0)
    unproved_octets: int = 512
    hello_seconds: float = 2.0
    handshake_seconds: float = 5.0
    message_seconds: float = 10.0
    write_seconds: float = 10.0
    request_seconds: float = 30.0
    idle_seconds: float = 60.0
    subscribed_seconds: float = 75.0
    ping_seconds: float = 25.0
    store_seconds: float = 45.0
    session_seconds: float = 12 * 3600.0
    sessions: int = 1024
    sessions_key: int = 4
    reserved: int = 16
    requests: tuple[float, float] = (20.0, 60.0)
    delay_seconds: float = 1.0
    heard: tuple[float, float] = (1000.0, 20_000.0)  # signals of a peer whom we visit
    heard_message: int = 10  # what a message of it counts beside its signals
    max_message: int = 256 * 1024
    remembered: int = 16384  # addresses, keys, ephemeral keys: of each


class Bucket:
    """What flows in at a steady rate and may be taken out in bursts."""

    __slots__ = ("_level", "_when")

    def __init__(self, burst: float, now: float) -> None:
        self._level = burst
        self._when = now

    def level(self, rate: tuple[float, float], now: float) -> float:
        """How much is in it."""
        speed, burst = rate
        self._level = min(burst, self._level + max(0.0, now - self._when) * speed)
        self._when = max(self._when, now)
        return self._level

    def take(self, rate: tuple[float, float], amount: float, now: float) -> float:
        """Take AMOUNT; how long to wait for it, 0 if it was there. Nothing is taken if it was not.

        What is more than a full bucket holds can be had when the bucket is full.
        """
        speed, burst = rate
        missing = min(amount, burst) - self.level(rate, now)
        if missing > 0:
            return missing / speed
        self._level -= amount
        return 0.0


class Buckets:
    """A bucket for each name; those not asked for longest are forgotten beyond SIZE."""

    __slots__ = ("_buckets", "_rate", "_size")

    def __init__(self, rate: tuple[float, float], size: int) -> None:
        self._rate = rate
        self._size = size
        self._buckets: OrderedDict[object, Bucket] = OrderedDict()

    def take(self, name: object, amount: float, now: float) -> float:
        """How long NAME has to wait for AMOUNT; 0 if it has it."""
        bucket = self._buckets.pop(name, None) or Bucket(self._rate[1], now)
        self._buckets[name] = bucket
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return bucket.take(self._rate, amount, now)


class Recent:
    """The last SIZE things that were seen, at least; twice as many at most.

    The older half is forgotten at once. One table from which the oldest is taken for each that
    comes would be made anew now and then, and larger: memory would not be flat for long.
    """

    __slots__ = ("_before", "_seen", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: set[bytes] = set()
        self._before: set[bytes] = set()

    def new(self, what: bytes) -> bool:
        """Whether WHAT was not seen; it is now."""
        if what in self._seen or what in self._before:
            return False
        if len(self._seen) >= self._size:
            self._before, self._seen = self._seen, set()
        self._seen.add(what)
        return True


@lru_cache(maxsize=16384)
def neighbourhood(address: str) -> str:
    """Whose limits the connections from ADDRESS share: an IPv4 address, or an IPv6 /64."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        return found.packed[:8].hex()
    return str(found)
