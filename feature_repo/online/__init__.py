"""The online store: the newest row of each entity, packed in Redis, verified at each read, with a stand-in in memory.

- What is kept: `views` (which columns of which table), `packing` (a row as bytes), `seals` (a digest per value).
- Writing: `generations` (all rows of a materialisation in one transaction), `rows` (what is new since the last one).
- Reading: `reader` and its `answers`; `source` asks Redis within a deadline (`deadlines`, `breaker`), `verification`
  refuses what does not verify, `snapshot` answers instead, `degradation` says why, `repair` fills Redis again.
- Comparing: `parity` (a submodule of its own, it reads Delta tables), `redis_server` (the embedded server).
"""

from feature_repo.online.answers import OnlineBatch, Served, ViewRow, ViewRows
from feature_repo.online.blend import BlendWeights
from feature_repo.online.breaker import CircuitBreaker
from feature_repo.online.calibration import OnlineCalibration
from feature_repo.online.claims import require_own_server
from feature_repo.online.deadlines import TimedClient, deadline
from feature_repo.online.degradation import Degradation, DegradationKind
from feature_repo.online.generations import (
    ATTEMPTS,
    PROJECT,
    Generation,
    OvertakenError,
    Rows,
    publish,
    read_generation,
    read_index,
    remove,
    row_key,
)
from feature_repo.online.packing import EVENT, HEADER, KNOWN, NARROW, WIDE, Layout, instant
from feature_repo.online.parity import compare_stores, withdraw
from feature_repo.online.reader import OnlineReader
from feature_repo.online.repair import StoreObserver, is_whole
from feature_repo.online.rows import newest_rows, rows_since
from feature_repo.online.seals import SEAL_BYTES, OnlineKey, key_path
from feature_repo.online.snapshot import generation_path, read_last_generation, write_last_generation
from feature_repo.online.views import (
    A_QUARTER,
    A_WEEK,
    FEATURES,
    REGIME,
    STRATEGY,
    VIEWS,
    WINDOW,
    OnlineView,
    oldest_current,
    view_named,
)

__all__ = [
    "ATTEMPTS",
    "A_QUARTER",
    "A_WEEK",
    "EVENT",
    "FEATURES",
    "HEADER",
    "KNOWN",
    "NARROW",
    "PROJECT",
    "REGIME",
    "SEAL_BYTES",
    "STRATEGY",
    "VIEWS",
    "WIDE",
    "WINDOW",
    "BlendWeights",
    "CircuitBreaker",
    "Degradation",
    "DegradationKind",
    "Generation",
    "Layout",
    "OnlineBatch",
    "OnlineCalibration",
    "OnlineKey",
    "OnlineReader",
    "OnlineView",
    "OvertakenError",
    "Rows",
    "Served",
    "StoreObserver",
    "TimedClient",
    "ViewRow",
    "ViewRows",
    "compare_stores",
    "deadline",
    "generation_path",
    "instant",
    "is_whole",
    "key_path",
    "newest_rows",
    "oldest_current",
    "parity",
    "publish",
    "read_generation",
    "read_index",
    "read_last_generation",
    "redis_server",
    "remove",
    "require_own_server",
    "row_key",
    "rows_since",
    "view_named",
    "withdraw",
    "write_last_generation",
]
