"""Tables of portfolios: what a declared method held at each close, beside 1/N; append-only."""

import polars as pl

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import CAUSAL, COUNT, DATE, EVENT_TIME, KNOWN_TIME, REAL, RECOMPUTED, TEXT

REALS = pl.List(pl.Float64())

PORTFOLIO_WEIGHTS = TableSpec(
    name="portfolio_weights",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="What each declared portfolio held from a close on, beside 1/N, and why it traded or did not.",
    key=("portfolio", "event_time"),
    restates=False,
    by_year=True,
    ordered=(CAUSAL,),
    columns=(
        Column("portfolio", TEXT, "", "portfolio, by its declared name"),
        EVENT_TIME,
        KNOWN_TIME,
        Column("method", TEXT, "", "method that the portfolio declares"),
        Column("used", TEXT, "", "method whose targets are in force: the declared one, or the fallback's name"),
        Column(
            "fallback_reason", TEXT, "", "why the declared method gave no targets; null where it did", nullable=True
        ),
        Column(
            "trigger",
            TEXT,
            "",
            "why targets were made anew at this close; none: they were not",
            allowed=("first", "calendar", "threshold", "volatility", "universe", "declaration", "none"),
        ),
        Column("reason", TEXT, "", "the trigger and what was traded, in words"),
        Column("symbols", pl.List(pl.String()), "", "symbol of each entry of the lists"),
        Column("weights", REALS, "fraction", "of equity, held from this close on; they sum to one"),
        Column("drifted_weights", REALS, "fraction", "before trades: the last weights, moved by the market; first: 0"),
        Column("targets", REALS, "fraction", "what the method asks for; made at the last review"),
        Column("reviewed_weights", REALS, "fraction", "weights after the last review, which drift is measured from"),
        Column("equal_weights", REALS, "fraction", "held by 1/N that trades by the same rule at the same closes"),
        Column("risk_shares", REALS, "fraction", "share of each in the expected variance; null where it is not known"),
        Column("band_low", REALS, "fraction", "no-trade band of the last review: from here up it does not pay to buy"),
        Column("band_high", REALS, "fraction", "no-trade band of the last review: up to here it does not pay to sell"),
        Column("expected_returns", REALS, "fraction", "over the horizon, where the method uses any; null otherwise"),
        Column("view_returns", REALS, "fraction", "forecast median over the horizon used as a view; null without one"),
        Column("marked_at", pl.List(INSTANT), "UTC", "close of the bar that each weight was last valued at"),
        Column("left_out", pl.List(pl.String()), "", "members of the universe without enough bars for a weight"),
        Column("bought", REAL, "fraction", "of equity, bought at this close", minimum=0),
        Column("sold", REAL, "fraction", "of equity, sold at this close", minimum=0),
        Column("cost", REAL, "fraction", "of equity, paid for the trades of this close", minimum=0),
        Column(
            "expected_gain",
            REAL,
            "fraction",
            "of utility until the next review, by the trades of this close; null for the first purchase",
            nullable=True,
        ),
        Column("equal_cost", REAL, "fraction", "paid by 1/N at this close", minimum=0),
        Column("net_return", REAL, "fraction", "since the close before, costs of this close included"),
        Column("equal_net_return", REAL, "fraction", "the same of 1/N"),
        Column("active_exposure", REAL, "fraction", "sum of absolute differences to 1/N, before trades", minimum=0),
        Column("volatility", REAL, "per year", "of the weights held over the newest bars", nullable=True, minimum=0),
        Column("equal_volatility", REAL, "per year", "the same of 1/N", nullable=True, minimum=0),
        Column("review_volatility", REAL, "per year", "volatility at the last review", nullable=True, minimum=0),
        Column("bars_since_review", COUNT, "bars", "since targets were last made", minimum=0),
        Column("next_review", DATE, "", "session of the next review by the calendar; null beyond it", nullable=True),
        Column("market_weights", TEXT, "", "what stands for the market's weights, of Black-Litterman", nullable=True),
        Column("views", COUNT, "", "forecasts that were used as views", minimum=0),
        Column("e_value", REAL, "", "evidence that it earns more than 1/N, net of cost; 1 is none", minimum=0),
        Column("sessions", COUNT, "bars", "bars that were judged", minimum=0),
        Column("declaration", TEXT, "", "what the portfolio declares, as JSON"),
    ),
)
