"""Settings of PostgreSQL that cannot work: one line that names the key, the value without a password, and what to do; exit 3."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tapeline.config import PostgresSettings, Settings, SinkSettings
from tapeline.errors import ConfigError
from tapeline.events import Bar, Trade
from tapeline.sinks.postgres import PostgresSink
from tapeline.sinks.postgres_link import Patience
from tapeline.sinks.registry import make
from tests.services import postgres
from tests.services.postgres import PASSWORD, Server
from tests.services.server import free_port
from tests.sinks.helpers import in_order, one_of_each
from tests.sinks.subjects.postgres_subject import latest_bars, read, schema_of

DOWN = Patience(connect=2, statement=5.0, call=5.0, lock=5.0)


@pytest.fixture(scope="module")
def server() -> Server:
    return postgres.shared()


@pytest.fixture
def schema(tmp_path: Path) -> str:
    return schema_of(tmp_path)


def made_by(settings: PostgresSettings) -> None:
    sink = PostgresSink(settings)
    sink.open()
    sink.close()


def refused(settings: PostgresSettings, patience: Patience = DOWN) -> str:
    with pytest.raises(ConfigError) as e:
        PostgresSink(settings, patience).open()
    assert "\n" not in str(e.value)
    return str(e.value)


def test_an_address_that_is_none_says_so_without_the_password():
    for url in ("postgresql://u:sec/ret-1@h/db", "postgresql://u:12/sec@h/db", "market"):
        said = refused(PostgresSettings(url=url))
        assert said.startswith("setting postgres.url = '")
        assert "as in postgresql://user@localhost:5432/market" in said
        assert "sec" not in said.replace("TAPELINE_POSTGRES", "")


def test_a_server_that_accepts_and_says_nothing(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        said = refused(PostgresSettings(url=f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x"))
    assert "cannot be reached" in said
    assert "timeout expired" in said


def test_a_table_of_another_shape_and_one_that_lacks_what_may_be_null(server, schema):
    settings = PostgresSettings(url=server.url(), schema=schema)
    made_by(settings)
    server.run(f'ALTER TABLE "{schema}".trades DROP COLUMN conditions', f'ALTER TABLE "{schema}".trades ADD COLUMN mine text')
    sink = PostgresSink(settings)
    sink.open()
    sink.commit("s", 0, one_of_each())
    sink.close()
    assert in_order(read(server, schema)) == in_order(latest_bars([one_of_each()]))
    for change, said in [
        ("ALTER TABLE {}.trades ALTER COLUMN price TYPE text", "column price of table trades is text"),
        ("ALTER TABLE {}.trades DROP COLUMN price", "table trades has no column price"),
        ("DROP TABLE {0}.trades; CREATE VIEW {0}.trades AS SELECT 1 AS price", "trades is no table"),
    ]:
        server.run(change.format(f'"{schema}"'))
        text = refused(settings)
        assert text.startswith(f"setting postgres.schema = '{schema}': {said}")
        assert "move it away, or set another schema" in text


def test_a_user_with_few_rights(server, schema):
    user = f"user_{schema}"
    server.run(f"CREATE ROLE {user} LOGIN")
    settings = PostgresSettings(url=server.url(user=user), schema=schema)
    assert "permission denied for database postgres; GRANT it" in refused(settings)
    made_by(PostgresSettings(url=server.url(), schema=schema))
    server.run(f'GRANT USAGE ON SCHEMA "{schema}" TO {user}')
    assert "we may not SELECT, INSERT, UPDATE on trades: GRANT it" in refused(settings)
    server.run(f'GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA "{schema}" TO {user}')
    sink = PostgresSink(settings)
    sink.open()
    sink.commit("s", 0, one_of_each())
    sink.close()
    assert in_order(read(server, schema)) == in_order(latest_bars([one_of_each()]))
    server.run(f"ALTER ROLE {user} SET default_transaction_read_only = on")
    assert "name a server that may be written" in refused(settings)


@pytest.mark.parametrize("name", ["", "x" * 64, "pg_mine"])
def test_a_schema_that_cannot_be(server, name):
    assert refused(PostgresSettings(url=server.url(), schema=name)).startswith(f"setting postgres.schema = '{name}': ")


@pytest.mark.parametrize("name", ['we"ird', "UPPER case;", "ünï"])
def test_a_schema_with_an_odd_name(server, name):
    sink = PostgresSink(PostgresSettings(url=server.url(), schema=name))
    sink.open()
    events = one_of_each()
    sink.commit("s", 0, events)
    sink.close()
    quoted = name.replace('"', '""')
    for kind, table in ((Trade, "trades"), (Bar, "bars")):
        assert server.run(f'SELECT count(*) FROM "{quoted}".{table}') == [(sum(type(e) is kind for e in events),)]


def test_without_the_package_it_says_which_extra(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "tapeline.sinks.postgres")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"sinks.postgres = True: .*pip install 'tapeline\[postgres\]'"):
        make(tmp_path, Settings(sinks=SinkSettings(postgres=True)))


def record(tmp_path: Path, url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ["record", "--simulate", "--for", "4s", "--data", str(tmp_path / "data"), "--set", "sinks.postgres=true"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "TAPELINE_"))}
    return subprocess.run(
        [sys.executable, "-m", "tapeline", *words, "--set", f"postgres.url={url}"],
        env={**clean, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_wrong_settings_end_the_program_with_3_and_one_line(server, tmp_path):
    nobody = f"postgresql://127.0.0.1:{free_port()}/x"
    wrong = {"TAPELINE_POSTGRES_PASSWORD": "wrong-horse"}
    inside = server.tcp().replace("tapeline@", "tapeline:wrong-horse@")
    right = {"TAPELINE_POSTGRES_PASSWORD": PASSWORD}
    for url, environment, said in [
        (nobody, {}, "cannot be reached (connection failed"),
        (server.tcp(), {}, "set TAPELINE_POSTGRES_PASSWORD, PGPASSWORD or ~/.pgpass"),
        (server.tcp(), wrong, "does not let us in"),
        (inside, {}, "does not let us in"),
        (server.tcp("nowhere"), right, 'database "nowhere" does not exist; create it'),
    ]:
        done = record(tmp_path, url, **environment)
        assert done.returncode == 3, done.stderr
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert "setting postgres.url = " in line
        assert said in line
        assert "wrong-horse" not in line


def test_a_recording_goes_to_the_server_with_the_password_of_the_environment(server, schema, tmp_path):
    words = {"TAPELINE_POSTGRES_PASSWORD": PASSWORD, "TAPELINE_POSTGRES_SCHEMA": schema}
    done = record(tmp_path, server.tcp(), **words)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stderr
    ((rows,),) = server.run(f'SELECT count(*) FROM "{schema}".trades')
    assert isinstance(rows, int)
    assert rows > 0
