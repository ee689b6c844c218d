"""Summaries for the terminal; every figure is read from the tables with SQL."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dagster_project.plurals import counted
from lake.horizons import DAY, Horizon
from lake.sql import connect
from lake.store import Lake

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

EQUAL, SHOWN = 1e-9, 0.005
"""Spread below which weights are equal, and the least weight worth a line."""

WIDE = 1e4
"""Prices from here on are told without the part behind the point."""
NO_PRICE: Mapping[str | None, str] = {
    "adjusted_close_only": "the source tells adjusted closes only, at which nobody traded",
    "fully_adjusted": "the source adjusts for splits and dividends and does not say for which",
    "split_adjusted": "the source adjusts for splits and does not say for which",
    None: "its model input is from before prices as traded were kept; `quantlake update` makes it anew",
}
"""Why there is no price, by `price_basis`."""

MODEL_TABLE = """
    select v.model, v.horizon_sessions, v.pinball_loss, v.loss_spread, v.gain, v.gain_t, e.information_coefficient,
           v.hit_rate, v.base_rate, e.coverage,
           case when v.is_constant then 'constant' when v.beats_best_baseline then 'beats ' || v.best_baseline
                when v.gain > 0 then 'by chance?' else 'no' end as verdict,
           v.is_baseline, v.seeds
    from verdicts v join evaluations e using (experiment, model, horizon_sessions)
    where e.fold = 'overall' and experiment = ?
    order by v.horizon_sessions, v.pinball_loss
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
    where o.known_time > ? and f.horizon_sessions = ? and list_contains(?, f.symbol)
      and f.kind not in ('shadow', 'trial')
    order by f.event_time, f.symbol, f.model_name
"""


def show(settings: "Settings", console: "Console") -> None:
    """Print tables, refused rows, the model table, the strategies in force and the drift verdict."""
    now = settings.clock.now()
    console.rule(f"the market stands at the close of {now:%Y-%m-%d}")
    console.print(tables(settings))
    console.print(_refused(settings))
    console.print(models(settings))
    console.print(model_weights(settings))
    console.print(selections(settings))
    console.print(reasons(settings), highlight=False)
    console.print(_drift(settings), highlight=False)


def standing(settings: "Settings") -> str:
    """Say in a few lines what is there, after a run that found nothing new."""
    lake, now = Lake.open(settings), settings.clock.now()
    from lake.tables import BARS, FORECASTS

    bars, forecast = lake.report(BARS), lake.report(FORECASTS)
    chosen = {regime: name for regime, name, *_ in rows(settings, SELECTED)}
    in_force = ", ".join(f"{name} ({regime})" for regime, name in chosen.items())
    if len(names := set(chosen.values())) == 1:
        in_force = f"{names.pop()} in each of {len(chosen)} regimes"
    return (
        f"Nothing to do: all that follows from the bars up to the close of {now:%Y-%m-%d} is there.\n"
        f"  bars        {bars.rows:,}, {_day(bars.first)} to {_day(bars.last)}\n"
        f"  forecasts   {forecast.rows:,}, up to the close of {_day(forecast.last)}\n"
        f"  strategies  {in_force}\n"
        "`quantlake summary` shows tables, models and strategies."
    )


def rows(settings: "Settings", query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Rows of a query over the tables as known at the market's now."""
    now = settings.clock.now()
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


def models(settings: "Settings") -> Group:
    """The model table of the training whose models are in force, each beside the best baseline, and how to read it."""
    from training.stages import champions

    in_force = next(iter(champions(settings).values()))["experiment"]
    found, ahead = rows(settings, MODEL_TABLE, (in_force,)), _ahead(settings)
    table = _table(
        "Models, walk-forward over all folds (in %; gain: on the best baseline)",
        ("model", "h", "loss", "±", "gain", "t", "IC", "hit", "up", "band", "verdict"),
        (
            (
                model,
                ahead(horizon),
                _percent(loss, 4),
                _percent(spread, 4),
                "" if is_baseline else _percent(gain),
                "" if is_baseline else _number(t, 1),
                _number(ic, 3),
                *(_percent(rate, 1) for rate in rates),
                "-" if is_baseline else verdict,
            )
            for model, horizon, loss, spread, gain, t, ic, *rates, verdict, is_baseline, _ in found
        ),
    )
    return Group(table, Text("\n".join(_legend(settings, max(seeds for *_, seeds in found)))))


def _legend(settings: "Settings", seeds: int) -> Iterable[str]:
    """What the columns of the model table are, as far as their names do not say it, and what to keep in mind."""
    yield "hit: right directions; up: outcomes above zero, what always saying up would hit;"
    yield "band: outcomes within p10 to p90, of 80 promised; verdicts: Holm's method, 5 %"
    networks = "networks are the mean of"
    yield f"{networks} {seeds} seeds, ± their deviation" if seeds > 1 else f"{networks} 1 seed: its spread is not known"
    yield from caveats(settings)


def caveats(settings: "Settings") -> tuple[str, ...]:
    """What belongs beside every figure made from the market's bars: what its prices leave out, and who is missing."""
    from lake.sources import caveats_now

    return caveats_now(settings)


def model_weights(settings: "Settings") -> Table:
    """What the forecasts are made of now: the weight of each model at each horizon, and why."""
    ahead = _ahead(settings)
    return _table(
        "What answers: weights of the models by their pinball loss so far (%)",
        ("model", "h", "weight", "loss", "why"),
        (
            (model, ahead(horizon), f"{weight:.2f}", _percent(loss, 4), reason)
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


def matured(settings: "Settings", since: datetime, symbols: Sequence[str]) -> Table:
    """Forecasts beside what came, for outcomes known after an instant: one session ahead, of minutes the longest."""
    market = settings.declared_market
    bars = market.horizon_bars[0 if market.interval == DAY else -1]
    found = rows(settings, MATURED, (since, bars, list(symbols)))
    return _table(
        f"Forecasts and what came ({counted(len(symbols), 'symbol')}, {market.horizon_of(bars)} ahead, in %)",
        ("as of", "symbol", "model", "p10", "p50", "p90", "came", "in band"),
        (
            (
                _day(at) if market.interval == DAY else f"{at:%Y-%m-%d %H:%M}",
                symbol,
                model,
                _percent(p10),
                _percent(p50),
                _percent(p90),
                _percent(came),
                "yes" if covered else "no",
            )
            for symbol, model, _, at, p10, p50, p90, came, covered in found
        ),
    )


def forecasts(answers: Iterable[dict[str, Any]]) -> Group:
    """Answers of the service, a line each, and why some have no price."""
    answers = list(answers)
    predictions = [answer["prediction"] for answer in answers]
    dates = ", ".join(sorted({answer["as_of"][:10] for answer in answers}))
    currencies = ", ".join(sorted({each["currency"] or "a currency not stated" for each in predictions}))
    table = _table(
        f"Served forecasts as of {dates} (returns and confidence in %)",
        ("symbol", "h", "ends", "close", "target", "p10", "p50", "p90", "dir.", "conf.", "model"),
        (
            (
                answer["symbol"],
                _ahead_of(each),
                each["target_session"],
                *(_price(each[name]) for name in ("reference_price", "target_price")),
                *(_percent(each[name]) for name in ("p10", "p50", "p90")),
                each["direction"],
                _percent(each["confidence"], 1),
                answer["model"]["name"],
            )
            for answer, each in zip(answers, predictions, strict=True)
        ),
    )
    quoted = f"close and target: as traded, in {currencies}; ends: session in which the horizon ends"
    return Group(table, Text("\n".join([quoted, *_without_price(answers)])))


def _without_price(answers: Iterable[dict[str, Any]]) -> Iterable[str]:
    """A sentence for each reason why symbols have no price."""
    by_basis: dict[str | None, list[str]] = {}
    for answer in answers:
        if answer["prediction"]["reference_price"] is None:
            symbols = by_basis.setdefault(answer["prediction"]["price_basis"], [])
            symbols += [answer["symbol"]] if answer["symbol"] not in symbols else []
    for basis, symbols in by_basis.items():
        yield f"no price of {', '.join(symbols)}: {NO_PRICE[basis]}"


def _short(horizon: Horizon) -> str:
    return f"{horizon.n} min" if horizon.unit == "minute" else str(horizon)


def _ahead_of(prediction: dict[str, Any]) -> str:
    """How far ahead a forecast looks: sessions as a number, minutes with their unit."""
    minutes = prediction.get("horizon_minutes")
    return str(prediction["horizon_sessions"]) if minutes is None else f"{minutes} min"


def _ahead(settings: "Settings") -> Callable[[int], str]:
    """How a horizon is shown: sessions as a number, and with their unit minutes, and sessions beside minutes."""
    market = settings.declared_market
    return lambda bars: str(bars) if market.interval == DAY else _short(market.horizon_of(bars))


def _refused(settings: "Settings") -> Table | str:
    found = rows(settings, "select reason, count(*) from quarantine group by reason order by 2 desc")
    if not found:
        (raw,) = rows(settings, "select count(*) from raw_bars")[0]
        return f"Refused rows: none among {raw:,} raw rows."
    return _table("Refused rows, kept in quarantine", ("reason", "rows"), found)


def _drift(settings: "Settings") -> str:
    from lake.tables import DRIFT

    if not Lake.open(settings).exists(DRIFT):
        return "Drift against the training years: not judged, too few sessions to compare."
    found = rows(settings, "select subject, is_drifted from drift qualify event_time = max(event_time) over ()")
    drifted = sorted(subject for subject, is_drifted in found if is_drifted)
    verdict = f"{len(drifted)} of {len(found)} drifted" + (f": {', '.join(drifted)}" if drifted else "")
    return f"Drift of features and forecasts against the training years: {verdict}. Its page: `quantlake drift`."


def _table(title: str, columns: Iterable[str], content: Iterable[Iterable[Any]]) -> Table:
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        header_style="",
        box=SIMPLE_HEAD,  # so that the widest fits 80 columns
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 or column == "why" else "right", overflow="fold")
    for row in content:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    return table


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d}"


def _percent(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{100 * value:.{digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _price(price: float | None) -> str:
    return "-" if price is None else f"{price:.{2 if price < WIDE else 0}f}"


def _weights(names: Sequence[str], weights: Sequence[float]) -> str:
    if max(weights) - min(weights) < EQUAL:
        return f"1/{len(weights)} each"
    ranked = sorted(zip(names, weights, strict=True), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {weight:.2f}" for name, weight in ranked if weight >= SHOWN)
