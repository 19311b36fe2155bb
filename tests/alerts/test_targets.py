"""Targets: where an address comes from, that its secrets show nowhere, and what is refused."""

import logging
from base64 import b64encode
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tapeline import masking
from tapeline.alerts import notifiers, targets
from tapeline.alerts.message import Message, compose
from tapeline.alerts.targets import secret_parts, target, variable
from tapeline.config import AlertsSettings, TargetSettings
from tapeline.errors import ConfigError
from tests.alerts.making import alert


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(masking, "_hidden", {})


def at(tmp_path: Path, url: str = "", name: str = "ops-mail", **env: str) -> Any:
    settings = AlertsSettings(targets={name: TargetSettings(url=url)} if url else {})
    return target(settings, name, env=env, directory=tmp_path)


def test_the_variable_is_spelt_from_the_name():
    assert variable("ops-mail") == "TAPELINE_ALERTS_OPS_MAIL_SECRET"


def test_an_address_without_a_secret_stands_in_the_settings(tmp_path):
    found = at(tmp_path, "mailto://localhost:25?from=a@example.org&to=me@example.org")
    assert isinstance(found.notifier, notifiers.Apprise)
    assert found.shown == "mailto://***@example.org"


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("mailtos://me:hunter2horse@smtp.example.org?to=me@example.org", ["hunter2horse"]),
        ("tgram://123456789:AAEkXbz0y1QpRtUv5wXyZa2bCdEfGhIjKlM/987654321", ["123456789:AAEkXbz0y1QpRtUv5wXyZa2bCdEfGhIjKlM"]),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts", ["TIiajkdnlazkcOXrIdevi7FQ"]),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", ["JHMHI8qBe7bk2ZwO5U711o3dV_js"]),
        ("json://user:pa%24%24word@hooks.example.org/alerts", ["pa%24%24word", "pa$$word"]),
    ],
)
def test_a_secret_address_shows_nowhere_from_then_on(tmp_path, address, secrets):
    found = at(tmp_path, TAPELINE_ALERTS_OPS_MAIL_SECRET=address)
    for secret in secrets:
        assert not set(secret.split(":")) & set(masking.mask(f"at {secret} and so on").replace(":", " ").split())
        assert secret not in repr(found.shown)
    assert address not in masking.mask(address)
    assert masking.mask("alerts of example.org, user me") == "alerts of example.org, user me", "ordinary words stay"


def test_a_password_is_hidden_as_http_spells_it_with_its_user_too(tmp_path):
    """A webhook that says back what it was sent: `Authorization: Basic …`."""
    at(tmp_path, "json://user:{secret}@hooks.example.org", TAPELINE_ALERTS_OPS_MAIL_SECRET="pa$$word")
    for user in (b"user:pa$$word", b"pa$$word"):
        assert user.decode() not in masking.mask(f"{user.decode()} was heard")
    assert masking.mask(f"Basic {b64encode(b'user:pa$$word').decode()} / ") == "Basic *** / "


def test_names_and_recipients_of_a_secret_address_are_no_secrets(tmp_path):
    address = "mailtos://tapeline:hunter2horse@smtp.example.org?from=tapeline@example.org&to=operators@example.org"
    at(tmp_path, TAPELINE_ALERTS_OPS_MAIL_SECRET=address)
    assert set(masking._hidden) == {address, "hunter2horse", b64encode(b"tapeline:hunter2horse").decode()}


def test_only_the_secret_may_come_from_outside(tmp_path):
    found = at(
        tmp_path, "tgram://{secret}/987654321", TAPELINE_ALERTS_OPS_MAIL_SECRET="123456789:AAEkXbz0y1QpRtUv5wXyZa2bCdEfGhIjKlM"
    )
    assert found.shown == "tgram://{secret}/987654321"
    assert "AAEkXbz" not in masking.mask(str(found.notifier._plugin.url()))


@pytest.mark.parametrize(
    "url",
    [
        "mailtos://me:hunter2horse@smtp.example.org",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    ],
)
def test_a_secret_in_the_settings_is_refused_without_being_said(tmp_path, url):
    with pytest.raises(ConfigError, match=r"holds a secret; write \{secret\} in its place") as caught:
        at(tmp_path, url)
    assert not set(secret_parts(url)) & set(str(caught.value).replace("'", " ").replace("/", " ").split())
    assert caught.value.key == "alerts.targets.ops-mail.url"


@pytest.mark.parametrize(
    ("url", "env", "words"),
    [
        ("", {}, "there is no target ops-mail"),
        ("tgram://{secret}/1", {}, "put its secret into TAPELINE_ALERTS_OPS_MAIL_SECRET"),
        ("nothing://x", {}, "no address that apprise can send to"),
        ("", {"TAPELINE_ALERTS_OPS_MAIL_SECRET": "tgram://no-token"}, "no address that apprise can send to"),
    ],
)
def test_what_cannot_be_a_target_is_named_with_the_fix(tmp_path, url, env, words):
    with pytest.raises(ConfigError, match=words):
        at(tmp_path, url, **env)


def test_all_targets_that_are_named_are_made_at_once(tmp_path):
    settings = AlertsSettings(notify=("b",), targets={"a": TargetSettings(url="json://localhost", per_minute=3)}, per_minute=7)
    env = {"TAPELINE_ALERTS_B_SECRET": "json://localhost/b", "TAPELINE_ALERTS_C_SECRET": "json://localhost/c"}
    found = targets.targets(settings, ["c"], env=env, directory=tmp_path)
    assert {name: one.per_minute for name, one in found.items()} == {"a": 3, "b": 7, "c": 7}


def test_what_apprise_says_stays_with_us_and_becomes_the_reason(tmp_path, caplog, capsys):
    found = at(tmp_path, TAPELINE_ALERTS_OPS_MAIL_SECRET="json://someone:s3cretword@127.0.0.1:9/x")
    with caplog.at_level(logging.DEBUG), pytest.raises(notifiers.NotSent) as caught:
        found.notifier.send(compose([alert(1)]))
    assert "refused" in str(caught.value).lower()
    heard = capsys.readouterr()
    assert "s3cret" not in str(caught.value) + caplog.text + heard.out + heard.err
    assert not logging.getLogger("apprise").propagate, "or the program's log would have it"


class Pager:
    """The example of docs/alerts.md."""

    sent: ClassVar[list[Message]] = []

    def __init__(self, address: str) -> None:
        self.address = address

    def send(self, message: Message) -> None:
        self.sent.append(message)


def test_a_notifier_of_another_package_is_found_by_the_scheme(tmp_path, monkeypatch):
    monkeypatch.setattr(notifiers, "_extensions", lambda: {"pager": Pager})
    found = at(tmp_path, "pager://duty")
    found.notifier.send(compose([alert(1)]))
    assert (found.notifier.address, [m.id for m in Pager.sent]) == ("pager://duty", ["a1"])


class Unmade(Pager):
    def __init__(self, address: str) -> None:
        raise ValueError(f"cannot read {address}")


def test_a_notifier_that_cannot_be_made_is_named_and_its_address_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(notifiers, "_extensions", lambda: {"pager": Unmade})
    with pytest.raises(ConfigError, match=r"url = 'pager://\*\*\*': pager: Unmade cannot be made: ValueError$"):
        at(tmp_path, "pager://duty")


def test_the_desktop_is_told_by_what_the_machine_has(tmp_path, monkeypatch):
    said = tmp_path / "said"
    tool = tmp_path / "notify-send"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {said}\n')
    tool.chmod(0o755)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    at(tmp_path, "desktop://").notifier.send(compose([alert(1, severity="critical")]))
    assert said.read_text().splitlines()[:4] == [
        "--app-name=Tapeline",
        "--urgency=critical",
        "--",
        "SIMULATED [critical] btc-high",
    ]
