"""What a Kafka broker keeps, as far as exactly-once needs it: partitions, producers' epochs and sequences, open and aborted transactions.

Written from the protocol's documentation, because no real broker can be had here from a package, and librdkafka's own mock cluster neither
fences producers nor tells readers what was aborted. Every change goes into a journal first, so that a broker that is killed comes back.
"""

import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NONE, UNKNOWN_TOPIC, TOO_LARGE, OUT_OF_ORDER, INVALID_EPOCH, INVALID_TXN, EXISTS = 0, 3, 10, 45, 47, 48, 36
Partition = tuple[str, int]


def _table() -> Iterator[int]:
    for n in range(256):
        entry = n
        for _ in range(8):
            entry = (entry >> 1) ^ (0x82F63B78 if entry & 1 else 0)
        yield entry


_CRC = tuple(_table())


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def marker(offset: int, pid: int, epoch: int, *, commit: bool) -> bytes:
    """A control batch: the end of a transaction, as readers of a partition see it."""
    record = bytes([0, 0, 0, 8]) + struct.pack(">hh", 0, int(commit)) + bytes([12]) + struct.pack(">hi", 0, 0) + bytes([0])
    record = bytes([len(record) * 2]) + record
    rest = struct.pack(">hiqqqhii", 0x30, 0, 0, 0, pid, epoch, -1, 1) + record
    return struct.pack(">qiibI", offset, len(rest) + 9, 0, 2, crc32c(rest)) + rest


class Log:
    def __init__(self, journal: Path | None, largest: int) -> None:
        self.largest = largest
        self.topics: dict[str, int] = {}
        self.batches: dict[Partition, list[tuple[int, int, bytes]]] = {}
        self.aborted: dict[Partition, list[tuple[int, int, int]]] = {}
        self._producers: dict[str, tuple[int, int]] = {}
        self._epochs: dict[int, int] = {}
        self._open: dict[int, dict[Partition, int | None]] = {}
        self._sequences: dict[tuple[int, int, Partition], tuple[int, int]] = {}
        self._journal: Any = None
        if journal is not None:
            self._replay(journal)
            self._journal = journal.open("ab")

    def _replay(self, journal: Path) -> None:
        if not journal.exists():
            return
        with journal.open("rb") as file:
            while True:
                try:
                    name, arguments = pickle.load(file)
                except (EOFError, pickle.UnpicklingError):
                    return
                getattr(self, name)(*arguments)

    def change(self, name: str, *arguments: Any) -> Any:
        if self._journal is not None:
            pickle.dump((name, arguments), self._journal)
            self._journal.flush()
        return getattr(self, name)(*arguments)

    def create(self, topic: str, partitions: int) -> int:
        if topic in self.topics:
            return EXISTS
        self.topics[topic] = partitions
        for n in range(partitions):
            self.batches[topic, n], self.aborted[topic, n] = [], []
        return NONE

    def end(self, partition: Partition) -> int:
        batches = self.batches[partition]
        return batches[-1][0] + batches[-1][1] if batches else 0

    def stable(self, partition: Partition) -> int:
        """Up to here no transaction is undecided."""
        firsts = [first for open_ in self._open.values() if (first := open_.get(partition)) is not None]
        return min([*firsts, self.end(partition)])

    def init(self, txn: str | None) -> tuple[int, int]:
        """A producer id and epoch; what the one before left open is aborted."""
        if txn is None or txn not in self._producers:
            pid, epoch = 1000 + len(self._epochs), 0
        else:
            pid, epoch = self._producers[txn]
            self._finish(pid, epoch, commit=False)
            epoch += 1
        if txn is not None:
            self._producers[txn] = (pid, epoch)
        self._epochs[pid] = epoch
        return pid, epoch

    def add(self, pid: int, epoch: int, partitions: list[Partition]) -> int:
        if self._epochs.get(pid) != epoch:
            return INVALID_EPOCH
        for partition in partitions:
            self._open.setdefault(pid, {}).setdefault(partition, None)
        return NONE

    def finish(self, pid: int, epoch: int, commit: bool) -> int:
        if self._epochs.get(pid) != epoch:
            return INVALID_EPOCH
        self._finish(pid, epoch, commit=commit)
        return NONE

    def _finish(self, pid: int, epoch: int, *, commit: bool) -> None:
        for partition, first in self._open.pop(pid, {}).items():
            if first is None:
                continue
            offset = self.end(partition)
            if not commit:
                self.aborted[partition].append((pid, first, offset))
            self.batches[partition].append((offset, 1, marker(offset, pid, epoch, commit=commit)))

    def append(self, partition: Partition, records: bytes) -> tuple[int, int]:
        """(error, base offset). The records are one batch, kept as it came but for its offset."""
        (last_delta,) = struct.unpack_from(">i", records, 23)
        attributes, pid, epoch, sequence = (
            struct.unpack_from(f, records, at)[0] for f, at in ((">h", 21), (">q", 43), (">h", 51), (">i", 53))
        )
        if partition not in self.batches:
            return UNKNOWN_TOPIC, -1
        if len(records) > self.largest:
            return TOO_LARGE, -1
        if pid >= 0:
            if self._epochs.get(pid) != epoch:
                return INVALID_EPOCH, -1
            expected, before = self._sequences.get((pid, epoch, partition), (0, -1))
            if sequence < expected:  # a repetition, whose first answer was lost
                return NONE, before
            if sequence > expected:
                return OUT_OF_ORDER, -1
        offset = self.end(partition)
        if attributes & 0x10:
            open_ = self._open.get(pid, {})
            if partition not in open_:
                return INVALID_TXN, -1
            if open_[partition] is None:
                open_[partition] = offset
        self._sequences[pid, epoch, partition] = (sequence + last_delta + 1, offset)
        self.batches[partition].append((offset, last_delta + 1, struct.pack(">q", offset) + records[8:]))
        return NONE, offset

    def read(self, partition: Partition, offset: int, most: int, committed: bool) -> tuple[bytes, list[tuple[int, int]]]:
        """Whole batches from `offset` on, and the aborted transactions that touch them."""
        end, found, size = self.stable(partition) if committed else self.end(partition), [], 0
        batches = self.batches[partition]
        low, high = 0, len(batches)
        while low < high:  # the first batch that ends past the offset
            middle = (low + high) // 2
            low, high = (middle + 1, high) if sum(batches[middle][:2]) <= offset else (low, middle)
        for first, _, data in batches[low:]:
            if first >= end or (found and size + len(data) > most):
                break
            found.append(data)
            size += len(data)
        aborted = [(pid, first) for pid, first, last in self.aborted[partition] if last >= offset] if committed else []
        return b"".join(found), aborted
