"""Risk: what may be ordered, who may trade now, and how much can be lost.

- `states`, `latch`, `switch`: the switch (active, reducing, halted) that every process sees, and how it changes
- `events`: its changes in the table `risk_events` and in the audit trail
- `alerts`: what is stopped, in the book of alerts
- `limits`, `exposures`, `gate`: declared limits, running figures of an account, and the verdict on one order
- `trips`, `guard`: losses that are confirmed by three quotes, and gate, switch and trips together
- `report`, `figures`: risk of the book in force, with limits used
- `tail`, `tail_tests`: value at risk and expected shortfall, and whether they held
"""

from serving.risk.alerts import deliver_round, raise_switch_alerts
from serving.risk.events import newest_events, settle
from serving.risk.exposures import RiskAccount, SymbolRisk
from serving.risk.figures import show_risk, update_risk_figures
from serving.risk.gate import Verdict, judge
from serving.risk.guard import RiskGuard
from serving.risk.latch import read_latch
from serving.risk.limits import Bound, Limits, limits_of, parse_limits
from serving.risk.report import LimitUse, RiskReport, TailLine, risk_report
from serving.risk.states import EVERYTHING, Restriction, Scope, SwitchReading, SwitchState
from serving.risk.switch import restrict, resume
from serving.risk.tail import (
    LEAST_SESSIONS,
    WARM_UP_SESSIONS,
    TailRisk,
    expected_volatility,
    filtered_scenarios,
    tail_forecasts,
    tail_of,
)
from serving.risk.tail_tests import CoverageTest, acerbi_szekely, christoffersen, kupiec
from serving.risk.trips import Breach, LossWatch

__all__ = [
    "EVERYTHING",
    "LEAST_SESSIONS",
    "WARM_UP_SESSIONS",
    "Bound",
    "Breach",
    "CoverageTest",
    "LimitUse",
    "Limits",
    "LossWatch",
    "Restriction",
    "RiskAccount",
    "RiskGuard",
    "RiskReport",
    "Scope",
    "SwitchReading",
    "SwitchState",
    "SymbolRisk",
    "TailLine",
    "TailRisk",
    "Verdict",
    "acerbi_szekely",
    "christoffersen",
    "deliver_round",
    "expected_volatility",
    "filtered_scenarios",
    "judge",
    "kupiec",
    "limits_of",
    "newest_events",
    "parse_limits",
    "raise_switch_alerts",
    "read_latch",
    "restrict",
    "resume",
    "risk_report",
    "settle",
    "show_risk",
    "tail_forecasts",
    "tail_of",
    "update_risk_figures",
]
