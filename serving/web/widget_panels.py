"""Panels that a desk such as OpenBB Workspace can show: what each is called, where its rows are, and how they print.

The form is that of OpenBB's ``widgets.json``: https://docs.openbb.co/workspace/developers/json-specs/widgets-json-reference
(read 2026-12). A panel is a table of flat rows; a column whose kind is ``share`` holds a fraction and prints percent.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from serving.forecasts import BLEND

if TYPE_CHECKING:
    from lake.market import Market

ROOT = "/widgets"
"""Path that the rows of every panel lie below."""
Kind = Literal["text", "number", "share", "date"]
CELLS: dict[Kind, dict[str, str]] = {
    "text": {"cellDataType": "text"},
    "number": {"cellDataType": "number", "formatterFn": "none"},
    "share": {"cellDataType": "number", "formatterFn": "normalizedPercent"},
    "date": {"cellDataType": "dateString"},
}
WIDTH, HEIGHT = 20, 12
"""Of a panel, in the columns and rows of the desk, which has 40 columns."""
Asks = Literal["symbol", "horizon", "model", "as_of"]


@dataclass(frozen=True)
class WidgetPanel:
    """One panel.

    Parameters
    ----------
    name
        Last part of its address.
    title, description
        As a desk lists it.
    asks
        What it takes beside the key.
    columns
        Field of a row, its head, and its kind.
    model
        Model whose figures it shows unless another is named; empty for the forecasts that were answered.
    """

    name: str
    title: str
    description: str
    asks: tuple[Asks, ...]
    columns: tuple[tuple[str, str, Kind], ...]
    model: str = ""

    def to_widget(self, market: "Market") -> dict[str, Any]:
        """Return its entry of ``widgets.json`` for a market."""
        return {
            "name": self.title,
            "description": self.description,
            "category": "Forecasts",
            "subCategory": market.name,
            "type": "table",
            "endpoint": f"{ROOT}/{self.name}".lstrip("/"),
            "gridData": {"w": WIDTH, "h": HEIGHT},
            "source": ["quantlake"],
            "params": [_parameter(asked, market, self.model) for asked in self.asks],
            "data": {
                "table": {
                    "showAll": True,
                    "columnsDefs": [
                        {"field": field, "headerName": head, **CELLS[kind]} for field, head, kind in self.columns
                    ],
                }
            },
        }


QUANTILES: tuple[tuple[str, str, Kind], ...] = (
    ("p10", "10 % quantile", "share"),
    ("p50", "Median", "share"),
    ("p90", "90 % quantile", "share"),
)
MADE: tuple[tuple[str, str, Kind], ...] = (
    ("event_time", "Close", "date"),
    ("known_time", "Known", "date"),
    ("target_session", "For", "date"),
    ("model_name", "Model", "text"),
    ("regime", "Regime", "text"),
)
AHEAD: tuple[Asks, ...] = ("symbol", "horizon", "model", "as_of")
PANELS: tuple[WidgetPanel, ...] = (
    WidgetPanel(
        "bars",
        "Bars",
        "Adjusted bars of a symbol as they were known at an instant, with the close as traded.",
        ("symbol", "as_of"),
        (
            ("session", "Session", "date"),
            ("open", "Open", "number"),
            ("high", "High", "number"),
            ("low", "Low", "number"),
            ("close", "Close, adjusted", "number"),
            ("price_traded", "As traded", "number"),
            ("volume", "Volume", "number"),
            ("known_time", "Known", "date"),
        ),
    ),
    WidgetPanel(
        "forecasts",
        "Forecasts",
        "Forecasts of the return of a symbol: median and 80 % band, as they were made.",
        AHEAD,
        (
            *MADE,
            *QUANTILES,
            ("price_p10", "Price, 10 %", "number"),
            ("price_p50", "Price, median", "number"),
            ("price_p90", "Price, 90 %", "number"),
            ("forecast_id", "Receipt", "text"),
        ),
    ),
    WidgetPanel(
        "outcomes",
        "Outcomes",
        "Matured forecasts of a symbol beside the return that came.",
        AHEAD,
        (
            *MADE,
            *QUANTILES,
            ("realised_return", "Came", "share"),
            ("is_inside", "Inside the band", "text"),
            ("pinball_loss", "Loss", "number"),
            ("naive_loss", "Naive's loss", "number"),
        ),
    ),
    WidgetPanel(
        "calibration",
        "Calibration",
        "How often the 80 % bands of a symbol held, and the skill on the naive forecast, overall and by regime.",
        AHEAD,
        (
            ("group", "Group", "text"),
            ("outcomes", "Outcomes", "number"),
            ("held", "Band held", "share"),
            ("held_low", "90 % interval from", "share"),
            ("held_high", "to", "share"),
            ("band", "Band", "text"),
            ("skill", "Skill on naive", "share"),
            ("skill_low", "90 % interval from", "share"),
            ("skill_high", "to", "share"),
            ("verdict", "Verdict", "text"),
        ),
    ),
    WidgetPanel(
        "watchlist",
        "Watch list",
        "Symbols that the key follows, or every symbol where it follows none: last price, forecast, band and record.",
        ("horizon", "as_of"),
        (
            ("symbol", "Symbol", "text"),
            ("session", "Last bar", "date"),
            ("price_traded", "As traded", "number"),
            ("change", "Change", "share"),
            *QUANTILES,
            ("band", "Band", "text"),
            ("regime", "Regime", "text"),
        ),
    ),
    WidgetPanel(
        "importance",
        "Importance of features",
        "Rise of a model's loss when a feature is exchanged among the symbols of each session. It shows no causes.",
        ("horizon", "model", "as_of"),
        (
            ("rank", "Rank", "number"),
            ("feature", "Feature", "text"),
            ("group", "Group", "text"),
            ("loss_rise", "Rise of the loss", "number"),
            ("low", "95 % interval from", "number"),
            ("high", "to", "number"),
            ("rank_last_month", "Rank a month before", "number"),
        ),
        model=BLEND,
    ),
)


def widgets_of(market: "Market") -> dict[str, dict[str, Any]]:
    """Return the content of ``widgets.json``: every panel by its id.

    Examples
    --------
    >>> from lake.market import PACKAGED
    >>> sorted(widgets_of(PACKAGED["demo"]))
    ['bars', 'calibration', 'forecasts', 'importance', 'outcomes', 'watchlist']
    """
    return {panel.name: panel.to_widget(market) for panel in PANELS}


def _parameter(asked: Asks, market: "Market", model: str) -> dict[str, Any]:
    """Return the form field of one thing that a panel takes."""
    if asked == "symbol":
        first = next(iter(market.symbols), "")
        address = {"optionsEndpoint": f"{ROOT}/symbols"}
        return {"paramName": "symbol", "label": "Symbol", "type": "endpoint", "value": first, **address}
    if asked == "horizon":
        horizons = [market.horizon_of(bars) for bars in market.horizon_bars]
        options = [{"label": str(each), "value": str(each.n)} for each in horizons]
        first = options[0]["value"]
        return {"paramName": horizons[0].member, "label": "Ahead", "type": "text", "value": first, "options": options}
    if asked == "model":
        return {"paramName": "model", "label": "Model", "type": "text", "value": model, "optional": True}
    return {"paramName": "as_of", "label": "As of", "type": "date", "value": None, "optional": True}
