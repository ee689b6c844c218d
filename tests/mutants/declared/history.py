"""What was known at an instant, whose watch list it is, and how far a token reaches."""

from mutant import Mutant

HISTORY = "tests/test_serving_feedback/test_history.py"
CUT_OFF = f"{HISTORY}::test_cutting_off_the_future_changes_no_answer_and_nothing_was_known_later"
REPLAYED = "tests/test_serving_feedback/test_replayed_bands.py"
ROUTES = "tests/test_serving/test_history_routes.py"
OWN_VALUES = "tests/test_serving/test_own_values.py"
USER_DATA = "tests/test_serving/test_access_user_data.py"
SIZES = "tests/test_serving_feedback/test_company_size.py"
FOLLOWING = "tests/test_serving/test_pages_following.py"
ADMIN = "tests/test_serving/test_administration.py"

MUTANTS = (
    Mutant(
        "history-later-rows",
        "No answer about history holds a row that became known after its instant.",
        "serving/history/known.py",
        "known = rows.filter(was_known(at))",
        "known = rows",
        (CUT_OFF,),
    ),
    Mutant(
        "history-later-outcomes",
        "A record of bands counts no outcome that became known after its instant.",
        "serving/history/calibration.py",
        "outcomes.filter(was_known(at))",
        "outcomes",
        (CUT_OFF,),
    ),
    Mutant(
        "history-later-watch-list",
        "A watch list shows no forecast that was made after its instant.",
        "serving/history/watch_list.py",
        'rows.filter(was_known(at), pl.col("event_time") > at - LOOK_BACK)',
        'rows.filter(pl.col("event_time") > at - LOOK_BACK)',
        (CUT_OFF,),
    ),
    Mutant(
        "history-later-latencies",
        "No time to answer is told of a forecast that became known after its instant.",
        "serving/history/latency.py",
        "filter(made_by(None), was_known(at), is_timed)",
        "filter(made_by(None), is_timed)",
        (CUT_OFF,),
    ),
    Mutant(
        "history-later-badges",
        "The badge of a symbol in a watch list counts no outcome that became known after its instant.",
        "serving/history/watch_list.py",
        "held_by_symbol(answered.filter(was_known(at)))",
        "held_by_symbol(answered)",
        (CUT_OFF,),
    ),
    Mutant(
        "history-replay-later-weights",
        "What the blend would have answered at a close is made of weights that were known at it.",
        "serving/forecasts/replays.py",
        'strategy="backward",',
        'strategy="forward", allow_exact_matches=False,',
        (f"{REPLAYED}::test_the_record_is_that_of_the_bands_made_of_what_was_known_at_each_close",),
    ),
    Mutant(
        "history-replay-later-outcomes",
        "The record of the blend in replay counts no outcome that became known after its instant.",
        "serving/history/replayed_bands.py",
        'pl.max_horizontal("known_time", "corrected", "matured", decided)',
        'pl.max_horizontal("known_time", "corrected", decided)',
        (CUT_OFF,),
    ),
    Mutant(
        "history-replays-of-every-symbol",
        "A part of a watch list reads the replays of the symbols that it shows alone.",
        "serving/history/replayed_bands.py",
        '& pl.col("symbol").is_in(list(symbols))',
        "",
        (f"{REPLAYED}::test_only_the_replays_of_the_symbols_that_are_shown_are_read",),
    ),
    Mutant(
        "history-of-challengers",
        "What a version on trial or in the shadow said is in no answer.",
        "serving/history/forecasts.py",
        '(pl.col("kind") == REPLAY) & (pl.col("model_name") == model)',
        'pl.col("model_name") == model',
        (f"{HISTORY}::test_what_a_challenger_said_is_in_no_answer",),
    ),
    Mutant(
        "history-repeated-questions",
        "A forecast that was asked for again counts once in a record.",
        "serving/history/outcomes.py",
        'matured.sort("made_at").unique([*OF_CLOSE, "model_name", *groups], keep="first", maintain_order=True)',
        'matured.sort("made_at")',
        (f"{HISTORY}::test_a_record_counts_a_forecast_that_was_asked_for_again_once",),
    ),
    Mutant(
        "history-few-outcomes",
        "No share is told of fewer than 30 outcomes.",
        "serving/history/records.py",
        "if outcomes < LEAST_OUTCOMES:",
        "if outcomes < 1:",
        (f"{HISTORY}::test_a_record_of_few_outcomes_tells_no_share",),
    ),
    Mutant(
        "own-values-are-stored",
        "What a caller's own values forecast is in no log and no table, so that nothing is learned from it.",
        "serving/web/routes/forecasts.py",
        "            own = await of_own_values(state, prediction_id, body.features)\n",
        "            own = await of_own_values(state, prediction_id, body.features)\n"
        "            said = answers.entries[0]\n"
        '            row = said.row | {"forecast_id": "f" * 32, "p50": own.forecast.p50}\n'
        "            state.predictor.log.write([type(said)(row, said.answer, said.receipt, said.key_id)])\n",
        (f"{OWN_VALUES}::test_own_values_enter_no_table_and_no_outcome",),
    ),
    Mutant(
        "own-values-of-unknown-features",
        "A question with an unknown feature is refused before anything is forecast.",
        "serving/web/routes/forecasts.py",
        "        require_features(body.features or ())\n",
        "",
        (f"{OWN_VALUES}::test_an_unknown_feature_is_refused_before_anything_is_forecast",),
    ),
    Mutant(
        "watch-list-of-another-key",
        "Nobody sees the watch list of another key.",
        "serving/access/watch_lists.py",
        'f"{key_id}.json"',
        '"watch_list.json"',
        (f"{ROUTES}::test_a_watch_list_is_the_one_of_its_key_alone",),
    ),
    Mutant(
        "watch-list-changed-without-a-lock",
        "Of changes of a watch list at the same time none is lost.",
        "serving/access/watch_lists.py",
        "    with _alone(settings):\n        kept =",
        "    if True:\n        kept =",
        (f"{FOLLOWING}::test_of_symbols_followed_at_once_none_is_lost",),
    ),
    Mutant(
        "watch-list-after-deletion",
        "The watch list of a key is deleted with what else is stored about its holder.",
        "serving/forecast_log/user_data.py",
        "    watch_lists.forget(settings, key.id)\n",
        "",
        (f"{USER_DATA}::test_after_a_deletion_nothing_leads_back_to_the_holder",),
    ),
    Mutant(
        "keys-made-with-a-token",
        "A token, which ends within the hour, makes no key that outlives it.",
        "serving/web/routes/administration.py",
        'if caller.via == "token":',
        "if False:",
        (f"{ADMIN}::test_a_token_makes_and_revokes_no_key",),
    ),
    Mutant(
        "keys-that-outlive-their-maker",
        "A key ends no later than the key that made it.",
        "serving/web/routes/administration.py",
        "min(asked, caller.expires_at)",
        "asked",
        (f"{ADMIN}::test_a_key_ends_no_later_than_the_key_that_made_it",),
    ),
    Mutant(
        "size-knows-later-bars",
        "The size of a company at a close rests on no bar that came, or was corrected, after its decision.",
        "serving/history/company_size.py",
        'in_time = pl.col("known_time") <= pl.col("event_time") + decided_after',
        "in_time = pl.lit(value=True)",
        (f"{SIZES}::test_what_comes_or_is_corrected_after_a_decision_moves_no_size",),
    ),
    Mutant(
        "accuracy-tells-replays-of-answered-forecasts",
        "Once thirty answered forecasts have an outcome, past accuracy is theirs alone.",
        "serving/history/accuracy.py",
        "if told.height < LEAST_OUTCOMES:",
        "if told.height >= 0:",
        (f"{REPLAYED}::test_enough_answered_forecasts_stand_alone",),
    ),
)
