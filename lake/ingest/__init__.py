"""Sources to tables: fetch what is new, refine it, keep every row either clean or quarantined with its reason.

- `ingest_sources`, `ingest_bars`, `require_history`: the sources of a market, or one of them, to `raw_bars`
- `pull_macro`, `ingest_macro`, `store_macro`, `refine_macro_to_lake`: economic series to `raw_macro` and `macro`
- `missing_bars`: symbols whose bar of a close has not come yet
- `refine_to_lake`, `release`: `raw_bars` to `bars`, `actions` and `quarantine`; bars that a person lets through
- `last_deliveries`, `coverage_of`: what sources were asked and answered
- `request_ingest`, `open_requests`, `start_requests`, `forget_requests`, `source_names`: requests to ask a source now
- `replay_sources`: every connector against a vendor that is played on this machine
"""

from lake.ingest.deliveries import coverage_of, last_deliveries
from lake.ingest.fetching import ingest_bars, missing_bars, require_history
from lake.ingest.macro import ingest_macro, pull_macro, refine_macro_to_lake, store_macro
from lake.ingest.refining import refine_to_lake
from lake.ingest.releasing import release
from lake.ingest.replaying import ReplayedPull, replay_sources
from lake.ingest.requests import (
    IngestRequest,
    forget_requests,
    open_requests,
    request_ingest,
    source_names,
    start_requests,
)
from lake.ingest.sourcing import ingest_sources

__all__ = [
    "IngestRequest",
    "ReplayedPull",
    "coverage_of",
    "forget_requests",
    "ingest_bars",
    "ingest_macro",
    "ingest_sources",
    "last_deliveries",
    "missing_bars",
    "open_requests",
    "pull_macro",
    "refine_macro_to_lake",
    "refine_to_lake",
    "release",
    "replay_sources",
    "request_ingest",
    "require_history",
    "source_names",
    "start_requests",
    "store_macro",
]
