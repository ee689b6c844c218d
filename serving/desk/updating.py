"""The desk after each session: run once, drained into the tables, and compared with a back-test."""

import time
from typing import TYPE_CHECKING

from lake.report import Report
from lake.tables import EQUITY
from serving.desk.draining import drain_desk
from serving.desk.reconciling import reconcile_desk
from serving.desk.session import PaperDesk, journal_of

if TYPE_CHECKING:
    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake

NO_DESK = 'no account is open; `quantlake desk start --by NAME "reason"` opens one'


def update_desk(lake: "Lake", configured: "Settings", clock: "Clock") -> Report:
    """Run every account of the desk once for the newest close, and bring its rows into the tables.

    Returns
    -------
    Report
        Of `equity`; skipped where no account is open or nothing was new. ``details`` count decisions, orders that were
        sent and orders that the risk gate kept back, and hold the equity beside that of 1/N.
    """
    started, journal = time.perf_counter(), journal_of(configured)
    accounts = journal.accounts()
    if not accounts:
        return Report(EQUITY.name, skipped=True).with_details(reason=NO_DESK)
    runs = [PaperDesk(lake, configured, clock, account).run() for account in accounts]
    report = drain_desk(lake, journal).with_details(seconds=time.perf_counter() - started)
    last = [journal.last_row(EQUITY, account.name) for account in accounts]
    shown = {
        row["account"]: {"equity": row["equity"], "equal_weight": row["equal_weight_equity"], "costs": row["costs"]}
        for row in last
        if row is not None
    }
    reasons = "; ".join(run.reason for run in runs if run.reason)
    report = report.with_details(
        decisions=sum(run.decisions for run in runs),
        orders=sum(run.orders for run in runs),
        stopped=sum(run.stopped for run in runs),
        accounts=shown,
    )
    return report.with_details(reason=reasons) if reasons else report


def update_reconciliation(lake: "Lake", configured: "Settings", clock: "Clock") -> Report:
    """Compare every account of the desk with a back-test over its paper period, fill by fill.

    Returns
    -------
    Report
        ``details`` count fills that were compared; each difference is a warning.
    """
    started, journal = time.perf_counter(), journal_of(configured)
    accounts = journal.accounts()
    name = "reconciliation"
    if not accounts:
        return Report(name, skipped=True).with_details(reason=NO_DESK)
    found = [reconcile_desk(lake, configured, clock, account) for account in accounts]
    fills = sum(each.fills for each in found)
    warnings = tuple(difference.sentence for each in found for difference in each.differences)
    report = Report(name, rows=fills, seconds=time.perf_counter() - started)
    details = {
        "sessions": sum(each.sessions for each in found),
        "fills": fills,
        "decisions": sum(e.decisions for e in found),
    }
    report = report.with_details(warnings=warnings, **details)
    if not fills and not warnings:
        return report.with_details(reason="no order was filled yet: sessions and decisions alone were compared")
    return report
