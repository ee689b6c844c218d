"""Table of recommendations: what was advised about a forecast, for which book, with its size and its reasons."""

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import CAUSAL, COUNT, FLAG, HORIZON, REAL, SYMBOL, TEXT

ACTIONS = ("buy", "hold", "sell")
RISK_TOLERANCES = ("low", "moderate", "high")
GATE_STATES = ("active", "reducing", "halted", "unknown")

RECOMMENDATIONS = TableSpec(
    name="recommendations",
    layer="decisions",
    meaning=(
        "What was advised: action, size, stop and reasons, from one forecast and the book that was named. One row per "
        "answer. Whose key asked is not in it (docs/advice.md)."
    ),
    key=("recommendation_id",),
    restates=False,
    by_year=True,
    withdrawable=True,
    ordered=(CAUSAL,),
    columns=(
        Column("recommendation_id", TEXT, "", "identifier given in the answer"),
        Column("forecast_id", TEXT, "", "forecast that it rests on"),
        SYMBOL,
        Column("event_time", INSTANT, "UTC", "as_of of the forecast"),
        Column("known_time", INSTANT, "UTC", "market time at which it was advised"),
        Column("made_at", INSTANT, "UTC", "wall-clock time at which it was advised"),
        HORIZON,
        Column("action", TEXT, "", "what was advised", allowed=ACTIONS),
        Column("reason", TEXT, "", "rule that decided the action"),
        Column(
            "quantity", REAL, "shares", "to trade, without sign; null where no size follows", nullable=True, minimum=0
        ),
        Column("current_position", REAL, "shares", "held when it was asked; below zero where sold short"),
        Column("target_position", REAL, "shares", "to hold afterwards; null where no size follows", nullable=True),
        Column(
            "bound_by", TEXT, "", "which limit of the size was the least; null where there was no size", nullable=True
        ),
        Column("direction", TEXT, "", "sign of the forecast's median", allowed=("up", "down", "flat")),
        Column("confidence", REAL, "probability", "that the return has that sign", minimum=0.5, maximum=1),
        Column("expected_return", REAL, "fraction", "calibrated median over the horizon"),
        Column("round_trip_cost", REAL, "fraction", "that it had to exceed", minimum=0),
        Column("naive_return", REAL, "fraction", "what the naive forecast expects, for comparison: no change"),
        Column("target_price", REAL, "currency", "null where no price is known", nullable=True, positive=True),
        Column("stop_loss", REAL, "currency", "null where nothing would be held", nullable=True, positive=True),
        Column("loss_at_stop", REAL, "currency", "costs included; null without a size", nullable=True, minimum=0),
        Column(
            "loss_budget", REAL, "currency", "that it had to stay within; null without equity", nullable=True, minimum=0
        ),
        Column(
            "equity",
            REAL,
            "currency",
            "of the account, as it was named; null where it was not",
            nullable=True,
            positive=True,
        ),
        Column("risk_tolerance", TEXT, "", "as it was named", allowed=RISK_TOLERANCES),
        Column("gate_state", TEXT, "", "of the risk gate; unknown before trading was released", allowed=GATE_STATES),
        Column("is_calibrated", FLAG, "", "whether the forecast was corrected by what came of earlier ones"),
        Column("age", COUNT, "bars", "bars that had closed since the forecast", minimum=0),
        Column("expires_at", INSTANT, "UTC", "close of the next bar, after which it must be asked anew"),
        Column("answer", TEXT, "", "the recommendation as it was answered, as JSON"),
    ),
)
