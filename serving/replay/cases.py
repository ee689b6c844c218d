"""Replay cases: stored forecasts with their receipts, from lake and log, and their seal checks."""

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.errors import SchemaError
from lake.tables import FORECASTS, RECEIPTS
from serving.forecast_log import SET_APART, Logged, log_paths, open_log, require_fitting, row_from_json, rows_from_json
from serving.forecasts import WALKED
from serving.receipts import Receipt, ReplayFinding, batch_id, digest_of, is_intact, opened, row_digest

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from lake.settings import Settings
    from lake.store import Lake

AT_ONCE = 500
QUERY = (
    f"SELECT sequence, forecast_id, row, answer, receipt FROM logged WHERE is_in_lake <> {SET_APART} "  # noqa: S608 - a number of ours
    "AND forecast_id IN "
)
LAKE = "lake"


@dataclass
class Case:
    """One stored forecast.

    Parameters
    ----------
    row
        Its row of `forecasts`.
    source
        ``lake``, or the file of the log that holds it until it is drained.
    receipt
        What it was made from; None where nothing was written, or what was written cannot be read.
    findings
        What was edited since.
    content
        The receipt as it is stored, without its seal.
    answer
        The answer as the log holds it; None where the log does not hold the forecast any more.
    """

    row: dict[str, Any]
    source: str
    receipt: Receipt | None = None
    findings: list[ReplayFinding] = field(default_factory=list)
    content: str = ""
    answer: str | None = None

    @property
    def forecast_id(self) -> str:
        """Its id."""
        return str(self.row["forecast_id"])

    @property
    def is_replay(self) -> bool:
        """Whether the walk-forward made it, rather than the service."""
        return self.row["kind"] in WALKED

    @property
    def tables(self) -> dict[str, int]:
        """Versions that its row names."""
        named: dict[str, int] = json.loads(self.row["feature_table_versions"])
        return named


@dataclass(frozen=True)
class _Logged:
    """Entry of a forecast in one log file."""

    file: str
    sequence: int
    row: str
    answer: str
    receipt: str

    @property
    def where(self) -> str:
        """Its place, for findings."""
        return f"{self.file}, sequence {self.sequence}"


def identities(
    lake: "Lake", configured: "Settings", *, where: pl.Expr | None = None, newest: int | None = None
) -> list[str]:
    """Ids of stored forecasts in the order of their sessions, those that wait in the log among them.

    Parameters
    ----------
    where
        Condition on the rows of `forecasts`.
    newest
        Only so many, those made last.
    """
    names = ["forecast_id", "event_time", "made_at"]
    waiting = rows_from_json([text for path in log_paths(configured) for text in _waiting(path)]).lazy()
    rows = pl.concat([lake.scan(FORECASTS), waiting]) if lake.exists(FORECASTS) else waiting
    found = (rows if where is None else rows.filter(where)).select(names).unique("forecast_id")
    if newest is not None:
        found = found.sort("made_at", "forecast_id", descending=True).head(newest)
    return found.sort("event_time", "forecast_id").collect()["forecast_id"].to_list()


def cases(lake: "Lake", configured: "Settings", ids: Sequence[str]) -> list[Case]:
    """Return forecasts by their ids, with their receipts; an id that is not stored is left out."""
    rows = FORECASTS.empty()
    if lake.exists(FORECASTS):
        rows = lake.scan(FORECASTS).filter(pl.col("forecast_id").is_in(list(ids))).collect()
    logged = _logged(log_paths(configured), ids)
    stored = set(rows["forecast_id"])
    waiting = rows_from_json(
        [
            require_fitting(Logged(entry.sequence, forecast_id, entry.row, None, None), entry.file)
            for forecast_id, entry in logged.items()
            if forecast_id not in stored
        ]
    )
    where = pl.Series("source", [logged[name].where for name in waiting["forecast_id"]], dtype=pl.String)
    found = pl.concat([rows.with_columns(pl.lit(LAKE).alias("source")), waiting.with_columns(where)])
    receipts = _receipts(lake, found)
    return [_case(row, receipts, logged) for row in found.iter_rows(named=True)]


def _waiting(path: "Path") -> list[str]:
    """Rows in a file of the log that are not marked as being in the lake."""
    query = "SELECT sequence, forecast_id, row FROM forecasts WHERE is_in_lake = 0"
    with closing(open_log(path)) as connection:
        rows = connection.execute(query)
        return [require_fitting(Logged(at, named, text, None, None), path.name) for at, named, text in rows]


def _logged(paths: "Iterable[Path]", ids: Sequence[str]) -> dict[str, _Logged]:
    parts = [list(ids[at : at + AT_ONCE]) for at in range(0, len(ids), AT_ONCE)]
    found: dict[str, _Logged] = {}
    for path in paths:
        with closing(open_log(path)) as connection:
            for part in parts:
                for sequence, forecast_id, *texts in connection.execute(QUERY + _marks(part), part):
                    found[forecast_id] = _Logged(path.name, sequence, *texts)
    return found


def _marks(values: Sequence[str]) -> str:
    return f"({','.join('?' * len(values))})"


def _receipts(lake: "Lake", rows: pl.DataFrame) -> dict[str, tuple[str, str]]:
    """Content and seal by forecast, or by what stands for those replayed together."""
    if not lake.exists(RECEIPTS) or not rows.height:
        return {}
    is_walked = pl.col("kind").is_in(WALKED)
    walked = rows.filter(is_walked).select("model_digest", "made_at").unique()
    wanted = [*rows.filter(~is_walked)["forecast_id"], *(batch_id(*key) for key in walked.iter_rows())]
    found = lake.scan(RECEIPTS).filter(pl.col("forecast_id").is_in(wanted)).collect()
    stored = found.select("forecast_id", "content", "seal")
    return {forecast_id: (content, seal) for forecast_id, content, seal in stored.iter_rows()}


def _case(row: dict[str, Any], receipts: dict[str, tuple[str, str]], logged: dict[str, _Logged]) -> Case:
    case = Case(row, row.pop("source"))
    entry = logged.get(case.forecast_id)
    case.answer = None if entry is None else entry.answer
    stored = receipts.get(_receipt_id(row))
    if stored is None and entry is not None and entry.receipt:
        try:
            stored = opened(entry.receipt)
        except SchemaError as error:
            case.findings.append(ReplayFinding("receipt", entry.where, str(error)))
    if stored is not None:
        _open(case, *stored, entry)
    return case


def _receipt_id(row: dict[str, Any]) -> str:
    made_at: datetime = row["made_at"]
    return batch_id(row["model_digest"], made_at) if row["kind"] in WALKED else str(row["forecast_id"])


def _open(case: Case, content: str, seal: str, logged: _Logged | None) -> None:
    """Parse a receipt, and add a finding for each contradiction with its seal."""
    case.content = content
    if not is_intact(content, seal):
        problem = "it was altered after it was sealed, so what it says is not what the forecast was made from"
        case.findings.append(ReplayFinding("receipt", case.forecast_id, problem))
    try:
        case.receipt = Receipt.from_json(content)
    except SchemaError as error:
        case.findings.append(ReplayFinding("receipt", case.forecast_id, str(error)))
        return
    if case.is_replay:
        return
    if row_digest(case.row) != case.receipt.row:
        problem = "it is not the row that was sealed when it was made"
        case.findings.append(
            ReplayFinding("forecast row", case.forecast_id, problem)
            if case.source == LAKE
            else ReplayFinding("log row", case.source, problem)
        )
    if logged is None:
        return
    if case.source == LAKE and _digest_of_row(logged.row) != case.receipt.row:
        case.findings.append(
            ReplayFinding("log row", logged.where, "it is not the row that was sealed when it was made")
        )
    if digest_of(logged.answer) != case.receipt.answer:
        case.findings.append(ReplayFinding("answer", logged.where, "it is not the answer that was sent"))


def _digest_of_row(text: str) -> str:
    """Digest of a logged row; empty for one that a damage of the disk made unreadable."""
    try:
        return row_digest(row_from_json(text))
    except (ValueError, KeyError, TypeError):
        return ""
