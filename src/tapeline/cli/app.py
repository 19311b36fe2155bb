"""The table of commands, and the launcher around them.

Commands are named by import path and loaded when they are called. A command is a plain function (or coroutine function, run
under uvloop) with annotated parameters, returning None or an exit code. Options that every command takes are read here, kept
in `context`, and may stand anywhere on the line.
"""

import difflib
import inspect
import os
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter

from tapeline import __version__
from tapeline.cli import context
from tapeline.errors import UsageError

COMMANDS = {
    "run": ("tapeline.cli.run:run", "Stream live markets, keep them, and show them on a page."),
    "record": ("tapeline.cli.record:record", "Stream live markets onto the tape and into the sinks, without a page."),
    "replay": ("tapeline.cli.replay:replay", "Play a tape back as if it were live."),
    "query": ("tapeline.cli.query:query", "Ask what is kept, in SQL."),
    "subscriptions": ("tapeline.cli.subscriptions:subscriptions", "What a running Tapeline streams."),
    "subscribe": ("tapeline.cli.subscriptions:subscribe", "Stream further instruments on a running Tapeline."),
    "unsubscribe": ("tapeline.cli.subscriptions:unsubscribe", "Stream instruments no more on a running Tapeline."),
    "simulate": ("tapeline.cli.simulate:simulate", "Serve a simulated market behind the venues' own protocols."),
    "decode": ("tapeline.cli.decode:decode", "Turn raw recorded frames into events, as JSON lines."),
    "export": ("tapeline.cli.export:export", "Write what the lake holds into a file for other programs."),
    "import": ("tapeline.cli.import_:import_", "Bring recordings of other programs onto the tape and into the sinks."),
    "alerts": ("tapeline.cli.alerts:app", "Rules that watch the market, and how you are told."),
    "instruments": ("tapeline.cli.instruments:instruments", "List or search what the venues trade."),
    "metrics": ("tapeline.cli.metrics:metrics", "List or search the metrics that can be sampled."),
    "bars": ("tapeline.cli.bars:bars", "Bars of any interval, out of the lake."),
    "book": ("tapeline.cli.book:book", "The order book at any instant, out of the lake."),
    "verify": ("tapeline.cli.verify:verify", "Prove tape, lake and SQLite against each other."),
    "repair": ("tapeline.cli.repair:repair", "Make lake and SQLite what the tape says they should be."),
    "lake": ("tapeline.cli.lake:app", "List what is in the lake, and put its files together."),
    "tape": ("tapeline.cli.tape:app", "List, print, verify and seal tape segments."),
    "top": ("tapeline.cli.top:top", "Show the markets in the terminal."),
    "doctor": ("tapeline.cli.doctor:doctor", "Check this machine, its network and the venues."),
    "config": ("tapeline.cli.config:config", "Show the settings in force and where each comes from."),
}
EPILOGUE = (
    "Settings: flags, then TAPELINE_… variables, then tapeline.toml, then defaults; `tapeline config` shows them. "
    "Exit codes: 0 done, 1 failure, 2 usage, 3 configuration, 4 venue or network, 5 data integrity, 130 interrupted."
)

VALUED, FLAGS = ("--config", "--set"), ("--log-json", "--verbose")
"""Options of every command."""


def _default(value: Any) -> Any:
    """Defaults that say nothing stay unsaid: a switch that is off, a text that is empty."""
    return None if value is None or value is False or value in ("", [], ()) else str(value)


def build() -> App:
    app = App(
        name="tapeline",
        help="Live market data you can trust: every message kept, every book proved, every gap reported.",
        help_epilogue=EPILOGUE,
        help_format="markdown",
        version=__version__,
        default_parameter=Parameter(negative=(), show_default=_default),
    )
    for place, (name, (path, text)) in enumerate(COMMANDS.items()):
        app.command(path, name=name, help=text, sort_key=place)
    app.suppress_keyboard_interrupt = app.meta.suppress_keyboard_interrupt = False  # `main` says so, and gives the code
    every = Group("Options of every command", sort_key=99)

    @app.meta.default
    def start(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        config: Annotated[str | None, Parameter(group=every, help="Settings file, instead of ./tapeline.toml.")] = None,
        set_: Annotated[
            list[str] | None,
            Parameter(name="--set", group=every, help="One setting, as in `--set server.port=8800`; repeatable."),
        ] = None,
        log_json: Annotated[bool, Parameter(group=every, help="Logs as JSON lines (or TAPELINE_LOG=json).")] = False,
        verbose: Annotated[bool, Parameter(group=every, help="Logs with debug messages.")] = False,
    ) -> int:
        context.config, context.assignments = config, context.read_assignments(set_ or [])
        _known(tokens)
        command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
        from tapeline.cli.logs import configure

        configure(as_json=log_json or os.environ.get("TAPELINE_LOG") == "json", verbose=verbose)
        result = command(*bound.args, **bound.kwargs)
        return _settle(result)

    return app


def _hoisted(argv: Sequence[str]) -> list[str]:
    """The options of every command moved ahead of it: a command whose first word may begin with a hyphen (`query`, `import`) would
    take them for its own.
    """
    rest, first = list(argv), list[str]()
    found = list[str]()
    while rest and rest[0] != "--":
        word = rest.pop(0)
        name, _, value = word.partition("=")
        if word in FLAGS or (name in VALUED and value):
            first.append(word)
        elif word in VALUED and rest:
            first += [word, rest.pop(0)]
        else:
            found.append(word)
    return [*first, *found, *rest]


def _known(tokens: Sequence[str]) -> None:
    """Names the nearest command. Left to the parser, this would import every command for its list of names."""
    if tokens and not tokens[0].startswith("-") and tokens[0] not in COMMANDS:
        close = difflib.get_close_matches(tokens[0], COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}"
        raise UsageError(f"there is no command {tokens[0]!r}; {hint}")


def _settle(result: Any) -> int:
    if inspect.iscoroutine(result):
        result = _run(result)
    return result if isinstance(result, int) else 0


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        import uvloop
    except ImportError:  # Windows
        import asyncio

        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


def launch(argv: Sequence[str]) -> int:
    """Parse and run. Raises UsageError where the line makes no sense."""
    try:
        code = build().meta(_hoisted(argv), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as e:
        raise UsageError(f"{e} (see `tapeline --help`)") from None
    return code if isinstance(code, int) else 0
