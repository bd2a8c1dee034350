"""The executor's side of a daemon's conversation with its network half (server/wire/inside.py).

It has the identity and all that lasts: signs what runs say, keeps what peers say, tells the network
half what is granted, who is trusted and whom to visit, and answers its questions.
"""

import asyncio
import json
import time

from agent import acts, clock, heard, signals
from agent.admission import Admission
from agent.contacts import Contacts
from agent.granted import Policy
from agent.network import Network
from agent.receiving import Receiver
from agent.roles import listening
from agent.signing import Rates, Signer, digests
from agent.trusting import Keys
from server.wire import inside, keys
from server.wire.messages import Signed
from server.wire.transport import PORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.ground import Ground
    from policy.provenance import Signal
    from server.wire.keys import Identity
    from server.wire.trust import Trust

LISTEN_AGAIN = 5.0  # seconds
FARTHEST_EPOCH = 24 * 3600 * 1000  # milliseconds beyond now
HOUR = 3600.0
CLAIMS = 3  # that our log was put back, which are believed in an hour; of each peer one


class Executor:
    """The executor of one daemon. WAKE is called with the reason when a run is due; READY when the
    network half listens, or cannot."""

    def __init__(
        self, ground: "Ground", policy: Policy, wake: "Callable[[str], None]",
        ready: "Callable[[], None]", first: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self._settings = ground.settings
        self._log = ground.log
        self._memory = ground.memory
        self._audit = ground.audit
        self._events = ground.events
        self._clock = ground.clock
        self.now = ground.now
        self._policy = policy
        self._ready = ready
        self._static = b""  # of the network half that we speak with
        self._owes = False  # whether it has to be told all that we said
        self._set = False  # whether it was told who it is
        self._listen: tuple[str, int] | None = None  # where it was told to
        self._told: tuple[inside.Want, ...] | None = None
        self._unsure = False  # whether it may have to be told another one
        self._offset = clock.offset()  # of the clock of this host, as the network half knows it
        ground.events.begun = self.watched
        # whoever is let in can claim what it likes, and another epoch makes renewals look new
        self._claims = Rates(HOUR, 1, CLAIMS)
        self._reports: dict[int, asyncio.Future[bytes]] = {}
        self._later: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None  # to listen, where that was not possible
        self._consumed: dict[tuple[str, Signal], tuple[str, int]] = {}
        self.problem = ""  # why it does not listen
        self.address = ("", 0)  # where it listens
        self.keys = Keys(ground)
        self.signer = Signer(ground)
        self.receiver = Receiver(ground, self._stored, self._missed, wake)
        self.network = Network(ground, self._heard, self._gone, first)
        self.contacts = Contacts(ground, self.keys)
        self.admission = Admission(ground, self.keys, self.network.say)
        self._handlers: dict[type, Callable[[Any], None]] = {
            inside.Hello: self._hello,
            inside.Ready: self._readied,
            inside.Received: self._received,
            inside.Contact: self._contact,
            inside.Visited: self.contacts.visited,
            inside.Enrol: self.admission.enrol,
            inside.Learnt: self.admission.learnt,
            inside.Joined: self._joined,
            inside.Succeed: self._succeed,
            inside.RolledBack: self._rolled_back,
            inside.Audit: self._audited,
            inside.Status: self._status,
            inside.Gone: self._ended,
        }

    # from outside

    def start(self) -> None:
        """Begin: whom we trust, what was said before, and the network half, if we have a key."""
        self._memory.write(heard.nobody_live)
        self.keys.look()
        self._known()
        if self.keys.identity is not None:
            self.network.start()
            self.admission.introduce()
        elif not self.keys.there:  # else it was said what is wrong with it
            self._log("warning", "this host has no key yet, so no peer: 'troth key create'")

    def sign(self) -> None:
        """Sign what runs have said, and pass it on."""
        self._shifted()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        identity = self.keys.identity
        if identity is None:
            return
        batch = self.signer.look(identity, self.now())
        if batch is not None:
            self._say_own((batch.epoch, batch.upto), batch.signed, afresh=False)
            for number, row in enumerate(batch.said, batch.upto - len(batch.said) + 1):
                self._events("granted", name=row.name, kind=row.kind, epoch=batch.epoch, seq=number)
        if self.signer.waits:
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(self.signer.waits, self.sign)

    def want(self) -> None:
        """Tell the network half whom to visit, if that has changed, and is known."""
        if not self._static:
            return
        wants = self.contacts.wants()
        if wants is None:
            self._unsure = True  # what it was told holds until then
            return
        self._unsure = False
        plain = tuple([inside.Want(peer=w.peer, globs=w.globs, token=w.token) for w in wants])
        if plain != self._told:
            self._told = plain
            self.network.say(inside.Wanted(wants=wants))

    def granted(self) -> None:
        """The policy was evaluated: pass on what it grants."""
        if self._policy.failed and not self._policy.grants:
            self._readied(inside.Ready(address="", port=0))
            return
        if self._set and self._place() != self._listen:
            self._log("notice", "the server is to listen elsewhere: it starts again")
            self.network.restart()
            return
        if self._static and not self._set_up():
            return
        self._grant()

    def _grant(self) -> None:
        """Tell the network half what is granted, if we know; it listens now if it could not."""
        if self._set and self._policy.grants:
            self.network.say(inside.Granted(document=self._policy.grants))

    def look(self) -> None:
        """See whether whom we trust, or the clock, has changed; called twice a second."""
        self._shifted()
        if self._owes and self._set:
            self._say_all()
        if self._unsure:
            self.want()
        self.admission.again()
        before = self.keys.trust
        if not self.keys.look():
            return
        changed = self._known()
        self._note(before)
        if self.keys.identity is not None:
            self.network.start()
        if self._static:
            if changed and self.keys.identity is not None:
                self._audit("rotate", peer=self.keys.identity.id, decision="our own key")
                self._set_up()
                self._certify()
                self.admission.introduce()
            self.network.say(self.keys.message())
            self.want()

    def _note(self, before: "Trust") -> None:
        """Write down who is trusted that was not BEFORE, and the other way round."""
        now = self.keys.trust
        old = {peer: one for peer, one in before.peers.items() if peer not in before.revoked}
        new = {peer: one for peer, one in now.peers.items() if peer not in now.revoked}
        for peer in new.keys() - old.keys():
            self._audit("trust", peer=peer, label=new[peer].label, decision="trusted")
        for peer in old.keys() - new.keys():
            event = "revoke" if peer in now.revoked else "trust"
            self._audit(event, peer=peer, label=old[peer].label, decision="not trusted any more")

    def consumed(self) -> None:
        """Tell those who watch what promises have acted on since they were told last."""
        if not self._events.watched:
            return
        state = self._memory.state
        found = acts.consumptions(state)
        if state.broken:
            return
        known, self._consumed = self._consumed, found
        names: dict[object, str] = {}
        for (path, signal), (ending, at) in found.items():
            if known.get((path, signal)) == (ending, at):
                continue
            names = names or {one.signal: one.name for one in heard.history(state, self.now())}
            self._events(
                "consumed", path=path, peer=signal[0], label=self.keys.label(signal[0]),
                epoch=signal[1], first=signal[2], name=names.get(signal, ""), ending=ending,
                when=at,
            )  # fmt: skip

    def watched(self) -> None:
        """Somebody begins to watch."""
        self._consumed = acts.consumptions(self._memory.state)

    async def report(self, seconds: float) -> "Any":
        """How the network half is; None if it does not say so in SECONDS."""
        if not self._static:
            return None
        number = max(self._reports, default=0) + 1
        future = asyncio.get_running_loop().create_future()
        self._reports[number] = future
        self.network.say(inside.Report(n=number))
        try:
            return json.loads(await asyncio.wait_for(future, seconds))
        except (TimeoutError, ValueError):
            return None
        finally:
            self._reports.pop(number, None)

    def _shifted(self) -> None:
        """Tell the network half if our clock is shifted by something else now."""
        offset = clock.offset()
        if offset != self._offset:
            self._offset = offset
            self._certify()

    # what we tell

    def _known(self) -> bool:
        """Take in whom we trust, and who we are; whether we are somebody else now."""
        identity = self.keys.identity
        own = [identity.public] if identity is not None else []
        previous = self.keys.previous()
        if previous is not None:
            own.append(previous[0].public)
        before, self.signer.own = self.signer.own, digests(*own)
        return before != self.signer.own

    def _place(self) -> tuple[str, int] | None:
        """Where to listen: as the command line or else policy says; None for nowhere."""
        control = self._policy.control
        if self._settings.no_listen:
            return None
        if self._settings.listen:
            return listening(self._settings.listen)
        if control.get("listen") is False:
            return None
        return control.get("bindtointerface") or "", control.get("port") or PORT

    def _settled(self) -> bool:
        """Whether it is known where to listen."""
        settings = self._settings
        return bool(settings.listen or settings.no_listen or self._policy.grants)

    def _set_up(self) -> bool:
        """Tell the network half who it is, if it was not yet and we know enough; whether it was."""
        if self._set:
            return True
        if not self._settled() or self.keys.identity is None:
            return False
        self._set, self._listen = True, self._place()
        self._certify()
        self._say_all()  # before anybody is let in
        self.network.say(self.keys.message())
        self._grant()
        self._told = None
        self.want()
        return True

    def _certify(self) -> None:
        """Certify the key of the network half, and say what else it must know from the start."""
        identity = self.keys.identity
        if identity is None or not self._static or not self._set:
            return
        rotated, previous, statement = self.keys.previous(), b"", b""
        if rotated is not None:
            previous, statement = self._certificate(rotated[0]), rotated[1]
        self.network.say(
            inside.Setup(
                certificate=self._certificate(identity), listen=self._listen, offset=self._offset,
                previous=previous, statement=statement,
            )
        )  # fmt: skip

    def _certificate(self, identity: "Identity") -> bytes:
        """That the key of the network half is that of IDENTITY."""
        now = int(self._clock())
        return keys.certify(identity, self._static, now, keys.DAEMON_LIFE).packed()

    def _say_all(self) -> None:
        """Say all signals of this host that may still matter."""
        now = self.now()
        epoch, upto = self.signer.end(now)
        state = self._memory.state
        rows = signals.spoken(state, now)
        self._owes = not epoch or state.broken  # it cannot be read: later
        if self._owes:
            return
        for at in range(0, len(rows) or 1, inside.BATCH):
            part, last = rows[at : at + inside.BATCH], at + inside.BATCH >= len(rows)
            # the end of the log is that of what was said of it, or peers would be told that
            # there is nothing else up to there
            end = (epoch, upto) if last else part[-1][:2]
            self._say_own(end, [Signed(row[4], row[5]) for row in part], afresh=not at)

    def _say_own(self, end: tuple[int, int], said: list[Signed], *, afresh: bool) -> None:
        """Say these signals, a message full of them, with which the log ends at END."""
        if self._set:
            epoch, upto = end
            self.network.say(inside.Own(epoch=epoch, upto=upto, signals=tuple(said), afresh=afresh))

    def _stored(self, number: int) -> None:
        self.network.say(inside.Stored(n=number))

    def _missed(self, peer: str) -> None:
        self.network.say(inside.Again(peer=peer))

    # what we are told

    def _heard(self, message: inside.FromNetwork) -> None:
        self._handlers[type(message)](message)

    def _gone(self) -> None:
        """The network half is gone; another one will say hello."""
        self._static, self._set, self._told = b"", False, None
        self.address = ("", 0)
        self.receiver.lost()
        self._memory.write(heard.nobody_live)

    def _hello(self, message: inside.Hello) -> None:
        self._static = message.static
        if self._set:
            self._certify()
        else:
            self._set_up()

    def _readied(self, message: inside.Ready) -> None:
        if message.problem:
            if message.problem != self.problem:
                self._log("error", f"cannot listen: {message.problem}")
            # the address may come, or its holder go: it listens if it can when it hears from us
            if self._again is not None:
                self._again.cancel()
            self._again = asyncio.get_running_loop().call_later(LISTEN_AGAIN, self._grant)
        elif message.port:
            host = f"[{message.address}]" if ":" in message.address else message.address
            self._log("notice", f"listening on {host}:{message.port}")
        self.problem = message.problem
        self.address = (message.address, message.port)
        self._events("listening", address=message.address, port=message.port)
        self._ready()

    def _received(self, message: inside.Received) -> None:
        now = self.now()
        self.receiver.take(message, self.keys.trust, now)
        skew = message.clock - now if message.clock else message.skew
        self.contacts.skewed(message.peer, skew)

    def _contact(self, message: inside.Contact) -> None:
        if message.live:
            self.receiver.begun(message.peer)
        self.contacts.contact(message)

    def _joined(self, message: inside.Joined) -> None:
        self.admission.joined(message)
        self.want()

    def _succeed(self, message: inside.Succeed) -> None:
        self.admission.succeed(message)
        self.want()

    def _rolled_back(self, message: inside.RolledBack) -> None:
        now = self.now()
        mine = self.signer.end(now)
        if not mine[0]:  # it cannot be read: later
            asyncio.get_running_loop().call_later(LISTEN_AGAIN, self._rolled_back, message)
            return
        if (message.epoch, message.seq) <= mine:
            return
        label = self.keys.label(message.peer)
        reason = f"it has seen {message.epoch}/{message.seq}, our log ends at {mine[0]}/{mine[1]}"
        far = message.epoch > now + FARTHEST_EPOCH
        if far or not self._claims.allow(message.peer, time.monotonic()):
            self._audit("rollback", peer=message.peer, label=label, decision="no", reason=reason)
            return
        self.signer.next_epoch(max(now, message.epoch + 1))
        self._log("error", f"this host was put back to an older copy, says '{label}': {reason}")
        self._audit("rollback", peer=message.peer, label=label, decision="epoch", reason=reason)
        self._say_all()

    def _audited(self, message: inside.Audit) -> None:
        for line in message.lines:
            self._audit(**{name: getattr(line, name) for name in line.__struct_fields__})

    def _status(self, message: inside.Status) -> None:
        future = self._reports.get(message.n)
        if future is not None and not future.done():
            future.set_result(message.document)

    def _ended(self, message: inside.Gone) -> None:
        """It ends; its death is heard of by itself."""
