"""What advice says: nothing from noise, nothing beyond a limit, nothing that was not known, nothing unstored."""

from mutant import Mutant

ADVICE = "tests/test_serving/test_advice.py"
RECORD = "tests/test_serving/test_advice_record.py"
ROUTES = "tests/test_serving/test_advice_routes.py"

MUTANTS = (
    Mutant(
        "advice-counts-later-outcomes",
        "Past calls are judged by outcomes that were known at the time of the question.",
        "serving/history/calls.py",
        'first.filter(pl.col("matured") <= at)',
        'first.filter(pl.col("matured").is_not_null())',
        (f"{RECORD}::test_an_outcome_that_became_known_later_is_not_counted",),
    ),
    Mutant(
        "advice-on-the-stated-median",
        "Advice rests on the median that earlier outcomes justify, so that a worthless model has no size.",
        "serving/advice/sizing.py",
        "    return math.copysign(min(size, abs(p50)), p50) if p50 else 0.0",
        "    return p50",
        (f"{ADVICE}::test_the_calibrated_median_is_the_median_where_it_is_trusted_and_none_where_it_is_not",),
    ),
    Mutant(
        "advice-on-unproven-calls",
        "Nothing is bought or sold on calls that chance explains.",
        "serving/advice/advising.py",
        '"unproven": not asked.record.is_proven,',
        '"unproven": False,',
        (f"{ADVICE}::test_the_rule_that_decides_is_told_in_a_sentence",),
    ),
    Mutant(
        "advice-ignores-costs",
        "Nothing is bought or sold whose expected move the costs of a round trip eat.",
        "serving/advice/advising.py",
        '"below_cost": abs(sizes.expected) <= asked.costs.round_trip,',
        '"below_cost": False,',
        (f"{ADVICE}::test_no_size_passes_a_bound_and_no_trade_is_said_that_costs_eat",),
    ),
    Mutant(
        "advice-on-a-stale-forecast",
        "A forecast that does not know the last bar leads to no trade.",
        "serving/advice/advising.py",
        '"stale": forecast.age_bars > 0,',
        '"stale": False,',
        (f"{ADVICE}::test_the_rule_that_decides_is_told_in_a_sentence",),
    ),
    Mutant(
        "advice-beyond-the-loss-budget",
        "The loss at the stop stays within its budget, costs and slippage included.",
        "serving/advice/sizing.py",
        "limits.stop_loss_budget * equity / loss_per_share",
        "1.1 * limits.stop_loss_budget * equity / loss_per_share",
        (f"{ADVICE}::test_the_loss_at_the_stop_stays_within_the_budget_on_paths_without_gaps",),
    ),
    Mutant(
        "advice-while-halted",
        "A halt of the switch is told at the next question, and nothing is advised to be traded.",
        "serving/advice/advising.py",
        '"halted": asked.gate.state == "halted",',
        '"halted": False,',
        (f"{ROUTES}::test_a_halt_is_told_at_the_next_question",),
    ),
    Mutant(
        "recommendation-answered-unlogged",
        "A recommendation is on disk before it is answered.",
        "serving/web/advising.py",
        "    log_recommendation(state.predictor.logged.configured, row, key_id=key_id)\n",
        "    _ = (log_recommendation, row, key_id)\n",
        (f"{ROUTES}::test_what_was_answered_is_on_disk_in_the_lake_and_in_the_receipt_of_its_forecast",),
    ),
    Mutant(
        "recommendation-told-to-another-key",
        "A recommendation holds a person's position and equity, and is told to the key that asked and to operators.",
        "serving/web/routes/recommendations.py",
        "or asker_of(configured, recommendation_id) == caller.key_id",
        "or bool(asker_of(configured, recommendation_id))",
        (f"{ROUTES}::test_a_recommendation_is_told_to_the_key_that_asked_and_to_operators",),
    ),
    Mutant(
        "desk-told-to-any-key",
        "What the desk decided is told to operators alone, also with the explanation of a recommendation.",
        "serving/web/explaining_advice.py",
        'if not caller.may("operator"):',
        'if not caller.may("read"):',
        (f"{ROUTES}::test_an_explanation_has_the_votes_of_the_same_close_for_operators_and_for_nobody_else",),
    ),
    Mutant(
        "explanation-told-to-another-key",
        "An explanation of a recommendation is told to the key that asked for it and to operators.",
        "serving/web/routes/recommendations.py",
        "or not _may_read(configured, caller, recommendation_id)",
        "or (_may_read is None)",
        (f"{ROUTES}::test_an_explanation_tells_what_was_stored_and_to_the_key_that_asked",),
    ),
    Mutant(
        "explanation-with-later-decisions",
        "An explanation of a recommendation has no decision of the desk that became known later.",
        "serving/desk/tables.py",
        "lake.read_as_of(spec, at, where=where)",
        "lake.read(spec, where=where)",
        (f"{ROUTES}::test_an_explanation_has_the_votes_of_the_same_close_for_operators_and_for_nobody_else",),
    ),
    Mutant(
        "recommendation-keeps-its-asker",
        "After a deletion of user data no file says whose key asked for a recommendation.",
        "serving/row_log/askers.py",
        'connection.executemany("DELETE FROM asked WHERE key_id = ?", [(key_id,) for key_id in key_ids])',
        "_ = list(key_ids)",
        (f"{RECORD}::test_what_a_key_asked_for_is_handed_over_and_forgotten_with_it",),
    ),
)
