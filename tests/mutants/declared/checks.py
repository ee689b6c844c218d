"""What passed a check before is not looked at again, and nothing that is new, changed or damaged gets by."""

from mutant import Mutant

NEW_ROWS = "tests/test_feature_repo/test_new_rows_checked.py"
STORED = "tests/test_feature_repo/test_leak_stored.py"

TABLES = "tests/test_dagster_project/test_table_checks.py"

FRESHNESS = "tests/test_dagster_project/test_freshness_checks.py"

REPORTS = "tests/test_dagster_project/test_reports.py"

MUTANTS = (
    Mutant(
        "years-are-told-the-rows-of-the-table",
        "Each yearly partition shows its own rows, not those of the table.",
        "dagster_project/reports.py",
        "rows.get(int(key), 0)",
        "report.rows",
        (f"{REPORTS}::test_each_year_of_a_partitioned_table_has_its_own_rows",),
    ),
    Mutant(
        "freshness-asks-the-wall-clock",
        "A replayed market is up to date by its own now, however long ago that is.",
        "dagster_project/checks/freshness.py",
        "due = last_close(platform.clock.now() - market.decided_after, market.grid)",
        "due = last_close(__import__('lake.clock').clock.SystemClock().now(), market.grid)",
        (f"{FRESHNESS}::test_a_replayed_market_is_up_to_date_by_its_own_now",),
    ),
    Mutant(
        "freshness-passes-over-symbols",
        "A table of bars that lacks a symbol at the last close due is not up to date.",
        "dagster_project/checks/freshness.py",
        "self.newest >= self.due and not self.missing",
        "self.newest >= self.due",
        (f"{FRESHNESS}::test_a_symbol_that_lacks_the_last_close_is_named",),
    ),
    Mutant(
        "checks-tell-passes-of-a-failing-kind",
        "A check of one kind of rule fails where a row breaks a rule of that kind.",
        "lake/quality/findings.py",
        "for finding in self.findings if finding.kind == kind)",
        "for finding in self.findings if finding.kind == kind and finding.success)",
        (f"{TABLES}::test_one_check_per_kind_of_rule_and_the_failing_one_is_a_sentence",),
    ),
    Mutant(
        "failing-checks-keep-their-row-to-themselves",
        "The error that ends a run names the row that a blocking check failed on.",
        "dagster_project/runs/in_process.py",
        "{_failed_checks(result) or 'at the step marked above'}",
        "{'at the step marked above'}",
        (f"{TABLES}::test_the_terminal_and_the_error_of_a_run_hold_the_sentence_of_the_check",),
    ),
    Mutant(
        "checks-pass-over-new-rows",
        "Rows that are new since a check passed are checked.",
        "lake/quality/passes.py",
        "    if fresh.is_empty():\n",
        "    if True:\n",
        (f"{NEW_ROWS}::test_a_new_row_that_breaks_a_rule_is_found_until_it_is_mended",),
    ),
    Mutant(
        "checks-pass-over-doubled-keys",
        "New rows are checked together with the stored rows that share their keys.",
        "lake/quality/passes.py",
        'rows = known.join(fresh.select(spec.key), on=list(spec.key), how="semi", nulls_equal=True)',
        "rows = fresh",
        (f"{NEW_ROWS}::test_a_new_row_that_doubles_the_key_of_an_old_one_is_found",),
    ),
    Mutant(
        "checks-pass-over-damage",
        "A file that is damaged between two days is found, although its rows passed.",
        "lake/quality/passes.py",
        "if fresh is None or not _is_verifiable(lake.files(spec, version)):",
        "if fresh is None:",
        (f"{NEW_ROWS}::test_a_file_damaged_between_two_days_is_found",),
    ),
    Mutant(
        "checks-keep-passes-of-other-rules",
        "A changed rule is applied to every row.",
        "lake/quality/passes.py",
        "return found if found.recipe == recipe else None",
        "return found",
        (f"{NEW_ROWS}::test_a_changed_rule_is_applied_to_every_row",),
    ),
    Mutant(
        "checks-do-not-know-their-code",
        "Changed code of a rule is applied to every row.",
        "feature_repo/materialize/expectations.py",
        "digest_of_sources(sources, repr(spec)",
        "digest_of_sources((), repr(spec)",
        (f"{NEW_ROWS}::test_changed_code_of_a_rule_is_applied_to_every_row",),
    ),
    Mutant(
        "checks-remember-failures-as-passes",
        "A table that failed a check fails it again until it is mended.",
        "feature_repo/materialize/expectations.py",
        "    if checked.report.success:\n",
        "    if True:\n",
        (f"{NEW_ROWS}::test_a_new_row_that_breaks_a_rule_is_found_until_it_is_mended",),
    ),
    Mutant(
        "look-ahead-passes-over-changed-rows",
        "Rows that changed since the look-ahead check passed are looked at.",
        "lake/quality/passes.py",
        "if last is None or lake.version(spec) != last.version:",
        "if last is None:",
        (f"{STORED}::test_a_changed_row_is_looked_at_again",),
    ),
    Mutant(
        "look-ahead-passes-over-changed-bars",
        "A look-ahead check looks again when the bars or the market's now have changed.",
        "feature_repo/leaks/stored.py",
        "compared = [repr(lake.market), lake.version(BARS), now.isoformat(), SYMBOLS]",
        "compared = [repr(lake.market)]",
        (f"{STORED}::test_a_pass_holds_until_rows_bars_or_the_day_change",),
    ),
    Mutant(
        "look-ahead-check-believes-the-fits-of-the-table",
        "Regimes that a wrong stored fit made are found by the look-ahead check, which fits by itself.",
        "feature_repo/leaks/stored.py",
        'return lake.root / ".stamps" / "check-fits" / made_by',
        'return lake.root / ".stamps" / "hidden_markov"',
        (f"{STORED}::test_regimes_of_a_wrong_stored_fit_are_caught",),
    ),
    Mutant(
        "look-ahead-check-keeps-fits-of-other-code",
        "A look-ahead check fits the models of regimes again where the code changed.",
        "feature_repo/leaks/stored.py",
        'digest_of_sources((), _code(), version("hmmlearn"))',
        'digest_of_sources((), version("hmmlearn"))',
        (f"{STORED}::test_a_check_fits_the_models_of_regimes_once_for_each_code",),
    ),
    Mutant(
        "stored-fits-are-taken-unseen",
        "Stored parameters of a hidden Markov model that changed since are not used.",
        "feature_repo/regimes/hidden_markov.py",
        "    if stored.pop(SEAL) != _seal(stored):\n",
        "    if not stored.pop(SEAL):\n",
        ("tests/test_feature_repo/test_hidden_markov.py::test_a_stored_fit_that_was_changed_is_fitted_again",),
    ),
)
