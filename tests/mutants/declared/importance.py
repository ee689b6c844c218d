"""What features are good for, and where networks looked."""

from mutant import Mutant

ATTENTION = "tests/test_serving/test_attention.py"
IMPORTANCE = "tests/test_serving_feedback/test_importance.py"

MUTANTS = (
    Mutant(
        "importance-exchanged-across-sessions",
        "A feature is exchanged among the symbols of its own session: the market of the day stays what it was.",
        "serving/importance/exchange.py",
        "np.lexsort((random.random(len(sessions)), sessions))",
        "random.permutation(len(sessions))",
        (f"{IMPORTANCE}::test_an_exchange_stays_within_its_session_and_leaves_no_window_out",),
    ),
    Mutant(
        "importance-by-outcomes-of-later",
        "Importance is measured by outcomes that are known by the market's now.",
        "serving/importance/matured.py",
        "known_labels(lake, clock).filter(",
        "known_labels(lake, type(clock)(clock.now().replace(year=9999))).filter(",
        (f"{IMPORTANCE}::test_as_of_an_earlier_day_the_same_is_measured_as_in_a_lake_that_ends_there",),
    ),
    Mutant(
        "importance-on-learnt-sessions",
        "No model is measured on a session that it learnt from.",
        "serving/importance/matured.py",
        'later = (self.keys["event_time"] > until).to_numpy()',
        "later = np.ones(self.keys.height, np.bool_)",
        (f"{IMPORTANCE}::test_a_model_that_learnt_from_every_session_is_not_measured",),
    ),
    Mutant(
        "importance-read-before-it-was-known",
        "Of the importance of features nothing is told that became known after the instant that is asked about.",
        "serving/importance/reading.py",
        "lake.read_as_of(FEATURE_IMPORTANCE, at, where=is_asked)",
        "lake.read(FEATURE_IMPORTANCE, where=is_asked)",
        (f"{IMPORTANCE}::test_nothing_is_read_that_was_measured_later",),
    ),
    Mutant(
        "attention-without-a-proof",
        "The graph with attention has a parity proof of its own, of the file that the signature names.",
        "serving/engines/bundles.py",
        "if signature.explain != (None if self.attention is None else self.attention.digest):",
        "if False:",
        (f"{ATTENTION}::test_a_signature_that_names_a_graph_needs_the_proof_of_that_graph",),
    ),
)
