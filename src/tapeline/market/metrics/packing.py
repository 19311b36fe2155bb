"""NumPy arrays within a pipeline's state, which may hold plain values only (engine/checkpoint.py)."""

from typing import Any

import msgspec
import numpy as np


class Array(msgspec.Struct, frozen=True):
    """A NumPy array put away."""

    kind: str
    shape: tuple[int, ...]
    data: bytes


def packed(value: object) -> object:
    if isinstance(value, np.ndarray):
        return Array(value.dtype.str, value.shape, value.tobytes())
    return value.item() if isinstance(value, np.generic) else value


def unpacked(value: object) -> object:
    return np.frombuffer(value.data, value.kind).reshape(value.shape).copy() if isinstance(value, Array) else value


class Packs:
    """Has slots, some of which hold arrays."""

    __slots__: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {name: packed(getattr(self, name)) for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, unpacked(value))
