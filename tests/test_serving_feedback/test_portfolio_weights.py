"""Rows of `portfolio_weights`: as known at each close, day by day as in one jump, beside 1/N."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.calendars import session_closes
from lake.clock import FixedClock
from lake.errors import ConfigError, NotReadyError, UnknownNameError
from lake.store import Lake
from lake.tables import BARS, BLEND_WEIGHTS, CALIBRATIONS, FORECASTS, PORTFOLIO_WEIGHTS
from serving.api import EVIDENCE_NEEDED
from serving.history import KnownTables, portfolio_of, portfolios_of
from serving.portfolio import (
    FILE,
    METHODS,
    PACKAGED_PORTFOLIOS,
    DeclaredPortfolio,
    RebalancingRule,
    declared_portfolios,
    update_portfolio_weights,
)
from serving.portfolio.known import KnownMarket
from serving.strategies import SelectionRule
from support.portfolios import bars_of, small_market

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
SESSIONS = session_closes(datetime(2012, 11, 1, tzinfo=UTC), NOW, "XNYS")
CHEAP = tuple(
    DeclaredPortfolio(
        name, name, lookback_bars=60, least_bars=30, most_weight=1.0, rebalancing=RebalancingRule(review_bars=5)
    )
    for name in ("equal", "inverse_volatility", "black_litterman")
)


def rows_of(lake: Lake, name: str) -> list[dict]:
    found = lake.read(PORTFOLIO_WEIGHTS, where=pl.col("portfolio") == name)
    return found.sort("event_time").to_dicts()


def by_symbol(row: dict, name: str = "weights") -> dict[str, float]:
    return dict(zip(row["symbols"], row[name], strict=True))


def test_every_packaged_portfolio_is_one_method_and_all_of_them_have_rows(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW)
    report = update_portfolio_weights(lake, FixedClock(NOW), first_bars=2)
    assert {each.method for each in PACKAGED_PORTFOLIOS} == set(METHODS)
    assert report.added == 2 * len(PACKAGED_PORTFOLIOS)
    assert report.warnings == ()
    rows = lake.read(PORTFOLIO_WEIGHTS)
    assert rows.filter(pl.col("used") != pl.col("method")).is_empty()
    assert rows["weights"].list.sum().round(9).unique().to_list() == [1.0]
    assert (rows["known_time"] == rows["event_time"]).all()


def test_day_by_day_the_same_rows_as_in_one_jump(tmp_path: Path) -> None:
    daily, jumped = (small_market(tmp_path / name, NOW) for name in ("daily", "jumped"))
    closes = SESSIONS[-12:]
    for close in closes:
        update_portfolio_weights(daily, FixedClock(close), CHEAP, first_bars=1 if close == closes[0] else 60)
    update_portfolio_weights(jumped, FixedClock(NOW), CHEAP, first_bars=len(closes))
    order = ["portfolio", "event_time"]
    assert daily.read(PORTFOLIO_WEIGHTS).sort(order).equals(jumped.read(PORTFOLIO_WEIGHTS).sort(order))
    again = update_portfolio_weights(jumped, FixedClock(NOW), CHEAP)
    assert (again.skipped, again.details["reason"]) == (True, "every close has its weights")


def test_nothing_that_became_known_after_the_close_counts(tmp_path: Path) -> None:
    then = SESSIONS[-6]
    whole, ended = small_market(tmp_path / "whole", NOW), Lake(tmp_path / "ended" / "tables")
    late = (
        whole.read(BARS)
        .filter(pl.col("event_time").is_between(SESSIONS[-40], then))
        .with_columns(
            pl.when(pl.col("symbol") == "S0").then(pl.col("close") * 1.4).otherwise(pl.col("close")),
            pl.col("known_time") + timedelta(days=10),
        )
    )
    whole.merge(BARS, late.filter(pl.col("symbol") == "S0"))
    ended.merge(BARS, whole.read(BARS, where=pl.col("known_time") <= then))
    update_portfolio_weights(whole, FixedClock(NOW + timedelta(days=30)), CHEAP, first_bars=10)
    update_portfolio_weights(ended, FixedClock(then), CHEAP, first_bars=5)
    for name in ("inverse_volatility", "black_litterman"):
        of_whole = [row for row in rows_of(whole, name) if row["event_time"] <= then]
        for row, expected in zip(of_whole, rows_of(ended, name), strict=True):
            assert {key for key in row if row[key] != expected[key]} == set()


def test_the_first_purchase_buys_all_and_costs_and_1_over_n_pays_the_same(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW)
    update_portfolio_weights(lake, FixedClock(NOW), CHEAP, first_bars=1)
    (row,) = rows_of(lake, "inverse_volatility")
    assert (row["trigger"], row["bought"], row["sold"], row["expected_gain"]) == ("first", 1.0, 0.0, None)
    assert row["cost"] == row["equal_cost"] == pytest.approx(0.001), "10 basis points of everything"
    assert row["net_return"] == row["equal_net_return"] == pytest.approx(-0.001)
    assert set(by_symbol(row, "equal_weights").values()) == {0.25}
    assert (row["e_value"], row["sessions"]) == (1.0, 0)


def test_weights_drift_with_the_market_and_earn_what_it_earned(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW)
    update_portfolio_weights(lake, FixedClock(NOW), CHEAP, first_bars=2)
    first, second = rows_of(lake, "inverse_volatility")
    closes = lake.read(BARS).filter(pl.col("symbol") != "^GSPC").sort("event_time").partition_by("symbol", as_dict=True)
    moved = {key[0]: rows["close"][-1] / rows["close"][-2] - 1 for key, rows in closes.items()}
    held = by_symbol(first)
    earned = sum(held[symbol] * moved[symbol] for symbol in held)
    assert (second["trigger"], second["cost"]) == ("none", 0.0)
    assert second["net_return"] == pytest.approx(earned)
    for symbol, weight in by_symbol(second).items():
        assert weight == pytest.approx(held[symbol] * (1 + moved[symbol]) / (1 + earned))
    assert second["risk_shares"] is not None
    assert sum(second["risk_shares"]) == pytest.approx(1.0)


def test_a_portfolio_of_1_over_n_never_gains_on_itself(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW)
    update_portfolio_weights(lake, FixedClock(NOW), CHEAP, first_bars=30)
    rows = rows_of(lake, "equal")
    assert {row["e_value"] for row in rows} == {1.0}
    assert all(row["net_return"] == pytest.approx(row["equal_net_return"]) for row in rows)
    other = rows_of(lake, "inverse_volatility")
    assert other[-1]["sessions"] == 29
    assert other[-1]["e_value"] != 1.0


def test_a_review_is_due_by_the_calendar_and_when_the_declaration_changes(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW)
    update_portfolio_weights(lake, FixedClock(SESSIONS[-2]), CHEAP, first_bars=7)
    calm = [row for row in rows_of(lake, "inverse_volatility") if row["trigger"] == "calendar"]
    assert [row["bars_since_review"] for row in calm] == [0]
    assert "A review is due every 5 bars" in calm[0]["reason"]
    changed = DeclaredPortfolio("inverse_volatility", "equal", lookback_bars=60, least_bars=30)
    update_portfolio_weights(lake, FixedClock(NOW), [changed])
    newest = rows_of(lake, "inverse_volatility")[-1]
    assert (newest["trigger"], newest["method"]) == ("declaration", "equal")


def test_a_symbol_without_a_bar_stays_and_one_that_left_the_universe_is_sold(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "tables")
    random = np.random.default_rng(4)
    closes = 100 * np.cumprod(1 + random.normal(0, 0.01, (80, 4)), axis=0)
    closes[-1, 0] = np.nan
    lake.merge(BARS, bars_of(closes, NOW, ("S0", "S1", "S2", "^GSPC")))
    update_portfolio_weights(lake, FixedClock(NOW), CHEAP, first_bars=2)
    first, second = rows_of(lake, "inverse_volatility")
    assert by_symbol(second)["S0"] > 0, "without a bar there is nothing to sell it at"
    assert by_symbol(second, "marked_at")["S0"] == first["event_time"]
    from support.portfolios import universe_rows

    lake.merge(*universe_rows(lake, gone="S0", at=NOW))
    later = session_closes(NOW, NOW + timedelta(days=4), "XNYS")[-1]
    more = bars_of(np.array([[101.0, 99.0, 100.0]]), later, ("S1", "S2", "^GSPC"))
    lake.merge(BARS, more)
    update_portfolio_weights(lake, FixedClock(later), CHEAP)
    third = rows_of(lake, "inverse_volatility")[-1]
    assert third["trigger"] == "universe"
    assert by_symbol(third)["S0"] == 0
    assert sum(third["weights"]) == pytest.approx(1.0)


def test_few_bars_are_no_failure_and_say_so(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW, bars=20)
    report = update_portfolio_weights(lake, FixedClock(NOW))
    assert report.skipped
    assert report.details["reason"] == "no symbol has the 60 bars that a portfolio needs"
    with pytest.raises(NotReadyError, match="there are no bars"):
        update_portfolio_weights(Lake(tmp_path / "none" / "tables"), FixedClock(NOW))


def test_a_fallback_is_a_warning_and_stands_in_the_row(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW, symbols=1)
    report = update_portfolio_weights(lake, FixedClock(NOW), first_bars=1)
    assert "The portfolio equal_risk holds inverse_volatility: there is one symbol only" in " ".join(report.warnings)
    found = portfolio_of(KnownTables(lake), "equal_risk", NOW)
    assert (found.summary.method, found.summary.used) == ("equal_risk", "inverse_volatility")
    assert "one symbol" in str(found.summary.fallback_reason)


def test_a_home_declares_its_portfolios_and_says_what_is_wrong(tmp_path: Path) -> None:
    assert declared_portfolios(tmp_path) == PACKAGED_PORTFOLIOS
    path = tmp_path / FILE
    path.write_text("core:\n  method: equal_risk\n  cost_bps: 3\n  rebalancing: {drift_points: 0.02}\n")
    (core,) = declared_portfolios(tmp_path)
    assert (core.name, core.method, core.cost_bps, core.rebalancing.drift_points) == ("core", "equal_risk", 3.0, 0.02)
    wrong: dict[str, tuple[type[Exception], str]] = {
        "core: {method: markowitz}": (UnknownNameError, "mean_variance"),
        "core: {method: equal, most_wait: 0.1}": (UnknownNameError, "most_weight"),
        "core: {method: equal, rebalancing: {points: 1}}": (UnknownNameError, "drift_points"),
        "core: {most_weight: 0.1}": (ConfigError, "has no method"),
        "core: {method: equal, most_weight: much}": (ConfigError, "most_weight"),
        "core: {method: equal, most_weight: 2}": (ConfigError, "at most 1"),
        "Core!: {method: equal}": (ConfigError, "cannot be called"),
        "": (ConfigError, "declares none"),
        "a: [": (ConfigError, "is not YAML"),
    }
    for text, (kind, said) in wrong.items():
        path.write_text(text)
        with pytest.raises(kind, match=said):
            declared_portfolios(tmp_path)


def test_what_is_read_was_known_and_the_evidence_has_one_threshold(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW)
    update_portfolio_weights(lake, FixedClock(NOW), CHEAP, first_bars=25)
    tables, then = KnownTables(lake), SESSIONS[-10]
    found = portfolio_of(tables, "inverse_volatility", then)
    assert found.event_time == then
    assert all(review.event_time <= then for review in found.reviews)
    row = next(row for row in rows_of(lake, "inverse_volatility") if row["event_time"] == then)
    assert {each.symbol: each.weight for each in found.positions} == pytest.approx(by_symbol(row))
    assert found.summary.verdict == "not yet judged: 15 bars of at least 20"
    assert portfolio_of(tables, "inverse_volatility", NOW).summary.verdict == "no proof that it earns more than 1/N"
    assert [each.portfolio for each in portfolios_of(tables, NOW)] == ["black_litterman", "equal", "inverse_volatility"]
    assert pytest.approx(1 / SelectionRule().alpha) == EVIDENCE_NEEDED
    with pytest.raises(UnknownNameError, match="inverse_volatility"):
        portfolio_of(tables, "inverse", NOW)
    with pytest.raises(NotReadyError, match="No portfolio had weights by 2012-11-05"):
        portfolio_of(tables, "equal", datetime(2012, 11, 5, 21, tzinfo=UTC))


def forecast_rows(close: datetime, known: datetime, symbols: tuple[str, ...], median: float) -> pl.DataFrame:
    """Answered forecasts of the longest horizon, made at an instant."""
    rows = [
        {
            "forecast_id": f"{symbol}-{known:%d-%H}",
            "kind": "scheduled",
            "symbol": symbol,
            "event_time": close,
            "known_time": known,
            "made_at": known,
            "horizon_sessions": 5,
            "p10": median - 0.02,
            "p50": median,
            "p90": median + 0.02,
            "model_name": "blend",
            "model_version": "1",
            "model_digest": "0" * 64,
            "regime": "calm",
            "feature_table_versions": "{}",
            "feature_hash": "0" * 64,
            "degraded": False,
        }
        for symbol in symbols
    ]
    return pl.DataFrame([{name: row.get(name) for name in FORECASTS.names} for row in rows], schema=FORECASTS.schema)


def test_a_forecast_that_was_made_after_the_close_is_no_view(tmp_path: Path) -> None:
    lake = small_market(tmp_path, NOW)
    close = SESSIONS[-2]
    lake.merge(FORECASTS, forecast_rows(close, close, ("S0", "S1"), 0.01))
    lake.merge(FORECASTS, forecast_rows(close, close + timedelta(hours=1), ("S2",), 0.01))
    update_portfolio_weights(lake, FixedClock(NOW), [CHEAP[2]], first_bars=2)
    at_close, after = rows_of(lake, "black_litterman")
    assert by_symbol(at_close, "view_returns") == {"S0": 0.01, "S1": 0.01, "S2": None, "S3": None}
    assert at_close["views"] == after["views"] == 2, "those of the last review stay beside its targets"


def test_a_replayed_blend_is_a_view_with_the_band_that_calibration_corrects(tmp_path: Path) -> None:
    lake, close = small_market(tmp_path, NOW), SESSIONS[-1]
    replays = forecast_rows(close, close, ("S0",), 0.01).with_columns(
        pl.lit("replay").alias("kind"), pl.lit("ridge").alias("model_name")
    )
    lake.merge(FORECASTS, replays)
    index = {"market": lake.market.index, "event_time": close, "known_time": close}
    blend = {"model_horizons": [5], "models": ["ridge"], "model_weights": [1.0], "losses": [0.0], "sessions": [9.0]}
    lake.merge(BLEND_WEIGHTS, pl.DataFrame([index | blend | {"reasons": ["x"]}], schema=BLEND_WEIGHTS.schema))
    factors = {"regimes": ["calm"], "horizons": [5], "lower": [2.0], "upper": [1.0], "trust": [1.0], "sessions": [9.0]}
    lake.merge(CALIBRATIONS, pl.DataFrame([index | factors], schema=CALIBRATIONS.schema))
    market = KnownMarket(lake, NOW, None, 80)
    views = market.inputs(close, market.prices(close, 61), 60, 30).views
    assert views is not None
    assert views.low[0] == pytest.approx(0.01 - 2 * 0.02)
    assert views.high[0] == pytest.approx(0.03)
    assert views.variances[0] == pytest.approx((0.06 / 2 / 1.2815515655446004) ** 2)
    assert views.is_there.tolist() == [True, False, False, False]


def test_a_home_that_stood_still_goes_on_from_its_last_row_with_the_whole_look_back(tmp_path: Path) -> None:
    daily, late = (small_market(tmp_path / name, NOW, bars=140) for name in ("daily", "late"))
    first = session_closes(datetime(2012, 9, 1, tzinfo=UTC), NOW, "XNYS")[-60]
    for lake in (daily, late):
        update_portfolio_weights(lake, FixedClock(first), CHEAP[1:2], first_bars=1)
    update_portfolio_weights(daily, FixedClock(SESSIONS[-20]), CHEAP[1:2])
    for lake in (daily, late):
        report = update_portfolio_weights(lake, FixedClock(NOW), CHEAP[1:2], first_bars=1)
    assert report.added == 59
    assert rows_of(daily, "inverse_volatility") == rows_of(late, "inverse_volatility")
