"""Questions of the history routes: query parameters, and the symbol, instant, horizon and model that they name."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from lake.errors import ConfigError, UnknownNameError
from lake.tables import BARS, FORECASTS
from serving.api import Horizon, Minutes
from serving.forecasts import REPLAY
from serving.history import MOST_ROWS, USUAL_ROWS, KnownTables, RowsPage, Span, instant_as_of, read_moment, span_between
from serving.predict import bars_asked, not_offered, require_known

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serving.predict import Predictor

MOMENT_LETTERS, MODEL_LETTERS = 40, 64
MOST_OFFSET = 10**9


def _moment(text: object) -> date:
    if not isinstance(text, str) or len(text) > MOMENT_LETTERS:
        raise ValueError(f"expected a day or an instant in at most {MOMENT_LETTERS} letters")
    try:
        return read_moment(text)
    except ConfigError as error:
        raise ValueError(str(error)) from error


Moment = Annotated[
    date,
    PlainValidator(_moment),
    WithJsonSchema({"type": "string", "maxLength": MOMENT_LETTERS, "examples": ["2012-12-28", "2012-12-28T21:00Z"]}),
]
"""A day, or an instant with its zone, as text in ISO 8601."""


class AsOfQuery(BaseModel):
    """When the answer is to be from."""

    model_config = ConfigDict(frozen=True)

    as_of: Moment | None = Field(
        default=None,
        description="answer from what was known then: a day is the close of its session and the market's decision "
        "delay, or of the last session before it; the market's now by default, and at the latest",
    )


class AheadQuery(AsOfQuery):
    """Which forecasts are meant."""

    horizon_sessions: Horizon | None = Field(default=None, description="by default the first horizon of the market")
    horizon_minutes: Minutes | None = None
    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=MODEL_LETTERS,
        description="forecasts of one model as the walk-forward made them; by default those that were answered",
        examples=["naive"],
    )


class PageQuery(BaseModel):
    """Which part of a list is wanted."""

    limit: int = Field(default=USUAL_ROWS, ge=1, le=MOST_ROWS, description="most rows, the newest of them")
    offset: int = Field(default=0, ge=0, le=MOST_OFFSET, description="`next_offset` of the answer before")

    @property
    def page(self) -> RowsPage:
        """The part of the list."""
        return RowsPage(self.limit, self.offset)


class RowsQuery(PageQuery):
    """Which rows of a list are wanted."""

    first: Moment | None = Field(default=None, alias="from", description="first session, or instant of a close")
    last: Moment | None = Field(default=None, alias="to", description="last session, or instant of a close")


class BarsQuery(RowsQuery, AsOfQuery):
    """Question for bars."""


class ForecastsQuery(RowsQuery, AheadQuery):
    """Question for forecasts or outcomes."""


class AccuracyQuery(PageQuery, AheadQuery):
    """Question for past accuracy; the part is of its points."""


class HistoryQuestion:
    """A question about one symbol: the tables, the symbol, and the instant that the answer is from.

    Parameters
    ----------
    app
        Application in service.
    name
        As it was asked; a former name stands for what the symbol is called today.

    Raises
    ------
    UnknownNameError
        If neither the models nor the tables know the symbol.
    """

    def __init__(self, app: "FastAPI", name: str, asked: AsOfQuery) -> None:
        predictor: Predictor = app.state.predictor
        self.tables: KnownTables = app.state.history
        (self.name,) = app.state.asked_names.find([name])
        self.symbol: str = self.name.symbol
        self._now = predictor.clock.now()
        self.at = instant_as_of(self.tables.market, asked.as_of, self._now)
        if not self.tables.known(BARS, self._now, symbol=self.symbol).height:
            require_known([self.symbol], list(predictor.symbols()))

    def span(self, asked: RowsQuery) -> Span:
        """Event times that are asked for."""
        return span_between(self.tables.market, asked.first, asked.last)

    def horizon(self, asked: AheadQuery) -> int:
        """Return the horizon as the tables count it.

        Raises
        ------
        UnknownNameError
            If the market has no such horizon.
        """
        market = self.tables.market
        bars = bars_asked(market, asked.horizon_sessions, asked.horizon_minutes)
        if bars not in market.horizon_bars:
            raise not_offered(market, bars, market.horizon_bars)
        return bars

    def model(self, asked: AheadQuery) -> str | None:
        """Return the model whose replays are asked for.

        Raises
        ------
        UnknownNameError
            If no model of that name has forecast the symbol by the market's now.
        """
        if asked.model is not None:
            made = self.tables.known(FORECASTS, self._now, symbol=self.symbol)
            known = made["model_name"].filter(made["kind"] == REPLAY).unique().to_list()
            if asked.model not in known:
                raise UnknownNameError("model", asked.model, known)
        return asked.model
