"""The newest answered forecast of a symbol that was known at the session looked back to."""

from typing import TYPE_CHECKING

from lake.errors import NotReadyError
from serving import history

if TYPE_CHECKING:
    from serving.api import HistoryForecast
    from serving.pages.routes.frame import Visit


def newest_forecast(visit: "Visit", symbol: str) -> "HistoryForecast":
    """Return the newest forecast over the horizon of the visit.

    Raises
    ------
    NotReadyError
        If none was known then.
    """
    page = history.RowsPage(limit=1)
    found = history.forecasts_of(visit.tables, symbol, visit.horizon, visit.as_of.instant, page=page).forecasts
    if not found:
        market = visit.dashboard.market
        raise NotReadyError(f"No forecast of {symbol} was known then. The next run makes one: `{market.next_run}`.")
    return found[0]
