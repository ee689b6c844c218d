"""Table of explanations: what was said about a stored forecast, in numbers and in words; append-only."""

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import CAUSAL, COUNT, REAL, TEXT

EXPLANATIONS = TableSpec(
    name="explanations",
    layer="decisions",
    meaning=(
        "What was said about a stored forecast: contributions to all of its quantities from one computation, or a text "
        "with the facts that it cites from. One row per computation; an answer from memory adds none."
    ),
    key=("explanation_id",),
    restates=False,
    by_year=True,
    withdrawable=True,
    ordered=(CAUSAL,),
    columns=(
        Column("explanation_id", TEXT, "", "identifier given in the answer; of a text, the id of its job"),
        Column("forecast_id", TEXT, "", "forecast that it explains"),
        Column("event_time", INSTANT, "UTC", "as_of of the forecast"),
        Column("known_time", INSTANT, "UTC", "market time at which it was computed"),
        Column("made_at", INSTANT, "UTC", "wall-clock time at which it was computed"),
        Column(
            "method", TEXT, "", "how it was computed", allowed=("shapley", "lime", "integrated_gradients", "narrative")
        ),
        Column("depth", TEXT, "", "how much was computed", allowed=("fast", "detailed", "medium", "deep")),
        Column("grain", TEXT, "", "what is a player: feature or group; null for a text", nullable=True),
        Column(
            "values",
            TEXT,
            "",
            "as JSON, by quantity (p10, p50, p90, width) its base value, value and contributions, in fractions of the "
            "reference price; of a text, the numbered facts that its sentences cite from",
        ),
        Column("base_value", REAL, "fraction", "base value of the median; null for a text", nullable=True),
        Column(
            "additivity_error",
            REAL,
            "fraction",
            "largest distance of base value plus contributions from the value; null for a text",
            nullable=True,
            minimum=0,
        ),
        Column(
            "background_hash",
            TEXT,
            "",
            "hash of the typical windows; of several sets, sorted and joined by commas; null for a text",
            nullable=True,
        ),
        Column(
            "engine_digest",
            TEXT,
            "",
            "SHA-256 of the model files, sorted and joined by commas; null for a text",
            nullable=True,
        ),
        Column("text", TEXT, "", "the sentences that passed the check; null for numbers", nullable=True),
        Column("sentences", TEXT, "", "the same with what each cites, as JSON; null for numbers", nullable=True),
        Column("sources", TEXT, "", "passages that were found, as JSON; null for numbers", nullable=True),
        Column("writer", TEXT, "", "template or model; null for numbers", nullable=True),
        Column("dropped", COUNT, "", "sentences that failed the check; null for numbers", nullable=True, minimum=0),
        Column("seconds", REAL, "s", "that it took", minimum=0),
    ),
)
