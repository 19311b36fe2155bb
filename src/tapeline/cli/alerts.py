"""`tapeline alerts`: rules and what became of them, in the file beside the data, so that it works with and without a session.

A session that runs looks at that file twice a second: what is added, removed or muted here is in force there at once. Rules of the
settings are shown, too; they can be muted, but neither changed nor removed here.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from tapeline.alerts.message import compose, zone_of
from tapeline.alerts.names import check_name, name_of
from tapeline.alerts.rule import Rule
from tapeline.alerts.store import FILE, Added, Store, unusable
from tapeline.alerts.streamed import is_streamed
from tapeline.alerts.targets import Target, target
from tapeline.cli import context, output
from tapeline.cli.live import say
from tapeline.clock import SECOND, LiveClock, iso, parse_iso
from tapeline.config import AlertsSettings, RuleSettings, Severity
from tapeline.engine import subscriptions
from tapeline.errors import ConfigError, UsageError, VenueError
from tapeline.events import Alert, to_json
from tapeline.masking import mask

app = App(name="alerts", help="Rules that watch the market, and how you are told.", default_parameter=Parameter(negative=()))

Data = Annotated[Path | None, Parameter(help="Data directory; that of the settings where none is given.", show_default=False)]
Text = Annotated[str | None, Parameter(show_default=False)]
MOST = 10_000


@app.command
def ls(data: Data = None, *, json: context.Json = False) -> None:
    """The rules, from settings and added: what each last did, and whom it tells."""
    settings, where = _settings(data)
    with _store(where, make=False) as store:
        streamed = _streamed(where)
        rows = [_row(name, rule, origin, store, settings, streamed) for name, rule, origin in _rules(settings, store)]
    if json:
        output.write_json(rows)
        return
    if not rows:
        say("there are no rules: `tapeline alerts add 'binance:BTC-USDT mid crosses above 100000'` adds one")
        return
    head = ("name", "state", "severity", "last", "tells", "from", "rule")
    table = [
        (r["name"], _state(r), r["severity"], _time(r["last"]), ",".join(r["tells"]) or "-", r["origin"], r["rule"])
        for r in rows
    ]
    output.write(output.columns([head, *table]))


def _state(row: dict[str, Any]) -> str:
    """In the page's words, as far as the file can tell; whether windows are whole only a session knows."""
    if row["muted"]:
        return "muted"
    if row["state"] == "raised":
        return "raised"
    return "armed" if row["streamed"] else "not streamed"


def _streamed(data: Path) -> set[str]:
    """What the last session streamed, or this one streams; empty where that is not known."""
    try:
        kept = subscriptions.load(data)
    except (ValueError, OSError):
        return set()
    return set() if kept is None else set(kept.subscriptions)


def _row(
    name: str, rule: RuleSettings, origin: str, store: Store | None, settings: AlertsSettings, streamed: set[str]
) -> dict[str, Any]:
    """`last`: when it was last raised or resolved, ns UTC; None where it never was. `streamed`: whether it can be raised at all."""
    last = [] if store is None else store.history(rule=name, limit=1)
    event = last[0]["event"] if last else None
    muted = store is not None and name in store.muted()
    own = {"state": event.state if event else "quiet", "last": event.ts_event if event else None, "muted": muted}
    own["streamed"] = not streamed or is_streamed(rule.rule, rule.until, streamed)
    return {"name": name, "origin": origin, **msgspec.to_builtins(rule), **own, "tells": rule.notify or settings.notify}


@app.command
def add(
    rule: Annotated[
        str, Parameter(help="As in 'binance:BTC-USDT mid crosses above 100000'; docs/alerts.md tells the language.")
    ],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Its name; made of the rule where none is given.", show_default=False)] = None,
    severity: Annotated[Severity, Parameter(help="How much it matters.")] = "warning",
    for_: Annotated[str | None, Parameter(name="--for", help="It must hold so long, as in 10s.", show_default=False)] = None,
    until: Annotated[Text, Parameter(help="A condition that ends it, in place of the rule's contrary.")] = None,
    hysteresis: Annotated[Text, Parameter(help="How far back the value must go before it ends, as in 50 or 0.5%.")] = None,
    cooldown: Annotated[Text, Parameter(help="It is not raised again so soon, as in 5m.")] = None,
    schedule: Annotated[Text, Parameter(help="When it is looked at, as in 'mon-fri 09:30-16:00 America/New_York'.")] = None,
    once: Annotated[bool, Parameter(help="Raise it once only.")] = False,
    incomplete: Annotated[bool, Parameter(help="Raise it on incomplete data, too.")] = False,
    resolved: Annotated[bool, Parameter(help="Tell its end, too.")] = False,
    notify: Annotated[Text, Parameter(help="Targets, comma-separated; by default those of alerts.notify.")] = None,
    data: Data = None,
) -> None:
    """Add a rule. A session that runs watches it at once, and every later one does."""
    settings, where = _settings(data)
    made = RuleSettings(
        rule=f"{rule} for {for_}" if for_ else rule,
        severity=severity,
        until=until or "",
        hysteresis=hysteresis or "",
        cooldown=cooldown or "",
        schedule=schedule or "",
        once=once,
        incomplete=incomplete,
        resolved=resolved,
        notify=tuple(part.strip() for part in (notify or "").split(",") if part.strip()),
    )
    for one in made.notify:
        target(settings, one)
    with _store(where, make=True) as store:
        taken = {known for known, _, _ in _rules(settings, store)}
        chosen = check_name(name) if name else name_of(made.rule, taken)
        Rule.of_settings(chosen, made)
        if chosen in taken:
            raise UsageError(f"there is a rule {chosen} already: give another --name, or remove it first")
        store.add(chosen, made, LiveClock().now())
    if not (made.notify or settings.notify):
        say("it tells nobody but the page, the API and the history: name targets with --notify, or in alerts.notify")
    output.write(f"{chosen}\n")


@app.command
def rm(*names: Annotated[str, Parameter(help="Rules that were added.")], data: Data = None) -> None:
    """Remove rules. Their history stays."""
    settings, where = _settings(data)
    with _store(where, make=False) as store:
        for name in _known(names, settings, store):
            if name in settings.rules:
                raise UsageError(f"{name} stands in the settings: take it out there, or `tapeline alerts mute {name}`")
            if store is not None:
                store.remove(name)


@app.command
def mute(*names: Annotated[str, Parameter(help="Rules, those of the settings, too.")], data: Data = None) -> None:
    """Raise these rules no more, until `unmute`."""
    _mute(names, data, on=True)


@app.command
def unmute(*names: Annotated[str, Parameter(help="Rules that were muted.")], data: Data = None) -> None:
    """Raise these rules again."""
    _mute(names, data, on=False)


def _mute(names: Iterable[str], data: Path | None, *, on: bool) -> None:
    settings, where = _settings(data)
    with _store(where, make=False) as store:
        wanted = _known(names, settings, store)
    with _store(where, make=True) as store:
        for name in wanted:
            store.mute(name, LiveClock().now() if on else None)


@app.command
def check(rule: Annotated[str, Parameter(help="The rule.")], /) -> None:
    """Say whether a rule is right; where it is not, the place and the fix (exit 2)."""
    Rule.of(name="check", text=rule)
    output.write("right\n")


@app.command
def backtest(
    rules: Annotated[list[str], Parameter(help="A rule, or the name of one; several are looked at in one go.")],
    /,
    *,
    from_: Annotated[Text, Parameter(name="--from", help="From this time on, as in 2026-11-20T09:00.")] = None,
    to: Annotated[Text, Parameter(help="Up to this time.")] = None,
    session: Annotated[str, Parameter(help="Of this session of the tape alone.")] = "",
    incomplete: Annotated[bool, Parameter(help="Raise it on incomplete data, too.")] = False,
    data: Data = None,
    json: context.Json = False,
) -> None:
    """Say when a rule would have been raised, from the tape: metrics that it reads are sampled whether the session did or not."""
    from tapeline.alerts.backtest import backtest as found_by

    settings, where = _settings(data)
    start, end = _moment(from_, 0, "--from") or None, _moment(to, 0, "--to") or None
    with _store(where, make=False) as store:
        known = {name: rule for name, rule, _ in _rules(settings, store)}
    made = [
        Rule.of_settings(text, known[text]) if text in known else Rule.of(name=f"rule-{n}", text=text, incomplete=incomplete)
        for n, text in enumerate(rules, 1)
    ]
    found = found_by(made, where, start, end, session=session, quiet_seconds=settings.quiet_start_seconds)
    for note in found.notes:
        say(note)
    if json:
        output.write_json([msgspec.json.decode(to_json(alert)) for alert in found.alerts])
        return
    rows = [(iso(a.ts_event), a.state, *([a.rule] if len(made) > 1 else []), a.text) for a in found.alerts]
    if rows:
        output.write(output.columns(rows))
    raised = sum(alert.state == "raised" for alert in found.alerts)
    say(f"raised {output.many(raised, 'time')}, {output.many(found.events, 'event')} looked at")


@app.command
def test(*targets: Annotated[str, Parameter(help="Targets; all where none is named.")]) -> None:
    """Send one message to each target now, and say what came back: exit 4 where one failed."""
    settings = context.load().settings.alerts
    named = list(targets) or list(dict.fromkeys([*settings.targets, *settings.notify]))
    if not named:
        raise UsageError("there are no targets: docs/alerts.md tells how to name one, as in [alerts.targets.ops-mail]")
    failed = [name for name in named if not _sent(target(settings, name), settings)]
    if failed:
        raise VenueError(f"not delivered: {', '.join(failed)}")


def _sent(to: Target, settings: AlertsSettings) -> bool:
    now = LiveClock().now()
    alert = Alert(
        "", now, now, 0, "test", "raised", None, "This is a test of Tapeline's alerts.", "info", f"test-{now // SECOND}"
    )
    message = compose([alert], zone=zone_of(settings.time_zone))
    try:
        to.notifier.send(message)
    except Exception as e:  # noqa: BLE001 - a notifier may raise anything: it is what came back
        say(f"{to.name}: {mask(str(e)) or type(e).__name__}")
        return False
    output.write(f"{to.name}: sent, id {message.id}\n")
    return True


@app.command
def history(
    data: Data = None,
    *,
    rule: Annotated[Text, Parameter(help="Of this rule.")] = None,
    instrument: Annotated[Text, Parameter(help="Of this instrument.")] = None,
    from_: Annotated[Text, Parameter(name="--from", help="From this time on, as in 2026-11-20T09:00.")] = None,
    to: Annotated[Text, Parameter(help="Up to this time.")] = None,
    limit: Annotated[int, Parameter(help="The newest so many.")] = 50,
    json: context.Json = False,
) -> None:
    """What was raised and resolved, newest first, and what became of its messages."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit {limit}: a number from 1 to {MOST}")
    _, where = _settings(data)
    start, end = _moment(from_, 0, "--from"), _moment(to, 2**63 - 1, "--to")
    with _store(where, make=False) as store:
        asked = {"start": start, "end": end, "rule": rule or "", "instrument": instrument or "", "limit": limit}
        found = [] if store is None else store.history(**asked)
    if json:
        output.write_json([msgspec.to_builtins(x["event"]) | {"deliveries": x["deliveries"]} for x in found])
        return
    if not found:
        say("no alerts")
        return
    rows = [
        (_time(a.ts_event), a.state, a.severity or "-", a.rule, a.instrument or "-", _told(x["deliveries"]), a.text)
        for x in found
        for a in (x["event"],)
    ]
    output.write(output.columns([("time", "state", "severity", "rule", "instrument", "told", "text"), *rows]))


def _told(deliveries: list[dict[str, Any]]) -> str:
    return ",".join(f"{d['target']}:{d['status']}" for d in deliveries) or "-"


# What they share


def _settings(data: Path | None) -> tuple[AlertsSettings, Path]:
    loaded = context.load({"data": None if data is None else str(data)}).settings
    return loaded.alerts, Path(loaded.data)


@contextmanager
def _store(where: Path, *, make: bool) -> Iterator[Any]:
    """The store; None where there is none and it is not to be made. Raises ConfigError where the file cannot be used."""
    if not make and not (where / FILE).is_file():
        yield None
        return
    try:
        where.mkdir(parents=True, exist_ok=True)
        with closing(Store(where)) as store:
            yield store
    except sqlite3.Error as e:
        raise unusable(where, e) from None
    except OSError as e:
        raise ConfigError("data", str(where), f"cannot be made: {e.strerror}; name another directory") from None


def _rules(settings: AlertsSettings, store: Store | None) -> list[tuple[str, RuleSettings, str]]:
    """Name, rule, and where it is from. One of the settings hides an added one of its name, as in a session."""
    added: list[Added] = [] if store is None else store.rules()
    own = [(name, rule, "settings") for name, rule in settings.rules.items()]
    return own + [(one.name, one.settings, "added") for one in added if one.name not in settings.rules]


def _known(names: Iterable[str], settings: AlertsSettings, store: Store | None) -> list[str]:
    wanted, there = list(names), [name for name, _, _ in _rules(settings, store)]
    if not wanted:
        raise UsageError("name a rule; `tapeline alerts ls` shows them")
    for name in wanted:
        if name not in there:
            raise UsageError(f"there is no rule {name}; there are {', '.join(there) or 'none'}")
    return wanted


def _moment(text: str | None, default: int, option: str) -> int:
    try:
        return default if text is None else parse_iso(text)
    except ValueError:
        raise UsageError(f"{option} {text}: write a time as in 2026-11-20T09:00, UTC where it names no zone") from None


def _time(ns: int | None) -> str:
    return "-" if ns is None else iso(ns)[:19].replace("T", " ")
