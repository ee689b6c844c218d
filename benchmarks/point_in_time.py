"""The point-in-time join: ours beside Polars join_asof on the same rows, and through Feast beside its DuckDB store."""

import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.rivals.environments import Answer, Rival, Unavailable, ask
from benchmarks.timing import interleave, milliseconds
from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.feast_store import apply, feature_store, point_in_time_join
from lake import calendars
from lake.clock import DEMO_START
from lake.settings import Settings, settings
from lake.store import Lake

SYMBOLS, SESSIONS, QUESTIONS = 5_000, 252, 100_000
SEED = 6
TTL = timedelta(days=7)
FEATURES = FEATURES_TECHNICAL.names[3:23]
DUCKDB_SCRIPT = Path(__file__).parent / "rivals" / "feast_duckdb.py"
FEAST_DUCKDB = Rival("feast-duckdb", ("feast[duckdb]==0.67.0", "duckdb==1.4.4", "pandas==2.3.3"))


def measure(
    symbols: int = SYMBOLS,
    sessions: int = SESSIONS,
    questions: int = QUESTIONS,
    repetitions: int = 7,
    environments: Path | None = None,
) -> Topic:
    """Join a random spine to a year of features in several ways, compare the answers, then the times.

    Parameters
    ----------
    environments
        Folder of the rivals' environments; by default one in the home.
    """
    rows = make_rows(symbols, sessions)
    spine = make_spine(rows, questions)
    by_day = rows.sort("event_time", "symbol")
    restated = pl.concat([rows, restate(rows)])
    expected = by_join_asof(spine, rows)
    for stored in (rows, by_day):
        assert_frame_equal(by_join(spine, stored), expected, check_exact=True)
    joins = {
        "asof": lambda: by_join_asof(spine, rows),
        "ours": lambda: by_join(spine, rows),
        "by day": lambda: by_join(spine, by_day),
        "restated": lambda: by_join(spine, restated),
    }
    join = milliseconds(interleave(joins, repetitions))
    answer, retrieval = through_feast(rows, spine, expected, repetitions, environments or settings().home / "rivals")
    feast = answer.reason if isinstance(answer, Unavailable) else 1e3 * answer.seconds
    figures = (
        Figure("P6, beside Polars `join_asof`", join["asof"], join["ours"], 2.0, 1.3),
        Figure("the same, rows stored day by day", join["asof"], join["by day"]),
        Figure("the same, 5 % of the rows restated later", join["asof"], join["restated"]),
        Figure("P6, the join beside Feast's DuckDB store", feast, join["ours"], 20, is_speed_up=True),
        Figure("the whole retrieval beside Feast's DuckDB store", feast, retrieval, is_speed_up=True),
    )
    text = (
        f"{questions:,} rows of a spine onto {rows.height:,} rows of {len(FEATURES)} features; the middle of "
        f"{repetitions} repetitions, in turn."
    )
    return Topic("Point-in-time join", text, RATIO, tuple(figure.to_row() for figure in figures), NOTES)


NOTES = (
    "answers were compared first, value by value; `join_asof` gets rows in its order and knows no restatements",
    "`join_asof` keeps the spine's order, as ours does; a time to live is applied by ours and by Feast",
    "Feast's store reads Parquet and answers a pandas frame with an Arrow table; it has no join to be timed apart",
    "the whole retrieval of ours does the same from Delta, on two times, through Feast; both are timed, not in turn",
)


def make_rows(symbols: int, sessions: int) -> pl.DataFrame:
    """A row of seeded numbers per symbol and session, each known at its close, in the order of a table."""
    random = np.random.default_rng(SEED)
    closes = calendars.closes().filter(pl.col("event_time") <= DEMO_START)["event_time"].tail(sessions)
    names = np.repeat([f"S{number:04d}" for number in range(symbols)], sessions)
    times = pl.concat([closes] * symbols)
    frame = pl.DataFrame({"symbol": names}).with_columns(times.alias("event_time"), times.alias("known_time"))
    values = random.standard_normal((len(FEATURES), frame.height))
    return frame.with_columns(pl.Series(name, column) for name, column in zip(FEATURES, values, strict=True))


def make_spine(rows: pl.DataFrame, questions: int) -> pl.DataFrame:
    """Random symbols at random times of the range, in no order."""
    random = np.random.default_rng(SEED + 1)
    first, last = (int(at.timestamp() * 1e6) for at in (rows["event_time"].min(), rows["event_time"].max()))
    return pl.DataFrame(
        {
            "symbol": random.choice(rows["symbol"].unique().sort().to_numpy(), questions),
            "at": random.integers(first, last, questions),
        }
    ).with_columns(pl.col("at").cast(rows.schema["event_time"]))


def restate(rows: pl.DataFrame) -> pl.DataFrame:
    """One row in twenty again, with another value, known three days later."""
    some = rows.sample(fraction=0.05, seed=SEED)
    return some.with_columns(pl.col("known_time") + timedelta(days=3), pl.col(FEATURES[0]) + 1)


def by_join(spine: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Our join."""
    features = {name: name for name in FEATURES}
    return point_in_time_join(spine, rows, on={"symbol": "symbol"}, at="at", features=features, ttl=TTL)


def by_join_asof(spine: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Join by event time alone, each symbol's rows in order, as Polars does it."""
    joined = (
        spine.with_row_index("place")
        .sort("at")
        .join_asof(
            rows.drop("known_time"),
            left_on="at",
            right_on="event_time",
            by="symbol",
            strategy="backward",
            check_sortedness=False,
        )
    )
    return joined.sort("place").select("symbol", "at", *FEATURES)


def through_feast(
    rows: pl.DataFrame, spine: pl.DataFrame, expected: pl.DataFrame, repetitions: int, environments: Path
) -> tuple[Answer | Unavailable, float]:
    """What Feast's DuckDB store answers, and the milliseconds of ours for the same retrieval."""
    asked = spine.rename({"at": "event_timestamp"})
    with tempfile.TemporaryDirectory() as folder:
        home = Settings(home=Path(folder))
        lake = Lake(home.tables)
        others = [name for name in FEATURES_TECHNICAL.names if name not in rows.columns]
        whole = rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in others)
        lake.merge(FEATURES_TECHNICAL, whole.select(FEATURES_TECHNICAL.names))
        apply(home)
        store, frame = feature_store(home, tables=lake.root), asked.to_pandas()
        names = [f"technical:{name}" for name in FEATURES]

        def retrieve() -> pl.DataFrame:
            return pl.DataFrame(pl.from_arrow(store.get_historical_features(frame, names).to_arrow()))

        assert_frame_equal(retrieve().select(FEATURES), expected.select(FEATURES), check_exact=True)
        ours = milliseconds(interleave({"ours": retrieve}, repetitions))["ours"]
        paths = Path(folder, "rows.parquet"), Path(folder, "spine.parquet")
        for table, path in zip((rows, asked), paths, strict=True):
            table.write_parquet(path)
        given = {"rows": str(paths[0]), "spine": str(paths[1]), "features": FEATURES, "days": TTL.days}
        answer = ask(FEAST_DUCKDB, DUCKDB_SCRIPT, given | {"repetitions": 5}, environments)
    if isinstance(answer, Answer):
        np.testing.assert_array_equal(answer.values["values"], expected.select(FEATURES).to_numpy())
    return answer, ours
