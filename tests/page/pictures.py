"""Pictures of the page, compared with those that were looked at and found good (`tests/page/pictures/`).

Fonts and smoothing differ a little from machine to machine, so both pictures are made a third as large, and a place counts as changed
where its colour is off by more than `COLOUR`. `most` says how much of a picture may be changed before the test fails: a panel that is
missing, a colour that is lost or a layout that broke is some percent, a glyph that is drawn otherwise a few thousandths.

    TAPELINE_PICTURES=write pytest tests/page/test_pictures.py       keeps what is there now as good; look at it before you commit it
"""

import asyncio
import io
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.waiting import PATIENCE

KEPT = Path(__file__).parent / "pictures"
SMALLER = 3
COLOUR = 28  # of 255, in any of the three
WRITING = os.environ.get("TAPELINE_PICTURES") == "write"
SETTLED = 4.0  # seconds: only where pictures are written, and looked at, it is counted on that all is answered


def small(png: bytes) -> Image.Image:
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").resize((image.width // SMALLER, image.height // SMALLER), Image.Resampling.BOX)


def changed(one: Image.Image, other: Image.Image) -> float:
    """The share of places whose colour differs, 0 to 1; 1 where the sizes do."""
    if one.size != other.size:
        return 1.0
    apart = np.abs(np.asarray(one, dtype=np.int16) - np.asarray(other, dtype=np.int16)).max(axis=2)
    return float((apart > COLOUR).mean())


def compare(name: str, png: bytes, failed: Path, most: float) -> None:
    """Raises AssertionError where it differs too much from the one that is kept; both are then in the folder `failed`."""
    now, kept = small(png), KEPT / f"{name}.png"
    if WRITING:
        KEPT.mkdir(exist_ok=True)
        now.quantize(128).save(kept, optimize=True)
        return
    with Image.open(kept) as image:
        share = changed(now, image.convert("RGB"))
    if share > most:
        (failed / f"{name}-now.png").write_bytes(png)
        raise AssertionError(
            f"{share:.2%} of {name} differ from {kept.name}, more than {most:.1%}; it is {failed / name}-now.png"
        )


async def looks(name: str, shoot: Callable[[], Awaitable[bytes]], failed: Path, most: float) -> None:
    """`compare` until it is so or PATIENCE is over: nobody can say of a page that all it asked for is answered and painted."""
    if WRITING:
        await asyncio.sleep(SETTLED)
    end = time.monotonic() + PATIENCE
    while True:
        png = await shoot()
        try:
            return compare(name, png, failed, most)
        except AssertionError:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(0.3)
