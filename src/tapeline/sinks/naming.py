"""What a kind of event is called as a table, alike in every database; the lake's views are called the same (`lake/views.py`)."""

from tapeline.events import Alert, Bar, BookUpdate, Event, Liquidation, Metrics, Quote, Status, Ticker, Trade

TABLES: dict[type[Event], str] = {
    Trade: "trades",
    Quote: "quotes",
    BookUpdate: "book_updates",
    Bar: "bars",
    Metrics: "metrics",
    Ticker: "tickers",
    Liquidation: "liquidations",
    Status: "status",
    Alert: "alerts",
}
