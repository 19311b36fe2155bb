"""`/metrics` in Prometheus' text format, made from the engine's status at each scrape; nothing is counted twice or kept globally.

`METRICS` names everything that is exposed; docs/api.md lists the same names, and a test compares the two.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import SECOND
from tapeline.engine.source import Source
from tapeline.server.contract.operations import Described, Operation
from tapeline.server.live.hub import Hub

Row = dict[str, Any]
Read = Callable[[Row], Iterable[tuple[tuple[str, ...], Any]]]


class Exposed(NamedTuple):
    """`read` gives (label values, value) from the status row; a value that is None is left out."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    labels: tuple[str, ...]
    read: Read


def _top(key: str) -> Read:
    return lambda row: [((), row.get(key))]


def _tape(key: str) -> Read:
    return lambda row: [((), row["tape"].get(key))]


def _each(group: str, key: str, *labels: str) -> Read:
    return lambda row: [(tuple(str(item.get(name, "")) for name in labels), item.get(key)) for item in row[group]]


def _is(group: str, key: str, wanted: str, *labels: str) -> Read:
    return lambda row: [(at, float(state == wanted)) for at, state in _each(group, key, *labels)(row)]


def _latency(row: Row) -> Iterator[tuple[tuple[str, ...], Any]]:
    for labels, ms in _each("connections", "latency_ms", "id", "venue")(row):
        yield labels, None if ms is None else ms / 1000


def _alerts(*keys: str) -> Read:
    def read(row: Row) -> Iterator[tuple[tuple[str, ...], Any]]:
        if alerts := row.get("alerts"):
            found = [alerts[key] for key in keys]
            yield (), sum(len(x) if isinstance(x, list) else x for x in found)

    return read


def _target(key: str) -> Read:
    def read(row: Row) -> Iterator[tuple[tuple[str, ...], Any]]:
        for target in (row.get("alerts") or {}).get("targets", []):
            yield (target["name"],), target[key]

    return read


def _started(row: Row) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield (), row["started"] / SECOND


def _info(row: Row) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield (row["version"], row["mode"], row["session"]), 1.0


def _refused(row: Row) -> Iterator[tuple[tuple[str, ...], Any]]:
    for code, count in row["refused_requests"].items():
        yield (code,), count


CONN = ("id", "venue")
VENUE = ("protocol", "label")
METRICS = (
    Exposed("tapeline_info", "gauge", "1, labelled by what is running", ("version", "mode", "session"), _info),
    Exposed("tapeline_started_seconds", "gauge", "When the engine started, seconds since 1970", (), _started),
    Exposed("tapeline_frames", "counter", "Frames handled", (), _top("frames")),
    Exposed("tapeline_events", "counter", "Events made", (), _top("events")),
    Exposed("tapeline_gaps", "counter", "Gaps found", (), _top("gaps")),
    Exposed("tapeline_rejected", "counter", "Frames or values rejected", (), _top("rejected")),
    Exposed("tapeline_resyncs", "counter", "Books resynchronised", (), _top("resyncs")),
    Exposed("tapeline_connection_up", "gauge", "1 while the connection is up", CONN, _is("connections", "state", "up", *CONN)),
    Exposed("tapeline_connection_frames", "counter", "Frames of the connection", CONN, _each("connections", "frames", *CONN)),
    Exposed("tapeline_connection_attempts", "gauge", "Attempts since it last held", CONN, _each("connections", "attempts", *CONN)),
    Exposed("tapeline_connection_latency_seconds", "gauge", "Venue's clock to ours, a running mean", CONN, _latency),
    Exposed("tapeline_venue_frames", "counter", "Frames of the venue", VENUE, _each("venues", "frames", *VENUE)),
    Exposed("tapeline_venue_events", "counter", "Events made of them", VENUE, _each("venues", "events", *VENUE)),
    Exposed("tapeline_venue_cpu_seconds", "counter", "CPU time of handling them", VENUE, _each("venues", "cpu_seconds", *VENUE)),
    Exposed("tapeline_instrument_live", "gauge", "1 while data flows", ("id",), _is("instruments", "state", "live", "id")),
    Exposed("tapeline_book_synced", "gauge", "1 while the book is proved", ("id",), _is("instruments", "book", "synced", "id")),
    Exposed("tapeline_tape_recording", "gauge", "1 while the tape records", (), lambda r: [((), r["tape"]["state"] == "recording")]),
    Exposed("tapeline_tape_bytes", "counter", "Bytes written to the tape", (), _tape("bytes")),
    Exposed("tapeline_tape_frames", "counter", "Frames written to the tape", (), _tape("frames")),
    Exposed("tapeline_tape_lag_frames", "gauge", "Frames handled and not yet written", (), _tape("lag_frames")),
    Exposed("tapeline_sink_events", "counter", "Events committed", ("name",), _each("sinks", "events", "name")),
    Exposed("tapeline_sink_commits", "counter", "Commits", ("name",), _each("sinks", "commits", "name")),
    Exposed("tapeline_sink_depth", "gauge", "Events waiting", ("name",), _each("sinks", "depth", "name")),
    Exposed("tapeline_sink_dropped", "counter", "Events left to the tape", ("name",), _each("sinks", "dropped", "name")),
    Exposed("tapeline_sink_lag_seconds", "gauge", "How overdue the oldest is", ("name",), _each("sinks", "lag_seconds", "name")),
    Exposed("tapeline_sink_due_seconds", "gauge", "How long one may wait", ("name",), _each("sinks", "due_seconds", "name")),
    Exposed("tapeline_alert_rules", "gauge", "Rules that are watched", (), _alerts("rules")),
    Exposed("tapeline_alert_rules_raised", "gauge", "Rules that are raised now", (), _alerts("raised_now")),
    Exposed("tapeline_alerts_raised", "counter", "Alerts raised", (), _alerts("raised")),
    Exposed("tapeline_alerts_resolved", "counter", "Alerts that ended", (), _alerts("resolved")),
    Exposed("tapeline_alerts_held", "gauge", "Alerts that wait for the disk", (), _alerts("held")),
    Exposed("tapeline_alerts_lost", "counter", "Alerts lost, or not sent for want of room", (), _alerts("lost", "dropped")),
    Exposed("tapeline_alert_target_depth", "gauge", "Alerts waiting to be sent", ("name",), _target("depth")),
    Exposed("tapeline_alert_target_sent", "counter", "Messages sent", ("name",), _target("sent")),
    Exposed("tapeline_alert_target_failures", "counter", "Attempts that failed", ("name",), _target("failures")),
    Exposed("tapeline_alert_target_given_up", "counter", "Alerts given up", ("name",), _target("given_up")),
    Exposed("tapeline_bus_depth", "gauge", "Events waiting for a consumer", ("name",), _each("bus", "depth", "name")),
    Exposed("tapeline_bus_dropped", "counter", "Events dropped for a consumer", ("name",), _each("bus", "dropped", "name")),
    Exposed("tapeline_viewers", "gauge", "Viewers connected", (), _top("viewers")),
    Exposed("tapeline_viewers_dropped", "counter", "Viewers dropped for reading nothing", (), _top("dropped_viewers")),
    Exposed("tapeline_pushes_short", "counter", "Pushes that did not have the time for all that changed", (), _top("short_pushes")),
    Exposed("tapeline_viewers_refused", "counter", "Viewers refused, there being too many", (), _top("refused")),
    Exposed("tapeline_requests", "counter", "Requests and WebSockets that came", (), _top("requests")),
    Exposed("tapeline_requests_refused", "counter", "Those that were refused at the door, by code", ("code",), _refused),
    Exposed("tapeline_requests_open", "gauge", "Requests, streams and WebSockets that are open", (), _top("open")),
    Exposed("tapeline_trades_missed", "counter", "Trades that slow viewers were not sent", (), _top("missed_trades")),
)  # fmt: skip


def exposed_names() -> list[str]:
    """As Prometheus shows them: counters end in `_total`."""
    return [m.name + ("_total" if m.kind == "counter" else "") for m in METRICS]


class EngineCollector(Collector):
    def __init__(self, source: Source, hub: Hub) -> None:
        self._source, self._hub = source, hub

    def collect(self) -> Iterator[Metric]:
        hub = self._hub
        row = self._source.status() | {
            "viewers": len(hub.viewers),
            "dropped_viewers": hub.dropped,
            "short_pushes": hub.short,
            "refused": hub.refused,
            "missed_trades": hub.missed_trades,
            "requests": hub.gate.requests,
            "refused_requests": hub.gate.refused,
            "open": sum(hub.gate.open.values()),
            "bus": [{"name": s.name, "depth": s.depth, "dropped": s.dropped} for s in self._source.bus.subscriptions],
        }
        for name, kind, text, labels, read in METRICS:
            family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, text, labels=labels)
            for values, value in read(row):
                if value is not None:
                    family.add_metric(values, value)
            yield family


METRICS_PAGE = Operation(
    "GET", "/metrics", "What Prometheus reads", tag="server", media=CONTENT_TYPE_PLAIN_0_0_4.replace("; ", ";")
)


class Exposition:
    def __init__(self, source: Source, hub: Hub) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(EngineCollector(source, hub))

    def route(self) -> Described:
        return Described(self.metrics, METRICS_PAGE)

    async def metrics(self, _: Request) -> Response:
        return Response(generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})
