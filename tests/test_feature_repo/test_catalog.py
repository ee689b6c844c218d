"""The catalog as a list of promises: names, look-back, warm-up, bounds, page."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_repo import document
from feature_repo.catalog import (
    CONDITIONAL_VOLATILITY,
    FEATURES_TECHNICAL,
    GROUPS,
    MODEL_FEATURES,
    SPECS,
    TECHNICAL,
    spec_of,
)
from feature_repo.compute.returns import simple_return
from feature_repo.engines.panel import compute_technical
from feature_repo.spec import Feature
from lake.errors import ConfigError, UnknownNameError
from lake.tables import TABLES
from lake.universe import MARKET

PROMISED = {
    *(f"return_{n}d" for n in (1, 5, 20, 60, 120, 252)),
    *(f"volatility_{n}d" for n in (5, 20, 60)),
    *(f"volume_ratio_{n}d" for n in (5, 20)),
    "dollar_volume",
    "market_beta",
    "market_return",
    "market_volatility",
    "rsi_14",
    "macd",
    "sma_50_200_cross",
    "bollinger_position",
    "atr_14",
}
LEVELS = {"dollar_volume", "macd", "macd_signal", "atr_14"}
OWN = [
    feature for feature in TECHNICAL if not feature.name.startswith("market_r") and feature.name != "market_volatility"
]


def test_the_twenty_promised_features_and_their_twins_are_declared() -> None:
    names = [feature.name for feature in TECHNICAL]
    assert len(PROMISED) == 20
    expected = {feature.name for feature in CONDITIONAL_VOLATILITY}
    assert set(names) == PROMISED | expected | {"macd_signal", "macd_relative", "atr_relative", "log_dollar_volume"}
    assert len(names) == len(set(names))


def test_models_see_no_price_level(small_market) -> None:
    """Eight times the price and an eighth of the shares is the same market, and must look the same to a model."""
    assert LEVELS.isdisjoint(MODEL_FEATURES)
    bars = small_market(300)
    scaled = bars.with_columns(
        *(pl.col(name) * 8 for name in ("open", "high", "low", "close", "close_unadjusted")),
        *(pl.col(name) / 8 for name in ("volume", "volume_unadjusted")),
    )
    before, after = (compute_technical(frame).select(MODEL_FEATURES) for frame in (bars, scaled))
    assert_frame_equal(after, before, check_exact=True)  # eight is a power of two: not a bit may change


@pytest.mark.parametrize("feature", OWN, ids=lambda feature: feature.name)
def test_the_first_value_comes_at_the_declared_look_back(small_market, feature: Feature) -> None:
    values = compute_technical(small_market(320), [feature]).filter(pl.col("symbol") == "AAA")[feature.name]
    assert values.is_null().arg_min() == feature.lookback - 1
    assert values[feature.lookback :].null_count() == 0


def test_after_the_warm_up_a_shortened_history_gives_the_same_values(
    real_bars: pl.DataFrame, real_features: pl.DataFrame
) -> None:
    start = real_bars["event_time"].unique().sort()[1000]
    shortened = compute_technical(real_bars.filter(pl.col("event_time") >= start))
    position = pl.int_range(pl.len()).over("symbol")
    shortened = shortened.with_columns(position.alias("bars_before"))
    both = shortened.join(real_features, on=["symbol", "event_time"], suffix="_full")
    close = real_bars.select("symbol", "event_time", "close")
    both = both.join(close, on=["symbol", "event_time"])
    for feature in OWN:
        warm = both.filter(pl.col("bars_before") >= feature.warm_up)
        ours, full = warm[feature.name], warm[f"{feature.name}_full"]
        assert warm.height > 10_000
        assert (ours.is_null() == full.is_null()).all()
        # A difference of two means is as exact as the means are, so its error is measured against the price.
        scale = warm["close"] if feature.unit == "price" else full.abs().clip(1e-2)
        assert ((ours - full).abs() / scale).max() is None or ((ours - full).abs() / scale).max() < 1e-9, feature.name


def test_values_keep_within_their_declared_bounds(real_features: pl.DataFrame) -> None:
    for feature in TECHNICAL:
        low, high = real_features[feature.name].min(), real_features[feature.name].max()
        assert feature.minimum is None or low >= feature.minimum, feature.name
        assert feature.maximum is None or high <= feature.maximum, feature.name


def test_the_table_takes_what_is_computed(real_features: pl.DataFrame) -> None:
    assert FEATURES_TECHNICAL.conform(real_features).columns == FEATURES_TECHNICAL.names
    assert MARKET not in real_features["symbol"]


def test_a_row_is_known_when_its_last_bar_was() -> None:
    from datetime import timedelta

    from lake.sources import tiny_market

    bars = tiny_market(["AAA", MARKET], 10, 1).sort("symbol", "event_time")
    times = bars["event_time"].unique().sort().to_list()
    late = {("AAA", times[3]): times[5] + timedelta(hours=1), (MARKET, times[7]): times[8] + timedelta(hours=2)}
    known = [late.get((row["symbol"], row["event_time"]), row["known_time"]) for row in bars.iter_rows(named=True)]
    told = compute_technical(bars.with_columns(pl.Series("known_time", known, dtype=bars.schema["known_time"])))
    expected = [
        *times[:3],
        *[times[5] + timedelta(hours=1)] * 3,
        times[6],
        times[8] + timedelta(hours=2),
        times[8] + timedelta(hours=2),
        times[9],
    ]
    assert told["known_time"].to_list() == expected


def test_without_the_index_market_features_are_null(small_market) -> None:
    alone = compute_technical(small_market(300).filter(pl.col("symbol") != MARKET))
    assert alone["market_return"].null_count() == alone.height
    assert alone["market_beta"].null_count() == alone.height
    assert alone["rsi_14"].null_count() == 28


def test_a_declaration_that_its_function_cannot_answer_is_refused() -> None:
    words = {"unit": "", "formula": "", "meaning": ""}
    with pytest.raises(ConfigError, match=r"gives 1 inputs and 0 parameters, and its function .* takes 1 and 1"):
        Feature("wrong", simple_return, ("close",), 1, **words)
    with pytest.raises(UnknownNameError, match=r"no input of feature 'odd' 'closed'\. Did you mean close"):
        Feature("odd", simple_return, ("closed",), 1, parameters=(1,), **words)
    with pytest.raises(ConfigError, match=r"lookback of 0 bars"):
        Feature("none", simple_return, ("close",), 0, parameters=(1,), **words)


def test_every_table_can_be_named() -> None:
    groups = [group.table for group in GROUPS]
    assert [spec for spec in SPECS if spec not in groups] == list(TABLES)
    assert all(spec_of(spec.name) is spec for spec in SPECS)
    with pytest.raises(
        UnknownNameError, match=r"There is no table 'feature_technical'\. Did you mean features_technical"
    ):
        spec_of("feature_technical")


def test_the_page_of_features_is_up_to_date() -> None:
    assert document.PAGE.read_text(encoding="utf-8") == document.features_page(), (
        "docs/features.md does not say what the catalog says; run `python -m feature_repo.document`"
    )


def test_the_page_names_every_feature_once(tmp_path: Path) -> None:
    rows = [line for line in document.features_page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [feature.name for group in GROUPS for feature in group]
