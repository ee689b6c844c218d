"""Entity frames of users: cast where that leaves nothing to guess, else refused with what to pass."""

from datetime import UTC, date, datetime

import pandas as pd
import polars as pl
import pytest

from feature_repo.feast_store import apply, feature_store
from feature_repo.feast_store.entity_frames import read_entity_frame
from feature_repo.materialize import update_technical
from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError
from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS

SYMBOLS = ["AAA", "BBB"]
AT = pd.Timestamp(DEMO_START)


def frame(times: object, symbols: object = None) -> pd.DataFrame:
    return pd.DataFrame({"symbol": SYMBOLS if symbols is None else symbols, "event_timestamp": times})


@pytest.mark.parametrize(
    "times",
    [
        [AT, AT],
        [AT.tz_localize(None)] * 2,
        [AT.tz_convert("America/New_York")] * 2,
        ["2012-12-31T21:00:00Z", "2012-12-31 21:00"],
        ["2012-12-31T16:00:00-05:00", "2012-12-31T21:00:00.000+0000"],
        pd.Categorical(["2012-12-31T21:00:00+00:00"] * 2),
        pd.Categorical([AT, AT]),
        pd.Series([DEMO_START] * 2, dtype=object),
        pd.Series(["2012-12-31T21:00:00Z"] * 2, dtype="string"),
    ],
)
def test_what_is_one_instant_however_written_is_read(times: object) -> None:
    rows, at = read_entity_frame(frame(times))
    assert at == "event_timestamp"
    assert rows[at].to_list() == [DEMO_START] * 2
    assert rows[at].dtype == pl.Datetime("us", "UTC")


def test_a_missing_instant_stays_missing() -> None:
    rows, at = read_entity_frame(frame([None, "2012-12-31T21:00:00Z"]))
    assert rows[at].to_list() == [None, DEMO_START]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (frame([date(2012, 12, 31)] * 2), r"holds Date, e.g. datetime.date\(2012, 12, 31\).*Pass instants: a day says"),
        (frame(["2012-12-31"] * 2), r"no instant in ISO 8601, e.g. '2012-12-31'; expected e.g. '2012-12-31T21:00"),
        (frame(["31/12/2012 21:00"] * 2), r"no instant in ISO 8601, e.g. '31/12/2012 21:00'"),
        (frame(["2012-13-31T21:00"] * 2), r"no instant in ISO 8601, e.g. '2012-13-31T21:00'"),
        (frame([1356987600] * 2), r"holds Int64, e.g. 1356987600.*Pass instants"),
        (pd.DataFrame({"symbol": SYMBOLS}), r"no column 'event_timestamp'.*it has symbol \(object\)"),
        (pd.DataFrame({"made": [AT], "when": [AT]}), r"not exactly one other column of timestamps.*made.*when"),
        (frame([AT, AT]).assign(note=[1, "x"]), r"'note'.*several types \(int, str\).*Give it one type"),
        ("select 1", r"need a pandas frame.*str came"),
    ],
)
def test_what_could_mean_several_things_is_refused_with_what_to_pass(asked: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_entity_frame(asked)


def test_through_feast_categories_find_their_rows_and_numbers_are_refused(tmp_path) -> None:
    lake, settings = Lake(tmp_path / "tables"), Settings(home=tmp_path)
    lake.merge(BARS, tiny_market([*SYMBOLS, "^GSPC"], 30, seed=1))
    update_technical(lake, FixedClock(DEMO_START))
    apply(settings)
    store = feature_store(settings, tables=lake.root)
    asked = ["technical:return_1d"]
    whole = store.get_historical_features(frame([AT, AT]), asked).to_df()
    assert whole["return_1d"].notna().all()
    told = store.get_historical_features(frame(["2012-12-31T21:00:00Z"] * 2, pd.Categorical(SYMBOLS)), asked).to_df()
    assert told["return_1d"].to_list() == whole["return_1d"].to_list()
    with pytest.raises(ConfigError, match=r"'symbol' of the entity frame holds Int64, e.g. 1, .* found by text"):
        store.get_historical_features(frame([AT, AT], [1, 2]), asked).to_df()


def test_time_zones_agree_with_python() -> None:
    rows, at = read_entity_frame(frame(["2012-07-02T16:00:00-04:00", "2012-07-02T16:00:00+05:30"]))
    expected = [datetime(2012, 7, 2, 20, tzinfo=UTC), datetime(2012, 7, 2, 10, 30, tzinfo=UTC)]
    assert rows[at].to_list() == expected
