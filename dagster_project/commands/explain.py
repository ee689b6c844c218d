"""`quantlake explain`: contributions of the features to a stored forecast, as a table or as plain values."""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dagster_project.commands.predict import Ahead, horizon_asked, in_any_spelling
from dagster_project.commands.scenario import scenario_of, scenario_tables
from dagster_project.commands.shell import AsCsv, AsJson, DataTable, ShownColumn, console, is_for_program, require_home
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from lake.horizons import Horizon
    from serving.api.explanations import BarChange, ExplanationAnswer
    from serving.client import Client

IDENTIFIER = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")

Subject = Annotated[str, typer.Argument(help="A symbol, whose newest stored forecast is meant, or a forecast's id.")]
Quantile = Annotated[
    Literal["p10", "p50", "p90", "width"], typer.Option(help="Which number is explained; width is p90 - p10.")
]
Depth = Annotated[
    Literal["fast", "detailed", "deep"] | None,
    typer.Option(
        "--depth",
        help="How many orders of features are drawn; fast by default, detailed for session blocks.",
        show_default=False,
    ),
]
Grain = Annotated[
    Literal["feature", "group", "session_block"],
    typer.Option(help="Features one by one, by group, or each in the last session, the five before it and earlier."),
]
ScenarioText = Annotated[
    str,
    typer.Option(
        "--scenario",
        help="Forecast from another last bar: close=-3%,volume=2,range=1.5 (volume and range by the true ones).",
        show_default=False,
    ),
]


def explain(
    subject: Subject,
    quantile: Quantile = "p50",
    horizon: Ahead = "",
    depth: Depth = None,
    grain: Grain = "feature",
    scenario: ScenarioText = "",
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask the running service which features a stored forecast comes from: quantlake explain AAPL --quantile width.

    The base value is the mean forecast of typical windows of the training in the same regime; base value and
    contributions sum to the forecast. With --scenario the features are computed again from another last bar.
    """
    from lake.settings import settings
    from serving.client import Client

    require_home(settings())
    bar = scenario_of(scenario) if scenario else None
    ahead = horizon_asked(horizon, settings().declared_market)
    with Client.local(settings()) as client:
        prediction_id = subject if IDENTIFIER.fullmatch(subject) else newest_of(client, subject, ahead)
        if bar is not None:
            show_scenario(client, prediction_id, bar, as_json=as_json, as_csv=as_csv)
            return
        drawn = depth or ("detailed" if grain == "session_block" else "fast")
        answer = client.explain(prediction_id, quantile=quantile, explanation_type=drawn, grain=grain)
    table = table_of(answer)
    if is_for_program(answer.model_dump(mode="json"), table, as_json=as_json, as_csv=as_csv):
        return
    shown = console()
    shown.print(table, highlight=False)
    for line in beneath(answer):
        shown.print(line, highlight=False, markup=False)


def show_scenario(client: "Client", prediction_id: str, bar: "BarChange", *, as_json: bool, as_csv: bool) -> None:
    """Ask for a forecast from another last bar, and print it; as CSV the features that moved."""
    from serving.api.explanations import CounterfactualRequest, Scenario

    answer = client.what_if(CounterfactualRequest(prediction_id=prediction_id, scenario=Scenario(bar=bar)))
    tables = scenario_tables(answer)
    if is_for_program(answer.model_dump(mode="json"), tables[-1], as_json=as_json, as_csv=as_csv):
        return
    shown = console()
    for table in tables:
        shown.print(table, highlight=False)
    for line in (answer.note, f"Forecast {answer.prediction_id}. {answer.disclaimer}"):
        shown.print(line, highlight=False, markup=False)


def newest_of(client: "Client", symbol: str, ahead: "Horizon") -> str:
    """Return the id of the newest stored forecast of a symbol as it was typed, or in its canonical spelling."""
    member: dict[str, Any] = {ahead.member: ahead.n}
    return in_any_spelling(lambda name: client.latest(name, **member).prediction_id, symbol)


def table_of(answer: "ExplanationAnswer") -> DataTable:
    """Return the contributions between base value and forecast, the largest first; those of nothing are left out."""
    from serving.explain import NAMES, percent

    told = answer.explanation
    columns = (
        ShownColumn("feature"),
        ShownColumn("value", shown=lambda value: f"{value:.4g}"),
        ShownColumn("percentile_in_training", "percentile", shown=lambda value: f"{value:.0f}"),
        ShownColumn("contribution", shown=percent),
        ShownColumn("standard_error", "+-", shown=lambda value: percent(value, signed=False)),
    )
    parts = [
        each.model_dump(include={column.name for column in columns})
        for each in told.local_explanation.feature_contributions
        if each.contribution
    ]
    ends = [
        {"feature": "base value", "contribution": told.base_value},
        {"feature": "forecast", "contribution": told.value},
    ]
    title = f"{answer.symbol} as of {answer.as_of:%Y-%m-%d}: {NAMES[told.quantile]}"
    return DataTable.of(title, columns, [ends[0], *parts, ends[1]])


def beneath(answer: "ExplanationAnswer") -> list[str]:
    """Return the lines under the table: what it was compared with, by which models, and how to ask for it again."""
    told = answer.explanation
    lines = []
    if not any(each.contribution for each in told.local_explanation.feature_contributions):
        lines.append("No feature contributes: the models of this forecast give the same for every window.")
    for used in told.backgrounds:
        windows = ", ".join(f"{window.symbol} {window.as_of:%Y-%m-%d}" for window in used.windows)
        lines.append(f"Compared with typical windows ({used.regime}): {windows}.")
    members = ", ".join(f"{member.model} {member.weight:.0%}" for member in told.members)
    pairs = counted(told.members[0].pairs, "pair")
    lines.append(f"By {members}; {pairs} of opposite orders from each window; {answer.seconds * 1e3:.0f} ms.")
    if told.stability is not None:
        lines.append(told.stability.sentence)
    lines.append(f"Forecast {answer.prediction_id}. {answer.disclaimer}")
    return lines
