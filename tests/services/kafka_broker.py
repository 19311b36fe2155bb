"""A small Kafka broker over real sockets: `python -m tests.services.kafka_broker PORT FOLDER LARGEST [PASSWORD]`. See `kafka_log.py` for what and why.

It speaks one old version of each request, without tagged fields; clients take what ApiVersions offers.
"""

import asyncio
import struct
import sys
from pathlib import Path
from typing import Any

from tests.services.kafka_log import NONE, UNKNOWN_TOPIC, Log

HOST = "127.0.0.1"
OFFERED = {
    0: (3, 3),
    1: (4, 4),
    2: (2, 2),
    3: (4, 4),
    10: (1, 1),
    17: (1, 1),
    18: (0, 3),
    19: (2, 4),
    22: (0, 1),
    24: (0, 1),
    26: (0, 1),
    36: (0, 0),
}
SASL_FAILED, TOPIC_FORBIDDEN = 58, 29


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> Any:
        (value,) = struct.unpack_from(f">{form}", self.data, self.at)
        self.at += struct.calcsize(f">{form}")
        return value

    def raw(self, size: int) -> bytes:
        self.at += max(size, 0)
        return self.data[self.at - max(size, 0) : self.at]

    def text(self) -> str | None:
        size = self.take("h")
        return None if size < 0 else self.raw(size).decode()

    def array(self, item: Any) -> list[Any]:
        return [item() for _ in range(self.take("i"))]


def text(value: str | None) -> bytes:
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value.encode())) + value.encode()


def array(items: Any) -> bytes:
    made = list(items)
    return struct.pack(">i", len(made)) + b"".join(made)


class Broker:
    def __init__(self, port: int, folder: Path, largest: int, password: str = "") -> None:
        self.port, self.password = port, password
        self.log = Log(folder / "journal", largest)
        self.forbidden = (folder / "forbidden").exists()
        self.grown = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        allowed = not self.password
        try:
            while True:
                size = struct.unpack(">i", await reader.readexactly(4))[0]
                r = Reader(await reader.readexactly(size))
                key, version, correlation = r.take("h"), r.take("h"), r.take("i")
                r.text()
                if not allowed and key not in (17, 18, 36):
                    return
                answer = await self.answer(key, version, r)
                allowed = allowed or (key == 36 and answer[:2] == b"\0\0")
                writer.write(struct.pack(">ii", len(answer) + 4, correlation) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, key: int, version: int, r: Reader) -> bytes:
        if key == 1:
            return await self.fetch(r)
        handlers = {
            0: self.produce,
            2: self.offsets,
            3: self.metadata,
            10: self.coordinator,
            19: self.create,
            22: self.init,
            24: self.add,
            26: self.finish,
        }
        if key in handlers:
            return handlers[key](r)
        if key == 17:
            return struct.pack(">h", NONE) + array([text("PLAIN")])
        if key == 36:
            return self.authenticate(r)
        return self.versions(version)

    def versions(self, version: int) -> bytes:
        offered = [struct.pack(">hhh", key, *between) for key, between in OFFERED.items()]
        if version < 3:
            return struct.pack(">h", NONE) + array(offered)
        return struct.pack(">hB", NONE, len(offered) + 1) + b"".join(o + b"\0" for o in offered) + struct.pack(">iB", 0, 0)

    def authenticate(self, r: Reader) -> bytes:
        _, _, password = r.raw(r.take("i")).split(b"\0")
        good = password.decode() == self.password
        return (
            struct.pack(">h", NONE if good else SASL_FAILED) + text(None if good else "wrong password") + struct.pack(">i", 0)
        )

    def metadata(self, r: Reader) -> bytes:
        size = r.take("i")
        names = list(self.log.topics) if size < 0 else [r.text() for _ in range(size)]
        brokers = array([struct.pack(">i", 1) + text(HOST) + struct.pack(">i", self.port) + text(None)])
        return (
            struct.pack(">i", 0) + brokers + text("tests") + struct.pack(">i", 1) + array(self._topic(n or "") for n in names)
        )

    def _topic(self, name: str) -> bytes:
        count = self.log.topics.get(name, 0)
        one = array([struct.pack(">i", 1)])
        partitions = array(struct.pack(">hii", NONE, n, 1) + one + one for n in range(count))
        return struct.pack(">h", NONE if count else UNKNOWN_TOPIC) + text(name) + b"\0" + partitions

    def coordinator(self, _: Reader) -> bytes:
        return struct.pack(">ih", 0, NONE) + text(None) + struct.pack(">i", 1) + text(HOST) + struct.pack(">i", self.port)

    def create(self, r: Reader) -> bytes:
        def topic() -> bytes:
            name, partitions, _ = r.text() or "", r.take("i"), r.take("h")
            r.array(lambda: (r.take("i"), r.array(lambda: r.take("i"))))
            r.array(lambda: (r.text(), r.text()))
            error = TOPIC_FORBIDDEN if self.forbidden else self.log.change("create", name, partitions)
            return text(name) + struct.pack(">h", error) + text(None)

        return struct.pack(">i", 0) + array(r.array(topic))

    def init(self, r: Reader) -> bytes:
        return struct.pack(">ihqh", 0, NONE, *self.log.change("init", r.text()))

    def add(self, r: Reader) -> bytes:
        r.text()
        pid, epoch = r.take("q"), r.take("h")
        topics = r.array(lambda: (r.text(), r.array(lambda: r.take("i"))))
        error = self.log.change("add", pid, epoch, [(topic, n) for topic, parts in topics for n in parts])
        return struct.pack(">i", 0) + array(text(t) + array(struct.pack(">ih", n, error) for n in parts) for t, parts in topics)

    def finish(self, r: Reader) -> bytes:
        r.text()
        error = self.log.change("finish", r.take("q"), r.take("h"), bool(r.take("b")))
        self._wake()
        return struct.pack(">ih", 0, error)

    def produce(self, r: Reader) -> bytes:
        r.text()
        r.take("h")
        r.take("i")

        def topic() -> bytes:
            name = r.text()

            def partition() -> bytes:
                n = r.take("i")
                error, offset = self.log.change("append", (name, n), r.raw(r.take("i")))
                return struct.pack(">ihqq", n, error, offset, -1)

            return text(name) + array(r.array(partition))

        answer = array(r.array(topic)) + struct.pack(">i", 0)
        self._wake()
        return answer

    def offsets(self, r: Reader) -> bytes:
        r.take("i")
        committed = bool(r.take("b"))

        def topic() -> bytes:
            name = r.text() or ""

            def partition() -> bytes:
                n, when = r.take("i"), r.take("q")
                if (name, n) not in self.log.batches:
                    return struct.pack(">ihqq", n, UNKNOWN_TOPIC, -1, -1)
                end = self.log.stable((name, n)) if committed else self.log.end((name, n))
                return struct.pack(">ihqq", n, NONE, -1, 0 if when == -2 else end)

            return text(name) + array(r.array(partition))

        return struct.pack(">i", 0) + array(r.array(topic))

    async def fetch(self, r: Reader) -> bytes:
        _, wait, least, _, committed = (r.take(form) for form in "iiiib")
        asked = r.array(lambda: (r.text(), r.array(lambda: (r.take("i"), r.take("q"), r.take("i")))))
        deadline = asyncio.get_running_loop().time() + wait / 1000
        while True:
            grown = self.grown
            answer, size = self._fetched(asked, bool(committed))
            if size >= least or asyncio.get_running_loop().time() >= deadline:
                return answer
            try:
                async with asyncio.timeout_at(deadline):
                    await grown.wait()
            except TimeoutError:
                return answer

    def _fetched(self, asked: list[Any], committed: bool) -> tuple[bytes, int]:
        size, topics = 0, []
        for name, partitions in asked:
            made = []
            for n, offset, most in partitions:
                if (name, n) not in self.log.batches:
                    made.append(struct.pack(">ihqqii", n, UNKNOWN_TOPIC, -1, -1, 0, 0))
                    continue
                data, aborted = self.log.read((name, n), offset, most, committed)
                size += len(data)
                head = struct.pack(">ihqq", n, NONE, self.log.end((name, n)), self.log.stable((name, n)))
                made.append(head + array(struct.pack(">qq", *a) for a in aborted) + struct.pack(">i", len(data)) + data)
            topics.append(text(name) + array(made))
        return struct.pack(">i", 0) + array(topics), size

    def _wake(self) -> None:
        self.grown.set()
        self.grown = asyncio.Event()


async def main(port: str, folder: str, largest: str, password: str = "") -> None:
    broker = Broker(int(port), Path(folder), int(largest), password)
    async with await asyncio.start_server(broker.serve, HOST, int(port), limit=1 << 26) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
