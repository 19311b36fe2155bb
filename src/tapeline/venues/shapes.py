"""Numbers, ids and times as venues' messages have them, and the typed decoders that are made from shapes.

The constraints refuse NaN, infinities, negative sizes, numbers that no market has (past 10³⁰), ids past 2⁶³ and times whose
nanoseconds would not fit 64 bits while decoding, at no cost of their own. With `strict=False` a number may come as a text, too.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

Price = Annotated[float, msgspec.Meta(gt=0, le=1e30)]
AnyPrice = Annotated[float, msgspec.Meta(ge=0, le=1e30)]
Size = Annotated[float, msgspec.Meta(ge=0, le=1e30)]
Rate = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
Levels = list[tuple[Price, Size]]
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
PreviousId = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
Micros = Annotated[int, msgspec.Meta(ge=0, le=(2**63 - 1) // 1000)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=(2**63 - 1) // 1_000_000)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=(2**63 - 1) // 1_000_000_000)]

ABSENT = msgspec.Raw(b"")


def reader(kind: Any, *, strict: bool = False) -> Callable[[bytes | msgspec.Raw], Any]:
    return msgspec.json.Decoder(kind, strict=strict).decode
