"""The executor, as the network half has it: what it says, what is said to it and asked of it."""

import asyncio
from collections.abc import Callable

from server.wire import inside
from server.wire.inside import Message

ANSWER_SECONDS = 4.0  # less than a handshake may take
QUESTIONS = 16  # of strangers, at one time


class Executor(asyncio.Protocol):
    """The other end of a stream of messages.

    BEGIN is called when it is there, TAKE with what it says, FAIL if that is no message.
    """

    def __init__(
        self, begin: Callable[[], None], take: Callable[[Message], None],
        fail: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.over = asyncio.Event()  # it has ended, or we have to
        self._begin = begin
        self._take = take
        self._fail = fail
        self._data = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._questions: dict[int, asyncio.Future[str]] = {}
        self._number = 0

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101  # a socket gives such
        self._transport = transport
        self._begin()

    def data_received(self, data: bytes) -> None:
        """Take DATA, and do what the messages in it say."""
        self._data += data
        at = 0
        while len(self._data) - at >= 4:
            size = int.from_bytes(self._data[at : at + 4])
            if size > inside.LARGEST:
                self._fail(f"a message of {size} octets from the executor")
                return
            if len(self._data) - at < 4 + size:
                break
            self._decode(bytes(self._data[at + 4 : at + 4 + size]))
            at += 4 + size
        del self._data[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self.over.set()

    def _decode(self, octets: bytes) -> None:
        try:
            message = inside.from_executor.decode(octets)
        except ValueError as error:
            self._fail(f"no message from the executor: {error}")
            return
        self._take(message)

    # what we call

    def close(self) -> None:
        """End, when what was said is on its way."""
        if self._transport is not None:
            self._transport.close()

    def put(self, message: Message) -> None:
        """Send MESSAGE."""
        if self._transport is not None:
            self._transport.write(inside.packed(message))

    async def ask(self, question: Callable[[int], Message]) -> str:
        """What it answers to what QUESTION makes of a number; "" if it does not."""
        if len(self._questions) >= QUESTIONS:
            return ""
        self._number += 1
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._questions[self._number] = answer
        try:
            self.put(question(self._number))
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            return ""
        finally:
            self._questions.pop(self._number, None)

    def answered(self, answered: inside.Answered) -> None:
        """A question was answered."""
        question = self._questions.pop(answered.n, None)
        if question is not None and not question.done():
            question.set_result(answered.label)
