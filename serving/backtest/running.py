"""A back-test from a strategy file to its rows in the lake: run, recorded in the ledger, scored, stored."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from lake.clock import Clock
from lake.errors import ConfigError
from lake.execution import TradedPanel
from lake.ledger import TrialLedger
from lake.membership import survivorship_of
from lake.sources import caveats_now
from lake.store import Lake
from lake.tables import ACTIONS, BACKTEST_FILLS, BACKTEST_SESSIONS, BACKTESTS, BARS, FORECASTS
from serving.backtest import evidence, report, targets
from serving.backtest.accounts import COST_KINDS, AccountPath, figures_of, run_account, traded_market
from serving.backtest.capacity import capacity_curve
from serving.backtest.folds import Fold, first_session, folds_of, learnt_until, newest_labels
from serving.backtest.prices import ADJUSTED, AS_TRADED, BarPanel, FloatArray, read_bars
from serving.backtest.reading import BacktestRecord, record_of
from serving.backtest.report import EQUAL_WEIGHT, NAIVE, STRATEGY, instant_text
from serving.backtest.strategy_file import StrategyFile
from serving.strategies import sharpe_of

if TYPE_CHECKING:
    from lake.settings import Settings

ROOT = Path(__file__).parents[2]
DECIDES = ("serving/backtest", "serving/strategies", "lake/execution")
"""Folders whose code decides the result of a back-test."""
Progress = Callable[[str], None]


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Backtest:
    """A strategy file with all that it is run on.

    Parameters
    ----------
    file
        What is run.
    inputs, panel
        Forecasts and bars.
    folds
        Of the sessions of `panel`.
    grid
        Of the market's bars.
    delisted_after
        Sessions without a bar after which a symbol counts as delisted.
    """

    file: StrategyFile
    inputs: targets.TargetInputs
    panel: BarPanel
    folds: tuple[Fold, ...]
    grid: str
    delisted_after: int

    @cached_property
    def targets(self) -> dict[str, FloatArray]:
        """Target weights of each account ``[session, symbol]``."""
        return {
            STRATEGY: targets.strategy_targets(self.file, self.inputs, self.panel, self.delisted_after),
            EQUAL_WEIGHT: targets.equal_weight_targets(self.file, self.panel),
            NAIVE: targets.naive_targets(self.panel),
        }

    @cached_property
    def places(self) -> list[int]:
        """Sessions that are scored."""
        return [place for fold in self.folds for place in fold.scored]

    @cached_property
    def backtest_id(self) -> str:
        """Identifier: the same file on the same bars and targets by the same code is the same back-test."""
        digest = hashlib.sha256(json.dumps([self.file.text, code_digest(), list(self.panel.symbols)]).encode())
        for session in self.panel.sessions:
            digest.update(session.isoformat().encode())
        for name in ("open", "high", "low", "close", "volume", "volatility", "split_ratio", "dividend", "delisted"):
            digest.update(np.ascontiguousarray(getattr(self.panel, name)).tobytes())
        digest.update(np.ascontiguousarray(self.targets[STRATEGY]).tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def market(self) -> TradedPanel:
        """The bars as the engine takes them."""
        return traded_market(self.panel, self.file.declared_daily_value)

    def run(self, name: str, wanted: FloatArray | None = None, capital: float | None = None) -> AccountPath:
        """Trade an account, by default on its own targets and with the capital of the file."""
        return run_account(
            name,
            self.market,
            self.targets[name] if wanted is None else wanted,
            self.file.costs,
            capital or self.file.capital,
            self.file.rebalancing.trade_at,
        )

    def sharpe(self, path: AccountPath, cash: AccountPath) -> float | None:
        """Sharpe ratio per year of an account above cash over the scored sessions."""
        places = np.array(self.places, dtype=np.int64) - 1
        return sharpe_of((path.net - cash.net)[places], self.grid)


def prepare(lake: Lake, models: Path, clock: Clock, file: StrategyFile) -> Backtest:
    """Return a strategy file with the forecasts, bars and folds that it is run on.

    Raises
    ------
    NotReadyError
        If there are no forecasts, or no sessions beyond the embargo.
    LookAheadError
        If a forecast is not out of sample.
    ConfigError
        If it is to trade at the open of bars that have none, or names a horizon that the market does not forecast.
    """
    inputs = targets.read_inputs(lake, clock, file)
    market, plan = lake.market, file.folds
    newest = newest_labels(inputs.origins, learnt_until(models, inputs.origins))
    universe = targets.universe_of(file, inputs)
    first = first_session(inputs.forecasts["event_time"].unique().sort().to_list(), newest, plan, market.grid)
    panel = read_bars(lake, universe, first, clock.now())
    if file.rebalancing.trade_at == "open":
        lacking = [s for n, s in enumerate(panel.symbols) if np.isnan(panel.open[panel.has_bar[:, n], n]).any()]
        if lacking:
            raise ConfigError(
                f"Back-test '{file.name}' trades at the open, and {len(lacking)} of {len(panel.symbols)} symbols have "
                f"bars without one: {', '.join(lacking[:5])}. Declare `rebalancing: {{trade_at: close}}` or a universe."
            )
    folds = tuple(folds_of(panel.sessions, newest, plan, market.grid))
    return Backtest(file, inputs, panel, folds, market.grid, market.delisted_after_bars)


def run_backtest(
    lake: Lake, settings: "Settings", clock: Clock, file: StrategyFile, progress: Progress = _silent
) -> BacktestRecord:
    """Back-test a strategy, and return its record once it is in the ledger and in the lake.

    A back-test that is stored is not run again: the same file on the same bars and forecasts has the same result.

    Parameters
    ----------
    settings
        Where the exported models lie, whose signatures say until when they learnt.
    progress
        Called with a sentence when a part begins.
    """
    started = time.perf_counter()
    progress("reading forecasts and bars")
    test = prepare(lake, settings.models, clock, file)
    if (known := _stored(lake, test.backtest_id)) is not None:
        progress("the same back-test is stored; it is not run again")
        return known
    now, versions = clock.now(), lake.versions([spec for spec in (BARS, ACTIONS, FORECASTS) if lake.exists(spec)])
    progress(f"trading {len(test.panel.sessions) - 1} sessions of {len(test.panel.symbols)} symbols, 1/N and naive beside")
    paths = {name: test.run(name) for name in test.targets}
    ledger = TrialLedger(lake, now, table_versions=versions)
    family = evidence.family_of_market(lake.market.name)
    proof = _record_and_prove(lake, ledger, test, paths, family)
    progress(f"{file.shuffles} null twins on shuffled forecasts, and {len(file.capacity)} sizes of equity")
    content = _content(test, paths, proof)
    content["universe"]["remark"] = survivorship_of(lake, now)
    content["remarks"] += [text for text in caveats_now(settings) if text not in content["universe"]["remark"]]
    report.require_nulls(content)
    row = _row(test, paths, content, now, versions) | {"seconds": time.perf_counter() - started}
    _store(lake, test, paths, row, now)
    return record_of(row)


def _stored(lake: Lake, backtest_id: str) -> BacktestRecord | None:
    if not lake.exists(BACKTESTS):
        return None
    rows = lake.read(BACKTESTS, where=pl.col("backtest_id") == backtest_id)
    return record_of(rows.row(0, named=True)) if rows.height else None


def _record_and_prove(
    lake: Lake, ledger: TrialLedger, test: Backtest, paths: Mapping[str, AccountPath], family: str
) -> evidence.BacktestEvidence:
    """Write the trials of the strategy and of 1/N into the ledger, and return what it says then."""
    cash, folds = paths[NAIVE], test.folds
    equal = StrategyFile(
        **{
            **test.file.model_dump(exclude={"pool", "members", "weights", "equal_weight", "name", "costs"}),
            "name": EQUAL_WEIGHT,
            "equal_weight": True,
            "costs": test.file.costs,
        }
    )
    for name, file in ((STRATEGY, test.file), (EQUAL_WEIGHT, equal)):
        trials = evidence.trials_of(family, file, paths[name], cash, folds, test.grid)
        if name == STRATEGY:
            evidence.record(ledger, family, trials, folds, paths[name], test.file.name)
        else:
            ledger.record(trials)
    gains = evidence.excess_gains(paths[STRATEGY], cash, test.places)
    return evidence.evidence_of(lake, ledger.now, family, gains)


def _content(test: Backtest, paths: Mapping[str, AccountPath], proof: evidence.BacktestEvidence) -> dict[str, Any]:
    """Everything of a report but what needs the lake."""
    return {
        "accounts": _figures(test, paths, test.places),
        "folds": [_fold(test, paths, fold) for fold in test.folds],
        "capacity": asdict(capacity_curve(test.file.capacity, lambda equity: _sharpes(test, equity))),
        "shuffles": _shuffles(test, paths),
        "universe": _universe(test.panel),
        "evidence": asdict(proof),
        "refused": {name: dict(path.refused) for name, path in paths.items() if path.refused},
        "remarks": _remarks(test, paths),
    }


def _figures(test: Backtest, paths: Mapping[str, AccountPath], places: Sequence[int]) -> dict[str, Any]:
    return {
        name: report.figures_dict(figures_of(path, paths[NAIVE], places, test.grid)) for name, path in paths.items()
    }


def _fold(test: Backtest, paths: Mapping[str, AccountPath], fold: Fold) -> dict[str, Any]:
    sessions = test.panel.sessions
    return {
        "name": fold.name,
        "first_session": instant_text(sessions[fold.first]),
        "last_session": instant_text(sessions[fold.last]),
        "sessions": len(fold.scored),
        "learnt_until": instant_text(fold.learnt_until),
        "gap_sessions": fold.gap_sessions,
        "embargoed": len(fold.embargoed),
        **_figures(test, paths, fold.scored),
    }


def _sharpes(test: Backtest, equity: float) -> tuple[float | None, float | None]:
    cash = test.run(NAIVE, capital=equity)
    return (
        test.sharpe(test.run(STRATEGY, capital=equity), cash),
        test.sharpe(test.run(EQUAL_WEIGHT, capital=equity), cash),
    )


def _shuffles(test: Backtest, paths: Mapping[str, AccountPath]) -> dict[str, Any]:
    """Sharpe ratios of null twins, and how many of them are at least the strategy's."""
    if not test.inputs.pool:
        return {"sharpes": [], "ahead": None, "remark": "The strategy reads no forecast, so there is nothing to shuffle."}
    own = test.sharpe(paths[STRATEGY], paths[NAIVE])
    found = []
    for seed in range(test.file.shuffles):
        twin = targets.shuffled(test.inputs, seed)
        wanted = targets.strategy_targets(test.file, twin, test.panel, test.delisted_after)
        found.append(test.sharpe(test.run(STRATEGY, wanted), paths[NAIVE]))
    ahead = sum(1 for each in found if each is not None and own is not None and each >= own)
    if not found or own is None:
        return {"sharpes": found, "ahead": None, "remark": "No null twin was compared."}
    remark = f"{ahead} of {len(found)} null twins on shuffled forecasts have at least the net Sharpe ratio of the strategy."
    return {"sharpes": found, "ahead": ahead, "remark": remark}


def _universe(panel: BarPanel) -> dict[str, Any]:
    last = np.where(panel.has_bar.any(axis=0), len(panel.sessions) - 1 - panel.has_bar[::-1].argmax(axis=0), -1)
    return {
        "listed": [
            {
                "symbol": symbol,
                "first_bar": instant_text(panel.sessions[first]) if first < len(panel.sessions) else None,
                "last_bar": instant_text(panel.sessions[end]) if end >= 0 else None,
                "is_delisted": bool(gone >= 0),
                "prices": basis,
            }
            for symbol, first, end, gone, basis in zip(
                panel.symbols, panel.listed, last, panel.delisted, panel.basis, strict=True
            )
        ],
        "delisted": int((panel.delisted >= 0).sum()),
    }


def _remarks(test: Backtest, paths: Mapping[str, AccountPath]) -> list[str]:
    """Say what a reader has to know of how the result came about."""
    file, panel = test.file, test.panel
    adjusted, every = panel.basis.count(ADJUSTED), len(panel.symbols)
    remarks = [
        f"What was decided at a close is traded at the {file.rebalancing.trade_at} of the next session, never at that "
        "close.",
    ]
    if adjusted:
        remarks.append(
            f"{adjusted} of {every} symbols are held at adjusted prices, because their source has no prices as traded: "
            "their dividends count as reinvested without cost. "
            f"{panel.basis.count(AS_TRADED)} are held as traded, with splits and dividends."
        )
    missing = int((np.isnan(panel.volume) & panel.has_bar).any(axis=0).sum())
    if missing and file.declared_daily_value is not None:
        remarks.append(
            f"{missing} of {every} symbols have bars without volume; {file.declared_daily_value:,.0f} traded a day "
            "is assumed for them, so impact and capacity rest on that assumption."
        )
    if refused := sum(paths[STRATEGY].refused.values()):
        reasons = "; ".join(f"{count} times: {reason}" for reason, count in paths[STRATEGY].refused.items())
        remarks.append(f"{refused} orders of the strategy were refused: {reasons}.")
    if unknown := [fold.name for fold in test.folds if fold.learnt_until is None]:
        remarks.append(
            f"Until when the models of the folds {', '.join(unknown)} learnt is not known: their files are not there "
            "any more. That their forecasts were out of sample is stated by the replay, not checked here."
        )
    if file.pool == "selected":
        remarks.append("Weights of the selection count from the close at which each decision was known.")
    return remarks


def _row(
    test: Backtest,
    paths: Mapping[str, AccountPath],
    content: Mapping[str, Any],
    now: datetime,
    versions: Mapping[str, int],
) -> dict[str, Any]:
    own, equal, naive = (content["accounts"][name] for name in (STRATEGY, EQUAL_WEIGHT, NAIVE))
    proof, panel = content["evidence"], test.panel
    return {
        "backtest_id": test.backtest_id,
        "event_time": panel.sessions[-1],
        "known_time": now,
        "strategy": test.file.name,
        "held": test.file.described,
        "strategy_file": test.file.text,
        "first_session": panel.sessions[0],
        "sessions": len(panel.sessions) - 1,
        "symbols": len(panel.symbols),
        "delisted": content["universe"]["delisted"],
        "capital": test.file.capital,
        "net_return": own["net_return"],
        "gross_return": own["gross_return"],
        **{f"cost_{kind}": own["costs"][kind] for kind in COST_KINDS},
        "sharpe": own["sharpe"],
        "drawdown": own["drawdown"],
        "turnover": own["turnover"],
        "exposure": own["exposure"],
        "equal_weight_net_return": equal["net_return"],
        "equal_weight_sharpe": equal["sharpe"],
        "equal_weight_drawdown": equal["drawdown"],
        "equal_weight_turnover": equal["turnover"],
        "naive_net_return": naive["net_return"],
        "gain_on_equal_weight": own["net_return"] - equal["net_return"],
        **{name: proof[name] for name in ("effective_sessions", "trials", "dsr", "pbo", "pbo_low", "pbo_high")},
        "holdout_openings": proof["openings"],
        "shuffles": len(content["shuffles"]["sharpes"]),
        "shuffles_ahead": content["shuffles"]["ahead"],
        "capacity": content["capacity"]["crossing"],
        "report": json.dumps(content),
        "table_versions": json.dumps(dict(versions)),
        "code_version": code_digest(),
    }


def _store(
    lake: Lake, test: Backtest, paths: Mapping[str, AccountPath], row: Mapping[str, Any], now: datetime
) -> None:
    """Write sessions and fills before the row that names them, so that a stored back-test is complete."""
    known = pl.lit(now, BACKTESTS.schema["known_time"]).alias("known_time")
    name = pl.lit(test.backtest_id).alias("backtest_id")
    curves = pl.concat(
        pl.DataFrame(
            {
                "account": [account] * len(path.sessions),
                "event_time": path.sessions,
                "equity": path.equity,
                "gross_equity": path.gross_equity,
                "turnover": path.traded,
                "exposure": path.exposure,
            },
            schema_overrides={"event_time": BACKTEST_SESSIONS.schema["event_time"]},
        )
        for account, path in paths.items()
    )
    lake.merge_unstored(BACKTEST_SESSIONS, curves.with_columns(name, known).select(BACKTEST_SESSIONS.names))
    fills = paths[STRATEGY].fills
    if fills.height:
        lake.merge_unstored(BACKTEST_FILLS, fills.with_columns(name, known).select(BACKTEST_FILLS.names))
    lake.merge_unstored(BACKTESTS, pl.DataFrame([row], schema=BACKTESTS.schema))


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the SHA-256 of the code that decides the result of a back-test."""
    digest = hashlib.sha256()
    for folder in DECIDES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
