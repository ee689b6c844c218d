"""Summaries for the terminal; every figure is read from the tables with SQL."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from dagster_project.commands.shell import DataTable, ShownColumn, day_of, fixed, is_for_program, minute_of, percent
from dagster_project.plurals import counted
from lake.horizons import DAY, Horizon
from lake.sql import WORD, connect
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


def nothing_to_do(now: datetime) -> str:
    """Say that a run found nothing new."""
    return f"Nothing to do: all that follows from the bars up to the close of {now:%Y-%m-%d} is there."


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
        f"{nothing_to_do(now)}\n"
        f"  bars        {bars.rows:,}, {_day(bars.first)} to {_day(bars.last)}\n"
        f"  forecasts   {forecast.rows:,}, up to the close of {_day(forecast.last)}\n"
        f"  strategies  {in_force}\n"
        f"`{lake.market.command('summary')}` shows tables, models and strategies."
    )


def _day(at: datetime | None) -> str:
    return "none" if at is None else day_of(at)


def show_values(settings: "Settings", *, as_json: bool, as_csv: bool) -> bool:
    """Print the same as values, where a program asks, and return whether one did; CSV holds the table of tables."""
    if not (as_json or as_csv):
        return False
    of_tables = tables(settings)
    document: dict[str, Any] = {"now": settings.clock.now(), "tables": of_tables.records()} | {
        name: table(settings).records()
        for name, table in (
            ("refused", refused),
            ("models", model_table),
            ("weights", model_weights),
            ("selections", selections),
        )
    }
    document |= {"reasons": reasons(settings).splitlines(), "drift": _drift(settings), "caveats": caveats(settings)}
    return is_for_program(document, of_tables, as_json=as_json, as_csv=as_csv)


def rows(settings: "Settings", query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Rows of a query over the tables as known at the market's now."""
    now = settings.clock.now()
    with connect(now, Lake.open(settings), tables=WORD.findall(query)) as connection:
        found: list[tuple[Any, ...]] = connection.execute(query, list(parameters)).fetchall()
    return found


def tables(settings: "Settings") -> DataTable:
    """Every table with its rows, version and newest event time."""
    lake = Lake.open(settings)
    from feature_repo.catalog import SPECS

    reports = [lake.report(spec) for spec in SPECS if lake.exists(spec)]
    columns = ("table", "rows", "version", ShownColumn("from", shown=day_of), ShownColumn("to", shown=day_of))
    return DataTable.of_tuples("\nTables", columns, ((r.name, r.rows, r.version, r.first, r.last) for r in reports))


def models(settings: "Settings") -> Group:
    """The model table of the training whose models are in force, each beside the best baseline, and how to read it."""
    table = model_table(settings)
    seeds = max(row["seeds"] for row in table.rows)
    return Group(table, Text("\n".join(_legend(settings, seeds))))


def model_table(settings: "Settings") -> DataTable:
    """Scores of each model and horizon over all folds; fractions, in the terminal in percent."""
    ahead = _ahead(settings)
    columns = (
        ShownColumn("model"),
        ShownColumn("h", shown=ahead),
        ShownColumn("loss", shown=percent(4)),
        ShownColumn("spread", "±", shown=percent(4), rank=3),
        ShownColumn("gain", shown=percent()),
        ShownColumn("gain_t", "t", shown=fixed(1)),
        ShownColumn("information_coefficient", "IC", shown=fixed(3), rank=2),
        ShownColumn("hit_rate", "hit", shown=percent(1)),
        ShownColumn("base_rate", "up", shown=percent(1), rank=1),
        ShownColumn("coverage", "band", shown=percent(1)),
        ShownColumn("verdict", wraps=True),
    )
    return DataTable.of(
        "\nModels, walk-forward over all folds (in %; gain: on the best baseline)", columns, _judged(settings)
    )


def _judged(settings: "Settings") -> list[dict[str, Any]]:
    """Rows of the model table; a baseline has no gain and no verdict."""
    from training.stages import champions

    in_force = next(iter(champions(settings).values()))["experiment"]
    names = ("model", "h", "loss", "spread", "gain", "gain_t", "information_coefficient", "hit_rate", "base_rate")
    found = [
        dict(zip((*names, "coverage", "verdict", "is_baseline", "seeds"), row, strict=True))
        for row in rows(settings, MODEL_TABLE, (in_force,))
    ]
    none = {"gain": None, "gain_t": None, "verdict": None}
    return [row | none if row["is_baseline"] else row for row in found]


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


def model_weights(settings: "Settings") -> DataTable:
    """What the forecasts are made of now: the weight of each model at each horizon, and why."""
    columns = (
        ShownColumn("model"),
        ShownColumn("h", shown=_ahead(settings)),
        ShownColumn("weight", shown=fixed(2)),
        ShownColumn("loss", shown=percent(4)),
        ShownColumn("why", wraps=True),
    )
    found = ((model, horizon, weight, loss, reason) for horizon, model, weight, loss, reason in rows(settings, BLEND))
    title = "\nWhat answers: weights of models by their pinball loss so far (loss in %)"
    return DataTable.of_tuples(title, columns, found)


def selections(settings: "Settings") -> DataTable:
    """The strategy in force per regime, its weights, and why."""
    columns = (
        ShownColumn("regime"),
        ShownColumn("sessions"),
        ShownColumn("selected"),
        ShownColumn("confidence", "P(gain)", shown=lambda value: f"{100 * value:.0f} %"),
        ShownColumn("e_value", "e-value", shown=fixed(2), rank=1),
        ShownColumn("weights", shown=_weights, wraps=True),
    )
    found = (
        (regime, seen, chosen, confidence, e_value, dict(zip(names, weights, strict=True)))
        for regime, chosen, names, weights, confidence, e_value, seen, _ in rows(settings, SELECTED)
    )
    return DataTable.of_tuples("\nStrategy in force per regime", columns, found)


def reasons(settings: "Settings") -> str:
    """Why those weights are in force: one sentence where all regimes share it, else one per regime."""
    by_reason: dict[str, list[str]] = {}
    for regime, *_, reason in rows(settings, SELECTED):
        by_reason.setdefault(reason, []).append(regime)
    if len(by_reason) == 1:
        return f"  {next(iter(by_reason))}"
    return "\n".join(f"  {', '.join(regimes)}: {reason}" for reason, regimes in by_reason.items())


def matured(settings: "Settings", since: datetime, symbols: Sequence[str]) -> DataTable:
    """Forecasts beside what came, for outcomes known after an instant: one session ahead, of minutes the longest."""
    market = settings.declared_market
    bars = market.horizon_bars[0 if market.interval == DAY else -1]
    found = rows(settings, MATURED, (since, bars, list(symbols)))
    quantiles = (ShownColumn(name, shown=percent()) for name in ("p10", "p50", "p90"))
    columns = (
        ShownColumn("as_of", shown=day_of if market.interval == DAY else minute_of),
        ShownColumn("symbol"),
        ShownColumn("model"),
        *quantiles,
        ShownColumn("realised_return", "came", shown=percent()),
        ShownColumn("in_band"),
    )
    return DataTable.of_tuples(
        f"\nForecasts and what came ({counted(len(symbols), 'symbol')}, {market.horizon_of(bars)} ahead, in %)",
        columns,
        ((at, symbol, model, *shown) for symbol, model, _, at, *shown in found),
    )


def forecasts(answers: Iterable[dict[str, Any]]) -> Group:
    """Answers of the service, a line each, how sure each is in words, and why some have no price."""
    answers = list(answers)
    table = forecast_table(answers)
    currencies = ", ".join(sorted({row["currency"] or "a currency not stated" for row in table.records()}))
    quoted = f"close and target: as traded, in {currencies}; ends: session in which the horizon ends"
    return Group(table, Text("\n".join([quoted, *_without_price(answers)])))


def forecast_table(answers: Iterable[dict[str, Any]]) -> DataTable:
    """Forecasts with price, basis, currency, band, direction and its confidence in words, a line each."""
    answers = list(answers)
    dates = ", ".join(sorted({answer["as_of"][:10] for answer in answers}))
    prices = (
        ShownColumn(name, title, shown=_price)
        for name, title in (("reference_price", "close"), ("target_price", "target"))
    )
    columns = (
        ShownColumn("symbol"),
        ShownColumn("horizon", "h"),
        ShownColumn("target_session", "ends"),
        *prices,
        *(ShownColumn(name, shown=percent()) for name in ("p10", "p50", "p90")),
        ShownColumn("outlook", wraps=True),
        ShownColumn("direction", rank=7),
        ShownColumn("confidence", "conf.", shown=percent(1), rank=1),
        ShownColumn("model", wraps=True, rank=5),
        ShownColumn("price_basis", "basis", rank=6),
        ShownColumn("currency", rank=2),
        ShownColumn("regime", rank=8),
        ShownColumn("as_of", rank=9),
        ShownColumn("prediction_id", rank=10),
    )
    return DataTable.of(
        f"\nServed forecasts as of {dates} (returns and confidence in %)", columns, map(_forecast_row, answers)
    )


def _forecast_row(answer: dict[str, Any]) -> dict[str, Any]:
    """A forecast as one flat record."""
    prediction: dict[str, Any] = answer["prediction"]
    return (
        {name: answer.get(name) for name in ("symbol", "as_of", "prediction_id")}
        | prediction
        | {"horizon": _ahead_of(prediction), "model": answer["model"]["name"]}
    )


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


def refused(settings: "Settings") -> DataTable:
    """Refused rows by reason."""
    found = rows(settings, "select reason, count(*) from quarantine group by reason order by 2 desc")
    return DataTable.of_tuples("\nRefused rows, kept in quarantine", (ShownColumn("reason", wraps=True), "rows"), found)


def _refused(settings: "Settings") -> DataTable | str:
    table = refused(settings)
    if not table.rows:
        (raw,) = rows(settings, "select count(*) from raw_bars")[0]
        return f"Refused rows: none among {raw:,} raw rows."
    return table


def _drift(settings: "Settings") -> str:
    from lake.tables import DRIFT

    if not Lake.open(settings).exists(DRIFT):
        return "Drift against the training years: not judged, too few sessions to compare."
    judged = rows(
        settings,
        "select subject, bool_or(is_drifted) from drift where event_time = (select max(event_time) from drift) "
        "group by subject",
    )
    drifted = sorted(subject for subject, is_drifted in judged if is_drifted)
    verdict = f"{len(drifted)} of {counted(len(judged), 'subject')} drifted"
    names = f": {', '.join(drifted)}" if drifted else ""
    page = settings.declared_market.command("drift")
    return f"Drift of features and forecasts against the training years: {verdict}{names}. Its page: `{page}`."


def _price(price: float) -> str:
    return f"{price:,.{2 if price < WIDE else 0}f}"


def _weights(weights: Mapping[str, float]) -> str:
    if max(weights.values()) - min(weights.values()) < EQUAL:
        return f"1/{len(weights)} each"
    ranked = sorted(weights.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {weight:.2f}" for name, weight in ranked if weight >= SHOWN)
