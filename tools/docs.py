"""Writes docs/settings.md, events.md, cli.md, metrics.md and the second half of analytics.md from the code; `--check` only says
which are out of date (exit 1).

Types, defaults, allowed values and options are read from the code. What a field of an event *means* stands here, in MEANING,
because a type cannot say it; a field without a meaning stops this script, so none can be added undocumented.
"""

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "src"))

from tapeline import config, events, settings  # noqa: E402  the path comes first
from tapeline.cli.app import build  # noqa: E402
from tapeline.cli.config import sentence, show  # noqa: E402
from tapeline.market.metrics import catalogue, groups  # noqa: E402
from tapeline.server.prometheus import METRICS  # noqa: E402

NOTE = "<!-- Written by tools/docs.py from the code: change it there, then run `make docs`. -->\n"

COMMON = {
    "instrument": "`venue:symbol`; empty where a whole connection is meant",
    "ts_event": "the venue's clock, ns UTC",
    "ts_recv": "our clock, ns UTC",
    "flags": "a list of names in JSON, a bit set in Arrow; see below",
}
MEANING = {
    "trade": {
        "price": "price in the quote asset",
        "size": "in the base asset; in contracts where the instrument is `inverse`",
        "side": "of the aggressor",
        "id": "the venue's trade id as text; empty where it has none",
        "conditions": "the venue's codes of sale conditions, separated by commas; left out where it gives none",
    },
    "quote": {
        "bid": "best bid; null where that side is empty",
        "bid_size": "size at the best bid",
        "ask": "best ask; null where that side is empty",
        "ask_size": "size at the best ask",
        "seq": "the update id it stands at",
        "origin": "`venue`: the venue's own; `book`: the touch of our book after one update",
    },
    "book": {
        "bids": "changed bid levels `[price, size]`; size 0 removes the level",
        "asks": "changed ask levels, likewise",
        "snapshot": "the message replaces the book",
        "seq": "last update id covered",
        "prev_seq": "last update id before this message; the ids (`prev_seq`, `seq`] are covered",
        "bid_floor": "of a snapshot: the lowest bid it knows of; past it levels may be missing. Left out where it knows all",
        "ask_ceiling": "of a snapshot: likewise the highest ask",
        "depth": "of a snapshot: from here on each side keeps its best so many levels; left out where it keeps all",
    },
    "bar": {
        "interval": f"one of {', '.join(config.INTERVALS)}",
        "ts_open": "start of the interval, ns UTC; a trade exactly at its end belongs to the next",
        "open": "first price",
        "high": "highest price",
        "low": "lowest price",
        "close": "last price",
        "volume": "sum of sizes, exact; in contracts where the instrument is `inverse`",
        "buy_volume": "volume of buy aggressors",
        "notional": "in the quote asset: sum of price × size; contracts × contract value where the instrument is `inverse`",
        "vwap": "mean price weighted by size; null in the venue's own candles of inverse instruments, which do not tell it",
        "trades": "number of trades",
        "sell_volume": "volume of sell aggressors",
        "open_interest": "the last that was known when the bar closed",
        "complete": "false where a trade may be missing: the feed began inside, or a gap touches it",
        "revision": "how often late trades corrected it; 0 is the first edition",
        "origin": "`trades`: made by us from trades; `venue`: the venue's own candle. The two never mix",
    },
    "metrics": {
        "mid": "(bid + ask) / 2",
        "spread": "ask − bid",
        "spread_bps": "10,000 × spread / mid",
        "imbalance": "(B − A) / (B + A) over the sizes of the best N levels a side, −1 to 1",
        "microprice": "(bid × ask_size + ask × bid_size) / (bid_size + ask_size)",
        "seq": "the update id of the book",
        "values": "of a sample: the metrics that are switched on, by name (docs/analytics.md)",
        "incomplete": "of a sample: names of those that a hole or a warm-up touches",
    },
    "ticker": {
        "last": "last price",
        "open": "price 24 hours ago",
        "high": "highest of 24 hours",
        "low": "lowest of 24 hours",
        "volume": "of 24 hours, base asset; in contracts where the instrument is `inverse`",
        "notional": "of 24 hours, quote asset",
        "change_pct": "change over 24 hours, per cent",
        "mark": "mark price of a derivative",
        "index": "index price of a derivative",
        "funding_rate": "per funding period, as a fraction",
        "next_funding": "ns UTC",
        "open_interest": "in the base asset; in contracts where the instrument counts those",
        "session": "`pre`, `regular`, `post`, `extended` or `overnight`, where the venue says so (stocks)",
    },
    "liquidation": {
        "price": "the order's price",
        "size": "the order's size, in contracts where the instrument is `inverse`",
        "side": "of the forced order: `sell` closes a long position",
        "average": "what it filled at",
        "id": "the venue's id; empty where it has none",
    },
    "status": {
        "kind": "what happened",
        "venue": "where",
        "channel": "which channel, empty where the whole connection is meant",
        "reason": "in words",
        "from_seq": "first missing (or joined) update id",
        "to_seq": "last missing (or joined) update id",
        "count": "how many",
    },
    "alert": {
        "rule": "name of the rule",
        "state": "`raised` or `resolved`",
        "value": "the value that decided",
        "text": "the message",
        "severity": "`info`, `warning` or `critical`",
        "id": "names this alert for good; the same when it is resolved",
    },
}


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(cell(c) for c in row) + " |" for row in rows)]) + "\n"


def spelt_out(name: str) -> str:
    """With words in place of the stars: `venues.VENUE.streams.CHANNEL`, `TAPELINE_ALERTS_RULES_NAME_RULE`."""
    word = "VENUE" if "venues" in name.lower() else "NAME"
    return name.replace("*", word, 1).replace("*", "CHANNEL")


def settings_page() -> str:
    sections: dict[str, list[tuple[str, ...]]] = {}
    for name, key in settings.catalogue().items():
        spelt = spelt_out(name)
        nothing = "the venue's own" if name.startswith("venues.") else "none"
        default = nothing if key.default in ("", ()) else f"`{show(key.default)}`"
        row = (f"`{spelt}`", default, f"{key.description} {sentence(key.allowed)}", f"`{spelt_out(key.env)}`")
        sections.setdefault(name.rpartition(".")[0], []).append(row)
    parts = [
        NOTE,
        "# Settings\n",
        (
            "Strongest first: flags of the command line, the environment, a `.env` file in the working directory, `tapeline.toml`, "
            "the defaults below.\n`tapeline config` shows what is in force and where each value comes from; "
            "`tapeline config --init` writes a commented `tapeline.toml`.\n\n"
            "Every setting has a flag, `--set server.port=8800`, and a variable, `TAPELINE_SERVER_PORT=8800`; in variables, lists "
            "are comma-separated and a venue's\nname has `_` for `-`: `TAPELINE_VENUES_BINANCE_USDM_WS_URL`. "
            "A key that does not exist is an error.\n\n"
            "Three variables are no settings: `TAPELINE_CONFIG` names the settings file, `TAPELINE_LOG=json` makes logs JSON lines, "
            "`TAPELINE_SHARED` tells\nthe tests where recorded frames are. Secrets are variables whose names end in `_KEY`, "
            "`_SECRET`, `_TOKEN`, `_PASSWORD` or `_PASSPHRASE`; they are\nmasked wherever they could be "
            "shown, and are never taken from the command line or `tapeline.toml`. A venue's API key is read from `FINNHUB_API_KEY` "
            "or `TAPELINE_FINNHUB_KEY`\n(environment, then `.env`), else from the keyring (service `tapeline`, name `finnhub`).\n"
        ),
    ]
    for section, rows in sections.items():
        parts.append(f"## {'General' if not section else spelt_out(section)}\n")
        parts.append(table(("key", "default", "meaning", "variable"), rows))
    return "\n".join(parts)


def type_name(hint: Any) -> str:
    bare, optional = events.bare_type(hint)
    if get_origin(bare) is Literal:
        text = " ".join(f"`{v}`" for v in get_args(bare))
    elif get_origin(bare) is list:
        text = "list of [price, size]"
    elif get_origin(bare) is dict:
        text = "object of numbers"
    else:
        text = {int: "integer", float: "number", str: "text", bool: "true or false"}[bare]
    return text + (" or null" if optional else "")


def flag_rows() -> list[tuple[str, ...]]:
    """Flags with the comments that stand beside them in events.py."""
    source = (ROOT / "src/tapeline/events.py").read_text(encoding="utf-8")
    lines = source.splitlines()
    flags = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == "Flag")
    assigned = [n for n in flags.body if isinstance(n, ast.Assign)]
    notes = {ast.unparse(n.targets[0]): lines[n.lineno - 1].partition("#")[2].strip() for n in assigned}
    return [(f"`{f.name}`", str(f.value), notes.get(str(f.name)) or "this message replaces the book") for f in events.Flag]


def events_page() -> str:
    parts = [
        NOTE,
        "# Events\n",
        (
            "One definition each, in `src/tapeline/events.py`, from which JSON, the Arrow schema and this page follow. In JSON "
            "an event is one object with its\n`type`; files have one a line. A number that is not known is null, never 0. Times are "
            "integer nanoseconds UTC; only the answers of REST and\nWebSocket have microseconds, because JavaScript cannot hold "
            "nanoseconds.\n"
        ),
        "## Every event\n",
        table(("field", "meaning"), [(f"`{n}`", m) for n, m in COMMON.items()]),
    ]
    for tag, kind in events.TYPES.items():
        own = {n: t for n, t in events.fields(kind).items() if n not in COMMON}
        if set(own) != set(MEANING.get(tag, {})):
            raise SystemExit(
                f"tools/docs.py: MEANING[{tag!r}] and the fields of the event differ: {set(own) ^ set(MEANING.get(tag, {}))}"
            )
        parts += [f"## {tag}\n"]
        if kind.__doc__:
            parts += ["\n".join(line.strip() for line in kind.__doc__.strip().splitlines()) + "\n"]
        parts += [table(("field", "type", "meaning"), [(f"`{n}`", type_name(t), MEANING[tag][n]) for n, t in own.items()])]
    parts += ["## Flags\n", table(("flag", "bit", "meaning"), flag_rows())]
    return "\n".join(parts)


def cli_page() -> str:
    app = build()
    parts = [
        NOTE,
        "# Commands\n",
        (
            "Data goes to standard output, everything else to standard error. Every command takes `--config FILE`, "
            "`--set KEY=VALUE`, `--log-json` and `--verbose`,\nanywhere on the line.\n"
        ),
        table(
            ("exit code", "meaning"),
            [
                ("0", "done"),
                ("1", "failure"),
                ("2", "usage: the line makes no sense"),
                ("3", "configuration: a setting is wrong"),
                ("4", "venue or network"),
                ("5", "data integrity"),
                ("130", "interrupted"),
            ],
        ),
    ]
    argv, sys.argv = sys.argv, ["tapeline"]  # the usage lines of commands within commands are taken from it
    text = app.generate_docs(heading_level=1)
    sys.argv = argv
    text = text[text.index("\n## tapeline ") + 1 :]
    parts.append(re.sub(r"\*\*Options of every command\*\*:\n\n(\*.*\n)+\n?", "", text + "\n"))
    return "\n".join(parts).rstrip() + "\n"


def metrics_page() -> str:
    rows = [
        (f"`{m.name}{'_total' if m.kind == 'counter' else ''}`", m.kind, ", ".join(f"`{n}`" for n in m.labels), m.text)
        for m in METRICS
    ]
    return "\n".join(
        [
            NOTE,
            "# Metrics\n",
            "What `/metrics` gives Prometheus: one row a metric. They are read from the same figures as `/api/v1/status`.\n",
            table(("metric", "kind", "labels", "meaning"), rows),
        ]
    )


def analytics_page() -> str:
    """The hand-written beginning, up to the first family, stays; the families are made from the classes."""
    path = ROOT / "docs" / "analytics.md"
    begun = path.read_text(encoding="utf-8").partition(FAMILIES)[0] if path.is_file() else ""
    parts = [begun + FAMILIES + "\n"]
    for text, found in catalogue.families():
        title, _, theory = text.partition("\n\n")
        parts += [f"### {title.rstrip('.')}\n", *([theory + "\n"] if theory else [])]
        parts += [described(catalogue.entry(metric)) for metric in found]
    parts += ["## Groups\n", f"{inspect.getdoc(groups)}\n"]
    return "\n".join(parts)


def described(entry: dict[str, Any]) -> str:
    gap = "not touched by holes" if entry["gap"] == "none" else "incomplete while a hole touches it"
    unit = f"{entry['unit']}; " if entry["unit"] else ""
    text = entry["text"].replace("\n", "\n  ")
    return f"* **`{entry['form']}`** ({unit}warm-up: {entry['warm_up']}; {gap}). {text}\n"


FAMILIES = "## The metrics\n"
PAGES = {
    "settings.md": settings_page, "events.md": events_page, "cli.md": cli_page, "metrics.md": metrics_page,
    "analytics.md": analytics_page,
}  # fmt: skip


def outdated() -> list[str]:
    docs = ROOT / "docs"
    return [n for n, page in PAGES.items() if not (docs / n).is_file() or (docs / n).read_text(encoding="utf-8") != page()]


def main() -> int:
    names = outdated()
    if "--check" in sys.argv[1:]:
        for name in names:
            sys.stderr.write(f"docs/{name} is out of date: run `make docs` (or python tools/docs.py)\n")
        return 1 if names else 0
    for name in names:
        (ROOT / "docs" / name).write_text(PAGES[name](), encoding="utf-8")
        sys.stderr.write(f"docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
