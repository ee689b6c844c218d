from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from feature_repo.targets import FORECAST_V2, WindowSpec, compute_labels
from lake.calendars import session_closes
from lake.errors import NotReadyError, SchemaError
from training.data import WindowSet, build_window_set

SPEC = WindowSpec("short", ("return_1d", "volatility_20d"), sessions=3, scales=("volatility_20d",))
SESSIONS = session_closes(datetime(2010, 1, 1, tzinfo=UTC), datetime(2010, 2, 1, tzinfo=UTC))


def features(symbols: tuple[str, ...] = ("A", "B"), *, sessions: list[datetime] = SESSIONS) -> pl.DataFrame:
    frames = [
        pl.DataFrame({"symbol": symbol, "event_time": sessions}).with_columns(
            pl.int_range(pl.len()).cast(pl.Float64).alias("return_1d") + 100 * number,
            pl.lit(0.3).alias("volatility_20d"),
        )
        for number, symbol in enumerate(symbols)
    ]
    return pl.concat(frames).with_columns(pl.col("event_time").cast(pl.Datetime("us", "UTC")))


def labels(symbols: tuple[str, ...] = ("A", "B")) -> pl.DataFrame:
    frames = [
        pl.DataFrame({"symbol": symbol, "event_time": SESSIONS, "close": [1.01**n for n in range(len(SESSIONS))]})
        for symbol in symbols
    ]
    bars = pl.concat(frames).with_columns(
        pl.col("event_time").cast(pl.Datetime("us", "UTC")),
        pl.col("event_time").cast(pl.Datetime("us", "UTC")).alias("known_time"),
    )
    return compute_labels(bars)


def test_each_window_has_its_own_labels_and_the_end_of_the_longest() -> None:
    windows = build_window_set(features(), labels(), spec=SPEC)
    assert windows.x.dtype == np.float32
    assert windows.x.shape == (2 * (len(SESSIONS) - 2 - 1), 3, 4)
    known = windows.take(np.flatnonzero(np.isfinite(windows.y).all(axis=1)))
    assert len(known) == 2 * (len(SESSIONS) - 2 - 5)
    np.testing.assert_allclose(known.y, np.tile([0.01, 1.01**5 - 1], (len(known), 1)), rtol=1e-5)
    for number in (0, 4, len(windows) - 1):
        symbol, event_time, label_end = windows.keys.row(number)[:3]
        place = SESSIONS.index(event_time)
        assert label_end == SESSIONS[place + 5 if place + 5 < len(SESSIONS) else place + 1]
        assert windows.x[number, :, 0].tolist() == [n + 100 * (symbol == "B") for n in range(place - 2, place + 1)]
    assert windows.x[..., 2:].min() == 1


def test_what_is_not_known_is_zero_with_a_flag() -> None:
    frame = features().with_columns(pl.when(pl.col("symbol") == "A").then("return_1d").alias("return_1d"))
    windows = build_window_set(frame, labels(), spec=SPEC)
    unknown = (windows.keys["symbol"] == "B").to_numpy()
    assert windows.x[unknown][..., 0].max() == windows.x[unknown][..., 2].max() == 0
    assert windows.x[~unknown][..., 2].min() == 1


def test_windows_end_only_where_asked() -> None:
    at = SESSIONS[4:8:2]
    assert build_window_set(features(), labels(), at=at, spec=SPEC).keys["event_time"].unique().to_list() == at


def test_a_missing_label_takes_a_window_from_its_own_horizon_alone() -> None:
    short = labels().filter((pl.col("horizon_sessions") == 1) | (pl.col("event_time") < SESSIONS[6]))
    windows = build_window_set(features(), short, spec=SPEC)
    assert windows.keys["event_time"].max() == SESSIONS[-2]
    later = (windows.keys["event_time"] > SESSIONS[5]).to_numpy()
    assert np.isnan(windows.y[:, 1]).tolist() == later.tolist()
    assert np.isfinite(windows.y[:, 0]).all()
    ends = windows.keys["label_end"].to_numpy()
    assert (ends[later] == windows.keys["label_end_1"].to_numpy()[later]).all(), "no label is known later than this"


def test_labels_from_a_cut_on_are_unknown_and_the_windows_stay() -> None:
    windows, cut = build_window_set(features(), labels(), spec=SPEC), SESSIONS[9]
    known = windows.known_before(cut)
    assert known.keys["event_time"].max() == SESSIONS[7], "its label over one session ends before the cut"
    assert known.keys["label_end"].max() == SESSIONS[8]
    assert np.isfinite(known.y[:, 1]).tolist() == (known.keys["event_time"] < SESSIONS[4]).to_list()


def test_the_horizons_are_those_asked_for() -> None:
    windows = build_window_set(features(), labels().filter(pl.col("horizon_sessions") == 5), spec=SPEC, horizons=(5,))
    assert (windows.horizons, windows.y.shape[1]) == ((5,), 1)
    with pytest.raises(NotReadyError, match="has a label 20 bars ahead"):
        build_window_set(features(), labels(), spec=SPEC, horizons=(1, 20))


def test_a_long_horizon_beside_a_short_one_drops_nothing_of_it() -> None:
    sessions = session_closes(datetime(2010, 1, 1, tzinfo=UTC), datetime(2010, 7, 1, tzinfo=UTC))
    bars = features(sessions=sessions).with_columns(
        pl.col("event_time").alias("known_time"), (100 + pl.col("return_1d")).alias("close")
    )
    made = compute_labels(bars, [1, 60])
    alone = build_window_set(features(sessions=sessions), made, spec=SPEC, horizons=(1,))
    beside = build_window_set(features(sessions=sessions), made, spec=SPEC, horizons=(1, 60))
    assert beside.keys.select("symbol", "event_time").equals(alone.keys.select("symbol", "event_time"))
    np.testing.assert_array_equal(beside.x, alone.x)
    np.testing.assert_array_equal(beside.y[:, 0], alone.y[:, 0])
    assert np.isnan(beside.y[:, 1]).sum() == 2 * 59, "the last sessions have a label over one session alone"
    cut = sessions[100]
    known, too = alone.known_before(cut), beside.known_before(cut)
    assert too.keys["event_time"].equals(known.keys["event_time"]), "a longer horizon takes no row from a shorter one"
    assert too.keys.filter(pl.col("label_end_60").is_not_null())["event_time"].max() == sessions[39]


def test_a_price_that_stood_still_has_no_scale() -> None:
    still = features().with_columns(
        pl.when((pl.col("symbol") == "A") & (pl.col("event_time") == SESSIONS[5]))
        .then(0.0)
        .otherwise("volatility_20d")
        .alias("volatility_20d")
    )
    kept = build_window_set(still, labels(), spec=SPEC).keys
    missing = build_window_set(features(), labels(), spec=SPEC).keys.join(kept, on=["symbol", "event_time"], how="anti")
    assert missing.select("symbol", "event_time").rows() == [("A", SESSIONS[5])]


def test_the_index_has_features_and_no_label_and_is_never_a_row() -> None:
    windows = build_window_set(features(("A", "^GSPC")), labels(("A",)), spec=SPEC)
    assert windows.keys["symbol"].unique().to_list() == ["A"]


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(NotReadyError, match="has a label 1 bars ahead"):
        build_window_set(features(), labels().clear(), spec=SPEC)


def test_parts_of_different_lengths_are_refused() -> None:
    with pytest.raises(SchemaError, match="2 windows, 1 labels and 0 keys"):
        WindowSet(np.zeros((2, 3, 4), np.float32), np.zeros((1, 2), np.float32), pl.DataFrame())


def test_the_newest_rows_are_the_latest_in_time() -> None:
    windows = build_window_set(features(), labels(), spec=SPEC)
    newest = windows.newest(4)
    assert newest.keys["event_time"].to_list() == [SESSIONS[-3]] * 2 + [SESSIONS[-2]] * 2
    assert len(windows.newest(10_000)) == len(windows)


def test_the_window_in_service_is_the_default() -> None:
    with pytest.raises(Exception, match="feature"):
        build_window_set(features(), labels())
    assert FORECAST_V2.sessions > 1
