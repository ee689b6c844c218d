"""Report of a back-test as plain values, and the check that no figure of it stands without its nulls."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from lake.errors import SchemaError
from lake.tables import BACKTEST_ACCOUNTS
from serving.backtest.accounts import TRADING_COSTS, AccountFigures

STRATEGY, EQUAL_WEIGHT, NAIVE = BACKTEST_ACCOUNTS
SECTIONS = ("accounts", "folds", "capacity", "shuffles", "universe", "evidence", "remarks")
"""What a report holds."""
OF_ACCOUNT = tuple(AccountFigures.__dataclass_fields__)


def figures_dict(figures: AccountFigures) -> dict[str, Any]:
    """Return the figures of an account as plain numbers."""
    values = asdict(figures)
    values["costs"] = {kind: float(value) for kind, value in figures.costs.items()}
    return values


def require_nulls(report: Mapping[str, Any]) -> None:
    """Refuse a report in which a figure of the strategy stands without those of 1/N and naive.

    Both must have been run by the same engine under the same costs: an account of 1/N that traded and paid nothing,
    while the strategy paid for trading, is refused too.

    Raises
    ------
    SchemaError
        Naming the section and the account that it lacks.

    Examples
    --------
    >>> require_nulls({"accounts": {"strategy": {}}})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    lake.errors.SchemaError: The report of a back-test lacks the sections folds, capacity, shuffles, ...
    """
    if missing := [name for name in SECTIONS if name not in report]:
        raise SchemaError(
            f"The report of a back-test lacks the sections {', '.join(missing)}. A result is shown with all of them or "
            "not at all; run the back-test again."
        )
    for where, accounts in [("the whole", report["accounts"]), *((fold["name"], fold) for fold in report["folds"])]:
        for name in BACKTEST_ACCOUNTS:
            if lacking := [key for key in OF_ACCOUNT if key not in (accounts.get(name) or {})]:
                raise SchemaError(
                    f"The report of a back-test lacks {', '.join(lacking)} of '{name}' in {where}. No figure of a "
                    "strategy is shown without 1/N and naive beside it; run the back-test again."
                )
    paid, of_equal = (
        sum(report["accounts"][name]["costs"][kind] for kind in TRADING_COSTS) for name in BACKTEST_ACCOUNTS[:2]
    )
    if paid > 0 and of_equal <= 0 and report["accounts"][EQUAL_WEIGHT]["turnover"] > 0:
        raise SchemaError(
            "The report of a back-test has 1/N trade for nothing while the strategy pays: both must be run under the "
            "same costs. Run the back-test again."
        )


def instant_text(at: datetime | None) -> str | None:
    """Return an instant as text that JSON holds and `datetime.fromisoformat` reads."""
    return None if at is None else at.isoformat()
