"""Recorded data analysed, the live market beside it: a dashboard in Streamlit.

tapeline run                                             the page and its panels at http://127.0.0.1:8700
streamlit run examples/streamlit_dashboard.py -- data    `data` is where it records
"""

import sys
from urllib.parse import urlencode

import streamlit as st

import tapeline as tl

DATA = sys.argv[1] if len(sys.argv) > 1 else "data"

st.set_page_config(page_title="Tapeline", layout="wide")
try:
    lake = tl.open(DATA)
    names = lake.sql("SELECT DISTINCT instrument FROM trades ORDER BY 1").column("instrument").to_pylist()
except tl.TapelineError as e:
    st.info(f"{e}: start `tapeline run`.")
    st.stop()

with st.sidebar:
    name = st.selectbox("Instrument", names)
    interval = st.selectbox("Bars", ["1s", "5s", "15s", "1m", "5m", "15m", "1h"], index=3)
    address = st.text_input("A running Tapeline", "http://127.0.0.1:8700")

bars = lake.bars(name, interval).to_pandas().tail(2000)
if bars.empty:
    st.stop()
bars["time"] = bars["ts_open"].astype("datetime64[ns]")
moves = bars["close"].pct_change()

for column, (label, text) in zip(
    st.columns(4),
    [
        ("Last", f"{bars['close'].iloc[-1]:,.2f}"),
        ("Change", f"{100 * (bars['close'].iloc[-1] / bars['open'].iloc[0] - 1):+.2f}%"),
        ("Volatility a bar", f"{1e4 * moves.std():.1f} bps"),
        ("Bars with a gap in them", f"{int((~bars['complete']).sum())} of {len(bars)}"),
    ],
    strict=True,
):
    column.metric(label, text)

st.subheader(f"{name}, recorded")
st.line_chart(bars, x="time", y=["close", "vwap"], y_label="price")
st.bar_chart(
    bars.assign(sold=bars["volume"] - bars["buy_volume"]), x="time", y=["buy_volume", "sold"], y_label="volume by aggressor"
)

st.subheader("Live")
chart, book = st.columns([2, 1])
with chart:
    st.iframe(f"{address}/embed/chart?{urlencode({'instrument': name, 'interval': interval})}", height=480)
with book:
    st.iframe(f"{address}/embed/book?{urlencode({'instrument': name})}", height=480)
