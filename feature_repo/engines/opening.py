"""The engine of a run: what every engine does, and which one a setting names."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, Protocol, get_args

import polars as pl

from feature_repo.engines.local import LocalEngine
from feature_repo.engines.sessions import SparkOptions, open_session
from feature_repo.engines.spark import SparkEngine
from feature_repo.spec import FeatureGroup
from lake.errors import ConfigError
from lake.store import Lake

EngineName = Literal["local", "sail", "connect", "jvm"]
"""In process; an in-process Spark; a Spark by URL; a Spark in a Java process of its own."""


class FeatureEngine(Protocol):
    """What turns the bars in a lake into the rows of a feature group."""

    def compute(
        self, lake: Lake, group: FeatureGroup, at: datetime, *, version: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Compute a group from the bars known at an instant.

        Parameters
        ----------
        version
            Delta version of the bars, by default the newest.

        Yields
        ------
        pl.DataFrame
            Rows of the group's table. A key is in exactly one of the frames, so each can be merged when it arrives,
            and no more than a part of the table is ever in memory.

        Raises
        ------
        FeatureError
            Naming feature and symbol, wherever the function failed.
        """
        ...


@contextmanager
def open_engine(name: EngineName = "local", options: SparkOptions | None = None) -> Iterator[FeatureEngine]:
    """Open the engine of a run, and stop what was started for it afterwards.

    Raises
    ------
    ConfigError
        If there is no engine of that name.
    NotReadyError
        If what the engine needs is not installed, or does not answer.
    """
    if name not in get_args(EngineName):
        raise ConfigError(
            f"QUANTLAKE_FEATURE_ENGINE is '{name}'. It must be one of {', '.join(get_args(EngineName))}; 'local' "
            "computes in this process and is the fastest until the bars no longer fit one machine (docs/spark.md)."
        )
    if name == "local":
        yield LocalEngine()
        return
    options = options or SparkOptions()
    with open_session(name, options) as session:
        yield SparkEngine(session, buckets=options.buckets)
