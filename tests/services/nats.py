"""nats-server with JetStream, and a client of a few lines that speaks the protocol itself, so that what is stored is read without nats-py."""

import json
import secrets
import socket
from collections.abc import Iterator
from typing import Any

from tests.services.server import Server, program, shared


class NatsServer(Server):
    def __init__(self, *options: str) -> None:
        super().__init__()
        self.options = options or ("-js",)

    def command(self) -> list[str]:
        base = ["-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self.folder)]
        return [program("nats-server"), *base, *self.options]

    def ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                return s.recv(4) == b"INFO"
        except OSError:
            return False

    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"


def shared_nats() -> str:
    return shared("nats", lambda: NatsServer().start().url())


class Raw:
    """A connection that sends CONNECT, SUB and PUB as text."""

    def __init__(self, url: str) -> None:
        host, _, port = url.rpartition("/")[2].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self._own = f"raw.{secrets.token_hex(8)}"  # consumers of earlier connections deliver to names of their own
        subscriptions = "".join(f"SUB {self._own}.{name} {sid}\r\n" for sid, name in enumerate(("answer", "made", "all"), 1))
        self._socket.sendall(b'CONNECT {"verbose":false,"headers":true}\r\n' + subscriptions.encode())

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, subject: str, body: Any = "") -> Any:
        """A request of the JetStream API: JSON there, JSON back."""
        self._publish(subject, json.dumps(body).encode() if body else b"", "answer")
        return json.loads(next(self._messages())[2])

    def _publish(self, subject: str, body: bytes, reply: str) -> None:
        head = f"PUB {subject} {self._own}.{reply} {len(body)}\r\n"
        self._socket.sendall(head.encode() + body + b"\r\n")

    def _messages(self) -> Iterator[tuple[str, dict[str, str], bytes]]:
        while True:
            words = self._file.readline().split()
            if words[:1] == [b"PING"]:
                self._socket.sendall(b"PONG\r\n")
            elif words[:1] in ([b"MSG"], [b"HMSG"]):
                whole = self._file.read(int(words[-1]) + 2)[:-2]
                size = int(words[-2]) if words[0] == b"HMSG" else 0
                lines = whole[:size].decode().split("\r\n")[1:]
                headers = {k: v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
                yield words[1].decode(), headers, whole[size:]

    def stream(self, name: str) -> Iterator[tuple[str, dict[str, str], bytes]]:
        """Every message of a stream, in order: by a consumer that delivers them all to us."""
        state = self.ask(f"$JS.API.STREAM.INFO.{name}")
        if not state.get("state", {}).get("messages"):
            return
        config = {
            "deliver_subject": f"{self._own}.all",
            "deliver_policy": "all",
            "ack_policy": "none",
            "replay_policy": "instant",
        }
        self._publish(f"$JS.API.CONSUMER.CREATE.{name}", json.dumps({"stream_name": name, "config": config}).encode(), "made")
        left = state["state"]["messages"]
        for subject, headers, body in self._messages():
            if b'"type":"io.nats' in body[:40]:
                assert b'"error"' not in body, body
                continue
            yield subject, headers, body
            left -= 1
            if not left:
                return
