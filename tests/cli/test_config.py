import json
import re
import tomllib

import pytest

from tapeline import masking
from tapeline.cli import config as command
from tapeline.cli import context
from tapeline.errors import UsageError
from tapeline.settings import catalogue, load


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.setattr(context, "config", None)
    monkeypatch.setattr(context, "assignments", {})
    return tmp_path


def test_the_table_has_a_line_a_setting_and_says_where_it_comes_from(capsys, monkeypatch):
    monkeypatch.setenv("TAPELINE_SERVER_PORT", "8801")
    monkeypatch.setitem(context.assignments, "tape.mode", "strict")
    command.config()
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["server.port"] == ["8801", "environment TAPELINE_SERVER_PORT"]
    assert lines["tape.mode"] == ["strict", "flag"]
    assert lines["server.host"] == ["127.0.0.1", "default"]
    assert {name for name in catalogue() if "*" not in name} <= set(lines)


def test_secrets_are_named_and_never_shown(capsys, monkeypatch):
    monkeypatch.setenv("TAPELINE_FINNHUB_TOKEN", "c0ffee-1234")
    monkeypatch.setenv("TAPELINE_VENUES_BINANCE_WS_URL", "ws://me:dec0de@proxy:1")
    for as_json in (False, True):
        command.config(json=as_json)
        out = capsys.readouterr().out
        assert "TAPELINE_FINNHUB_TOKEN" in out
        assert "ws://***@proxy:1" in out
        assert "c0ffee" not in out
        assert "dec0de" not in out


def test_json_gives_values_as_they_are(capsys, place):
    (place / "tapeline.toml").write_text("[sinks]\nlake = false\n")
    command.config(json=True)
    data = json.loads(capsys.readouterr().out)
    assert data["file"] == "tapeline.toml"
    assert data["settings"]["sinks.lake"] == {"value": False, "origin": "tapeline.toml"}


def test_a_new_file_holds_every_default_as_a_comment_and_changes_nothing(capsys, place):
    command.config(init=True)
    assert capsys.readouterr().out == "tapeline.toml\n"
    assert load(env={}, directory=place).origins == {}
    with pytest.raises(UsageError, match="stays as it is"):
        command.config(init=True)


def test_taking_the_comments_off_gives_the_defaults(place):
    text = re.sub(r"#\[(venues|alerts)\.", r"[\1.", command.template())
    bare = "\n".join(line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in text.splitlines())
    tree = tomllib.loads(bare)
    assert tree["server"]["port"] == 8700
    (place / "tapeline.toml").write_text(bare)
    loaded = load(env={}, directory=place)
    plain = load(env={}, directory=place / "elsewhere").settings
    assert {s: getattr(loaded.settings, s) for s in ("server", "tape", "wire", "sinks", "pipeline", "instruments")} == {
        s: getattr(plain, s) for s in ("server", "tape", "wire", "sinks", "pipeline", "instruments")
    }
    examples = {head: name for head, (_, name) in command.NAMED.items()}
    assert set(loaded.origins) == {
        name.replace("*", examples[name.partition(".*")[0]], 1).replace("*", "trades") if "*" in name else name
        for name in catalogue()
    }
