"""Opening an account on paper."""

from typing import TYPE_CHECKING

from lake import calendars
from lake.disk import file_lock
from lake.errors import NotReadyError
from serving.desk.account import PAPER, DeskAccount
from serving.desk.deciding import DeskLimits
from serving.desk.rules import DeskRules
from serving.desk.session import journal_of
from serving.desk.sqlite import LOCK_FILE
from serving.risk import limits_of

if TYPE_CHECKING:
    from datetime import datetime

    from lake.market import Market
    from lake.settings import Settings

CAPITAL = 1_000_000.0


def open_desk(
    configured: "Settings", market: "Market", now: "datetime", *, by: str, capital: float = CAPITAL, name: str = PAPER
) -> DeskAccount:
    """Open an account on paper; its first session is the newest close, and its first orders trade in the next one.

    Symbols that the risk limits of the home restrict are restricted for its decisions too.

    Parameters
    ----------
    by
        Who answers for it.
    capital
        Cash it begins with, in the currency of the market.

    Raises
    ------
    ConflictError
        If there is one of that name.
    NotReadyError
        If the market has no two sessions yet.
    """
    newest = calendars.last_close(now - market.decided_after, market.grid)
    before = None if newest is None else calendars.close_before(newest, 1, market.grid)
    if before is None:
        raise NotReadyError("The market has no two sessions yet, so no account can be opened.")
    limits = limits_of(configured)
    account = DeskAccount(
        name,
        before,
        capital,
        by,
        rules=DeskRules(restricted=tuple(sorted(limits.restricted))),
        limits=DeskLimits(lot_shares=limits.lot_shares),
    )
    with file_lock(configured.home / LOCK_FILE, "The desk"):
        journal_of(configured).open_account(account)
    return account
