"""What carries a message to somebody: `apprise` for nearly everything, this machine's desktop, or a class of the user's.

A notifier is made from a target's address and sends one message; whatever it raises is a failed attempt, tried again by the outbox.
It runs in a thread of its target's, so it may block; it is not called again before it has returned.

    class Pager:                                    [project.entry-points."tapeline.notifiers"]
        def __init__(self, address: str) -> None:   pager = "my_package:Pager"
            self.address = address

        def send(self, message: Message) -> None:   url = "pager://duty" in [alerts.targets.ops]
            ...

apprise says why a message did not go out only in its log: what the sending thread logs is the reason, masked. Its own time-outs and
retries are left as they are (one attempt, seconds), because the outbox has its own.
"""

import json
import logging
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import unquote

from tapeline.alerts.message import Message
from tapeline.errors import UsageError, VenueError
from tapeline.events import to_json
from tapeline.masking import hide, mask

WORST = 600  # characters of a reason
_UNUSUAL = re.compile(r"(?=.*[0-9A-Z]).{8,}|.{16,}")
_DESKTOPS = ("dbus", "glib", "gnome", "macosx", "windows")


class Notifier(Protocol):
    def __init__(self, address: str) -> None:
        """`address`: the target's whole address, secret included. Raises UsageError where it cannot be one."""
        ...

    def send(self, message: Message) -> None:
        """Raises where it did not go through."""
        ...


class NotSent(VenueError):
    """The target did not take the message; the text says why, masked."""


class Apprise:
    """One address of apprise."""

    def __init__(self, address: str) -> None:
        _listen()
        with _heard() as said, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of modules that apprise and its services still use
            import apprise

            asset = apprise.AppriseAsset(app_id="Tapeline", app_desc="Tapeline", app_url="")
            plugin: Any = apprise.Apprise.instantiate(address, asset=asset)
        if plugin is None:
            scheme = address.partition(":")[0]
            raise UsageError(f"{scheme}: is no address that apprise can send to ({_reason(said) or 'it does not know it'})")
        self._plugin: Any = plugin
        for part in private_parts(address, self._plugin.url(privacy=True)):
            hide(part)

    def send(self, message: Message) -> None:
        import apprise

        self._label(message)
        kind = {"info": apprise.NotifyType.INFO, "warning": apprise.NotifyType.WARNING}.get(
            message.severity, apprise.NotifyType.FAILURE
        )
        if message.state == "resolved":
            kind = apprise.NotifyType.SUCCESS
        with _heard() as said:
            sent = self._plugin.notify(
                body=message.body, title=message.title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
            )
        if not sent:
            raise NotSent(_reason(said) or "apprise did not get it through and does not say why")

    def _label(self, message: Message) -> None:
        """For programs: webhooks get the alerts themselves beside the text, e-mail a header with the id."""
        if isinstance(getattr(self._plugin, "payload_extras", None), dict) and self._plugin.service_name == "JSON":
            alerts = [json.loads(to_json(a)) for a in message.alerts]
            own = {"id": message.id, "severity": message.severity, "state": message.state, "simulated": message.simulated}
            self._plugin.payload_extras.update(own | {"alerts": alerts, "link": message.link})
        elif type(self._plugin).__name__ == "NotifyEmail":
            self._plugin.headers["X-Tapeline-Alert"] = message.id


class Desktop:
    """`desktop://`: a note on this machine's screen, by whatever it has for that."""

    def __init__(self, address: str) -> None:
        self._by: Apprise | None = None
        self._command = shutil.which("notify-send") if sys.platform.startswith("linux") else None
        if self._command:
            return
        for scheme in _DESKTOPS:
            try:
                self._by = Apprise(f"{scheme}://")
            except UsageError:
                continue
            return
        raise UsageError(f"{address}: this machine has nothing that shows notes (install `notify-send`)")

    def send(self, message: Message) -> None:
        if self._by is not None:
            self._by.send(message)
            return
        urgency = {"info": "low", "critical": "critical"}.get(message.severity, "normal")
        words = [self._command or "", "--app-name=Tapeline", f"--urgency={urgency}", "--", message.title, message.body]
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603  found by `which`
        if done.returncode:
            raise NotSent(f"notify-send: {mask(done.stderr.strip())[:WORST]}")


def make(address: str) -> Notifier:
    """The notifier of an address, by its scheme: a class found by entry point, the desktop, else apprise. Raises UsageError."""
    scheme = address.partition(":")[0].lower()
    own = _extensions().get(scheme)
    kind: Any = own or (Desktop if scheme == "desktop" else Apprise)
    try:
        made: Notifier = kind(address)
    except UsageError:
        raise
    except (Exception, SystemExit) as e:  # noqa: BLE001 - a class of somebody else; the address is no part of what is said
        raise UsageError(f"{scheme}: {kind.__name__} cannot be made: {type(e).__name__}") from None
    return made


def _extensions() -> dict[str, type]:
    from tapeline.extensions import found

    return found("notifiers")


def private_parts(address: str, shown: str) -> list[str]:
    """What of an address its service would not show: words of `address`, its parameters apart, that are not in `shown`, its private
    form. Ordinary words are none: hidden, they would riddle everything that is said.
    """
    visible = unquote(shown)
    words = re.split(r"[/@#:]", address.partition("://")[2].partition("?")[0])
    hidden = (word for word in words if unquote(word) not in visible and _UNUSUAL.fullmatch(word))
    return [form for word in hidden for form in {word, unquote(word)}]


class _Ears(logging.Handler):
    """Collects what each thread logs while it sends."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: dict[int, list[tuple[int, str]]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        lines = self.said.get(threading.get_ident())
        if lines is not None and len(lines) < 200:
            lines.append((record.levelno, record.getMessage()))


_ears = _Ears()


def _listen() -> None:
    """apprise's log goes to us alone: at its debug level it shows addresses and texts."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    if _ears not in logger.handlers:
        logger.addHandler(_ears)


@contextmanager
def _heard() -> Iterator[list[tuple[int, str]]]:
    said: list[tuple[int, str]] = []
    _ears.said[threading.get_ident()] = said
    try:
        yield said
    finally:
        del _ears.said[threading.get_ident()]


def _reason(said: list[tuple[int, str]]) -> str:
    """What was said as a warning, and the exception behind it, which is told at the debug level only."""
    lines = [text for level, text in said if level >= logging.WARNING or "Exception:" in text or "Response Details" in text]
    return mask("; ".join(" ".join(line.split()) for line in lines))[:WORST]
