"""Join features to a spine with Feast's DuckDB store: a script for an environment where quantlake is not needed.

``python feast_duckdb.py in.npz out.npz``. The input holds ``rows`` and ``spine``: Parquet files with ``symbol``,
``event_time``, ``known_time`` and features, and with ``symbol`` and ``event_timestamp``; ``features``, their names;
``days``, how old a value may be; and ``repetitions``. The output holds ``values`` as ``[row of the spine, feature]`` in
the order of the spine, ``all_seconds`` of the repetitions and ``seconds``, their median, from the pandas frame that is
asked to the Arrow table.
"""

import os
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

os.environ |= {"FEAST_USAGE": "False", "DO_NOT_TRACK": "1"}


def make_store(folder: Path, asked: Any) -> Any:
    """Return a feature store of one view over the file of rows."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64

    store = FeatureStore(
        config=RepoConfig(
            project="rival",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    symbol = Entity(name="symbol", value_type=ValueType.STRING)
    source = FileSource(
        path=str(asked["rows"]), timestamp_field="event_time", created_timestamp_column="known_time", name="rows"
    )
    schema = [Field(name=str(name), dtype=Float64) for name in asked["features"]]
    ttl = timedelta(days=int(asked["days"]))
    store.apply([symbol, FeatureView(name="view", entities=[symbol], schema=schema, source=source, ttl=ttl)])
    return store


def main(given: str, answered: str) -> None:
    """Answer what is asked, and time it."""
    import pandas as pd

    asked = np.load(given)
    names = [str(name) for name in asked["features"]]
    spine = pd.read_parquet(str(asked["spine"]))
    spine["place"] = np.arange(len(spine))
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), asked)
        for _ in range(int(asked["repetitions"])):
            started = time.perf_counter()
            table = store.get_historical_features(spine, [f"view:{name}" for name in names]).to_arrow()
            seconds.append(time.perf_counter() - started)
    order = np.argsort(table["place"].to_numpy())
    values = np.column_stack([table[name].to_numpy()[order] for name in names])
    np.savez(answered, values=values, seconds=statistics.median(seconds), all_seconds=np.array(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
