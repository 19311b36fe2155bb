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


DEFAULT_METRICS = (
    "volume_1m", "trades_1m", "vwap_5m", "vwap_session", "cvd_5m", "buy_ratio_1m", "ofi_1m", "vol_yang_zhang_20_1m",
)  # fmt: skip
"""What is sampled where nobody says otherwise."""


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
    metrics: Annotated[
        tuple[str, ...],
        Doc(description='Metrics of docs/analytics.md that are sampled, as in `["vwap_5m", "vpin"]`.'),
    ] = DEFAULT_METRICS
    metrics_ms: Annotated[int, Doc(ge=100, le=60_000, description="Time between two samples of the metrics.")] = 1000
    bars: Annotated[
        tuple[str, ...],
        Doc(description='Further bars that are made live, as in `["tick:500", "volume:10", "1d@America/New_York"]`.'),
    ] = ()
    groups: Annotated[
        tuple[str, ...],
        Doc(
            description="Instruments that are looked at together (best bid and offer of all, basis, correlation), as in "
            '`["btc: binance:BTC-USDT coinbase:BTC-USD"]`.'
        ),
    ] = ()
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
    hold_mb: Annotated[
        int,
        Doc(
            ge=0, le=65_536, description="What a full disk does not take waits in memory, up to this; what is past it is lost."
        ),
    ] = 64
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
    requests_per_second: Annotated[
        float, Doc(gt=0, description="Requests a second that one address may make on average; five seconds' at once.")
    ] = 300.0
    embed_origins: Annotated[
        tuple[str, ...],
        Doc(description='Pages that may show `/embed/…` in a frame, as in `["https://notes.example.org"]`; `:*` is any port.'),
    ] = ("http://localhost:*", "http://127.0.0.1:*")
    push_hz: Annotated[float, Doc(gt=0, le=50, description="Most updates a second to a viewer, per channel.")] = 20.0
    history_trades: Annotated[int, Doc(ge=100, description="Trades an instrument kept in memory for the API.")] = 5_000
    history_bars: Annotated[int, Doc(ge=100, description="Bars an instrument and interval kept in memory.")] = 3_000
    heatmap_mb: Annotated[
        int, Doc(ge=0, description="Memory for the books of the recent past, in MB; 0 keeps those that are looked at only.")
    ] = 64


class SinkSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sinks are on, and what all of them share. What a sink needs besides has a section of its own."""

    lake: Annotated[bool, Doc(description="Write events to the Parquet lake.")] = True
    sqlite: Annotated[bool, Doc(description="Write events to SQLite.")] = True
    csv: Annotated[bool, Doc(description="Write events to CSV files, one an instrument, kind and day.")] = False
    jsonl: Annotated[bool, Doc(description="Write events to files of JSON lines, one an instrument, kind and day.")] = False
    postgres: Annotated[bool, Doc(description="Write events to PostgreSQL; see `postgres`.")] = False
    questdb: Annotated[bool, Doc(description="Write events to QuestDB; see `questdb`.")] = False
    kafka: Annotated[bool, Doc(description="Publish events to Kafka; see `kafka`.")] = False
    nats: Annotated[bool, Doc(description="Publish events to NATS JetStream; see `nats`.")] = False
    redis: Annotated[bool, Doc(description="Publish events to Redis streams; see `redis`.")] = False
    batch_events: Annotated[int, Doc(ge=1, description="Events a sink other than the lake commits at most at once.")] = 50_000
    commit_seconds: Annotated[float, Doc(gt=0, description="Time between two commits.")] = 2.0
    lake_seconds: Annotated[float, Doc(gt=0, description="Time between two commits of the lake: each makes files.")] = 30.0
    lake_events: Annotated[
        int, Doc(ge=1, description="Events the lake commits at most at once; many make few, well-packed files.")
    ] = 250_000
    queue_events: Annotated[
        int, Doc(ge=1000, description="Events waiting for one sink; past that it catches up from the tape.")
    ] = 500_000


class LakeSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lake's upkeep beside the feed."""

    compact: Annotated[bool, Doc(description="Put the small files of a live session together in the background.")] = True
    compact_seconds: Annotated[float, Doc(gt=0, description="Time between two looks at what could be put together.")] = 120.0
    book_snapshots: Annotated[
        bool, Doc(description="Keep snapshots of books in the background, so that any instant's book is quickly had.")
    ] = True
    compact_files: Annotated[int, Doc(ge=2, description="Small files of one folder that are put together at once.")] = 20


class QuerySettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a query through the API may cost. `tapeline query` has options of its own."""

    seconds: Annotated[float, Doc(gt=0, le=25, description="Longest time a query may take; the connection has 30 s.")] = 20.0
    memory_mb: Annotated[int, Doc(ge=50, description="Most memory of a query, in MB.")] = 512
    threads: Annotated[int, Doc(ge=1, le=256, description="Threads of a query; the feed needs a core of its own.")] = 1
    rows: Annotated[int, Doc(ge=1, description="Most rows of an answer; more are cut, and the answer says so.")] = 100_000
    answer_mb: Annotated[int, Doc(ge=1, description="Most bytes of an answer in memory, in MB; likewise.")] = 64
    at_once: Annotated[
        int, Doc(ge=1, le=16, description="Queries answered at a time; others wait up to 3 s, then get 503.")
    ] = 2


class KeepSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long data is kept; 0 is for ever. The tape goes last: never a segment that a sink which is on has not committed."""

    tape_days: Annotated[float, Doc(ge=0, description="Sealed tape segments older than this are removed.")] = 0.0
    tape_gb: Annotated[float, Doc(ge=0, description="The oldest tape segments are removed past this size, in GB of 10^9.")] = (
        0.0
    )
    lake_days: Annotated[float, Doc(ge=0, description="Days of the lake older than this are removed.")] = 0.0
    lake_gb: Annotated[float, Doc(ge=0, description="The oldest days of the lake are removed past this size, in GB.")] = 0.0
    sqlite_days: Annotated[float, Doc(ge=0, description="Rows of SQLite older than this are removed.")] = 0.0


class FilesSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sinks `csv` and `jsonl`."""

    path: Annotated[str, Doc(description="Folder that `csv` and `jsonl` are made in; empty: the data directory.")] = ""
    compression: Annotated[Literal["none", "gzip", "zstd"], Doc(description="How the files are packed.")] = "none"
    kinds: Annotated[
        tuple[Literal["trade", "quote", "book", "bar", "metrics", "ticker", "liquidation", "status", "alert"], ...],
        Doc(description='Kinds of events that are written, as in `["trade", "bar"]`; empty: all.'),
    ] = ()


class PostgresSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[
        str,
        Doc(
            description="Address, as in `postgresql://user@localhost/market`; the password belongs into TAPELINE_POSTGRES_PASSWORD, "
            "PGPASSWORD or ~/.pgpass."
        ),
    ] = "postgresql:///"
    schema: Annotated[str, Doc(description="Schema that holds the tables; made where it is missing.")] = "tapeline"


class QuestdbSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: Annotated[str, Doc(description="Host and HTTP port. TAPELINE_QUESTDB_TOKEN or …_PASSWORD let one in.")] = (
        "localhost:9000"
    )
    user: Annotated[str, Doc(description="User of TAPELINE_QUESTDB_PASSWORD.")] = ""
    tls: Annotated[bool, Doc(description="Speak TLS.")] = False
    prefix: Annotated[str, Doc(description="Begins the tables' names.")] = "tapeline_"


class KafkaSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    brokers: Annotated[str, Doc(description="Brokers to begin with, separated by commas.")] = "localhost:9092"
    topic: Annotated[str, Doc(description="Topic by kind of event; `{kind}` is replaced.")] = "tapeline.{kind}"
    partitions: Annotated[
        int, Doc(ge=1, description="Partitions of a topic that is made; instruments are spread over them.")
    ] = 8
    options: Annotated[
        tuple[str, ...], Doc(description="Further options of librdkafka, as in `security.protocol=SASL_SSL`.")
    ] = ()


class NatsSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    servers: Annotated[str, Doc(description="Servers, separated by commas, as in `nats://localhost:4222`.")] = (
        "nats://localhost:4222"
    )
    stream: Annotated[str, Doc(description="JetStream stream; made where it is missing.")] = "TAPELINE"
    subject: Annotated[str, Doc(description="Begins the subjects: `tapeline.trade.binance.BTC-USDT`.")] = "tapeline"


class RedisSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: Annotated[
        str, Doc(description="Server, as in `redis://localhost:6379/0`. TAPELINE_REDIS_PASSWORD lets one in.")
    ] = "redis://localhost:6379/0"
    prefix: Annotated[str, Doc(description="Begins the keys: `tapeline:trade:binance:BTC-USDT`.")] = "tapeline"
    most_entries: Annotated[int, Doc(ge=0, description="Entries kept a stream, roughly; 0: all.")] = 1_000_000


Severity = Literal["info", "warning", "critical"]


class RuleSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of docs/alerts.md, by its name."""

    rule: Annotated[str, Doc(description="What is watched for, as in `binance:BTC-USDT mid crosses above 100000`.")] = ""
    severity: Annotated[Severity, Doc(description="How much it matters.")] = "warning"
    cooldown: Annotated[str, Doc(description="It is not raised again so soon, as in `5m`; empty: at once.")] = ""
    once: Annotated[bool, Doc(description="Raised once, then never again until it is muted and unmuted.")] = False
    schedule: Annotated[
        str, Doc(description="When it is looked at, as in `mon-fri 09:30-16:00 America/New_York`; empty: always.")
    ] = ""
    hysteresis: Annotated[
        str,
        Doc(
            description="How far back the value must go before the alert ends: `50` in its unit, `0.5%` or `25bps` of the threshold."
        ),
    ] = ""
    until: Annotated[str, Doc(description="Another condition that ends the alert, in place of the rule's contrary.")] = ""
    incomplete: Annotated[bool, Doc(description="Raise it also on data that is known to be incomplete.")] = False
    resolved: Annotated[bool, Doc(description="Send a message also when the alert ends.")] = False
    notify: Annotated[tuple[str, ...], Doc(description="Targets it is sent to, by name; empty: those of `alerts.notify`.")] = ()


class TargetSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where alerts are sent, by a name that rules use. Secrets belong into the environment: docs/alerts.md."""

    url: Annotated[
        str,
        Doc(
            description="Address of apprise, as in `mailto://localhost:25?to=me@example.org`; `{secret}` in it stands for the "
            "variable TAPELINE_ALERTS_NAME_SECRET. Empty: the variable holds the whole address."
        ),
    ] = ""
    severity: Annotated[Severity, Doc(description="Only alerts of at least this severity are sent here.")] = "info"
    resolved: Annotated[bool, Doc(description="Send a message also when an alert ends.")] = False
    per_minute: Annotated[int, Doc(ge=0, description="Most messages a minute; 0: `alerts.per_minute`.")] = 0


class AlertsSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules that watch the events, and how one is told of what they find."""

    on: Annotated[bool, Doc(description="Watch the rules while streaming.")] = True
    notify: Annotated[tuple[str, ...], Doc(description="Targets of rules that name none.")] = ()
    quiet_start_seconds: Annotated[
        float, Doc(ge=0, description="No rule is raised so soon after a session began; what is true then, is raised after it.")
    ] = 5.0
    per_minute: Annotated[
        int, Doc(ge=1, description="Messages a minute to one target; alerts past it wait and come in one message.")
    ] = 10
    attempts: Annotated[int, Doc(ge=1, description="How often a message is tried before it is given up.")] = 12
    backoff_first: Annotated[float, Doc(gt=0, description="Seconds before the second attempt; doubled each time.")] = 2.0
    backoff_most: Annotated[float, Doc(gt=0, description="Longest time between two attempts, in seconds.")] = 300.0
    send_seconds: Annotated[float, Doc(gt=0, description="How long one attempt may take.")] = 20.0
    outbox: Annotated[
        int, Doc(ge=10, description="Messages that wait for all targets; those past it are kept in the history only.")
    ] = 10_000
    history: Annotated[int, Doc(ge=100, description="Alerts kept in the history; the oldest go first.")] = 100_000
    time_zone: Annotated[
        str, Doc(description="Zone of the local time in messages, as in `Europe/Berlin`; empty: the machine's.")
    ] = ""
    rules: Annotated[dict[str, RuleSettings], Doc(description="Rules by name.")] = {}
    targets: Annotated[dict[str, TargetSettings], Doc(description="Targets by name.")] = {}


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
    lake: LakeSettings = LakeSettings()
    query: QuerySettings = QuerySettings()
    keep: KeepSettings = KeepSettings()
    files: FilesSettings = FilesSettings()
    postgres: PostgresSettings = PostgresSettings()
    questdb: QuestdbSettings = QuestdbSettings()
    kafka: KafkaSettings = KafkaSettings()
    nats: NatsSettings = NatsSettings()
    redis: RedisSettings = RedisSettings()
    alerts: AlertsSettings = AlertsSettings()
    venues: Annotated[dict[str, VenueSettings], Doc(description="Addresses by venue.")] = {}
