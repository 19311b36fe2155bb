"""QuestDB's two doors over HTTP: `/exec` for the few statements we need, and the line protocol, by QuestDB's own client.

The client is told not to flush by itself and not to try again: when an attempt failed is for the runner to know, and a second
one is harmless, because rows replace themselves. Each request has a deadline of its own; a large one gets longer, at 1 MB a
second.
"""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from questdb import QuestDBError, Sender

from tapeline.config import QuestdbSettings
from tapeline.errors import ConfigError
from tapeline.keys import secret_of
from tapeline.masking import mask

ANSWER_SECONDS = 10.0
BYTES_A_SECOND = 1 << 20


class Refused(OSError):
    """The server answered, and said no. `status` is the HTTP status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Door:
    def __init__(self, settings: QuestdbSettings, seconds: float) -> None:
        self._settings, self._seconds = settings, seconds
        self._token, self._password = secret_of("questdb", "TOKEN"), secret_of("questdb", "PASSWORD")
        if self._password and not self._token and not settings.user:
            raise ConfigError(
                "questdb.user", settings.user, "TAPELINE_QUESTDB_PASSWORD is set, but not whose it is: set the user"
            )
        host, colon, port = settings.address.rpartition(":")
        if not (host and colon and port.isdecimal() and 0 < int(port) < 65536) or set(settings.address) & set("/@;?#"):
            text = "is no address: write it as in localhost:9000; what lets one in is TAPELINE_QUESTDB_TOKEN or …_PASSWORD"
            raise ConfigError("questdb.address", mask(settings.address), text)
        self.shown = f"{'https' if settings.tls else 'http'}://{settings.address}"

    def execute(self, statement: str) -> list[list[Any]]:
        """The rows of a statement. Raises Refused or another OSError."""
        request = urllib.request.Request(f"{self.shown}/exec?{urllib.parse.urlencode({'query': statement})}")  # noqa: S310 - http(s) only
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        elif self._password:
            pair = base64.b64encode(f"{self._settings.user}:{self._password}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        try:
            with urllib.request.urlopen(request, timeout=self._seconds) as answer:  # noqa: S310 - http(s) only
                rows = json.load(answer).get("dataset", [])
        except urllib.error.HTTPError as e:
            with e:
                raise Refused(f"QuestDB at {self.shown}: {_reason(e)}", e.code) from None
        except (http.client.HTTPException, ValueError, AttributeError) as e:
            raise OSError(f"QuestDB at {self.shown} gave an answer that cannot be read: {type(e).__name__}") from e
        except OSError as e:
            raise OSError(f"QuestDB at {self.shown}: {getattr(e, 'reason', None) or e}") from e
        return list(rows)

    def sender(self) -> Sender:
        """Established. Raises OSError."""
        by_password = bool(self._password and not self._token)
        sender = Sender.from_conf(
            f"{'https' if self._settings.tls else 'http'}::addr={self._settings.address};",
            auto_flush=False,
            retry_timeout=0,
            request_timeout=int(self._seconds * 1000),
            request_min_throughput=BYTES_A_SECOND,
            token=self._token or None,
            username=self._settings.user if by_password else None,
            password=self._password if by_password else None,
        )
        try:
            sender.establish()  # type: ignore[no-untyped-call]
        except QuestDBError as e:
            raise self.trouble(e) from e
        return sender

    def trouble(self, error: QuestDBError) -> OSError:
        return OSError(f"QuestDB at {self.shown}: {mask(str(error))}")


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        said = json.loads(error.read(10_000))["error"]
    except (OSError, ValueError, KeyError, TypeError):
        said = error.reason
    return mask(f"{said} (HTTP {error.code})")
