"""How forecasts are judged: replay, outcomes, calibration, evidence, selection, trials."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        "replay-restated-reference",
        "A bar or regime that was restated later is no reference of an earlier replay.",
        "serving/feedback/replay.py",
        'rows.filter(pl.col("known_time") <= pl.col("event_time"))',
        "rows",
        (
            "tests/test_serving_feedback/test_replay.py"
            "::test_a_bar_or_regime_restated_later_is_no_reference_of_an_earlier_session",
        ),
    ),
    Mutant(
        "canary-judged-before-trial",
        "A canary is judged by forecasts of its trial only.",
        "serving/deployment/verdict.py",
        '(pl.col("made_at") >= challenger.since)',
        "pl.lit(value=True)",
        ("tests/test_serving/test_verdict.py::test_forecasts_from_before_the_trial_are_no_evidence",),
    ),
)
