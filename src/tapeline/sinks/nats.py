"""NATS JetStream: a message an event (`sinks/messages.py` says what it holds) in one stream.

    subject    tapeline.trade.binance.BTC-USDT          what NATS keeps for itself in names is written %2E
    headers    session, n, seq, type; Nats-Msg-Id `<session>-<n>`; `part` and `parts` where the server takes no larger message
    positions  the key-value bucket `<stream>_positions`, a key a session

A stream has no transactions. What makes a commit exact is the order in a stream: a commit is a chain of messages, of which each is
stored only right behind the one before it (`nats_link.py`). So after any failure, of ours or the server's, what of a commit is there
is its beginning, and it lies right behind `last`, the place where the commit began, which the position names. How far it reaches is
looked up in the stream, and only the rest is published. No window of time is needed for that; the server's memory of Nats-Msg-Id
(two minutes) only covers what of a link that died is still on its way into the stream while we look.

    1. the position says where the chain begins, unless it says so already
    2. the chain is published
    3. the position moves past it

Positions stand beside the stream and not in it, so that they outlive messages that the stream's limits remove. Where the stream has
lost messages all the same (it was deleted; a power cut took what the server had not synced), its end lies before the place that a
position names, or it is another stream: that position is dropped, and its session comes again from the tape.

Two Tapelines with different data directories may share a stream: a chain that meets another's message ends there and is begun again
behind it. One data directory is one writer (`Claim`); positions are written under the revision that was read.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from tapeline.config import NatsSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Event
from tapeline.keys import secret_of
from tapeline.masking import mask
from tapeline.sinks.messages import Claim, Message, Reached, check_follows, messages, parts
from tapeline.sinks.nats_link import Link, Out

if TYPE_CHECKING:
    from nats.js.client import JetStreamContext

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
OVERTAKEN_TRIES = 5
WRONG_LAST_SEQUENCE = 10071
_UNSAFE = re.compile(r"[\x00-\x20\x7f.*>%]")


class Place(Reached, frozen=True, omit_defaults=True):
    """`last`: the stream's message behind which the rest of the session goes; `stream`: when that stream was made."""

    last: int = 0
    stream: str = ""


class NatsSink:
    name = "nats"

    def __init__(self, data: Path, settings: NatsSettings) -> None:
        self._data, self._settings = Path(data), settings
        self._bucket = f"{settings.stream}_positions"
        self._claim: Claim | None = None
        self._link: Link | None = None
        self._positions: Any = None
        self._places: dict[str, Place] = {}
        self._revisions: dict[str, int] = {}
        self._last = 0
        self._stream = ""
        self._told: dict[str, int] = {}
        """The positions that our callers know. One that moves back must be asked for before anything is committed."""

    def open(self) -> None:
        try:
            from nats.errors import Error
        except ImportError as e:
            raise ConfigError("sinks.nats", True, f"{e.name} is not installed: `pip install 'tapeline[nats]'`") from None
        self._claim = Claim(self._data, self.name)
        try:
            self._connect()
            self._check_rights()
        except (Error, OSError) as e:
            text = self._why(e)
            self.close()
            raise self._unusable(text) from None
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        """A new link, and what the server holds: the stream's end, every position, and how far a commit that broke off has come."""
        options = {"password": "PASSWORD", "token": "TOKEN"}
        secrets = {option: secret for option, name in options.items() if (secret := secret_of("nats", name))}
        servers = self._servers()
        user = re.match(r"\w+://([^:@/]+)@", servers[0] if servers else "")
        if user and "password" in secrets:
            secrets["user"] = user[1]
        self._link = Link(servers, CONNECT_SECONDS, ANSWER_SECONDS, **secrets)
        try:
            self._link.call(self._load(self._link.jetstream), 4 * ANSWER_SECONDS)
        except BaseException:
            self._drop()
            raise

    def _servers(self) -> list[str]:
        servers = [server.strip() for server in self._settings.servers.split(",") if server.strip()]
        for server in servers:
            try:
                urlsplit(server if "://" in server else f"nats://{server}").port  # noqa: B018 - raises where it is none
            except ValueError:  # its text may quote a piece of a password that is not encoded
                text = "is no address: write nats://HOST:PORT; a password belongs into TAPELINE_NATS_PASSWORD"
                raise ConfigError("nats.servers", mask(self._settings.servers), text) from None
        return servers

    async def _load(self, jetstream: "JetStreamContext") -> None:
        from nats.js.api import StorageType, StreamConfig
        from nats.js.errors import NotFoundError

        name, wanted = self._settings.stream, f"{self._settings.subject}.>"
        try:
            info = await jetstream.stream_info(name)
        except NotFoundError:
            info = await jetstream.add_stream(StreamConfig(name=name, subjects=[wanted], storage=StorageType.FILE))
        taken = await self._stream_of(jetstream, f"{self._settings.subject}.trade._._")
        if taken != name:
            raise ConfigError("nats.stream", name, f"does not take the subjects {wanted}: add them to the stream")
        self._last, self._stream = info.state.last_seq, str(info.created)
        try:
            self._positions = await jetstream.key_value(self._bucket)
        except NotFoundError:
            self._positions = await jetstream.create_key_value(bucket=self._bucket, history=1)
        await self._load_positions()
        for session, place in self._places.items():
            if not place.finished:
                self._places[session] = await self._with_broken_off(jetstream, session, place)

    async def _stream_of(self, jetstream: "JetStreamContext", subject: str) -> str:
        from nats.js.errors import NotFoundError

        try:
            return str(await jetstream.find_stream_name_by_subject(subject))
        except NotFoundError:
            return ""

    async def _load_positions(self) -> None:
        self._places.clear()
        self._revisions.clear()
        watcher = await self._positions.watchall()
        async for entry in watcher:
            if entry is None:
                break
            self._revisions[entry.key] = entry.revision
            place = _place(entry.value, f"{self._bucket}.{entry.key}")
            if place.stream == self._stream and place.last <= self._last:
                self._places[entry.key] = place
        await watcher.stop()

    async def _with_broken_off(self, jetstream: "JetStreamContext", session: str, place: Place) -> Place:
        """The place with what a commit that was cut short left behind it: a run of the session's messages, found by bisection."""
        first, end, found = place.last + 1, self._last + 1, None
        while first < end:
            middle = (first + end) // 2 if found else first  # mostly there is nothing at all
            headers = await self._headers(jetstream, middle)
            if headers.get("session") == session:
                first, found = middle + 1, headers
            else:
                end = middle
        if found is None:
            return place
        whole = found.get("part") == found.get("parts")
        return msgspec.structs.replace(place, last=first - 1, ahead=int(found["n"]) - place.n + whole)

    async def _headers(self, jetstream: "JetStreamContext", sequence: int) -> dict[str, str]:
        from nats.js.errors import NotFoundError

        try:
            return (await jetstream.get_msg(self._settings.stream, sequence)).headers or {}
        except NotFoundError:
            return {}

    def _check_rights(self) -> None:
        """A message that the stream refuses in any case shows whether we may publish at all."""
        from nats.js.errors import APIError

        link = self._open_link
        try:
            link.publish([Out(f"{self._settings.subject}.trade._._", "rights", b"", {})], (1 << 62) + self._last)
        except APIError as e:
            if e.err_code != WRONG_LAST_SEQUENCE:
                raise

    @property
    def _open_link(self) -> Link:
        if self._claim is None:
            raise IntegrityError("the NATS sink is not open: call open() first")
        if self._link is not None and not self._link.alive:
            self._drop()
        if self._link is None:
            self._connect()
        assert self._link is not None  # noqa: S101 - for the type checker
        return self._link

    def position(self, session: str) -> int:
        with self._as_oserror():
            self._open_link  # noqa: B018 - connects, and so reads what is there
            self._told[session] = self._places.get(session, Place()).seq
        return self._told[session]

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        for tries in range(OVERTAKEN_TRIES, 0, -1):
            with self._as_oserror():
                try:
                    self._commit(self._open_link, session, seq, events)
                except Exception as e:
                    self._drop()
                    if tries == 1 or getattr(e, "err_code", 0) != WRONG_LAST_SEQUENCE:
                        raise
                else:
                    return

    def _commit(self, link: Link, session: str, seq: int, events: Sequence[Event]) -> None:
        place = self._places.get(session, Place())
        if self._told.setdefault(session, place.seq) != place.seq:
            del self._told[session]
            raise OSError("the stream does not hold any more what was committed: it begins again from the tape")
        check_follows(self.name, session, seq, place)
        if len(events) > place.ahead:
            if place.last != self._last or place.stream != self._stream:
                place = msgspec.structs.replace(place, last=self._last, stream=self._stream)
                self._put(link, session, place)
            self._last = link.publish(self._out(messages(events, place), session, seq, link.most_bytes), self._last)
        reached = place.past(seq, len(events))
        self._put(link, session, msgspec.structs.replace(reached, last=self._last, stream=self._stream))
        self._told[session] = seq

    def _put(self, link: Link, session: str, place: Place) -> None:
        revision = self._revisions.get(session, 0)
        self._revisions[session] = link.call(self._positions.update(session, msgspec.json.encode(place), last=revision))
        self._places[session] = place

    def _out(self, given: Iterator[Message], session: str, seq: int, most: int) -> Iterator[Out]:
        begun = self._last
        for kind, place, n, body in given:
            venue, _, symbol = place.partition(":")
            subject = f"{self._settings.subject}.{kind}.{_token(venue)}.{_token(symbol)}"
            headers = {"session": session, "n": str(n), "seq": str(seq), "type": kind}
            if len(body) <= most:
                yield Out(subject, f"{session}-{n}", body, headers)
                continue
            pieces = parts(body, most)
            for number, piece in enumerate(pieces, 1):
                more = {"part": str(number), "parts": str(len(pieces))}
                # parts that another attempt left behind begin anew, so they must not be taken for these
                yield Out(subject, f"{session}-{n}-{number}-{begun}", piece, {**headers, **more})

    def finished(self) -> Iterable[str]:
        with self._as_oserror():
            self._open_link  # noqa: B018 - connects, and so reads what is there
            return [session for session, place in self._places.items() if place.finished]

    def finish(self, session: str) -> None:
        with self._as_oserror():
            try:
                link = self._open_link
                place = self._places.get(session, Place(last=self._last, stream=self._stream))
                self._put(link, session, msgspec.structs.replace(place, finished=True))
            except Exception:
                self._drop()
                raise

    @contextmanager
    def _as_oserror(self) -> Iterator[None]:
        from nats.errors import Error

        try:
            yield
        except (Error, TimeoutError) as e:
            raise OSError(f"NATS at {mask(self._settings.servers)}: {self._why(e)}") from e

    def _why(self, error: BaseException) -> str:
        said = str(error) or (self._link.complaint if self._link is not None else "")
        if isinstance(error, TimeoutError):
            said = f"no answer in time{f'; {said}' if said else ''}"
        return " ".join(mask(said or type(error).__name__).split())

    def _unusable(self, text: str) -> ConfigError:
        hints = {
            "uthorization": "lets nobody in ({}): set TAPELINE_NATS_PASSWORD, with the user in the address, or TAPELINE_NATS_TOKEN",
            "ermissions": "does not allow it ({}): docs/sinks.md names the subjects that the user needs",
            "jetstream not enabled": "has no JetStream ({}): start it with `nats-server -js`",
            "ServiceUnavailable": "has no JetStream ({}): start it with `nats-server -js`",
        }
        fitting = (hint for sign, hint in hints.items() if sign in text)
        fix = next(fitting, "cannot be used ({}): start it, or set another address").format(text)
        return ConfigError("nats.servers", mask(self._settings.servers), fix)

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        self._drop()
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        self._told.clear()


def _place(raw: bytes | None, where: str) -> Place:
    try:
        return msgspec.json.decode(raw or b"{}", type=Place)
    except msgspec.DecodeError as e:
        raise IntegrityError(f"{where} holds {(raw or b'')[:80]!r}, which is no position of ours ({e}): remove it") from e


def _token(text: str) -> str:
    """A level of a subject: no blanks, dots or wildcards, never empty."""
    return _UNSAFE.sub(lambda c: f"%{ord(c[0]):02X}", text) or "_"
