"""Feature formulas as kernels over the bars of one symbol, in order of time. No network, no state.

A kernel may read these columns: those of a bar (prices adjusted), those of the index at the same close, and what the
exchange's calendar says of the session.
"""

BAR_COLUMNS = ("open", "high", "low", "close", "volume", "close_unadjusted", "volume_unadjusted")
MARKET_COLUMNS = ("market_close", "market_return", "market_volatility")
CALENDAR_COLUMNS = ("weekday", "sessions_left_in_month")
COLUMNS = BAR_COLUMNS + MARKET_COLUMNS + CALENDAR_COLUMNS
