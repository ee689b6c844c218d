"""The store beside bare files: a day upserted, many commits scanned, half a year read, a delivery ingested."""

import shutil
import tempfile
from pathlib import Path

import polars as pl
from deltalake import write_deltalake

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.timing import interleave, medians, milliseconds, timed
from lake.clock import FixedClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.sources import as_received, tiny_market
from lake.store import YEAR, Lake
from lake.tables import BARS, QUARANTINE, RAW_BARS
from support.raw_rows import RowSource, plant_bad_rows

HALF_A_YEAR = 126


def measure(*, symbols: int = 5_000, sessions: int = 500, commits: int = 60, delivery: int = 60) -> Topic:
    """Measure P16, P17 and P18 on a market that never was.

    Parameters
    ----------
    symbols, sessions
        Size of the stored market.
    commits
        Daily commits on top of it.
    delivery
        Sessions of the delivery that is ingested.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        market = tiny_market(symbols, sessions + commits, seed=16)
        days = market.sort("event_time", "symbol").partition_by("event_time", maintain_order=True)
        lake = Lake(folder / "tables")
        lake.merge(BARS, pl.concat(days[:sessions]))
        upsert, again = _upsert(lake, days[:sessions], days[sessions:], folder)
        scans = _scan(lake, market, folder)
        half_year, as_of = _half_year(lake, days)
        ingested, notes = _ingest(tiny_market(symbols, delivery, seed=18), folder)
    text = (
        f"{symbols:,} symbols: {sessions} sessions in bulk, {commits} more one commit a day; {delivery} delivered raw."
    )
    return Topic(
        "Storage", text, RATIO, tuple(f.to_row() for f in (upsert, *scans, half_year, ingested)), (again, as_of, *notes)
    )


def _upsert(lake: Lake, bulk: list[pl.DataFrame], days: list[pl.DataFrame], folder: Path) -> tuple[Figure, str]:
    """P16: a day merged, idempotently and durably, beside a bare append to a table of the same rows."""
    bare = folder / "bare"

    def append(rows: pl.DataFrame) -> None:
        write_deltalake(bare, rows.with_columns(pl.col("event_time").dt.year().alias(YEAR)).to_arrow(), mode="append")

    write_deltalake(
        bare, pl.concat(bulk).with_columns(pl.col("event_time").dt.year().alias(YEAR)).to_arrow(), partition_by=[YEAR]
    )
    seconds: dict[str, list[float]] = {"append": [], "merge": [], "again": []}
    for rows in days:
        for name, act in (
            ("append", lambda: append(rows)),  # noqa: B023 - called at once
            ("merge", lambda: lake.merge(BARS, rows)),  # noqa: B023
            ("again", lambda: lake.merge(BARS, rows)),  # noqa: B023
        ):
            seconds[name].append(timed(act))
    assert lake.report(BARS).rows == sum(rows.height for rows in (*bulk, *days))
    middle = milliseconds(seconds)
    figure = Figure(
        "P16 upsert of one day / bare Delta append, nothing flushed", middle["append"], middle["merge"], 3, 2
    )
    return figure, f"the same day merged once more, adding nothing: {middle['again']:.1f} ms"


def _scan(lake: Lake, market: pl.DataFrame, folder: Path) -> list[Figure]:
    """P16: every row of a table of many commits beside the same rows in one file."""
    single = folder / "one.parquet"
    market.select(BARS.names).write_parquet(single, compression="zstd", compression_level=1)
    order = [*BARS.key, "known_time"]

    def compared(what: str) -> Figure:
        assert lake.read(BARS).sort(order).equals(pl.read_parquet(single).sort(order))
        middle = milliseconds(interleave({"one": lambda: pl.read_parquet(single), "lake": lambda: lake.read(BARS)}))
        return Figure(what, middle["one"], middle["lake"], 3, 1.5)

    many = compared(f"P16 scan of {len(lake.files(BARS))} files / one compacted file")
    lake.compact(BARS)
    return [many, compared(f"the same after compaction into {len(lake.files(BARS))} files")]


def _half_year(lake: Lake, days: list[pl.DataFrame]) -> tuple[Figure, str]:
    """P17: the last six months beside a plain scan of the same files."""
    since = days[-min(HALF_A_YEAR, len(days))]["event_time"][0]
    recent = pl.col("event_time") >= since
    files = lake.files(BARS)

    def plain() -> pl.DataFrame:
        return pl.scan_parquet(files, glob=False, hive_partitioning=False).filter(recent).collect()

    def ours() -> pl.DataFrame:
        return lake.read(BARS, where=recent)

    def as_of() -> pl.DataFrame:
        return lake.read_as_of(BARS, days[-1]["known_time"][0], where=recent)

    order = [*BARS.key, "known_time"]
    assert ours().sort(order).equals(plain().sort(order))
    assert as_of().equals(plain().sort(order))
    middle = milliseconds(interleave({"plain": plain, "ours": ours, "as of": as_of}))
    figure = Figure("P17 six months read / scan of the same files", middle["plain"], middle["ours"], 2, 1.5)
    return figure, f"the six months as known at a time, sorted by key: {middle['as of']:.0f} ms"


def _ingest(bars: pl.DataFrame, folder: Path) -> tuple[Figure, list[str]]:
    """P18: a raw delivery with bad rows among it, to clean bars and quarantine, beside writing it as it came."""
    planted = plant_bad_rows(as_received(bars), seed=18, copies=4)
    clock = FixedClock(bars["known_time"].max())  # type: ignore[arg-type]
    stages: dict[str, list[float]] = {"append": [], "refine": []}

    def fresh() -> Lake:
        shutil.rmtree(folder / "ingested", ignore_errors=True)
        return Lake(folder / "ingested")

    def ours() -> None:
        lake = fresh()
        stages["append"].append(timed(lambda: ingest_bars(lake, RowSource(planted.rows), clock)))
        stages["refine"].append(timed(lambda: refine_to_lake(lake, clock)))

    def bare() -> None:
        planted.rows.write_parquet(folder / "bare.parquet")

    ours()
    lake = Lake(folder / "ingested")
    counts = [lake.report(spec).rows for spec in (RAW_BARS, BARS, QUARANTINE)]
    assert counts == [planted.rows.height, bars.height, planted.expected.height]
    middle = milliseconds(interleave({"bare": bare, "ours": ours}))
    figure = Figure(
        "P18 delivery validated, told apart, stored / bare write_parquet", middle["bare"], middle["ours"], 6, 4
    )
    stage_seconds = ", ".join(f"{name} {each:.2f} s" for name, each in medians(stages).items())
    return figure, [f"the delivery: {counts[0]:,} raw rows, {counts[1]:,} bars, {counts[2]} refused; {stage_seconds}"]
