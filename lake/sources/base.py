"""The interface of a source of bars."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import polars as pl

from lake.errors import SourceError
from lake.tables import RAW_BARS

ACTION_COLUMNS: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "ex_date": pl.Date(),
    **dict.fromkeys(("kind", "ratio", "amount", "currency", "price_basis", "source"), pl.String()),
    "received_at": pl.Datetime("us", "UTC"),
}
"""Columns of the corporate actions of a delivery; what they mean is said at `lake.sources.http.SESSION_ACTIONS`."""


@dataclass(frozen=True)
class FailedSymbol:
    """A symbol that a delivery has no rows for, with the kind of the error and its sentence."""

    symbol: str
    kind: str
    reason: str


@dataclass(frozen=True)
class BarBatch:
    """One delivery.

    Parameters
    ----------
    batch_id
        Of a source without a network the same whenever the same is asked; a source that asks a vendor puts the time of
        receipt in, because the same question may be answered otherwise tomorrow.
    rows
        Bars in the columns of `raw_bars`.
    actions
        Splits and dividends that the source states, in the columns of `ACTION_COLUMNS`.
    failures
        Symbols that were asked and not answered, the others being whole.
    notes
        Sentences for the report of the run.
    requests
        Requests that were answered for it; None for a source that asks no network.
    """

    batch_id: str
    rows: pl.DataFrame
    actions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ACTION_COLUMNS))
    failures: tuple[FailedSymbol, ...] = ()
    notes: tuple[str, ...] = ()
    requests: int | None = None

    @property
    def last_close(self) -> datetime | None:
        """Newest close of the rows, None where there are none."""
        last: datetime | None = self.rows.select(pl.col("event_time").max()).item()
        return last


def lookback_of(source: "BarSource") -> timedelta | None:
    """Return how far before its newest stored bar a source is asked again; None where it is offered whole each time."""
    return getattr(source, "lookback", timedelta(0))


@dataclass(frozen=True)
class Heard:
    """One question to a source, for the span ``(after, until]``, and its answer: a batch, or the error."""

    after: datetime | None
    until: datetime
    answer: BarBatch | SourceError


class OverheardSource:
    """A source whose deliveries are kept as well: what failed, and what else they say, is in no row of theirs."""

    def __init__(self, source: "BarSource") -> None:
        self.source, self.name = source, source.name
        self.heard: list[Heard] = []

    @property
    def batches(self) -> list[BarBatch]:
        """The deliveries, without the questions that failed."""
        return [each.answer for each in self.heard if isinstance(each.answer, BarBatch)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return what the source delivers, and keep it; columns that may be null and that it does not know are null.

        Raises
        ------
        SourceError
            If a row has a `known_basis` that there is not, or claims to have been observed before it was received.
        """
        try:
            batch = _with_all_columns(self.source.read(after, until))
            _require_honest_basis(self.name, batch.rows)
        except SourceError as error:
            self.heard.append(Heard(after, until, error))
            raise
        self.heard.append(Heard(after, until, batch))
        return batch


def _with_all_columns(batch: BarBatch) -> BarBatch:
    lacking = [
        pl.lit(None, dtype=column.dtype).alias(column.name)
        for column in RAW_BARS.columns
        if column.nullable and column.name not in batch.rows.columns
    ]
    return replace(batch, rows=batch.rows.with_columns(lacking)) if lacking else batch


def _require_honest_basis(source: str, rows: pl.DataFrame) -> None:
    """Refuse rows whose time of knowledge cannot be what they say that it is."""
    bases = RAW_BARS.column("known_basis").allowed
    is_unknown = pl.col("known_basis").is_in(bases).not_()
    is_early = (pl.col("known_basis") == "observed") & (pl.col("known_time") < pl.col("received_at"))
    odd = rows.filter(is_unknown | is_early)
    if odd.is_empty():
        return
    first = odd.row(0, named=True)
    bar = f"{odd.height} rows of '{source}', the first of '{first['symbol']}' at {first['stamp']}"
    if first["known_basis"] not in bases:
        raise SourceError(
            f"{bar}, have the known_basis '{first['known_basis']}'. Say one of {', '.join(bases)}, or null where it is "
            "not known. Nothing was stored."
        )
    raise SourceError(
        f"{bar}, say that their time of knowledge was observed, and name {first['known_time']:%Y-%m-%d %H:%M}, before "
        f"they were received at {first['received_at']:%Y-%m-%d %H:%M}. A time that follows from a rule, such as "
        "the close plus a delay, has the known_basis 'assumed'. Nothing was stored."
    )


class BarSource(Protocol):
    """A source of daily bars.

    Its rows say by `known_basis` how their `known_time` is known, in the words of that column in docs/tables.md. A
    source that leaves the column out says nothing of it, which is printed beside every figure made from its bars.

    A source may also have

    - ``caveats``, a tuple of sentences that belong beside every figure made from its bars, e.g. that its symbols were
      chosen with hindsight; `lake.sources.caveats_of` reads them
    - ``knows_survivorship``, true where those say what became of the symbols that it does not have; otherwise how many
      left is counted in the table `universe`
    - ``symbols``, those that it is asked for
    - ``delay``, a `timedelta` after a close from which on it has the bars; `lake.sources.delay_of` reads it. The
      schedule asks from then on. Half an hour where a source does not say
    - ``lookback``, where its rows arrive late or are corrected: a `timedelta` by which it is asked again before its
      newest stored bar, or None to be asked for everything each time. Only rows that are new or differ are stored
      (`lake.refine.unstored`). Without it a source is asked for what is newer than its newest stored bar. A window of
      a week or more also tells a split or dividend from a correction (`lake.refine.vintages`)
    """

    @property
    def name(self) -> str:
        """Value of the column `source`."""
        ...

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``; `after` None means from the source's beginning.

        Nothing known after `until` is returned, whatever the source holds. The one exception is a vendor that is asked
        over the network: its rows are known from their receipt, moments after the `until` that they were asked for.
        """
        ...
