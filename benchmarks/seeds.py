"""The networks with five seeds before each test year of the demo: how much of a score is the seed."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.forecasts import prepared, walk
from benchmarks.report import Topic
from feature_repo.targets import HORIZONS
from lake.sources import PackagedMarket
from training.experiments import Experiment, load_experiment
from training.judge import FoldForecast, compare_models, compare_with_best_baseline
from training.models import MODELS

SEEDS = (7, 17, 27, 37, 47)
HEADER = (
    "network", "sessions ahead", "opponent", "pinball, % (mean of seeds)", "deviation over seeds", "gain (mean)", "t",
    "adjusted p", "gain, worst to best seed", "constant fits",
)  # fmt: skip


def measure(experiment: Experiment | None = None) -> Topic:
    """Walk through the test years of the demo with every seed, beside the baselines."""
    chosen = experiment or five_seeds()
    with tempfile.TemporaryDirectory(prefix="quantlake-seeds-") as folder:
        forecasts = walk(prepared(Path(folder)), chosen)
    text = (
        f"LSTM and TFT of the demo's budget, fitted and refitted with {len(chosen.seeds)} seeds before each of "
        f"{chosen.splits.test_years[0]} to {chosen.splits.test_years[-1]}. Losses are means over the seeds; t is that "
        "of the mean over sessions, p is adjusted by Holm's method for the comparisons of this table."
    )
    return Topic("Seeds", text, HEADER, tuple(rows_of(forecasts)), (f"seeds {chosen.seeds}", *PackagedMarket().caveats))


def five_seeds() -> Experiment:
    """The demo's experiment with five seeds, its networks and its baselines."""
    names = tuple(name for name, card in MODELS.items() if card.is_network or card.is_baseline)
    return load_experiment("demo").model_copy(update={"name": "seeds", "seeds": SEEDS, "models": names})


def rows_of(forecasts: Sequence[FoldForecast]) -> Iterator[tuple[str, ...]]:
    """One row per network and horizon."""
    for one in compare_with_best_baseline(forecasts):
        number = HORIZONS.index(one.horizon_sessions)
        of_baseline = [forecast for forecast in forecasts if forecast.model == one.baseline]
        of_network = [forecast for forecast in forecasts if forecast.model == one.model]
        by_seed = [
            compare_models([forecast for forecast in of_network if forecast.seed == seed], of_baseline, number).gain
            for seed in dict.fromkeys(forecast.seed for forecast in of_network)
        ]
        yield (
            one.model,
            str(one.horizon_sessions),
            one.baseline,
            f"{100 * one.loss:.4f}",
            "not known" if one.loss_spread is None else f"{100 * one.loss_spread:.4f}",
            f"{one.gain:+.2%}",
            f"{one.t_value or 0:.1f}",
            f"{one.p_value:.2g}",
            f"{min(by_seed):+.2%} to {max(by_seed):+.2%}",
            f"{one.constant_fits} of {one.fits}",
        )
