"""Every scored configuration is counted, before its score is seen and once."""

from mutant import Mutant

WORLDS = "tests/test_lake/test_trial_worlds.py::"
LEDGER = "tests/test_lake/test_trial_ledger.py::"
TRAINING = "tests/test_training/test_recorded_trials.py::"

MUTANTS = (
    Mutant(
        "ledger-counts-one-trial",
        "The best of many trials is judged as the best of so many.",
        "lake/ledger/families.py",
        "deflated_sharpe(each, trials.height, variance)",
        "deflated_sharpe(each, 1, variance)",
        (f"{WORLDS}test_tuning_on_shuffled_labels_passes_for_skill_in_at_most_one_world_of_twenty",),
    ),
    Mutant(
        "ledger-takes-overlap-for-evidence",
        "Gains that repeat one another count as the independent sessions that they are worth.",
        "lake/ledger/deflated.py",
        "effective_sessions=effective_sessions(gains, lags_of(horizon_sessions)),",
        "effective_sessions=float(len(gains)),",
        (f"{WORLDS}test_gains_that_overlap_pass_for_skill_in_at_most_one_world_of_twenty",),
    ),
    Mutant(
        "ledger-drops-failed-trials",
        "Failed trials count.",
        "lake/ledger/recording.py",
        "keyed = {trial.identity(self.data, self.code): trial for trial in trials}",
        "keyed = {trial.identity(self.data, self.code): trial for trial in trials if not trial.is_failed}",
        (f"{LEDGER}test_failed_trials_count_and_have_no_ratio",),
    ),
    Mutant(
        "ledger-counts-a-repetition",
        "A configuration that is scored again is the same trial.",
        "lake/ledger/trials.py",
        "self.seed, data, code]",
        "self.seed, data, code, self.score]",
        (f"{LEDGER}test_scoring_the_same_thing_again_adds_nothing",),
    ),
    Mutant(
        "ledger-read-before-it-was-known",
        "Of the trial ledger nothing is told that became known after the instant that is asked about.",
        "lake/ledger/families.py",
        "rows = lake.read_as_of(TRIAL_LEDGER, at)",
        "rows = lake.read(TRIAL_LEDGER)",
        (f"{LEDGER}test_a_trial_that_gains_further_sessions_stays_one_trial",),
    ),
    Mutant(
        "ledger-without-trials-of-a-search",
        "Each trial of a search has its gains in the ledger.",
        "training/fit/search.py",
        "        trials.fitted([fitted], time.perf_counter() - started)\n",
        "",
        (f"{TRAINING}test_a_complete_trial_has_its_gains_on_naive_per_session_of_the_validation",),
    ),
    Mutant(
        "ledger-without-pruned-trials",
        "A trial that was pruned, refused or failed is recorded, though the search ends with an error.",
        "training/fit/recorded.py",
        "            self._ledger.record(trials)\n            raise",
        "            raise",
        (f"{TRAINING}test_pruned_refused_and_failed_trials_are_recorded_without_a_ratio",),
    ),
    Mutant(
        "ledger-without-the-walk-forward",
        "No forecast for a test interval is returned that is not in the ledger.",
        "training/judge/evaluate.py",
        "    ledger.record(walk_forward_trials(forecasts, experiment, parameters))\n",
        "",
        (f"{TRAINING}test_a_walk_forward_trial_holds_the_gains_of_all_test_years",),
    ),
    Mutant(
        "ledger-without-looks-at-the-last-interval",
        "Each look at the last test interval is written down.",
        "training/judge/evaluate.py",
        "    open_last_interval(windows, experiment, splits[-1], ledger)\n",
        "",
        (f"{TRAINING}test_the_look_at_the_last_test_interval_is_written_down_before_it",),
    ),
    Mutant(
        "ledger-without-the-seeds-of-a-fit",
        "Each seed of a network is recorded before one is chosen for service.",
        "training/fit/best.py",
        "        trials.fitted(fits)\n",
        "",
        (f"{TRAINING}test_each_score_is_a_row_and_a_repetition_adds_none[training.fit.best.fit_best]",),
    ),
    Mutant(
        "ledger-without-the-selection",
        "Each way to use the pool of strategies is recorded before its figures are told.",
        "serving/strategies/comparison.py",
        "    ledger.record(selection_trials(returns.sessions, ways, rule))\n",
        "",
        (
            "tests/test_serving_feedback/test_selection.py::test_no_figure_of_the_selection_is_told_that_is_not_in_the_ledger",
        ),
    ),
    Mutant(
        "replay-mixes-versions-of-one-file",
        "A forecast is made again by the version that made it, also where another one has the same file.",
        "serving/replay/engine_cache.py",
        "key = (use.version, use.digest, use.engine.threads)",
        'key = ("", use.digest, use.engine.threads)',
        ("tests/test_serving/test_engine_cache.py::test_versions_of_one_file_are_told_apart",),
    ),
)
