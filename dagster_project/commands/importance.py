"""`quantlake importance`: what each feature is good for in the forecasts of a model."""

from typing import TYPE_CHECKING, Annotated

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    print_line,
    require_lake,
    taking_turn,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from serving.importance import ImportanceFigures

Model = Annotated[str, typer.Option(help="Model in service, or blend: what answers.")]
Bars = Annotated[int | None, typer.Option("--horizon", help="In bars of the market, by default the shortest.")]
Regime = Annotated[str, typer.Option(help="Regime of the market, or all.")]
Measure = Annotated[bool, typer.Option("--measure", help="Measure the models in service now, in minutes.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="A day, or an instant with its zone; by default now.")]
SHOWN = 15
"""Features in the terminal, the largest rise first."""


def importance(
    *,
    model: Model = "blend",
    horizon: Bars = None,
    regime: Regime = "all",
    as_of: AsOf = None,
    measures: Measure = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show how much worse a model forecasts when a feature is exchanged among the symbols of each session."""
    from lake.clock import instant_of
    from lake.settings import settings
    from lake.store import Lake
    from serving.importance import newest_importance

    configured = settings()
    require_lake(configured)
    lake = Lake.open(configured)
    if measures:
        from serving.importance.measuring import measure_in_service

        with taking_turn("importance"):
            measure_in_service(lake, configured, configured.clock)
    now = configured.clock.now()
    at = now if as_of is None else min(instant_of(as_of), now)
    bars = lake.market.horizon_bars[0] if horizon is None else horizon
    figures = newest_importance(lake, at, model=model, horizon=bars, regime=regime)
    if is_for_program(figures.rows, DataTable.of_records(figures.rows), as_json=as_json, as_csv=as_csv):
        return
    _show(figures, str(lake.market.horizon_of(bars)))


def _show(figures: "ImportanceFigures", ahead: str) -> None:
    first = figures.rows[0]
    print_line(
        f"Rise of the pinball loss of {first['model']}, {ahead} ahead, when a feature is exchanged among the symbols "
        f"of each session: {counted(first['sessions'], 'session')} up to {figures.session:%Y-%m-%d}, regime "
        f"{first['regime']}, {counted(first['repeats'], 'repeat')}. In % of the loss of {first['loss']:.3%}, with "
        "the 95 % interval over sessions.\n"
    )
    for title, rows in (("Features", figures.features[:SHOWN]), ("Correlated features, together", figures.clusters)):
        if rows:
            console().print(_table(title, rows, first["loss"]))
    if len(figures.features) > SHOWN:
        print_line(f"{counted(len(figures.features) - SHOWN, 'more feature')} matter less; --json has all.")
    print_line("It says what the model uses, and nothing about causes.")


def _table(title: str, rows: list[dict], loss: float) -> DataTable:
    def share(value: float) -> str:
        return f"{100 * value / loss:+.2f}"

    columns = (
        ShownColumn("feature", wraps=True),
        ShownColumn("loss_rise", "rise %", shown=share),
        ShownColumn("low", shown=share),
        ShownColumn("high", shown=share),
        ShownColumn("mean_absolute_shapley", "|Shapley| %", shown="{:.3%}".format, rank=1),
        ShownColumn("rank_last_month", "rank a month ago", rank=2),
    )
    return DataTable.of(title, columns, rows)
