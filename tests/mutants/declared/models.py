"""How models are fitted and exported: no split looks ahead, no scaler has seen the test, no file goes unchecked."""

from mutant import Mutant

SPLITS = "tests/test_training/test_splits.py::test_no_training_label_ends_at_or_after_the_start_of_a_test"

MUTANTS = (
    Mutant(
        "split-without-purge",
        "Training rows whose label ends within the validation are purged.",
        "training/data/splits.py",
        'train = known & (pl.col("label_end") < cut)',
        "train = known & (event_time < cut)",
        (SPLITS,),
    ),
    Mutant(
        "split-without-embargo",
        "An embargo of whole sessions lies between what is known and a test year.",
        "training/data/splits.py",
        "cut = _sessions_before(tested[0], experiment.splits.embargo_sessions)",
        "cut = tested[0]",
        (SPLITS,),
    ),
    Mutant(
        "split-check-blind",
        "A split with an overlap is convicted by a check of its own.",
        "training/data/splits.py",
        'leaks = keys[rows].filter(pl.col("label_end") >= start)',
        'leaks = keys[rows].filter(pl.col("event_time") >= start)',
        ("tests/test_training/test_splits.py::test_a_purge_by_row_count_is_convicted",),
    ),
    Mutant(
        "champion-knows-too-much",
        "The served models learn from labels known at the end of knowledge only.",
        "training/data/splits.py",
        '(pl.col("label_end") <= end, end)',
        '(pl.col("event_time") <= end, end)',
        ("tests/test_training/test_splits.py::test_the_champion_learns_from_all_that_is_known_and_from_nothing_later",),
    ),
    Mutant(
        "scaler-sees-validation",
        "The scaler is fitted on training windows only.",
        "training/fit/fit.py",
        "scaler = fit_scaler(train.x)",
        "scaler = fit_scaler(np.concatenate([train.x, valid.x]))",
        ("tests/test_training/test_fit.py::test_the_scaler_has_seen_training_windows_only",),
    ),
    Mutant(
        "bundle-digest-unchecked",
        "A model file with another digest than its signature is never loaded.",
        "serving/engines/bundles.py",
        "if found != signature.digest:",
        "if False:",
        ("tests/test_serving/test_bundles.py::test_one_changed_byte_is_refused_before_the_file_is_parsed",),
    ),
    Mutant(
        "bundle-proof-unchecked",
        "A model whose proof of parity proves too little is never loaded.",
        "serving/engines/bundles.py",
        "        parity.require(signature)\n",
        "",
        ("tests/test_serving/test_bundles.py::test_a_proof_that_proves_too_little_is_refused_with_the_reason",),
    ),
    Mutant(
        "bundle-exchanged-after-promotion",
        "A placed model with another digest than the registry's is never loaded.",
        "serving/deployment/releases.py",
        "if release.digest not in {None, bundle.digest}:",
        "if False:",
        ("tests/test_serving/test_bundles.py::test_a_placed_version_is_held_to_the_digest_of_the_registry",),
    ),
    Mutant(
        "verdicts-uncorrected",
        "The verdicts of the model table allow for how many comparisons it holds.",
        "training/judge/verdicts.py",
        "comparisons[place].p_value * (len(order) - rank)",
        "comparisons[place].p_value",
        ("tests/test_training/test_verdicts.py::test_statsmodels_adjusts_the_same",),
    ),
    Mutant(
        "verdicts-against-the-worst-baseline",
        "A model is judged against the best baseline.",
        "training/judge/verdicts.py",
        "best = [min(",
        "best = [max(",
        ("tests/test_training/test_verdicts.py::test_one_that_beats_the_worst_baseline_alone_beats_none",),
    ),
)
