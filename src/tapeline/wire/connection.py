"""One WebSocket, from its handshake to its end, as frames.

picows parses; this listener makes frames of what it parses and answers what must be answered. Life:

    connecting ──101──▶ open ──our close()──▶ leaving ──peer's CLOSE, or 0.5 s──▶ closed
        │                 ├──peer's CLOSE, lost, silent, protocol fault───────────▶ closed
        └──anything else──▶ VenueError, no frame at all

* OPENED is the first frame, CLOSED the last, and each OPENED gets one CLOSED. Messages that arrive while leaving are kept, and of
  a peer whose messages a successor was begun to continue, all are heard out: on a machine that is behind, half a second of them is
  not all, and what is missed is in neither connection.
* A PING is answered within the message rate. Of several that come faster, the last is answered (RFC 6455 §5.5.3).
* A connection that gave nothing for half of `silence_seconds` is pinged; one that gives nothing for all of it is dead, whatever
  TCP says. Without the ping a quiet stream would be taken for a dead one: Binance's futures ping every 3 minutes only.
* What is said later (streams begun and ended) waits behind what is still to be said, within the same rate, and is put into words
  only when its turn has come (`when_free`): what was begun and ended meanwhile is never said. An answer counts for the oldest of
  what was said and not answered; one that does not come within `connect_seconds` is waited for no longer.
* Frames of one socket read go out together at its end (`last_in_buffer`); where they must wait, reading stops (`funnel`).

* Where the address or a message of ours holds a secret, what the venue says back is searched for it before it goes anywhere, in
  frames of every kind: venues say the key back that they refuse. Other connections pay nothing for that.

Close codes are the peer's; 1005 where its CLOSE named none, 1006 where there was none, ours where we found the fault.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from tapeline.clock import Clock
from tapeline.config import WireSettings
from tapeline.frames import Closed, Frame, FrameKind, Opened, pack
from tapeline.masking import conceal_bytes, holds, mask, mask_bytes
from tapeline.plans import ConnectionPlan
from tapeline.wire.budget import MessageRate
from tapeline.wire.funnel import Funnel
from tapeline.wire.messages import TEXT, Assembler, ProtocolFault, negotiated
from tapeline.wire.saying import Saying

LEAVE_SECONDS = 0.5
SIMULATED = "X-Tapeline-Simulated"
_RECV, _BINARY = int(FrameKind.RECV), int(FrameKind.BINARY)
_TEXT = WSMsgType.TEXT
_CLOSE, _PING, _PONG = 8, 9, 10


class Connection(WSListener):
    """`replaces` is asked at the moment of opening: the connection to take over from may have died by then."""

    def __init__(
        self,
        plan: ConnectionPlan,
        *,
        settings: WireSettings,
        clock: Clock,
        funnel: Funnel,
        next_conn: Callable[[], int],
        is_ack: Callable[[bytes], bool],
        replaces: Callable[[], int],
        attempt: int,
    ) -> None:
        self.plan, self.settings = plan, settings
        self.id = 0
        self.frames = self.bytes = 0
        self.last_frame = 0
        self.opened_at = self.ended_at = 0.0  # on the loop's clock
        self.ready = asyncio.Event()
        self.due = asyncio.Event()  # a successor is wanted
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[Closed] = self._loop.create_future()
        self._now = clock.now
        self._funnel = funnel
        self._next_conn, self._is_ack, self._replaces, self._attempt = next_conn, is_ack, replaces, attempt
        self._secretive = _is_secretive(plan)
        self._most = settings.max_frame_mb << 20
        self._assembler = Assembler(self._most, None)
        self._rate = MessageRate(plan.limits.messages_per_second)
        self._outbox: deque[tuple[bytes, Saying | None]] = deque()
        self._sayings: deque[Saying] = deque()
        self._said = 0
        self._unsaid: Callable[[], None] | None = None
        self._pumping = False
        self._pong: bytes | None = None
        self._pending: list[Frame] = []
        self._transport: WSTransport | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._heard = 0.0
        self._probed = self._paused = self._abandoned = False
        self._leaving: Closed | None = None
        self.asked = {stream.name: stream for stream in plan.streams}  # what the venue was asked for, sent or to be sent
        self.told = set(self.asked)  # what whoever reads the frames takes it to carry
        self._hello = self.say(plan.hello, plan.acks)

    # What picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self._abandoned:
            self._abort()
            return
        self.id = self._next_conn()
        self.opened_at = self._heard = self._loop.time()
        headers = transport.response.headers
        opened = Opened(
            venue=self.plan.venue,
            url=mask(self.plan.url),
            streams=[s.name for s in self.plan.streams],
            replaces=self._replaces(),
            simulated=SIMULATED in headers,
            attempt=self._attempt,
        )
        self._emit(FrameKind.OPENED, pack(opened))
        try:
            self._assembler = Assembler(self._most, negotiated(headers.get("Sec-WebSocket-Extensions"), self._most))
        except ProtocolFault as fault:
            self._fail(fault.code, fault.reason)
            return
        self._watch()
        self._pump()
        self._ping_later()
        self._flush()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002  picows calls it so
        kind = frame.msg_type
        if kind is _TEXT and frame.fin and not frame.rsv1 and not self._assembler.joining:
            self._pending.append(Frame(self._now(), _RECV, self.id, frame.get_payload_as_bytes()))
        else:
            self._other(kind.value, frame)
        if frame.last_in_buffer:
            self._flush()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002  picows calls it
        lost = Closed(code=1006, reason="the connection was lost without a close frame")
        self._finish(self._leaving or self._parser_fault() or lost)

    def pause_writing(self) -> None:
        """What we write is bounded by the message rate; a peer that does not read it is found by its silence."""

    def resume_writing(self) -> None:
        pass

    # What the supervisor calls

    @property
    def next_number(self) -> int:
        """The number that the next message to be said bears, where the venue wants them numbered."""
        return self._said + 1

    def replan(self, plan: ConnectionPlan) -> None:
        """Carry this instead, as long as the connection is not open."""
        self.plan = plan
        self._secretive = _is_secretive(plan)
        self.asked = {stream.name: stream for stream in plan.streams}
        self.told = set(self.asked)
        self._outbox.clear()
        self._sayings.clear()
        self._said = 0
        self._hello = self.say(plan.hello, plan.acks)

    def say(self, messages: Sequence[bytes], acks: int, on_sent: Callable[[], None] | None = None) -> Saying:
        """Send these behind what is still unsent, within the message rate."""
        saying = Saying(len(messages), acks, self._loop.create_future(), on_sent)
        self._said += len(messages)
        self._outbox.extend((message, saying) for message in messages)
        self._sayings.append(saying)
        saying.settle()
        if self._transport is not None and not self._pumping:
            self._pump_and_flush()
        return saying

    def when_free(self, function: Callable[[], None]) -> None:
        """Call `function`, which may `say` something, once nothing waits to be sent and the rate allows a message."""
        self._unsaid = function
        self._pump_and_flush()

    def close(self, code: int, reason: str, *, planned: bool = False, hear_out: float = LEAVE_SECONDS) -> None:
        """Say goodbye; CLOSED follows with the peer's answer, or after half a second without. `hear_out`: for so many seconds what
        the peer had said before is taken first, where more of that keeps coming.
        """
        if self.closed.done() or self._leaving is not None:
            return
        self._leaving = closed = Closed(code=code, reason=reason, planned=planned)
        self._send_close(code, reason)
        until = self._loop.time() + hear_out
        self._later("leave", LEAVE_SECONDS, lambda: self._leave(closed, until))

    def abandon(self, reason: str) -> None:
        """Give up on a handshake; where it succeeded meanwhile, end the connection at once."""
        self._abandoned = True
        if self.id and not self.closed.done():
            self._finish(Closed(code=1006, reason=reason))

    # Receiving

    def _other(self, opcode: int, frame: WSFrame) -> None:
        """Control frames, fragments, compressed and binary messages."""
        if self.closed.done():
            return
        payload = frame.get_payload_as_bytes()
        try:
            if opcode == _PING:
                self._emit(FrameKind.PING, payload)
                self._pong = payload
                self._pump()
            elif opcode == _PONG:
                self._emit(FrameKind.PONG, payload)
            elif opcode == _CLOSE:
                self._peer_closed(payload)
            else:
                whole = self._assembler.feed(opcode, payload, fin=bool(frame.fin), rsv1=bool(frame.rsv1))
                if whole is not None:
                    self._emit(_RECV if whole[0] == TEXT else _BINARY, whole[1])
        except ProtocolFault as fault:
            self._fail(fault.code, fault.reason)

    def _peer_closed(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
        reason = payload[2:].decode("utf-8", "replace")
        if self._leaving is None:
            self._leaving = Closed(code=code, reason=reason)
            self._send_close(1000 if code == 1005 else code, "")
        self._finish(self._leaving)

    def _emit(self, kind: int, data: bytes) -> None:
        self._pending.append(Frame(self._now(), int(kind), self.id, data))

    def _flush(self) -> None:
        """Everything gathered goes on; where the handler is behind, reading stops until it has caught up."""
        frames, self._pending = self._pending, []
        if not frames or self.closed.done():
            return
        if self._secretive:
            frames = [Frame(f.ts_recv, f.kind, f.conn, conceal_bytes(f.data)) for f in frames]
        fault = self._parser_fault()
        if fault is not None:  # picows goes on parsing for 10 ms, past a message that it refused for its size
            frames = [f for f in frames if len(f.data) <= self._most]
        self.frames += len(frames)
        self.bytes += sum([len(f.data) for f in frames])
        self.last_frame = frames[-1].ts_recv
        self._heard, self._probed = self._loop.time(), False
        if self._sayings:
            self._note_answers(frames)
        self._funnel(frames)
        if self._funnel.waiting and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.underlying_transport.pause_reading()
            self._funnel.when_empty(self._resume)
        if fault is not None:
            self._finish(fault)

    def _parser_fault(self) -> Closed | None:
        """What picows closed the connection for, where it did so by itself."""
        transport = self._transport
        if transport is None or self._leaving is not None or not transport.is_close_frame_sent:
            return None
        sent = transport.close_handshake.sent
        return None if sent is None else Closed(code=sent.code.value, reason=sent.reason)

    def _resume(self) -> None:
        self._paused = False
        self._heard = self._loop.time()
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.resume_reading()

    def _note_answers(self, frames: list[Frame]) -> None:
        """Count the answers among these frames for the oldest of what waits for one."""
        sayings, patience = self._sayings, self._loop.time() - self.settings.connect_seconds
        while sayings and (sayings[0].answered.done() or sayings[0].is_overdue(patience)):
            sayings.popleft()
        for _ in [f for f in frames if f.kind == _RECV and self._is_ack(f.data)]:
            waiting = next((s for s in sayings if s.unanswered), None)
            if waiting is not None:
                waiting.unanswered -= 1
                waiting.settle()
        if self._hello.answered.done():
            self.ready.set()

    # Sending

    def _pump(self) -> None:
        """Send what the message rate allows, a pong before everything else, and come back for the rest."""
        if self._transport is None or self.closed.done() or self._leaving is not None:
            return
        now = self._loop.time()
        if self._pong is not None and self._rate.wait(now) == 0.0:
            self._rate.reserve(now)
            self._transport.send_pong(self._pong)
            self._pong = None
        while self._pong is None and self._rate.allows_message(now) == 0.0 and (self._outbox or self._refill()):
            self._rate.reserve(now)
            message, saying = self._outbox.popleft()
            self._transport.send(_TEXT, message)
            self._emit(FrameKind.SENT, mask_bytes(message))
            if saying is not None:
                saying.sent(now)
        if self._pong is not None or self._outbox or self._unsaid is not None:
            wait = self._rate.wait(now) if self._pong is not None else self._rate.allows_message(now)
            self._later("pump", max(wait, 0.001), self._pump_and_flush)

    def _refill(self) -> bool:
        """Whether something is to be sent after all."""
        function, self._unsaid = self._unsaid, None
        if function is not None:
            self._pumping = True
            function()
            self._pumping = False
        return bool(self._outbox)

    def _pump_and_flush(self) -> None:
        self._pump()
        self._flush_sent()

    def _flush_sent(self) -> None:
        """As `_flush`, but what we sent does not prove that the peer lives."""
        heard, probed = self._heard, self._probed
        self._flush()
        self._heard, self._probed = heard, probed

    def _ping_later(self) -> None:
        every = self.plan.limits.client_ping_seconds
        if every is not None and self.plan.client_ping is not None:
            self._later("client ping", every, self._client_ping)

    def _client_ping(self) -> None:
        ping = self.plan.client_ping
        if ping is not None and all(message is not ping for message, _ in self._outbox):
            self._outbox.append((ping, None))
            self._pump_and_flush()
        self._ping_later()

    # Liveness

    def _watch(self) -> None:
        silence = self.settings.silence_seconds
        now = self._loop.time()
        if self._paused:
            self._heard = now
        idle = now - self._heard
        if idle >= silence:
            self._finish(Closed(code=1006, reason=f"silent for {silence:g} s"), abort=True)
            return
        if idle >= silence / 2 and not self._probed and self._leaving is None and self._rate.wait(now) == 0.0:
            self._rate.reserve(now)
            self._probed = True
            self._emit(FrameKind.PING, b"tapeline")
            if self._transport is not None:
                self._transport.send_ping(b"tapeline")
            self._flush_sent()
        until = silence - idle if self._probed else silence / 2 - idle
        self._later("watch", max(until, silence / 100), self._watch)

    # Ending

    def _leave(self, closed: Closed, until: float) -> None:
        """End without the peer's answer, unless what it said before that is still coming in."""
        now = self._loop.time()
        if now < until and (self._paused or now - self._heard < LEAVE_SECONDS):
            self._later("leave", LEAVE_SECONDS / 10, lambda: self._leave(closed, until))
        else:
            self._finish(closed)

    def _fail(self, code: int, reason: str) -> None:
        """We found a fault of the peer's: tell it and end."""
        if not self.closed.done():
            self._leaving = closed = self._leaving or Closed(code=code, reason=reason)
            self._send_close(code, reason)
            self._finish(closed)

    def _finish(self, closed: Closed, *, abort: bool = False) -> None:
        if self.closed.done():
            return
        for timer in self._timers.values():
            timer.cancel()
        closed = Closed(code=closed.code, reason=mask(closed.reason), planned=closed.planned)
        self._leaving = closed
        self._emit(FrameKind.CLOSED, pack(closed))
        self._flush()
        self.ended_at = self._loop.time()
        self.closed.set_result(closed)
        if abort or self._abandoned:
            self._abort()
        elif self._transport is not None:
            self._transport.disconnect()
            self._loop.call_later(LEAVE_SECONDS, self._abort)

    def _send_close(self, code: int, reason: str) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close(WSCloseCode(code), reason.encode()[:120].decode("utf-8", "ignore").encode())

    def _abort(self) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)

    def _later(self, name: str, seconds: float, function: Callable[[], None]) -> None:
        previous = self._timers.pop(name, None)
        if previous is not None:
            previous.cancel()
        self._timers[name] = self._loop.call_later(seconds, function)


def _is_secretive(plan: ConnectionPlan) -> bool:
    return holds(plan.url) or any(mask_bytes(m) != m for m in plan.hello)
