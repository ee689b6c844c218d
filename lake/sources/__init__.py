"""Sources of bars: what each of them answers, the packaged market, generated markets of any size, and own files."""

from lake.sources.base import BarBatch, BarSource
from lake.sources.generated import GeneratedMarket, as_received, tiny_market
from lake.sources.packaged import FIRST_DAY, LAST_DAY, PackagedMarket
from lake.sources.registry import caveats_of, mapping_of, open_source, source_of

__all__ = [
    "FIRST_DAY",
    "LAST_DAY",
    "BarBatch",
    "BarSource",
    "GeneratedMarket",
    "PackagedMarket",
    "as_received",
    "caveats_of",
    "files",
    "mapping_of",
    "open_source",
    "source_of",
    "tiny_market",
]
