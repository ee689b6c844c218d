"""Alpha158 against Qlib's own values, and its windows against pandas, whose operators Qlib is made of.

The fixture and how it was made: `tests/fixtures/make_alpha158.py`. Qlib keeps and combines prices in float32, hence the
tolerance. Its running sums leave a residue where a value should be zero (up to 8e-9 for the deviation of equal prices):
differences below `RESIDUE` are no error. Infinite values of Qlib are nulls here; all other nulls are the same.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from feature_repo.catalog.alpha158 import ALPHA158, WINDOWS
from feature_repo.compute.alpha import counts, prices, ranks, regressions, windows
from feature_repo.compute.kernel import Bars
from feature_repo.engines.panel import compute_group
from feature_repo.spec import Feature
from lake.sources import tiny_market
from support.properties import examples

FIXTURE = Path(__file__).parents[1] / "fixtures" / "alpha158.parquet"
TOLERANCE, RESIDUE = 2e-4, 1e-8
TYPICAL_PRICE = "$vwap/$close, $vwap for ($high+$low+$close)/3"
NAMES = [feature.name for feature in ALPHA158]


@pytest.fixture(scope="module")
def qlib() -> pl.DataFrame:
    return pl.read_parquet(FIXTURE)


@pytest.fixture(scope="module")
def ours(qlib: pl.DataFrame) -> pl.DataFrame:
    instant = pl.col("session").cast(pl.Datetime("us", "UTC"))
    numbers = pl.col("open", "high", "low", "close", "volume").cast(pl.Float64)
    bars = qlib.select("symbol", instant.alias("event_time"), instant.alias("known_time"), numbers)
    return compute_group(bars, ALPHA158)


def errors(ours: pl.Series, theirs: pl.Series) -> np.ndarray:
    """Relative errors where both are known; infinite where only one is."""
    a, b = (column.cast(pl.Float64).fill_null(np.nan).to_numpy(writable=True) for column in (ours, theirs))
    b[~np.isfinite(b)] = np.nan
    off = np.maximum(np.abs(a - b) - RESIDUE, 0) / np.maximum(np.abs(b), RESIDUE)
    off[np.isnan(a) != np.isnan(b)] = np.inf
    return off[~np.isnan(off)]


@pytest.mark.parametrize("name", NAMES)
def test_values_and_nulls_are_those_of_qlib(name: str, qlib: pl.DataFrame, ours: pl.DataFrame) -> None:
    off = errors(ours[name], qlib[name.upper()])
    assert off.size > 400
    assert np.isfinite(off).all()
    assert np.quantile(off, 0.99) <= TOLERANCE


def test_the_comparison_would_notice_another_rule(qlib: pl.DataFrame, ours: pl.DataFrame) -> None:
    """Windows that wait until they are full, a population deviation, and ranks that count equal prices in full."""
    rows = pl.int_range(pl.len()).over("symbol")
    late = ours.select(pl.when(rows >= 4).then("ma5")).to_series()
    assert np.isinf(errors(late, qlib["MA5"])).any()
    assert np.quantile(errors(ours["std60"] * np.sqrt(59 / 60), qlib["STD60"]), 0.99) > TOLERANCE
    assert np.quantile(errors(ours["rank5"] + 0.1, qlib["RANK5"]), 0.99) > TOLERANCE


def test_names_order_and_formulas_are_those_of_qlib() -> None:
    expressions = json.loads(pq.read_schema(FIXTURE).metadata[b"expressions"])
    assert [name.upper() for name in NAMES] == list(expressions)
    assert {feature.name.upper(): feature.formula for feature in ALPHA158} == {**expressions, "VWAP0": TYPICAL_PRICE}


def test_every_difficulty_is_in_the_fixture(qlib: pl.DataFrame) -> None:
    closes = qlib.select("symbol", pl.col("close").is_null().sum().over("symbol").alias("halted")).unique()
    assert dict(closes.iter_rows())["HALTED"] == 4
    assert qlib.filter(pl.col("close").is_not_null())["volume"].null_count() > 0
    assert (qlib["volume"] == 0).any()
    assert qlib.filter(symbol="FLAT")["close"].rle().struct.field("len").max() > max(WINDOWS)
    assert qlib.filter(symbol="LISTED").height < max(WINDOWS)
    assert qlib.filter(symbol="TICKS")["close"].n_unique() < qlib.filter(symbol="TICKS").height


values = arrays(
    np.float64,
    st.integers(1, 75),
    elements=st.one_of(st.just(np.nan), st.integers(1, 40).map(float), st.floats(0.5, 2_000, width=32)),
)
some_window = st.sampled_from(WINDOWS)
few = examples(10)


def check(ours: Bars, theirs: pd.Series, tolerance: float = 1e-9) -> None:
    expected = theirs.to_numpy(dtype=np.float64)
    np.testing.assert_allclose(ours, np.where(np.isfinite(expected), expected, np.nan), rtol=tolerance, atol=1e-9)


def sample_deviation(window: np.ndarray) -> float:
    known = window[~np.isnan(window)]
    return float(np.std(known, ddof=1)) if known.size > 1 else np.nan


@few
@given(values, some_window)
def test_windows_are_those_of_pandas(x: np.ndarray, window: int) -> None:
    rolling = pd.Series(x).rolling(window, min_periods=1)
    check(windows.window_mean(x, window), rolling.mean())
    check(windows.window_max(x, window), rolling.max())
    check(windows.window_std(x, window), rolling.apply(sample_deviation, raw=True))
    check(ranks.rank(x, window), rolling.rank(pct=True))
    for share in (0.2, 0.8):
        check(ranks.relative_quantile(x, window, share), rolling.quantile(share) / x)
    for side, place in ((1.0, np.argmax), (-1.0, np.argmin)):
        position = rolling.apply(lambda w, place=place: place(w) + 1, raw=True) / window
        check(ranks.extreme_position(x, window, side), position)


@few
@given(values, some_window)
def test_lines_are_those_of_least_squares(x: np.ndarray, window: int) -> None:
    def fit(w: np.ndarray) -> tuple[float, float]:
        known = np.flatnonzero(~np.isnan(w))
        slope, end = np.polyfit(known - len(w) + 1, w[known], 1)
        return slope, end

    for t in range(len(x)):
        w = x[max(0, t - window + 1) : t + 1]
        slope, residual = (
            kernel(x, window)[t] for kernel in (regressions.relative_slope, regressions.relative_residual)
        )
        if np.isnan(x[t]) or np.sum(~np.isnan(w)) < 2:
            assert np.isnan([slope, residual]).all()
        else:
            expected, end = fit(w)
            np.testing.assert_allclose([slope, residual], [expected / x[t], 1 - end / x[t]], rtol=1e-7, atol=1e-9)


@few
@given(values, st.integers(0, 999), some_window)
def test_correlations_are_those_of_the_known_pairs(x: np.ndarray, seed: int, window: int) -> None:
    random = np.random.default_rng(seed)
    y = np.where(random.random(x.size) < 0.1, np.nan, random.normal(size=x.size))
    got = regressions.correlation(x, y, window)
    for t in range(len(x)):
        left, right = x[max(0, t - window + 1) : t + 1], y[max(0, t - window + 1) : t + 1]
        pairs = ~np.isnan(left + right)
        flat = any(np.sum(~np.isnan(w)) < 2 or np.nanstd(w, ddof=1) <= regressions.FLAT for w in (left, right))
        if flat or len(set(left[pairs])) < 2:
            assert np.isnan(got[t])
        else:
            np.testing.assert_allclose(got[t], np.corrcoef(left[pairs], right[pairs])[0, 1], rtol=1e-7, atol=1e-9)


@few
@given(values, some_window)
def test_shares_of_moves_are_those_of_pandas(x: np.ndarray, window: int) -> None:
    series = pd.Series(x)
    change = series.diff()
    rises, falls = ((is_so).rolling(window, min_periods=1).mean() for is_so in (change > 0, change < 0))
    check(counts.share_of_moves(x, window, 1.0, -1.0), rises - falls)
    gains, size = (c.rolling(window, min_periods=1).sum() for c in (change.clip(lower=0), change.abs()))
    expected = gains / (size + 1e-12)
    known = windows.window_total(np.abs(change.to_numpy()), window) > 0  # pandas' residue in place of zero is no answer
    got = counts.share_of_change(x, window, 1.0, 0.0)
    np.testing.assert_array_equal(np.isnan(got), expected.isna())
    np.testing.assert_allclose(got[known], expected[known], rtol=1e-7, atol=1e-7)


LONG = tiny_market(["AAA"], 400, seed=158)


@pytest.mark.parametrize("name", NAMES)
def test_a_value_follows_from_its_warm_up_alone_to_the_last_bit(name: str) -> None:
    feature = next(feature for feature in ALPHA158 if feature.name == name)
    inputs = [LONG[column].to_numpy() for column in feature.inputs]
    whole = feature.function(*inputs, *feature.parameters)
    for end in (feature.warm_up, 100, LONG.height):
        cut = [column[end - feature.warm_up : end].copy() for column in inputs]
        assert feature.function(*cut, *feature.parameters)[-1] == whole[end - 1]


def differs_when_shorter(feature: Feature) -> bool:
    inputs = [LONG[column].to_numpy() for column in feature.inputs]
    whole = feature.function(*inputs, *feature.parameters)
    short = [
        feature.function(*(c[end - feature.warm_up + 1 : end].copy() for c in inputs), *feature.parameters)[-1]
        for end in range(feature.warm_up, LONG.height + 1)
    ]
    return bool(np.any(short != whole[feature.warm_up - 1 :]))


def test_no_warm_up_is_longer_than_it_must_be() -> None:
    assert [f.name for f in ALPHA158 if f.warm_up > 1 and not differs_when_shorter(f)] == []


def test_a_guard_keeps_volumes_of_zero_finite_and_prices_unchanged() -> None:
    volume = np.array([4.0, 2.0, 0.0])
    np.testing.assert_allclose(prices.relative_mean(volume, 2, 1e-12), [1, 1.5, 1e12])
    np.testing.assert_array_equal(prices.relative_mean(volume, 2, 0.0)[:2], [1, 1.5])
