"""Feature formulas as Polars expressions over the bars of one symbol, in order of time. No network, no state.

An expression may read these columns: those of a bar, and those of the market at the same instant.
"""

BAR_COLUMNS = ("high", "low", "close", "volume", "close_unadjusted", "volume_unadjusted")
MARKET_COLUMNS = ("market_close", "market_return", "market_volatility")
COLUMNS = BAR_COLUMNS + MARKET_COLUMNS
