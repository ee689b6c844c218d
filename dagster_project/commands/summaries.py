"""Summaries for the terminal; every figure is read from the tables with SQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lake.clock import ReplayClock
from lake.sql import connect
from lake.store import Lake

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

MORE_THAN_CHANCE = 2.0
"""t-value from which on an advantage over naive is called more than chance."""
EQUAL, SHOWN = 1e-9, 0.005
"""Spread below which weights are equal, and the least weight worth a line."""

MODEL_TABLE = """
    select model, horizon_sessions, rows, mean_absolute_error, pinball_loss, information_coefficient,
           information_coefficient_t, hit_rate, coverage, beats_naive, advantage_t
    from evaluations
    where fold = 'overall' and experiment = ?
    order by horizon_sessions, pinball_loss
"""
SELECTED = """
    select regime, selected_strategy, strategies, weights, confidence, e_value, sessions, reason
    from selections
    qualify row_number() over (partition by regime order by event_time desc) = 1
    order by regime
"""
BLEND = """
    select unnest(model_horizons) as horizon, unnest(models) as model, unnest(model_weights) as weight,
           unnest(losses) as loss, unnest(reasons) as reason
    from blend_weights
    where event_time = (select max(event_time) from blend_weights)
    order by horizon, weight desc, loss
"""
MATURED = """
    select distinct f.symbol, f.model_name, f.horizon_sessions, f.event_time, f.p10, f.p50, f.p90,
           o.realised_return, o.is_covered
    from outcomes o join forecasts f using (forecast_id)
    where o.known_time > ? and f.horizon_sessions = 1 and f.symbol in ('AAPL', 'IBM', 'XOM')
      and f.kind not in ('shadow', 'trial')
    order by f.event_time, f.symbol, f.model_name
"""


def show(settings: "Settings", console: "Console") -> None:
    """Print tables, refused rows, the model table, the strategies in force and the drift verdict."""
    now = ReplayClock(settings.home / "clock.json").now()
    console.rule(f"the market stands at the close of {now:%Y-%m-%d}")
    console.print(tables(settings))
    console.print(_refused(settings))
    console.print(models(settings))
    console.print(blend(settings))
    console.print(selections(settings))
    console.print(reasons(settings), highlight=False)
    console.print(_drift(settings), highlight=False)


def rows(settings: "Settings", query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Rows of a query over the tables as known at the market's now."""
    now = ReplayClock(settings.home / "clock.json").now()
    with connect(now, Lake.open(settings)) as connection:
        found: list[tuple[Any, ...]] = connection.execute(query, list(parameters)).fetchall()
    return found


def tables(settings: "Settings") -> Table:
    """Every table with its rows, version and newest event time."""
    lake = Lake.open(settings)
    from feature_repo.catalog import SPECS

    reports = [lake.report(spec) for spec in SPECS if lake.exists(spec)]
    return _table(
        "Tables",
        ("table", "rows", "version", "from", "to"),
        ((r.name, f"{r.rows:,}", r.version, _day(r.first), _day(r.last)) for r in reports),
    )


def models(settings: "Settings") -> Table:
    """The model table of the training whose models are in force: walk-forward scores beside naive."""
    from training.stages import champions

    in_force = next(iter(champions(settings).values()))["experiment"]
    return _table(
        "Models, walk-forward over all folds (errors and rates in %; t: of the pinball loss gained over naive)",
        ("model", "h", "rows", "MAE", "pinball", "IC", "t(IC)", "hit rate", "80 % band", "t", "beats naive"),
        (
            (
                model,
                horizon,
                f"{count:,}",
                _percent(error, 3),
                _percent(loss, 4),
                _number(ic, 3),
                _number(t, 1),
                _percent(hit, 1),
                _percent(cover, 1),
                _number(gain_t, 1),
                _verdict(model, gain_t, beats=beats),
            )
            for model, horizon, count, error, loss, ic, t, hit, cover, beats, gain_t in rows(
                settings, MODEL_TABLE, (in_force,)
            )
        ),
    )


def blend(settings: "Settings") -> Table:
    """What the forecasts are made of now: the weight of each model at each horizon, and why."""
    return _table(
        "What answers: weights of the models by their pinball loss so far (%)",
        ("model", "h", "weight", "loss", "why"),
        (
            (model, horizon, f"{weight:.2f}", _percent(loss, 4), reason)
            for horizon, model, weight, loss, reason in rows(settings, BLEND)
        ),
    )


def selections(settings: "Settings") -> Table:
    """The strategy in force per regime, its weights, and why."""
    return _table(
        "Strategy in force per regime",
        ("regime", "sessions", "selected", "P(gain)", "e-value", "weights"),
        (
            (regime, seen, chosen, f"{_percent(confidence, 0)} %", _number(e_value, 2), _weights(names, weights))
            for regime, chosen, names, weights, confidence, e_value, seen, _ in rows(settings, SELECTED)
        ),
    )


def reasons(settings: "Settings") -> str:
    """Why those weights are in force: one sentence where all regimes share it, else one per regime."""
    by_reason: dict[str, list[str]] = {}
    for regime, *_, reason in rows(settings, SELECTED):
        by_reason.setdefault(reason, []).append(regime)
    if len(by_reason) == 1:
        return f"  {next(iter(by_reason))}"
    return "\n".join(f"  {', '.join(regimes)}: {reason}" for reason, regimes in by_reason.items())


def matured(settings: "Settings", since: datetime) -> Table:
    """Forecasts one session ahead beside what came, for outcomes known after an instant."""
    return _table(
        "Forecasts and what came (three symbols, one session ahead, in %)",
        ("as of", "symbol", "model", "p10", "p50", "p90", "came", "in band"),
        (
            (
                _day(at),
                symbol,
                model,
                _percent(p10),
                _percent(p50),
                _percent(p90),
                _percent(came),
                "yes" if covered else "no",
            )
            for symbol, model, _, at, p10, p50, p90, came, covered in rows(settings, MATURED, (since,))
        ),
    )


def forecasts(answers: Iterable[dict[str, Any]]) -> Table:
    """Answers of the service, a line each."""
    return _table(
        "Served forecasts (quantiles of the return and confidence in %)",
        ("symbol", "as of", "h", "target", "p10", "p50", "p90", "direction", "conf.", "regime", "strategy"),
        (
            (
                answer["symbol"],
                answer["as_of"][:10],
                answer["prediction"]["horizon_sessions"],
                f"{answer['prediction']['target_price']:.2f}",
                *(_percent(answer["prediction"][name]) for name in ("p10", "p50", "p90")),
                answer["prediction"]["direction"],
                _percent(answer["prediction"]["confidence"], 1),
                answer["prediction"]["regime"],
                answer["strategy"]["selected_strategy"],
            )
            for answer in answers
        ),
    )


def _refused(settings: "Settings") -> Table | str:
    found = rows(settings, "select reason, count(*) from quarantine group by reason order by 2 desc")
    if not found:
        (raw,) = rows(settings, "select count(*) from raw_bars")[0]
        return f"Refused rows: none among {raw:,} raw rows."
    return _table("Refused rows, kept in quarantine", ("reason", "rows"), found)


def _drift(settings: "Settings") -> str:
    found = rows(settings, "select subject, is_drifted from drift qualify event_time = max(event_time) over ()")
    drifted = sorted(subject for subject, is_drifted in found if is_drifted)
    verdict = f"{len(drifted)} of {len(found)} drifted" + (f": {', '.join(drifted)}" if drifted else "")
    report = settings.reports / "drift.html"
    return f"Drift of features and forecasts against the training years: {verdict}. Report: {report}"


def _table(title: str, columns: Iterable[str], content: Iterable[Iterable[Any]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", show_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in content:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    return table


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d}"


def _percent(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{100 * value:.{digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _verdict(model: str, advantage_t: float | None, *, beats: bool) -> str:
    if model == "naive":
        return "-"
    if not beats:
        return "no"
    return "yes" if abs(advantage_t or 0.0) >= MORE_THAN_CHANCE else "yes, by chance?"


def _weights(names: Sequence[str], weights: Sequence[float]) -> str:
    if max(weights) - min(weights) < EQUAL:
        return f"1/{len(weights)} each"
    ranked = sorted(zip(names, weights, strict=True), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {weight:.2f}" for name, weight in ranked if weight >= SHOWN)
