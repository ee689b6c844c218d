"""Feature formulas as kernels over the bars of one symbol, in order of time. No network, no state.

- `kernel`: how a function becomes a kernel, and the types of its arrays. `fitted`: kernels that refit each year.
- `returns`, `rolling`, `market`: what other formulas are made of.
- `momentum`, `volatility`, `garch`, `har`, `range_volatility`, `volume`, `on_balance`, `cross_asset`, `spectral`,
  `fractal`, `alpha`: the formulas, a module per family.
- `regime`: expressions over the index and over the market's returns.

A kernel may read these columns: those of a bar (prices adjusted), those of the index at the same close, what the
exchange's calendar says of the session, the year of the close in UTC, and whether a value is asked for: 1, or 0 for
bars that are only looked back on, whose values nobody reads, so that a kernel may leave them out.
"""

BAR_COLUMNS = ("open", "high", "low", "close", "volume", "close_unadjusted", "volume_unadjusted")
MARKET_COLUMNS = ("market_close", "market_return", "market_volatility")
CALENDAR_COLUMNS = ("weekday", "sessions_left_in_month")
TIME_COLUMNS = ("year",)
IS_ASKED = "is_asked"
COLUMNS = (*BAR_COLUMNS, *MARKET_COLUMNS, *CALENDAR_COLUMNS, *TIME_COLUMNS, IS_ASKED)

__all__ = [
    "BAR_COLUMNS",
    "CALENDAR_COLUMNS",
    "COLUMNS",
    "IS_ASKED",
    "MARKET_COLUMNS",
    "TIME_COLUMNS",
    "alpha",
    "cross_asset",
    "fitted",
    "fractal",
    "garch",
    "har",
    "kernel",
    "market",
    "momentum",
    "on_balance",
    "range_volatility",
    "regime",
    "returns",
    "rolling",
    "spectral",
    "volatility",
    "volume",
]
