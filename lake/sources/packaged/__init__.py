"""Real market data that ships inside installed packages: no key, no network.

Nothing is copied into this repository: the files are read where pip put them, and every raw row says which package,
version and licence it came from. `docs/data.md` says how each file was checked. One more packaged market is a file here
with its `PackagedBars`, its entry in `lake.sources.registry` and its value in `lake.market.PACKAGED`.

- `PackagedFile`, `Segment`, `PackagedBars`: a file, which of its bars count, and a market of them, as values
- `PackagedMarket`: a source of the bars of one, `DEMO_BARS`, `LONG_BARS` or `WIDE_BARS`
- `PackagedMacro`: a source of the packaged economic series
- `DATA_FOLDER`: where packages lie that are installed for their data only
"""

from lake.sources.packaged.demo import DEMO_BARS, FIRST_DAY, LAST_DAY
from lake.sources.packaged.files import DATA_FOLDER, PackagedFile, find_package
from lake.sources.packaged.long import LONG_BARS
from lake.sources.packaged.macro import PackagedMacro
from lake.sources.packaged.market import PackagedMarket
from lake.sources.packaged.segments import PackagedBars, Segment
from lake.sources.packaged.wide import WIDE_BARS, DeclaredAction, adjusted_for

__all__ = [
    "DATA_FOLDER",
    "DEMO_BARS",
    "FIRST_DAY",
    "LAST_DAY",
    "LONG_BARS",
    "WIDE_BARS",
    "DeclaredAction",
    "PackagedBars",
    "PackagedFile",
    "PackagedMacro",
    "PackagedMarket",
    "Segment",
    "adjusted_for",
    "find_package",
]
