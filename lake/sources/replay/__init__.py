"""Vendors played on this machine: every connector without a key and without a network.

- `ReplayServer`, `VirtualTime`: a server of loopback, and the clock on which waits are spent
- `Asked`, `Reply`, `reply`: one request, one answer
- `PlayedVendor` and `VENDORS`: vendors of bars, told in their own forms; `Event`: a split or dividend that they state
- `PlayedArchive`: the archive of economic series
"""

from lake.sources.replay.archive import QUARTER, SERIES, VINTAGES_TOLD, PlayedArchive
from lake.sources.replay.server import Asked, ReplayServer, Reply, VirtualTime, reply
from lake.sources.replay.vendors import (
    SYMBOLS,
    VENDORS,
    Event,
    PlayedAlphaVantage,
    PlayedPolygon,
    PlayedVendor,
    PlayedYahoo,
)

__all__ = [
    "QUARTER",
    "SERIES",
    "SYMBOLS",
    "VENDORS",
    "VINTAGES_TOLD",
    "Asked",
    "Event",
    "PlayedAlphaVantage",
    "PlayedArchive",
    "PlayedPolygon",
    "PlayedVendor",
    "PlayedYahoo",
    "ReplayServer",
    "Reply",
    "VirtualTime",
    "reply",
]
