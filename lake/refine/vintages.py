"""One basis for bars that a source tells again: re-based histories, late actions, and jumps that nothing explains.

A source that adjusts backwards restates its whole history at each split and dividend. Bars are adjusted forwards: the
basis is that of the first delivery, stored bars never move, and a later delivery is brought to that basis by the common
factor between what it says and what is stored of the same closes. Returns are then the same whether a history came at
once, day by day, or was sent again in full. Pure functions.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import log
from statistics import median
from typing import NamedTuple

import numpy as np
import polars as pl

from lake.refine.digits import EXACT, is_split, noise

JUMP = 3.0
"""A close that rises or falls by more than this factor overnight is believed only when something explains it."""
NIGHT = timedelta(days=60)
"""Bars further apart than this are no neighbours: what happened between them is not known."""
RUN = 3
"""So many bars in a row that changed by one factor are no corrections of each of them."""
SURE = 20
"""Two bars in a row say the same when the error of their factor is this many times smaller than the change."""
LEAST_SPLIT = 1.04
"""A smaller change of one bar is taken for a correction."""
RELEASED = "released:"
"""Begins the id of a delivery by which a person took bars out of quarantine; its oldest bar may jump."""
UNEXPLAINED = "unexplained_jump"


class Basis(NamedTuple):
    """What brings a delivery to the basis of the first one: factors of its adjusted and of its unadjusted closes."""

    adjusted: float = 1.0
    close: float = 1.0


class _Row(NamedTuple):
    """A good raw row; `number` is its place among those that are judged together."""

    number: int
    at: datetime
    known: datetime
    known_basis: str | None
    adjusted: float
    close: float | None
    shape: tuple[float | None, ...]
    """Open, high and low relative to close."""
    volume: float | None
    noise: float
    """Relative error of ``adj_close`` and ``close`` that their printed digits allow."""
    may_jump: bool


class _Told(NamedTuple):
    """The newest version of a bar: its row, and its adjusted and unadjusted close on the basis of the bars."""

    row: _Row
    bar: float
    level: float | None
    basis: Basis


class _Change(NamedTuple):
    """A re-based history: the basis from then on, the newest of the bars that show it, and the row known last."""

    basis: Basis
    until: datetime
    last: _Row


@dataclass
class _Outcome:
    """What becomes of the rows, by number: the basis of each, which are held or repeat, and the bars told anew."""

    basis: dict[int, Basis] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    repeats: set[int] = field(default_factory=set)
    again: list[tuple[int, datetime, str | None, Basis]] = field(default_factory=list)


def unsettled(bars: pl.DataFrame) -> list[str]:
    """Return the symbols whose rows must be judged together: a close that was told in two ways, or a jump.

    Parameters
    ----------
    bars
        Bars as each row alone gives them, sorted by symbol, event_time and known_time.
    """
    is_same = pl.col("symbol") == pl.col("symbol").shift(1)
    is_again = is_same & (pl.col("event_time") == pl.col("event_time").shift(1))
    rise = pl.col("close") / pl.col("close").shift(1)
    has_moved = (rise != 1) | pl.col("close_unadjusted").ne_missing(pl.col("close_unadjusted").shift(1))
    jumps = (rise > JUMP) | (rise < 1 / JUMP)
    found = bars.lazy().filter((is_again & has_moved) | (is_same & ~is_again & jumps)).select("symbol")
    return found.unique().collect()["symbol"].to_list()


def unsettled_symbols(judged: pl.DataFrame, stored: pl.DataFrame) -> list[str]:
    """Return the symbols of fresh rows whose whole history must be judged together.

    A close was told in two ways, or jumps; the stored bar is on another basis than its raw row; or closes without an
    unadjusted price stand beside others, so that the bar before is not the one an action follows from.

    Parameters
    ----------
    judged
        Fresh rows and the stored ones from the bar before them on, as `lake.refine.bars.judge` gives them.
    stored
        Bars before the fresh rows: symbol, event_time, close.
    """
    closes = judged.filter(pl.col("reason").is_null()).select(
        "symbol",
        pl.col("at").alias("event_time"),
        "known_time",
        pl.col("adj_close_value").alias("close"),
        pl.col("close_value").alias("close_unadjusted"),
    )
    moved = unsettled(closes.sort("symbol", "event_time", "known_time"))
    has_nulls = pl.col("close_unadjusted").is_null()
    mixed = closes.group_by("symbol").agg((has_nulls.any() & ~has_nulls.all()).alias("is_mixed"))
    is_same = (pl.col("close") == pl.col("close_raw")).any()
    rebased = stored.join(closes.rename({"close": "close_raw"}), on=["symbol", "event_time"])
    rebased = rebased.group_by("symbol", "event_time").agg(is_same.alias("is_same")).filter(~pl.col("is_same"))
    return sorted({*moved, *mixed.filter("is_mixed")["symbol"], *rebased["symbol"]})


def chain(good: pl.DataFrame) -> pl.DataFrame:
    """Bring rows of several deliveries to one basis, and mark what is held back.

    The rows of each symbol are taken in the order of their receipt, one delivery after the other; a delivery with
    several versions of one bar counts as one per `known_time`. Where a delivery tells stored closes again and they
    differ by one factor, the source re-based its history: the bars stay, and what is newer than them follows on their
    basis. A few rows that differ without more are corrections.

    Parameters
    ----------
    good
        Rows as `lake.refine.bars.judge` gives them, none of them refused, every delivery of each symbol among them.

    Returns
    -------
    pl.DataFrame
        The rows with ``scale`` and ``close_scale``, by which ``adj_close`` and ``close`` are multiplied;
        ``reason`` is `UNEXPLAINED` where a close jumps and nothing explains it. Rows that only repeat a bar on another
        basis are left out. A bar that a later delivery restates or explains is given again, known from then on; its
        ``known_basis`` is that of the row which made it known.
    """
    rows = good.with_columns(noise().alias("noise")).with_row_index("number")
    outcome = _Outcome()
    for _, own in rows.group_by("symbol", maintain_order=True):
        _Chain(outcome).take(_deliveries(own))
    scales = [outcome.basis[number] for number in range(rows.height)]
    numbers = pl.col("number")
    told = rows.with_columns(
        pl.Series("scale", [basis.adjusted for basis in scales], dtype=pl.Float64),
        pl.Series("close_scale", [basis.close for basis in scales], dtype=pl.Float64),
        pl.when(numbers.is_in(sorted(outcome.held))).then(pl.lit(UNEXPLAINED)).otherwise("reason").alias("reason"),
    )
    again = [
        told[number].with_columns(
            pl.lit(known).cast(told.schema["known_time"]).alias("known_time"),
            pl.lit(known_basis, dtype=pl.String).alias("known_basis"),
            pl.lit(basis.adjusted).alias("scale"),
            pl.lit(basis.close).alias("close_scale"),
            pl.lit(None, dtype=pl.String).alias("reason"),
        )
        for number, known, known_basis, basis in outcome.again
    ]
    kept = told.filter(~numbers.is_in(sorted(outcome.repeats)))
    return pl.concat([kept, *again]).drop("number", "noise")


class _Chain:
    """The bars of one symbol as deliveries come in."""

    def __init__(self, outcome: _Outcome) -> None:
        self.outcome = outcome
        self.basis = Basis()
        self.told: dict[datetime, _Told] = {}
        self.closes: list[datetime] = []
        self.seen: list[datetime] = []
        self.held: dict[datetime, tuple[_Row, Basis]] = {}

    def take(self, deliveries: Iterable[Sequence[_Row]]) -> None:
        for rows in deliveries:
            change = self._rebased(rows)
            if change:
                self.basis = change.basis
            for row in rows:
                self._judge(row, is_rebased=change is not None)
            if change:
                self._follow(change, {row.at for row in rows})
            if self.held and (change or rows[0].at < max(self.held)):
                self._try_again(_known_last(rows))

    def _rebased(self, rows: Sequence[_Row]) -> _Change | None:
        """Return the change of basis that a delivery shows by telling stored closes again, or None."""
        again = [row for row in rows if row.at in self.told]
        if not again:
            return None
        runs = [*self._runs(again)]
        run = next((each for each in runs if len(each) >= RUN), None) or max(runs, key=len)
        rise = median(map(self._rise, run))
        error = max(map(self._error, run))
        levels = [level for row in run if (level := self._level_rise(row)) is not None]
        level = median(levels) if len(levels) == len(run) else None
        if abs(rise - 1) <= error or self._is_correction(run, rise, level, error, rows[-1]):
            return None
        if level is None or abs(level - 1) <= error:
            level = 1.0
        basis = Basis(self.basis.adjusted * rise, self.basis.close * level)
        return _Change(basis, run[-1].at, _known_last(again))

    def _runs(self, again: Sequence[_Row]) -> Iterator[list[_Row]]:
        """Cut rows into runs that changed by one factor, as far as their digits tell."""
        run = [again[0]]
        for row in again[1:]:
            if abs(self._rise(row) / self._rise(run[-1]) - 1) > self._error(row) + self._error(run[-1]):
                yield run
                run = []
            run.append(row)
        yield run

    def _error(self, row: _Row) -> float:
        return row.noise + self.told[row.at].row.noise + EXACT

    def _rise(self, row: _Row) -> float:
        return self.told[row.at].bar / (row.adjusted * self.basis.adjusted)

    def _level_rise(self, row: _Row) -> float | None:
        before = self.told[row.at].level
        return before / (row.close * self.basis.close) if before is not None and row.close is not None else None

    def _is_correction(self, run: Sequence[_Row], rise: float, level: float | None, error: float, last: _Row) -> bool:
        """Whether bars changed by one factor because they were wrong, not because the source re-based them."""
        is_by_action = level is not None and abs(rise / level - 1) > error
        if len(run) < RUN:
            ends_before_the_news = run[-1].at == self.closes[-1] < last.at
            is_common = len(run) > 1 and abs(log(rise)) > SURE * error
            has_ratio = abs(log(rise)) > log(LEAST_SPLIT) and bool(is_split(np.array([rise]), np.array([error]))[0])
            is_like_a_split = (is_common or has_ratio) and all(map(self._keeps_shape, run))
            if not ends_before_the_news or not (is_by_action or is_like_a_split):
                return True
        older = self._before(run[0].at)
        if older is None:
            return False
        before, after = self.told[run[0].at], run[0].adjusted * self.basis.adjusted
        if is_by_action and older.level and before.level and run[0].close:
            factors = older.bar / older.level, before.bar / before.level
            now = after / (run[0].close * self.basis.close)
            return abs(now / factors[0] - 1) <= error < abs(factors[1] / factors[0] - 1)
        is_plain = abs(log(rise)) > log(LEAST_SPLIT)
        return is_plain and abs(log(after / older.bar)) < abs(log(before.bar / older.bar))

    def _keeps_shape(self, row: _Row) -> bool:
        before = self.told[row.at].row
        tolerance = 2 * (row.noise + before.noise) + EXACT
        return all(
            (a is None and b is None) or (a is not None and b is not None and abs(a - b) <= tolerance)
            for a, b in zip(row.shape, before.shape, strict=True)
        )

    def _judge(self, row: _Row, *, is_rebased: bool) -> None:
        self.outcome.basis[row.number] = self.basis
        position = bisect_left(self.seen, row.at)
        if self.seen[position : position + 1] != [row.at]:
            self.seen.insert(position, row.at)
        told = self.told.get(row.at)
        if told and is_rebased and self._repeats(row, told):
            self.outcome.repeats.add(row.number)
            self.told[row.at] = _Told(row, told.bar, told.level, self.basis)
        elif self._jumps(row, self.basis) and not row.may_jump:
            self.outcome.held.add(row.number)
            self.held[row.at] = (row, self.basis)
        else:
            self._accept(row, self.basis)

    def _repeats(self, row: _Row, told: _Told) -> bool:
        tolerance = self._error(row)
        if abs(row.adjusted * self.basis.adjusted / told.bar - 1) > tolerance or not self._keeps_shape(row):
            return False
        if row.volume is None or told.row.volume is None or row.volume == told.row.volume:
            return row.volume == told.row.volume
        money, before = row.volume * (row.close or 1), told.row.volume * (told.row.close or 1)
        return abs(money - before) <= (tolerance + 1 / max(told.row.volume, 1)) * before

    def _jumps(self, row: _Row, basis: Basis) -> bool:
        before = self._before(row.at)
        if before is None:
            return False
        rise = row.adjusted * basis.adjusted / before.bar
        nearest = self.seen[bisect_left(self.seen, row.at) - 1]
        return row.at - nearest <= NIGHT and not 1 / JUMP <= rise <= JUMP

    def _accept(self, row: _Row, basis: Basis) -> None:
        if row.at not in self.told:
            insort(self.closes, row.at)
        self.held.pop(row.at, None)
        level = row.close * basis.close if row.close is not None else None
        self.told[row.at] = _Told(row, row.adjusted * basis.adjusted, level, basis)

    def _before(self, at: datetime) -> _Told | None:
        position = bisect_left(self.closes, at)
        return self.told[self.closes[position - 1]] if position else None

    def _follow(self, change: _Change, present: set[datetime]) -> None:
        """Tell the bars that are newer than a late action again, on the basis that the action gives them."""
        for at in self.closes[bisect_left(self.closes, change.until) :]:
            told = self.told[at]
            if at > change.until and at not in present and told.basis != change.basis:
                self._tell(told.row, change.last, change.basis)
        for at, (row, _) in [*self.held.items()]:
            if at > change.until:
                self.held[at] = (row, change.basis)

    def _try_again(self, last: _Row) -> None:
        for at in sorted(self.held):
            row, basis = self.held[at]
            if not self._jumps(row, basis):
                self._tell(row, last, basis)

    def _tell(self, row: _Row, last: _Row, basis: Basis) -> None:
        """Tell a bar again, known by the row that was known last of those that change or explain it."""
        self._accept(row, basis)
        known = max(last.known, row.known + timedelta(microseconds=1))
        self.outcome.again.append((row.number, known, last.known_basis, basis))


def _known_last(rows: Iterable[_Row]) -> _Row:
    return max(rows, key=lambda row: row.known)


def _deliveries(own: pl.DataFrame) -> Iterator[list[_Row]]:
    """Rows of one symbol by delivery, in the order of receipt, each in the order of its closes."""
    by_receipt = own.with_columns(pl.col("known_time").max().over("batch_id").alias("complete")).sort(
        "received_at", "complete", "batch_id", "at", "known_time"
    )
    for _, batch in by_receipt.group_by("batch_id", maintain_order=True):
        if batch["at"].is_unique().all():
            yield [*_rows(batch)]
        else:
            for _, version in batch.sort("known_time", "at").group_by("known_time", maintain_order=True):
                yield [*_rows(version)]


def _rows(frame: pl.DataFrame) -> Iterator[_Row]:
    shape = [
        (pl.when(pl.col(f"{name}_value") > 0).then(pl.col(f"{name}_value")) / pl.col("close_value")).alias(name)
        for name in ("open", "high", "low")
    ]
    may_jump = pl.col("batch_id").str.starts_with(RELEASED) & (pl.col("row") == 0)
    told = frame.select(
        "number",
        "at",
        "known_time",
        "known_basis",
        "adj_close_value",
        "close_value",
        *shape,
        "volume_value",
        "noise",
        may_jump.alias("may_jump"),
    )
    for values in told.iter_rows():
        number, at, known, known_basis, adjusted, close, first, high, low, volume, error, jumps = values
        yield _Row(number, at, known, known_basis, adjusted, close, (first, high, low), volume, error, jumps)
