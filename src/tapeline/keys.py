"""API keys: where a venue's key comes from, and where it never goes.

`FINNHUB_API_KEY` or `TAPELINE_FINNHUB_KEY` in the environment, else in an `.env` file in the working directory, else in the
system's keyring under the service `tapeline` (with the extra `tapeline[keyring]`: `keyring set tapeline finnhub`). A key is never
read from the command line or `tapeline.toml`, and is told to `masking.hide` before anyone gets it, so that it is masked in
logs, errors, the tape and everything made from them.

A key that could not be masked, or would break an address or a header, is refused: shorter than eight characters, or with blanks or
control characters in it.

What lets a sink into its server is asked for by `secret_of("postgres", "PASSWORD")`: TAPELINE_POSTGRES_PASSWORD in the environment
or in `.env`. It is somebody else's choice, so it may be short, hold blanks, or not be there at all; what is shorter than six
characters can be masked by its place only (behind `password=`, before the `@` of an address).

On floor 1, beside `settings`, because it reads files and the environment; no keyring is imported unless neither has the key.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tapeline.errors import ConfigError
from tapeline.masking import hide, is_secret
from tapeline.settings import PREFIX, dotenv

SERVICE = "tapeline"
SHORTEST = 8


def variables(name: str) -> tuple[str, str]:
    """The variables that may hold the key `name`, the stronger first: `FINNHUB_API_KEY`, `TAPELINE_FINNHUB_KEY`."""
    spelt = name.upper().replace("-", "_")
    return f"{spelt}_API_KEY", f"{PREFIX}{spelt}_KEY"


def key_of(name: str, page: str = "", *, env: Mapping[str, str] | None = None, directory: Path | None = None) -> str:
    """The key `name`, hidden from now on; empty for an empty name. `page`: where one gets it, for the error.

    `env` and `directory` default to the process's own. Raises ConfigError where there is no key, or one that cannot be any.
    """
    if not name:
        return ""
    first, second = variables(name)
    for where, found in _found(name, os.environ if env is None else env, directory or Path()):
        if key := found.strip():
            return _checked(where, key)
    hint = f" Get one at {page}." if page else ""
    raise ConfigError(
        first,
        None,
        f"no API key for {name}: set {first} (or {second}) in the environment or in an .env file, "
        f"or `keyring set {SERVICE} {name}` (with pip install 'tapeline[keyring]').{hint}",
    )


def secret_of(
    section: str, name: str, *, env: Mapping[str, str] | None = None, directory: Path | None = None, keyring: str = ""
) -> str:
    """The secret in `TAPELINE_<SECTION>_<NAME>`, hidden from now on; empty where there is none. `keyring`: the name under which the
    system's keyring may have it, where neither the environment nor `.env` has.

    `name` is PASSWORD, TOKEN, SECRET, KEY or PASSPHRASE: what the settings leave to us. A newline at the end, left by whatever wrote
    it, is no part of it. `env` and `directory` default to the process's own.
    """
    variable = f"{PREFIX}{section}_{name}".upper().replace("-", "_")
    if not is_secret(variable):
        raise ValueError(f"{variable} would be read as a setting, and shown")
    secret = (os.environ if env is None else env).get(variable) or dotenv(directory or Path()).get(variable, "")
    if not secret and keyring:
        secret = _of_keyring(keyring)
    secret = secret.rstrip("\r\n")
    hide(secret)
    return secret


def _found(name: str, env: Mapping[str, str], directory: Path) -> Iterator[tuple[str, str]]:
    for variable in variables(name):
        yield variable, env.get(variable, "")
    written = dotenv(directory)
    for variable in variables(name):
        yield f"{variable} (.env)", written.get(variable, "")
    yield f"keyring {SERVICE}/{name}", _of_keyring(name)


def _of_keyring(name: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return ""
    try:
        return keyring.get_password(SERVICE, name) or ""
    except keyring.errors.KeyringError:  # none is set up, or it is locked: the error that follows names what else there is
        return ""


def _checked(where: str, key: str) -> str:
    if len(key) < SHORTEST or not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(where, "***", f"this can be no API key: at least {SHORTEST} printable characters without blanks")
    hide(key)
    return key
