"""One connection to a JetStream server, used from a thread that blocks. `nats-py` is asyncio: its loop runs in a thread of its own,
so that pings are answered also while nobody calls.

A link is used up by the first failure: whoever meets one closes it, makes another and looks what the stream holds. Nothing
reconnects and nothing is sent again behind our back, because only the stream knows what of it has arrived.

Publishing is pipelined: at most FLIGHT_MESSAGES and FLIGHT_BYTES wait for their acknowledgement, and every one that comes extends
the deadline. The first message names the stream's last sequence number that it expects, each further one the message before it
(`Nats-Expected-Last-Msg-Id`): the server takes a chain of messages up to the first that it cannot take, and nothing after it.
(Numbers alone would not do: where somebody else has published ten messages, our eleventh would fit again.) A message that the server
knows already is one that we sent over an earlier link and that arrived after we had looked: it is where it belongs.
"""

import asyncio
import json
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from nats.aio.msg import Msg

T = TypeVar("T")
FLIGHT_MESSAGES = 2_000
FLIGHT_BYTES = 8 << 20
CLOSE_SECONDS = 0.5


class Out(NamedTuple):
    """A message to publish; `key` is its Nats-Msg-Id."""

    subject: str
    key: str
    body: bytes
    headers: dict[str, str]


class Link:
    """Every method blocks, for `answer_seconds` and little more, and raises what nats-py raises, or TimeoutError."""

    def __init__(self, servers: list[str], connect_seconds: float, answer_seconds: float, **options: Any) -> None:
        self.answer_seconds = answer_seconds
        self.complaint = ""
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="sink-nats-link", daemon=True)
        self._thread.start()
        self._acks: _Acks | None = None
        try:
            self.client = self.call(self._connect(servers, connect_seconds, options), len(servers) * (connect_seconds + 1))
            self.jetstream: Any = self.client.jetstream(timeout=answer_seconds)
        except BaseException:
            self._end()
            raise

    async def _connect(self, servers: list[str], seconds: float, options: dict[str, Any]) -> Any:
        """To the first server that answers: with reconnecting switched off, nats-py tries only one."""
        from nats.aio.client import Client
        from nats.errors import Error

        fixed = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0.1, "name": "tapeline"}
        fixed |= {"connect_timeout": seconds, "error_cb": self._complained}
        for server in servers:
            client: Any = Client()
            try:
                await asyncio.wait_for(client.connect(server, **fixed, **options), seconds)
                if not client.is_connected:  # nats-py takes a server that hung up instead of answering for one that did
                    raise ConnectionResetError("the server hung up")
            except (OSError, Error) as e:
                await _closed(client)
                if server == servers[-1]:
                    raise OSError(_hung_up(client, e) or str(e) or self.complaint or "no answer in time") from e
            else:
                return client
        raise OSError("no server is named")

    async def _complained(self, error: Exception) -> None:
        self.complaint = str(error)

    def call(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        async def limited() -> T:
            return await asyncio.wait_for(work, self.answer_seconds if seconds is None else seconds)

        return asyncio.run_coroutine_threadsafe(limited(), self._loop).result()

    @property
    def alive(self) -> bool:
        return bool(self.client.is_connected)

    @property
    def most_bytes(self) -> int:
        """The largest body that the server takes beside our headers."""
        return int(self.client.max_payload) - 2048

    def publish(self, out: Iterable[Out], last: int) -> int:
        """Publish a chain that follows the stream's message `last`; the number of the stream's message that is last then."""
        return asyncio.run_coroutine_threadsafe(self._publish(out, last), self._loop).result()

    async def _publish(self, out: Iterable[Out], last: int) -> int:
        acks = self._acks = self._acks or await _Acks.subscribed(self.client)
        async with asyncio.timeout(self.answer_seconds) as deadline:
            acks.begin(deadline, self.answer_seconds, last)
            link = {"Nats-Expected-Last-Sequence": str(last)}
            for subject, key, body, headers in out:
                await acks.room()
                await self.client.publish(subject, body, reply=acks.inbox, headers={**headers, "Nats-Msg-Id": key, **link})
                acks.sent(len(body))
                link = {"Nats-Expected-Last-Msg-Id": key}
            return await acks.all()

    def close(self) -> None:
        """May be called while the server hangs; may be called twice."""
        if not self._loop.is_closed():
            with suppress(Exception):
                self.call(_closed(self.client), 2 * CLOSE_SECONDS)
            self._end()

    def _end(self) -> None:
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        self._loop.close()


def _hung_up(client: Any, error: Exception) -> str:
    """A server that lets somebody not in says so and closes; our PING, on its way then, makes the kernel throw its word away."""
    asks = client._server_info.get("auth_required")  # noqa: SLF001 - public only once connected
    return f"{error}; it asks for authorization" if asks and isinstance(error, ConnectionError) else ""


async def _closed(client: Any) -> None:
    """Also where the server does not read any more what nats-py wants to send before it closes."""
    writer = getattr(
        client._transport,  # noqa: SLF001 - there is no public way to give up
        "_io_writer",
        None,
    )
    try:
        await asyncio.wait_for(client.close(), CLOSE_SECONDS)
    except (OSError, TimeoutError):
        if writer is not None:
            writer.transport.abort()
            await asyncio.sleep(0)


async def _cancel_all() -> None:
    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Acks:
    """What the server says of the messages in flight. Everything runs on the link's loop."""

    def __init__(self, inbox: str) -> None:
        self.inbox = inbox
        self._flight: deque[int] = deque()
        self._bytes = 0
        self._last = 0
        self._refused: Exception | None = None
        self._changed = asyncio.Event()
        self._deadline: asyncio.Timeout | None = None
        self._seconds = 0.0

    @classmethod
    async def subscribed(cls, client: Any) -> "_Acks":
        acks = cls(client.new_inbox())
        await client.subscribe(acks.inbox, cb=acks._came)
        return acks

    def begin(self, deadline: asyncio.Timeout, seconds: float, last: int) -> None:
        self._deadline, self._seconds, self._last, self._refused = deadline, seconds, last, None

    def sent(self, size: int) -> None:
        self._flight.append(size)
        self._bytes += size

    async def room(self) -> None:
        while len(self._flight) >= FLIGHT_MESSAGES or self._bytes >= FLIGHT_BYTES:
            await self._wait()
        if self._refused is not None:
            raise self._refused

    async def all(self) -> int:
        while self._flight:
            await self._wait()
        self._deadline = None
        return self._last

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()
        if self._refused is not None:
            raise self._refused

    async def _came(self, message: "Msg") -> None:
        stored = _stored(message)
        if isinstance(stored, int):
            self._last = stored
        else:
            self._refused = self._refused or stored
        self._bytes -= self._flight.popleft() if self._flight else 0
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)
        self._changed.set()


def _stored(message: "Msg") -> int | Exception:
    """The number under which the stream holds it, or why it does not."""
    from nats.js import errors

    if not message.data:  # status 503: no stream listens to this subject
        return errors.NoStreamResponseError()
    said = json.loads(message.data)
    if "error" in said:
        refused: Exception = errors.APIError(**{k: said["error"].get(k) for k in ("code", "description", "err_code")})
        return refused
    return int(said["seq"])
