"""Sources to tables: fetch what is new, refine it, keep every row either clean or quarantined with its reason."""

from lake.ingest.fetching import ingest_bars, require_history
from lake.ingest.macro import ingest_macro, refine_macro_to_lake, store_macro
from lake.ingest.refining import refine_to_lake
from lake.ingest.releasing import release

__all__ = [
    "ingest_bars",
    "ingest_macro",
    "refine_macro_to_lake",
    "refine_to_lake",
    "release",
    "require_history",
    "store_macro",
]
