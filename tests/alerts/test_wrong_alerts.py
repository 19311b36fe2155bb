"""A `tapeline.toml` whose alerts are wrong stops the start: the message names key and value, and how to mend it, and no secret."""

from pathlib import Path

import pytest

from tapeline import masking
from tapeline.alerts.opening import open_room
from tapeline.engine.collector import Collector
from tapeline.errors import ConfigError
from tapeline.settings import load

SECRET = "hunter2c0ffee"
RULE = '[alerts.rules.a]\nrule = "mid > 1"\n'
TARGET = f'{RULE}notify = ["t"]\n[alerts.targets.t]\n'


@pytest.fixture(autouse=True)
def _nothing_hidden(monkeypatch):
    monkeypatch.setattr(masking, "_hidden", {})


WRONG = [
    # (tapeline.toml, the key, its value as it is shown, words of the fix)
    ('[alerts]\non = "yes"', "alerts.on", "yes", "must be true or false"),
    ("[alerts]\nper_minute = 0", "alerts.per_minute", "0", "a whole number of at least 1"),
    ("[alerts]\nsend_seconds = nan", "alerts.send_seconds", "nan", "a number greater than 0"),
    ("[alerts]\nbackoff_first = inf", "alerts.backoff_first", "inf", "at most 1000000000"),
    ('[alerts]\ntime_zone = "Mars/Base"', "alerts.time_zone", "Mars/Base", "write one as in Europe/Berlin"),
    ("alerts = 5", "alerts", "5", "there is no such setting"),
    ('[alerts.rules]\na = "mid > 1"', "alerts.rules.a", "mid > 1", "there is no such setting"),
    ('[[alerts.rules]]\nrule = "mid > 1"', "alerts.rules", "rule", "there is no such setting"),
    ("[alerts.rules.a]", "alerts.rules.a.rule", "''", "there is no rule; write one"),
    ('[alerts.rules.a]\nrule = "mdi > 1"', "alerts.rules.a.rule", "mdi > 1", "did you mean mid?"),
    ("[alerts.rules.a]\nrule = 5", "alerts.rules.a.rule", "5", "must be a text"),
    ('[alerts.rules.a]\nrul = "mid > 1"', "alerts.rules.a.rul", "mid > 1", "did you mean alerts.rules.a.rule?"),
    (f'{RULE}cooldown = "5 parsecs"', "alerts.rules.a.cooldown", "5 parsecs", "its unit is missing; write 5s"),
    (f'{RULE}cooldown = "-5m"', "alerts.rules.a.cooldown", "-5m", "units of time are ms s m h d"),
    (f'{RULE}schedule = "mon-fry 09:30-16:00"', "alerts.rules.a.schedule", "mon-fry 09:30-16:00", "days are mon, tue"),
    (f'{RULE}schedule = "25:00-26:00 UTC"', "alerts.rules.a.schedule", "25:00-26:00 UTC", "between 00:00 and 24:00"),
    (f'{RULE}severity = "bad"', "alerts.rules.a.severity", "bad", "one of critical, info, warning"),
    (f'{RULE}hysteresis = "-5"', "alerts.rules.a.hysteresis", "-5", "as 0.5% or 25bps"),
    (f'{RULE}until = "mid <"', "alerts.rules.a.until", "mid <", "a field or a number is expected"),
    (f'{RULE}notify = "t"', "alerts.rules.a.notify", "t", "must be a list of texts"),
    (f'{RULE}notify = ["t"]', "alerts.targets.t.url", "is not set", "write `[alerts.targets.t]` with its url"),
    (f'{RULE}[alerts.rules.a]\nrule = "mid > 2"', "config", "tapeline.toml", "a second time|twice|Cannot declare"),
    ('[alerts.rules."a b"]\nrule = "mid > 1"', "alerts.rules.a b.rule", "", ""),
    (f'{TARGET}url = "nonsense"', "alerts.targets.t.url", "nonsense", "no address that apprise can send to"),
    (f'{TARGET}url = "tgram://{SECRET}"', "alerts.targets.t.url", "tgram://***", "no address that apprise can send to"),
    (f'{TARGET}url = "mailto://me:{SECRET}@h.org"', "alerts.targets.t.url", "mailto://***@h.org", "TAPELINE_ALERTS_T_SECRET"),
    (f'{TARGET}url = "json://{SECRET * 3}@h.org"', "alerts.targets.t.url", "json://***", "TAPELINE_ALERTS_T_SECRET"),
    (f'{TARGET}url = ["https://u:{SECRET}@h.org"]', "alerts.targets.t.url", "***", "must be a text"),
    (f'{TARGET}url = "desktop://"\nseverity = "loud"', "alerts.targets.t.severity", "loud", "one of critical"),
    (f'{TARGET}url = "desktop://"\nsecret = "{SECRET}"', "alerts.targets.t.secret", "***", "there is no such setting"),
]  # fmt: skip


async def _begin(directory: Path) -> None:
    settings = load({}, env={}, directory=directory, venues=["binance"]).settings
    await open_room(Collector(settings, data=None), directory, settings.alerts, str)


@pytest.mark.parametrize(("toml", "key", "value", "words"), WRONG)
async def test_the_start_stops_with_key_value_and_fix(tmp_path: Path, toml: str, key: str, value: str, words: str) -> None:
    (tmp_path / "tapeline.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        await _begin(tmp_path)
    said = str(caught.value)
    assert (caught.value.key, caught.value.exit_code) == (key, 3)
    assert value in said
    assert any(word in said for word in words.split("|")), said
    assert SECRET not in said
