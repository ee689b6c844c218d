"""Tables of the risk gate: who was stopped, by whom or by which limit, and who resumed (docs/risk.md)."""

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import COUNT, REAL, TEXT

RISK_EVENT_KINDS = ("halt", "trip", "resume")
"""A person's halt, a limit's trip, a person's resume."""
SWITCH_STATES = ("active", "reducing", "halted")

RISK_EVENTS = TableSpec(
    name="risk_events",
    layer="decisions",
    meaning="Every change of the trading switch: who or which limit made it, why, and by how much (docs/risk.md).",
    key=("event_id",),
    restates=False,
    ordered=(),
    columns=(
        Column("event_id", TEXT, "", "random name of the event"),
        Column("event_time", INSTANT, "UTC", "wall-clock time at which it happened"),
        Column("known_time", INSTANT, "UTC", "the same"),
        Column("kind", TEXT, "", "what happened", allowed=RISK_EVENT_KINDS),
        Column("scope", TEXT, "", "whom it concerns, e.g. account:* or symbol:KO"),
        Column("limit", TEXT, "", "limit that tripped, by its declared name; empty where a person acted"),
        Column("used", REAL, "", "figure that was measured, in the unit of the limit; null without one", nullable=True),
        Column("hard", REAL, "", "hard value of the limit then; null without one", nullable=True),
        Column("state_before", TEXT, "", "state of the scope before", allowed=SWITCH_STATES),
        Column("state_after", TEXT, "", "state of the scope after", allowed=SWITCH_STATES),
        Column("confirmations", COUNT, "", "distinct quotes that confirmed a trip; 0 otherwise", minimum=0),
        Column("who", TEXT, "", "person, pseudonym of an API key, or part of the platform"),
        Column("reason", TEXT, "", "why, on one line"),
    ),
)
