"""Bands that the blend would have answered at each close of the walk-forward, and whether they held.

The replays of the models are blended by the weights, and corrected by the calibration, in force at their close; both
are stored rows. Such a band was never answered: its record stands beside that of answered forecasts, never within it.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from lake.spec import INSTANT
from lake.tables import BLEND_WEIGHTS, CALIBRATIONS, FORECAST_DECISIONS, FORECASTS, LABELS
from serving import api
from serving.forecasts import QUANTILES, REPLAY, blend_replayed, widened
from serving.history.known import KnownTables, was_known
from serving.history.records import band_record, held_by_symbol, overlap_of

MADE_OF = (FORECASTS, FORECAST_DECISIONS, BLEND_WEIGHTS, CALIBRATIONS, LABELS)
OF_CLOSE = ("symbol", "event_time")
REALISED = "realised_return"
BANDS = pl.Schema(
    {"symbol": pl.String(), "event_time": INSTANT, "regime": pl.String(), "known_time": INSTANT}
    | dict.fromkeys((*QUANTILES, "trust", REALISED), pl.Float64())
    | {"is_covered": pl.Boolean()}
)
VERB = "would have held in replay"


def record_in_replay(tables: KnownTables, symbol: str, horizon: int, at: datetime) -> api.BandRecord:
    """Return how often the blend's bands of a symbol over one horizon would have held, as known at an instant.

    Parameters
    ----------
    horizon
        As the tables count it.
    """
    counted = held_in_replay(tables, [symbol], horizon, at).drop("symbol")
    outcomes, held, sessions = counted.row(0) if counted.height else (0, 0, 0)
    return replayed_record(outcomes, held, sessions, overlap_of(tables.market, horizon))


def replayed_of(tables: KnownTables, symbols: Sequence[str], horizon: int, at: datetime) -> pl.DataFrame:
    """Return the blend's forecasts of some symbols at closes of the walk-forward whose outcome was known at an instant.

    The replays of these symbols alone are read, once per version of the tables.

    Parameters
    ----------
    symbols
        Of one part of a list: a frame of them is kept in memory for each choice of symbols.
    horizon
        As the tables count it.

    Returns
    -------
    pl.DataFrame
        Columns of `BANDS`, one row per symbol and close: the quantiles as they would have been answered,
        ``trust`` in their probability then, ``realised_return``, ``is_covered``, and ``known_time``, when the last of
        what the row is made of was known.
    """
    asked = tuple(sorted(symbols))
    bands = tables.kept(("replayed bands", horizon, asked), MADE_OF, lambda: _bands(tables, horizon, asked))
    return bands.filter(was_known(at))


def held_in_replay(tables: KnownTables, symbols: Sequence[str], horizon: int, at: datetime) -> pl.DataFrame:
    """Count replayed bands of some symbols over one horizon whose outcome was known at an instant.

    Parameters
    ----------
    symbols, horizon
        As for `replayed_of`.

    Returns
    -------
    pl.DataFrame
        As `held_by_symbol` returns it; a symbol without such a band is missing.
    """
    return held_by_symbol(replayed_of(tables, symbols, horizon, at))


def replayed_record(outcomes: int, held: int, sessions: int, overlap: int) -> api.BandRecord:
    """Return a record whose sentence says that the bands were replayed; parameters as for `band_record`.

    Examples
    --------
    >>> replayed_record(outcomes=212, held=164, sessions=212, overlap=1).sentence
    '80 % band would have held in replay 77 % (72-82 %, n=212)'
    """
    return band_record(outcomes, held, sessions, overlap, verb=VERB)


def _bands(tables: KnownTables, horizon: int, symbols: Sequence[str]) -> pl.DataFrame:
    """Whether each replayed band of some symbols held, whenever that was known.

    Returns
    -------
    pl.DataFrame
        Columns of `BANDS`; ``known_time`` is when the last of what it was made of and its outcome was known, and no
        earlier than the close was decided.
    """
    if not all(tables.reader.exists(spec) for spec in (FORECASTS, BLEND_WEIGHTS, LABELS)):
        return pl.DataFrame(schema=BANDS)
    weights = tables.reader.read(BLEND_WEIGHTS)
    is_asked = (pl.col("horizon_sessions") == horizon) & pl.col("symbol").is_in(list(symbols))
    blends = blend_replayed(_replays(tables, is_asked, weights), weights)
    matured = blends.join(_outcomes(tables, is_asked), on=OF_CLOSE)
    known = matured.join(_corrections(tables, blends, horizon), on=["event_time", "regime"])
    bands = widened(known.select(QUANTILES).to_numpy(), known.select("lower", "upper").to_numpy())
    low, middle, high = bands.T
    realised = known["forward_return"].to_numpy()
    decided = pl.col("event_time") + tables.market.decided_after
    return known.select(
        *OF_CLOSE,
        "regime",
        pl.max_horizontal("known_time", "corrected", "matured", decided),
        *(pl.Series(name, end) for name, end in zip(QUANTILES, (low, middle, high), strict=True)),
        "trust",
        pl.col("forward_return").alias(REALISED),
        pl.Series("is_covered", (low <= realised) & (realised <= high)),
    )


def _replays(tables: KnownTables, is_asked: pl.Expr, weights: pl.DataFrame) -> pl.DataFrame:
    """Replays of the models that ever had a weight; of several for one close the one that was known first."""
    entries = weights.select("models", "model_weights").explode("models", "model_weights", empty_as_null=True)
    models = entries.filter(pl.col("model_weights") > 0)["models"].unique().to_list()
    is_weighted = (pl.col("kind") == REPLAY) & pl.col("model_name").is_in(models)
    rows = tables.reader.scan(FORECASTS).filter(is_asked, is_weighted)
    shown = rows.select(*OF_CLOSE, "horizon_sessions", "known_time", "made_at", "model_name", "regime", *QUANTILES)
    ordered = shown.sort("known_time", "made_at", maintain_order=True)
    return ordered.unique([*OF_CLOSE, "model_name"], keep="first", maintain_order=True).collect()


def _outcomes(tables: KnownTables, is_asked: pl.Expr) -> pl.DataFrame:
    """Return labels as they were first known, as outcomes have them: ``matured`` is when."""
    labels = tables.reader.scan(LABELS).filter(is_asked).sort("known_time", maintain_order=True)
    first = labels.unique(OF_CLOSE, keep="first", maintain_order=True)
    return first.select(*OF_CLOSE, "forward_return", pl.col("known_time").alias("matured")).collect()


def _corrections(tables: KnownTables, blends: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Factors and trust in force at each close and regime, 1 where there were none.

    Returns
    -------
    pl.DataFrame
        ``event_time``, ``regime``, ``lower``, ``upper``, ``trust`` and ``corrected``, when they were
        known; null where none were.
    """
    stored = tables.reader.read(CALIBRATIONS) if tables.reader.exists(CALIBRATIONS) else CALIBRATIONS.empty()
    asked = blends.select("event_time", "regime").unique().sort("event_time")
    names = {"regimes": "regime", "horizons": "horizon_sessions", "lower": "lower", "upper": "upper", "trust": "trust"}
    decisions = stored.select("event_time", pl.col("known_time").alias("corrected"), *names).sort("event_time")
    closes = asked.select(pl.col("event_time").unique(maintain_order=True))
    in_force = closes.join_asof(decisions, on="event_time", strategy="backward").drop_nulls()
    entries = in_force.explode(*names, empty_as_null=True).rename(names)
    factors = entries.filter(pl.col("horizon_sessions") == horizon).drop("horizon_sessions")
    joined = asked.join(factors, on=["event_time", "regime"], how="left")
    return joined.with_columns(pl.col("lower", "upper", "trust").fill_null(1.0))
