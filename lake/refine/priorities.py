"""Several sources of one market: which of them gives each bar, and how far they agree. Pure functions.

Every source is refined by itself, so that each keeps the basis of its own first delivery. Of the sources that have a
bar the first in the declared order gives it; another one stands in where the first has none, brought to the basis of
the first by the bar before it that both have. Agreement is measured on changes from one bar to the next, which no basis
enters.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl

from lake import calendars
from lake.refine.bars import Refined, refine_bars
from lake.spec import INSTANT, TableSpec
from lake.tables import AGREEMENT, BARS

RETURN_BP, VOLUME_SHARE = 5.0, 0.02
"""Sources agree where one-bar returns differ by no more basis points, and ratios of volumes by no larger share."""
PRICES, VOLUMES = ("open", "high", "low", "close"), ("volume",)
BAR = ("symbol", "event_time")
SAME = 1e-9


class Chosen(NamedTuple):
    """What became of the rows of several sources.

    Parameters
    ----------
    refined
        Bars that are told, refused rows, and judged rows of the source that each symbol's actions are read from.
    agreement
        Rows of `agreement`.
    aside
        Good rows that give no bar, because a preferred source had told it before they were known.
    """

    refined: Refined
    agreement: pl.DataFrame
    aside: int


def refine_sources(raw: pl.DataFrame, order: Sequence[str], *, calendar: str = calendars.VENUE) -> Chosen:
    """Refine the rows of each source by itself, and choose one source per bar.

    Parameters
    ----------
    raw
        All rows of some symbols, in the columns of `raw_bars`.
    order
        Names of sources, the preferred one first. One that is not named comes before all that are: it is the market's
        own, under the name that it gives itself.
    calendar
        Venue whose sessions the bars are of.
    """
    ranks = {name: place for place, name in enumerate(order)}
    by_source = {
        str(name): refine_bars(rows, calendar=calendar)
        for (name,), rows in raw.sort("source").group_by("source", maintain_order=True)
    }
    bars = pl.concat([BARS.empty(), *(each.bars for each in by_source.values())]).with_columns(
        pl.col("source").replace_strict(ranks, default=-1, return_dtype=pl.Int32).alias("rank")
    )
    told = bars.sort(*BAR, "known_time", "rank").with_columns(pl.col("rank").cum_min().over(BAR).alias("best"))
    chosen = told.filter(pl.col("rank") == pl.col("best"))
    refused = pl.concat([each.quarantine for each in by_source.values()])
    return Chosen(
        Refined(_on_one_basis(bars, chosen).select(BARS.names), refused, _judged(by_source, bars)),
        agree(bars),
        bars.height - chosen.height,
    )


def agree(bars: pl.DataFrame) -> pl.DataFrame:
    """Return how far the sources of each bar agree, as rows of `agreement`; none for a bar of one source.

    Parameters
    ----------
    bars
        Bars of all sources with the column ``rank``, lower for the preferred one; of several versions the newest
        counts.
    """
    newest = bars.sort("known_time").unique([*BAR, "source"], keep="last").sort("symbol", "source", "event_time")
    series = ("symbol", "source")
    before = {name: pl.col(name).shift(1).over(series) for name in ("event_time", "known_time", "close", "volume")}
    changes = newest.select(
        *BAR,
        "source",
        "rank",
        before["event_time"].alias("previous"),
        pl.max_horizontal("known_time", before["known_time"]).alias("known_time"),
        (pl.col("close") / before["close"] - 1).alias("close"),
        pl.when((before["volume"] > 0) & (pl.col("volume") > 0))
        .then(pl.col("volume") / before["volume"])
        .alias("volume"),
    ).drop_nulls("previous")
    preferred = changes.sort("rank").unique(BAR, keep="first")
    compared = changes.join(
        preferred.select(*BAR, "previous", chosen="source", close_chosen="close", volume_chosen="volume"),
        on=[*BAR, "previous"],
    )
    is_near = {
        "close": (pl.col("close") - pl.col("close_chosen")).abs() * 1e4 <= RETURN_BP,
        "volume": (pl.col("volume") / pl.col("volume_chosen") - 1).abs() <= VOLUME_SHARE,
    }
    spread = {
        "close": pl.col("close").max() - pl.col("close").min(),
        "volume": pl.col("volume").max() / pl.col("volume").min() - 1,
    }
    found = [
        compared.drop_nulls([name, f"{name}_chosen"])
        .group_by(BAR)
        .agg(
            pl.lit(name).alias("field"),
            pl.len().cast(pl.Int64).alias("sources"),
            is_near[name].sum().cast(pl.Int64).alias("agreeing"),
            (spread[name] * 1e4).alias("spread_bp"),
            pl.col("chosen").first(),
            pl.col("known_time").max(),
        )
        for name in ("close", "volume")
    ]
    return pl.concat(found).filter(pl.col("sources") > 1).select(AGREEMENT.names).sort(AGREEMENT.key)


def told_from_now(spec: TableSpec, stored: pl.DataFrame, found: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the rows of a whole history that say something new, none of them known before what is stored.

    A source that joins later, or is preferred later, has bars that were told already. What it says of them is known
    from now on, not from when it says that it was.

    Parameters
    ----------
    stored
        Rows of the table for the same keys.
    found
        The whole history, versions included.
    """
    key = list(spec.key)
    values = [c.name for c in spec.columns if not c.is_origin and c.name not in {*key, "known_time"}]
    last = stored.sort("known_time").unique(key, keep="last")
    both = found.join(last.select(*key, stored_known="known_time"), on=key, how="left")
    later = both.filter(pl.col("stored_known").is_null() | (pl.col("known_time") > pl.col("stored_known")))
    newest = found.sort("known_time").unique(key, keep="last")
    again = newest.join(
        last.select(
            *key, pl.col("known_time").alias("stored_known"), *(pl.col(n).alias(f"{n}_stored") for n in values)
        ),
        on=key,
    ).filter(pl.col("known_time") <= pl.col("stored_known"))
    differs = pl.any_horizontal([_differs(name, spec.column(name).dtype) for name in values])
    from_now = pl.max_horizontal(pl.lit(now, INSTANT), pl.col("stored_known").dt.offset_by("1us"))
    changed = again.filter(differs).with_columns(from_now.alias("known_time"))
    if "known_basis" in spec.names:
        changed = changed.with_columns(pl.lit("observed").alias("known_basis"))
    return pl.concat([later.select(spec.names), changed.select(spec.names)])


def _differs(name: str, dtype: pl.DataType) -> pl.Expr:
    now, before = pl.col(name), pl.col(f"{name}_stored")
    if not dtype.is_float():
        return now.ne_missing(before)
    return (now.is_null() != before.is_null()) | ((now - before).abs() > SAME * before.abs()).fill_null(value=False)


def _judged(by_source: Mapping[str, Refined], bars: pl.DataFrame) -> pl.DataFrame:
    """Judged rows of the preferred source of each symbol: actions are read from one source, not from a seam."""
    first = bars.sort("rank").unique("symbol", keep="first").select("symbol", "source")
    return pl.concat([each.judged for each in by_source.values()]).join(first, on=["symbol", "source"], how="semi")


def _on_one_basis(bars: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """Bring each bar of a source that stands in to the basis of the preferred one, as far as was known by then."""
    least = chosen.with_columns(pl.col("rank").min().over("symbol").alias("least"))
    standing_in = least.filter(pl.col("rank") > pl.col("least")).drop("least")
    if standing_in.is_empty():
        return chosen
    series: dict[tuple[str, int], dict[datetime, tuple[datetime, float]]] = {}
    for symbol, rank, at, known, close in (
        bars.sort("known_time").select("symbol", "rank", "event_time", "known_time", "close").iter_rows()
    ):
        series.setdefault((symbol, rank), {}).setdefault(at, (known, close))
    least_of = dict(bars.group_by("symbol").agg(pl.col("rank").min()).iter_rows())
    common: dict[tuple[str, int], list[tuple[datetime, datetime, float]]] = {}
    factors = []
    for symbol, rank, at, known in standing_in.select("symbol", "rank", "event_time", "known_time").iter_rows():
        pair = (symbol, rank)
        if pair not in common:
            own, first = series[pair], series[symbol, least_of[symbol]]
            common[pair] = [
                (each, max(own[each][0], first[each][0]), first[each][1] / own[each][1])
                for each in sorted(own.keys() & first.keys())
            ]
        factors.append(_last_known(common[pair], at, known))
    factor = pl.Series("factor", factors, dtype=pl.Float64)
    scaled = standing_in.with_columns(factor).with_columns(
        *(pl.col(name) * pl.col("factor") for name in PRICES), *(pl.col(name) / pl.col("factor") for name in VOLUMES)
    )
    kept = least.filter(pl.col("rank") == pl.col("least")).drop("least")
    return pl.concat([kept, scaled.drop("factor")]).sort(*BAR, "known_time")


def _last_known(common: Sequence[tuple[datetime, datetime, float]], at: datetime, known: datetime) -> float:
    """Factor at the newest bar before `at` that both sources had told by `known`; 1 where there is none."""
    for place in range(bisect_left(common, (at,)) - 1, -1, -1):
        _, told, factor = common[place]
        if told <= known:
            return factor
    return 1.0
