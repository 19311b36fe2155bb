"""Targets by name: where each one's address comes from, and that its secrets never show.

    address without a secret     `[alerts.targets.ops-mail]` `url = "mailto://localhost?to=ops@example.org"`
    with a secret in it          `url = "tgram://{secret}/12345"`, and TAPELINE_ALERTS_OPS_MAIL_SECRET
    secret as a whole            TAPELINE_ALERTS_OPS_MAIL_SECRET = the whole address; it needs no table

The variable stands in the environment or in `.env`, or the keyring has it (`keyring set tapeline alerts-ops-mail`). A secret is told
to `masking.hide` before anybody gets it: as a whole, and every part of the address that looks like one or that its service would not
show. An address in the settings that holds a secret stops the start: settings are shown, copied and committed.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import msgspec

from tapeline.alerts.message import rank
from tapeline.alerts.notifiers import Notifier, make
from tapeline.config import AlertsSettings, TargetSettings
from tapeline.errors import ConfigError, UsageError
from tapeline.events import Alert
from tapeline.keys import secret_of
from tapeline.masking import MASK, hide, mask

PLACE = "{secret}"
_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w+=.-]{16,}$|[A-Za-z0-9_-]{32,}$")


class Target(msgspec.Struct, frozen=True):
    """`shown`: the address as one may see it."""

    name: str
    settings: TargetSettings
    per_minute: int
    notifier: Notifier
    shown: str

    def takes(self, alert: Alert, *, resolved: bool) -> bool:
        """`resolved`: whether the rule wants its end told."""
        if alert.state == "resolved" and not (resolved or self.settings.resolved):
            return False
        return rank(alert.severity) >= rank(self.settings.severity)


def variable(name: str) -> str:
    return f"TAPELINE_ALERTS_{name}_SECRET".upper().replace("-", "_")


def targets(
    settings: AlertsSettings, named: Iterable[str] = (), *, env: Mapping[str, str] | None = None, directory: Path | None = None
) -> dict[str, Target]:
    """Those of the settings, and those that `named` (by rules) have a secret for. Raises ConfigError on the first that is wrong."""
    names = dict.fromkeys([*settings.targets, *settings.notify, *named])
    return {name: target(settings, name, env=env, directory=directory) for name in names}


def target(
    settings: AlertsSettings, name: str, *, env: Mapping[str, str] | None = None, directory: Path | None = None
) -> Target:
    """Raises ConfigError where there is no such target, or its address cannot be one."""
    own = settings.targets.get(name, TargetSettings())
    address = _address(name, own, env, directory)
    try:
        notifier = make(address)
    except UsageError as e:
        raise ConfigError(_key(name), _refused(own.url), mask(str(e))) from None
    return Target(name, own, own.per_minute or settings.per_minute, notifier, mask(_shown(own.url) or f"of {variable(name)}"))


def _address(name: str, own: TargetSettings, env: Mapping[str, str] | None, directory: Path | None) -> str:
    if own.url and PLACE not in own.url:
        _without_secret(name, own.url)
        return own.url
    secret = secret_of("alerts", f"{name}_SECRET", env=env, directory=directory, keyring=f"alerts-{name}")
    if not secret:
        raise ConfigError(
            _key(name),
            own.url or None,
            f"there is no target {name}: write `[alerts.targets.{name}]` with its url, or put its whole address "
            f"into {variable(name)} in the environment or an .env file"
            if not own.url
            else f"put its secret into {variable(name)} in the environment or an .env file",
        )
    quoted = quote(secret, safe="")
    if PLACE in own.url:
        hide(quoted)
    address = own.url.replace(PLACE, quoted) or secret  # as a whole where the table names none
    for part in secret_parts(address):
        hide(part)
    return address


def secret_parts(address: str) -> list[str]:
    """What of an address is a secret by itself: the password, and each part that looks like a token. A user's name is none."""
    parts = urlsplit(address)
    user, _, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    words = [password]
    if password:  # as HTTP spells the two
        words.append(b64encode(unquote(user).encode()).decode())
    others = re.split(r"[/?&=#,]", f"{name}/{place}/{parts.path}/{parts.query}/{parts.fragment}")
    words += [word for word in others if _TOKEN.match(unquote(word)) and not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", word)]
    return [form for word in words if word for form in {word, unquote(word)}]


def _without_secret(name: str, url: str) -> None:
    """A user may stand in an address of the settings; a password or a token may not."""
    found = secret_parts(url)
    if found:
        for part in found:
            hide(part)
        raise ConfigError(
            _key(name), _shown(url), f"holds a secret; write {PLACE} in its place, and put it into {variable(name)}"
        )


def _key(name: str) -> str:
    return f"alerts.targets.{name}.url"


def _shown(url: str) -> str:
    return mask(url)


def _refused(url: str) -> str:
    """Of an address that cannot be read nobody knows which part is the secret."""
    scheme, colon, _ = url.partition("://")
    return _shown(url) if PLACE in url or not colon else f"{scheme}://{MASK}"
