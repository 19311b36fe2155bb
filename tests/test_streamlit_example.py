"""The example in Streamlit, run by Streamlit itself over a small recording of the simulated market."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import tapeline as tl
from tapeline.cli import main

EXAMPLE = Path(__file__).parent.parent / "examples" / "streamlit_dashboard.py"
PATIENT = 120  # seconds: a busy machine takes its time to import pandas, Arrow and DuckDB
pytestmark = pytest.mark.timeout(3 * PATIENT)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    data = str(tmp_path_factory.mktemp("streamlit") / "data")
    assert main(["record", "--simulate", "binance:BTC-USDT", "--channels", "trades", "--data", data, "--for", "6"]) == 0
    return data


@pytest.mark.filterwarnings("ignore")  # Streamlit's own affairs, and those of what it imports
def test_it_shows_what_the_lake_holds_and_embeds_the_live_panels(recorded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["streamlit_dashboard.py", recorded])
    app = AppTest.from_file(str(EXAMPLE), default_timeout=PATIENT).run()
    assert not app.exception
    app.sidebar.selectbox[1].select("1s").run()
    assert not app.exception
    bars = tl.open(recorded).bars("sim:BTC-USDT", "1s").to_pylist()
    shown = {m.label: m.value for m in app.metric}
    assert shown["Last"] == f"{bars[-1]['close']:,.2f}"
    assert shown["Bars with a gap in them"] == f"{sum(not b['complete'] for b in bars)} of {len(bars)}"
    frames = [e.proto.src for e in app.main if hasattr(getattr(e, "proto", None), "src")] or str(app)
    assert "/embed/chart?instrument=sim%3ABTC-USDT&interval=1s" in str(frames)


@pytest.mark.filterwarnings("ignore")
def test_an_empty_lake_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["streamlit_dashboard.py", str(tmp_path)])
    app = AppTest.from_file(str(EXAMPLE), default_timeout=PATIENT).run()
    assert not app.exception
    assert "there is no lake" in app.info[0].value


def test_it_stays_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
