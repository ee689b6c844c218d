"""What a model is trained on: every session with the features that were known at its close, and nothing else."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import polars as pl

from feature_repo.catalog import spec_of
from feature_repo.feast_store.registry import apply, feature_store
from feature_repo.targets import FORECAST_V2
from lake.clock import Clock
from lake.errors import ConfigError, LookAheadError, NotReadyError, SchemaError, UnknownNameError
from lake.settings import Settings
from lake.spec import INSTANT, TableSpec
from lake.store import Lake

TRAINING = "_training"
"""Ending of the names of feature services that models are trained on."""
KEYS = {"symbol": pl.String(), "event_time": INSTANT}


@dataclass(frozen=True)
class TrainingFrame:
    """Features as they were known at each session, and what they were read from.

    Parameters
    ----------
    frame
        ``symbol, event_time`` and a column per feature, in the order of the spine; null is not known.
    versions
        Delta versions that were read, by table. Reading them again for the same spine gives the same frame.
    """

    frame: pl.DataFrame
    versions: dict[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the frame's names, types, nulls and values, in hex: two frames share it when every bit agrees."""
        return digest_of(self.frame)


def training_frame(
    lake: Lake,
    settings: Settings,
    service: str = FORECAST_V2.name,
    clock: Clock | None = None,
    *,
    spine: pl.DataFrame | None = None,
    versions: Mapping[str, int] | None = None,
) -> TrainingFrame:
    """Retrieve what a model of one signature is trained on, through Feast's historical retrieval.

    Each (symbol, session) of the spine gets the feature values that were known when the session was decided, the
    market's decision delay after its close: a value restated later appears as it was.

    Parameters
    ----------
    service
        Model signature or feature group; what is read is the Feast service of that name with ``_training``.
    clock
        Says the market's now; by default the replay clock of the settings.
    spine
        ``symbol, event_time`` to ask for; by default every session stored by the market's now.
    versions
        Delta version to read, by table, as an earlier frame recorded them; by default the newest. Tables that the
        service does not read may be among them, so what a model recorded as a whole can be passed.

    Raises
    ------
    NotReadyError
        If there are no features yet.
    UnknownNameError
        If there is no such service.
    ConfigError
        If versions are given and one of the tables has none.
    LookAheadError
        If the spine asks at a time after the market's now.
    """
    now, delay = (clock or settings.clock).now(), lake.market.decided_after
    apply(settings)
    tables = _tables(service)
    pinned = _versions(lake, tables, versions)
    asked = (
        _sessions(lake, tables[0], pinned[tables[0].name], now, delay)
        if spine is None
        else _checked(spine, now - delay)
    )
    store = feature_store(settings, tables=lake.root, versions=pinned)
    with redirect_stdout(StringIO()):
        job = store.get_historical_features(
            entity_df=asked.select("symbol", (pl.col("event_time") + delay).alias("event_timestamp")).to_pandas(),
            features=store.get_feature_service(service + TRAINING),
        )
    frame = pl.DataFrame(pl.from_arrow(job.to_arrow())).rename({"event_timestamp": "event_time"})
    at_close = pl.col("event_time").dt.convert_time_zone("UTC") - delay
    return TrainingFrame(frame.with_columns(at_close), pinned)


def digest_of(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's names, types, nulls and values, in hex, however it lies in memory."""
    digest = hashlib.sha256(json.dumps([(name, str(dtype)) for name, dtype in frame.schema.items()]).encode())
    for column in frame:
        digest.update(column.is_null().to_numpy().tobytes())
        is_number = column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == pl.Boolean()
        if is_number:
            digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
        else:
            digest.update(json.dumps(column.to_list(), default=str).encode())
    return digest.hexdigest()


def _tables(service: str) -> list[TableSpec]:
    """Tables that the features of a service lie in, the first of them that of its sessions."""
    from feature_repo.feast_store.services import SERVICES
    from feature_repo.feast_store.views import VIEWS

    sources = {view.name: view.batch_source for view in VIEWS}
    for candidate in SERVICES:
        if candidate.name == service + TRAINING:
            return [sources[projection.name].spec for projection in candidate.feature_view_projections]
    known = [offered.name.removesuffix(TRAINING) for offered in SERVICES if offered.name.endswith(TRAINING)]
    raise UnknownNameError("training service", service, known)


def _versions(lake: Lake, tables: list[TableSpec], asked: Mapping[str, int] | None) -> dict[str, int]:
    for table in tables:
        if not lake.exists(table):
            raise NotReadyError(
                f"There is nothing to train on: table '{table.name}' is not made yet under {lake.root}. "
                f"Run `{lake.market.first_run}`, or feature_repo.materialize.update.update_group."
            )
    if asked is None:
        return lake.versions(tables)
    for name in asked:
        spec_of(name)
    if missing := [table.name for table in tables if table.name not in asked]:
        raise ConfigError(
            f"The versions name {', '.join(asked) or 'no table'}, and the frame also reads '{missing[0]}'. Pass all "
            "versions of the frame that is to be read again, or none for the newest."
        )
    return {table.name: asked[table.name] for table in tables}


def _sessions(lake: Lake, table: TableSpec, version: int, now: datetime, delay: timedelta) -> pl.DataFrame:
    """Every session of every symbol that had been decided and was known by now."""
    is_past = (pl.col("event_time") + delay <= now) & (pl.col("known_time") <= now)
    stored = lake.scan(table, version=version).filter(is_past)
    return stored.select(*KEYS).unique().sort(*KEYS).collect()


def _checked(spine: pl.DataFrame, now: datetime) -> pl.DataFrame:
    if {name: spine.schema.get(name) for name in KEYS} != KEYS:
        raise SchemaError(
            f"A spine has the columns symbol (text) and event_time (microseconds in UTC), and this one has "
            f"{dict(spine.schema)}. Select and cast them first."
        )
    last: Any = spine["event_time"].max()
    if last is not None and last > now:
        raise LookAheadError(
            f"The spine asks at {last}, and the market stands at {now}: what is known then is not known yet. Leave "
            "the later rows out, or let the market advance."
        )
    return spine.select(*KEYS)
