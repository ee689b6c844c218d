"""Types and columns that several tables share."""

from dataclasses import replace

import polars as pl

from lake.horizons import MOST_BARS, SESSION_OF_MINUTES
from lake.spec import INSTANT, Column

TEXT, REAL, COUNT, FLAG, DATE = pl.String(), pl.Float64(), pl.Int64(), pl.Boolean(), pl.Date()

EVENT_TIME = Column("event_time", INSTANT, "UTC", "when it was true; a bar is stamped when it closes")
KNOWN_TIME = Column("known_time", INSTANT, "UTC", "when we could know it")
CAUSAL = ("event_time", "known_time")
"""Nothing is known before it is true. Not so for rows as received, and for what happens on the wall clock."""
SYMBOL = Column("symbol", TEXT, "", "instrument, under the name it trades by today")
HORIZON = Column(
    "horizon_sessions",
    pl.Int32(),
    "bars",
    "how far ahead, in bars of the market: sessions of a daily one; of bars of minutes, n sessions are 1,000 n",
    minimum=1,
    maximum=MOST_BARS * SESSION_OF_MINUTES,
)
REGIME = Column("regime", TEXT, "", "market regime of the session, e.g. low_volatility_uptrend")
MARKET_INDEX = Column("market", TEXT, "", "index that stands for the market")
EXPERIMENT = Column("experiment", TEXT, "", "experiment the models were fitted under, with the hash of its inputs")
MODEL = Column("model", TEXT, "", "model name")
KNOWN_BASIS = Column(
    "known_basis",
    TEXT,
    "",
    "how known_time is known: the source states it, a timetable gives it, it is the time of receipt, or it is assumed",
    allowed=("stated", "scheduled", "observed", "assumed"),
    is_origin=True,
)
KNOWN_BASIS_IF_SAID = replace(
    KNOWN_BASIS,
    meaning=f"{KNOWN_BASIS.meaning}; null in rows from before it was kept, and where the source does not say",
    nullable=True,
)
SERIES = Column("series", TEXT, "", "economic series, under the name its source gives it")
PRICE_BASES = ("as_traded", "split_adjusted", "adjusted_close_only", "fully_adjusted")
"""What a source may have done to its prices."""
PRICE_BASIS = Column(
    "price_basis",
    TEXT,
    "",
    "as_traded: the price is the one of that close on the market; otherwise what is known of the source's prices, and "
    "why there is no price; null in rows from before it was said",
    nullable=True,
    allowed=PRICE_BASES,
)
CURRENCY = Column("currency", TEXT, "", "ISO 4217 code of the price; null where the market does not say", nullable=True)
RECOMPUTED = 1e-9
"""Tolerance of the tables that are computed again with every run."""
