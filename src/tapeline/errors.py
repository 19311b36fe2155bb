"""One exception tree, drawn by whose fault it is and what to do about it.

    TapelineError
    ├── UsageError          the caller asked for something that does not exist   exit 2   fix the call
    ├── ConfigError         a setting is wrong                                   exit 3   fix the named key
    ├── VenueError          the venue or the network did not do its part         exit 4   wait, or choose another venue
    │   ├── Unreachable     no answer: DNS, refused, timed out
    │   ├── Refused         an answer that says no: 403, 418, 429, 451, bad subscription
    │   └── MalformedFrame  an answer that cannot be read (the frame itself stays on the tape)
    └── IntegrityError      our own data does not hold together                  exit 5   run `tapeline tape verify`
        └── TapeError       a tape segment is damaged, or cannot be written

A message says what happened, to which input, and what to do next.
"""


class TapelineError(Exception):
    """Root of everything Tapeline raises on purpose. `exit_code` is what the CLI leaves with."""

    exit_code = 1


class UsageError(TapelineError):
    exit_code = 2


class ConfigError(TapelineError):
    """`key` and `value` name the setting; the text names the fix. Secrets are masked by the raiser."""

    exit_code = 3

    def __init__(self, key: str, value: object, fix: str) -> None:
        self.key, self.value, self.fix = key, value, fix
        is_now = "is not set" if value is None else f"= {value!r}"
        super().__init__(f"setting {key} {is_now}: {fix}")


class VenueError(TapelineError):
    exit_code = 4


class Unreachable(VenueError):
    pass


class Refused(VenueError):
    """`status` is the HTTP status or close code; `retry_after` the seconds the venue asks us to wait, if it said."""

    def __init__(self, text: str, status: int = 0, retry_after: float | None = None) -> None:
        self.status, self.retry_after = status, retry_after
        super().__init__(text)


class MalformedFrame(VenueError):
    """The text may quote what the venue sent, which can be megabytes: it is cut."""

    def __init__(self, text: str) -> None:
        super().__init__(text if len(text) <= 300 else f"{text[:300]}…")


class IntegrityError(TapelineError):
    exit_code = 5


class TapeError(IntegrityError):
    pass
