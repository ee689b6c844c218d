"""Each feature as declared and as stored: newest values, share of known values, problems of the table."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Literal

import polars as pl

from feature_repo.catalog import GROUPS, MODEL_FEATURES, feature_of, group_of
from feature_repo.spec import Feature, FeatureGroup
from lake.errors import DamagedTableError, NotReadyError, UnknownNameError
from lake.spec import TableSpec
from lake.store import Lake, newest_known

By = Literal["year", "symbol"]
SHOWN_SESSIONS = 30
RECENT = timedelta(days=2 * SHOWN_SESSIONS)
DECLARED_FIELDS = (
    *("name", "meaning", "unit", "formula", "null_rule", "lookback", "warm_up", "inputs", "minimum", "maximum"),
    *("is_scale_free", "source"),
)
"""What a reader is shown of a declaration, in this order."""
ALIKE = 0.6
"""Least similarity of a name that is suggested: any word resembles one of hundreds of short names a little."""
BARS_OF_TEXT = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class RecentValues:
    """The last values of a feature of one symbol.

    Parameters
    ----------
    event_time
        Close of its newest session.
    values
        Oldest first, the newest last; None is not known.

    Examples
    --------
    >>> from datetime import UTC
    >>> RecentValues("AAA", datetime(2020, 1, 6, tzinfo=UTC), (0.0, None, 1.0)).sparkline
    '▁ █'
    """

    symbol: str
    event_time: datetime
    values: tuple[float | None, ...]

    @property
    def sparkline(self) -> str:
        """The values as a row of small bars between their least and their greatest; a gap where one is not known."""
        known = [value for value in self.values if value is not None]
        if not known:
            return " " * len(self.values)
        low, span = min(known), (max(known) - min(known)) or 1.0
        top = len(BARS_OF_TEXT) - 1
        return "".join(" " if v is None else BARS_OF_TEXT[round((v - low) / span * top)] for v in self.values)


@dataclass(frozen=True)
class TableCheck:
    """Problems of a stored feature table against its declaration; the table is whole where there are none."""

    table: str
    rows: int
    last: datetime | None
    problems: tuple[str, ...]


def listing(group: str | None = None) -> list[dict[str, Any]]:
    """Every feature, or those of one group, by group: name, unit, look-back, warm-up, is it served, do models read it.

    Examples
    --------
    >>> [row["feature"] for row in listing("calendar")]
    ['day_of_week', 'sessions_to_month_end']
    """
    return [
        {
            "group": declared.name,
            "feature": feature.name,
            "unit": feature.unit,
            "lookback": feature.lookback,
            "warm_up": feature.warm_up,
            "online": declared.is_online,
            "read_by_models": feature.name in MODEL_FEATURES,
        }
        for declared in _groups(group)
        for feature in declared
    ]


def declaration(name: str) -> dict[str, Any]:
    """Everything that is declared of a feature; an unknown name raises `UnknownNameError` with any that is alike.

    Examples
    --------
    >>> declared = declaration("rsi_14")
    >>> declared["table"], declared["minimum"], declared["maximum"]
    ('features_technical', 0, 100)
    """
    group, feature = _declared(name)
    shown = {key: getattr(feature, key) for key in DECLARED_FIELDS}
    shown = {key: value for key, value in shown.items() if value is not None and value != ""}
    return {"group": group.name, "table": group.table.name, "online": group.is_online} | shown


def newest_values(lake: Lake, name: str, now: datetime, symbols: int = 10) -> list[RecentValues]:
    """Values of a feature over the newest sessions, of some symbols in the order of their names.

    Raises
    ------
    NotReadyError
        If its table is not made yet.
    DamagedTableError
        If a file of it cannot be read.

    Examples
    --------
    `lake` holds the group `calendar` of two symbols, `now` is the last close.

    >>> [(recent.symbol, len(recent.values)) for recent in newest_values(lake, "day_of_week", now, symbols=1)]
    [('AAA', 30)]
    """
    group, feature = _declared(name)
    stored = _stored(lake, group.table, now)
    with readable(group.table):
        last: Any = stored.select(pl.col("event_time").max()).collect().item()
        if last is None:
            return []
        recent = stored.filter(pl.col("event_time") > last - RECENT)
        rows = recent.select("symbol", "event_time", "known_time", feature.name).collect()
    return [
        RecentValues(str(key[0]), part["event_time"][-1], tuple(part[feature.name].tail(SHOWN_SESSIONS)))
        for key, part in list(newest_known(rows).group_by("symbol", maintain_order=True))[:symbols]
    ]


def coverage(lake: Lake, now: datetime, by: By = "year", group: str | None = None) -> list[dict[str, Any]]:
    """Share of the stored rows in which each feature is known.

    Parameters
    ----------
    by
        Also by year of the session, or by symbol.

    Returns
    -------
    list
        ``group, feature, rows, share`` and ``by``: the share of each year or symbol. Groups that are not stored yet
        are left out. A restated row counts each time it is stored.

    Raises
    ------
    NotReadyError
        If none of the tables is made yet.
    DamagedTableError
        If a file of one cannot be read.

    Examples
    --------
    >>> [(row["feature"], row["rows"], row["share"]) for row in coverage(lake, now, group="calendar")][:1]
    [('day_of_week', 80, 1.0)]
    """
    parts = {"year": pl.col("event_time").dt.year().cast(pl.String), "symbol": pl.col("symbol")}
    found = []
    for declared in _made(lake, group):
        names = [feature.name for feature in declared]
        counted = (
            _stored(lake, declared.table, now).group_by(parts[by].alias("part")).agg(pl.len(), pl.col(names).count())
        )
        with readable(declared.table):
            counts = counted.sort("part").collect()
        rows = int(counts["len"].sum())
        found += [
            {
                "group": declared.name,
                "feature": name,
                "rows": rows,
                "share": counts[name].sum() / rows if rows else None,
                "by": dict(zip(counts["part"], counts[name] / counts["len"], strict=True)),
            }
            for name in names
        ]
    return found


def check_stored_tables(lake: Lake, now: datetime, group: str | None = None) -> list[TableCheck]:
    """Compare the stored feature tables with their declaration: columns, types, bounds, finite values, known times.

    Raises
    ------
    NotReadyError
        If none of the tables is made yet.
    DamagedTableError
        If a file of one cannot be read.

    Examples
    --------
    >>> [(table.table, table.rows, table.problems) for table in check_stored_tables(lake, now)]
    [('features_calendar', 80, ())]
    """
    return [_table_check(lake, declared, now) for declared in _made(lake, group)]


@contextmanager
def readable(table: TableSpec) -> Iterator[None]:
    """Say which table it is, and what to do, where a file cannot be read."""
    try:
        yield
    except (pl.exceptions.ComputeError, OSError) as error:
        raise DamagedTableError(
            f"Table '{table.name}' cannot be read: {str(error).splitlines()[0][:200]}. `quantlake lake doctor "
            f"{table.name}` names the file that is torn or missing."
        ) from error


def _declared(name: str) -> tuple[FeatureGroup, Feature]:
    try:
        return feature_of(name)
    except UnknownNameError as error:
        names = [feature.name for group in GROUPS for feature in group]
        if alike := get_close_matches(name.lower(), names, n=3, cutoff=ALIKE):
            raise UnknownNameError("feature", name, alike) from None
        all_of_them = f"`quantlake features list` shows all {len(names)}."
        error.nearest = []
        error.args = (f"There is no feature '{name}', nor one of a similar name. {all_of_them}",)
        raise


def _table_check(lake: Lake, group: FeatureGroup, now: datetime) -> TableCheck:
    problems = list(_schema_problems(lake, group.table))
    if problems:
        return TableCheck(group.table.name, 0, None, tuple(problems))
    breaks = {feature.name: _breaks(feature) for feature in group}
    asked = _stored(lake, group.table, now).select(
        pl.len().alias("__rows"),
        pl.col("event_time").max().alias("__last"),
        (pl.col("known_time") < pl.col("event_time")).sum().alias("known before it happened"),
        *(rule.sum().alias(name) for name, rule in breaks.items()),
    )
    with readable(group.table):
        counts = asked.collect().row(0, named=True)
    rows, last = counts.pop("__rows"), counts.pop("__last")
    return TableCheck(group.table.name, rows, last, tuple(_sentence(name, n) for name, n in counts.items() if n))


def _sentence(what: str, count: int) -> str:
    return f"{count:,} rows {what}" if " " in what else f"{count:,} values of {what} are out of bounds or not finite"


def _breaks(feature: Feature) -> pl.Expr:
    """Whether a value is none that the feature can have."""
    value = pl.col(feature.name)
    broken = ~value.is_finite()
    if feature.minimum is not None:
        broken |= value < feature.minimum
    if feature.maximum is not None:
        broken |= value > feature.maximum
    return broken.fill_null(value=False)


def _schema_problems(lake: Lake, table: TableSpec) -> Iterable[str]:
    stored = next(entry for entry in lake.stored() if entry.name == table.name)
    kept = pl.DataFrame(pl.from_arrow(stored.schema.empty_table())).schema
    for name, dtype in table.schema.items():
        if name not in kept:
            yield f"column {name} is not stored"
        elif kept[name] != dtype:
            yield f"column {name} is stored as {kept[name]}, declared {dtype}"
    yield from (f"column {name} is stored and not declared" for name in kept if name not in {*table.names, "year"})


def _stored(lake: Lake, table: TableSpec, now: datetime) -> pl.LazyFrame:
    if not lake.exists(table):
        raise NotReadyError(
            f"Table '{table.name}' is not made yet under {lake.root}. Run `{lake.market.first_run}`, or materialise "
            "the asset of that name."
        )
    return lake.scan(table).filter(pl.col("known_time") <= now)


def _made(lake: Lake, group: str | None) -> list[FeatureGroup]:
    """Return the groups that are stored; none of them is an error."""
    made = [declared for declared in _groups(group) if lake.exists(declared.table)]
    if not made:
        which = "" if group is None else f" of the group '{group}'"
        raise NotReadyError(
            f"No table of features{which} is made yet under {lake.root}. Run `{lake.market.first_run}`, or "
            "materialise the assets of the group 'features'."
        )
    return made


def _groups(name: str | None) -> Sequence[FeatureGroup]:
    return GROUPS if name is None else (group_of(name),)
