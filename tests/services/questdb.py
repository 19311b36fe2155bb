"""A stand-in for QuestDB, whose server is a Java program that the registries at hand do not carry.

It speaks what the sink and QuestDB's client speak, as QuestDB documents it: `/settings`, `/write` (the line protocol, version
2, read here by a parser of our own) and `/exec` for the handful of statements the sink sends. It keeps what matters to the
promise:

  * a request of `/write` is taken wholly or not at all, table by table; a line that does not fit its table refuses all of them
  * DEDUP UPSERT KEYS: a row with the keys of another takes its place
  * rows become visible later than they are taken, while `lagging`

It is stricter than QuestDB, which would make missing tables and columns by itself. That a real server behaves like this is not
proved.
"""

import base64
import json
import os
import re
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from tests.services.server import free_port

PLACE = "QUESTDB_STAND_IN"
Row = dict[str, Any]
_CREATE = re.compile(
    r'CREATE TABLE IF NOT EXISTS "(\w+)" \((.*)\) TIMESTAMP\("timestamp"\) PARTITION BY (\w+) WAL DEDUP UPSERT KEYS\((.*)\)',
    re.DOTALL,
)
_ALTER = re.compile(r'ALTER TABLE "(\w+)" ADD COLUMN "(\w+)" (\S+)')
_DESCRIBE = re.compile(r"SELECT \"column\", type, designated, upsertKey FROM table_columns\('(\w+)'\)")
_SELECT = re.compile(r'SELECT (.*?) FROM "?(\w+)"?(?: WHERE (?:(finished)|session_id = \'((?:[^\']|\'\')*)\'))?', re.DOTALL)
_KINDS = {bool: {"BOOLEAN"}, int: {"LONG", "INT"}, float: {"DOUBLE"}, str: {"VARCHAR"}, np.ndarray: {"DOUBLE[][]"}}


class No(Exception):
    """What the server answers with 400."""


class Table:
    def __init__(self, columns: dict[str, str], keys: tuple[str, ...]) -> None:
        self.columns, self.keys = columns, keys
        self.wal: list[Row] = []
        self.rows: dict[Any, Row] = {}
        self.taken = 0

    def check(self, row: Row, few: set[str]) -> None:
        for name, value in row.items():
            kind = self.columns.get(name)
            if kind is None:
                raise No(f"no column {name}")
            fits = {"SYMBOL"} if name in few else {"TIMESTAMP_NS"} if name == "timestamp" else _KINDS[type(value)]
            if kind not in fits:
                raise No(f"cast error from {type(value).__name__} to {kind} [column={name}]")

    def apply(self) -> None:
        for row in self.wal:
            self.rows[tuple(row.get(key) for key in self.keys)] = row
        self.wal.clear()


class QuestDB:
    """`trouble(path)` may return a status that is answered instead, or wait, or raise ConnectionError; `after(path)` likewise once
    a request was carried out.
    """

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.lagging = False
        self.versions = [1, 2]
        self.needs = ""  # the Authorization header, where one is needed
        self.trouble: Callable[[str], int | None] = lambda _: None
        self.after: Callable[[str], int | None] = lambda _: None
        self.lock = threading.Lock()
        self.port = 0
        self._up = False
        self._server: ThreadingHTTPServer | None = None

    @property
    def is_up(self) -> bool:
        return self._up

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "QuestDB":
        stand_in, self._up = self, True

        class Handler(_Handler):
            server_of = stand_in

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port or free_port()), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """The process is gone, with its connections; what it took is on its disk."""
        self._up = False
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def needs_password(self, user: str, password: str) -> None:
        self.needs = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def write(self, body: bytes) -> None:
        with self.lock:
            found: list[tuple[Table, Row]] = []
            for name, symbols, columns, at in lines(body):
                if (table := self.tables.get(name)) is None:
                    raise No(f"table does not exist [table={name}]")
                row = {**symbols, **columns, "timestamp": at}
                table.check(row, set(symbols))
                found.append((table, row))
            for table, row in found:
                table.wal.append(row)
                table.taken += 1
                if not self.lagging:
                    table.apply()

    def execute(self, statement: str) -> dict[str, Any]:
        with self.lock:
            if made := _CREATE.fullmatch(statement):
                columns = dict(re.findall(r'"(\w+)" ([A-Z_\[\]]+)', made[2]))
                self.tables.setdefault(made[1], Table(columns, tuple(made[4].split(", "))))
                return {"ddl": "OK"}
            if found := _ALTER.fullmatch(statement):
                self.tables[found[1]].columns[found[2]] = found[3]
                return {"ddl": "OK"}
            if found := _DESCRIBE.fullmatch(statement):
                table = self._table(found[1])
                return {"dataset": [[n, k, n == "timestamp", n in table.keys] for n, k in table.columns.items()]}
            if found := _SELECT.fullmatch(statement):
                return {"dataset": list(self._select(*found.groups()))}
        raise No("unexpected token")

    def _table(self, name: str) -> Table:
        if name not in self.tables:
            raise No(f"table does not exist [table={name}]")
        if not self.lagging:
            self.tables[name].apply()
        return self.tables[name]

    def _select(self, what: str, name: str, finished: str | None, session: str | None) -> Iterator[list[Any]]:
        for row in self._table(name).rows.values():
            if finished and not row["finished"]:
                continue
            if session is None or row["session_id"] == session.replace("''", "'"):
                yield [row.get(column.strip()) for column in what.split(",")]

    def drop(self, prefix: str) -> None:
        with self.lock:
            for name in [name for name in self.tables if name.startswith(prefix)]:
                del self.tables[name]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: QuestDB

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/settings":
            config = {"release.version": "9.1.1", "line.proto.support.versions": self.server_of.versions}
            self._carry_out(lambda: {"config": config})
        else:
            self._carry_out(lambda: self.server_of.execute(parse_qs(address.query)["query"][0]))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._carry_out(lambda: self.server_of.write(body))

    def _carry_out(self, work: Callable[[], dict[str, Any] | None]) -> None:
        server, path = self.server_of, urlsplit(self.path).path
        if not server.is_up:
            self.close_connection = True
            return
        try:
            if server.needs and path != "/settings" and self.headers.get("Authorization") != server.needs:
                self._answer(401, {"error": "Unauthorized"})
            elif status := server.trouble(path):
                self._answer(status, {"error": "in trouble", "message": "in trouble", "code": "internal"})
            else:
                said = work()
                status = server.after(path) or (204 if said is None else 200)
                self._answer(status, said)
        except No as e:
            self._answer(400, {"error": str(e), "message": str(e), "code": "invalid", "line": 1, "errorId": "t-1"})
        except ConnectionError:
            self.close_connection = True

    def _answer(self, status: int, said: dict[str, Any] | None) -> None:
        body = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


class Cursor:
    """Over a body of lines, with what version 2 adds in binary: `==` and a type."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def until(self, ends: bytes) -> str:
        """A name or symbol up to one of `ends`, which a backslash takes the meaning from."""
        taken = bytearray()
        while self.body[self.at] not in ends:
            if self.body[self.at] == 0x5C:
                self.at += 1
            taken.append(self.body[self.at])
            self.at += 1
        return taken.decode()

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + form, self.body, self.at)
        self.at += struct.calcsize("<" + form)
        return found

    def next(self) -> int:
        self.at += 1
        return self.body[self.at - 1]

    def value(self) -> Any:
        first = self.body[self.at]
        if first == ord("="):
            self.at += 1
            return self._binary(self.next())
        if first == ord('"'):
            self.at += 1
            text = self.until(b'"')
            self.at += 1
            return text
        text = self.until(b", \n")
        if text in ("t", "f"):
            return text == "t"
        if text.endswith("i"):
            return int(text[:-1])
        raise No(f"cannot read {text}")

    def _binary(self, kind: int) -> Any:
        if kind == 16:
            return self.take("d")[0]
        element, dimensions = self.take("BB")
        if kind != 14 or element != 10:
            raise No(f"binary type {kind}")
        shape = self.take(f"{dimensions}I")
        return np.array(self.take(f"{int(np.prod(shape))}d")).reshape(shape)


def lines(body: bytes) -> Iterator[tuple[str, dict[str, str], Row, int]]:
    """(table, symbols, columns, nanoseconds) of each line."""
    cursor = Cursor(body)
    while cursor.at < len(body):
        table, symbols, columns = cursor.until(b", "), {}, {}
        while cursor.next() == ord(","):
            name = cursor.until(b"=")
            cursor.at += 1
            symbols[name] = cursor.until(b", ")
        while True:
            name = cursor.until(b"=")
            cursor.at += 1
            columns[name] = cursor.value()
            if cursor.next() != ord(","):
                break
        at = cursor.until(b"\n")
        cursor.at += 1
        if not re.fullmatch(r"\d+n", at):
            raise No(f"designated timestamp {at}")
        yield table, symbols, columns, int(at[:-1])


shared = QuestDB()
"""One for the tests of this process. Children find it by the environment."""


def address() -> str:
    if PLACE not in os.environ:
        os.environ[PLACE] = shared.start().address
    return os.environ[PLACE]
