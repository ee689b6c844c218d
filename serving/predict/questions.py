"""A question for forecasts, and the answers to it: what the predictor takes and gives."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lake.errors import UnknownNameError
from lake.horizons import DAY, Horizon
from serving.forecast_log import LogEntry
from serving.monitoring import Stopwatch

if TYPE_CHECKING:
    from lake.market import Market


def bars_asked(market: "Market", sessions: int | None, minutes: int | None) -> int:
    """Return how many bars ahead a question looks; the first horizon of the market where it names none.

    Raises
    ------
    UnknownNameError
        As `bars_ahead` does.
    """
    if sessions is None and minutes is None:
        return market.horizon_bars[0]
    return bars_ahead(market, sessions, minutes)


def bars_ahead(market: "Market", sessions: int | None, minutes: int | None) -> int:
    """Return how many bars of the market a horizon spans that was asked for in one of two units.

    Raises
    ------
    UnknownNameError
        If a market of minutes does not forecast it, or a daily one is asked in minutes; with those that there are.

    Examples
    --------
    >>> from lake.market import BTC, DEMO
    >>> bars_ahead(BTC, None, 60), bars_ahead(DEMO, 5, None)
    (4, 5)
    """
    if minutes is None and sessions is not None and market.interval == DAY:
        return sessions  # the models in service say whether they forecast it
    asked = Horizon(minutes, "minute") if minutes is not None else Horizon(sessions or 1, "session")
    offered = {market.horizon_of(bars): bars for bars in market.horizon_bars}
    if asked not in offered:
        raise UnknownNameError("horizon", str(asked), map(str, offered))
    return offered[asked]


def not_offered(market: "Market", horizon: int, offered: "Iterable[int]") -> UnknownNameError:
    """Return the error of a horizon that no model in service forecasts; it says whether the market declares it.

    Examples
    --------
    >>> from lake.market import DEMO
    >>> str(not_offered(DEMO, 5, [1]))  # doctest: +ELLIPSIS
    "There is no horizon '5 sessions'. Known: 1 session. The market 'demo' declares it, and no model in service was ..."
    """
    remedy = ""
    if horizon in market.horizon_bars:
        remedy = (
            f" The market '{market.name}' declares it, and no model in service was trained for it: train an experiment "
            f"whose `horizons` name it with `{market.first_run}`."
        )
    names = [str(market.horizon_of(bars)) for bars in offered]
    return UnknownNameError("horizon", str(market.horizon_of(horizon)), names, remedy=remedy)


@dataclass(frozen=True)
class Question:
    """One request for forecasts.

    Parameters
    ----------
    symbols
        Each once.
    horizon
        Bars ahead.
    kind
        How its forecasts are named in the log.
    asked_at
        ``time.perf_counter()`` when it came; the latency that is logged counts from there.
    key_id
        API key of the request; empty for an internal request.
    correlation_id
        Id of the request, as `serving.web.http.arrival` takes or makes it; it stands in the receipts.
    follow
        Called with the seconds of each stage once the answers are out; spans are made of them.
    """

    symbols: Sequence[str]
    horizon: int
    kind: str = "served"
    asked_at: float = field(default_factory=time.perf_counter)
    key_id: str = ""
    correlation_id: str = ""
    follow: Callable[[Stopwatch], None] | None = None


@dataclass(frozen=True)
class Answers:
    """Forecasts to be logged and then sent, and the symbols that have none, with the reason.

    Parameters
    ----------
    shadows
        Forecasts to be logged with them and never sent; see `serving.predict.forecasting`.
    """

    entries: list[LogEntry]
    unavailable: list[tuple[str, str]]
    shadows: list[LogEntry] = field(default_factory=list)

    @property
    def to_log(self) -> list[LogEntry]:
        """Everything to be logged before the answers are sent."""
        return self.entries + self.shadows

    @property
    def texts(self) -> list[str]:
        """The answers, as JSON."""
        return [entry.answer for entry in self.entries]
