"""Sources of bars: what each of them answers, packaged markets, generated markets, own files, vendors over HTTP."""

from lake.sources.base import ACTION_COLUMNS, BarBatch, BarSource, FailedSymbol, Heard, OverheardSource, lookback_of
from lake.sources.generated import GeneratedMarket, as_received, tiny_market
from lake.sources.packaged import FIRST_DAY, LAST_DAY, PackagedMarket
from lake.sources.registry import (
    CONNECTORS,
    SERIES,
    SOURCES,
    caveats_of,
    connector_of,
    key_of,
    mapping_of,
    open_http_source,
    open_source,
    source_of,
    sources_of,
)

__all__ = [
    "ACTION_COLUMNS",
    "CONNECTORS",
    "FIRST_DAY",
    "LAST_DAY",
    "SERIES",
    "SOURCES",
    "BarBatch",
    "BarSource",
    "FailedSymbol",
    "GeneratedMarket",
    "Heard",
    "OverheardSource",
    "PackagedMarket",
    "as_received",
    "caveats_of",
    "connector_of",
    "files",
    "fred",
    "http",
    "key_of",
    "lookback_of",
    "mapping_of",
    "open_http_source",
    "open_source",
    "packaged",
    "replay",
    "source_of",
    "sources_of",
    "tiny_market",
]
