"""Historical retrieval through Feast against an oracle in plain Python that looks at every row for every question."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL, group_of
from feature_repo.feast_store import point_in_time
from feature_repo.retrieval import apply, feature_store
from lake.settings import Settings
from lake.spec import Column, TableSpec
from lake.store import Lake
from lake.tables import REGIMES, STRATEGY_ASSIGNMENTS
from support.joins import without_the_known_time

NEW_YORK = ZoneInfo("America/New_York")
TICK = timedelta(microseconds=1)
QUESTIONS = 5_000
COMMITS = 4
SYMBOLS = [f"S{n:02d}" for n in range(20)]
VOLUME = group_of("volume")


class Asked(NamedTuple):
    """One feature of one view: its table, the keys it has rows for, and how long a value is good."""

    feature: str
    table: TableSpec
    keys: list[str]
    ttl: timedelta


VIEWS = (
    Asked("technical:rsi_14", FEATURES_TECHNICAL, SYMBOLS, timedelta(days=7)),
    Asked(f"volume:{VOLUME.features[0].name}", VOLUME.table, SYMBOLS[5:], timedelta(days=7)),
    Asked("regime:volatility", REGIMES, ["^SPX", "^OTHER"], timedelta(days=7)),
    Asked("strategy:confidence", STRATEGY_ASSIGNMENTS, SYMBOLS[:15], timedelta(days=92)),
)


class Fact(NamedTuple):
    """What a table said of a key: a value that no other row has."""

    key: str
    event: datetime
    known: datetime
    value: float


def sessions() -> list[datetime]:
    """Closes at 16:00 in New York around the two Sundays on which its clocks change, with a gap in between."""
    days = [datetime(2012, 3, 1, 16, tzinfo=NEW_YORK) + timedelta(days=n) for n in range(24)]
    days += [datetime(2012, 10, 25, 16, tzinfo=NEW_YORK) + timedelta(days=n) for n in range(24)]
    return [day.astimezone(UTC) for day in days if day.weekday() < 5]


def facts_of(keys: list[str], random: np.random.Generator) -> list[Fact]:
    """Facts of which some are missing, some known late or only after newer ones, some restated up to three times."""
    closes, facts = sessions(), []
    for key in keys:
        for close in closes:
            if random.random() < 0.15:
                continue
            known = {close + delay(random)} if random.random() < 0.3 else {close}
            while random.random() < 0.3:
                # A restatement comes at any hour, or exactly when another session closes.
                later = closes[random.integers(len(closes))]
                known.add(max(known) + delay(random) if random.random() < 0.5 or later <= max(known) else later)
            facts += [Fact(key, close, at, 0.0) for at in sorted(known)]
    values = random.permutation(len(facts)) + 1.0
    return [fact._replace(value=float(value)) for fact, value in zip(facts, values, strict=True)]


def delay(random: np.random.Generator) -> timedelta:
    return timedelta(hours=int(random.choice([1, 12, 24, 72, 24 * 20])))


def as_table(table: TableSpec, feature: str, facts: list[Fact]) -> pl.DataFrame:
    """Rows of the table that hold the facts; what they do not say is null, or anything where it may not be."""
    frame = pl.DataFrame(
        {
            table.key[0]: [fact.key for fact in facts],
            "event_time": [fact.event for fact in facts],
            "known_time": [fact.known for fact in facts],
            feature: [fact.value for fact in facts],
        },
        schema={name: table.schema[name] for name in (table.key[0], "event_time", "known_time", feature)},
    )
    others = [column for column in table.columns if column.name not in frame.columns]
    return frame.with_columns(pl.lit(anything(column), column.dtype).alias(column.name) for column in others).select(
        table.names
    )


def anything(column: Column) -> object:
    if column.nullable:
        return None
    if column.dtype == pl.String():
        return column.allowed[0] if column.allowed else "x"
    return [] if isinstance(column.dtype, pl.List) else 0


def questions(facts: list[Fact], random: np.random.Generator) -> pd.DataFrame:
    """Spine rows at, just before and just after instants at which an answer changes or expires, and at any time."""
    first, last = min(fact.event for fact in facts), max(fact.known for fact in facts)
    times, symbols, markets = [], [], []
    for _ in range(QUESTIONS):
        fact = facts[random.integers(len(facts))]
        anchor = [fact.event, fact.known, fact.event + timedelta(days=7), fact.event + timedelta(days=92)]
        at = anchor[random.integers(4)] + TICK * int(random.integers(-1, 2))
        times.append(at if random.random() < 0.8 else first + (last - first) * random.uniform(-0.1, 1.1))
        symbols.append(str(random.choice([fact.key, *SYMBOLS, "NOPE"])))
        markets.append(str(random.choice(["^SPX", "^OTHER", "^NOPE"])))
    stamps = pd.Series(pd.to_datetime(times, utc=True)).dt.tz_convert(NEW_YORK)
    return pd.DataFrame({"symbol": symbols, "market": markets, "event_timestamp": stamps, "n": np.arange(QUESTIONS)})


def oracle(facts: list[Fact], key: str, at: datetime, ttl: timedelta) -> float | None:
    best: Fact | None = None
    for fact in facts:
        if fact.key != key or fact.event > at or fact.known > at:
            continue
        if best is None or (fact.event, fact.known) > (best.event, best.known):
            best = fact
    return None if best is None or at - best.event > ttl else best.value


class World(NamedTuple):
    """What is stored, what is asked, and the right answers by feature."""

    store: object
    spine: pd.DataFrame
    answers: dict[str, list[float | None]]

    def mismatches(self) -> int:
        found = pl.from_arrow(
            self.store.get_historical_features(self.spine, [asked.feature for asked in VIEWS]).to_arrow()
        )
        assert found["n"].to_list() == list(range(QUESTIONS)), "the spine lost its order"
        return sum(
            got != expected
            for feature, answers in self.answers.items()
            for got, expected in zip(found[feature.partition(":")[2]].to_list(), answers, strict=True)
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    random = np.random.default_rng(20120311)
    home = tmp_path_factory.mktemp("oracle")
    lake, settings = Lake(home / "tables"), Settings(home=home)
    facts = {asked.feature: facts_of(asked.keys, random) for asked in VIEWS}
    for asked in VIEWS:
        rows = as_table(asked.table, asked.feature.partition(":")[2], facts[asked.feature])
        commit = pl.Series(random.integers(COMMITS, size=rows.height))
        for n in range(COMMITS):
            lake.merge(asked.table, rows.filter(commit == n))
        assert lake.read(asked.table).height == rows.height
    spine = questions(facts["technical:rsi_14"] + facts["strategy:confidence"], random)
    apply(settings)
    utc = [at.to_pydatetime().astimezone(UTC) for at in spine["event_timestamp"]]
    answers = {
        asked.feature: [
            oracle(facts[asked.feature], key, at, asked.ttl)
            for key, at in zip(spine[asked.table.key[0]], utc, strict=True)
        ]
        for asked in VIEWS
    }
    return World(feature_store(settings, tables=lake.root), spine, answers)


def test_five_thousand_questions_to_four_views_are_answered_like_the_oracle(world: World) -> None:
    """Restated, late, tied, missing, expired, and across the change of clocks."""
    for feature, answers in world.answers.items():
        assert 0.1 < sum(answer is None for answer in answers) / QUESTIONS < 0.9, f"{feature} asks too little"
    assert world.mismatches() == 0


def test_without_the_known_time_the_oracle_objects(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_in_time, "_newest_usable", without_the_known_time)
    assert world.mismatches() > QUESTIONS / 10


def test_without_the_time_to_live_the_oracle_objects(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from feature_repo.feast_store import offline_store

    join = offline_store.point_in_time_join
    monkeypatch.setattr(offline_store, "point_in_time_join", lambda *args, **kw: join(*args, **kw | {"ttl": None}))
    assert world.mismatches() > QUESTIONS / 10
