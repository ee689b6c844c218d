"""The archive of economic series as the replay server plays it: one series, a few vintages of three quarters.

The first and the next value of the fourth quarter of 2008 are those of US GDP; the rest is made up.
"""

import bisect
from collections.abc import Iterator
from datetime import date
from typing import Any

from lake.sources.replay.server import Asked, Reply, reply

SERIES = "GDP"
BAD_REQUEST = 400
QUARTER = date(2008, 10, 1)
VINTAGES_TOLD: dict[date, list[tuple[date, str]]] = {
    date(2008, 7, 1): [(date(2008, 10, 30), "14429.2"), (date(2009, 1, 30), "."), (date(2009, 2, 27), "14412.8")],
    QUARTER: [(date(2009, 1, 30), "14264.6"), (date(2009, 2, 27), "14200.3"), (date(2009, 8, 27), "14347.3")],
    date(2009, 1, 1): [(date(2009, 4, 29), "14075.5"), (date(2009, 5, 29), "14097.2"), (date(2009, 6, 25), "14090.0")],
}


class PlayedArchive:
    """The service: it clamps what it tells to the question, and refuses too many vintages at once.

    A test changes `told`, by series and period, to release and to restate.
    """

    def __init__(self, most_rows: int = 100_000, most_dates: int = 10_000, most_vintages: int = 2_000) -> None:
        self.most_rows, self.most_dates, self.most_vintages = most_rows, most_dates, most_vintages
        self.told = {SERIES: {period: [*told] for period, told in VINTAGES_TOLD.items()}}

    def sent(self, content: dict[str, Any]) -> Reply:
        """Send the content of an answer."""
        return reply(content)

    def answer(self, asked: Asked) -> Reply:
        """Return dates or observations."""
        if asked.query["series_id"] not in self.told:
            return reply({"error_code": 400, "error_message": "Bad Request.  The series does not exist."}, BAD_REQUEST)
        told, offset = self.told[asked.query["series_id"]], int(asked.query["offset"])
        dates = sorted({vintage for versions in told.values() for vintage, _ in versions})
        if asked.path.endswith("vintagedates"):
            page = [str(each) for each in dates[offset : offset + self.most_dates]]
            return self.sent({"count": len(dates), "offset": offset, "vintage_dates": page})
        start, end = (date.fromisoformat(asked.query[f"realtime_{name}"]) for name in ("start", "end"))
        if sum(start <= each <= end for each in dates) > self.most_vintages:
            return reply({"error_code": 400, "error_message": "Too many vintage dates."}, BAD_REQUEST)
        rows = [row for period, versions in told.items() for row in self._rows(period, versions, start, end)]
        page_rows = rows[offset : offset + self.most_rows]
        return self.sent({"count": len(rows), "offset": offset, "observations": page_rows})

    def _rows(self, period: date, told: list[tuple[date, str]], start: date, end: date) -> Iterator[dict[str, str]]:
        begun = bisect.bisect_right([vintage for vintage, _ in told], start)
        for vintage, value in told[max(0, begun - 1) :]:
            if vintage <= end:
                yield {"date": str(period), "realtime_start": str(max(vintage, start)), "value": value}
