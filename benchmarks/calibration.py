"""Do forecast bands cover what they promise? Walking forward over ten years, before and after calibration."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks import forecasts
from benchmarks.report import Topic
from feature_repo.materialize import update_regimes
from feature_repo.targets import HORIZONS
from lake.calendars import close_of
from lake.clock import FixedClock
from lake.sources import LAST_DAY
from lake.tables import LABELS, REGIMES
from serving.calibration import (
    TAIL,
    Reliability,
    WalkForwardSimulation,
    confidence_reliability,
    simulate,
    track,
)
from serving.calibration.picture import draw
from serving.forecasts import COVERAGE_TARGET, QUANTILES, widened
from serving.strategies import KNOWN_REGIMES
from training.experiments import Experiment
from training.judge import quantile_losses

YEARS = tuple(range(2003, LAST_DAY.year + 1))
"""Every model is fitted anew before each of them."""
CHOSEN_UNTIL = 2008
"""The method and its gains were chosen on the years from 2004 up to this one; what is reported came later."""
ROLLING_SESSIONS = 250
PICTURE = Path(__file__).parents[1] / "docs" / "calibration.png"
TOLERANCE = 0.02
NARROW = 0.7
"""Factor of bands that are made wrong, to see whether calibration finds out."""
HEADER = ("what", "sessions", "as the models say", "rolling window", "calibrated", "78-82 %")

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Bands of one way to calibrate, and what came, over the sessions of some years."""

    rows: pl.DataFrame
    quantiles: Numbers
    realised: Numbers

    def only(self, regime: str) -> "Judged":
        """The sessions of one regime."""
        in_regime = (self.rows["regime"] == regime).to_numpy()
        return Judged(self.rows.filter(in_regime), self.quantiles[in_regime], self.realised[in_regime])

    @property
    def coverage(self) -> float:
        """Share of outcomes within p10..p90."""
        return float(((self.quantiles[:, 0] <= self.realised) & (self.realised <= self.quantiles[:, 2])).mean())

    @property
    def width(self) -> float:
        """Mean width of p10..p90, in basis points."""
        return float(1e4 * (self.quantiles[:, 2] - self.quantiles[:, 0]).mean())

    @property
    def interval_score(self) -> float:
        """Mean interval score of p10..p90 in basis points, the lower the better (Gneiting and Raftery 2007)."""
        low, _, high = self.quantiles.T
        missed = np.maximum(low - self.realised, 0) + np.maximum(self.realised - high, 0)
        return float(1e4 * (high - low + missed / TAIL).mean())

    @property
    def pinball(self) -> float:
        """Mean pinball loss over the three quantiles, in basis points."""
        return float(1e4 * quantile_losses(self.realised, self.quantiles, (TAIL, 0.5, 1 - TAIL)).mean())


def measure(experiment: Experiment | None = None, picture: Path = PICTURE) -> Topic:
    """Fit, forecast and calibrate walking forward over the packaged market, in a scratch folder.

    Parameters
    ----------
    experiment
        What is fitted before each year; `demo` with a test in every year by default.
    picture
        Where coverage over time is drawn.
    """
    with tempfile.TemporaryDirectory(prefix="quantlake-calibration-") as folder:
        lived = walk_forward(Path(folder), experiment or every_year())
    draw(lived, picture)
    return topic_of(lived)


def topic_of(lived: Sequence[WalkForwardSimulation]) -> Topic:
    """The figures: of every year, and of those after the choice."""
    first, later, last = CHOSEN_UNTIL - 4, CHOSEN_UNTIL + 1, LAST_DAY.year
    rows = [row for one in lived for row in regime_rows(one, first, last)]
    rows += [row for one in lived for row in horizon_rows(one, later, last)]
    text = (
        f"Every model is fitted anew before each year from {YEARS[0]} on; their forecasts, blended by their "
        f"weights, are calibrated from close to close by what was known. The method and its gains were chosen on "
        f"{first} to {CHOSEN_UNTIL} alone; of {later} to {LAST_DAY:%B} {last} nothing was chosen. The rolling window "
        f"is split conformal prediction: each side scaled by the quantile of its last {ROLLING_SESSIONS} sessions, all "
        "regimes together."
    )
    notes = [reliability_note(one, later) for one in lived] + [narrowed_note(one, later, last) for one in lived]
    return Topic("Calibration", text, HEADER, tuple(rows), (*notes, "± is one standard error over sessions"))


def every_year() -> Experiment:
    """The demo's experiment with a test in every year up to the end of the packaged market."""
    return forecasts.every_year(YEARS, "calibration")


def walk_forward(folder: Path, experiment: Experiment) -> list[WalkForwardSimulation]:
    """Forecast every test year by models that were fitted before it, and calibrate the blend close by close."""
    lake, clock = forecasts.prepared(folder), FixedClock(close_of(LAST_DAY))
    update_regimes(lake, clock)
    labels, regimes = (lake.read_as_of(table, clock.now()) for table in (LABELS, REGIMES))
    parts = []
    for fold in forecasts.blended(forecasts.walk(lake, experiment), labels):
        for number, horizon in enumerate(HORIZONS):
            columns = [pl.Series(name, fold.quantiles[:, number, place]) for place, name in enumerate(QUANTILES)]
            keys = fold.truth.keys.select("symbol", "event_time", pl.lit(horizon, pl.Int32()).alias("horizon_sessions"))
            parts.append(keys.with_columns(columns))
    blends = pl.concat(parts).join(regimes.select("event_time", "regime"), on="event_time")
    return list(simulate(blends.sort("event_time", "symbol", "horizon_sessions"), labels))


def horizon_rows(one: WalkForwardSimulation, first: int, last: int) -> Iterator[tuple[str, ...]]:
    """Coverage by regime, then how sharp and how good the bands of each way are."""
    yield from regime_rows(one, first, last)
    ways = judged_ways(one, first, last)
    sessions = f"{ways[0].rows['event_time'].n_unique():,}"
    for name in ("width", "pinball", "interval_score"):
        figures = [f"{getattr(way, name):,.1f}" for way in ways]
        yield (f"{first} to {last}, {one.panel.horizon} ahead, {name.replace('_', ' ')}, bp", sessions, *figures, "")


def regime_rows(one: WalkForwardSimulation, first: int, last: int) -> Iterator[tuple[str, ...]]:
    """Coverage of each way in each regime, with its standard error over sessions."""
    ways = judged_ways(one, first, last)
    for regime in KNOWN_REGIMES:
        judged = [way.only(regime) for way in ways]
        sessions = judged[0].rows["event_time"].n_unique()
        if not sessions:
            continue
        error = standard_error(judged[-1], one.panel.horizon)
        coverages = [f"{way.coverage:.1%}" for way in judged]
        is_met = abs(judged[-1].coverage - COVERAGE_TARGET) <= TOLERANCE
        name = f"{first} to {last}, {one.panel.horizon} ahead, {regime.replace('_', ' ')}"
        yield (name, f"{sessions:,}", *coverages[:-1], f"{coverages[-1]} ± {error:.1%}", "yes" if is_met else "no")


def judged_ways(one: WalkForwardSimulation, first: int, last: int) -> list[Judged]:
    """As the models say, by a rolling window, and as calibrated, over the sessions of some years."""
    ways = (one.panel.quantiles, rolling_window(one), one.calibrated())
    is_mine = one.rows["event_time"].dt.year().is_between(first, last).to_numpy() & ~np.isnan(one.panel.realised)
    return [Judged(one.rows.filter(is_mine), quantiles[is_mine], one.panel.realised[is_mine]) for quantiles in ways]


def rolling_window(one: WalkForwardSimulation) -> Numbers:
    """Scale each side by the quantile of its scores over the last sessions with an outcome (Lei et al. 2018)."""
    panel = one.panel
    p10, p50, p90 = panel.quantiles.T
    scores = np.stack([(p50 - panel.realised) / (p50 - p10), (panel.realised - p50) / (p90 - p50)], axis=1)
    starts = np.searchsorted(panel.session, np.arange(len(panel.closes) + 1))
    factors = np.ones((len(panel.closes), 2))
    for close in range(panel.horizon, len(panel.closes)):
        newest = close - panel.horizon + 1
        rows = slice(starts[max(newest - ROLLING_SESSIONS, 0)], starts[newest])
        factors[close] = np.nanquantile(scores[rows], 1 - TAIL, axis=0)
    return widened(panel.quantiles, factors[panel.session])


def standard_error(judged: Judged, horizon: int) -> float:
    """Of the coverage, by sessions; neighbours whose outcomes overlap repeat each other (Newey and West 1987)."""
    inside = (judged.quantiles[:, 0] <= judged.realised) & (judged.realised <= judged.quantiles[:, 2])
    frame = judged.rows.select("event_time").with_columns(pl.Series("inside", inside.astype(np.float64)))
    apart = frame.group_by("event_time").agg(pl.col("inside").mean()).sort("event_time")["inside"].to_numpy()
    apart = apart - apart.mean()
    lags = range(1, min(horizon, len(apart)))
    variance = apart @ apart + 2 * sum((1 - lag / horizon) * (apart[lag:] @ apart[:-lag]) for lag in lags)
    return float(np.sqrt(max(variance, 0.0)) / len(apart))


def narrowed_note(one: WalkForwardSimulation, first: int, last: int) -> str:
    """What calibration makes of bands that are wrong, in a sentence: the same ones, narrowed."""
    narrow = widened(one.panel.quantiles, np.full(2, NARROW))
    panel = one.panel._replace(quantiles=narrow)
    ways = judged_ways(WalkForwardSimulation(panel, track(panel, len(KNOWN_REGIMES)), one.rows), first, last)
    return (
        f"the same bands {one.panel.horizon} ahead, made {NARROW} times as wide before they are calibrated: "
        f"{ways[0].coverage:.1%} of the outcomes within, {ways[-1].coverage:.1%} after calibration; interval score "
        f"{ways[0].interval_score:,.1f}, then {ways[-1].interval_score:,.1f} bp"
    )


def reliability_note(one: WalkForwardSimulation, first: int) -> str:
    """Confidence beside what came true, in a sentence."""
    place = next(n for n, at in enumerate(one.panel.closes) if at.year >= first)
    found: Reliability = confidence_reliability(one, first_session=place)
    total = found.table["forecasts"].to_numpy()
    stated, came = (np.average(found.table[name].to_numpy(), weights=total) for name in ("confidence", "hit_rate"))
    bins = ", ".join(f"{row['confidence']:.3f}: {row['hit_rate']:.3f}" for row in found.table.iter_rows(named=True))
    return (
        f"confidence {one.panel.horizon} ahead: {stated:.1%} stated, {came:.1%} came true (t of the difference "
        f"{found.excess_t:.1f}), expected calibration error {found.expected_calibration_error:.3f}, Brier "
        f"{found.brier:.4f} beside {found.base_rate_brier:.4f} of the base rate in hindsight; tenths, stated: came "
        f"true {bins}"
    )
