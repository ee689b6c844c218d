"""Sessions that are not ideal: symbols without bars, decisions after the close, sources that publish late."""

from mutant import Mutant

HALTS = "tests/test_serving_feedback/test_halts.py"
DELAY = "tests/test_serving_feedback/test_decision_delay.py"

MUTANTS = (
    Mutant(
        "halted-position-traded",
        "A position is not traded while its symbol has no bar.",
        "serving/strategies/halts.py",
        "stays = ~is_quoted & (absent <= delisted_after)",
        "stays = ~is_quoted & False",
        (f"{HALTS}::test_a_halt_carries_the_position_and_books_the_loss_when_the_bar_comes",),
    ),
    Mutant(
        "halted-position-for-ever",
        "A position is closed after the declared number of sessions without a bar.",
        "serving/strategies/halts.py",
        "absent = np.where(is_quoted, 0, absent + 1)",
        "absent = np.where(is_quoted, 0, 1)",
        (f"{HALTS}::test_a_delisted_position_is_closed_at_its_last_close_after_the_declared_sessions",),
    ),
    Mutant(
        "halt-return-by-when-one-looks",
        "A bar that comes after the market has gone on is booked at the same session whenever one looks.",
        "serving/strategies/halts.py",
        'pl.col("gone_on").is_null() | (pl.col("known_time") <= pl.col("gone_on"))',
        "pl.lit(value=True)",
        (f"{HALTS}::test_a_bar_later_than_the_markets_next_is_booked_with_the_next_in_time_whenever_one_looks",),
    ),
    Mutant(
        "halted-forecast-pending-for-ever",
        "A forecast whose horizon ended without a bar is said to be beyond settling.",
        "serving/outcomes/matured_outcomes.py",
        "waiting=still.height - halted.height",
        "waiting=still.height",
        (f"{HALTS}::test_a_forecast_whose_horizon_ends_in_a_halt_is_said_to_be_beyond_settling",),
    ),
    Mutant(
        "could-not-is-not-done",
        "Where nothing could be forecast, it is not said that everything was.",
        "serving/backfill/walk_forward.py",
        "    if not waiting:\n",
        "    if True:\n",
        (f"{DELAY}::test_what_could_not_be_forecast_is_not_said_to_be_done",),
    ),
    Mutant(
        "scored-before-its-decision",
        "No session is forecast before its decision time.",
        "serving/backfill/walk_forward.py",
        "grid, now = lake.market.grid, clock.now() - lake.market.decided_after",
        "grid, now = lake.market.grid, clock.now()",
        (f"{DELAY}::test_the_newest_session_is_scored_from_stored_inputs_once_it_is_decided",),
    ),
    Mutant(
        "weights-known-at-the-close",
        "Weights learned from what was known at a decision are known from the decision on, not from the close.",
        "serving/blend_weights/learning.py",
        "close + market.decided_after, *map",
        "close, *map",
        (f"{DELAY}::test_decided_after_the_close_everything_is_as_of_a_source_known_at_the_close",),
    ),
    Mutant(
        "holiday-expires-values",
        "A value stays good while fewer than five sessions of the calendar have closed since.",
        "feature_repo/online/views.py",
        "return min(now - ttl, recent[-LEAST_SESSIONS]) if",
        "return now - ttl if",
        (
            "tests/test_feature_repo/test_online_views.py::test_a_value_is_good_for_a_week_and_for_the_sessions_of_the_calendar",
        ),
    ),
    Mutant(
        "fold-without-its-last-session",
        "A fold of a market without pauses holds its last session.",
        "training/data/splits.py",
        'ends = days.filter(pl.col("session").is_between',
        'ends = days.filter(pl.col("event_time").dt.date().is_between',
        ("tests/test_training/test_splits.py::test_a_fold_of_a_market_without_pauses_holds_each_of_its_days",),
    ),
    Mutant(
        "features-of-another-index",
        "Features are not continued for another index or calendar than they were made for.",
        "feature_repo/materialize/update.py",
        "        require_made_for(self.lake)\n",
        "",
        (
            "tests/test_feature_repo/test_made_for.py::test_another_index_or_calendar_is_refused_naming_both_and_the_way_out",
        ),
    ),
    Mutant(
        "two-markets-in-one-redis",
        "A market does not write to the Redis that holds another's values.",
        "feature_repo/online/claims.py",
        "if held is not None and held.decode() != name:",
        "if False:",
        ("tests/test_feature_repo/test_claims.py::test_the_first_market_holds_the_server_and_another_is_refused",),
    ),
    Mutant(
        "drift-of-the-known-only",
        "A feature that is no longer known has drifted.",
        "serving/drift/measure.py",
        "if shift is not None and abs(now.mean() - then.mean()) >= LEAST_CHANGE:",
        "if False:",
        ("tests/test_serving_feedback/test_drift.py::test_a_feature_that_is_no_longer_known_has_drifted",),
    ),
    Mutant(
        "close-asked-for-once",
        "A close whose bars are not there is asked for again, under a run key of its own.",
        "dagster_project/schedules.py",
        "elif attempt:",
        "elif False:",
        (
            "tests/test_dagster_project/test_automation.py::test_a_live_market_is_updated_after_each_close_a_bounded_number_of_times",
        ),
    ),
)
