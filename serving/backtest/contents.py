"""What a report of a back-test holds: accounts, folds, capacity, null twins, universe, and remarks for a reader."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from serving.backtest import report, targets
from serving.backtest.accounts import AccountPath, figures_of
from serving.backtest.capacity import capacity_curve
from serving.backtest.evidence import BacktestEvidence
from serving.backtest.folds import Fold
from serving.backtest.prepared import Backtest
from serving.backtest.prices import ADJUSTED, AS_TRADED, BarPanel
from serving.backtest.report import EQUAL_WEIGHT, NAIVE, STRATEGY, instant_text
from serving.backtest.strategy_file import SELECTED


def content_of(test: Backtest, paths: Mapping[str, AccountPath], proof: BacktestEvidence) -> dict[str, Any]:
    """Return the report of a back-test as plain values.

    Parameters
    ----------
    paths
        Of each account.
    proof
        What the ledger says of it.
    """
    return {
        "accounts": _figures(test, paths, test.places),
        "folds": [_fold(test, paths, fold) for fold in test.folds],
        "capacity": asdict(capacity_curve(test.file.capacity, lambda equity: _sharpes(test, equity))),
        "shuffles": _shuffles(test),
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
    return test.sharpe(STRATEGY, capital=equity), test.sharpe(EQUAL_WEIGHT, capital=equity)


def _shuffles(test: Backtest) -> dict[str, Any]:
    """Sharpe ratios of null twins, and how many of them are at least the strategy's."""
    if not test.inputs.pool:
        return {
            "sharpes": [],
            "ahead": None,
            "remark": "The strategy reads no forecast, so there is nothing to shuffle.",
        }
    own = test.sharpe(STRATEGY)
    found = []
    for seed in range(test.file.shuffles):
        twin = targets.shuffled(test.inputs, seed)
        wanted = targets.strategy_targets(test.file, twin, test.panel, test.delisted_after)
        found.append(test.sharpe(STRATEGY, wanted))
    ahead = sum(1 for each in found if each is not None and own is not None and each >= own)
    if not found or own is None:
        return {"sharpes": found, "ahead": None, "remark": "No null twin was compared."}
    remark = (
        f"{ahead} of {len(found)} null twins on shuffled forecasts have at least the net Sharpe ratio of the strategy."
    )
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
        _matched(test, paths),
        f"What was decided at a close is traded at the {file.rebalancing.trade_at} of the next session, never before.",
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
    if file.pool == SELECTED:
        remarks.append("Weights of the selection count from the close at which each decision was known.")
    return remarks


def _matched(test: Backtest, paths: Mapping[str, AccountPath]) -> str:
    """Say what 1/N earned with as little, or as much, of its equity invested as the strategy had."""
    wanted = targets.matched_targets(test.targets[STRATEGY])
    exposure, sharpe = figures_of(paths[STRATEGY], paths[NAIVE], test.places).exposure, test.sharpe(STRATEGY, wanted)
    earned = np.prod(1 + test.net_returns(wanted)) - 1
    ratio = "" if sharpe is None else f", Sharpe {sharpe:.2f}"
    return (
        f"1/N with the strategy's share of equity invested at each close, {100 * exposure:.0f} % on average, earned "
        f"{100 * earned:+.2f} % net{ratio}."
    )
