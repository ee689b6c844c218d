"""Where features are computed: in this process, or on any Spark. Functions and commit rules are the same.

- `opening`: `FeatureEngine`, what every engine does, and `open_engine`, which one a setting names.
- `panel`: the computation itself, over the bars of many symbols (`compute_group`, `compute_arrays`).
- `local`: all cores of this process. `spark`, `sessions`, `worker`: buckets of symbols on a Spark cluster.
- `fit_file`: fits of earlier computations, in a file beside the tables.
- `failures`: a failed computation explained by feature and symbol.

`feature_repo.materialize` stores what an engine computes.
"""

from feature_repo.engines.fit_file import kept_fits, stored_fits
from feature_repo.engines.local import VALUES_AT_ONCE, LocalEngine, known_bars, read_index
from feature_repo.engines.opening import EngineName, FeatureEngine, open_engine
from feature_repo.engines.panel import (
    SymbolBars,
    bar_columns,
    compile_context,
    compute_arrays,
    compute_group,
    compute_technical,
    nullable,
)
from feature_repo.engines.sessions import Session, SparkOptions, delta_coordinates, open_session
from feature_repo.engines.spark import SparkEngine

__all__ = [
    "VALUES_AT_ONCE",
    "EngineName",
    "FeatureEngine",
    "LocalEngine",
    "Session",
    "SparkEngine",
    "SparkOptions",
    "SymbolBars",
    "bar_columns",
    "compile_context",
    "compute_arrays",
    "compute_group",
    "compute_technical",
    "delta_coordinates",
    "kept_fits",
    "known_bars",
    "nullable",
    "open_engine",
    "open_session",
    "read_index",
    "stored_fits",
]
