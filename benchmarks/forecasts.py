"""The model table: every model fitted before each test year, beside the best baseline, and the blend of them."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.report import Topic
from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.materialize import update_labels, update_technical
from feature_repo.online import BlendWeights
from feature_repo.targets import HORIZONS, QUANTILES
from lake.calendars import close_of
from lake.clock import FixedClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.ledger import TrialLedger
from lake.settings import Settings
from lake.sources import LAST_DAY, PackagedMarket
from lake.store import Lake
from lake.tables import LABELS
from serving.blend_weights import learn_weights
from serving.forecasts import blend
from training.data import build_window_set, sessions_of
from training.experiments import Experiment, load_experiment
from training.judge import (
    FoldForecast,
    ModelComparison,
    compare_models,
    compare_with_best_baseline,
    coverage,
    forecast_folds,
    pinball_loss,
    verdict_table,
)
from training.models import MODELS

BLEND = "blend, as it is answered"
EVERY_YEAR = tuple(range(2004, LAST_DAY.year + 1))
HEADER = (
    "test years", "forecast",
    *(f"{what}, {horizon} ahead" for horizon in HORIZONS for what in ("pinball, %", "gain, t", "coverage")),
)  # fmt: skip


def measure(experiments: Sequence[Experiment] = ()) -> Topic:
    """Walk through the test years of the demo, and through every year that has four years before it."""
    chosen = experiments or (load_experiment("demo"), every_year())
    with tempfile.TemporaryDirectory(prefix="quantlake-forecasts-") as folder:
        lake = prepared(Path(folder))
        walks = [walk(lake, experiment) for experiment in chosen]
        labels = lake.read_as_of(LABELS, close_of(LAST_DAY))
    longest = max(walks, key=len)
    walks = [[*forecasts, *blended(forecasts, labels, longest)] for forecasts in walks]
    rows = [row for experiment, forecasts in zip(chosen, walks, strict=True) for row in rows_of(experiment, forecasts)]
    text = (
        "Every model is fitted anew before each test year on what was known then, with the demo's budget and one seed. "
        "Pinball loss at 10, 50 and 90 % in percent of return. The gain is the part of the best baseline's loss that "
        "is saved, with its t-value over sessions (Newey-West); for the baselines it is against naive. Coverage is "
        "that of the 80 % band before any calibration. The weights of the blend are learned from the longest walk."
    )
    notes = ["the 25 symbols are companies that still existed in 2013: their returns are those of survivors"]
    for experiment, forecasts in zip(chosen, walks, strict=True):
        verdicts = [str(one) for one in compare_with_best_baseline(forecasts) if one.model in MODELS]
        notes += [f"{_span(experiment)}: {one}" for one in (*verdicts, *beside_members(forecasts))]
    return Topic("Forecasts", text, HEADER, tuple(rows), tuple(map(str, notes)))


def every_year(years: tuple[int, ...] = EVERY_YEAR, name: str = "every_year") -> Experiment:
    """The demo's experiment with a test in every one of some years up to the end of the packaged market."""
    demo = load_experiment("demo")
    splits = demo.splits.model_copy(update={"test_years": years})
    return demo.model_copy(update={"name": name, "train_until": LAST_DAY, "splits": splits})


def prepared(folder: Path) -> Lake:
    """Return the packaged market with technical features and labels."""
    lake, clock = Lake.open(Settings(home=folder)), FixedClock(close_of(LAST_DAY))
    ingest_bars(lake, PackagedMarket(), clock)
    refine_to_lake(lake, clock)
    for update in (update_technical, update_labels):
        update(lake, clock)
    return lake


def walk(lake: Lake, experiment: Experiment) -> list[FoldForecast]:
    """Forecast every test year by every model, each fitted before it."""
    features, labels = (lake.read_as_of(table, experiment.knowledge_end) for table in (FEATURES_TECHNICAL, LABELS))
    at = sessions_of(experiment, features["event_time"].min())  # type: ignore[arg-type]
    windows, ledger = build_window_set(features, labels, at=at), TrialLedger(lake, experiment.knowledge_end)
    return forecast_folds(windows, experiment, {}, ledger=ledger, progress=print)


def blended(
    forecasts: Sequence[FoldForecast], labels: pl.DataFrame, history: Sequence[FoldForecast] = ()
) -> Iterator[FoldForecast]:
    """Average the models of each fold as it is answered: by weights learned from what had matured at each close.

    What counts in a fold follows from the verdicts on the folds before it; in the first one the baselines count.

    Parameters
    ----------
    labels
        Rows of `labels`, one per key.
    history
        Forecasts of a longer walk that weights are learned from; by default from the forecasts themselves, which begin
        with nothing learned.
    """
    learned = history or forecasts
    rows = learn_weights(_as_stored(learned), labels, _verdicts(learned)).iter_rows(named=True)
    in_force = {row["event_time"]: BlendWeights.of(row) for row in rows}
    for fold in dict.fromkeys(one.fold for one in forecasts):
        members = {one.model: one for one in reversed(forecasts) if one.fold == fold}  # of several seeds the first
        truth = next(iter(members.values())).truth
        of_horizons = [[in_force[at].of_horizon(h) for h in HORIZONS] for at in truth.keys["event_time"].to_list()]
        weights = {name: np.array([[one.get(name, 0.0) for one in row] for row in of_horizons]) for name in members}
        yield FoldForecast(BLEND, fold, truth, blend({name: one.quantiles for name, one in members.items()}, weights))


def _as_stored(forecasts: Sequence[FoldForecast]) -> pl.DataFrame:
    """Forecasts in those columns of the table `forecasts` that weights are learned from."""
    columns, kept = ("p10", "p50", "p90"), {}
    for one in reversed(forecasts):
        kept[one.model, one.fold] = one
    return pl.concat(
        one.truth.keys.select("symbol", "event_time").with_columns(
            pl.lit(horizon, pl.Int32()).alias("horizon_sessions"),
            pl.lit(one.model).alias("model_name"),
            *(pl.Series(name, one.quantiles[:, number, place]) for place, name in enumerate(columns)),
        )
        for one in kept.values()
        for number, horizon in enumerate(HORIZONS)
    )


def _verdicts(forecasts: Sequence[FoldForecast]) -> pl.DataFrame:
    """What is known of the models before each fold: the verdicts on those before it."""
    folds = [*dict.fromkeys(one.fold for one in forecasts)]
    start = min(one.truth.keys["event_time"].min() for one in forecasts)  # type: ignore[type-var]
    first = verdict_table([one for one in forecasts if one.fold == folds[0]], experiment="", known_time=start)
    tables = [
        first.filter("is_baseline").with_columns(pl.lit(start).cast(first.schema["event_time"]).alias("event_time"))
    ]
    for count in range(1, len(folds)):
        before = [one for one in forecasts if one.fold in folds[:count]]
        tables.append(verdict_table(before, experiment=folds[count], known_time=start))
    return pl.concat(tables)


def beside_members(forecasts: Sequence[FoldForecast]) -> Iterator[str]:
    """How the blend compares in each fold with the model whose loss turned out lowest there."""
    for number, horizon in enumerate(HORIZONS):
        years = []
        for fold in dict.fromkeys(one.fold for one in forecasts):
            losses = {
                one.model: pinball_loss(one.truth.y[:, number], one.quantiles[:, number], QUANTILES) or 0.0
                for one in reversed(forecasts)
                if one.fold == fold
            }
            blended_loss = losses.pop(BLEND)
            baselines = {name: loss for name, loss in losses.items() if MODELS[name].is_baseline}
            best, known = min(losses, key=losses.__getitem__), min(baselines, key=baselines.__getitem__)
            beside = ", ".join(f"{blended_loss / losses[name] - 1:+.2%} ({name})" for name in (known, best))
            years.append(f"{fold} {beside}")
        yield f"the blend's loss {horizon} ahead beside that year's best baseline, and best model: {'; '.join(years)}"


def rows_of(experiment: Experiment, forecasts: Sequence[FoldForecast]) -> Iterator[tuple[str, ...]]:
    """One row per forecaster, over all folds."""
    gains = {(one.model, one.horizon_sessions): one for one in compare_with_best_baseline(forecasts)}
    gains |= {(one.model, one.horizon_sessions): one for one in _against_naive(forecasts)}
    for name in dict.fromkeys(one.model for one in forecasts):
        folds = [one for one in forecasts if one.model == name]
        truth, quantiles = (
            np.concatenate(parts) for parts in zip(*((f.truth.y, f.quantiles) for f in folds), strict=True)
        )
        cells: list[str] = []
        for number, horizon in enumerate(HORIZONS):
            outcome, bands = truth[:, number], quantiles[:, number]
            gain = gains.get((name, horizon))
            inside = coverage(outcome, bands[:, 0], bands[:, 2])
            cells += [
                f"{100 * (pinball_loss(outcome, bands, QUANTILES) or 0):.4f}",
                f"{gain.gain:+.2%}, {gain.t_value or 0:.1f}" if gain else "",
                f"{inside:.1%}",
            ]
        yield (_span(experiment), name, *cells)


def _against_naive(forecasts: Sequence[FoldForecast]) -> Iterator[ModelComparison]:
    """The other baselines beside naive."""
    folds = {name: [one for one in forecasts if one.model == name] for name in MODELS if MODELS[name].is_baseline}
    naive = folds.pop("naive")
    for baseline in filter(None, folds.values()):
        yield from (compare_models(baseline, naive, number) for number in range(len(HORIZONS)))


def _span(experiment: Experiment) -> str:
    years = experiment.splits.test_years
    return f"{years[0]} to {years[-1]}"
