"""Risk: what may be ordered, who may trade now, and how much can be lost.

- `states`, `latch`, `switch`: the switch (active, reducing, halted) that every process sees, and how it changes
- `events`: its changes in the table `risk_events` and in the audit trail
"""

from serving.risk.events import newest_events, settle
from serving.risk.latch import read_latch
from serving.risk.states import EVERYTHING, Restriction, Scope, SwitchReading, SwitchState
from serving.risk.switch import restrict, resume

__all__ = [
    "EVERYTHING",
    "Restriction",
    "Scope",
    "SwitchReading",
    "SwitchState",
    "newest_events",
    "read_latch",
    "restrict",
    "resume",
    "settle",
]
