"""redis-server, with an append-only file unless told otherwise."""

import socket
import subprocess

from tests.services.server import Server, program, shared


class RedisServer(Server):
    def __init__(self, *options: str) -> None:
        super().__init__()
        self.options = options or ("--appendonly", "yes")

    def command(self) -> list[str]:
        base = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "", "--databases", "5000"]
        return [program("redis-server"), *base, *self.options]

    def ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                s.sendall(b"PING\r\n")
                return s.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def cli(self, *arguments: str) -> str:
        return redis_cli(self.url(), *arguments)


def redis_cli(url: str, *arguments: str) -> str:
    """What redis-cli prints: not our code, nor our client."""
    return subprocess.run(
        [program("redis-cli"), "-u", url, *arguments], capture_output=True, text=True, check=True, errors="surrogateescape"
    ).stdout


def shared_redis() -> str:
    """The address of the one server that tests share, without a database."""
    return shared("redis", lambda: RedisServer("--appendonly", "no").start().url(0).rpartition("/")[0])
