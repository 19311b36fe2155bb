"""The screen that one builds with Streamlit in an afternoon: run again every 0.8 s. See `page.py`."""

import json
import os
import time
import urllib.request
from typing import Any

import pandas as pd
import streamlit as st

ADDRESS, NAME = os.environ["TAPELINE_ADDRESS"], "sim:BTC-USDT"


def get(path: str) -> Any:
    with urllib.request.urlopen(f"{ADDRESS}/api/v1/{path}", timeout=5) as answer:
        return json.load(answer)


st.set_page_config(layout="wide")
book = get(f"book?instrument={NAME}&depth=25")["book"]
trades = pd.DataFrame(get(f"trades?instrument={NAME}&limit=100")["trades"])
bars = pd.DataFrame(get(f"bars?instrument={NAME}&interval=1s&limit=300")["bars"])
quotes = {q["instrument"]: q for q in get("quotes")["quotes"]}
bid, ask = book["bids"][0][0], book["asks"][0][0]
st.write(f"as of {book['ts_recv'] / 1000:.3f}")
for column, (label, value) in zip(
    st.columns(4), {"Bid": bid, "Ask": ask, "Mid": (bid + ask) / 2, "Spread": ask - bid}.items(), strict=True
):
    column.metric(label, f"{value:,.3f}")
left, middle, right = st.columns([3, 1, 1])
left.line_chart(bars.set_index(pd.to_datetime(bars.ts_open, unit="us"))[["open", "high", "low", "close"]])
left.bar_chart(bars.set_index(pd.to_datetime(bars.ts_open, unit="us"))["volume"])
middle.dataframe(pd.DataFrame(book["asks"][:12][::-1] + book["bids"][:12], columns=["price", "size"]))
right.dataframe(trades[["price", "size", "side"]][::-1])
st.sidebar.dataframe(pd.DataFrame([{"instrument": k, "bid": q["bid"], "ask": q["ask"]} for k, q in quotes.items()]))
time.sleep(0.8)
st.rerun()
