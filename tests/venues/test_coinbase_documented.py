"""Every payload that Coinbase's documents print, or that was seen live, against values read off the document by eye.

What is no market data (subscriptions, orders of the full feed, auctions, `status`) gives nothing and is counted. `match` appears
again with the fields that a logged-in user gets and no others: such a thing is no message.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapeline.clock import parse_iso
from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Flag, Quote, Ticker, Trade
from tapeline.instruments import Registry
from tapeline.venues.base import Ack, Asked, BookMessage, Channel, Counted, Past, Stream
from tapeline.venues.registry import venue_class

T0 = 1_795_255_500_000_000_000
UNTOLD = Flag.NO_VENUE_TIME
BTC, ETH = "coinbase:BTC-USD", "coinbase:ETH-USD"
ADV = "coinbase-advanced:BTC-USD"
START_2026_04_07 = 1_775_521_800  # of the candle: 2026-04-07T00:30:00Z


def at(text: str) -> int:
    return parse_iso(text)


def live(number: int, size: float, time: str) -> Trade:
    """The captured trades bear BUY: the maker bought, the aggressor sold."""
    return Trade(ADV, at(time), T0, 0, 63310.25, size, "sell", str(number))


# What follows from each payload. A text stands for: nothing, and one more unknown message of that kind.
LEVEL2_ACK = tuple(f"{n}:{p}" for n in ("level2_batch", "level2", "level2_50") for p in ("ETH-USD", "ETH-EUR"))
EXPECTED: dict[str, Any] = {
    "activate_1": "activate",
    "auction_channel_1": "subscribe",
    "auction_channel_2": "auction",
    "change_1": "change",
    "change_2": "change",
    "done_1": "done",
    "error": [Ack(None, "Failed to subscribe: user channel requires authentication")],
    "heartbeat_channel_1": "subscribe",
    "heartbeat_channel_2": [Past(BTC, last_id=20)],
    "l3_schema_1": "level3",
    "level2_batch_channel_1": "subscribe",
    "level2_channel_1": "subscribe",
    "level2_channel_2": [
        BookMessage("BTC-USD", T0, UNTOLD, "snapshot", [(10101.1, 0.4505414)], [(10102.55, 0.57753524)], -1, -1)
    ],
    "level3_channel_1": "subscribe",
    "match_1": [Trade(BTC, at("2014-11-07T08:19:27.028459Z"), T0, 0, 400.23, 5.23512, "buy", "10")],
    "match_2": "(other)",
    "match_3": "(other)",
    "multiple_changes_arrays_1": [
        BookMessage(
            "BTC-USD", at("2022-08-04T15:25:05.010758Z"), 0, "diff", [(22356.27, 0.0), (22356.3, 1.0)], [], -1, -1
        )
    ],
    "open_1": "open",
    "received_1": "received",
    "received_2": "received",
    "rfq_matches_channel_1": [Ack(None, names=("rfq_matches:",))],
    "rfq_matches_channel_2": "rfq_match",
    "single_changes_array_1": [
        BookMessage("BTC-USD", at("2019-08-14T20:42:27.265Z"), 0, "diff", [(10101.8, 0.162567)], [], -1, -1)
    ],
    "specifying_product_ids_1": "unsubscribe",
    "status_channel_1": "subscribe",
    "status_channel_2": "status",
    "subscribe_1": "subscribe",
    "subscriptions_message_1": [
        Ack(
            None,
            names=(
                *LEVEL2_ACK, "heartbeat:ETH-USD", "heartbeat:ETH-EUR", "ticker:ETH-USD", "ticker:ETH-EUR", "ticker:ETH-BTC"
            ),
        )
    ],
    "ticker_batch_channel_1": "subscribe",
    "ticker_channel_1": "subscribe",
    # volume_30d = 9788783.60117027 has 15 digits
    "ticker_channel_2": [
        Quote(
            ETH, at("2022-10-19T23:28:22.061769Z"), T0, 0, 1285.04, 0.46688654, 1285.27, 1.5663704, 37475248783, "venue"
        ),
        Ticker(ETH, at("2022-10-19T23:28:22.061769Z"), T0, 0, 1285.22, 1310.79, 1313.8, 1280.52, 245532.79269678),
    ],
    "unsubscribe_1": "unsubscribe",
}  # fmt: skip
ADVANCED: dict[str, Any] = {
    "error": [Ack(None, "failure to subscribe")],
    "l2_data_snapshot_live_trimmed": [
        Counted(0),
        BookMessage(
            "BTC-PERP-INTX", at("2026-09-07T01:57:58.894355Z"), 0, "snapshot", [(79943.9, 3.0105)], [(79944.1, 1.2)], -1, -1
        ),
    ],
    "market_trades_snapshot_live": [
        Counted(0),
        Past(
            ADV,
            (
                live(1069726290, 0.00000019, "2026-08-12T19:27:47.184047Z"),
                live(1069726291, 0.00000043, "2026-08-12T19:27:47.532655Z"),
            ),
        ),
    ],
    "market_trades_update_live": [
        Counted(2),
        live(1069726292, 0.00000012, "2026-08-12T19:27:48.266642Z"),
        live(1069726293, 0.00000012, "2026-08-12T19:27:48.298771Z"),
    ],
    "nautilus_ws_candles": [
        Counted(3),
        Bar(
            ADV, at("2026-04-07T14:30:05Z"), T0, 0, "5m", START_2026_04_07 * 10**9, 68900.0, 68950.0, 68850.0, 68920.5, 42.15,
            None, None, None, None, True, 0, "venue",
        ),
    ],
    "nautilus_ws_heartbeats": [Counted(0)],
    "nautilus_ws_l2_data_snapshot": [
        Counted(0),
        BookMessage(
            "BTC-USD", at("2026-04-07T14:30:00.123456Z"), 0, "snapshot",
            [(68900.0, 1.5), (68899.5, 0.75), (68899.0, 2.3)], [(68901.0, 0.5), (68901.5, 1.2), (68902.0, 0.8)], -1, -1,
        ),
    ],
    "nautilus_ws_l2_data_update": [
        Counted(1),
        BookMessage("BTC-USD", at("2026-04-07T14:30:01.456789Z"), 0, "diff", [(68900.0, 2.0)], [(68901.0, 0.0)], -1, -1),
    ],
    "nautilus_ws_market_trades": [
        Counted(5),
        Trade(ADV, at("2026-04-07T14:30:02.789012Z"), T0, 0, 68900.5, 0.0015, "sell", "995098700"),
        Trade(ADV, at("2026-04-07T14:30:02.8Z"), T0, 0, 68900.0, 0.05, "buy", "995098701"),
    ],
    "nautilus_ws_subscriptions": [
        Counted(0),
        Ack(
            None,
            names=(
                "level2:BTC-USD", "level2:BTC-USDC", "market_trades:BTC-USD", "market_trades:BTC-USDC", "market_trades:ETH-USD",
                "market_trades:ETH-USDC",
            ),
        ),
    ],
    "nautilus_ws_ticker": [
        Counted(12),
        Quote(ADV, at("2026-04-07T14:30:03Z"), T0, 0, 68900.0, 1.5, 68901.0, 0.5, None, "venue"),
        Ticker(
            ADV, at("2026-04-07T14:30:03Z"), T0, 0, 68900.5, None, 69200.0, 67500.0, 15328.12345678, change_pct=1.85
        ),
    ],
    "subscribe": MalformedFrame,  # what is sent, and never received: by its channel a message of trades, without any
    "subscriptions_live": [Counted(1), Ack(None, names=("market_trades:BTC-USD", "market_trades:BTC-USDC"))],
    # price_percent_chg_24_h = 0.03813791548644 has 13 significant digits
    "ticker_snapshot_live": [
        Counted(0),
        Quote(
            ADV, at("2026-08-12T19:27:33.489674268Z"), T0, 0, 63320.73, 0.12636254, 63320.74, 0.49679101, None, "venue"
        ),
        Ticker(
            ADV, at("2026-08-12T19:27:33.489674268Z"), T0, 0, 63320.73, None, 64416.3, 63235.88, 6629.927726,
            change_pct=0.03813791548644,
        ),
    ],
}  # fmt: skip
FOLDERS = {"coinbase": ("coinbase_exchange", EXPECTED), "coinbase-advanced": ("coinbase_advanced", ADVANCED)}


def payloads(frames: Path, venue: str) -> Iterator[tuple[str, Any]]:
    for path in sorted((frames / "documented" / FOLDERS[venue][0]).glob("*.json")):
        head, _, number = path.stem.partition("_https_docs")
        yield head + (f"_{path.stem[-1]}" if number else ""), json.loads(path.read_text())["payload"]


def decode(venue: str, raw: bytes) -> tuple[Any, dict[str, int]]:
    decoder = venue_class(venue)().decoder(Registry(venue), simulated=False)
    try:
        return list(decoder.decode(raw, T0)), decoder.unknown
    except MalformedFrame:
        return MalformedFrame, decoder.unknown


def wanted(what: Any) -> tuple[Any, dict[str, int]]:
    """Records, and what is counted as unknown."""
    return ([], {what: 1}) if isinstance(what, str) else (what, {})


def compact(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def spaced(payload: Any) -> bytes:
    return json.dumps(payload, indent=3, separators=(" ,", " : ")).encode()


def backwards(payload: Any) -> Any:
    if isinstance(payload, dict):
        return {k: backwards(v) for k, v in reversed(payload.items())}
    return payload


def with_unknown_keys(payload: Any) -> Any:
    if isinstance(payload, dict):
        return {"zz": [1, {"q": None}], **{k: with_unknown_keys(v) for k, v in payload.items()}, "zzz": "ü" * 3}
    return payload


@pytest.mark.parametrize("venue", FOLDERS)
@pytest.mark.parametrize("variant", [compact, spaced, lambda p: compact(backwards(p)), lambda p: compact(with_unknown_keys(p))])
def test_every_documented_payload_decodes_to_what_the_document_says(shared_frames: Path, venue: str, variant: Any) -> None:
    found, expected = dict(payloads(shared_frames, venue)), FOLDERS[venue][1]
    assert found.keys() == expected.keys()
    for name, payload in found.items():
        if name == "nautilus_ws_subscriptions" and variant not in {compact, spaced}:
            continue  # a dictionary of channels: its order, and what else stands in it, do matter
        if name.startswith("subscriptions") and variant not in {compact, spaced}:
            continue
        assert decode(venue, variant(payload)) == wanted(expected[name]), name


def documented(frames: Path, venue: str, name: str) -> dict[str, Any]:
    return dict(payloads(frames, venue))[name]  # type: ignore[no-any-return]


def test_what_exchange_is_sent_has_the_documents_shape(shared_frames: Path) -> None:
    of = venue_class("coinbase")()
    asked = of.asked(compact(documented(shared_frames, "coinbase", "subscribe_1")))
    assert asked == Asked(None, ("level2:ETH-USD", "level2:ETH-EUR", "ticker:ETH-BTC", "ticker:ETH-USD"))
    for name in ("unsubscribe_1", "heartbeat_channel_1", "specifying_product_ids_1"):
        said = of.asked(compact(documented(shared_frames, "coinbase", name)))
        assert said is not None
        assert (said.acked, said.gone) == (False, documented(shared_frames, "coinbase", name)["type"] != "subscribe")
    (message,) = of.subscribe([Stream("matches:ETH-EUR", "trades", "coinbase:ETH-EUR")], 1)
    heartbeat = documented(shared_frames, "coinbase", "heartbeat_channel_1")
    assert json.loads(message) == {
        "type": "subscribe",
        "channels": [{"name": "matches", "product_ids": ["ETH-EUR"]}, *heartbeat["channels"]],
    }


def test_what_advanced_is_sent_equals_the_live_message(shared_frames: Path) -> None:
    of = venue_class("coinbase-advanced")()
    live_message = compact(documented(shared_frames, "coinbase-advanced", "subscribe"))
    assert of.subscribe([Stream("market_trades:BTC-USD", "trades", ADV)], 1) == (live_message,)
    assert of.asked(live_message) == Asked(None, ("market_trades:BTC-USD",))


@pytest.mark.parametrize("venue", FOLDERS)
def test_only_answers_are_taken_for_answers(shared_frames: Path, venue: str) -> None:
    of = venue_class(venue)()
    answers = {name for name, payload in payloads(shared_frames, venue) if of.is_ack(compact(payload))}
    assert (
        answers
        == {
            "coinbase": {"error", "subscriptions_message_1", "rfq_matches_channel_1"},
            "coinbase-advanced": {"error", "subscriptions_live", "nautilus_ws_subscriptions"},
        }[venue]
    )


CHANNELS: dict[str, dict[Channel, str]] = {
    "coinbase": {"trades": "matches", "book": "level2_batch", "quotes": "ticker", "ticker": "ticker_batch"},
    "coinbase-advanced": {
        "trades": "market_trades", "book": "level2", "quotes": "ticker", "bars": "candles", "ticker": "ticker_batch"
    },
}  # fmt: skip


@pytest.mark.parametrize("venue", FOLDERS)
def test_streams_are_named_by_the_venues_channels(venue: str) -> None:
    of = venue_class(venue)()
    assert set(of.channels) == CHANNELS[venue].keys()
    (plan,) = of.plan([of.derive("BTC-USD", venue)], of.channels)
    assert {s.channel: s.name for s in plan.streams} == {c: f"{n}:BTC-USD" for c, n in CHANNELS[venue].items()}
