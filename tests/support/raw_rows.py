"""Raw rows for tests: a source that delivers given rows, and the bad rows that sources really send."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from lake.sources import BarBatch


@dataclass(frozen=True)
class RowSource:
    """A source that delivers given raw rows, each once the market has come to its `known_time`."""

    rows: pl.DataFrame
    name: str = "tiny"

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the rows known in ``(after, until]``, numbered afresh."""
        is_due = pl.col("known_time") <= until
        due = self.rows.filter(is_due if after is None else is_due & (pl.col("known_time") > after))
        batch_id = (
            f"{self.name}:{after:%Y%m%dT%H%M}:{until:%Y%m%dT%H%M}" if after else f"{self.name}:{until:%Y%m%dT%H%M}"
        )
        numbered = due.with_columns(
            pl.lit(batch_id).alias("batch_id"), pl.lit(self.name).alias("source"), pl.int_range(pl.len()).alias("row")
        )
        return BarBatch(batch_id, numbered)


@dataclass(frozen=True)
class BadRow:
    """A way in which a row can be bad: what to do to a good one, and the reason it must be refused with."""

    kind: str
    reason: str
    change: Callable[[dict[str, object]], dict[str, object]]


def _set(**values: object) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda _: values


def _scaled(**factors: tuple[str, float]) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda row: {name: str(float(str(row[of])) * factor) for name, (of, factor) in factors.items()}


def _moved(by: timedelta) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda row: {"stamp": (datetime.fromisoformat(str(row["stamp"])) + by).isoformat()}


BAD_ROWS: tuple[BadRow, ...] = (
    BadRow("null symbol", "null_key", _set(symbol=None)),
    BadRow("blank symbol", "null_key", _set(symbol="  ")),
    BadRow("null time", "null_key", _set(stamp=None)),
    BadRow("time without zone", "time_without_zone", lambda row: {"stamp": str(row["stamp"])[:19]}),
    BadRow("date without time", "time_without_zone", lambda row: {"stamp": str(row["stamp"])[:10]}),
    BadRow("month 13", "unreadable_time", _set(stamp="2012-13-01T21:00:00+00:00")),
    BadRow("words for a time", "unreadable_time", _set(stamp="yesterdayZ")),
    BadRow("weekend session", "not_a_session_close", _set(stamp="2012-06-16T20:00:00+00:00")),
    BadRow("holiday session", "not_a_session_close", _set(stamp="2012-12-25T21:00:00+00:00")),
    BadRow("early close at the usual hour", "not_a_session_close", _set(stamp="2012-11-23T21:00:00+00:00")),
    BadRow("winter hour in summer", "not_a_session_close", _set(stamp="2012-07-02T21:00:00+00:00")),
    BadRow("an hour late", "not_a_session_close", _moved(timedelta(hours=1))),
    BadRow("before the calendar begins", "outside_the_calendar", _set(stamp="1987-10-19T20:00:00+00:00")),
    BadRow("after the calendar ends", "outside_the_calendar", _set(stamp="2028-01-03T21:00:00+00:00")),
    BadRow("known before it closed", "known_before_it_happened", _set(stamp="2013-03-01T21:00:00+00:00")),
    BadRow("unknown basis", "unknown_price_basis", _set(price_basis="guessed")),
    BadRow("text in a number", "unreadable_number", _set(close="twelve")),
    BadRow("thousands comma", "unreadable_number", _set(volume="1,000,000")),
    BadRow("unit in a number", "unreadable_number", _set(open="12.5 USD")),
    BadRow("empty number", "unreadable_number", _set(adj_close="")),
    BadRow("NaN", "not_a_number", _set(close="NaN")),
    BadRow("infinity", "not_a_number", _set(high="inf")),
    BadRow("missing close", "missing_value", _set(close=None)),
    BadRow("missing adjusted close", "missing_value", _set(adj_close=None)),
    BadRow("missing volume", "missing_value", _set(volume=None)),
    BadRow("negative price", "price_not_positive", _scaled(low=("low", -1.0))),
    BadRow("zero price", "price_not_positive", _set(adj_close="0")),
    BadRow("negative volume", "negative_volume", _set(volume="-100")),
    BadRow("high below low", "high_below_low", _scaled(high=("low", 0.9))),
    BadRow("close above high", "price_outside_range", _scaled(close=("high", 1.01))),
    BadRow("open below low", "price_outside_range", _scaled(open=("low", 0.99))),
    BadRow("the same row twice", "duplicate", _set()),
    BadRow("another row for the same bar", "duplicate", _scaled(volume=("volume", 2.0))),
)


class PlantedRows(NamedTuple):
    """Raw rows with bad ones among them, and the reason each bad one must be refused with, by ``row``."""

    rows: pl.DataFrame
    expected: pl.DataFrame


def plant_bad_rows(raw: pl.DataFrame, seed: int, *, copies: int = 1, kinds: Sequence[BadRow] = BAD_ROWS) -> PlantedRows:
    """Add bad rows to good ones of one delivery; every good row stays.

    Each bad row is a changed copy of a good one, so a rule that lets it pass gives a wrong or a doubled bar. Bad rows
    are numbered before the good ones: of two good rows for one bar the last counts.

    Parameters
    ----------
    raw
        Good rows in the columns of `raw_bars`, of one batch.
    copies
        How many bad rows of each kind.

    Returns
    -------
    PlantedRows
        `rows` in a seeded random order; `expected` with ``row`` and ``reason``.
    """
    random = np.random.default_rng(seed)
    planted = [bad for bad in kinds for _ in range(copies)]
    victims = raw[random.integers(0, raw.height, len(planted))].to_dicts()
    changed = [row | bad.change(row) | {"row": n} for n, (row, bad) in enumerate(zip(victims, planted, strict=True))]
    bad_rows = pl.DataFrame(changed, schema=raw.schema)
    expected = pl.DataFrame(
        {"row": bad_rows["row"], "reason": [bad.reason for bad in planted]}, schema_overrides={"reason": pl.String}
    )
    rows = pl.concat([bad_rows, raw.with_columns(pl.col("row") + len(planted))])
    return PlantedRows(rows[random.permutation(rows.height)], expected)
