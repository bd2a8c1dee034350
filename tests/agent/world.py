"""What functions need that are called by themselves, and ports of this host that answer them."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agent.host import Host
from policy.context import Context, Frame, Scope, Variable
from policy.functions import SIGNATURES, implementation

HOME = "agent.functions"


class World:
    """A context on the real host that remembers what was logged."""

    def __init__(self, workdir: str = "/nosuch") -> None:
        self.logged: list[str] = []
        self.ctx = Context(
            hard={"any": ()},
            facts={"workdir": Variable(workdir, "string")},
            now=0,
            log=lambda level, message: self.logged.append(f"{level}: {message}"),
            host=Host(),
            function=lambda name: (implementation(name, HOME), *_shape(name)),
        )
        self.ctx.frame = Frame("main", "default", self.ctx.scopes.setdefault("main", Scope()))
        self.ctx.agent = self

    def call(self, name: str, *args: Any) -> Any:
        """What the built-in NAME makes of ARGS."""
        return implementation(name, HOME)(self.ctx, *args)

    class log:  # noqa: N801  # what an agent calls it
        """Nobody wants to know."""

        @staticmethod
        def wants(_level: str) -> bool:
            return False

        @staticmethod
        def show(text: str) -> None:
            print(text, end="")


def _shape(name: str) -> tuple[str, int]:
    _, params, _, flags = SIGNATURES[name]
    return flags, -1 if "V" in flags else len(params.split())


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port at which ANSWER speaks with one peer after the other."""

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                answer(peer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
