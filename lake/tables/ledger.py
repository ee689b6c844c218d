"""Tables of the trial ledger: every configuration that was scored, what it gained, and who opened a last test interval.

A decision rests on the best of several scores, so every one of them is counted (docs/ledger.md).
"""

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import COUNT, FLAG, REAL, RECOMPUTED, TEXT

TRIAL_KINDS = (
    "search",
    "walk_forward",
    "seed_choice",
    "strategy",
    "selection",
    "challenger",
    "backtest",
    "backtest_fold",
)
"""How a configuration came to a score."""

TRIAL_ID = Column("trial_id", TEXT, "", "SHA-256 of family, kind, subject, parameters, seed, data and code")
FAMILY = Column("family", TEXT, "", "question that the trial answers, e.g. 'lstm, forecast_v2, 1 session'")

TRIAL_LEDGER = TableSpec(
    name="trial_ledger",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning=(
        "Every configuration that was scored on data a decision can rest on, failed ones too (docs/ledger.md). One "
        "that gains further sessions has a row for each state; the newest one counts."
    ),
    key=("trial_id", "event_time"),
    restates=False,
    columns=(
        TRIAL_ID,
        Column("event_time", INSTANT, "UTC", "newest session scored; of a trial without one the market time"),
        Column("known_time", INSTANT, "UTC", "market time at which it was scored"),
        FAMILY,
        Column("kind", TEXT, "", "how it came to a score", allowed=TRIAL_KINDS),
        Column("subject", TEXT, "", "model, or strategy by its declared name"),
        Column("parameters", TEXT, "", "everything that was chosen, as JSON"),
        Column("seed", COUNT, "", "what random numbers were drawn from; null where none are", nullable=True),
        Column("score", REAL, "", "score of its own kind, e.g. a validation loss; null without one", nullable=True),
        Column("sharpe", REAL, "per session", "mean / deviation of its gains; null without a spread", nullable=True),
        Column("skewness", REAL, "", "of its gains", nullable=True),
        Column("kurtosis", REAL, "", "of its gains, 3 for a normal distribution", nullable=True, minimum=1 - 1e-9),
        Column("sessions", COUNT, "", "sessions with a gain", minimum=0),
        Column(
            "effective_sessions",
            REAL,
            "",
            "independent sessions that say as much about the mean (Bartlett kernel)",
            nullable=True,
            minimum=0,
        ),
        Column("is_failed", FLAG, "", "pruned, refused or ended by an error; it counts all the same"),
        Column("table_versions", TEXT, "", "versions of the tables that were read, as JSON"),
        Column(
            "code_version", TEXT, "", "SHA-256 of the code that decides the score; empty where gains are only added"
        ),
        Column("seconds", REAL, "s", "how long it took", minimum=0),
    ),
)

TRIAL_GAINS = TableSpec(
    name="trial_gains",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="What each trial of the ledger gained per session: less loss than naive, or net return.",
    key=("trial_id", "event_time"),
    restates=False,
    by_year=True,
    columns=(
        TRIAL_ID,
        Column("event_time", INSTANT, "UTC", "session: close that was forecast from, or at which positions were taken"),
        Column("known_time", INSTANT, "UTC", "market time at which it was scored"),
        Column("gain", REAL, "fraction", "naive's mean pinball loss less that of the trial, or net return"),
    ),
)

HOLDOUT_OPENINGS = TableSpec(
    name="holdout_openings",
    layer="decisions",
    meaning="Who looked at the last test interval of a family, and when: every look makes it less of a test.",
    key=("family", "event_time"),
    restates=False,
    ordered=(),
    columns=(
        FAMILY,
        Column("event_time", INSTANT, "UTC", "wall-clock time of the look"),
        Column("known_time", INSTANT, "UTC", "market time of the look"),
        Column("first_session", INSTANT, "UTC", "first session of the interval"),
        Column("last_session", INSTANT, "UTC", "last session of the interval"),
        Column("who", TEXT, "", "part of the platform that looked"),
        Column("table_versions", TEXT, "", "versions of the tables that were read, as JSON"),
        Column("reason", TEXT, "", "what for"),
    ),
)
