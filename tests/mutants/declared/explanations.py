"""What an explanation says of a forecast, and what it compares with."""

from mutant import Mutant

EXPLANATIONS = "tests/test_serving/test_explanations.py"
ROUTES = "tests/test_serving/test_explanation_routes.py"
WHAT_IF = "tests/test_serving/test_what_if.py"
LOG = "tests/test_serving/test_explanation_log.py"

MUTANTS = (
    Mutant(
        "explanation-answered-unlogged",
        "An explanation is on disk before it is answered, so that no kill after the answer loses it.",
        "serving/explain/explainer.py",
        "        log_explanation(configured, explanation_row(found, configured.clock.now()))\n",
        "",
        (f"{LOG}::test_an_explanation_is_not_lost_when_the_process_is_killed_right_after_it",),
    ),
    Mutant(
        "text-answered-unlogged",
        "A written explanation is in the log when its job is completed.",
        "serving/explain/narrative/jobs.py",
        "        log_explanation(self._configured, narrative_row(",
        "        _ = (self._configured, narrative_row(",
        (f"{LOG}::test_a_text_is_stored_as_it_was_answered_and_the_receipt_lists_everything",),
    ),
    Mutant(
        "explanation-deleted-unasked",
        "An explanation leaves its log only when the lake holds it.",
        "serving/explanation_log/draining.py",
        "[(sequence,) for sequence, each in old if each in held]",
        "[(sequence,) for sequence, each in old]",
        (f"{LOG}::test_a_row_that_the_lake_lost_is_brought_in_again",),
    ),
    Mutant(
        "explanation-adds-up-to-another-forecast",
        "Base value and contributions sum to the number that was answered, whatever the weights of its models.",
        "serving/explain/remaking.py",
        "np.tensordot(self.shares, np.stack(parts), axes=1)",
        "np.mean(np.stack(parts), axis=0)",
        (f"{EXPLANATIONS}::test_base_and_contributions_sum_to_what_was_answered",),
    ),
    Mutant(
        "explanation-of-uncorrected-bands",
        "An explanation is of the band that was answered, after its correction.",
        "serving/explain/remaking.py",
        "[self.inputs.calibration] * len(x))\n        return alone",
        "[None] * len(x))\n        return alone",
        (f"{EXPLANATIONS}::test_base_and_contributions_sum_to_what_was_answered",),
    ),
    Mutant(
        "background-of-any-content",
        "The typical windows of a model are those whose digest its signature names.",
        "serving/engines/bundles.py",
        "if found != digest:",
        "if False:",
        (f"{EXPLANATIONS}::test_an_altered_background_is_refused",),
    ),
    Mutant(
        "explanation-from-three-windows",
        "Every explanation walks from all four typical windows, so that its base value never changes.",
        "serving/explain/attribution.py",
        "base=values[:, EMPTY].mean(axis=0),",
        "base=values[1:, EMPTY].mean(axis=0),",
        (f"{EXPLANATIONS}::test_base_and_contributions_sum_to_what_was_answered",),
    ),
    Mutant(
        "explanation-by-another-engine",
        "A forecast that its models do not compute any more is not explained.",
        "serving/explain/remaking.py",
        "if np.abs(again - stored).max() > TOLERANCE:",
        "if False:",
        (f"{EXPLANATIONS}::test_an_engine_that_computes_something_else_explains_nothing",),
    ),
    Mutant(
        "explanation-of-an-edited-forecast",
        "A forecast that was edited after it was sealed is not explained.",
        "serving/replay/inputs.py",
        "if case.findings:",
        "if False:",
        (f"{EXPLANATIONS}::test_an_edited_forecast_is_not_explained",),
    ),
    Mutant(
        "explanation-outlives-its-models",
        "An explanation is kept for one set of models, and another set computes it anew.",
        "serving/explain/explainer.py",
        "if self._models is not models or question not in self._answers:",
        "if question not in self._answers:",
        (f"{EXPLANATIONS}::test_each_question_is_computed_once_for_a_set_of_models",),
    ),
    Mutant(
        "mask-of-an-absent-feature-stays",
        "An absent feature is taken from the typical window with its flag of what is known.",
        "serving/explain/players.py",
        "is_present[:, :, list(player.places)] = coalitions[:, number, None, None]",
        "is_present[:, :1, list(player.places)] = coalitions[:, number, None, None]",
        ("tests/test_serving/test_shapley.py::test_a_present_player_brings_value_and_mask_over_all_sessions",),
    ),
    Mutant(
        "what-if-changes-other-sessions",
        "A change of the last session leaves the sessions before as they were.",
        "serving/explain/what_if.py",
        'rows = slice(-1, None) if at == "last" else slice(None)\n    for',
        "rows = slice(None)\n    for",
        (f"{WHAT_IF}::test_a_change_over_the_window_is_another_than_of_the_last_session",),
    ),
    Mutant(
        "what-if-hides-its-range",
        "A what-if says when a new value lies outside of what the training has seen.",
        "serving/explain/what_if.py",
        "is_inside_range=bool(((known >= low) & (known <= high)).all()),",
        "is_inside_range=True,",
        (f"{WHAT_IF}::test_a_value_outside_of_training_is_said_to_be",),
    ),
    Mutant(
        "explanations-wait-without-end",
        "An explanation whose turn does not come in time is refused.",
        "serving/web/explaining.py",
        "await asyncio.wait_for(self._turn.acquire(), self._queue_seconds)",
        "await self._turn.acquire()",
        (f"{ROUTES}::test_a_question_whose_turn_does_not_come_is_refused_and_the_next_one_is_answered",),
    ),
)
