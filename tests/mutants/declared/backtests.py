"""A back-test is out of sample, pays what it trades, stands beside its nulls, and is counted before it is seen."""

from mutant import Mutant

WHOLE = "tests/test_serving_backtest/test_backtests.py::"
TARGETS = "tests/test_serving_backtest/test_prices_and_targets.py::"
FOLDS = "tests/test_serving_backtest/test_folds.py::"
SELECTED = "tests/test_serving_backtest/test_selected.py::"
PAGES = "tests/test_serving_backtest/test_backtest_pages.py::"

MUTANTS = (
    Mutant(
        "backtest-trades-at-the-close-of-its-forecast",
        "What is forecast at a close is not traded at that close.",
        "serving/backtest/accounts.py",
        "    equity = simulate_targets(market, targets, costs,",
        "    targets = np.vstack([targets[1:], targets[-1:]])\n    equity = simulate_targets(market, targets, costs,",
        (f"{WHOLE}test_what_is_known_of_the_next_close_cannot_be_earned_by_who_decides_at_this_one",),
    ),
    Mutant(
        "backtest-fills-at-the-close-of-its-forecast",
        "The event-driven account and its compiled twin trade a target in the session after its decision.",
        "serving/backtest/accounts.py",
        "        weights = wanted[now.session]\n",
        "        weights = wanted[min(now.session + 1, len(wanted) - 1)]\n",
        (f"{TARGETS}test_the_compiled_twin_has_the_net_returns_of_the_event_engine",),
    ),
    Mutant(
        "backtest-fold-trial-unwritten",
        "Each fold of a back-test is a trial of the ledger before its score is returned.",
        "serving/backtest/evidence.py",
        "    every = [(family, BACKTEST, scored)] + [",
        "    every = [(family, BACKTEST, scored)] + 0 * [",
        (f"{WHOLE}test_the_back_test_and_each_of_its_folds_are_trials_with_their_gains",),
    ),
    Mutant(
        "backtest-looks-unwritten",
        "Each look at the sessions of a back-test is counted.",
        "serving/backtest/evidence.py",
        "    families = [family, *",
        "    families = [*",
        (f"{WHOLE}test_each_further_strategy_is_one_more_trial_and_one_more_look",),
    ),
    Mutant(
        "backtest-one-over-n-without-costs",
        "1/N pays the costs that the strategy pays.",
        "serving/backtest/prepared.py",
        "            self.targets[name] if wanted is None else wanted,\n            self.file.costs,\n",
        "            self.targets[name] if wanted is None else wanted,\n"
        "            self.file.costs if name == STRATEGY else type(self.file.costs)(half_spread_bps=0),\n",
        (f"{WHOLE}test_one_over_n_pays_what_a_strategy_of_the_same_weights_pays",),
    ),
    Mutant(
        "backtest-report-without-one-over-n",
        "A report in which a figure stands without 1/N and naive is refused.",
        "serving/backtest/report.py",
        "        for name in BACKTEST_ACCOUNTS:\n",
        "        for name in BACKTEST_ACCOUNTS[:1]:\n",
        (f"{WHOLE}test_a_report_without_one_of_its_accounts_is_refused",),
    ),
    Mutant(
        "backtest-on-forecasts-made-later",
        "A forecast that was made after its session was decided is not traded on.",
        "serving/backtest/targets.py",
        '    replays = replays.filter(pl.col("known_time") <= pl.col("event_time") + market.decided_after)\n',
        "",
        (f"{WHOLE}test_a_forecast_that_was_made_later_is_no_forecast",),
    ),
    Mutant(
        "backtest-weights-before-they-were-known",
        "Weights of the selection count from the close at which the decision was known.",
        "serving/backtest/targets.py",
        '(pl.col("known_time") - lake.market.decided_after).alias("in_force")',
        'pl.col("event_time").alias("in_force")',
        (f"{SELECTED}test_a_decision_counts_from_when_it_was_known_and_in_its_regime_only",),
    ),
    Mutant(
        "backtest-of-sessions-that-were-learnt-from",
        "A forecast of a session that its model learnt from is refused.",
        "serving/backtest/folds.py",
        "if until is not None and until > at:",
        "if until is not None and until > at and key is None:",
        (f"{FOLDS}test_a_forecast_of_a_session_that_its_model_learnt_from_is_refused",),
    ),
    Mutant(
        "backtest-without-embargo",
        "Sessions within the embargo after the newest label are not scored.",
        "serving/backtest/folds.py",
        "count_closes(until, at, calendar) <= plan.embargo_sessions",
        "count_closes(until, at, calendar) < plan.embargo_sessions",
        (f"{FOLDS}test_the_purge_gap_counts_the_closes_between_the_newest_label_and_the_first_decision",),
    ),
    Mutant(
        "backtest-haircut-is-no-cost",
        "What a delisting takes is a cost between gross and net.",
        "serving/backtest/accounts.py",
        "                paid[last] += lost\n",
        "",
        (f"{TARGETS}test_a_symbol_whose_bars_end_counts_as_delisted_once_a_halt_would_be_over",),
    ),
    Mutant(
        "backtest-splits-are-lost",
        "A split changes the shares that are held.",
        "serving/backtest/prices.py",
        "            ratio[place] *= new\n",
        "            ratio[place] *= 1\n",
        (f"{TARGETS}test_a_split_and_a_dividend_change_shares_and_cash_and_not_the_equity",),
    ),
    Mutant(
        "backtest-shown-before-it-was-run",
        "A back-test that was run after the instant that is looked back to is not shown.",
        "serving/backtest/reading.py",
        "rows = lake.read_as_of(BACKTESTS, as_of, where=where)",
        "rows = lake.read(BACKTESTS, where=where)",
        (
            f"{PAGES}test_before_it_was_run_there_is_none",
            f"{WHOLE}test_back_tests_are_found_by_their_first_digits_and_as_of_an_instant",
        ),
    ),
)
