"""Measures how much worse the models in service forecast when features are exchanged among the symbols of a session.

Permutation importance (Breiman 2001, "Random forests"; Fisher, Rudin and Dominici 2019, "All models are wrong, but many
are useful"), within a session: the market of the day stays what it was, only what tells the symbols apart is lost.
"""

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from feature_repo.targets import FORECAST_V2
from lake.errors import NotReadyError
from lake.horizon_ends import bars_spanned
from lake.report import Report
from lake.tables import FEATURE_IMPORTANCE
from serving.importance.contributed import SampledContributions
from serving.importance.exchange import FeatureSet, exchanged, feature_sets, order_within
from serving.importance.matured import MaturedPanel, matured_panel
from serving.importance.reading import ALL_REGIMES
from serving.importance.rises import FEWEST_SESSIONS, mean_by_session, rise_of
from serving.importance.subjects import Subject, subjects_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake
    from serving.engines import Background, Engine

REPEATS = 20
"""Random exchanges of each feature that are averaged, where time allows."""
SECONDS = 60.0
"""Time that each model may take; one that is slower is asked fewer repeats, and its rows say how many."""
SEED = 0


def measure_in_service(lake: "Lake", configured: "Settings", clock: "Clock", *, seconds: float = SECONDS) -> Report:
    """Measure the models in service, by their typical windows as well; see `update_importance`."""
    from serving.deployment import load_champions
    from serving.engines import load_engine

    bundles = load_champions(configured)
    engines = {name: load_engine(bundle, configured) for name, bundle in bundles.items()}
    backgrounds = {name: bundle.background for name, bundle in bundles.items() if bundle.background}
    return update_importance(lake, clock, engines, backgrounds, seconds=seconds)


def update_importance(
    lake: "Lake",
    clock: "Clock",
    engines: "Mapping[str, Engine]",
    backgrounds: "Mapping[str, Background] | None" = None,
    *,
    seconds: float = SECONDS,
) -> Report:
    """Measure the importance of every feature for every model, and for the blend, over the newest matured sessions.

    Parameters
    ----------
    engines
        Models in service, by name.
    backgrounds
        Typical windows of their training, by name; a model without them has no Shapley values.
    seconds
        Time that each model may take.

    Returns
    -------
    Report
        Of `feature_importance`; skipped when the newest matured session was measured with these models. ``details``
        hold the repeats by model, and the clusters.

    Raises
    ------
    NotReadyError
        If no model is in service, or no session has matured that none of them learnt from.
    """
    started = time.perf_counter()
    if not engines:
        raise NotReadyError(
            f"The importance of features needs a model in service. Run `{lake.market.first_run}` first."
        )
    panel = matured_panel(lake, clock, min(engine.signature.train_until for engine in engines.values()))
    subjects = subjects_of(panel, engines)
    if _is_measured(lake, subjects, panel):
        return lake.report(FEATURE_IMPORTANCE, started=started).with_details(
            reason="the newest matured session was measured with these models"
        )
    measure = Measurement(panel, subjects, engines, backgrounds or {}, seconds, lake.market.grid)
    rows = [row | {"known_time": clock.now()} for each in measure.sets for row in measure.rows_of(each)]
    report = lake.merge(FEATURE_IMPORTANCE, pl.DataFrame(rows, schema=FEATURE_IMPORTANCE.schema))
    clusters = [each.name for each in measure.sets if len(each.features) > 1]
    return report.with_details(
        seconds=time.perf_counter() - started, repeats=measure.repeats, clusters=clusters, sessions=len(panel.closes)
    )


@dataclass(frozen=True)
class Measurement:
    """One measurement: the forecasts as they are, and after exchanges, as many as each model has time for.

    Parameters
    ----------
    panel, subjects
        Sessions to measure on, and whose forecasts.
    engines, backgrounds
        Models in service, and typical windows of their training, by name.
    seconds
        Time that each model may take.
    grid
        Where the closes of the market's bars lie, in which horizons are counted.
    """

    panel: MaturedPanel
    subjects: "list[Subject]"
    engines: "Mapping[str, Engine]"
    backgrounds: "Mapping[str, Background]"
    seconds: float
    grid: str

    @cached_property
    def sets(self) -> tuple[FeatureSet, ...]:
        """Features, then clusters of features, that are exchanged together."""
        return feature_sets(FORECAST_V2.features, self.panel.last)

    @cached_property
    def repeats(self) -> dict[str, int]:
        """Repeats by model, from the time that the forecasts as they are took."""
        of_one = {name: took * len(self.sets) for name, (_, took) in self._as_they_are.items()}
        return {name: int(np.clip(self.seconds / max(took, 1e-9), 1, REPEATS)) for name, took in of_one.items()}

    def rows_of(self, exchange: FeatureSet) -> "Iterator[dict[str, Any]]":
        """Measure one feature or cluster: its rows of `feature_importance`, but for their `known_time`."""
        for number, (subject, rise) in enumerate(zip(self.subjects, self._rises(exchange), strict=True)):
            overlapping = bars_spanned(subject.horizon, self.grid).most
            for regime, rows in self._regimes(subject).items():
                session = self.panel.session[subject.is_measured][rows]
                mean, low, high = rise_of(mean_by_session(rise[rows], session), overlapping)
                yield {
                    "model": subject.name,
                    "horizon_sessions": subject.horizon,
                    "regime": regime,
                    "feature": exchange.name,
                    "features": list(exchange.features),
                    "event_time": self.panel.closes[int(session.max())],
                    "first_session": self.panel.closes[int(session.min())],
                    "sessions": len(np.unique(session)),
                    "forecasts": len(session),
                    "repeats": self._repeats_of(subject),
                    "loss": float(mean_by_session(self._losses[number][rows], session).mean()),
                    "loss_rise": mean,
                    "low": low,
                    "high": high,
                    "mean_absolute_shapley": self._contributed.mean_absolute(subject, regime, exchange),
                    "model_digest": subject.digest,
                    "table_versions": self.panel.versions,
                }

    @cached_property
    def _as_they_are(self) -> "dict[str, tuple[NDArray[np.float32], float]]":
        """Predictions by model, and the seconds that they took."""
        found = {}
        for name, engine in self.engines.items():
            engine.signature.require_match(FORECAST_V2)
            started = time.perf_counter()
            found[name] = (engine.predict(self.panel.x), time.perf_counter() - started)
        return found

    @cached_property
    def _losses(self) -> "list[NDArray[np.float64]]":
        """Losses as they are, by subject."""
        predictions = {name: answer for name, (answer, _) in self._as_they_are.items()}
        return [subject.losses(self.panel, predictions) for subject in self.subjects]

    @cached_property
    def _contributed(self) -> SampledContributions:
        return SampledContributions.of(self.panel, self.engines, self.backgrounds)

    def _rises(self, exchange: FeatureSet) -> "list[NDArray[np.float64]]":
        """Mean rise of each measured loss over the repeats, by subject; all models see the same exchanges."""
        totals = [np.zeros(int(subject.is_measured.sum())) for subject in self.subjects]
        for repeat in range(max(self.repeats.values())):
            random = np.random.default_rng([SEED, repeat, *exchange.places])
            order = order_within(self.panel.session, random)
            x = exchanged(self.panel.x, exchange.places, order)
            active = {name: engine for name, engine in self.engines.items() if repeat < self.repeats[name]}
            predictions = {name: engine.predict(x) for name, engine in active.items()}
            for number, subject in enumerate(self.subjects):
                if repeat < self._repeats_of(subject):
                    totals[number] += subject.losses(self.panel, predictions) - self._losses[number]
        return [total / self._repeats_of(subject) for total, subject in zip(totals, self.subjects, strict=True)]

    def _repeats_of(self, subject: "Subject") -> int:
        return min(self.repeats[name] for name in subject.members)

    def _regimes(self, subject: "Subject") -> "dict[str, NDArray[np.int64]]":
        """Places among the subject's windows of all regimes together, and of each with `FEWEST_SESSIONS` or more."""
        regime, session = self.panel.regime[subject.is_measured], self.panel.session[subject.is_measured]
        places = {ALL_REGIMES: np.arange(len(regime))}
        places |= {name: np.flatnonzero(regime == name) for name in sorted(set(regime.tolist()))}
        return {name: rows for name, rows in places.items() if len(np.unique(session[rows])) >= FEWEST_SESSIONS}


def _is_measured(lake: "Lake", subjects: "list[Subject]", panel: MaturedPanel) -> bool:
    """Whether every subject has a measure of the newest session with the same model file."""
    if not lake.exists(FEATURE_IMPORTANCE):
        return False
    names = ["model", "horizon_sessions", "event_time", "model_digest"]
    known = set(lake.scan(FEATURE_IMPORTANCE).select(names).unique().collect().iter_rows())
    wanted = {
        (one.name, one.horizon, panel.closes[int(panel.session[one.is_measured].max())], one.digest) for one in subjects
    }
    return wanted <= known
