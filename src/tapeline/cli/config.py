"""`tapeline config`: the settings in force and where each comes from; or a new, commented settings file."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from tapeline import settings
from tapeline.cli import context, output
from tapeline.config import Settings
from tapeline.errors import UsageError
from tapeline.masking import MASK, mask

NAMED = {"venues": ("venue", "binance"), "alerts.rules": ("rule", "btc-high"), "alerts.targets": ("target", "ops-mail")}
"""Sections that there may be several of: what each is, and a name for the example."""


def config(
    *,
    json: context.Json = False,
    init: Annotated[bool, Parameter(help="Write a commented tapeline.toml here, with every default.")] = False,
) -> None:
    """Show the settings in force and where each comes from. Secrets are named, never shown."""
    if init:
        _init(Path(context.config or settings.FILE))
        return
    loaded = context.load()
    rows = [(name, _masked(settings.value_of(loaded.settings, name)), loaded.origin(name)) for name in _names(loaded)]
    if json:
        output.write_json(
            {
                "file": str(loaded.file) if loaded.file else None,
                "settings": {name: {"value": value, "origin": origin} for name, value, origin in rows},
                "secrets": sorted(loaded.secrets),
            }
        )
        return
    table = [("setting", "value", "from"), *((name, show(value), origin) for name, value, origin in rows)]
    table += [(name, MASK, "secret") for name in sorted(loaded.secrets)]
    output.write(output.columns(table))


def _names(loaded: settings.Loaded) -> list[str]:
    names = [name for name in settings.catalogue() if "*" not in name]
    return names + [name for name in loaded.origins if name not in settings.catalogue()]


def _masked(value: Any) -> Any:
    return mask(value) if isinstance(value, str) else value


def show(value: Any) -> str:
    """A value as the environment would spell it: lists comma-separated, an empty text as two quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value) or '""'


def _init(path: Path) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        raise UsageError(f"{path} is there already and stays as it is; move it away, or name another with --config") from None
    output.write(f"{path}\n")


def template() -> str:
    """A settings file in which every default stands as a comment."""
    lines = ["# Tapeline's settings. Take the `#` off a line to change it. `tapeline config` shows what is in force."]
    sections: dict[str, list[str]] = {}
    for name, key in settings.catalogue().items():
        head, _, last = name.rpartition(".")
        about = f"# {key.description} {sentence(key.allowed)}"
        sections.setdefault(head, []).extend([about, f"#{last.replace('*', 'trades')} = {toml(key.default)}"])
    for head, entries in sections.items():
        lines += ["", *(_heading(head) if head else []), *entries]
    return "\n".join(lines) + "\n"


def _heading(section: str) -> list[str]:
    if "*" in section:
        one, example = NAMED[section.partition(".*")[0]]
        return [f"# One section a {one}, by its name.", f"#[{section.replace('*', example)}]"]
    about = settings.value_of(Settings(), section).__class__.__doc__ or ""
    return [*(f"# {line.strip()}" for line in about.splitlines() if line.strip()), f"[{section}]"]


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "."


def toml(value: Any) -> str:
    """TOML of a default: texts, numbers, booleans and lists are spelt as in JSON."""
    return msgspec.json.encode(value).decode().replace('","', '", "')
