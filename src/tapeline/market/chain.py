"""Where a snapshot, or a double, belongs in a run of book updates. Used by `sync.py`.

A diff covers the ids (prev_seq, seq]. Where ids only grow, comparing them decides everything. An exact chain (OKX,
`BookMessage.exact`) is judged by equality instead: a diff comes next where its prev_seq is the id that the book stands at,
whatever its own id is; it may stand still (a keep-alive that changes nothing) or go back (the venue began its numbers anew, and the
book goes on). Ids of before and after such a reset may be the same numbers, so a double is known by the pair (prev_seq, seq).

Only the join compares ids, because a snapshot may stand between two of them: the first diff with `prev_seq <= id < seq` continues
it (OKX's own rule for books that begin over HTTP). Where a buffer holds a reset, the same id may lie in it twice; the first place
is taken, as it is safe for either: sizes are absolute, so what the snapshot has already is only said again. An id that lies
nowhere in the buffer is of an older book, or of one that cannot be told: another snapshot is asked for.
"""

from collections.abc import Sequence

from tapeline.venues.base import BookMessage

Buffer = Sequence[tuple[BookMessage, int]]


def waits(m: BookMessage, buffer: Buffer) -> bool:
    """Whether the buffer has this diff already."""
    if not buffer:
        return False
    last = buffer[-1][0].seq
    if not m.exact:
        return m.seq <= last
    return m.prev_seq != last and any(d.prev_seq == m.prev_seq and d.seq == m.seq for d, _ in buffer)


def follows(m: BookMessage, buffer: Buffer) -> bool:
    """Whether nothing is missing between the buffer's last diff and this one, which is not in it."""
    if not buffer:
        return True
    last = buffer[-1][0].seq
    return m.prev_seq == last if m.exact else m.prev_seq <= last


def continuing(m: BookMessage, buffer: Buffer) -> list[tuple[BookMessage, int]] | None:
    """What of the buffer continues the snapshot `m`, nothing where the stream has yet to reach it; None: it cannot be joined."""
    if not buffer or not buffer[0][0].exact:
        return None if buffer and m.seq < buffer[0][0].prev_seq else [(d, t) for d, t in buffer if d.seq > m.seq]
    for i, (d, _) in enumerate(buffer):
        if d.prev_seq == m.seq or d.prev_seq < m.seq < d.seq:
            return list(buffer)[i:]
    first, last = buffer[0][0].prev_seq, buffer[-1][0].seq
    return [] if m.seq == last or m.seq > max(first, last) else None
