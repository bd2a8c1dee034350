"""Who may come in, and where: what the door asks, answered from the grants and the trust."""

import asyncio
from ipaddress import ip_address, ip_network

from server.executor import Executor
from server.hub import Hub
from server.wire import inside
from server.wire.door import Door
from server.wire.handshake import Closed, Proved
from server.wire.keys import host_id

BAD_CLOCK = 3600 * 1000  # milliseconds
DOORS = 16384  # addresses that are remembered


class Porter:
    """Keeps the door of this host, which `keep` gives it."""

    def __init__(self, hub: Hub, executor: Executor) -> None:
        self.listening: tuple[str, int] | None = None
        self.refused = ""  # why we do not listen
        self._hub = hub
        self._executor = executor
        self._door: Door
        self._place: tuple[str, int] | None = None  # where to listen
        self._granted = False
        self._enrolling = False
        self._open: tuple[tuple[str, int], ...] = ()
        self._known: dict[str, tuple[bool, bool]] = {}  # address: may connect, without limits
        self._opening: asyncio.Task[None] | None = None

    def keep(self, door: Door) -> None:
        """Keep DOOR from now on."""
        self._door = door
        door.open_to = self.open_to
        door.welcome = self.welcome
        door.unbound = self.unbound

    def granted(self) -> None:
        """Other grants hold."""
        self._granted = True
        self._known.clear()
        self._listen_or_not()

    def trusted(self, trust: inside.Trust) -> None:
        """Others are trusted; who is here and is not has to go."""
        self._enrolling = trust.enrolling
        self._open = trust.open
        self.cut_off()

    def cut_off(self) -> None:
        """Cut off whoever is here and may not be."""
        now = self._hub.clock() // 1000
        for peer in {session.peer.id for session in self._door.sessions()}:
            known = self._hub.trust.get(peer)
            if known is None or (known.not_after and now > known.not_after):
                self._door.cut(peer)

    # listening

    def listen(self, place: tuple[str, int] | None) -> None:
        """Listen at PLACE as long as policy lets us."""
        self._place = place
        if place is None:
            self._executor.put(inside.Ready(address="", port=0))
        else:
            self._listen_or_not()

    def _listen_or_not(self) -> None:
        """Listen where we are told to, if policy lets us; shut the door if it does not any more."""
        if self._place is None:
            return
        host, port = self._place
        if not self._granted and not _loopback(host):
            return  # grants are on their way, and they decide
        problem = self._problem(host)
        if problem and self.listening is not None:
            self._door.shut()
            self.listening = None
        if problem:
            if problem != self.refused:
                self._executor.put(inside.Ready(address="", port=0, problem=problem))
            self.refused = problem
        elif self.listening is None:
            self.listening = (host, port)
            self.refused = ""
            self._opening = asyncio.get_running_loop().create_task(self._listen(host, port))

    def _problem(self, host: str) -> str:
        """Why we must not listen on HOST; "" if we may."""
        if _loopback(host):
            return ""
        if self._hub.grants.control.allowconnects is None:
            return (
                f"'{host}' can be reached from other hosts and 'body server control' has no"
                ' allowconnects: say whom it lets in, or allowconnects => { "0.0.0.0/0", "::/0" }'
            )
        return ""

    async def _listen(self, host: str, port: int) -> None:
        try:
            address, taken = await self._door.listen(host, port)
        except (OSError, UnicodeError) as error:
            self.listening = None
            self.refused = str(error)
            self._executor.put(inside.Ready(address="", port=0, problem=str(error)))
        else:
            self.listening = (address, taken)
            self._executor.put(inside.Ready(address=address, port=taken))

    # what the door asks

    def welcome(self, address: str) -> bool:
        """Whether policy lets ADDRESS connect."""
        return self._told(address)[0]

    def open_to(self, address: str) -> bool:
        """Whether strangers from ADDRESS may come in now, without knowing who we are."""
        now = self._hub.clock() / 1000
        place = ip_address(address.partition("%")[0])
        return any(now <= until and place in ip_network(net) for net, until in self._open)

    def unbound(self, address: str) -> bool:
        """Whether ADDRESS has no limits of its own."""
        return self._told(address)[1]

    def _told(self, address: str) -> tuple[bool, bool]:
        """Whether ADDRESS may connect, and whether it has no limits of its own."""
        found = self._known.get(address)
        if found is None:
            if len(self._known) >= DOORS:
                self._known.clear()
            grants = self._hub.grants
            found = (
                grants.may_connect(address).allowed,
                grants.listed("allowallconnects", address),
            )
            self._known[address] = found
        return found

    async def judge(self, proved: Proved, address: str) -> str | None:
        """The label of who was PROVED, if it is trusted or becomes so. Raises Closed."""
        hub = self._hub
        if hub.grants.control.denybadclocks and abs(proved.skew) > BAD_CLOCK:
            raise Closed("clock")
        known = hub.trust.get(host_id(proved.identity))
        if known is not None:
            if known.not_after and hub.clock() > known.not_after * 1000:
                return None
            if not known.key:
                self._executor.put(inside.Learnt(identity=proved.identity))
            return known.label
        if not (self._enrolling if proved.token else self.open_to(address)):
            return None
        label = await self._executor.ask(
            lambda n: inside.Enrol(
                n=n, identity=proved.identity, token=proved.token, address=address
            )
        )
        return label or None


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
