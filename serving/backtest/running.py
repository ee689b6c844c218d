"""A back-test from a strategy file to its rows in the lake: run, recorded in the ledger, scored, stored."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.clock import Clock
from lake.ledger import TrialLedger
from lake.membership import survivorship_of
from lake.sources import caveats_now
from lake.store import Lake
from lake.tables import ACTIONS, BACKTEST_FILLS, BACKTEST_SESSIONS, BACKTESTS, BARS, FORECASTS
from serving.backtest import evidence, report
from serving.backtest.accounts import COST_KINDS, AccountPath
from serving.backtest.contents import content_of
from serving.backtest.prepared import Backtest, code_digest, prepare
from serving.backtest.reading import BacktestRecord, record_of
from serving.backtest.report import EQUAL_WEIGHT, NAIVE, STRATEGY
from serving.backtest.strategy_file import StrategyFile

if TYPE_CHECKING:
    from lake.settings import Settings

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    """Say nothing."""


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
    progress(
        f"trading {len(test.panel.sessions) - 1} sessions of {len(test.panel.symbols)} symbols, 1/N and naive beside"
    )
    paths = {name: test.run(name) for name in test.targets}
    ledger = TrialLedger(lake, now, table_versions=versions)
    family = evidence.family_of_market(lake.market.name)
    proof = _record_and_prove(lake, ledger, test, paths, family)
    progress(f"{file.shuffles} null twins on shuffled forecasts, and {len(file.capacity)} sizes of equity")
    content = content_of(test, paths, proof)
    content["universe"]["remark"] = survivorship_of(lake, now)
    content["remarks"] += [text for text in caveats_now(settings) if text not in content["universe"]["remark"]]
    report.require_nulls(content)
    row = _row(test, content, now, versions) | {"seconds": time.perf_counter() - started}
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


def _row(test: Backtest, content: Mapping[str, Any], now: datetime, versions: Mapping[str, int]) -> dict[str, Any]:
    own, equal, naive = (content["accounts"][name] for name in (STRATEGY, EQUAL_WEIGHT, NAIVE))
    proof, panel = content["evidence"], test.panel
    return {
        "backtest_id": test.backtest_id,
        "event_time": panel.sessions[-1],
        "known_time": now,
        "ran_at": datetime.now(UTC),
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


def _store(lake: Lake, test: Backtest, paths: Mapping[str, AccountPath], row: Mapping[str, Any], now: datetime) -> None:
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
