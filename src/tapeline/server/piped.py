"""What the server and the processes that answer its queries say to each other (`server/box.py`, `server/boxed.py`).

Apart from both, because the server shall not import DuckDB, nor the process the server.
"""

import msgspec


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question, and what it may cost: `lake.sql.Limits`."""

    data: str
    sql: str
    params: dict[str, str | int | float | bool | None]
    form: str
    mode: str
    rows: int
    answer_bytes: int
    seconds: float
    memory_mb: int
    threads: int


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer of so many bytes, or where `status` is not 200 the API's error.

    `trace`: for the log. `spent`: the process has grown or is broken and shall be replaced.
    """

    bytes: int = 0
    status: int = 200
    code: str = ""
    text: str = ""
    hint: str = ""
    trace: str = ""
    spent: bool = False
