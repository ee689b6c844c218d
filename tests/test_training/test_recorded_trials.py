"""Whatever a training scores is in the trial ledger before anyone sees the score."""

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.targets import HORIZONS, QUANTILES
from lake.ledger import TrialLedger
from lake.tables import HOLDOUT_OPENINGS, TRIAL_GAINS, TRIAL_LEDGER
from training.data import WindowSet, quantile_losses
from training.experiments import Experiment
from training.fit import Fitted, fit_best, fit_model, search_parameters
from training.judge import FoldForecast, forecast_folds
from training.models import Variation

ROOT = Path(__file__).parents[2]
FLAT = Variation((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
Parts = tuple[WindowSet, WindowSet]


@pytest.fixture(scope="module")
def parts(make_windows: Any) -> Parts:
    return make_windows(signal=0.5, seed=1), make_windows(signal=0.5, seed=2)


@pytest.fixture(scope="module")
def market(make_windows: Any) -> WindowSet:
    return make_windows(start=datetime(2007, 6, 1, tzinfo=UTC), end=datetime(2011, 12, 31, tzinfo=UTC), seed=3)


@dataclass(frozen=True)
class Scored:
    """A function that scores, on small windows, and how many trials it has to record."""

    run: Callable[[Parts, WindowSet, Experiment, TrialLedger, Path], object]
    rows: int


def _search(parts: Parts, _: WindowSet, tiny: Experiment, ledger: TrialLedger, folder: Path) -> object:
    return search_parameters("lstm", *parts, tiny, folder / "search", ledger=ledger)


def _best(parts: Parts, _: WindowSet, tiny: Experiment, ledger: TrialLedger, __: Path) -> object:
    return fit_best("lstm", *parts, tiny.model_copy(update={"seeds": (1, 2)}), ledger=ledger)


def _folds(_: Parts, market: WindowSet, tiny: Experiment, ledger: TrialLedger, __: Path) -> object:
    two = tiny.model_copy(update={"models": ("naive", "ridge", "lstm"), "seeds": (1, 2)})
    return forecast_folds(market, two, {}, ledger=ledger)


SCORERS = {
    "training.fit.search.search_parameters": Scored(_search, 3 * len(HORIZONS)),
    "training.fit.best.fit_best": Scored(_best, 2 * len(HORIZONS)),
    "training.judge.evaluate.forecast_folds": Scored(_folds, 3 * len(HORIZONS)),  # ridge once, the network per seed
}
"""Functions of the room that take a ledger."""


def test_every_function_that_takes_a_ledger_is_run_here_and_none_does_without_it() -> None:
    found = {}
    for path in sorted((ROOT / "training").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                arguments = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                defaults = [default for argument, default in arguments if argument.arg == "ledger"]
                found |= (
                    {f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}.{node.name}": defaults}
                    if defaults
                    else {}
                )
    assert found.keys() == SCORERS.keys()
    assert all(defaults == [None] for defaults in found.values()), "a ledger has no default"


@pytest.mark.parametrize(
    ("name", "callers"),
    [
        ("FoldForecast", {"training/judge/evaluate.py", "training/judge/fold_forecasts.py"}),
        ("fit_each_seed", {"training/judge/evaluate.py"}),
        ("fits_of_seeds", {"training/fit/best.py", "training/fit/fit.py"}),
        (
            "fit_model",
            {"training/fit/search.py", "training/fit/fit.py", "training/fit/recorded.py"}
            | {"serving/deployment/sample_models.py"},  # made-up models for tests and benchmarks, which nobody judges
        ),
    ],
)
def test_fits_and_judged_forecasts_are_made_by_functions_that_record_only(name: str, callers: set[str]) -> None:
    calling = set()
    for room in ("training", "serving", "dagster_project"):
        for path in (ROOT / room).rglob("*.py"):
            calls = (
                node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
            )
            if any(isinstance(call.func, ast.Name) and call.func.id == name for call in calls):
                calling.add(str(path.relative_to(ROOT)))
    assert calling == callers


@pytest.mark.parametrize("name", SCORERS)
def test_each_score_is_a_row_and_a_repetition_adds_none(
    name: str, parts: Parts, market: WindowSet, tiny: Experiment, ledger: TrialLedger, tmp_path: Path
) -> None:
    for folder in ("first", "again"):
        SCORERS[name].run(parts, market, tiny, ledger, tmp_path / folder)
        rows = ledger.lake.read(TRIAL_LEDGER)
        assert rows.height == rows["trial_id"].n_unique() == SCORERS[name].rows
    gained = rows.filter(pl.col("sessions") > 0)["trial_id"]
    assert set(ledger.lake.read(TRIAL_GAINS)["trial_id"]) == set(gained)


@pytest.mark.parametrize("name", SCORERS)
def test_no_score_is_returned_where_it_cannot_be_recorded(
    name: str, parts: Parts, market: WindowSet, tiny: Experiment, ledger: TrialLedger, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def refuse(*_: object) -> int:
        raise OSError("the disk is full")

    monkeypatch.setattr(TrialLedger, "record", refuse)
    with pytest.raises(OSError, match="the disk is full"):
        SCORERS[name].run(parts, market, tiny, ledger, tmp_path)


def test_a_complete_trial_has_its_gains_on_naive_per_session_of_the_validation(
    parts: Parts, tiny: Experiment, ledger: TrialLedger, tmp_path: Path
) -> None:
    train, valid = parts
    search_parameters("lstm", train, valid, tiny, tmp_path, ledger=ledger)
    declared = tiny.parameters_of("lstm")
    rows = ledger.lake.read(TRIAL_LEDGER, where=~pl.col("is_failed")).sort("family")
    mine = [row for row in rows.iter_rows(named=True) if declared.items() <= json.loads(row["parameters"]).items()]
    assert [row["family"] for row in mine] == ["lstm, forecast_v2, 1 session", "lstm, forecast_v2, 5 sessions"]
    plan = tiny.optimisation.model_copy(update={"epochs": tiny.search.epochs})
    fitted = fit_model("lstm", train.newest(tiny.search.train_windows), valid, tiny, declared, optimisation=plan)
    naive = fit_model("naive", train, valid, tiny)
    for number, row in enumerate(mine):
        ours, theirs = (
            quantile_losses(valid.y[:, number].astype(float), one.predict(valid.x)[:, number], QUANTILES).mean(axis=1)
            for one in (fitted, naive)
        )
        expected = valid.keys.select("event_time", pl.Series("gain", theirs - ours)).group_by("event_time").mean()
        stored = ledger.lake.read(TRIAL_GAINS, where=pl.col("trial_id") == row["trial_id"]).sort("event_time")
        np.testing.assert_allclose(stored["gain"], expected.sort("event_time")["gain"], rtol=1e-9, atol=1e-12)
        assert row["score"] == fitted.loss


def test_pruned_refused_and_failed_trials_are_recorded_without_a_ratio(
    parts: Parts, tiny: Experiment, ledger: TrialLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = fit_model, []

    def one_diverges_and_one_breaks(*given: Any, watch: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            watch(0, float("nan"))
        if len(calls) == 3:
            raise ValueError("a mistake")
        return real(*given, watch=watch, **named)

    monkeypatch.setattr("training.fit.search.fit_model", one_diverges_and_one_breaks)
    monkeypatch.setattr(Fitted, "variation", lambda *_: FLAT)
    with pytest.raises(ValueError, match="a mistake"):
        search_parameters("lstm", *parts, tiny, tmp_path, ledger=ledger)
    rows = ledger.lake.read(TRIAL_LEDGER)
    assert rows.height == 3 * len(HORIZONS)
    assert rows["is_failed"].all()
    assert rows["sharpe"].null_count() == rows.height
    assert not ledger.lake.exists(TRIAL_GAINS)


def test_an_interrupted_trial_was_not_scored_and_counts_once_when_it_is_repeated(
    parts: Parts, tiny: Experiment, ledger: TrialLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("training.fit.search.fit_model", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search_parameters("lstm", *parts, tiny, tmp_path, ledger=ledger)
    assert not ledger.lake.exists(TRIAL_LEDGER)
    search_parameters("lstm", *parts, tiny, tmp_path, ledger=ledger)
    assert ledger.lake.read(TRIAL_LEDGER)["trial_id"].n_unique() == 3 * len(HORIZONS)


def test_a_trial_that_was_recorded_before_its_worker_was_killed_counts_once(
    parts: Parts, tiny: Experiment, ledger: TrialLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrialLedger.record

    def recorded_and_killed(mine: TrialLedger, trials: Any) -> int:
        real(mine, trials)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrialLedger, "record", recorded_and_killed)
        with pytest.raises(KeyboardInterrupt):
            search_parameters("lstm", *parts, tiny, tmp_path, ledger=ledger)
    assert ledger.lake.read(TRIAL_LEDGER).height == len(HORIZONS)
    search_parameters("lstm", *parts, tiny, tmp_path, ledger=ledger)
    assert ledger.lake.read(TRIAL_LEDGER).height == 3 * len(HORIZONS)


def test_trials_of_a_search_from_before_there_was_a_ledger_are_taken_over(
    parts: Parts, tiny: Experiment, ledger: TrialLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(TrialLedger, "record", lambda *_: 0)
        search_parameters("lstm", *parts, tiny, tmp_path, ledger=ledger)
    search_parameters("lstm", *parts, tiny, tmp_path, ledger=ledger)
    rows = ledger.lake.read(TRIAL_LEDGER)
    assert rows.height == 3 * len(HORIZONS)
    assert rows["sharpe"].null_count() == rows.height


@pytest.fixture(scope="module")
def walked(
    market: WindowSet, tiny: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrialLedger, list[FoldForecast]]:
    from lake.store import Lake

    ledger = TrialLedger(Lake(tmp_path_factory.mktemp("walked")), datetime(2012, 12, 31, 21, tzinfo=UTC))
    quick = tiny.model_copy(update={"models": ("naive", "ridge")})
    return ledger, forecast_folds(market, quick, {}, ledger=ledger)


def test_a_walk_forward_trial_holds_the_gains_of_all_test_years(
    walked: tuple[TrialLedger, list[FoldForecast]],
) -> None:
    ledger, forecasts = walked
    gains = ledger.lake.read(TRIAL_LEDGER, where=pl.col("family").str.ends_with("1 session")).join(
        ledger.lake.read(TRIAL_GAINS), on="trial_id", suffix="_of_gain"
    )
    assert set(gains["event_time_of_gain"].dt.year()) == {2009, 2010, 2011}
    losses = {}
    for model in ("naive", "ridge"):
        folds = [one for one in forecasts if one.model == model]
        each = [quantile_losses(one.truth.y[:, 0].astype(float), one.quantiles[:, 0], QUANTILES) for one in folds]
        losses[model] = np.concatenate(each).mean()
    assert gains["gain"].mean() == pytest.approx(losses["naive"] - losses["ridge"], rel=1e-6)
    assert gains["score"][0] == pytest.approx(losses["ridge"], rel=1e-6)


def test_the_look_at_the_last_test_interval_is_written_down_before_it(
    walked: tuple[TrialLedger, list[FoldForecast]],
    market: WindowSet,
    tiny: Experiment,
    ledger: TrialLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = walked[0].lake.read(HOLDOUT_OPENINGS).sort("family")
    assert opened["family"].to_list() == ["ridge, forecast_v2, 1 session", "ridge, forecast_v2, 5 sessions"]
    assert {at.year for name in ("first_session", "last_session") for at in opened[name]} == {2011}
    monkeypatch.setattr("training.fit.fit_each_seed", lambda *_: pytest.fail("fitted"))
    with pytest.raises(pytest.fail.Exception, match="fitted"):
        forecast_folds(market, tiny.model_copy(update={"models": ("naive", "ridge")}), {}, ledger=ledger)
    assert ledger.lake.read(HOLDOUT_OPENINGS).height == 2


def test_the_fit_for_service_looks_at_the_last_interval_where_its_validation_reaches_into_it(
    parts: Parts, market: WindowSet, tiny: Experiment, ledger: TrialLedger
) -> None:
    fit_best("lstm", *parts, tiny, ledger=ledger)
    assert not ledger.lake.exists(HOLDOUT_OPENINGS), "windows of 2008"
    fit_best("lstm", parts[0], market.newest(120), tiny, ledger=ledger)
    fit_best("ridge", parts[0], market.newest(120), tiny, ledger=ledger)  # learns from them, and is scored by nobody
    opened = ledger.lake.read(HOLDOUT_OPENINGS)
    assert set(opened["family"]) == {"lstm, forecast_v2, 1 session", "lstm, forecast_v2, 5 sessions"}
    assert set(opened["who"]) == {"choice of seed and epochs"}
