"""Portfolio route: what a declared portfolio holds beside 1/N, read from the table alone."""

from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Path, Query, Request

from serving import api
from serving.history import instant_as_of, portfolio_of
from serving.web.history_questions import AsOfQuery
from serving.web.routes.forecasts import PREFIX

if TYPE_CHECKING:
    from serving.history import KnownTables

Name = Annotated[str, Path(min_length=1, max_length=64, description="portfolio", examples=["black_litterman"])]


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.get(f"{PREFIX}/portfolio/{{name}}", tags=["portfolios"])
    def portfolio(name: Name, asked: Annotated[AsOfQuery, Query()], request: Request) -> api.PortfolioAnswer:
        """Return what a portfolio holds beside 1/N, why it traded or did not, and the evidence for it."""
        tables: KnownTables = request.app.state.history
        at = instant_as_of(tables.market, asked.as_of, request.app.state.predictor.clock.now())
        return portfolio_of(tables, name, at)
