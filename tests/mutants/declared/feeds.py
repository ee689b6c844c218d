"""Feeds beside each other, economic series, declared splits: nothing is passed over, and nothing known too early."""

from mutant import Mutant

FURTHER = "tests/test_lake/test_further_sources.py"
SERIES = "tests/contracts/test_sources_series.py"
SPLITS = "tests/test_lake/test_declared_splits.py"

MUTANTS = (
    Mutant(
        "made-index-asked-for",
        "No vendor is asked for an index that a price file has made of its symbols.",
        "lake/market/value.py",
        '"index": None if is_made else self.index',
        '"index": self.index',
        (f"{FURTHER}::test_no_vendor_is_asked_for_an_index_that_the_file_has_made_of_it",),
    ),
    Mutant(
        "further-source-without-its-rank",
        "Sources of one's own keep the order in which their market declares them, whatever they call themselves.",
        "lake/sources/base.py",
        "return source if source.name == name else RenamedSource(source, name)",
        "return source",
        (f"{FURTHER}::test_sources_of_ones_own_keep_their_declared_order",),
    ),
    Mutant(
        "late-stand-in-unsaid",
        "A source whose bars come after the forecasts of their session are decided is named by every run.",
        "lake/ingest/sourcing.py",
        "if delay > market.decided_after:",
        "if False:",
        ("tests/test_lake/test_two_sources.py::test_a_vendor_that_comes_after_the_decision_is_said",),
    ),
    Mutant(
        "series-page-without-rows-ends-it",
        "A page of a series that lacks the values which remain is an error, not the end of the series.",
        "lake/sources/fred.py",
        "if not came and offset < count:",
        "if False:",
        (f"{SERIES}::test_s02_pages_are_read_once_each_and_one_that_lacks_its_rows_is_refused",),
    ),
    Mutant(
        "vintage-to-come-stored",
        "A vintage of a day that has not come is refused.",
        "lake/sources/fred.py",
        "_require_past(answer, page)\n            gathered",
        "gathered",
        (f"{SERIES}::test_s19_nothing_is_known_before_it_happened_and_a_vintage_to_come_is_refused",),
    ),
    Mutant(
        "vintage-corrected-in-hindsight",
        "Another value under a vintage that is stored is known from its receipt.",
        "lake/ingest/macro.py",
        'from_now = pl.max_horizontal("known_time", "received_at")',
        'from_now = pl.col("known_time")',
        (f"{SERIES}::test_s13_a_revision_is_known_from_its_release_and_a_correction_from_its_receipt",),
    ),
    Mutant(
        "late-vintage-known-before-it-came",
        "A value of a series that had not come when the series was asked after its release is known from its receipt.",
        "lake/ingest/macro.py",
        '(pl.col("known_time") <= pl.col("asked_at"))',
        "pl.lit(value=False)",
        (f"{SERIES}::test_s23_whatever_happens_the_lake_knows_what_was_told_when",),
    ),
    Mutant(
        "split-of-no-symbol-passed-over",
        "A declared split of a symbol that the price file does not have is refused, not passed over.",
        "lake/sources/files/splits.py",
        "~is_known, ",
        "",
        (f"{SPLITS}::test_a_split_that_cannot_be_used_is_refused",),
    ),
    Mutant(
        "former-word-as-a-correction",
        "What a home holds under the former word for a fully adjusted price is no correction.",
        "lake/refine/deliveries.py",
        'value.replace("fully_adjusted", "split_adjusted") if',
        "value if",
        (f"{SPLITS}::test_a_fully_adjusted_file_says_so_and_a_home_from_before_goes_on",),
    ),
)
