"""`tapeline top` on the screen: a line of health, a watchlist, a ladder, the tape of trades. Only what Textual needs is here.

Wide terminals show three panes, narrow ones (under NARROW columns) one at a time, chosen with 1, 2 and 3. The picture is drawn DRAWS
times a second and only where it changed, however many messages come.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import Footer, Static

from tapeline.terminal import drawing
from tapeline.terminal.drawing import COLOURS, Palette
from tapeline.terminal.feed import Feed
from tapeline.terminal.state import Health, Link, Screen

DRAWS = 5.0
NARROW = 110
PANES = ("watch", "ladder", "tape")


class Top(App[None]):
    """`address`: of a running Tapeline, as in http://127.0.0.1:8700; `headers`: what opens it."""

    TITLE = "tapeline top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #health { height: 1; }
    .pane { border: round $surface-lighten-2; border-title-color: $text-muted; padding: 0 1; height: 1fr; text-wrap: nowrap; }
    #watch { width: 5fr; } #ladder { width: 3fr; } #tape { width: 39; }
    .narrow .pane { display: none; width: 1fr; }
    .narrow #tape { width: 1fr; }
    .narrow .pane.front { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "step(1)", "Next"),
        Binding("up,k", "step(-1)", "Previous"),
        Binding("1", "front('watch')", "Watch"),
        Binding("2", "front('ladder')", "Book"),
        Binding("3", "front('tape')", "Trades"),
        Binding("p,space", "pause", "Pause"),
        Binding("c", "palette", "Colours"),
        Binding("q,escape", "quit", "Quit"),
    ]

    def __init__(self, address: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.address = address
        self.shown = Screen()
        self.colours: Palette = "safe"
        self._feed = Feed(address, self._take, self._linked, headers)
        self._drawn: dict[str, Text] = {}

    def compose(self) -> ComposeResult:
        yield Static(id="health")
        with Horizontal(id="panes"):
            for name in PANES:
                yield Static(id=name, classes="pane")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.action_front("watch")
        self.run_worker(self._feed.run(), name="feed", exit_on_error=True)
        self.set_interval(1 / DRAWS, self.draw)

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width < NARROW, "narrow")
        self.call_after_refresh(self.draw)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def _take(self, message: dict[str, Any]) -> None:
        before = self.shown.chosen
        self.shown.put(message, self.now)
        if self.shown.chosen != before:
            self._choose(self.shown.chosen)

    def _linked(self, link: Link, error: str) -> None:
        self.shown.linked(link, self.now, error)

    def _choose(self, instrument: str) -> None:
        self.shown.choose(instrument)
        self.run_worker(self._feed.choose(instrument), group="choose")
        self.draw()

    # Keys

    def action_step(self, by: int) -> None:
        names = self.shown.instruments()
        if names and not self.shown.paused:
            at = names.index(self.shown.chosen) if self.shown.chosen in names else 0
            self._choose(names[min(max(at + by, 0), len(names) - 1)])

    def action_front(self, pane: str) -> None:
        for name in PANES:
            self.query_one(f"#{name}").set_class(name == pane, "front")
        self.call_after_refresh(self.draw)

    def action_pause(self) -> None:
        """What comes meanwhile is not shown: going on begins with snapshots."""
        self.shown.paused = not self.shown.paused
        if not self.shown.paused:
            self.run_worker(self._feed.refresh(), group="choose")

    def action_palette(self) -> None:
        names = list(COLOURS)
        self.colours = names[(names.index(self.colours) + 1) % len(names)]

    # The picture

    def draw(self) -> None:
        if not self.is_running or not self.query("#tape"):
            return  # before the first and after the last
        screen = self.shown
        health = screen.health(self.now)
        self._show("health", drawing.health_line(screen, health, self.size.width))
        if screen.paused and not health.dead:
            return  # the picture stands
        for name, title in zip(PANES, (self.address, f"Book {screen.chosen}", f"Trades {screen.chosen}"), strict=True):
            pane = self.query_one(f"#{name}", Static)
            width, height = pane.content_size
            if width and height:  # else it is behind another one
                pane.border_title = title
                self._show(name, self._made(name, health, width, height))

    def _made(self, name: str, health: Health, width: int, height: int) -> Text:
        if name == "watch":
            return drawing.watchlist(self.shown, health, self.now, width, height, self.colours)
        draw = drawing.ladder if name == "ladder" else drawing.tape
        return draw(self.shown, health, width, height, self.colours)

    def _show(self, name: str, text: Text) -> None:
        if self._drawn.get(name) != text:
            self._drawn[name] = text
            self.query_one(f"#{name}", Static).update(text)
