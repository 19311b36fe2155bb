"""`tapeline top`: the markets in a terminal, of a Tapeline that runs, or of one that is started for it.

The one that is started is `tapeline run` in a process of its own, so that nothing it says falls into the picture; it ends with the
picture, as by Ctrl-C. The terminal's part is Textual, an extra: it is imported when it is wanted, and missed in one line.

Unlike the other commands it runs on asyncio's own event loop. Textual makes tasks eager, and uvloop hands a factory of tasks
`eager_start`, which that of Python 3.13.0 to 3.13.2 does not take. A picture of some lines has no use for uvloop's speed.
"""

import re
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tapeline.cli import context
from tapeline.cli.options import Data, Host, Port, Simulate
from tapeline.errors import ConfigError, TapelineError, UsageError
from tapeline.server.addresses import here, written

if TYPE_CHECKING:
    from tapeline.terminal.app import Top

START_SECONDS = 60.0
STOP_SECONDS = 10.0
_ADDRESS = re.compile(r"page and API at (http://\S+)")


def top(
    *instruments: Annotated[
        str, Parameter(help="Start a Tapeline that streams these, as in binance:BTC-USDT, and end it again.")
    ],
    simulate: Simulate = False,
    address: Annotated[
        str | None, Parameter(help="Of the Tapeline to show, as in http://127.0.0.1:8700.", show_default=False)
    ] = None,
    port: Port = None,
    host: Host = None,
    data: Data = None,
) -> int:
    """Show the markets in the terminal: watchlist, order book, trades, health.

    Without instruments it shows the Tapeline that runs where the settings say, and waits for it where none does. Needs the
    extra `top`: pip install 'tapeline[top]'.
    """
    try:
        from tapeline.terminal.app import Top
    except ModuleNotFoundError as e:
        if (e.name or "").partition(".")[0] != "textual":
            raise
        text = "`tapeline top` needs textual, which is not installed: pip install 'tapeline[top]'"
        raise NotStarted(text, ConfigError.exit_code) from None
    starts = bool(instruments) or simulate
    if starts and address is not None:
        raise UsageError("--address names a Tapeline that runs: leave out the instruments and --simulate")
    if data is not None and not starts:
        raise UsageError("--data is of a Tapeline that is started: name its instruments")
    if not starts:
        return _shown(Top(_where(address, port, host), _opening()))
    with Started(_arguments(instruments, simulate=simulate, port=port, host=host, data=data)) as started:
        return _shown(Top(started.address, _opening(started.token)))


def _shown(picture: "Top") -> int:
    """Until it is left; 1 where it failed, which Textual has told by then."""
    picture.run()
    return picture.return_code or 0


def _where(address: str | None, port: int | None, host: str | None) -> str:
    if address is not None:
        if not re.fullmatch(r"https?://[^/\s]+/?", address):
            raise UsageError(f"--address {address}: write it as in http://127.0.0.1:8700")
        return address.rstrip("/")
    server = context.load({"server.port": port, "server.host": host}).settings.server
    return written(here(server.host), server.port)


def _opening(token: str = "") -> dict[str, str]:
    """What opens the other: the token of its own start, else the one that is set here."""
    from tapeline.server.access.access import bearer, credentials

    return bearer(token) or credentials()


def _arguments(
    instruments: tuple[str, ...], *, simulate: bool, port: int | None, host: str | None, data: str | None
) -> list[str]:
    given = {"--port": str(port or 0), "--host": host, "--data": data, "--config": context.config}
    options = [word for name, value in given.items() if value is not None for word in (name, value)]
    options += [word for key, value in context.assignments.items() for word in ("--set", f"{key}={value}")]
    return ["run", *instruments, "--no-browser", *(["--simulate"] if simulate else []), *options]


class Started:
    """A `tapeline run` of its own. Its last words are kept, to be told where it does not start; `token`: where it made one."""

    def __init__(self, arguments: list[str]) -> None:
        self.address = self.token = ""
        self._words: deque[str] = deque(maxlen=20)
        self._ready = threading.Event()
        self._process = subprocess.Popen(  # noqa: S603  this very program, with words of this very line
            [sys.executable, "-m", "tapeline", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            self._words.append(line.rstrip())
            if found := _ADDRESS.search(line):
                self.address, _, self.token = found[1].partition("/?token=")
                self._ready.set()
        self._ready.set()

    def __enter__(self) -> "Started":
        self._ready.wait(START_SECONDS)
        if not self.address:
            self._end()
            said = self._words[-1].removeprefix("tapeline: ") if self._words else "it said nothing"
            raise NotStarted(f"`tapeline run` did not start: {said}", self._process.returncode or 1)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(1)
        if self._process.stderr is not None:
            self._process.stderr.close()


class NotStarted(TapelineError):
    """The picture, or the Tapeline that was started for it: then its exit code is ours."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = code
