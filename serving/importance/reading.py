"""What was measured last of the importance of features, as it was known at an instant."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.errors import NotReadyError, UnknownNameError
from lake.tables import FEATURE_IMPORTANCE
from serving.forecasts import BLEND

if TYPE_CHECKING:
    from lake.store import LakeReader

ALL_REGIMES = "all"
MONTH = timedelta(days=28)
"""How much older than the newest measure the one is at least whose rank stands beside it."""


@dataclass(frozen=True)
class ImportanceFigures:
    """The newest measure of one model, horizon and regime.

    Parameters
    ----------
    session
        Newest session that was measured.
    rows
        Its rows of `feature_importance`, the largest rise first, with ``rank`` and ``rank_last_month``: the rank among
        features, or among clusters, of the measure of four weeks before or earlier; null where there is none.
    """

    session: datetime
    rows: list[dict[str, Any]]

    @property
    def features(self) -> list[dict[str, Any]]:
        """Rows of single features."""
        return [row for row in self.rows if len(row["features"]) == 1]

    @property
    def clusters(self) -> list[dict[str, Any]]:
        """Rows of features that are correlated and were exchanged together."""
        return [row for row in self.rows if len(row["features"]) > 1]


def newest_importance(
    lake: "LakeReader", at: datetime, *, model: str = BLEND, horizon: int, regime: str = ALL_REGIMES
) -> ImportanceFigures:
    """Return what was measured last by an instant.

    Raises
    ------
    NotReadyError
        If nothing was measured by then.
    UnknownNameError
        If no such model or regime was measured at the horizon; the message names the nearest.
    """
    is_asked = pl.col("horizon_sessions") == horizon
    known = lake.read_as_of(FEATURE_IMPORTANCE, at, where=is_asked) if lake.exists(FEATURE_IMPORTANCE) else None
    if known is None or known.is_empty():
        raise NotReadyError(
            f"The importance of features {lake.market.horizon_of(horizon)} ahead was not measured by "
            f"{at:%Y-%m-%d}: it is measured every week, over sessions that no model in service learnt from. "
            "`quantlake importance --measure` does it now."
        )
    of_model = known.filter(pl.col("model") == model)
    if of_model.is_empty():
        raise UnknownNameError("model", model, sorted(known["model"].unique()))
    of_regime = of_model.filter(pl.col("regime") == regime)
    if of_regime.is_empty():
        raise UnknownNameError("regime", regime, sorted(of_model["regime"].unique()))
    ranked = of_regime.with_columns(_rank().alias("rank"))
    session: datetime = ranked["event_time"].max()  # type: ignore[assignment] # an instant
    newest = ranked.filter(pl.col("event_time") == session)
    earlier = ranked.filter(pl.col("event_time") <= session - MONTH)
    before = earlier.filter(pl.col("event_time") == pl.col("event_time").max())
    joined = newest.join(before.select("feature", rank_last_month="rank"), on="feature", how="left")
    return ImportanceFigures(session, joined.sort("loss_rise", "feature", descending=[True, False]).to_dicts())


def _rank() -> pl.Expr:
    """Rank by the rise among the features, or among the clusters, of one measure; 1 is the largest."""
    is_cluster = pl.col("features").list.len() > 1
    return pl.col("loss_rise").rank("min", descending=True).over("event_time", is_cluster).cast(pl.Int64)
