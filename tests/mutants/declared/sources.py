"""Vendors over HTTP: nothing is known too early, nothing is lost, no key is shown, no limit is exceeded."""

from mutant import Mutant

BATTERY = "tests/contracts/test_sources.py"
STORED = "tests/contracts/test_sources_stored.py"
POLICY = "tests/test_lake/test_http_sources.py"
FETCHING, PULLING = "lake/sources/http/fetching.py", "lake/sources/http/pulling.py"

MUTANTS = (
    Mutant(
        "open-session-stored",
        "A session that is open has no bar yet.",
        PULLING,
        "stamped.filter(is_closed & is_asked)",
        "stamped.filter(is_asked)",
        (f"{BATTERY}::test_s18_a_session_that_is_open_has_no_bar_yet",),
    ),
    Mutant(
        "correction-known-at-its-close",
        "What may be a correction is known from its receipt, not from the close that it corrects.",
        PULLING,
        "pl.when(is_recent).then(received)",
        "pl.when(is_recent).then(assumed)",
        (f"{POLICY}::test_a_first_load_is_known_soon_after_each_close_and_what_may_be_corrected_at_its_receipt",),
    ),
    Mutant(
        "assumed-after-receipt",
        "Nothing is assumed to have been known later than it was received.",
        PULLING,
        'pl.min_horizontal(pl.col("event_time") + self.delay, received)',
        'pl.col("event_time") + self.delay',
        (f"{POLICY}::test_a_first_load_is_known_soon_after_each_close_and_what_may_be_corrected_at_its_receipt",),
    ),
    Mutant(
        "unknown-symbol-as-empty",
        "A symbol without any bar in its whole history is named, not passed over.",
        PULLING,
        "if after is None and sessions.height:",
        "if False:",
        (f"{BATTERY}::test_s04_an_empty_answer_is_no_unknown_symbol",),
    ),
    Mutant(
        "bar-to-come-stored",
        "A bar of a day that has not come is refused: it would move the cursor past all that is to come.",
        PULLING,
        "self._require_past(answer, page)",
        "pass",
        (f"{BATTERY}::test_s19_a_bar_of_a_day_to_come_is_refused",),
    ),
    Mutant(
        "page-of-another-host",
        "A next page is asked for at the vendor's own host only, so that the key goes nowhere else.",
        FETCHING,
        "if (url.scheme, url.host, url.port) != own:",
        "if False:",
        (f"{BATTERY}::test_s03_a_next_page_that_leads_in_a_circle_or_away_is_refused",),
    ),
    Mutant(
        "key-in-an-error",
        "No text of an error holds the key.",
        FETCHING,
        'error.args = (redact(f"{self.connector.title}: {error}", self._secret),)',
        'error.args = (f"{self.connector.title}: {error}",)',
        (
            f"{BATTERY}::test_s05_a_refused_key_costs_one_request_and_is_shown_nowhere",
            f"{BATTERY}::test_s22_the_key_is_in_no_output",
        ),
    ),
    Mutant(
        "address-with-key-logged",
        "The loggers that write whole addresses, the key in them, are held.",
        FETCHING,
        "        silence_address_logs()\n",
        "",
        (
            f"{BATTERY}::test_s22_the_key_is_in_no_output",
            f"{POLICY}::test_the_loggers_that_write_whole_addresses_are_held",
        ),
    ),
    Mutant(
        "limit-per-process",
        "All processes of a home share one count of the requests to a vendor.",
        "lake/sources/http/limits.py",
        'self.folder / f"{scope}.json"',
        "self.folder / f\"{scope}-{__import__('os').getpid()}.json\"",
        (f"{BATTERY}::test_s21_two_processes_share_one_count",),
    ),
    Mutant(
        "allowance-run-into",
        "A run beyond the allowance is refused before it starts, and uses nothing of it up.",
        PULLING,
        "self._fetcher.count.require(len(asked), self._connector.title)",
        "pass",
        (f"{BATTERY}::test_s21_a_run_beyond_the_allowance_is_refused_before_it_starts",),
    ),
    Mutant(
        "foreign-history",
        "An answer about another symbol than was asked is refused.",
        "lake/sources/http/fields.py",
        "if asked and asked.casefold() != told.casefold():",
        "if False:",
        (f"{POLICY}::test_an_answer_that_is_not_the_documented_success_is_none",),
    ),
    Mutant(
        "ex-date-adjusts-itself",
        "An action adjusts the bars before its ex-date, not the one of it.",
        "lake/sources/http/adjusting.py",
        ".shift(-1, fill_value=1.0).cum_prod(reverse=True)",
        ".cum_prod(reverse=True)",
        (f"{STORED}::test_prices_as_traded_become_bars_and_the_stated_actions_are_found_again",),
    ),
    Mutant(
        "action-without-size-passed-over",
        "A dividend without an amount refuses its symbol, whose history would be off by it.",
        PULLING,
        "                self._require_amounts(answer, page)\n",
        "",
        (f"{POLICY}::test_a_dividend_without_its_amount_refuses_the_symbol",),
    ),
    Mutant(
        "seam-of-windows-as-revision",
        "A vintage that a window's own start invents is no revision.",
        "lake/sources/fred.py",
        "is_new = (place == 0) |",
        "is_new = (place >= 0) |",
        ("tests/test_lake/test_fred.py::test_every_revision_comes_once_whatever_the_windows",),
    ),
    Mutant(
        "vintage-known-before-its-release",
        "A vintage is known from the hour of its release, not from the begin of its day.",
        "lake/sources/fred.py",
        "RELEASE_CLOCK.get(series, LATEST)",
        "time()",
        ("tests/test_lake/test_fred.py::test_a_vintage_is_known_from_its_release_and_the_first_one_is_assumed",),
    ),
    Mutant(
        "adjusted-prices-as-traded",
        "Prices that the vendor adjusted are not taken for those that were traded.",
        "lake/sources/polygon.py",
        'if content.get("adjusted") is not False:',
        "if False:",
        (f"{POLICY}::test_an_answer_that_is_not_the_documented_success_is_none",),
    ),
)
