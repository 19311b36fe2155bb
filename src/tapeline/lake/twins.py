"""Trades that two sessions both have, counted once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def without_twins(
    tables: Sequence[pa.Table], codes: Ints, ts: Ints, price: Floats, size: Floats, side: Ints, keep: Mask
) -> Mask:
    """Of the rows that `keep` has, those that stand for one trade each: of several sessions the first one's.

    Sessions whose times do not overlap have nothing in common, and their ids are not compared: a venue may begin them anew.
    """
    where = _overlap(codes, ts, keep)
    if not where.any():
        return keep
    rows = np.flatnonzero(where)
    ids = np.array([i for t in tables for i in t["id"].to_pylist()], object)[rows].astype(str)
    _, number = np.unique(ids, return_inverse=True)
    named = ids != ""
    # what has no id is told by all that it says, and by how many said the same before it in its session
    said = [np.where(named, 0, column[rows]) for column in (price, size, side)]
    keys = [number, ts[rows], *said]
    order = np.lexsort((rows, codes[rows], *keys))
    same = _same([k[order] for k in keys])
    again = np.where(named[order], 0, _count(same & _same([codes[rows][order]])))
    order2 = np.lexsort((order, codes[rows][order], again, *(k[order] for k in keys)))
    double = _same([again[order2], *(k[order][order2] for k in keys)])
    found = keep.copy()
    found[rows[order[order2[double]]]] = False
    return found


def _overlap(codes: Ints, ts: Ints, keep: Mask) -> Mask:
    """The rows of times at which another session has rows as well."""
    spans = [(int(t.min()), int(t.max())) if len(t := ts[keep & (codes == c)]) else None for c in range(int(codes.max()) + 1)]
    found = np.zeros(len(ts), np.bool_)
    for a, one in enumerate(spans):
        for b, other in enumerate(spans):
            if a != b and one and other and one[0] <= other[1] and other[0] <= one[1]:
                found |= keep & (codes == a) & (ts >= other[0]) & (ts <= other[1])
    return found


def _same(keys: Sequence[npt.NDArray[np.generic]]) -> Mask:
    """Whether a row equals the one before it, in all keys."""
    same = np.ones(len(keys[0]), np.bool_)
    same[:1] = False
    for key in keys:
        same[1:] &= key[1:] == key[:-1]
    return same


def _count(same: Mask) -> Ints:
    """How many rows before it each row equals, in a row."""
    at = np.arange(len(same))
    return at - np.maximum.accumulate(np.where(same, 0, at))
