"""Streams begun, ended and begun anew on connections that are up, over real sockets; what the frames tell of it."""

import asyncio

import msgspec
from peers import LIMITS, Peer, Toy, Watch, close, plan, supervised, text, venue

from tapeline.clock import SECOND, LiveClock
from tapeline.config import WireSettings
from tapeline.frames import Frame, FrameKind, unpack_gone
from tapeline.plans import Stream, carrying
from tapeline.wire import anew, supervisor

SENT, GONE = FrameKind.SENT, FrameKind.GONE
BTC = Stream("btcusdt@trade", "trades", "binance:BTC-USDT")
ETH = Stream("ethusdt@trade", "trades", "binance:ETH-USDT")
SOL = Stream("solusdt@depth", "book", "binance:SOL-USDT")
HELLO = (b"login", b"+2 btcusdt@trade")
ACK = text('{"result":null}')


async def obliging(peer: Peer) -> None:
    """Answers each message until the goodbye."""
    while True:
        opcode, payload = await peer.read()
        peer.send(close(1000) if opcode == 8 else ACK)
        if opcode == 8 or payload == b"-":
            return


async def silent(peer: Peer) -> None:
    while (await peer.read())[0] != 8:
        pass


def gone(watch: Watch) -> list[list[str]]:
    return [unpack_gone(f.data).streams for f in watch.of(GONE)]


def test_the_hello_of_a_changed_plan_begins_as_before_and_names_the_new_set() -> None:
    p = plan("ws://x", hello=HELLO, acks=2)
    changed = carrying(p, [ETH, SOL], Toy())
    assert changed.hello == (b"login", b"+2 ethusdt@trade solusdt@depth")
    assert (changed.streams, changed.acks) == ((ETH, SOL), 2)
    empty = carrying(changed, [], Toy())
    assert (empty.hello, empty.streams, empty.acks) == ((b"login",), (), 1)
    assert carrying(empty, [BTC], Toy()) == p


async def test_streams_begin_and_end_on_the_open_connection_and_the_next_one_has_them() -> None:
    async def first(peer: Peer) -> None:
        for _ in range(4):
            await peer.read()
            peer.send(ACK)
        peer.send(close(1012))

    async with venue(first, obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.change(add=[ETH, SOL, BTC])
        s.change(remove=[BTC])
        assert s.state.streams == 2
        await watch.until(lambda: len(watch.data(SENT)) == 6)
        assert watch.data(SENT)[:4] == [*HELLO, b"+3 ethusdt@trade solusdt@depth", b"-4 btcusdt@trade"]
        assert watch.data(SENT)[4:] == [b"login", b"+2 ethusdt@trade solusdt@depth"]
        assert [o.streams for o in watch.opened()] == [["btcusdt@trade"], ["ethusdt@trade", "solusdt@depth"]]
    assert gone(watch) == [], "each end was sent, so nobody has to be told"


async def test_what_changes_nothing_sends_nothing() -> None:
    async with venue(obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        before = s.plan
        s.change(add=[BTC], remove=[ETH])
        assert s.plan is before
    assert watch.data(SENT) == list(HELLO)


async def test_a_ping_that_is_the_subscription_said_again_says_what_is_carried_now() -> None:
    """Else the venue would go on with what was unsubscribed."""
    limits = msgspec.structs.replace(LIMITS, client_ping_seconds=0.05)
    p = plan("", hello=(b"+1 btcusdt@trade",), acks=1, limits=limits, client_ping=b"+1 btcusdt@trade")
    async with venue(obliging) as v, supervised(msgspec.structs.replace(p, url=v.url)) as (s, watch):
        await watch.until(lambda: watch.data(SENT).count(b"+1 btcusdt@trade") == 3)
        s.change(add=[ETH], remove=[BTC])
        mark = len(watch.data(SENT))
        await watch.until(lambda: watch.data(SENT)[mark:].count(b"+1 ethusdt@trade") == 3)
    assert b"+1 btcusdt@trade" not in watch.data(SENT)[mark:]


async def test_changes_keep_to_the_message_rate_and_what_was_undone_meanwhile_is_never_said() -> None:
    limits = msgspec.structs.replace(LIMITS, messages_per_second=3)
    async with venue(obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2, limits=limits)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.change(add=[ETH])
        s.change(add=[SOL], remove=[BTC])
        s.change(add=[BTC], remove=[ETH])
        await watch.until(lambda: len(watch.of(SENT)) == 3)
    first, _, third = watch.of(SENT)
    assert third.ts_recv - first.ts_recv > 0.9 * SECOND, "two a second, one place being kept for a pong"
    assert third.data == b"+3 solusdt@depth"


async def test_a_connection_being_opened_learns_of_the_change_before_its_first_message() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        begun.set()
        await go_on.wait()
        from peers import accept

        writer.write(accept(request))
        await obliging(Peer(reader, writer, request))
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, supervised(plan(url, hello=HELLO, acks=2)) as (s, watch):
        await begun.wait()
        s.change(add=[ETH], remove=[BTC])
        go_on.set()
        await watch.until(lambda: len(watch.of(SENT)) == 2)
    assert watch.data(SENT) == [b"login", b"+2 ethusdt@trade"]
    assert watch.opened()[0].streams == ["ethusdt@trade"]
    assert gone(watch) == [], "nobody ever heard of the stream that ended"


async def test_during_a_planned_reconnect_both_connections_are_told() -> None:
    async with venue(obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2), grace=0.5) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.replace("the venue said so")
        await watch.until(lambda: len(watch.of(SENT)) == 4)
        s.change(add=[ETH], remove=[BTC])
        await watch.until(lambda: watch.of(FrameKind.CLOSED))
        assert s.plan.streams == (ETH,)
    said = {n: [f.data for f in watch.of(SENT) if f.conn == n] for n in (1, 2)}
    assert said[1] == said[2] == [*HELLO, b"-3 btcusdt@trade", b"+4 ethusdt@trade"]
    assert gone(watch) == []


async def test_what_ends_while_nothing_is_up_is_told_by_a_frame() -> None:
    settings = WireSettings(connect_seconds=2, backoff_first=0.2, backoff_most=0.2)

    async def leaving(peer: Peer) -> None:
        for _ in HELLO:
            await peer.read()
        peer.send(close(1012))

    async with venue(leaving, obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2), settings) as (s, watch):
        await watch.until(lambda: watch.of(FrameKind.CLOSED))
        await asyncio.sleep(0)
        s.change(add=[ETH], remove=[BTC])
        await watch.until(lambda: len(watch.opened()) == 2)
    assert gone(watch) == [["btcusdt@trade"]]
    kinds = [f.kind for f in watch.frames]
    assert kinds.index(FrameKind.CLOSED) < kinds.index(GONE) < kinds.index(FrameKind.OPENED, 1)


async def test_an_end_that_could_not_be_sent_in_time_is_told_when_the_connection_is_gone() -> None:
    limits = msgspec.structs.replace(LIMITS, messages_per_second=3)

    changed = asyncio.Event()

    async def leaving(peer: Peer) -> None:
        for _ in HELLO:
            await peer.read()
            peer.send(ACK)
        await changed.wait()
        peer.send(close(1012))

    async with venue(leaving, obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2, limits=limits)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.change(add=[ETH], remove=[BTC])
        changed.set()
        await watch.until(lambda: len(watch.opened()) == 2)
    assert gone(watch) == [["btcusdt@trade"]]


async def test_what_only_the_elder_was_asked_for_is_gone_when_the_plan_drops_it_later() -> None:
    limits = msgspec.structs.replace(LIMITS, messages_per_second=3)  # two, and then none for a second
    async with venue(obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2, limits=limits)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        await asyncio.sleep(1.1)
        s.replace("the venue said so")
        await watch.until(lambda: len(watch.of(SENT)) == 4)
        s.change(add=[SOL])
        await watch.until(lambda: watch.of(FrameKind.CLOSED))
        assert gone(watch) == [], "it is wanted still, and the successor will ask for it in its turn"
        s.change(remove=[SOL])
        await watch.until(lambda: gone(watch) == [["solusdt@depth"]])
        s.change(add=[ETH])
        await watch.until(lambda: len(watch.of(SENT)) == 6)
    said = {n: [f.data for f in watch.of(SENT) if f.conn == n][2:] for n in (1, 2)}
    assert said == {1: [b"+3 solusdt@depth"], 2: [b"+3 ethusdt@trade"]}


async def test_a_connection_with_nothing_left_is_closed_as_planned() -> None:
    async with venue(obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.change(remove=[BTC])
        await s.stop("nothing is left", planned=True)
    assert watch.data(SENT)[2:] == [b"-3 btcusdt@trade"]
    assert watch.closed()[0].planned
    assert gone(watch) == []


async def test_where_too_much_would_wait_a_successor_is_opened_instead(monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "MOST_UNSENT", 0)
    async with venue(obliging) as v, supervised(plan(v.url, hello=HELLO, acks=2)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.change(add=[ETH], remove=[BTC])
        await watch.until(lambda: watch.of(FrameKind.CLOSED))
        await watch.until(lambda: watch.of(GONE))
    assert watch.opened()[1].replaces == 1
    assert watch.opened()[1].streams == ["ethusdt@trade"]
    assert gone(watch) == [["btcusdt@trade"]]


# Streams begun anew


async def test_a_stream_is_ended_and_after_the_answer_begun_again() -> None:
    order: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            opcode, payload = await peer.read()
            if opcode == 8:
                return
            if payload.startswith(b"-"):
                await asyncio.sleep(0.05)
                order.append(b"answered")
            else:
                order.append(payload)
            peer.send(ACK)

    async with venue(script) as v, supervised(plan(v.url, hello=HELLO, acks=2)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.change(add=[SOL, ETH])
        s.begin_anew(SOL, 0)
        s.begin_anew(SOL, 0)
        s.begin_anew(ETH, 0)
        await watch.until(lambda: len(order) == 5)
    assert watch.data(SENT)[3:] == [b"-4 solusdt@depth ethusdt@trade", b"+5 solusdt@depth ethusdt@trade"]
    assert order[3:] == [b"answered", b"+5 solusdt@depth ethusdt@trade"]


async def test_not_before_its_time_and_of_a_venue_that_answers_nothing(monkeypatch) -> None:
    monkeypatch.setattr(anew, "MOMENT_SECONDS", 0.01)
    clock = LiveClock()
    async with venue(silent) as v, supervised(plan(v.url, hello=HELLO), dialect=Toy(answers=False)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        due = clock.now() + 100_000_000
        s.begin_anew(ETH, due + 3_600_000_000_000)  # waits for its time, and holds up nobody
        s.begin_anew(BTC, due)
        await watch.until(lambda: len(watch.of(SENT)) == 4)
    ended, begun = watch.of(SENT)[2:]
    assert (ended.data, begun.data) == (b"-3 btcusdt@trade", b"+4 btcusdt@trade")
    assert ended.ts_recv >= due


async def test_an_answer_that_never_comes_is_waited_for_a_moment_only(monkeypatch) -> None:
    monkeypatch.setattr(anew, "ANSWER_SECONDS", 0.05)
    async with venue(silent) as v, supervised(plan(v.url, hello=HELLO, acks=2)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.begin_anew(BTC, 0)
        await watch.until(lambda: len(watch.of(SENT)) == 4)
    assert watch.data(SENT)[2:] == [b"-3 btcusdt@trade", b"+4 btcusdt@trade"]


async def test_a_stream_that_is_unsubscribed_meanwhile_is_not_begun_again(monkeypatch) -> None:
    monkeypatch.setattr(anew, "ANSWER_SECONDS", 0.1)
    async with venue(silent) as v, supervised(plan(v.url, hello=HELLO)) as (s, watch):
        await watch.until(lambda: len(watch.of(SENT)) == 2)
        s.change(add=[ETH])
        s.begin_anew(BTC, 0)
        await watch.until(lambda: len(watch.of(SENT)) == 4)
        s.change(remove=[BTC])
        await watch.until(lambda: len(watch.of(SENT)) == 5)
        await asyncio.sleep(0.2)
    assert watch.data(SENT)[3:] == [b"-4 btcusdt@trade", b"-5 btcusdt@trade"]


async def test_a_wish_to_replace_dies_with_its_connection() -> None:
    """One that was wished for with the last message before the end must not be carried out on the next connection."""

    async def leaving(peer: Peer) -> None:
        peer.send(text("going away"), close(1012))

    async with venue(leaving, obliging) as v, supervised(plan(v.url)) as (s, watch):

        def act(frames: list[Frame]) -> None:
            if any(f.data == b"going away" for f in frames):
                s.replace("as the message says")

        watch.then = act
        await watch.until(lambda: len(watch.opened()) == 2)
        await asyncio.sleep(0.3)
    assert v.peers == 2
