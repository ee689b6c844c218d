"""Windows: which exist, what they hold, and what makes two of them the same."""

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.catalog import MODEL_FEATURES
from feature_repo.targets.windows import (
    FORECAST_V1,
    FORECAST_V2,
    WindowSpec,
    build_windows,
    to_model_input,
    window_hash,
)
from lake import calendars
from lake.errors import ConfigError, UnknownNameError

SCALE = "volatility_20d"
SMALL = WindowSpec("small", ("a", SCALE), 3, scales=(SCALE,))
TIMES = calendars.closes()["event_time"].head(12)


def frame(rows: dict[str, list[float | None]]) -> pl.DataFrame:
    """Symbols with their values of the scale; `a` counts rows over all of them, so that each is recognised."""
    parts = [
        pl.DataFrame(
            {"symbol": [symbol] * len(values), "event_time": TIMES.head(len(values)), SCALE: values},
            schema_overrides={"symbol": pl.String, SCALE: pl.Float64},
        )
        for symbol, values in rows.items()
    ]
    return pl.concat(parts).with_row_index("a").with_columns(pl.col("a").cast(pl.Float64))


def test_a_window_holds_the_last_sessions_oldest_first() -> None:
    windows = build_windows(frame({"A": [0.1, 0.2, 0.3, 0.4], "B": [0.5, 0.6]}), SMALL)
    assert windows.keys.rows() == [("A", TIMES[2]), ("A", TIMES[3])]
    assert windows.values.dtype == np.float32
    expected = np.array([[[0, 0.1], [1, 0.2], [2, 0.3]], [[1, 0.2], [2, 0.3], [3, 0.4]]], dtype=np.float32)
    np.testing.assert_array_equal(windows.values, expected)


def test_the_order_of_rows_does_not_matter() -> None:
    rows = frame({"A": [0.1] * 6, "B": [0.2] * 5})
    shuffled = build_windows(rows.sample(fraction=1, shuffle=True, seed=3), SMALL)
    ordered = build_windows(rows, SMALL)
    assert shuffled.keys.equals(ordered.keys)
    np.testing.assert_array_equal(shuffled.values, ordered.values)


@given(st.lists(st.lists(st.sampled_from([None, 0.3]), max_size=12), min_size=1, max_size=3))
def test_a_window_exists_exactly_where_the_scale_is_known_throughout(symbols: list[list[float | None]]) -> None:
    rows = frame({f"S{n}": values for n, values in enumerate(symbols)})
    expected = [
        (f"S{n}", TIMES[t])
        for n, values in enumerate(symbols)
        for t in range(2, len(values))
        if None not in values[t - 2 : t + 1]
    ]
    assert build_windows(rows, SMALL).keys.rows() == expected


def test_other_features_may_be_unknown() -> None:
    rows = frame({"A": [0.1, 0.2, 0.3]}).with_columns(pl.lit(None, dtype=pl.Float64).alias("a"))
    values = build_windows(rows, SMALL).values
    assert np.isnan(values[0, :, 0]).all()
    np.testing.assert_array_equal(values[0, :, 1], np.float32([0.1, 0.2, 0.3]))


def test_only_the_asked_instants_get_a_window() -> None:
    rows = frame({"A": [0.1] * 6, "B": [0.2] * 5})
    assert build_windows(rows, SMALL, at=[TIMES[5]]).keys.rows() == [("A", TIMES[5])]
    assert len(build_windows(rows, SMALL, at=[])) == 0


def test_a_missing_feature_is_named() -> None:
    with pytest.raises(UnknownNameError, match="There is no feature 'a'"):
        build_windows(frame({"A": [0.1] * 4}).drop("a"), SMALL)


def test_a_window_without_its_scale_or_without_sessions_is_refused() -> None:
    with pytest.raises(ConfigError, match="lacks 'volatility_garch'"):
        WindowSpec("x", ("a", "volatility_garch_5d"), 3)
    with pytest.raises(ConfigError, match="spans 0 sessions; the smallest is 1"):
        WindowSpec("x", ("a", SCALE), 0, scales=(SCALE,))


def test_the_model_sees_zero_and_a_flag_where_a_value_is_unknown() -> None:
    values = np.array([[[1.5, np.nan], [np.nan, -2.0]]], dtype=np.float32)
    shown = to_model_input(values)
    assert shown.dtype == np.float32
    np.testing.assert_array_equal(shown, np.float32([[[1.5, 0, 1, 0], [0, -2.0, 0, 1]]]))


def test_the_hash_is_that_of_the_little_endian_bytes() -> None:
    values = np.float32([[0.5, -1.25]])
    assert window_hash(values) == hashlib.sha256(bytes.fromhex("0000003f0000a0bf")).hexdigest()


def test_the_hash_tells_windows_apart_and_not_kinds_of_nan() -> None:
    values = np.float32([[0.5, np.nan]])
    other_nan = values.copy()
    other_nan.view(np.uint32)[0, 1] = 0xFFC00001
    assert np.isnan(other_nan[0, 1])
    assert window_hash(values) == window_hash(other_nan)
    assert window_hash(values) != window_hash(np.nextafter(values, np.float32(2)))
    assert window_hash(values) == window_hash(values.astype(">f4"))


def test_the_served_window_is_what_the_models_may_see() -> None:
    assert FORECAST_V2.features == MODEL_FEATURES
    assert FORECAST_V2.shape == (30, 25)
    assert [FORECAST_V2.features[place] for place in FORECAST_V2.scale_indices] == [
        "volatility_garch",
        "volatility_garch_5d",
    ]


def test_windows_of_earlier_models_are_cut_as_they_were() -> None:
    assert (FORECAST_V1.shape, FORECAST_V1.scales) == ((30, 20), ("volatility_20d",))
    assert FORECAST_V2.features[:20] == FORECAST_V1.features


def test_every_symbol_of_the_real_market_has_a_window_now(real_features: pl.DataFrame) -> None:
    now = real_features["event_time"].max()
    windows = build_windows(real_features, FORECAST_V2, at=[now])
    assert windows.values.shape == (25, *FORECAST_V2.shape)
    latest = real_features.filter(pl.col("event_time") == now).sort("symbol").select(FORECAST_V2.features)
    expected = latest.cast(pl.Float32).fill_null(float("nan")).to_numpy()
    np.testing.assert_array_equal(windows.values[:, -1, :], expected)
