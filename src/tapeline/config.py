"""The one typed configuration.

Sources, strongest first: flags of the command line, environment `TAPELINE_SECTION_KEY`, `tapeline.toml`, these defaults.
Every key's meaning, unit and default stand here once; `docs/settings.md` is generated from them, and `tapeline config`
shows what is in force and where it comes from. API keys have no key here: they come from the environment, an `.env` file
or a keyring and are masked wherever they could be shown.
"""

from typing import Annotated, Literal

import msgspec

from tapeline.clock import SECOND

Doc = msgspec.Meta

INTERVALS: dict[str, int] = {
    "1s": SECOND,
    "5s": 5 * SECOND,
    "15s": 15 * SECOND,
    "1m": 60 * SECOND,
    "5m": 300 * SECOND,
    "15m": 900 * SECOND,
    "1h": 3600 * SECOND,
    "4h": 14400 * SECOND,
    "1d": 86400 * SECOND,
}
"""Bar intervals by name, in nanoseconds. Each divides the next, so that each is cascaded from the one before."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class PipelineSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shapes the events. Written into the head of every session, so that a replay makes the same events."""

    imbalance_levels: Annotated[int, Doc(ge=1, le=1000, description="Book levels a side in `imbalance`.")] = 5
    bar_grace_ms: Annotated[
        int, Doc(ge=0, le=60_000, description="How long after a bar's end, by clock, its trades are waited for.")
    ] = 500
    late_seconds: Annotated[int, Doc(ge=0, le=86_400, description="How late a trade may come and still revise its bar.")] = 600
    book_levels: Annotated[int, Doc(ge=10, description="Most levels a side that a book keeps; the farthest go first.")] = 10_000
    buffer_updates: Annotated[
        int, Doc(ge=10, description="Book updates buffered a stream while its snapshot is fetched; then the oldest go.")
    ] = 5_000
    stale_seconds: Annotated[
        float,
        Doc(gt=0, description="The silence after which a book, quote or ticker is stale at the earliest; see docs/faq.md."),
    ] = 10.0
    quiet_seconds: Annotated[
        float, Doc(gt=0, description="The same for trades, until they were listened to for ten minutes.")
    ] = 300.0


class TapeSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mode: Annotated[
        Literal["default", "strict"],
        Doc(description="strict: each frame is written before it is handled; default: in blocks of at most 256 frames."),
    ] = "default"
    flush_ms: Annotated[int, Doc(ge=1, le=10_000, description="A block is written at the latest after this time.")] = 100
    sync_ms: Annotated[int, Doc(ge=10, le=60_000, description="Time between two fdatasync of the open segment.")] = 1000
    segment_mb: Annotated[int, Doc(ge=1, le=4096, description="A segment is sealed at this size.")] = 128
    segment_minutes: Annotated[int, Doc(ge=1, le=1440, description="A segment is sealed at this age.")] = 60


class WireSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    connect_seconds: Annotated[float, Doc(gt=0, description="Time-out of connecting, TLS and handshake together.")] = 10.0
    silence_seconds: Annotated[
        float, Doc(gt=0, description="A connection without any frame, pings included, is closed after this.")
    ] = 60.0
    backoff_first: Annotated[float, Doc(gt=0, description="First reconnect delay in seconds, before jitter.")] = 1.0
    backoff_most: Annotated[float, Doc(gt=0, description="Longest reconnect delay in seconds.")] = 30.0
    stable_seconds: Annotated[float, Doc(gt=0, description="A connection that held this long resets the backoff.")] = 60.0
    max_frame_mb: Annotated[int, Doc(ge=1, le=1024, description="Largest message accepted, after inflating.")] = 64


class VenueSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses of one venue. Empty means the venue's own; a simulator, a proxy or a mirror goes here."""

    ws_url: Annotated[str, Doc(description="WebSocket address, `ws://` or `wss://`, without the path.")] = ""
    http_url: Annotated[str, Doc(description="REST address, `http://` or `https://`, without the path.")] = ""
    streams: Annotated[
        dict[str, str],
        Doc(description='Other native stream suffixes by channel, as in `trades = "aggTrade"`, `book = "depth20@100ms"`.'),
    ] = {}
    most_streams: Annotated[
        int,
        Doc(ge=0, description="Most streams on one connection, where your plan differs from what is published; 0: as that."),
    ] = 0
    requests_per_minute: Annotated[
        int, Doc(ge=0, description="HTTP weight a minute, where your plan differs from what is published; 0: as that.")
    ] = 0
    time_unit: Annotated[
        Literal["ms", "us"], Doc(description="us: ask Binance for microsecond times (`timeUnit=MICROSECOND`).")
    ] = "ms"
    trade_side: Annotated[
        Literal["maker", "taker"],
        Doc(
            description="Whose side Coinbase Advanced's `market_trades` bear; it is disputed. Events carry the aggressor's. "
            "Written into the head of every session."
        ),
    ] = "maker"


SHAPING = ("trade_side",)
"""What of a venue's settings shapes events."""


class ServerSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: Annotated[str, Doc(description="Address the page and the API listen on.")] = "127.0.0.1"
    port: Annotated[int, Doc(ge=0, le=65535, description="Port; 0 takes a free one.")] = 8700
    push_hz: Annotated[float, Doc(gt=0, le=50, description="Most updates a second to a viewer, per channel.")] = 20.0
    history_trades: Annotated[int, Doc(ge=100, description="Trades an instrument kept in memory for the API.")] = 5_000
    history_bars: Annotated[int, Doc(ge=100, description="Bars an instrument and interval kept in memory.")] = 3_000


class SinkSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lake: Annotated[bool, Doc(description="Write events to the Parquet lake.")] = True
    sqlite: Annotated[bool, Doc(description="Write events to SQLite.")] = True
    batch_events: Annotated[int, Doc(ge=1, description="Events a sink other than the lake commits at most at once.")] = 50_000
    commit_seconds: Annotated[float, Doc(gt=0, description="Time between two commits.")] = 2.0
    lake_seconds: Annotated[float, Doc(gt=0, description="Time between two commits of the lake: each makes files.")] = 30.0
    lake_events: Annotated[
        int, Doc(ge=1, description="Events the lake commits at most at once; many make few, well-packed files.")
    ] = 250_000
    queue_events: Annotated[
        int, Doc(ge=1000, description="Events waiting for one sink; past that it catches up from the tape.")
    ] = 500_000


class Settings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    instruments: Annotated[tuple[str, ...], Doc(description="What to stream.")] = (
        "binance:BTC-USDT",
        "binance:ETH-USDT",
        "binance:SOL-USDT",
        "binance-usdm:BTC-USDT-PERP",
    )
    channels: Annotated[
        tuple[Literal["trades", "book", "quotes", "bars", "ticker", "liquidations"], ...],
        Doc(description="What to ask the venues for."),
    ] = ("trades", "book", "quotes", "ticker", "liquidations")
    data: Annotated[str, Doc(description="Directory of the tape, the lake and the SQLite file.")] = "data"
    history: Annotated[
        bool, Doc(description="Ask the venues for the candles of before the start, so that the page is full when it opens.")
    ] = True
    answer_seconds: Annotated[float, Doc(gt=0, description="How long a venue may take to answer before the fallback.")] = 10.0
    redundant: Annotated[
        bool,
        Doc(
            description="Two sets of connections to each venue that allows it, made one without doubles: losing one loses nothing."
        ),
    ] = False
    pipeline: PipelineSettings = PipelineSettings()
    tape: TapeSettings = TapeSettings()
    wire: WireSettings = WireSettings()
    server: ServerSettings = ServerSettings()
    sinks: SinkSettings = SinkSettings()
    venues: Annotated[dict[str, VenueSettings], Doc(description="Addresses by venue.")] = {}
