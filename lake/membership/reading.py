"""The members of a market as of an instant, and over time."""

from datetime import datetime

import polars as pl

from lake.clock import require_utc
from lake.spec import INSTANT
from lake.store import LakeReader, newest_known
from lake.tables import BARS, UNIVERSE


def universe_at(lake: LakeReader, name: str, at: datetime) -> list[str]:
    """Return the symbols that belonged to a market at an instant, by what was known then.

    Where the market declares its members, a symbol belongs to it that is declared and covered by bars. In a home that
    was made before there was a table `universe` and not updated since, every symbol with a bar by then does.

    Parameters
    ----------
    name
        Name of the market, its index among the symbols.
    at
        Instant with a zone; a row that is known exactly then counts.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC
    >>> from pathlib import Path
    >>> from lake.store import Lake
    >>> lake, start = Lake(Path(tempfile.mkdtemp())), datetime(2012, 12, 3, 21, tzinfo=UTC)
    >>> row = {"universe": "desk", "symbol": "AAA", "event_time": start, "is_member": True, "known_time": start,
    ...        "basis": "coverage", "reason": "first_bar", "source": "file"}
    >>> _ = lake.merge(UNIVERSE, pl.DataFrame([row], schema=UNIVERSE.schema))
    >>> universe_at(lake, "desk", start), universe_at(lake, "desk", datetime(2012, 12, 3, 20, tzinfo=UTC))
    (['AAA'], [])
    """
    is_due = (pl.col("event_time") <= require_utc(at)) & (pl.col("known_time") <= at)
    if not lake.exists(UNIVERSE):
        bars = lake.scan(BARS).filter(is_due).select(pl.col("symbol").unique()).collect() if lake.exists(BARS) else None
        return [] if bars is None else bars["symbol"].sort().to_list()
    rows = lake.read(UNIVERSE, where=(pl.col("universe") == name) & is_due)
    return members_of(rows)


def members_of(rows: pl.DataFrame) -> list[str]:
    """Return the members by the newest row of each symbol and basis; a symbol needs both where both speak of any."""
    newest = newest_known(rows, UNIVERSE.key).sort("event_time").group_by("symbol", "basis").last()
    covered, declared = (newest.filter(pl.col("basis") == basis) for basis in ("coverage", "declared"))
    members = covered.filter(pl.col("is_member"))["symbol"]
    if declared.height:
        members = members.filter(members.is_in(declared.filter(pl.col("is_member"))["symbol"].implode()))
    return members.sort().to_list()


def spells_of(lake: LakeReader, name: str, at: datetime) -> pl.DataFrame:
    """Return when each symbol belonged to a market, as known at an instant.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``since`` (inclusive) and ``until`` (exclusive, null where it still belongs), both instants, one row
        per spell, in order. Empty where there is no table `universe` yet.
    """
    empty = pl.DataFrame(schema={"symbol": pl.String, "since": INSTANT, "until": INSTANT})
    if not lake.exists(UNIVERSE):
        return empty
    rows = lake.read_as_of(UNIVERSE, at, where=pl.col("universe") == name)
    if rows.is_empty():
        return empty
    states = rows.pivot("basis", index=["symbol", "event_time"], values="is_member").sort("symbol", "event_time")
    bases = [basis for basis in ("coverage", "declared") if basis in states.columns]
    held = [pl.col(basis).forward_fill().over("symbol").fill_null(value=False) for basis in bases]
    states = states.select("symbol", "event_time", pl.all_horizontal(held).alias("is_member"))
    changed = states.filter(pl.col("is_member") != pl.col("is_member").shift(1, fill_value=False).over("symbol"))
    spells = changed.with_columns(pl.col("event_time").shift(-1).over("symbol").alias("until"))
    return spells.filter("is_member").select("symbol", pl.col("event_time").alias("since"), "until")
