"""An analyst's own file: nothing is guessed, nothing is lost, nothing is taken for what it is not."""

from mutant import Mutant

AWKWARD = "tests/test_lake/test_price_file_awkward.py::"
DIALECTS = "tests/test_lake/test_price_file_dialects.py::"
MINUTES = "tests/test_lake/test_price_file_minutes.py::"
SOURCE = "tests/test_lake/test_price_file_source.py::"

MUTANTS = (
    Mutant(
        "file-stray-day-closes-another",
        "A row on a day without a session is stamped at no close of any calendar.",
        "lake/sources/files/sessions.py",
        'NO_SESSION = "T23:59:59+00:00"',
        'NO_SESSION = "T00:00:00+00:00"',
        (SOURCE + "test_a_day_without_a_session_is_never_the_close_of_another",),
    ),
    Mutant(
        "file-symbols-as-written",
        "Each spelling of a symbol in a file is one canonical symbol, or refused.",
        "lake/sources/files/rows.py",
        "rows.with_columns(symbol.alias",
        'rows.with_columns(pl.col("written").alias',
        (SOURCE + "test_ingestion_keeps_every_row_either_clean_or_with_its_reason",),
    ),
    Mutant(
        "file-guesses-day-and-month",
        "Dates of a file that could be read both ways are asked about, not guessed.",
        "lake/sources/files/inspecting.py",
        "    elif found.rivals:",
        "    elif found.rivals is None:",
        (DIALECTS + "test_dates_that_could_be_either_are_asked_for_and_an_answer_settles_them",),
    ),
    Mutant(
        "file-guesses-comma",
        "Numbers of a file whose comma could be either mark are asked about, not guessed.",
        "lake/sources/files/numbers.py",
        "is_ambiguous=True)",
        "is_ambiguous=False)",
        (DIALECTS + "test_numbers_that_could_be_either_are_asked_for",),
    ),
    Mutant(
        "file-drops-any-comma",
        "A number that does not follow the marks of its file is refused, never read as another number.",
        "lake/sources/files/numbers.py",
        "return pl.when(is_by_the_marks).then(plain).otherwise(text)",
        "return plain",
        (AWKWARD + "test_a_number_is_made_plain_by_its_marks_alone",),
    ),
    Mutant(
        "file-takes-other-dates",
        "A date that is not written as the file's mapping says is refused, though others could read it.",
        "lake/sources/files/rows.py",
        'pl.lit("unreadable:")',
        'pl.lit("")',
        (AWKWARD + "test_a_text_that_happens_to_be_an_iso_time_is_no_date_of_a_file_written_otherwise",),
    ),
    Mutant(
        "file-guesses-the-stamp",
        "Whether a time of a bar of minutes is its open or its close is asked and never guessed.",
        "lake/sources/files/inspecting.py",
        'if "stamp" in draft.given:',
        "if True:",
        (MINUTES + "test_what_a_time_means_is_asked_and_never_guessed",),
    ),
    Mutant(
        "file-stamps-at-the-open",
        "A bar of minutes is stamped when it closes, also where the file says when it opened.",
        "lake/sources/files/rows.py",
        'if mapping.stamp == "open":',
        "if False:",
        (MINUTES + "test_what_a_time_means_is_asked_and_never_guessed",),
    ),
    Mutant(
        "file-reads-past-until",
        "A price file gives no row that closed after the instant asked for.",
        "lake/sources/files/source.py",
        'is_due = pl.col("event_time") <= require_utc(until)',
        "is_due = pl.lit(True)",
        ("tests/contracts/test_bar_sources.py::test_nothing_is_known_after_until_whatever_it_holds",),
    ),
    Mutant(
        "file-index-of-refused-rows",
        "An equal-weight index is made of rows that pass the rules.",
        "lake/sources/files/source.py",
        'good = with_reasons(rows, mapping.grid).filter(pl.col("reason").is_null())',
        "good = with_reasons(rows, mapping.grid)",
        (SOURCE + "test_refused_rows_do_not_move_the_index",),
    ),
    Mutant(
        "file-index-over-gaps",
        "An equal-weight index takes a return only from a symbol with both closes.",
        "lake/sources/files/index.py",
        '.filter(numbered["day"] - 1 == before["last"])',
        '.filter(before["last"].is_not_null())',
        (SOURCE + "test_the_index_is_the_mean_return_chained_from_100",),
    ),
)
