"""What a target is sent: one alert, or several that came faster than it may be sent messages.

Plain text that says everything by itself: severity, rule, instrument, value, time in UTC and on the reader's clock, whether the
market was a simulated one, and where the page is. `id` is the message's for good: whatever is tried again bears the same, so that a
receiver that got both can tell.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from tapeline.clock import SECOND, iso
from tapeline.errors import ConfigError
from tapeline.events import Alert, Flag

SHOWN = 10
"""So many alerts of a message are written out; the others are counted."""
SEVERITIES = ("info", "warning", "critical")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """`severity` is the highest of its alerts; `time` the first one's, ns UTC; `alerts` all of them, oldest first."""

    id: str
    title: str
    body: str
    severity: str
    state: str
    time: int
    simulated: bool
    alerts: tuple[Alert, ...]
    link: str = ""

    @property
    def rule(self) -> str:
        return self.alerts[0].rule

    @property
    def instrument(self) -> str:
        return self.alerts[0].instrument

    @property
    def value(self) -> float | None:
        return self.alerts[0].value


def message_id(alerts: Sequence[Alert]) -> str:
    """Of one alert its own id, `-resolved` behind it where it ended; of several the first one's and how many more."""
    first = alerts[0]
    own = f"{first.id}-resolved" if first.state == "resolved" else f"{first.id}"
    return own if len(alerts) == 1 else f"{own}+{len(alerts) - 1}"


def rank(severity: str | None) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else 1


def compose(
    alerts: Sequence[Alert], *, message: str = "", link: str = "", zone: tzinfo | None = None, doubtful: bool = False
) -> Message:
    """`message`: its id, where it was tried before; `doubtful`: it may have arrived then. `zone` None: this machine's."""
    first = alerts[0]
    simulated = any(a.flags & Flag.SIMULATED for a in alerts)
    severity = max((a.severity or "warning" for a in alerts), key=rank)
    own = message or message_id(alerts)
    head = f"{len(alerts)} alerts" if len(alerts) > 1 else first.rule
    mark, ended = "SIMULATED " if simulated else "", " resolved" if len(alerts) == 1 and first.state == "resolved" else ""
    lines = [line for alert in alerts[:SHOWN] for line in _lines(alert, zone, short=len(alerts) > 1)]
    if len(alerts) > SHOWN:
        lines.append(f"and {len(alerts) - SHOWN} more")
    if simulated:
        lines.append("SIMULATED: no real market is behind this.")
    if doubtful:
        lines.append("Sent again after a crash: you may have this message already (see its id).")
    lines += [f"page: {link}"] if link else []
    return Message(
        id=own,
        title=f"{mark}[{severity}] {head}{ended}",
        body="\n".join([*lines, f"id: {own}"]),
        severity=severity,
        state=first.state,
        time=first.ts_event,
        simulated=simulated,
        alerts=tuple(alerts),
        link=link,
    )


def _lines(alert: Alert, zone: tzinfo | None, *, short: bool) -> list[str]:
    text = alert.text if alert.state == "raised" else f"{alert.state}: {alert.text}"
    if short:
        return [f"{iso(alert.ts_event)[11:19]} UTC  {alert.rule}  {alert.instrument}  {text}".rstrip()]
    found = [text, f"instrument: {alert.instrument}"] if alert.instrument else [text]
    if alert.value is not None:
        found.append(f"value: {alert.value:.10g}")
    return [*found, f"rule: {alert.rule}", f"time: {times(alert.ts_event, zone)}"]


def times(ns: int, zone: tzinfo | None) -> str:
    """`2026-11-20 09:00:00.000 UTC, 2026-11-20 10:00:00 CET`."""
    utc = iso(ns)
    local = datetime.fromtimestamp(ns // SECOND, zone).astimezone(zone)
    return f"{utc[:10]} {utc[11:23]} UTC, {local:%Y-%m-%d %H:%M:%S %Z}"


def zone_of(name: str) -> tzinfo | None:
    """Of the setting; None: this machine's. Raises ConfigError where there is no such zone."""
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, LookupError, OSError):
        raise ConfigError("alerts.time_zone", name, "there is no such zone; write one as in Europe/Berlin") from None
