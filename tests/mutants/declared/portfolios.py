"""Portfolios: nothing from later, no silent weights, and no trade that costs more than it gains."""

from mutant import Mutant

METHODS = "tests/test_serving_feedback/test_portfolio_methods.py"
MOMENTS = "tests/test_serving_feedback/test_portfolio_moments.py"
REBALANCING = "tests/test_serving_feedback/test_portfolio_rebalancing.py"
WEIGHTS = "tests/test_serving_feedback/test_portfolio_weights.py"

MUTANTS = (
    Mutant(
        "portfolio-from-later-closes",
        "Weights of a close follow from what was known when it was decided.",
        "serving/portfolio/known.py",
        'is_known = (pl.col("known_time") <= self.decided_at(close)) & (pl.col("event_time") <= close)',
        'is_known = pl.col("known_time") <= self._now',
        (f"{WEIGHTS}::test_nothing_that_became_known_after_the_close_counts",),
    ),
    Mutant(
        "portfolio-restated-after-the-close",
        "A close that was restated after a decision does not change it.",
        "serving/portfolio/known.py",
        'is_known = (pl.col("known_time") <= self.decided_at(close)) & (pl.col("event_time") <= close)',
        'is_known = pl.col("event_time") <= close',
        (f"{WEIGHTS}::test_nothing_that_became_known_after_the_close_counts",),
    ),
    Mutant(
        "portfolio-view-of-later",
        "A forecast is a view only at its own close, and only once it was made.",
        "serving/portfolio/known.py",
        'is_of_close = (pl.col("event_time") == close) & (pl.col("known_time") <= self.decided_at(close))',
        'is_of_close = pl.col("event_time") == close',
        (f"{WEIGHTS}::test_a_forecast_that_was_made_after_the_close_is_no_view",),
    ),
    Mutant(
        "portfolio-means-known-for-certain",
        "Weights of Black and Litterman take the uncertainty of the means into the covariance.",
        "serving/portfolio/moments.py",
        "(1.0 + tau) * covariance - spread @ np.linalg.solve(seen, spread.T)",
        "covariance",
        (f"{MOMENTS}::test_weights_follow_from_the_covariance_with_the_uncertainty_of_the_means_and_no_other",),
    ),
    Mutant(
        "portfolio-fallback-in-silence",
        "Weights that are not the declared method's have the name of the fallback and its reason.",
        "serving/portfolio/fallback.py",
        "return ChosenWeights(capped(np.maximum(held, 0.0), cap), LAST_WEIGHTS, reason)",
        "return ChosenWeights(capped(np.maximum(held, 0.0), cap), declared.method)",
        (f"{METHODS}::test_broken_inputs_end_in_a_named_fallback",),
    ),
    Mutant(
        "portfolio-trades-to-the-target",
        "A trade stops where its next part would cost more than it gains.",
        "serving/portfolio/rebalancing.py",
        "wanted = np.where(tradable, np.clip(held, low, high), held)",
        "wanted = np.where(tradable, targets, held)",
        (f"{REBALANCING}::test_without_cost_everything_goes_to_the_target_and_at_a_high_one_nothing_moves",),
    ),
    Mutant(
        "portfolio-rival-without-costs",
        "1/N pays for its trades as the portfolio does.",
        "serving/portfolio/closing.py",
        '"equal_net_return": (1.0 + self._null.earned) * (1.0 - equal.cost) - 1.0,',
        '"equal_net_return": self._null.earned,',
        (f"{WEIGHTS}::test_the_first_purchase_buys_all_and_costs_and_1_over_n_pays_the_same",),
    ),
    Mutant(
        "portfolio-read-before-it-was-known",
        "Of a portfolio nothing is told that became known after the instant that is asked about.",
        "serving/history/portfolios.py",
        "known = tables.known(PORTFOLIO_WEIGHTS, at)\n    if known.is_empty():",
        "known = tables.reader.read(PORTFOLIO_WEIGHTS)\n    if known.is_empty():",
        (f"{WEIGHTS}::test_what_is_read_was_known_and_the_evidence_has_one_threshold",),
    ),
)
