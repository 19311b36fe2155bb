"""Where settings come from: flags > environment > `.env` > `tapeline.toml` > defaults, and where each one came from.

`tapeline.config` says what can be set; this room reads it. It stands on floor 1, beside the wire and the tape, because it reads
files and the environment, and because every floor above may need it: the command line as much as a program that imports Tapeline.

The environment spells `server.port` as TAPELINE_SERVER_PORT and `venues.binance-usdm.http_url` as
TAPELINE_VENUES_BINANCE_USDM_HTTP_URL; lists are comma-separated; an empty variable is no variable. A `.env` file in the
working directory is read as weaker environment. A key that does not exist is an error, wherever it stands: a typing mistake that
is passed over in silence is a setting that is not in force. Variables whose names end in _KEY, _SECRET, _TOKEN, _PASSWORD or
_PASSPHRASE are secrets: kept apart from the settings, and masked wherever text is shown.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from tapeline.config import Settings
from tapeline.errors import ConfigError, UsageError
from tapeline.instruments import split_id
from tapeline.masking import hide, is_secret, mask

FILE = "tapeline.toml"
PREFIX = "TAPELINE_"
RESERVED = {"TAPELINE_CONFIG", "TAPELINE_LOG", "TAPELINE_SHARED"}
"""Variables that are no settings: the settings file, the log's form, and where the tests find recorded frames."""


_LISTS = inspect.ListType | inspect.VarTupleType


MOST = 10**9
"""No number of the settings need be larger: seconds, MB, rows, events."""
_TOO_MUCH = "more than MOST"
_NAMED = {"data", "server.host", "instruments", "channels"}


class Key(msgspec.Struct, frozen=True):
    """One setting. `kind` is msgspec's view of its type; `allowed` says in words what it takes."""

    name: str
    kind: inspect.Type
    default: Any
    description: str
    allowed: str

    @property
    def env(self) -> str:
        return PREFIX + self.name.upper().replace(".", "_").replace("-", "_")


class Loaded(msgspec.Struct, frozen=True):
    """The settings in force; `origins` has one line a key that is not a default, `file` the settings file that was read."""

    settings: Settings
    origins: dict[str, str]
    file: Path | None
    secrets: dict[str, str]

    def __repr__(self) -> str:
        return f"Loaded({self.settings!r}, file={self.file!r}, secrets={sorted(self.secrets)})"

    def origin(self, name: str) -> str:
        return self.origins.get(name, "default")


class _Given(msgspec.Struct):
    value: Any
    origin: str
    text: bool  # it came as text and has to be read as the key's type


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    words = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
    if kind.ge is not None and kind.le is not None:
        return f"{words} from {kind.ge} to {kind.le}"
    low = f"greater than {kind.gt}" if kind.gt is not None else f"of at least {kind.ge}" if kind.ge is not None else ""
    high = f"at most {kind.le}" if kind.le is not None else ""
    return " ".join([words, " and ".join(filter(None, [low, high]))]).strip()


def allowed(kind: inspect.Type) -> str:
    """What a value may be, in words: "a whole number from 0 to 65535", "one of default, strict"."""
    if isinstance(kind, inspect.Metadata):
        return allowed(kind.type)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return _range(kind)
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(map(str, kind.values))
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, _LISTS):
        inner = kind.item_type
        return "a list" + (f", each {allowed(inner)}" if isinstance(inner, inspect.LiteralType) else " of texts")
    return "a text"


def _walk(struct: inspect.StructType, prefix: str) -> Iterator[Key]:
    for field in struct.fields:
        kind: inspect.Type = field.type
        extra: dict[str, Any] = {}
        if isinstance(kind, inspect.Metadata):
            extra = kind.extra_json_schema or {}
            kind = kind.type
        name = prefix + field.name
        if isinstance(kind, inspect.StructType):
            yield from _walk(kind, name + ".")
        elif isinstance(kind, inspect.DictType):
            if isinstance(kind.value_type, inspect.StructType):
                yield from _walk(kind.value_type, name + ".*.")
            else:
                yield Key(name + ".*", kind.value_type, "", extra.get("description", ""), allowed(kind.value_type))
        else:
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            yield Key(name, kind, default, extra.get("description", ""), allowed(kind))


@cache
def catalogue() -> dict[str, Key]:
    """Every setting by name, in the order of definition; `venues.*.ws_url` stands for any venue."""
    info = inspect.type_info(Settings)
    if not isinstance(info, inspect.StructType):
        raise TypeError("Settings is a struct")
    return {key.name: key for key in _walk(info, "")}


def find(name: str) -> Key | None:
    """The key of this name; one inside `venues` fits where the pattern has a star."""
    catalogued = catalogue()
    if name in catalogued:
        return catalogued[name]
    parts = name.split(".")
    for pattern, key in catalogued.items():
        wanted = pattern.split(".")
        if "*" in wanted and len(wanted) == len(parts) and all(w in ("*", p) and p for w, p in zip(wanted, parts, strict=True)):
            return msgspec.structs.replace(key, name=name)
    return None


def _nearest(name: str, names: Collection[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else otherwise


def _unknown(name: str, given: _Given, shown: str = "", names: Collection[str] = ()) -> ConfigError:
    hint = _nearest(shown or name, names or [_like(k, name) for k in catalogue()], "`tapeline config` lists them all")
    return ConfigError(shown or name, _shown(name, given.value), f"there is no such setting ({given.origin}); {hint}")


def _like(pattern: str, name: str) -> str:
    """`alerts.rules.*.rule` with the names that stand in `name`."""
    given = name.split(".")
    parts = (given[i] if part == "*" and i < len(given) else part for i, part in enumerate(pattern.split(".")))
    return ".".join(parts)


def _shown(name: str, value: Any) -> Any:
    if is_secret(name):
        return "***"
    if isinstance(value, list | tuple):
        return [_shown(name, one) for one in value]
    if isinstance(value, dict):
        return {key: _shown(key, one) for key, one in value.items()}
    return mask(value) if isinstance(value, str) else value


def _from_env(variables: Mapping[str, str], where: str) -> Iterator[tuple[str, _Given]]:
    by_env = {key.env: name for name, key in catalogue().items()}
    for variable, value in variables.items():
        if not variable.startswith(PREFIX) or variable in RESERVED or not value or is_secret(variable):
            continue
        given = _Given(value, f"{where} {variable}", text=True)
        name = by_env.get(variable) or _inside_venues(variable)
        if name is None:
            raise _unknown(variable, given, variable, list(by_env))
        yield name, given


def _inside_venues(variable: str) -> str | None:
    """TAPELINE_VENUES_BINANCE_USDM_WS_URL → `venues.binance-usdm.ws_url`."""
    for pattern, key in catalogue().items():
        if "*" in pattern and (match := re.fullmatch(key.env.replace("*", "(.+)"), variable)):
            names = iter(match.groups())
            return ".".join(next(names).lower().replace("_", "-") if p == "*" else p for p in pattern.split("."))
    return None


def _from_toml(path: Path) -> Iterator[tuple[str, _Given]]:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError("config", str(path), f"the file cannot be read: {e}") from None

    def flatten(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, _Given]]:
        for name, value in table.items():
            if value == {} and prefix == "alerts.rules.":  # a rule that was begun: what it lacks is said, as of any other
                yield f"{prefix}{name}.rule", _Given("", path.name, text=False)
            elif isinstance(value, dict):
                yield from flatten(value, f"{prefix}{name}.")
            else:
                yield prefix + name, _Given(value, path.name, text=False)

    yield from flatten(tree, "")


def _value(key: Key, given: _Given) -> Any:
    value = given.value
    if given.text and isinstance(key.kind, _LISTS):
        value = [part.strip() for part in str(value).split(",") if part.strip()]
    try:
        return _finite(msgspec.convert(value, _hint(key.name), strict=not given.text))
    except msgspec.ValidationError as e:
        fix = f"must be {key.allowed}{f', at most {MOST}' if str(e) == _TOO_MUCH else ''} ({given.origin})"
        if isinstance(key.kind, _LISTS) and isinstance(key.kind.item_type, inspect.LiteralType):
            names = [str(v) for v in key.kind.item_type.values]
            wrong = [v for v in value if v not in names] if isinstance(value, list) else []
            fix += "; " + _nearest(str(wrong[0]), names, "") if wrong else ""
        raise ConfigError(key.name, _shown(key.name, given.value), fix.rstrip("; ")) from None


def _finite(value: Any) -> Any:
    """For ever is 0, and an endless time or size is a slip of the pen; one past MOST would not fit what counts it."""
    if isinstance(value, int | float) and abs(value) > MOST:
        raise msgspec.ValidationError(_TOO_MUCH)
    if isinstance(value, float) and not isfinite(value):
        raise msgspec.ValidationError("not a number to reckon with")
    return value


@cache
def _hint(name: str) -> Any:
    hint: Any = Settings
    for part in name.split("."):
        hints = get_type_hints(hint, include_extras=True) if isinstance(hint, type) else {}
        if not hints:  # inside `venues`: any name
            hint = get_args(hint)[1]
            continue
        hint = hints[part]
        if get_args(hint) and get_origin(get_args(hint)[0]) is dict:
            hint = get_args(hint)[0]
    return hint


def _check(name: str, value: Any, given: _Given, venues: Collection[str]) -> None:
    if name.startswith("venues.") and venues and (venue := name.split(".")[1]) not in venues:
        raise ConfigError(name, value, f"there is no venue {venue!r} ({given.origin}); venues are {', '.join(sorted(venues))}")
    if name.endswith("_url") and value:
        schemes = ("ws://", "wss://") if name.endswith("ws_url") else ("http://", "https://")
        if not value.startswith(schemes):
            raise ConfigError(name, mask(value), f"must begin with {' or '.join(schemes)} ({given.origin})")
    if name in _NAMED and not value:
        raise ConfigError(name, value, f"names nothing: leave it out for the default ({given.origin})")
    if "\0" in (value if isinstance(value, str) else "".join(value) if isinstance(value, tuple) else ""):
        raise ConfigError(name, value, f"holds a NUL, which no name or address may ({given.origin})")
    if name == "instruments":
        try:
            for instrument in value:
                split_id(instrument)
        except UsageError as e:
            raise ConfigError(name, value, f"{e} ({given.origin})") from None


def dotenv(directory: Path) -> dict[str, str]:
    path = directory / ".env"
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    return {k: v for k, v in dotenv_values(path, interpolate=False).items() if v}


def _file(directory: Path, config: str | None, env: Mapping[str, str]) -> Path | None:
    named = config or env.get("TAPELINE_CONFIG")
    path = directory / (named or FILE)
    if path.is_file():
        return path
    if named:
        raise ConfigError("config", named, "there is no such file; `tapeline config --init` writes one")
    return None


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    config: str | None = None,
    env: Mapping[str, str] | None = None,
    directory: Path | None = None,
    venues: Collection[str] = (),
) -> Loaded:
    """Settings from all sources. `flags`: dotted key → value, None meaning not given; texts are read as the key's type.

    `config` names the settings file; `env` and `directory` default to the process's own; `venues`, where given, are the venue
    names that may be configured. Raises ConfigError, which names key, value, source and what would be right.
    """
    directory = directory or Path()
    weak = dotenv(directory)
    strong = os.environ if env is None else env
    file = _file(directory, config, {**weak, **strong})
    given: dict[str, _Given] = {}
    if file is not None:
        given.update(_from_toml(file))
    given.update(_from_env(weak, ".env"))
    given.update(_from_env(strong, "environment"))
    given.update({k: _Given(v, "flag", isinstance(v, str)) for k, v in (flags or {}).items() if v is not None})

    tree: dict[str, Any] = {}
    for name, one in given.items():
        key = find(name)
        if key is None:
            raise _unknown(name, one)
        value = _value(key, one)
        _check(name, value, one, venues)
        *path, last = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    secrets = {k: v for k, v in {**weak, **strong}.items() if k.startswith(PREFIX) and is_secret(k) and v}
    for secret in secrets.values():
        hide(secret)
    return Loaded(msgspec.convert(tree, Settings), {k: g.origin for k, g in given.items()}, file, secrets)


def value_of(settings: Settings, name: str) -> Any:
    """`value_of(settings, "server.port")` → 8700; a venue that is not configured has its defaults."""
    node: Any = settings
    for part in name.split("."):
        node = node.get(part) if isinstance(node, dict) else getattr(node, part)
        if node is None:
            key = find(name)
            return key and key.default
    return node
