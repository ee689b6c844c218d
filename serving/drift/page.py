"""The page of the newest drift findings, made when a person asks for it; its figures are stored every session.

Evidently takes seven seconds of a processor to import and writes megabytes.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from lake.errors import NotReadyError
from lake.store import Lake
from lake.tables import DRIFT
from serving.drift.measure import KNOWN, DriftSubject, closes_after, engines_in_service, subjects_of
from serving.drift.report import write_report
from serving.drift.statistics import known_shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lake.settings import Settings
    from serving.engines import Engine


@dataclass(frozen=True)
class DriftFigures:
    """The findings of the newest session that was judged.

    Parameters
    ----------
    session, known
        Close of that session, and when the findings were made, both market time.
    rows
        Its rows of `drift`, those that drifted first.
    """

    session: datetime
    known: datetime
    rows: pl.DataFrame

    @property
    def drifted(self) -> list[str]:
        """Names of the features and forecasts that drifted."""
        return sorted(set(self.rows.filter("is_drifted")["subject"]))

    @property
    def page(self) -> str:
        """Name of the page of these findings in the folder of reports."""
        return f"drift-{self.session:%Y-%m-%d}.html"


def newest_figures(lake: Lake, now: datetime) -> DriftFigures:
    """Return the findings of the newest session that was judged by an instant.

    Raises
    ------
    NotReadyError
        If no session was judged yet.
    """
    stored = lake.read_as_of(DRIFT, now) if lake.exists(DRIFT) else DRIFT.empty()
    if stored.is_empty():
        raise NotReadyError(
            "No session was judged for drift by then: too few sessions have passed since training, or none was learnt "
            f"from. `{lake.market.first_run}` trains, and each session after that is judged."
        )
    rows = stored.filter(pl.col("event_time") == pl.col("event_time").max()).sort("adjusted_p_value", "subject")
    return DriftFigures(rows["event_time"][0], rows["known_time"].max(), rows)  # type: ignore[arg-type] # an instant


def write_page(
    lake: Lake, settings: "Settings", figures: DriftFigures, engines: "Mapping[str, Engine] | None" = None
) -> Path:
    """Write Evidently's page of findings, with the mean of each subject across symbols per session; return its path.

    The p-values on it are those that were stored; only the curves are computed anew.

    Parameters
    ----------
    engines
        Models whose forecasts are shown, by default those in service.

    Raises
    ------
    NotReadyError
        If no model is in service, or those in service learnt from every session that was known to the findings.
    """
    engines = engines_in_service(settings) if engines is None else engines
    if not engines:
        raise NotReadyError(f"The page of drift needs a model in service. Run `{lake.market.first_run}` first.")
    until = min(engine.signature.train_until for engine in engines.values())
    features = lake.read_as_of(FEATURES_TECHNICAL, figures.known)
    later = closes_after(features, until)
    if later.is_empty():
        raise NotReadyError(
            f"The findings are of {figures.session:%Y-%m-%d}, and the models in service learnt from sessions up to "
            f"{until:%Y-%m-%d}. `{lake.market.next_run}` judges the next session against what they learnt from."
        )
    wide = _means(subjects_of(features, engines, until, later), figures.rows)
    before, after = (
        wide.filter(period).to_pandas() for period in (pl.col("event_time") <= until, pl.col("event_time") > until)
    )
    shown = [name for name in wide.columns if name != "event_time"]
    verdicts = _verdicts(figures.rows)
    return write_report(before, after, {name: verdicts[name] for name in shown}, settings.reports / figures.page)


def _verdicts(rows: pl.DataFrame) -> dict[str, float]:
    """Corrected p-value of each subject: that of the aspect that moved most."""
    lowest = rows.group_by("subject", maintain_order=True).agg(pl.col("adjusted_p_value").min())
    return dict(lowest.iter_rows())


def _means(subjects: list[DriftSubject], rows: pl.DataFrame) -> pl.DataFrame:
    """Mean of every subject that was judged, across symbols per session.

    A subject that is known in one of the two periods only has no mean to show: its share of known values is shown.
    """
    judged, has_level = set(rows["subject"]), set(rows.filter(pl.col("aspect") != KNOWN)["subject"])
    frames = [
        subject.values.group_by("event_time").agg(pl.col("value").mean().alias(subject.name))
        if subject.name in has_level
        else known_shares(subject.values).rename({"known": subject.name})
        for subject in subjects
        if subject.name in judged
    ]
    wide = frames[0]
    for frame in frames[1:]:
        wide = wide.join(frame, on="event_time", how="full", coalesce=True)
    return wide.sort("event_time")
