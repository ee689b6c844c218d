"""The figures of the benchmark are what they are called, on bands whose faults are known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import calibration
from benchmarks.calibration import Judged, judged_ways, rolling_window, standard_error, topic_of
from serving.calibration import WalkForwardSimulation, track
from serving.calibration.conformal import ForecastPanel
from serving.calibration.picture import draw
from serving.strategies import KNOWN_REGIMES

SYMBOLS, CLOSES = 10, 900
MEDIAN = 0.0003


@pytest.fixture(scope="module")
def lived() -> WalkForwardSimulation:
    """Normal returns, of which the bands promise 80 % and hold far less."""
    random = np.random.default_rng(11)
    closes = [datetime(2008, 1, 2, 21, tzinfo=UTC) + timedelta(days=n) for n in range(CLOSES)]
    regime = random.choice(2, size=CLOSES)
    session = np.repeat(np.arange(CLOSES), SYMBOLS)
    realised = random.normal(scale=0.01, size=len(session))
    realised[-SYMBOLS:] = np.nan
    quantiles = np.tile([-0.009, MEDIAN, 0.009], (len(session), 1))
    panel = ForecastPanel(1, closes, regime, session, quantiles, realised, session + 1)
    names = np.array(KNOWN_REGIMES)[regime][session]
    rows = pl.DataFrame({"event_time": [closes[place] for place in session], "regime": names})
    return WalkForwardSimulation(panel, track(panel, len(KNOWN_REGIMES)), rows)


def test_coverage_width_and_scores_are_those_of_the_definitions() -> None:
    quantiles = np.array([[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]])
    judged = Judged(pl.DataFrame(), quantiles, np.array([0.5, 3.0]))
    assert judged.coverage == 0.5
    assert judged.width == 20_000
    assert judged.interval_score == pytest.approx(1e4 * (2 + (2 + 2 / 0.1)) / 2)
    first, second = (0.1 * 1.5 + 0.5 * 0.5 + 0.1 * 0.5) / 3, (0.1 * 4 + 0.5 * 3 + 0.9 * 2) / 3
    assert judged.pinball == pytest.approx(1e4 * (first + second) / 2)


def test_the_rolling_window_knows_the_outcomes_up_to_its_close_and_no_later_one(lived: WalkForwardSimulation) -> None:
    said = rolling_window(lived)
    at = 500
    recent = (lived.panel.session < at) & (lived.panel.session >= at - 250)
    below = MEDIAN - lived.panel.realised[recent]
    first = said[lived.panel.session == at][0]
    assert first[0] == pytest.approx(MEDIAN - np.quantile(below, 0.9), rel=1e-9)
    assert (rolling_window(lived)[:SYMBOLS, 0] == -0.009).all()


def test_calibrated_bands_hold_what_is_promised_and_the_topic_says_so(lived: WalkForwardSimulation) -> None:
    raw, rolling, ours = judged_ways(lived, 2009, 2013)
    assert raw.coverage < 0.7
    assert rolling.coverage == pytest.approx(0.8, abs=0.02)
    assert ours.coverage == pytest.approx(0.8, abs=0.02)
    topic = topic_of([lived])
    assert all(len(row) == len(topic.header) for row in topic.rows)
    assert {row[-1] for row in topic.rows if "volatility" in row[0] and row[0].startswith("2009")} == {"yes"}
    assert any("stated" in note for note in topic.notes)


def test_the_standard_error_of_independent_outcomes_is_the_binomial_one(lived: WalkForwardSimulation) -> None:
    ours = judged_ways(lived, 2008, 2013)[-1]
    assert standard_error(ours, 1) == pytest.approx(np.sqrt(0.16 / len(ours.realised)), rel=0.2)


def test_coverage_over_time_is_drawn(lived: WalkForwardSimulation, tmp_path: Path) -> None:
    assert draw([lived, lived], tmp_path / "made" / "calibration.png").stat().st_size > 10_000


@pytest.mark.slow
def test_walking_forward_over_the_packaged_market_gives_every_row(tmp_path: Path) -> None:
    every_year = calibration.every_year()
    short = every_year.optimisation.model_copy(update={"epochs": 1, "epoch_windows": 1_024})
    experiment = every_year.model_copy(update={"optimisation": short})
    topic = calibration.measure(experiment, tmp_path / "calibration.png")
    assert len(topic.rows) == 2 * (4 + 4 + 3)
